"""`anchong bench memory`: what an outlet in a live session costs in memory, and what it has written to disk in a day.

Memory is the slope between two compounds of different size, so that what every gateway costs is left out: of the
process's resident set, and of what Python itself says it has allocated. Disk is what the kernel counts as written for
the process while every session is under way and reports every ten seconds, scaled to a day of charging.
"""

import sqlite3
import time
from typing import Annotated

import msgspec
import typer

from anchong.bench.cut import prepared
from anchong.bench.ground import Ground, ground, spoken
from anchong.bench.stage import START_S, Stage
from simulators.chorus import Start

GOAL_BYTES = 6_000
DAY_S = 86_400.0
REPORT_S = 10.0


class Memory(msgspec.Struct, frozen=True):
    """Bytes an outlet. The disk's are of an outlet that charges all day; `grown` is what the file keeps of it."""

    outlets: int
    rss_bytes: int
    traced_bytes: int
    base_rss_bytes: int
    disk_seconds: float
    written_bytes_a_day: int
    grown_bytes_a_day: int


class Size(msgspec.Struct, frozen=True):
    rss: int
    traced: int
    written_a_day: float = 0.0
    grown_a_day: float = 0.0


def measured(at: Ground, outlets: int, seconds: float, report_s: float = REPORT_S) -> Memory:
    few = max(1, outlets // 5)
    small, large = _size(at, few, 0.0, report_s), _size(at, outlets, seconds, report_s)
    small_traced, large_traced = (_size(at, count, 0.0, report_s, traced=True) for count in (few, outlets))
    rss_bytes = (large.rss - small.rss) / (outlets - few)
    return Memory(
        outlets=outlets,
        rss_bytes=round(rss_bytes),
        traced_bytes=round((large_traced.traced - small_traced.traced) / (outlets - few)),
        base_rss_bytes=round(small.rss - rss_bytes * few),
        disk_seconds=seconds,
        written_bytes_a_day=round(large.written_a_day),
        grown_bytes_a_day=round(large.grown_a_day),
    )


def _size(at: Ground, outlets: int, seconds: float, report_s: float, traced: bool = False) -> Size:
    at.say(f"{outlets} outlets{', every allocation counted' if traced else ''}")
    template = prepared(at, outlets, 0)
    chorus = at.child("simulators.chorus")
    chorus.ask(Start(at.port, outlets, outlets, report_s), START_S)
    stage = Stage(at, "gateway", outlets, template, traced=traced)
    stage.until(lambda state: state["ready"], "not every session was charging")
    time.sleep(2 * report_s)  # each has been heard twice, and what the start left behind is gone
    before = stage.size()
    pages = _pages(stage)
    time.sleep(seconds)
    after = stage.size()
    grown = _pages(stage) - pages
    chorus.stop()
    stage.close()
    a_day = DAY_S / seconds / outlets if seconds else 0.0
    return Size(before["rss"], before["traced"], (after["written"] - before["written"]) * a_day, grown * a_day)


def _pages(stage: Stage) -> int:
    """Bytes of the database as a reader sees it."""
    db = sqlite3.connect(stage.database)
    (count,), (size,) = (db.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "page_size"))
    db.close()
    return int(count * size)


def memory(
    outlets: Annotated[int, typer.Option(min=10, max=20_000, help="in a live session")] = 10_000,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="over which the disk's writes are counted")] = 120.0,
    as_json: Annotated[bool, typer.Option("--json", help="one line")] = False,
) -> None:
    """Memory and disk of an outlet. Example: anchong bench memory --outlets 10000 --json"""
    with spoken(), ground() as at:
        figure = measured(at, outlets, seconds)
    typer.echo(msgspec.json.encode(figure).decode() if as_json else _line(figure))
    raise typer.Exit(1 if figure.rss_bytes > GOAL_BYTES else 0)


def _line(figure: Memory) -> str:
    return (
        f"{figure.outlets} outlets: {figure.rss_bytes} bytes each resident, {figure.traced_bytes} by Python's own "
        f"count, over {figure.base_rss_bytes / 1e6:.0f} MB; {figure.written_bytes_a_day / 1e6:.2f} MB written and "
        f"{figure.grown_bytes_a_day / 1e6:.2f} MB kept by an outlet that charges all day"
    )
