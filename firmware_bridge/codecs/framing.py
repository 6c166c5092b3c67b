"""Frames out of a stream of bytes: whatever the chunks, and whatever stands between the frames."""

from collections.abc import Callable
from typing import Generic, TypeVar

from controller.core.errors import BadFrame

T = TypeVar("T")
Measure = Callable[[bytes], int]  # how long the frame is that begins here; 0 while that is not told yet; or BadFrame


class Finder(Generic[T]):
    """Holds what has come and is no whole frame yet, never more than the longest frame.

    A frame ends where it says that it ends: a checksum alone also holds when zeros follow. What looks like the
    beginning of a frame hides no whole one behind it.
    """

    def __init__(self, measure: Measure, read: Callable[[bytes], T], longest: int) -> None:
        self._measure = measure
        self._read = read
        self._longest = longest
        self._held = b""
        self.skipped = 0  # bytes that belonged to no frame, for the counters

    def feed(self, chunk: bytes) -> list[T]:
        """The frames that this chunk completes, in order."""
        self._held += chunk
        found: list[T] = []
        end, at, first = 0, 0, -1  # of the last frame; where we look; the first place where a frame may have begun
        while at < len(self._held):
            size = self._size(at)
            frame = self._whole(at, size) if size > 0 else None
            if frame is not None:
                found.append(frame)
                self.skipped += at - end
                end = at = at + size
                first = -1
                continue
            if first < 0 and (size == 0 or at + size > len(self._held)):
                first = at
            at += 1
        self._keep(end, at if first < 0 else first)
        return found

    def clear(self) -> None:
        """Before a request: what came earlier answers nothing."""
        self.skipped += len(self._held)
        self._held = b""

    def _size(self, at: int) -> int:
        """That of the frame that may begin here; -1 if none can."""
        try:
            head = self._held[at : at + self._longest]
            size = self._measure(head)
        except BadFrame:
            return -1
        return -1 if size > self._longest or (not size and len(head) == self._longest) else size

    def _whole(self, at: int, size: int) -> T | None:
        if at + size > len(self._held):
            return None
        try:
            return self._read(self._held[at : at + size])
        except BadFrame:
            return None

    def _keep(self, end: int, first: int) -> None:
        """Only what may yet become a frame; what lies between it and the last one was none."""
        self.skipped += first - end
        self._held = self._held[first:]
