"""A whole web program on a seeded database, with a door that only writes down what was asked of it."""

from collections.abc import Mapping
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from api.app import make_app
from api.services import Services
from controller.clock import HandClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core import ledger
from controller.core.bikes import Bike, Figures, Memory, learned
from controller.core.chargers import Charger
from controller.core.reasons import StopReason
from controller.core.state import (
    Card,
    Order,
    OrderState,
    Outlet,
    OutletPhase,
    Phase,
    Refund,
    RefundState,
    Session,
)
from controller.core.tariff import Band, Bill, Line, Meter, Tariff
from controller.queries import Queries
from controller.readiness import Check
from controller.records import StaffRow
from controller.rights import Rights
from controller.store import Store
from controller.views import Board, Health, View
from tests.api.strange import FakeStrangers
from tests.api.watched import FakeWatch

HERE, THERE = "here", "there"
ROLES = ("owner", "manager", "finance", "maintainer", "auditor")
AT = 1_800_000_000.0
STICKER_KEYS = {"1": b"old" * 11, "2": b"new" * 11}
STICKER = "1ABCDEFGHJKMNPQR"
STICKER_THERE = "1ABCDEFGHJKMNPQS"
PROVIDER_KEYS = {"k1": b"provider's secret"}
TARIFF = Tariff("t", "2026", "Asia/Shanghai", (Band("day", 0, 1440, 5583, 3000),))
CHARGE = Figures(168.0, 2.0, 420.0, 48.0, 150.0, 35.0, 40.0)
NO_HASH = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


class FakeDoor:
    """Answers at once; `answers` by event type may be a dict, an exception, or None for "never"."""

    def __init__(self) -> None:
        self.events: list[ev.Event] = []
        self.found: list[Mapping[str, Any] | None] = []
        self.answers: dict[type[ev.Event], dict[str, Any] | Exception | None] = {}
        self.rights = Rights()

    def ask(self, event: ev.Event, found: Mapping[str, Any] | None = None) -> "Future[dict[str, Any]]":
        self.events.append(event)
        self.found.append(found)
        future: Future[dict[str, Any]] = Future()
        answer = self.answers.get(type(event), {"subject": getattr(event, "subject", "")})
        if isinstance(answer, Exception):
            future.set_exception(answer)
        elif answer is not None:
            self._told(event)
            future.set_result(answer)
        return future

    def _told(self, event: ev.Event) -> None:
        """Of rights, as the gateway does after a commit."""
        tables = {ev.Change.STAFF: "staff", ev.Change.TOKEN: "api_token"}
        if isinstance(event, ev.StaffChange) and event.change in tables:
            made = {"made_by": event.by, "at": event.at, **event.values, "id": event.subject}
            self.rights.written(fx.Put(tables[event.change], made))

    def tell(self, event: ev.Event) -> None:
        self.events.append(event)

    @property
    def last(self) -> Any:
        return self.events[-1]


class Stand:
    def __init__(self, folder: Path, **changes: Any) -> None:
        (folder / "anchong.db").write_bytes(_seeded())
        url = f"sqlite:///{folder / 'anchong.db'}"
        self.store = Store(url)
        self.store.create()
        self.door = FakeDoor()
        self.clock = HandClock(AT)
        self.queries = Queries(url)
        self.board = Board()
        self.board.health = Health(at=AT, steady_s=self.clock.now().steady_s)
        self.board.checks = (Check("decider", True, "", AT), Check("clock", True, "", AT))
        for outlet, site in (("o-here", HERE), ("o-there", THERE)):
            self.board.put(live_view(outlet, site))
        given: dict[str, Any] = {
            "door": self.door,
            "board": self.board,
            "queries": self.queries,
            "clock": self.clock,
            "sticker_keys": STICKER_KEYS,
            "provider": "sandbox",
            "provider_keys": PROVIDER_KEYS,
            "provider_merchant": "shop",
            "provider_app": "app",
            "public_url": "https://charge.example",
            "sign_key": b"s" * 32,
            "secure_cookies": False,
            "real_clock": self.clock,
            "rights": self.door.rights,
            "watch": FakeWatch(),
            "strangers": FakeStrangers(),
            "faults": lambda outlet: {"crc": 3} if outlet == "o-here" else {},
        }
        self.services = Services(**{**given, **changes})
        self.app: FastAPI = make_app(self.services)

    def close(self) -> None:
        self.queries.close()
        self.store.close()

    def client(self, **kwargs: Any) -> TestClient:
        return TestClient(self.app, follow_redirects=False, raise_server_exceptions=False, **kwargs)

    def as_role(self, role: str) -> TestClient:
        """A client that sends the session's token as Bearer."""
        client = self.client()
        client.headers["authorization"] = f"Bearer {self.token(role)}"
        return client

    def token(self, role: str) -> str:
        row = self.queries.staff_by_login(role)
        assert isinstance(row, StaffRow)
        return self.app.state.logins.opened(self.services, row)[0]  # type: ignore[no-any-return]


@cache
def _seeded() -> bytes:
    """Made once: to migrate and fill a database would take longer than most tests."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "seeded.db"
        store = Store(f"sqlite:///{path}")
        store.create()
        store.write("seed:1", [fx.Sampled(f"s-{site}", AT + 10, 168.0, 0.5) for site in (HERE, THERE)])
        store.write("seed:2", seed())
        store.close()
        return path.read_bytes()


def live_view(outlet: str, site: str) -> View:
    suffix = outlet.removeprefix("o-")
    return View(
        outlet=outlet,
        number=f"A-{suffix}",
        site=site,
        pile=f"p-{suffix}",
        phase="open",
        lease_class="renewed",
        linked=True,
        power_w=168.0,
        session=f"live-{suffix}",
        session_phase="charging",
    )


def seed() -> list[fx.Effect]:
    rows: list[fx.Effect] = [fx.Put("merchant", {"id": "shop", "name": "Shop"})]
    for site in (HERE, THERE):
        rows += _site(site)
    for role in ROLES:
        rows.append(fx.Put("staff", staff_values(role)))
    rows += [
        fx.Put("found", _found()),
        fx.SaveCard(Card("card1", "04A1B2C3", "000123", "card:card1")),
        fx.Post(ledger.card_topped_up("k", "shop", "card1", 5000, "staff:x", AT)),
        fx.Audit(AT, "staff:owner", "open", "o-here", {}),
        fx.Audit(AT, "staff:owner", "open", "o-there", {}),
    ]
    return rows


def staff_values(role: str, password_hash: str = NO_HASH) -> dict[str, object]:
    return {
        "id": f"s-{role}",
        "login": role,
        "name": role.title(),
        "password_hash": password_hash,
        "role": role,
        "sites": [] if role == "owner" else [HERE],
        "disabled": False,
        "at": AT,
    }


def _found() -> dict[str, object]:
    return {
        "id": "tasmota:AA",
        "family": "tasmota",
        "address": "AA",
        "model": "S31",
        "firmware": "14",
        "channels": 1,
        "params": {},
        "seen_at": AT,
    }


def _site(site: str) -> list[fx.Effect]:
    bands = [{"name": "day", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}]
    tariff: dict[str, object] = {"id": f"t-{site}", "name": "2026", "zone": "Asia/Shanghai", "bands": bands}
    place: dict[str, object] = {"id": site, "name": site, "zone": "Asia/Shanghai", "merchant_id": f"m-{site}"}
    pile: dict[str, object] = {"id": f"p-{site}", "site_id": site, "name": "Gate", "family": "tasmota"}
    pile |= {"address": site, "model": "S31", "firmware": "14", "params": {}, "adopted_at": AT}
    sticker = STICKER if site == HERE else STICKER_THERE
    outlet = Outlet(
        id=f"o-{site}",
        pile=f"p-{site}",
        site=site,
        channel=0,
        number=f"A-{site}",
        phase=OutletPhase.OPEN,
        lease_class="renewed",
        lease_s=120.0,
        power_w=800.0,
        record={"lease_s": 15.0},
    )
    return [
        fx.Put("merchant", {"id": f"m-{site}", "name": f"Property {site}"}),
        fx.Put("tariff", {**tariff, "site_id": site, "at": AT}),
        fx.Put("site", {**place, "tariff": tariff}),
        fx.Put("pile", pile),
        fx.SaveOutlet(outlet),
        fx.Put("sticker", {"id": sticker, "outlet_id": outlet.id, "made_at": AT, "retired_at": None}),
        fx.RaiseAlarm(f"a-{site}", AT, site, outlet.id, "no_proof", {"power_w": 40.0}),
        fx.Put("party", {"id": f"party-{site}", "kind": "walk_in", "at": AT}),
        fx.Put("hook", _hook(site)),
        fx.SaveBike(Bike(f"bike-{site}", site, f"party-{site}", "", None, AT, learned(Memory(), CHARGE))),
        fx.SaveCharger(Charger(f"c-{site}", site, "48 V 3 A", {"low": 0.12}, "suggested"), AT, "staff:s-owner", {}),
        fx.Put("api_token", _token(site)),
        *_charged(site, outlet.id),
    ]


def _hook(site: str) -> dict[str, object]:
    hook = {"id": f"h-{site}", "url": "https://127.0.0.1:9/hook", "kinds": [], "sites": [site]}
    return hook | {"made_by": "staff:s-owner", "at": AT, "disabled": False}


def _token(site: str) -> dict[str, object]:
    token = {"id": f"k-{site}", "name": site, "token_hash": f"no-hash-{site}", "role": "manager", "sites": [site]}
    return token | {"made_by": "staff:s-owner", "at": AT, "expires_at": None, "revoked_at": None}


def _charged(site: str, outlet: str) -> list[fx.Effect]:
    order = Order(
        id=f"order-{site}",
        key=f"key-{site}",
        session=f"s-{site}",
        outlet=outlet,
        site=site,
        merchant="shop",
        party=f"party-{site}",
        provider="sandbox",
        amount_fen=200,
        max_s=28800.0,
        tariff=TARIFF,
        secret_hash=f"hash-{site}",
        lang="zh",
        state=OrderState.PAID,
        placed_at=AT,
        expires_at=AT + 900,
        txn=f"txn-{site}",
    )
    done = settled_session(site, outlet, order)
    refund = Refund(
        id=f"r-{site}",
        order=order.id,
        session=done.id,
        merchant="shop",
        provider="sandbox",
        txn=f"txn-{site}",
        amount_fen=171,
        total_fen=200,
        state=RefundState.CLOSED,
        due_at=AT,
    )
    assert done.bill is not None
    return [
        fx.SaveOrder(order),
        fx.SaveSession(done),
        fx.Receipt(done),
        fx.Moment(done.id, AT, "paid"),
        fx.SaveRefund(refund),
        fx.Post(ledger.payment_held("sandbox", "shop", f"txn-{site}", done.id, 200, AT)),
        fx.Post(ledger.settled(done.id, "shop", done.bill, ledger.refund_due("shop"), 171, AT)),
    ]


def settled_session(site: str, outlet: str, order: Order) -> Session:
    lines = (Line("day", "energy", 347, 5583, 19), Line("day", "service", 347, 3000, 10))
    return Session(
        id=f"s-{site}",
        outlet=outlet,
        site=site,
        merchant="shop",
        party=order.party,
        order=order.id,
        card=None,
        tariff=TARIFF,
        hold_fen=200,
        max_s=28800.0,
        max_wh=2329,
        max_reason=StopReason.CREDIT_USED,
        power_w=800.0,
        lease_s=120.0,
        phase=Phase.SETTLED,
        opened_at=AT,
        opened_s=0.0,
        since_s=0.0,
        meter=Meter(used_wh=347.0, band="day"),
        started_at=AT,
        reason=StopReason.FINISHED,
        evidence={"peak_w": 168.0},
        off_at=AT + 3600,
        settled_at=AT + 3610,
        proof="measured",
        bill=Bill(lines, 29, 19, 10),
        returned_fen=171,
    )
