"""`anchong bench dangers`: how soon each danger is dark, and how often an ordinary charge is taken for one.

Drills go through the real engine, gates, drivers and twins on virtual time. False trips are counted over made-up
charges under the guard, the danger rules and the finish, which are what decides in a gateway too.
"""

import os
import time
from typing import Annotated

import msgspec
import typer

from anchong.bench.danger_drills import DRILLS, NOT_DRILLED, Drill, Played, all_played
from anchong.bench.danger_runs import (
    NOT_ORDINARY,
    ORDINARY,
    WAYS,
    Trip,
    false_trips,
    per_danger,
    upper_bound,
)
from anchong.bench.finish import fresh_seed
from anchong.logs import plain


class Rate(msgspec.Struct, frozen=True):
    """`upper_percent`: not exceeded with 95 % confidence; where none was seen, three in all that were tried."""

    trips: int
    upper_percent: float


class FalseTrips(msgspec.Struct, frozen=True):
    sessions: int
    seed: int
    shapes: tuple[str, ...]
    left_out: dict[str, str]
    ways: tuple[str, ...]
    dangers: dict[str, Rate]
    all_dangers: Rate
    trips: tuple[Trip, ...]
    took_s: float


class Report(msgspec.Struct, frozen=True):
    drills: tuple[Played, ...]
    not_drilled: dict[str, str]
    false_trips: FalseTrips | None
    ok: bool


def dangers(
    sessions: Annotated[int, typer.Option(min=0, max=50_000, help="ordinary sessions; 0: drills alone")] = 10_000,
    seed: Annotated[int | None, typer.Option(min=0, help="the first; else a fresh one that nobody tuned on")] = None,
    drill: Annotated[list[str] | None, typer.Option(help="drills whose name begins so; repeatable; none: all")] = None,
    processes: Annotated[int, typer.Option(min=0, max=64, help="0: one a core")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="one object")] = False,
) -> None:
    """From the danger to the open relay; and false trips. Example: anchong bench dangers --sessions 10000 --json"""
    plain("critical")
    chosen = tuple(one for one in DRILLS if drill is None or one.name.startswith(tuple(drill)))
    if not chosen:
        typer.echo(f"anchong bench dangers: --drill is one of: {', '.join(one.name for one in DRILLS)}.", err=True)
        raise typer.Exit(2)
    first = fresh_seed(sessions) if seed is None else seed
    report = taken(chosen, sessions, first, processes or os.cpu_count() or 1)
    typer.echo(msgspec.json.encode(report).decode() if as_json else "\n".join(spoken(report)))
    raise typer.Exit(0 if report.ok else 1)


def taken(drills: tuple[Drill, ...], sessions: int, seed: int, processes: int) -> Report:
    results = all_played(drills, seed, processes)
    ordinary = judged(sessions, seed, processes) if sessions else None
    sound = ordinary is None or not ordinary.trips
    return Report(results, NOT_DRILLED, ordinary, sound and all(one.ok for one in results))


def judged(sessions: int, seed: int, processes: int) -> FalseTrips:
    began_s = time.perf_counter()
    trips = false_trips(range(seed, seed + sessions), processes)
    counted = {name: _rate(count, sessions) for name, count in per_danger(trips).items()}
    return FalseTrips(
        sessions=sessions,
        seed=seed,
        shapes=ORDINARY,
        left_out=NOT_ORDINARY,
        ways=WAYS,
        dangers=counted,
        all_dangers=_rate(len(trips), sessions),
        trips=tuple(trips),
        took_s=round(time.perf_counter() - began_s, 1),
    )


def _rate(count: int, of: int) -> Rate:
    return Rate(count, round(100 * upper_bound(count, of), 4))


# -- for people ---------------------------------------------------------------------------------------------------


def spoken(report: Report) -> list[str]:
    drills = [_drill_line(one) for one in report.drills]
    left_out = [f"not drilled: {name}: {why}" for name, why in report.not_drilled.items()]
    return drills + left_out + ([] if report.false_trips is None else _false_lines(report.false_trips))


def _drill_line(one: Played) -> str:
    took = "never" if one.worst_s is None else _took(one.first_s or 0.0, one.worst_s)
    said = ", ".join(word for word in one.said if word) or "-"
    verdict = "ok" if one.ok else "LATE" if one.worst_s is None or one.worst_s > one.bound_s else "ANOTHER REASON"
    return (
        f"{one.name:32} {one.end:8}{took:>20} of {_spell(one.bound_s):>8}  {verdict}\n"
        f"    {one.event}; {one.outlets} outlets; said {said}; bound: {one.source}"
    )


def _took(first_s: float, worst_s: float) -> str:
    return f"{_spell(first_s)} … {_spell(worst_s)}"


def _spell(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 600 else f"{seconds / 60:.1f} min"


def _false_lines(found: FalseTrips) -> list[str]:
    head = f"{found.sessions} ordinary sessions from seed {found.seed}, seen {'; '.join(found.ways)}"
    shapes = f"  ordinary is: {', '.join(found.shapes)}"
    left_out = [f"  left out: {name}: {why}" for name, why in found.left_out.items()]
    rates = [_rate_line(name, rate) for name, rate in (*found.dangers.items(), ("any danger", found.all_dangers))]
    trips = [f"  FALSE: {one.reason} on {one.shape}, seed {one.seed}, {one.way}: {one.evidence}" for one in found.trips]
    return [head, shapes, *left_out, *rates, *trips]


def _rate_line(name: str, rate: Rate) -> str:
    return f"  {name:16} {rate.trips:4} false, at most {rate.upper_percent:.3f} % (95 %)"
