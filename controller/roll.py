"""What could not be said when it was decided, said later: after a restart our own link takes its time to stand.

Ten thousand outlets are asked in turn, so that the asking never stands in the way of an ON.
"""

from collections.abc import Callable

from controller.core import effects as fx
from controller.core.dead import why_dead
from controller.core.house import House
from controller.core.state import Phase

ASKS_PER_S = 1_500.0  # a broker and a gateway on one small board answer as many
BURST = 100
AGAIN_S = 0.05


class Roll:
    """Outlets still to be asked what they do, and those taken up whose ON did not leave. Of the decider's thread."""

    def __init__(self, tell: Callable[[fx.AskNow], bool], renew: Callable[[fx.Renew], bool]) -> None:
        self._tell = tell
        self._renew = renew
        self._asks: dict[str, None] = {}
        self._unsent: dict[str, fx.SwitchOn] = {}
        self._called_s = 0.0

    def ask(self, outlet: str) -> None:
        self._asks[outlet] = None

    def take_up(self, order: fx.SwitchOn) -> None:
        self._unsent[order.outlet] = order

    def due_s(self) -> float | None:
        """When (steady) to call again; None if nothing is left to say."""
        return self._called_s + AGAIN_S if self._asks or self._unsent else None

    def call(self, house: House, now_s: float) -> None:
        """As many as time allows; what does not leave ends this turn, and waits for the next."""
        turns = min(BURST, int((now_s - self._called_s) * ASKS_PER_S))
        if not turns or not (self._asks or self._unsent):
            return
        self._called_s = now_s
        self._retake(house, turns)
        self._call(house, turns)

    def _retake(self, house: House, turns: int) -> None:
        for outlet in list(self._unsent)[:turns]:
            order = self._unsent.pop(outlet)
            live = house.sessions.get(outlet)
            if live is None or live.generation != order.generation or live.phase not in (Phase.CHARGING, Phase.OPENING):
                continue
            if why_dead(house, outlet) is None and not self._renew(
                fx.Renew(outlet, order.generation, order.lease_s, order.limits)
            ):
                self._unsent[outlet] = order
                return

    def _call(self, house: House, turns: int) -> None:
        for outlet in list(self._asks)[:turns]:
            del self._asks[outlet]
            live = house.sessions.get(outlet)
            if live is None or live.phase is not Phase.SUSPENDED:
                continue
            if not self._tell(fx.AskNow(outlet)):
                self._asks[outlet] = None
                return
