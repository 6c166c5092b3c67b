"""Whoever is not ours yet, for pages and programs: what the decider has on its list, shown by the links."""

from collections.abc import Sequence

from controller.clock import Clock
from controller.core.events import PileFound
from controller.core.house import House
from controller.ports import Peeked, Scanned
from firmware_bridge.routers import Routers


class Around:
    """Satisfies `ports.Strangers`."""

    def __init__(self, house: House, routers: Routers, clock: Clock) -> None:
        self._house = house
        self._routers = routers
        self._clock = clock

    def buses(self) -> list[str]:
        return self._routers.buses()

    def scan(self, bus: str) -> bool:
        return self._routers.scan(bus)

    def scanned(self, bus: str) -> Scanned | None:
        return self._routers.scanned(bus)

    def peek(self, found: str) -> Sequence[Peeked]:
        row, now = self._house.found.get(found), self._clock.now()
        if row is None:
            return ()
        names = ("family", "address", "model", "firmware", "channels", "params")
        told = PileFound(at=now.at, steady_s=now.steady_s, **{name: row[name] for name in names})
        return self._routers.peek(told, now)
