"""Another charger in the same socket is told by how it draws; the same one plugged in again is not asked about."""

from collections.abc import Iterable
from itertools import count
from random import Random

import msgspec
import pytest

from controller.core.draw import RULES, Draw, interrupted, moved, observe, power_factor, was_at_work, was_in_tail
from controller.core.tariff import Meter
from simulators import curves_seen
from simulators.curves import SHAPES, charge

AT_WORK = [95.0] * 60
DROP = [0.0] * 2


def seen(powers_w: Iterable[float], every_s: float = 10.0, factor: float | None = None) -> tuple[Draw, int | None]:
    """The draw after these readings, and how many were needed until another load was told (None: never)."""
    draw: Draw | None = None
    for number, power_w in enumerate(powers_w):
        draw, other = observe(draw, number * every_s, power_w, Meter(used_wh=float(number)), factor)
        if other is not None:
            return draw, number
    assert draw is not None
    return draw, None


@pytest.mark.parametrize("now_w", [78.0, 90.0, 95.0, 102.0])
def test_the_same_bike_plugged_in_again_goes_on_without_a_question(now_w: float) -> None:
    draw, other = seen([*AT_WORK, *DROP, *[now_w] * 10])

    assert other is None
    assert draw.left is None


@pytest.mark.parametrize(("now_w", "within_s"), [(190.0, 20.0), (120.0, 20.0), (60.0, 70.0), (40.0, 70.0)])
def test_another_charger_is_told_in_seconds_if_it_is_larger_and_in_a_minute_if_it_is_smaller(
    now_w: float, within_s: float
) -> None:
    draw, other = seen([*AT_WORK, *DROP, *[now_w] * 30])

    assert other is not None
    assert (other - len(AT_WORK) - len(DROP)) * 10.0 <= within_s
    assert draw.left is not None
    assert draw.left.meter.used_wh == len(AT_WORK)  # as it stood at the drop


def test_two_of_one_make_at_one_stage_look_the_same() -> None:
    """What can't be told is not asked: it stays with the limits of energy and time, and with the owner's eyes."""
    assert seen([*AT_WORK, *DROP, *[95.5] * 60])[1] is None


def test_an_inrush_and_a_soft_start_are_not_taken_for_another_charger() -> None:
    assert seen([*AT_WORK, *DROP, 400.0, *[95.0] * 10])[1] is None
    assert seen([*AT_WORK, *DROP, 20.0, 40.0, 70.0, *[95.0] * 10])[1] is None


def falling(from_w: float, to_w: float, steps: int) -> list[float]:
    return [from_w * (to_w / from_w) ** (step / steps) for step in range(steps)]


TAIL = [*AT_WORK, *falling(95.0, 25.0, 240)]


def test_a_bike_in_its_tail_does_not_come_back_at_full_power_after_seconds() -> None:
    assert seen([*TAIL, *DROP, *[92.0] * 30])[1] is not None
    assert seen([*TAIL, *DROP, *[30.0] * 30])[1] is None


def test_a_pack_that_has_rested_may_take_full_power_again_but_not_for_long() -> None:
    rested = [0.0] * 60
    assert seen([*TAIL, *rested, *falling(92.0, 40.0, 18), *[40.0] * 30])[1] is None
    assert seen([*TAIL, *rested, *[92.0] * 40])[1] is not None


def test_a_charger_that_rests_is_not_unplugged_and_comes_back_with_whatever_pack_is_next() -> None:
    """Of two packs the second begins at full power; between them the charger draws a little."""
    assert seen([*TAIL, *[1.5] * 6, *[95.0] * 40])[1] is None
    assert seen([*TAIL, *[1.5] * 6, *[180.0] * 40])[1] is not None


def test_what_draws_very_little_afterwards_is_full_and_no_harm() -> None:
    assert seen([*AT_WORK, *DROP, *[12.0] * 30])[1] is None


def test_the_power_factor_tells_chargers_of_one_power_apart() -> None:
    draw: Draw | None = None
    times = count(0.0, 10.0)
    for power_w in [*AT_WORK, *DROP]:
        draw, _ = observe(draw, next(times), power_w, Meter(), 0.58 if power_w else None)
    others = []
    for _ in range(8):
        draw, other = observe(draw, next(times), 96.0, Meter(), 0.97)
        others.append(other)

    told = next(other for other in others if other is not None)
    assert (told["factor_before"], told["factor_now"]) == (0.58, 0.97)


def test_a_second_drop_begins_the_trial_anew_and_keeps_the_meter_of_the_first() -> None:
    draw, other = seen([*AT_WORK, *DROP, 95.0, 95.0, 0.0, 95.0, 95.0])

    assert other is None
    assert draw.left is not None
    assert (draw.left.meter.used_wh, draw.left.back_s) == (len(AT_WORK), 650.0)


def test_a_load_that_we_cut_is_held_against_what_it_drew() -> None:
    draw, _ = seen(AT_WORK)
    cut = interrupted(draw, 600.0, Meter(used_wh=60.0))
    others = []
    for at_s in (1200.0, 1210.0, 1220.0):
        cut, other = observe(cut, at_s, 200.0, Meter(used_wh=61.0))
        others.append(other)

    assert others[0] is None
    assert others[1] is not None
    assert others[1]["away_s"] == 600.0
    assert interrupted(None, 600.0, Meter()) is None


def test_after_a_probe_a_pack_of_its_own_may_come_back_at_full_power() -> None:
    draw, _ = seen(TAIL)
    cut = interrupted(draw, 3000.0, Meter(), pulled=False)
    others = []
    for at_s in range(3060, 3500, 10):
        cut, other = observe(cut, float(at_s), 95.0, Meter())
        others.append(other)

    assert others == [None] * len(others)


def test_what_was_at_work_and_what_was_nearly_full() -> None:
    at_work, _ = seen(AT_WORK)
    tail, _ = seen(TAIL)
    nearly, _ = seen([*TAIL, *falling(25.0, 6.0, 100)])
    small, _ = seen([12.0] * 60)

    assert [was_at_work(draw) for draw in (at_work, tail, nearly, small)] == [True, True, False, False]
    assert [was_in_tail(draw) for draw in (at_work, tail, nearly)] == [False, True, True]


@pytest.mark.parametrize(
    ("volts", "amps", "factor"),
    [(230.0, 0.5, 0.8), (None, 0.5, None), (230.0, None, None), (230.0, 0.0, None), (230.0, 0.1, 1.0)],
)
def test_a_power_factor_needs_volts_and_amperes(volts: float | None, amps: float | None, factor: float | None) -> None:
    assert power_factor(92.0, volts, amps) == factor


def test_it_survives_its_way_to_disk_and_to_another_clock() -> None:
    draw, _ = seen([*AT_WORK, 0.0])
    read = msgspec.json.decode(msgspec.json.encode(draw), type=Draw)
    assert read == draw

    later = moved(read, 5_000.0)

    assert later.left is not None
    assert draw.left is not None
    assert (later.seen_s, later.left.at_s) == (draw.seen_s + 5_000.0, draw.left.at_s + 5_000.0)
    assert len(msgspec.json.encode(draw)) < 400


# the second bike of these is another; the others are one bike, whatever it does
ONE_BIKE = sorted(set(SHAPES) - {"swapped"})


@pytest.mark.parametrize("shape", ONE_BIKE)
def test_nobody_is_asked_about_an_ordinary_charge_of_any_shape(shape: str) -> None:
    for seed in range(70_000, 70_004):
        made = charge(shape, seed)
        until_s = made.charge_s + 3600.0
        for way in ("10 s", "60 s in 1 W", "by 5 W or 300 s"):
            readings = curves_seen.seen(made, made.powers(until_s), way, Random(seed), until_s=until_s)
            draw: Draw | None = None
            for reading in readings:
                draw, other = observe(draw, reading[0], reading[1], Meter())
                assert other is None, (seed, way, reading)


def test_a_swapped_charger_of_another_size_is_told_whatever_it_is() -> None:
    told = total = 0
    for seed in range(70_000, 70_040):
        rng = Random(seed)
        before_w, after_w = rng.uniform(80.0, 300.0), rng.uniform(80.0, 300.0)
        if 1 - RULES.below - 0.05 < after_w / before_w < 1 + RULES.above + 0.05:
            continue
        noisy = [power_w * rng.gauss(1.0, 0.01) for power_w in [*[before_w] * 40, 0.0, 0.0, *[after_w] * 12]]
        total += 1
        told += seen(noisy)[1] is not None

    assert total > 20
    assert told == total
