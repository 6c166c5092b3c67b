"""Piles that report too seldom by themselves are asked in turn: evenly spread, a few at a time."""

import heapq
from collections.abc import Iterator
from threading import Lock

from controller.core.events import Stamp
from firmware_bridge.wire import Driver, Message

AT_ONCE_MAX = 64  # questions must not fill the link by which OFFs leave
SPREAD = 0.618_034  # of a round between one pile and the next: no two ask at the same moment, however many there are


class Rounds:
    """`add` may come from any thread, `due` from the one that asks."""

    def __init__(self) -> None:
        self._turns: list[tuple[float, int, float, Driver]] = []  # when, a number that no two share, how often, who
        self._next = -1
        self._lock = Lock()

    def add(self, driver: Driver, every_s: float, now_s: float) -> None:
        with self._lock:
            number = self._next = self._next + 1
            heapq.heappush(self._turns, (now_s + number * SPREAD % 1.0 * every_s, number, every_s, driver))

    def drop(self, driver: Driver) -> None:
        with self._lock:
            self._turns = [turn for turn in self._turns if turn[3] is not driver]
            heapq.heapify(self._turns)

    def next_s(self) -> float | None:
        """When (steady) somebody's turn is."""
        with self._lock:
            return self._turns[0][0] if self._turns else None

    def due(self, now: Stamp) -> Iterator[Message]:
        """The questions of those whose turn has come. A turn that was missed is not made up for."""
        for _ in range(AT_ONCE_MAX):
            driver = self._taken(now.steady_s)
            if driver is None:
                return
            yield from driver.polls(now)

    def _taken(self, now_s: float) -> Driver | None:
        with self._lock:
            if not self._turns or self._turns[0][0] > now_s:
                return None
            _, number, every_s, driver = self._turns[0]
            heapq.heapreplace(self._turns, (now_s + every_s, number, every_s, driver))
            return driver
