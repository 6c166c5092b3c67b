"""`anchong bench cut-site`: from the ask to the moment at which the last relay of the site has opened.

A gateway with all its threads in a process of its own, real twins on a real broker in another, each outlet in a charge.
With the database stopped another process holds its file, and the gateway is killed before it could write a row: the cut
must hold all the same when it is back.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Annotated, Literal

import msgspec
import typer

from anchong.bench.cut import prepared
from anchong.bench.ground import Child, Ground, NoGround, ground, spoken
from anchong.bench.locked import locked
from anchong.bench.site import COUNTER_WH
from anchong.bench.stage import START_S, Stage
from simulators.dark import Dark, Start

GOAL_S = 2.0
LOOK_S = 0.02
DARK_S = 30.0
DATABASES: tuple[Literal["well", "stopped"], ...] = ("well", "stopped")


class CutSite(msgspec.Struct, frozen=True):
    """`holds`: after kill -9 and a start on the same disk the site is still cut, and nothing is on."""

    outlets: int
    database: str
    first_s: float
    all_s: float
    holds: bool


def measured(at: Ground, outlets: int, database: Literal["well", "stopped"]) -> CutSite:
    template = prepared(at, outlets, 0)
    hall = at.child("simulators.dark")
    hall.ask(Start(at.port, outlets, COUNTER_WH), START_S)
    _until(hall, lambda dark: dark.connected == outlets, "not every twin reached the broker")
    hall.ask("on", START_S)
    at.say(f"{outlets} charges, the database {database}")
    stage = Stage(at, "gateway", outlets, template)
    stage.until(lambda state: state["ready"], "not every session was charging")
    with locked(stage.database) if database == "stopped" else nullcontext():
        asked_s = float(stage.subject.ask("cut", START_S)["asked_s"])
        dark = _until(hall, lambda dark: dark.on == 0, "the site was not dark", DARK_S)
        stage.subject.kill()
    stage.launch()
    holds = stage.state()["cuts"] == 1 and msgspec.convert(hall.ask("dark", START_S), Dark).on == 0
    stage.close()
    hall.stop()
    first_s, last_s = dark.first_s or asked_s, dark.last_s or asked_s
    return CutSite(outlets, database, round(first_s - asked_s, 3), round(last_s - asked_s, 3), holds)


def _until(hall: Child, true: Callable[[Dark], bool], what: str, within_s: float = START_S) -> Dark:
    end_s = time.monotonic() + within_s
    while not true(dark := msgspec.convert(hall.ask("dark", START_S), Dark)):
        if time.monotonic() > end_s:
            raise NoGround(f"{what}: {dark}")
        time.sleep(LOOK_S)
    return dark


def cut_site(
    outlets: Annotated[int, typer.Option(min=1, max=2_000, help="how many charge")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="one line a state of the database")] = False,
) -> None:
    """From the ask to the last relay open. Example: anchong bench cut-site --outlets 200 --json"""
    figures = []
    with spoken():
        for database in DATABASES:
            with ground() as at:
                figures.append(measured(at, outlets, database))
            typer.echo(msgspec.json.encode(figures[-1]).decode() if as_json else _line(figures[-1]))
    raise typer.Exit(0 if all(figure.all_s <= GOAL_S and figure.holds for figure in figures) else 1)


def _line(figure: CutSite) -> str:
    holds = "holds after a kill" if figure.holds else "does NOT hold after a kill"
    return (
        f"{figure.outlets} outlets, database {figure.database:7}: first dark after {figure.first_s:.3f} s, "
        f"all after {figure.all_s:.3f} s; {holds}"
    )
