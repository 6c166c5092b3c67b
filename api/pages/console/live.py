"""Live numbers for open pages: what the board says, sent when it has changed; or once, to those who poll.

Viewers of the same page share one look a second. Its changes are put into words and bytes once, for all of them.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Hashable
from typing import Any, Final

import msgspec
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from api.pages.console.desk import Desk
from api.pages.console.forms import staffer_of
from api.services import services_of
from api.streams import CONSOLES, HEADERS, EventStream, Stream
from controller.clock import Clock

EVERY_S: Final = 1.0
FRESH_S: Final = 0.9  # a look that is younger serves everybody
REST: Final = 10.0  # times as long as it took: looking is never more than a tenth of a core
ALIVE_EVERY: Final = 15  # looks without news, after which a comment keeps proxies from hanging up
WHOLE_EVERY: Final = 30  # looks: whoever took a part of the page anew meanwhile may have missed a change
FORGET_S: Final = 60.0

News = dict[str, Any]


class Screen(msgspec.Struct, frozen=True):
    """One look: everything, and what is new since look `number` - 1."""

    number: int
    at_s: float
    news: News
    whole: bytes
    change: bytes


class _Place:
    """One page's newest look; whoever comes while it is taken waits for it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.screen: Screen | None = None
        self.fresh_s = FRESH_S
        self.used_s = 0.0


class Screens:
    """The newest look at each page that somebody has open, by what its words depend on."""

    def __init__(self) -> None:
        self._places: dict[Hashable, _Place] = {}

    async def at(self, key: Hashable, look: Callable[[], News], clock: Clock) -> Screen:
        """At most so old as looking is cheap: ten thousand outlets are put into words less often than ten."""
        place = self._places.pop(key, None) or _Place()
        self._places[key] = place
        place.used_s = clock.now().steady_s
        self._forget(place.used_s)
        async with place.lock:
            began_s = clock.now().steady_s
            if place.screen is None or began_s - place.screen.at_s >= place.fresh_s:
                news = await run_in_threadpool(look)
                took_s = clock.now().steady_s - began_s
                place.screen, place.fresh_s = _next(place.screen, news, began_s), max(FRESH_S, REST * took_s)
            return place.screen

    def __len__(self) -> int:
        return len(self._places)

    def _forget(self, now_s: float) -> None:
        """Pages nobody looks at any more: the oldest stand first."""
        while now_s - next(iter(self._places.values())).used_s > FORGET_S:
            del self._places[next(iter(self._places))]


def _next(before: Screen | None, news: News, now_s: float) -> Screen:
    if before is not None and before.news == news:
        return msgspec.structs.replace(before, at_s=now_s)
    whole = _packed(news)
    number = 0 if before is None else before.number + 1
    return Screen(number, now_s, news, whole, whole if before is None else _packed(_changed(before.news, news)))


def _changed(before: News, now: News) -> News:
    """The fields of each part that are new; a plain value as it is."""
    return {name: _part(before.get(name), value) for name, value in now.items()}


def _part(before: Any, now: Any) -> Any:
    if not isinstance(now, dict) or not isinstance(before, dict):
        return now
    return {name: value for name, value in now.items() if before.get(name) != value}


def _packed(news: News) -> bytes:
    return json.dumps(news, ensure_ascii=False, separators=(",", ":")).encode()


def live(desk: Desk, look: Callable[[], News]) -> Response:
    """`look` must not read the database, and say the same to all who have this page, language and scope."""
    request = desk.request
    if "once" in request.query_params:
        return JSONResponse(look(), headers=HEADERS)
    key = (request.url.path, desk.lang, desk.sites)
    return EventStream(request, CONSOLES, desk.by, lambda stream: _stream(stream, request, key, look))


async def _stream(stream: Stream, request: Request, key: Hashable, look: Callable[[], News]) -> AsyncIterator[bytes]:
    screens: Screens = request.app.state.screens
    clock = services_of(request).real_clock
    seen, looks, quiet = -1, 0, 0
    while stream.open and staffer_of(request) is not None:
        screen = await screens.at(key, look, clock)
        quiet = quiet + 1 if screen.number == seen else 0
        if quiet and quiet % ALIVE_EVERY == 0:
            yield b":\n\n"
        if quiet == 0 or looks % WHOLE_EVERY == 0:
            follows = screen.number == seen + 1 and looks % WHOLE_EVERY != 0
            yield b"data: " + (screen.change if follows else screen.whole) + b"\n\n"
        seen, looks = screen.number, looks + 1
        await stream.pause(EVERY_S)
