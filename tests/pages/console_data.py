"""A believable compound for the desk: the real engine on virtual time, made-up plugs, a real SQLite file."""

import secrets
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from api.app import make_app
from api.auth import hashed_password
from api.services import FirstOwner, Services
from controller.clock import HandClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.reasons import StopReason
from controller.core.state import Outlet, OutletPhase, Rules
from controller.engine import Engine
from controller.queries import Queries
from controller.rights import Rights
from controller.store import Store
from controller.views import Board
from tests.api.watched import FakeWatch

AT = 1_800_000_000.0 - 3 * 3600  # 2027-01-15 13:00 in Shanghai
PASSWORD = "plug in first, then scan"
LINK = "one-time-link-of-the-tests"
STICKER_KEYS = {"1": b"k" * 32}
BANDS = [
    {"name": "谷", "from_min": 0, "to_min": 480, "energy_price": 3583, "service_price": 3000},
    {"name": "平", "from_min": 480, "to_min": 1080, "energy_price": 5583, "service_price": 3000},
    {"name": "峰", "from_min": 1080, "to_min": 1320, "energy_price": 8583, "service_price": 3500},
    {"name": "谷", "from_min": 1320, "to_min": 1440, "energy_price": 3583, "service_price": 3000},
]
PEOPLE = (
    ("li", "李静", "owner"),
    ("wang", "王强", "manager"),
    ("chen", "陈敏", "finance"),
    ("zhao", "赵磊", "maintainer"),
    ("sun", "孙岚", "auditor"),
)
SITES = (("garden", "翠湖花园"), ("court", "和平里 5 号院"))
PILES = (("p1", "garden", "3 号车棚 东墙", 8), ("p2", "garden", "3 号车棚 西墙", 8), ("p3", "court", "北门车棚", 4))


class Mute:
    """Carries nothing to any device."""

    def tell(self, order: fx.Provision | fx.AskNow | fx.SetInputs) -> bool:
        return True


class Plant:
    """Switchgear and door in one; every answer is on disk before it is given."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'desk.sqlite3'}"
        self.store = Store(self.url)
        self.store.create()
        self.clock = HandClock(AT)
        self.board = Board()
        self.wishes: list[fx.Wish] = []
        self.refuse: Exception | None = None
        self.silent = False
        self.asked: list[ev.Event] = []
        self.rights = Rights()
        self._rows: list[fx.Effect] = []
        self._generations: dict[str, int] = {}
        self._lock = threading.Lock()
        self._batches = 0
        self.engine: Engine

    # -- what the engine stands on ----------------------------------------------------------------------------------

    def generation(self, outlet: str) -> int:
        return self._generations.get(outlet, 0)

    def on(self, order: fx.SwitchOn) -> bool:
        return True

    def renew(self, order: fx.Renew) -> bool:
        return True

    def off(self, outlet: str) -> None:
        self._generations[outlet] = self.generation(outlet) + 1

    # -- the door ---------------------------------------------------------------------------------------------------

    def ask(self, event: ev.Event, found: Mapping[str, Any] | None = None) -> "Future[dict[str, Any]]":
        self.asked.append(event)
        if self.silent:
            return Future()
        if self.refuse is not None:
            refused: Future[dict[str, Any]] = Future()
            refused.set_exception(self.refuse)
            return refused
        with self._lock:
            future = self.engine.inbox.ask(event, found)
            self.step()
            self.flush()
        return future

    def tell(self, event: ev.Event) -> None:
        self.engine.inbox.tell(event)

    def start(self) -> None:
        loaded = self.store.load()
        self.engine = Engine(loaded.house, Rules(), self, Mute(), self.board)
        self.engine.restore(loaded.sessions, {}, self.clock.now(), loaded.newest_at)
        self.step()

    def step(self) -> None:
        batch = self.engine.step(self.clock.now())
        if batch is None:
            return
        self._rows += batch.rows
        self.wishes += [row for row in batch.rows if isinstance(row, fx.Wish)]
        for answered in batch.answers:
            answered.future.set_result(answered.body)
        self.engine.committed(batch.number)

    def flush(self) -> None:
        self._batches += 1
        self.store.write(f"plant:{self._batches}", self._rows)
        written, self._rows = self._rows, []
        for row in written:
            self.rights.written(row)

    # -- what happens -------------------------------------------------------------------------------------------------

    def stamp(self) -> dict[str, Any]:
        now = self.clock.now()
        return {"at": now.at, "steady_s": now.steady_s}

    def say(self, event: ev.Event) -> None:
        self.engine.inbox.tell(event)
        self.step()

    def pay(self, outlet: str, amount_fen: int) -> tuple[str, str]:
        """An order and its payment; the session's id and the order's."""
        order, session, key = (secrets.token_hex(16) for _ in range(3))
        placed = ev.OrderPlaced(
            **self.stamp(),
            key=key,
            order=order,
            session=session,
            outlet=outlet,
            party=secrets.token_hex(8),
            amount_fen=amount_fen,
            max_s=0,
            secret_hash=key,
            provider="sandbox",
            lang="zh",
        )
        self.say(placed)
        self.clock.advance(20)
        self.say(self.paid(order, amount_fen))
        return session, order

    def paid(self, order: str, amount_fen: int) -> ev.PaymentConfirmed:
        return ev.PaymentConfirmed(
            **self.stamp(),
            key=secrets.token_hex(8),
            provider="sandbox",
            merchant="shop",
            app="app",
            order=order,
            txn=f"4200{secrets.randbelow(10**14):014d}",
            amount_fen=amount_fen,
            currency="CNY",
        )

    def charge(self, outlet: str, powers: list[float], every_s: float = 60.0) -> None:
        """The relay goes on, then one reading a step; the engine may cut at any of them."""
        self.clock.advance(1)
        self.step()
        self.say(ev.RelayReported(**self.stamp(), outlet=outlet, on=True))
        counter_wh = 1000.0
        for power_w in powers:
            self.clock.advance(every_s)
            counter_wh += power_w * every_s / 3600
            self.read(outlet, power_w, counter_wh)
            if self.board.views[outlet].session_phase not in ("opening", "charging"):
                break

    def dark(self, outlet: str, counter_wh: float | None = None) -> None:
        self.flush()
        self.clock.advance(3)
        self.say(ev.RelayReported(**self.stamp(), outlet=outlet, on=False))
        self.read(outlet, 0.0, counter_wh)

    def read(self, outlet: str, power_w: float, counter_wh: float | None) -> None:
        self.say(ev.Reading(**self.stamp(), outlet=outlet, power_w=power_w, energy_wh=counter_wh, voltage_v=228.0))

    def services(self, first: bool = False) -> Services:
        link = FirstOwner(LINK, self.clock.now().steady_s + 1800) if first else None
        return Services(
            door=self,
            rights=self.rights,
            board=self.board,
            queries=Queries(self.url),
            clock=self.clock,
            sticker_keys=STICKER_KEYS,
            provider="sandbox",
            provider_keys={"k1": b"secret"},
            provider_merchant="shop",
            provider_app="app",
            public_url="https://cd.example.cn",
            sign_key=b"s" * 32,
            secure_cookies=False,
            first_owner=link,
            real_clock=self.clock,
            watch=FakeWatch(),
        )

    def app(self, first: bool = False) -> FastAPI:
        return make_app(self.services(first))


def bulk(minutes: int, power_w: float) -> list[float]:
    """A charge: level, then falling to nearly nothing, then the charger alone."""
    level = [power_w * (0.95 + 0.05 * n / minutes) for n in range(minutes)]
    return [*level, *(max(2.5, power_w * 0.5 ** (n / 14)) for n in range(110)), *[2.5] * 40]


def empty(folder: Path) -> Plant:
    plant = Plant(folder)
    plant.start()
    return plant


def compound(folder: Path, busy: bool = True) -> Plant:
    """Two sites, three piles, five people; with `busy` also a day's charges, faults, cards and refunds."""
    plant = Plant(folder)
    plant._rows += [fx.Put("merchant", {"id": "shop", "name": "安居物业"}), *_places(), *_people(), *_piles()]
    plant._rows.append(fx.Put("found", _found()))
    plant.flush()
    plant.start()
    for pile, _, _, outlets in PILES:
        for n in range(outlets):
            if (pile, n) != ("p3", 3):
                plant.say(ev.LinkUp(**plant.stamp(), outlet=f"{pile}-{n}"))
                plant.read(f"{pile}-{n}", 0.0, None)
    if busy:
        _day(plant)
    plant.flush()
    return plant


def _day(plant: Plant) -> None:
    _cards(plant)
    for outlet, minutes, power_w, fen in (("p1-0", 70, 172, 300), ("p1-3", 45, 96, 200), ("p2-1", 25, 240, 200)):
        plant.pay(outlet, fen)
        plant.charge(outlet, bulk(minutes, power_w))
        plant.dark(outlet)
    plant.pay("p1-5", 200)
    plant.charge("p1-5", [0.0] * 4)
    plant.dark("p1-5")
    plant.pay("p2-3", 200)
    plant.charge("p2-3", [310.0] * 12)
    tripped = {"power_w": 912.0, "limit_w": 800.0, "over_s": 8.0}
    generation = plant.generation("p2-3")
    trip: dict[str, Any] = {"outlet": "p2-3", "generation": generation, "reason": StopReason.OVERLOAD}
    plant.say(ev.Tripped(**plant.stamp(), **trip, evidence=tripped))
    plant.dark("p2-3")
    _refunded(plant)
    _unhappy(plant)
    _running(plant)


def _cards(plant: Plant) -> None:
    for n, (printed, fen) in enumerate((("000123", 5000), ("000124", 1250), ("000131", 0))):
        card = f"card{n}"
        values: dict[str, object] = {"uid": f"04A1B2C{n}", "printed": printed, "frozen": n == 2}
        change: dict[str, Any] = {"by": "staff:wang", "change": ev.Change.CARD, "subject": card, "values": values}
        plant.say(ev.StaffChange(**plant.stamp(), key=secrets.token_hex(16), **change))
        if fen:
            key = secrets.token_hex(16)
            plant.say(ev.CardToppedUp(**plant.stamp(), key=key, by="staff:chen", card=card, amount_fen=fen))


def _refunded(plant: Plant) -> None:
    """The first has arrived, the second failed, the rest are on their way."""
    states = ["success", "abnormal"]
    for refund, state in zip(list(plant.engine.house.refunds.values()), states, strict=False):
        plant.clock.advance(5)
        confirmed: dict[str, Any] = {"provider": "sandbox", "merchant": "shop", "refund": refund.id, "state": state}
        key = secrets.token_hex(8)
        plant.say(ev.RefundConfirmed(**plant.stamp(), key=key, amount_fen=refund.amount_fen, **confirmed))


def _unhappy(plant: Plant) -> None:
    plant.read("p2-6", 44.0, None)
    plant.clock.advance(10)
    plant.read("p2-6", 44.0, None)
    change: dict[str, Any] = {"by": "staff:zhao", "change": ev.Change.LOCK, "subject": "p1-7", "values": {}}
    plant.say(ev.StaffChange(**plant.stamp(), key=secrets.token_hex(16), **change))
    plant.say(ev.LinkLost(**plant.stamp(), outlet="p2-7"))
    change = {"by": "staff:zhao", "change": ev.Change.COMMISSION, "subject": "p3-1", "values": {}}
    plant.say(ev.StaffChange(**plant.stamp(), key=secrets.token_hex(16), **change))
    for name in ("power_up_off", "sees_power_when_off", "own_counter", "inputs_detached"):
        plant.say(ev.SettingReported(**plant.stamp(), outlet="p3-1", setting=name, value=1.0))


def _running(plant: Plant) -> None:
    """Side by side, as in life."""
    at_work = {"p1-1": 168.0, "p1-4": 92.0, "p2-0": 412.0, "p2-4": 121.0}
    counters = dict.fromkeys(at_work, 5000.0)
    for outlet in at_work:
        plant.pay(outlet, 300)
        plant.clock.advance(1)
        plant.step()
        plant.say(ev.RelayReported(**plant.stamp(), outlet=outlet, on=True))
    for n in range(50):
        plant.clock.advance(40)
        for outlet, power_w in at_work.items():
            counters[outlet] += power_w * 40 / 3600
            plant.read(outlet, power_w * (1 + 0.02 * (n % 3)), counters[outlet])
    plant.pay("p1-6", 200)
    plant.clock.advance(1)
    plant.step()
    plant.say(ev.RelayReported(**plant.stamp(), outlet="p1-6", on=True))


# -- the house ------------------------------------------------------------------------------------------------------


def _places() -> list[fx.Effect]:
    rows: list[fx.Effect] = []
    for site, name in SITES:
        tariff: dict[str, Any] = {"id": f"{site}:1", "name": "2026 分时", "zone": "Asia/Shanghai", "bands": BANDS}
        rows.append(fx.Put("tariff", {**tariff, "site_id": site, "at": AT}))
        place: dict[str, Any] = {"id": site, "name": name, "zone": "Asia/Shanghai", "merchant_id": "shop"}
        rows.append(fx.Put("site", {**place, "tariff": tariff}))
    return rows


def _people() -> list[fx.Effect]:
    password_hash = hashed_password(PASSWORD)
    return [
        fx.Put(
            "staff",
            {
                "id": login,
                "login": login,
                "name": name,
                "password_hash": password_hash,
                "role": role,
                "sites": [] if role == "owner" else ["garden"],
                "disabled": False,
                "at": AT,
            },
        )
        for login, name, role in PEOPLE
    ]


def _piles() -> list[fx.Effect]:
    rows: list[fx.Effect] = []
    first = 1
    for pile, site, name, outlets in PILES:
        made: dict[str, Any] = {"id": pile, "site_id": site, "name": name, "family": "tasmota-mqtt", "params": {}}
        made |= {"address": f"A4CF12{pile.upper()}", "model": "Athom PG03", "firmware": "14.2.0", "adopted_at": AT}
        rows.append(fx.Put("pile", made))
        for n in range(outlets):
            rows += _outlet(pile, site, n, str(first + n))
        first += outlets
    return rows


def _outlet(pile: str, site: str, channel: int, number: str) -> list[fx.Effect]:
    raw = pile == "p3" and channel < 2
    outlet = Outlet(
        id=f"{pile}-{channel}",
        pile=pile,
        site=site,
        channel=channel,
        number=number,
        phase=OutletPhase.ADOPTED if raw else OutletPhase.COMMISSIONED if pile == "p3" else OutletPhase.OPEN,
        lease_class="renewed",
        lease_s=120.0,
        power_w=800.0,
        firmware="14.2.0",
        commissioned_at=None if raw else AT - 86_400,
        record={}
        if raw
        else {"own_counter": 1.0, "load_w": 41.2, "off_after_s": 1.4, "lease_s": 15.3, "rearmed_s": 22.8},
    )
    number_id = f"1{pile.upper()}{channel}".ljust(16, "X")
    sticker: dict[str, object] = {"id": number_id, "outlet_id": outlet.id, "made_at": AT, "retired_at": None}
    return [fx.SaveOutlet(outlet), fx.Put("sticker", sticker)]


def _found() -> dict[str, object]:
    return {
        "id": "tasmota-mqtt:A4CF12F00D42",
        "family": "tasmota-mqtt",
        "address": "A4CF12F00D42",
        "model": "Athom PG03",
        "firmware": "14.2.0",
        "channels": 2,
        "params": {},
        "seen_at": AT,
    }
