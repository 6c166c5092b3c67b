"""The wait doubles with each wrong try beyond the free ones, has an end, and is forgiven after a quiet while."""

import pytest

from api.throttle import NAMES_MAX, Throttle, TooFast


def test_the_wait_doubles_up_to_its_longest() -> None:
    throttle, now_s, waits = Throttle(free=2, first_s=1.0, longest_s=8.0), 0.0, []
    for _ in range(8):
        try:
            throttle.check("lin", now_s)
        except TooFast as fast:
            waits.append(fast.wait_s)
            now_s += fast.wait_s
        throttle.wrong("lin", now_s)
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0]


def test_others_do_not_wait() -> None:
    throttle = Throttle(free=0)
    throttle.wrong("lin", 0.0)
    throttle.check("wang", 0.0)
    with pytest.raises(TooFast):
        throttle.check("lin", 0.5)


def test_a_quiet_while_forgives() -> None:
    throttle = Throttle(free=1, longest_s=10.0)
    throttle.wrong("lin", 0.0)
    throttle.wrong("lin", 20.0)
    throttle.check("lin", 20.0)


def test_memory_is_bounded() -> None:
    throttle = Throttle(free=0)
    for number in range(NAMES_MAX + 5):
        throttle.wrong(str(number), 0.0)
    throttle.check("0", 0.0)
