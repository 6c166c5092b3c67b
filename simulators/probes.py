"""A fleet under load, a few of whose plugs give a reason to be cut: how long until the OFF is back at the plug.

A process of its own, so that its clock reads are its own: load, probes and listening have a connection each. A wish
is a line of JSON on standard input, its answer a line on standard output; it ends with its input.
"""

import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice

import msgspec

from simulators.line import Line
from simulators.packets import publish
from simulators.publisher import PAYLOAD, Round, topic

TICK_S = 0.001
OFF_S = 10.0  # what has not come by then is counted as missing
PING = "bench/ping"
PING_EVERY_S = 0.05
OVER_W = "2000.0"  # more than half above any outlet's limit: one reading is enough
TAIL_W = "4.0"  # of a charge that has been low for long enough
FULLER_KWH = "1001.000"  # beyond what the plug has said before, within what was paid


class Start(msgspec.Struct, frozen=True):
    """Plugs by number: first those that are the load, then `guard` that will draw too much, then `decider` in tails."""

    port: int
    load: int
    guard: int
    decider: int


class Wish(msgspec.Struct, frozen=True):
    """`warm`: each plug says once that it is on. Else `per_s` readings of load, and each probe once in `seconds`."""

    warm: bool = False
    per_s: float = 0.0
    seconds: float = 0.0


class Cuts(msgspec.Struct, frozen=True):
    """Milliseconds from the reading's publish to the OFF, by lane; `ping_ms` is the broker's own round trip."""

    guard_ms: list[float]
    decider_ms: list[float]
    ping_ms: list[float]
    missing: int
    sent: int


class Listener:
    """When each OFF arrived; the plug obeys, and says so."""

    def __init__(self, port: int) -> None:
        self.off_s: dict[str, float] = {}
        self.ping_ms: list[float] = []
        self._line = Line(port, "anchong-plugs", ["cmnd/+/Power1", "cmnd/+/POWER1", PING])
        self._replies = Line(port, "anchong-replies")
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for where, payload in self._line.heard():
            now_s = time.monotonic()
            if where == PING:
                self.ping_ms.append((now_s - float(payload)) * 1000)
            elif payload == b"OFF":
                self._off(where.split("/")[1], now_s)

    def _off(self, plug: str, now_s: float) -> None:
        first = plug not in self.off_s
        if first:
            self.off_s[plug] = now_s
            said = publish(f"stat/{plug}/RESULT", b'{"POWER":"OFF"}') + _reading(plug, "0.0", FULLER_KWH)
            self._replies.send(said)


class Probes:
    def __init__(self, start: Start) -> None:
        self._start = start
        self._listener = Listener(start.port)
        self._load = Line(start.port, "anchong-load")
        self._probing = Line(start.port, "anchong-probes")
        self._round = Round(start.load)
        self._guard = [topic(number) for number in range(start.load, start.load + start.guard)]
        first = start.load + start.guard
        self._decider = [topic(number) for number in range(first, first + start.decider)]
        self._sent_s: dict[str, float] = {}

    def warm(self) -> None:
        """Load and guard plugs by a reading with a load, tails by the relay's word: their reading is the proof."""
        self._round.advance()
        for first in range(0, self._start.load, 100):
            self._load.send(self._round.chunk(first, min(100, self._start.load - first)))
            time.sleep(0.04)
        for plug in self._guard:
            self._probing.send(_reading(plug, "180.0", "1000.000"))
        for plug in self._decider:
            self._probing.send(publish(f"stat/{plug}/RESULT", b'{"POWER":"ON"}'))

    def run(self, wish: Wish) -> Cuts:
        self._listener.ping_ms.clear()
        since_s, sent, chunks, probes = time.monotonic(), 0, self._chunks(), self._shots()
        shots, shot, pinged_s = len(self._guard) + len(self._decider), 0, since_s
        while (passed_s := time.monotonic() - since_s) < wish.seconds:
            due = int(passed_s * wish.per_s) - sent
            if due > 0:
                sent += due
                self._load.send(b"".join(islice(chunks, due)))
            if shot < passed_s / wish.seconds * shots:
                self._shoot(*next(probes))
                shot += 1
            if time.monotonic() - pinged_s >= PING_EVERY_S:
                pinged_s = time.monotonic()
                self._probing.send(publish(PING, repr(pinged_s).encode()))
            time.sleep(TICK_S)
        return self._results(sent)

    def _chunks(self) -> Iterator[bytes]:
        """The load's readings, round after round."""
        while True:
            self._round.advance()
            for number in range(self._start.load):
                yield self._round.chunk(number, 1)

    def _shots(self) -> Iterator[tuple[str, bytes]]:
        """The lanes take turns."""
        guard = ((plug, _reading(plug, OVER_W, FULLER_KWH)) for plug in self._guard)
        decider = ((plug, _reading(plug, TAIL_W, FULLER_KWH)) for plug in self._decider)
        for pair in zip(guard, decider, strict=False):
            yield from pair
        yield from guard
        yield from decider

    def _shoot(self, plug: str, packet: bytes) -> None:
        self._sent_s[plug] = time.monotonic()
        self._probing.send(packet)

    def _results(self, sent: int) -> Cuts:
        end_s = time.monotonic() + OFF_S
        while len(self._listener.off_s.keys() & self._sent_s.keys()) < len(self._sent_s) and time.monotonic() < end_s:
            time.sleep(0.02)
        missing = len(self._sent_s.keys() - self._listener.off_s.keys())
        return Cuts(self._took_ms(self._guard), self._took_ms(self._decider), self._listener.ping_ms, missing, sent)

    def _took_ms(self, plugs: list[str]) -> list[float]:
        off_s = self._listener.off_s
        return [(off_s[p] - self._sent_s[p]) * 1000 for p in plugs if p in off_s and p in self._sent_s]


def _reading(plug: str, power_w: str, total_kwh: str) -> bytes:
    body = PAYLOAD.replace('"Power":180.0', f'"Power":{power_w}').replace("1000.000", total_kwh)
    return publish(f"tele/{plug}/SENSOR", body.encode())


def main() -> None:
    probes = Probes(msgspec.json.decode(sys.stdin.readline(), type=Start))
    print("{}", flush=True)
    for line in sys.stdin:
        wish = msgspec.json.decode(line, type=Wish)
        answer: object = {}
        if wish.warm:
            probes.warm()
        else:
            answer = probes.run(wish)
        print(msgspec.json.encode(answer).decode(), flush=True)


if __name__ == "__main__":
    main()
