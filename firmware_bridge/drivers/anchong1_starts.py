"""Which start of a device is being heard, and how far: each message once and in order, and no start twice (T43)."""

import math

from controller.core.errors import BadFrame
from controller.core.events import Stamp
from firmware_bridge.codecs import anchong1 as codec

KEPT = 16
RETURN_S = 60.0  # twice the longest pause of a device: a start that says nothing for so long was no start


class Starts:
    def __init__(self) -> None:
        self.now: tuple[str, float] | None = None  # its id, how long it had run; one value, as two threads look at it
        self._seq = 0
        self._heard_s = 0.0
        self._over: dict[str, int] = {}  # those that others have followed, and their last numbers

    def heard(self, head: codec.Head, now: Stamp) -> bool:
        """Whether another start has followed the one before; BadFrame for what was said before."""
        before = None if self.now is None else self.now[0]
        if head.seq <= self._last(head.boot, before, now):
            raise BadFrame("replayed", f"message {head.seq} of start {head.boot}, after {self._seq} of {before}")
        if before is not None and head.boot != before:
            self._follow(before, head.boot)
        self.now, self._seq, self._heard_s = (head.boot, head.up_s), head.seq, now.steady_s
        return head.boot != before

    def check_will(self, will: codec.Will) -> None:
        """It has no number, but the will of an earlier start comes too late."""
        if will.boot in self._over:
            raise BadFrame("replayed", f"the will of start {will.boot}, which is over")

    def _last(self, boot: str, before: str | None, now: Stamp) -> float:
        """The number that a message of this start has to be above. One that is over may return only if what has
        followed it has fallen silent: somebody has played us a message of long ago, and the device never started."""
        if boot == before:
            return self._seq
        returns = boot not in self._over or now.steady_s - self._heard_s >= RETURN_S
        return self._over.get(boot, 0) if returns else math.inf

    def _follow(self, before: str, boot: str) -> None:
        self._over.pop(boot, None)
        self._over[before] = self._seq
        if len(self._over) > KEPT:
            del self._over[next(iter(self._over))]
