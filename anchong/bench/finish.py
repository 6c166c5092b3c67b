"""`anchong bench finish`: how well it is known when a charge is full, against every rule that others cut by.

Charges of every shape (`simulators.curves`) are seen in every way that meters report, and with what meters and networks
do to readings. False is a cut before 95 % of the useful energy, severe before 80 %, early before 99 %; missed is still
on two hours after full.
"""

import os
import time
from pathlib import Path
from random import SystemRandom
from typing import Annotated

import msgspec
import typer

from anchong.bench import finish_cost, finish_picture, finish_print
from anchong.bench.finish_figures import Report, reported
from anchong.bench.finish_probe import PROBING
from anchong.bench.finish_recorded import Recordings, recordings
from anchong.bench.finish_rules import BASELINES
from anchong.bench.finish_run import DEGRADED, OURS, REFERENCE, REFERENCE_SHAPES, jobs, known, measured
from controller.core.errors import Refused
from simulators.curves import HIDDEN_SEEDS, SHAPES
from simulators.curves_seen import MODES

FROZEN_SEED = 7_000


def finish(
    sessions: Annotated[int, typer.Option(min=1, max=10_000, help="of each shape, in each way")] = 60,
    seed: Annotated[int | None, typer.Option(min=0, help="the first; else a fresh one that nobody tuned on")] = None,
    frozen: Annotated[bool, typer.Option("--frozen", help="the seeds that are always the same")] = False,
    shape: Annotated[list[str] | None, typer.Option(help="only this shape; may be repeated")] = None,
    way: Annotated[list[str] | None, typer.Option(help="only this way of reporting or degradation; repeatable")] = None,
    reference: Annotated[bool, typer.Option("--reference", help="the fifteen shapes others were tried on")] = False,
    processes: Annotated[int, typer.Option(min=0, max=64, help="0: one a core")] = 0,
    csv: Annotated[Path | None, typer.Option(help="recorded curves in this folder instead of made-up ones")] = None,
    pareto: Annotated[Path | None, typer.Option(help="draw false cuts over idle hours as SVG")] = None,
    cost: Annotated[bool, typer.Option("--cost", help="what a reading costs instead")] = False,
    gate: Annotated[bool, typer.Option("--gate", help="exit 1 if a target is missed")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one object")] = False,
) -> None:
    """False, missed and late cuts, against others' rules. Example: anchong bench finish --pareto out.svg"""
    try:
        if cost:
            figure = finish_cost.cost()
            typer.echo(_encoded(figure) if as_json else finish_cost.spoken(figure))
            return
        if csv is not None:
            found = recordings(csv, [OURS, *BASELINES])
            typer.echo(_encoded(found) if as_json else finish_print.recorded(found))
            raise typer.Exit(1 if gate and not all(one.met for one in found.files) else 0)
        first = FROZEN_SEED if frozen else fresh_seed(sessions) if seed is None else seed
        if reference:
            shape, way = list(REFERENCE_SHAPES), [REFERENCE]
        report = taken(range(first, first + sessions), shape, way, processes or os.cpu_count() or 1)
        typer.echo(_encoded(report) if as_json else finish_print.tables(report))
        if pareto is not None:
            _write(pareto, finish_picture.pareto(report.rules))
    except Refused as refusal:
        typer.echo(f"anchong bench finish: {refusal.detail}", err=True)
        raise typer.Exit(2) from refusal
    raise typer.Exit(1 if gate and report.misses else 0)


def taken(seeds: range, shapes: list[str] | None, ways: list[str] | None, processes: int) -> Report:
    """Of every shape in every way, unless some are named."""
    shapes, ways = shapes or list(SHAPES), ways or [*MODES, *DEGRADED]
    _check(shapes, ways)
    start_s = time.perf_counter()
    tallies = measured(jobs(shapes, seeds, ways, [OURS, PROBING, *BASELINES]), processes)
    return reported(tallies, seeds.start, len(seeds), time.perf_counter() - start_s)


def fresh_seed(sessions: int) -> int:
    return SystemRandom().randrange(HIDDEN_SEEDS.start, HIDDEN_SEEDS.stop - sessions)


def _check(shapes: list[str], ways: list[str]) -> None:
    for shape in shapes:
        if shape not in SHAPES:
            raise Refused("bench_shape", f"{shape!r} is no shape; there are: {', '.join(SHAPES)}.")
    if not known(ways):
        raise Refused("bench_way", f"--way is one of: {', '.join((*MODES, *DEGRADED))}.")


def _encoded(figure: Report | Recordings | finish_cost.Cost) -> str:
    return msgspec.json.encode(figure).decode()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refused("bench_pareto", f"{path} can not be written: {error.strerror}.") from error
