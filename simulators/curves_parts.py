"""What a charge's curve is made of, and what is true of it: how much was useful, and when it was full."""

import math
from collections.abc import Iterable
from enum import StrEnum
from statistics import median

import msgspec

STEP_S = 10.0
S_PER_H = 3600.0
RECORDED_REST_S = 2 * S_PER_H  # how long a recording goes on after the charge, for the truth about it
IDLE_S = 600.0  # idle is the median of a recording's last ten minutes
ABOVE_W, ABOVE_SHARE = 3.0, 0.03  # above idle by the larger of these, and the charge is not full


class Kind(StrEnum):
    """How a charge goes out."""

    ENDS = "ends"
    NEVER_TURNS = "never turns"
    UNPLUGGED = "unplugged"
    NOTHING = "nothing plugged"
    FULL = "full when plugged"


class Part(msgspec.Struct, frozen=True):
    """From one power to another in `lasts_s`; what is above `floor_w` changes by equal ratios, as a CV tail does."""

    from_w: float
    to_w: float
    lasts_s: float
    floor_w: float = 0.0

    def at_w(self, t_s: float) -> float:
        above_w, left_w = self.from_w - self.floor_w, self.to_w - self.floor_w
        if above_w == left_w or above_w <= 0 or left_w <= 0:
            return self.from_w
        return self.floor_w + above_w * math.pow(left_w / above_w, t_s / self.lasts_s)


class Charge(msgspec.Struct, frozen=True):
    """`rest` comes after the charge, its last part for ever. `silent` are stretches of which nobody hears.

    `maintained` says that what rises in the rest keeps a full pack full, and is no charging.
    """

    kind: Kind
    charge: tuple[Part, ...]
    rest: tuple[Part, ...]
    maintained: bool = False
    silent: tuple[tuple[float, float], ...] = ()

    @property
    def charge_s(self) -> float:
        return sum(part.lasts_s for part in self.charge)

    def powers(self, until_s: float, step_s: float = STEP_S) -> list[float]:
        """The true power each `step_s` from 0 to `until_s`."""
        return _sampled((*self.charge, *self.rest), until_s, step_s)


class Truth(msgspec.Struct, frozen=True):
    """`full_s` is None where it never is; at `most_s` 99 % of the useful energy was in."""

    full_s: float | None
    useful_wh: float
    most_s: float
    idle_w: float
    peak_w: float


def truth(charge: Charge, step_s: float = STEP_S) -> Truth:
    """Idle is the median of the last ten minutes; useful is what is above it until the power last clearly was."""
    powers = charge.powers(charge.charge_s + RECORDED_REST_S, step_s)
    idle_w, peak_w = median(powers[-round(IDLE_S / step_s) :]), max(powers)
    if charge.kind is Kind.NEVER_TURNS:
        return Truth(None, 0.0, 0.0, idle_w, peak_w)
    if charge.kind in (Kind.NOTHING, Kind.FULL):
        return Truth(0.0, 0.0, 0.0, idle_w, peak_w)
    looked_at = powers[: math.ceil(charge.charge_s / step_s)] if charge.maintained else powers
    full = _last_above(looked_at, idle_w + max(ABOVE_W, ABOVE_SHARE * peak_w))
    useful_wh = useful(powers[:full], idle_w, step_s)
    most = _reached(powers[:full], idle_w, 0.99 * useful_wh, step_s)
    return Truth(full * step_s, useful_wh, most * step_s, idle_w, peak_w)


def useful(powers: Iterable[float], idle_w: float, step_s: float = STEP_S) -> float:
    """Wh above idle."""
    return sum(power - idle_w for power in powers if power > idle_w) * step_s / S_PER_H


def _last_above(powers: list[float], above_w: float) -> int:
    """How many samples there are until the power is above for the last time, that one included."""
    return next((count for count in range(len(powers), 0, -1) if powers[count - 1] > above_w), 0)


def _reached(powers: list[float], idle_w: float, energy_wh: float, step_s: float) -> int:
    done_wh = 0.0
    for count, power in enumerate(powers):
        if done_wh >= energy_wh:
            return count
        done_wh += max(0.0, power - idle_w) * step_s / S_PER_H
    return len(powers)


def _sampled(parts: Iterable[Part], until_s: float, step_s: float) -> list[float]:
    powers: list[float] = []
    start_s, last_w, total = 0.0, 0.0, int(until_s // step_s) + 1
    for part in parts:
        end_s = start_s + part.lasts_s
        while len(powers) < total and len(powers) * step_s < end_s:
            powers.append(part.at_w(len(powers) * step_s - start_s))
        start_s, last_w = end_s, part.to_w
    return powers + [last_w] * (total - len(powers))


# -- parts of charges ---------------------------------------------------------------------------------------------


def hold(minutes: float, power_w: float, end_w: float | None = None) -> Part:
    """Level, or slowly to `end_w`."""
    return Part(power_w, power_w if end_w is None else end_w, minutes * 60)


def tail(from_w: float, to_w: float, half_min: float, floor_w: float = 0.0) -> Part:
    """Falls towards `floor_w`, halving what is above it every `half_min`, until `to_w`."""
    return Part(from_w, to_w, half_min * 60 * math.log2((from_w - floor_w) / (to_w - floor_w)), floor_w)


def pulses(times: int, low_min: float, low_w: float, high_min: float, high_w: float) -> tuple[Part, ...]:
    return (hold(low_min, low_w), hold(high_min, high_w)) * times


def split(part: Part, share: float) -> tuple[Part, Part]:
    """The same part in two."""
    at_s = part.lasts_s * share
    middle_w = part.at_w(at_s)
    return (
        Part(part.from_w, middle_w, at_s, part.floor_w),
        Part(middle_w, part.to_w, part.lasts_s - at_s, part.floor_w),
    )
