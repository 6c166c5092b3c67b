"""Orders, payments, doubles, cards, top-ups and refunds in any order: the books agree with an oracle of their own."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core import ledger
from controller.core.state import Phase
from tests.core.desk_rig import Desk

AMOUNTS = st.sampled_from([-1, 0, 1, 99, 100, 200, 350, 2000, 2001, 10**12])
OUTLETS = st.sampled_from(["o1", "o2"])


class Books(RuleBasedStateMachine):
    """The oracle counts what the outside world saw: money that came, money that went; it knows no account."""

    @initialize()
    def begin(self) -> None:
        self.desk = Desk()
        self.number = 0
        self.orders: dict[str, int] = {}
        self.came: dict[str, int] = {}  # txn → fen
        self.cash_fen = 0
        self.back: dict[str, int] = {}  # refund → fen that the provider or the office paid out
        self.payments: list[ev.PaymentConfirmed] = []
        self.topups: dict[str, ev.CardToppedUp] = {}

    def next(self) -> int:
        self.number += 1
        return self.number

    # -- orders and payments --------------------------------------------------------------------------------------

    @rule(outlet=OUTLETS, amount_fen=AMOUNTS)
    def order(self, outlet: str, amount_fen: int) -> None:
        number = self.next()
        if self.desk.code(self.desk.order(f"O{number}", outlet, amount_fen)) == "ok":
            assert 100 <= amount_fen <= 2000
            self.orders[f"O{number}"] = amount_fen

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), wrong=st.sampled_from(["", "", "", "", "amount", "late"]))
    def pay(self, data: st.DataObject, wrong: str) -> None:
        order = data.draw(st.sampled_from(sorted(self.orders)))
        if wrong == "late":
            self.desk.wait(1000)
        amount_fen = 1 if wrong == "amount" else self.orders[order]
        paid = self.desk.paid(order, f"T{self.next():012}", amount_fen)
        self.came[paid.txn] = amount_fen
        self.payments.append(paid)
        assert self.desk.code(paid, **self.known(order)) == "ok"

    @precondition(lambda self: self.payments)
    @rule(data=st.data(), key=st.booleans())
    def pay_again(self, data: st.DataObject, key: bool) -> None:
        """The same money said twice: by the same message, or by the answer to a query."""
        paid = data.draw(st.sampled_from(self.payments))
        again = self.desk.paid(paid.order, paid.txn, paid.amount_fen, key=f"again-{self.next()}" if key else paid.key)
        assert self.desk.code(again, **self.known(paid.order)) == "ok"

    @precondition(lambda self: self.orders)
    @rule(
        data=st.data(),
        other=st.sampled_from([{"merchant": "x"}, {"currency": "USD"}, {"amount_fen": 0}, {"amount_fen": -5}]),
    )
    def pay_wrongly(self, data: st.DataObject, other: dict[str, Any]) -> None:
        order = data.draw(st.sampled_from(sorted(self.orders)))
        paid = self.desk.paid(order, **{"txn": f"W{self.next()}", "amount_fen": self.orders[order], **other})
        assert self.desk.code(paid, **self.known(order)) == "conflict"

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.desk.ask(self.desk.cancelled(data.draw(st.sampled_from(sorted(self.orders)))))

    @rule()
    def time_passes(self) -> None:
        self.desk.wait(950)

    def known(self, order: str) -> dict[str, Any]:
        """What a database would still know, however old."""
        saved = [row.order for row in self.desk.rows if isinstance(row, fx.SaveOrder) and row.order.id == order]
        return {"order": saved[0]} if saved else {}

    # -- cards ------------------------------------------------------------------------------------------------------

    @rule(card=st.sampled_from(["c1", "c2"]), amount_fen=st.sampled_from([-5, 0, 1, 300, 99_999]))
    def top_up(self, card: str, amount_fen: int) -> None:
        event = self.desk.topup(amount_fen, f"t{self.next()}", card)
        if self.desk.code(event) == "ok":
            self.cash_fen += amount_fen
            self.topups[event.key] = event

    @precondition(lambda self: self.topups)
    @rule(data=st.data())
    def top_up_again(self, data: st.DataObject) -> None:
        self.desk.house.answers.clear()  # as after a restart
        assert self.desk.ask(self.topups[data.draw(st.sampled_from(sorted(self.topups)))])["repeat"] is True

    @rule(outlet=OUTLETS, card=st.sampled_from("12"))
    def tap(self, outlet: str, card: str) -> None:
        self.desk.wait(4)
        self.desk.code(self.desk.tap(outlet, f"04AB{card}", f"SC{self.next()}"))

    @rule(outlet=st.sampled_from(["", "o1", "o2"]), card=st.sampled_from("12"))
    def tap_at_the_piles_reader(self, outlet: str, card: str) -> None:
        self.desk.wait(4)
        tap = self.desk.tap(outlet, f"04AB{card}", f"SC{self.next()}")
        self.desk.code(replace(tap, pile="p1"))

    # -- charging ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.desk.house.sessions)
    @rule(data=st.data(), used_wh=st.sampled_from([0.0, 1.0, 347.0, 1999.0]))
    def charge(self, data: st.DataObject, used_wh: float) -> None:
        self.desk.charged(data.draw(st.sampled_from(sorted(self.desk.house.sessions))), used_wh)

    @precondition(lambda self: self.desk.house.sessions)
    @rule(data=st.data())
    def cancel_at_the_outlet(self, data: st.DataObject) -> None:
        self.desk.do(self.desk.stop(data.draw(st.sampled_from(sorted(self.desk.house.sessions)))))

    # -- refunds ----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.desk.house.refunds)
    @rule(data=st.data(), state=st.sampled_from(["success", "success", "closed", "abnormal"]))
    def refund(self, data: st.DataObject, state: str) -> None:
        refund = data.draw(st.sampled_from(sorted(self.desk.house.refunds)))
        due_fen = self.desk.house.refunds[refund].amount_fen
        assert self.desk.code(self.desk.refunded(refund, due_fen + 1, state, key=f"wrong-{self.next()}")) == "conflict"
        assert self.desk.code(self.desk.refunded(refund, due_fen, state)) == "ok"
        if state == "success":
            self.back[refund] = due_fen

    @precondition(lambda self: self.back)
    @rule(data=st.data())
    def refund_again(self, data: st.DataObject) -> None:
        refund = data.draw(st.sampled_from(sorted(self.back)))
        rows = [row.refund for row in self.desk.rows if isinstance(row, fx.SaveRefund) and row.refund.id == refund]
        event = self.desk.refunded(refund, self.back[refund], key=f"again-{self.next()}")
        self.desk.code(event, refund=rows[0])  # the oldest that a database may still show

    @precondition(lambda self: self.desk.house.refunds)
    @rule(data=st.data())
    def pay_out_by_hand(self, data: st.DataObject) -> None:
        refund = data.draw(st.sampled_from(sorted(self.desk.house.refunds)))
        due = self.desk.house.refunds[refund]
        event = ev.RefundPaidByHand(**self.desk.stamp(), key=f"hand-{self.next()}", by="staff:f", refund=refund)
        if self.desk.code(event) == "ok":
            assert due.state in ("closed", "abnormal")
            self.back[refund] = due.amount_fen

    # -- what always holds ------------------------------------------------------------------------------------------

    @invariant()
    def all_money_that_came_is_somewhere(self) -> None:
        came_fen = sum(self.came.values()) + self.cash_fen
        kept_fen = sum(self.desk.of(kind) for kind in ("session:", "card:", "revenue:", "refund_due:"))
        assert came_fen == kept_fen + sum(self.back.values())

    @invariant()
    def the_sum_is_zero_and_every_floor_holds(self) -> None:
        assert sum(self.desk.house.balances.values()) == 0
        floors = {account: ledger.floor_of(account) for account in self.desk.house.balances}
        assert all(floor is None or self.desk.house.balances[account] >= floor for account, floor in floors.items())

    @invariant()
    def a_live_session_holds_its_hold_and_a_settled_one_nothing(self) -> None:
        holds = {ledger.hold(live.id): live.hold_fen for live in self.desk.house.sessions.values()}
        have = {code: fen for code, fen in self.desk.house.balances.items() if code.startswith("session:")}
        assert {code: fen for code, fen in have.items() if fen} == holds

    @invariant()
    def revenue_is_what_the_receipts_say_and_debts_are_what_refunds_say(self) -> None:
        assert self.desk.of("revenue:") == sum(self.desk.receipts().values())
        assert self.desk.of("refund_due:") == sum(refund.amount_fen for refund in self.desk.house.refunds.values())

    @invariant()
    def everything_is_booked_once(self) -> None:
        entries = self.desk.entries()
        assert len(entries) == len(set(entries))
        assert {key for key in entries if key.startswith("txn:")} == {f"txn:sandbox:{txn}" for txn in self.came}
        assert self.desk.engine.counts.get("fenced", 0) == 0

    @invariant()
    def a_card_charges_at_one_outlet(self) -> None:
        cards = [live.card for live in self.desk.house.sessions.values() if live.card is not None]
        assert len(cards) == len(set(cards))
        assert all(live.phase is not Phase.SETTLED for live in self.desk.house.sessions.values())

    def teardown(self) -> None:
        """Whatever is left is ended: then nothing is held, and what is due is exactly what did not become revenue."""
        if not hasattr(self, "desk"):
            return
        for outlet in list(self.desk.house.sessions):
            self.desk.charged(outlet, 10.0)
        assert self.desk.house.sessions == {}
        assert self.desk.of("session:") == 0
        self.all_money_that_came_is_somewhere()


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
