"""Counters that rise by more than can have flowed, and deadlines that come long after they were due."""

import pytest

from controller.core import events as ev
from controller.core.reading import jump
from controller.core.reasons import StopReason
from controller.core.safety import CALM, guarded
from controller.core.session import decide
from controller.core.state import Phase, Why
from tests.core.made import NOW_AT, NOW_S, RULES, ctx, reading, session

WH = 1_050.0  # as a made session's counter stands


@pytest.mark.parametrize(
    ("step_wh", "silent_s", "leaps"),
    [(500.0, 5.0, False), (700.0, 5.0, True), (700.0, 600.0, False), (1_999.0, 7_200.0, False), (2_001.0, 1e5, True)],
)
def test_a_counter_may_rise_by_what_an_outlet_gives_in_the_time(step_wh: float, silent_s: float, leaps: bool) -> None:
    live = session(reading_s=NOW_S - silent_s, opened_s=NOW_S - silent_s - 10.0)

    assert (jump(live, reading(60.0, WH + step_wh)) is not None) is leaps


@pytest.mark.parametrize("phase", [Phase.OPENING, Phase.CHARGING, Phase.CLOSING])
def test_what_a_counter_leapt_is_billed_in_no_phase(phase: Phase) -> None:
    live = session(phase)
    before_wh = live.meter.used_wh

    after = decide(live, reading(60.0, (live.meter.counter_wh or 0.0) + 1_500.0, after_s=1.0), ctx()).session

    assert after.meter.used_wh == before_wh
    assert (after.reason == StopReason.METER_FAULT) is (phase is Phase.CHARGING)


def test_a_counter_far_beyond_what_was_paid_for_is_no_credit_used() -> None:
    (order,) = [effect for effect in _renewed() if hasattr(effect, "limits")]
    _, near = guarded(CALM, order.limits, reading(60.0, order.limits.counter_wh + 1.0))
    _, far = guarded(CALM, order.limits, reading(60.0, order.limits.counter_wh + 2_001.0))

    assert near is not None
    assert far is not None
    assert (near.reason, far.reason) == (StopReason.CREDIT_USED, StopReason.METER_FAULT)


def _renewed() -> tuple[object, ...]:
    live = session(renewed_s=NOW_S - 50.0)
    return decide(live, ev.DeadlinePassed(at=NOW_AT, steady_s=NOW_S, outlet="o1"), ctx()).effects


@pytest.mark.parametrize(("late_s", "ends"), [(1.0, True), (60.0, False)])
def test_a_silence_that_nobody_listened_to_is_no_fault_of_the_meter(late_s: float, ends: bool) -> None:
    since_s = NOW_S - RULES.lease_s - late_s
    live = session(renewed_s=since_s, reading_s=since_s, started_at=NOW_AT - 300.0)

    after = decide(live, ev.DeadlinePassed(at=NOW_AT, steady_s=NOW_S, outlet="o1"), ctx()).session

    assert (after.reason == StopReason.METER_FAULT) is ends
    assert (after.pause is not None and after.pause.why is Why.MAINS) is not ends
