"""Notices: told at the right moments and no others, once, in the payer's words; quiet failures; addresses that go."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlmodel import SQLModel

from anchong.wiring import Gateway, Plan
from controller.clock import HandClock, RealClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.notices import KIND
from controller.core.state import Phase, Rules
from controller.notices import BACK_OFF_S, Notices
from controller.outbox import Account
from controller.ports import CloseResult, Sent
from controller.queries import Queries
from firmware_bridge.transports.memory import MemoryBroker, MemoryTransport
from tests.house import eventually
from tests.shell.rig import Plug, Rig

ADDRESS = "wang.li@example.com"


class Pen:
    """Writes down what it would send."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []  # address, what
        self.answer = Sent.DONE

    def send(self, address: str, slot: str, notice: dict[str, object]) -> Sent:
        self.sent.append((address, str(notice["what"])))
        return self.answer


class Office:
    """A rig whose notices are carried out by `pen`."""

    def __init__(self, rig: Rig, pen: Pen) -> None:
        self.rig, self.pen = rig, pen
        self.queries = Queries(rig.url)
        self.notices = Notices(pen, self.queries.address, rig.clock, rig.engine.inbox.tell)  # type: ignore[arg-type]

    def leave(self, address: str = ADDRESS, party: str = "p1") -> None:
        live = self.rig.live()
        event = ev.AddressLeft(
            **self.rig.stamp(), key=f"k-{address}", session=live.id, outlet=live.outlet, party=party, address=address
        )
        self.rig.answer(event)

    def one_to_tell(self) -> None:
        """A charge whose payer left an address, stopped and settled; nothing has been posted."""
        self.rig.charging()
        self.leave()
        self.rig.answer(self.rig.stop())
        self.rig.plug.load_w = 0.0
        self.rig.beat(times=2)

    def post(self) -> list[str]:
        """What is due now leaves; answers with what was told since."""
        before = len(self.pen.sent)
        while self.rig.wishes:
            wish = self.rig.wishes.pop(0)
            if wish.kind == KIND:
                self.notices.put(wish)
        self.notices.run_due()
        self.rig.step()
        return [what for _, what in self.pen.sent[before:]]

    def addresses(self) -> list[str]:
        return [value for (value,) in self.rig.sql("SELECT value FROM party_identity")]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(Rig(tmp_path), Pen())
    yield made
    made.queries.close()


# -- when ---------------------------------------------------------------------------------------------------------


def test_a_stop_is_told_once_it_is_settled_and_the_address_is_gone_with_it(office: Office) -> None:
    rig = office.rig
    rig.charging()
    office.leave()
    assert office.post() == []
    rig.answer(rig.stop())
    assert office.post() == [], "off is not proven yet, nobody knows the bill"
    rig.plug.load_w = 0.0
    rig.beat(times=2)

    assert office.post() == ["ended"]
    assert office.pen.sent == [(ADDRESS, "ended")]
    assert office.addresses() == []
    assert rig.house.reachable == set()
    assert rig.sql("SELECT slot FROM outbox WHERE kind = 'notify'") == []


def test_who_left_no_address_costs_nothing(office: Office) -> None:
    rig = office.rig
    rig.charging()
    rig.answer(rig.stop())
    rig.beat(times=2)

    assert office.post() == []
    assert rig.sql("SELECT slot FROM outbox WHERE kind = 'notify'") == []


def test_a_power_cut_is_told_when_it_begins(office: Office) -> None:
    rig = office.rig
    rig.charging()
    rig.beat(times=6)
    office.leave()
    rig.engine.inbox.tell(ev.DeviceRestarted(**rig.stamp(), outlet="o1"))
    rig.step()

    assert rig.live().phase is Phase.SUSPENDED
    assert office.post() == ["mains"]
    rig.engine.inbox.tell(ev.DeviceRestarted(**rig.stamp(), outlet="o1"))
    rig.step()
    assert office.post() == [], "the same cut is no news"


def test_another_bike_on_the_outlet_is_asked_about(office: Office) -> None:
    rig = office.rig
    rig.charging()
    rig.beat(times=30)
    office.leave()
    rig.plug.load_w = 0.0
    rig.beat(times=2)
    rig.plug.load_w = 420.0
    rig.beat(times=12)

    assert rig.live().phase is Phase.SUSPENDED
    assert office.post() == ["question"]


def test_a_turn_that_came_after_a_wait_is_told(tmp_path: Path) -> None:
    clock = HandClock()
    rig = Rig(tmp_path, clock, [Plug(clock), Plug(clock, "o2")])
    office = Office(rig, Pen())
    rig.beat()
    rig.answer(rig.staff_change(ev.Change.POWER, "s1", of="site", power_w=1000.0))  # enough for one
    for order, outlet, party in (("O2", "o2", "p2"), ("O1", "o1", "p1")):
        rig.answer(rig.order(order, outlet=outlet, party=party))
        rig.answer(rig.paid(order, txn=f"T-{order}"))
        rig.plugs[outlet].load_w = 180.0
        rig.beat(times=2)
    office.leave()
    rig.beat(times=7)
    assert rig.live().phase is Phase.QUEUED
    assert office.post() == []
    rig.answer(rig.stop("S2", "o2", by="party:p2"))
    rig.beat(times=3)

    assert rig.live().phase is not Phase.QUEUED
    assert office.post() == ["turn"]
    office.queries.close()


def test_a_turn_that_came_at_once_is_no_news(office: Office) -> None:
    rig = office.rig
    rig.charging()
    office.leave()
    rig.beat(times=3)

    assert office.post() == []


# -- where to -----------------------------------------------------------------------------------------------------


def test_an_address_is_for_a_live_charge_of_ones_own(office: Office) -> None:
    office.rig.charging()
    with pytest.raises(Refused) as refused:
        office.leave(party="somebody else")

    assert refused.value.code == "already_settled"
    assert office.addresses() == []


def test_a_second_address_replaces_the_first(office: Office) -> None:
    office.rig.charging()
    office.leave()
    office.leave("wang@example.org")

    assert office.addresses() == ["wang@example.org"]


def test_an_address_can_be_taken_back_and_then_nothing_is_told(office: Office) -> None:
    rig = office.rig
    rig.charging()
    office.leave()
    rig.answer(ev.AddressForgotten(**rig.stamp(), key="f1", party="p1", by="party:p1"))
    rig.answer(rig.stop())
    rig.plug.load_w = 0.0
    rig.beat(times=2)

    assert office.addresses() == []
    assert office.post() == []


def test_an_address_taken_back_while_a_notice_waits_gets_none(office: Office) -> None:
    rig = office.rig
    office.one_to_tell()
    rig.answer(ev.AddressForgotten(**rig.stamp(), key="f1", party="p1", by="party:p1"))

    assert office.post() == []
    assert rig.sql("SELECT slot FROM outbox WHERE kind = 'notify'") == []


def test_it_stands_in_one_table_alone(office: Office) -> None:
    rig = office.rig
    office.one_to_tell()
    tables = sorted(SQLModel.metadata.tables)
    found = [name for name in tables if any(ADDRESS in repr(row) for row in rig.sql(f'SELECT * FROM "{name}"'))]  # noqa: S608

    assert rig.sql("SELECT count(*) FROM outbox WHERE kind = 'notify'") == [(1,)]
    assert found == ["party_identity"]


def test_a_restart_knows_who_can_be_reached_and_what_is_still_to_be_told(office: Office) -> None:
    rig = office.rig
    office.one_to_tell()
    later = rig.restarted()
    again = Office(later, Pen())

    assert later.house.reachable == {"p1"}
    assert again.post() == ["ended"]
    assert again.addresses() == []
    again.queries.close()


# -- what goes wrong ----------------------------------------------------------------------------------------------


def test_a_server_that_is_away_is_asked_again_more_and_more_rarely(office: Office) -> None:
    rig = office.rig
    office.one_to_tell()
    office.pen.answer = Sent.LATER
    for wait_s in BACK_OFF_S[:3]:
        assert office.post() == ["ended"]
        rig.clock.advance(wait_s - 1)
        assert office.post() == []
        rig.clock.advance(1)
    office.pen.answer = Sent.DONE

    assert office.post() == ["ended"]
    assert office.addresses() == []


def test_what_is_no_news_any_more_is_not_told_and_the_address_goes(office: Office) -> None:
    rig = office.rig
    office.one_to_tell()
    rig.clock.advance(2 * 86_400)

    assert office.post() == []
    assert office.addresses() == []
    assert rig.sql("SELECT slot FROM outbox WHERE kind = 'notify'") == []


def test_without_a_mail_server_nothing_piles_up(tmp_path: Path) -> None:
    told: list[ev.Event] = []
    rig = Rig(tmp_path)
    notices = Notices(None, lambda party: ADDRESS, rig.clock, told.append)
    notices.put(fx.Wish("notify:S1:ended", KIND, {"party": "p1", "what": "ended"}, 0.0))
    notices.run_due()

    assert notices.waiting() == 0
    assert [type(event) for event in told] == [ev.ErrandDone, ev.AddressForgotten]


# -- with its own thread ------------------------------------------------------------------------------------------


class Hung:
    """A mail server that takes for ever."""

    def __init__(self) -> None:
        self.asked, self.over = Event(), Event()

    def send(self, address: str, slot: str, notice: Mapping[str, Any]) -> Sent:
        self.asked.set()
        self.over.wait(20)
        return Sent.DONE


class Till:
    """A provider of whom only closing is asked."""

    def __init__(self) -> None:
        self.closed: list[str] = []

    def close(self, order_no: str) -> CloseResult:
        self.closed.append(order_no)
        return CloseResult.UNKNOWN


def test_a_mail_server_that_hangs_holds_back_nobodys_money(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Queries, "address", lambda queries, party: ADDRESS)
    hung, till = Hung(), Till()
    plan = Plan(
        clock=RealClock(),
        rules=Rules(),
        database=f"sqlite:///{tmp_path / 'a.db'}",
        journal=tmp_path / "trips",
        name="t",
        providers={"sandbox": till},  # type: ignore[dict-item]
        accounts={"sandbox": Account("sandbox", "m", "a", "http://127.0.0.1/n", "http://127.0.0.1/{order}")},
        notifier=hung,
    )
    gateway = Gateway(plan, MemoryTransport(MemoryBroker(), "gw"))
    gateway.start()
    try:
        gateway._release(fx.Wish("notify:S1:ended", KIND, {"party": "p1", "what": "ended"}, 0.0))
        eventually(hung.asked.is_set)
        gateway._release(fx.Wish("close:O1", "close", {"provider": "sandbox", "order": "O1"}, 0.0))
        eventually(lambda: till.closed == ["O1"])
    finally:
        hung.over.set()
        gateway.stop()
