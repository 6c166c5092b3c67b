"""Ordinary charges under every danger rule and the guard: how often is one of them taken for a danger?"""

import math
import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random

import msgspec

from controller.core import danger, finish, safety
from controller.core.events import Reading
from controller.core.reasons import StopReason
from controller.core.state import Limits, Rules
from simulators.curves import SHAPES, STEP_S, Charge, charge
from simulators.curves_seen import METERS, MODES, told
from simulators.curves_seen import shown as shown_w

NOT_ORDINARY = {
    "never turns": "a danger",
    "heater": "a danger",
    "two chargers": "a danger, told and not cut",
    "swapped": "another bike in mid-charge, which the plug-swap guard stops first",
    "nothing plugged": "no charge: nothing flows",
}
ORDINARY = tuple(shape for shape in SHAPES if shape not in NOT_ORDINARY)
WAYS = ("10 s", "60 s", "by 5 W or 300 s")
DANGERS = (
    StopReason.OVERLOAD, StopReason.OVERHEAT, StopReason.OVER_VOLTAGE, StopReason.UNDER_VOLTAGE, StopReason.LEAKAGE,
    StopReason.NEVER_TURNED, StopReason.NOT_A_CHARGER, StopReason.FUSE_BLOWN, StopReason.METER_FAULT,
)  # fmt: skip
SHARED = "shared_outlet"
CHUNK = 25
FEW = 4  # chunks that are judged before another process has started
RULES = Rules()


class Mains(msgspec.Struct, frozen=True):
    """What stands beside the power of one charge: an evening's voltage, a summer's heat, a charger's power factor."""

    mean_v: float
    swing_v: float
    period_s: float
    factor: float
    follows: float  # how far the power goes with the voltage: 0 is a regulated charger, 1 and more an old transformer
    cool_c: float
    counter_step_wh: float
    inrush: float

    def volts(self, at_s: float, rng: Random) -> float:
        slow_v = self.swing_v * math.sin(2 * math.pi * at_s / self.period_s)
        return round(min(245.0, max(190.0, self.mean_v + slow_v + rng.gauss(0.0, 1.0))), 1)


class Trip(msgspec.Struct, frozen=True):
    reason: str
    shape: str
    seed: int
    way: str
    at_s: float
    evidence: dict[str, float]


def surroundings(rng: Random, peak_w: float) -> Mains:
    """Small chargers may be unregulated; larger ones hold their power, and most of them correct their factor."""
    large = peak_w > danger.RULES.resists_w
    return Mains(
        mean_v=rng.uniform(195.0, 240.0),
        swing_v=rng.uniform(0.0, 15.0),
        period_s=rng.uniform(1200.0, 14400.0),
        factor=rng.uniform(0.9, 0.995) if large else rng.uniform(0.5, 0.75),
        follows=rng.uniform(0.0, 0.15) if large else rng.choice((0.0, 0.0, 1.0, 2.0, 3.0)),
        cool_c=rng.uniform(20.0, 60.0),
        counter_step_wh=rng.choice((0.001, 0.1, 1.0, 10.0)),
        inrush=rng.uniform(1.0, 1.9),
    )


def readings(made: Charge, way: str, rng: Random, hours: float = 10.0) -> Iterator[Reading]:
    """As the gateway gets them, at the limits' hard cap at the latest."""
    powers = made.powers(hours * 3600)
    around = surroundings(rng, max(powers))
    seen_w = shown_w(powers, rng, rng.choice(("", *METERS)), MODES[way].resolution_w)
    energy_wh, last_s, last_w = rng.uniform(0.0, 9e5), 0.0, 0.0
    for at_s, told_w in told(made, seen_w, way, rng):
        volts = around.volts(at_s, rng)
        power_w = round(told_w * (volts / 220.0) ** around.follows, 1)
        if at_s < STEP_S:
            power_w = min(power_w * around.inrush, RULES.outlet_w * 1.4)
        energy_wh += last_w * (at_s - last_s) / 3600
        last_s, last_w = at_s, power_w
        step_wh = around.counter_step_wh
        yield Reading(
            at=at_s,
            steady_s=at_s,
            outlet="o",
            power_w=power_w,
            energy_wh=round(energy_wh // step_wh * step_wh, 3),
            voltage_v=volts,
            current_a=round(power_w / volts / around.factor, 3),
            temperature_c=round(around.cool_c + power_w * 0.02 + rng.gauss(0.0, 0.3), 1),
            leakage_ma=round(abs(rng.gauss(0.0, 2.0)), 1),
        )


def judged(said: Iterator[Reading]) -> tuple[float, str, dict[str, float]] | None:
    """The first danger, or None if the charge ended in another way. `SHARED` is an alarm, and ends the look."""
    guard, full, watch = safety.CALM, finish.begin(0.0), danger.begin(0.0)
    bounds = Limits(
        RULES.outlet_w, RULES.overload_s, RULES.over_voltage_v, RULES.under_voltage_v, RULES.overheat_c,
        None, StopReason.ENERGY_LIMIT, RULES.leakage_ma,
    )  # fmt: skip
    for read in said:
        guard, trip = safety.guarded(guard, bounds, read)
        if trip is not None:
            return read.steady_s, str(trip.reason), trip.evidence
        before = watch
        full, done = finish.observe(full, read.steady_s, read.power_w)
        watch, bad = danger.observe(
            watch, read.steady_s, read.power_w, danger.RULES, read.voltage_v, read.current_a, read.energy_wh
        )
        if bad is not None:
            return read.steady_s, f"{bad.reason}:{bad.rule}", bad.evidence
        two = danger.shared(before, watch)
        if two is not None:
            return read.steady_s, SHARED, two
        if done is not None:
            return None
    return None


def one(seed: int) -> Trip | None:
    """The charge of this seed: its shape, its way of reporting and all that surrounds it hang on nothing else."""
    shape, way = ORDINARY[seed % len(ORDINARY)], WAYS[seed // len(ORDINARY) % len(WAYS)]
    found = judged(readings(charge(shape, seed), way, Random(f"danger/{seed}")))  # noqa: S311 - seeded, on purpose
    return None if found is None else Trip(found[1], shape, seed, way, round(found[0], 1), found[2])


def _some(seeds: Sequence[int]) -> list[Trip]:
    return [trip for trip in map(one, seeds) if trip is not None]


def false_trips(seeds: range, processes: int) -> list[Trip]:
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    if processes == 1 or len(chunks) <= FEW:
        return [trip for chunk in chunks for trip in _some(chunk)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return [trip for some in pool.imap(_some, chunks) for trip in some]


def per_danger(trips: Sequence[Trip]) -> dict[str, int]:
    """Every danger is named, whether it tripped or not."""
    counted = Counter(trip.reason.partition(":")[0] for trip in trips)
    return {name: counted[name] for name in (*map(str, DANGERS), SHARED)}


def upper_bound(count: int, of: int) -> float:
    """The rate that is not exceeded with 95 % confidence: three in all that were tried where none was seen."""
    if count == 0:
        return 3.0 / of
    z = 1.645
    return (count + z * z / 2 + z * math.sqrt(count + z * z / 4)) / of
