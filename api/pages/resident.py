"""The resident's pages: scan, pay, watch, stop, get the rest back; every step works without a script."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api import evidence
from api.door import NotNow, asked
from api.pages import charge, notices, pauses, reader, scan, words
from api.pages.charge import Charge, State
from api.pages.followed import Followed
from api.pages.shell import AwayError, FriendlyRoute, notice, page, part, read
from api.services import Services, hashed, services_of
from api.streams import HEADERS, RESIDENTS, EventStream, Stream
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.reasons import StopReason
from controller.views import View

BEAT_S = 1.0
QUIET_BEATS = 5  # the same again, so that the page knows it is heard
MAX_BEATS = 1800  # browsers come back by themselves

router = APIRouter(route_class=FriendlyRoute, include_in_schema=False)
router.include_router(scan.router)
router.include_router(notices.router)
router.include_router(reader.router)


def _missing(request: Request) -> HTMLResponse:
    return page(request, "resident/notice.html", 404, **notice("missing", mark="fault"))


@router.get("/paid/{order}")
async def back_from_paying(request: Request, order: str) -> Response:
    """Where the provider sends the payer back to: it knows the order's number, the cookie alone its secret."""
    services = services_of(request)
    secret = request.cookies.get(scan.cookie_name(services))
    found = await charge.known(services, secret) if secret is not None else None
    if found is None or found.order is None or found.order.id != order:
        return _missing(request)
    return RedirectResponse(f"/O/{secret}", 303)


@router.get("/O/{secret}")
async def watched(request: Request, secret: str) -> Response:
    services = services_of(request)
    found = await charge.known(services, secret)
    if found is None:
        return _missing(request)
    lang = words.lang_of(request)
    return page(
        request,
        "resident/charge.html",
        c=found,
        view=found.view,
        fields=charge.figures(found, lang, services),
        patience_s=_patience_s(services, found),
        channel=_channel(lang, found),
        curve=await _curve(services, lang, found),
        told=charge.explained(lang, found),
        doubt=pauses.doubt_of(lang, found.view, found.zone),
        notice=await notices.of_page(services, found),
        curve_s=max(2, round(30 / services.factor)),
        url=f"/O/{secret}",
    )


def _patience_s(services: Services, found: Charge) -> float:
    paused = found.view is not None and found.view.paused
    return services.rules.resume_max_s if paused else services.rules.queue_max_s


def _channel(lang: str, found: Charge) -> str:
    provider = found.order.provider if found.order is not None else "other"
    return words.t(lang, f"channel.{provider}" if words.knows(lang, f"channel.{provider}") else "channel.other")


async def _curve(services: Services, lang: str, found: Charge) -> str:
    """A picture is no reason to fail: without the records the page does without."""
    if found.order is None or found.state not in (State.CHARGING, State.QUESTIONED, State.ENDING, State.FINISHED):
        return ""
    try:
        session = found.session or await read(services.queries.session_by_order, found.order.id)
    except AwayError:
        return ""
    return charge.curve(lang, session, found.view, found.at) if session is not None else ""


@router.get("/O/{secret}/curve")
async def curve_alone(request: Request, secret: str) -> Response:
    services = services_of(request)
    found = await charge.known(services, secret)
    if found is None:
        return _missing(request)
    svg = await _curve(services, words.lang_of(request), found)
    return HTMLResponse(part(request, "resident/curve.html", curve=svg), headers={"Cache-Control": "no-store"})


@router.get("/O/{secret}/live")
async def live(request: Request, secret: str, once: bool = False) -> Response:
    """Server-sent events; with `?once=1` one message as JSON, for browsers behind proxies that hold streams back."""
    services, lang = services_of(request), words.lang_of(request)
    found = await charge.known(services, secret)
    if found is None:
        return _missing(request)
    if once:
        return Response(charge.told(found, lang, services), media_type="application/json", headers=HEADERS)
    return EventStream(request, RESIDENTS, hashed(secret), lambda stream: beats(stream, services, secret, lang))


async def beats(stream: Stream, services: Services, secret: str, lang: str) -> AsyncIterator[bytes]:
    """Says what changed, at most once a beat, until nothing more can change or nobody listens."""
    followed, last, quiet = Followed(services, secret), b"", 0
    for _ in range(MAX_BEATS):
        message, over = await _told(followed, services, lang, last)
        if message != last or quiet >= QUIET_BEATS:
            yield b"data: " + message + b"\n\n"
            last, quiet = message, 0
        if over or not stream.open:
            return
        quiet += 1
        await stream.pause(BEAT_S)


async def _told(followed: Followed, services: Services, lang: str, last: bytes) -> tuple[bytes, bool]:
    try:
        found = await followed.look()
    except AwayError:
        return last, False
    return (last, True) if found is None else (charge.told(found, lang, services), found.over)


@router.post("/O/{secret}/stop")
async def stopped(request: Request, secret: str, sure: Annotated[str, Form(max_length=1)] = "") -> Response:
    """Asks once. Needs no database: the board knows the session, and the OFF waits for nobody."""
    services = services_of(request)
    view = services.board.by_secret(hashed(secret))
    if view is None or view.session is None or _ending(view):
        return RedirectResponse(f"/O/{secret}", 303)
    if sure != "1":
        return page(
            request, "resident/stop.html", view=view, url=f"/O/{secret}", rest_fen=view.hold_fen - view.cost_fen
        )
    return await _stop(request, services, view, secret)


def _ending(view: View) -> bool:
    """For good; who is only paused may still decide not to come back."""
    return view.session_phase == "closing" and not view.paused


async def _stop(request: Request, services: Services, view: View, secret: str) -> Response:
    now = services.clock.now()
    event = ev.StopAsked(
        at=now.at,
        steady_s=now.steady_s,
        key=f"stop:{view.session}",  # one session is stopped once, however often the button is pressed
        session=view.session or "",
        outlet=view.outlet,
        by=f"party:{view.party}",
        reason=StopReason.STOPPED_BY_RESIDENT,
    )
    try:
        answer = await asked(services, event)
    except NotNow:
        return page(request, "resident/notice.html", 503, **notice("stop_slow", retry=f"/O/{secret}"))
    except Refused as refused:
        if refused.code != "already_settled":
            raise
        answer = {}
    if answer.get("pending"):
        return page(request, "resident/notice.html", 202, **notice("stop_sent", retry=f"/O/{secret}", mark="done"))
    return RedirectResponse(f"/O/{secret}", 303)


@router.post("/O/{secret}/plug")
async def plug_answered(
    request: Request,
    secret: str,
    mine: Annotated[str, Form(max_length=1)] = "",
    doubt: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Whose is it, what draws power now? The first answer to a question holds; it may be pressed twice.

    A page that lay open since an earlier `doubt` answers nothing: it is drawn anew, with what is asked now.
    """
    services = services_of(request)
    view = services.board.by_secret(hashed(secret))
    if view is None or view.session is None or view.pause is None or mine not in ("0", "1"):
        return RedirectResponse(f"/O/{secret}", 303)
    if not pauses.is_asked(view.pause, doubt):
        return RedirectResponse(f"/O/{secret}", 303)
    now = services.clock.now()
    event = ev.PlugAnswered(
        at=now.at,
        steady_s=now.steady_s,
        key=f"plug:{view.session}:{view.pause.at:.0f}",
        session=view.session,
        outlet=view.outlet,
        by=f"party:{view.party}",
        mine=mine == "1",
    )
    await asked(services, event)
    return RedirectResponse(f"/O/{secret}", 303)


@router.post("/O/{secret}/cancel")
async def cancelled(request: Request, secret: str) -> Response:
    """Before a payment it closes the order; before a load was seen it is a stop, and everything comes back."""
    services = services_of(request)
    view = services.board.by_secret(hashed(secret))
    if view is not None and view.session is not None and not _ending(view):
        return await _stop(request, services, view, secret)
    order = await read(services.queries.order_by_secret, hashed(secret))
    if order is None:
        return _missing(request)
    if order.state == "open":
        now = services.clock.now()
        key = f"cancel:{order.id}"
        await asked(services, ev.OrderCancelled(at=now.at, steady_s=now.steady_s, key=key, order=order.id))
    return RedirectResponse(f"/O/{secret}", 303)


@router.get("/O/{secret}/evidence.zip")
async def evidence_pack(request: Request, secret: str) -> Response:
    """All we know of this charge, for whoever paid for it."""
    services, lang = services_of(request), words.lang_of(request)
    found = await charge.known(services, secret)
    if found is None or found.session is None:
        return _missing(request)
    return evidence.download(await read(evidence.facts, services, found.session), lang, staff=False)


@router.get("/O/{secret}/receipt")
async def receipt(request: Request, secret: str) -> Response:
    found = await charge.known(services_of(request), secret)
    if found is None:
        return _missing(request)
    if found.session is None or found.session.receipt is None:
        return page(request, "resident/notice.html", 404, **notice("no_receipt", retry=f"/O/{secret}"))
    channel = _channel(words.lang_of(request), found)
    return page(request, "resident/receipt.html", c=found, s=found.session, channel=channel, url=f"/O/{secret}")
