"""Tells systemd how we are. WATCHDOG=1 comes from a decider's step that has run, from nowhere else: a decider that
hangs is killed, the leases cut, and the restart begins from disk.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping

STATUS_S = 5.0


class Watchdog:
    """`stepped` belongs to the decider; does nothing where nobody listens."""

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._every_s = min(STATUS_S, _watchdog_s(environ) / 4)
        self.status: Callable[[], str] = lambda: ""
        self._steady_s = steady_s
        self._told_s = float("-inf")
        self._started = self._ready = False

    def started(self) -> None:
        """Every thread runs and the links are being made; READY=1 leaves with the next step."""
        self._started = True

    def stepped(self) -> None:
        now_s = self._steady_s()
        if now_s - self._told_s < self._every_s and self._ready is self._started:
            return
        self._told_s = now_s
        lines = ["WATCHDOG=1", f"STATUS={self.status()}"]
        if self._started and not self._ready:
            self._ready = True
            lines.insert(0, "READY=1")
        self._say(lines)

    def stopping(self) -> None:
        self._say(["STOPPING=1"])

    def _say(self, lines: list[str]) -> None:
        """Never waits: a service manager that does not listen must not hold up a decision."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as wire:
            try:
                wire.sendto("\n".join(lines).encode(), address)
            except OSError:
                return


def _watchdog_s(environ: Mapping[str, str]) -> float:
    """WATCHDOG_USEC, if it is meant for this process."""
    meant = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    usec = environ.get("WATCHDOG_USEC", "")
    return int(usec) / 1e6 if meant and usec.isdigit() else float("inf")
