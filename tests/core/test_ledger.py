"""Transfers: zero by construction, floors that hold, keys and hashes that tell a repeat from a conflict."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import effects as fx
from controller.core import ledger
from controller.core.errors import Refused
from controller.core.house import House
from controller.core.ledger import Entry, Transfer, floor_of, kind_of, posted, replayed
from controller.core.tariff import Bill

BILL = Bill((), 29, 19, 10)

ACCOUNTS = st.sampled_from(["psp:sandbox:m", "cash:m", "session:S1:hold", "card:c1", "refund_due:m"])


def entry(*legs: Transfer, key: str = "k") -> Entry:
    return Entry(key, "test", "r", 0.0, "me", legs)


@given(st.lists(st.tuples(ACCOUNTS, ACCOUNTS, st.integers(1, 10**6)), max_size=20))
def test_whatever_is_posted_the_sum_is_zero_and_no_floor_breaks(legs: list[tuple[str, str, int]]) -> None:
    balances: dict[str, int] = {}
    for debit, credit, amount_fen in legs:
        if debit == credit:
            continue
        try:
            balances.update(posted(balances, entry(Transfer(debit, credit, amount_fen))))
        except Refused as refused:
            assert refused.code == "overdraft"  # noqa: PT017 - both ways are right
        assert sum(balances.values()) == 0
        assert all(fen >= (floor if (floor := floor_of(code)) is not None else fen) for code, fen in balances.items())


@pytest.mark.parametrize(
    "leg", [Transfer("cash:m", "card:c", 0), Transfer("cash:m", "card:c", -1), Transfer("a", "a", 1)]
)
def test_what_moves_nothing_is_our_bug(leg: Transfer) -> None:
    with pytest.raises(ValueError, match="not a transfer"):
        posted({}, entry(leg))


@pytest.mark.parametrize(
    ("account", "kind", "floor"),
    [
        ("psp:sandbox:m", "asset", None),
        ("cash:m", "asset", None),
        ("revenue:energy:m", "revenue", 0),
        ("session:S:hold", "liability", 0),
        ("card:c", "liability", 0),
        ("refund_due:m", "liability", 0),
    ],
)
def test_an_account_is_known_by_its_first_word(account: str, kind: str, floor: int | None) -> None:
    assert (kind_of(account), floor_of(account)) == (kind, floor)


def test_a_charge_from_payment_to_refund_leaves_only_revenue() -> None:
    balances = replayed(
        [
            ledger.payment_held("sandbox", "m", "T1", "S1", 200, 0.0),
            ledger.settled("S1", "m", BILL, ledger.refund_due("m"), 171, 1.0),
            ledger.refunded("sandbox", "m", "O1R", 171, 2.0),
        ]
    )
    assert {code: fen for code, fen in balances.items() if fen} == {
        "psp:sandbox:m": -29,
        "revenue:energy:m": 19,
        "revenue:service:m": 10,
    }


def test_a_settlement_of_nothing_writes_no_empty_leg() -> None:
    free = ledger.settled("S1", "m", Bill((), 0, 0, 0), "card:c", 200, 0.0)
    assert free.transfers == (Transfer("session:S1:hold", "card:c", 200),)


def test_more_than_was_held_cannot_be_taken() -> None:
    held = replayed([ledger.payment_held("sandbox", "m", "T1", "S1", 20, 0.0)])
    with pytest.raises(Refused, match="session:S1:hold"):
        posted(held, ledger.settled("S1", "m", BILL, "card:c", 0, 1.0))


def test_a_key_is_a_function_of_what_happened() -> None:
    keys = [
        ledger.payment_held("sandbox", "m", "T1", "S1", 200, 0.0).key,
        ledger.payment_rejected("sandbox", "m", "T1", "O1", 200, 9.0).key,
        ledger.refunded("sandbox", "m", "O1R", 5, 0.0).key,
        ledger.refunded_by_hand("m", "O1R", 5, 0.0, "staff:f").key,
        ledger.card_held("c1", "S1", 5, 0.0, "party:p").key,
        ledger.card_topped_up("t", "m", "c1", 5, "staff:f", 0.0).key,
    ]
    assert keys == ["txn:sandbox:T1", "txn:sandbox:T1", "refund:O1R", "refund:O1R", "hold:S1", "topup:t"]


def test_a_repeat_is_a_repeat_whenever_it_comes_and_another_body_is_a_conflict() -> None:
    house = House()
    first = ledger.card_topped_up("t", "m", "c1", 500, "staff:f", 1.0)
    house.apply(fx.Post(first))

    assert house.has_posted(ledger.card_topped_up("t", "m", "c1", 500, "staff:g", 99.0))
    with pytest.raises(Refused, match="other contents"):
        house.has_posted(ledger.card_topped_up("t", "m", "c1", 501, "staff:f", 1.0))
    assert not house.has_posted(ledger.card_topped_up("u", "m", "c1", 500, "staff:f", 1.0))


def test_rows_are_checked_together_before_one_of_them_exists() -> None:
    house = House()
    house.apply(fx.Post(ledger.card_topped_up("t", "m", "c1", 500, "staff:f", 1.0)))
    holds = [fx.Post(ledger.card_held("c1", session, 300, 2.0, "p")) for session in ("S1", "S2")]
    house.check(holds[:1])

    with pytest.raises(Refused, match="card:c1"):
        house.check(holds)
    assert house.balances["card:c1"] == 500
