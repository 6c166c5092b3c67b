"""The feed for programs: a resumable stream of server-sent events, or the same in pages."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from api.auth import Staffer, current
from api.services import services_of
from api.streams import PROGRAMS, EventStream, Source, Stream, message
from api.throttle import TooFast
from api.v1.calls import READS, Anybody, problems
from api.v1.link_shapes import DATA, Event, Events, Gap, KindOfEvent
from api.v1.scopes import EVERYWHERE, MySites
from controller.core.errors import Refused
from controller.core.feed import KINDS, MONEY_KINDS
from controller.feed import Kept
from controller.follow import Follower

router = APIRouter(tags=["events"])

SSE: Final = "text/event-stream"
ALIVE_S: Final = 15.0
BATCH: Final = 200
MONEY_ROLES: Final = ("manager", "finance", "auditor")
PLACE_MAX: Final = 10**18

Kinds = Annotated[
    str,
    Query(
        max_length=1000,
        pattern=r"^[a-z_.,]*$",
        description="Comma-separated; a first word stands for all of its kinds (`session`). Without: all you may see.",
        examples=["session,refund.failed"],
    ),
]
Since = Annotated[
    int | None,
    Query(ge=0, le=PLACE_MAX, description="Events after this id; 0: all that are kept. Without: from now on."),
]
LastEventId = Annotated[
    str | None,
    Header(pattern=r"^[0-9]{1,18}$", description="As browsers send it when they come back; it goes before `since`."),
]
Limit = Annotated[int, Query(ge=1, le=500, description="Of a page.")]


class _Wanted(msgspec.Struct, frozen=True):
    follower: Follower
    since: int | None


def _wanted(
    staffer: Anybody,
    sites: MySites,
    request: Request,
    kinds: Kinds = "",
    since: Since = None,
    last_event_id: LastEventId = None,
) -> _Wanted:
    services, asked = services_of(request), _kinds(kinds) & _seen_by(staffer)
    follower = Follower(services.feed, services.queries.links, asked, sites, siteless=("card.topped_up",))
    return _Wanted(follower, since if last_event_id is None else int(last_event_id))


def _kinds(asked: str) -> frozenset[str]:
    words = [word for word in asked.split(",") if word]
    unknown = next((word for word in words if not any(_names(word, kind) for kind in KINDS)), None)
    if unknown is not None:
        raise Refused("invalid", f"there are no events of the kind {unknown}")
    return frozenset(kind for kind in KINDS if not words or any(_names(word, kind) for word in words))


def _names(word: str, kind: str) -> bool:
    return word in (kind, kind.partition(".")[0])


def _seen_by(staffer: Staffer) -> frozenset[str]:
    """Who may not list money is not told of it either."""
    return frozenset(KINDS) if staffer.may(*MONEY_ROLES) else frozenset(KINDS) - MONEY_KINDS


Wanted = Annotated[_Wanted, Depends(_wanted)]


# -- the stream ---------------------------------------------------------------------------------------------------

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page; or, to `Accept: text/event-stream`, messages without end: `id` is where to go on, "
        "`data` an Event. A message named `gap` says what is no longer kept.",
    }
}


@router.get(
    "/events",
    operation_id="followEvents",
    summary="What happens, as a stream or in pages",
    response_model=Events,
    responses={**READS, **problems(429), **_STREAM},
)
async def follow_events(staffer: Anybody, wanted: Wanted, request: Request, limit: Limit = BATCH) -> Any:
    """Who accepts text/event-stream gets the stream; it goes on after a cut by Last-Event-ID, nothing lost or doubled.

    Everybody else gets a page at once: ask again with `since` = `next`.
    """
    if SSE not in request.headers.get("accept", ""):
        return await run_in_threadpool(_page, wanted, limit)
    place = await run_in_threadpool(wanted.follower.newest) if wanted.since is None else wanted.since
    return EventStream(request, PROGRAMS, staffer.by, _stream_of(request, staffer, wanted.follower, place))


def _page(wanted: _Wanted, limit: int) -> Events:
    follower = wanted.follower
    place = follower.newest() if wanted.since is None else wanted.since
    gap, place = _gap(follower, place)
    events, upto = follower.read(place, limit)
    more = len(events) == limit
    return Events(events=[_shown(event) for event in events], next=upto, more=more, gap=gap)


def _gap(follower: Follower, place: int) -> "tuple[Gap | None, int]":
    """0 is "all that are kept", so nothing is missing then."""
    on = follower.gap(place)
    if on is None:
        return None, place
    return (Gap(after=place, next=on + 1) if place else None), on


def _shown(event: Kept) -> Event:
    return Event.model_validate(event, from_attributes=True)


def _stream_of(request: Request, staffer: Staffer, follower: Follower, place: int) -> Source:
    async def stream_of(stream: Stream) -> AsyncIterator[bytes]:
        yield b"retry: 2000\n\n"
        try:
            async for piece in _pieces(stream, follower, place, lambda: _still(request, staffer)):
                yield piece
        except SQLAlchemyError:
            return  # whoever comes back is told when

    return stream_of


async def _pieces(stream: Stream, follower: Follower, place: int, still: Callable[[], bool]) -> AsyncIterator[bytes]:
    gap, place = await run_in_threadpool(_gap, follower, place)
    if gap is not None:
        yield message(gap.model_dump_json().encode(), gap.next - 1, "gap")
    while stream.open and still():
        stream.hush()
        heard = follower.heard(place, BATCH)
        if heard is None:
            heard = await run_in_threadpool(follower.read, place, BATCH)
        events, place = heard
        if events:
            yield b"".join(message(event.json, event.id) for event in events)
        if len(events) < BATCH and not await stream.rest(ALIVE_S):
            yield b"id: %d\n\n" % place  # no message, but the reader's place moves with ours


def _still(request: Request, before: Staffer) -> bool:
    """The same rights as at the start; who has others now begins anew."""
    try:
        now = current(request)
    except TooFast:
        return False
    return now is not None and (now.id, now.role, now.sites) == (before.id, before.role, before.sites)


@router.get(
    "/events/kinds",
    operation_id="listEventKinds",
    summary="Every kind of event and what its data looks like",
    responses=READS,
    dependencies=[EVERYWHERE],
)
async def list_event_kinds(staffer: Anybody) -> list[KindOfEvent]:
    return [
        KindOfEvent(kind=kind, about=(DATA[kind].__doc__ or "").strip(), json_schema=DATA[kind].model_json_schema())
        for kind in KINDS
    ]
