"""`anchong world`: the real gateway, driven by hand through seeded days of trouble, checked at every step."""

import json
import logging
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from random import Random
from typing import Annotated, Any
from uuid import UUID

import structlog
import typer
from sqlalchemy.exc import OperationalError

from anchong.wiring import Gateway, Plan
from controller.batches import Batch
from controller.core import effects as fx
from controller.core.events import Event
from controller.core.reasons import StopReason
from controller.feed import Kept
from controller.outbox import Account
from controller.queries import Queries
from controller.writer import AWAY, RETRY_S
from firmware_bridge.drivers import anchong1, tasmota
from firmware_bridge.transports.memory import MemoryTransport
from firmware_bridge.wire import Linked, Message, Receive
from simulators.world import run
from simulators.world_cells import counted, unreachable
from simulators.world_ground import APP, CLIENT, MERCHANT, PROVIDER, Death, Ground
from simulators.world_tally import Outcome, Tally

FOREVER_S = float("inf")
ENERGISES = (b" ON", b'"on":true')  # in a command of either family


class WatchedTransport:
    """The memory transport, seen at the last point before the wire; the process may die right after an OFF."""

    def __init__(self, ground: Ground) -> None:
        self.door_open = False
        self._inner = MemoryTransport(ground.broker, CLIENT)
        self._ground = ground

    def start(self, receive: Receive, linked: Linked) -> None:
        self._inner.start(receive, linked)

    def listen(self, pattern: str) -> None:
        self._inner.listen(pattern)

    def send(self, message: Message, urgent: bool = False) -> bool:
        if not (urgent or self.door_open) and any(on in message.payload for on in ENERGISES):
            self._ground.watch.energised_by_nobody(message.address)
        sent = self._inner.send(message, urgent)
        if urgent and sent:
            self._ground.disk.die(Death.AFTER_OFF)
        return sent

    def stop(self) -> None:
        self._inner.stop()

    def restore(self) -> None:
        self._inner.restore()


class HandGateway:
    """One life of the real gateway: the threads' work done in turns, the disk as slow and as mortal as `disk` says."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._transport = WatchedTransport(ground)
        self.gateway = Gateway(_plan(ground), self._transport)
        self.house = self.gateway.engine.house
        _never_synced(self.gateway)
        self._queries = Queries(f"sqlite:///{ground.database}")
        self._queue: deque[tuple[float, Batch]] = deque()
        self._stepping = False
        self._write = self.gateway.store.write
        self.gateway.store.write = self._mortal_write  # type: ignore[method-assign] # a disk of the world's
        self._on, self._renew = self.gateway.gates.on, self.gateway.gates.renew
        self.gateway.gates.on = self._watched_on  # type: ignore[method-assign] # to see what passes
        self.gateway.gates.renew = self._watched_renew  # type: ignore[method-assign] # likewise
        self.gateway.restore()
        self.gateway.router.listen_for_unknown()
        self._transport.start(self.gateway.router.receive, self.gateway.router.linked)

    # -- driven by the world --------------------------------------------------------------------------------------

    def ask(self, event: Event) -> "Future[dict[str, Any]]":
        return self.gateway.ask(event, self._queries.known(event))

    def turn(self) -> None:
        now_s = self._ground.clock.now().steady_s
        self._stepping = True
        batch = self.gateway.step()
        self._stepping = False
        self._write_journal()
        if batch is not None:
            self._queue.append((now_s + self._ground.disk.slow_s, batch))
        self._write_due(now_s)
        self.gateway.outbox.run_due()
        self.gateway.router.ask_round()

    def next_due_s(self) -> float:
        now = self._ground.clock.now()
        due_at = self.gateway.outbox.next_due_at()
        errand_s = FOREVER_S if due_at is None else due_at - now.at + now.steady_s
        step_s = now.steady_s if self.gateway.engine.inbox.waiting.is_set() else self.gateway.engine.next_due_s()
        write_s = self._queue[0][0] if self._queue else FOREVER_S
        round_s = self.gateway.router.next_round_s()
        dues_s = (step_s, round_s)
        return min(errand_s, write_s, *(due_s for due_s in dues_s if due_s is not None))

    def reconnect(self) -> None:
        self._transport.restore()

    def bugs(self) -> list[str]:
        fenced, bad = self.gateway.engine.counts.get("fenced", 0), self.gateway.router.counts.get("bad:bug", 0)
        return [f"{count} {what}" for count, what in ((fenced, "decisions failed"), (bad, "messages failed")) if count]

    def drop(self) -> None:
        self._ground.broker.drop(CLIENT)
        self.gateway.store.close()
        self._queries.close()

    # -- what the threads do in earnest ---------------------------------------------------------------------------

    def _write_journal(self) -> None:
        self.gateway.journal.stop()
        self.gateway.journal.run()

    def _write_due(self, now_s: float) -> None:
        while self._queue and self._queue[0][0] <= now_s:
            batch = self._queue[0][1]
            try:
                self.gateway.writer.write(batch)
            except AWAY:
                self._queue[0] = (now_s + RETRY_S, batch)
                return
            self._queue.popleft()

    def _mortal_write(self, number: str, rows: Iterable[fx.Effect], at: float = 0.0) -> tuple[Kept, ...]:
        disk, rows = self._ground.disk, tuple(rows)
        if disk.away:
            raise OperationalError("the database is away", None, OSError("gone"))
        disk.die(Death.BEFORE_COMMIT)
        kept = self._write(number, self._until_death(rows), at)
        self._ground.watch.committed(rows)
        disk.die(Death.AFTER_COMMIT)
        if disk.loses_answer and any(isinstance(row, fx.Post) for row in rows):
            disk.loses_answer = False
            raise OperationalError("the answer was lost", None, OSError("gone"))
        return kept

    def _until_death(self, rows: tuple[fx.Effect, ...]) -> Iterator[fx.Effect]:
        for at, row in enumerate(rows):
            yield row
            if at >= len(rows) // 2:
                self._ground.disk.die(Death.IN_COMMIT)

    def _watched_on(self, order: fx.SwitchOn) -> bool:
        generation, self._transport.door_open = self.gateway.gates.generation(order.outlet), True
        passed = self._on(order)
        self._transport.door_open = False
        self._ground.watch.switched_on(order, generation, passed)
        return passed

    def _watched_renew(self, order: fx.Renew) -> bool:
        generation, self._transport.door_open = self.gateway.gates.generation(order.outlet), True
        passed = self._renew(order)
        self._transport.door_open = False
        self._ground.watch.renewed(order, generation, passed, self._stepping)
        return passed


def _never_synced(gateway: Gateway) -> None:
    """Processes die in the world, machines don't: what the system was handed is safe, synced or not."""
    connection = gateway.store.engine.raw_connection()
    connection.cursor().execute("PRAGMA synchronous=OFF")
    connection.close()


def _plan(ground: Ground) -> Plan:
    account = Account(PROVIDER, MERCHANT, APP, "http://127.0.0.1/webhooks/sandbox", "http://127.0.0.1/o/{order}")
    return Plan(
        clock=ground.clock,
        rules=ground.rules,
        database=f"sqlite:///{ground.database}",
        journal=ground.folder / "world.trips",
        name="gw",
        providers={PROVIDER: ground.provider},
        accounts={PROVIDER: account},
    )


# -- the command --------------------------------------------------------------------------------------------------


def world(
    seeds: Annotated[str, typer.Option(help="One seed, or a range A..B.")] = "1..20",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
) -> None:
    """Runs the real gateway through seeded days of trouble. Example: anchong world --seeds 1..200 --json"""
    tally, handlers = ran(_range(seeds), None if as_json else _say)
    report = reported(tally, handlers)
    typer.echo(json.dumps(report, ensure_ascii=False) if as_json else _summary(report))
    for violation in tally.violations if as_json else ():
        typer.echo(violation, err=True)
    raise typer.Exit(1 if tally.violations else 0)


def ran(
    seeds: Iterable[int], say: Callable[[Outcome], None] | None = None, brief: bool = False
) -> tuple[Tally, dict[str, int]]:
    """What the seeds came to, and how often each cell of the tables was reached. `brief`: up to a first violation."""
    tally = Tally()
    with counted() as handlers, _quietly():
        for seed in seeds:
            with _repeatably(seed):
                outcome = run(seed, HandGateway, brief)
            tally.add(outcome)
            if say is not None:
                say(outcome)
    return tally, dict(handlers)


@contextmanager
def _repeatably(seed: int) -> Iterator[None]:
    """Ids that drivers make up come from the seed too: the stagger of starts depends on a session's."""
    rng = Random(seed)  # noqa: S311 - guards nothing
    makers = {module: vars(module)["uuid4"] for module in (anchong1, tasmota)}
    for module in makers:
        vars(module)["uuid4"] = lambda: UUID(int=rng.getrandbits(128))
    try:
        yield
    finally:
        for module, maker in makers.items():
            vars(module)["uuid4"] = maker


@contextmanager
def _quietly() -> Iterator[None]:
    """What goes wrong on purpose is not worth a line."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def reported(tally: Tally, handlers: dict[str, int]) -> dict[str, Any]:
    reasons = {str(reason): tally.stop_reasons.get(str(reason), 0) for reason in StopReason}
    return {
        "sessions": tally.sessions,
        "violations": tally.violations,
        "handlers": handlers,
        "stop_reasons": reasons,
        "faults": dict(sorted(tally.faults.items())),
        "unreachable": unreachable(handlers, reasons),
    }


def _say(outcome: Outcome) -> None:
    typer.echo(f"seed {outcome.seed} ({outcome.profile}): {outcome.sessions} sessions")
    for violation in outcome.violations:
        typer.echo(violation)


def _summary(report: dict[str, Any]) -> str:
    sessions, faults, found = report["sessions"], sum(report["faults"].values()), len(report["violations"])
    return f"{sessions} sessions, {faults} faults, {found} violations"


def _range(seeds: str) -> range:
    match = re.fullmatch(r"(\d{1,9})(?:\.\.(\d{1,9}))?", seeds)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if last < first:
        typer.echo(f"--seeds: {seeds!r} is neither a number nor a range like 1..200", err=True)
        raise typer.Exit(2)
    return range(first, last + 1)
