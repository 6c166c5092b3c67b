"""The `decode` command: one payload, or a file of them, to JSON; what the bytes mean is in the codecs."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from controller.core.errors import BadFrame
from firmware_bridge.codecs import (
    anchong1,
    dlt645_data,
    dny_data,
    dongjun_data,
    eastron,
    esphome,
    juy_data,
    m1,
    modbus,
    pn532,
    pzem,
    relay_lc,
    relay_waveshare,
    shelly_decode,
    tasmota,
    zigbee2mqtt,
)

DIRECTIONS = ("up", "down")
LONGEST = 1 << 20  # bytes of a line: no frame of any protocol comes near
Decode = Callable[[str | None, str, bytes], dict[str, object]]  # topic, direction, payload

PROTOCOLS: dict[str, Decode] = {
    "tasmota-mqtt": lambda topic, direction, payload: tasmota.decode(topic, payload),
    "shelly-rpc-mqtt": shelly_decode.decode,
    "zigbee2mqtt": zigbee2mqtt.decode,
    "modbus-rtu": modbus.decode,
    "modbus-pzem-004t-v3": pzem.decode,
    "modbus-eastron-sdm": eastron.decode,
    "modbus-relay-waveshare": relay_waveshare.decode,
    "modbus-relay-lc": relay_lc.decode,
    "dlt645-2007": dlt645_data.decode,
    "pn532-hsu": pn532.decode,
    "m1-reader-serial": m1.decode,
    "dny-ap3000": dny_data.decode,
    "juy-5aa5": juy_data.decode,
    "dongjun-0xEE": dongjun_data.decode,
    "anchong-1": anchong1.decode,
    "esphome": esphome.decode,
}


def decode(
    payload: Annotated[str, typer.Argument(help="The payload as text.", show_default=False)] = "",
    protocol: Annotated[str, typer.Option(help=f"One of: {', '.join(PROTOCOLS)}.")] = "",
    topic: Annotated[str, typer.Option(help="The topic it came on, for MQTT.")] = "",
    direction: Annotated[str, typer.Option(help="up: from the device; down: to it.")] = "up",
    hex_: Annotated[str, typer.Option("--hex", help="The payload as hexadecimal bytes, blanks allowed.")] = "",
    jsonl: Annotated[str, typer.Option(help="A file with one JSON object a line, - for standard input.")] = "",
) -> None:
    """Show what one frame or payload says, as JSON.

    Example: anchong decode --protocol tasmota-mqtt --topic tele/plug/SENSOR '{"ENERGY":{"Power":34}}'

    With --jsonl each line is {"protocol", "topic"?, "direction"?, "hex" or "payload"}.
    """
    if jsonl:
        for line in _lines(jsonl):
            _print(_answer_line(line))
        return
    if not protocol or bool(payload) == bool(hex_):
        raise _unusable("give --protocol, and either a payload or --hex, or a file by --jsonl")
    asked = {"protocol": protocol, "direction": direction}
    asked |= {"topic": topic} if topic else {}
    answer = _answer(asked | ({"hex": hex_} if hex_ else {"payload": payload}))
    _print(answer)
    if not answer["ok"]:
        raise _unusable(str(answer["detail"]))


def _unusable(line: str) -> typer.Exit:
    """Bad input: one line for people, exit code 2."""
    typer.echo(f"anchong decode: {' '.join(line.split())}", err=True)
    return typer.Exit(2)


def _lines(name: str) -> Iterator[bytes]:
    try:
        with nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as source:
            yield from (line for line in _cut(source) if line.strip())
    except OSError as error:
        raise _unusable(f"{name}: {error.strerror}") from error


def _cut(source: BinaryIO) -> Iterator[bytes]:
    """Each line, of which more than `LONGEST` bytes are not kept: cut short, it is no JSON and is refused."""
    while line := source.readline(LONGEST):
        rest = line
        while len(rest) == LONGEST and not rest.endswith(b"\n"):
            rest = source.readline(LONGEST)
        yield line


def _answer_line(line: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        return _no("malformed", f"the line is not JSON: {error}")
    if not isinstance(asked, dict):
        return _no("malformed", "the line is not a JSON object")
    if asked.keys() == {"about"}:  # the first line of a capture says whose it is
        return {"ok": True, "decoded": asked}
    return _answer(asked)


def _no_number(word: str) -> object:
    raise ValueError(f"{word} is no number")


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"ok": True, "decoded": _decoded(asked)}
    except BadFrame as bad:
        return _no(bad.kind, bad.detail or bad.kind)


def _decoded(asked: dict[str, Any]) -> dict[str, object]:
    protocol, topic, direction = asked.get("protocol"), asked.get("topic"), asked.get("direction") or "up"
    decoder = PROTOCOLS.get(protocol) if isinstance(protocol, str) else None
    if decoder is None:
        raise BadFrame("unknown", f"protocol {protocol!r} is not supported yet; supported: {', '.join(PROTOCOLS)}")
    if direction not in DIRECTIONS:
        raise BadFrame("unknown", f"direction {direction!r} is neither up nor down")
    if topic is not None and not isinstance(topic, str):
        raise BadFrame("malformed", "topic is not text")
    return decoder(topic or None, direction, _bytes(asked))


def _bytes(asked: dict[str, Any]) -> bytes:
    as_hex, payload = asked.get("hex"), asked.get("payload")
    if isinstance(as_hex, str):
        try:
            return bytes.fromhex(as_hex)
        except ValueError as error:
            raise BadFrame("malformed", f"not hexadecimal: {error}") from error
    if isinstance(payload, str):
        return payload.encode(errors="surrogatepass")  # whatever is no UTF-8 is for the codec to refuse
    if isinstance(payload, dict):
        return _as_text(payload)
    raise BadFrame("malformed", "neither hex nor payload is given as text")


def _as_text(payload: dict[str, Any]) -> bytes:
    """A payload written as JSON rather than as text that holds JSON."""
    try:
        return json.dumps(payload).encode()
    except RecursionError as error:
        raise BadFrame("malformed", "nested too deep") from error


def _no(kind: str, detail: str) -> dict[str, Any]:
    return {"ok": False, "error": kind, "detail": detail}


def _print(answer: dict[str, Any]) -> None:
    typer.echo(json.dumps(answer))
