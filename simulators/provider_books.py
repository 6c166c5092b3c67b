"""The sandbox provider's own books: orders, refunds and the notices they cause. Pure: time is handed in."""

import hashlib
from collections import Counter
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec.structs import replace

from controller.core.errors import Refused

RETRIES_S = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)  # as WeChat Pay
REFUND_S = 2.0  # a wallet is refunded at once; a moment's PROCESSING keeps callers honest
DELAYED_S = 259_200.0  # a bank card takes up to three working days
MAX_REFUNDS = 50  # per order, as WeChat Pay

Number = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z_\-]{6,64}\Z")]
Fen = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=127)]
Url = Annotated[str, msgspec.Meta(min_length=8, max_length=512)]


class Fault(StrEnum):
    """What can be made to go wrong, the next so many times."""

    LOSE_REQUEST = "lose_request"  # no effect and no answer
    EFFECT_THEN_TIMEOUT = "effect_then_timeout"
    SERVER_ERROR = "server_error"  # after the effect
    DROP_WEBHOOK = "drop_webhook"  # never sent: delivery is not guaranteed
    LATE_WEBHOOK = "late_webhook"  # the first try is lost, the next one comes by the schedule
    DUPLICATE_WEBHOOK = "duplicate_webhook"
    PROBE_WEBHOOK = "probe_webhook"  # a try with a signature that must be refused
    REFUND_CLOSED = "refund_closed"
    REFUND_ABNORMAL = "refund_abnormal"
    REFUND_DELAY = "refund_delay"
    NOT_ENOUGH = "not_enough"


class OrderState(StrEnum):
    OPEN = "open"
    PAID = "paid"
    CLOSED = "closed"


class RefundState(StrEnum):
    PROCESSING = "processing"
    SUCCESS = "success"
    CLOSED = "closed"
    ABNORMAL = "abnormal"


class OrderWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    order_no: Number
    amount_fen: Fen
    currency: Literal["CNY"]
    merchant: Text
    app: Text
    description: Text
    notify_url: Url
    return_url: Url
    expires_at: float


class Order(msgspec.Struct, frozen=True):
    wish: OrderWish
    state: OrderState = OrderState.OPEN
    txn_id: str = ""
    pays_while_closing: bool = False


class RefundWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    order_no: Number
    refund_no: Number
    amount_fen: Fen
    total_fen: Fen


class Refund(msgspec.Struct, frozen=True):
    wish: RefundWish
    due_at: float
    ends: RefundState = RefundState.SUCCESS
    state: RefundState = RefundState.PROCESSING


class Notice(msgspec.Struct, frozen=True):
    """One webhook still to be accepted by the merchant; `body` never changes between tries."""

    event_id: str
    url: str
    body: bytes
    due_at: float
    tries: int = 0
    probe: bool = False


class Books:
    """What the provider knows. Refusals are Refused with the provider's code."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.refunds: dict[str, Refund] = {}
        self.notices: dict[str, Notice] = {}
        self.faults: Counter[Fault] = Counter()
        self.captured_fen = 0
        self.refunded_fen = 0
        self._refund_nos: dict[str, list[str]] = {}
        self._processing: set[str] = set()

    def create(self, wish: OrderWish, at: float) -> Order:
        """The same wish again is the same order; the same number for another wish is refused."""
        if wish.order_no not in self.orders:
            self.orders[wish.order_no] = Order(wish)
        if self.orders[wish.order_no].wish != wish:
            raise Refused("PARAM_DIFFERS", "this order number was used with other parameters")
        return self.order(wish.order_no, at)

    def order(self, order_no: str, at: float) -> Order:
        if (order := self.orders.get(order_no)) is None:
            raise Refused("ORDER_NOT_EXIST")
        if order.state is OrderState.OPEN and at >= order.wish.expires_at:
            order = self._put(replace(order, state=OrderState.CLOSED))
        return order

    def pay(self, order_no: str, at: float, *, late: bool = False) -> Order:
        """Takes the payer's money once; `late` also after the order was closed, as a real provider sometimes does."""
        order = self.order(order_no, at)
        if order.state is OrderState.PAID:
            return order
        if order.state is OrderState.CLOSED and not late:
            raise Refused("ORDER_CLOSED")
        order = self._put(
            replace(order, state=OrderState.PAID, txn_id=short_id("TX", order_no), pays_while_closing=False)
        )
        self.captured_fen += order.wish.amount_fen
        self._notify(order, None, at)
        return order

    def pay_while_closing(self, order_no: str, at: float) -> None:
        """Arms the race: the payer's click arrives while the merchant's close is under way."""
        self._put(replace(self.order(order_no, at), pays_while_closing=True))

    def close(self, order_no: str, at: float) -> Order:
        order = self.order(order_no, at)
        if order.pays_while_closing and order.state is OrderState.OPEN:
            self.pay(order_no, at)
            raise Refused("USER_PAYING", "the payer is paying: query, then decide")
        if order.state is OrderState.PAID:
            raise Refused("ORDER_PAID")
        return self._put(replace(order, state=OrderState.CLOSED))

    def refund(self, wish: RefundWish, at: float) -> Refund:
        """One number refunds once, however often it is sent."""
        if (known := self.refunds.get(wish.refund_no)) is not None:
            if known.wish != wish:
                raise Refused("PARAM_DIFFERS", "this refund number was used with other parameters")
            return self.refund_of(wish.refund_no, at)
        self._check_refund(wish, at)
        ends, after_s = self._outcome()
        refund = Refund(wish, at + after_s, ends)
        self.refunds[wish.refund_no] = refund
        self._refund_nos.setdefault(wish.order_no, []).append(wish.refund_no)
        self._processing.add(wish.refund_no)
        return refund

    def refund_of(self, refund_no: str, at: float) -> Refund:
        self.tick(at)
        if (refund := self.refunds.get(refund_no)) is None:
            raise Refused("RESOURCE_NOT_EXISTS")
        return refund

    def settle_refund(self, refund_no: str, state: RefundState, at: float) -> Refund:
        """Ends a refund now; what has ended stays ended."""
        if (refund := self.refunds.get(refund_no)) is None:
            raise Refused("RESOURCE_NOT_EXISTS")
        if refund.state is RefundState.PROCESSING:
            refund = self.refunds[refund_no] = replace(refund, state=state)
            self._processing.discard(refund_no)
            self.refunded_fen += refund.wish.amount_fen if state is RefundState.SUCCESS else 0
            self._notify(self.orders[refund.wish.order_no], refund, at)
        return refund

    def tick(self, at: float) -> None:
        for refund_no in sorted(self._processing):
            if (refund := self.refunds[refund_no]).due_at <= at:
                self.settle_refund(refund_no, refund.ends, at)

    def due(self, at: float) -> list[Notice]:
        """Notices to send now; each comes again by the schedule until `accepted`. A duplicate stands twice."""
        self.tick(at)
        ready = [notice for notice in self.notices.values() if notice.due_at <= at]
        return [copy for notice in ready for copy in self._try(notice, at)]

    def accepted(self, event_id: str) -> None:
        self.notices.pop(event_id, None)

    def next_due_at(self) -> float | None:
        waiting = [notice.due_at for notice in self.notices.values()]
        waiting += [self.refunds[refund_no].due_at for refund_no in self._processing]
        return min(waiting, default=None)

    def arm(self, fault: Fault, times: int = 1) -> None:
        self.faults[fault] += times

    def take(self, fault: Fault) -> bool:
        """True as often as the fault was armed."""
        armed = self.faults[fault] > 0
        self.faults[fault] -= armed
        return armed

    def summary(self) -> dict[str, Any]:
        return {
            "captured_fen": self.captured_fen,
            "refunded_fen": self.refunded_fen,
            "orders": {no: self._summary_of(order) for no, order in self.orders.items()},
        }

    def _put(self, order: Order) -> Order:
        self.orders[order.wish.order_no] = order
        return order

    def _refunds_of(self, order_no: str) -> list[Refund]:
        return [self.refunds[refund_no] for refund_no in self._refund_nos.get(order_no, ())]

    def _check_refund(self, wish: RefundWish, at: float) -> None:
        order = self.orders.get(wish.order_no)
        if order is None or self.order(wish.order_no, at).state is not OrderState.PAID:
            raise Refused("RESOURCE_NOT_EXISTS", "no such paid order")
        if wish.total_fen != order.wish.amount_fen:
            raise Refused("PARAM_ERROR", "total_fen is not what was paid")
        earlier = self._refunds_of(wish.order_no)
        taken_fen = sum(r.wish.amount_fen for r in earlier if r.state is not RefundState.CLOSED)
        if taken_fen + wish.amount_fen > wish.total_fen or len(earlier) >= MAX_REFUNDS:
            raise Refused("OVER_REFUND", "more than was paid, or too many parts")
        if self.take(Fault.NOT_ENOUGH):
            raise Refused("NOT_ENOUGH", "the merchant's unsettled takings do not cover this")

    def _outcome(self) -> tuple[RefundState, float]:
        if self.take(Fault.REFUND_CLOSED):
            return RefundState.CLOSED, REFUND_S
        if self.take(Fault.REFUND_ABNORMAL):
            return RefundState.ABNORMAL, REFUND_S
        return RefundState.SUCCESS, DELAYED_S if self.take(Fault.REFUND_DELAY) else REFUND_S

    def _notify(self, order: Order, refund: Refund | None, at: float) -> None:
        if self.take(Fault.DROP_WEBHOOK):
            return
        body = _statement(order, refund)
        self.notices[body["event_id"]] = Notice(
            body["event_id"], order.wish.notify_url, msgspec.json.encode(body), due_at=at
        )

    def _try(self, notice: Notice, at: float) -> list[Notice]:
        self._reschedule(notice, at)
        if self.take(Fault.LATE_WEBHOOK):
            return []
        if self.take(Fault.PROBE_WEBHOOK):
            return [replace(notice, probe=True)]
        return [notice, notice] if self.take(Fault.DUPLICATE_WEBHOOK) else [notice]

    def _reschedule(self, notice: Notice, at: float) -> None:
        if notice.tries >= len(RETRIES_S):
            self.accepted(notice.event_id)  # given up: from now on only a query finds it
            return
        again_at = at + RETRIES_S[notice.tries]
        self.notices[notice.event_id] = replace(notice, due_at=again_at, tries=notice.tries + 1)

    def _summary_of(self, order: Order) -> dict[str, Any]:
        refunds = self._refunds_of(order.wish.order_no)
        return {
            "state": order.state,
            "amount_fen": order.wish.amount_fen,
            "captured_fen": order.wish.amount_fen if order.state is OrderState.PAID else 0,
            "refunded_fen": sum(r.wish.amount_fen for r in refunds if r.state is RefundState.SUCCESS),
            "refunds": {r.wish.refund_no: r.state for r in refunds},
        }


def _statement(order: Order, refund: Refund | None) -> dict[str, Any]:
    kind, number, state = ("refund", refund.wish.refund_no, str(refund.state)) if refund else ("payment", "", "paid")
    return {
        "event_id": short_id("EV", f"{kind}:{order.wish.order_no}:{number}:{state}"),
        "kind": kind,
        "merchant": order.wish.merchant,
        "app": order.wish.app,
        "order_no": order.wish.order_no,
        "refund_no": number,
        "txn_id": order.txn_id,
        "amount_fen": refund.wish.amount_fen if refund else order.wish.amount_fen,
        "currency": order.wish.currency,
        "state": state,
    }


def short_id(prefix: str, of: str) -> str:
    return prefix + hashlib.sha256(of.encode()).hexdigest()[:24]
