"""`anchong scan`: who is on a line that no gateway has open. It asks, and switches nothing."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from anchong.logs import quiet
from controller.clock import RealClock
from controller.ports import Scanned
from firmware_bridge.drivers import ON_BUS
from firmware_bridge.scan_alone import scan_alone
from firmware_bridge.transports.pace import Pace
from firmware_bridge.transports.serial import SerialBus

BUS = "line"
USUAL = ("9600,N", "2400,E", "9600,E", "2400,N", "4800,N", "19200,N")
OPENS_S = 3.0


def scan(
    port: Annotated[str, typer.Option(help="/dev/serial/by-id/…, rfc2217://host:port or socket://host:port")],
    at: Annotated[str, typer.Option(help=f"baud and parity, as 9600,N; or usual, for {' '.join(USUAL)}")] = USUAL[0],
    for_s: Annotated[float, typer.Option(min=1.0, help="so long at each; all addresses take about 17 minutes")] = 90.0,
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable, one line for each setting")] = False,
) -> None:
    """Who is on this line. Example: anchong scan --port /dev/ttyUSB0 --at usual"""
    quiet()
    if "://" not in port and not Path(port).exists():
        _refuse(f"--port {port}: is not there; `anchong doctor` lists those that are")
    for settings in USUAL if at == "usual" else (at,):
        shown: set[str] = set()
        last = None
        for last in _scanned(port, _pace(settings), for_s):
            shown |= set() if as_json else _tell(settings, last, shown)
        _conclude(settings, last, as_json)


def _pace(settings: str) -> Pace:
    baud, _, parity = settings.upper().partition(",")
    if not baud.isdigit() or not 300 <= int(baud) <= 115_200 or parity not in ("N", "E", "O"):
        _refuse(f"--at {settings}: must be baud and parity, as 9600,N or 2400,E; or usual")
    return Pace(int(baud), parity)


def _refuse(why: str) -> None:
    typer.echo(why, err=True)
    raise typer.Exit(2)


def _scanned(port: str, pace: Pace, for_s: float) -> Iterator[Scanned]:
    clock, line = RealClock(), SerialBus(BUS, port, pace)
    began_s = clock.now().steady_s
    for told in scan_alone(BUS, line, ON_BUS, clock.now, threading.Event().wait):
        yield told
        took_s = clock.now().steady_s - began_s
        if took_s >= OPENS_S and not line.opened:
            _refuse(f"--port {port}: can't be opened; another program may have it, or this user no right to it")
        if took_s >= for_s:
            return


def _tell(settings: str, told: Scanned, shown: set[str]) -> set[str]:
    """What is new."""
    found = [f"{settings}  {name.replace(f'{BUS}/', '')}" for name in told.found]
    odd = [f"{settings}  {odd.address.replace(f'{BUS}/', '')}: answers, but {odd.fault}" for odd in told.odd]
    for line in [*found, *odd]:
        if line not in shown:
            typer.echo(line)
    return {*found, *odd}


def _conclude(settings: str, told: Scanned | None, as_json: bool) -> None:
    if told is None:
        return
    if as_json:
        typer.echo(json.dumps({"at": settings, **msgspec.to_builtins(told)}))
    else:
        typer.echo(f"{settings}: {len(told.found)} found with {told.asked} of {told.total} questions", err=True)
