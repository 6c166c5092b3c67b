"""A timer relay that stands before a whole board: it opens unless one of the board's contacts is pulsed in time."""

from simulators.twins.contact import FOREVER_S, Contact


class TimerRelay:
    """Retriggerable, and by the edge: a contact that stays closed is no pulse."""

    def __init__(self, trigger: Contact, time_s: float) -> None:
        self._trigger = trigger
        self._time_s = time_s
        self._ends_s = -FOREVER_S
        self._saw_closed = False

    def closed(self, at_s: float) -> bool:
        return at_s < self._ends_s

    def due_s(self, at_s: float) -> float:
        return self._ends_s if self.closed(at_s) else FOREVER_S

    def watch(self, at_s: float) -> None:
        closed = self._trigger.closed
        if closed and not self._saw_closed:
            self._ends_s = at_s + self._time_s
        self._saw_closed = closed
