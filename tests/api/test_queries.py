"""Queries find what the writer wrote, join the names, page in SQL, and can't write."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from controller.core.events import PaymentConfirmed, RefundConfirmed
from controller.core.state import Order, Refund
from tests.api.stand import AT, HERE, STICKER, THERE, Stand


def test_a_session_comes_with_its_story(stand: Stand) -> None:
    row = stand.queries.session("s-here")
    assert row is not None
    assert (row.number, row.site_name, row.reason, row.bill_fen, row.returned_fen) == (
        "A-here",
        HERE,
        "finished",
        29,
        171,
    )
    assert row.curve == [[10.0, 168.0, 0.5]]
    assert row.receipt is not None
    assert row.receipt.total_fen == 29
    assert sum(line["amount_fen"] for line in row.receipt.lines) == 29
    assert [moment.what for moment in row.moments] == ["paid"]
    assert [refund.amount_fen for refund in row.refunds] == [171]
    assert sum(t.amount_fen for t in row.transfers if t.kind == "settle") == 200
    assert stand.queries.session_by_order("order-here") == row


def test_what_is_foreign_is_not_listed(stand: Stand) -> None:
    q = stand.queries
    assert [row.id for row in q.outlets([HERE])] == ["o-here"]
    assert {row.id for row in q.outlets()} == {"o-here", "o-there"}
    assert [row.id for row in q.sessions([HERE]).rows] == ["s-here"]
    assert [row.id for row in q.payments([THERE]).rows] == ["order-there"]
    assert [row.id for row in q.refunds([HERE], owed=True).rows] == ["r-here"]
    assert [row.id for row in q.alarms([HERE]).rows] == ["a-here"]
    assert [row.subject for row in q.audit([HERE]).rows] == ["o-here"]
    assert q.sessions([]).rows == []


def test_pages_are_cut_by_the_database(stand: Stand) -> None:
    first, second = (stand.queries.sessions(limit=1, offset=offset) for offset in (0, 1))
    assert (len(first.rows), first.total) == (1, 2)
    assert first.rows[0].id != second.rows[0].id
    assert stand.queries.sessions(reason="unplugged").total == 0
    assert stand.queries.sessions(since_at=AT + 1).total == 0


def test_a_card_shows_its_balance(stand: Stand) -> None:
    card = stand.queries.card("card1")
    assert card is not None
    assert card.balance_fen == 5000
    assert stand.queries.cards(search="000").total == 1
    assert stand.queries.cards(search="%").total == 0


def test_an_order_is_found_by_each_of_its_names(stand: Stand) -> None:
    q = stand.queries
    by = (q.order("order-here"), q.by_key("key-here"), q.order_by_secret("hash-here"))
    assert {row.id for row in by if row is not None} == {"order-here"}
    assert q.order("nobody") is None


def test_an_outlet_comes_with_pile_tariff_and_stickers(stand: Stand) -> None:
    row = stand.queries.outlet("o-here")
    assert row is not None
    assert (row.pile.family, row.tariff.bands[0].energy_price, row.stickers) == ("tasmota", 5583, [STICKER])


def test_an_overview_counts_one_site_or_all(stand: Stand) -> None:
    one, both = stand.queries.overview(AT, [HERE]), stand.queries.overview(AT)
    assert (one.sessions, one.energy_wh, one.takings_fen, one.refunds_due_fen, one.refunds_stuck) == (
        1,
        347.0,
        29,
        171,
        1,
    )
    assert (both.sessions, both.alarms_open) == (2, 2)


def test_money_events_bring_what_the_books_know(stand: Stand) -> None:
    paid = PaymentConfirmed(
        at=AT,
        steady_s=0.0,
        key="k",
        provider="sandbox",
        merchant="shop",
        app="app",
        order="order-here",
        txn="txn-here",
        amount_fen=200,
        currency="CNY",
    )
    known = stand.queries.known(paid)
    assert isinstance(known["order"], Order)
    assert len(known["entry"]) == 64
    back = RefundConfirmed(
        at=AT,
        steady_s=0.0,
        key="k",
        provider="sandbox",
        merchant="shop",
        refund="r-here",
        amount_fen=171,
        state="success",
    )
    assert isinstance(stand.queries.known(back)["refund"], Refund)


def test_not_even_a_mistake_can_write(stand: Stand) -> None:
    with stand.queries._engine.connect() as db, pytest.raises(OperationalError, match="readonly"):
        db.execute(text("DELETE FROM meta"))
