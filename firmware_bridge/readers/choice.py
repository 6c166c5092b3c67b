"""Which outlet a swipe means: the only one; the one whose number is typed before or after it; or by swiping again.

Pure: it asks the core who the card is (a charge of it is stopped by that), and asks for a start only where somebody
has chosen. At a pile with several outlets one swipe alone never starts anything.
"""

import re
from collections.abc import Callable, Sequence
from math import inf
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

KEY_S = 10.0  # between a number and its swipe, whichever comes first
STEP_S = 4.0  # within it another swipe steps on; after it what was chosen starts
LATE_S = 2.0  # whoever chose may have gone


class Place(msgspec.Struct, frozen=True):
    """An outlet that this reader serves; `number` is what is printed on it."""

    number: str
    outlet: str
    free: bool = True


class Ask(msgspec.Struct, frozen=True):
    """Of the core, for this card; without an outlet: who it is, and whether it charges here."""

    uid: str
    outlet: str


class Note(msgspec.Struct, frozen=True):
    """To be said to whoever stands there: choose, chosen, keyed, no_such_outlet, none_free, nothing_chosen."""

    kind: str
    number: str = ""


Wish: TypeAlias = Ask | Note


class _Chooser(msgspec.Struct, frozen=True):
    """A card that was swiped and has chosen nothing for good."""

    uid: str
    swiped_s: float
    known: bool = False  # the core has said that it may choose
    place: Place | None = None  # by swiping again
    typed: Place | None = None  # before it was known


class Choice:
    """One reader's. `places` are all outlets that it serves, as they are now."""

    def __init__(self, places: Callable[[], Sequence[Place]]) -> None:
        self._places = places
        self._chooser: _Chooser | None = None
        self._typed: tuple[int, float] | None = None  # a number, and until when it waits for its card

    def tapped(self, uid: str, now_s: float) -> list[Wish]:
        wishes = self.due(now_s)
        chooser = self._chooser
        if chooser is not None and chooser.uid == uid and now_s - chooser.swiped_s <= STEP_S:
            return wishes + self._stepped(chooser, now_s)
        typed, self._typed, self._chooser = self._typed, None, None
        if typed is not None:
            place = self._numbered(typed[0])
            return wishes + (self._first(uid, now_s, _unknown(typed[0])) if place is None else [Ask(uid, place.outlet)])
        places = self._places()
        return wishes + ([Ask(uid, places[0].outlet)] if len(places) == 1 else self._first(uid, now_s, []))

    def typed(self, number: int, now_s: float) -> list[Wish]:
        wishes = self.due(now_s)
        place, chooser = self._numbered(number), self._chooser
        if chooser is None:
            self._typed = (number, now_s + KEY_S)
            return wishes + ([Note("keyed", place.number)] if place is not None else _unknown(number))
        if place is None:
            return wishes + _unknown(number)
        if chooser.known:
            return wishes + self._chosen(chooser, place)
        self._chooser = replace(chooser, typed=place)
        return wishes

    def answered(self, uid: str, may_choose: bool) -> list[Wish]:
        """What the core said to an Ask without an outlet: this card may choose, or that was all."""
        chooser = self._chooser
        if chooser is None or chooser.uid != uid:
            return []
        if not may_choose:
            self._chooser = None
            return []
        if chooser.typed is not None:
            return self._chosen(chooser, chooser.typed)
        self._chooser = replace(chooser, known=True)
        return [Note("choose")] if chooser.place is None else []

    def due(self, now_s: float) -> list[Wish]:
        """What the passing of time decides."""
        if self._typed is not None and now_s >= self._typed[1]:
            self._typed = None
        chooser = self._chooser
        if chooser is None or now_s < self.due_s():
            return []
        if chooser.known and chooser.place is not None and now_s - self.due_s() < LATE_S:
            return self._chosen(chooser, chooser.place)
        self._chooser = None
        return [Note("nothing_chosen")]

    def forget(self) -> None:
        """The reader is gone: what was begun at it is over."""
        self._chooser = self._typed = None

    def due_s(self) -> float:
        chooser = self._chooser
        if chooser is None:
            return inf
        return chooser.swiped_s + (KEY_S if chooser.place is None else STEP_S)

    def _first(self, uid: str, now_s: float, notes: list[Wish]) -> list[Wish]:
        self._chooser = _Chooser(uid, now_s)
        return [*notes, Ask(uid, "")]

    def _stepped(self, chooser: _Chooser, now_s: float) -> list[Wish]:
        place = next_free(self._places(), chooser.place)
        self._chooser = replace(chooser, swiped_s=now_s, place=place)
        return [Note("none_free") if place is None else Note("chosen", place.number)]

    def _chosen(self, chooser: _Chooser, place: Place) -> list[Wish]:
        self._chooser = None
        return [Ask(chooser.uid, place.outlet)]

    def _numbered(self, number: int) -> Place | None:
        """The one outlet whose printed number ends so; where two do, a number says nothing."""
        fitting = [place for place in self._places() if ending(place.number) == number]
        return fitting[0] if len(fitting) == 1 else None


def _unknown(number: int) -> list[Wish]:
    return [Note("no_such_outlet", str(number))]


def next_free(places: Sequence[Place], after: Place | None) -> Place | None:
    """In the order of their numbers, and from the last on to the first."""
    free = sorted((place for place in places if place.free), key=order)
    later = [place for place in free if after is None or order(place) > order(after)]
    return next(iter(later or free), None)


def order(place: Place) -> tuple[float, str]:
    number = ending(place.number)
    return (inf if number is None else number, place.number)


def ending(printed: str) -> int | None:
    """`B2-07` ends with 7."""
    digits = re.search(r"[0-9]{1,9}$", printed)
    return int(digits[0]) if digits is not None else None
