"""The detector with probes: where it is in doubt the outlet goes dark for a moment, and is asked again.

What chargers do then is a model: one in a pause draws again once its pause is over, unless it is of the kind that wants
to be plugged anew; one that is at work goes on where it was.
"""

from collections.abc import Sequence
from random import Random

import msgspec

from controller.core import finish
from simulators.curves import STEP_S
from simulators.curves_seen import Reading

PROBING = "anchong with probes"
WAIT_S, ON_S = 75.0, 60.0
MOST_PROBES = 3
BACK = 0.5  # of its own peak
PAUSING = 0.1  # below this share of the peak a charger isn't at work, and its pause goes on in the dark
STUBBORN = 0.2  # of all chargers want to be plugged anew
RULES = msgspec.structs.replace(finish.RULES, probe=True)


class Probed(msgspec.Struct, frozen=True):
    """`charged_s` is how far the charge had come: it stands still in the dark."""

    cut_s: float
    charged_s: float
    recovered: bool


def probed(powers: Sequence[float], readings: Sequence[Reading], rng: Random, end_s: float) -> Probed:
    stubborn, shift_s, deaf_until_s, probes = rng.random() < STUBBORN, 0.0, 0.0, 0
    state = finish.begin(0.0)
    for at_s, power_w in readings:
        if at_s < deaf_until_s:
            continue
        state, verdict = finish.observe(state, at_s + shift_s, power_w, RULES)
        if verdict is None:
            continue
        if not verdict.doubt or probes == MOST_PROBES:
            return Probed(min(end_s, at_s + shift_s), at_s, probes > 0)
        pausing = power_w < PAUSING * state.peak_w
        again_s = at_s + WAIT_S if pausing else at_s
        if stubborn or _most_w(powers, again_s) <= BACK * state.peak_w:
            return Probed(min(end_s, at_s + shift_s + WAIT_S + ON_S), again_s, probes > 0)
        probes, deaf_until_s = probes + 1, again_s
        shift_s += 0.0 if pausing else WAIT_S
        state = finish.resumed(state, again_s + shift_s)
    return Probed(end_s, readings[-1][0], probes > 0)


def _most_w(powers: Sequence[float], from_s: float) -> float:
    """The highest power in the minute of asking."""
    first = round(from_s / STEP_S)
    return max(powers[first : first + round(ON_S / STEP_S)], default=0.0)
