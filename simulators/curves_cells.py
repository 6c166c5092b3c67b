"""Charges reckoned from cells and not drawn by ratios: open-circuit voltage, resistance, and polarisation that lags.

Their tails are steep at the knee and slow after it, as measured ones are. No detector was shaped on them.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import exp
from random import Random

from simulators.curves_parts import STEP_S, Charge, Kind, Part, hold

POINT_S = 60.0  # a part of the curve; between its ends power changes by equal ratios
LONGEST_S = 7 * 3600.0


def lithium_cells(rng: Random) -> Charge:
    """A pack behind its resistance on a charger of constant current, then constant voltage, until a small current."""
    cells, amps = rng.choice((10, 13, 14, 16, 20)), rng.choice((1.8, 2.0, 3.0, 4.0, 5.0))
    own_w, sheds = rng.uniform(1.0, 6.0), rng.choice((0.0, 1.0, 1.0))
    amp_hours = min(rng.uniform(8.0, 24.0), 4.0 * amps)
    amps_of = _lithium_amps(rng, cells, amps, amp_hours, amps * rng.choice((0.03, 0.05, 0.08, 0.1)))
    efficiency = rng.uniform(0.82, 0.9)
    powers = [volts * now / efficiency + own_w for volts, now in amps_of]
    return Charge(Kind.ENDS, _joined(powers), (hold(60, sheds * own_w),))


def _lithium_amps(
    rng: Random, cells: int, amps: float, amp_hours: float, end_a: float
) -> Iterator[tuple[float, float]]:
    """Volts and amperes of each minute."""
    ohm, lag_ohm = cells * rng.uniform(0.008, 0.03), cells * rng.uniform(0.005, 0.03)
    lag_s, top_v = rng.uniform(300.0, 1500.0), 4.2 * cells * rng.uniform(0.985, 1.0)
    filled, lag_v, now_a, passed_s = rng.uniform(0.05, 0.75), 0.0, amps, 0.0
    while now_a > end_a and passed_s < LONGEST_S:
        open_v = cells * (3.3 + 0.55 * filled + 0.35 * filled**6 - 0.25 * exp(-18 * filled))
        now_a = max(0.0, min(amps, (top_v - open_v - lag_v) / ohm))
        if passed_s % POINT_S == 0:
            yield open_v + lag_v + now_a * ohm, now_a
        lag_v += (now_a * lag_ohm - lag_v) * STEP_S / lag_s
        filled += now_a * STEP_S / 3600 / amp_hours
        passed_s += STEP_S


def lead_acid_cells(rng: Random) -> Charge:
    """Constant current, absorption at a level voltage until the current turns, then a float that settles slowly."""
    cells, amps = rng.choice((24, 30, 36)), rng.uniform(1.8, 5.0)
    own_w, efficiency = rng.uniform(1.0, 6.0), rng.uniform(0.8, 0.88)
    volts = rng.uniform(2.38, 2.44) * cells
    rises = hold(rng.uniform(30.0, 240.0), 0.9 * volts * amps / efficiency + own_w, volts * amps / efficiency + own_w)
    turn_a, lag_s = rng.uniform(0.3, 0.65), rng.uniform(1500.0, 3300.0)
    falls = [volts * now_a / efficiency + own_w for now_a in _decays(amps, 0.2, turn_a, lag_s)]
    float_a = rng.uniform(0.02, 0.12)
    settles = [2.28 * cells * (float_a + 0.4 * turn_a * exp(-60.0 * minute / 600)) for minute in range(60)]
    floats = [power / efficiency + own_w for power in settles]
    return Charge(Kind.ENDS, (rises, *_joined(falls)), (*_joined(floats), hold(60, floats[-1])))


def _decays(from_a: float, towards_a: float, until_a: float, lag_s: float) -> Iterator[float]:
    now_a = from_a
    while now_a > until_a:
        yield now_a
        now_a = towards_a + (now_a - towards_a) * exp(-POINT_S / lag_s)


def _joined(powers: list[float]) -> tuple[Part, ...]:
    return tuple(Part(before_w, after_w, POINT_S) for before_w, after_w in pairwise(powers))
