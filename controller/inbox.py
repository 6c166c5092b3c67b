"""What waits for the decider: stops and trips, facts, and the newest reading of each outlet. Open to any thread."""

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from itertools import islice
from threading import Event as Flag
from threading import Lock
from typing import Any

import msgspec

from controller.core import events as ev
from controller.core.errors import Refused

INBOX_MAX = 50_000  # beyond it the gateway has stopped thinking
ASKS_MAX = INBOX_MAX * 3 // 4
ANSWERS_MAX = 20_000  # the answers of the last quarter of an hour, for those who ask twice
FACTS_A_STEP = 64  # each may send a few messages
FACTS_ALONE = 8  # steps: a device that floods us with facts must not make us blind to what the others draw
READINGS_A_STEP = 256  # then stops, trips and deadlines are looked at again, whatever storm goes on

Answer = dict[str, Any]

FIRST: tuple[type[ev.Event], ...] = (ev.StopAsked, ev.SiteCutAsked, ev.Tripped, ev.HazardReported, ev.InputReported)


class Asked(msgspec.Struct, frozen=True):
    """`future` is where the answer goes; `found` is what the database knows of the event's key."""

    event: ev.Event
    future: "Future[Answer] | None" = None
    found: Mapping[str, Any] = {}


class Inbox:
    """Bounded. `waiting` is set whenever there is something to do."""

    def __init__(self) -> None:
        self.waiting = Flag()
        self.coalesced = 0
        self.looked_at = 0  # readings that the decider has taken
        self.dropped = 0
        self._lock = Lock()
        self._first: deque[Asked] = deque()
        self._facts: deque[Asked] = deque()
        self._readings: dict[str, ev.Reading] = {}
        self._behind = 0  # looks in a row that have left facts for the next

    def ask(self, event: ev.Event, found: Mapping[str, Any] | None = None) -> "Future[Answer]":
        future: Future[Answer] = Future()
        if self.crowded() and not isinstance(event, FIRST):
            future.set_exception(Refused("overloaded", "too much to do; ask again with the same key"))
        else:
            self._take(Asked(event, future, found or {}))
        return future

    def tell(self, event: ev.Event) -> None:
        if isinstance(event, ev.Reading):
            self._slot(event)
        else:
            self._take(Asked(event))

    def lengths(self) -> dict[str, int]:
        """What waits in each lane."""
        return {"first": len(self._first), "facts": len(self._facts), "readings": len(self._readings)}

    def crowded(self) -> bool:
        """Whoever can make the next fact wait should."""
        return len(self._facts) > ASKS_MAX

    def full(self) -> bool:
        return len(self._facts) >= INBOX_MAX

    def drained(self) -> Iterator[Asked]:
        """Stops and trips that wait now, then facts, FACTS_A_STEP at most; `waiting` stays set while there are more."""
        self.waiting.clear()
        for lane, most in ((self._first, INBOX_MAX), (self._facts, FACTS_A_STEP)):
            for _ in range(min(len(lane), most)):
                yield lane.popleft()
        if not self._facts:
            self._behind = 0
            return
        self._behind += 1
        self.waiting.set()

    def readings(self) -> list[ev.Reading]:
        """Those that have waited longest, READINGS_A_STEP at most; while facts wait, only every FACTS_ALONE steps."""
        if self._behind % FACTS_ALONE:
            return []
        with self._lock:
            taken = [self._readings.pop(outlet) for outlet in list(islice(self._readings, READINGS_A_STEP))]
            self.looked_at += len(taken)
            if self._readings:
                self.waiting.set()
        return taken

    def _slot(self, reading: ev.Reading) -> None:
        """The newest reading wins; one that was never looked at is counted, not queued."""
        with self._lock:
            self.coalesced += reading.outlet in self._readings
            self._readings[reading.outlet] = reading
        if not self.waiting.is_set():  # asking is cheap, ringing is not; the decider clears before it looks
            self.waiting.set()

    def _take(self, asked: Asked) -> None:
        lane = self._first if isinstance(asked.event, FIRST) else self._facts
        if len(lane) >= INBOX_MAX:
            self.dropped += 1
            return
        lane.append(asked)
        self.waiting.set()
