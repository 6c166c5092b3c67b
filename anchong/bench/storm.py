"""`anchong bench storm`: every plug of a large compound comes back at once while residents pay and are served.

All twins charge, each on a connection of its own; they vanish without a goodbye and return together, with discovery,
availability and relay state. Meanwhile payments come in for other outlets, each to be answered and followed by its ON.
"""

import resource
import threading
import time
from typing import Annotated

import msgspec
import typer

from anchong.bench.cut import percentile
from anchong.bench.ground import Child, Ground, NoGround, free_port, ground, spoken
from anchong.bench.site import charging_site
from anchong.bench.stage import START_S, Stage
from anchong.bench.start import paid, told
from simulators import chorus
from simulators import storm as storms

GOAL_MS = 1_000.0
MEMORY_PART = 0.1  # of what it was: the allocator keeps some of what a storm took
MEMORY_BYTES = 8_000_000
SPARE_FILES = 200
LOOK_S = 0.2


class Storm(msgspec.Struct, frozen=True):
    """`back_s` is until all were connected and had subscribed; `dark` had no renewal for longer than a lease."""

    twins: int
    back_s: float
    answer_p99_ms: float
    answer_max_ms: float
    on_max_ms: float
    commands: int
    unanswered: int
    dark: int
    offs: int
    longest_lease_s: float
    rss_before: int
    rss_after: int
    files_before: int
    files_after: int

    @property
    def calm(self) -> bool:
        """All that is promised of a storm."""
        kept = not (self.unanswered or self.dark or self.offs) and max(self.answer_max_ms, self.on_max_ms) < GOAL_MS
        return kept and self.remembers and self.files_after <= self.files_before

    @property
    def remembers(self) -> bool:
        """Memory is back where it was."""
        return self.rss_after <= self.rss_before * (1 + MEMORY_PART) + MEMORY_BYTES


class Paying:
    """Residents who pay while it storms, in a thread of their own."""

    def __init__(self, port: int, numbers: range, per_s: float) -> None:
        self.paid_s: dict[str, float] = {}
        self.answer_ms: list[float] = []
        self.failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(port, numbers, per_s), daemon=True)
        self._thread.start()

    def _run(self, port: int, numbers: range, per_s: float) -> None:
        try:
            self.paid_s, self.answer_ms = paid(port, numbers, per_s)
        except Exception as error:  # noqa: BLE001 - told by whoever waits
            self.failed = error

    def wait(self) -> None:
        self._thread.join(START_S)
        if self.failed is not None:
            raise NoGround(f"a payment was not answered: {self.failed}")


def measured(
    at: Ground, twins: int, payments: int, per_s: float, lease_s: float = 120.0, report_s: float = 10.0
) -> Storm:
    _files_for(twins)
    template = at.folder / f"storm-{twins}.sqlite3"
    at.say(f"{twins} sessions are made")
    charging_site(f"sqlite:///{template}", twins, unpaid=payments, lease_s=lease_s)
    fleet, others = _fleet(at, twins, payments, lease_s, report_s)
    port = free_port()
    stage = Stage(at, "gateway", twins, template, web_port=port)
    stage.until(lambda state: state["ready"], "not every session was charging")
    stage.until(lambda state: state["known"] == twins + payments, "not every outlet was heard")
    time.sleep(report_s)
    before = stage.size()
    at.say(f"{twins} twins are gone, and come back")
    fleet.ask("go", START_S)
    paying = Paying(port, range(twins, twins + payments), per_s)
    since_s = time.monotonic()
    fleet.ask("come", START_S)
    _until(fleet, twins, "connected")
    back_s = time.monotonic() - since_s
    paying.wait()
    told_s = told(others, list(paying.paid_s))
    leases = _until(fleet, twins, "renewed")
    time.sleep(report_s)
    after = stage.size()
    fleet.stop()
    others.stop()
    stage.close()
    on_ms = [(told_s[plug] - paying.paid_s[plug]) * 1000 for plug in paying.paid_s if plug in told_s]
    return Storm(
        twins=twins,
        back_s=round(back_s, 2),
        answer_p99_ms=percentile(paying.answer_ms, 99),
        answer_max_ms=percentile(paying.answer_ms, 100),
        on_max_ms=percentile(on_ms, 100) if on_ms else 0.0,
        commands=len(on_ms),
        unanswered=payments - len(on_ms),
        dark=leases.dark,
        offs=leases.offs,
        longest_lease_s=round(leases.longest_s, 1),
        rss_before=before["rss"],
        rss_after=after["rss"],
        files_before=before["files"],
        files_after=after["files"],
    )


def _fleet(at: Ground, twins: int, payments: int, lease_s: float, report_s: float) -> tuple[Child, Child]:
    """The twins that storm, connected; and the quiet plugs of those who pay."""
    fleet = at.child("simulators.storm")
    fleet.ask(storms.Start(at.port, twins, lease_s, report_s), START_S)
    fleet.ask("come", START_S)
    _until(fleet, twins, "connected")
    others = at.child("simulators.chorus")
    others.ask(chorus.Start(at.port, payments, 0, report_s, twins), START_S)
    return fleet, others


def _until(fleet: Child, twins: int, what: str) -> storms.Leases:
    end_s = time.monotonic() + START_S
    while True:
        answer = fleet.ask("how many", START_S)
        if answer[what] >= twins:
            return msgspec.convert(answer, storms.Leases)
        if time.monotonic() > end_s:
            raise NoGround(f"{answer[what]} of {twins} twins were {what} in {START_S:.0f} s")
        time.sleep(LOOK_S)


def _files_for(twins: int) -> None:
    """The broker and the fleet need an open file for each twin, and inherit our limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = twins + SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise NoGround(f"{twins} twins need {wanted} open files, and this system allows {hard}: ulimit -n")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def storm(
    twins: Annotated[int, typer.Option(min=1, max=20_000, help="that come back at once")] = 10_000,
    payments: Annotated[int, typer.Option(min=1, max=2_000, help="meanwhile, for other outlets")] = 300,
    per_s: Annotated[float, typer.Option(min=0.1, max=100, help="payments a second")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="one line")] = False,
) -> None:
    """A reconnect storm while commands go on. Example: anchong bench storm --twins 10000 --json"""
    with spoken(), ground() as at:
        figure = measured(at, twins, payments, per_s)
    typer.echo(msgspec.json.encode(figure).decode() if as_json else _line(figure))
    raise typer.Exit(0 if figure.calm else 1)


def _line(figure: Storm) -> str:
    return (
        f"{figure.twins} twins back after {figure.back_s:.1f} s; of {figure.commands} payments meanwhile the slowest "
        f"was answered after {figure.answer_max_ms:.0f} ms, the last ON came after {figure.on_max_ms:.0f} ms; "
        f"{figure.dark} dark, {figure.offs} OFFs, longest lease {figure.longest_lease_s:.0f} s; "
        f"{figure.rss_before / 1e6:.0f} MB before, {figure.rss_after / 1e6:.0f} after; "
        f"files {figure.files_before} and {figure.files_after}"
    )
