"""The doctor's look at the buses: is the adapter there, may we use it, and will it be found again after a restart."""

import os
import socket
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from anchong.doctor_finding import Finding, State
from anchong.settings import Bus

BY_ID = Path("/dev/serial/by-id")
REACH_S = 3.0


def bus_findings(buses: Sequence[Bus]) -> Iterable[Finding]:
    for bus in buses:
        yield from _remote(bus) if "://" in bus.port else _local(bus)


def _local(bus: Bus) -> Iterable[Finding]:
    """Nothing is opened: opening an adapter disturbs whoever speaks on it."""
    path = Path(bus.port)
    if not path.exists():
        yield _bad(bus, "is not there", f"plug the adapter in; those that are: {_present()}")
    elif not stat.S_ISCHR(path.stat().st_mode):
        yield _bad(bus, "is no serial port", f"name one of: {_present()}")
    elif not os.access(path, os.R_OK | os.W_OK):
        yield _bad(bus, "may not be used by this user", "add the user to the group dialout, and log in again")
    else:
        yield Finding("bus", State.OK, f"{bus.name}: {bus.port} is there and may be used")
        yield from _named_for_good(bus, path)


def _named_for_good(bus: Bus, path: Path) -> Iterable[Finding]:
    """ttyUSB0 is ttyUSB1 once another adapter was faster, and would then be another line's."""
    if path.name.startswith("ttyUSB") or path.name.startswith("ttyACM"):
        lasting = [link for link in _links() if link.resolve() == path.resolve()]
        fix = f"name it {lasting[0]}" if lasting else f"name it by its link below {BY_ID}"
        yield Finding("bus", State.WARN, f"{bus.name}: {bus.port} may be another adapter after a restart", fix)


def _remote(bus: Bus) -> Iterable[Finding]:
    at = urlsplit(bus.port)
    try:
        where = (at.hostname or "", at.port or 0)
        with socket.create_connection(where, timeout=REACH_S):
            pass
    except (OSError, ValueError) as error:
        yield _bad(bus, f"is not reached: {error}", "see that the adapter has power and network, and mend bus.port")
    else:
        yield Finding("bus", State.OK, f"{bus.name}: {bus.port} lets us in")


def _bad(bus: Bus, says: str, fix: str) -> Finding:
    return Finding("bus", State.BAD, f"{bus.name}: {bus.port} {says}", fix)


def _links() -> list[Path]:
    return sorted(BY_ID.iterdir()) if BY_ID.is_dir() else []


def _present() -> str:
    return ", ".join(map(str, _links())) or f"none below {BY_ID}"
