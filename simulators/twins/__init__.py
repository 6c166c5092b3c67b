"""Every device we can play, by the name of its family: given a MAC, what is plugged in, the time, and how
many inputs it has."""

from collections.abc import Sequence
from typing import Protocol

from msgspec.structs import replace

from simulators.twins.anchong1 import NAME as ANCHONG
from simulators.twins.anchong1 import AnchongConfig, AnchongTwin
from simulators.twins.contact import Load
from simulators.twins.esphome import NAME as ESPHOME
from simulators.twins.esphome import EsphomeConfig, EsphomeTwin
from simulators.twins.shelly import NAME as SHELLY
from simulators.twins.shelly import ShellyConfig, ShellyTwin
from simulators.twins.tasmota import NAME as TASMOTA
from simulators.twins.tasmota import TasmotaConfig, TasmotaTwin
from simulators.twins.twin import Twin
from simulators.twins.zigbee2mqtt import COUNTDOWN, ON_TIME, Zigbee2MqttConfig, Zigbee2MqttTwin
from simulators.twins.zigbee2mqtt import NAME as ZIGBEE2MQTT


class Make(Protocol):
    def __call__(self, mac: str, loads: Sequence[Load], now_s: float, inputs: int = 0) -> Twin: ...


def _tasmota(mac: str, loads: Sequence[Load], now_s: float, inputs: int = 0) -> Twin:
    return TasmotaTwin(TasmotaConfig(mac=mac, topic=f"tasmota_{mac[-6:]}", inputs=inputs), loads, now_s)


def _shelly(mac: str, loads: Sequence[Load], now_s: float, inputs: int = 0) -> Twin:
    """Of several models and firmwares: which, its MAC decides."""
    kind = int(mac[-1], 16)
    odd = {"returns": kind % 2 == 0, "stale_status": kind % 3 == 0, "names_itself": kind % 4 != 1}
    return ShellyTwin(replace(ShellyConfig(mac=mac, inputs=inputs), **odd), loads, now_s)


def _anchong(mac: str, loads: Sequence[Load], now_s: float, inputs: int = 0) -> Twin:
    return AnchongTwin(AnchongConfig(mac=mac, inputs=inputs), loads, now_s)


def _zigbee2mqtt(mac: str, loads: Sequence[Load], now_s: float, inputs: int = 0) -> Twin:
    """Each behind a bridge of its own, of several makes and versions: which, its MAC decides."""
    kind = int(mac[-1], 16)
    base, ieee = f"z2m-{mac[-6:].lower()}", f"0x0000{mac.lower()}"
    config = Zigbee2MqttConfig(ieee=ieee, base=base, name="shed/小区 3/plug" if kind % 5 == 2 else "plug")
    odd = {"timer": ON_TIME if kind % 2 else COUNTDOWN, "plain": kind % 4 > 1, "asked": kind % 3 != 1}
    return Zigbee2MqttTwin(replace(config, **odd), loads, now_s)


def _esphome(mac: str, loads: Sequence[Load], now_s: float, inputs: int = 0) -> Twin:
    """In watts or in kilowatts, as its MAC decides."""
    return EsphomeTwin(EsphomeConfig(prefix=f"socket-{mac[-6:].lower()}", kilo=mac[-1] in "13579BDF"), loads, now_s)


TWINS: dict[str, Make] = {
    TASMOTA: _tasmota,
    SHELLY: _shelly,
    ANCHONG: _anchong,
    ZIGBEE2MQTT: _zigbee2mqtt,
    ESPHOME: _esphome,
}
