"""What is fuzzed, by name: each takes bytes and raises if something is wrong. Seeds are published frames and captures.

- `codec NAME`: a protocol of `anchong decode`: a BadFrame or JSON, never anything else; what a capture covers of it.
- `line NAME`: a finder and an ear on the line: the same frames whatever the chunks.
- `driver NAME`: a family's `receive`: no frame, no event, and no trace: what is good is answered as by a fresh driver.
- `router`: all of them behind real gates: whatever is received, no relay is ever switched on.
- `lines`: `anchong decode --jsonl`.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache

from anchong.decode import PROTOCOLS, _answer_line
from controller.core.errors import BadFrame
from controller.core.events import Event, LinkLost, Stamp
from firmware_bridge.codecs import dlt645
from firmware_bridge.drivers import DRIVERS, ON_BUS
from firmware_bridge.gate import Gates
from firmware_bridge.overheard import WAYS, Overheard
from firmware_bridge.router import Router
from firmware_bridge.veil import Veil
from firmware_bridge.wire import Driver, Linked, Message, Pile, Receive, SwitchOff
from tests.bridge.captures import FILES, T0, ears, heard, lines_of, messages_of, opened, piles_of
from tests.bridge.frames import VECTORS
from tests.fuzz.seals import MOST, SEALS, unsealed

Target = Callable[[bytes], None]
TOPICS = (
    "",
    "tele/plug/SENSOR",
    "tele/plug/STATE",
    "stat/plug/RESULT",
    "stat/plug/POWER",
    "cmnd/plug/Backlog0",
    "tasmota/discovery/00000049A3BC/config",
    "plug/events/rpc",
    "plug/status/switch:0",
    "plug/rpc",
    "plug/online",
    "zigbee2mqtt/plug",
    "zigbee2mqtt/plug/availability",
    "zigbee2mqtt/plug/set",
    "zigbee2mqtt/bridge/devices",
    "anchong/1/00000049A3BD/up/state",
    "anchong/1/00000049A3BD/up/hello",
    "anchong/1/00000049A3BD/down",
    "JUY/D2S/861197062934387/82/DEV",
    "socket/switch/relay/state",
    "socket/sensor/power/state",
    "socket/outlet/1/settings",
    "socket/outlet/1/left",
    "socket/anchong",
    "socket/boot",
    "socket/status",
)
_SEALED = 2  # in the first byte: the first seal is put around the rest
GOOD_MOST = 8  # frames that a driver is asked about afterwards
ROUTER_EVERY = 500  # frames until it begins anew
_VEIL = Veil(b"of the fuzzer")
_FILES = {  # protocols whose published frames have another name
    "modbus-rtu": "modbus",
    "modbus-pzem-004t-v3": "pzem",
    "modbus-eastron-sdm": "eastron",
    "modbus-relay-waveshare": "relay_waveshare",
    "modbus-relay-lc": "relay_lc",
    "dlt645-2007": "dlt645",
    "pn532-hsu": "pn532",
    "m1-reader-serial": "m1",
    "dny-ap3000": "dny",
    "juy-5aa5": "juy",
    "dongjun-0xEE": "dongjun",
    "tasmota-mqtt": "tasmota",
    "shelly-rpc-mqtt": "shelly",
    "zigbee2mqtt": "zigbee2mqtt",
}


def targets() -> dict[str, Target]:
    return {
        **{f"codec {protocol}": _codec(protocol) for protocol in PROTOCOLS},
        **{f"line {protocol}": _line(protocol) for protocol in WAYS},
        **{f"driver {family}": _driver(pile) for family, pile in piles().items()},
        "router": _router(),
        "lines": _decode_line,
    }


def seeds(name: str) -> Iterator[bytes]:
    """With the byte before each that says where it came from."""
    kind, _, what = name.partition(" ")
    if kind in ("codec", "line"):
        for number, frame in enumerate(_published(what)):
            place = number % len(TOPICS) << 2
            yield from (bytes((way,)) + frame for way in (0, 1, place, place | 1))
            body = unsealed(what, frame) if what in SEALS else None
            yield from (bytes((way,)) + body for way in (_SEALED, _SEALED + 1) if body is not None)
    elif kind == "driver":
        places = _places(what)
        for message in _captured(what):
            place = places.index((message.address, message.asked)) << 1 & 0xFF
            yield bytes((place,)) + message.payload
            yield bytes((place | 1,)) + _opened_up(message.asked, message.payload)
    elif kind == "router":
        yield from (bytes((number % 256,)) + message.payload for number, message in enumerate(_all_captured()))
    else:
        yield from (json.dumps(said).encode() for file in FILES for said in lines_of(file))


# -- codecs -------------------------------------------------------------------------------------------------------


def _codec(protocol: str) -> Target:
    """The first byte: the direction, whether to put a right checksum around the rest, and the topic."""
    decode, seals = PROTOCOLS[protocol], (bytes, *SEALS.get(protocol, ()))

    def run(data: bytes) -> None:
        way, body = data[:1] or b"\0", data[1:]
        direction, topic = "down" if way[0] & 1 else "up", TOPICS[(way[0] >> 2) % len(TOPICS)]
        payload = seals[(way[0] >> 1) % len(seals)](body)
        with suppress(BadFrame):
            json.dumps(decode(topic or None, direction, payload), allow_nan=False)
        _VEIL.over(protocol, direction, topic, payload)

    return run


def _line(protocol: str) -> Target:
    """The first byte: where the rest is cut, and whether it is sealed."""
    seals = (bytes, *SEALS[protocol])

    def run(data: bytes) -> None:
        way, body = data[:1] or b"\0", data[1:]
        line = seals[(way[0] >> 1) % len(seals)](body) + body
        cut = way[0] * len(line) // 256
        whole, pieces = Overheard([protocol]), Overheard([protocol])
        once = whole.feed(line) + whole.quiet()
        twice = pieces.feed(line[:cut]) + pieces.feed(line[cut:]) + pieces.quiet()
        assert [one.frame for one in once] == [one.frame for one in twice]

    return run


# -- drivers ------------------------------------------------------------------------------------------------------


@cache
def piles() -> dict[str, Pile]:
    """One of each family that has a capture."""
    return {pile.family: pile for file in FILES for pile in piles_of(file)}


def unreached() -> list[str]:
    """Families without a capture: there is nothing to begin with."""
    return sorted(set(DRIVERS) - set(piles()))


@cache
def _captured(family: str) -> list[Message]:
    """What its driver heard in its own captures."""
    files = [file for file in FILES if family in {pile.family for pile in piles_of(file)}]
    listens = set(ears(opened(piles()[family])))
    return [message for file in files for _, message in messages_of(file) if message.address in listens]


@cache
def _places(family: str) -> list[tuple[str, bytes]]:
    """Where something may come from; on a bus with each question that it may answer."""
    asked = {(message.address, message.asked) for message in _captured(family) if message.asked}
    return sorted(asked) or [(address, b"") for address in ears(opened(piles()[family]))]


def _driver(pile: Pile) -> Target:
    """The first byte: where it comes from, and whether the rest is sealed, as whatever passes a bus is."""
    places = _places(pile.family)
    good = [message for message in _captured(pile.family) if message.payload and not message.fault][:GOOD_MOST]
    fresh = _told(opened(pile), good)

    def run(data: bytes) -> None:
        place, body = data[0] if data else 0, data[1:]
        address, asked = places[(place >> 1) % len(places)]
        message = Message(address, _sealed(asked, body) if place & 1 else body, asked=asked)
        driver = opened(pile)
        events, bad = heard(driver, message, 0.0)
        json.dumps([repr(event) for event in events])
        if bad is None:
            return
        assert [event for event in events if not isinstance(event, LinkLost)] == []
        if pile.family not in ON_BUS:  # there an answer that can't be read counts as none
            assert _told(driver, good) == fresh

    return run


def _sealed(asked: bytes, body: bytes) -> bytes:
    """From the unit that was asked, where there is one."""
    if asked.lstrip(dlt645.PREAMBLE).startswith(b"\x68"):
        unit = dlt645.read(asked).address
        return dlt645.encode(dlt645.Frame(unit, body[0] if body else dlt645.ANSWERED, body[1:MOST]))
    return SEALS["modbus-rtu"][0](asked[:1] + body) if asked else body


def _opened_up(asked: bytes, frame: bytes) -> bytes:
    """What `_sealed` makes this frame of."""
    if asked.lstrip(dlt645.PREAMBLE).startswith(b"\x68"):
        return unsealed("dlt645-2007", frame) or b""
    return frame[1:-2]


def _told(driver: Driver, good: list[Message]) -> list[str]:
    return [event for message in good for event in _plain(heard(driver, message, 1.0)[0])]


def _plain(events: list[Event]) -> list[str]:
    """Without the ids that each start is given anew."""
    return [f"{type(event).__name__} {getattr(event, 'outlet', '')}" for event in events]


# -- all of them behind gates -------------------------------------------------------------------------------------


class _Wire:
    """Takes what is sent, and carries nothing."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def start(self, receive: Receive, linked: Linked) -> None: ...

    def listen(self, pattern: str) -> None: ...

    def send(self, message: Message, urgent: bool = False) -> bool:
        self.sent.append(message)
        return True

    def stop(self) -> None: ...


def _all_captured() -> list[Message]:
    return [message for file in FILES for _, message in messages_of(file) if message.payload][:250]


def _router() -> Target:
    """The first byte: who says it, our piles and strangers alike."""
    known = list(piles().values())
    places = sorted({message.address for message in _all_captured()}) + list(TOPICS[1:])
    offs = {_shape(m) for pile in known for m in _offs(pile)}
    state: list[tuple[Router, _Wire]] = []
    count = 0

    def run(data: bytes) -> None:
        nonlocal count
        if count % ROUTER_EVERY == 0:
            state[:] = [_opened_router(known)]
        count += 1
        router, wire = state[0]
        wire.sent.clear()
        router.receive(Message(places[(data[0] if data else 0) % len(places)], data[1:]))
        assert "bad:bug" not in router.counts, router.counts
        assert all(_shape(message) in offs for message in wire.sent if message.address in _told_addresses(known))

    return run


def _opened_router(known: list[Pile]) -> tuple[Router, _Wire]:
    wire = _Wire()
    gates = Gates(lambda: Stamp(T0, 0.0))
    router = Router(DRIVERS, wire, gates, lambda: Stamp(T0, 0.0), lambda event: None, lambda trip: None)
    for pile in known:
        router.open(pile)
    router.linked(True)
    return router, wire


@cache
def _offs_of(pile_id: int) -> tuple[Message, ...]:
    pile = list(piles().values())[pile_id]
    driver = opened(pile)
    channels = [channel for channel, outlet in enumerate(pile.outlets) if outlet]
    return tuple(message for channel in channels for message in driver.orders(SwitchOff(channel)))


def _offs(pile: Pile) -> tuple[Message, ...]:
    return _offs_of(list(piles().values()).index(pile))


def _told_addresses(known: list[Pile]) -> set[str]:
    return {message.address for pile in known for message in _offs(pile)}


def _shape(message: Message) -> tuple[str, bytes]:
    """An order without the number that each is given."""
    try:
        said = json.loads(message.payload)
    except ValueError:
        return message.address, message.payload
    return message.address, json.dumps(
        {k: v for k, v in said.items() if k not in ("id", "cmd")} if isinstance(said, dict) else said
    ).encode()


# -- lines of a file ----------------------------------------------------------------------------------------------


def _decode_line(data: bytes) -> None:
    answer = _answer_line(data)
    assert answer["ok"] in (True, False)
    json.dumps(answer, allow_nan=False)


def _published(protocol: str) -> Iterator[bytes]:
    name = _FILES.get(protocol)
    lines = (VECTORS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines() if name else []
    captured = (said for file in FILES for said in lines_of(file) if said.get("protocol") == protocol)
    for said in (*map(json.loads, lines), *captured):
        yield bytes.fromhex(said["hex"]) if "hex" in said else str(said["payload"]).encode()
