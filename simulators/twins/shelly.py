"""A Shelly of the second generation or newer: requests in, answers and notifications out, and faults on demand."""

from collections.abc import Sequence

from simulators.twins.contact import Load
from simulators.twins.shelly_firmware import NAME, Firmware, ShellyConfig
from simulators.twins.shelly_outlet import Outlet
from simulators.twins.twin import Twin

__all__ = ["NAME", "ShellyConfig", "ShellyTwin"]


class ShellyTwin(Twin):
    def __init__(self, config: ShellyConfig, loads: Sequence[Load], now_s: float = 0.0) -> None:
        self.config = config
        self.outlets = [
            Outlet(load, number, config.initial_state, config.power_limit) for number, load in enumerate(loads)
        ]
        for outlet in self.outlets if config.inputs else ():
            outlet.config["in_mode"] = "follow"
        super().__init__(Firmware(config, self.outlets, now_s), self.outlets, now_s)
