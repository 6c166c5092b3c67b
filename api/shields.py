"""What stands before every route: bounded bodies, security headers, and silence until the first owner exists."""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.failures import sorry
from api.services import Services

BODY_MAX = 1_000_000
NOTICE_MAX = 65_536  # a payment notice is some hundred bytes
BODY_S = 10.0  # nobody holds a slot by sending a letter a second
BEFORE_OWNER = ("/healthz", "/readyz", "/first/", "/static/")
HEADERS = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "referrer-policy": "same-origin",  # "no-referrer" would make browsers send our own forms with Origin: null
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class SecurityHeaders:
    """On every answer, refusals included; pages are never kept by caches unless they say so themselves."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self.app = app
        self.headers = dict(HEADERS)
        if services.secure_cookies:
            self.headers["strict-transport-security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        await self.app(scope, receive, guarded if scope["type"] == "http" else send)


class BeforeOwner:
    """On an empty database nothing answers but health and the one-time link."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self.app = app
        self.first = services.first_owner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        waiting = self.first is not None and not self.first.used
        if scope["type"] == "http" and waiting and not scope["path"].startswith(BEFORE_OWNER):
            answer = sorry(Request(scope), 503, "not_set_up", "nothing else answers until there is one")
            await answer(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class _TooMuch(Exception):
    pass


class BodyGuard:
    """Reads the whole body before any route sees it: at most so many bytes, within so many seconds."""

    def __init__(self, app: ASGIApp, body_s: float = BODY_S) -> None:
        self.app = app
        self.body_s = body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.body_s):
                body = await _whole(scope, receive)
        except TimeoutError:
            await sorry(Request(scope), 408, "too_slow", "the body took too long", Connection="close")(
                scope, receive, send
            )
        except _TooMuch:
            await sorry(Request(scope), 413, "too_large", "the body is too large", Connection="close")(
                scope, receive, send
            )
        else:
            await self.app(scope, _replayed(body, receive), send)


async def _whole(scope: Scope, receive: Receive) -> bytes:
    limit = NOTICE_MAX if scope["path"].startswith("/webhooks/") else BODY_MAX
    said = Headers(scope=scope).get("content-length", "0")
    if not said.isdigit() or int(said) > limit:
        raise _TooMuch
    parts: list[bytes] = []
    more, size = True, 0
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > limit:
            raise _TooMuch
    return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body once, then whatever comes (a hang-up)."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
