"""The sticker's page and the order it places; the answer to an order leads on to the provider's page."""

import asyncio
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from typing import Annotated

from fastapi import APIRouter, Form
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api import stickers
from api.door import asked
from api.pages import bikes, place, waits, words
from api.pages.shell import FriendlyRoute, notice, page, read
from api.services import Services, hashed, services_of
from api.shields import HEADERS
from api.throttle import Throttle, address_of
from controller.core import events as ev
from controller.core.bikes import STOPS
from controller.core.errors import Refused
from controller.records import OutletDetail
from controller.views import View

PAY_PAGE_S = 2.0  # the provider's page is usually there by then; if not, the order's own page waits on
LOOK_S = 0.05
COOKIE_S = 2 * 24 * 3600
KEY = re.compile(r"[0-9a-f]{32}")

router = APIRouter(route_class=FriendlyRoute, include_in_schema=False)


# -- the sticker --------------------------------------------------------------------------------------------------


@router.get("/S/{sticker}")
@router.get("/s/{sticker}")
async def scanned(request: Request, sticker: str) -> Response:
    """The outlet as it is now; the phone that paid goes to its own charge."""
    services = services_of(request)
    outlet = await _outlet_of(request, sticker)
    if isinstance(outlet, str):
        return _wrong_sticker(request, outlet)
    view = services.board.views.get(outlet.id)
    if view is not None and (mine := _mine(request, services, view)) is not None:
        return RedirectResponse(f"/O/{mine}", 303)
    return await _outlet_page(request, services, outlet, view)


async def _outlet_of(request: Request, text: str) -> OutletDetail | str:
    """The outlet, or which page says why not."""
    services = services_of(request)
    sticker = stickers.scanned(request, text)
    row = None if sticker is None else await read(services.queries.sticker, sticker)
    if row is None:
        return "wrong"
    if row.retired_at is not None:
        return "retired"
    return await read(services.queries.outlet, row.outlet_id) or "wrong"


def _wrong_sticker(request: Request, why: str) -> HTMLResponse:
    status = 410 if why == "retired" else 404
    return page(request, "resident/notice.html", status, **notice(f"sticker_{why}", mark="fault"))


def _mine(request: Request, services: Services, view: View) -> str | None:
    secret = request.cookies.get(cookie_name(services))
    if secret is None or view.secret_hash is None:
        return None
    return secret if hmac.compare_digest(hashed(secret), view.secret_hash) else None


async def _outlet_page(request: Request, services: Services, outlet: OutletDetail, view: View | None) -> Response:
    rules, now = services.rules, services.clock.now()
    state = place.state_of(view, rules)
    line = None if view is None else services.waits.before_paying(services, view)
    response = page(
        request,
        "resident/outlet.html",
        state=state.value,
        outlet=outlet,
        view=view,
        out=place.why_out(view, rules),
        since=await _out_since(services, outlet, view) if state is place.State.OUT else None,
        may_be_live=place.may_be_live(view, rules),
        may_unplug=place.may_unplug(view, rules),
        others=place.free_beside(services.board.views.of_pile(outlet.pile_id), outlet, rules),
        not_selling=place.not_selling(services.board.health, rules),
        card_only=not services.provider,
        line=line,
        line_about="" if line is None else waits.about(words.lang_of(request), line.wait),
        patience_s=rules.queue_max_s,
        price=place.price(outlet.tariff, now.at),
        choices=place.choices(outlet.tariff, rules),
        hours=place.hours(rules),
        stops=STOPS,
        bike="mine" if bikes.token_of(request, services) else "new",
        forgotten="forgotten" in request.query_params,
        forget_url=f"{request.url.path.rstrip('/')}/forget",
        cap_hours=round(rules.session_s / 3600),
        order_url=f"{request.url.path.rstrip('/')}/order",
        key=secrets.token_hex(16),
    )
    response.headers["Content-Security-Policy"] = _may_go_and_pay(services)
    return response


def _may_go_and_pay(services: Services) -> str:
    """The form's answer leads on to the provider's page, and browsers hold redirects to `form-action` as well."""
    pages = "https: http:" if services.demo else "https:"
    return HEADERS["content-security-policy"].replace("form-action 'self'", f"form-action 'self' {pages}")


async def _out_since(services: Services, outlet: OutletDetail, view: View | None) -> float | None:
    """When it went out of service; None where nobody wrote that down."""
    out = place.why_out(view, services.rules)
    if out is place.Out.LINK_DOWN:
        return view.reading_at if view is not None else None
    if out is place.Out.CUT:
        cut = services.board.cuts.get(outlet.site_id)
        return None if cut is None else cut.at
    alarms = await read(services.queries.alarms, [outlet.site_id], limit=200)
    return min((alarm.at for alarm in alarms.rows if alarm.outlet_id == outlet.id), default=None)


# -- the order ----------------------------------------------------------------------------------------------------


@router.post("/S/{sticker}/order")
@router.post("/s/{sticker}/order")
async def ordered(
    request: Request,
    sticker: str,
    key: Annotated[str, Form(max_length=64)] = "",
    amount: Annotated[str, Form(max_length=16)] = "",
    hours: Annotated[str, Form(max_length=4)] = "0",
    stop_at: Annotated[str, Form(max_length=4)] = "100",
    bike: Annotated[str, Form(max_length=8)] = "",
) -> Response:
    """Amount, hours, when to stop and which bike are the payer's to say; the price is the outlet's own."""
    services = services_of(request)
    outlet = await _outlet_of(request, sticker)
    if isinstance(outlet, str):
        return _wrong_sticker(request, outlet)
    token = bikes.chosen(request, services, bike, key)
    wish = _wish(services, outlet, key, amount, hours, words.lang_of(request))
    wish = replace(wish, stop_at=bikes.stop_of(stop_at), bike=bikes.id_of(token) if token else "")
    earlier = await read(services.queries.by_key, key)
    if earlier is None:
        _count_order(request, services, outlet)
    order = earlier.id if earlier is not None else (await asked(services, wish))["order"]
    secret = _secret(services, key)
    url = await _pay_url(services, str(order)) if earlier is None else f"/O/{secret}"
    response = _with_secret(RedirectResponse(url or f"/O/{secret}", 303), services, secret)
    if token is not None:
        bikes.remember(response, services, token)
    return response


def _count_order(request: Request, services: Services, outlet: OutletDetail) -> None:
    """An order costs its sender nothing, and us a row and two calls to the provider."""
    storms: Throttle = request.app.state.order_storms
    name, now_s = f"{address_of(request)} {outlet.id}", services.real_clock.now().steady_s
    storms.check(name, now_s)
    storms.wrong(name, now_s)


def _wish(services: Services, outlet: OutletDetail, key: str, amount: str, hours: str, lang: str) -> ev.OrderPlaced:
    if not services.provider:
        raise Refused("card_only", "nothing can be paid by phone here")
    if KEY.fullmatch(key) is None or hours not in {str(hour) for hour in place.hours(services.rules)}:
        raise Refused("invalid", "the form is not the one of this page")
    if amount not in {str(choice.amount_fen) for choice in place.choices(outlet.tariff, services.rules)}:
        raise Refused("amount", "the amount is not on the menu")
    now = services.clock.now()
    return ev.OrderPlaced(
        at=now.at,
        steady_s=now.steady_s,
        key=key,
        order=secrets.token_hex(16),
        session=secrets.token_hex(16),
        outlet=outlet.id,
        party=secrets.token_hex(16),
        amount_fen=int(amount),
        max_s=int(hours) * 3600,
        secret_hash=hashed(_secret(services, key)),
        provider=services.provider,
        lang=lang,
    )


def _secret(services: Services, key: str) -> str:
    """128 bits that only we can make from the form's key: the second of two clicks must get the same."""
    return (
        urlsafe_b64encode(hmac.digest(services.sign_key, f"order:{key}".encode(), "sha256")[:16]).decode().rstrip("=")
    )


@router.post("/S/{sticker}/forget")
@router.post("/s/{sticker}/forget")
async def forgotten(request: Request) -> Response:
    """Whoever holds the phone: the bike's figures are gone, and so is its name on the phone."""
    services = services_of(request)
    token = bikes.token_of(request, services)
    if token is not None:
        now, bike = services.clock.now(), bikes.id_of(token)
        key = f"forget:{secrets.token_hex(16)}"
        await asked(services, ev.BikeForgotten(at=now.at, steady_s=now.steady_s, key=key, by="party", bike=bike))
    response = RedirectResponse(f"{request.url.path.removesuffix('/forget')}?forgotten=1", 303)
    bikes.forget(response, services)
    return response


async def _pay_url(services: Services, order: str) -> str | None:
    for _ in range(round(PAY_PAGE_S / LOOK_S)):
        if (url := services.board.pay_urls.get(order)) is not None:
            return url
        await asyncio.sleep(LOOK_S)
    return None


def cookie_name(services: Services) -> str:
    return "__Host-order" if services.secure_cookies else "order"


def _with_secret(response: Response, services: Services, secret: str) -> Response:
    secure = services.secure_cookies
    response.set_cookie(cookie_name(services), secret, COOKIE_S, httponly=True, samesite="lax", secure=secure)
    response.headers["Cache-Control"] = "no-store"
    return response
