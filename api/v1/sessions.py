"""Sessions with their readings, evidence and story, and the stop that always wins."""

from typing import Any, Literal

from fastapi import APIRouter, Request, Response

from api.door import asked
from api.evidence import ZIP, download, facts
from api.services import services_of
from api.v1.calls import CHANGES, READS, Anybody, Call, Calling, Onsite, Text, not_found
from api.v1.money_shapes import (
    Overview,
    PlugAnswer,
    Reading,
    Readings,
    Session,
    SessionDetail,
    StopEvidence,
    Stopped,
    Story,
)
from api.v1.scopes import InScope, SessionAt, Stoppable
from api.v1.shapes import Rows
from api.v1.turns import Moment, Time, Turning, linked
from controller.core.errors import Refused
from controller.core.events import PlugAnswered, StopAsked
from controller.core.reasons import StopReason
from controller.core.state import Phase
from controller.views import View

router = APIRouter(tags=["sessions"])


@router.get("/sessions", operation_id="listSessions", summary="Sessions, newest first", responses=READS)
def list_sessions(
    staffer: Anybody,
    sites: InScope,
    turn: Turning,
    opened: Time,
    request: Request,
    response: Response,
    outlet: Text = "",
    card: Text = "",
    party: Text = "",
    phase: Phase | None = None,
    reason: StopReason | None = None,
    sort: Literal["-opened_at", "opened_at"] = "-opened_at",
) -> Rows[Session]:
    """`since_at` and `until_at` are about `opened_at`."""
    page = services_of(request).queries.lists.sessions(
        turn.by(sort),
        sites,
        outlet=outlet,
        card=card,
        party=party,
        phase=phase or "",
        reason=reason or "",
        opened=opened,
    )
    return Rows[Session].model_validate(linked(request, response, page))


@router.get(
    "/sessions/{session}",
    operation_id="getSession",
    summary="One session: readings, evidence, bill, money",
    responses=READS,
)
def get_session(staffer: Anybody, session: SessionAt, request: Request) -> SessionDetail:
    return SessionDetail.model_validate(services_of(request).queries.session(session.id))


@router.get(
    "/sessions/{session}/readings", operation_id="listReadings", summary="What was drawn, and when", responses=READS
)
def list_readings(staffer: Anybody, session: SessionAt, request: Request, since_at: Moment = None) -> Readings:
    """Of a charge under way those so far: ask again with `since_at` of the newest you have."""
    services = services_of(request)
    found = services.queries.readings(session.id)
    points = [] if found is None else [(found.from_at + t_s, w, wh) for t_s, w, wh in found.curve]
    rows = [Reading(at=at, power_w=w, used_wh=wh) for at, w, wh in points if since_at is None or at > since_at]
    return Readings(rows=rows, now=_now(services.board.by_session(session.id)))


def _now(view: View | None) -> Reading | None:
    if view is None or view.reading_at is None or view.power_w is None:
        return None
    return Reading(at=view.reading_at, power_w=view.power_w, used_wh=view.used_wh)


@router.get("/sessions/{session}/evidence", operation_id="getEvidence", summary="Why it was cut", responses=READS)
def get_evidence(staffer: Anybody, session: SessionAt, request: Request) -> StopEvidence:
    return StopEvidence.model_validate(services_of(request).queries.session(session.id))


_PACK: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A .zip: session.json, curve.csv and .svg, commands.csv, trips.csv, money.json, SHA256SUMS.",
        "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get(
    "/sessions/{session}/evidence.zip",
    operation_id="getEvidencePack",
    summary="All the evidence of one session",
    response_class=Response,
    responses={**READS, **_PACK},
)
def get_evidence_pack(staffer: Anybody, session: SessionAt, request: Request, lang: Literal["zh", "en"] = "zh") -> Any:
    """Why it was cut, curve, commands, trips and money; `anchong replay` reads its curve. No names, no secrets."""
    services = services_of(request)
    found = services.queries.session(session.id)
    if found is None:
        raise not_found()
    return download(facts(services, found), lang, staff=True)


@router.get("/sessions/{session}/story", operation_id="getStory", summary="What happened, in order", responses=READS)
def get_story(staffer: Anybody, session: SessionAt, request: Request) -> Story:
    return Story.model_validate({"rows": services_of(request).queries.moments(session.id)})


@router.post(
    "/sessions/{session}/stop",
    operation_id="stopSession",
    summary="Stop a charge",
    responses={**CHANGES, 202: {"model": Stopped, "description": "Off already; the record follows."}},
)
async def stop_session(staffer: Onsite, session: Stoppable, call: Calling, response: Response) -> Stopped:
    """The OFF leaves at once, whatever the database does; the bill follows when off is proven."""
    event = StopAsked(
        at=call.at,
        steady_s=call.steady_s,
        key=call.key,
        session=session,
        outlet=_live_outlet(call, session),
        by=staffer.by,
        reason=StopReason.STOPPED_BY_STAFF,
    )
    pending = bool((await asked(call.services, event)).get("pending"))
    response.status_code = 202 if pending else 200
    return Stopped(session=session, pending=pending)


@router.post(
    "/sessions/{session}/plug",
    operation_id="answerPlug",
    summary="Say whether what is plugged in now belongs to this session",
    responses=CHANGES,
)
async def answer_plug(body: PlugAnswer, staffer: Onsite, session: Stoppable, call: Calling) -> PlugAnswer:
    """While it is suspended because another load came than had left. Its own: it goes on. Another's: it ends, billed
    up to when the load left. The payer answers on their page; the first answer holds. Audited."""
    event = PlugAnswered(
        at=call.at,
        steady_s=call.steady_s,
        key=call.key,
        session=session,
        outlet=_live_outlet(call, session),
        by=staffer.by,
        mine=body.mine,
    )
    await asked(call.services, event)
    return body


def _live_outlet(call: Call, session: str) -> str:
    view = call.services.board.by_session(session)
    if view is None:
        raise Refused("already_settled", "that session has ended")
    return view.outlet


@router.get("/overview", operation_id="getOverview", summary="Sums since a moment", responses=READS)
def get_overview(
    staffer: Anybody,
    sites: InScope,
    request: Request,
    since_at: Moment = None,
) -> Overview:
    """Without `since_at`: the last 24 hours."""
    services = services_of(request)
    since = services.clock.now().at - 86_400 if since_at is None else since_at
    return Overview.model_validate(services.queries.overview(since, sites))
