"""Shelly Gen2 and newer over MQTT: RPC frames and the status of switches to values and back; what they mean for an
outlet is the driver's.

A status is an overlay: a key that is missing has not changed, a key that is null is gone.
"""

import re
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType, field

from controller.core.errors import BadFrame
from firmware_bridge.codecs.strict import KEYS, parsed

FRAME_MAX = 32 * 1024  # the whole status of the largest device is under 8 KiB
SWITCHES_MAX = 256  # of add-ons count from 100
SHUTTING_DOWN = -109

# What no switch can truly show is refused while parsing. Power may be negative: wired in reverse, or fed from outside.
Number: TypeAlias = int | float
_Channel = Annotated[int, Meta(ge=0, lt=SWITCHES_MAX)]
_Watts = Annotated[int, Meta(ge=-25_000, le=25_000)] | Annotated[float, Meta(ge=-25_000, le=25_000)]
_Volts = Annotated[int, Meta(ge=0, le=500)] | Annotated[float, Meta(ge=0, le=500)]
_Amperes = Annotated[int, Meta(ge=-200, le=200)] | Annotated[float, Meta(ge=-200, le=200)]
_Factor = Annotated[int, Meta(ge=-1, le=1)] | Annotated[float, Meta(ge=-1.5, le=1.5)]
_Hertz = Annotated[int, Meta(ge=0, le=1_000)] | Annotated[float, Meta(ge=0, le=1_000)]
_Wh = Annotated[int, Meta(ge=0, le=10**10)] | Annotated[float, Meta(ge=0, le=1e10)]
_MilliWh = Annotated[int, Meta(ge=-(10**9), le=10**9)] | Annotated[float, Meta(ge=-1e9, le=1e9)]
_Degrees = Annotated[int, Meta(ge=-60, le=400)] | Annotated[float, Meta(ge=-60, le=400)]
_Unix = Annotated[int, Meta(ge=0, le=10**11)] | Annotated[float, Meta(ge=0, le=1e11)]
_Seconds = Annotated[int, Meta(ge=0, le=10**9)] | Annotated[float, Meta(ge=0, le=1e9)]
_Name = Annotated[str, Meta(max_length=300)]
_Word = Annotated[str, Meta(max_length=64)]
_Words = Annotated[list[_Word], Meta(max_length=16)]
RequestId: TypeAlias = Annotated[str, Meta(max_length=128)] | int | float | None


# -- one switch ---------------------------------------------------------------------------------------------------


class Counter(msgspec.Struct, frozen=True):
    total: _Wh | UnsetType = UNSET
    by_minute: Annotated[list[_MilliWh], Meta(max_length=16)] | UnsetType = UNSET
    minute_ts: _Unix | UnsetType | None = UNSET


class Temperature(msgspec.Struct, frozen=True):
    celsius: _Degrees | UnsetType | None = field(name="tC", default=UNSET)


class Switch(msgspec.Struct, frozen=True):
    """What was said of one switch, all of it or only what has changed."""

    id: _Channel | UnsetType = UNSET
    output: bool | UnsetType | None = UNSET
    source: _Word | UnsetType | None = UNSET
    apower: _Watts | UnsetType | None = UNSET
    voltage: _Volts | UnsetType | None = UNSET
    current: _Amperes | UnsetType | None = UNSET
    pf: _Factor | UnsetType | None = UNSET
    freq: _Hertz | UnsetType | None = UNSET
    aenergy: Counter | UnsetType | None = UNSET
    ret_aenergy: Counter | UnsetType | None = UNSET
    temperature: Temperature | UnsetType | None = UNSET
    timer_started_at: _Unix | UnsetType | None = UNSET
    timer_duration: _Seconds | UnsetType | None = UNSET
    errors: _Words | UnsetType | None = UNSET

    @property
    def total_wh(self) -> Number | None:
        return _total(self.aenergy)

    @property
    def returned_wh(self) -> Number | None:
        return _total(self.ret_aenergy)

    @property
    def celsius(self) -> Number | None:
        return told(self.temperature.celsius) if isinstance(self.temperature, Temperature) else None


def told(value: Any) -> Any:
    """None for what was not said and for what is gone."""
    return None if value is UNSET else value


def _total(counter: Counter | UnsetType | None) -> Number | None:
    return told(counter.total) if isinstance(counter, Counter) else None


class Input(msgspec.Struct, frozen=True):
    """What was said of one input; of one that is a button or counts, or that nobody has enabled, there is no state."""

    id: _Channel | UnsetType = UNSET
    state: bool | UnsetType | None = UNSET


class SwitchConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """As far as it decides what a switch does when nobody asks it to."""

    id: _Channel | None = None
    initial_state: _Word | None = None
    auto_on: bool | None = None
    auto_off: bool | None = None
    auto_off_delay: _Seconds | None = None
    autorecover_voltage_errors: bool | None = None
    power_limit: _Watts | None = None
    in_mode: _Word | None = None


# -- frames -------------------------------------------------------------------------------------------------------


class Error(msgspec.Struct, frozen=True):
    code: int
    message: Annotated[str, Meta(max_length=1_000)] = ""


class Frame(msgspec.Struct, frozen=True):
    """A request, an answer or a notification, by what it carries. `id` comes back with the type it was sent in."""

    id: RequestId | UnsetType = UNSET
    src: _Name | UnsetType = UNSET
    method: _Word | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Error | UnsetType | None = UNSET


class Set(msgspec.Struct, frozen=True):
    """The parameters of Switch.Set."""

    id: _Channel
    on: bool
    toggle_after: _Seconds | UnsetType = UNSET


class Note(msgspec.Struct, frozen=True):
    """One event of a NotifyEvent."""

    component: _Word
    event: _Word


class Sys(msgspec.Struct, frozen=True):
    mac: Annotated[str, Meta(pattern="^[0-9A-Fa-f]{12}$")] | None = None
    uptime: Annotated[int, Meta(ge=0, le=10**10)] | None = None


class Components(msgspec.Struct, frozen=True):
    """A status of several components: the switches read, the others by name."""

    switches: dict[int, Switch]
    others: list[str]
    ts: Number | None = None
    sys: Sys = Sys()
    inputs: dict[int, Input] = {}


class Announced(msgspec.Struct, frozen=True):
    """What a device says of itself (Shelly.GetDeviceInfo); without `gen` it is of the first generation."""

    id: _Name
    mac: Annotated[str, Meta(pattern="^[0-9A-Fa-f]{12}$")]
    gen: Annotated[int, Meta(ge=1, le=99)] | None = None
    model: _Word | None = None
    ver: _Word | None = None
    app: _Word | None = None


class _Notes(msgspec.Struct, frozen=True):
    events: Annotated[list[Note], Meta(max_length=64)]


_FRAME = msgspec.json.Decoder(Frame)
_SWITCH = msgspec.json.Decoder(Switch)
_INPUT = msgspec.json.Decoder(Input)
_CONFIG = msgspec.json.Decoder(SwitchConfig)
_SET = msgspec.json.Decoder(Set)
_NOTES = msgspec.json.Decoder(_Notes)
_SYS = msgspec.json.Decoder(Sys)
_TS: msgspec.json.Decoder[Number] = msgspec.json.Decoder(_Unix)
_ANNOUNCED = msgspec.json.Decoder(Announced)
_ONLINE: msgspec.json.Decoder[bool] = msgspec.json.Decoder(bool)
SWITCH_KEY = re.compile(r"switch:(\d{1,3})")
INPUT_KEY = re.compile(r"input:(\d{1,3})")


def read_frame(payload: bytes) -> Frame:
    _check(payload)
    return parsed(_FRAME, payload)


def read_switch(payload: bytes) -> Switch:
    _check(payload)
    return parsed(_SWITCH, payload)


def switch_of(raw: Raw) -> Switch:
    return parsed(_SWITCH, raw)


def input_of(raw: Raw) -> Input:
    return parsed(_INPUT, raw)


def config_of(raw: Raw) -> SwitchConfig:
    return parsed(_CONFIG, raw)


def sys_of(raw: Raw) -> Sys:
    return parsed(_SYS, raw)


def set_of(raw: Raw) -> Set:
    return parsed(_SET, raw)


def notes_of(raw: Raw) -> list[Note]:
    return parsed(_NOTES, raw).events


def announced_of(raw: Raw) -> Announced:
    return parsed(_ANNOUNCED, raw)


def read_announced(payload: bytes) -> Announced:
    _check(payload)
    return parsed(_ANNOUNCED, payload)


def read_online(payload: bytes) -> bool:
    if not payload:
        raise BadFrame("length", "empty payload")
    return parsed(_ONLINE, payload)


def keys_of(raw: Raw | UnsetType) -> dict[str, Raw]:
    """What an object holds; nothing where there is none."""
    return {} if raw is UNSET or bytes(raw) == b"null" else parsed(KEYS, raw)


def components_of(raw: Raw) -> Components:
    keys = parsed(KEYS, raw)
    switches: dict[int, Switch] = {}
    for key in [key for key in keys if SWITCH_KEY.fullmatch(key)]:
        switches[_number(key)] = _own(key, parsed(_SWITCH, keys.pop(key)))
    ts = parsed(_TS, keys.pop("ts")) if "ts" in keys else None
    sys = sys_of(keys["sys"]) if "sys" in keys else Sys()
    inputs = {_number(key): input_of(raw) for key, raw in keys.items() if INPUT_KEY.fullmatch(key)}
    return Components(switches, list(keys), ts, sys, inputs)


def _number(key: str) -> int:
    number = int(key.partition(":")[2])
    if number >= SWITCHES_MAX:
        raise BadFrame("range", f"{key} is no component of a device")
    return number


def _own(key: str, switch: Switch) -> Switch:
    """An id that is not that of its key would put one outlet's power on another."""
    if switch.id is not UNSET and switch.id != _number(key):
        raise BadFrame("malformed", f"{key} says it is {switch.id}")
    return switch


def _check(payload: bytes) -> None:
    if not payload:
        raise BadFrame("length", "empty payload")
    if len(payload) > FRAME_MAX:
        raise BadFrame("length", f"{len(payload)} bytes are more than any device sends")


# -- to bytes -----------------------------------------------------------------------------------------------------


def request(id_: RequestId, source: str, method: str, **params: object) -> bytes:
    frame = {"id": id_, "src": source, "method": method} | ({"params": params} if params else {})
    return msgspec.json.encode(frame)


def switch_set(id_: RequestId, source: str, channel: int, on: bool, toggle_after: float | None = None) -> bytes:
    timer: dict[str, object] = {} if toggle_after is None else {"toggle_after": toggle_after}
    return request(id_, source, "Switch.Set", id=channel, on=on, **timer)


def reply(id_: RequestId, device: str, source: str, result: object) -> bytes:
    return msgspec.json.encode({"id": id_, "src": device, "dst": source, "result": result})


def failure(id_: RequestId, device: str, source: str, code: int, message: str) -> bytes:
    error = {"code": code, "message": message}
    return msgspec.json.encode({"id": id_, "src": device, "dst": source, "error": error})


def notification(device: str, prefix: str, method: str, params: dict[str, object]) -> bytes:
    return msgspec.json.encode({"src": device, "dst": f"{prefix}/events", "method": method, "params": params})
