"""The web program: every router, the shields before them, and one way to answer problems."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles

from api import diagnosis, health, metrics, webhooks
from api.auth import Logins
from api.failures import answer_problems
from api.links import TRIES_AT_ONCE
from api.negotiation import JsonOnly
from api.pages import console, resident
from api.pages.console.live import Screens
from api.services import Services
from api.shields import BODY_S, BeforeOwner, BodyGuard, SecurityHeaders
from api.stickers import order_storms, wrong_stickers
from api.streams import Streams
from api.tokens import Tokens
from api.traffic import Counted, Traffic
from api.v1 import (
    account,
    bikes,
    chargers,
    devices,
    feed,
    hooks,
    money,
    office,
    outlets,
    readers,
    sessions,
    sites,
    tokens,
    watching,
)
from api.v1.calls import UsedKeys
from api.v1.known import ONLY_KNOWN
from api.v1.spec import openapi_of
from api.version import version

PARTS = (
    account,
    sites,
    chargers,
    outlets,
    devices,
    sessions,
    money,
    bikes,
    readers,
    office,
    watching,
    feed,
    hooks,
    tokens,
)
STATIC = Path(__file__).parent / "pages" / "static"
ABOUT = "Staff use this JSON API: by the cookie of the log-in with X-CSRF-Token, or by its token as Bearer."

front_door = APIRouter(include_in_schema=False)


@front_door.get("/")
async def front() -> RedirectResponse:
    """Residents come by a sticker; whoever types the bare address is staff."""
    return RedirectResponse("/console", 303)


def make_app(services: Services, body_s: float = BODY_S) -> FastAPI:
    app = FastAPI(title="Anchong", version=version(), docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json")
    app.state.services = services
    app.state.logins = Logins()
    app.state.wrong_stickers = wrong_stickers()
    app.state.order_storms = order_storms()
    app.state.used_keys = UsedKeys()
    app.state.staff_lock = asyncio.Lock()
    app.state.tokens = Tokens(services)
    services.rights.listen(app.state.tokens.written)
    services.rights.listen(app.state.logins.written)
    app.state.streams = Streams(services.feed)
    app.state.screens = Screens()
    app.state.hook_tries = asyncio.Semaphore(TRIES_AT_ONCE)
    app.state.trials = Lock()
    app.state.traffic = Traffic()
    _mount(app)
    answer_problems(app)
    app.openapi = _described(app)  # type: ignore[method-assign]
    app.add_middleware(JsonOnly)
    app.add_middleware(BodyGuard, body_s=body_s)  # the last added stands outermost
    app.add_middleware(BeforeOwner, services=services)
    app.add_middleware(SecurityHeaders, services=services)
    app.add_middleware(Counted, traffic=app.state.traffic)
    return app


def _mount(app: FastAPI) -> None:
    app.include_router(front_door)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(diagnosis.router)
    app.include_router(webhooks.router)
    for part in PARTS:
        app.include_router(part.router, prefix="/api/v1", dependencies=[ONLY_KNOWN])
    app.include_router(resident.router)
    app.include_router(console.router)
    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")


def _described(app: FastAPI) -> Callable[[], dict[str, Any]]:
    def spec() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi_of(app, "Anchong", ABOUT)
        return app.openapi_schema

    return spec
