"""Orders, payments and refunds: what the desk decides before there is a session and after it. Pure.

A handler reads the house and returns effects; it refuses with Refused before it wishes for anything.
"""

import hashlib

from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core import garage, ledger
from controller.core.bikes import STOPS
from controller.core.cards import card_tapped, card_topped_up
from controller.core.errors import Refused
from controller.core.house import House
from controller.core.starting import Context, Handler, Outcome, check_can_start, new_session
from controller.core.state import Order, OrderState, Refund, RefundState, Rules
from controller.core.tariff import credit_wh

QUERY_AFTER_S = 20.0  # a webhook may be lost for ever, so the provider is asked as well
ORDERS_MAX = 5_000  # open at once; far more than a site can sell within `order_s`


# -- orders -------------------------------------------------------------------------------------------------------


def _order_placed(house: House, event: ev.OrderPlaced, ctx: Context) -> Outcome:
    if event.key in house.order_keys:
        return Outcome((), {"order": house.order_keys[event.key], "repeat": True})
    if ctx.found.get("order") is not None:
        return Outcome((), {"order": ctx.found["order"].id, "repeat": True})
    if not ctx.rules.pay_fen_min <= event.amount_fen <= ctx.rules.pay_fen_max:
        raise Refused("amount", f"an order is {ctx.rules.pay_fen_min} to {ctx.rules.pay_fen_max} fen")
    if event.stop_at not in STOPS:
        raise Refused("invalid", f"a charge stops at one of {STOPS} per cent")
    if len(house.orders) >= ORDERS_MAX:
        raise Refused("overloaded", "too many orders wait to be paid; ask again in a quarter of an hour")
    site = check_can_start(house, event.outlet, ctx)
    order = Order(
        id=event.order,
        key=event.key,
        session=event.session,
        outlet=event.outlet,
        site=site.id,
        merchant=site.merchant,
        party=event.party,
        provider=event.provider,
        amount_fen=event.amount_fen,
        max_s=_max_s(event.max_s, ctx.rules),
        tariff=site.tariff,
        secret_hash=event.secret_hash,
        lang=event.lang,
        state=OrderState.OPEN,
        placed_at=event.at,
        expires_at=event.at + ctx.rules.order_s,
        stop_at=event.stop_at,
        bike=event.bike,
    )
    party = fx.Put("party", {"id": event.party, "kind": "walk_in", "at": event.at})
    return Outcome((party, fx.SaveOrder(order), _wish(order, "create", event.at)), {"order": order.id})


def _max_s(wished_s: float, rules: Rules) -> float:
    return min(wished_s if wished_s > 0 else rules.session_s, rules.hard_cap_s)


def _wish(order: Order, kind: str, at: float) -> fx.Wish:
    payload: dict[str, object] = {
        "order": order.id,
        "merchant": order.merchant,
        "provider": order.provider,
        "amount_fen": order.amount_fen,
        "expires_at": order.expires_at,
    }
    return fx.Wish(f"{kind}:{order.id}", kind, payload, at)


def _order_cancelled(house: House, event: ev.OrderCancelled, ctx: Context) -> Outcome:
    order = house.orders.get(event.order)
    if order is None:
        return Outcome((), {"order": event.order})
    return Outcome(_ended(order, OrderState.CANCELLED, event.at), {"order": order.id})


def expired(order: Order, at: float) -> tuple[fx.Effect, ...]:
    return _ended(order, OrderState.EXPIRED, at)


def _ended(order: Order, state: OrderState, at: float) -> tuple[fx.Effect, ...]:
    """Closed at the provider too; money that comes all the same is given back."""
    return (fx.SaveOrder(replace(order, state=state, why=state.value, bike="")), _wish(order, "close", at))


def _pay_page_made(house: House, event: ev.PayPageMade, ctx: Context) -> Outcome:
    order = house.orders.get(event.order)
    if order is None:
        return Outcome((), {})
    query = fx.Wish(f"query:{order.id}", "query", _wish(order, "query", event.at).payload, event.at + QUERY_AFTER_S)
    return Outcome((fx.SaveOrder(replace(order, pay_url=event.url)), query), {})


# -- payments -----------------------------------------------------------------------------------------------------


def _payment_confirmed(house: House, event: ev.PaymentConfirmed, ctx: Context) -> Outcome:
    """Books every verified payment exactly once: held for a session, or owed back at once."""
    order = house.orders.get(event.order) or house.ended.get(event.order) or ctx.found.get("order")
    if order is None:
        raise Refused("unknown_order", f"payment {event.txn} names no order of ours")
    ours = (event.provider, event.merchant, event.currency) == (order.provider, order.merchant, "CNY")
    if not ours or event.amount_fen <= 0:
        raise Refused("conflict", f"payment {event.txn} is not for this merchant or currency")
    if f"txn:{event.provider}:{event.txn}" in house.entries or ctx.found.get("entry") is not None:
        return Outcome((), {"order": order.id, "repeat": True})
    why = _why_not(house, order, event, ctx)
    return _held(house, order, event) if why is None else _rejected(order, event, why)


def _why_not(house: House, order: Order, event: ev.PaymentConfirmed, ctx: Context) -> str | None:
    if order.state is not OrderState.OPEN:
        return "expired" if order.state in (OrderState.EXPIRED, OrderState.CANCELLED) else "already_paid"
    if event.amount_fen != order.amount_fen:
        return "amount"
    if event.at > order.expires_at:
        return "expired"
    try:
        check_can_start(house, order.outlet, ctx)
    except Refused as refused:
        return refused.code
    return None


def _held(house: House, order: Order, event: ev.PaymentConfirmed) -> Outcome:
    paid = replace(order, state=OrderState.PAID, txn=event.txn, bike="")  # the session has it, until it has settled
    session = new_session(house, order.session, order.outlet, order.party, order.amount_fen, order.max_s, event)
    session = replace(session, order=order.id, tariff=order.tariff, merchant=order.merchant)
    session = replace(session, max_wh=credit_wh(order.tariff, order.amount_fen))
    session = garage.fitted(house, session, order.bike, order.stop_at)
    entry = ledger.payment_held(event.provider, order.merchant, event.txn, session.id, event.amount_fen, event.at)
    effects = (fx.Post(entry), fx.SaveOrder(paid), fx.SaveSession(session), fx.Moment(session.id, event.at, "paid"))
    return Outcome(effects, {"order": order.id, "session": session.id})


def _rejected(order: Order, event: ev.PaymentConfirmed, why: str) -> Outcome:
    refund = Refund(
        id=f"{order.id}J{_short(event.txn)}",
        order=order.id,
        session=None,
        merchant=order.merchant,
        provider=event.provider,
        txn=event.txn,
        amount_fen=event.amount_fen,
        total_fen=event.amount_fen,
        state=RefundState.DUE,
        due_at=event.at,
        why=why,
    )
    entry = ledger.payment_rejected(event.provider, order.merchant, event.txn, order.id, event.amount_fen, event.at)
    rows: tuple[fx.Effect, ...] = (fx.Post(entry), fx.SaveRefund(refund), refund_wish(refund, event.at))
    if order.state is OrderState.OPEN and why != "amount":
        rejected = replace(order, state=OrderState.REJECTED, txn=event.txn, why=why, bike="")
        rows = (*rows, fx.SaveOrder(rejected))
    return Outcome(rows, {"order": order.id, "rejected": why})


def _short(txn: str) -> str:
    """The same for the same payment, and another for any other: two may end alike."""
    return hashlib.sha256(txn.encode()).hexdigest()[:24]


# -- refunds ------------------------------------------------------------------------------------------------------


def refund_wish(refund: Refund, at: float) -> fx.Wish:
    payload: dict[str, object] = {
        "refund": refund.id,
        "order": refund.order,
        "provider": refund.provider,
        "amount_fen": refund.amount_fen,
        "total_fen": refund.total_fen,
        "txn": refund.txn,
    }
    return fx.Wish(f"refund:{refund.id}", "refund", payload, at)


def _refund_confirmed(house: House, event: ev.RefundConfirmed, ctx: Context) -> Outcome:
    refund = house.refunds.get(event.refund) or ctx.found.get("refund")
    if refund is None:
        raise Refused("unknown_refund", f"there is no refund {event.refund}")
    if (event.provider, event.merchant, event.amount_fen) != (refund.provider, refund.merchant, refund.amount_fen):
        raise Refused("conflict", f"refund {event.refund} was for {refund.amount_fen} fen")
    if refund.state in (RefundState.SUCCESS, RefundState.BY_HAND):
        return Outcome((), {"refund": refund.id, "repeat": True})
    if event.state != "success":
        stuck = replace(refund, state=RefundState(event.state))
        kind = f"refund_{event.state}"
        alarm = fx.RaiseAlarm(f"{refund.id}:{kind}", event.at, "", "", kind, {"amount_fen": refund.amount_fen})
        return Outcome((fx.SaveRefund(stuck), alarm), {"refund": refund.id})
    entry = ledger.refunded(refund.provider, refund.merchant, refund.id, refund.amount_fen, event.at)
    if house.has_posted(entry):  # the database may not have heard of it yet
        return Outcome((), {"refund": refund.id, "repeat": True})
    done = replace(refund, state=RefundState.SUCCESS, done_at=event.at)
    return Outcome((fx.Post(entry), fx.SaveRefund(done), *_told(refund, event.at)), {"refund": refund.id})


def _told(refund: Refund, at: float) -> tuple[fx.Effect, ...]:
    return (fx.Moment(refund.session, at, "refunded", {"amount_fen": refund.amount_fen}),) if refund.session else ()


def _refund_by_hand(house: House, event: ev.RefundPaidByHand, ctx: Context) -> Outcome:
    """Only after the provider has said that it can't: else the money would go back twice."""
    refund = house.refunds.get(event.refund)
    if refund is None or refund.state not in (RefundState.CLOSED, RefundState.ABNORMAL):
        raise Refused("conflict", "only a refund that the provider refused is paid by hand")
    entry = ledger.refunded_by_hand(refund.merchant, refund.id, refund.amount_fen, event.at, event.by)
    done = replace(refund, state=RefundState.BY_HAND, done_at=event.at)
    audit = fx.Audit(event.at, event.by, "refund_by_hand", refund.id, {"amount_fen": refund.amount_fen})
    return Outcome((fx.Post(entry), fx.SaveRefund(done), audit), {"refund": refund.id})


# -- bikes --------------------------------------------------------------------------------------------------------


def _bike_forgotten(house: House, event: ev.BikeForgotten, ctx: Context) -> Outcome:
    effects = garage.forgotten(house, event)
    return Outcome(effects, {"forgotten": sum(1 for effect in effects if isinstance(effect, fx.Drop))})


HANDLERS: dict[type[ev.Event], Handler] = {
    ev.OrderPlaced: _order_placed,
    ev.OrderCancelled: _order_cancelled,
    ev.PayPageMade: _pay_page_made,
    ev.PaymentConfirmed: _payment_confirmed,
    ev.RefundConfirmed: _refund_confirmed,
    ev.RefundPaidByHand: _refund_by_hand,
    ev.CardToppedUp: card_topped_up,
    ev.CardTapped: card_tapped,
    ev.BikeForgotten: _bike_forgotten,
}
