"""A doubt may be asked of the charger itself; what is usual of a bike sharpens the decision; nonsense is refused."""

import random

import pytest
from msgspec.structs import replace

from controller.core.errors import Refused
from controller.core.finish import BOUNDS, RULES, FinishRules, Usual, Verdict, begin, check, observe
from controller.core.reasons import StopReason
from tests.core.shapes import Curve, hold, noisy, tail
from tests.core.test_finish import even, minutes

BULK = hold(120, 96, 100)
PROBING = FinishRules(probe=True)


def cut(curve: Curve, rules: FinishRules = RULES, usual: Usual | None = None) -> tuple[float, Verdict]:
    state = begin(curve[0][0])
    for at, power_w in curve:
        state, verdict = observe(state, at, power_w, rules, usual)
        if verdict:
            return minutes(at), verdict
    raise AssertionError("never cut")


# -- doubt --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rest_w", "reason"), [(0.0, StopReason.UNPLUGGED), (2.5, StopReason.FINISHED)])
def test_a_sudden_fall_is_a_doubt_within_minutes_where_it_can_be_probed(rest_w: float, reason: StopReason) -> None:
    at_min, verdict = cut(even(BULK + hold(60, rest_w)), PROBING)

    assert verdict.doubt
    assert verdict.reason is reason
    assert 122 <= at_min <= 125


def test_where_nothing_may_be_probed_nothing_is_in_doubt() -> None:
    for rest_w in (0.0, 2.5):
        at_min, verdict = cut(even(BULK + hold(60, rest_w)))

        assert not verdict.doubt
        assert at_min > 130


def test_a_dip_is_no_doubt() -> None:
    at_min, verdict = cut(even(BULK + hold(2, 0) + BULK + tail(100, 4, 18) + hold(60, 1)), PROBING)

    assert not verdict.doubt
    assert at_min > 240


def test_a_level_that_may_be_a_soak_is_a_doubt() -> None:
    """20 W for half an hour would be a good part of so short a charge."""
    powers = hold(20, 100) + tail(100, 20, 10) + hold(25, 20, 19.8) + hold(60, 1)
    waited_min, patient = cut(noisy(powers, random.Random(1), 0.002))
    asked_min, asking = cut(noisy(powers, random.Random(1), 0.002), PROBING)

    assert asking.doubt
    assert not patient.doubt
    assert asked_min < 20 + 24 + 15 < 20 + 24 + 25 < waited_min


def test_a_throttled_charger_is_not_doubted() -> None:
    at_min, verdict = cut(even(BULK + hold(30, 33) + BULK + tail(100, 4, 18) + hold(60, 1)), PROBING)

    assert not verdict.doubt
    assert at_min > 270


def test_a_tail_to_its_end_is_not_doubted() -> None:
    assert not cut(even(BULK + tail(100, 4, 18) + hold(60, 2)), PROBING)[1].doubt


# -- what is usual ------------------------------------------------------------------------------------------------


def test_a_bikes_own_idle_draw_needs_less_patience() -> None:
    powers = BULK + tail(100, 25, 18) + hold(90, 11)
    stranger_min, _ = cut(noisy(powers, random.Random(2)))
    known_min, verdict = cut(noisy(powers, random.Random(2)), usual=Usual(240.0, 100.0, 11.0))

    assert verdict.rule == "usual"
    assert known_min <= stranger_min - 2


def test_another_charger_has_another_idle_draw() -> None:
    powers = BULK + tail(100, 25, 18) + hold(90, 11)
    stranger = cut(noisy(powers, random.Random(2)))

    assert cut(noisy(powers, random.Random(2)), usual=Usual(240.0, 210.0, 11.0)) == stranger
    assert cut(noisy(powers, random.Random(2)), usual=Usual()) == stranger


def test_a_pause_far_from_a_bikes_usual_end_gets_more_patience_and_near_it_less() -> None:
    powers = BULK + hold(90, 2.5)
    half, _ = cut(even(powers), usual=Usual(energy_wh=400.0, peak_w=100.0))
    stranger, _ = cut(even(powers))
    whole, _ = cut(even(powers), usual=Usual(energy_wh=200.0, peak_w=100.0))

    assert whole <= stranger - 14
    assert half >= stranger + 18


# -- settings -----------------------------------------------------------------------------------------------------


def test_the_defaults_are_within_their_bounds() -> None:
    check(RULES)
    assert BOUNDS.keys() == set(FinishRules.__struct_fields__)


@pytest.mark.parametrize("name", sorted(set(BOUNDS) - {"probe"}))
def test_settings_out_of_bounds_are_refused_by_name(name: str) -> None:
    least, most = BOUNDS[name]
    for value in (least - 0.01, most + 0.01, float("nan")):
        with pytest.raises(Refused, match=name) as refused:
            check(replace(RULES, **{name: value}))
        assert refused.value.code == "finish_rules"


def test_settings_against_each_other_are_refused() -> None:
    with pytest.raises(Refused, match="low_for_s"):
        check(FinishRules(low_for_s=1800.0, low_long_s=900.0))
