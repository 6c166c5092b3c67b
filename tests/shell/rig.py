"""The gateway's real parts (engine, writer, gates, a SQLite file) by hand on virtual time, with made-up plugs."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import text

from controller.batches import Batch
from controller.clock import HandClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.reasons import StopReason
from controller.core.state import Card, Outlet, OutletPhase, Rules, Session
from controller.engine import Engine
from controller.rights import Rights
from controller.store import Store
from controller.views import Board
from controller.writer import AWAY, Writer
from firmware_bridge.gate import Gates, Link
from firmware_bridge.wire import Message, SwitchOff, SwitchOn, Wish
from tests.databases import at_end, url_of

BANDS = [{"name": "all", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}]
LOAD_W = 180.0


class Killed(BaseException):
    """kill -9: nothing of the gateway may catch it."""


class Plug:
    """A socket with its own timer and meter: the wire, its driver and the thing itself."""

    def __init__(self, clock: HandClock, outlet: str = "o1") -> None:
        self.outlet = outlet
        self.load_w = 0.0
        self.counter_wh = 1000.0
        self.on = False
        self.welded = False
        self.reachable = True
        self.silent = False
        self.log: list[str] = []
        self.on_off: Callable[[], None] | None = None  # called when an OFF has reached the plug
        self._clock = clock
        self._until_s = 0.0
        self._last_s = clock.now().steady_s
        self._told: bool | None = None

    # -- Driver and Transport --------------------------------------------------------------------------------------

    def listens(self) -> Sequence[str]:
        return [self.outlet]

    def receive(self, message: Message, now: ev.Stamp) -> Iterable[ev.Event]:
        return ()

    def orders(self, wish: Wish) -> Sequence[Message]:
        if isinstance(wish, SwitchOn):
            return [Message(self.outlet, f"on:{wish.lease_s}".encode())]
        return [Message(self.outlet, b"off")] if isinstance(wish, SwitchOff) else []

    def polls(self, now: ev.Stamp) -> Sequence[Message]:
        return ()

    def start(self, receive: Callable[[Message], None], linked: Callable[[bool], None]) -> None:
        return None

    def listen(self, pattern: str) -> None:
        return None

    def stop(self) -> None:
        return None

    def send(self, message: Message, urgent: bool = False) -> bool:
        if not self.reachable:
            return False
        self._live()
        word, _, lease = message.payload.decode().partition(":")
        self.log.append(word)
        self.on = word == "on"
        if self.on:
            self._until_s = self._clock.now().steady_s + float(lease)
        elif self.on_off is not None:
            self.on_off()
        return True

    # -- the thing -------------------------------------------------------------------------------------------------

    @property
    def power_w(self) -> float:
        return self.load_w if self.on or self.welded else 0.0

    def spoken(self) -> list[ev.Event]:
        """What it says now: a relay that changed, and a reading; nothing if it is silent or out of reach."""
        self._live()
        if self.silent or not self.reachable:
            return []
        now = self._clock.now()
        stamp: dict[str, Any] = {"at": now.at, "steady_s": now.steady_s, "outlet": self.outlet}
        said: list[ev.Event] = [] if self._told is self.on else [ev.RelayReported(**stamp, on=self.on)]
        self._told = self.on
        return [*said, ev.Reading(**stamp, power_w=self.power_w, energy_wh=round(self.counter_wh, 3), voltage_v=230.0)]

    def _live(self) -> None:
        """Lets its own time pass: power until the lease ends, nothing after."""
        now_s = self._clock.now().steady_s
        powered_s = now_s - self._last_s
        if self.on and not self.welded:
            powered_s = max(0.0, min(now_s, self._until_s) - self._last_s)
        if self.on or self.welded:
            self.counter_wh += self.load_w * powered_s / 3600
        self.on = self.on and now_s < self._until_s
        self._last_s = now_s


class Rig:
    """One gateway on `folder`'s database. A second Rig on the same folder, clock and plug is the restart."""

    def __init__(
        self,
        folder: Path,
        clock: HandClock | None = None,
        plugs: Iterable[Plug] | None = None,
        rules: Rules | None = None,
        store: type[Store] = Store,
        trips: Mapping[str, tuple[StopReason, dict[str, float]]] | None = None,
        journal_failed: bool = False,
        held: Iterable[ev.Held] = (),
    ) -> None:
        self.folder = folder
        self.clock = clock or HandClock()
        self.plugs = {plug.outlet: plug for plug in (plugs or [Plug(self.clock)])}
        self.rules = rules or Rules()
        self.url = url_of(folder / "a.sqlite3")
        self.wishes: list[fx.Wish] = []
        self.batches: deque[Batch] = deque()
        self.store = store(self.url)
        at_end(self.store.close)
        self.store.create()
        if not self.store.piles():
            Store.write(self.store, "seed", seed(self.plugs, self.clock.now().at, self.rules))
        loaded = self.store.load()
        self.gates = Gates(self.clock.now)
        for plug in self.plugs.values():
            self.gates.add(plug.outlet, Link(plug, plug, 0))
        self.house = loaded.house
        self.kept: list[ev.Tripped] = []  # what went to the trip journal
        self.held: list[ev.Held] = []
        self.engine = Engine(self.house, self.rules, self.gates, self, Board(), keep=self._keep)
        self.rights = Rights()
        self.writer = Writer(self.store, self._release, lambda batch: self.engine.committed(batch.number))
        held = self.store.unwritten(held)
        self.engine.restore(loaded.sessions, trips or {}, self.clock.now(), loaded.newest_at, journal_failed, held)
        self.wishes.extend(loaded.wishes)

    def _keep(self, kept: ev.Tripped | ev.Held) -> None:
        if isinstance(kept, ev.Held):
            self.held.append(kept)
        else:
            self.kept.append(kept)

    def tell(self, order: fx.Provision | fx.AskNow | fx.SetInputs) -> bool:
        """The Errander: plugs here speak at every beat anyway."""
        return True

    def _release(self, effect: fx.Effect) -> None:
        if isinstance(effect, fx.SwitchOn):
            self.gates.on(effect)
        elif isinstance(effect, fx.Wish):
            self.wishes.append(effect)
        else:
            self.rights.written(effect)

    # -- time --------------------------------------------------------------------------------------------------------

    @property
    def plug(self) -> Plug:
        return next(iter(self.plugs.values()))

    def stamp(self) -> dict[str, Any]:
        now = self.clock.now()
        return {"at": now.at, "steady_s": now.steady_s}

    def beat(self, seconds: float = 10.0, times: int = 1) -> None:
        """Time passes and every plug speaks, each reading past its gate first, as the router does it."""
        for _ in range(times):
            self.clock.advance(seconds)
            for plug in self.plugs.values():
                for event in plug.spoken():
                    self.hear(event)
            self.step()

    def hear(self, event: ev.Event) -> None:
        if isinstance(event, ev.Reading):
            gate = self.gates.get(event.outlet)
            trip = gate.observe(event) if gate is not None else None
            if trip is not None:
                self.engine.inbox.tell(trip)
        self.engine.inbox.tell(event)

    def step(self) -> None:
        batch = self.engine.step(self.clock.now())
        if batch is not None:
            self.batches.append(batch)
        self.write()

    def write(self) -> bool:
        """As the writer's thread: in order, and a batch that met an absent database is tried again."""
        while self.batches:
            try:
                self.writer.write(self.batches[0])
            except AWAY:
                return False
            self.batches.popleft()
        return True

    def ask(self, event: ev.Event, found: Mapping[str, Any] | None = None) -> "Future[dict[str, Any]]":
        future = self.engine.inbox.ask(event, found)
        self.step()
        return future

    def answer(self, event: ev.Event, found: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self.ask(event, found).result(0)

    # -- what people do ---------------------------------------------------------------------------------------------

    def order(self, order: str = "O1", outlet: str = "o1", amount_fen: int = 200, **other: Any) -> ev.OrderPlaced:
        values: dict[str, Any] = {
            "key": f"key-{order}",
            "order": order,
            "session": f"S{order[1:]}",
            "outlet": outlet,
            "party": "p1",
            "amount_fen": amount_fen,
            "max_s": 0,
            "secret_hash": f"hash-{order}",
            "provider": "sandbox",
            "lang": "zh",
        }
        return ev.OrderPlaced(**self.stamp(), **{**values, **other})

    def paid(self, order: str = "O1", txn: str = "T1", amount_fen: int = 200, **other: Any) -> ev.PaymentConfirmed:
        values: dict[str, Any] = {
            "key": f"event-{txn}",
            "provider": "sandbox",
            "merchant": "m",
            "app": "a",
            "order": order,
            "txn": txn,
            "amount_fen": amount_fen,
            "currency": "CNY",
        }
        return ev.PaymentConfirmed(**self.stamp(), **{**values, **other})

    def refunded(self, refund: str, amount_fen: int, state: str = "success", **other: Any) -> ev.RefundConfirmed:
        values: dict[str, Any] = {
            "key": f"event-{refund}-{state}",
            "provider": "sandbox",
            "merchant": "m",
            "refund": refund,
            "amount_fen": amount_fen,
            "state": state,
        }
        return ev.RefundConfirmed(**self.stamp(), **{**values, **other})

    def stop(self, session: str = "S1", outlet: str = "o1", key: str = "stop", **other: Any) -> ev.StopAsked:
        values: dict[str, Any] = {"by": "party:p1", "reason": StopReason.STOPPED_BY_RESIDENT}
        return ev.StopAsked(**self.stamp(), key=key, session=session, outlet=outlet, **{**values, **other})

    def tap(self, uid: str = "04AB", outlet: str = "o1", session: str = "SC1") -> ev.CardTapped:
        return ev.CardTapped(**self.stamp(), outlet=outlet, uid=uid, session=session, key=f"tap-{session}")

    def topup(self, amount_fen: int, key: str = "t1", card: str = "c1") -> ev.CardToppedUp:
        return ev.CardToppedUp(**self.stamp(), key=key, by="staff:o", card=card, amount_fen=amount_fen)

    def staff_change(
        self, change: ev.Change, subject: str = "o1", key: str = "", by: str = "staff:o", **values: Any
    ) -> ev.StaffChange:
        key = key or f"{change}-{subject}-{self.clock.now().at}"
        return ev.StaffChange(**self.stamp(), key=key, by=by, change=change, subject=subject, values=values)

    def staff(self, change: ev.Change, subject: str = "o1", **other: Any) -> dict[str, Any]:
        return self.answer(self.staff_change(change, subject, **other))

    def charging(self, **order: Any) -> Session:
        """Ordered, paid and drawing power."""
        if not self.house.seen["o1"].linked:
            self.beat()
        self.answer(self.order(**order))
        self.answer(self.paid(amount_fen=order.get("amount_fen", 200)))
        self.plug.load_w = LOAD_W
        self.beat(times=2)
        return self.live()

    def restarted(self, **other: Any) -> "Rig":
        """The next process, on the same disk, clock and wire."""
        self.store.close()
        return Rig(self.folder, self.clock, self.plugs.values(), self.rules, **other)

    def live(self, outlet: str = "o1") -> Session:
        return self.house.sessions[outlet]

    # -- what is on disk ---------------------------------------------------------------------------------------------

    def sql(self, query: str, **values: Any) -> list[Any]:
        with self.store.engine.connect() as db:
            return [tuple(row) for row in db.execute(text(query), values)]

    def saved(self, session: str = "S1") -> Session:
        ((state,),) = self.sql("SELECT state FROM session WHERE id = :id", id=session)
        return msgspec.json.decode(state, type=Session)

    def reasons(self) -> list[str]:
        return [reason for (reason,) in self.sql("SELECT reason FROM session ORDER BY opened_at")]


def seed(plugs: Iterable[str], at: float, rules: Rules) -> list[fx.Effect]:
    """One site with a flat tariff, one pile whose outlets are open, one card."""
    tariff: dict[str, Any] = {"id": "t1", "name": "flat", "zone": "Asia/Shanghai", "bands": BANDS}
    site: dict[str, Any] = {"id": "s1", "name": "S", "zone": "Asia/Shanghai", "merchant_id": "m", "tariff": tariff}
    pile: dict[str, Any] = {"id": "p1", "site_id": "s1", "name": "P", "family": "made-up", "address": "AA"}
    pile |= {"model": "m", "firmware": "f", "params": {}, "adopted_at": at}
    return [
        fx.Put("merchant", {"id": "m", "name": "M"}),
        fx.Put("tariff", {**tariff, "site_id": "s1", "at": at}),
        fx.Put("site", site),
        fx.Put("pile", pile),
        *(fx.SaveOutlet(open_outlet(plug, channel, rules)) for channel, plug in enumerate(plugs)),
        fx.Put("party", {"id": "card:c1", "kind": "card", "at": at}),
        fx.SaveCard(Card("c1", "04AB", "0001", "card:c1")),
    ]


def open_outlet(outlet: str, channel: int, rules: Rules) -> Outlet:
    return Outlet(
        id=outlet,
        pile="p1",
        site="s1",
        channel=channel,
        number=str(channel + 1),
        phase=OutletPhase.OPEN,
        lease_class="renewed",
        lease_s=rules.lease_s,
        power_w=rules.outlet_w,
    )
