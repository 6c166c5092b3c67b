"""`anchong sniff`: what is said on our links, decoded, a line a frame, for people."""

import json
from pathlib import Path
from typing import Annotated

import typer

from anchong.capture import source_of, unusable
from anchong.decode import PROTOCOLS
from anchong.listening import Baud, For, Frame, Parity, Port, Protocols, listening
from anchong.settings import BadSettings
from controller.core.errors import BadFrame

ARROWS = {"up": "←", "down": "→"}  # from the device; to it


def sniff(
    config: Annotated[Path, typer.Option("-c", "--config", help="the settings")] = Path("anchong.toml"),
    port: Port = "",
    baud: Baud = 9600,
    parity: Parity = "N",
    protocols: Protocols = "",
    for_s: For = 0.0,
) -> None:
    """Watch live traffic decoded. Example: anchong sniff --port /dev/ttyUSB0 --baud 9600 --protocol modbus-rtu

    One line a frame: seconds, whether it comes from a device or goes to it, where, how, and what it means.
    """
    try:
        source = source_of(config, port, baud, parity, protocols)
        with listening(source) as ear:
            typer.echo(f"listening to {source.where}; Ctrl-C ends it", err=True)
            for frame in ear.frames(for_s):
                typer.echo(shown(frame))
    except BadSettings as bad:
        raise unusable(str(bad)) from bad


def shown(frame: Frame) -> str:
    """For people; a frame that is none says why, with its bytes. No device can move the reader's cursor."""
    return "".join(char if char.isprintable() else "·" for char in _said(frame))


def _said(frame: Frame) -> str:
    head = f"{frame.t_s:9.3f} {ARROWS[frame.direction]} {frame.message.address or '-'} {frame.protocol}"
    decoder = PROTOCOLS.get(frame.protocol)
    if decoder is None:
        return f"{head}  {frame.message.payload.hex(' ').upper()}"
    try:
        return f"{head}  {_means(decoder(frame.message.address or None, frame.direction, frame.message.payload))}"
    except BadFrame as bad:
        return f"{head}  BAD {bad.kind}: {bad.detail[:120]}  {frame.message.payload[:64].hex(' ').upper()}"


def _means(decoded: dict[str, object]) -> str:
    fields = decoded.get("fields")
    flat = {key: value for key, value in decoded.items() if key != "fields"} | (
        fields if isinstance(fields, dict) else {}
    )
    return ", ".join(f"{name} {_value(value)}" for name, value in flat.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
