"""What a form does: it becomes one event through the one door, and comes back as a page that says what happened."""

import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import Depends, Request
from fastapi.params import Depends as Dependency
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from api import door
from api.auth import Staffer, current, require
from api.pages.console.desk import MAY, ROLES, Desk
from api.services import services_of
from controller.core.errors import Refused
from controller.core.events import Event

ANY: Final = Depends(require(*ROLES))
KEY: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
MAX_TEXT: Final = 256

Make = Callable[[Desk, FormData, dict[str, Any]], Event | None]
Ask = Callable[[Desk, FormData], Awaitable[bool]]
Again = Callable[[Desk, FormData, str, int], Response]
Back = str | Callable[[FormData], str]  # where to go on; what was made may decide


def need(what: str) -> Dependency:
    return Depends(require(*MAY[what]))  # type: ignore[no-any-return, unused-ignore]


def staffer_of(request: Request) -> Staffer | None:
    return current(request)


def desk_of(request: Request) -> Desk:
    return Desk(request, current(request))


def missing(desk: Desk) -> Response:
    """Foreign and unknown look the same."""
    return desk.sorry("missing", 404)


def text_of(form: FormData, name: str, most: int = MAX_TEXT) -> str:
    """One field as a person typed it: trimmed, of one line, never longer than `most`."""
    value = form.get(name)
    return " ".join(value.split())[:most] if isinstance(value, str) else ""


def texts_of(form: FormData, name: str, most: int = MAX_TEXT) -> list[str]:
    return [" ".join(value.split())[:most] for value in form.getlist(name) if isinstance(value, str)]


def stamped(request: Request, form: FormData) -> dict[str, Any]:
    """What every event carries: both clocks, and the key that was made with the form."""
    now, key = services_of(request).clock.now(), text_of(form, "key")
    return {"at": now.at, "steady_s": now.steady_s, "key": key if KEY.fullmatch(key) else secrets.token_hex(16)}


async def decided(request: Request, make: Make, again: Again, back: Back, done: str) -> Response:
    """`make` gives the event, or None for what can't be seen."""

    async def ask(desk: Desk, form: FormData) -> bool:
        event = await run_in_threadpool(make, desk, form, stamped(request, form))
        if event is not None:
            await door.asked(desk.services, event)
        return event is not None

    return await carried_out(request, ask, again, back, done)


async def switched(request: Request, make: Make, again: Again, back: str, done: str) -> Response:
    """As `decided`, but `make` reads memory alone: what makes an outlet dead waits for no thread and no database."""

    async def ask(desk: Desk, form: FormData) -> bool:
        event = make(desk, form, stamped(request, form))
        if event is not None:
            await door.asked(desk.services, event)
        return event is not None

    return await carried_out(request, ask, again, back, done)


async def carried_out(request: Request, ask: Ask, again: Again, back: Back, done: str) -> Response:
    """`ask` is False for what can't be seen; `again` draws the page anew with what went wrong."""
    desk, form = desk_of(request), await request.form()
    try:
        known = await ask(desk, form)
    except Refused as refused:
        return await run_in_threadpool(again, desk, form, desk.refusal(refused), 409)
    except door.NotNow:
        return await run_in_threadpool(not_now, desk, form)
    if not known:
        return await run_in_threadpool(missing, desk)
    to = back if isinstance(back, str) else back(form)
    joint = "&" if "?" in to else "?"
    return RedirectResponse(f"{to}{joint}done={done}", 303)


def not_now(desk: Desk, form: FormData) -> Response:
    """The same form with the same key: whatever became of the first sending, it happens once."""
    fields = [(k, v) for k, v in form.multi_items() if isinstance(v, str) and k not in ("csrf", "password", "again")]
    kept = fields if "password" not in form else []
    answer = desk.page("wait", 503, here="", fields=kept, action=desk.request.url.path)
    answer.headers["Retry-After"] = "5"
    return answer
