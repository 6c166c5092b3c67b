"""Which units of a bus answer, and so which outlets are within reach: those all of whose units do."""

from collections.abc import Iterable, Mapping, Sequence

from controller.core.events import Event, LinkLost, LinkUp, Stamp

LOST_AFTER = 3  # questions in a row: on a long line one may get lost, and a second with it
UNASKED_S = 30.0  # nobody was asked for so long: the line was down, and its loss was told without us
OF_BEFORE = frozenset(("late", "expired"))  # counted already; never asked
UNCOUNTED = OF_BEFORE | {"exception"}  # there, and refuses


class Presence:
    """`units_of` names the addresses of each outlet's units."""

    def __init__(self, units_of: Mapping[str, Sequence[str]]) -> None:
        self._units_of = units_of
        self._failed: dict[str, int] = {}
        self._heard: set[str] = set()
        self._asked_s: float | None = None  # when we last heard of an answer, or of none
        self._up: dict[str, bool] = {}  # by outlet, once it is known

    def lost(self, outlet: str) -> bool:
        return self._up.get(outlet) is False

    def away(self, address: str) -> bool:
        return address not in self._heard

    def answered(self, address: str, now: Stamp) -> list[Event]:
        self._failed[address] = 0
        self._asked(now)
        self._heard.add(address)
        return [LinkUp(at=now.at, steady_s=now.steady_s, outlet=outlet) for outlet in self._changed(address, up=True)]

    def failed(self, address: str, fault: str, now: Stamp) -> list[Event]:
        self._asked(now)
        self._failed[address] = self._failed.get(address, 0) + (fault not in UNCOUNTED)
        if self._failed[address] < LOST_AFTER:
            return []
        self._heard.discard(address)
        return [
            LinkLost(at=now.at, steady_s=now.steady_s, outlet=outlet) for outlet in self._changed(address, up=False)
        ]

    def _asked(self, now: Stamp) -> None:
        if self._asked_s is not None and now.steady_s - self._asked_s > UNASKED_S:
            self._heard.clear()
            self._up.clear()
        self._asked_s = now.steady_s

    def _changed(self, address: str, *, up: bool) -> Iterable[str]:
        for outlet, units in self._units_of.items():
            if address in units and self._up.get(outlet) is not up and (not up or self._heard.issuperset(units)):
                self._up[outlet] = up
                yield outlet
