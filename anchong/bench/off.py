"""`anchong bench off`: how long an OFF takes to the wire while the database is well, slow, full, locked or read-only.

A real gateway with its threads, a real SQLite file, real Tasmota payloads; the wire is a recorder in this process, so
the figure is ours alone. Time inside the gateway stands still but for the steps between readings.
"""

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from sqlalchemy import event as sql_event

from anchong.bench.locked import locked
from anchong.logs import plain
from anchong.wiring import Gateway, Plan
from controller.clock import HandClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.reasons import StopReason
from controller.core.state import Outlet, OutletPhase, Phase, Rules, Seen
from controller.ledger_check import proofs
from firmware_bridge.wire import Linked, Message, Pile, Receive

BANDS = [{"name": "day", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}]
SLOW_S = 2.0
WAIT_S = 10.0
GOAL_MS = 100.0


class Recorder:
    """A transport whose far end is a list: when each message left."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, Message]] = []
        self.news = threading.Event()

    def start(self, receive: Receive, linked: Linked) -> None:
        linked(True)

    def listen(self, pattern: str) -> None: ...

    def send(self, message: Message, urgent: bool = False) -> bool:
        self.sent.append((time.perf_counter(), message))
        self.news.set()
        return True

    def stop(self) -> None: ...


class Rig:
    """One gateway with `count` open Tasmota outlets and a hand on its clock."""

    def __init__(self, folder: Path, count: int) -> None:
        self.clock = HandClock()
        self.wire = Recorder()
        self.database = folder / "bench.sqlite3"
        plan = Plan(self.clock, Rules(), f"sqlite:///{self.database}", folder / "trips", "bench", {}, {})
        self.gateway = Gateway(plan, self.wire)
        self.count = count
        self._keys = iter(range(10**9))

    def start(self) -> None:
        self.gateway.start()
        self.ask(ev.StaffChange, change=ev.Change.SITE, subject="s", by="bench", values=_SITE).result(WAIT_S)
        for number in range(self.count):
            self._open_outlet(f"plug{number}")

    def _open_outlet(self, name: str) -> None:
        """Straight into memory and file, as if commissioned long ago."""
        params: dict[str, object] = {"topic": name, "relays": [1]}
        self.gateway.router.open(Pile(name, "tasmota", name, (name,), params))
        row = fx.SaveOutlet(Outlet(name, name, "s", 0, name, OutletPhase.OPEN, "renewed", 120.0, 800.0))
        pile = {"id": name, "site_id": "s", "name": name, "family": "tasmota", "address": name, "model": "bench"}
        self.gateway.store.write(
            "setup", [fx.Put("pile", {**pile, "firmware": "", "params": params, "adopted_at": 0.0}), row]
        )
        self.gateway.engine.house.apply(row)
        self.gateway.engine.house.seen[name] = Seen(linked=True, counter_wh=0.0)

    def stamp(self) -> dict[str, float]:
        now = self.clock.now()
        return {"at": now.at, "steady_s": now.steady_s}

    def ask(self, kind: Callable[..., ev.Event], **values: Any) -> Any:
        return self.gateway.ask(kind(**self.stamp(), key=f"k{next(self._keys)}", **values))

    def reading(self, name: str, power_w: float, total_kwh: float) -> float:
        """A SENSOR message; returns when (perf) it was handed in."""
        body = {
            "Time": "2026-01-01T00:00:00",
            "ENERGY": {"Total": round(total_kwh, 5), "Power": power_w, "Voltage": 229},
        }
        started = time.perf_counter()
        self.gateway.router.receive(Message(f"tele/{name}/SENSOR", json.dumps(body).encode()))
        return started

    def charge(self, name: str) -> None:
        """A paid session, on and drawing."""
        number = next(self._keys)
        ids = {"order": f"O{number}", "outlet": name, "party": f"p{number}", "amount_fen": 200}
        self.ask(
            ev.OrderPlaced, session=f"S{number}", max_s=0, secret_hash=f"h{number}", provider="none", lang="zh", **ids
        ).result(WAIT_S)
        self.ask(
            ev.PaymentConfirmed,
            provider="none",
            merchant="m",
            app="a",
            order=f"O{number}",
            txn=f"T{number}",
            amount_fen=200,
            currency="CNY",
        ).result(WAIT_S)
        self.until(lambda: self.gateway.gates.get(name).open)  # type: ignore[union-attr]
        self.reading(name, 180.0, 0.0)
        self.until(lambda: self.gateway.engine.house.sessions[name].phase is Phase.CHARGING)

    def off_after(self, name: str, since: float) -> float:
        """Milliseconds from `since` to the OFF on the wire."""
        topic = f"cmnd/{name}/POWER"
        found: list[float] = []

        def left() -> bool:
            found.extend(t for t, m in self.wire.sent if t >= since and m.address.upper().startswith(topic.upper()))
            return bool(found)

        self.until(left)
        return (found[0] - since) * 1000

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.perf_counter() + WAIT_S
        while not true():
            if time.perf_counter() > deadline:
                raise TimeoutError("the gateway did not do in ten seconds what was waited for")
            self.wire.news.wait(0.001)
            self.wire.news.clear()

    # -- the three ways to an OFF ---------------------------------------------------------------------------------

    def trip(self, name: str) -> float:
        return self.off_after(name, self.reading(name, 2_000.0, 0.001))

    def stop(self, name: str) -> float:
        live = self.gateway.engine.house.sessions[name]
        since = time.perf_counter()
        self.ask(ev.StopAsked, session=live.id, outlet=name, by="party:p", reason=StopReason.STOPPED_BY_RESIDENT)
        return self.off_after(name, since)

    def finish(self, name: str) -> float:
        """A charge whose power has fallen; the last reading is the one that proves it."""
        kwh = 0.0
        for power_w in [180.0] * 120 + [2.0] * 400:
            self.clock.advance(10.0)
            kwh += power_w / 360_000
            since = self.reading(name, power_w, kwh)
            self._looked_at()
            if self.gateway.engine.house.sessions[name].reason is not None:
                return self.off_after(name, since)
        raise TimeoutError("the curve ended with the outlet still on")

    def _looked_at(self) -> None:
        self.until(lambda: not self.gateway.engine.inbox.waiting.is_set())


_SITE: dict[str, object] = {"name": "Bench", "zone": "Asia/Shanghai", "merchant": "m", "bands": BANDS}


# -- databases in trouble -----------------------------------------------------------------------------------------


@contextmanager
def _well(rig: Rig) -> Iterator[None]:
    yield


@contextmanager
def _slow(rig: Rig) -> Iterator[None]:
    """Every commit takes two seconds."""
    over = threading.Event()
    sql_event.listen(rig.gateway.store.engine, "commit", lambda db: over.wait(SLOW_S))
    yield
    over.set()


@contextmanager
def _full(rig: Rig) -> Iterator[None]:
    """SQLite's own answer to a full disk, by its own limit on pages."""
    with _pragma(rig, "max_page_count = 1", "max_page_count = 1073741823"):
        yield


@contextmanager
def _read_only(rig: Rig) -> Iterator[None]:
    with _pragma(rig, "query_only = ON", "query_only = OFF"):
        yield


@contextmanager
def _pragma(rig: Rig, on: str, off: str) -> Iterator[None]:
    """Said by the writer's own thread at the begin of each transaction, so that no thread shares its connection."""
    wish = [on]
    sql_event.listen(rig.gateway.store.engine, "begin", lambda db: db.exec_driver_sql(f"PRAGMA {wish[0]}"))
    yield
    wish[0] = off


TROUBLES: dict[str, Callable[[Rig], Any]] = {
    "well": _well,
    "slow": _slow,
    "full": _full,
    "locked": lambda rig: locked(rig.database),
    "read_only": _read_only,
}


class Figure(msgspec.Struct, frozen=True):
    database: str
    trip_ms: float
    stop_ms: float
    finish_ms: float
    ons_left: int
    books: str


def measured(trouble: str, folder: Path) -> Figure:
    """A trip, a stop and a finish in that trouble, and one sale tried; after it the books must balance."""
    rig = Rig(folder, 4)
    rig.start()
    for name in ("plug0", "plug1", "plug2"):
        rig.charge(name)
    with TROUBLES[trouble](rig):
        ons = _ons(rig)
        trip_ms, stop_ms, finish_ms = rig.trip("plug0"), rig.stop("plug1"), rig.finish("plug2")
        if trouble != "well":
            _try_to_buy(rig)
        ons_left = _ons(rig) - ons
    books = _books(rig)
    rig.gateway.stop()
    return Figure(trouble, round(trip_ms, 2), round(stop_ms, 2), round(finish_ms, 2), ons_left, books)


def _ons(rig: Rig) -> int:
    """ON commands for the outlet that nobody has paid for yet."""
    return sum(1 for _, m in rig.wire.sent if "plug3" in m.address and b"ON" in m.payload.upper())


def _try_to_buy(rig: Rig) -> None:
    rig.ask(
        ev.OrderPlaced,
        order="Ox",
        session="Sx",
        outlet="plug3",
        party="px",
        amount_fen=200,
        max_s=0,
        secret_hash="hx",  # noqa: S106 - of no secret
        provider="none",
        lang="zh",
    )
    rig.ask(
        ev.PaymentConfirmed,
        provider="none",
        merchant="m",
        app="a",
        order="Ox",
        txn="Tx",
        amount_fen=200,
        currency="CNY",
    )
    rig._looked_at()


def _books(rig: Rig) -> str:
    """After the trouble everything that was decided is written, and proven from the rows."""
    rig.until(lambda: not rig.gateway.engine.database_away_s())
    broken = proofs(f"sqlite:///{rig.database}")
    return "sound" if not broken else "; ".join(broken)


def off(
    rounds: Annotated[int, typer.Option(min=1, max=100, help="how often each; the worst is shown")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="one line a database state")] = False,
) -> None:
    """From the reading or the stop to the OFF on the wire. Example: anchong bench off --json"""
    plain("critical")
    worst = [_worst(trouble, rounds) for trouble in TROUBLES]
    for figure in worst:
        if as_json:
            typer.echo(msgspec.json.encode(figure).decode())
        else:
            typer.echo(
                f"{figure.database:10} trip {figure.trip_ms:7.2f} ms   stop {figure.stop_ms:7.2f} ms   "
                f"finish {figure.finish_ms:7.2f} ms   ONs {figure.ons_left}   books {figure.books}"
            )
    late = any(max(f.trip_ms, f.stop_ms, f.finish_ms) > GOAL_MS or f.ons_left or f.books != "sound" for f in worst)
    raise typer.Exit(1 if late else 0)


def _worst(trouble: str, rounds: int) -> Figure:
    figures = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="anchong-bench-") as folder:
            figures.append(measured(trouble, Path(folder)))
    return Figure(
        trouble,
        max(f.trip_ms for f in figures),
        max(f.stop_ms for f in figures),
        max(f.finish_ms for f in figures),
        max(f.ons_left for f in figures),
        next((f.books for f in figures if f.books != "sound"), "sound"),
    )
