"""The gateway as those who watch it see it: `controller.ports.Watch` over the real parts, and the two signals."""

import signal
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from anchong.bundle import bundle
from anchong.diagnostics import from_files, from_within
from anchong.figures import figures_of
from anchong.logs import DEBUG_S, Logs
from anchong.settings import Settings
from anchong.wiring import Gateway
from controller.core import events as ev
from controller.core.errors import Refused
from controller.figures import Figure, Kind, by_label, counter
from controller.ports import LogLevel


class Watching:
    """`files` is empty for a demonstration, which has no settings."""

    def __init__(self, gateway: Gateway, logs: Logs, files: tuple[Path, Settings] | None = None) -> None:
        self._gateway = gateway
        self._logs = logs
        self._bundling = threading.Lock()
        self._parts = from_within(gateway, logs) | (from_files(*files) if files is not None else {})
        logs.know(self._ids)

    def figures(self) -> Iterable[Figure]:
        yield from figures_of(self._gateway)
        counts = dict.fromkeys(("warning", "error", "critical"), 0) | dict(self._logs.counts)
        yield by_label(Kind.COUNTER, "log_lines_total", "Lines logged, by level.", "level", counts)
        yield counter("log_lines_left_out_total", "Lines that nobody took from us.", self._logs.left_out)

    def diagnosis(self) -> bytes:
        """One at a time: each asks the disk and the broker, and leaves threads behind where they don't answer."""
        if not self._bundling.acquire(blocking=False):
            raise Refused("busy", "somebody else is getting the diagnostics; ask again in half a minute")
        try:
            return bundle(self._parts, self._logs.redactor.text)
        finally:
            self._bundling.release()

    def log_level(self) -> LogLevel:
        return self._logs.level

    def set_log_level(self, level: str, for_s: float) -> None:
        if for_s > 0:
            self._logs.set_level(level, for_s)
        else:
            self._logs.set_usual()

    def status(self) -> str:
        """One line for `systemctl status`."""
        health = self._gateway.board.health
        amiss = ", ".join(check.name for check in self._gateway.board.checks if not check.ok)
        outlets = len(self._gateway.board.views)
        return f"{health.sessions_live} of {outlets} outlets charge; {f'not ready: {amiss}' if amiss else 'ready'}"

    def _ids(self, outlet: str) -> dict[str, str]:
        view = self._gateway.board.views.get(outlet)
        if view is None:
            return {}
        return {"site": view.site} | ({"session": view.session} if view.session is not None else {})

    # -- signals --------------------------------------------------------------------------------------------------

    def obey_signals(self) -> None:
        """SIGUSR1: debug for a quarter of an hour; SIGUSR2: as usual. Both stand in the audit log."""
        signal.signal(signal.SIGUSR1, lambda *_: _aside(lambda: self._by_signal("debug", DEBUG_S)))
        signal.signal(signal.SIGUSR2, lambda *_: _aside(lambda: self._by_signal(self._logs.usual, 0.0)))

    def _by_signal(self, level: str, for_s: float) -> None:
        self.set_log_level(level, for_s)
        now = self._gateway.plan.clock.now()
        self._gateway.tell(
            ev.StaffChange(
                at=now.at,
                steady_s=now.steady_s,
                key="",
                by="host",
                change=ev.Change.LOG_LEVEL,
                subject="gateway",
                values={"level": level, "for_s": for_s},
            )
        )


def _aside(work: Callable[[], None]) -> None:
    """A handler runs in the middle of anything, so it must take no lock itself."""
    threading.Thread(target=work, name="signal", daemon=True).start()
