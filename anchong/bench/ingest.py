"""`anchong bench ingest`: readings decided on a second, beside the same transport and a stock client that only count.

Every outlet is in a live charging session; gateway, broker and publisher are processes of their own on this machine.
The publisher sends as fast as no more than nine tenths of the outlets' readings are on their way, so that none can
overwrite another; all three are fed in this way, which is the most each can do. The gateway is given long enough that
every session is written once.
"""

import time
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import msgspec
import typer

from anchong.bench.ground import Ground, NoGround, ground, spoken
from anchong.bench.site import charging_site
from anchong.bench.stage import START_S, Stage
from simulators.publisher import Done, Run
from simulators.publisher import Start as PublisherStart

WARM_PER_S = 2_500.0  # a compound coming back, not a storm
WINDOW_MAX = 4_000
OUTLETS_MAX = 20_000


class Ingest(msgspec.Struct, frozen=True):
    outlets: int
    ingest_per_s: float
    counting_per_s: float
    stock_per_s: float
    ratio: float
    ratio_stock: float
    lost: int
    coalesced: int
    rows: int


class Turn(msgspec.Struct, frozen=True):
    """One measurement of one of the three."""

    per_s: float
    lost: int = 0
    coalesced: int = 0
    rows: int = 0


class Scene:
    """One subject and the publisher that feeds it."""

    def __init__(
        self, at: Ground, kind: str, outlets: int, template: Path | None = None, sample_s: float = 30.0
    ) -> None:
        self._outlets = outlets
        self.stage = Stage(at, kind, outlets, template, sample_s)
        self.publisher = at.child("simulators.publisher")
        self.publisher.ask(PublisherStart(at.port, outlets, str(self.stage.tally)), START_S)
        self._warm()

    def _warm(self) -> None:
        """Until every session charges: each outlet says what it does, gets its ON, and says it again."""
        self.stage.linked()
        end_s = time.monotonic() + START_S
        while not self.stage.state()["ready"]:
            if time.monotonic() > end_s:
                raise NoGround(f"not every session was charging: {self.stage.state()}")
            self.publish(Run(rate=WARM_PER_S, rounds=1))
        self.publish(Run(rate=WARM_PER_S, rounds=1))

    def publish(self, run: Run) -> Done:
        expected_s = run.seconds + (run.rounds * self._outlets / run.rate if run.rate else 0.0)
        return msgspec.convert(self.publisher.ask(run, expected_s + START_S), Done)

    def ceiling(self, seconds: float) -> Done:
        return self.publish(Run(window=min(WINDOW_MAX, self._outlets * 9 // 10), seconds=seconds))

    def close(self) -> dict[str, Any]:
        self.publisher.stop()
        return self.stage.close()


def of_gateway(at: Ground, outlets: int, template: Path, seconds: float, sample_s: float) -> Turn:
    scene = Scene(at, "gateway", outlets, template, sample_s)
    done = scene.ceiling(seconds)
    state = scene.close()
    if state["phases"] != {"charging": outlets}:
        raise NoGround(f"sessions ended while they were measured: {state}")
    return Turn(done.per_s, done.sent - done.looked_at - done.coalesced, done.coalesced, scene.stage.rows())


def of_counter(at: Ground, kind: str, outlets: int, seconds: float) -> Turn:
    scene = Scene(at, kind, outlets)
    done = scene.ceiling(seconds / 3)
    scene.close()
    return Turn(done.per_s)


def measured(at: Ground, outlets: int, seconds: float, turns: int, sample_s: float = 30.0) -> Ingest:
    """The median of alternating turns; what was lost or overwritten in any of them."""
    template = at.folder / f"{outlets}.sqlite3"
    charging_site(
        f"sqlite:///{template}", outlets, said=lambda done: at.say(f"{outlets} outlets: {done} sessions made")
    )
    gateway, counting, stock = [], [], []
    for turn in range(1, turns + 1):
        at.say(f"{outlets} outlets, turn {turn} of {turns}: the gateway")
        gateway.append(of_gateway(at, outlets, template, seconds, sample_s))
        at.say(f"{outlets} outlets, turn {turn} of {turns}: the same transport, counting")
        counting.append(of_counter(at, "counting", outlets, seconds))
        at.say(f"{outlets} outlets, turn {turn} of {turns}: stock paho, counting")
        stock.append(of_counter(at, "stock", outlets, seconds))
    return _figure(outlets, gateway, counting, stock)


def _figure(outlets: int, gateway: list[Turn], counting: list[Turn], stock: list[Turn]) -> Ingest:
    ingest_per_s, counting_per_s, stock_per_s = (median(t.per_s for t in kind) for kind in (gateway, counting, stock))
    return Ingest(
        outlets=outlets,
        ingest_per_s=round(ingest_per_s),
        counting_per_s=round(counting_per_s),
        stock_per_s=round(stock_per_s),
        ratio=round(ingest_per_s / counting_per_s, 2),
        ratio_stock=round(ingest_per_s / stock_per_s, 2),
        lost=sum(turn.lost for turn in gateway),
        coalesced=sum(turn.coalesced for turn in gateway),
        rows=min(turn.rows for turn in gateway),
    )


def ingest(
    outlets: Annotated[str, typer.Option(help="how many, one figure each")] = "1000,10000",
    seconds: Annotated[float, typer.Option(min=0.3, max=300, help="of the gateway; the others a third")] = 32.0,
    turns: Annotated[int, typer.Option(min=1, max=9, help="alternating; the median is shown")] = 3,
    sample_s: Annotated[float, typer.Option(min=0.1, help="how often each session is written")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="one line a number of outlets")] = False,
) -> None:
    """Readings decided on a second. Example: anchong bench ingest --outlets 1000,10000 --json"""
    wished = _numbers(outlets)
    with spoken(), ground() as at:
        for count in wished:
            figure = measured(at, count, seconds, turns, sample_s)
            typer.echo(msgspec.json.encode(figure).decode() if as_json else _line(figure))


def _numbers(text: str) -> list[int]:
    numbers = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
    if not all(10 <= number <= OUTLETS_MAX for number in numbers):
        typer.echo(f"--outlets {text}: whole numbers from 10 to {OUTLETS_MAX}, with commas between", err=True)
        raise typer.Exit(2)
    return numbers


def _line(figure: Ingest) -> str:
    return (
        f"{figure.outlets} outlets: {figure.ingest_per_s:.0f} readings/s decided, {figure.lost} lost, "
        f"{figure.coalesced} coalesced, {figure.rows} rows; {figure.ratio:.2f} of the counting transport "
        f"({figure.counting_per_s:.0f}/s), {figure.ratio_stock:.2f} of stock paho ({figure.stock_per_s:.0f}/s)"
    )
