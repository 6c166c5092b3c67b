"""How log lines look: one structured line each on standard error, in English; the demonstration keeps to errors."""

import logging
import sys

import structlog


def plain(level: str = "info") -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=_StandardError,
    )


def quiet() -> None:
    plain("error")


class _StandardError:
    """Looks standard error up at each line: whoever replaces it for a while does not find us writing to the old one."""

    def __init__(self, *_: object) -> None: ...

    def msg(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    debug = info = warning = error = critical = exception = msg
