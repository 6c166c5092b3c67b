"""`anchong bench bus-budget`: what a bus with these settings may carry, by computation; `bench bus` measures one."""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
import typer

from anchong.bench.ground import spoken
from firmware_bridge import budget
from firmware_bridge.drivers import coils, lc, waveshare
from firmware_bridge.drivers.bus_meters import METERS
from firmware_bridge.transports.pace import Pace

BOARDS = (waveshare.NAME, lc.NAME, coils.NAME)


class Row(msgspec.Struct, frozen=True):
    """Seconds, with so many outlets of boards of eight. `off_dead_s`: the unit just asked is dead."""

    board: str
    meter: str
    outlets: int
    outlets_max: int
    cycle_s: float
    off_s: float
    off_dead_s: float
    offs_s: float
    renewals_s: float


def rows(pace: Pace, outlets: int, lease_s: float) -> Iterator[Row]:
    for board in BOARDS:
        for meter in METERS:
            of = budget.of(pace, budget.boards_of(board, meter, outlets), lease_s)
            most = budget.outlets_max(pace, board, meter, lease_s)
            times = (of.cycle_s, of.off_s, of.off_dead_s, of.offs_s, of.renewals_s)
            yield Row(board, meter, outlets, most, *(round(seconds, 3) for seconds in times))


def bus_budget(
    baud: Annotated[int, typer.Option(min=300, max=1_000_000, help="of the line")] = 9600,
    parity: Annotated[Literal["N", "E", "O"], typer.Option(help="of the line")] = "N",
    turnaround_ms: Annotated[int, typer.Option(min=20, max=5_000, help="as in the settings")] = 200,
    outlets: Annotated[int, typer.Option(min=1, max=255, help="on the bus")] = 16,
    lease_s: Annotated[float, typer.Option(min=15, max=900, help="of each outlet")] = 120.0,
    as_json: Annotated[bool, typer.Option("--json", help="one line a board and meter")] = False,
) -> None:
    """How late an OFF may be, and how many outlets a bus carries. Example: anchong bench bus-budget --baud 2400"""
    pace = Pace(baud, parity, turnaround_s=turnaround_ms / 1000)
    with spoken():
        for row in rows(pace, outlets, lease_s):
            typer.echo(msgspec.json.encode(row).decode() if as_json else _told(row))


def _told(row: Row) -> str:
    return (
        f"{row.board:16} {row.meter:12} at most {row.outlets_max:3}; with {row.outlets}: round {row.cycle_s:6.2f} s, "
        f"OFF {row.off_s:.3f} s (beside a dead unit {row.off_dead_s:.3f}), all OFFs {row.offs_s:.2f} s, "
        f"all renewals {row.renewals_s:.2f} s"
    )
