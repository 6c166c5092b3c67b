"""A site of real parts on virtual time: gateway, gates, drivers, twins of both families, a broker in memory.

Each outlet reports at a moment of its own, so that one event is met in several phases. A message takes `LINK_S`;
what busy threads add is measured by `anchong bench cut`.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from random import Random
from typing import Any

from anchong.wiring import Gateway, Plan
from controller.clock import HandClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.reasons import StopReason
from controller.core.state import OutletPhase, Phase, Rules, Session
from firmware_bridge.transports.memory import MemoryBroker, MemoryTransport
from firmware_bridge.wire import Message
from simulators.twins import TWINS
from simulators.twins.contact import FACTOR, MAINS_V, Fault, Load, Publish
from simulators.twins.twin import Twin

BANDS = [{"name": "all", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}]
SITE: dict[str, Any] = {"name": "Drills", "zone": "Asia/Shanghai", "merchant": "m", "bands": BANDS}
FAMILIES = ("tasmota", "shelly")
PAID_FEN = 2000
LINK_S = 0.05  # from a device to the broker, or from us to it
BOOT_S = 10.0  # devices came to life within so long: their reports keep that distance
PROOF_W = 60.0
PROOF_S = 300.0
START_S = 60.0
LOOK_S = 5.0
STEP_S = 10.0  # as far as time goes at once: what a load does by itself is noticed then at the latest


class Unplayed(Exception):
    """The drill did not come to its event: nothing was measured."""


class Steady:
    """A load of one power, until somebody changes it."""

    def __init__(self, power_w: float) -> None:
        self.power_w = power_w

    def draw_w(self, dt_s: float) -> float:
        return self.power_w


class Yard:
    """Time moves by `run` alone, from one thing that is due to the next. An outlet is its twin's only one."""

    def __init__(self, folder: Path, outlets: int, seed: int, rules: Rules | None = None) -> None:
        self.clock = HandClock()
        self.rng = Random(f"drill/{seed}")  # noqa: S311 - seeded, on purpose
        self.rules = rules or Rules()
        self.twins: dict[str, Twin] = {}
        self.settled: list[Session] = []
        self.mains_v, self._factor = MAINS_V, FACTOR
        self.mains: Callable[[float], float] | None = None  # volts by the steady clock; None: they stand still
        self.lit: set[str] = set()  # outlets that have had power since the event
        self.dark_s: dict[str, float] = {}  # when (steady) each of them has lost it for good
        self.alarms: list[tuple[float, str, str]] = []  # since the event: when, where, which
        self.latched_s: dict[str, float] = {}
        self._broker = MemoryBroker(lambda message, now_s: [(LINK_S, message)])
        transport = MemoryTransport(self._broker, "gateway")
        database = f"sqlite:///{folder / 'drill.sqlite3'}"
        plan = Plan(self.clock, self.rules, database, folder / "trips", "drill", {}, {})
        self.gateway = Gateway(plan, transport, self.settled.append)
        raw = self.gateway.store.engine.raw_connection()
        raw.cursor().execute("PRAGMA synchronous = OFF")  # no drill loses its disk
        raw.close()
        self._keys = 0
        self._open(transport)
        for number in range(outlets):
            self._install(number)
        self._prove()

    def close(self) -> None:
        self.gateway.stop()

    # -- as it is on any site: found, adopted, proven, opened ---------------------------------------------------------

    def _open(self, transport: MemoryTransport) -> None:
        self.gateway.restore()
        self.gateway.router.listen_for_unknown()
        transport.start(self.gateway.router.receive, self.gateway.router.linked)
        self._turn()
        self.change(ev.Change.SITE, "s", **SITE)

    def _install(self, number: int) -> None:
        self.run(self.rng.uniform(0.2, BOOT_S))
        family = FAMILIES[number % len(FAMILIES)]
        twin = TWINS[family](f"0000004A{number:04X}", [Steady(PROOF_W)], self.clock.now().at, 1)
        outlet = f"{family}-{number}"
        self.twins[outlet] = twin
        hears = lambda m: self._say(twin, twin.receive(m.address, m.payload, m.retained, self.at))  # noqa: E731
        self._broker.connect(twin.mac, hears)
        for pattern in twin.subscriptions():
            self._broker.subscribe(twin.mac, pattern)
        self._say(twin, twin.start(self.at))
        self.run(1.0)  # it is found
        wanted: dict[str, Any] = {"site": "s", "name": outlet, "numbers": [outlet], "outlets": [outlet]}
        self.change(ev.Change.ADOPT, f"{family}:{twin.mac}", pile=f"p-{outlet}", stickers=[f"st-{outlet}"], **wanted)

    def _prove(self) -> None:
        self.run(12.0)
        for outlet in self.twins:
            self.change(ev.Change.COMMISSION, outlet)
        known = self.gateway.engine.house.outlets
        self.until(lambda: all(known[o].phase is OutletPhase.COMMISSIONED for o in self.twins), PROOF_S, "not proven")
        for outlet in self.twins:
            self.change(ev.Change.OPEN, outlet)

    # -- people -------------------------------------------------------------------------------------------------------

    def charge(self, load: Callable[[], Load], for_s: float) -> None:
        """At every outlet, paid for, and at work for so long."""
        for outlet in self.twins:
            self.plug(outlet, load())
            self._pay(outlet)
        sessions = self.gateway.engine.house.sessions
        self.until(
            lambda: len(sessions) == len(self.twins) and all(one.phase is Phase.CHARGING for one in sessions.values()),
            START_S,
            "not every outlet was charging",
        )
        self.run(for_s)

    def _pay(self, outlet: str) -> None:
        order: dict[str, Any] = {"order": f"O-{outlet}", "amount_fen": PAID_FEN, "provider": "sandbox"}
        wish: dict[str, Any] = {"session": f"S-{outlet}", "outlet": outlet, "party": "p", "max_s": 0, "lang": "zh"}
        self.ask(ev.OrderPlaced(**self.stamp(), key=self._key(), **order, **wish, secret_hash=f"h-{outlet}"))
        money: dict[str, Any] = {"merchant": "m", "app": "a", "txn": f"T-{outlet}", "currency": "CNY"}
        self.ask(ev.PaymentConfirmed(**self.stamp(), key=self._key(), **order, **money))

    def stop(self, outlet: str) -> None:
        session = self.gateway.engine.house.sessions[outlet].id
        why: dict[str, Any] = {"by": "party:p", "reason": StopReason.STOPPED_BY_RESIDENT}
        self.ask(ev.StopAsked(**self.stamp(), key=self._key(), session=session, outlet=outlet, **why))

    def cleared(self) -> None:
        """By the person who looks after what set-up has cut."""
        house = self.gateway.engine.house
        for site in list(house.cuts):
            self.change(ev.Change.RELEASE_SITE, site)
        for outlet in self.twins:
            if house.outlets[outlet].latch is not None:
                self.change(ev.Change.CLEAR_LATCH, outlet)

    def plug(self, outlet: str, load: Load) -> None:
        self._say(self.twins[outlet], self.twins[outlet].plug(0, load, self.at))
        self._turn()

    def change(self, change: ev.Change, subject: str, **values: object) -> None:
        key = self._key()
        self.ask(ev.StaffChange(**self.stamp(), key=key, by="staff:o", change=change, subject=subject, values=values))

    def ask(self, event: ev.Event) -> dict[str, Any]:
        asked: Future[dict[str, Any]] = self.gateway.ask(event, self.gateway.queries.known(event))
        self._turn()
        return asked.result(0)

    def _key(self) -> str:
        self._keys += 1
        return f"k{self._keys}"

    # -- what befalls a device ----------------------------------------------------------------------------------------

    def inject(self, outlet: str, fault: Fault) -> None:
        self._say(self.twins[outlet], self.twins[outlet].inject(fault, self.at))
        self._turn()

    def wire(self, outlet: str, closed: bool) -> None:
        self._say(self.twins[outlet], self.twins[outlet].wire(1, closed, self.at))
        self._turn()

    def meddle(self, outlet: str, said: Iterable[Publish]) -> None:
        """Somebody else on the broker."""
        for one in said:
            self._broker.publish("gateway", Message(one.topic, one.payload))
        self._turn()

    def surround(self, mains_v: float = MAINS_V, factor: float = FACTOR, heat_c: float | None = None) -> None:
        self.mains_v, self._factor = mains_v, factor
        for twin in self.twins.values():
            twin.surround(0, self.at, mains_v, factor, heat_c)

    # -- time ---------------------------------------------------------------------------------------------------------

    @property
    def at(self) -> float:
        return self.clock.now().at

    def stamp(self) -> dict[str, Any]:
        now = self.clock.now()
        return {"at": now.at, "steady_s": now.steady_s}

    def run(self, seconds: float) -> None:
        end_s = self.clock.now().steady_s + seconds
        while (left_s := end_s - self.clock.now().steady_s) > 0:
            self.clock.advance(min(left_s, max(0.001, self._next_s() - self.clock.now().steady_s)))
            if self.mains is not None and (volts := self.mains(self.clock.now().steady_s)) != self.mains_v:
                self.surround(volts, self._factor)
            for twin in self.twins.values():
                self._say(twin, twin.advance(self.at))
            self._turn()

    def until(self, true: Callable[[], bool], within_s: float, what: str) -> None:
        end_s = self.clock.now().steady_s + within_s
        while not true():
            if self.clock.now().steady_s >= end_s:
                raise Unplayed(what)
            self.run(LOOK_S)

    def begins(self) -> float:
        """The event is now: what was seen before does not count."""
        self.lit = {outlet for outlet, twin in self.twins.items() if twin.powered(0)}
        self.dark_s.clear()
        self.alarms.clear()
        self.latched_s.clear()
        return self.clock.now().steady_s

    def _next_s(self) -> float:
        now = self.clock.now()
        wakes_s = [twin.next_wake_s() - now.at + now.steady_s for twin in self.twins.values()]
        gateway = self.gateway
        ours_s = (gateway.engine.next_due_s(), gateway.router.next_round_s(), self._broker.next_due_s())
        return min((now.steady_s + STEP_S, *wakes_s, *(due_s for due_s in ours_s if due_s is not None)))

    def _say(self, twin: Twin, said: Iterable[Publish]) -> None:
        for one in said:
            self._broker.publish(twin.mac, Message(one.topic, one.payload, one.retain))

    def _turn(self) -> None:
        """All that is to be done at this moment."""
        now_s = self.clock.now().steady_s
        self._broker.pump(now_s)
        while (batch := self.gateway.step()) is not None:
            self.alarms += [(now_s, row.outlet, row.kind) for row in batch.rows if isinstance(row, fx.RaiseAlarm)]
            self.gateway.writer.write(batch)
            self._broker.pump(now_s)
        self.gateway.router.ask_round()
        self._broker.pump(now_s)
        self._look(now_s)

    def _look(self, now_s: float) -> None:
        for outlet, twin in self.twins.items():
            if twin.powered(0):
                self.lit.add(outlet)
                self.dark_s.pop(outlet, None)
            elif outlet in self.lit:
                self.dark_s.setdefault(outlet, now_s)
            known = self.gateway.engine.house.outlets.get(outlet)
            if known is not None and known.latch is not None:
                self.latched_s.setdefault(outlet, now_s)

    # -- what became of it --------------------------------------------------------------------------------------------

    def said_of(self, outlet: str) -> str:
        """Why it is dark, in the gateway's own words."""
        done = [one for one in self.settled if one.outlet == outlet]
        session = self.gateway.engine.house.sessions.get(outlet) or (done[-1] if done else None)
        if session is None:
            return ""
        if session.reason is None and session.pause is not None:
            return f"paused:{session.pause.why}"
        return f"{session.reason or ''}{':' + session.rule if session.rule else ''}"

    def alarmed_s(self, outlet: str, kind: str) -> float | None:
        return next((at_s for at_s, where, what in self.alarms if (where, what) == (outlet, kind)), None)
