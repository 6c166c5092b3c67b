"""Which cards lie on a reader: a card that lies there is one swipe, however often or badly it is read. Pure."""

from collections.abc import Sequence
from math import inf

from firmware_bridge.readers.said import Fault, Said, Tap

GONE_S = 0.5  # nobody swipes twice within it, and readers lose a card for less


class Presence:
    """What every look at the field has found. A card counts as taken away once it was not found for `gone_s`."""

    def __init__(self, gone_s: float = GONE_S) -> None:
        self._gone_s = gone_s
        self._lying: dict[str, float] = {}  # uid → since when it is not found; infinite while it is
        self._several = False
        self._begins = False

    def begin(self) -> None:
        """The reader has just come: a card that lies there was not swiped now."""
        self._begins = True

    def hold(self) -> None:
        """Nobody could look for a while: what lay there still does."""
        self._lying = dict.fromkeys(self._lying, inf)

    def look(self, found: Sequence[str], now_s: float) -> list[Said]:
        fresh = [uid for uid in found if uid not in self._lying]
        said: list[Said] = [Fault("stutter") for uid in found if self._lying.get(uid, inf) < inf]
        missed = {uid: min(since_s, now_s) for uid, since_s in self._lying.items() if uid not in found}
        self._lying = {uid: since_s for uid, since_s in missed.items() if now_s - since_s < self._gone_s}
        self._lying |= dict.fromkeys(found, inf)
        self._several = self._several and bool(self._lying)
        begins, self._begins = self._begins, False
        if begins or not fresh:
            return said
        return said + (self._refused() if len(self._lying) > 1 else [Tap(fresh[0])])

    def _refused(self) -> list[Said]:
        """Two cards in one wallet: whose charge would it be?"""
        if self._several:
            return []
        self._several = True
        return [Fault("two_cards")]
