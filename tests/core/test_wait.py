"""How long one will wait: a range from what is known, never a promise, and nothing where nothing is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.wait import HISTORY_MIN, Charge, Wait, left_s, longer, wait

FRESH = Charge(counts_w=800, later_w=230, settles_s=60.0, least_s=3600.0, most_s=7200.0)
OLD = Charge(counts_w=230, later_w=230, settles_s=0.0, least_s=600.0, most_s=1800.0)


USUAL = Charge(counts_w=920, later_w=920, settles_s=300.0, least_s=2400.0, most_s=9000.0)


def test_with_room_nobody_waits() -> None:
    assert wait(1000.0, 0, 920, [FRESH], USUAL) is None


def test_a_charger_that_shows_what_it_takes_gives_back_the_rest() -> None:
    assert wait(400.0, 0, 920, [FRESH], USUAL) == Wait(60.0, 60.0)


def test_else_somebody_must_end() -> None:
    assert wait(100.0, 0, 920, [FRESH, OLD], USUAL) == Wait(3600.0, 7200.0)
    assert wait(100.0, 0, 850, [FRESH, OLD], USUAL) == Wait(600.0, 1800.0)


def test_who_stands_before_starts_first_settles_and_ends_like_any_other() -> None:
    """The first starts after a minute; when it has settled it takes 230 W, or 552: the rest of 920 is free again."""
    assert wait(400.0, 1, 920, [FRESH, OLD], USUAL) == Wait(600.0, 9060.0)
    assert wait(1000.0, 1, 920, [], USUAL) == Wait(2400.0, 9000.0)


def test_where_all_that_is_known_does_not_make_room_nobody_can_say() -> None:
    assert wait(0.0, 0, 920, [OLD], USUAL) == Wait(None, None)


def test_of_two_bottlenecks_the_later_counts() -> None:
    assert longer(None, None) is None
    assert longer(Wait(10.0, 20.0), None) == Wait(10.0, 20.0)
    assert longer(Wait(10.0, 200.0), Wait(60.0, 100.0)) == Wait(60.0, 200.0)
    assert longer(Wait(10.0, 20.0), Wait(60.0, None)) == Wait(60.0, None)


@pytest.mark.parametrize(
    ("spent_s", "lasted_s", "left", "why"),
    [
        (100.0, [], (0.0, 900.0), "no history: only its own limit is known"),
        (100.0, [500.0] * (HISTORY_MIN - 1), (0.0, 900.0), "too little history"),
        (100.0, [400.0, 500.0, 600.0, 700.0, 800.0], (400.0, 600.0), "the middle half"),
        (550.0, [400.0, 500.0, 600.0, 700.0, 800.0], (0.0, 150.0), "longer than the short ones"),
        (800.0, [400.0, 500.0, 600.0, 700.0, 800.0], (0.0, 200.0), "longer than nearly all: its own limit again"),
        (100.0, [9000.0] * 9, (900.0, 900.0), "never later than its own limit"),
    ],
)
def test_what_is_left_of_a_charge(spent_s: float, lasted_s: list[float], left: tuple[float, float], why: str) -> None:
    assert left_s(spent_s, 1000.0, lasted_s) == left, why


CHARGES = st.builds(
    lambda counts_w, later, settles_s, least_s, more_s: Charge(
        counts_w, int(counts_w * later), settles_s, least_s, least_s + more_s
    ),
    st.integers(1, 920),
    st.floats(0, 1),
    st.floats(0, 300),
    st.floats(0, 1e4),
    st.floats(0, 1e4),
)


@given(st.lists(CHARGES, max_size=20), st.floats(0, 5000), st.integers(0, 8))
def test_the_least_is_never_more_than_the_most(charges: list[Charge], room_w: float, ahead: int) -> None:
    found = wait(room_w, ahead, 920, charges, USUAL)

    if found is not None and found.most_s is not None:
        assert found.least_s is not None
        assert 0.0 <= found.least_s <= found.most_s
