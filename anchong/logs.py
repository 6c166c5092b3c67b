"""How log lines look and where they go: one structured line each on standard error, in English; the newest are kept.

The level can be changed while the gateway runs, and falls back by itself.
"""

import logging
import queue
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any, Literal

import structlog

from anchong.log_lines import Bursts, Line, Redactor, harmless, with_ids
from controller.ports import LogLevel

log = structlog.get_logger()

Form = Literal["plain", "json"]
KEPT = 2_000  # lines, for the diagnostics
DEBUG_S = 900.0  # by signal, which can't say for how long
WAITING_MAX = 20_000  # lines that nobody takes from us; more are counted and thrown away
LAST_S = 2.0


class Logs:
    """The one way out for log lines of this process."""

    def __init__(self, level: str = "info", form: Form = "plain", secrets: Iterable[str] = ()) -> None:
        self.usual = level
        self.redactor = Redactor(secrets)
        self._level = LogLevel(level)
        self._form: Form = form
        self._ids: Callable[[str], dict[str, str]] = lambda outlet: {}
        self._kept: deque[str] = deque(maxlen=KEPT)
        self._bursts = Bursts()
        self._lock = threading.Lock()
        self._back: threading.Timer | None = None
        self._pen: _Pen | None = None
        self.counts: Counter[str] = Counter()  # by level

    def start(self) -> "Logs":
        structlog.configure(
            processors=self._processors(),
            wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, self._level.level.upper())),
            logger_factory=lambda *_: _Out(self._written),
        )
        return self

    def write_aside(self) -> None:
        """From now on a thread of its own writes: a standard error that nobody reads must not hold up an OFF."""
        self._pen = _Pen()
        self._pen.start()

    def stop(self) -> None:
        """What waits is written, if anybody takes it."""
        pen, self._pen = self._pen, None
        if pen is not None:
            pen.stop()

    def _written(self, line: str) -> None:
        (self._pen.put if self._pen is not None else _print)(line)

    def know(self, ids: Callable[[str], dict[str, str]]) -> None:
        """`ids(outlet)`: the site and the session that belong to it."""
        self._ids = ids
        self.start()

    def take_in_others(self) -> None:
        """Lines of libraries, which use the standard way, come out like ours."""
        root = logging.getLogger()
        root.handlers = [handler for handler in root.handlers if not isinstance(handler, _HandedOn)]
        root.addHandler(_HandedOn(logging.WARNING))

    @property
    def left_out(self) -> int:
        return 0 if self._pen is None else self._pen.left_out

    def recent(self) -> tuple[str, ...]:
        """The newest lines, oldest first."""
        return tuple(self._kept)

    # -- the level ------------------------------------------------------------------------------------------------

    @property
    def level(self) -> LogLevel:
        return self._level

    def set_level(self, level: str, for_s: float) -> None:
        """Until `for_s` real seconds have passed, or the next call."""
        with self._lock:
            self._set(LogLevel(level, time.time() + for_s))
            self._back = threading.Timer(for_s, self.set_usual)
            self._back.daemon = True
            self._back.start()

    def set_usual(self) -> None:
        with self._lock:
            self._set(LogLevel(self.usual))

    def _set(self, level: LogLevel) -> None:
        if self._back is not None:
            self._back.cancel()
        before, self._level = self._level, level
        self.start()
        log.warning("log level", old=before.level, new=level.level)

    # -- a line's way ---------------------------------------------------------------------------------------------

    def _processors(self) -> list[Any]:
        return [
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            self._bursts,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            with_ids(self._ids),
            self.redactor,
            harmless,
            self._rendered,
        ]

    def _rendered(self, logger: Any, method: str, line: Line) -> str:
        self.counts[str(line.get("level"))] += 1
        text = str(_RENDERERS[self._form](logger, method, line))
        self._kept.append(text)
        return text


_RENDERERS: dict[Form, Callable[[Any, str, Line], str | bytes]] = {
    "plain": structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
    "json": structlog.processors.JSONRenderer(ensure_ascii=False),
}


def plain(level: str = "info") -> Logs:
    return Logs(level).start()


def quiet() -> Logs:
    return plain("error")


class _HandedOn(logging.Handler):
    """A standard log record as a structured line."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info or None
        )


class _Out:
    """What structlog wants of a logger."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.msg = self.debug = self.info = self.warning = self.error = self.critical = self.exception = write


class _Pen(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="log", daemon=True)
        self.left_out = 0
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def put(self, line: str) -> None:
        if self._lines.qsize() >= WAITING_MAX:
            self.left_out += 1
        else:
            self._lines.put(line)

    def run(self) -> None:
        while (line := self._lines.get()) is not None:
            _print(line)

    def stop(self) -> None:
        self._lines.put(None)
        self.join(LAST_S)


def _print(line: str) -> None:
    """Looks standard error up at each line: whoever replaces it for a while does not find us writing to the old one."""
    print(line, file=sys.stderr, flush=True)
