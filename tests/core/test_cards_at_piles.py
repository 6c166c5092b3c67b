"""Cards at readers: what a swipe does at a reader for a whole pile, and what the answer tells the reader."""

from typing import Any

import pytest

from controller.core import events as ev
from tests.core.desk_rig import Desk

PILE = "p1"


@pytest.fixture
def desk() -> Desk:
    desk = Desk(outlets=3)
    desk.ask(desk.topup(2_000))
    return desk


def swipe(desk: Desk, outlet: str = "", uid: str = "04AB1", pile: str = PILE) -> ev.CardTapped:
    number = f"{desk.clock.now().steady_s:.0f}{outlet}"
    return ev.CardTapped(
        **desk.stamp(), outlet=outlet, pile=pile, uid=uid, session=f"S{number}", key=f"tap-{number}-{uid}"
    )


def test_a_swipe_without_a_choice_starts_nothing_and_says_what_the_card_holds(desk: Desk) -> None:
    assert desk.ask(swipe(desk)) == {"choose": PILE, "balance_fen": 2_000}
    assert desk.house.sessions == {}


def test_what_is_chosen_right_after_the_swipe_is_no_repeat_of_it(desk: Desk) -> None:
    desk.ask(swipe(desk))
    desk.wait(1)

    answer = desk.ask(swipe(desk, "o2"))
    assert (answer["outlet"], answer["balance_fen"]) == ("o2", 2_000)
    assert list(desk.house.sessions) == ["o2"]


def test_one_swipe_stops_wherever_the_card_charges_on_this_pile(desk: Desk) -> None:
    desk.ask(swipe(desk, "o2"))
    desk.reads("o2", 200.0)
    desk.reads("o2", 200.0, 500.0)
    desk.wait(4)

    answer = desk.ask(swipe(desk))
    assert (answer["outlet"], answer["cost_fen"], answer["balance_fen"]) == (
        "o2",
        42,
        1_958,
    )  # 27 and 15, each rounded down
    assert desk.house.sessions["o2"].phase == "closing"
    assert desk.gear.log[-1] == "off o2"


def test_a_swipe_with_another_outlet_chosen_stops_and_starts_nothing(desk: Desk) -> None:
    desk.ask(swipe(desk, "o2"))
    desk.wait(4)

    assert desk.ask(swipe(desk, "o3"))["stop"]
    assert list(desk.house.sessions) == ["o2"]


@pytest.mark.parametrize("outlet", ["", "o2"])
def test_a_card_that_has_just_started_or_stopped_does_neither_again_at_once(desk: Desk, outlet: str) -> None:
    desk.ask(swipe(desk, "o2"))
    for _ in range(5):  # it lies on a reader that says so each second
        desk.wait(1)
        assert desk.ask(swipe(desk, outlet)) == {"repeat": True}
    assert desk.house.sessions["o2"].phase == "opening"


def test_a_card_that_charges_at_another_pile_is_refused(desk: Desk) -> None:
    desk.ask(swipe(desk, "o1"))
    desk.wait(4)
    known = desk.house.outlets["o1"]
    desk.house.outlets["o1"] = type(known)(**{**as_values(known), "pile": "elsewhere"})

    assert desk.code(swipe(desk)) == "card_busy"
    assert desk.house.sessions["o1"].phase == "opening"


def test_an_outlet_of_another_pile_is_not_served(desk: Desk) -> None:
    desk.house.grid.feeders["pile:p1"].outlets.discard("o3")

    assert desk.code(swipe(desk, "o3")) == "unknown_outlet"
    assert desk.house.sessions == {}


def as_values(known: Any) -> dict[str, Any]:
    return {name: getattr(known, name) for name in known.__struct_fields__}


@pytest.mark.parametrize(
    ("uid", "outlet", "pile", "code"),
    [
        ("FFFF", "", PILE, "card_unknown"),
        ("04AB2", "", PILE, "card_empty"),
        ("04AB1", "", "nowhere", "unknown_outlet"),
        ("04AB1", "o9", PILE, "unknown_outlet"),
        ("04AB1", "o9", "", "unknown_outlet"),
    ],
)
def test_who_could_start_nothing_is_told_so_at_the_first_swipe(
    desk: Desk, uid: str, outlet: str, pile: str, code: str
) -> None:
    assert desk.code(swipe(desk, outlet, uid, pile)) == code
    assert desk.house.sessions == {}


def test_a_frozen_card_stops_what_it_began_and_chooses_nothing_new(desk: Desk) -> None:
    desk.ask(swipe(desk, "o1"))
    desk.ask(desk.change(ev.Change.CARD, "c1", frozen=True))
    desk.wait(4)

    assert desk.ask(swipe(desk))["stop"]
    desk.charged("o1", 0.0)
    desk.wait(4)
    assert desk.code(swipe(desk)) == "card_frozen"


def test_a_reader_shows_itself_at_every_outlet_that_it_serves(desk: Desk) -> None:
    desk.code(swipe(desk, uid="FFFF"))
    assert desk.house.readers == {"o1", "o2", "o3"}
