"""The only place that asks what time it is: a real clock, one that runs faster, and one moved by hand."""

import time
from typing import Protocol

from controller.core.events import Stamp


class Clock(Protocol):
    def now(self) -> Stamp: ...

    def wait_s(self, seconds: float) -> float:
        """Real seconds to wait for `seconds` of this clock to pass."""
        ...


class RealClock:
    def now(self) -> Stamp:
        return Stamp(time.time(), time.monotonic())

    def wait_s(self, seconds: float) -> float:
        return seconds


class FastClock:
    """Runs `factor` times real from `origin` (unix s) on, equal in every process given the same two numbers."""

    def __init__(self, factor: float, origin: float) -> None:
        self.factor = factor
        self.origin = origin
        self._steady_origin = time.monotonic() - (time.time() - origin)

    def now(self) -> Stamp:
        gone_s = (time.monotonic() - self._steady_origin) * self.factor
        return Stamp(self.origin + gone_s, gone_s)

    def wait_s(self, seconds: float) -> float:
        return seconds / self.factor


class HandClock:
    """Virtual time for tests and the world; `step_wall` moves the wall alone, as a bad NTP server would."""

    def __init__(self, at: float = 1_800_000_000.0, steady_s: float = 1_000.0) -> None:
        self._at = at
        self._steady_s = steady_s

    def now(self) -> Stamp:
        return Stamp(self._at, self._steady_s)

    def wait_s(self, seconds: float) -> float:
        return seconds

    def advance(self, seconds: float) -> None:
        self._at += seconds
        self._steady_s += seconds

    def step_wall(self, seconds: float) -> None:
        self._at += seconds
