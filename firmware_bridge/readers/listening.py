"""A reader's line: whole frames out of what comes, and by name what else came. Pure."""

from collections.abc import Callable
from typing import Generic, TypeVar

from controller.core.errors import BadFrame
from firmware_bridge.codecs.framing import Finder, Measure
from firmware_bridge.readers.said import Fault

T = TypeVar("T")


class Listening(Generic[T]):
    """`before`: so many bytes may stand before each frame without being garbage."""

    def __init__(self, measure: Measure, read: Callable[[bytes], T], longest: int, before: int = 0) -> None:
        self._read = read
        self._finder: Finder[T] = Finder(measure, self._kept_count, longest)
        self._before = before
        self._seen = 0
        self._bad: dict[str, None] = {}

    def feed(self, data: bytes) -> tuple[list[T], list[Fault]]:
        """The frames that this completes; each kind of fault once."""
        frames = self._finder.feed(data)
        stray = self._finder.skipped - self._seen
        if stray > self._before * max(1, len(frames)):
            self._bad.setdefault("garbage")
        if frames or "garbage" in self._bad:
            self._seen = self._finder.skipped
        faults = [Fault(kind) for kind in self._bad]
        self._bad.clear()
        return frames, faults

    def clear(self) -> None:
        self._finder.clear()
        self._seen = self._finder.skipped

    def _kept_count(self, frame: bytes) -> T:
        try:
            return self._read(frame)
        except BadFrame as bad:
            self._bad.setdefault(bad.kind)
            raise
