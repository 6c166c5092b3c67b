"""The diagnostics as a file: for staff who may, and for `anchong diagnostics` on the same machine."""

import hmac
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.auth import bearer_of
from api.failures import sorry
from api.services import Services, services_of
from controller.core.errors import Refused

GZIP = "application/gzip"

router = APIRouter(include_in_schema=False)


@router.get("/diagnostics")
async def by_key(request: Request) -> Response:
    services = services_of(request)
    token = bearer_of(request) or ""
    if not services.watch_key or not hmac.compare_digest(token.encode(), services.watch_key.encode()):
        return sorry(request, 404, "not_found", "Not Found")
    return await diagnosis(services)


async def diagnosis(services: Services) -> Response:
    if services.watch is None:
        raise Refused("unknown", "nobody watches this gateway")
    raw = await run_in_threadpool(services.watch.diagnosis)
    name = f"anchong-{datetime.fromtimestamp(services.clock.now().at, UTC):%Y%m%dT%H%M%SZ}.tar.gz"
    return Response(raw, media_type=GZIP, headers={"content-disposition": f'attachment; filename="{name}"'})
