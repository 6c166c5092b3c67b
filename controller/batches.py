"""What a step leaves with: rows for the disk, what may happen only after them, and the answers; one Batch a step."""

import itertools
from collections import deque
from concurrent.futures import Future

import msgspec

from controller.core import effects as fx
from controller.core.events import Stamp
from controller.inbox import Answer


class Answered(msgspec.Struct, frozen=True):
    future: "Future[Answer]"
    body: Answer


class Batch(msgspec.Struct, frozen=True):
    """What one step wants on disk, in order, and what may happen only then."""

    number: str
    at: float
    steady_s: float
    rows: tuple[fx.Effect, ...]
    after: tuple[fx.Effect, ...]
    answers: tuple[Answered, ...]


class Batches:
    """Filled and closed by the decider; `committed` is the writer's word, from its own thread."""

    def __init__(self, name: str) -> None:
        self.rows: list[fx.Effect] = []
        self.after: list[fx.Effect] = []
        self.answers: list[Answered] = []
        self._name = name
        self._numbers = itertools.count(1)
        self._uncommitted: deque[tuple[str, float]] = deque()

    def closed(self, now: Stamp) -> Batch | None:
        """None when nothing has to be written or answered."""
        if not (self.rows or self.after or self.answers):
            return None
        number = f"{self._name}:{next(self._numbers)}"
        batch = Batch(number, now.at, now.steady_s, tuple(self.rows), tuple(self.after), tuple(self.answers))
        self.rows, self.after, self.answers = [], [], []
        self._uncommitted.append((number, now.steady_s))
        return batch

    def committed(self, number: str) -> None:
        """Batches come back in order."""
        while self._uncommitted:
            if self._uncommitted.popleft()[0] == number:
                break

    def oldest_s(self, now_s: float) -> float:
        """How old the oldest batch is that has not been committed; 0 if there is none."""
        try:
            return now_s - self._uncommitted[0][1]
        except IndexError:  # the writer takes from it on its own thread, so asking first would be a race
            return 0.0
