"""Captures in `tests/captures/`, read, and played to the drivers of whoever they were taken from."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from controller.core.errors import BadFrame
from controller.core.events import Event, Stamp
from firmware_bridge.drivers import DRIVERS
from firmware_bridge.spoken import on_bus
from firmware_bridge.wire import Driver, Message, Overhears, Pile

FOLDER = Path(__file__).parents[1] / "captures"
FILES = sorted(FOLDER.glob("*.jsonl"))
T0 = 1_800_000_000.0


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def about(file: Path) -> dict[str, Any]:
    """Empty where a file has frames alone."""
    first = lines_of(file)[0]
    told: dict[str, Any] = first.get("about", {})
    return told


def piles_of(file: Path) -> list[Pile]:
    """Outlets are numbered through; who had which is not for a capture."""
    return [
        Pile(
            f"p{number}",
            told["family"],
            told["address"],
            tuple(f"o{number}.{at}" if ours else "" for at, ours in enumerate(told["ours"])),
            told["params"],
        )
        for number, told in enumerate(about(file).get("piles", []))
    ]


def opened(pile: Pile) -> Driver:
    return DRIVERS[pile.family].open(pile)


def ears(driver: Driver) -> list[str]:
    """All that it hears, its own and what it shares."""
    return [*driver.listens(), *(driver.overhears() if isinstance(driver, Overhears) else ())]


def messages_of(file: Path) -> Iterator[tuple[float, Message]]:
    """What links brought: of a bus with what it answers, and faults."""
    asked: tuple[float, dict[str, Any]] | None = None
    for said in lines_of(file):
        if "protocol" not in said:
            continue
        address = said.get("topic") or said.get("address", "")
        if asked is not None and (said["direction"] == "down" or address != asked[1]["address"]):
            yield from _unanswered(asked)
            asked = None
        if said["direction"] == "up":
            question = bytes.fromhex(asked[1]["hex"]) if asked is not None else b""
            fault = said.get("fault", "")
            yield said["t_s"], Message(address, _payload(said), bool(said.get("retained")), asked=question, fault=fault)
            asked = None
        elif on_bus(address):
            asked = said["t_s"], said
    if asked is not None:
        yield from _unanswered(asked)


def _unanswered(asked: tuple[float, dict[str, Any]]) -> Iterator[tuple[float, Message]]:
    if "fault" in asked[1]:
        yield asked[0], Message(asked[1]["address"], b"", asked=bytes.fromhex(asked[1]["hex"]), fault=asked[1]["fault"])


def _payload(said: dict[str, Any]) -> bytes:
    return bytes.fromhex(said["hex"]) if "hex" in said else str(said["payload"]).encode()


def heard(driver: Driver, message: Message, t_s: float) -> tuple[list[Event], BadFrame | None]:
    """What the driver makes of it; any other exception is for the test to fail on."""
    events: list[Event] = []
    try:
        events += driver.receive(message, Stamp(T0 + t_s, t_s))
    except BadFrame as bad:
        return events, bad
    return events, None
