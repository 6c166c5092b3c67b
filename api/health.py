"""Is it alive, would it start something new: for a supervisor, a load balancer, whoever is called at night.

Both read memory alone, so they answer before the first owner and while the database is away.
"""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from api.services import Services, services_of
from controller.readiness import Check

STUCK_S = 10.0  # the decider steps twice a second when there is nothing to do

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz(request: Request) -> JSONResponse:
    """503 when the decider has not stepped for STUCK_S: restart it."""
    age_s = stepped_s_ago(services_of(request))
    alive = age_s is not None and age_s <= STUCK_S
    body = {"status": "ok" if alive else "stuck" if age_s is not None else "starting", "stepped_s_ago": _rounded(age_s)}
    return JSONResponse(body, 200 if alive else 503)


@router.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """503 while nothing new would be started; each check with its reason, and since when it is as it is."""
    services = services_of(request)
    checks, health = checks_of(services), services.board.health
    ready = all(check.ok for check in checks)
    body: dict[str, Any] = {
        "ready": ready,
        "checks": [{"name": c.name, "ok": c.ok, "why": c.why, "since": c.since} for c in checks],
        "sessions_live": health.sessions_live,
        "links_down": health.links_down,
        "at": services.clock.now().at,
    }
    return JSONResponse(body, 200 if ready else 503)


def stepped_s_ago(services: Services) -> float | None:
    """Real seconds since the decider last said how it is; None before its first step."""
    said_s = services.board.health.steady_s
    return None if said_s is None else services.clock.wait_s(services.clock.now().steady_s - said_s)


def checks_of(services: Services) -> tuple[Check, ...]:
    """The decider's own word on each condition, itself first; and ours on it if it has fallen silent."""
    age_s, at = stepped_s_ago(services), services.board.health.at
    said = services.board.checks
    if age_s is None:
        return (Check("decider", False, "the first step has not been taken yet", at),)
    if age_s > STUCK_S:
        return (Check("decider", False, f"no step for {age_s:.0f} s", at), *said[1:])
    return said


def _rounded(age_s: float | None) -> float | None:
    return None if age_s is None else round(age_s, 1)
