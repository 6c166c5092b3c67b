"""A serial line in this process for tests and the world: virtual time, no thread; nothing moves until `run` says so.

The other end is a function: the bytes of a request, and when they had all arrived, to what answers after what delay.
Bytes take as long as on a wire of that pace. `mangle` may lose, double, delay or change them, either way.
"""

import heapq
from collections.abc import Callable, Sequence
from enum import StrEnum

from firmware_bridge.transports.bus import Bus
from firmware_bridge.transports.pace import Pace
from firmware_bridge.wire import Linked, Message, Receive

Answer = Callable[[bytes, float], Sequence[tuple[float, bytes]]]


class Way(StrEnum):
    DOWN = "down"  # to the units
    UP = "up"


Mangle = Callable[[Way, bytes, float], Sequence[tuple[float, bytes]]]  # (way, bytes, now_s) -> (delay_s, bytes)s


class MemoryBus:
    """`wire.Transport` over a Bus. `cut` and `restore` are its adapter; `echo` repeats what we say, as some do."""

    def __init__(self, pace: Pace, answer: Answer, mangle: Mangle | None = None, echo: bool = False) -> None:
        self.bus = Bus(pace)
        self.now_s = 0.0
        self.mangle = mangle
        self.echo = echo
        self._pace = pace
        self._answer = answer
        self._receive: Receive = _nobody
        self._linked: Linked = _nobody
        self._moving: list[tuple[float, int, Way, bytes]] = []
        self._moved = 0

    def start(self, receive: Receive, linked: Linked) -> None:
        self._receive, self._linked = receive, linked
        self.restore()

    def listen(self, pattern: str) -> None:
        """Units speak only when they are asked."""

    def send(self, message: Message, urgent: bool = False) -> bool:
        return self.bus.put(message, urgent, self.now_s)

    def stop(self) -> None:
        self.cut()

    def cut(self) -> None:
        self._moving.clear()
        if self.bus.up:
            self.bus.closed()
            self._linked(False)

    def restore(self) -> None:
        if not self.bus.up:
            self.bus.opened(self.now_s)
            self._linked(True)

    def run(self, now_s: float) -> None:
        """All that happens on the line up to then, in its order."""
        self._turn()
        while (due_s := self.next_due_s()) is not None and due_s <= now_s:
            self.now_s = max(self.now_s, due_s)
            self._arrive()
            self._turn()
        self.now_s = max(self.now_s, now_s)

    def next_due_s(self) -> float | None:
        bus_s = self.bus.next_due_s()
        if not self._moving:
            return bus_s
        return self._moving[0][0] if bus_s is None else min(self._moving[0][0], bus_s)

    def _arrive(self) -> None:
        while self._moving and self._moving[0][0] <= self.now_s:
            _, _, way, chunk = heapq.heappop(self._moving)
            if way is Way.UP:
                self.bus.hear(chunk, self.now_s)
            else:
                for delay_s, answer in self._answer(chunk, self.now_s):
                    self._move(Way.UP, answer, delay_s)

    def _turn(self) -> None:
        turn = self.bus.turn(self.now_s)
        if turn.write:
            self._move(Way.DOWN, turn.write, 0.0)
        if turn.write and self.echo:
            self._move(Way.UP, turn.write, 0.0)
        for message in turn.told:
            self._receive(message)

    def _move(self, way: Way, chunk: bytes, delay_s: float) -> None:
        for more_s, mangled in [(0.0, chunk)] if self.mangle is None else self.mangle(way, chunk, self.now_s):
            self._moved += 1
            arrives_s = self.now_s + delay_s + more_s + self._pace.sent_s(len(mangled))
            heapq.heappush(self._moving, (arrives_s, self._moved, way, mangled))


def _nobody(_: object) -> None:
    pass
