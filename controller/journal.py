"""The trip journal: a small preallocated ring on disk, written after the OFF, read at a restart."""

import os
import queue
import zlib
from collections.abc import Mapping
from math import inf
from pathlib import Path

import msgspec
import structlog

from controller.core.events import Tripped
from controller.core.reasons import StopReason

log = structlog.get_logger()

SLOT = 512  # a disk sector: written whole or not at all
SLOTS = 256


class Journal:
    """`failed` means: no outlet found off may be energised again on what this journal says."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[Tripped | None] = queue.SimpleQueue()
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

    def put(self, trip: Tripped) -> None:
        self._queue.put(trip)

    def run(self) -> None:
        while (trip := self._queue.get()) is not None:
            self.write(trip)

    def stop(self) -> None:
        self._queue.put(None)

    def write(self, trip: Tripped) -> None:
        body = msgspec.json.encode(trip)
        if len(body) > SLOT - 8:
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
        for _, trip in self._read():
            known = trips.get(trip.outlet)
            mine = trip.at >= opened_at.get(trip.outlet, inf)
            if mine and (known is None or trip.at > known.at):
                trips[trip.outlet] = trip
        return {outlet: (trip.reason, trip.evidence) for outlet, trip in trips.items()}

    def newest(self) -> list[Tripped]:
        """Every trip that the ring still has, newest first."""
        return sorted((trip for _, trip in self._read()), key=lambda trip: trip.at, reverse=True)

    def _read(self) -> list[tuple[int, Tripped]]:
        try:
            ring = self._path.read_bytes()
        except OSError as error:
            self._fail(error)
            return []
        found = [_decoded(ring[at : at + SLOT]) for at in range(0, len(ring), SLOT)]
        return [(slot, trip) for slot, trip in enumerate(found) if trip is not None]


def _decoded(slot: bytes) -> Tripped | None:
    """None for an empty or half-written slot."""
    length = int.from_bytes(slot[4:8], "little")
    body = slot[8 : 8 + length]
    if not 0 < length <= SLOT - 8 or zlib.crc32(body).to_bytes(4, "little") != slot[:4]:
        return None
    try:
        return msgspec.json.decode(body, type=Tripped)
    except msgspec.DecodeError:
        return None
