"""The reference device of anchong/1: what docs/anchong-1.md asks of a socket, and faults on demand."""

from collections.abc import Sequence

from simulators.twins.anchong1_firmware import NAME, AnchongConfig, Firmware
from simulators.twins.anchong1_outlet import Outlet
from simulators.twins.contact import Load, Publish
from simulators.twins.twin import Twin

__all__ = ["NAME", "AnchongConfig", "AnchongTwin", "Firmware"]


class AnchongTwin(Twin):
    def __init__(
        self, config: AnchongConfig, loads: Sequence[Load], now_s: float = 0.0, inside: type[Firmware] = Firmware
    ) -> None:
        self.config = config
        most = config.power_max_w, config.lease_max_s
        self.outlets = [Outlet(load, number, *most) for number, load in enumerate(loads, start=1)]
        self.inside = inside(config, self.outlets, now_s)
        super().__init__(self.inside, self.outlets, now_s)

    def receive(self, topic: str, payload: bytes, retained: bool, now_s: float) -> list[Publish]:
        """Not as the others: what the broker has kept is told apart, and an ON of that kind refused."""
        self.inside.retained = retained
        return super().receive(topic, payload, retained, now_s)

    def back(self, now_s: float) -> list[Publish]:
        """Connected anew, it says who it is and all that it knows."""
        before = self.advance(now_s)
        self.inside.connect()
        return [*before, *self._take()]
