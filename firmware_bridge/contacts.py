"""What a pile's inputs were last told to show: every change is an event, and the same again only now and then."""

from collections.abc import Mapping

from controller.core.events import InputReported, Stamp

AGAIN_S = 30.0  # so that the decider knows it is still heard


class Contacts:
    """Of one pile. A restart of ours tells everything anew."""

    def __init__(self, pile: str) -> None:
        self._pile = pile
        self._told: dict[int, tuple[bool, float]] = {}

    def told(self, shown: Mapping[int, bool], now: Stamp) -> list[InputReported]:
        """`shown` by number, from 1."""
        return [self._event(number, on, now) for number, on in shown.items() if self._is_news(number, on, now)]

    def _is_news(self, number: int, on: bool, now: Stamp) -> bool:
        before = self._told.get(number)
        return before is None or before[0] is not on or now.steady_s - before[1] >= AGAIN_S

    def _event(self, number: int, on: bool, now: Stamp) -> InputReported:
        self._told[number] = (on, now.steady_s)
        return InputReported(at=now.at, steady_s=now.steady_s, pile=self._pile, input=number, on=on)
