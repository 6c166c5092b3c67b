"""Raw traffic, recorded: lines of JSON that `anchong decode --jsonl` reads, by a thread that nobody waits for.

`{"t_s", "protocol", "direction", "topic" | "address", "payload" | "hex"}`; `retained`, `fault` where it applies. The
first line is `{"about": …}`: who was known, so that the file can be played to the drivers again.
"""

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import structlog

from firmware_bridge.spoken import Known, on_bus
from firmware_bridge.veil import Veil
from firmware_bridge.wire import Linked, Message, Pile, Receive, Transport

log = structlog.get_logger()

WAITING_MAX = 10_000  # lines between a link and the disk; a broker of ten thousand outlets says as much in 10 s
BYTES_MAX = 64 << 20  # of one file; the one before it is kept

Line = dict[str, Any]


# -- lines --------------------------------------------------------------------------------------------------------


def about(piles: Iterable[Pile], veil: Veil | None, device: str = "") -> Line:
    """The first line: enough to open the same drivers again."""
    told = [
        {
            "family": pile.family,
            "address": pile.address,
            "ours": [bool(outlet) for outlet in pile.outlets],
            "params": veil.json(pile.params, pile.address.upper()) if veil is not None else pile.params,
        }
        for pile in piles
    ]
    return {"about": {"capture": 1, "device": device, "redacted": veil is not None, "piles": told}}


def line(t_s: float, protocol: str, direction: str, message: Message, veil: Veil | None) -> Line:
    """One frame; `left_out` bytes of it were not for others and could not be told apart."""
    said: Line = {"t_s": round(t_s, 3), "protocol": protocol, "direction": direction}
    if message.address:
        said["address" if on_bus(message.address) else "topic"] = message.address
    payload = message.payload
    if veil is not None and payload:
        covered = veil.over(protocol, direction, message.address, payload)
        said |= {"left_out": len(payload)} if covered is None else {}
        payload = b"" if covered is None else covered
    said |= _written(payload, protocol, as_text="topic" in said)
    said |= {"retained": True} if message.retained else {}
    return said | ({"fault": message.fault} if message.fault else {})


def _written(payload: bytes, protocol: str, *, as_text: bool) -> Line:
    if as_text:
        try:
            return {"payload": payload.decode()}
        except UnicodeDecodeError:
            pass
    return {"hex": payload.hex(" ").upper()}


# -- to disk ------------------------------------------------------------------------------------------------------


class Tape:
    """A file of lines. `put` never waits: what the disk can't take in time is lost and counted."""

    def __init__(self, path: Path, first: Callable[[], Line], bytes_max: int = BYTES_MAX) -> None:
        """OSError if the file can't be written. `first`: the line each file begins with."""
        self.lost = 0
        self.unmade = 0  # lines that a bug of ours has cost
        self.failed = ""  # why nothing is written any more
        self._path = path
        self._first = first
        self._bytes_max = bytes_max
        self._waiting: queue.Queue[Callable[[], Line] | None] = queue.Queue(WAITING_MAX)
        self._begin()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def put(self, make: Callable[[], Line]) -> None:
        """The line is made, and covered, by the tape's thread."""
        try:
            self._waiting.put_nowait(make)
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """When what waits is written."""
        if self._thread.is_alive():  # it ends before its time where the disk has failed
            with contextlib.suppress(queue.Full):  # it may fail this very moment, and take nothing any more
                self._waiting.put(None, timeout=10.0)
            self._thread.join(10.0)
        with contextlib.suppress(OSError):  # what a full disk has not taken
            self._file.close()

    def _begin(self) -> None:
        self._file = self._path.open("wb")
        self._path.chmod(0o600)  # what was said in a compound is for its owner
        self._size = 0
        self._write(self._first())

    def _run(self) -> None:
        while (make := self._waiting.get()) is not None:
            try:
                self._write(make())
                if self._waiting.empty():
                    self._file.flush()
                if self._size > self._bytes_max:
                    self._turn()
            except OSError as error:
                self.failed = str(error)
                log.error("capture can't be written", file=str(self._path), error=self.failed)
                return
            except Exception:
                self.unmade += 1
                if self.unmade == 1:  # the next ones are as that one
                    log.exception("capture: a line could not be made")

    def _write(self, said: Line) -> None:
        self._size += self._file.write(json.dumps(said).encode() + b"\n")

    def _turn(self) -> None:
        self._file.close()
        self._path.replace(self._path.with_name(self._path.name + ".1"))
        self._begin()


class Recorder:
    """A transport that is overheard: what it carries, both ways, goes to the tape as well.

    On a bus an order may yet be overtaken before it leaves: there what was asked is told with its answer.
    """

    def __init__(
        self, inner: Transport, tape: Tape, known: Known, now_s: Callable[[], float], veil: Veil | None
    ) -> None:
        self.inner = inner
        self._tape = tape
        self._known = known
        self._now_s = now_s
        self._veil = veil

    def start(self, receive: Receive, linked: Linked) -> None:
        def heard(message: Message) -> None:
            self._heard(message)
            receive(message)

        self.inner.start(heard, linked)

    def listen(self, pattern: str) -> None:
        self.inner.listen(pattern)

    def send(self, message: Message, urgent: bool = False) -> bool:
        left = self.inner.send(message, urgent)
        if left and not on_bus(message.address):
            self._tell("down", message)
        return left

    def stop(self) -> None:
        self.inner.stop()

    def _heard(self, message: Message) -> None:
        if message.asked or message.fault:
            self._tell("down", Message(message.address, message.asked, fault=message.fault))
        if message.payload or not message.fault:
            self._tell("up", message)

    def _tell(self, direction: str, message: Message) -> None:
        now_s = self._now_s()
        self._tape.put(lambda: line(now_s, self._known.protocol(message.address), direction, message, self._veil))
