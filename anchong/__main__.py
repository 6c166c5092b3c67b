"""`anchong`: one command line, one file a command."""

import typer

from anchong.bench import bench
from anchong.capture import capture
from anchong.commission import commission
from anchong.conformance import conformance
from anchong.decode import decode
from anchong.demo import demo
from anchong.diagnose import diagnostics
from anchong.doctor import doctor
from anchong.evidence import evidence
from anchong.ledger import ledger
from anchong.logs import plain
from anchong.migrate import migrate
from anchong.move_database import move_database
from anchong.replay import replay
from anchong.run import run
from anchong.scan import scan
from anchong.sim import sim
from anchong.sniff import sniff
from anchong.world import world

ABOUT = "The gateway that makes e-bike charging in a compound safe and honest."

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=ABOUT)
for command in (
    demo,
    run,
    sim,
    world,
    decode,
    scan,
    capture,
    sniff,
    replay,
    evidence,
    doctor,
    commission,
    conformance,
    diagnostics,
    migrate,
    move_database,
):
    app.command()(command)
for group, name in ((bench, "bench"), (ledger, "ledger")):
    app.add_typer(group, name=name)


def main() -> None:
    plain()  # on standard error: what a command answers goes to standard output
    app(prog_name="anchong")


if __name__ == "__main__":
    main()
