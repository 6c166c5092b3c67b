"""How full a pack probably was when its power was cut, read from where in the taper that was. Pure, and honest:
None wherever the curve can't tell.

A wall meter sees no state of charge. But near the end a charger gives less and less, and how much of a pack is still
to come at a half, a fifth or a tenth of the peak is known from measured charges. Between the marks lies a line.
What it can't see: a second pack on the same charger that has not had its turn, and tails that take many hours.
"""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from controller.core.reasons import StopReason

Point = Sequence[float]  # seconds from the start, W, and more that is of no interest here


class Fullness(msgspec.Struct, frozen=True):
    """Per cent of what the pack holds."""

    least: int
    most: int


# The share of its own peak at which it was cut; how full packs were there, at least and at most. 50 %: 13 to 31 Wh
# to come on chargers of 100 W, 20 %: 1.3 to 8, 10 %: 0.2 to 3.1; elsewhere cut at 90 W: 91 to 94 % full, at 40 W 95
# to 96, at 20 W 97 to 98, at 5 W 98 to 99. The range takes in both, and chargers that call it full below a half.
MARKS: tuple[tuple[float, float, float], ...] = (
    (0.0, 98.0, 100.0),
    (0.05, 98.0, 100.0),
    (0.10, 97.0, 100.0),
    (0.20, 96.0, 100.0),
    (0.35, 94.0, 100.0),
    (0.50, 91.0, 99.0),
    (0.80, 87.0, 96.0),
)
MAIN = 0.85  # above it is the main stage, where a pack may be at 20 % or at 85
STEEP = 0.5  # falling by more than half within STEEP_S is no taper: somebody or something switched
STEEP_S = 150.0  # some samples; the steepest taper known halves in 10 minutes
SMALL_W = 16.0  # no charger at work stays below it: the pack was full when it came
FULL_WHEN_IT_CAME = Fullness(98, 100)

# Whatever the curve looks like, these say that the pack itself was not well, or that it was no pack.
UNTOLD = frozenset({StopReason.NEVER_TURNED, StopReason.NOT_A_CHARGER, StopReason.PLUG_SWAPPED, StopReason.METER_FAULT})


def fullness(curve: Sequence[Point], reason: StopReason | None) -> Fullness | None:
    """Of a charge with this curve, cut for this reason at the curve's end; None where it can't be told."""
    powers = [(point[0], max(0.0, point[1])) for point in curve]
    if len(powers) < 2 or reason in UNTOLD:
        return None
    peak_w = _peak_w(powers)
    if peak_w < SMALL_W:
        return FULL_WHEN_IT_CAME if reason is StopReason.FINISHED else None
    share = _share(powers, peak_w)
    if share is None or share > MARKS[-1][0]:
        return None
    least, most = _between(share)
    return Fullness(int(least), 100 if reason is StopReason.FINISHED else round(most))


def _peak_w(powers: list[tuple[float, float]]) -> float:
    """The highest that three samples in a row have held: an inrush is no peak."""
    if len(powers) < 3:
        return max(power_w for _, power_w in powers)
    return max(min(powers[at][1], powers[at + 1][1], powers[at + 2][1]) for at in range(len(powers) - 2))


def _share(powers: list[tuple[float, float]], peak_w: float) -> float | None:
    """How far the power had come down by itself, as a share of the peak; None if it was seen to come down nowhere.

    A charger that goes dark from 18 % was at 18 %, whatever it draws afterwards.
    """
    began = max((at for at, (_, power_w) in enumerate(powers) if power_w >= MAIN * peak_w), default=0)
    taper, steep = powers[began:], False
    lowest_w = taper[0][1]
    for (before_s, before_w), (at_s, power_w) in pairwise(taper):
        steep = before_w > SMALL_W / 4 and power_w < STEEP * before_w and at_s - before_s <= STEEP_S
        if steep:
            break
        lowest_w = min(lowest_w, power_w)
    share = lowest_w / peak_w
    return None if share >= MAIN or (steep and len(taper) < 3) else share


def _between(share: float) -> tuple[float, float]:
    for (low, least_a, most_a), (high, least_b, most_b) in pairwise(MARKS):
        if share <= high:
            part = (share - low) / (high - low)
            return least_a + part * (least_b - least_a), most_a + part * (most_b - most_a)
    return MARKS[-1][1:]
