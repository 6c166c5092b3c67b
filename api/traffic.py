"""What the web side counts of itself, and the number that ties a request's log lines together."""

import re
import secrets
import time
from collections import Counter
from collections.abc import Iterable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.figures import DISK_S, Figure, Histogram, Kind, Sample, gauge, histograms

OURS = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class Traffic:
    """Counts of answers by method and class of status, open streams, and how long answers took; of one event loop."""

    def __init__(self) -> None:
        self.streams = 0
        self._answers: Counter[tuple[str, str]] = Counter()
        self._took_s = Histogram(DISK_S)

    def answered(self, method: str, status: int, took_s: float) -> None:
        self._answers[method if method in METHODS else "other", f"{status // 100}xx"] += 1
        self._took_s.observe(took_s)

    def figures(self) -> Iterable[Figure]:
        answers = [
            Sample(count, {"method": method, "status": status})
            for (method, status), count in sorted(self._answers.items())
        ]
        yield Figure("web_answers_total", Kind.COUNTER, "Answers to web requests.", tuple(answers))
        yield histograms("web_answer_seconds", "Time until an answer began.", [Sample(self._took_s)])
        yield gauge("web_streams", "Live pages and followers that hold a stream open.", self.streams)


class Counted:
    """The outermost layer: each request gets a number, for its log lines and for whoever asked."""

    def __init__(self, app: ASGIApp, traffic: Traffic) -> None:
        self.app = app
        self.traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = _Request(self.traffic, str(scope["method"]), _number(scope))
        try:
            with structlog.contextvars.bound_contextvars(request=request.number):
                await self.app(scope, receive, request.noting(send))
        finally:
            request.ended()


class _Request:
    def __init__(self, traffic: Traffic, method: str, number: str) -> None:
        self.number = number
        self._traffic = traffic
        self._method = method
        self._began_s = time.perf_counter()
        self._streams = False

    def noting(self, send: Send) -> Send:
        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = self.number
                self._began(int(message["status"]), headers.get("content-type", ""))
            await send(message)

        return noted

    def _began(self, status: int, content_type: str) -> None:
        self._traffic.answered(self._method, status, time.perf_counter() - self._began_s)
        self._streams = content_type.startswith("text/event-stream")
        self._traffic.streams += self._streams

    def ended(self) -> None:
        self._traffic.streams -= self._streams


def _number(scope: Scope) -> str:
    """What a proxy before us has numbered keeps its number, if that is harmless in a log."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if OURS.fullmatch(given) else secrets.token_hex(8)
