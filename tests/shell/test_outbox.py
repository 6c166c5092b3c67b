"""Errands: repeated with the same number until they are known to be done, and never struck out by an old answer."""

from collections.abc import Callable
from typing import Any

import pytest

from controller.clock import HandClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.outbox import BACK_OFF_S, Account, Outbox
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

ACCOUNT = Account("sandbox", "m", "a", "https://us/hook", "https://us/o/{order}")


class Provider:
    """Answers from a script, the last answer for ever; remembers every number it was given."""

    def __init__(self, **script: list[Any]) -> None:
        self.script = script
        self.asked: list[tuple[str, str]] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def _answer(self, verb: str, number: str) -> Any:
        self.asked.append((verb, number))
        self.meanwhile()
        answers = self.script[verb]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def create(self, order: OrderRequest) -> PayPage:
        page: PayPage = self._answer("create", order.order_no)
        return page

    def query(self, number: str) -> PaymentView:
        state, amount_fen = self._answer("query", number)
        return PaymentView(number=number, state=state, amount_fen=amount_fen, txn_id="T1")

    def close(self, order_no: str) -> CloseResult:
        result: CloseResult = self._answer("close", order_no)
        return result

    def refund(self, request: RefundRequest) -> RefundView:
        return RefundView(self._answer("refund", request.refund_no), "")


class Bench:
    def __init__(self, **script: list[Any]) -> None:
        self.clock = HandClock()
        self.provider = Provider(**script)
        self.told: list[ev.Event] = []
        self.outbox = Outbox({"sandbox": self.provider}, {"sandbox": ACCOUNT}, self.clock, self.told.append)

    def wish(self, kind: str, version: int = 1, number: str = "O1") -> None:
        payload: dict[str, object] = {
            "order": "O1",
            "refund": "O1R",
            "provider": "sandbox",
            "merchant": "m",
            "amount_fen": 171,
            "total_fen": 200,
            "txn": "T1",
            "expires_at": self.clock.now().at + 900,
        }
        self.outbox.put(fx.Wish(f"{kind}:{number}", kind, payload, self.clock.now().at, version=version))

    def run(self, times: int = 1, seconds: float = 700.0) -> None:
        for _ in range(times):
            self.outbox.run_due()
            self.clock.advance(seconds)

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.told]


def test_t31_a_create_whose_answer_was_lost_is_sent_again_with_the_same_number() -> None:
    bench = Bench(create=[PayPage("", PaymentState.UNKNOWN), TimeoutError(), PayPage("https://pay")])
    bench.wish("create")
    bench.run(4)

    assert bench.provider.asked == [("create", "O1")] * 3
    assert bench.kinds() == ["PayPageMade", "ErrandDone"]


def test_t31_a_refund_whose_answer_was_lost_is_asked_about_before_it_is_sent_again() -> None:
    bench = Bench(refund=[RefundState.UNKNOWN], query=[(PaymentState.REFUNDED, 171)])
    bench.wish("refund")
    bench.run(3)

    assert bench.provider.asked == [("refund", "O1R"), ("query", "O1R")]
    assert [(event.refund, event.state) for event in bench.told if isinstance(event, ev.RefundConfirmed)] == [
        ("O1R", "success")
    ]


def test_t35_a_refund_that_never_arrived_is_sent_again_with_its_own_number() -> None:
    bench = Bench(
        refund=[RefundState.UNKNOWN, RefundState.UNKNOWN, RefundState.SUCCESS], query=[(PaymentState.UNKNOWN, 0)]
    )
    bench.wish("refund")
    bench.run(4)

    assert {number for _, number in bench.provider.asked} == {"O1R"}
    assert bench.kinds() == ["RefundConfirmed", "ErrandDone"]


@pytest.mark.parametrize(
    ("script", "state"),
    [
        ({"refund": [RefundState.REJECTED]}, "closed"),
        ({"refund": [RefundState.ACCEPTED], "query": [(PaymentState.FAILED, 0)]}, "abnormal"),
    ],
)
def test_t36_a_refund_that_can_not_be_made_says_so_once(script: dict[str, list[Any]], state: str) -> None:
    bench = Bench(**script)
    bench.wish("refund")
    bench.run(3)

    assert [event.state for event in bench.told if isinstance(event, ev.RefundConfirmed)] == [state]


def test_t30_an_order_paid_while_it_was_being_closed_is_told_as_paid() -> None:
    bench = Bench(close=[CloseResult.UNKNOWN, CloseResult.PAID], query=[(PaymentState.PAID, 200)])
    bench.wish("close")
    bench.run(3)

    paid = [event for event in bench.told if isinstance(event, ev.PaymentConfirmed)]
    assert [(event.order, event.txn, event.amount_fen) for event in paid] == [("O1", "T1", 200)]


def test_an_order_is_asked_about_until_it_is_over_and_not_for_ever() -> None:
    bench = Bench(query=[(PaymentState.OPEN, 0)])
    bench.wish("query")
    bench.run(10, 300.0)

    assert 3 <= len(bench.provider.asked) <= 6
    assert bench.kinds() == ["ErrandDone"]


def test_an_answer_to_an_older_wish_does_not_strike_out_the_newer() -> None:
    bench = Bench(refund=[RefundState.SUCCESS])
    bench.wish("refund", version=1)
    bench.provider.meanwhile = lambda: None if len(bench.provider.asked) > 1 else bench.wish("refund", version=2)
    bench.run(2)

    done = [event for event in bench.told if isinstance(event, ev.ErrandDone)]
    assert [event.version for event in done] == [2]
    assert len(bench.provider.asked) == 2


def test_a_provider_that_fails_is_left_longer_and_longer_alone() -> None:
    bench = Bench(create=[ConnectionError()])
    bench.wish("create")
    began = bench.clock.now().at
    waits = []
    for _ in range(len(BACK_OFF_S)):
        bench.outbox.run_due()
        due_at = bench.outbox.next_due_at()
        assert due_at is not None
        waits.append(due_at - bench.clock.now().at)
        bench.clock.advance(waits[-1])

    assert waits == pytest.approx(BACK_OFF_S)
    assert bench.clock.now().at - began == pytest.approx(sum(BACK_OFF_S))


def test_a_wish_for_a_provider_that_is_gone_harms_no_other() -> None:
    bench = Bench(create=[PayPage("https://pay")])
    lost = fx.Wish("create:O9", "create", {"provider": "gone", "order": "O9"}, bench.clock.now().at, version=1)
    bench.outbox.put(lost)
    bench.wish("create")
    bench.run()

    assert bench.kinds() == ["PayPageMade", "ErrandDone"]
