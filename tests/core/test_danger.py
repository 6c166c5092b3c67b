"""An old pack that never turns is cut before the night is over; a sound one is left alone."""

import math
import random
from collections.abc import Callable

import msgspec
import pytest

from controller.core.danger import DangerState, begin, observe, resumed, shared
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


# -- loads that are no chargers, meters that lie, fuses -----------------------------------------------------------


def verdict_of(minutes: int, power_w: Callable[[float, float], float], **other: float) -> tuple[float, Verdict] | None:
    """Every ten seconds, on a mains that wanders by some volts as an evening's does."""
    rng, state = random.Random(7), begin(0.0)
    for step in range(minutes * 6):
        volts = 222 + 5 * math.sin(step / 40) + rng.gauss(0, 0.5)
        drawn_w = round(power_w(step * 10.0, volts) * rng.uniform(0.996, 1.004), 1)
        amps = drawn_w / volts / other.get("factor", 0.99)
        state, verdict = observe(state, step * 10.0, drawn_w, volts=volts, amps=amps, counter_wh=other.get("counter"))
        if verdict:
            return step * 10.0, verdict
    return None


def test_a_heater_follows_the_mains_by_the_square_and_is_cut_within_the_hour() -> None:
    stopped = verdict_of(60, lambda _, volts: 600 * (volts / 220) ** 2)

    assert stopped is not None
    assert (stopped[1].reason, stopped[1].rule) == (StopReason.NOT_A_CHARGER, "resistive")
    assert stopped[0] <= 3600


def test_a_fast_charger_with_a_corrected_power_factor_is_none() -> None:
    assert verdict_of(240, lambda at_s, _: 570 + at_s / 600) is None


def test_a_load_that_a_thermostat_switches_is_cut_when_it_has_come_back_five_times() -> None:
    stopped = verdict_of(60, lambda at_s, _: 500.0 if at_s % 240 < 120 else 0.0)

    assert stopped is not None
    assert (stopped[1].rule, stopped[1].evidence["times"], stopped[0]) == ("thermostat", 5.0, 1200.0)


def test_a_counter_that_stands_while_power_flows_is_a_faulty_meter_within_twenty_minutes() -> None:
    stopped = verdict_of(60, lambda *_: 200.0, counter=5000.0)

    assert stopped is not None
    assert stopped[1].reason is StopReason.METER_FAULT
    assert 900 <= stopped[0] <= 1200


def test_a_counter_that_runs_while_nothing_flows_is_a_faulty_meter() -> None:
    state, verdict = begin(0.0), None
    for step in range(30):
        state, verdict = observe(state, step * 60.0, 0.0, counter_wh=5000.0 + step)
        if verdict:
            break

    assert verdict is not None
    assert verdict.evidence["counted_wh"] == 20.0


@pytest.mark.parametrize(("before_v", "blown"), [(225.0, True), (0.0, False)])
def test_a_voltage_that_collapses_behind_a_device_that_talks_is_a_blown_fuse(before_v: float, blown: bool) -> None:
    state, _ = observe(begin(0.0), 10.0, 150.0, volts=before_v)
    state, verdict = observe(state, 20.0, 0.0, volts=0.0)
    assert verdict is None
    state, verdict = observe(state, 30.0, 0.0, volts=0.0)

    assert (verdict is not None and verdict.reason is StopReason.FUSE_BLOWN) is blown


def climbing() -> tuple[float, Verdict] | None:
    """Down to a tail, and then up again by six per cent every ten minutes."""
    return cut(enumerate_s(hold(150, 200) + tail(200, 90, 30) + [90 * 1.06 ** (at / 60) for at in range(600)]))


def enumerate_s(powers: list[float]) -> Curve:
    return [(step * 10.0, power_w) for step, power_w in enumerate(powers)]


def test_power_that_climbs_late_in_a_charge_is_cut_within_an_hour_and_a_half() -> None:
    stopped = climbing()

    assert stopped is not None
    assert stopped[1].rule == "climbing"


def test_pulses_that_beat_with_the_reports_are_no_climb() -> None:
    """A repair charger's pulses, of a length that 60 s reports catch a little more often every ten minutes."""
    hours = hold(150, 200)
    beats = [200.0 if step % 60 < 20 + 3 * (step // 60) else 10.0 for step in range(420)]

    assert cut(enumerate_s(hours + tail(200, 90, 30) + beats)) is None


def test_a_heater_on_a_mains_that_hardly_moves_is_not_told_from_a_charger() -> None:
    """The bound of that rule is what the mains shows: a quarter of a volt a minute does within the hour."""
    assert heated(0.02) is None
    stopped = heated(0.4)
    assert stopped is not None
    assert stopped <= 3600


def heated(moves_v: float) -> float | None:
    rng, state, volts = random.Random(3), begin(0.0), 225.0
    for step in range(361):
        volts += rng.gauss(0.0, moves_v) if step % 6 == 0 else 0.0
        drawn_w = round(600 * (volts / 220) ** 2, 1)
        state, verdict = observe(state, step * 10.0, drawn_w, volts=round(volts, 1))
        if verdict:
            return step * 10.0
    return None


def test_a_counter_that_speaks_only_now_and_then_is_no_liar() -> None:
    state = begin(0.0)
    for step in range(720):
        told = 5000.0 + step * 200 / 360 if step % 120 == 0 else None
        state, verdict = observe(state, step * 10.0, 200.0, counter_wh=told)
        assert verdict is None


def test_no_pack_of_a_bike_takes_four_kilowatt_hours() -> None:
    stopped = cut(every(enumerate_s(hold(600, 600)), 60))

    assert stopped is not None
    assert (stopped[1].rule, round(stopped[0] / 3600, 1)) == ("bottomless", 6.7)


def test_two_chargers_on_a_lead_are_told_once() -> None:
    state, said = begin(0.0), []
    for step, power_w in enumerate(hold(40, 110) + hold(60, 240)):
        before = state
        state, verdict = observe(state, step * 10.0, power_w)
        assert verdict is None
        said += [two for two in [shared(before, state)] if two]

    assert said == [{"before_w": 110.0, "now_w": 240.0}]
