"""Wishes by due time, one a slot: what errands of every kind wait in. Open to any thread."""

import heapq
from collections.abc import Callable
from threading import Lock

from controller.clock import Clock
from controller.core import effects as fx


class Wishes:
    """A newer wish of a slot replaces an older, even while that is being carried out."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._due: list[tuple[float, str, int]] = []
        self._wishes: dict[str, tuple[fx.Wish, int]] = {}  # slot → wish, attempts

    def put(self, wish: fx.Wish) -> None:
        with self._lock:
            self._wishes[wish.slot] = (wish, 0)
            heapq.heappush(self._due, (wish.not_before, wish.slot, wish.version))

    def next_due_at(self) -> float | None:
        with self._lock:
            return self._due[0][0] if self._due else None

    def all(self) -> list[fx.Wish]:
        with self._lock:
            return [wish for wish, _ in self._wishes.values()]

    def run_due(self, clock: Clock, carry_out: Callable[[fx.Wish, int], None]) -> int:
        """Each that is due, with how often it was tried; returns how many."""
        done = 0
        while (wish := self._taken(clock.now().at)) is not None:
            carry_out(*wish)
            done += 1
        return done

    def _taken(self, at: float) -> tuple[fx.Wish, int] | None:
        """It stays a wish until `ended`."""
        with self._lock:
            while self._due and self._due[0][0] <= at:
                _, slot, version = heapq.heappop(self._due)
                wish, attempts = self._wishes.get(slot, (None, 0))
                if wish is not None and wish.version == version:
                    return wish, attempts
        return None

    def ended(self, wish: fx.Wish, attempts: int, retry_at: float | None) -> bool:
        """Whether this wish is done with: False if it is to be tried again, or was replaced meanwhile."""
        with self._lock:
            current = self._wishes.get(wish.slot)
            if current is None or current[0].version != wish.version:
                return False
            if retry_at is None:
                del self._wishes[wish.slot]
                return True
            self._wishes[wish.slot] = (wish, attempts + 1)
            heapq.heappush(self._due, (retry_at, wish.slot, wish.version))
            return False
