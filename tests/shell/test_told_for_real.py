"""The real gateway tells the real receiver: across restarts of both, whatever else goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anchong.wiring import Gateway, Plan
from controller.clock import RealClock
from controller.core import events as ev
from controller.core.state import Rules
from controller.postman import Postman
from firmware_bridge.transports.memory import MemoryBroker, MemoryTransport
from tests.house import eventually
from tests.shell.receiver import Receiver, receivers

BANDS = [{"name": "day", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}]


OWNER = {"login": "lin", "name": "Lin", "password_hash": "x", "role": "owner", "sites": [], "disabled": False}


class Life:
    """One process of the gateway on the folder's database."""

    def __init__(self, folder: Path) -> None:
        clock = RealClock()
        plan = Plan(
            clock=clock,
            rules=Rules(),
            database=f"sqlite:///{folder / 'a.sqlite3'}",
            journal=folder / "trips",
            name="gw",
            providers={},
            accounts={},
            postman=Postman(b"the same in each life", at_home=True),
        )
        self.clock = clock
        self.gateway = Gateway(plan, MemoryTransport(MemoryBroker(), "gw"))
        self.gateway.start()

    def change(self, change: ev.Change, subject: str, **values: Any) -> None:
        now = self.clock.now()
        event = ev.StaffChange(
            at=now.at,
            steady_s=now.steady_s,
            key=f"{change}:{subject}:{now.steady_s}",
            by="staff:o",
            change=change,
            subject=subject,
            values=values,
        )
        self.gateway.ask(event).result(10.0)

    def adopt(self, address: str) -> None:
        """A device is found and adopted: two kinds of events."""
        now = self.clock.now()
        self.gateway.tell(
            ev.PileFound(
                at=now.at,
                steady_s=now.steady_s,
                family="tasmota",
                address=address,
                model="m",
                firmware="f",
                channels=1,
                params={"topic": address, "full_topic": "%prefix%/%topic%/", "channels": 1},
            )
        )
        names = {"outlets": [f"o-{address}"], "numbers": [address], "stickers": [f"k-{address}"]}
        self.change(ev.Change.ADOPT, f"tasmota:{address}", site="s1", pile=f"p-{address}", name=address, **names)

    def stop(self) -> None:
        self.gateway.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receivers() as made:
        yield made


def test_what_happens_is_told_in_order_over_three_lives(tmp_path: Path, receiver: Receiver) -> None:
    first = Life(tmp_path)
    first.change(ev.Change.SITE, "s1", name="S", zone="Asia/Shanghai", merchant="m", bands=BANDS)
    first.change(ev.Change.STAFF, "o", **OWNER)
    first.change(ev.Change.HOOK, "h1", url=receiver.url, kinds=[], sites=[], disabled=False)
    first.adopt("AA")
    eventually(lambda: len(receiver.events) >= 2, within_s=10)
    receiver.answers = [503]
    first.adopt("BB")
    first.stop()

    second = Life(tmp_path)
    second.adopt("CC")
    eventually(lambda: len(receiver.bodies) > 1, within_s=10)
    second.stop()

    receiver.answers = [200]
    third = Life(tmp_path)
    third.adopt("DD")
    newest = third.gateway.feed.newest or 0
    eventually(lambda: receiver.events and receiver.events[-1] == newest, within_s=10)
    assert sorted(set(receiver.events)) == list(range(1, newest + 1))
    told = [event["data"]["pile"] for letter in receiver.letters for event in letter["events"]]
    assert list(dict.fromkeys(told)) == ["p-AA", "p-BB", "p-CC", "p-DD"]
    third.change(ev.Change.HOOK, "h1", gone=True)
    third.adopt("EE")
    third.stop()
    assert receiver.events[-1] == newest


def test_who_may_what_is_told_before_the_answer(tmp_path: Path) -> None:
    life, heard = Life(tmp_path), []
    life.gateway.rights.listen(lambda row: heard.append((row.table, row.values["id"])))
    try:
        life.change(ev.Change.STAFF, "o", **OWNER)
        assert heard == [("staff", "o")]
    finally:
        life.stop()
