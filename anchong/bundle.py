"""One .tar.gz of named parts, bounded in time and size; a part that fails or is late says so instead of holding up."""

import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

PART_MAX = 8_000_000  # bytes; ten thousand outlets are five million
WITHIN_S = 15.0

Part = Callable[[], Any]  # text, bytes, or anything that JSON can say


def bundle(parts: Mapping[str, Part], redact: Callable[[str], str], within_s: float = WITHIN_S) -> bytes:
    """Every part at once, each in a thread of its own: what waits for a disk or a broker is left behind."""
    asked = {name: _Asked(part) for name, part in parts.items()}
    end_s = time.monotonic() + within_s
    for one in asked.values():
        one.start()
    for one in asked.values():
        one.join(max(0.0, end_s - time.monotonic()))
    return packed({name: cut(_by_line(redact, one.text(within_s))) for name, one in asked.items()})


def _by_line(redact: Callable[[str], str], text: str) -> str:
    """A pattern holds the interpreter until it is through: a long text at once would hold up the next OFF."""
    return "\n".join(redact(line) for line in text.split("\n"))


class _Asked(threading.Thread):
    def __init__(self, part: Part) -> None:
        super().__init__(name="diagnosis", daemon=True)
        self._part = part
        self._said: str | None = None

    def run(self) -> None:
        try:
            said = self._part()
        except Exception as error:  # noqa: BLE001 - what is broken is the very thing that others want to read of
            self._said = f"could not be had: {error!r}"
        else:
            self._said = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, indent=1, default=str)

    def text(self, within_s: float) -> str:
        return self._said if self._said is not None else f"could not be had within {within_s:.0f} s"


def cut(text: str) -> bytes:
    raw = text.encode(errors="replace")
    return raw if len(raw) <= PART_MAX else raw[:PART_MAX] + b"\n(the rest is left out)\n"


def packed(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, body in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(body), int(time.time()), 0o600
            tar.addfile(member, io.BytesIO(body))
    return out.getvalue()


def unpacked(raw: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:gz") as tar:
        files = {member.name: tar.extractfile(member) for member in tar.getmembers() if member.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}
