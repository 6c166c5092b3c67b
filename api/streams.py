"""Open streams of server-sent events: counted in pools, woken together by the commit's bell, ended with the server.

Nothing is kept for a reader: each has a place and is asked what is next only when the last piece has left. Who does not
take a piece within SLOW_S is dropped, and comes back from where it was.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.failures import sorry
from controller.feed import Feed

log = structlog.get_logger()

SLOW_S = 20.0
RING_EVERY_S = 0.1  # a storm of commits wakes a thousand readers ten times a second, not a thousand times
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Pool(msgspec.Struct, frozen=True):
    """Room for so many streams, and for so many of one reader; each kind of reader has a pool of its own."""

    name: str
    most: int
    each: int


RESIDENTS = Pool("resident", 1_000, 8)  # one phone, reloaded in haste
CONSOLES = Pool("console", 400, 150)  # one wall of screens under one name
PROGRAMS = Pool("program", 100, 10)


class Stream:
    """One reader. `rest` returns True early when there is news, `open` falls when it shall end."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._over = asyncio.Event()

    @property
    def open(self) -> bool:
        return not self._over.is_set()

    def ring(self) -> None:
        self._rung.set()

    def hush(self) -> None:
        """Before looking: what happens from here on rings again."""
        self._rung.clear()

    def end(self) -> None:
        self._over.set()
        self._rung.set()

    async def rest(self, seconds: float) -> bool:
        return await _within(self._rung, seconds)

    async def pause(self, seconds: float) -> bool:
        """As `rest`, for whom news is no reason to hurry; True when it shall end."""
        return await _within(self._over, seconds)


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


class _Bell:
    """The readers of one loop, rung from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.streams: set[Stream] = set()
        self._loop = loop
        self._asked = False
        self._last_s = -RING_EVERY_S

    def ring(self) -> None:
        if not self._asked:
            self._asked = True
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._soon)

    def _soon(self) -> None:
        self._loop.call_later(max(0.0, self._last_s + RING_EVERY_S - self._loop.time()), self._now)

    def _now(self) -> None:
        self._asked, self._last_s = False, self._loop.time()
        for stream in self.streams:
            stream.ring()

    def end(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        for stream in self.streams:
            stream.end()


class Streams:
    """Every stream of this program."""

    def __init__(self, feed: Feed) -> None:
        self.dropped = 0
        self.refused = 0
        self._bells: dict[asyncio.AbstractEventLoop, _Bell] = {}
        self._open: Counter[str] = Counter()
        self._closed = False
        feed.listen(self._ring)

    def count(self, pool: Pool) -> int:
        return self._open[pool.name]

    def room(self, pool: Pool, who: str) -> int:
        """200, or the status of the refusal."""
        if self._closed or self._open[pool.name] >= pool.most:
            return 503
        return 429 if self._open[f"{pool.name}:{who}"] >= pool.each else 200

    @contextlib.contextmanager
    def opened(self, pool: Pool, who: str) -> Iterator[Stream]:
        stream, names = Stream(), (pool.name, f"{pool.name}:{who}")
        loop = asyncio.get_running_loop()
        bell = self._bells.setdefault(loop, _Bell(loop))
        bell.streams.add(stream)
        self._open.update(names)
        try:
            yield stream
        finally:
            self._open.subtract(names)
            self._open += Counter()  # forgets the zeros
            bell.streams.discard(stream)
            if not bell.streams:
                self._bells.pop(loop, None)

    def _ring(self) -> None:
        for bell in tuple(self._bells.values()):
            bell.ring()

    def close(self) -> None:
        """The server stops: whoever reads is told to come back later by the end of the stream."""
        self._closed = True
        for bell in tuple(self._bells.values()):
            bell.end()


def streams_of(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


Source = Callable[[Stream], AsyncIterator[bytes]]


class EventStream(Response):
    """Sends what `source` gives, if there is room; else a polite refusal, after which browsers poll."""

    media_type = "text/event-stream"

    def __init__(self, request: Request, pool: Pool, who: str, source: Source) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._request = request
        self._pool = pool
        self._who = who
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        streams = streams_of(self._request)
        status = streams.room(self._pool, self._who)
        if status != 200:
            streams.refused += 1
            await _refusal(self._request, status)(scope, receive, send)
            return
        with streams.opened(self._pool, self._who) as stream:
            gone = asyncio.create_task(_until_gone(receive, stream))
            try:
                await self._sent(stream, send)
            except TimeoutError:
                streams.dropped += 1
                log.warning("slow reader dropped", pool=self._pool.name, path=self._request.url.path)
            finally:
                gone.cancel()

    async def _sent(self, stream: Stream, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        source = self._source(stream)
        try:
            async for piece in source:
                async with asyncio.timeout(SLOW_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                if not stream.open:
                    break
        finally:
            await source.aclose()  # type: ignore[attr-defined]
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive, stream: Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()


def _refusal(request: Request, status: int) -> Response:
    if status == 429:
        return sorry(request, 429, "streams_each", "you have too many streams open", Retry_After="30")
    return sorry(request, 503, "streams_full", "there is no room for another stream", Retry_After="30")


def message(data: bytes, place: int | None = None, event: str = "") -> bytes:
    """One message; `data` is of one line, as JSON is."""
    head = (f"id: {place}\n" if place is not None else "") + (f"event: {event}\n" if event else "")
    return head.encode() + b"data: " + data + b"\n\n"
