"""`anchong bench cut`: from the reading that proves it to the OFF at the plug, by lane, load and viewers.

The guard's lane is a reading far over the outlet's limit; the decider's is the one that proves a charge finished. The
plugs that give the reasons come on top of the load; each OFF is timed where it arrives, on the plugs' own connection.
"""

import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from anchong.bench.ground import Child, Ground, NoGround, free_port, ground, spoken
from anchong.bench.ingest import Scene
from anchong.bench.site import charging_site, secret_of
from anchong.bench.stage import START_S, Stage
from simulators import viewers
from simulators.probes import Cuts, Start, Wish

CALIBRATE_S = 6.0
WARM_S = 1.0


class Load(msgspec.Struct, frozen=True):
    """`per_s` readings over `outlets`; 0 is half of what the gateway can take."""

    name: str
    outlets: int
    per_s: float


LOADS = (
    Load("1000 outlets every 1 s", 1_000, 1_000.0),
    Load("10000 outlets every 10 s", 10_000, 1_000.0),
    Load("half the ingest ceiling", 10_000, 0.0),
)


class Cut(msgspec.Struct, frozen=True):
    """`ping` is the broker's own round trip meanwhile, `gc_ms` the longest pause of the collector."""

    load: str
    lane: str
    viewers: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    n: int
    missing: int
    per_s: float
    ping_p50_ms: float
    ping_p99_ms: float
    gc_ms: float


def measured(at: Ground, load: Load, watching: int, probes: int, seconds: float, template: Path) -> list[Cut]:
    """Both lanes of one load. `template` has the load's outlets, then as many probes for each lane."""
    port = free_port()
    stage = Stage(at, "gateway", load.outlets + 2 * probes, template, web_port=port)
    stage.linked()
    fleet = at.child("simulators.probes")
    fleet.ask(Start(at.port, load.outlets, probes, probes), START_S)
    _warm(stage, fleet)
    people = _people(at, port, min(watching, load.outlets), watching)
    cuts = msgspec.convert(fleet.ask(Wish(per_s=load.per_s, seconds=seconds), seconds + START_S), Cuts)
    if people is not None and people.ask("how many", START_S)["watching"] != watching:
        raise NoGround(f"not all of the {watching} viewers were told anything")
    fleet.stop()
    if people is not None:
        people.stop()
    return _figures(load, watching, cuts, stage.close())


def _warm(stage: Stage, fleet: Child) -> None:
    """Said again where the broker dropped it: a gateway that is starting does not always keep up."""
    end_s = time.monotonic() + START_S
    while not stage.state()["ready"]:
        if time.monotonic() > end_s:
            raise NoGround(f"not every session was charging: {stage.state()}")
        fleet.ask(Wish(warm=True), START_S)
        time.sleep(WARM_S)


def _people(at: Ground, port: int, watched: int, watching: int) -> Any:
    if not watching:
        return None
    people = at.child("simulators.viewers")
    paths = [f"/O/{secret_of(number % watched)}" for number in range(watching)]
    people.ask(viewers.Start(port, paths), START_S)
    return people


def _figures(load: Load, watching: int, cuts: Cuts, state: dict[str, Any]) -> list[Cut]:
    figures = []
    for lane, took_ms in (("guard", cuts.guard_ms), ("decider", cuts.decider_ms)):
        if not took_ms:
            raise NoGround(f"no OFF came at all: {state}")
        figure = Cut(
            load=load.name,
            lane=lane,
            viewers=watching,
            p50_ms=percentile(took_ms, 50),
            p99_ms=percentile(took_ms, 99),
            max_ms=percentile(took_ms, 100),
            n=len(took_ms),
            missing=cuts.missing,
            per_s=load.per_s,
            ping_p50_ms=percentile(cuts.ping_ms, 50),
            ping_p99_ms=percentile(cuts.ping_ms, 99),
            gc_ms=round(state["gc_ms"], 2),
        )
        figures.append(figure)
    return figures


def percentile(values: list[float], percent: int) -> float:
    """The smallest value that so many percent of all do not exceed."""
    ordered = sorted(values)
    return round(ordered[max(0, -(-len(ordered) * percent // 100) - 1)], 2)


def half_ceiling(at: Ground, outlets: int, template: Path) -> float:
    """Half of the ceiling, found as `bench ingest` finds it."""
    at.say(f"{outlets} outlets: looking for the ceiling")
    scene = Scene(at, "gateway", outlets, template)
    found = scene.ceiling(CALIBRATE_S)
    scene.close()
    return round(found.per_s / 2)


def prepared(at: Ground, live: int, tails: int) -> Path:
    template = at.folder / f"{live}-{tails}.sqlite3"
    if not template.exists():
        charging_site(f"sqlite:///{template}", live, tails, said=lambda done: at.say(f"{done} of {live} sessions made"))
    return template


def cut(
    viewers: Annotated[str, typer.Option(help="live pages kept open, one figure each")] = "0,100",
    probes: Annotated[int, typer.Option(min=10, max=2_000, help="cuts of each lane")] = 400,
    seconds: Annotated[float, typer.Option(min=1, max=90, help="over which the cuts are spread")] = 40.0,
    load: Annotated[str, typer.Option(help="1, 2, 3: every second, every ten, half the ceiling")] = "1,2,3",
    as_json: Annotated[bool, typer.Option("--json", help="one line a load, lane and number of viewers")] = False,
) -> None:
    """From a reading to the OFF at the plug. Example: anchong bench cut --viewers 0,100 --json"""
    watching, loads = _numbers("--viewers", viewers, 0, 1_000), _numbers("--load", load, 1, len(LOADS))
    with spoken(), ground() as at:
        for wished in [LOADS[number - 1] for number in loads]:
            for figure in _of_load(at, wished, watching, probes, seconds):
                typer.echo(msgspec.json.encode(figure).decode() if as_json else _line(figure))


def _of_load(at: Ground, load: Load, watching: list[int], probes: int, seconds: float) -> Any:
    if not load.per_s:
        load = msgspec.structs.replace(load, per_s=half_ceiling(at, load.outlets, prepared(at, load.outlets, 0)))
    template = prepared(at, load.outlets + probes, probes)
    for count in watching:
        at.say(f"{load.name}, {count} viewers: {probes} cuts in each lane")
        yield from measured(at, load, count, probes, seconds, template)


def _numbers(option: str, text: str, least: int, most: int) -> list[int]:
    numbers = [int(part) if part.strip().isdecimal() else -1 for part in text.split(",")]
    if not all(least <= number <= most for number in numbers):
        typer.echo(f"{option} {text}: whole numbers from {least} to {most}, with commas between", err=True)
        raise typer.Exit(2)
    return numbers


def _line(figure: Cut) -> str:
    return (
        f"{figure.load}, {figure.viewers} viewers, {figure.lane}: p50 {figure.p50_ms:.2f} ms, p99 {figure.p99_ms:.2f} "
        f"ms, longest {figure.max_ms:.2f} ms of {figure.n} ({figure.missing} missing); the broker alone "
        f"{figure.ping_p50_ms:.2f}/{figure.ping_p99_ms:.2f} ms"
    )
