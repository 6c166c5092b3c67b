"""Every failure as an answer: problem+json for programs, a sentence in the reader's language for people."""

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from api.auth import NotAllowed, NotLoggedIn
from api.door import NotNow
from api.pages import words
from api.pages.shell import notice, page
from api.problems import problem, status_of
from api.throttle import TooFast
from controller.core.errors import Refused

log = structlog.get_logger()

RETRY_S = "2"


def for_program(request: Request) -> bool:
    return request.url.path.startswith(("/api/", "/webhooks/", "/healthz", "/readyz", "/metrics", "/diagnostics"))


def sorry(request: Request, status: int, code: str, detail: str, key: str | None = None, **headers: str) -> Response:
    if for_program(request):
        return problem(status, code, detail, key or _again(request, status), **headers)
    answer = _page(request, status, code)
    answer.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return answer


def _again(request: Request, status: int) -> str | None:
    """The Idempotency-Key that a late answer is asked for with: the caller's own, or the one they were given."""
    return getattr(request.state, "idempotency_key", None) if status == 503 else None


def _page(request: Request, status: int, code: str) -> Response:
    if status == 404:
        return page(request, "resident/notice.html", 404, **notice("missing", mark="fault"))
    if status == 503:
        kind = "away" if code == "database_away" else "slow"
        return page(request, "resident/notice.html", 503, **notice(kind, retry=request.url.path))
    shown = code if words.knows("zh", f"refused.{code}") else "other"
    back = "/console" if request.url.path.startswith("/console") else "/"
    return page(request, "resident/refusal.html", status, code=shown, order=False, back=back)


# -- handlers -----------------------------------------------------------------------------------------------------


async def _refused(request: Request, error: Any) -> Response:
    return sorry(request, status_of(error.code), error.code, error.detail)


async def _not_now(request: Request, error: Any) -> Response:
    return sorry(request, 503, "no_answer_yet", str(error), Retry_After=RETRY_S)


async def _database_away(request: Request, error: Any) -> Response:
    log.warning("database away for a reader", path=request.url.path, error=type(error).__name__)
    return sorry(request, 503, "database_away", "the records can't be read just now", Retry_After=RETRY_S)


async def _not_logged_in(request: Request, error: Any) -> Response:
    if request.url.path.startswith("/console") and request.method == "GET":
        return RedirectResponse("/console/login", 303)
    return sorry(request, 401, "not_logged_in", "log in first", WWW_Authenticate="Bearer")


_DENIED = {
    "role": "this needs another role",
    "csrf": "this did not come from a page of ours: reload and try again",
    "person": "this is for people, not for programs",
}


async def _not_allowed(request: Request, error: NotAllowed) -> Response:
    log.warning("denied", path=request.url.path, why=error.code)
    return sorry(request, 403, f"not_allowed_{error.code}", _DENIED[error.code])


async def _too_fast(request: Request, error: Any) -> Response:
    return sorry(request, 429, "too_fast", str(error), Retry_After=str(int(error.wait_s) + 1))


async def _invalid(request: Request, error: Any) -> Response:
    """Says where and what, never repeats what was sent."""
    first = error.errors()[0] if error.errors() else {"loc": (), "msg": "not understood"}
    where = ".".join(str(part) for part in first["loc"])
    return sorry(request, 422, "invalid", f"{where}: {first['msg']}")


async def _http(request: Request, error: Any) -> Response:
    if error.status_code == 400:  # a body that is no text, let alone JSON
        return sorry(request, 422, "invalid", "body: it can't be read")
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, f"http_{error.status_code}")
    answer = sorry(request, error.status_code, code, str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def _bug(request: Request, error: Any) -> Response:
    log.error("request failed", path=request.url.path, exc_info=error)
    return sorry(request, 500, "our_fault", "this is our mistake; it has been noted")


_HANDLERS: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
    Refused: _refused,
    NotNow: _not_now,
    OperationalError: _database_away,
    InterfaceError: _database_away,
    PoolTimeout: _database_away,
    NotLoggedIn: _not_logged_in,
    NotAllowed: _not_allowed,
    TooFast: _too_fast,
    RequestValidationError: _invalid,
    HTTPException: _http,
    Exception: _bug,
}


def answer_problems(app: FastAPI) -> None:
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
