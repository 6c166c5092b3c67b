"""Zigbee2MQTT's payloads to values and back; what they mean for an outlet is the driver's.

The same `{"state": …}` says that a relay is on, on one topic, and that a device can be reached, on another.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, field

from controller.core.errors import BadFrame
from firmware_bridge.codecs import zigbee2mqtt_names as names
from firmware_bridge.codecs.strict import KEYS, TEXT, parsed, read_once, read_text

PAYLOAD_MAX = 16 * 1024
ON_TIME_S_MAX = 6553.5  # 16 bits of tenths
COUNTDOWN_S_MAX = 43_200
_ONLINE = {"online": True, "offline": False}
_WORDS = {"ON": True, "OFF": False}
_ENDPOINT = "l[1-9]\\d?|left|right|center|top|bottom|usb|usb[1-9]"
_STATE = re.compile(f"state_({_ENDPOINT})")
_POWER = re.compile(f"power_({_ENDPOINT})")

# What no plug can truly show is refused while parsing.
_Watts = Annotated[int, Meta(ge=-25_000, le=25_000)] | Annotated[float, Meta(ge=-25_000, le=25_000)]
_Volts = Annotated[int, Meta(ge=0, le=500)] | Annotated[float, Meta(ge=0, le=500)]
_Amperes = Annotated[int, Meta(ge=-200, le=200)] | Annotated[float, Meta(ge=-200, le=200)]
_Kwh = Annotated[int, Meta(ge=0, le=10_000_000)] | Annotated[float, Meta(ge=0, le=10_000_000)]
_Factor = Annotated[int, Meta(ge=-1, le=1)] | Annotated[float, Meta(ge=-1.5, le=1.5)]
_Hertz = Annotated[int, Meta(ge=0, le=1_000)] | Annotated[float, Meta(ge=0, le=1_000)]
_Degrees = Annotated[int, Meta(ge=-60, le=400)] | Annotated[float, Meta(ge=-60, le=400)]
_OnTime = Annotated[int, Meta(ge=0, le=6553)] | Annotated[float, Meta(ge=0, le=ON_TIME_S_MAX)]
_Word = Annotated[str, Meta(max_length=64)]


class Plug(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was said of one plug, under its names here; what is missing or null was not said."""

    power_w: _Watts | None = field(name="power", default=None)
    voltage_v: _Volts | None = field(name="voltage", default=None)
    current_a: _Amperes | None = field(name="current", default=None)
    energy_total_kwh: _Kwh | None = field(name="energy", default=None)
    power_factor: _Factor | None = None
    frequency_hz: _Hertz | None = field(name="ac_frequency", default=None)
    temperature_c: _Degrees | None = field(name="device_temperature", default=None)
    countdown_s: Annotated[int, Meta(ge=0, le=COUNTDOWN_S_MAX)] | None = field(name="countdown", default=None)
    on_time_s: _OnTime | None = field(name="on_time", default=None)
    power_outage_memory: bool | _Word | None = None  # remembers: yes or no, with some makers
    power_on_behavior: _Word | None = None
    child_lock: _Word | None = None


class Said(msgspec.Struct, frozen=True):
    plug: Plug
    on: bool | None = None
    on_by_endpoint: Mapping[str, bool] = {}
    power_w_by_endpoint: Mapping[str, int | float] = {}


class _Reach(msgspec.Struct, frozen=True):
    state: str


_ATTRIBUTES = frozenset(known.encode_name for known in msgspec.structs.fields(Plug))


class _Read(msgspec.Struct, frozen=True):
    cluster: _Word
    attributes: Annotated[list[_Word | int], Meta(max_length=16)]


_READ = msgspec.json.Decoder(_Read)
_PLUG = msgspec.json.Decoder(Plug)
_REACH = msgspec.json.Decoder(_Reach)
_NUMBER: msgspec.json.Decoder[int | float | None] = msgspec.json.Decoder(int | float | None)
_WATTS: msgspec.json.Decoder[int | float | None] = msgspec.json.Decoder(_Watts | None)
_FIGURES: Mapping[str, msgspec.json.Decoder[int | float | None]] = {
    "power": _WATTS,
    "energy": msgspec.json.Decoder(_Kwh | None),
    "voltage": msgspec.json.Decoder(_Volts | None),
    "current": msgspec.json.Decoder(_Amperes | None),
    "temperature": msgspec.json.Decoder(_Degrees | None),
    "countdown": msgspec.json.Decoder(Annotated[int, Meta(ge=0, le=65_535)] | None),
}
_CHOICE: msgspec.json.Decoder[bool | str | None] = msgspec.json.Decoder(bool | _Word | None)


# -- payloads to values -------------------------------------------------------------------------------------------


def read_available(payload: bytes) -> bool:
    """Of a device or of the bridge: JSON, or plain text from old versions."""
    text = read_text(payload)
    word = parsed(_REACH, payload).state if text.lstrip().startswith("{") else text
    if word not in _ONLINE:
        raise BadFrame("malformed", f"{word[:20]!r} is neither online nor offline")
    return _ONLINE[word]


def read_plug(payload: bytes) -> Said:
    """What a plug publishes, and what it is told on its `set`; BadFrame where nothing of it is known."""
    keys = read_said(payload)
    said = Said(
        parsed(_PLUG, payload),
        _word(keys["state"]) if "state" in keys else None,
        _states(keys),
        _powers(keys),
    )
    if said == Said(Plug()):
        raise BadFrame("unknown", f"none of its keys is known: {', '.join(keys)[:80]}")
    return said


def read_said(payload: bytes) -> Mapping[str, Raw]:
    """All that is said of a device, each under its name, for the three below; names that nobody asks for do no harm."""
    if len(payload) > PAYLOAD_MAX:
        raise BadFrame("length", f"{len(payload)} bytes are more than any plug says")
    keys = parsed(KEYS, read_text(payload).encode())
    read_once(payload)
    return keys


def figure(said: Mapping[str, Raw], name: str, kind: str) -> int | float | None:
    """None where it is not said, or not known to the bridge either. `kind` decides what is too much to be true."""
    return parsed(_FIGURES[kind], said[name]) if name in said else None


def switched(said: Mapping[str, Raw], name: str) -> bool | None:
    return _word(said[name]) if name in said else None


def choice(said: Mapping[str, Raw], name: str) -> bool | str | None:
    return parsed(_CHOICE, said[name]) if name in said else None


def _word(raw: Raw) -> bool | None:
    """None where the state is not known to the bridge either."""
    return None if bytes(raw) == b"null" else read_word(parsed(TEXT, raw))


def read_word(word: str) -> bool:
    if word not in _WORDS:
        raise BadFrame("malformed", f"{word[:20]!r} is neither ON nor OFF")
    return _WORDS[word]


def _states(keys: Mapping[str, Raw]) -> dict[str, bool]:
    told = {match[1]: _word(keys[key]) for key in keys if (match := _STATE.fullmatch(key))}
    return {endpoint: on for endpoint, on in told.items() if on is not None}


def _powers(keys: Mapping[str, Raw]) -> dict[str, int | float]:
    told = {match[1]: parsed(_WATTS, keys[key]) for key in keys if (match := _POWER.fullmatch(key))}
    return {endpoint: power for endpoint, power in told.items() if power is not None}


# -- values to payloads -------------------------------------------------------------------------------------------


def switch_off(endpoint: str = "") -> bytes:
    return msgspec.json.encode({_state(endpoint): "OFF"})


def switch_on(on_time_s: float, endpoint: str = "") -> bytes:
    """On, and off again by the plug itself, where it knows the timer of the standard."""
    if not 0 < on_time_s <= ON_TIME_S_MAX:
        raise ValueError(f"no plug counts {on_time_s} s")
    return msgspec.json.encode({_state(endpoint): "ON", "on_time": on_time_s})


def count_down(seconds: int, *, switch_on: bool = False) -> bytes:
    """For Tuya's plugs. With the ON: the bridge sends that first, since any change of state ends a countdown."""
    if not 0 < seconds <= COUNTDOWN_S_MAX:
        raise ValueError(f"no plug counts {seconds} s")
    return msgspec.json.encode({"state": "ON", "countdown": seconds} if switch_on else {"countdown": seconds})


def setting(name: str, value: str | bool) -> bytes:
    return msgspec.json.encode({name: value})


def question(names: Sequence[str]) -> bytes:
    return msgspec.json.encode(dict.fromkeys(names, ""))


def read(cluster: str, attribute: str) -> bytes:
    """On a device's `set`: what it reads there is published as if it had been reported."""
    return msgspec.json.encode({"read": {"cluster": cluster, "attributes": [attribute]}})


def _state(endpoint: str) -> str:
    return f"state_{endpoint}" if endpoint else "state"


# -- one payload, for people --------------------------------------------------------------------------------------


def decode(topic: str | None, direction: str, payload: bytes) -> dict[str, object]:
    levels = topic.split("/") if topic else [""]
    text = read_text(payload)
    if levels[-1] == "availability" or levels[-2:] == ["bridge", "state"] or (not topic and _reach(payload)):
        return {"available": read_available(payload)}
    if levels[-1] == "get":
        asked = parsed(KEYS, payload)
        return {"get": list(asked)}
    if levels[-2:] in (["bridge", "devices"], ["bridge", "event"]):
        return _of_bridge(levels[-1], payload)
    if levels[-1] == "set" and "read" in (keys := read_said(payload) if text.lstrip().startswith("{") else {}):
        return {"read": msgspec.structs.asdict(parsed(_READ, keys["read"]))}
    if levels[-1] in _ATTRIBUTES and not text.lstrip().startswith("{"):
        return _means(read_plug(msgspec.json.encode({levels[-1]: _value(text)})))
    means: dict[str, object] = {}
    means |= _means(read_plug(payload)) if text.lstrip().startswith("{") else {"on": read_word(text)}
    return _at_endpoint(levels[-2], means) if levels[-1] == "set" and len(levels) > 2 else means


def _value(text: str) -> int | float | str | None:
    """A bridge may also publish each value on a topic of its own: a number, or a word."""
    try:
        return _NUMBER.decode(text)
    except msgspec.DecodeError:
        return text


def _of_bridge(leaf: str, payload: bytes) -> dict[str, object]:
    if leaf == "event":
        event = names.read_event(payload)
        return {"event": event.type, "ieee": event.data.ieee_address}
    listed = names.read_devices(payload)
    return {"devices": [{"ieee": device.ieee_address, "name": device.friendly_name} for device in listed]}


def _reach(payload: bytes) -> bool:
    """Without a topic the word decides."""
    try:
        read_available(payload)
    except BadFrame:
        return False
    return True


def _means(said: Said) -> dict[str, object]:
    plug = {name: getattr(said.plug, name) for name in Plug.__struct_fields__}
    means: dict[str, object] = {name: value for name, value in plug.items() if value is not None}
    means |= {} if said.on is None else {"on": said.on}
    means |= {"on_by_endpoint": dict(said.on_by_endpoint)} if said.on_by_endpoint else {}
    return means | ({"power_w_by_endpoint": dict(said.power_w_by_endpoint)} if said.power_w_by_endpoint else {})


def _at_endpoint(level: str, means: dict[str, object]) -> dict[str, object]:
    """`…/plug/l2/set` is for that socket alone; whoever names a plug like an endpoint gets what they asked for."""
    if "on" not in means or not re.fullmatch(_ENDPOINT, level):
        return means
    return {name: value for name, value in means.items() if name != "on"} | {"on_by_endpoint": {level: means["on"]}}
