"""The trip journal: a small preallocated ring on disk, written after the OFF, read at a restart.

Cuts of whole sites and piles stand in it as well, since they hold until a person lets go.
"""

import os
import queue
import zlib
from collections.abc import Mapping
from math import inf
from pathlib import Path

import msgspec
import structlog

from controller.core.events import Held, Tripped
from controller.core.reasons import StopReason

log = structlog.get_logger()

SLOT = 512  # a disk sector: written whole or not at all
SLOTS = 256

Entry = Tripped | Held


class Journal:
    """`failed` means: no outlet found off may be energised again on what this journal says."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._next = 0
        self.failed = False

    def open(self) -> None:
        """Preallocates the ring, so that a full disk can't refuse a trip."""
        try:
            if not self._path.exists() or self._path.stat().st_size != SLOT * SLOTS:
                self._path.write_bytes(b"\0" * (SLOT * SLOTS))
        except OSError as error:
            self._fail(error)
        newest = max(self._read(), key=lambda found: found[1].at, default=None)
        self._next = 0 if newest is None else newest[0] + 1

    def put(self, trip: Entry) -> None:
        self._queue.put(trip)

    def run(self) -> None:
        while (trip := self._queue.get()) is not None:
            self.write(trip)

    def stop(self) -> None:
        self._queue.put(None)

    def write(self, trip: Entry) -> None:
        body = msgspec.json.encode(trip)
        if len(body) > SLOT - 8 and isinstance(trip, Tripped):
            body = msgspec.json.encode(msgspec.structs.replace(trip, evidence={}))
        slot = zlib.crc32(body).to_bytes(4, "little") + len(body).to_bytes(4, "little") + body
        try:
            self._write_slot(slot.ljust(SLOT, b"\0"))
        except OSError as error:
            self._fail(error)

    def _write_slot(self, slot: bytes) -> None:
        with self._path.open("r+b") as file:
            file.seek(self._next % SLOTS * SLOT)
            file.write(slot)
            file.flush()
            os.fsync(file.fileno())
        self._next += 1

    def _fail(self, error: OSError) -> None:
        if not self.failed:
            log.error("trip journal unusable", path=str(self._path), error=str(error))
        self.failed = True

    def since(self, opened_at: Mapping[str, float]) -> dict[str, tuple[StopReason, dict[str, float]]]:
        """The newest trip of each of these outlets since its session opened."""
        trips: dict[str, Tripped] = {}
        for trip in self._trips():
            known = trips.get(trip.outlet)
            mine = trip.at >= opened_at.get(trip.outlet, inf)
            if mine and (known is None or trip.at > known.at):
                trips[trip.outlet] = trip
        return {outlet: (trip.reason, trip.evidence) for outlet, trip in trips.items()}

    def newest(self) -> list[Tripped]:
        """Every trip that the ring still has, newest first."""
        return sorted(self._trips(), key=lambda trip: trip.at, reverse=True)

    def held(self) -> list[Held]:
        """Every cut of a site or pile that the ring still has, oldest first."""
        return sorted((kept for _, kept in self._read() if isinstance(kept, Held)), key=lambda kept: kept.at)

    def _trips(self) -> list[Tripped]:
        return [kept for _, kept in self._read() if isinstance(kept, Tripped)]

    def _read(self) -> list[tuple[int, Entry]]:
        try:
            ring = self._path.read_bytes()
        except OSError as error:
            self._fail(error)
            return []
        found = [_decoded(ring[at : at + SLOT]) for at in range(0, len(ring), SLOT)]
        return [(slot, trip) for slot, trip in enumerate(found) if trip is not None]


def _decoded(slot: bytes) -> Entry | None:
    """None for an empty or half-written slot."""
    length = int.from_bytes(slot[4:8], "little")
    body = slot[8 : 8 + length]
    if not 0 < length <= SLOT - 8 or zlib.crc32(body).to_bytes(4, "little") != slot[:4]:
        return None
    kind: type[Entry] = Held if b'"of":' in body else Tripped
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError:
        return None
