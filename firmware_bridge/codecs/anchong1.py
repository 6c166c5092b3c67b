"""anchong/1, the open socket protocol over MQTT: bytes ↔ values, both ways, strictly; docs/anchong-1.md specifies it.

Both ends use this: the driver reads what the twin writes and the other way round. No state, no decision.
"""

import re
from typing import Annotated, Any, TypeVar

import msgspec

from controller.core.errors import BadFrame
from firmware_bridge.codecs.strict import parsed, read_once

ROOT = "anchong/1"
HELLO, ONLINE, STATE, ACK, SETTINGS, INPUTS, CARD = "hello", "online", "state", "ack", "settings", "inputs", "card"
ON, OFF, ASK, SET = "on", "off", "ask", "set"
UP_BYTES_MAX, DOWN_BYTES_MAX = 1024, 512  # both fit one buffer of a small microcontroller
OUTLETS_MAX, INPUTS_MAX = 32, 32
LEASE_S_MIN, LEASE_S_MAX = 1.0, 900.0
FRESH_S = 60.0  # twice the longest pause between two reports: an older ON was decided on what is no longer so
# what a device may say is wrong; `off_by` and `faults` may have more words, which count as "something is"
FAULTS = frozenset(
    (
        "overload",
        "overheat",
        "smoke",
        "flood",
        "leakage",
        "over_voltage",
        "under_voltage",
        "relay_fault",
        "fuse_blown",
        "meter_fault",
    )
)
_NAME = r"[A-Za-z0-9._-]{1,64}"  # no + # / : it must not reach further than one level

T = TypeVar("T")
Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,32}\Z")]
Boot = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{8,32}\Z")]
Count = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]  # what every JSON library can hold
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e10)]
Outlet = Annotated[int, msgspec.Meta(ge=1, le=OUTLETS_MAX)]
Name = Annotated[str, msgspec.Meta(pattern=rf"^{_NAME}\Z")]
Word = Annotated[str, msgspec.Meta(pattern=r"^[a-z_]{1,24}\Z")]
Text = Annotated[str, msgspec.Meta(max_length=64)]
Lease = Annotated[float, msgspec.Meta(ge=LEASE_S_MIN, le=LEASE_S_MAX)]
Watts = Annotated[float, msgspec.Meta(ge=0, le=20_000)]
Limit = Annotated[float, msgspec.Meta(ge=1, le=20_000)]


# -- from the device ----------------------------------------------------------------------------------------------


class Head(msgspec.Struct, kw_only=True, omit_defaults=True):
    """On every message but the last will: which start of the device, its how-manieth message, how long it has run."""

    boot: Boot
    seq: Count
    up_s: Seconds
    device: Name = ""  # whoever says it must say its own


class Hello(Head, kw_only=True):
    device: Name  # here it has to
    model: Text
    firmware: Text
    outlets: Outlet
    lease_max_s: Lease
    power_max_w: Limit
    inputs: Annotated[int, msgspec.Meta(ge=0, le=INPUTS_MAX)] = 0
    reads_cards: bool = False
    started_by: Text = ""


class Online(Head, kw_only=True):
    online: bool


class Will(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Said by the broker, so without a number."""

    boot: Boot
    online: bool
    device: Name = ""


class State(Head, kw_only=True):
    """One outlet, measured now. None: its meter can't say."""

    outlet: Outlet
    on: bool
    n: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    power_w: Watts | None
    energy_wh: Annotated[float, msgspec.Meta(ge=0, le=1e9)] | None
    lease_left_s: Annotated[float, msgspec.Meta(ge=0, le=LEASE_S_MAX)] = 0.0
    off_by: Word | None = None
    faults: Annotated[list[Word], msgspec.Meta(max_length=16)] = []
    voltage_v: Annotated[float, msgspec.Meta(ge=0, le=1_000)] | None = None
    current_a: Annotated[float, msgspec.Meta(ge=0, le=200)] | None = None
    temperature_c: Annotated[float, msgspec.Meta(ge=-60, le=300)] | None = None
    leakage_ma: Annotated[float, msgspec.Meta(ge=0, le=10_000)] | None = None


class Ack(Head, kw_only=True):
    """`n` is the highest number that the outlet has taken so far."""

    id: Annotated[str, msgspec.Meta(max_length=32)]
    ok: bool
    why: Word | None = None
    outlet: Outlet | None = None
    n: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)] | None = None


class Settings(Head, kw_only=True):
    outlet: Outlet
    lease_max_s: Lease
    limit_w: Limit
    power_up_off: bool
    sees_power_when_off: bool
    own_counter: bool
    inputs_detached: bool


class Inputs(Head, kw_only=True):
    """`closed[0]` is input 1."""

    closed: Annotated[list[bool], msgspec.Meta(max_length=INPUTS_MAX)]


class Card(Head, kw_only=True):
    uid: Annotated[str, msgspec.Meta(pattern=r"^([0-9A-Fa-f]{2}){4,10}\Z")]
    outlet: Outlet | None = None  # none: the reader serves the whole device


_UP: dict[str, msgspec.json.Decoder[Any]] = {
    HELLO: msgspec.json.Decoder(Hello),
    ONLINE: msgspec.json.Decoder(Online),
    STATE: msgspec.json.Decoder(State),
    ACK: msgspec.json.Decoder(Ack),
    SETTINGS: msgspec.json.Decoder(Settings),
    INPUTS: msgspec.json.Decoder(Inputs),
    CARD: msgspec.json.Decoder(Card),
}
_WILL = msgspec.json.Decoder(Will)
KINDS = tuple(_UP)
_TOPIC = re.compile(rf"{ROOT}/({_NAME})/(?:down|up/(?:{'|'.join(KINDS)}))")


def up(device: str, kind: str) -> str:
    return f"{ROOT}/{device}/up/{kind}"


def is_name(device: str) -> bool:
    return re.fullmatch(_NAME, device) is not None


def device_of(topic: str) -> str:
    """Whose topic of this protocol it is; BadFrame for any other, and for a name that reaches beyond its level."""
    named = _TOPIC.fullmatch(topic)
    if named is None:
        raise BadFrame("unknown", f"{topic[:120]!r} is no topic of {ROOT}")
    return named[1]


def read_up(kind: str, payload: bytes) -> Any:
    """Hello, Online, Will, State, Ack, Settings, Inputs or Card."""
    message: Any = _read(_UP[kind], payload, UP_BYTES_MAX) if kind != ONLINE else _read_online(payload)
    return message


def _read_online(payload: bytes) -> Online | Will:
    """There is only said by the device itself, gone only by its will."""
    will = _read(_WILL, payload, UP_BYTES_MAX)
    if not will.online:
        return will
    online: Online = parsed(_UP[ONLINE], payload)
    return online


def _read(decoder: msgspec.json.Decoder[T], payload: bytes, bytes_max: int) -> T:
    if not 0 < len(payload) <= bytes_max:
        raise BadFrame("length", f"{len(payload)} bytes, of at most {bytes_max}")
    message = parsed(decoder, payload)
    read_once(payload)
    return message


# -- to the device ------------------------------------------------------------------------------------------------


class On(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="do", tag=ON):
    """`lease_s` is not optional. `heard_up_s` is the device's own `up_s` as last heard: its age is the ON's age."""

    id: Id
    outlet: Outlet
    boot: Boot
    n: Count
    heard_up_s: Seconds
    lease_s: Lease
    limit_w: Limit | None = None  # for as long as this ON lasts; the lower of this and the setting holds


class Off(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="do", tag=OFF):
    """Obeyed whatever else it says: by all outlets, if it names none that could be one."""

    id: Any = ""
    outlet: Any = None
    boot: Any = None
    n: Any = None

    @property
    def named(self) -> int | None:
        return self.outlet if type(self.outlet) is int and 1 <= self.outlet <= OUTLETS_MAX else None

    @property
    def number(self) -> int:
        """0: it has none."""
        return self.n if type(self.n) is int and 1 <= self.n < 2**53 else 0


class Ask(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="do", tag=ASK):
    id: Id


class Set(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="do", tag=SET):
    id: Id
    outlet: Outlet
    boot: Boot
    heard_up_s: Seconds
    lease_max_s: Lease | None = None
    limit_w: Limit | None = None


Command = On | Off | Ask | Set
_DOWN: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)


class _Who(msgspec.Struct):
    id: Id
    do: Any = None
    lease_s: Any = None


_WHO = msgspec.json.Decoder(_Who)


def down(device: str) -> str:
    return f"{ROOT}/{device}/down"


def read_down(payload: bytes) -> Command:
    return _read(_DOWN, payload, DOWN_BYTES_MAX)


def refused_id(payload: bytes) -> tuple[str, str] | None:
    """Of a command that can't be read: its id, if that can, and the word for what is wrong."""
    try:
        who = _read(_WHO, payload, DOWN_BYTES_MAX)
    except BadFrame:
        return None
    if who.do not in (ON, OFF, ASK, SET):
        return who.id, "unknown"
    return who.id, "no_lease" if who.do == ON and who.lease_s is None else "malformed"


def encoded(message: Head | Will | Command) -> bytes:
    return msgspec.json.encode(message)


# -- for people ---------------------------------------------------------------------------------------------------


def decode(topic: str | None, direction: str, payload: bytes) -> dict[str, object]:
    """What one payload says, in the protocol's own names. Up, the topic says which message it is."""
    if topic is not None:
        device_of(topic)
    if direction == "down" or (topic or "").endswith("/down"):
        return _named(read_down(payload))
    if topic is None:
        raise BadFrame("unknown", "up, only the topic says what it is")
    return _named(read_up(topic.rpartition("/")[2], payload))


def _named(message: Any) -> dict[str, object]:
    named: dict[str, object] = msgspec.to_builtins(message)
    return named
