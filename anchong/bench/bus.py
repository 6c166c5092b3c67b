"""`anchong bench bus`: what a bus can carry by computation, and beside it what one on pseudo-terminals really did.

Sixteen outlets on two boards, a meter each; bytes take as long as on a wire, and a whole round of
questions always waits.
"""

import statistics
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from anchong.bench.bus_shed import BUDGETED, OUTLETS, line_of, off, questions
from anchong.bench.ground import spoken
from controller.clock import RealClock
from firmware_bridge import budget
from firmware_bridge.transports.pace import Pace
from firmware_bridge.transports.serial import SerialBus
from firmware_bridge.wire import Message
from simulators.serial_proxy import SerialProxy

WAIT_S = 30.0
SPREAD = 0.618_034  # of a round between one moment and the next
TOLERANCE = 1.25  # for the milliseconds by which a busy machine wakes us late; two threads take part in every exchange


class Figure(msgspec.Struct, frozen=True):
    """`off`: one OFF on a full bus, at any moment of its round; `offs`: the last of an OFF for every outlet at once.

    Bounds are computed for units that answer; `dead` for a bus on which none does.
    """

    outlets: int
    baud: int
    outlets_max: int
    cycle_bound_ms: float
    cycle_p50_ms: float
    cycle_ratio: float
    off_bound_ms: float
    off_p50_ms: float
    off_max_ms: float
    off_ratio: float
    offs_bound_ms: float
    offs_max_ms: float
    offs_ratio: float
    off_dead_bound_ms: float
    off_dead_max_ms: float
    off_dead_ratio: float


class Rig:
    def __init__(self, folder: Path, pace: Pace) -> None:
        self.rounds_s: list[float] = []  # when each was over
        self.dead = False
        self._clock = RealClock()
        self._line = line_of(0.0)
        self._questions = questions()
        self._heard: dict[bytes, float] = {}
        self._news = threading.Condition()
        self._proxy = SerialProxy(folder, self._hear, pace)
        self._proxy.start()
        self._bus = SerialBus("bench", str(self._proxy.near), pace)
        self._bus.start(self._told, self._linked)
        self._until(lambda: len(self.rounds_s) > 1)

    def stop(self) -> None:
        self._bus.stop()
        self._proxy.stop()

    def offs_s(self, outlets: Sequence[tuple[int, int]]) -> float:
        """From the wish to the last byte at the last of their boards."""
        wishes = [off(*outlet) for outlet in outlets]
        with self._news:
            self._heard.clear()
        since_s = self._now_s()
        for wish in wishes:
            self._bus.send(wish, urgent=True)
        self._until(lambda: all(wish.payload in self._heard for wish in wishes))
        return max(self._heard[wish.payload] for wish in wishes) - since_s

    def rest(self, seconds: float) -> None:
        """The round goes on meanwhile."""
        with self._news:
            self._news.wait_for(lambda: False, seconds)

    def _now_s(self) -> float:
        return self._clock.now().steady_s

    def _until(self, true: Callable[[], bool]) -> None:
        with self._news:
            if not self._news.wait_for(true, WAIT_S):
                raise TimeoutError("the bus stands still")

    def _hear(self, request: bytes, now_s: float) -> Sequence[tuple[float, bytes]]:
        with self._news:
            self._heard.setdefault(request, now_s)
            self._news.notify_all()
        return () if self.dead else self._line(request, now_s)

    def _linked(self, up: bool) -> None:
        for question in self._questions if up else ():
            self._bus.send(question)

    def _told(self, message: Message) -> None:
        """Whoever was asked is asked again behind all others."""
        question = Message(message.address, message.asked)
        if question in self._questions:
            self._bus.send(question)
        if question == self._questions[0] and not message.fault:
            with self._news:
                self.rounds_s.append(self._now_s())
                self._news.notify_all()


def measured(pace: Pace, rounds: int) -> Figure:
    of, few = budget.of(pace, BUDGETED), max(1, rounds // 20)
    with tempfile.TemporaryDirectory(prefix="anchong-bench-") as folder:
        rig = Rig(Path(folder), pace)
        try:
            rig.rest(of.cycle_s * few)
            cycles = [late - soon for soon, late in pairwise(rig.rounds_s)]
            one = [rig.offs_s([OUTLETS[number % len(OUTLETS)]]) for number in _moments(rig, rounds, of.cycle_s)]
            every = [rig.offs_s(OUTLETS) for _ in _moments(rig, few, of.cycle_s)]
            rig.dead = True
            dead = [rig.offs_s(OUTLETS[:1]) for _ in _moments(rig, few, of.cycle_dead_s)]
        finally:
            rig.stop()
    return _figure(pace, of, cycles, one, every, dead)


def _moments(rig: Rig, count: int, round_s: float) -> Iterator[int]:
    """Spread evenly over a round, whatever its length."""
    for number in range(count):
        rig.rest((1 + number) * SPREAD % 1.0 * round_s)
        yield number


def _figure(
    pace: Pace, of: budget.Budget, cycles: list[float], one: list[float], every: list[float], dead: list[float]
) -> Figure:
    return Figure(
        outlets=of.outlets,
        baud=pace.baud,
        outlets_max=budget.outlets_max(pace, BUDGETED[0].family, BUDGETED[0].meters[0]),
        cycle_bound_ms=_ms(of.cycle_s),
        cycle_p50_ms=_ms(statistics.median(cycles)),
        cycle_ratio=round(statistics.median(cycles) / of.cycle_s, 3),
        off_bound_ms=_ms(of.off_s),
        off_p50_ms=_ms(statistics.median(one)),
        off_max_ms=_ms(max(one)),
        off_ratio=round(max(one) / of.off_s, 3),
        offs_bound_ms=_ms(of.offs_s),
        offs_max_ms=_ms(max(every)),
        offs_ratio=round(max(every) / of.offs_s, 3),
        off_dead_bound_ms=_ms(of.off_dead_s),
        off_dead_max_ms=_ms(max(dead)),
        off_dead_ratio=round(max(dead) / of.off_dead_s, 3),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def bus(
    baud: Annotated[int, typer.Option(help="of the line")] = 9600,
    rounds: Annotated[int, typer.Option(min=1, max=10_000, help="OFFs timed one by one")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="one line")] = False,
) -> None:
    """What a bus carries and how late an OFF may be, computed and measured. Example: anchong bench bus --json"""
    with spoken():
        figure = measured(Pace(baud), rounds)
    typer.echo(msgspec.json.encode(figure).decode() if as_json else _told(figure))
    worst = max(figure.off_ratio, figure.offs_ratio, figure.off_dead_ratio)
    raise typer.Exit(1 if worst > TOLERANCE else 0)


def _told(figure: Figure) -> str:
    lines = [f"{figure.outlets} outlets at {figure.baud} baud (it may carry {figure.outlets_max})"]
    for what, bound_ms, ms, ratio in (
        ("a round", figure.cycle_bound_ms, figure.cycle_p50_ms, figure.cycle_ratio),
        ("one OFF", figure.off_bound_ms, figure.off_max_ms, figure.off_ratio),
        ("all OFFs", figure.offs_bound_ms, figure.offs_max_ms, figure.offs_ratio),
        ("one OFF, nobody answers", figure.off_dead_bound_ms, figure.off_dead_max_ms, figure.off_dead_ratio),
    ):
        lines.append(f"{what:24} computed {bound_ms:8.1f} ms   measured {ms:8.1f} ms   ratio {ratio:.3f}")
    return "\n".join(lines)
