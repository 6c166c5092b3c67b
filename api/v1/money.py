"""Orders and payments, refunds, who pays, and cards with their balance."""

from typing import Literal

from fastapi import APIRouter, Request, Response

from api.door import asked
from api.services import services_of
from api.v1.calls import CHANGES, EDITS, READS, Bookkeeper, Calling, Editing, Finance, Manager, Text
from api.v1.money_shapes import Card, CardDetail, CardEdit, NewCard, Order, Party, Refund, ToppedUp, TopUp
from api.v1.scopes import EVERYWHERE, CardAt, InScope, OrderAt, PartyAt, PaymentAt, RefundAt
from api.v1.shapes import Done, Rows
from api.v1.tagged import TAGGED, tag_on
from api.v1.turns import Time, Turning, linked
from controller.core.events import CardToppedUp, Change, RefundPaidByHand
from controller.core.state import OrderState, RefundState
from controller.core.tags import card_tag

router = APIRouter(tags=["money"])
Placed = Literal["-placed_at", "placed_at"]


@router.get("/orders", operation_id="listOrders", summary="Orders, newest first", responses=READS)
def list_orders(
    staffer: Bookkeeper,
    sites: InScope,
    turn: Turning,
    placed: Time,
    request: Request,
    response: Response,
    outlet: Text = "",
    party: Text = "",
    state: OrderState | None = None,
    sort: Placed = "-placed_at",
) -> Rows[Order]:
    """`since_at` and `until_at` are about `placed_at`."""
    page = services_of(request).queries.lists.orders(
        turn.by(sort), sites, outlet=outlet, party=party, state=state or "", placed=placed
    )
    return Rows[Order].model_validate(linked(request, response, page))


@router.get("/orders/{order}", operation_id="getOrder", summary="One order", responses=READS)
def get_order(staffer: Bookkeeper, order: OrderAt) -> Order:
    return Order.model_validate(order)


@router.get("/payments", operation_id="listPayments", summary="Orders that money came for", responses=READS)
def list_payments(
    staffer: Bookkeeper,
    sites: InScope,
    turn: Turning,
    placed: Time,
    request: Request,
    response: Response,
    party: Text = "",
    sort: Placed = "-placed_at",
) -> Rows[Order]:
    """`since_at` and `until_at` are about `placed_at`."""
    lists = services_of(request).queries.lists
    page = lists.orders(turn.by(sort), sites, party=party, paid=True, placed=placed)
    return Rows[Order].model_validate(linked(request, response, page))


@router.get("/payments/{payment}", operation_id="getPayment", summary="One payment", responses=READS)
def get_payment(staffer: Bookkeeper, payment: PaymentAt) -> Order:
    """Its id is that of the order it was for; `txn` is the provider's own."""
    return Order.model_validate(payment)


# -- refunds ------------------------------------------------------------------------------------------------------


@router.get("/refunds", operation_id="listRefunds", summary="Refunds, newest first", responses=READS)
def list_refunds(
    staffer: Bookkeeper,
    sites: InScope,
    turn: Turning,
    due: Time,
    request: Request,
    response: Response,
    order: Text = "",
    state: RefundState | None = None,
    owed: bool = False,
    sort: Literal["-due_at", "due_at"] = "-due_at",
) -> Rows[Refund]:
    """`owed` leaves out what has gone back; `since_at` and `until_at` are about `due_at`."""
    lists = services_of(request).queries.lists
    page = lists.refunds(turn.by(sort), sites, order=order, state=state or "", owed=owed, due=due)
    return Rows[Refund].model_validate(linked(request, response, page))


@router.get("/refunds/{refund}", operation_id="getRefund", summary="One refund", responses=READS)
def get_refund(staffer: Bookkeeper, refund: RefundAt) -> Refund:
    return Refund.model_validate(refund)


@router.post(
    "/refunds/{refund}/paid-by-hand",
    operation_id="payRefundByHand",
    summary="A refund was paid at the office",
    responses=CHANGES,
)
async def pay_by_hand(staffer: Finance, refund: RefundAt, call: Calling) -> Done:
    """Only for one that the provider refused: else the money would go back twice."""
    event = RefundPaidByHand(
        at=call.at, steady_s=call.steady_s, key=call.key, by=staffer.by, refund=refund.id, wish=call.wish
    )
    await asked(call.services, event)
    return Done(subject=refund.id)


# -- who pays -----------------------------------------------------------------------------------------------------


@router.get("/parties", operation_id="listParties", summary="Who paid at my sites", responses=READS)
def list_parties(
    staffer: Bookkeeper, sites: InScope, turn: Turning, request: Request, response: Response
) -> Rows[Party]:
    """Who somebody is, is not told; with `party` the lists of sessions, orders and cards show what they did."""
    page = services_of(request).queries.lists.parties(turn, sites)
    return Rows[Party].model_validate(linked(request, response, page))


@router.get("/parties/{party}", operation_id="getParty", summary="Somebody who pays", responses=READS)
def get_party(staffer: Bookkeeper, party: PartyAt) -> Party:
    return Party.model_validate(party)


# -- cards --------------------------------------------------------------------------------------------------------


@router.get(
    "/cards", operation_id="listCards", summary="Cards with their balance", responses=READS, dependencies=[EVERYWHERE]
)
def list_cards(
    staffer: Bookkeeper,
    turn: Turning,
    request: Request,
    response: Response,
    search: Text = "",
    party: Text = "",
    sort: Literal["printed", "-printed"] = "printed",
) -> Rows[Card]:
    """`search` is part of the printed or the chip's number."""
    page = services_of(request).queries.lists.cards(turn.by(sort), search=search, party=party)
    return Rows[Card].model_validate(linked(request, response, page))


@router.get("/cards/{card}", operation_id="getCard", summary="One card and its money", responses=READS | TAGGED)
def get_card(staffer: Bookkeeper, card: CardAt, request: Request, response: Response) -> CardDetail:
    tag_on(response, card_tag(card.printed, card.frozen))
    shown = Card.model_validate(card)
    transfers = services_of(request).queries.transfers(card.id)
    return CardDetail.model_validate({**shown.model_dump(), "transfers": transfers})


@router.post(
    "/cards",
    operation_id="addCard",
    summary="Enrol a card",
    status_code=201,
    responses=CHANGES,
    dependencies=[EVERYWHERE],
)
async def add_card(staffer: Manager, body: NewCard, call: Calling) -> Done:
    return Done(subject=await call.changed(staffer, Change.CARD, call.id_of("card"), body.model_dump()))


@router.patch("/cards/{card}", operation_id="changeCard", summary="Freeze or rename a card", responses=EDITS)
async def change_card(staffer: Manager, card: CardAt, body: CardEdit, call: Editing) -> Done:
    return Done(subject=await call.changed(staffer, Change.CARD, card.id, body.model_dump(exclude_none=True)))


@router.post("/cards/{card}/top-ups", operation_id="topUpCard", summary="Money taken for a card", responses=CHANGES)
async def top_up(staffer: Finance, card: CardAt, body: TopUp, call: Calling) -> ToppedUp:
    event = CardToppedUp(
        at=call.at,
        steady_s=call.steady_s,
        key=call.key,
        by=staffer.by,
        card=card.id,
        amount_fen=body.amount_fen,
        wish=call.wish,
    )
    answer = await asked(call.services, event)
    return ToppedUp(card=card.id, balance_fen=answer.get("balance_fen"))
