"""Boards with meters on a line, against a whole gateway: proven on the device itself, or refused for what it showed."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.state import Outlet
from firmware_bridge.codecs import relay_waveshare
from simulators.twins.contact import Fault
from simulators.twins.line import Line
from simulators.twins.lines import BOARD, LINES, WATCHDOG, meter_address, wired
from simulators.twins.relay_boards import PowerUp, coil_board, lc, waveshare
from tests.bridge.yard import Lamp, Yard

SHEDS = count(1)  # what a unit has shown once is remembered by its address
T0 = 1_800_000_000.0
KIND = "pzem-004t"


@contextmanager
def yard_of(folder: Path, line: Line, kind: str = KIND, outlets: int = 1) -> Iterator[tuple[Yard, str, list[str]]]:
    """A gateway with this board and its meters found and adopted."""
    shed = f"prove-{next(SHEDS)}"
    yard = Yard(folder, lines={shed: line})
    yard.open()
    yard.find(shed)
    keys = [f"{kind}:{shed}/{meter_address(kind, channel)}" for channel in range(outlets)]
    watched = line.board(BOARD).timer is not None
    more = {"watchdog": {"s": WATCHDOG[0], "channel": WATCHDOG[1]}} if watched else {}
    yield yard, shed, yard.adopt_board(shed, BOARD, keys, **more)
    yard.stop()


def began(yard: Yard, outlet: str) -> None:
    yard.run(12.0)
    yard.change(ev.Change.COMMISSION, outlet)
    yard.runs_until(lambda: yard.step(outlet) in ("", "power_cut"), 400.0)


def taken(yard: Yard, shed: str, away_s: float) -> None:
    """By somebody at the breaker of the board, who waits for light."""
    yard.run(6.0)
    line, now_s = yard.at(shed)
    assert line.powered(BOARD, 0)
    line.cut_supply(BOARD, now_s)
    yard.run(away_s)
    line, now_s = yard.at(shed)
    line.restore_supply(BOARD, now_s)


def proven(yard: Yard, shed: str, outlet: str, away_s: float = 5.0) -> Outlet:
    began(yard, outlet)
    if yard.step(outlet):
        taken(yard, shed, away_s)
    yard.runs_until(lambda: not yard.step(outlet), 900.0)
    done: Outlet = yard.house.outlets[outlet]
    return done


def refused(folder: Path, line: Line, kind: str = KIND) -> tuple[str | None, str]:
    """Why and where, once nothing is under power any more."""
    with yard_of(folder, line, kind) as (yard, shed, (outlet,)):
        failed = proven(yard, shed, outlet)
        yard.run(2.0)
        line, _ = yard.at(shed)
        assert failed.phase == "adopted"
        assert failed.failure is not None
        assert not line.board(BOARD).contacts[0].on
        return failed.failed, failed.failure.step


# -- sound --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["waveshare-relay", "lc-relay"])
def test_a_board_with_a_timer_and_a_meter_is_proven_once_its_supply_was_taken_away(tmp_path: Path, family: str) -> None:
    kind = {"waveshare-relay": "pzem-004t", "lc-relay": "eastron-sdm"}[family]
    with yard_of(tmp_path, LINES[family]([Lamp(60.0)], T0), kind) as (yard, shed, (outlet,)):
        done = proven(yard, shed, outlet)

        assert done.phase == "commissioned", done.failure
        assert done.proof is not None
        assert done.proof.cut_by == "timer"
        assert done.record["power_up_off"] == 1.0
        assert 14.0 <= done.record["lease_s"] <= 18.0
        assert done.record["rearmed_s"] >= 19.0
        assert done.lease_s == 120.0


def test_a_board_that_only_a_watchdog_cuts_is_proven_by_its_meter_and_serves_for_no_longer(tmp_path: Path) -> None:
    with yard_of(tmp_path, LINES["coil-relay"]([Lamp(60.0)], T0)) as (yard, shed, (outlet,)):
        done = proven(yard, shed, outlet)

        assert done.phase == "commissioned", done.failure
        assert done.proof is not None
        assert done.proof.cut_by == "watchdog"
        assert done.lease_class == "watchdog"
        assert 55.0 <= done.lease_s <= WATCHDOG[0]
        yard.change(ev.Change.OPEN, outlet)
        yard.begin(outlet)
        yard.run(200.0)  # fed by renewals
        line, _ = yard.at(shed)
        assert line.powered(BOARD, 0)
        yard.buses[shed].cut()
        yard.run(WATCHDOG[0] + 1.0)
        line, _ = yard.at(shed)
        assert not line.powered(BOARD, 0)


def test_somebody_walks_to_the_breaker_once_for_all_outlets_of_a_board(tmp_path: Path) -> None:
    line = wired(waveshare(1, [Lamp(60.0)] * 3), KIND, T0)
    with yard_of(tmp_path, line, outlets=3) as (yard, shed, outlets):
        yard.run(12.0)
        for outlet in outlets:
            yard.change(ev.Change.COMMISSION, outlet)
        yard.runs_until(lambda: {yard.step(outlet) for outlet in outlets} == {"power_cut"}, 400.0)
        taken(yard, shed, away_s=10.0)
        yard.run(8.0)

        assert [yard.house.outlets[outlet].phase for outlet in outlets] == ["commissioned"] * 3


# -- refused ------------------------------------------------------------------------------------------------------


def test_a_board_whose_timer_does_not_start_over_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, wired(waveshare(1, [Lamp(60.0)], rearms=False), KIND, T0)) == ("no_rearm", "rearm")


@pytest.mark.parametrize("power_up", [PowerUp.ON, PowerUp.AS_BEFORE])
def test_a_board_that_is_on_when_its_supply_comes_back_is_off_at_once_and_refused(
    tmp_path: Path, power_up: PowerUp
) -> None:
    board = waveshare(1, [Lamp(60.0)], power_up=power_up)

    assert refused(tmp_path, wired(board, KIND, T0)) == ("powers_up_on", "power_cut")


def test_crossed_meters_are_named_with_the_outlet_that_saw_the_load(tmp_path: Path) -> None:
    line = wired(lc(1, [Lamp(60.0), Lamp(60.0)]), KIND, T0)
    for channel in (0, 1):
        line.unit(meter_address(KIND, channel)).wire(line.circuit(BOARD, 1 - channel))  # type: ignore[attr-defined]
    with yard_of(tmp_path, line, outlets=2) as (yard, shed, outlets):
        failed = proven(yard, shed, outlets[0])

        assert failed.failed == "wrong_meter"
        assert failed.failure is not None
        assert failed.failure.evidence["other"] == outlets[1]
        assert yard.house.outlets[outlets[1]].latch is None  # what was seen there is nobody's fault


def test_a_welded_contact_is_found_before_anything_is_sold(tmp_path: Path) -> None:
    line = wired(waveshare(1, [Lamp(60.0)]), KIND, T0)
    with yard_of(tmp_path, line) as (yard, shed, (outlet,)):
        yard.run(12.0)
        yard.change(ev.Change.COMMISSION, outlet)
        yard.runs_until(lambda: yard.step(outlet) == "lease", 60.0)
        yard.run(3.0)
        line, now_s = yard.at(shed)
        line.inject(Fault.WELDED, now_s, BOARD, 0)
        yard.runs_until(lambda: not yard.step(outlet), 60.0)

        assert yard.house.outlets[outlet].failed == "welded"


def test_a_watchdog_that_does_not_cut_serves_nobody(tmp_path: Path) -> None:
    board = coil_board(1, [Lamp(60.0)] * 8, watchdog=(1e6, WATCHDOG[1]))

    assert refused(tmp_path, wired(board, KIND, T0)) == ("never_cut", "lease")


def test_a_supply_that_is_back_too_late_has_shown_nothing(tmp_path: Path) -> None:
    line = wired(waveshare(1, [Lamp(60.0)], power_up=PowerUp.ON), KIND, T0)
    with yard_of(tmp_path, line) as (yard, shed, (outlet,)):
        began(yard, outlet)
        taken(yard, shed, away_s=70.0)
        yard.run(20.0)
        assert yard.step(outlet) == "power_cut"

        taken(yard, shed, away_s=5.0)
        yard.run(5.0)
        assert yard.house.outlets[outlet].failed == "powers_up_on"


def test_a_board_without_a_lease_of_any_kind_is_not_commissioned(tmp_path: Path) -> None:
    with yard_of(tmp_path, wired(coil_board(1, [Lamp(60.0)]), KIND, T0)) as (yard, _, (outlet,)):
        assert yard.house.outlets[outlet].phase == "metering_only"
        with pytest.raises(Refused):
            yard.change(ev.Change.COMMISSION, outlet)


def test_a_board_of_another_version_in_its_place_is_proven_again(tmp_path: Path) -> None:
    line = wired(waveshare(1, [Lamp(60.0)]), KIND, T0)
    with yard_of(tmp_path, line) as (yard, shed, (outlet,)):
        done = proven(yard, shed, outlet)
        assert done.proof is not None
        assert done.proof.firmware == "2.00"
        yard.change(ev.Change.OPEN, outlet)

        line.unit(BOARD).registers[relay_waveshare.VERSION] = 201  # type: ignore[attr-defined]
        for away in (True, False):
            _, now_s = yard.at(shed)
            (line.cut_supply if away else line.restore_supply)(BOARD, now_s)
            yard.run(40.0)

        fallen = yard.house.outlets[outlet]
        assert (fallen.phase, fallen.failed) == ("adopted", "firmware_changed")
        assert fallen.failure.evidence == {"was": "2.00", "now": "2.01"}
