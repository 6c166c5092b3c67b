"""A plug behind a Zigbee2MQTT of its own: commands in, all that the bridge knows out, and faults on demand."""

from collections.abc import Sequence

from simulators.twins.contact import Load, Publish
from simulators.twins.twin import Twin
from simulators.twins.zigbee2mqtt_device import COUNTDOWN, ON_TIME, Zigbee2MqttConfig
from simulators.twins.zigbee2mqtt_firmware import NAME, Firmware
from simulators.twins.zigbee2mqtt_outlet import Outlet

__all__ = ["COUNTDOWN", "NAME", "ON_TIME", "Zigbee2MqttConfig", "Zigbee2MqttTwin"]

SOCKETS = ("l1", "l2", "l3", "l4", "l5", "l6", "l7", "l8")


class Zigbee2MqttTwin(Twin):
    def __init__(self, config: Zigbee2MqttConfig, loads: Sequence[Load], now_s: float = 0.0) -> None:
        endpoints = ("",) if len(loads) == 1 else SOCKETS
        self.config = config
        self.outlets = [
            Outlet(load, endpoint, toggles=config.timer == COUNTDOWN, step_wh=config.step_wh)
            for load, endpoint in zip(loads, endpoints, strict=False)
        ]
        self._plug = Firmware(config, self.outlets, now_s)
        super().__init__(self._plug, self.outlets, now_s)

    def rename(self, name: str, now_s: float) -> list[Publish]:
        """Somebody gives the plug another name at the bridge."""
        heard = self.advance(now_s)
        self._plug.rename(name)
        return heard + self._take()
