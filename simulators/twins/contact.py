"""What every simulated socket has, whatever its firmware: a contact, a load, a counter, and what can break there."""

import math
from enum import StrEnum
from typing import Protocol

import msgspec

MAINS_V = 230.0
FACTOR = 0.9  # of the power, which most chargers have about
FOREVER_S = math.inf
S_PER_H = 3600.0


class Publish(msgspec.Struct, frozen=True):
    topic: str
    payload: bytes
    retain: bool = False


class Load(Protocol):
    """What is plugged in: lets powered time pass and returns the mean power; 0 s asks for the power now."""

    def draw_w(self, dt_s: float) -> float: ...


class Nothing:
    def draw_w(self, dt_s: float) -> float:
        return 0.0


class Fault(StrEnum):
    WELDED = "welded"
    WONT_CLOSE = "wont_close"
    SILENT = "silent"
    METER_STUCK = "meter_stuck"
    METER_NAN = "meter_nan"
    METER_GARBAGE = "meter_garbage"
    CLOCK_AHEAD = "clock_ahead"
    CLOCK_BEHIND = "clock_behind"
    CLOCK_1970 = "clock_1970"
    COUNTER_RESET = "counter_reset"


class Meddling(StrEnum):
    """What somebody else on the broker may tell a device, or a hand at its button."""

    RESTART = "restart"
    ON = "on"
    OFF = "off"
    NO_LEASE = "no_lease"
    LIMIT = "limit"  # a power limit of its own that cuts by itself
    NO_LIMIT = "no_limit"
    SHOW_SETTING = "show_setting"
    LATE_WARNING = "late_warning"  # what the device said of its limit some time ago arrives now


class Contact:
    """`on` is what the firmware believes of its relay, `closed` is the contact itself."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.on = False
        self.faults: set[Fault] = set()
        self.total_wh = 0.0
        self.mains_v = MAINS_V
        self.factor = FACTOR
        self.heat_c: float | None = None  # of the meter's chip; None: nothing of note
        self._stuck_w = 0.0
        self._stuck_wh = 0.0

    @property
    def closed(self) -> bool:
        return Fault.WELDED in self.faults or (self.on and Fault.WONT_CLOSE not in self.faults)

    def contact_power_w(self) -> float:
        return self.load.draw_w(0.0) if self.closed else 0.0

    def run(self, dt_s: float, *, counts_when_off: bool) -> None:
        """Lets time pass at the contact; the chip counts what flows, the firmware only what it wants to see."""
        if self.closed and dt_s > 0:
            power_w = self.load.draw_w(dt_s)
            if self.on or counts_when_off:
                self.total_wh += power_w * dt_s / S_PER_H

    def measured_w(self, *, sees_when_off: bool) -> float:
        if Fault.METER_STUCK in self.faults:
            return self._stuck_w
        return self.contact_power_w() if self.on or sees_when_off else 0.0

    def counted_wh(self) -> float:
        return self._stuck_wh if Fault.METER_STUCK in self.faults else self.total_wh

    def inject(self, fault: Fault) -> None:
        if fault is Fault.COUNTER_RESET:
            self.total_wh = 0.0
            return
        if fault is Fault.METER_STUCK:
            self._stuck_w, self._stuck_wh = self.contact_power_w(), self.total_wh
        self.faults.add(fault)
