"""What becomes of charges under a rule: counted, and summed up with how sure one can be."""

from array import array
from collections.abc import Iterable, Sequence
from math import sqrt

import msgspec

Z = 1.96  # 95 %
FALSE, SEVERE, EARLY = 0.95, 0.8, 0.99  # shares of the useful energy
MISSED_S = 2 * 3600.0
FALSE_COST, MISSED_COST, IDLE_HOUR_COST = 100.0, 10.0, 1.0


class Outcome(msgspec.Struct, frozen=True):
    """One charge under one rule. `late_s` is from full to the cut, less than 0 if it came before."""

    share: float
    late_s: float
    idle_wh: float
    recovered: bool = False


class Tally(msgspec.Struct):
    """Counts of one rule on one shape, seen one way; what lasted is kept one by one, for percentiles."""

    sessions: int = 0
    false: int = 0
    severe: int = 0
    early: int = 0
    missed: int = 0
    recovered: int = 0
    idle_wh: float = 0.0
    idle_s: float = 0.0
    late_s: "array[float]" = msgspec.field(default_factory=lambda: array("f"))

    def add(self, outcome: Outcome) -> None:
        """A false cut has no delay: it would make the rule look quick."""
        after_s = max(0.0, outcome.late_s)
        self.sessions += 1
        self.false += outcome.share < FALSE
        self.severe += outcome.share < SEVERE
        self.early += FALSE <= outcome.share < EARLY
        self.missed += outcome.late_s > MISSED_S
        self.recovered += outcome.recovered
        self.idle_wh += outcome.idle_wh
        self.idle_s += after_s
        if outcome.share >= FALSE:
            self.late_s.append(after_s)

    def merge(self, other: "Tally") -> None:
        for name in ("sessions", "false", "severe", "early", "missed", "recovered", "idle_wh", "idle_s"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.late_s.extend(other.late_s)


class Rate(msgspec.Struct, frozen=True):
    """Percent, and between what it is with 95 % confidence (Wilson)."""

    percent: float
    low: float
    high: float


class Delay(msgspec.Struct, frozen=True):
    """Minutes, and between what they are with 95 % confidence (order statistics)."""

    minutes: float
    low: float
    high: float


class Summary(msgspec.Struct, frozen=True):
    """`missed` is still on two hours after full. `cost` is a session's: a false cut 100, a miss 10, an idle hour 1."""

    sessions: int
    false: Rate
    severe: Rate
    early: Rate
    missed: Rate
    p50: Delay
    p95: Delay
    p99: Delay
    idle_wh: float
    idle_h: float
    cost: float
    recovered: int


def total(tallies: Iterable[Tally]) -> Tally:
    """Every shape has as many sessions as the others, so that the sum is the macro-average."""
    whole = Tally()
    for tally in tallies:
        whole.merge(tally)
    return whole


def summary(tally: Tally) -> Summary:
    count, late_s = tally.sessions, sorted(tally.late_s)
    idle_h = tally.idle_s / 3600 / count if count else 0.0
    cost = (FALSE_COST * tally.false + MISSED_COST * tally.missed) / count + IDLE_HOUR_COST * idle_h if count else 0.0
    return Summary(
        sessions=count,
        false=rate(tally.false, count),
        severe=rate(tally.severe, count),
        early=rate(tally.early, count),
        missed=rate(tally.missed, count),
        p50=delay(late_s, 0.5),
        p95=delay(late_s, 0.95),
        p99=delay(late_s, 0.99),
        idle_wh=round(tally.idle_wh / count, 2) if count else 0.0,
        idle_h=round(idle_h, 3),
        cost=round(cost, 3),
        recovered=tally.recovered,
    )


def rate(hits: int, count: int) -> Rate:
    if count == 0:
        return Rate(0.0, 0.0, 100.0)
    share, spread = hits / count, Z * Z / count
    middle = (share + spread / 2) / (1 + spread)
    half = Z * sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    low, high = max(0.0, middle - half) if hits else 0.0, min(1.0, middle + half) if hits < count else 1.0
    return Rate(*(round(100 * value, 3) for value in (share, low, high)))


def delay(late_s: Sequence[float], part: float) -> Delay:
    """Of sorted seconds."""
    if not late_s:
        return Delay(0.0, 0.0, 0.0)
    count, last = len(late_s), len(late_s) - 1
    half = Z * sqrt(count * part * (1 - part))
    places = (part * last, part * count - half, part * count + half)
    return Delay(*(round(late_s[min(last, max(0, round(place)))] / 60, 1) for place in places))
