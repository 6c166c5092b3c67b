"""The page beside a card reader: what it has just answered, in words, for ten seconds; never who it was."""

import json
from collections.abc import AsyncIterator
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.pages import words
from api.pages.shell import FriendlyRoute, notice, page
from api.services import Services, services_of
from api.streams import HEADERS, RESIDENTS, EventStream, Stream
from controller.ports import Shown

LOOK_S: Final = 0.25  # whoever stands there waits for it
ALIVE_LOOKS: Final = 40  # without news, after which it is said that we are there
MAX_LOOKS: Final = 14_400  # browsers come back by themselves
MARKS: Final = {
    "idle": "plug",
    "started": "flow",
    "stopped": "done",
    "keyed": "wait",
    "choose": "wait",
    "chosen": "wait",
}
IDLE: Final = Shown("idle")

router = APIRouter(route_class=FriendlyRoute, include_in_schema=False)


@router.get("/reader/{name}")
async def beside(request: Request, name: str) -> Response:
    found = _shown(services_of(request), name)
    if found is None:
        return page(request, "resident/notice.html", 404, **notice("missing", mark="fault"))
    lang = words.lang_of(request)
    said = _said(lang, found, _way(services_of(request), name))
    return page(request, "resident/reader.html", said=said, url=f"/reader/{name}/live?lang={lang}")


@router.get("/reader/{name}/live")
async def live(request: Request, name: str, once: bool = False) -> Response:
    """Server-sent events; with `?once=1` one message as JSON, for browsers behind proxies that hold streams back."""
    services, lang = services_of(request), words.lang_of(request)
    found = _shown(services, name)
    if found is None:
        return page(request, "resident/notice.html", 404, **notice("missing", mark="fault"))
    if once:
        return Response(_packed(lang, found, _way(services, name)), media_type="application/json", headers=HEADERS)
    return EventStream(request, RESIDENTS, f"reader:{name}", lambda stream: looks(stream, services, name, lang))


async def looks(stream: Stream, services: Services, name: str, lang: str) -> AsyncIterator[bytes]:
    last, quiet, way = b"", 0, _way(services, name)
    for _ in range(MAX_LOOKS):
        message = _packed(lang, _shown(services, name) or IDLE, way)
        if message != last or quiet >= ALIVE_LOOKS:
            yield b"data: " + message + b"\n\n"
            last, quiet = message, 0
        if not stream.open or await stream.pause(LOOK_S):
            return
        quiet += 1


def _shown(services: Services, name: str) -> Shown | None:
    """None: there is no reader of this name."""
    try:
        return None if services.readers is None else services.readers.shown(name) or IDLE
    except KeyError:
        return None


def _way(services: Services, name: str) -> str:
    """How an outlet is chosen there: there is but one, by its number's keys, or by swiping alone."""
    standing = () if services.readers is None else services.readers.standing()
    reader = next((reader for reader in standing if reader.name == name), None)
    if reader is not None and reader.outlet:
        return "one"
    return "keys" if reader is None or reader.kind == "hid" else "swipes"


def _packed(lang: str, shown: Shown, way: str) -> bytes:
    return json.dumps(_said(lang, shown, way), ensure_ascii=False, separators=(",", ":")).encode()


def _said(lang: str, shown: Shown, way: str) -> dict[str, object]:
    mark = MARKS.get(shown.kind, "fault")
    title = words.t(lang, f"reader.{shown.kind}", number=shown.number)
    text = _why(lang, shown.code) if shown.kind == "refused" else _next(lang, shown, way)
    money = "" if shown.balance_fen is None else words.t(lang, "reader.balance", yuan=words.yuan(shown.balance_fen))
    return {"count": shown.count, "mark": mark, "title": title, "text": text, "money": money}


def _why(lang: str, code: str) -> str:
    for key in (f"reader.refused.{code}", f"refused.{code}"):
        if words.knows(lang, key):
            return words.t(lang, key)
    return words.t(lang, "refused.other")


def _next(lang: str, shown: Shown, way: str) -> str:
    cost = "" if shown.cost_fen is None else words.yuan(shown.cost_fen)
    key = f"reader.{shown.kind}.next"
    return words.t(lang, f"{key}.{way}" if words.knows(lang, f"{key}.{way}") else key, cost=cost)
