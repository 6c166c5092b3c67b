"""Charges at a board with meters, through a whole gateway, while the line and the mains do their worst."""

from pathlib import Path

import pytest

from controller.core import events as ev
from simulators.twins.contact import Fault
from simulators.twins.line import Line
from simulators.twins.lines import BOARD, LINES, meter_address
from tests.bridge.test_commissioned_bus import KIND, T0, proven, yard_of
from tests.bridge.yard import Lamp, Yard


def charging(yard: Yard, shed: str, outlet: str) -> None:
    assert proven(yard, shed, outlet).phase == "commissioned"
    yard.change(ev.Change.OPEN, outlet)
    yard.begin(outlet)
    yard.run(60.0)
    assert yard.live(outlet).phase == "charging"


def lamps(name: str, count: int = 1) -> Line:
    return LINES[name]([Lamp(360.0)] * count, T0)


def test_a_charge_waits_for_a_board_that_lost_its_supply_and_goes_on(tmp_path: Path) -> None:
    with yard_of(tmp_path, lamps("waveshare-relay")) as (yard, shed, (outlet,)):
        charging(yard, shed, outlet)
        session = yard.live(outlet).id
        line, now_s = yard.at(shed)
        line.cut_supply(BOARD, now_s)
        yard.run(8.0)
        line, now_s = yard.at(shed)
        line.restore_supply(BOARD, now_s)
        yard.run(6.0)
        assert yard.live(outlet).phase in ("suspended", "opening")  # no end: nobody switched it off

        yard.runs_until(lambda: yard.live(outlet).phase == "charging" and yard.live(outlet).pause is None, 180.0)

        assert yard.live(outlet).id == session
        line, _ = yard.at(shed)
        assert line.powered(BOARD, 0)


@pytest.mark.parametrize("silent", ["board", "meter"])
def test_a_charge_of_which_half_is_silent_is_dark_by_its_lease_and_goes_on_when_it_is_back(
    tmp_path: Path, silent: str
) -> None:
    with yard_of(tmp_path, lamps("waveshare-relay")) as (yard, shed, (outlet,)):
        charging(yard, shed, outlet)
        address = BOARD if silent == "board" else meter_address(KIND, 0)
        line, now_s = yard.at(shed)
        line.inject(Fault.SILENT, now_s, address)
        yard.run(120.0)
        line, _ = yard.at(shed)
        assert not line.powered(BOARD, 0)
        yard.run(120.0)
        assert yard.live(outlet).phase == "suspended"

        line, now_s = yard.at(shed)
        line.mend(Fault.SILENT, now_s, address)
        yard.runs_until(lambda: yard.live(outlet).phase == "charging", 180.0)

        assert yard.house.outlets[outlet].latch is None


def test_a_coil_that_was_left_closed_behind_a_watchdog_is_opened_before_anybody_is_sold_power(tmp_path: Path) -> None:
    """The timer has cut it; the pulse for a neighbour would give it power again, and nobody would pay."""
    with yard_of(tmp_path, lamps("coil-relay", 2), outlets=2) as (yard, shed, outlets):
        charging(yard, shed, outlets[0])
        line, _ = yard.at(shed)
        line.board(BOARD).contacts[1].on = True  # by a hand, or by a gateway that is gone

        yard.run(6.0)

        line, _ = yard.at(shed)
        assert [contact.on for contact in line.board(BOARD).contacts[:2]] == [True, False]
        assert yard.live(outlets[0]).phase == "charging"
