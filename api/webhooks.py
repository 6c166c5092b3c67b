"""POST /webhooks/{provider}: verified notices of money become events; 204 only after they are on disk."""

from typing import Any

import structlog
from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from api.door import asked
from api.problems import problem
from api.providers import PROVIDERS, EventKind, EventState, ProviderEvent
from api.services import Services, services_of
from controller.core.errors import BadFrame, Refused
from controller.core.events import Event, PaymentConfirmed, RefundConfirmed

log = structlog.get_logger()

router = APIRouter(tags=["webhooks"], include_in_schema=False)
_WAIT = ("overloaded", "database_away")  # these are no decisions: the provider tries again


@router.post("/webhooks/{provider}")
async def notice(provider: str, request: Request) -> Response:
    services = services_of(request)
    module = PROVIDERS.get(provider)
    if module is None or not _has_keys(services):
        raise HTTPException(404)
    try:
        now = services.clock.now().at
        said: ProviderEvent = module.verify(request.headers, await request.body(), now, services.provider_keys)
    except BadFrame as bad:
        return _not_true(provider, bad)
    if (said.merchant, said.app) != (services.provider_merchant, services.provider_app):
        log.warning("notice for another merchant", provider=provider, event_id=said.event_id)
        return problem(403, "wrong_merchant", "this notice is not for us")
    return await _taken(services, said)


def _has_keys(services: Services) -> bool:
    """An empty secret signs for anybody, so it is no secret."""
    return bool(services.provider_keys) and all(services.provider_keys.values())


def _not_true(provider: str, bad: BadFrame) -> Response:
    log.warning("notice refused", provider=provider, kind=bad.kind)
    status = {"size": 413, "malformed": 400}.get(bad.kind, 401)
    return problem(status, f"notice_{bad.kind}", "this notice was not believed")


async def _taken(services: Services, said: ProviderEvent) -> Response:
    """A refusal is an answer too: sending it again would change nothing, so the provider is told 204."""
    event = _event(services, said)
    try:
        if event is not None:
            await asked(services, event)
    except Refused as refused:
        if refused.code in _WAIT:
            raise
        log.error("notice refused by the books", event_id=said.event_id, order=said.order_no, code=refused.code)
    return Response(status_code=204)


def _event(services: Services, said: ProviderEvent) -> Event | None:
    now = services.clock.now()
    common: dict[str, Any] = {
        "at": now.at,
        "steady_s": now.steady_s,
        "key": f"{said.provider}:{said.event_id}",
        "provider": said.provider,
        "merchant": said.merchant,
        "amount_fen": said.amount_fen,
    }
    if said.kind is EventKind.REFUND and said.state is not EventState.PAID:
        return RefundConfirmed(**common, refund=said.refund_no, state=str(said.state))
    if said.kind is EventKind.PAYMENT and said.state is EventState.PAID:
        return PaymentConfirmed(**common, app=said.app, order=said.order_no, txn=said.txn_id, currency=said.currency)
    return None  # a payment that closed moves no money
