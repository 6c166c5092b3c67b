"""What others may follow: each row that is news becomes one or more events of the feed. Pure; nobody's name is in it.

`told(row, before)` looks at one row and at what stood on disk before it; most rows are no news.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from controller.core import effects as fx
from controller.core.state import OrderState, Outlet, OutletPhase, RefundState, Session

KINDS = (
    "session.opened",
    "session.queued",
    "session.charging",
    "session.paused",
    "session.suspended",
    "session.resumed",
    "session.stopped",
    "session.settled",
    "session.drifted",
    "order.paid",
    "order.rejected",
    "order.expired",
    "order.cancelled",
    "refund.due",
    "refund.succeeded",
    "refund.failed",
    "card.topped_up",
    "alarm.raised",
    "alarm.cleared",
    "outlet.changed",
    "pile.adopted",
    "site.cut",
    "site.released",
)
MONEY_KINDS = frozenset(kind for kind in KINDS if kind.startswith(("order.", "refund.", "card.")))


class Told(msgspec.Struct, frozen=True):
    """One event of the feed. `site` is "" for what belongs to no single site (a card, a refund that got stuck)."""

    kind: str
    at: float
    site: str
    outlet: str | None
    session: str | None
    data: dict[str, Any]


class Alarmed(msgspec.Struct, frozen=True):
    """An alarm that is open on disk."""

    id: str
    kind: str
    site: str


class Before(msgspec.Struct, frozen=True):
    """What the disk (and the batch so far) knew of the thing a row is about, as far as its kind needs it."""

    at: float = 0.0  # of the batch, for rows that carry no time
    session: Session | None = None
    outlet: Outlet | None = None
    place: tuple[str, str] | None = None  # of a refund's order: site, outlet
    known: bool = False  # this alarm or pile was there already
    alarms: tuple[Alarmed, ...] = ()  # open at this outlet


def told(row: fx.Effect, before: Before) -> tuple[Told, ...]:
    tell = _TELL.get(type(row))
    return () if tell is None else tell(row, before)


# -- sessions -----------------------------------------------------------------------------------------------------


def _moment(row: fx.Moment, before: Before) -> tuple[Told, ...]:
    session = before.session
    word = row.what.partition(":")[0]
    tell = _MOMENTS.get(word)
    if session is None or tell is None:
        return ()
    kind, data = tell(session, row)
    if not kind:
        return ()
    of = {"order": session.order, **data}
    return (Told(kind, row.at, session.site, session.outlet, session.id, of),)


def _opened(session: Session, row: fx.Moment) -> tuple[str, dict[str, Any]]:
    paid_by = "order" if session.card is None else "card"
    return "session.opened", {"paid_by": paid_by, "hold_fen": session.hold_fen, "max_s": session.max_s}


def _charging(session: Session, row: fx.Moment) -> tuple[str, dict[str, Any]]:
    return "session.charging", {"power_w": session.power_now_w}


def _queued(session: Session, row: fx.Moment) -> tuple[str, dict[str, Any]]:
    return "session.queued", {"energy_wh": session.meter.used_wh}


def _paused(session: Session, row: fx.Moment) -> tuple[str, dict[str, Any]]:
    return "session.paused", {"evidence": dict(row.values), "energy_wh": session.meter.used_wh}


def _suspended(session: Session, row: fx.Moment) -> tuple[str, dict[str, Any]]:
    return "session.suspended", {"energy_wh": session.meter.used_wh}


def _on_decided(session: Session, row: fx.Moment) -> tuple[str, dict[str, Any]]:
    """An ON for a charge that had begun is one that goes on after an interruption."""
    resumed = session.started_at is not None
    return ("session.resumed" if resumed else ""), {"energy_wh": session.meter.used_wh}


def _stopped(session: Session, row: fx.Moment) -> tuple[str, dict[str, Any]]:
    reason = row.what.partition(":")[2]
    return "session.stopped", {"reason": reason, "evidence": dict(row.values), "energy_wh": session.meter.used_wh}


def _settled(session: Session, row: fx.Moment) -> tuple[str, dict[str, Any]]:
    bill = session.bill
    return "session.settled", {
        "reason": None if session.reason is None else str(session.reason),
        "proof": session.proof,
        "energy_wh": session.meter.used_wh,
        "bill_fen": 0 if bill is None else bill.total_fen,
        "returned_fen": session.returned_fen,
        "lines": [] if bill is None else msgspec.to_builtins(bill.lines),
    }


def _drifted(session: Session, row: fx.Moment) -> tuple[str, dict[str, Any]]:
    return "session.drifted", {"what": row.what.partition(":")[2], "evidence": dict(row.values)}


_MOMENTS: dict[str, Callable[[Session, fx.Moment], tuple[str, dict[str, Any]]]] = {
    "paid": _opened,
    "card_tapped": _opened,
    "on_decided": _on_decided,
    "queued": _queued,
    "charging": _charging,
    "paused": _paused,
    "suspended": _suspended,
    "stop": _stopped,
    "settled": _settled,
    "bike_drift": _drifted,
}


# -- money --------------------------------------------------------------------------------------------------------

_ORDERS = {
    OrderState.PAID: "order.paid",
    OrderState.REJECTED: "order.rejected",
    OrderState.EXPIRED: "order.expired",
    OrderState.CANCELLED: "order.cancelled",
}
_REFUNDS = {
    RefundState.DUE: "refund.due",
    RefundState.SUCCESS: "refund.succeeded",
    RefundState.BY_HAND: "refund.succeeded",
    RefundState.CLOSED: "refund.failed",
    RefundState.ABNORMAL: "refund.failed",
}


def _order(row: fx.SaveOrder, before: Before) -> tuple[Told, ...]:
    order = row.order
    kind = _ORDERS.get(order.state)
    if kind is None:
        return ()
    data: dict[str, Any] = {"order": order.id, "amount_fen": order.amount_fen, "provider": order.provider}
    data |= {"why": order.why} if order.state is OrderState.REJECTED else {}
    return (Told(kind, before.at or order.placed_at, order.site, order.outlet, order.session, data),)


def _refund(row: fx.SaveRefund, before: Before) -> tuple[Told, ...]:
    refund = row.refund
    site, outlet = before.place or ("", None)
    data: dict[str, Any] = {
        "refund": refund.id,
        "order": refund.order,
        "amount_fen": refund.amount_fen,
        "provider": refund.provider,
        "state": str(refund.state),
    }
    at = refund.done_at or before.at or refund.due_at
    return (Told(_REFUNDS[refund.state], at, site, outlet, refund.session, data),)


def _post(row: fx.Post, before: Before) -> tuple[Told, ...]:
    entry = row.entry
    if entry.kind != "topup":
        return ()
    data = {"card": entry.ref, "amount_fen": sum(leg.amount_fen for leg in entry.transfers)}
    return (Told("card.topped_up", entry.at, "", None, None, data),)


# -- the house ----------------------------------------------------------------------------------------------------


def _raised(row: fx.RaiseAlarm, before: Before) -> tuple[Told, ...]:
    if before.known:  # the same alarm again adds no row
        return ()
    data = {"alarm": row.id, "what": row.kind, "about": row.outlet, "evidence": dict(row.evidence)}
    return (Told("alarm.raised", row.at, row.site, _outlet_of(row.outlet), None, data),)


def _outlet_of(about: str) -> str | None:
    """An alarm may be about a site's or a pile's load, about a hook, or about no place at all."""
    return about if about and ":" not in about else None


def _cleared(row: fx.ClearAlarms, before: Before) -> tuple[Told, ...]:
    about, outlet = row.outlet, _outlet_of(row.outlet)
    return tuple(
        Told("alarm.cleared", row.at, one.site, outlet, None, {"alarm": one.id, "what": one.kind, "about": about})
        for one in before.alarms
    )


def _outlet(row: fx.SaveOutlet, before: Before) -> tuple[Told, ...]:
    """Steps of commissioning and other inner matters are no news."""
    after, old = row.outlet, before.outlet
    now = shown(after)
    then = shown(old) if old is not None else None
    if now == then:
        return ()
    changed = sorted(now) if then is None else sorted(name for name in now if now[name] != then[name])
    return (
        Told("outlet.changed", before.at, after.site, after.id, None, {**now, "pile": after.pile, "changed": changed}),
    )


def shown(outlet: Outlet) -> dict[str, Any]:
    """What others may know of an outlet; who locked it is nobody's business."""
    phase = OutletPhase.ADOPTED if outlet.phase is OutletPhase.PROVING else outlet.phase
    return {
        "number": outlet.number,
        "phase": str(phase),
        "latch": outlet.latch,
        "locked": outlet.locked_by is not None,
    }


def _cut(row: fx.SaveCut, before: Before) -> tuple[Told, ...]:
    """Who cut it is nobody's business; why is."""
    if row.cut is None:
        return (Told("site.released", before.at, row.site, None, None, {"cut": False}),)
    return (Told("site.cut", row.cut.at, row.site, None, None, {"cut": True, "reason": str(row.cut.why)}),)


def _put(row: fx.Put, before: Before) -> tuple[Told, ...]:
    if row.table != "pile" or before.known:
        return ()
    values = row.values
    data = {"pile": str(values["id"]), **{name: str(values[name]) for name in ("name", "family", "model", "firmware")}}
    return (Told("pile.adopted", before.at, str(values["site_id"]), None, None, data),)


_TELL: dict[type, Callable[[Any, Before], tuple[Told, ...]]] = {
    fx.Moment: _moment,
    fx.SaveOrder: _order,
    fx.SaveRefund: _refund,
    fx.Post: _post,
    fx.RaiseAlarm: _raised,
    fx.ClearAlarms: _cleared,
    fx.SaveOutlet: _outlet,
    fx.SaveCut: _cut,
    fx.Put: _put,
}
