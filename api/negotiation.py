"""JSON in, JSON out: what else is sent to the API, or wanted of it, is refused before any route sees it.

A form of another site's page can't send JSON, so nothing it sends reaches a route at all.
"""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.failures import sorry

API = "/api/"
GIVEN = ("application/json", "application/problem+json", "application/gzip", "application/zip", "text/event-stream")


class JsonOnly:
    """406 for an Accept that fits nothing we give, 415 for a body that is not JSON."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        word = _refusal(scope) if scope["type"] == "http" and scope["path"].startswith(API) else None
        if word is None:
            await self.app(scope, receive, send)
        else:
            status, detail = _SAID[word]
            await sorry(Request(scope), status, word, detail)(scope, receive, send)


_SAID = {"not_acceptable": (406, "nothing here is given in that form"), "not_json": (415, "the body is not JSON")}


def _refusal(scope: Scope) -> str | None:
    headers = Headers(scope=scope)
    if not _accepts(headers.get("accept", "*/*")):
        return "not_acceptable"
    sent = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    return "not_json" if sent and not _is_json(headers.get("content-type", "")) else None


def _accepts(accept: str) -> bool:
    """Whether any range fits what we give; a range with q=0 fits nothing."""
    ranges = [part.replace(" ", "").lower().split(";") for part in accept.split(",")]
    return any(_fits(kind) for kind, *rest in ranges if "q=0" not in rest and "q=0.0" not in rest)


def _fits(kind: str) -> bool:
    if kind in ("", "*/*"):
        return True
    return any(given == kind or kind == f"{given.partition('/')[0]}/*" for given in GIVEN)


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
