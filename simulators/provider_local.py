"""The sandbox provider without a process: its books as a PaymentProvider on virtual time, for the world."""

from collections.abc import Callable

import msgspec

from controller.core.errors import Refused
from controller.ports import (
    CloseResult,
    OrderRequest,
    PaymentState,
    PaymentView,
    PayPage,
    RefundRequest,
    RefundState,
    RefundView,
)
from simulators.provider_books import Books, Fault, Order, OrderWish, Refund, RefundWish

_ENDS = {
    "processing": (RefundState.ACCEPTED, PaymentState.REFUNDING),
    "success": (RefundState.SUCCESS, PaymentState.REFUNDED),
    "closed": (RefundState.REJECTED, PaymentState.FAILED),
    "abnormal": (RefundState.REJECTED, PaymentState.FAILED),
}


class Lost(Exception):
    """The caller learns nothing; the effect may have happened."""


class LocalProvider:
    """Notices wait in `books.due(at)`; armed faults lose requests and answers as they would on the network."""

    def __init__(self, books: Books, at: Callable[[], float]) -> None:
        self.books = books
        self._at = at

    def create(self, order: OrderRequest) -> PayPage:
        wish = OrderWish(currency="CNY", **msgspec.structs.asdict(order))
        try:
            state = PaymentState(self._order(lambda: self.books.create(wish, self._at())).state)
        except Refused as refused:
            return PayPage("", PaymentState.FAILED, refused.code)
        except Lost:
            return PayPage("", PaymentState.UNKNOWN)
        return PayPage(f"http://127.0.0.1/pay/{order.order_no}" if state is PaymentState.OPEN else "", state)

    def query(self, number: str) -> PaymentView:
        if number in self.books.orders:
            order = self.books.order(number, self._at())
            amount_fen, state = order.wish.amount_fen, PaymentState(order.state)
            return PaymentView(number=number, state=state, amount_fen=amount_fen, txn_id=order.txn_id)
        if number in self.books.refunds:
            refund = self.books.refund_of(number, self._at())
            _, state = _ENDS[refund.state]
            return PaymentView(number=number, state=state, amount_fen=refund.wish.amount_fen, code=_code(refund))
        return PaymentView(number=number, state=PaymentState.UNKNOWN, code="NOT_FOUND")

    def close(self, order_no: str) -> CloseResult:
        try:
            self._order(lambda: self.books.close(order_no, self._at()))
        except Lost:
            return CloseResult.UNKNOWN
        except Refused as refused:
            return {"ORDER_PAID": CloseResult.PAID, "USER_PAYING": CloseResult.UNKNOWN}.get(
                refused.code, CloseResult.CLOSED
            )
        return CloseResult.CLOSED

    def refund(self, request: RefundRequest) -> RefundView:
        wish = RefundWish(
            order_no=request.order_no,
            refund_no=request.refund_no,
            amount_fen=request.amount_fen,
            total_fen=request.total_fen,
        )
        try:
            self._lose_request()
            refund = self.books.refund(wish, self._at())
            self._lose_answer()
        except Refused as refused:
            return RefundView(RefundState.REJECTED, refused.code)
        except Lost:
            return RefundView(RefundState.UNKNOWN)
        return RefundView(_ENDS[refund.state][0], _code(refund))

    def _order(self, effect: Callable[[], Order]) -> Order:
        self._lose_request()
        order = effect()
        self._lose_answer()
        return order

    def _lose_request(self) -> None:
        if self.books.take(Fault.LOSE_REQUEST):
            raise Lost

    def _lose_answer(self) -> None:
        if self.books.take(Fault.EFFECT_THEN_TIMEOUT) or self.books.take(Fault.SERVER_ERROR):
            raise Lost


def _code(refund: Refund) -> str:
    return refund.state.upper() if _ENDS[refund.state][0] is RefundState.REJECTED else ""
