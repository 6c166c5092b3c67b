"""A compound in the middle of its evening: a database in which every outlet is in a paid, charging session.

The rows are those that the real decider makes of an order, its payment, the relay's report and a load; only what a
provider would have been asked is left out, as if answered long ago.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from api.services import hashed
from controller.clock import Clock, HandClock, RealClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.state import Outlet, OutletPhase, Rules
from controller.engine import Engine
from controller.store import Store
from controller.views import Board
from simulators.publisher import mac, topic

SITE, MERCHANT, ZONE = "bench", "bench", "Asia/Shanghai"
BANDS = [{"name": "all", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}]
AMOUNT_FEN = 2_000  # 23 kWh: no run is so long
POWER_W = 180.0
COUNTER_WH = 1_000_000.0
TAIL_W = [POWER_W] * 12 + [90.0] * 2 + [40.0, 20.0, 4.0]
TAIL_STEP_S = 300.0
REPORTS = 10  # in each step: no lease outlasts one
LOW_S = 1_200.0
PROVIDER = "sandbox"
KEY_ID, KEY = "bench", b"what simulated money is signed with"
CHUNK = 500
AT_ONCE = 50  # what the decider thinks about in one step, so that none of them has to wait for the next

Told = Callable[..., ev.Event]


class _Nowhere:
    """Gates and errands of outlets that are not there yet."""

    def generation(self, outlet: str) -> int:
        return 0

    def on(self, order: fx.SwitchOn) -> bool:
        return True

    def renew(self, order: fx.Renew) -> bool:
        return True

    def off(self, outlet: str) -> None: ...

    def tell(self, order: fx.Provision | fx.AskNow | fx.SetInputs) -> bool:
        return True


def charging_site(
    url: str,
    live: int,
    tails: int = 0,
    unpaid: int = 0,
    lease_s: float = Rules().lease_s,
    said: Callable[[int], None] = lambda done: None,
) -> None:
    """Makes the database of `live` charging outlets, and after them `tails` that one more low reading would finish.

    Last come `unpaid` free outlets, each with an order that waits for its payment.
    """
    store = Store(url, "bench")
    store.create()
    try:
        store.write("site", _site(RealClock().now().at))
        for first in range(0, live + tails + unpaid, CHUNK):
            chunk = range(first, min(first + CHUNK, live + tails + unpaid))
            store.write(f"outlets:{first}", [row for number in chunk for row in _pile(number, lease_s)])
        now = RealClock().now()
        told = _Told(store, HandClock(now.at, now.steady_s))  # a moment for all of them, however long the disk takes
        for first in range(0, live, CHUNK):
            chunk = range(first, min(first + CHUNK, live))
            store.write(f"sessions:{first}", _newest(told.charged(chunk)))
            said(chunk.stop)
        ordered = range(live + tails, live + tails + unpaid)
        store.write("unpaid", [row for number in ordered for row in told.ordered(number)])
        for first in range(live, live + tails, AT_ONCE):
            chunk = range(first, min(first + AT_ONCE, live + tails))
            store.write(f"tails:{first}", _newest(_tailing(store, chunk)))
    finally:
        store.close()


def _newest(rows: list[fx.Effect]) -> list[fx.Effect]:
    """Of the rows that replace each other only the last: what is on disk is the same, and half the work."""
    kept: dict[object, fx.Effect] = {}
    for number, row in enumerate(rows):
        match row:
            case fx.SaveSession():
                kept["session", row.session.id] = row
            case fx.SaveOrder():
                kept["order", row.order.id] = row
            case _:
                kept[number] = row
    return list(kept.values())


def order_of(number: int) -> str:
    return f"O{number:06d}"


def secret_of(number: int) -> str:
    """What the page of this plug's order is reached by."""
    return f"bench-secret-{number:06d}"


def _site(at: float) -> list[fx.Effect]:
    tariff: dict[str, Any] = {"id": SITE, "name": "flat", "zone": ZONE, "bands": BANDS}
    site: dict[str, Any] = {"id": SITE, "name": "Bench", "zone": ZONE, "merchant_id": MERCHANT, "tariff": tariff}
    return [
        fx.Put("merchant", {"id": MERCHANT, "name": "Bench"}),
        fx.Put("tariff", {**tariff, "site_id": SITE, "at": at}),
        fx.Put("site", site),
    ]


def _pile(number: int, lease_s: float) -> list[fx.Effect]:
    """Straight into the file, as if commissioned long ago."""
    name, rules = topic(number), Rules()
    pile: dict[str, object] = {"id": name, "site_id": SITE, "name": name, "family": "tasmota", "address": mac(number)}
    pile |= {"model": "bench", "firmware": "", "params": {"topic": name, "relays": [1]}, "adopted_at": 0.0}
    outlet = Outlet(
        id=name,
        pile=name,
        site=SITE,
        channel=0,
        number=name,
        phase=OutletPhase.OPEN,
        lease_class="renewed",
        lease_s=lease_s,
        power_w=rules.outlet_w,
    )
    return [fx.Put("pile", pile), fx.SaveOutlet(outlet)]


class _Told:
    """A decider that is told stories, and the rows it wishes for."""

    def __init__(self, store: Store, clock: Clock) -> None:
        nowhere = _Nowhere()
        self._engine = Engine(store.load().house, Rules(), nowhere, nowhere, Board(), "bench")
        self._clock = clock

    def charged(self, numbers: range) -> list[fx.Effect]:
        """What the charges of these outlets have written by the time their loads were seen."""
        return [row for number in numbers for told in _story(number) for row in self.step([told])]

    def ordered(self, number: int) -> list[fx.Effect]:
        """A free outlet and an order for it."""
        return [row for told in _story(number)[:2] for row in self.step([told])]

    def step(self, told: Iterable[Told]) -> list[fx.Effect]:
        now = self._clock.now()
        for event in told:
            self._engine.inbox.ask(event(at=now.at, steady_s=now.steady_s))
        batch = self._engine.step(now)
        if batch is None:
            return []
        self._engine.committed(batch.number)
        return [row for row in batch.rows if not isinstance(row, fx.Wish)]


def _tailing(store: Store, numbers: range) -> list[fx.Effect]:
    """Charges of two hours ago that came down in steps, and were last heard when they had become low."""
    since_s = len(TAIL_W) * TAIL_STEP_S + LOW_S
    real = RealClock().now()
    clock = HandClock(real.at - since_s, real.steady_s - since_s)
    told = _Told(store, clock)
    rows = told.charged(numbers)
    energy_wh = COUNTER_WH
    for power_w in (power_w for power_w in TAIL_W for _ in range(REPORTS)):
        clock.advance(TAIL_STEP_S / REPORTS)
        energy_wh += power_w * TAIL_STEP_S / REPORTS / 3600
        rows += told.step([_reading(topic(number), power_w, round(energy_wh)) for number in numbers])
    return rows


def _reading(outlet: str, power_w: float, energy_wh: float) -> Told:
    return partial(ev.Reading, outlet=outlet, power_w=power_w, energy_wh=energy_wh, voltage_v=229.0)


def _story(number: int) -> list[Told]:
    """Free, ordered, paid, on, drawing."""
    outlet = topic(number)
    order: dict[str, Any] = {"key": f"K{number}", "order": order_of(number), "session": f"S{number}"}
    order |= {"party": f"P{number}", "amount_fen": AMOUNT_FEN, "max_s": 0, "lang": "zh", "provider": PROVIDER}
    paid: dict[str, Any] = {"key": f"E{number}", "order": order_of(number), "txn": f"T{number}", "merchant": MERCHANT}
    paid |= {"amount_fen": AMOUNT_FEN, "currency": "CNY", "app": MERCHANT, "provider": PROVIDER}
    return [
        _reading(outlet, 0.0, COUNTER_WH),
        partial(ev.OrderPlaced, outlet=outlet, secret_hash=hashed(secret_of(number)), **order),
        partial(ev.PaymentConfirmed, **paid),
        partial(ev.RelayReported, outlet=outlet, on=True),
        _reading(outlet, POWER_W, COUNTER_WH),
    ]
