"""`anchong bench restart`: kill -9 with sessions under way, then from the next start to every lease renewed.

The plugs go on as real ones do: a report every ten seconds, an answer when they are asked. A lease counts as renewed
when the plug has the command.
"""

import time
from typing import Annotated

import msgspec
import typer

from anchong.bench.cut import prepared
from anchong.bench.ground import Child, Ground, NoGround, ground, spoken
from anchong.bench.stage import START_S, Stage
from simulators.chorus import Leases, Start

GOAL_S = 10.0
LOOK_S = 0.1


class Restart(msgspec.Struct, frozen=True):
    """Seconds from the start of the process: to the first lease renewed and to the last; `offs` would be a fault."""

    sessions: int
    first_s: float
    all_s: float
    offs: int
    longest_lease_s: float


def measured(at: Ground, sessions: int, report_s: float = 10.0) -> Restart:
    template = prepared(at, sessions, 0)
    chorus = at.child("simulators.chorus")
    chorus.ask(Start(at.port, sessions, sessions, report_s), START_S)
    at.say(f"{sessions} sessions: the first life")
    stage = Stage(at, "gateway", sessions, template)
    stage.until(lambda state: state["ready"], "not every session was charging")
    at.say(f"{sessions} sessions: killed, and started again")
    stage.subject.kill()
    chorus.ask("forget", START_S)
    since_s = time.monotonic()
    stage.launch()
    renewed = _renewed(chorus, sessions, since_s)
    stage.close()
    chorus.stop()
    return _figure(sessions, since_s, renewed)


def _renewed(chorus: Child, sessions: int, since_s: float) -> Leases:
    while True:
        leases = msgspec.convert(chorus.ask("how many", START_S), Leases)
        if leases.renewed >= sessions:
            return leases
        if time.monotonic() - since_s > START_S:
            raise NoGround(f"{leases.renewed} of {sessions} leases were renewed in {START_S:.0f} s")
        time.sleep(LOOK_S)


def _figure(sessions: int, since_s: float, leases: Leases) -> Restart:
    first_s, last_s = leases.first_s or since_s, leases.last_s or since_s
    times = (round(first_s - since_s, 2), round(last_s - since_s, 2))
    return Restart(sessions, *times, leases.offs, round(leases.longest_s, 2))


def restart(
    sessions: Annotated[int, typer.Option(min=1, max=20_000, help="how many are under way")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="one line")] = False,
) -> None:
    """From kill -9 to every lease renewed. Example: anchong bench restart --sessions 10000 --json"""
    with spoken(), ground() as at:
        figure = measured(at, sessions)
    typer.echo(msgspec.json.encode(figure).decode() if as_json else _line(figure))
    raise typer.Exit(1 if figure.all_s > GOAL_S or figure.offs else 0)


def _line(figure: Restart) -> str:
    return (
        f"{figure.sessions} sessions: first renewed after {figure.first_s:.2f} s, all after {figure.all_s:.2f} s; "
        f"{figure.offs} OFFs; at most {figure.longest_lease_s:.1f} s from one renewal of a plug to its next"
    )
