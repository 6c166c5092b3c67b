"""How much is logged, and the diagnostics; for those who mend."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.diagnosis import GZIP, diagnosis
from api.services import Services, services_of
from api.v1.calls import CHANGES, READS, Calling, Maintainer
from api.v1.scopes import EVERYWHERE
from api.v1.shapes import LogLevelNow, NewLogLevel
from controller.core.errors import Refused
from controller.core.events import Change
from controller.ports import Watch

router = APIRouter(tags=["watching"])


_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A .tar.gz of text files.",
        "content": {GZIP: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get(
    "/log-level", operation_id="getLogLevel", summary="How much is logged", responses=READS, dependencies=[EVERYWHERE]
)
async def get_log_level(staffer: Maintainer, request: Request) -> LogLevelNow:
    return LogLevelNow.model_validate(watch_of(services_of(request)).log_level())


@router.post(
    "/log-level",
    operation_id="setLogLevel",
    summary="Log more for a while",
    responses=CHANGES,
    dependencies=[EVERYWHERE],
)
async def set_log_level(body: NewLogLevel, staffer: Maintainer, call: Calling) -> LogLevelNow:
    """Holds at once, with the database away as well; the audit log has who did it."""
    watch = watch_of(call.services)
    watch.set_log_level(body.level, body.for_s)
    await call.changed(staffer, Change.LOG_LEVEL, "gateway", body.model_dump())
    return LogLevelNow.model_validate(watch.log_level())


@router.get(
    "/diagnostics",
    operation_id="getDiagnostics",
    summary="What a maintainer needs to know",
    response_class=Response,
    responses={**READS, **_FILE},
    dependencies=[EVERYWHERE],
)
async def get_diagnostics(staffer: Maintainer, request: Request) -> Response:
    """Versions, settings, findings, log lines, stacks, queues, trips, alarms. No secrets, no payers."""
    return await diagnosis(services_of(request))


def watch_of(services: Services) -> Watch:
    if services.watch is None:
        raise Refused("unknown", "nobody watches this gateway")
    return services.watch
