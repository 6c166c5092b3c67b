"""How long somebody will wait for room, from what is known of the charges under way. A range, never a promise. Pure."""

from collections.abc import Iterable, Sequence

import msgspec

HISTORY_MIN = 5  # charges of this site: fewer are anecdotes
TAIL_S = (120.0, 3900.0)  # what is left of a tail: some minutes, or two halvings and the longest patience for the rest
PROVEN_S = (0.0, 60.0)  # an OFF that has left is proven by one of the next reports
AHEAD = 0.25  # of what a start needs: chargers draw a quarter of what their outlet may give


class Charge(msgspec.Struct, frozen=True):
    """What it counts for, and from `settles_s` on; how much longer it lasts, at least and at most."""

    counts_w: int
    later_w: int
    settles_s: float
    least_s: float
    most_s: float


class Wait(msgspec.Struct, frozen=True):
    """None: nobody can say."""

    least_s: float | None
    most_s: float | None


def wait(room_w: float, ahead_w: float, needed_w: float, charges: Sequence[Charge]) -> Wait | None:
    """None: no wait at all. `room_w` is what is free now; `ahead_w` what those before it need."""
    if ahead_w + needed_w <= room_w:
        return None
    least_s = _until(needed_w + ahead_w * AHEAD - room_w, ((c.least_s, c) for c in charges))
    most_s = _until(needed_w + ahead_w - room_w, ((c.most_s, c) for c in charges))
    return Wait(least_s, most_s)


def longer(one: Wait | None, other: Wait | None) -> Wait | None:
    """Both must have passed; what nobody knows of one nobody knows of both."""
    if one is None or other is None:
        return one or other
    return Wait(_longer(one.least_s, other.least_s), _longer(one.most_s, other.most_s))


def _longer(one_s: float | None, other_s: float | None) -> float | None:
    return None if one_s is None or other_s is None else max(one_s, other_s)


def _until(short_w: float, ends: Iterable[tuple[float, Charge]]) -> float | None:
    """When so much has been given back; None if all that is known does not come to it."""
    gives: list[tuple[float, int]] = []
    for end_s, charge in ends:
        settles_s = min(charge.settles_s, end_s)
        gives += [(settles_s, charge.counts_w - charge.later_w), (end_s, charge.later_w)]
    for at_s, gives_w in sorted(gives):
        if short_w <= 0:
            return at_s
        short_w -= gives_w
        if short_w <= 0:
            return at_s
    return 0.0 if short_w <= 0 else None


def left_s(spent_s: float, max_s: float, lasted_s: Sequence[float]) -> tuple[float, float]:
    """At least and at most: by the middle half of the charges here, and by its own limit of time."""
    most_s = max(0.0, max_s - spent_s)
    if len(lasted_s) < HISTORY_MIN:
        return 0.0, most_s
    ordered = sorted(lasted_s)
    early_s, late_s = ordered[len(ordered) // 4] - spent_s, ordered[len(ordered) * 3 // 4] - spent_s
    return min(max(0.0, early_s), most_s), min(late_s, most_s) if late_s > 0 else most_s
