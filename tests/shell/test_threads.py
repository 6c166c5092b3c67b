"""The same parts with their real threads: many askers at once, one decider, one pen (T6, T28, T31, T33)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any

import pytest

from controller.clock import HandClock
from controller.core import events as ev
from controller.core.errors import Refused
from controller.ledger_check import proofs
from controller.queries import Queries
from tests.shell.rig import Plug, Rig

MANY = 24


@contextmanager
def running(rig: Rig) -> Iterator[None]:
    """A decider's and a writer's thread, as the program has them."""
    stopping = Event()

    def decide() -> None:
        while not stopping.is_set():
            batch = rig.engine.step(rig.clock.now())
            if batch is not None:
                rig.writer.put(batch)
            rig.engine.inbox.waiting.wait(0.02)

    threads = [Thread(target=decide), Thread(target=lambda: rig.writer.run(stopping.wait))]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        rig.writer.stop()
        for thread in threads:
            thread.join(10)


def all_at_once(rig: Rig, make: Callable[[int], ev.Event]) -> list[Any]:
    """Everybody looks in the database, waits for the others, and asks."""
    barrier, queries = Barrier(MANY), Queries(rig.url)

    def ask(number: int) -> Any:
        event = make(number)
        found = queries.known(event)
        barrier.wait(10)
        try:
            return rig.engine.inbox.ask(event, found).result(10)
        except Refused as refused:
            return refused.code

    try:
        with ThreadPoolExecutor(MANY) as pool:
            return list(pool.map(ask, range(MANY)))
    finally:
        queries.close()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path)
    rig.beat()
    rig.answer(rig.order())
    return rig


@pytest.mark.parametrize("same_message", [True, False])
def test_t6_one_payment_told_24_times_at_once_is_booked_once(rig: Rig, same_message: bool) -> None:
    with running(rig):
        answers = all_at_once(rig, lambda number: rig.paid(key="e" if same_message else f"e{number}"))

    assert all(answer["order"] == "O1" for answer in answers)
    assert rig.sql("SELECT COUNT(*) FROM entry") == [(1,)]
    assert rig.plug.log.count("on") == 1
    assert proofs(rig.url) == []


def test_t26_24_payments_for_one_order_hold_one_and_give_23_back(rig: Rig) -> None:
    with running(rig):
        all_at_once(rig, lambda number: rig.paid(txn=f"T{number:012}"))

    assert rig.house.balances["session:S1:hold"] == 200
    assert rig.house.balances["refund_due:m"] == 23 * 200
    assert rig.sql("SELECT COUNT(*) FROM refund") == [(23,)]
    assert proofs(rig.url) == []


def test_t28_24_starts_at_one_outlet_are_one_session(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.beat()
    for number in range(MANY):
        rig.answer(rig.order(f"O{number}"))
    with running(rig):
        answers = all_at_once(rig, lambda number: rig.paid(f"O{number}", f"T{number:012}"))

    assert sum("session" in answer for answer in answers) == 1
    assert rig.sql("SELECT COUNT(*) FROM session") == [(1,)]
    assert rig.plug.log.count("on") == 1
    assert proofs(rig.url) == []


def test_t27_24_clicks_with_one_key_are_one_order(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.beat()
    with running(rig):
        answers = all_at_once(rig, lambda number: rig.order(f"O{number}", key="k"))

    assert len({answer["order"] for answer in answers}) == 1
    assert rig.sql("SELECT COUNT(*) FROM charge_order") == [(1,)]


def test_t33_one_refund_confirmed_24_times_at_once_is_booked_once(rig: Rig) -> None:
    rig.answer(rig.paid())
    rig.plug.load_w = 180.0
    rig.beat(times=3)
    rig.answer(rig.stop())
    rig.beat()
    back_fen = rig.saved().returned_fen
    with running(rig):
        all_at_once(rig, lambda number: rig.refunded("O1R", back_fen, key=f"e{number}"))

    assert rig.house.balances["refund_due:m"] == 0
    assert rig.sql("SELECT COUNT(*) FROM entry WHERE key = 'refund:O1R'") == [(1,)]
    assert proofs(rig.url) == []


def test_a_card_with_money_for_one_charge_cannot_be_spent_at_two_outlets_at_once(tmp_path: Path) -> None:
    clock = HandClock()
    rig = Rig(tmp_path, clock, [Plug(clock), Plug(clock, "o2")])
    rig.beat()
    rig.answer(rig.topup(500))
    with running(rig):
        all_at_once(rig, lambda number: rig.tap(outlet=f"o{number % 2 + 1}", session=f"SC{number}"))

    assert rig.sql("SELECT COUNT(*) FROM session") == [(1,)]
    assert rig.house.balances["card:c1"] == 0
    assert proofs(rig.url) == []


def test_24_top_ups_of_one_card_at_once_all_count(rig: Rig) -> None:
    with running(rig):
        all_at_once(rig, lambda number: rig.topup(100, f"t{number}"))

    assert rig.house.balances["card:c1"] == MANY * 100
    assert rig.sql("SELECT balance FROM account WHERE code = 'card:c1'") == [(MANY * 100,)]
    assert proofs(rig.url) == []
