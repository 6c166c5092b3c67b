"""An old pack that never turns is cut before the night is over; a sound one is left alone."""

import random

import msgspec
import pytest

from controller.core.danger import DangerState, begin, observe, resumed
from controller.core.finish import Verdict
from controller.core.reasons import StopReason
from tests.core.shapes import Curve, every, hold, noisy, shapes, tail


def cut(curve: Curve) -> tuple[float, Verdict] | None:
    state = begin(0.0)
    for at, power_w in curve:
        state, verdict = observe(state, at, power_w)
        if verdict:
            return at, verdict
    return None


NEVER = hold(150, 190, 200) + tail(200, 100, 30, 90) + hold(500, 97, 99)


@pytest.mark.parametrize("seconds", [10, 60, 300])
def test_a_pack_that_never_turns_is_cut_within_eight_hours(seconds: float) -> None:
    stopped = cut(every(noisy(NEVER, random.Random(1)), seconds))

    assert stopped is not None
    assert stopped[1].reason is StopReason.NEVER_TURNED
    assert 6 <= stopped[0] / 3600 <= 8
    assert stopped[1].evidence["energy_wh"] > 300


@pytest.mark.parametrize("seed", range(5))
def test_no_ordinary_shape_is_taken_for_one(seed: int) -> None:
    rng = random.Random(seed)
    for shape, powers in shapes(rng).items():
        assert cut(every(noisy(powers, rng), 60)) is None, shape


def test_a_large_pack_may_stay_in_its_first_stage_all_night() -> None:
    assert cut(noisy(hold(600, 280, 300), random.Random(2))) is None


def test_a_float_of_many_hours_is_not_its_business() -> None:
    assert cut(noisy(hold(200, 200) + tail(200, 30, 30) + hold(600, 25), random.Random(3))) is None


def test_a_restart_forgets_no_hour() -> None:
    state, verdict, moved_s = begin(0.0), None, 0.0
    for at, power_w in every(noisy(NEVER, random.Random(4)), 60):
        if at == 14_400:
            moved_s = 1e6
            state = resumed(msgspec.json.decode(msgspec.json.encode(state), type=DangerState), at - moved_s)
        state, verdict = observe(state, at - moved_s, power_w)
        if verdict:
            break

    assert verdict is not None
    assert len(msgspec.json.encode(state)) < 300


def test_a_reading_from_the_past_changes_nothing() -> None:
    state, _ = observe(begin(0.0), 100.0, 80.0)

    assert observe(state, 50.0, 0.0) == (state, None)
