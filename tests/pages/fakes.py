"""A resident's world without an engine: a door that remembers, a board to write on, records as plain values."""

import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI
from msgspec.structs import replace
from sqlalchemy.exc import OperationalError
from starlette.staticfiles import StaticFiles

import api.pages
from api import stickers
from api.pages import resident
from api.services import Services, hashed
from api.shields import SecurityHeaders
from api.streams import Streams
from controller import records as r
from controller.clock import HandClock
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.tariff import Band, Tariff
from controller.queries import Queries
from controller.views import Board, View

AT = 1_800_000_000.0  # 2027-01-15 16:00 in Shanghai
ZONE = "Asia/Shanghai"
KEYS = {"A": b"sticker key of the tests"}
STICKER = "A" + "0" * 15
RETIRED = "A" + "1" * 15
SECRET = "q" * 22
OUTLET = "outlet-3"
TARIFF = Tariff("t1", "民用", ZONE, (Band("平", 0, 1440, 5583, 3000),))
BANDS = Tariff(
    "t2",
    "分时",
    ZONE,
    (
        Band("谷", 0, 480, 3083, 3000),
        Band("平", 480, 1080, 5583, 3000),
        Band("峰", 1080, 1320, 7583, 3000),
        Band("谷", 1320, 1440, 3083, 3000),
    ),
)


class FakeDoor:
    """Answers at once, refuses as told, or keeps silent; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[ev.Event] = []
        self.refuse: str | None = None
        self.silent = False
        self.then: Callable[[ev.Event], None] = lambda event: None
        self._orders: dict[str, str] = {}

    def ask(self, event: ev.Event, found: Mapping[str, Any] | None = None) -> "Future[dict[str, Any]]":
        self.asked.append(event)
        answer: Future[dict[str, Any]] = Future()
        if self.silent:
            return answer
        if self.refuse is not None:
            answer.set_exception(Refused(self.refuse))
            return answer
        self.then(event)
        answer.set_result(self._answer(event))
        return answer

    def _answer(self, event: ev.Event) -> dict[str, Any]:
        if isinstance(event, ev.OrderPlaced):
            return {"order": self._orders.setdefault(event.key, event.order)}
        return {"order": getattr(event, "order", "")}

    def tell(self, event: ev.Event) -> None:
        self.asked.append(event)


class FakeQueries:
    def __init__(self) -> None:
        self.away = False
        self.tariff = TARIFF
        self.outlets = {OUTLET: outlet()}
        self.alarm_rows: list[r.AlarmRow] = []
        self.order_rows: dict[str, r.OrderRow] = {}  # by secret's hash
        self.session_rows: dict[str, r.SessionDetail] = {}  # by order
        self.refund_rows: dict[str, list[r.RefundRow]] = {}  # by order
        self.addresses: dict[str, str] = {}  # by party

    def _here(self) -> None:
        if self.away:
            raise OperationalError("select", {}, Exception("disk I/O error"))

    def known(self, event: ev.Event) -> dict[str, Any]:
        self._here()
        return {}

    def sticker(self, sticker: str) -> r.StickerRow | None:
        self._here()
        known = {STICKER: None, RETIRED: AT}
        if sticker not in known:
            return None
        return r.StickerRow(id=sticker, outlet_id=OUTLET, made_at=AT, retired_at=known[sticker])

    def outlet(self, outlet: str) -> r.OutletDetail | None:
        self._here()
        return replace(self.outlets[outlet], tariff=self.tariff)

    def alarms(self, sites: Any = None, *, limit: int = 50) -> r.Listed[r.AlarmRow]:
        self._here()
        return r.Listed(self.alarm_rows, len(self.alarm_rows))

    def address(self, party: str) -> str | None:
        self._here()
        return self.addresses.get(party)

    def order_by_secret(self, secret_hash: str) -> r.OrderRow | None:
        self._here()
        return self.order_rows.get(secret_hash)

    def by_key(self, key: str) -> r.OrderRow | None:
        self._here()
        return next((row for row in self.order_rows.values() if row.key == key), None)

    def session_by_order(self, order: str) -> r.SessionDetail | None:
        self._here()
        return self.session_rows.get(order)

    def refunds_of(self, order: str) -> list[r.RefundRow]:
        self._here()
        return self.refund_rows.get(order, [])


class Street:
    """Everything a page needs, ready to be put into any state."""

    def __init__(self, *, demo: bool = False, secure: bool = False, mails: bool = True) -> None:
        self.door = FakeDoor()
        self.board = Board()
        self.queries = FakeQueries()
        self.clock = HandClock(AT)
        self.services = Services(
            door=self.door,
            board=self.board,
            queries=cast(Queries, self.queries),
            clock=self.clock,
            sticker_keys=KEYS,
            provider="sandbox",
            provider_keys={},
            provider_merchant="m1",
            provider_app="a1",
            public_url="http://127.0.0.1",
            sign_key=b"sign key of the tests",
            secure_cookies=secure,
            demo=demo,
            mails=mails,
            factor=30.0 if demo else 1.0,
        )
        self.board.put(idle(OUTLET, "03"))
        for number in ("01", "05", "06"):
            self.board.put(idle(f"outlet-{number}", number))

    @property
    def sticker_url(self) -> str:
        return stickers.sticker_path(STICKER, KEYS["A"])

    @property
    def order_url(self) -> str:
        return f"/O/{SECRET}"

    def app(self) -> FastAPI:
        app = FastAPI()
        app.state.services = self.services
        app.state.wrong_stickers = stickers.wrong_stickers()
        app.state.order_storms = stickers.order_storms()
        app.state.streams = Streams(self.services.feed)
        app.add_middleware(SecurityHeaders, services=self.services)
        app.include_router(resident.router)
        app.mount("/static", StaticFiles(directory=Path(api.pages.__file__).parent / "static"))
        return app

    # -- states -----------------------------------------------------------------------------------------------

    def placed(self, state: str = "open", pay_url: str | None = None, why: str | None = None) -> r.OrderRow:
        row = replace(ORDER, state=state, pay_url=pay_url, why=why, txn=None if state == "open" else ORDER.txn)
        self.queries.order_rows[hashed(SECRET)] = row
        return row

    def live(self, phase: str, **changes: Any) -> View:
        self.placed("paid")
        view = replace(running(phase), **changes)
        self.board.put(view)
        self.queries.session_rows["order-1"] = replace(SESSION, curve=curve()[:120], phase=phase, started_at=AT - 4200)
        return view

    def finished(self, reason: str = "finished", refund: str = "success", **changes: Any) -> None:
        self.placed("paid")
        refunds = [replace(REFUND, state=refund, done_at=AT + 5400 if refund in ("success", "by_hand") else None)]
        done = replace(SESSION, reason=reason, refunds=refunds, receipt=RECEIPT, curve=curve(), **SETTLED)
        if reason == "finished":
            done = replace(done, rule="low", evidence=FULL)
        self.queries.session_rows["order-1"] = replace(done, **changes)
        self.clock.advance(5600)


def idle(outlet_id: str, number: str) -> View:
    return View(
        outlet=outlet_id,
        number=number,
        site="site-1",
        pile="pile-1",
        phase="open",
        lease_class="renewed",
        linked=True,
        power_w=0.0,
        relay_on=False,
        reading_at=AT,
    )


def running(phase: str) -> View:
    return replace(
        idle(OUTLET, "03"),
        session="session-1",
        session_phase=phase,
        party="party-1",
        order="order-1",
        secret_hash=hashed(SECRET),
        relay_on=True,
        power_w=168.4,
        opened_at=AT - 4210,
        started_at=AT - 4200 if phase not in ("queued", "opening") else None,
        used_wh=847.0,
        cost_fen=72,
        hold_fen=200,
        max_s=8 * 3600.0,
        reason="finished" if phase == "closing" else None,
    )


def curve() -> list[list[float]]:
    """Constant current, then a tail, as most packs do."""
    points = []
    used_wh = 0.0
    for step in range(0, 5400, 30):
        power_w = 172.0 - step / 300 if step < 3600 else max(9.0, 160 * 0.5 ** ((step - 3600) / 420))
        points.append([float(step), round(power_w, 1), round(used_wh, 1)])
        used_wh += power_w * 30 / 3600
    return points


def new_key() -> str:
    return secrets.token_hex(16)


def outlet() -> r.OutletDetail:
    pile = r.PileRow(
        id="pile-1",
        site_id="site-1",
        name="3 号车棚",
        family="tasmota",
        address="AA",
        model="plug",
        firmware="1",
        adopted_at=AT - 86_400,
        power_w=None,
    )
    return r.OutletDetail(
        id=OUTLET,
        pile_id="pile-1",
        pile_name="3 号车棚",
        site_id="site-1",
        site_name="翠园小区",
        zone=ZONE,
        channel=1,
        number="03",
        phase="open",
        lease_class="renewed",
        latch=None,
        locked_by=None,
        commissioned_at=AT,
        pile=pile,
        tariff=TARIFF,
        power_limit_w=800.0,
        lease_s=120.0,
        record={},
        failed=None,
        stickers=[STICKER],
    )


ORDER = r.OrderRow(
    id="order-1",
    key="f" * 32,
    session_id="session-1",
    outlet_id=OUTLET,
    number="03",
    site_id="site-1",
    site_name="翠园小区",
    zone=ZONE,
    merchant_id="m1",
    party_id="party-1",
    provider="sandbox",
    amount_fen=200,
    secret_hash=hashed(SECRET),
    state="open",
    placed_at=AT,
    expires_at=AT + 900,
    pay_url=None,
    txn="SB202701150001",
    why=None,
)
SESSION = r.SessionDetail(
    id="5e55a0b19c34",
    outlet_id=OUTLET,
    number="03",
    pile_id="pile-1",
    pile_name="3 号车棚",
    site_id="site-1",
    site_name="翠园小区",
    zone=ZONE,
    merchant_id="m1",
    party_id="party-1",
    order_id="order-1",
    card_id=None,
    phase="charging",
    reason=None,
    opened_at=AT - 10,
    started_at=AT,
    off_at=None,
    settled_at=None,
    hold_fen=200,
    bill_fen=None,
    returned_fen=None,
    energy_wh=0.0,
    peak_w=172.0,
    proof=None,
    evidence={},
    tariff=TARIFF,
    max_s=28_800.0,
    stopped_by=None,
    curve=[],
    receipt=None,
    moments=[],
    refunds=[],
    transfers=[],
)
FULL: dict[str, float] = {
    "power_w": 9.0,
    "peak_w": 172.0,
    "percent_of_peak": 5.23,
    "fell_from_percent": 35.0,
    "low_s": 725.0,
    "modest_s": 1400.0,
    "no_power_s": 0.0,
    "energy_wh": 347.4,
    "elapsed_s": 5370.0,
}
SETTLED: dict[str, Any] = {
    "phase": "settled",
    "off_at": AT + 5370,
    "settled_at": AT + 5380,
    "bill_fen": 29,
    "returned_fen": 171,
    "energy_wh": 347.4,
    "proof": "measured",
}
RECEIPT = r.ReceiptRow(
    session_id="session-1",
    at=AT + 5380,
    total_fen=29,
    lines=[
        {"band": "平", "kind": "energy", "wh": 347, "price": 5583, "amount_fen": 19},
        {"band": "平", "kind": "service", "wh": 347, "price": 3000, "amount_fen": 10},
    ],
)
REFUND = r.RefundRow(
    id="order-1R",
    order_id="order-1",
    session_id="session-1",
    site_id="site-1",
    merchant_id="m1",
    provider="sandbox",
    amount_fen=171,
    state="success",
    due_at=AT + 5380,
    done_at=AT + 5400,
    why="",
)
