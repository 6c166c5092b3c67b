"""The simulated packs look like the measured ones."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.finish import begin, observe
from simulators.battery import BATTERIES, NOISE, Battery

HOUR_S = 3600.0
CHARGING = ("lithium", "lithium-snap", "nearly-full", "lead-acid", "never-turns")


def pack(name: str, seed: int = 1, soc: float | None = None) -> Battery:
    battery = BATTERIES[name](Random(seed))
    return battery if soc is None else battery.start_at(soc)


def curve_w(battery: Battery, hours: float, step_s: float = 60.0) -> list[float]:
    return [battery.draw_w(step_s) for _ in range(int(hours * HOUR_S / step_s))]


@pytest.mark.parametrize("name", CHARGING)
@pytest.mark.parametrize("seed", range(5))
def test_an_empty_pack_starts_between_140_and_260_watts_and_the_fast_one_below_500(name: str, seed: int) -> None:
    most_w = 500.0 if name == "nearly-full" else 260.0

    assert 140.0 < pack(name, seed, soc=0.0).draw_w(10.0) < most_w


@pytest.mark.parametrize("seed", range(5))
def test_a_lithium_tail_is_smooth_to_under_five_watts(seed: int) -> None:
    curve = curve_w(pack("lithium", seed, soc=0.9), hours=8)

    steps = [later / earlier for earlier, later in pairwise(curve) if earlier > 6.0]
    assert min(steps) > 0.9
    assert 1.9 < curve[-1] < 4.1


@pytest.mark.parametrize("seed", range(5))
def test_a_snapping_charger_falls_from_about_20_watts_to_idle_at_once(seed: int) -> None:
    curve = curve_w(pack("lithium-snap", seed, soc=0.9), hours=8)

    last = max(i for i, power_w in enumerate(curve) if power_w > 15.0)
    assert curve[last + 2] < 5.2
    assert max(curve[last + 2 :]) > 6.0 > curve[-1]


@pytest.mark.parametrize("seed", range(5))
def test_lead_acid_turns_to_a_float_that_goes_on(seed: int) -> None:
    curve = curve_w(pack("lead-acid", seed, soc=0.0), hours=12)

    turn = max(i for i, power_w in enumerate(curve) if power_w > 20.0)
    assert 5 * 60 <= turn <= 8 * 60
    assert all(4.9 < power_w < 15.0 for power_w in curve[turn + 2 :])


@pytest.mark.parametrize("seed", range(5))
def test_a_pack_that_never_turns_stays_above_59_watts_for_ever(seed: int) -> None:
    assert min(curve_w(pack("never-turns", seed), hours=24)) > 59.0


def test_a_full_pack_draws_only_what_its_charger_needs() -> None:
    draws = [pack("full", seed).draw_w(10.0) for seed in range(40)]

    assert all(0.9 < power_w < 6.1 or 15.3 < power_w < 15.7 for power_w in draws)
    assert max(draws) > 15.0 > min(draws)


def test_nothing_draws_exactly_nothing() -> None:
    assert set(curve_w(pack("absent"), hours=1)) == {0.0}


@pytest.mark.parametrize("name", BATTERIES)
def test_one_seed_gives_one_curve(name: str) -> None:
    assert curve_w(pack(name, 7), hours=2) == curve_w(pack(name, 7), hours=2)


def test_a_lithium_pack_started_near_its_end_is_done_within_two_hours() -> None:
    assert curve_w(pack("lithium", soc=0.97), hours=2)[-1] < 6.0


@pytest.mark.parametrize("seed", range(5))
def test_the_demonstrations_first_pack_charges_for_minutes_and_is_seen_finished_within_25(seed: int) -> None:
    battery, state, verdict, gone_s = pack("nearly-full", seed), begin(0.0), None, 0.0
    while verdict is None and gone_s < 1500.0:
        gone_s += 10.0
        state, verdict = observe(state, gone_s, battery.draw_w(10.0))

    assert verdict is not None
    assert verdict.reason == "finished"
    assert battery.soc == 1.0
    assert battery.drawn_wh > 15.0


@given(name=st.sampled_from(CHARGING), seed=st.integers(0, 999), soc=st.floats(0.0, 1.0))
def test_the_state_of_charge_is_where_it_was_put(name: str, seed: int, soc: float) -> None:
    assert pack(name, seed, soc).soc == pytest.approx(soc, abs=1e-6)


@given(name=st.sampled_from(CHARGING), steps_s=st.lists(st.floats(0.1, 7200.0), min_size=2, max_size=6))
def test_energy_does_not_depend_on_the_step(name: str, steps_s: list[float]) -> None:
    once, often = pack(name), pack(name)

    once.draw_w(sum(steps_s))
    for dt_s in steps_s:
        often.draw_w(dt_s)

    assert often.drawn_wh == pytest.approx(once.drawn_wh, rel=2.1 * NOISE)
    assert often.soc == pytest.approx(once.soc, abs=1e-6)
