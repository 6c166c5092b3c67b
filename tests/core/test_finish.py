"""Charges of every shape end when they are full, and not before."""

import random
import time
from collections.abc import Sequence
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.finish import FinishRules, FinishState, Verdict, begin, observe, resumed
from controller.core.reasons import StopReason
from simulators.curves import STEP_S, charge, truth, useful
from tests.core.shapes import MODES, Curve, every, full_at, hold, noisy, on_change, sampled, shapes, tail, useful_wh

# The level says that a pulse or a burst is yet to come only by sending it, so these are cut before their last one.
EARLY_BY_SHAPE = {"balancing", "pulse maintenance"}
# Where the idle draw is a good part of the tail, "no longer falling" takes longer to see than "full" takes to reach;
# and where little was charged, the last Wh are worth waiting for.
LATE_AT_TIMES = {"high idle", "high idle after a switch", "lead-acid high float", "small", "dual"}
LATE_AT_TIMES |= {"short top-up", "begun in its tail"}


def cut(curve: Sequence[tuple[float, float]], rules: FinishRules | None = None) -> tuple[float, Verdict] | None:
    state = begin(curve[0][0])
    for at, power_w in curve:
        state, verdict = observe(state, at, power_w, rules or FinishRules())
        if verdict:
            return at, verdict
    return None


def even(powers: Sequence[float]) -> Curve:
    return noisy(powers, random.Random(1), 0.0)


def minutes(at: float) -> float:
    return at / 60


@cache
def judged(seed: int) -> list[tuple[str, str, Curve, tuple[float, Verdict] | None]]:
    """Shape, mode, the whole curve, and how it ended."""
    return [(shape, mode, curve, cut(seen)) for shape, mode, curve, seen in sampled([seed])]


# -- the shapes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(900, 908))
def test_no_shape_in_any_way_of_reporting_is_cut_before_97_percent(seed: int) -> None:
    for shape, mode, curve, stopped in judged(seed):
        assert stopped, f"{shape}, {mode}: never cut"
        share = useful_wh(curve, stopped[0]) / useful_wh(curve, curve[-1][0])
        assert share >= 0.97, f"{shape}, {mode}: cut at {share:.1%}"
        assert stopped[1].reason is StopReason.FINISHED, f"{shape}, {mode}"


@pytest.mark.parametrize("seed", range(900, 908))
def test_most_shapes_are_dark_within_a_quarter_of_an_hour_after_full(seed: int) -> None:
    for shape, mode, curve, stopped in judged(seed):
        assert stopped
        late_min = minutes(stopped[0] - full_at(curve)[0])

        allowed_min = 45 if shape in LATE_AT_TIMES else 15 + (5 if mode == "on change" else 1)
        assert late_min <= allowed_min, f"{shape}, {mode}: {late_min:.0f} minutes late"


def test_shapes_cut_before_their_last_burst_are_no_others_than_we_say() -> None:
    for shape, mode, curve, seen in sampled([42]):
        stopped = cut(seen)
        assert stopped
        if full_at(curve)[0] - stopped[0] > 3600:
            assert shape in EARLY_BY_SHAPE, f"{shape}, {mode}"


@pytest.mark.parametrize("seed", [*range(8), 62, 685, 766])
def test_a_tail_that_is_steep_at_its_knee_and_slow_after_it_is_no_idle_draw(seed: int) -> None:
    made = charge("lithium cells", seed)
    true, powers = truth(made), made.powers(8 * 3600)

    stopped = cut(noisy(powers, random.Random(seed), 0.008))

    assert stopped
    share = useful(powers[: round(stopped[0] / STEP_S)], true.idle_w) / true.useful_wh
    assert share >= 0.97, f"cut at {share:.1%} by {stopped[1].rule}"


# -- one by one ---------------------------------------------------------------------------------------------------

BULK = hold(120, 96, 100)
TAIL = tail(100, 4, 18)


def test_a_socket_emptied_in_mid_charge_is_unplugged() -> None:
    stopped = cut(even(BULK + hold(60, 0)))

    assert stopped is not None
    assert stopped[1].reason is StopReason.UNPLUGGED
    assert 131 <= minutes(stopped[0]) <= 134


def test_a_socket_emptied_under_a_meter_with_an_offset_is_unplugged_later() -> None:
    stopped = cut(even(BULK + hold(90, 1.8)))

    assert stopped is not None
    assert stopped[1].reason is StopReason.UNPLUGGED
    assert minutes(stopped[0]) <= 165


@pytest.mark.parametrize("rest_min", [1, 5, 12])
def test_a_pause_at_nothing_is_waited_out(rest_min: float) -> None:
    stopped = cut(even(BULK + hold(rest_min, 0) + BULK + TAIL + hold(60, 2)))

    assert stopped is not None
    assert minutes(stopped[0]) > 240 + rest_min


@pytest.mark.parametrize("rest_min", [5, 20, 38])
def test_a_pause_with_the_chargers_own_draw_is_waited_out_longer(rest_min: float) -> None:
    stopped = cut(even(BULK + hold(rest_min, 2.5) + BULK + TAIL + hold(60, 2)))

    assert stopped is not None
    assert minutes(stopped[0]) > 240 + rest_min


def test_several_pauses_do_not_add_up() -> None:
    pauses = [power for _ in range(5) for power in hold(10, 2) + hold(12, 100)]
    stopped = cut(even(BULK + pauses + TAIL + hold(60, 2)))

    assert stopped is not None
    assert minutes(stopped[0]) > 240


@pytest.mark.parametrize("idle_w", [1.5, 5.2, 8.0, 12.5, 15.5])
def test_a_pack_that_was_full_is_finished_in_a_quarter_of_an_hour(idle_w: float) -> None:
    stopped = cut(noisy(hold(120, idle_w), random.Random(2)))

    assert stopped is not None
    assert stopped[1].reason is StopReason.FINISHED
    assert stopped[1].rule == "unworked"
    assert 12 <= minutes(stopped[0]) <= 15


def test_what_may_be_precharge_to_a_meter_that_would_not_show_it_gets_half_an_hour() -> None:
    stopped = cut(even(hold(120, 12.5)))

    assert stopped is not None
    assert 30 <= minutes(stopped[0]) <= 31


def test_an_inrush_before_precharge_is_not_taken_for_a_peak() -> None:
    curve = even([300.0, *hold(25, 9), *BULK, *TAIL, *hold(60, 2)])
    stopped = cut(curve)

    assert stopped is not None
    assert minutes(stopped[0]) > 150


def test_a_pack_in_steady_mid_charge_is_never_cut() -> None:
    assert cut(even(hold(600, 170))) is None


def test_an_old_pack_that_never_turns_is_left_to_the_danger_rules() -> None:
    assert cut(even(hold(120, 200) + tail(200, 100, 30, 90) + hold(400, 99))) is None


def test_a_charger_that_throttles_to_a_third_is_not_full() -> None:
    stopped = cut(even(BULK + hold(30, 33) + BULK + TAIL + hold(60, 2)))

    assert stopped is not None
    assert minutes(stopped[0]) > 250


def test_the_evidence_says_what_was_seen() -> None:
    stopped = cut(even(BULK + TAIL + hold(60, 2)))

    assert stopped is not None
    evidence = stopped[1].evidence
    assert evidence["peak_w"] == pytest.approx(100, abs=1)
    assert stopped[1].rule == "spent"
    assert evidence["halves_s"] == pytest.approx(18 * 60, rel=0.05)
    assert evidence["above_idle_w"] == pytest.approx(evidence["power_w"], rel=0.1)
    assert evidence["elapsed_s"] == stopped[0]
    assert evidence["fell_from_percent"] < 60


# -- how readings come --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [10, 60, 120, 300])
def test_time_counts_and_not_the_number_of_readings(seconds: float) -> None:
    curve = noisy(BULK + TAIL + hold(90, 2), random.Random(3))
    stopped = cut(every(curve, seconds))

    assert stopped is not None
    assert useful_wh(curve, stopped[0]) / useful_wh(curve, curve[-1][0]) >= 0.97
    assert minutes(stopped[0] - full_at(curve)[0]) <= 15 + minutes(seconds)


@pytest.mark.parametrize(("start_min", "gap_min"), [(30, 30), (100, 20), (125, 25), (150, 12)])
def test_a_gap_in_the_readings_is_not_time_spent_low(start_min: float, gap_min: float) -> None:
    curve = noisy(BULK + TAIL + hold(120, 2), random.Random(4))
    seen = [point for point in curve if not start_min <= minutes(point[0]) < start_min + gap_min]
    stopped = cut(seen)

    assert stopped is not None
    assert useful_wh(curve, stopped[0]) / useful_wh(curve, curve[-1][0]) >= 0.97


@pytest.mark.parametrize("at_least_s", [300, 3600])
def test_a_meter_that_speaks_on_change_is_believed_in_between(at_least_s: float) -> None:
    curve = noisy(hold(5, 150) + hold(20, 1.5) + hold(120, 150) + tail(150, 4, 18) + hold(240, 2), random.Random(6))
    stopped = cut(on_change(curve, 10, at_least_s))

    assert stopped is not None
    assert useful_wh(curve, stopped[0]) / useful_wh(curve, curve[-1][0]) >= 0.97
    assert minutes(stopped[0] - full_at(curve)[0]) <= 15 + 2 * minutes(at_least_s)


def test_a_short_top_up_is_not_cut_short() -> None:
    curve = even(hold(3, 110) + tail(110, 2, 22) + hold(90, 0))
    stopped = cut(curve)

    assert stopped is not None
    assert useful_wh(curve, stopped[0]) / useful_wh(curve, curve[-1][0]) >= 0.97


def test_one_reading_after_a_long_silence_decides_nothing() -> None:
    curve = even(BULK)

    assert cut([*curve, (curve[-1][0] + 3600, 2.0)]) is None


def test_a_reading_from_the_past_changes_nothing() -> None:
    state, _ = observe(begin(0.0), 100.0, 80.0)

    assert observe(state, 50.0, 0.0) == (state, None)


@pytest.mark.parametrize("restart_min", [60, 140, 165, 170])
def test_a_restart_anywhere_neither_cuts_early_nor_forgets(restart_min: float) -> None:
    curve = noisy(BULK + TAIL + hold(90, 2), random.Random(5))
    state, verdict, at = begin(0.0), None, 0.0
    for at, power_w in curve:
        if minutes(at) == restart_min:
            state = resumed(msgspec.json.decode(msgspec.json.encode(state), type=FinishState), at - 1e6)
        state, verdict = observe(state, at - 1e6 if minutes(at) >= restart_min else at, power_w)
        if verdict:
            break

    assert verdict is not None
    assert useful_wh(curve, at) / useful_wh(curve, curve[-1][0]) >= 0.97
    assert minutes(at - full_at(curve)[0]) <= 20


# -- its cost -----------------------------------------------------------------------------------------------------


def test_its_state_is_small_at_every_moment() -> None:
    rng = random.Random(7)
    for powers in shapes(rng).values():
        state = begin(1e6 / 3)
        for at, power_w in noisy(powers, rng):
            state, _ = observe(state, 1e6 / 3 + at, power_w)
            assert len(msgspec.json.encode(state)) < 500


def test_a_reading_costs_less_than_sixty_copies_of_its_state() -> None:
    """Twenty microseconds on a quiet machine; here against what the same machine does at the same moment."""
    curve = noisy(BULK + tail(100, 15, 18), random.Random(8))
    spent, yardstick = [], []
    for _ in range(5):
        state, start = begin(0.0), time.process_time()
        for at, power_w in curve:
            state, _ = observe(state, at, power_w)
        ended = time.process_time()
        for at, power_w in curve:
            msgspec.structs.replace(state, last_s=at, last_w=power_w)
        spent.append(ended - start)
        yardstick.append(time.process_time() - ended)

    assert min(spent) < 60 * min(yardstick)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.floats(0, 2_000), st.floats(-5, 4_000) | st.sampled_from([0.0, 1e-9, 100.0])),
        max_size=60,
    )
)
def test_no_readings_at_all_make_it_stumble(steps: list[tuple[float, float]]) -> None:
    state, at = begin(0.0), 0.0
    for passed_s, power_w in steps:
        at += passed_s
        state, verdict = observe(state, at, power_w)

        assert verdict is None or at >= FinishRules().empty_for_s
        assert state.peak_w >= state.recent_w >= 0


def test_every_way_of_reporting_is_tried() -> None:
    assert set(MODES) == {"10 s", "60 s", "on change"}
