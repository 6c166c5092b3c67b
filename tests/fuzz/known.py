"""What fuzzing begins with: published frames, and captures with the piles that they were taken from."""

import json
from collections.abc import Iterator
from functools import cache

from firmware_bridge.codecs import dlt645
from firmware_bridge.drivers import DRIVERS
from firmware_bridge.wire import Message, Pile
from tests.bridge.captures import FILES, ears, lines_of, messages_of, opened, piles_of
from tests.bridge.frames import VECTORS
from tests.fuzz.seals import SEALS, unsealed

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
        places = places_of(what)
        for message in captured(what):
            place = places.index((message.address, message.asked)) << 1 & 0xFF
            yield bytes((place,)) + message.payload
            yield bytes((place | 1,)) + _opened_up(message.asked, message.payload)
    elif kind == "router":
        yield from (bytes((number % 256,)) + message.payload for number, message in enumerate(all_captured()))
    else:
        yield from (json.dumps(said).encode() for file in FILES for said in lines_of(file))


@cache
def piles() -> dict[str, Pile]:
    """One of each family that has a capture."""
    return {pile.family: pile for file in FILES for pile in piles_of(file)}


def unreached() -> list[str]:
    """Families without a capture: there is nothing to begin with."""
    return sorted(set(DRIVERS) - set(piles()))


@cache
def captured(family: str) -> list[Message]:
    """What its driver heard in its own captures."""
    files = [file for file in FILES if family in {pile.family for pile in piles_of(file)}]
    listens = set(ears(opened(piles()[family])))
    return [message for file in files for _, message in messages_of(file) if message.address in listens]


@cache
def places_of(family: str) -> list[tuple[str, bytes]]:
    """Where something may come from; on a bus with each question that it may answer."""
    asked = {(message.address, message.asked) for message in captured(family) if message.asked}
    return sorted(asked) or [(address, b"") for address in ears(opened(piles()[family]))]


def _opened_up(asked: bytes, frame: bytes) -> bytes:
    """What `_sealed` makes this frame of."""
    if asked.lstrip(dlt645.PREAMBLE).startswith(b"\x68"):
        return unsealed("dlt645-2007", frame) or b""
    return frame[1:-2]


def all_captured() -> list[Message]:
    return [message for file in FILES for _, message in messages_of(file) if message.payload][:250]


def _published(protocol: str) -> Iterator[bytes]:
    name = _FILES.get(protocol)
    lines = (VECTORS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines() if name else []
    captured = (said for file in FILES for said in lines_of(file) if said.get("protocol") == protocol)
    for said in (*map(json.loads, lines), *captured):
        yield bytes.fromhex(said["hex"]) if "hex" in said else str(said["payload"]).encode()
