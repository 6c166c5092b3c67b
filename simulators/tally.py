"""Two counts that one process keeps and another reads, in a file that both have mapped: no pipe, no waiting."""

import mmap
import struct
from pathlib import Path

_LAYOUT = struct.Struct("@QQ")


class Tally:
    """`looked_at` and `coalesced`; each is written in one go, so a reader never meets half of a number."""

    def __init__(self, path: Path, fresh: bool = False) -> None:
        if fresh:
            path.write_bytes(bytes(_LAYOUT.size))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _LAYOUT.size)

    def write(self, looked_at: int, coalesced: int) -> None:
        _LAYOUT.pack_into(self._shared, 0, looked_at, coalesced)

    def read(self) -> tuple[int, int]:
        looked_at, coalesced = _LAYOUT.unpack_from(self._shared)
        return looked_at, coalesced

    def close(self) -> None:
        self._shared.close()
