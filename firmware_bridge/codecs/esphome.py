"""ESPHome over MQTT: one figure or word a topic, in the units that its YAML says; and the topics of our own YAML."""

import math
import re
from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec

from controller.core.errors import BadFrame
from firmware_bridge.codecs.strict import parsed, read_once, read_text

PAYLOAD_MAX = 4 * 1024
LEASE_S_MAX = 900
FACTORS = {"W": 1.0, "kW": 1000.0, "Wh": 1.0, "kWh": 1000.0, "V": 1.0, "A": 1.0, "s": 1.0}
RANGES = {
    "W": 25_000.0,
    "kW": 25.0,
    "Wh": 1e10,
    "kWh": 1e7,
    "V": 500.0,
    "A": 200.0,
    "s": 1e6,
}  # beyond it no socket can be
_SIGNED = ("W", "kW", "A")
_T = TypeVar("_T")
_NUMBER = re.compile(r"-?\d{1,12}(\.\d{1,9})?")
_WORDS = {"ON": True, "OFF": False}
_REACH = {"online": True, "offline": False}


class Outlet(msgspec.Struct, frozen=True):
    """Object ids of one socket; empty: there is none. `lease` is a topic; empty: `<prefix>/outlet/<n>/lease`."""

    switch: str = "relay"
    power: str = "power"
    energy: str = "energy"
    voltage: str = ""
    current: str = ""
    lease: str = ""


class Profile(msgspec.Struct, frozen=True):
    """What a YAML has made of a device. `ask`: it answers on `<prefix>/ask` with all it knows, settings included."""

    prefix: str = ""
    name: str = "ESPHome"
    firmware: str = ""
    power_unit: Literal["W", "kW"] = "W"
    energy_unit: Literal["Wh", "kWh"] = "Wh"
    ask: bool = False
    outlets: tuple[Outlet, ...] = (Outlet(),)


class Boot(msgspec.Struct, frozen=True):
    """`boot` is drawn at each start."""

    boot: str
    up_s: float


class Settings(msgspec.Struct, frozen=True):
    power_up: str
    lease_s: float  # of an ON that brings none


_PROFILE = msgspec.json.Decoder(Profile)
_BOOT = msgspec.json.Decoder(Boot)
_SETTINGS = msgspec.json.Decoder(Settings)


# -- payloads to values -------------------------------------------------------------------------------------------


def read_figure(payload: bytes, unit: str) -> float:
    """In W, Wh, V or A."""
    text = read_text(payload[:64])
    if not _NUMBER.fullmatch(text):
        raise BadFrame("malformed", f"{text[:20]!r} is no figure")
    value = float(text)
    low = -RANGES[unit] if unit in _SIGNED else 0.0
    if not low <= value <= RANGES[unit]:
        raise BadFrame("range", f"{value:g} {unit}")
    return round(value * FACTORS[unit], 3)


def read_on(payload: bytes) -> bool:
    return _one_of(_WORDS, payload)


def read_available(payload: bytes) -> bool:
    return _one_of(_REACH, payload)


def _one_of(words: dict[str, bool], payload: bytes) -> bool:
    word = read_text(payload[:64])
    if word not in words:
        raise BadFrame("malformed", f"{word[:20]!r} is none of {', '.join(words)}")
    return words[word]


def read_hazard(payload: bytes) -> str:
    return read_text(payload[:64])


def read_left_s(payload: bytes) -> float:
    return read_figure(payload, "s")


def read_profile(payload: bytes) -> Profile:
    profile = _read(_PROFILE, payload)
    if not profile.outlets or len(profile.outlets) > 16:
        raise BadFrame("malformed", f"{len(profile.outlets)} outlets")
    return profile


def read_boot(payload: bytes) -> Boot:
    boot = _read(_BOOT, payload)
    if not 0 <= boot.up_s < math.inf:
        raise BadFrame("range", f"up for {boot.up_s} s")
    return boot


def read_settings(payload: bytes) -> Settings:
    return _read(_SETTINGS, payload)


def _read(decoder: msgspec.json.Decoder[_T], payload: bytes) -> _T:
    if len(payload) > PAYLOAD_MAX:
        raise BadFrame("length", f"{len(payload)} bytes are more than any device says")
    value = parsed(decoder, read_text(payload).encode())
    read_once(payload)
    return value


# -- values to payloads -------------------------------------------------------------------------------------------


def lease(seconds: float) -> bytes:
    """Whole seconds, rounded down; 0 is OFF."""
    if not (seconds == 0 or 1 <= seconds <= LEASE_S_MAX):
        raise ValueError(f"no lease here is {seconds} s")
    return b"%d" % int(seconds)


def limit(watts: float) -> bytes:
    return b"%d" % round(watts)


# -- one payload, for people --------------------------------------------------------------------------------------


def decode(topic: str | None, direction: str, payload: bytes) -> dict[str, object]:
    """Without a topic a payload says what it looks like: a word, a figure, or one of our own objects."""
    levels = ["", "", "", *(topic.split("/") if topic else [])][-3:]
    match levels:
        case ["switch", name, "state" | "command"]:
            return {"switch": name, "on": read_on(payload)}
        case ["sensor", name, "state"]:
            return {"sensor": name, "value": read_figure(payload, "Wh" if payload[:1] != b"-" else "W")}
        case ["outlet", number, leaf] if number.isdecimal():
            return {"channel": int(number) - 1, **_of_outlet(leaf, payload)}
    return _OF_DEVICE.get(levels[-1], _by_looks)(payload)


def _of_outlet(leaf: str, payload: bytes) -> dict[str, object]:
    match leaf:
        case "lease":
            return {"lease_s": read_left_s(payload)}
        case "left":
            return {"lease_left_s": read_left_s(payload)}
        case "limit":
            return {"limit_w": read_figure(payload, "W")}
        case "hazard":
            return {"hazard": read_hazard(payload)}
        case "settings":
            return msgspec.structs.asdict(read_settings(payload))
    raise BadFrame("unknown", f"nothing is said on {leaf[:40]!r}")


def _by_looks(payload: bytes) -> dict[str, object]:
    text = read_text(payload)
    if text in _WORDS:
        return {"on": _WORDS[text]}
    if text in _REACH:
        return {"available": _REACH[text]}
    if not text.startswith("{"):
        return {"value": read_figure(payload, "Wh")}
    return msgspec.structs.asdict(read_boot(payload) if '"boot"' in text else read_settings(payload))


def _told(profile: Profile) -> dict[str, object]:
    told: dict[str, object] = msgspec.to_builtins(profile)
    return told


_OF_DEVICE: dict[str, Callable[[bytes], dict[str, object]]] = {
    "status": lambda payload: {"available": read_available(payload)},
    "boot": lambda payload: msgspec.structs.asdict(read_boot(payload)),
    "anchong": lambda payload: _told(read_profile(payload)),
    "ask": lambda payload: {"ask": True},
}
