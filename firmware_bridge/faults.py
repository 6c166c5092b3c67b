"""What goes wrong on the wires: counted for each address of ours, and said to the log once a burst."""

from collections.abc import Iterable

from controller.core.events import Stamp

BURST_S = 60.0  # one log line a kind and address in this time
LOGGED_MAX = 1_000  # an attacker can invent any number of addresses


class Faults:
    """Noted by the link's thread, read by any."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {}
        self._logged: dict[tuple[str, str], float] = {}

    def note(self, address: str, kind: str) -> None:
        of_address = self._counts.setdefault(address, {})
        of_address[kind] = of_address.get(kind, 0) + 1

    def forget(self, address: str) -> None:
        self._counts.pop(address, None)

    def of(self, addresses: Iterable[str]) -> dict[str, int]:
        """By kind, over these addresses."""
        total: dict[str, int] = {}
        for address in addresses:
            for kind, count in list(self._counts.get(address, {}).items()):
                total[kind] = total.get(kind, 0) + count
        return total

    def is_news(self, address: str, kind: str, now: Stamp) -> bool:
        """True once a burst."""
        if now.steady_s - self._logged.get((address, kind), -BURST_S) < BURST_S:
            return False
        if len(self._logged) >= LOGGED_MAX:
            self._logged.clear()
        self._logged[address, kind] = now.steady_s
        return True
