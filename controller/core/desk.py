"""Orders, payments, cards and refunds: what the desk decides before there is a session and after it. Pure.

A handler reads the house and returns effects; it refuses with Refused before it wishes for anything.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core import garage, ledger
from controller.core.bikes import STOPS
from controller.core.dead import check_not_dead
from controller.core.errors import Refused
from controller.core.house import House
from controller.core.reasons import StopReason
from controller.core.state import Card, Order, OrderState, OutletPhase, Phase, Refund, RefundState, Rules, Session, Site
from controller.core.tariff import Meter, band_ending_at, credit_wh

QUERY_AFTER_S = 20.0  # a webhook may be lost for ever, so the provider is asked as well
ORDERS_MAX = 5_000  # open at once; far more than a site can sell within `order_s`
TOPUP_FEN_MAX = 100_000  # an unnamed prepaid card may hold 1,000 yuan


class Context(msgspec.Struct, frozen=True):
    """`not_selling` names why nothing new may start (clock_untrusted, database_away), or is None.

    `found` is what the database knows of the event's key: `order`, `entry` (body hash), `refund`.
    """

    rules: Rules
    not_selling: str | None
    found: Mapping[str, Any]


class Outcome(msgspec.Struct, frozen=True):
    effects: tuple[fx.Effect, ...]
    answer: dict[str, Any]


Handler = Callable[[House, Any, Context], Outcome]


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
    site = _check_can_start(house, event.outlet, ctx)
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


def _check_can_start(house: House, outlet_id: str, ctx: Context) -> Site:
    """Refuses by the first reason why this outlet can't start a session now."""
    if ctx.not_selling is not None:
        raise Refused(ctx.not_selling, "nothing new is started now")
    at = house.outlet(outlet_id)
    check_not_dead(house, outlet_id)
    if at.phase is not OutletPhase.OPEN:
        raise Refused("not_open", f"outlet {at.number} is not open")
    if outlet_id in house.sessions:
        raise Refused("busy", f"outlet {at.number} is in use")
    if not house.seen[outlet_id].linked:
        raise Refused("link_down", f"outlet {at.number} can't be reached")
    if house.seen[outlet_id].alarmed:
        raise Refused("latched", f"outlet {at.number} shows power while it should be off")
    return house.sites[at.site]


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
        _check_can_start(house, order.outlet, ctx)
    except Refused as refused:
        return refused.code
    return None


def _held(house: House, order: Order, event: ev.PaymentConfirmed) -> Outcome:
    paid = replace(order, state=OrderState.PAID, txn=event.txn, bike="")  # the session has it, until it has settled
    session = _session(house, order.session, order.outlet, order.party, order.amount_fen, order.max_s, event)
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


def _session(
    house: House, session_id: str, outlet_id: str, party: str, hold_fen: int, max_s: float, event: ev.Event
) -> Session:
    at, seen = house.outlet(outlet_id), house.seen[outlet_id]
    site = house.sites[at.site]
    band = band_ending_at(site.tariff, event.at).name
    return Session(
        id=session_id,
        outlet=outlet_id,
        site=site.id,
        merchant=site.merchant,
        party=party,
        order=None,
        card=None,
        tariff=site.tariff,
        hold_fen=hold_fen,
        max_s=max_s,
        max_wh=credit_wh(site.tariff, hold_fen),
        max_reason=StopReason.CREDIT_USED,
        power_w=at.power_w,
        lease_s=at.lease_s,
        phase=Phase.QUEUED,
        opened_at=event.at,
        opened_s=event.steady_s,
        since_s=event.steady_s,
        queued_s=event.steady_s,
        meter=Meter(counter_wh=seen.counter_wh, band=band),
        saved_at=event.at,
        saved_s=event.steady_s,
    )


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


# -- cards --------------------------------------------------------------------------------------------------------


def _card_topped_up(house: House, event: ev.CardToppedUp, ctx: Context) -> Outcome:
    if event.card not in house.cards:
        raise Refused("card_unknown", f"there is no card {event.card}")
    entry = ledger.card_topped_up(event.key, _office(house), event.card, event.amount_fen, event.by, event.at)
    if house.has_posted(entry) or ctx.found.get("entry") == entry.body_hash:
        return Outcome((), {"card": event.card, "repeat": True})
    if ctx.found.get("entry") is not None:
        raise Refused("conflict", f"top-up {event.key} was booked with other contents")
    balance = house.balances.get(ledger.card(event.card), 0)
    if not 1 <= event.amount_fen <= TOPUP_FEN_MAX - balance:
        raise Refused("amount", f"a card holds at most {TOPUP_FEN_MAX} fen")
    audit = fx.Audit(event.at, event.by, "card_topped_up", event.card, {"amount_fen": event.amount_fen})
    return Outcome((fx.Post(entry), audit), {"card": event.card, "balance_fen": balance + event.amount_fen})


def _office(house: House) -> str:
    merchants = {site.merchant for site in house.sites.values()}
    if len(merchants) != 1:
        raise Refused("invalid", "make a site first: a card's money belongs to its merchant")
    return merchants.pop()


def _card_tapped(house: House, event: ev.CardTapped, ctx: Context) -> Outcome:
    """First tap starts, second tap stops; taps closer than `tap_s` are one. A card is a name, never a proof."""
    house.readers.add(event.outlet)
    last_s = house.tapped(event.uid, event.steady_s)
    if last_s is not None and event.steady_s - last_s < ctx.rules.tap_s:
        return Outcome((), {"repeat": True})
    card = house.cards.get(house.uids.get(event.uid, ""))
    if card is None:
        raise Refused("card_unknown", "this card is not known here")
    running = house.session_of_card(card.id)
    if running is not None:
        return _second_tap(running, event)
    return _first_tap(house, card, event, ctx)


def _second_tap(running: Session, event: ev.CardTapped) -> Outcome:
    if running.outlet != event.outlet:
        raise Refused("card_busy", "this card is charging at another outlet")
    return Outcome((), {"stop": running.id})


def _first_tap(house: House, card: Card, event: ev.CardTapped, ctx: Context) -> Outcome:
    if card.frozen:
        raise Refused("card_frozen", "this card is frozen")
    _check_can_start(house, event.outlet, ctx)
    hold_fen = min(house.balances.get(ledger.card(card.id), 0), ctx.rules.card_hold_fen)
    if hold_fen <= 0:
        raise Refused("card_empty", "there is no money on this card")
    session = _session(house, event.session, event.outlet, card.party, hold_fen, ctx.rules.session_s, event)
    session = garage.fitted(house, replace(session, card=card.id), card.party)  # a card is a bike unless told otherwise
    entry = ledger.card_held(card.id, session.id, hold_fen, event.at, f"party:{card.party}")
    effects = (fx.Post(entry), fx.SaveSession(session), fx.Moment(session.id, event.at, "card_tapped"))
    return Outcome(effects, {"session": session.id})


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
    ev.CardToppedUp: _card_topped_up,
    ev.CardTapped: _card_tapped,
    ev.BikeForgotten: _bike_forgotten,
}
