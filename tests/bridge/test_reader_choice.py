"""Which outlet a swipe means, and what a reader answers: choosing and attending, on virtual time."""

from concurrent.futures import Future
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.errors import Refused
from controller.ports import Shown
from firmware_bridge.readers.attendant import Attendant
from firmware_bridge.readers.choice import Ask, Choice, Note, Place, Wish, next_free
from firmware_bridge.readers.said import Fault, Feedback, Key, Ready, Said, Tap

ROW = [Place("A-10", "o10"), Place("A-2", "o2", free=False), Place("A-3", "o3"), Place("A-1", "o1")]
WHO, OTHER = "CB98A605", "24D34F59"


@pytest.fixture
def choice() -> Choice:
    return Choice(lambda: ROW)


def known(choice: Choice, now_s: float = 0.0) -> Choice:
    """Swiped once, and told that there is something to choose."""
    assert choice.tapped(WHO, now_s) == [Ask(WHO, "")]
    choice.answered(WHO, may_choose=True)
    return choice


# -- choosing -----------------------------------------------------------------------------------------------------


def test_where_there_is_one_outlet_a_swipe_means_it() -> None:
    assert Choice(lambda: [Place("7", "o7")]).tapped(WHO, 0.0) == [Ask(WHO, "o7")]


def test_one_swipe_where_there_is_a_choice_starts_nothing_however_long_one_waits(choice: Choice) -> None:
    known(choice)
    assert [choice.due(float(at)) for at in range(1, 10)] == [[]] * 9
    assert choice.due(10.0) == [Note("nothing_chosen")]
    assert choice.due(1_000.0) == []


def test_each_further_swipe_steps_to_the_next_free_outlet_in_the_order_of_their_numbers(choice: Choice) -> None:
    known(choice)
    steps = [choice.tapped(WHO, at_s) for at_s in (1.5, 3.0, 4.5, 6.0)]

    assert steps == [[Note("chosen", number)] for number in ("A-1", "A-3", "A-10", "A-1")]


def test_what_was_chosen_starts_after_a_quiet_while_and_once(choice: Choice) -> None:
    known(choice)
    choice.tapped(WHO, 1.5)
    choice.tapped(WHO, 3.0)

    assert choice.due_s() == 7.0
    assert (choice.due(6.9), choice.due(7.0), choice.due(8.0)) == ([], [Ask(WHO, "o3")], [])


def test_a_swipe_after_that_while_is_a_first_one_again(choice: Choice) -> None:
    known(choice)
    assert choice.tapped(WHO, 4.1) == [Ask(WHO, "")]
    assert choice.due(8.2) == []


def test_a_card_that_the_core_had_an_answer_for_chooses_nothing(choice: Choice) -> None:
    choice.tapped(WHO, 0.0)
    choice.tapped(WHO, 1.0)
    choice.answered(WHO, may_choose=False)

    assert (choice.due_s(), choice.due(5.0)) == (float("inf"), [])


def test_nothing_starts_before_the_core_has_said_who_it_is(choice: Choice) -> None:
    choice.tapped(WHO, 0.0)
    choice.tapped(WHO, 1.0)

    assert choice.due(5.0) == [Note("nothing_chosen")]


def test_nothing_starts_long_after_it_was_chosen(choice: Choice) -> None:
    known(choice)
    choice.tapped(WHO, 1.0)
    assert choice.due(60.0) == [Note("nothing_chosen")]


def test_where_nothing_is_free_nothing_is_chosen() -> None:
    choice = known(Choice(lambda: [Place("1", "o1", free=False), Place("2", "o2", free=False)]))
    assert choice.tapped(WHO, 1.0) == [Note("none_free")]
    assert choice.due(100.0) == [Note("nothing_chosen")]


def test_a_number_before_the_swipe_chooses_for_the_next_ten_seconds(choice: Choice) -> None:
    assert choice.typed(3, 0.0) == [Note("keyed", "A-3")]
    assert choice.tapped(WHO, 9.9) == [Ask(WHO, "o3")]
    assert choice.tapped(OTHER, 9.95) == [Ask(OTHER, "")]

    choice.typed(3, 20.0)
    assert choice.tapped(WHO, 30.0) == [Ask(WHO, "")]


def test_a_number_after_the_swipe_chooses_at_once(choice: Choice) -> None:
    known(choice)
    assert choice.typed(10, 9.9) == [Ask(WHO, "o10")]
    assert choice.due(100.0) == []


def test_a_number_typed_before_the_core_has_answered_waits_for_it(choice: Choice) -> None:
    choice.tapped(WHO, 0.0)
    assert choice.typed(1, 0.1) == []
    assert choice.answered(WHO, may_choose=True) == [Ask(WHO, "o1")]


def test_a_number_that_no_outlet_has_is_said_and_a_running_charge_is_stopped_all_the_same(choice: Choice) -> None:
    assert choice.typed(4, 0.0) == [Note("no_such_outlet", "4")]
    assert choice.tapped(WHO, 1.0) == [Note("no_such_outlet", "4"), Ask(WHO, "")]


def test_a_number_that_two_outlets_end_with_says_nothing() -> None:
    choice = known(Choice(lambda: [Place("A-1", "a1"), Place("B-1", "b1")]))
    assert choice.typed(1, 1.0) == [Note("no_such_outlet", "1")]


def test_another_card_takes_the_place_of_one_that_was_choosing(choice: Choice) -> None:
    known(choice)
    choice.tapped(WHO, 1.0)
    assert choice.tapped(OTHER, 2.0) == [Ask(OTHER, "")]
    assert choice.answered(WHO, may_choose=True) == []
    assert choice.due(6.0) == []


@given(st.lists(st.integers(0, 99), max_size=12, unique=True), st.data())
def test_stepping_passes_every_free_outlet_once_a_round(numbers: list[int], data: st.DataObject) -> None:
    places = [Place(f"B{n}", f"o{n}", free=data.draw(st.booleans())) for n in numbers]
    free, at, seen = sum(place.free for place in places), None, []
    for _ in range(free):
        at = next_free(places, at)
        seen.append(at)
    assert len({place.outlet for place in seen if place is not None}) == free


ACTS = st.lists(
    st.tuples(st.sampled_from(["tap", "other", "key", "yes", "no", "wait"]), st.floats(0.0, 6.0)), max_size=25
)


@given(ACTS)
def test_a_start_is_asked_for_only_where_that_card_was_swiped_again_or_a_number_typed(
    acts: list[tuple[str, float]],
) -> None:
    choice, now_s = Choice(lambda: ROW), 0.0
    taps: list[tuple[str, float]] = []
    keys: list[float] = []
    for act, later_s in acts:
        now_s += later_s
        wishes: list[Wish] = []
        match act:
            case "key":
                keys.append(now_s)
                wishes = choice.typed(3, now_s)
            case "tap" | "other":
                taps.append((WHO if act == "tap" else OTHER, now_s))
                wishes = choice.tapped(taps[-1][0], now_s)
            case "yes" | "no":
                wishes = choice.answered(WHO, act == "yes")
            case "wait":
                wishes = choice.due(now_s)
        for wish in wishes:
            assert not isinstance(wish, Ask) or not wish.outlet or _chosen(wish.uid, taps, keys)


def _chosen(uid: str, taps: list[tuple[str, float]], keys: list[float]) -> bool:
    again = any(one == two == uid and after_s - at_s <= 4.0 for (one, at_s), (two, after_s) in pairwise(taps))
    return again or any(one == uid and abs(at_s - key_s) <= 10.0 for one, at_s in taps for key_s in keys)


# -- attending ----------------------------------------------------------------------------------------------------


class Script:
    """A reader that says what it is told to say."""

    def __init__(self) -> None:
        self.says: list[Said] = []
        self.told: list[Feedback] = []

    def hear(self, data: bytes, now_s: float) -> list[Said]:
        said, self.says = self.says, []
        return said

    def say(self, now_s: float) -> bytes:
        return b""

    def due_s(self) -> float:
        return float("inf")

    def tell(self, feedback: Feedback) -> None:
        self.told.append(feedback)


class Stand:
    """An attendant with a reader that follows a script, and a door whose answers are given by hand."""

    def __init__(self, places: list[Place]) -> None:
        self.reader = Script()
        self.asked: list[tuple[Ask, Future[dict[str, Any]]]] = []
        self.strangers: list[str] = []
        numbers = {place.outlet: place.number for place in places}
        self.attendant = Attendant(
            lambda: self.reader, Choice(lambda: places), self._ask, numbers.__getitem__, self.strangers.append
        )
        self.now_s = 0.0
        self.attendant.opened()
        self.does(Ready("test"))

    def _ask(self, ask: Ask) -> "Future[dict[str, Any]]":
        self.asked.append((ask, Future()))
        return self.asked[-1][1]

    def does(self, *said: Said, after_s: float = 1.0) -> Shown | None:
        self.now_s += after_s
        self.reader.says += said
        self.attendant.turn(b"", self.now_s)
        return self.attendant.shown(self.now_s)

    def answers(self, **answer: Any) -> Shown | None:
        self.asked[-1][1].set_result(answer)
        return self.does(after_s=0.1)

    def refuses(self, code: str) -> Shown | None:
        self.asked[-1][1].set_exception(Refused(code))
        return self.does(after_s=0.1)


@pytest.fixture
def one() -> Stand:
    return Stand([Place("7", "o7")])


@pytest.fixture
def row() -> Stand:
    return Stand(ROW)


def told(shown: Shown | None) -> tuple[str, str, str, int | None, int | None]:
    assert shown is not None
    return shown.kind, shown.number, shown.code, shown.balance_fen, shown.cost_fen


def test_what_was_started_and_stopped_is_shown_with_the_balance_for_ten_seconds(one: Stand) -> None:
    one.does(Tap(WHO))
    assert told(one.answers(session="S", outlet="o7", balance_fen=2_000)) == ("started", "7", "", 2_000, None)
    one.does(Tap(WHO), after_s=5.0)
    stopped = one.answers(stop="S", outlet="o7", balance_fen=1_958, cost_fen=42)
    assert told(stopped) == ("stopped", "7", "", 1_958, 42)

    assert one.reader.told == [Feedback.DONE, Feedback.DONE]
    assert one.does(after_s=9.0) is not None
    assert one.does(after_s=1.5) is None


def test_an_unknown_card_is_refused_and_remembered_for_who_enrols_it(one: Stand) -> None:
    one.does(Tap(WHO))
    assert told(one.refuses("card_unknown"))[:3] == ("refused", "7", "card_unknown")
    assert (one.strangers, one.reader.told) == ([WHO], [Feedback.REFUSED])


def test_a_repeat_says_nothing(one: Stand) -> None:
    one.does(Tap(WHO))
    assert one.answers(repeat=True) is None
    assert one.reader.told == []


def test_who_must_choose_sees_the_balance_and_then_what_is_chosen(row: Stand) -> None:
    row.does(Tap(WHO))
    assert told(row.answers(choose="p", balance_fen=700)) == ("choose", "", "", 700, None)
    assert told(row.does(Tap(WHO)))[:2] == ("chosen", "A-1")
    assert row.does(after_s=4.0) is not None

    assert [ask for ask, _ in row.asked] == [Ask(WHO, ""), Ask(WHO, "o1")]
    assert told(row.answers(session="S", outlet="o1", balance_fen=700))[:2] == ("started", "A-1")
    assert row.reader.told == [Feedback.NOTED, Feedback.NOTED, Feedback.DONE]


def test_a_number_and_a_card_start_there(row: Stand) -> None:
    assert told(row.does(Key(3)))[:2] == ("keyed", "A-3")
    row.does(Tap(WHO))
    assert row.asked[-1][0] == Ask(WHO, "o3")


def test_an_answer_that_does_not_come_is_said_to_be_slow(one: Stand) -> None:
    one.does(Tap(WHO))
    assert told(one.does(after_s=4.0))[0] == "slow"


def test_who_swipes_faster_than_is_answered_is_refused_in_the_end(one: Stand) -> None:
    for _ in range(20):
        one.does(Tap(WHO), after_s=0.0)
    assert len(one.asked) == 8
    assert told(one.does(after_s=0.0))[2] == "overloaded"


def test_faults_are_counted_by_name_and_two_cards_are_said(one: Stand) -> None:
    shown = one.does(Fault("checksum"), Fault("checksum"), Fault("silent"), Fault("two_cards"))
    assert dict(one.attendant.faults) == {"checksum": 2, "silent": 1, "two_cards": 1}
    assert (told(shown)[2], one.attendant.state) == ("two_cards", "silent")


def test_an_answer_is_not_shown_to_who_comes_when_the_reader_is_back(one: Stand) -> None:
    one.does(Tap(WHO))
    one.attendant.lost("port_gone")
    one.attendant.opened()
    assert one.answers(session="S", outlet="o7", balance_fen=2_000) is None


def test_a_choice_does_not_outlive_the_reader_that_it_was_made_at(row: Stand) -> None:
    row.does(Tap(WHO))
    row.answers(choose="p", balance_fen=700)
    row.does(Tap(WHO))
    row.attendant.lost("port_gone")
    row.attendant.opened()
    row.does(after_s=3.0)
    row.does(after_s=1.0)

    assert [ask.outlet for ask, _ in row.asked] == [""]
    assert row.attendant.faults["port_gone"] == 1
