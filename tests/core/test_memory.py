"""What the decider keeps in memory does not grow with what has passed, nor with what strangers invent."""

import gc
from collections.abc import Iterator

import pytest

from controller.core import events as ev
from controller.core import session
from controller.core.found import FOUND_MAX
from controller.core.house import TAPS_MAX
from tests.core.desk_rig import Desk
from tests.core.made import ctx


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_charge_that_used_all_its_money_leaves_nothing_in_memory(desk: Desk) -> None:
    desk.do(desk.order(amount_fen=100))
    desk.do(desk.paid(amount_fen=100))
    for _ in range(4):
        desk.reads("o1", 60.0, 400.0)
    desk.charged("o1", 0.0)

    assert desk.receipts() == {"S1": 100}
    assert desk.house.paid == {}
    assert desk.of("session:") == 0
    assert not [account for account in desk.house.balances if account.startswith("session:")]


def test_nothing_that_comes_with_each_reading_is_walked_through_by_the_collector(desk: Desk) -> None:
    desk.do(desk.order())
    desk.do(desk.paid())
    live = desk.house.sessions["o1"]
    reading = ev.Reading(**desk.stamp(), outlet="o1", power_w=100.0, energy_wh=1.0)

    for made in (reading, live, live.meter, desk.house.seen["o1"], session.decide(live, reading, ctx())):
        assert not gc.is_tracked(made)


def test_taps_of_unknown_cards_are_forgotten(desk: Desk) -> None:
    for number in range(TAPS_MAX + 10):
        assert desk.code(desk.tap(uid=f"{number:08X}", session=f"S{number}")) == "card_unknown"

    assert len(desk.house.taps) == TAPS_MAX


def test_an_order_that_has_been_charged_finds_no_view_any_more(desk: Desk) -> None:
    board = desk.engine.board
    for number in range(3):
        desk.do(desk.order(f"O{number}", secret_hash=f"h{number}"))
        desk.do(desk.paid(f"O{number}", f"T{number}"))
        assert board.by_secret(f"h{number}") is not None
        desk.charged("o1", 10.0 * number)

    assert [board.by_secret(f"h{number}") for number in range(3)] == [None, None, None]


def test_invented_devices_fill_no_more_than_their_room(desk: Desk) -> None:
    for event in _invented(desk, FOUND_MAX + 10):
        desk.do(event)

    assert len(desk.house.found) == FOUND_MAX


def _invented(desk: Desk, count: int) -> Iterator[ev.PileFound]:
    for number in range(count):
        yield ev.PileFound(
            **desk.stamp(),
            family="tasmota",
            address=f"{number:012X}",
            model="plug",
            firmware="14.3.0",
            channels=1,
            params={},
        )
