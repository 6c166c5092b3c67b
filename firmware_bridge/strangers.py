"""Of one link, whoever is not ours: what those show that somebody looks at, and the scan for those that never speak.

Nothing here has a gate, so nothing here can switch.
"""

from collections.abc import Container, Mapping, Sequence
from threading import Lock
from typing import cast

from controller.core.events import PileFound, Stamp
from controller.ports import Peeked, Scanned
from firmware_bridge.peeks import Peeks
from firmware_bridge.scan import Scan
from firmware_bridge.wire import BusFamily, Family, Message, Transport

PUMP_S = 0.1  # between one look at the scan and the next


class Strangers:
    """May be called from any thread. `ours`: addresses that have a driver."""

    def __init__(self, families: Mapping[str, Family], transport: Transport, ours: Container[str]) -> None:
        self._families = families
        self._transport = transport
        self._ours = ours
        self._lock = Lock()
        self._peeks = Peeks(families)
        self._scan: Scan | None = None
        self._pump_s = 0.0

    # -- what they show -------------------------------------------------------------------------------------------

    def peek(self, found: PileFound, now: Stamp) -> Sequence[Peeked]:
        with self._lock:
            shown, listen, asks = self._peeks.look(found, self._ours, now)
        for address in listen:
            self._transport.listen(address)
        for ask in asks:
            self._transport.send(ask)
        return shown

    def heard(self, message: Message, now: Stamp) -> bool:
        """True if somebody looks at whoever sent this."""
        with self._lock:
            if self._scan is not None:
                self._scan.heard(message)
            return self._peeks.receive(message, now)

    # -- the scan -------------------------------------------------------------------------------------------------

    def scan(self, bus: str) -> bool:
        """False while one is under way."""
        families = {name: cast(BusFamily, family) for name, family in self._families.items()}
        with self._lock:
            if self._scan is not None and not self._scan.done:
                return False
            self._scan = Scan(bus, families, self._ours)
            return True

    def end_scan(self) -> None:
        """Who was found stays found; a line that nobody asks in vain serves quicker."""
        with self._lock:
            self._scan = None

    def scanned(self) -> Scanned | None:
        with self._lock:
            return None if self._scan is None else self._scan.result()

    def found(self, found: PileFound, heard_at: str) -> None:
        with self._lock:
            if self._scan is not None:
                self._scan.found(found.family, found.address, heard_at)

    def odd(self, address: str, fault: str) -> None:
        with self._lock:
            if self._scan is not None:
                self._scan.odd(address, fault)

    def next_s(self) -> float | None:
        """When (steady) there may be something to ask."""
        return None if self._scan is None or self._scan.done else self._pump_s

    def ask(self, now: Stamp) -> None:
        """The next questions of a scan; one that can't leave waits for its next turn."""
        with self._lock:
            self._pump_s = now.steady_s + PUMP_S
            questions = [] if self._scan is None else self._scan.next(now.steady_s)
        for unsent in [question for question in questions if not self._transport.send(question)]:
            with self._lock:
                if self._scan is not None:
                    self._scan.unsent(unsent)
