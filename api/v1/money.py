"""Orders and payments, refunds, and cards with their balance."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from api.door import asked
from api.services import services_of
from api.v1.calls import (
    CHANGES,
    READS,
    Bookkeeper,
    Calling,
    Finance,
    Limit,
    Manager,
    Offset,
    Text,
    check_site,
    not_found,
)
from api.v1.money_shapes import Card, CardDetail, CardEdit, NewCard, Order, Refund, ToppedUp, TopUp
from api.v1.shapes import Done, Listed
from controller.core.events import CardToppedUp, Change, RefundPaidByHand

router = APIRouter(tags=["money"])


@router.get(
    "/orders",
    operation_id="listOrders",
    summary="Orders, newest first",
    responses=READS,
    response_model=Listed[Order],
)
def list_orders(staffer: Bookkeeper, request: Request, state: Text = "", limit: Limit = 50, offset: Offset = 0) -> Any:
    return services_of(request).queries.orders(staffer.scope, state=state, limit=limit, offset=offset)


@router.get("/orders/{order}", operation_id="getOrder", summary="One order", responses=READS, response_model=Order)
def get_order(order: str, staffer: Bookkeeper, request: Request) -> Any:
    row = services_of(request).queries.order(order)
    if row is None or not staffer.sees(row.site_id):
        raise not_found()
    return row


@router.get(
    "/payments",
    operation_id="listPayments",
    summary="Orders that money came for",
    responses=READS,
    response_model=Listed[Order],
)
def list_payments(staffer: Bookkeeper, request: Request, limit: Limit = 50, offset: Offset = 0) -> Any:
    return services_of(request).queries.payments(staffer.scope, limit=limit, offset=offset)


@router.get(
    "/refunds",
    operation_id="listRefunds",
    summary="Refunds, newest first",
    responses=READS,
    response_model=Listed[Refund],
)
def list_refunds(
    staffer: Bookkeeper,
    request: Request,
    state: Text = "",
    owed: bool = False,
    limit: Limit = 50,
    offset: Offset = 0,
) -> Any:
    """`owed` leaves out what has gone back."""
    return services_of(request).queries.refunds(staffer.scope, state=state, owed=owed, limit=limit, offset=offset)


@router.post(
    "/refunds/{refund}/paid-by-hand",
    operation_id="payRefundByHand",
    summary="A refund was paid at the office",
    responses=CHANGES,
)
async def pay_by_hand(refund: str, staffer: Finance, call: Calling) -> Done:
    """Only for one that the provider refused: else the money would go back twice."""
    row = await run_in_threadpool(call.services.queries.refund, refund)
    if row is None:
        raise not_found()
    check_site(staffer, row.site_id)
    event = RefundPaidByHand(at=call.at, steady_s=call.steady_s, key=call.key, by=staffer.by, refund=refund)
    await asked(call.services, event)
    return Done(subject=refund)


# -- cards --------------------------------------------------------------------------------------------------------


@router.get(
    "/cards", operation_id="listCards", summary="Cards with their balance", responses=READS, response_model=Listed[Card]
)
def list_cards(staffer: Bookkeeper, request: Request, search: Text = "", limit: Limit = 50, offset: Offset = 0) -> Any:
    return services_of(request).queries.cards(search=search, limit=limit, offset=offset)


@router.get("/cards/{card}", operation_id="getCard", summary="One card and its money", responses=READS)
def get_card(card: str, staffer: Bookkeeper, request: Request) -> CardDetail:
    queries = services_of(request).queries
    row = queries.card(card)
    if row is None:
        raise not_found()
    shown = Card.model_validate(row)
    return CardDetail.model_validate({**shown.model_dump(), "transfers": queries.transfers(card)})


@router.post("/cards", operation_id="addCard", summary="Enrol a card", status_code=201, responses=CHANGES)
async def add_card(body: NewCard, staffer: Manager, call: Calling) -> Done:
    values: dict[str, object] = {**body.model_dump(), "frozen": False}
    return Done(subject=await call.changed(staffer, Change.CARD, call.id_of("card"), values))


@router.patch("/cards/{card}", operation_id="changeCard", summary="Freeze or rename a card", responses=CHANGES)
async def change_card(card: str, body: CardEdit, staffer: Manager, call: Calling) -> Done:
    row = await run_in_threadpool(call.services.queries.card, card)
    if row is None:
        raise not_found()
    kept = {"printed": row.printed, "frozen": row.frozen}
    values: dict[str, object] = {**kept, **body.model_dump(exclude_none=True), "uid": row.uid}
    return Done(subject=await call.changed(staffer, Change.CARD, card, values))


@router.post("/cards/{card}/top-ups", operation_id="topUpCard", summary="Money taken for a card", responses=CHANGES)
async def top_up(card: str, body: TopUp, staffer: Finance, call: Calling) -> ToppedUp:
    event = CardToppedUp(
        at=call.at, steady_s=call.steady_s, key=call.key, by=staffer.by, card=card, amount_fen=body.amount_fen
    )
    answer = await asked(call.services, event)
    return ToppedUp(card=card, balance_fen=answer.get("balance_fen"))
