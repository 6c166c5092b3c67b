"""Looks at every relay of a soaked bus: did the right one switch, because it was told to, and soon enough?"""

import threading
from collections import deque
from collections.abc import Sequence

from anchong.bench.bus_shed import OUTLETS
from controller.core.errors import BadFrame
from firmware_bridge.codecs import modbus
from firmware_bridge.codecs.relay_waveshare import FLASH_ON
from firmware_bridge.transports.bus_queue import OFF_ATTEMPTS
from firmware_bridge.wire import Message
from simulators.twins.line import Line

Outlet = tuple[int, int]

ONS_KEPT = 8  # of an outlet: one may leave while the next is decided


class _Off:
    """One that has not reached its board yet."""

    def __init__(self, since_s: float) -> None:
        self.since_s = since_s
        self.said = 0


class Watch:
    """Called from every thread of a soak; `tolerance_s` is how long a wish may take from one to another.

    `wrong` is what may never be: another relay than said, an ON after a later OFF, an OFF that came too late.
    """

    def __init__(self, line: Line, tolerance_s: float) -> None:
        self.wrong: list[str] = []
        self.switched = self.offs = self.lost = 0
        self.left_s_max = self.reached_s_max = 0.0  # of this phase
        self.bound_s = 0.0
        self.lock = threading.RLock()
        self._line = line
        self._tolerance_s = tolerance_s
        self._said = b""
        self._ons: dict[Outlet, deque[tuple[bytes, int]]] = {outlet: deque(maxlen=ONS_KEPT) for outlet in OUTLETS}
        self._off: dict[Outlet, tuple[int, float]] = dict.fromkeys(OUTLETS, (0, 0.0))  # the last one: number, and when
        self._number = 0  # of decisions
        self._pending: dict[Outlet, _Off] = {}

    def phase(self, bound_s: float) -> None:
        self.bound_s, self.left_s_max, self.reached_s_max = bound_s, 0.0, 0.0

    @property
    def pending(self) -> int:
        return len(self._pending)

    def is_pending(self, outlet: Outlet) -> bool:
        return outlet in self._pending

    def decided(self, outlet: Outlet, message: Message, now_s: float, urgent: bool) -> None:
        """Before it is sent."""
        self._number += 1
        if urgent:
            self.offs += 1
            self._off[outlet] = self._number, now_s
            self._pending[outlet] = _Off(now_s)
        else:
            self._ons[outlet].append((message.payload, self._number))
            self._pending.pop(outlet, None)

    def dropped(self) -> None:
        """The line is down: nothing that was wished is said any more."""
        with self.lock:
            self._pending.clear()
            for decided in self._ons.values():
                decided.clear()

    def said(self, request: bytes, now_s: float) -> None:
        """It leaves, not yet damaged."""
        with self.lock:
            self._said = request
            outlet = _outlet(request)
            if outlet is None:
                return
            if modbus.read_request(request).value == modbus.OFF:
                self._off_said(outlet, now_s)
            else:
                self._on_said(request, outlet, now_s)

    def _off_said(self, outlet: Outlet, now_s: float) -> None:
        off = self._pending.get(outlet)
        if off is None:
            return
        off.said += 1
        if off.said == 1:
            self.left_s_max = max(self.left_s_max, now_s - off.since_s)

    def _on_said(self, request: bytes, outlet: Outlet, now_s: float) -> None:
        decided = next((each for each in self._ons[outlet] if each[0] == request), None)
        if decided is None:
            self.wrong.append(f"an ON of {outlet} was said that nobody decided, or twice")
            return
        self._ons[outlet].remove(decided)
        (_, number), (off_number, off_s) = decided, self._off[outlet]
        if off_number > number and now_s - off_s >= self._tolerance_s:
            self.wrong.append(f"an ON of {outlet} left {now_s - off_s:.3f} s after its OFF was decided")

    def heard(self, request: bytes, now_s: float) -> Sequence[tuple[float, bytes]]:
        """It arrives, perhaps damaged: what the line answers, having switched or not."""
        with self.lock:
            self._line.advance(now_s)  # a lease that ends now is no answer to this
            before = self._relays()
            answers = self._line(request, now_s)
            changed = [outlet for outlet, was, now in zip(OUTLETS, before, self._relays(), strict=True) if was != now]
            self.switched += len(changed)
            if changed and (request != self._said or changed != [_outlet(request)]):
                self.wrong.append(f"{changed} switched by {request.hex()} while {self._said.hex()} was said")
            self._reached(request, now_s)
            return answers

    def _reached(self, request: bytes, now_s: float) -> None:
        outlet = _outlet(request)
        if outlet in self._pending and modbus.read_request(request).value == modbus.OFF:
            took_s = now_s - self._pending.pop(outlet).since_s
            self.reached_s_max = max(self.reached_s_max, took_s)
            if took_s > self.bound_s:
                self.wrong.append(f"the OFF of {outlet} took {took_s:.3f} s, more than {self.bound_s:.3f} s")

    def look(self, now_s: float) -> None:
        """OFFs that never arrived: said as often as may be, each time in vain, they are the lease's business."""
        for outlet, off in list(self._pending.items()):
            if now_s - off.since_s > self.bound_s:
                del self._pending[outlet]
                self.lost += 1
                if off.said < OFF_ATTEMPTS:
                    self.wrong.append(f"the OFF of {outlet} was said {off.said} times in {self.bound_s:.3f} s")

    def _relays(self) -> list[bool]:
        return [self._line.powered(f"modbus:{unit}", channel) for unit, channel in OUTLETS]


def _outlet(request: bytes) -> Outlet | None:
    """Whose relay this switches, if it is whole and switches one."""
    try:
        frame = modbus.read_request(request)
    except BadFrame:
        return None
    return (frame.unit, frame.address % FLASH_ON) if frame.function == modbus.WRITE_COIL else None
