"""The sandbox provider's books on virtual time: every number once, never more back than came in."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.errors import Refused
from controller.ports import CloseResult, OrderRequest, PaymentState, RefundRequest, RefundState, RefundView
from simulators.provider_books import RETRIES_S, Books, Fault, OrderState, OrderWish, RefundWish
from simulators.provider_books import RefundState as Outcome
from simulators.provider_local import LocalProvider

NOW = 1_800_000_000.0


def wish(order_no: str = "ORDER00001", amount_fen: int = 200, **changes: Any) -> OrderWish:
    values: dict[str, Any] = {
        "order_no": order_no,
        "amount_fen": amount_fen,
        "currency": "CNY",
        "merchant": "m-1",
        "app": "app-1",
        "description": "Garden 1, outlet 3",
        "notify_url": "http://127.0.0.1:9/hooks/sandbox",
        "return_url": "http://127.0.0.1:9/o/ORDER00001",
        "expires_at": NOW + 900,
    }
    return OrderWish(**values | changes)


def refund_wish(refund_no: str = "ORDER00001R1", amount_fen: int = 171, **changes: Any) -> RefundWish:
    values: dict[str, Any] = {"order_no": "ORDER00001", "refund_no": refund_no, "amount_fen": amount_fen}
    return RefundWish(**{"total_fen": 200, **values, **changes})


def paid_books() -> Books:
    books = Books()
    books.create(wish(), NOW)
    books.pay("ORDER00001", NOW)
    for notice in books.due(NOW):
        books.accepted(notice.event_id)
    return books


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.code


def test_the_same_order_again_is_the_same_answer_and_another_under_its_number_is_refused() -> None:
    books = Books()

    assert books.create(wish(), NOW) == books.create(wish(), NOW + 5)
    assert code_of(lambda: books.create(wish(amount_fen=100), NOW)) == "PARAM_DIFFERS"
    assert len(books.orders) == 1


def test_an_order_is_paid_once_however_often_it_is_clicked() -> None:
    books = Books()
    books.create(wish(), NOW)

    assert books.pay("ORDER00001", NOW) == books.pay("ORDER00001", NOW + 1)
    assert books.captured_fen == 200
    assert [msgspec.json.decode(n.body)["state"] for n in books.due(NOW)] == ["paid"]


def test_an_order_past_its_time_is_closed_and_takes_no_money_unless_told_to_be_late() -> None:
    books = Books()
    books.create(wish(), NOW)

    assert code_of(lambda: books.pay("ORDER00001", NOW + 900)) == "ORDER_CLOSED"
    assert books.captured_fen == 0
    assert books.pay("ORDER00001", NOW + 901, late=True).state is OrderState.PAID


def test_a_payment_while_closing_wins_and_the_close_says_so() -> None:
    books = Books()
    books.create(wish(), NOW)
    books.pay_while_closing("ORDER00001", NOW)

    assert code_of(lambda: books.close("ORDER00001", NOW)) == "USER_PAYING"
    assert books.order("ORDER00001", NOW).state is OrderState.PAID
    assert code_of(lambda: books.close("ORDER00001", NOW)) == "ORDER_PAID"


def test_one_refund_number_refunds_once_and_never_another_amount() -> None:
    books = paid_books()

    first = books.refund(refund_wish(), NOW)
    assert books.refund(refund_wish(), NOW) == first
    assert code_of(lambda: books.refund(refund_wish(amount_fen=1), NOW)) == "PARAM_DIFFERS"
    books.tick(NOW + 10)
    books.tick(NOW + 20)
    assert books.refunded_fen == 171
    assert books.refund(refund_wish(), NOW + 30).state is Outcome.SUCCESS


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (refund_wish(amount_fen=201), "OVER_REFUND"),
        (refund_wish(total_fen=300), "PARAM_ERROR"),
        (refund_wish(order_no="ORDER99999"), "RESOURCE_NOT_EXISTS"),
    ],
)
def test_t34_a_refund_of_more_than_is_left_or_of_nothing_paid_is_refused(bad: RefundWish, code: str) -> None:
    books = paid_books()

    assert code_of(lambda: books.refund(bad, NOW)) == code
    assert books.refunds == {}


@pytest.mark.parametrize(
    ("fault", "outcome"), [(Fault.REFUND_CLOSED, Outcome.CLOSED), (Fault.REFUND_ABNORMAL, Outcome.ABNORMAL)]
)
def test_a_refund_may_end_badly_and_then_moves_no_money(fault: Fault, outcome: Outcome) -> None:
    books = paid_books()
    books.arm(fault)
    books.refund(refund_wish(), NOW)

    statements = [msgspec.json.decode(n.body) for n in books.due(NOW + 3)]

    assert [(s["kind"], s["state"]) for s in statements] == [("refund", outcome)]
    assert books.refunded_fen == 0


def test_a_delayed_refund_ends_days_later_or_when_told() -> None:
    books = paid_books()
    books.arm(Fault.REFUND_DELAY)
    books.refund(refund_wish(), NOW)

    assert books.refund_of("ORDER00001R1", NOW + 86_400).state is Outcome.PROCESSING
    assert books.settle_refund("ORDER00001R1", Outcome.SUCCESS, NOW).state is Outcome.SUCCESS
    assert books.settle_refund("ORDER00001R1", Outcome.ABNORMAL, NOW).state is Outcome.SUCCESS


def test_t35_a_refund_short_of_takings_goes_through_under_the_same_number_later() -> None:
    books = paid_books()
    books.arm(Fault.NOT_ENOUGH)

    assert code_of(lambda: books.refund(refund_wish(), NOW)) == "NOT_ENOUGH"
    assert books.refund(refund_wish(), NOW).state is Outcome.PROCESSING


def test_a_notice_is_tried_sixteen_times_in_a_day_and_then_given_up() -> None:
    books = Books()
    books.create(wish(), NOW)
    books.pay("ORDER00001", NOW)

    tried_at = []
    while (due_at := books.next_due_at()) is not None:
        tried_at += [due_at for _ in books.due(due_at)]

    assert [b - a for a, b in pairwise(tried_at)] == list(RETRIES_S)
    assert tried_at[-1] - NOW == 24 * 3600 + 4 * 60


def test_notices_can_be_dropped_late_doubled_and_probed() -> None:
    def tries(fault: Fault) -> list[bool]:
        books = Books()
        books.create(wish(), NOW)
        books.arm(fault)
        books.pay("ORDER00001", NOW)
        return [notice.probe for at in (NOW, NOW + 15) for notice in books.due(at)]

    assert tries(Fault.DROP_WEBHOOK) == []
    assert tries(Fault.LATE_WEBHOOK) == [False]
    assert tries(Fault.DUPLICATE_WEBHOOK) == [False, False, False]
    assert tries(Fault.PROBE_WEBHOOK) == [True, False]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "pay", "late", "racing", "close", "refund", *Fault]),
        st.integers(1, 3),
        st.integers(1, 250),
        st.floats(0, 600),
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_whatever_happens_no_order_gives_back_more_than_it_took(steps: list[tuple[str, int, int, float]]) -> None:
    books, at = Books(), NOW
    for what, n, fen, wait_s in steps:
        at += wait_s
        _do(books, what, f"ORDER0000{n}", fen, at)
        books.due(at)

    summary = books.summary()
    orders = summary["orders"].values()
    assert all(0 <= o["refunded_fen"] <= o["captured_fen"] <= o["amount_fen"] for o in orders)
    assert summary["captured_fen"] == sum(o["captured_fen"] for o in orders)
    assert summary["refunded_fen"] == sum(o["refunded_fen"] for o in orders)


def _do(books: Books, what: str, order_no: str, fen: int, at: float) -> None:
    actions: dict[str, Callable[[], object]] = {
        "create": lambda: books.create(wish(order_no), at),
        "pay": lambda: books.pay(order_no, at),
        "late": lambda: books.pay(order_no, at, late=True),
        "racing": lambda: books.pay_while_closing(order_no, at),
        "close": lambda: books.close(order_no, at),
        "refund": lambda: books.refund(refund_wish(f"{order_no}R{fen % 5}", fen, order_no=order_no), at),
    }
    try:
        actions.get(what, lambda: books.arm(Fault(what)))()
    except Refused as refused:
        assert refused.code  # noqa: PT017  a refusal is an answer here, not the point of the test


# -- the same books as a PaymentProvider, for the world -----------------------------------------------------------


def request() -> OrderRequest:
    values = msgspec.structs.asdict(wish())
    del values["currency"]
    return OrderRequest(**values)


def refund_request(amount_fen: int = 171) -> RefundRequest:
    return RefundRequest(order_no="ORDER00001", refund_no="ORDER00001R1", amount_fen=amount_fen, total_fen=200)


@pytest.mark.parametrize("fault", [Fault.LOSE_REQUEST, Fault.EFFECT_THEN_TIMEOUT, Fault.SERVER_ERROR])
def test_t31_in_process_a_lost_answer_is_unknown_and_the_same_number_goes_through(fault: Fault) -> None:
    books = Books()
    provider = LocalProvider(books, lambda: NOW)

    books.arm(fault)
    assert provider.create(request()).state is PaymentState.UNKNOWN
    assert provider.create(request()).state is PaymentState.OPEN
    books.pay("ORDER00001", NOW)
    books.arm(fault)
    assert provider.refund(refund_request()).state is RefundState.UNKNOWN
    assert provider.refund(refund_request()).state is RefundState.ACCEPTED
    books.tick(NOW + 10)
    assert (books.captured_fen, books.refunded_fen) == (200, 171)


def test_in_process_queries_and_closes_answer_as_over_the_wire() -> None:
    books = Books()
    provider = LocalProvider(books, lambda: NOW)

    assert provider.query("ORDER00001").code == "NOT_FOUND"
    assert provider.close("ORDER00001") is CloseResult.CLOSED
    provider.create(request())
    books.pay_while_closing("ORDER00001", NOW)
    assert provider.close("ORDER00001") is CloseResult.UNKNOWN
    assert provider.query("ORDER00001").state is PaymentState.PAID
    assert provider.close("ORDER00001") is CloseResult.PAID
    assert provider.refund(refund_request(201)) == RefundView(RefundState.REJECTED, "OVER_REFUND")
    assert provider.refund(refund_request()).state is RefundState.ACCEPTED
    assert provider.query("ORDER00001R1").state is PaymentState.REFUNDING
