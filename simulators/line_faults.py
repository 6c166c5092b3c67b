"""What a bad line does to bytes: loses, doubles, changes, splits and delays them, one in so many times. Seeded."""

import random
from collections.abc import Callable, Mapping, Sequence

from firmware_bridge.transports.memory_bus import Way

Bytes = Sequence[tuple[float, bytes]]  # (delay in seconds, bytes)s

LATE_S = 0.9  # at most; a unit that takes longer than the second for which it is waited is not one of this world
PAUSE_S = 0.003  # within a frame: longer than any adapter pauses, shorter than what ends one


class Faults:
    """A `Mangle` for memory and ptys. `counts` what was done; nothing is with `one_in` 0.

    Nothing is late on its way down: wires keep no order back.
    """

    def __init__(self, seed: int, one_in: int) -> None:
        self.one_in = one_in
        self.counts: dict[str, int] = {}
        self._random = random.Random(seed)
        self._kinds: Mapping[Way, Sequence[Callable[[bytes], Bytes]]] = {
            Way.DOWN: (self.drop, self.flip, self.double),
            Way.UP: (self.drop, self.flip, self.double, self.split, self.cut, self.noise, self.late),
        }

    def __call__(self, way: Way, chunk: bytes, now_s: float) -> Bytes:
        if not self.one_in or self._random.randrange(self.one_in):
            return [(0.0, chunk)]
        kind = self._random.choice(self._kinds[way])
        self.counts[kind.__name__] = self.counts.get(kind.__name__, 0) + 1
        return kind(chunk)

    def drop(self, chunk: bytes) -> Bytes:
        return []

    def flip(self, chunk: bytes) -> Bytes:
        at = self._random.randrange(len(chunk))
        return [(0.0, chunk[:at] + bytes((chunk[at] ^ 1 << self._random.randrange(8),)) + chunk[at + 1 :])]

    def double(self, chunk: bytes) -> Bytes:
        return [(0.0, chunk), (0.0, chunk)]

    def split(self, chunk: bytes) -> Bytes:
        at = self._random.randrange(1, max(len(chunk), 2))
        return [(0.0, chunk[:at]), (PAUSE_S, chunk[at:])]

    def cut(self, chunk: bytes) -> Bytes:
        return [(0.0, chunk[: self._random.randrange(len(chunk))])]

    def noise(self, chunk: bytes) -> Bytes:
        zeros, noise = bytes(self._random.randrange(4)), self._random.randbytes(self._random.randrange(6))
        return [(0.0, zeros + chunk + noise)]

    def late(self, chunk: bytes) -> Bytes:
        return [(self._random.uniform(0.05, LATE_S), chunk)]
