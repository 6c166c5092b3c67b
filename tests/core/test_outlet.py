"""An outlet without a session: dead and kept so, proven step by step, and what staff may do with it."""

from typing import Any

import pytest

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.outlet import STAFF, TABLE, decide
from controller.core.outlet_outcome import Outcome
from controller.core.programme import Proving, Step
from controller.core.state import Outlet, OutletPhase
from tests.core import made
from tests.core.made import NOW_S, RULES, change, one, outlet, outlet_ctx, reading, relay

EVENTS = tuple(TABLE[OutletPhase.OPEN])
CELLS = [(phase, event) for phase in OutletPhase for event in EVENTS]
IDLE = [phase for phase in OutletPhase if phase not in (OutletPhase.PROVING, OutletPhase.METERING_ONLY)]


# -- the table ----------------------------------------------------------------------------------------------------


def test_every_cell_is_filled_for_every_event_of_a_device() -> None:
    assert set(TABLE) == set(OutletPhase)
    assert all(set(TABLE[phase]) == set(EVENTS) for phase in OutletPhase)
    assert set(EVENTS) == {*made._EVERY} - {ev.PowerGranted, ev.PowerWithdrawn, ev.PlugAnswered}  # of sessions alone


@pytest.mark.parametrize(("phase", "kind"), CELLS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_cell_answers_or_refuses_and_never_raises_anything_else(phase: OutletPhase, kind: type[ev.Event]) -> None:
    for event in made.every(kind):
        for before in _ages(phase):
            for context in (outlet_ctx(), outlet_ctx(alarmed=True), outlet_ctx(relay_on=False), outlet_ctx(power_w=9)):
                try:
                    outcome = decide(before, event, context)
                except Refused:
                    assert kind is ev.StopAsked
                else:
                    _check(before, outcome)


def _ages(phase: OutletPhase) -> list[Outlet]:
    if phase is not OutletPhase.PROVING:
        return [outlet(phase), outlet(phase, latch="relay_fault"), outlet(phase, locked_by="staff:m")]
    return [
        outlet(phase, proving=Proving(step, NOW_S - age_s, "staff:m", {}, {"lease_s": 15.0}, **seen))
        for step in Step
        for age_s in (5.0, 15.0, 25.0, 700.0)
        for seen in _seen(NOW_S - age_s)
    ]


def _seen(since_s: float) -> list[dict[str, Any]]:
    on = {"on_s": since_s + 1, "heard_s": since_s + 1}
    lit = {**on, "load_s": since_s + 1, "lit_s": since_s + 2}
    return [
        {},
        on,
        lit,
        {**lit, "renewed_s": since_s + 7},
        {**lit, "cut_s": since_s + 3},
        {**lit, "away_s": since_s + 3},
        {**lit, "away_s": since_s + 3, "back_s": since_s + 4},
    ]


def _check(before: Outlet, outcome: Outcome) -> None:
    """OFF before rows; an ON after its row, and only in the programme that proves."""
    kinds = made.kinds(outcome.effects)
    if fx.SwitchOff in kinds:
        assert kinds[0] is fx.SwitchOff
    if fx.SwitchOn in kinds:
        assert before.phase is OutletPhase.PROVING
        assert kinds.index(fx.SaveOutlet) < kinds.index(fx.SwitchOn)
        assert one(outcome.effects, fx.SwitchOn).lease_s in (RULES.lease_proof_s, RULES.lease_walk_s)
    assert (outcome.outlet.proving is not None) == (outcome.outlet.phase is OutletPhase.PROVING)
    if outcome.outlet.phase not in (before.phase, OutletPhase.PROVING):
        assert one(outcome.effects, fx.SaveOutlet).outlet == outcome.outlet


# -- idle ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", IDLE)
def test_power_without_a_session_is_cut_and_raises_an_alarm(phase: OutletPhase) -> None:
    """T49"""
    outcome = decide(outlet(phase), reading(3.0), outlet_ctx())

    assert made.kinds(outcome.effects) == [fx.SwitchOff, fx.RaiseAlarm]
    assert one(outcome.effects, fx.RaiseAlarm).kind == "power_without_session"
    assert outcome.alarmed is True


def test_power_that_stays_latches_the_outlet_once_and_is_cut_each_time() -> None:
    latched = decide(outlet(), reading(60.0), outlet_ctx(alarmed=True))
    assert made.kinds(latched.effects) == [fx.SwitchOff, fx.SaveOutlet]
    assert latched.outlet.latch == "relay_fault"

    again = decide(latched.outlet, reading(60.0), outlet_ctx(alarmed=True))
    assert made.kinds(again.effects) == [fx.SwitchOff]


def test_a_latch_does_not_go_away_with_the_power() -> None:
    calm = decide(outlet(latch="relay_fault"), reading(0.0), outlet_ctx(alarmed=True))

    assert calm.outlet.latch == "relay_fault"
    assert calm.alarmed is False


def test_somebodys_button_is_answered_with_off() -> None:
    assert made.kinds(decide(outlet(), relay(True), outlet_ctx()).effects) == [fx.SwitchOff]
    assert decide(outlet(), relay(False), outlet_ctx()).effects == ()


def test_an_outlet_that_comes_back_is_switched_off_and_asked() -> None:
    (up,) = made.every(ev.LinkUp)
    assert made.kinds(decide(outlet(), up, outlet_ctx()).effects) == [fx.SwitchOff, fx.AskNow]


def test_a_device_that_only_meters_is_never_switched_but_in_danger() -> None:
    only = outlet(OutletPhase.METERING_ONLY)

    assert decide(only, reading(900.0), outlet_ctx()).effects == ()
    assert decide(only, relay(True), outlet_ctx()).effects == ()
    assert made.kinds(decide(only, made.hazard(), outlet_ctx()).effects) == [fx.SwitchOff, fx.RaiseAlarm]


# -- commissioning ------------------------------------------------------------------------------------------------


def test_commissioning_sets_the_device_up_first_and_serves_nothing_meanwhile() -> None:
    outcome = STAFF[ev.Change.COMMISSION](outlet(OutletPhase.OPEN), change(ev.Change.COMMISSION), outlet_ctx())

    assert outcome.outlet.phase is OutletPhase.PROVING
    assert made.kinds(outcome.effects) == [fx.SwitchOff, fx.SaveOutlet, fx.Provision]
    assert one(outcome.effects, fx.Provision).lease_s == 120.0


# -- staff --------------------------------------------------------------------------------------------------------


def by_staff(at: Outlet, what: ev.Change, by: str = "staff:m", seen: Any = None, **values: Any) -> Outcome:
    return STAFF[what](at, change(what, by, **values), outlet_ctx(**(seen or {})))


@pytest.mark.parametrize("phase", [OutletPhase.ADOPTED, OutletPhase.PROVING, OutletPhase.METERING_ONLY])
def test_an_unproven_outlet_is_not_opened(phase: OutletPhase) -> None:
    with pytest.raises(Refused, match="not been proven"):
        by_staff(outlet(phase), ev.Change.OPEN)


def test_an_outlet_is_opened_and_closed() -> None:
    opened = by_staff(outlet(OutletPhase.COMMISSIONED), ev.Change.OPEN).outlet
    assert opened.phase is OutletPhase.OPEN
    assert by_staff(opened, ev.Change.CLOSE).outlet.phase is OutletPhase.COMMISSIONED
    assert by_staff(outlet(OutletPhase.ADOPTED), ev.Change.CLOSE).effects == ()


def test_a_lock_cuts_and_only_who_locked_or_an_owner_unlocks() -> None:
    locked = by_staff(outlet(), ev.Change.LOCK, "staff:a")
    assert isinstance(locked.effects[0], fx.SwitchOff)

    with pytest.raises(Refused):
        by_staff(locked.outlet, ev.Change.LOCK, "staff:b")
    with pytest.raises(Refused):
        by_staff(locked.outlet, ev.Change.UNLOCK, "staff:b")
    assert by_staff(locked.outlet, ev.Change.UNLOCK, "staff:a").outlet.locked_by is None
    assert by_staff(locked.outlet, ev.Change.UNLOCK, "staff:b", owner=True).outlet.locked_by is None


def test_a_lock_ends_commissioning_so_that_no_step_puts_power_under_somebodys_hands() -> None:
    locked = by_staff(proving("lease", on_s=NOW_S), ev.Change.LOCK).outlet

    assert (locked.phase, locked.failed, locked.locked_by) == (OutletPhase.ADOPTED, "locked", "staff:m")
    assert fx.SwitchOn not in made.kinds(decide(locked, relay(False, after_s=15), outlet_ctx()).effects)


def test_a_latch_is_cleared_only_while_nothing_is_drawn() -> None:
    latched = outlet(latch="relay_fault")
    with pytest.raises(Refused, match="power still flows"):
        by_staff(latched, ev.Change.CLEAR_LATCH, seen={"power_w": 60.0})

    cleared = by_staff(latched, ev.Change.CLEAR_LATCH)

    assert cleared.outlet.latch is None
    assert one(cleared.effects, fx.ClearAlarms).by == "staff:m"


def test_a_device_that_cannot_cut_itself_is_never_commissioned() -> None:
    with pytest.raises(Refused, match="no timer"):
        by_staff(outlet(OutletPhase.METERING_ONLY), ev.Change.COMMISSION)


def proving(step: str, **other: Any) -> Outlet:
    values: dict[str, Any] = {"settings": {}, "measured": {}, **other}
    return outlet(OutletPhase.PROVING, proving=Proving(step, NOW_S, "staff:m", **values))
