"""A fleet's readings on one connection, as fast as asked: a process of its own whose cost is next to nothing.

Every packet of a round has one length, so a whole round is one buffer whose digits are changed in place. A wish is a
line of JSON on standard input, its answer a line on standard output; it ends with its input.
"""

import random
import sys
import time
from pathlib import Path

import msgspec

from simulators.line import Line
from simulators.packets import publish
from simulators.tally import Tally

PAYLOAD = (
    '{"Time":"2026-11-26T17:00:00","ENERGY":{"TotalStartTime":"2024-01-14T18:02:42","Total":1000.000,'
    '"Yesterday":10.512,"Today":10.123,"Period":112,"Power":180.0,"ApparentPower":201.6,"ReactivePower":87.5,'
    '"Factor":0.90,"Voltage":229,"Current":0.873}}'
)
PAYLOAD_BYTES = 245
CHUNK_MAX = 200  # packets a write
PATIENCE_S = 5.0  # what has not been looked at so long after it was sent is lost
LOOK_S = 0.001


def topic(number: int) -> str:
    """Of one plug among ten thousand and more; all of one length."""
    return f"p{number:05d}"


def mac(number: int) -> str:
    return f"0C0FFE{number:06X}"


class Round:
    """One reading of every plug, encoded; `advance` makes it the next: another power, a counter 1 Wh further."""

    def __init__(self, plugs: int, seed: int = 1) -> None:
        packets = [publish(f"tele/{topic(number)}/SENSOR", PAYLOAD.encode()) for number in range(plugs)]
        self.size = len(packets[0])
        self.plugs = plugs
        self._bytes = bytearray(b"".join(packets))
        self._noise = bytes(random.Random(seed).choices(b"0123456789", k=2 * plugs))
        self._total = self._place('"Total":')
        self._power = self._place('"Power":')
        self._wh = 1_000_000

    def _place(self, key: str) -> int:
        return self.size - PAYLOAD_BYTES + PAYLOAD.index(key) + len(key)

    def advance(self) -> None:
        self._wh += 1
        digits = f"{self._wh / 1000:.3f}".encode()
        for place, digit in enumerate(digits):
            if place != len(digits) - 4:
                self._set(self._total + place, bytes((digit,)) * self.plugs)
        shift = self._wh % self.plugs
        self._set(self._power + 2, self._noise[shift : shift + self.plugs])
        self._set(self._power + 4, self._noise[self.plugs - shift : 2 * self.plugs - shift])

    def _set(self, place: int, digits: bytes) -> None:
        self._bytes[place :: self.size] = digits

    def chunk(self, first: int, count: int) -> bytes:
        return bytes(memoryview(self._bytes)[first * self.size : (first + count) * self.size])


class Run(msgspec.Struct, frozen=True):
    """`rate` a second, or with 0 as fast as no more than `window` are on their way; for `seconds` or `rounds`."""

    rate: float = 0.0
    window: int = 0
    seconds: float = 0.0
    rounds: int = 0


class Done(msgspec.Struct, frozen=True):
    """`per_s` is what was looked at a second while the run lasted; `sent`, `looked_at`, `coalesced` to its very end."""

    sent: int
    looked_at: int
    coalesced: int
    per_s: float
    seconds: float


class Publisher:
    def __init__(self, port: int, plugs: int, tally: Tally) -> None:
        self._line = Line(port, "anchong-publisher")
        self._round = Round(plugs)
        self._tally = tally
        self._chunk_max = max(1, min(CHUNK_MAX, plugs // 10))
        self._sent = 0

    def run(self, wish: Run) -> Done:
        self._sent = 0
        since_s, before = time.monotonic(), self._tally.read()
        self._send(wish, since_s, before)
        seconds, during = time.monotonic() - since_s, self._tally.read()
        after = self._settled(before)
        return Done(self._sent, after[0] - before[0], after[1] - before[1], (during[0] - before[0]) / seconds, seconds)

    def _send(self, wish: Run, since_s: float, before: tuple[int, int]) -> None:
        rounds, chunk = 0, self._chunk(wish)
        while wish.rounds == 0 or rounds < wish.rounds:
            self._round.advance()
            for first in range(0, self._round.plugs, chunk):
                count = min(chunk, self._round.plugs - first)
                self._wait_for_turn(wish, since_s, sum(before), count)
                if wish.seconds and time.monotonic() - since_s >= wish.seconds:
                    return
                self._line.send(self._round.chunk(first, count))
                self._sent += count
            rounds += 1

    def _chunk(self, wish: Run) -> int:
        """Paced, a millisecond's readings a write: a fleet does not speak in chorus."""
        return max(1, min(self._chunk_max, int(wish.rate * LOOK_S))) if wish.rate else self._chunk_max

    def _wait_for_turn(self, wish: Run, since_s: float, before: int, count: int) -> None:
        if wish.rate:
            wait_s = since_s + self._sent / wish.rate - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
        if wish.window:
            self._wait_for_room(before, wish.window - count)

    def _wait_for_room(self, before: int, on_the_way_max: int) -> None:
        """Not for ever: what was lost on the way never makes room."""
        end_s = time.monotonic() + PATIENCE_S
        while self._sent - (sum(self._tally.read()) - before) > on_the_way_max and time.monotonic() < end_s:
            time.sleep(LOOK_S)

    def _settled(self, before: tuple[int, int]) -> tuple[int, int]:
        """The counts once everything has arrived, or nothing more comes."""
        counts, moved_s = self._tally.read(), time.monotonic()
        while sum(counts) - sum(before) < self._sent and time.monotonic() - moved_s < PATIENCE_S:
            time.sleep(LOOK_S)
            now = self._tally.read()
            if now != counts:
                counts, moved_s = now, time.monotonic()
        return counts


class Start(msgspec.Struct, frozen=True):
    port: int
    plugs: int
    tally: str


def main() -> None:
    start = msgspec.json.decode(sys.stdin.readline(), type=Start)
    publisher = Publisher(start.port, start.plugs, Tally(Path(start.tally)))
    print("{}", flush=True)
    for line in sys.stdin:
        done = publisher.run(msgspec.json.decode(line, type=Run))
        print(msgspec.json.encode(done).decode(), flush=True)


if __name__ == "__main__":
    main()
