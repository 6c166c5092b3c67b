"""Whose bike draws at one outlet, and what each has drawn: known to the world alone, never to the gateway.

The bikes of one visit are of whoever pays for it; all others are strangers' there. Of two that look alike at a plug
nobody can tell one from the other: what such a stranger draws is not held against the gateway.
"""

from collections.abc import Callable

import msgspec

from simulators.battery import Battery
from simulators.twins.contact import Load, Nothing

SEEN_S = 100.0  # a level is what has lasted
GONE_S = (6.0, 650.0)  # a gap that reports show, within the time that a plug counts as pulled
RESTED_S = 20.0  # what a charger notices as its power gone


class Stood(msgspec.Struct):
    """One load while it was plugged in. `told`: its coming can be told from whoever stood there before."""

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
    told: bool = True


class Plugs:
    """`drawn_wh` is the outlet's true counter, `drawn_w` what flows now."""

    def __init__(self, drawn_wh: Callable[[], float], drawn_w: Callable[[], float]) -> None:
        self.visit = 0
        self.stood: list[Stood] = []
        self._drawn_wh = drawn_wh
        self._drawn_w = drawn_w
        self._at_s = 0.0
        self._dark_s: float | None = 0.0

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
        if isinstance(load, Nothing):
            return
        if isinstance(load, Battery):
            load.woken(plugged=True)
        comes = Stood(self.visit if visit is None else visit, load, now_s, self._drawn_wh())
        comes.told = self._can_be_told(comes, now_s)
        self.stood = [*self.stood[-30:], comes]

    def look(self, powered: bool, now_s: float) -> None:
        """What it draws, second by second; and whether its power was gone for long enough to be noticed."""
        stands, passed_s, self._at_s = self.now, now_s - self._at_s, now_s
        if not powered:
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

    # -- who has drawn what ---------------------------------------------------------------------------------------

    def of_strangers_wh(self, visit: int, since_s: float) -> float:
        """What others than this visit's have drawn since then, as far as they could be told from it."""
        others = (one for one in self.stood if one.visit != visit and one.told and one.since_s >= since_s)
        return sum((self._drawn_wh() if one.until_s is None else one.to_wh) - one.from_wh for one in others)

    def alone_since(self, visit: int, since_s: float) -> Stood | None:
        """The one load that has stood there all this time, if there was no other."""
        there = [one for one in self.stood if one.until_s is None or one.until_s > since_s]
        return there[0] if len(there) == 1 and there[0].visit == visit and there[0].until_s is None else None

    def swapped_s(self, since_s: float) -> float | None:
        """When the first stranger came that could be told."""
        return next((one.since_s for one in self.stood if one.since_s >= since_s and one.visit != self.visit), None)

    def _can_be_told(self, comes: Stood, now_s: float) -> bool:
        """By a wide margin, of a load that was seen at work for long enough; less than that may look alike."""
        own = next((one for one in reversed(self.stood) if one.visit != comes.visit), None)
        if own is None or own.until_s is None or own.lit_s < SEEN_S:
            return False
        away_s = now_s - own.until_s
        if not GONE_S[0] <= away_s <= GONE_S[1] or not isinstance(comes.load, Battery):
            return False
        power_w = comes.load.draw_w(0.0)
        above = power_w > 1.3 * own.most_w + 20.0
        smaller = own.last_w > 0.92 * own.most_w and 0.35 * own.most_w < power_w < 0.7 * own.last_w - 12.0
        return above or smaller
