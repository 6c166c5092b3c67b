"""The figures we publish, each from one command, as JSON: one file a command, on a ground of real parts."""

import typer

from anchong.bench.bus import bus
from anchong.bench.bus_budget import bus_budget
from anchong.bench.bus_soak import bus_soak
from anchong.bench.cut import cut
from anchong.bench.cut_site import cut_site
from anchong.bench.dangers import dangers
from anchong.bench.finish import finish
from anchong.bench.ingest import ingest
from anchong.bench.machine import machine
from anchong.bench.memory import memory
from anchong.bench.off import off
from anchong.bench.restart import restart
from anchong.bench.start import start
from anchong.bench.storm import storm

bench = typer.Typer(no_args_is_help=True, help="The figures we publish, as JSON.")
for command in (
    off,
    ingest,
    cut,
    cut_site,
    start,
    restart,
    memory,
    storm,
    finish,
    dangers,
    bus,
    bus_budget,
    bus_soak,
    machine,
):
    bench.command()(command)


@bench.callback()
def _bench() -> None:
    """The figures we publish, as JSON."""
