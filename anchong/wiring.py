"""The composition root: the real parts, put together once, and the threads that drive them."""

import gc
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import structlog

from controller.batches import Batch
from controller.clock import Clock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.notices import KIND
from controller.core.state import Phase, Rules, Session
from controller.couriers import Couriers
from controller.engine import Engine
from controller.feed import Feed
from controller.figures import QUICK_S, Histogram
from controller.inbox import Inbox
from controller.journal import Journal
from controller.notices import Notices
from controller.outbox import Account, Outbox
from controller.owner import Taken
from controller.ports import CardReaders, Notifier, PaymentProvider
from controller.postman import Postman
from controller.queries import Queries
from controller.readiness import Readiness
from controller.rights import Rights
from controller.store import Store
from controller.views import Board
from controller.writer import Writer
from firmware_bridge.drivers import ON_BROKER, ON_BUS
from firmware_bridge.gate import Gates
from firmware_bridge.router import Router
from firmware_bridge.routers import BROKER, Routers
from firmware_bridge.wire import Family, Pile, Transport

log = structlog.get_logger()

SWITCH_INTERVAL_S = 0.0005  # how long one thread may keep the interpreter: the tail of a cut is made of it
IDLE_S = 0.5
CROWDED_S = 0.001  # a fact then; the decider thinks about several in this time
ROUND_S = 0.02  # between one handful of questions and the next


def spare_what_stands() -> None:
    """For a process that has started: what is there now stays, and the collector need not walk through it again."""
    gc.collect()
    gc.freeze()


def _down(links: list[str]) -> str:
    """For people; a bus is called by its name."""
    if BROKER in links:
        return "the link to the broker is down: no outlet behind it can be reached"
    return f"no outlet can be reached on bus {', '.join(links)}" if links else ""


class Plan(msgspec.Struct, frozen=True):
    """What a gateway is made of."""

    clock: Clock
    rules: Rules
    database: str
    journal: Path
    name: str
    providers: Mapping[str, PaymentProvider]
    accounts: Mapping[str, Account]
    notifier: Notifier | None = None  # None: nobody can be written to
    postman: Postman = msgspec.field(default_factory=Postman)  # without a key of ours secrets end with the process


class Gateway:
    """The parts of one gateway. `step` drives them by hand; `start` gives each its thread."""

    def __init__(
        self,
        plan: Plan,
        transport: Transport | None,
        settled: Callable[[Session], None] | None = None,
        families: Mapping[str, Family] = ON_BROKER,
        fatal: Callable[[], None] = lambda: None,
        stepped: Callable[[], None] = lambda: None,
        buses: Mapping[str, Transport] | None = None,
    ) -> None:
        self.plan = plan
        self.families = {**families, **ON_BUS}
        self.board = Board()
        self.store = Store(plan.database, plan.name)
        self.store.create()
        loaded = self.store.load()
        self.gates = Gates(plan.clock.now, plan.rules.no_power_w)
        self.journal = Journal(plan.journal)
        self.links = {**({} if transport is None else {BROKER: transport}), **(buses or {})}
        inbox = Inbox()
        self.step_s, self.guard_cut_s, self.decider_cut_s = (Histogram(QUICK_S) for _ in range(3))
        self.router = Routers(
            {
                name: Router(
                    families if name == BROKER else ON_BUS, link, self.gates, plan.clock.now, self._hear, self._tripped
                )
                for name, link in self.links.items()
            }
        )
        self.engine = Engine(
            loaded.house, plan.rules, self.gates, self.router, self.board, plan.name, inbox, self.journal.put
        )
        self.outbox = Outbox(plan.providers, plan.accounts, plan.clock, inbox.tell)
        self.feed = Feed(self.store.newest_fed())
        self.queries = Queries(plan.database)
        self.notices = Notices(plan.notifier, self.queries.address, plan.clock, inbox.tell)
        self.rights = Rights()
        self.couriers = Couriers(self.feed, self.queries.links, plan.postman, plan.clock, inbox.tell)
        self.writer = Writer(self.store, self._release, self._committed, self.feed)
        self.readers: CardReaders | None = None  # those at this gateway, once they are put together with it
        self._settled = settled
        self._loaded = loaded
        self._readiness = Readiness()
        self._stepped = stepped
        self.broken = False
        self._fatal = fatal
        self._stopping = threading.Event()
        self._errands = threading.Event()
        self._news = threading.Event()
        self._threads: list[threading.Thread] = []

    # -- the door -------------------------------------------------------------------------------------------------

    def tell(self, event: ev.Event) -> None:
        self.engine.inbox.tell(event)

    def ask(self, event: ev.Event, found: Mapping[str, Any] | None = None) -> "Future[dict[str, Any]]":
        return self.engine.inbox.ask(event, found)

    def _hear(self, event: ev.Event) -> None:
        """From a link's thread. When more facts come than can be thought about, the broker keeps the rest a while."""
        self.engine.inbox.tell(event)
        if not isinstance(event, ev.Reading) and self.engine.inbox.crowded():
            self._stopping.wait(CROWDED_S)

    # -- from disk ------------------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Piles known, sessions taken up again, errands that were owed owed again."""
        self.journal.open()
        for pile in self.piles():
            self.router.open(pile)
        now = self.plan.clock.now()
        sessions = self._loaded.sessions
        trips = self.journal.since({session.outlet: session.opened_at for session in sessions})
        held = self.store.unwritten(self.journal.held())
        newest_at, failed = self._loaded.newest_at, self.journal.failed
        self.engine.restore(sessions, trips, now, newest_at, failed, held)
        for wish in self._loaded.wishes:
            self._owe(wish)
        self._loaded = msgspec.structs.replace(self._loaded, sessions=(), wishes=())  # by now they are the past

    def retained_commands(self) -> list[str]:
        return [address for pile in self.piles() for address in self.families[pile.family].retained_commands(pile)]

    def piles(self) -> list[Pile]:
        return [Pile(*row) for row in self.store.piles()]

    # -- one thread or many ---------------------------------------------------------------------------------------

    def step(self) -> Batch | None:
        began_s, known = time.perf_counter(), self.board.health
        batch = self.engine.step(self.plan.clock.now())
        self.step_s.observe(time.perf_counter() - began_s)
        for reading_s in self.engine.cuts:
            self.decider_cut_s.observe(self._since_s(reading_s))
        if self.board.health is not known:
            self.board.checks = self._readiness.look(self._amiss(), self.board.health.at)
        self._stepped()
        return batch

    def _tripped(self, trip: ev.Tripped) -> None:
        """Its OFF has left."""
        self.guard_cut_s.observe(self._since_s(trip.steady_s))
        self.journal.put(trip)

    def _since_s(self, steady_s: float) -> float:
        return self.plan.clock.wait_s(self.plan.clock.now().steady_s - steady_s)

    def _amiss(self) -> dict[str, str]:
        """What keeps something new from starting, by condition; empty where all is well."""
        health, rules = self.board.health, self.plan.rules
        late = health.database_away_s > rules.db_away_s
        mistrust = "our clock can't be believed: it stepped, or is behind the records"
        return {
            "decider": "",  # it has just stepped; whoever reads this later sees when that was
            "clock": "" if health.clock_trusted else mistrust,
            "database": f"{self.writer.failures} commits in a row have failed" if self.writer.failures else "",
            "writer": f"the oldest batch has waited {health.database_away_s:.0f} s for its commit" if late else "",
            "link": _down(self.router.down),
            "journal": "the trip journal can't be written: no charge would be resumed" if self.journal.failed else "",
        }

    def start(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self.restore()
        self._thread("journal", self.journal.run)
        self._thread("writer", lambda: self.writer.run(self._stopping.wait))
        self._thread("errands", lambda: self._run_due(self.outbox, self._errands))
        self._thread("notices", lambda: self._run_due(self.notices, self._news))
        self._thread("decider", self._decide)
        self._thread("rounds", self._run_rounds)
        self.couriers.start()
        self.router.listen_for_unknown()
        for name, link in self.links.items():
            router = self.router.of[name]
            link.start(router.receive, router.linked)

    def stop(self) -> None:
        """Leaves charges to their leases: a gateway that comes back takes them up again."""
        self._stopping.set()
        self._errands.set()
        self._news.set()
        self.engine.inbox.waiting.set()
        for link in self.links.values():
            link.stop()
        self.couriers.stop()
        self.writer.stop()
        self.journal.stop()
        for thread in self._threads:
            thread.join(5.0)
        self.queries.close()
        self.store.close()

    def _thread(self, name: str, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=lambda: self._guarded(run), name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _guarded(self, run: Callable[[], None]) -> None:
        """A thread that dies of a bug takes the gateway with it: leases cut, and a restart begins from disk."""
        try:
            run()
        except Taken as taken:
            self.broken = True
            self.gates.off_all()
            log.critical("the database is no longer ours: everything is off, the gateway stops", error=str(taken))
            self._fatal()
        except Exception:
            self.broken = True
            log.critical("a thread has died; the gateway stops", thread=threading.current_thread().name, exc_info=True)
            self._fatal()

    def _decide(self) -> None:
        while not self._stopping.is_set():
            batch = self.step()
            if batch is not None:
                self.writer.put(batch)
            if self.engine.inbox.full():
                self.gates.off_all()
                raise RuntimeError("more facts than can be thought about: everything is off")
            self.engine.inbox.waiting.wait(self._idle_s())

    def _idle_s(self) -> float:
        due_s = self.engine.next_due_s()
        if due_s is None:
            return IDLE_S
        return min(IDLE_S, max(0.001, self.plan.clock.wait_s(due_s - self.plan.clock.now().steady_s)))

    def _run_due(self, errands: Outbox | Notices, news: threading.Event) -> None:
        while not self._stopping.is_set():
            news.clear()
            errands.run_due()
            due_at = errands.next_due_at()
            idle_s = 60.0 if due_at is None else due_at - self.plan.clock.now().at
            news.wait(min(IDLE_S * 2, max(0.01, self.plan.clock.wait_s(idle_s))))

    def _run_rounds(self) -> None:
        """Asks the piles that report too seldom by themselves; one that is adopted meanwhile waits a moment."""
        while not self._stopping.is_set():
            self.router.ask_round()
            next_s = self.router.next_round_s()
            wait_s = IDLE_S if next_s is None else self.plan.clock.wait_s(next_s - self.plan.clock.now().steady_s)
            self._stopping.wait(min(IDLE_S, max(ROUND_S, wait_s)))

    # -- after the commit -----------------------------------------------------------------------------------------

    def _committed(self, batch: Batch) -> None:
        self.engine.committed(batch.number)
        if self._settled is None:
            return
        for row in batch.rows:
            if isinstance(row, fx.SaveSession) and row.session.phase is Phase.SETTLED:
                self._settled(row.session)

    def _release(self, effect: fx.Effect) -> None:
        if isinstance(effect, fx.SwitchOn):
            self.gates.on(effect)
        elif isinstance(effect, fx.PileAdopted):
            self.router.adopted(effect)
        elif isinstance(effect, fx.PileReplaced):
            self.router.replaced(effect)
        elif isinstance(effect, fx.Wish):
            self._owe(effect)
        elif isinstance(effect, fx.Put) and effect.table == "hook":
            self.couriers.changed(effect.values)
        elif isinstance(effect, fx.Drop) and effect.table == "hook":
            self.couriers.dropped(effect.key)
        else:
            self.rights.written(effect)

    def _owe(self, wish: fx.Wish) -> None:
        """A hook's slot only keeps its place: its courier carries out the rest."""
        if wish.kind == KIND:
            self.notices.put(wish)
            self._news.set()
        elif wish.kind != "hook":
            self.outbox.put(wish)
            self._errands.set()
