"""What a step leaves with: rows for the disk, what may happen only after them, and the answers; one Batch a step."""

import itertools
from collections import deque
from concurrent.futures import Future

import msgspec

from controller.core import effects as fx
from controller.core.events import Stamp
from controller.inbox import Answer

RIDE_S = 1.0  # what alone is worth no commit waits so long for one that comes anyway


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
        self.riding: list[fx.Effect] = []  # rows that leave with others, or once a second by themselves
        self.after: list[fx.Effect] = []
        self.answers: list[Answered] = []
        self._name = name
        self._numbers = itertools.count(1)
        self._uncommitted: deque[tuple[str, float]] = deque()
        self._rode_s = -RIDE_S

    def due_s(self) -> float | None:
        """When (steady) what rides must leave; None if nothing does."""
        return self._rode_s + RIDE_S if self.riding else None

    def closed(self, now: Stamp) -> Batch | None:
        """None when nothing has to be written or answered."""
        rows = self._leaving(now.steady_s)
        if not (rows or self.after or self.answers):
            return None
        number = f"{self._name}:{next(self._numbers)}"
        batch = Batch(number, now.at, now.steady_s, rows, tuple(self.after), tuple(self.answers))
        self.rows, self.after, self.answers = [], [], []
        self._uncommitted.append((number, now.steady_s))
        return batch

    def _leaving(self, now_s: float) -> tuple[fx.Effect, ...]:
        """What rides goes first: it is older than what has just been decided. An answer needs no disk for its sake."""
        late = now_s - self._rode_s >= RIDE_S and not self.answers
        if not self.riding or not (self.rows or late):
            return tuple(self.rows)
        rows, self.riding, self._rode_s = (*self.riding, *self.rows), [], now_s
        return rows

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
