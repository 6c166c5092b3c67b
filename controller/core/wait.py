"""How long somebody will wait for room, from what is known of the charges under way. A range, never a promise. Pure."""

from bisect import insort
from collections.abc import Sequence
from math import ceil

import msgspec
from msgspec.structs import replace

HISTORY_MIN = 5  # charges of this site: fewer are anecdotes
TAIL_S = (120.0, 3900.0)  # what is left of a tail: some minutes, or two halvings and the longest patience for the rest
PROVEN_S = (0.0, 60.0)  # an OFF that has left is proven by one of the next reports
SHARES = (0.25, 0.6)  # of its outlet's limit, what a usual and what a fast charger draws


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


def wait(room_w: float, ahead: int, needed_w: int, charges: Sequence[Charge], usual: Charge) -> Wait | None:
    """None: no wait at all. `room_w` is free now; each who stands `ahead` is taken for a `usual` charge."""
    if (ahead + 1) * needed_w <= room_w:
        return None
    least = replace(usual, later_w=ceil(needed_w * SHARES[0]))
    most = replace(usual, later_w=ceil(needed_w * SHARES[1]))
    return Wait(
        _turn(
            room_w, ahead, needed_w, [g for c in charges for g in _gives(c, c.least_s)], _gives(least, usual.least_s)
        ),
        _turn(room_w, ahead, needed_w, [g for c in charges for g in _gives(c, c.most_s)], _gives(most, usual.most_s)),
    )


def longer(one: Wait | None, other: Wait | None) -> Wait | None:
    """Both must have passed; what nobody knows of one nobody knows of both."""
    if one is None or other is None:
        return one or other
    return Wait(_longer(one.least_s, other.least_s), _longer(one.most_s, other.most_s))


def _longer(one_s: float | None, other_s: float | None) -> float | None:
    return None if one_s is None or other_s is None else max(one_s, other_s)


def _gives(charge: Charge, end_s: float) -> list[tuple[float, int]]:
    """When it gives back how much: once what it takes is known, and at its end."""
    return [(min(charge.settles_s, end_s), charge.counts_w - charge.later_w), (end_s, charge.later_w)]


def _turn(
    room_w: float, ahead: int, needed_w: int, gives: list[tuple[float, int]], each: list[tuple[float, int]]
) -> float | None:
    """One after the other starts as soon as there is room; None if all that is known never makes it."""
    at_s, coming = 0.0, sorted(gives)
    for _ in range(ahead + 1):
        while room_w < needed_w and coming:
            gives_s, gives_w = coming.pop(0)
            at_s, room_w = max(at_s, gives_s), room_w + gives_w
        if room_w < needed_w:
            return None
        room_w -= needed_w
        for after_s, gives_w in each:
            insort(coming, (at_s + after_s, gives_w))
    return at_s


def left_s(spent_s: float, max_s: float, lasted_s: Sequence[float]) -> tuple[float, float]:
    """At least and at most: by the middle half of the charges here, and by its own limit of time."""
    most_s = max(0.0, max_s - spent_s)
    if len(lasted_s) < HISTORY_MIN:
        return 0.0, most_s
    ordered = sorted(lasted_s)
    early_s, late_s = ordered[len(ordered) // 4] - spent_s, ordered[len(ordered) * 3 // 4] - spent_s
    return min(max(0.0, early_s), most_s), min(late_s, most_s) if late_s > 0 else most_s
