"""`anchong bench bus-soak`: very many exchanges on a bad line, with every relay looked at and every OFF timed.

In four parts: a line without faults; one with; one whose adapter echoes as well; one whose adapter is pulled out and
comes back. Over the memory bus on virtual time, and over pseudo-terminals in real time.
"""

import gc
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
import typer

from anchong.bench.bus_shed import BUDGETED, OUTLETS, TENTHS, line_of, off, on, questions
from anchong.bench.bus_watch import Watch
from anchong.bench.ground import spoken
from controller.clock import RealClock
from firmware_bridge import budget
from firmware_bridge.transports.bus import NOISE_S, OPENED_S, Bus
from firmware_bridge.transports.bus_queue import OFF_ATTEMPTS
from firmware_bridge.transports.memory_bus import MemoryBus, Way
from firmware_bridge.transports.pace import Pace
from firmware_bridge.transports.serial import SerialBus
from firmware_bridge.wire import Message
from simulators.line_faults import Bytes, Faults
from simulators.serial_proxy import SerialProxy
from simulators.twins.line import Line

# On a busy machine a unit's thread may be woken so late that it would be silent by the first of these.
PACES = {"memory": Pace(baud=115_200, turnaround_s=0.03), "pty": Pace(baud=115_200, turnaround_s=0.1)}
BEGINS_S = 0.001
ONE_IN = 30  # chunks
OFFS_AT_ONCE = 4
GROWN_MAX = 5_000_000  # bytes
STEP_S = 0.01
PORT_S = 30.0  # six times the longest wait between two attempts to open it
OPENED_STEPS = 2 * int(OPENED_S / STEP_S)
PULLED_EACH = 1_000  # exchanges
JITTER_S = 0.5  # in real time, on a machine that has other things to do than to wake us; on virtual time there is none


class Part(msgspec.Struct, frozen=True):
    name: str
    share: float
    one_in: int = 0
    echo: bool = False
    pulled: bool = False


PARTS = (
    Part("faultless", 0.2),
    Part("faults", 0.4, ONE_IN),
    Part("echo", 0.2, ONE_IN, echo=True),
    Part("pulled", 0.2, ONE_IN, pulled=True),
)


class Ground(Protocol):
    """Where a soak takes place."""

    bus: Bus

    def send(self, message: Message, urgent: bool) -> bool: ...

    def go_on(self) -> float:
        """Lets a little time pass; what time it is then."""
        ...

    def plug(self, echo: bool) -> None:
        """Pulls the adapter out and puts it back."""
        ...


class Figure(msgspec.Struct, frozen=True):
    """`off_ms` and its bound by part: from the wish to the board that heard it. `wrong` is what may never happen."""

    over: str
    transactions: int
    switched: int
    offs: int
    offs_lost: int
    wrong: list[str]
    off_ms: dict[str, float]
    off_bound_ms: dict[str, float]
    faults: dict[str, int]
    counts: dict[str, int]
    reconnections: int
    grown_bytes: int
    files_before: int
    files_after: int
    seconds: float


def bound_s(part: Part, pace: Pace, jitter_s: float) -> float:
    """The last of OFFS_AT_ONCE; with faults each of them is said as often as may be, and noise waited out each time."""
    of, order = budget.of(pace, BUDGETED, begins_s=BEGINS_S), budget.off_exchange()
    if not part.one_in:
        return of.off_s + (OFFS_AT_ONCE - 1) * order.answered_s(pace, BEGINS_S, pace.gap_s("modbus")) + jitter_s
    each_s = order.silent_s(pace) + NOISE_S
    return of.off_dead_s + NOISE_S + (OFFS_AT_ONCE * OFF_ATTEMPTS - 1) * each_s + jitter_s


class Soak:
    """Orders at random, one outlet after the other, while a whole round of questions always waits."""

    def __init__(self, seed: int, pace: Pace, tolerance_s: float) -> None:
        self.line: Line = line_of(0.0, BEGINS_S)
        self.watch = Watch(self.line, tolerance_s)
        self.faults = Faults(seed, 0)
        self.pace = pace
        self.reconnections = 0
        self._random = random.Random(seed)  # noqa: S311 - seeded, on purpose
        self._questions = {(ask.address, ask.payload): ask for ask in questions()}
        self._leases = 0
        self.ground: Ground

    def mangle(self, way: Way, chunk: bytes, now_s: float) -> Bytes:
        if way is Way.DOWN:
            self.watch.said(chunk, now_s)
        return self.faults(way, chunk, now_s)

    def receive(self, message: Message) -> None:
        question = self._questions.get((message.address, message.asked))
        if question is not None:
            self.ground.send(question, False)

    def linked(self, up: bool) -> None:
        if not up:
            self.watch.dropped()
        for question in self._questions.values() if up else ():
            self.ground.send(question, False)

    def run(self, part: Part, transactions: int, jitter_s: float) -> None:
        self._plug(part)
        self.faults.one_in = part.one_in
        with self.watch.lock:
            self.watch.phase(bound_s(part, self.pace, jitter_s))
        end = self._sent() + transactions
        pulled = self._sent()
        while self._sent() < end:
            now_s = self.ground.go_on()
            with self.watch.lock:
                self.watch.look(now_s)
                self._decide(now_s)
            if part.pulled and self._sent() - pulled > PULLED_EACH:
                pulled = self._sent()
                self._plug(part)

    def _plug(self, part: Part) -> None:
        self.reconnections += 1
        self.ground.plug(part.echo)
        for _ in range(OPENED_STEPS):  # nothing leaves before that
            self.ground.go_on()

    def _sent(self) -> int:
        return self.ground.bus.counts.get("sent", 0)

    def _decide(self, now_s: float) -> None:
        """Sometimes another thing at once: an ON and its OFF that meet before either has left."""
        outlet = self._random.choice(OUTLETS)
        for _ in range(self._random.choice((1, 1, 2, 3))):
            urgent = self._random.random() < 0.5
            if not urgent or (self.watch.pending < OFFS_AT_ONCE and not self.watch.is_pending(outlet)):
                self._order(outlet, urgent, now_s)

    def _order(self, outlet: tuple[int, int], urgent: bool, now_s: float) -> None:
        self._leases = self._leases % TENTHS + 1
        message = off(*outlet) if urgent else on(*outlet, self._leases)
        self.watch.decided(outlet, message, now_s, urgent)
        if not self.ground.send(message, urgent):
            self.watch.dropped()


class InMemory:
    def __init__(self, soak: Soak) -> None:
        self._line = MemoryBus(soak.pace, soak.watch.heard, soak.mangle)
        self.bus = self._line.bus
        soak.ground = self
        self._line.start(soak.receive, soak.linked)

    def send(self, message: Message, urgent: bool) -> bool:
        return self._line.send(message, urgent)

    def go_on(self) -> float:
        self._line.run(self._line.now_s + STEP_S)
        return self._line.now_s

    def plug(self, echo: bool) -> None:
        self._line.cut()
        self._line.echo = echo
        self._line.restore()

    def stop(self) -> None:
        self._line.stop()


class OnPtys:
    def __init__(self, soak: Soak, folder: Path) -> None:
        self._clock = RealClock()
        self._proxy = SerialProxy(folder, soak.watch.heard)
        self._proxy.mangle = soak.mangle
        self._proxy.start()
        self._serial = SerialBus("soak", str(self._proxy.near), soak.pace)
        self.bus = self._serial.bus
        soak.ground = self
        self._serial.start(soak.receive, soak.linked)

    def send(self, message: Message, urgent: bool) -> bool:
        return self._serial.send(message, urgent)

    def go_on(self) -> float:
        time.sleep(STEP_S)
        return self._clock.now().steady_s

    def plug(self, echo: bool) -> None:
        self._until(lambda: self.bus.up)
        self._proxy.unplug()
        self._until(lambda: not self.bus.up)
        self._proxy.echo = echo
        self._proxy.plug()
        self._until(lambda: self.bus.up)

    def _until(self, true: Callable[[], bool]) -> None:
        """The bus's own thread sees its port go and come; real time is what is soaked here."""
        end_s = self._clock.now().steady_s + PORT_S
        while not true():
            if self._clock.now().steady_s > end_s:
                raise RuntimeError("the bus has not noticed its port within half a minute")
            time.sleep(STEP_S)

    def stop(self) -> None:
        self._serial.stop()
        self._proxy.stop()


def soaked(over: str, transactions: int, seed: int = 1, jitter_s: float = 0.0, parts: Sequence[Part] = PARTS) -> Figure:
    """`over` memory or pty. `jitter_s`: by how much this machine may wake us late, in real time."""
    soak, began_s, files = Soak(seed, PACES[over], jitter_s), time.monotonic(), _files()
    off_s, bounds_s = {}, {}
    with tempfile.TemporaryDirectory(prefix="anchong-bench-") as folder:
        ground = InMemory(soak) if over == "memory" else OnPtys(soak, Path(folder))
        size = 0
        for part in parts:
            soak.run(part, int(transactions * part.share), jitter_s)
            off_s[part.name], bounds_s[part.name] = soak.watch.reached_s_max, soak.watch.bound_s
            size = size or _resident()  # the first part has warmed everything up
        grown = _resident() - size
        ground.stop()
    return Figure(
        over=over,
        transactions=ground.bus.counts["sent"],
        switched=soak.watch.switched,
        offs=soak.watch.offs,
        offs_lost=soak.watch.lost,
        wrong=soak.watch.wrong[:10],
        off_ms=_ms(off_s),
        off_bound_ms=_ms(bounds_s),
        faults=soak.faults.counts,
        counts=ground.bus.counts,
        reconnections=soak.reconnections,
        grown_bytes=grown,
        files_before=files,
        files_after=_files(),
        seconds=round(time.monotonic() - began_s, 1),
    )


def is_sound(figure: Figure) -> bool:
    return not figure.wrong and figure.grown_bytes < GROWN_MAX and figure.files_after == figure.files_before


def _ms(of: dict[str, float]) -> dict[str, float]:
    return {name: round(seconds * 1000, 1) for name, seconds in of.items()}


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def bus_soak(
    pty: Annotated[int, typer.Option(min=0, help="exchanges over pseudo-terminals, in real time")] = 20_000,
    memory: Annotated[int, typer.Option(min=0, help="exchanges over the memory bus, on virtual time")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="of what is ordered and of what goes wrong")] = 1,
) -> None:
    """No wrong relay, no late OFF, nothing leaked, on a bad line. Example: anchong bench bus-soak --memory 100000"""
    sound = True
    with spoken():
        for figure in _figures(pty, memory, seed):
            typer.echo(msgspec.json.encode(figure).decode())
            sound = sound and is_sound(figure)
    raise typer.Exit(0 if sound else 1)


def _figures(pty: int, memory: int, seed: int) -> Iterator[Figure]:
    if pty:
        yield soaked("pty", pty, seed, JITTER_S)
    if memory:
        yield soaked("memory", memory, seed)
