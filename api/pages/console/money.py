"""Payments, refunds and cards: what came, what goes back, what lies on cards; and the same as CSV."""

import re
import secrets
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from api.pages import words
from api.pages.console import readers
from api.pages.console.desk import Desk
from api.pages.console.forms import decided, desk_of, need, text_of
from api.pages.console.listing import PER_PAGE, bill_of, days_of, every, exported, page_of, paging, zone_of
from api.pages.console.states import OF_ORDER, OF_REFUND, ORDER_MARK, REFUND_MARK
from controller.core.errors import Refused
from controller.core.events import CardToppedUp, Change, Event, RefundPaidByHand, StaffChange
from controller.records import CardRow, Listed, OrderRow, RefundRow

router = APIRouter()

STUCK: Final = ("closed", "abnormal")  # the provider has said that it can't
UID: Final = re.compile(r"[0-9A-F]{8}|[0-9A-F]{14}|[0-9A-F]{20}", re.ASCII)  # 4, 7 or 10 bytes
PAYMENT_COLUMNS: Final = ("placed", "site", "outlet", "state", "why", "channel", "transaction", "amount_fen", "order")
REFUND_COLUMNS: Final = ("due", "done", "state", "why", "channel", "amount_fen", "refund", "order", "session")


# -- payments -----------------------------------------------------------------------------------------------------


@router.get("/console/payments", dependencies=[need("money")])
def payments(request: Request) -> Response:
    desk = desk_of(request)
    listed = _orders(desk, PER_PAGE, page_of(desk) * PER_PAGE)
    return desk.page(
        "payments",
        here="payments",
        rows=[_order(desk, row) for row in listed.rows],
        page=paging(desk, listed),
        f=_filters(desk),
        states=tuple(OF_ORDER),
        sites=desk.services.queries.sites(desk.sites),
    )


@router.get("/console/payments.csv", dependencies=[need("export")])
def payments_csv(request: Request) -> Response:
    desk = desk_of(request)
    return exported("payments", _orders_exported(desk), PAYMENT_COLUMNS)


def _filters(desk: Desk) -> dict[str, str]:
    return {name: desk.request.query_params.get(name, "") for name in ("site", "state", "q", "bill", "from", "to")}


def _orders(desk: Desk, limit: int, offset: int) -> Listed[OrderRow]:
    state = _filters(desk)["state"]
    return desk.services.queries.orders(desk.here, state=state, **days_of(desk), limit=limit, offset=offset)


def _order(desk: Desk, row: OrderRow) -> dict[str, str]:
    return {
        "session": row.session_id if row.state == "paid" else "",
        "placed": desk.when(row.placed_at, row.zone),
        "place": f"{row.site_name} {row.number}",
        "state": desk.or_plain(f"order.{row.state}", row.state),
        "tone": OF_ORDER.get(row.state, "grey"),
        "mark": ORDER_MARK.get(row.state, "cross"),
        "why": desk.or_plain(f"order.why.{row.why}", row.why) if row.why and row.why != row.state else "",
        "channel": desk.or_plain(f"channel.{row.provider}", row.provider),
        "txn": row.txn or "",
        "amount": desk.yuan(row.amount_fen),
    }


def _orders_exported(desk: Desk) -> Iterator[dict[str, object]]:
    for row in every(lambda limit, offset: _orders(desk, limit, offset)):
        yield {
            "placed": desk.when(row.placed_at, row.zone),
            "site": row.site_name,
            "outlet": row.number,
            "state": row.state,
            "why": row.why,
            "channel": row.provider,
            "transaction": row.txn,
            "amount_fen": row.amount_fen,
            "order": row.id,
        }


# -- refunds ------------------------------------------------------------------------------------------------------


@router.get("/console/refunds", dependencies=[need("money")])
def refunds(request: Request) -> Response:
    return refunds_page(desk_of(request))


def refunds_page(desk: Desk, problem: str = "", status: int = 200) -> Response:
    listed = _refunds(desk, PER_PAGE, page_of(desk) * PER_PAGE)
    zone = zone_of(desk)
    return desk.page(
        "refunds",
        status,
        problem,
        here="refunds",
        rows=[_refund(desk, row, zone) for row in listed.rows],
        page=paging(desk, listed),
        f=_filters(desk),
        states=tuple(OF_REFUND),
        sites=desk.services.queries.sites(desk.sites),
    )


@router.get("/console/refunds.csv", dependencies=[need("export")])
def refunds_csv(request: Request) -> Response:
    desk = desk_of(request)
    return exported("refunds", _refunds_exported(desk), REFUND_COLUMNS)


@router.post("/console/refunds/{refund_id}/by_hand", dependencies=[need("by_hand")])
async def by_hand(request: Request, refund_id: str) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        row = desk.services.queries.refund(refund_id)
        if row is None or not desk.sees(row.site_id):
            return None
        return RefundPaidByHand(**base, by=desk.by, refund=row.id)

    def again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
        return refunds_page(desk, problem, status)

    return await decided(request, make, again, "/console/refunds", "by_hand")


def _refunds(desk: Desk, limit: int, offset: int) -> Listed[RefundRow]:
    state, bill = _filters(desk)["state"], bill_of(desk)
    return desk.services.queries.refunds(desk.here, state=state, bill=bill, **days_of(desk), limit=limit, offset=offset)


def _refund(desk: Desk, row: RefundRow, zone: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "session": row.session_id or "",
        "bill": words.bill_number(row.session_id) if row.session_id else "",
        "due": desk.when(row.due_at, zone),
        "done": desk.when(row.done_at, zone),
        "state": desk.or_plain(f"refund.{row.state}", row.state),
        "tone": OF_REFUND.get(row.state, "grey"),
        "mark": REFUND_MARK.get(row.state, "starting"),
        "why": desk.or_plain(f"order.why.{row.why}", row.why) if row.why else desk.t("refund.unused"),
        "channel": desk.or_plain(f"channel.{row.provider}", row.provider),
        "amount": desk.yuan(row.amount_fen),
        "by_hand": row.state in STUCK and desk.may("by_hand"),
    }


def _refunds_exported(desk: Desk) -> Iterator[dict[str, object]]:
    zone = zone_of(desk)
    for row in every(lambda limit, offset: _refunds(desk, limit, offset)):
        yield {
            "due": desk.when(row.due_at, zone),
            "done": desk.when(row.done_at, zone),
            "state": row.state,
            "why": row.why,
            "channel": row.provider,
            "amount_fen": row.amount_fen,
            "refund": row.id,
            "order": row.order_id,
            "session": row.session_id,
        }


# -- cards --------------------------------------------------------------------------------------------------------


@router.get("/console/cards", dependencies=[need("money")])
def cards(request: Request) -> Response:
    desk = desk_of(request)
    return cards_page(desk, form=readers.form_of(desk))


def cards_page(desk: Desk, problem: str = "", status: int = 200, form: dict[str, str] | None = None) -> Response:
    offset = page_of(desk) * PER_PAGE
    listed = desk.services.queries.cards(search=_filters(desk)["q"][:32], limit=PER_PAGE, offset=offset)
    return desk.page(
        "cards",
        status,
        problem,
        here="cards",
        rows=[_card(desk, row) for row in listed.rows],
        page=paging(desk, listed),
        f=_filters(desk),
        form=form or {},
    )


def _card(desk: Desk, row: CardRow) -> dict[str, Any]:
    uid = " ".join(row.uid[at : at + 2] for at in range(0, len(row.uid), 2))
    return {
        "id": row.id,
        "printed": row.printed,
        "uid": uid,
        "frozen": row.frozen,
        "balance": desk.yuan(row.balance_fen),
    }


def _again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
    typed = {name: text_of(form, name, 32) for name in ("printed", "uid")}
    return cards_page(desk, problem, status, typed)


@router.post("/console/cards", dependencies=[need("card")])
async def new_card(request: Request) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event:
        uid = re.sub(r"[ :-]", "", text_of(form, "uid", 40)).upper()
        printed = text_of(form, "printed", 32)
        if UID.fullmatch(uid) is None:
            raise Refused("card_uid")
        if not printed:
            raise Refused("card_printed")
        values: dict[str, object] = {"uid": uid, "printed": printed, "frozen": False}
        return StaffChange(**base, by=desk.by, change=Change.CARD, subject=secrets.token_hex(16), values=values)

    return await decided(request, make, _again, "/console/cards", "card")


@router.post("/console/cards/{card_id}/freeze", dependencies=[need("card")])
async def freeze(request: Request, card_id: str) -> Response:
    return await _set_frozen(request, card_id, True)


@router.post("/console/cards/{card_id}/thaw", dependencies=[need("card")])
async def thaw(request: Request, card_id: str) -> Response:
    return await _set_frozen(request, card_id, False)


async def _set_frozen(request: Request, card_id: str, frozen: bool) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        if desk.services.queries.card(card_id) is None:
            return None
        return StaffChange(**base, by=desk.by, change=Change.CARD, subject=card_id, values={"frozen": frozen})

    return await decided(request, make, _again, "/console/cards", "freeze" if frozen else "thaw")


@router.post("/console/cards/{card_id}/topup", dependencies=[need("topup")])
async def topup(request: Request, card_id: str) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        if desk.services.queries.card(card_id) is None:
            return None
        amount_fen = whole_of(text_of(form, "amount", 12), places=2)
        if amount_fen is None or amount_fen <= 0:
            raise Refused("amount_form")
        return CardToppedUp(**base, by=desk.by, card=card_id, amount_fen=amount_fen)

    return await decided(request, make, _again, "/console/cards", "topup")


def whole_of(text: str, places: int) -> int | None:
    """`12.5` with two places is 1250; None for what is no such number. Never rounds."""
    try:
        number = Decimal(text.replace("¥", "").strip()).scaleb(places)
    except ArithmeticError:  # no number, or one of a million digits
        return None
    if not number.is_finite() or number != number.to_integral_value() or not -1 < number < 10**9:
        return None
    return int(number)
