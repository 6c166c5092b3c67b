"""Tell me by e-mail: an address left on the page of a charge by whoever holds its secret, and forgotten as easily."""

import secrets
from typing import Annotated

import msgspec
from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.door import asked
from api.mail import ADDRESS_MAX, is_address, masked
from api.pages.charge import LIVE, Charge, State
from api.pages.shell import AwayError, FriendlyRoute, notice, page, read
from api.services import Services, hashed, services_of
from controller.core import events as ev
from controller.views import View

router = APIRouter(route_class=FriendlyRoute, include_in_schema=False)

STATES = (*LIVE.values(), State.QUESTIONED)


class Offer(msgspec.Struct, frozen=True):
    """`address` as it is shown, masked; "" while none was left. `key` is the form's: two clicks are one wish."""

    address: str
    key: str


async def of_page(services: Services, found: Charge) -> Offer | None:
    """What the page offers; None where nothing more will be told, or nobody can be written to."""
    if not services.mails or found.state not in STATES or found.view is None or found.view.party is None:
        return None
    try:
        address = await read(services.queries.address, found.view.party)
    except AwayError:
        return None
    return Offer("" if address is None else masked(address), secrets.token_hex(16))


@router.post("/O/{secret}/notices")
async def left(
    request: Request, secret: str, key: Annotated[str, Form(max_length=64)] = "", address: Annotated[str, Form()] = ""
) -> Response:
    """Good for this charge alone; it must be live, so that there is something to tell and an end to forget it at."""
    services, view = _live(request, secret)
    if view is None or not services.mails:
        return RedirectResponse(f"/O/{secret}", 303)
    where = address.strip()
    if len(where) > ADDRESS_MAX or not is_address(where):
        bad = notice("notice.bad", retry=f"/O/{secret}")
        return page(request, "resident/notice.html", 422, **bad)
    now = services.clock.now()
    event = ev.AddressLeft(
        at=now.at,
        steady_s=now.steady_s,
        key=f"address:{view.session}:{key}",
        session=view.session or "",
        outlet=view.outlet,
        party=view.party or "",
        address=where,
    )
    await asked(services, event)
    return RedirectResponse(f"/O/{secret}", 303)


@router.post("/O/{secret}/notices/forget")
async def forgotten(request: Request, secret: str) -> Response:
    """At any time; after the charge it is forgotten already, or will be with the last letter."""
    services, view = _live(request, secret)
    order = None if view is not None else await read(services.queries.order_by_secret, hashed(secret))
    party = view.party if view is not None else order.party_id if order is not None else None
    if party is not None:
        now = services.clock.now()
        key = f"forget:{party}:{now.at}"
        event = ev.AddressForgotten(at=now.at, steady_s=now.steady_s, key=key, party=party, by=f"party:{party}")
        await asked(services, event)
    return RedirectResponse(f"/O/{secret}", 303)


def _live(request: Request, secret: str) -> tuple[Services, View | None]:
    services = services_of(request)
    view = services.board.by_secret(hashed(secret))
    return services, view if view is not None and view.session is not None else None
