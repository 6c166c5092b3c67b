"""A real gateway over a broker and lines in memory, with any number of twins, driven by hand: adopt, prove, sell."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from anchong.wiring import Gateway, Plan
from controller.clock import HandClock
from controller.core import events as ev
from controller.core.reasons import StopReason
from controller.core.state import Outlet, Rules, Session
from controller.queries import Queries
from firmware_bridge.drivers import ON_BUS
from firmware_bridge.transports.memory import MemoryBroker, MemoryTransport
from firmware_bridge.transports.memory_bus import MemoryBus
from firmware_bridge.transports.pace import Pace
from firmware_bridge.wire import Message
from simulators.twins.contact import Fault, Meddling, Publish
from simulators.twins.line import Line
from simulators.twins.twin import Twin

BANDS = [{"name": "all", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}]
SITE = {"name": "Garden", "zone": "Asia/Shanghai", "merchant": "m", "bands": BANDS}
FUND_FEN = 5_000


class Lamp:
    def __init__(self, power_w: float) -> None:
        self.power_w = power_w

    def draw_w(self, dt_s: float) -> float:
        return self.power_w


class Yard:
    """Time moves by `run` alone, from one thing that is due to the next. `lines` are its buses, by their names."""

    def __init__(self, folder: Path, rules: Rules | None = None, lines: Mapping[str, Line] | None = None) -> None:
        self.clock = HandClock()
        self.lines = lines or {}
        self.buses = {name: self._bus(line) for name, line in self.lines.items()}
        self.broker = MemoryBroker()
        self.twins: list[Twin] = []
        self.said: list[Message] = []  # all that devices have published
        self.database = f"sqlite:///{folder / 'yard.sqlite3'}"
        self.plan = plan = Plan(
            clock=self.clock,
            rules=rules or Rules(),
            database=self.database,
            journal=folder / "trips",
            name="yard",
            providers={},
            accounts={},
        )
        self.settled: list[Session] = []
        self.transport = MemoryTransport(self.broker, "gateway")
        self.gateway = Gateway(plan, self.transport, self.settled.append, buses=self.buses)
        self._queries = Queries(self.database)
        self._keys = 0

    def open(self) -> None:
        """The gateway comes; devices may be there already."""
        self.gateway.restore()
        self.gateway.router.listen_for_unknown()
        self.transport.start(self.gateway.router.receive, self.gateway.router.linked)
        for name, bus in self.buses.items():
            bus.now_s = self.clock.now().steady_s
            bus.start(self.gateway.router.of[name].receive, self.gateway.router.of[name].linked)
        self.turn()
        self.change(ev.Change.SITE, "s", **SITE)
        self.change(ev.Change.CARD, "c", uid="E9F35959", printed="1")

    def stop(self) -> None:
        self._queries.close()
        self.gateway.stop()

    # -- devices --------------------------------------------------------------------------------------------------

    def connect(self, twin: Twin) -> Twin:
        self.twins.append(twin)
        receive = lambda m: self.say(twin, twin.receive(m.address, m.payload, m.retained, self.clock.now().at))  # noqa: E731
        self.broker.connect(twin.mac, receive)
        for pattern in twin.subscriptions():
            self.broker.subscribe(twin.mac, pattern)
        self.say(twin, twin.start(self.clock.now().at))
        return twin

    def say(self, twin: Twin, said: Iterable[Publish]) -> None:
        for one in said:
            message = Message(one.topic, one.payload, one.retain)
            self.said.append(message)
            self.broker.publish(twin.mac, message)

    def meddle(self, twin: Twin, what: Meddling, channel: int = 0, watts: int = 0) -> None:
        for one in twin.meddled(what, channel, watts):
            self.broker.publish("gateway", Message(one.topic, one.payload))
        self.turn()

    def inject(self, twin: Twin, fault: Fault) -> None:
        self.say(twin, twin.inject(fault, self.clock.now().at))
        self.turn()

    def plug(self, twin: Twin, channel: int, power_w: float) -> None:
        self.say(twin, twin.plug(channel, Lamp(power_w), self.clock.now().at))
        self.turn()

    # -- buses ----------------------------------------------------------------------------------------------------

    def _bus(self, line: Line) -> MemoryBus:
        now = self.clock.now()
        return MemoryBus(Pace(), lambda request, now_s: line(request, now_s - now.steady_s + now.at))

    def find(self, name: str) -> None:
        """Every unit of a line, as a scan that asks at their addresses would."""
        for unit in self.lines[name].units:
            for family in ON_BUS.values():
                try:
                    probes = family.probes(f"{name}/{unit.address}")
                except ValueError:
                    continue  # it speaks another protocol
                for probe in probes:
                    self.buses[name].send(probe)
                self.run(2.0)

    def adopt_board(self, name: str, board: str, meters: Iterable[str], **more: object) -> list[str]:
        """One outlet for each of these meters (`family:bus/unit`), on the first relays of a board that was found."""
        keys = list(meters)
        (found,) = [id_ for id_, row in self.house.found.items() if row["address"] == f"{name}/{board}"]
        spare = [""] * (self.house.found[found]["channels"] - len(keys))
        outlets = [f"{name}-{len(self.house.outlets) + channel}" for channel in range(len(keys) + len(spare))]
        values = {"site": "s", "name": f"Board {board}", "pile": f"p-{name}-{board}", "outlets": outlets}
        values |= {"numbers": [*outlets[: len(keys)], *spare], "meters": [*keys, *spare]}
        self.change(ev.Change.ADOPT, found, **values, stickers=[f"st-{outlet}" for outlet in outlets], **more)
        return outlets[: len(keys)]

    def at(self, name: str) -> tuple[Line, float]:
        """The line, brought to this moment, and that moment as its methods want it."""
        line, now_s = self.lines[name], self.clock.now().at
        line.advance(now_s)
        return line, now_s

    # -- time -----------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """All that is to be done at this moment."""
        self._carry()
        while (batch := self.gateway.step()) is not None:
            self.gateway.writer.write(batch)
            self._carry()
        self.gateway.router.ask_round()
        self._carry()

    def _carry(self) -> None:
        now_s = self.clock.now().steady_s
        self.broker.pump(now_s)
        for bus in self.buses.values():
            bus.run(now_s)

    def run(self, seconds: float) -> None:
        end_s = self.clock.now().steady_s + seconds
        while (left_s := end_s - self.clock.now().steady_s) > 0:
            self.clock.advance(min(left_s, max(0.001, self._next_s() - self.clock.now().steady_s)))
            for twin in self.twins:
                self.say(twin, twin.advance(self.clock.now().at))
            self.turn()

    def _next_s(self) -> float:
        now = self.clock.now()
        wakes_s = [twin.next_wake_s() - now.at + now.steady_s for twin in self.twins]
        ours_s = [self.gateway.engine.next_due_s(), self.gateway.router.next_round_s()]
        ours_s += [bus.next_due_s() for bus in self.buses.values()]
        waits = self.gateway.engine.inbox.waiting.is_set()
        return min(1e12, *wakes_s, *(due_s for due_s in ours_s if due_s is not None), now.steady_s if waits else 1e12)

    def runs_until(self, true: Callable[[], object], within_s: float = 200.0) -> None:
        for _ in range(round(within_s * 2)):
            if true():
                return
            self.run(0.5)
        pytest.fail(f"not within {within_s} s")

    # -- people ---------------------------------------------------------------------------------------------------

    def ask(self, event: ev.Event) -> "Future[dict[str, Any]]":
        asked = self.gateway.ask(event, self._queries.known(event))
        self.turn()
        return asked

    def change(self, change: ev.Change, subject: str, **values: object) -> dict[str, Any]:
        key = self._key()
        event = ev.StaffChange(**self._stamp(), key=key, by="staff:o", change=change, subject=subject, values=values)
        return self.ask(event).result(0)

    def adopt(self, twin: Twin, channels: int = 1) -> list[str]:
        """The ids of its outlets, which begin with its family."""
        outlets = [f"{twin.family}-{len(self.house.outlets) + channel}" for channel in range(channels)]
        values = {"site": "s", "name": f"Pile {twin.mac}", "numbers": outlets, "outlets": outlets}
        stickers = [f"st-{outlet}" for outlet in outlets]
        self.change(ev.Change.ADOPT, f"{twin.family}:{twin.mac}", pile=f"p-{twin.mac}", stickers=stickers, **values)
        return outlets

    def prove(self, outlet: str) -> Outlet:
        """Commissioned, for better or worse."""
        self.run(12.0)
        self.change(ev.Change.COMMISSION, outlet)
        self.runs_until(lambda: self.house.outlets[outlet].phase != "proving", 300.0)
        proven: Outlet = self.house.outlets[outlet]
        return proven

    def step(self, outlet: str) -> str:
        """Of its commissioning; "" where none is under way."""
        proving = self.house.outlets[outlet].proving
        return "" if proving is None else str(proving.step)

    def sells(self, twin: Twin) -> list[str]:
        """Adopted, proven and open."""
        outlets = self.adopt(twin)
        for outlet in outlets:
            proven = self.prove(outlet)
            assert proven.phase == "commissioned", proven.failed
            self.change(ev.Change.OPEN, outlet)
        return outlets

    def begin(self, outlet: str) -> None:
        """A charge by card, as a reader anywhere would begin it."""
        self.ask(ev.CardToppedUp(**self._stamp(), key=self._key(), by="staff:o", card="c", amount_fen=FUND_FEN)).result(
            0
        )
        self.ask(ev.CardTapped(**self._stamp(), outlet=outlet, uid="E9F35959", session=self._key(), key=self._key()))
        self.runs_until(lambda: self.session(outlet) is not None and self.live(outlet).phase == "charging", 60.0)

    def stop_charge(self, outlet: str) -> None:
        live = self.live(outlet)
        reason = StopReason.STOPPED_BY_RESIDENT
        event = ev.StopAsked(
            **self._stamp(), key=self._key(), session=live.id, outlet=outlet, by="party:c", reason=reason
        )
        self.ask(event).result(0)

    @property
    def house(self) -> Any:
        return self.gateway.engine.house

    def session(self, outlet: str) -> Session | None:
        live: Session | None = self.house.sessions.get(outlet)
        return live

    def live(self, outlet: str) -> Session:
        live = self.session(outlet)
        assert live is not None
        return live

    def _key(self) -> str:
        self._keys += 1
        return f"k{self._keys}"

    def _stamp(self) -> dict[str, Any]:
        now = self.clock.now()
        return {"at": now.at, "steady_s": now.steady_s}
