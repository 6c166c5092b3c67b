"""Whose bike draws at one outlet, and what each has drawn: known to the world alone, never to the gateway.

The bikes of one visit are of whoever pays for it; all others are strangers' there. Of two that look alike at a plug
nobody can tell one from the other: what such a stranger draws is not held against the gateway. Of its load a session
knows the highest and the last level, whichever bikes they were of; so whether a stranger can be told from "the load
before" is asked for one session, of all that have stood there since it began.
"""

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from simulators.battery import Battery
from simulators.twins.contact import Load, Nothing

SEEN_S = 100.0  # a level is what has lasted
GONE_S = (6.0, 650.0)  # a gap that reports show, within the time that a plug counts as pulled
RESTED_S = 20.0  # what a charger notices as its power gone
SURE_S = 300.0  # what has drawn for so long since it was last dark is known for the one it was, or never will be
ROW_S = 30.0  # what a process that dies may not have put on disk yet


class Stood(msgspec.Struct):
    """One load while it was plugged in. `comes_w`: what it was about to draw, if its coming could be seen at all."""

    visit: int
    load: Load
    since_s: float
    from_wh: float
    until_s: float | None = None
    to_wh: float = 0.0
    least_w: float = 0.0
    most_w: float = 0.0
    last_w: float = 0.0
    lit_s: float = 0.0
    comes_w: float = 0.0


class Dark(msgspec.Struct, frozen=True):
    """A load was pulled or lost its power: whose draws next is not sure any more. `lit_s`: on since the last such."""

    at_s: float
    wh: float
    lit_s: float


class Plugs:
    """`drawn_wh` is the outlet's true counter, `drawn_w` what flows now."""

    def __init__(self, drawn_wh: Callable[[], float], drawn_w: Callable[[], float]) -> None:
        self.visit = 0
        self.stood: list[Stood] = []
        self._drawn_wh = drawn_wh
        self._drawn_w = drawn_w
        self._at_s = 0.0
        self._dark_s: float | None = 0.0
        self._lit_s = 0.0
        self._darks: list[Dark] = []

    @property
    def now(self) -> Stood | None:
        return self.stood[-1] if self.stood and self.stood[-1].until_s is None else None

    def come(self) -> int:
        """Somebody else's visit begins."""
        self.visit += 1
        return self.visit

    def changed(self, load: Load, visit: int | None, now_s: float) -> None:
        """Another load, or `Nothing`; of this visit unless somebody else's is named."""
        if (stood := self.now) is not None:
            stood.until_s, stood.to_wh = now_s, self._drawn_wh()
            self._darkened(now_s)
        if isinstance(load, Nothing):
            return
        if isinstance(load, Battery):
            load.woken(plugged=True)
        comes = Stood(self.visit if visit is None else visit, load, now_s, self._drawn_wh())
        comes.comes_w = load.draw_w(0.0) if isinstance(load, Battery) and self._seen(comes) else 0.0
        self.stood = [*self.stood[-30:], comes]

    def look(self, powered: bool, now_s: float, watched: bool = True) -> None:
        """What it draws, second by second; and whether its power was gone for long enough to be noticed.

        `watched`: a gateway lives, and has put what it heard on disk or will.
        """
        stands, since_s, passed_s, self._at_s = self.now, self._at_s, now_s - self._at_s, now_s
        if not powered:
            if self._dark_s is None and stands is not None:
                self._darkened(now_s)
            if not watched:
                self._unwritten(since_s)
            self._dark_s = now_s if self._dark_s is None else self._dark_s
            return
        if self._dark_s is not None and now_s - self._dark_s > RESTED_S and stands and isinstance(stands.load, Battery):
            stands.load.woken(plugged=False)
        self._dark_s = None
        if stands is not None:
            power_w = self._drawn_w()
            stands.last_w, stands.most_w = power_w, max(stands.most_w, power_w)
            stands.least_w = min(stands.least_w or power_w, power_w)
            stands.lit_s += passed_s
            self._lit_s += passed_s

    def _darkened(self, now_s: float) -> None:
        self._darks = [*self._darks[-60:], Dark(now_s, self._drawn_wh(), self._lit_s)]
        self._lit_s = 0.0

    def _unwritten(self, since_s: float) -> None:
        """The process died in the same moment, and with it what it had heard last."""
        lost_wh = self.stood[-1].last_w * ROW_S / 3600 if self.stood else 0.0
        self._darks = [replace(one, wh=one.wh - lost_wh) if one.at_s > since_s else one for one in self._darks]

    # -- who has drawn what ---------------------------------------------------------------------------------------

    def of_strangers_wh(self, visit: int, since_s: float) -> float:
        """What others than this visit's have drawn since then, as far as they could be told from it."""
        others = (one for one in self.stood if one.visit != visit and self._told(one, since_s))
        return sum((self._drawn_wh() if one.until_s is None else one.to_wh) - one.from_wh for one in others)

    def sure_wh(self, visit: int, since_s: float) -> float | None:
        """The true counter as it stood when it was last sure that nobody but this visit's had drawn since then.

        None if no other came that could be told. A load that was cut, or pulled, and did not stand the time of a trial
        before the other came in its place was never found to be the same: what it drew meanwhile is nobody's.
        """
        others = (one for one in self.stood if one.visit != visit and self._told(one, since_s))
        came_s = next((one.since_s for one in others), None)
        if came_s is None:
            return None
        sure_wh = None
        for dark in reversed([dark for dark in self._darks if since_s <= dark.at_s <= came_s]):
            sure_wh = dark.wh
            if dark.lit_s >= SURE_S:
                break
        return sure_wh

    def alone_since(self, visit: int, since_s: float) -> Stood | None:
        """The one load that has stood there all this time, if there was no other."""
        there = [one for one in self.stood if one.until_s is None or one.until_s > since_s]
        return there[0] if len(there) == 1 and there[0].visit == visit and there[0].until_s is None else None

    def _seen(self, comes: Stood) -> bool:
        """Of a load that was seen at work for long enough, after a gap that shows and is no ordinary wait."""
        own = self._before(comes)
        if own is None or own.until_s is None or own.lit_s < SEEN_S:
            return False
        return GONE_S[0] <= comes.since_s - own.until_s <= GONE_S[1]

    def _before(self, comes: Stood) -> Stood | None:
        ended = (one for one in reversed(self.stood) if one.until_s is not None and one.until_s <= comes.since_s)
        return next((one for one in ended if one.visit != comes.visit), None)

    def _told(self, comes: Stood, since_s: float) -> bool:
        """By a wide margin from the highest level of all that stood there since then; less than that may look alike.

        And a smaller one not at all, once the one before drew less than that: its pack may as well be in its tail.
        """
        own = self._before(comes)
        if not comes.comes_w or comes.since_s < since_s or own is None:
            return False
        there = (one for one in self.stood if one.since_s < comes.since_s and (one.until_s or since_s) > since_s)
        most_w = max([own.most_w, *(one.most_w for one in there)])
        above = comes.comes_w > 1.3 * most_w + 20.0
        smaller = own.last_w > 0.92 * most_w and 0.35 * most_w < comes.comes_w < 0.7 * own.last_w - 12.0
        return above or smaller
