"""Tasmota's payloads to values and back; what they mean for an outlet is the driver's."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Raw, field

from controller.core.errors import BadFrame
from firmware_bridge.codecs.strict import KEYS, TEXT, parsed, read_text
from firmware_bridge.codecs.tasmota_names import OFFLINE, ONLINE, PREFIXES, WORDS, read_config

T = TypeVar("T")
Number = int | float
Numbers = Number | list[Number] | dict[str, Number]  # one value, one a channel, or named phases

LEASE_S_MAX = 64_800  # PulseTime ends at 64900
PLAIN = (int, float)


# -- the lease ----------------------------------------------------------------------------------------------------


def pulse_code(seconds: float) -> int:
    """PulseTime for a time: tenths up to 11.1 s, above that seconds + 100. Never 0, which would mean for ever."""
    if not 0.1 <= seconds <= LEASE_S_MAX:
        raise ValueError(f"no PulseTime is {seconds} s")
    return round(seconds * 10) if seconds <= 11.1 else round(seconds) + 100


def pulse_s(code: int) -> float:
    if not 0 <= code <= LEASE_S_MAX + 100:
        raise BadFrame("range", f"PulseTime {code}")
    return code / 10 if code <= 111 else float(code - 100)


# -- readings -----------------------------------------------------------------------------------------------------


# What no socket can truly show is refused while parsing; a three-phase 32 A outlet is the largest thought of.
N = TypeVar("N")
Many: TypeAlias = N | Annotated[list[N], Meta(min_length=1)] | Annotated[dict[str, N], Meta(min_length=1)]
_Watts = Annotated[int, Meta(ge=0, le=25_000)] | Annotated[float, Meta(ge=0, le=25_000)]
_Volts = Annotated[int, Meta(ge=0, le=500)] | Annotated[float, Meta(ge=0, le=500)]
_Amperes = Annotated[int, Meta(ge=0, le=200)] | Annotated[float, Meta(ge=0, le=200)]
_Factor = Annotated[int, Meta(ge=-1, le=1)] | Annotated[float, Meta(ge=-1.5, le=1.5)]
_VoltAmperes = Annotated[int, Meta(ge=-50_000, le=50_000)] | Annotated[float, Meta(ge=-50_000, le=50_000)]
_Hertz = Annotated[int, Meta(ge=0, le=1_000)] | Annotated[float, Meta(ge=0, le=1_000)]
_Kwh = Annotated[int, Meta(ge=0, le=10_000_000)] | Annotated[float, Meta(ge=0, le=10_000_000)]
_Wh = Annotated[int, Meta(ge=0, le=1_000_000)] | Annotated[float, Meta(ge=0, le=1_000_000)]
_Degrees = Annotated[int, Meta(ge=-60, le=400)] | Annotated[float, Meta(ge=-60, le=400)]
_Uid = Annotated[str, Meta(pattern="^(?:[0-9A-Fa-f]{2}){2,10}$", max_length=20)]


class Chip(msgspec.Struct, frozen=True):
    temperature: _Degrees | None = field(name="Temperature", default=None)


class Energy(msgspec.Struct, frozen=True, rename="pascal"):
    """The ENERGY object; a key that old or small firmware leaves out is None."""

    power: Many[_Watts] | None = None
    voltage: Many[_Volts] | None = None
    current: Many[_Amperes] | None = None
    factor: Many[_Factor] | None = None
    apparent_power: Many[_VoltAmperes] | None = None
    reactive_power: Many[_VoltAmperes] | None = None
    frequency: Many[_Hertz] | None = None
    total: Many[_Kwh] | None = None
    today: Many[_Kwh] | None = None
    period: Many[_Wh] | None = None
    total_tariff: Many[_Kwh] | None = None
    chip: Chip | None = field(name="BL09XX", default=None)


class Card(msgspec.Struct, frozen=True):
    uid: _Uid = field(name="UID")
    text: object = field(name="DATA", default=None)


class Sensor(msgspec.Struct, frozen=True):
    energy: Energy | None = field(name="ENERGY", default=None)
    energy_total: Energy | None = field(name="EnergyTotal", default=None)
    pn532: Card | None = field(name="PN532", default=None)
    rc522: Card | None = field(name="RC522", default=None)
    temperature_unit: str = field(name="TempUnit", default="C")

    @property
    def card(self) -> Card | None:
        return self.pn532 or self.rc522


class StatusSensor(msgspec.Struct, frozen=True):
    sensor: Sensor = field(name="StatusSNS")


QUANTITIES = (
    ("power", "power_w"),
    ("voltage", "voltage_v"),
    ("current", "current_a"),
    ("factor", "power_factor"),
    ("apparent_power", "apparent_va"),
    ("reactive_power", "reactive_var"),
    ("frequency", "frequency_hz"),
    ("total", "energy_total_kwh"),
    ("today", "energy_today_kwh"),
    ("period", "energy_period_wh"),
    ("total_tariff", "energy_tariff_kwh"),
)
_SENSOR = msgspec.json.Decoder(Sensor)
_STATUS_SENSOR = msgspec.json.Decoder(StatusSensor)


def read_sensor(payload: bytes | Raw) -> Sensor:
    return parsed(_SENSOR, payload)


def read_status_sensor(payload: bytes) -> Sensor:
    return parsed(_STATUS_SENSOR, payload).sensor


def own_part(value: Numbers | None, channel: int, relays: int) -> float | None:
    """What belongs to this relay alone: its place in the array, or everything where it is the only relay."""
    if value is None:
        return None
    if isinstance(value, PLAIN):
        return float(value) if relays == 1 else None
    parts = tuple(each(value))
    if relays == 1:
        return float(sum(parts))
    return float(parts[channel]) if len(parts) > 1 and channel < len(parts) else None


def shared_part(value: Numbers | None, channel: int) -> float | None:
    """Voltage: one figure is true of every relay."""
    if value is None:
        return None
    if isinstance(value, PLAIN):
        return float(value)
    parts = tuple(each(value))
    return float(parts[min(channel, len(parts) - 1)])


def celsius(chip: Chip | None, unit: str) -> float | None:
    """Only the metering chip's: that of the radio is always hot."""
    if chip is None or chip.temperature is None:
        return None
    return (chip.temperature - 32) / 1.8 if unit == "F" else float(chip.temperature)


def each(value: Numbers) -> Iterable[Number]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else (value,)


# -- inputs: what Tasmota calls switches ---------------------------------------------------------------------------


class _Acted(msgspec.Struct, frozen=True):
    action: Annotated[str, Meta(max_length=64)] = field(name="Action")


_ACTED = msgspec.json.Decoder(_Acted | str)
SWITCH = b'"Switch'
_SWITCH = re.compile(r"Switch([1-9]\d?)")


def read_switches(payload: bytes | Raw, words: Sequence[str] = WORDS) -> dict[int, bool]:
    """By number what each shows, as a state (SENSOR, STATUS10) or as an action (RESULT, with SetOption114 1).

    An action that is neither on nor off (TOGGLE, HOLD) belongs to a mode that tells no state: nothing is made of it.
    """
    keys = parsed(KEYS, payload)
    for wrapper in _WRAPPERS:
        if wrapper in keys:
            keys = parsed(KEYS, keys[wrapper])
    shown: dict[int, bool] = {}
    for key, raw in keys.items():
        match = _SWITCH.fullmatch(key)
        word = _word(raw) if match is not None else None
        if match is not None and word in words[:2]:
            shown[int(match[1])] = word == words[1]
    return shown


def _word(raw: Raw) -> str:
    told = parsed(_ACTED, raw)
    return told if isinstance(told, str) else told.action


# -- answers ------------------------------------------------------------------------------------------------------


class PulseTimer(msgspec.Struct, frozen=True):
    set_s: float
    remaining_s: float


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What RESULT, STATE, STATUS11, INFO3 and WARNING say; relays, timers and options by their number on the device."""

    on: dict[str, bool] = {}
    pulse_time: dict[str, PulseTimer] = {}
    tele_period_s: int | None = None
    power_on_state: int | None = None
    set_option: dict[str, bool | int] = {}
    restart_reason: str | None = None
    uptime_s: int | None = None
    max_power_reached: list[int] | None = None  # relays counted from 1, empty if the firmware does not say which


class _Pulse(msgspec.Struct, frozen=True):
    set: int | list[int] = field(name="Set")
    remaining: int | list[int] = field(name="Remaining")


_PULSE = msgspec.json.Decoder(_Pulse)
_UPTIME_S: msgspec.json.Decoder[int] = msgspec.json.Decoder(Annotated[int, Meta(ge=0)])
_PERIOD_S: msgspec.json.Decoder[int] = msgspec.json.Decoder(Annotated[int, Meta(ge=0, le=3600)])
_POWER_ON_STATE: msgspec.json.Decoder[int] = msgspec.json.Decoder(Annotated[int, Meta(ge=0, le=5)])
_OPTION: msgspec.json.Decoder[str | int] = msgspec.json.Decoder(str | Annotated[int, Meta(ge=0, le=65535)])
_ANY = msgspec.json.Decoder()
_NUMBERED = ("POWER", "PulseTime", "SetOption", "MaxPowerReached", "MaxPowerReachedRetry")
_WRAPPERS = ("StatusSTS", "StatusSNS", "Info3", "sn")


def read_answer(payload: bytes | Raw, words: Sequence[str] = WORDS) -> Answer:
    keys = parsed(KEYS, payload)
    for wrapper in _WRAPPERS:
        if wrapper in keys:
            keys = parsed(KEYS, keys[wrapper])
    numbered = _by_name(keys)
    return Answer(
        on={index or "1": read_word(parsed(TEXT, raw), words) for index, raw in numbered["POWER"]},
        pulse_time=dict(pair for index, raw in numbered["PulseTime"] for pair in _timers(index, raw)),
        tele_period_s=_optional(keys, "TelePeriod", _PERIOD_S),
        power_on_state=_optional(keys, "PowerOnState", _POWER_ON_STATE),
        set_option={index: _option(raw, words) for index, raw in numbered["SetOption"] if index},
        restart_reason=_optional(keys, "RestartReason", TEXT),
        uptime_s=_optional(keys, "UptimeSec", _UPTIME_S),
        max_power_reached=_tripped([*numbered["MaxPowerReached"], *numbered["MaxPowerReachedRetry"]]),
    )


def read_word(text: str, words: Sequence[str] = WORDS) -> bool:
    """On or off in the device's own words (which may be localised)."""
    if text not in words[:2]:
        raise BadFrame("malformed", f"{text[:20]!r} is neither {words[0]} nor {words[1]}")
    return text == words[1]


def _by_name(keys: Mapping[str, Raw]) -> dict[str, list[tuple[str, Raw]]]:
    """The keys that carry a number behind their name, which may be missing: name to (number, value)."""
    found: dict[str, list[tuple[str, Raw]]] = {name: [] for name in _NUMBERED}
    for key, raw in keys.items():
        name = key.rstrip("0123456789")
        if name in found and len(key) <= len(name) + 3:
            found[name].append((key[len(name) :], raw))
    return found


def _timers(index: str, raw: Raw) -> Iterable[tuple[str, PulseTimer]]:
    pulse = parsed(_PULSE, raw)
    sets = pulse.set if isinstance(pulse.set, list) else [pulse.set]
    remains = pulse.remaining if isinstance(pulse.remaining, list) else [pulse.remaining]
    if len(sets) != len(remains):
        raise BadFrame("length", "PulseTime lists of different length")
    pairs = enumerate(zip(sets, remains, strict=True), start=int(index or 1))
    return [(str(number), PulseTimer(pulse_s(code), pulse_s(left))) for number, (code, left) in pairs]


def _option(raw: Raw, words: Sequence[str]) -> bool | int:
    value = parsed(_OPTION, raw)
    return read_word(value, words) if isinstance(value, str) else value


def _tripped(warnings: list[tuple[str, Raw]]) -> list[int] | None:
    return [int(index) for index, _ in warnings if index] if warnings else None


# -- one payload, for people --------------------------------------------------------------------------------------


def decode(topic: str | None, payload: bytes) -> dict[str, object]:
    """Everything known about one payload, under the wire's own quantities; BadFrame if that is nothing."""
    levels = topic.split("/") if topic else [""]
    if PREFIXES[0] in levels[:-1]:
        return {"command": levels[-1], "argument": payload.decode(errors="replace")}
    if not payload.lstrip().startswith((b"{", b"[")):
        return _plain(levels[-1], read_text(payload))
    keys = parsed(KEYS, payload)
    if {"Total", "Power"} <= keys.keys():  # before 5.10 what is measured stood alone, on a topic of its own
        payload = b'{"Time":%b,"ENERGY":%b}' % (bytes(keys.get("Time", Raw(b"null"))), payload)
    means = _config_means(payload) if {"mac", "t", "ft"} <= keys.keys() else _means(payload, keys)
    if not means:
        raise BadFrame("unknown", f"none of its keys is known: {', '.join(keys)[:80]}")
    return means


def _plain(leaf: str, text: str) -> dict[str, object]:
    if leaf in ("LWT", "") and text in (ONLINE, OFFLINE):
        return {"available": text == ONLINE}
    if re.fullmatch(r"(POWER\d*)?", leaf):
        return {"on": {leaf.removeprefix("POWER") or "1": read_word(text)}}
    raise BadFrame("malformed", f"{text[:40]!r} is no JSON object")


def _means(payload: bytes, keys: Mapping[str, Raw]) -> dict[str, object]:
    inner = next((keys[wrapper] for wrapper in _WRAPPERS if wrapper in keys), payload)
    time = parsed(_ANY, parsed(KEYS, inner).get("Time", Raw(b"null")))
    means: dict[str, object] = {"time": time} if isinstance(time, str) else {}
    sensor = read_sensor(inner)
    for energy in (sensor.energy, sensor.energy_total):
        values = ((name, getattr(energy, attribute, None)) for attribute, name in QUANTITIES)
        means |= {name: value for name, value in values if value is not None}
    if sensor.card:
        means |= {"uid": sensor.card.uid} | (
            {"card_data": sensor.card.text} if isinstance(sensor.card.text, str) else {}
        )
    answer: dict[str, object] = msgspec.to_builtins(read_answer(payload))
    return means | answer


def _config_means(payload: bytes) -> dict[str, object]:
    config = read_config(payload)
    means: dict[str, object] = {"mac": config.mac, "topic_name": config.topic, "full_topic": config.full_topic}
    means |= {"prefixes": list(config.prefixes), "relays": config.relays}
    return means | {"model": config.model, "firmware": config.firmware}


def _optional(keys: Mapping[str, Raw], name: str, decoder: msgspec.json.Decoder[T]) -> T | None:
    return parsed(decoder, keys[name]) if name in keys else None
