"""Sessions with their story and evidence, and the stop that always wins."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api.door import asked
from api.services import services_of
from api.v1.calls import CHANGES, READS, Anybody, Call, Calling, Limit, Offset, Onsite, Text, check_site, not_found
from api.v1.money_shapes import Overview, Session, SessionDetail, Stopped
from api.v1.shapes import Listed
from controller.core.errors import Refused
from controller.core.events import StopAsked
from controller.core.reasons import StopReason

router = APIRouter(tags=["sessions"])
Moment = Annotated[float | None, Query(ge=0, le=1e11, description="UTC, unix seconds.")]


@router.get(
    "/sessions",
    operation_id="listSessions",
    summary="Sessions, newest first",
    responses=READS,
    response_model=Listed[Session],
)
def list_sessions(
    staffer: Anybody,
    request: Request,
    outlet: Text = "",
    card: Text = "",
    phase: Text = "",
    reason: Text = "",
    since_at: Moment = None,
    until_at: Moment = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> Any:
    return services_of(request).queries.sessions(
        staffer.scope,
        outlet=outlet,
        card=card,
        phase=phase,
        reason=reason,
        since_at=since_at,
        until_at=until_at,
        limit=limit,
        offset=offset,
    )


@router.get(
    "/sessions/{session}",
    operation_id="getSession",
    summary="One session: readings, evidence, bill, money",
    responses=READS,
    response_model=SessionDetail,
)
def get_session(session: str, staffer: Anybody, request: Request) -> Any:
    row = services_of(request).queries.session(session)
    if row is None or not staffer.sees(row.site_id):
        raise not_found()
    return row


@router.post(
    "/sessions/{session}/stop",
    operation_id="stopSession",
    summary="Stop a charge",
    responses={**CHANGES, 202: {"model": Stopped, "description": "Off already; the record follows."}},
)
async def stop_session(session: str, staffer: Onsite, call: Calling, response: Response) -> Stopped:
    """The OFF leaves at once, whatever the database does; the bill follows when off is proven."""
    view = call.services.board.by_session(session)
    if view is None:
        await _check_ended(call, session, staffer.scope)
        raise Refused("already_settled", "that session has ended")
    check_site(staffer, view.site)
    event = StopAsked(
        at=call.at,
        steady_s=call.steady_s,
        key=call.key,
        session=session,
        outlet=view.outlet,
        by=staffer.by,
        reason=StopReason.STOPPED_BY_STAFF,
    )
    pending = bool((await asked(call.services, event)).get("pending"))
    response.status_code = 202 if pending else 200
    return Stopped(session=session, pending=pending)


async def _check_ended(call: Call, session: str, scope: tuple[str, ...] | None) -> None:
    row = await run_in_threadpool(call.services.queries.session, session)
    if row is None or (scope is not None and row.site_id not in scope):
        raise not_found()


@router.get("/overview", operation_id="getOverview", summary="Sums since a moment", responses=READS)
def get_overview(staffer: Anybody, request: Request, since_at: Moment = None) -> Overview:
    """Without `since_at`: the last 24 hours."""
    services = services_of(request)
    since = services.clock.now().at - 86_400 if since_at is None else since_at
    return Overview.model_validate(services.queries.overview(since, staffer.scope))
