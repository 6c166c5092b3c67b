"""Attacks that once worked on the decider and the wire: power after a cut, memory without end, money lost."""

import errno
import fcntl
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.desk import ORDERS_MAX
from controller.core.errors import BadFrame
from controller.core.state import OutletPhase
from controller.database import Unusable, shown
from controller.owner import Taken, claim_on
from firmware_bridge.codecs.tasmota_names import read_config
from tests.core.desk_rig import Desk

SETTINGS = ("power_up_off", "sees_power_when_off", "own_counter", "inputs_detached")
CONFIG = {"mac": "A0B1C2D3E4F5", "t": "plug", "ft": "%prefix%/%topic%/", "tp": ["cmnd", "stat", "tele"], "rl": [1]}


def found(desk: Desk, address: str) -> ev.PileFound:
    return ev.PileFound(
        **desk.stamp(), family="tasmota", address=address, model="m", firmware="f", channels=1, params={}
    )


def adoption(desk: Desk, address: str, name: str) -> ev.StaffChange:
    values: dict[str, Any] = {"site": "s1", "name": name, "pile": name, "numbers": ["1"]}
    values |= {"outlets": [f"{name}-1"], "stickers": [f"{name}-sticker"]}
    return desk.change(ev.Change.ADOPT, f"tasmota:{address}", key=name, **values)


def test_nothing_is_switched_on_by_commissioning_after_the_site_was_cut() -> None:
    desk = Desk()
    desk.ask(desk.change(ev.Change.COMMISSION, "o1"))
    for setting in SETTINGS[:-1]:
        desk.do(ev.SettingReported(**desk.stamp(), outlet="o1", setting=setting, value=1))

    desk.ask(ev.SiteCutAsked(**desk.stamp(), key="cut", site="s1", by="staff:o"))
    desk.engine.inbox.tell(ev.SettingReported(**desk.stamp(), outlet="o1", setting=SETTINGS[-1], value=1))
    batch = desk.engine.step(desk.clock.now())

    assert batch is None or not [effect for effect in batch.after if isinstance(effect, fx.SwitchOn)]
    assert desk.house.outlets["o1"].phase is OutletPhase.ADOPTED
    assert desk.house.outlets["o1"].failed == "site_cut"


def test_an_outlet_out_of_service_is_not_commissioned() -> None:
    desk = Desk()
    desk.house.outlets["o1"] = replace(desk.house.outlets["o1"], latch="relay_fault")

    assert desk.code(desk.change(ev.Change.COMMISSION, "o1")) == "latched"


def test_a_device_heard_again_while_it_is_being_adopted_is_not_adopted_twice() -> None:
    desk = Desk()
    desk.do(found(desk, "A0B1C2D3E4F5"))
    desk.ask(adoption(desk, "A0B1C2D3E4F5", "first"))
    desk.do(found(desk, "A0B1C2D3E4F5"))

    assert desk.house.found == {}
    assert desk.code(adoption(desk, "A0B1C2D3E4F5", "second")) == "unknown_device"


def test_unpaid_orders_are_bounded_and_paying_goes_on() -> None:
    desk = Desk()
    assert {desk.code(desk.order(f"O{number}")) for number in range(ORDERS_MAX)} == {"ok"}

    assert desk.code(desk.order("Ox")) == "overloaded"
    assert desk.ask(desk.paid("O7"))["session"] == "S7"


def test_two_payments_whose_numbers_end_alike_are_both_given_back() -> None:
    desk = Desk()
    desk.ask(desk.order())
    for first in "ABC":
        desk.ask(desk.paid(txn=f"{first}000000000001"))

    owed = [refund.amount_fen for refund in desk.house.refunds.values()]
    assert sum(owed) == desk.of("refund_due:") == 400


@pytest.mark.parametrize(
    "huge",
    [{"t": "x" * 200_000}, {"ft": "%topic%" * 50_000}, {"md": "m" * 10_000}, {"state": ["a", "b"] * 5_000}],
    ids="".join,
)
def test_a_device_does_not_name_itself_with_a_book(huge: dict[str, object]) -> None:
    with pytest.raises(BadFrame):
        read_config(json.dumps({**CONFIG, **huge}).encode())


# -- whose database it is -----------------------------------------------------------------------------------------


def test_two_gateways_do_not_share_a_file_by_two_names(tmp_path: Path) -> None:
    real, link = tmp_path / "a.sqlite3", tmp_path / "elsewhere" / "b.sqlite3"
    real.touch()
    link.parent.mkdir()
    link.symlink_to(real)
    first, second = claim_on(f"sqlite:///{real}"), claim_on(f"sqlite:///{link}")
    first.take()
    try:
        with pytest.raises(Taken):
            second.take()
    finally:
        first.release()
    second.take()
    second.release()


def test_a_disk_that_knows_no_locks_is_refused_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*args: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(Unusable, match="No locks available; keep it"):
        claim_on(f"sqlite:///{tmp_path / 'a.sqlite3'}").take()


def test_a_password_in_the_query_of_the_databases_url_is_not_shown() -> None:
    said = shown("postgresql://anchong:one@db/anchong?password=two&sslpassword=three&sslmode=require")
    assert not [secret for secret in ("one", "two", "three") if secret in said]
    assert "sslmode=require" in said
