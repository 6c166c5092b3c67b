"""The web side, put together: services over a gateway, and uvicorn to serve them."""

import contextlib
import secrets
import signal
import socket
import threading
from typing import Any

import msgspec
import uvicorn

from anchong.strangers import Around
from anchong.wiring import Gateway
from api.services import FIRST_OWNER_S, FirstOwner, Services
from controller.ports import Watch

SHUT_S = 2  # nobody's slow request keeps the server from stopping


class WebPlan(msgspec.Struct, frozen=True, kw_only=True):
    sticker_keys: dict[str, bytes]
    sign_key: bytes
    public_url: str
    provider: str
    provider_keys: dict[str, bytes]
    merchant: str
    app: str
    demo: bool = False
    factor: float = 1.0
    metrics_token: str = ""
    watch_key: str = ""


def services(gateway: Gateway, plan: WebPlan, first_owner: FirstOwner | None, watch: Watch | None = None) -> Services:
    return Services(
        door=gateway,
        board=gateway.board,
        queries=gateway.queries,
        clock=gateway.plan.clock,
        sticker_keys=plan.sticker_keys,
        provider=plan.provider,
        provider_keys=plan.provider_keys,
        provider_merchant=plan.merchant,
        provider_app=plan.app,
        public_url=plan.public_url,
        sign_key=plan.sign_key,
        secure_cookies=plan.public_url.startswith("https://"),
        demo=plan.demo,
        factor=plan.factor,
        rules=gateway.plan.rules,
        first_owner=first_owner,
        feed=gateway.feed,
        rights=gateway.rights,
        postman=gateway.plan.postman,
        standing=gateway.couriers.standing,
        mails=gateway.plan.notifier is not None,
        faults=gateway.router.faults,
        readers=gateway.readers,
        strangers=Around(gateway.engine.house, gateway.router, gateway.plan.clock),
        watch=watch,
        metrics_token=plan.metrics_token,
        watch_key=plan.watch_key,
    )


def first_owner_link(gateway: Gateway, public_url: str, real_steady_s: float) -> tuple[FirstOwner | None, str]:
    """The one-time link, on a database without an owner; it is good for half an hour."""
    if gateway.queries.staff():
        return None, ""
    token = secrets.token_urlsafe(16)
    return FirstOwner(token, real_steady_s + FIRST_OWNER_S), f"{public_url}/first/{token}"


class Server(uvicorn.Server):
    """Ends open streams the moment it is to stop: they would keep it from stopping."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app: Any = self.config.app
        app.state.streams.close()
        await super().shutdown(sockets)


def server(the: Services, host: str, port: int) -> uvicorn.Server:
    from api.app import make_app  # noqa: PLC0415 - half a second that no other command should pay

    config = uvicorn.Config(
        make_app(the),
        host=host,
        port=port,
        log_level="warning",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=SHUT_S,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1",
    )
    return Server(config)


def serve(the: Services, host: str, port: int, for_s: float = 0.0) -> None:
    """Until Ctrl-C, SIGTERM, or `for_s` real seconds. Returns in each case, so that the caller can end the rest."""
    web = server(the, host, port)
    # uvicorn raises the signal again once it has stopped; unhandled, a SIGTERM would then end us on the spot
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if for_s:
        stopper = threading.Timer(for_s, lambda: setattr(web, "should_exit", True))
        stopper.daemon = True
        stopper.start()
    with contextlib.suppress(KeyboardInterrupt):
        web.run()
