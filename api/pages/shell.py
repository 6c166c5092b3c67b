"""What every page for residents shares: templates, the language cookie, and friendly answers to what goes wrong."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.door import NotNow
from api.pages import bikes, why, words
from api.services import services_of
from controller.core.errors import Refused

READ_S = 3.0  # a page that waits longer for the disk had better say so
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
TEMPLATES.globals |= {
    "yuan": words.yuan,
    "yuan_short": words.yuan_short,
    "unit_price": words.unit_price,
    "kwh": words.kwh,
    "watts": words.watts,
    "percents": why.percents,
    "drifted": bikes.drifted,
    "bill_number": words.bill_number,
    "clock_time": words.clock_time,
    "minute_of_day": words.minute_of_day,
}

DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout)

P = ParamSpec("P")
T = TypeVar("T")


class AwayError(Exception):
    """The records can't be read just now."""


async def read(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A query off the loop; AwayError when the database fails or takes too long."""
    try:
        return await asyncio.wait_for(asyncio.to_thread(call, *args, **kwargs), READ_S)
    except (*DATABASE_AWAY, TimeoutError) as error:
        raise AwayError from error


def page(request: Request, template: str, status: int = 200, **context: object) -> HTMLResponse:
    """A whole page in the reader's language, never kept by a cache: the back button must not revive a form."""
    lang = words.lang_of(request)
    html = TEMPLATES.get_template(template).render(**_common(request, lang), **context)
    response = HTMLResponse(html, status, {"Cache-Control": "no-store", "Vary": "Accept-Language, Cookie"})
    if request.query_params.get("lang") == lang:
        _remember(response, request, lang)
    return response


def part(request: Request, template: str, **context: object) -> str:
    """A piece of a page, for the script to put in its place."""
    return TEMPLATES.get_template(template).render(**_common(request, words.lang_of(request)), **context)


def _common(request: Request, lang: str) -> dict[str, object]:
    services = services_of(request)
    return {
        "lang": lang,
        "t": words.words_in(lang),
        "span": partial(words.span, lang),
        "moment": partial(words.moment, lang),
        "day": partial(words.day, lang),
        "band_name": partial(words.band, lang),
        "gap": "" if lang == "zh" else " ",  # between two sentences
        "demo": services.demo,
        "factor": f"{services.factor:g}",
        "switch_url": f"{_home(request)}?lang={next(other for other in words.LANGS if other != lang)}",
    }


def _home(request: Request) -> str:
    """Where this page can be asked for again: the address itself, or its parent after a form."""
    path = request.url.path
    return path if request.method == "GET" else path.rpartition("/")[0]


def _remember(response: Response, request: Request, lang: str) -> None:
    secure = services_of(request).secure_cookies
    response.set_cookie(words.LANG_COOKIE, lang, words.LANG_COOKIE_S, samesite="lax", secure=secure, httponly=True)


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class FriendlyRoute(APIRoute):
    """Turns what can go wrong into a page that says what to do next."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def friendly(request: Request) -> Response:
            try:
                return await handle(request)
            except Refused as refused:
                return refusal(request, refused.code)
            except (AwayError, *DATABASE_AWAY):
                return page(request, "resident/notice.html", 503, **notice("away", retry=_home(request)))
            except NotNow:
                return page(request, "resident/notice.html", 503, **notice("slow", retry=_home(request)))

        return friendly


FORM_CODES = ("amount", "invalid")  # what was sent is wrong, not what is here
AWAY_CODES = ("database_away", "clock_untrusted", "overloaded")


def refusal(request: Request, code: str) -> HTMLResponse:
    known = code if words.knows("en", f"refused.{code}") else "other"
    order = request.url.path.endswith("/order")
    status = 422 if code in FORM_CODES else 503 if code in AWAY_CODES else 409
    return page(request, "resident/refusal.html", status, code=known, order=order, back=_home(request))


def notice(kind: str, retry: str = "", mark: str = "wait") -> dict[str, object]:
    """What `resident/notice.html` needs: its sentences are `<kind>.title`, `.body` and, where there is one, `.next`."""
    return {"kind": kind, "retry": retry, "mark": mark, "has_next": words.knows("en", f"{kind}.next")}
