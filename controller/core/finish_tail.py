"""How a tail falls: in what time it halves, and how far it still is above the draw that it falls to. Pure arithmetic.

A tail falls towards the charger's own draw, and what is above that halves in equal times. So its slope tells how much
is above: a tail to nothing falls by its whole self, and one that has arrived does not fall.
"""

from collections.abc import Sequence
from math import exp, log, log2, sqrt

LN2 = log(2.0)


def brief(value: float) -> float:
    """To three decimals, as it is kept; round() would cost as much as all the rest."""
    return int(value * 1000.0 + 0.5) / 1000.0


def half_s(first_w: float, last_w: float, passed_s: float) -> float | None:
    """In what time it halves if it fell so much meanwhile; None if it can't be told."""
    return passed_s / log2(first_w / last_w) if 0.0 < last_w < 0.99 * first_w else None


def slope_w(bins_w: Sequence[float]) -> float:
    """By how much it rises from one of these equal stretches to the next."""
    middle = (len(bins_w) - 1) / 2
    return sum((at - middle) * power_w for at, power_w in enumerate(bins_w)) / _spread(len(bins_w))


def slope_error_w(bins_w: Sequence[float], sigma_w: float) -> float:
    """The standard error of that, if each is known to within `sigma_w`."""
    return sigma_w / sqrt(_spread(len(bins_w)))


def _spread(count: int) -> float:
    return (count**3 - count) / 12


def excess_w(fall_w: float, bin_s: float, count: int, halves_s: float) -> float:
    """So much above its end, after `count` stretches, is what fell by `fall_w` a stretch in the middle of them."""
    return fall_w / bin_s * halves_s / LN2 * exp(-LN2 * bin_s * count / 2 / halves_s)


def corrected_w(above_w: float, last_w: float, halves_w: float) -> float:
    """The time to halve was seen about the level `halves_w`, slowed by what the tail falls to; here that is undone."""
    if above_w >= last_w:
        return last_w
    return above_w * (halves_w - last_w) / (halves_w - above_w) if halves_w > last_w else above_w


def hidden_w(step_w: float, same_s: float, halves_s: float) -> float:
    """At most so much above its end: a meter that speaks of changes by `step_w` has said nothing for so long."""
    return step_w / same_s * halves_s / LN2


def left_wh(above_w: float, halves_s: float) -> float:
    """What a tail still brings."""
    return max(0.0, above_w) * halves_s / LN2 / 3600
