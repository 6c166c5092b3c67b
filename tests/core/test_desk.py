"""The desk, sentence by sentence, and the attacks on money and cards that need no wire (T…)."""

import hashlib
from itertools import permutations
from typing import Any

import pytest

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.session import TABLE
from controller.core.state import OrderState, Phase, Refund, RefundState
from tests.core.desk_rig import Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()


def rows(desk: Desk, kind: type) -> list[Any]:
    return [row for row in desk.rows if isinstance(row, kind)]


def phase(desk: Desk) -> str:
    return str(desk.house.sessions["o1"].phase)


def last_order(desk: Desk) -> Any:
    return rows(desk, fx.SaveOrder)[-1].order


def paid_order(desk: Desk, order: str = "O1", outlet: str = "o1") -> None:
    desk.ask(desk.order(order, outlet))
    desk.ask(desk.paid(order, f"T{order}"))


# -- orders -------------------------------------------------------------------------------------------------------


def test_an_order_freezes_its_price_reserves_nothing_and_asks_for_a_pay_page(desk: Desk) -> None:
    desk.ask(desk.order())

    order = last_order(desk)
    assert (order.state, order.amount_fen, order.tariff.id) == (OrderState.OPEN, 200, "t1")
    assert [wish.kind for wish in rows(desk, fx.Wish)] == ["create"]
    assert desk.house.sessions == {}
    desk.ask(desk.order("O2"))  # the same outlet


@pytest.mark.parametrize("amount_fen", [-200, 0, 99, 2001, 10**15])
def test_t25_an_amount_outside_the_bounds_is_refused(desk: Desk, amount_fen: int) -> None:
    assert desk.code(desk.order(amount_fen=amount_fen)) == "amount"
    assert desk.rows == []


def test_t24_an_order_has_no_word_for_a_price_and_takes_the_sites(desk: Desk) -> None:
    assert not {"price", "tariff", "energy_price", "service_price"} & set(ev.OrderPlaced.__struct_fields__)
    desk.ask(desk.order(max_s=10**9))

    assert last_order(desk).tariff == desk.house.sites["s1"].tariff
    assert last_order(desk).max_s == desk.engine.rules.hard_cap_s


def test_t27_a_double_click_is_one_order(desk: Desk) -> None:
    first = desk.ask(desk.order("O1", key="k"))
    again = desk.ask(desk.order("O2", key="k"))

    assert first["order"] == again["order"] == "O1"
    assert len(rows(desk, fx.SaveOrder)) == 1


def test_a_double_click_long_ago_is_found_in_the_database(desk: Desk) -> None:
    desk.ask(desk.order("O1", key="k"))
    old = last_order(desk)
    desk.house.answers.clear()
    desk.house.order_keys.clear()

    assert desk.ask(desk.order("O2", key="k"), order=old)["order"] == "O1"


def test_one_key_for_two_different_asks_does_both(desk: Desk) -> None:
    desk.ask(desk.order("O1", key="same"))

    desk.ask(ev.OrderCancelled(**desk.stamp(), key="same", order="O1"))

    assert last_order(desk).state is OrderState.CANCELLED


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda desk: desk.do(ev.LinkLost(**desk.stamp(), outlet="o1")), "link_down"),
        (lambda desk: desk.reads("o1", 60.0), "latched"),
        (lambda desk: desk.ask(desk.change(ev.Change.LOCK, "o1")), "locked"),
        (lambda desk: desk.ask(desk.change(ev.Change.CLOSE, "o1")), "not_open"),
        (lambda desk: paid_order(desk, "O9"), "busy"),
    ],
)
def test_an_outlet_that_cannot_serve_is_not_sold_and_money_for_it_goes_back(desk: Desk, spoil: Any, code: str) -> None:
    desk.ask(desk.order("O1"))
    spoil(desk)

    assert desk.code(desk.order("O2")) == code
    assert desk.ask(desk.paid("O1"))["rejected"] == code
    assert desk.of("refund_due:") == 200


# -- payments -----------------------------------------------------------------------------------------------------


def test_a_payment_holds_its_money_and_the_on_waits_for_the_rows(desk: Desk) -> None:
    desk.ask(desk.order())
    assert desk.ask(desk.paid()) == {"order": "O1", "session": "S1"}

    assert desk.of("session:S1:hold") == 200
    assert desk.house.sessions["o1"].phase is Phase.OPENING
    assert "on o1" not in desk.gear.log  # this desk has no writer, so no ON ever leaves


@pytest.mark.parametrize("other", [{"merchant": "x"}, {"provider": "other"}, {"currency": "USD"}])
def test_t10_t12_a_payment_for_another_merchant_provider_or_currency_books_nothing(desk: Desk, other: Any) -> None:
    desk.ask(desk.order())

    assert desk.code(desk.paid(**other)) == "conflict"
    assert desk.entries() == []
    assert desk.code(desk.paid(key="good")) == "ok"


@pytest.mark.parametrize("amount_fen", [1, 199, 201, 10**12])
def test_t11_a_payment_of_another_amount_goes_back_and_the_order_waits_for_the_right_one(
    desk: Desk, amount_fen: int
) -> None:
    desk.ask(desk.order())

    assert desk.ask(desk.paid(txn="T0", amount_fen=amount_fen))["rejected"] == "amount"
    assert desk.ask(desk.paid())["session"] == "S1"
    assert (desk.of("refund_due:"), desk.of("session:")) == (amount_fen, 200)


@pytest.mark.parametrize("amount_fen", [0, -200])
def test_a_payment_of_nothing_is_refused(desk: Desk, amount_fen: int) -> None:
    desk.ask(desk.order())
    assert desk.code(desk.paid(amount_fen=amount_fen)) == "conflict"


def test_t13_a_payment_that_names_another_merchants_order_books_nothing(desk: Desk) -> None:
    desk.ask(desk.order())
    assert desk.code(desk.paid("X999")) == "unknown_order"
    assert desk.code(desk.paid(merchant="m2")) == "conflict"
    assert desk.entries() == []


def test_t17_a_payment_heard_of_before_create_returned_starts_the_charge(desk: Desk) -> None:
    desk.ask(desk.order())
    desk.ask(desk.paid())
    desk.do(ev.PayPageMade(**desk.stamp(), order="O1", url="https://pay"))

    assert desk.house.sessions["o1"].id == "S1"
    assert last_order(desk).state is OrderState.PAID


def test_t18_t30_a_payment_after_the_order_was_closed_goes_back_even_if_only_a_query_learns_of_it(desk: Desk) -> None:
    desk.ask(desk.order())
    desk.ask(desk.cancelled())
    assert [wish.kind for wish in rows(desk, fx.Wish)] == ["create", "close"]

    desk.do(desk.paid())  # the errand that closes brings no `found`

    assert desk.of("refund_due:") == 200
    assert [wish.kind for wish in rows(desk, fx.Wish)][-1] == "refund"
    assert desk.house.sessions == {}


def test_t29_a_payment_after_expiry_goes_back(desk: Desk) -> None:
    desk.ask(desk.order())
    desk.wait(901)
    assert last_order(desk).state is OrderState.EXPIRED

    assert desk.ask(desk.paid())["rejected"] == "expired"
    assert desk.of("refund_due:") == 200


def test_t26_the_second_payer_at_an_outlet_is_refunded(desk: Desk) -> None:
    desk.ask(desk.order("O1"))
    desk.ask(desk.order("O2", party="p2"))
    desk.ask(desk.paid("O1", "T1"))

    assert desk.ask(desk.paid("O2", "T2"))["rejected"] == "busy"

    assert desk.house.sessions["o1"].id == "S1"
    assert [refund.amount_fen for refund in desk.house.refunds.values()] == [200]


def test_an_order_paid_twice_charges_once_and_gives_one_payment_back_even_on_an_old_answer(desk: Desk) -> None:
    desk.ask(desk.order())
    old = last_order(desk)
    desk.ask(desk.paid(txn="T1"))

    assert desk.ask(desk.paid(txn="T2"), order=old)["rejected"] == "already_paid"

    assert last_order(desk).state is OrderState.PAID
    assert (desk.of("session:"), desk.of("refund_due:")) == (200, 200)


def refund_number(order: str, txn: str) -> str:
    return f"{order}J{hashlib.sha256(txn.encode()).hexdigest()[:24]}"


def test_i13_any_order_with_repeats_gives_the_same_balances() -> None:
    results = set()
    for turn in permutations(range(5)):
        desk = Desk()
        desk.ask(desk.order("O1"))
        desk.ask(desk.order("O2"))
        desk.ask(desk.order("O3", "o2"))
        desk.ask(desk.cancelled("O3"))
        events = [
            desk.paid("O1", "T1"),
            desk.paid("O1", "T2", key="e2"),
            desk.paid("O1", "T1", key="query"),
            desk.paid("O3", "T3"),
            desk.refunded(refund_number("O3", "T3"), 200),
        ]
        for at in (*turn, *turn, *reversed(turn)):
            desk.code(events[at])
        results.add(tuple(sorted(desk.house.balances.items())))

    assert len(results) == 1


# -- refunds ------------------------------------------------------------------------------------------------------


def settled(desk: Desk) -> Refund:
    paid_order(desk)
    desk.charged("o1", 347.0)
    return desk.house.refunds["O1R"]


def test_a_settled_charge_wishes_for_one_refund_to_the_fen(desk: Desk) -> None:
    refund = settled(desk)

    assert (refund.amount_fen, refund.total_fen, refund.txn) == (171, 200, "TO1")
    assert [wish.slot for wish in rows(desk, fx.Wish)][-1] == "refund:O1R"


def test_t33_a_refund_confirmed_twice_at_once_is_booked_once(desk: Desk) -> None:
    refund = settled(desk)
    desk.ask(desk.refunded("O1R", 171, key="webhook"))
    assert desk.ask(desk.refunded("O1R", 171, key="query"), refund=refund)["repeat"] is True

    assert desk.of("refund_due:") == 0
    assert desk.entries().count("refund:O1R") == 1


@pytest.mark.parametrize("amount_fen", [172, 200, 1, -171])
def test_t34_a_refund_of_more_than_the_rest_is_refused(desk: Desk, amount_fen: int) -> None:
    settled(desk)
    assert desk.code(desk.refunded("O1R", amount_fen)) == "conflict"
    assert desk.of("refund_due:") == 171


def test_t19_a_refund_that_nobody_asked_for_is_refused(desk: Desk) -> None:
    assert desk.code(desk.refunded("X1R", 5)) == "unknown_refund"


@pytest.mark.parametrize("state", ["closed", "abnormal"])
def test_a_refund_the_provider_could_not_make_stays_due_and_may_be_paid_by_hand_once(desk: Desk, state: str) -> None:
    settled(desk)
    by_hand = ev.RefundPaidByHand(**desk.stamp(), key="h1", by="staff:f", refund="O1R")
    assert desk.code(by_hand) == "conflict"  # not while the provider may still pay

    desk.ask(desk.refunded("O1R", 171, state))
    assert desk.house.refunds["O1R"].state == state
    assert desk.of("refund_due:") == 171
    assert rows(desk, fx.RaiseAlarm)[-1].kind == f"refund_{state}"

    desk.ask(by_hand)
    assert (desk.of("refund_due:"), desk.of("cash:")) == (0, 171)
    assert rows(desk, fx.SaveRefund)[-1].refund.state is RefundState.BY_HAND
    again = ev.RefundPaidByHand(**desk.stamp(), key="h2", by="staff:f", refund="O1R")
    assert desk.code(again) == "conflict"


# -- cards --------------------------------------------------------------------------------------------------------


def test_a_tap_holds_the_smaller_of_balance_and_the_usual_hold_and_the_rest_comes_back(desk: Desk) -> None:
    desk.ask(desk.topup(1_300))
    desk.do(desk.tap())
    assert (desk.of("session:SC1"), desk.of("card:c1")) == (500, 800)

    desk.charged("o1", 347.0)
    assert desk.of("card:c1") == 1_300 - 29
    assert desk.house.refunds == {}


def test_a_second_tap_stops_and_a_stutter_does_not(desk: Desk) -> None:
    desk.ask(desk.topup(300))
    desk.do(desk.tap())
    desk.wait(2)
    desk.do(desk.tap(session="SC2"))
    assert phase(desk) == "opening"

    desk.wait(4)
    desk.do(desk.tap(session="SC3"))
    assert phase(desk) == "closing"
    assert desk.gear.log[-1] == "off o1"


def test_t53_the_same_card_at_a_second_outlet_is_refused(desk: Desk) -> None:
    desk.ask(desk.topup(2_000))
    desk.do(desk.tap("o1"))
    desk.wait(4)

    assert desk.code(desk.tap("o2", session="SC2")) == "card_busy"
    assert list(desk.house.sessions) == ["o1"]


def test_t56_a_frozen_card_starts_nothing(desk: Desk) -> None:
    desk.ask(desk.topup(300))
    desk.ask(desk.change(ev.Change.CARD, "c1", frozen=True))

    assert desk.code(desk.tap()) == "card_frozen"
    assert desk.of("card:c1") == 300


@pytest.mark.parametrize(("uid", "code"), [("FFFF", "card_unknown"), ("04AB2", "card_empty")])
def test_a_card_unknown_or_empty_starts_nothing(desk: Desk, uid: str, code: str) -> None:
    assert desk.code(desk.tap(uid=uid)) == code
    assert desk.house.sessions == {}


def test_a_card_holds_a_thousand_yuan_at_most_and_a_repeat_is_no_second_top_up(desk: Desk) -> None:
    assert desk.code(desk.topup(100_001)) == "amount"
    assert desk.code(desk.topup(100_000, "a")) == "ok"
    desk.house.answers.clear()
    assert desk.ask(desk.topup(100_000, "a"))["repeat"] is True
    assert desk.code(desk.topup(99_000, "a", "c1")) in ("ok", "conflict")
    assert desk.of("card:c1") == 100_000
    assert desk.code(desk.topup(1, "b", "nobody")) == "card_unknown"


def test_the_same_key_with_other_contents_is_a_conflict(desk: Desk) -> None:
    desk.ask(desk.topup(100, "a"))
    desk.house.answers.clear()

    with pytest.raises(Refused, match="booked with other contents"):
        desk.ask(desk.topup(200, "a"))


# -- devices ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("energy_wh", [0.0, 2.0**32, 1e15])
def test_t48_a_meter_that_jumps_bills_nothing_absurd(desk: Desk, energy_wh: float) -> None:
    paid_order(desk)
    desk.reads("o1", 60.0)
    desk.clock.advance(1)
    desk.do(ev.Reading(**desk.stamp(), outlet="o1", power_w=60.0, energy_wh=energy_wh))
    desk.reads("o1", 60.0, 10.0)
    desk.do(desk.stop())
    desk.reads("o1", 0.0)
    for _ in range(4):
        desk.reads("o1", 0.0)

    assert desk.receipts()["S1"] <= 1
    assert desk.of("session:") == 0


def test_t49_power_while_no_session_is_cut_alarmed_and_not_sold(desk: Desk) -> None:
    desk.reads("o1", 500.0)

    assert desk.gear.log[-1] == "off o1"
    assert rows(desk, fx.RaiseAlarm)[-1].kind == "power_without_session"
    assert desk.code(desk.order()) == "latched"
    desk.reads("o1", 500.0)
    assert desk.house.outlets["o1"].latch == "relay_fault"


def test_t50_a_session_whose_outlet_still_draws_power_has_not_ended(desk: Desk) -> None:
    paid_order(desk)
    desk.reads("o1", 60.0)
    desk.do(desk.stop())
    for _ in range(55):
        desk.reads("o1", 60.0, 1.0)
        desk.clock.advance(9)
        desk.step()
    assert desk.house.sessions["o1"].phase is Phase.CLOSING
    assert desk.receipts() == {}
    assert desk.gear.log.count("off o1") >= 50

    desk.wait(60)
    assert desk.house.sessions == {}
    assert desk.house.outlets["o1"].latch == "relay_fault"
    assert desk.receipts()["S1"] == 0  # what flowed after the first OFF is ours to bear


def test_t42_a_stop_with_another_sessions_number_stops_nothing(desk: Desk) -> None:
    paid_order(desk)
    assert desk.code(desk.stop("o1", "S999")) == "already_settled"
    assert desk.house.sessions["o1"].phase is Phase.OPENING


def test_t51_our_own_clock_stepping_stops_sales_and_no_charge(desk: Desk) -> None:
    paid_order(desk)
    desk.reads("o1", 60.0)
    desk.clock.step_wall(365 * 86_400.0)
    desk.step()

    assert desk.code(desk.order("O2", "o2")) == "clock_untrusted"
    for _ in range(5):
        desk.reads("o1", 60.0, 1.0)
        desk.wait(40)
    assert desk.house.sessions["o1"].phase is Phase.CHARGING
    assert desk.gear.log[-1] == "renew o1"
    desk.wait(600)
    assert desk.code(desk.order("O2", "o2")) == "ok"


def test_a_wall_clock_set_back_delays_an_orders_end_and_does_not_forget_it(desk: Desk) -> None:
    desk.ask(desk.order())
    desk.clock.step_wall(-3600)
    desk.wait(901)
    assert "O1" in desk.house.orders

    desk.wait(3601)
    assert last_order(desk).state is OrderState.EXPIRED


def test_a_bug_in_one_decision_fences_one_outlet_and_the_rest_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid_order(desk)
    paid_order(desk, "O2", "o2")
    desk.reads("o2", 60.0)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    table: dict[Any, Any] = TABLE[Phase.OPENING]
    for kind in (ev.Reading, ev.DeadlinePassed):
        monkeypatch.setitem(table, kind, broken)
    desk.reads("o1", 60.0)
    desk.wait(45)

    assert desk.engine.counts["fenced"] >= 1
    assert "off o1" in desk.gear.log
    assert desk.gear.log[-1] == "renew o2"
    desk.do(desk.stop("o2"))
    desk.reads("o2", 0.0)
    assert "S2" in desk.receipts()
