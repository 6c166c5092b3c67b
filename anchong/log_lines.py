"""What becomes of a log line on its way out: bounded in number, without secrets, harmless to whoever reads it."""

import re
import time
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

import structlog

Line = MutableMapping[str, Any]
Processor = Callable[[Any, str, Line], Line]

BURST_LINES, BURST_S = 50, 10.0  # of one event; what says the same a thousand times says it once
EVENTS_MAX = 1_000  # events are words of ours, but other libraries' lines come through here as well
VALUE_MAX, TRACE_MAX = 1_000, 8_000
HIDDEN = "***"

SECRET_NAMES = frozenset(
    ("password", "passwd", "secret", "token", "authorization", "cookie", "csrf", "openid", "uid", "sticker", "phone")
)
_SECRETS = (
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (
        re.compile(  # bounded: what is matched may be long, and made to be slow
            r"((?:password|passwd|secret|token|authorization|cookie|csrf|openid|uid|sticker)\w{0,30}"
            r"['\"]?\s{0,3}[=:]\s{0,3}['\"]?)[^\s'\",;&}\])]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\$argon2\S+"), HIDDEN),
    (re.compile(r"(/(?:S|O|first)/)[\w-]+", re.IGNORECASE), rf"\1{HIDDEN}"),
)
# control characters, separators of lines, what turns the direction of writing, halves of characters; "\n" is not here,
# as both renderers write it as two characters
_UNSAFE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class Redactor:
    """Hides what must not be read: by the name of the value, by its look, and by the very secrets of this gateway."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted((secret for secret in secrets if len(secret) >= 4), key=len, reverse=True)

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        for pattern, shown in _SECRETS:
            text = pattern.sub(shown, text)
        return text

    def __call__(self, _logger: Any, _method: str, line: Line) -> Line:
        for name, value in line.items():
            if SECRET_NAMES & set(name.lower().split("_")):
                line[name] = HIDDEN
            elif not isinstance(value, int | float | None):
                line[name] = self.text(
                    str(value)[: 2 * TRACE_MAX]
                )  # more than will be shown, so nothing is cut in half
        return line


class Bursts:
    """So many lines of one event in so many seconds; the first of the next burst says how many were left out."""

    def __init__(self, steady_s: Callable[[], float] = time.monotonic) -> None:
        self._steady_s = steady_s
        self._seen: dict[str, tuple[float, int]] = {}  # event → since when, how many

    def __call__(self, _logger: Any, _method: str, line: Line) -> Line:
        if line.get("level") == "debug":
            return line  # somebody has asked for all of them
        event, now_s = str(line.get("event"))[:VALUE_MAX], self._steady_s()
        since_s, count = self._seen.get(event, (now_s, 0))
        if now_s - since_s >= BURST_S:
            if count > BURST_LINES:
                line["left_out"] = count - BURST_LINES
            since_s, count = now_s, 0
        if len(self._seen) >= EVENTS_MAX and event not in self._seen:
            self._seen.clear()
        self._seen[event] = (since_s, count + 1)
        if count >= BURST_LINES:
            raise structlog.DropEvent
        return line


def with_ids(ids: Callable[[str], dict[str, str]]) -> Processor:
    """A line about an outlet carries its site and its session as well, whoever wrote it."""

    def add(_logger: Any, _method: str, line: Line) -> Line:
        outlet = line.get("outlet")
        if isinstance(outlet, str):
            for name, value in ids(outlet).items():
                line.setdefault(name, value)
        return line

    return add


def harmless(_logger: Any, _method: str, line: Line) -> Line:
    """One line stays one line, whatever a device or a person has sent; nothing moves a terminal's cursor."""
    for name, value in line.items():
        if isinstance(value, str):
            line[name] = _UNSAFE.sub(_escaped, value[: TRACE_MAX if name == "exception" else VALUE_MAX])
    return line


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
