"""What a simulated plug is, and how its bridge lists it: with all that the device offers, as the real ones do."""

from collections.abc import Sequence
from typing import Any

import msgspec

ON_TIME, COUNTDOWN = "on_time", "countdown"
SEEN, SET, ASK = 0b001, 0b010, 0b100


class Zigbee2MqttConfig(msgspec.Struct, frozen=True, kw_only=True):
    ieee: str = "0x000000000049a3bc"
    base: str = "zigbee2mqtt"
    name: str = "plug"
    timer: str = ON_TIME
    available: bool = True  # its bridge says which plugs can be reached; it need not
    plain: bool = False  # says `online` as plain text, as old versions do
    asked: bool = True  # its meter can be asked
    reads: bool = True  # or at least read by its clusters
    reads_timer: bool = True
    memory: bool = True  # it can be told to stay off when the mains come back
    polled_s: float = 0.0  # its meter says nothing by itself; the bridge asks this often
    step_wh: float = 1.0
    glitch_s: float = float("inf")  # how often it reports nothing once
    echo_s: float = 0.4  # until the plug reports what an order with a timer did
    counts_to: int = 65_536  # some count modulo 256
    by_tuya: bool = False
    firmware: str = "1.4.4"


def listed(config: Zigbee2MqttConfig, name: str, endpoints: Sequence[str]) -> list[dict[str, Any]]:
    """The coordinator, something that is no plug, and the plug."""
    coordinator = {"ieee_address": "0x00124b0024c0ffee", "type": "Coordinator", "friendly_name": "Coordinator"}
    exposes: list[dict[str, Any]] = [{"type": "numeric", "name": "temperature", "property": "temperature", "access": 1}]
    sensor: dict[str, Any] = {
        "ieee_address": "0x00158d0001020304",
        "type": "EndDevice",
        "friendly_name": "shed/thermometer",
    }
    sensor |= {"definition": {"model": "WSDCGQ11LM", "vendor": "Aqara", "exposes": exposes}}
    by_tuya = config.by_tuya or config.timer == COUNTDOWN
    maker = {"manufacturer": "_TZ3000_gjnozsaz", "model_id": "TS011F"} if by_tuya else {"manufacturer": "frient A/S"}
    definition = {"model": "TS011F_plug_1" if by_tuya else "SPLZB-141", "vendor": "Tuya" if by_tuya else "frient"}
    plug: dict[str, Any] = {
        "ieee_address": config.ieee,
        "type": "Router",
        "friendly_name": name,
        "disabled": False,
        **maker,
    }
    plug |= {"software_build_id": config.firmware, "definition": {**definition, "exposes": _exposes(config, endpoints)}}
    clusters = ["genBasic", "genOnOff", *(["haElectricalMeasurement", "seMetering"] if config.reads else [])]
    plug |= {"endpoints": {"1": {"clusters": {"input": clusters, "output": []}, "bindings": []}}}
    return [{**coordinator, "definition": None}, sensor, plug]


def _exposes(config: Zigbee2MqttConfig, endpoints: Sequence[str]) -> list[dict[str, Any]]:
    exposes = [exposed for endpoint in endpoints for exposed in _of_socket(config, endpoint)]
    exposes.append(_numeric("voltage", "", SEEN | (ASK if config.asked else 0)))
    exposes.append(_numeric("device_temperature", "", SEEN))
    if config.memory:
        memory = {"type": "enum", "values": ["on", "off", "restore"], "access": SEEN | SET | ASK}
        exposes.append({"name": "power_outage_memory", "property": "power_outage_memory", **memory})
    state = {"type": "binary", "name": "state", "property": "child_lock", "access": SEEN | SET}
    exposes.append({"type": "lock", "features": [{**state, "value_on": "LOCK", "value_off": "UNLOCK"}]})
    return exposes


def _of_socket(config: Zigbee2MqttConfig, endpoint: str) -> list[dict[str, Any]]:
    state = _numeric("state", endpoint, SEEN | SET | ASK) | {"type": "binary", "value_on": "ON", "value_off": "OFF"}
    switch = {"type": "switch", "features": [state]} | ({"endpoint": endpoint} if endpoint else {})
    metered = SEEN | (ASK if config.asked else 0)
    figures = [_numeric(name, endpoint, metered) for name in ("power", "current", "energy")]
    timer = [_numeric("countdown", endpoint, SEEN | SET)] if config.timer == COUNTDOWN else []
    return [switch, *figures, *timer]


def _numeric(name: str, endpoint: str, access: int) -> dict[str, Any]:
    own = {"name": name, "property": f"{name}_{endpoint}" if endpoint else name, "type": "numeric", "access": access}
    return own | ({"endpoint": endpoint} if endpoint else {})
