"""The doctor's look at the card readers: is the port there, may we use it, and is there what the reader serves."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from anchong.doctor_finding import Finding, State
from anchong.doctor_serial import bus_findings
from anchong.settings import Bus, Reader
from firmware_bridge.wire import Pile

INPUTS = Path("/dev/input/by-id")
PILES_TOLD = 20


def reader_findings(readers: Sequence[Reader], piles: Sequence[Pile]) -> Iterable[Finding]:
    for reader in readers:
        yield from _keyboard(reader) if reader.kind == "hid" else _line(reader)
        yield from _served(reader, piles)


def _line(reader: Reader) -> Iterable[Finding]:
    for finding in bus_findings([Bus(name=reader.name, port=reader.port)]):
        yield replace(finding, area="reader")


def _keyboard(reader: Reader) -> Iterable[Finding]:
    path = Path(reader.port)
    if not path.exists():
        yield _bad(reader, "is not there", f"plug the reader in; those that are: {_present()}")
    elif not os.access(path, os.R_OK):
        yield _bad(reader, "may not be read by this user", "add the user to the group input, and log in again")
    else:
        yield Finding("reader", State.OK, f"{reader.name}: {reader.port} is there and may be read")
        if path.name.startswith("event"):
            fix = f"name it by its link below {INPUTS}"
            yield Finding("reader", State.WARN, f"{reader.name}: {reader.port} may be another after a restart", fix)


def _served(reader: Reader, piles: Sequence[Pile]) -> Iterable[Finding]:
    """Only where something is adopted: else there is nothing to compare with."""
    outlets = {outlet for pile in piles for outlet in pile.outlets}
    known = reader.outlet in outlets if reader.outlet else reader.pile in {pile.id for pile in piles}
    if piles and not known:
        what = f"outlet {reader.outlet}" if reader.outlet else f"pile {reader.pile}"
        there = ", ".join(f"{pile.id} ({pile.family} {pile.address})" for pile in piles[:PILES_TOLD])
        fix = (
            "the address of an outlet's page in the console ends with its id" if reader.outlet else f"there are {there}"
        )
        yield Finding("reader", State.BAD, f"{reader.name} serves {what}, which does not exist", fix)


def _bad(reader: Reader, says: str, fix: str) -> Finding:
    return Finding("reader", State.BAD, f"{reader.name}: {reader.port} {says}", fix)


def _present() -> str:
    links = sorted(INPUTS.glob("*-event-kbd")) if INPUTS.is_dir() else []
    return ", ".join(map(str, links)) or f"none below {INPUTS}"
