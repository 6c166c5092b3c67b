"""Made-up charges in the shapes that chargers have, and what of each is useful energy."""

import random
from collections.abc import Callable, Iterable, Iterator
from statistics import median

Curve = list[tuple[float, float]]

STEP_S = 10.0


def hold(minutes: float, power_w: float, end_w: float | None = None) -> list[float]:
    """A straight line; level unless told otherwise."""
    steps = max(1, round(minutes * 60 / STEP_S))
    last_w = power_w if end_w is None else end_w
    return [power_w + (last_w - power_w) * step / steps for step in range(steps)]


def tail(start_w: float, end_w: float, half_min: float, idle_w: float = 0.0) -> list[float]:
    """Falls towards `idle_w`, halving what is above it every `half_min`, until `end_w`."""
    powers, power_w = [], start_w
    while power_w > end_w:
        powers.append(power_w)
        power_w = idle_w + (power_w - idle_w) * 0.5 ** (STEP_S / 60 / half_min)
    return powers


def pulses(times: int, low_min: float, low_w: float, high_min: float, high_w: float) -> list[float]:
    return [power for _ in range(times) for power in hold(low_min, low_w) + hold(high_min, high_w)]


def shapes(rng: random.Random) -> dict[str, list[float]]:
    """One charge of every shape, at sizes drawn from `rng`; each is followed by two hours of what comes after."""
    peak_w = rng.uniform(90, 220)
    half_min = rng.uniform(12, 25)
    bulk = hold(rng.uniform(60, 200), peak_w * 0.94, peak_w)
    cut = 0.04 * peak_w
    high_w, standby_w, small_w, fast_w = rng.uniform(5, 16), rng.uniform(0.5, 3), rng.uniform(25, 60), 500.0
    snap_w = rng.uniform(0.15, 0.35) * peak_w
    to_snap, full_tail = tail(peak_w, snap_w, half_min), tail(peak_w, cut, half_min)
    at_min, rest_min = rng.uniform(0.2, 0.8), rng.uniform(4, 25)
    early, late = bulk[: int(len(bulk) * at_min)], bulk[int(len(bulk) * at_min) :]
    lead, turn_w = rng.uniform(160, 300), rng.uniform(25, 45)
    high_idle = tail(peak_w, high_w + 0.02 * peak_w, half_min, high_w)
    return {
        "cc-cv": bulk + full_tail + hold(120, 0),
        "standby": bulk + full_tail + hold(120, standby_w),
        "high idle": bulk + high_idle + hold(120, high_w),
        "high idle after a switch": bulk + tail(peak_w, high_w + cut, half_min) + hold(120, high_w),
        "small": hold(150, small_w) + tail(small_w, 0.06 * small_w, half_min) + hold(120, 1.5),
        "fast": hold(60, fast_w * 0.96, fast_w) + tail(fast_w, 0.03 * fast_w, 8) + hold(120, 4),
        "snap-off": bulk + to_snap + hold(120, 4.5),
        "snap-off with a rise": bulk + to_snap + hold(15, 4.2, 6.3) + hold(105, 6.3, 4.3),
        "precharge": hold(rng.uniform(5, 25), 0.1 * peak_w, 0.14 * peak_w) + bulk + full_tail + hold(120, 2),
        "balancing": bulk + full_tail + pulses(6, 4, 3, 1, 0.25 * peak_w) + hold(120, 3),
        "dual": bulk + to_snap + hold(rng.uniform(0.6, 4), 4) + bulk + full_tail + hold(120, 4),
        "thermal pause": early + hold(rest_min, standby_w) + late + full_tail + hold(120, standby_w),
        "brown-out": early + hold(rng.uniform(1, 8), 0) + late + full_tail + hold(120, standby_w),
        "lead-acid": hold(200, lead * 0.93, lead) + tail(lead, turn_w, 35) + hold(120, 8),
        "lead-acid high float": hold(200, lead * 0.93, lead) + tail(lead, turn_w, 35, 14) + hold(120, 18),
        "pulse maintenance": hold(200, lead) + tail(lead, turn_w, 35) + pulses(40, 2.5, 6, 0.5, 0.3 * lead),
        "very long tail": bulk + tail(peak_w, cut, 60) + hold(120, 3),
        "short top-up": hold(rng.uniform(1, 15), peak_w) + full_tail + hold(120, rng.choice([0, 2, 4])),
        "begun in its tail": tail(rng.uniform(0.5, 0.9) * peak_w, cut, half_min) + hold(120, rng.choice([0, 2, 4])),
    }


def noisy(powers: Iterable[float], rng: random.Random, part: float = 0.012) -> Curve:
    """A meter's view: some percent of noise, two decimals."""
    return [(index * STEP_S, round(power * rng.uniform(1 - part, 1 + part), 2)) for index, power in enumerate(powers)]


def every(curve: Curve, seconds: float) -> Curve:
    return [point for point in curve if point[0] % seconds == 0]


def on_change(curve: Curve, by_w: float, at_least_s: float = 300.0) -> Curve:
    """A meter that speaks when the power has changed, and every five minutes."""
    said = [curve[0]]
    for at, power in curve[1:]:
        if abs(power - said[-1][1]) >= by_w or at - said[-1][0] >= at_least_s:
            said.append((at, power))
    return said


MODES: dict[str, Callable[[Curve], Curve]] = {
    "10 s": lambda curve: curve,
    "60 s": lambda curve: every(curve, 60),
    "on change": lambda curve: on_change(curve, 2.0),
}


def full_at(curve: Curve) -> tuple[float, float]:
    """When the power was last clearly above idle, and the idle draw: the median of the last ten minutes."""
    idle_w = median(power for at, power in curve if at >= curve[-1][0] - 600)
    above_w = idle_w + max(3.0, 0.03 * max(power for _, power in curve))
    return max(at for at, power in curve if power > above_w), idle_w


def useful_wh(curve: Curve, until_s: float) -> float:
    """What was taken above idle, until full or until `until_s`, whichever came first."""
    full_s, idle_w = full_at(curve)
    end_s = min(full_s, until_s)
    return sum(max(0.0, power - idle_w) * STEP_S / 3600 for at, power in curve if at < end_s)


def sampled(seeds: Iterable[int]) -> Iterator[tuple[str, str, Curve, Curve]]:
    """Shape, mode, the whole curve, and what the gateway gets to see of it."""
    for seed in seeds:
        rng = random.Random(seed)
        for shape, powers in shapes(rng).items():
            curve = noisy(powers, rng)
            for mode, view in MODES.items():
                yield shape, mode, curve, view(curve)
