"""A compound in the middle of its evening: a database in which every outlet is in a paid, charging session.

The rows are those that the real decider makes of an order, its payment, the relay's report and a load; only what a
provider would have been asked is left out, as if answered long ago.
"""

from collections.abc import Callable
from typing import Any

from controller.clock import RealClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.state import Outlet, OutletPhase, Rules
from controller.engine import Engine
from controller.store import Store
from controller.views import Board
from simulators.publisher import topic

SITE, MERCHANT, ZONE = "bench", "bench", "Asia/Shanghai"
BANDS = [{"name": "all", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}]
AMOUNT_FEN = 2_000  # 23 kWh: no run is so long
POWER_W = 180.0
CHUNK = 500


class _Nowhere:
    """Gates and errands of outlets that are not there yet."""

    def generation(self, outlet: str) -> int:
        return 0

    def on(self, order: fx.SwitchOn) -> bool:
        return True

    def renew(self, order: fx.Renew) -> bool:
        return True

    def off(self, outlet: str) -> None: ...

    def tell(self, order: fx.Provision | fx.AskNow) -> bool:
        return True


def charging_site(url: str, outlets: int, charging: int, said: Callable[[int], None] = lambda done: None) -> None:
    """Makes the database: `outlets` open Tasmota piles of one outlet each, the first `charging` of them charging."""
    store = Store(url, "bench")
    store.create()
    try:
        store.write("site", _site(RealClock().now().at))
        for first in range(0, outlets, CHUNK):
            chunk = range(first, min(first + CHUNK, outlets))
            store.write(f"outlets:{first}", [row for number in chunk for row in _pile(number)])
        _charge(store, charging, said)
    finally:
        store.close()


def _site(at: float) -> list[fx.Effect]:
    tariff: dict[str, Any] = {"id": SITE, "name": "flat", "zone": ZONE, "bands": BANDS}
    site: dict[str, Any] = {"id": SITE, "name": "Bench", "zone": ZONE, "merchant_id": MERCHANT, "tariff": tariff}
    return [
        fx.Put("merchant", {"id": MERCHANT, "name": "Bench"}),
        fx.Put("tariff", {**tariff, "site_id": SITE, "at": at}),
        fx.Put("site", site),
    ]


def _pile(number: int) -> list[fx.Effect]:
    """Straight into the file, as if commissioned long ago."""
    name, rules = topic(number), Rules()
    pile: dict[str, object] = {"id": name, "site_id": SITE, "name": name, "family": "tasmota", "address": _mac(number)}
    pile |= {"model": "bench", "firmware": "", "params": {"topic": name, "relays": [1]}, "adopted_at": 0.0}
    outlet = Outlet(
        id=name,
        pile=name,
        site=SITE,
        channel=0,
        number=name,
        phase=OutletPhase.OPEN,
        lease_class="renewed",
        lease_s=rules.lease_s,
        power_w=rules.outlet_w,
    )
    return [fx.Put("pile", pile), fx.SaveOutlet(outlet)]


def _mac(number: int) -> str:
    return f"0C0FFE{number:06X}"


def _charge(store: Store, charging: int, said: Callable[[int], None]) -> None:
    nowhere = _Nowhere()
    engine = Engine(store.load().house, Rules(), nowhere, nowhere, Board(), "bench")
    for first in range(0, charging, CHUNK):
        chunk = range(first, min(first + CHUNK, charging))
        store.write(f"sessions:{first}", [row for number in chunk for row in _charged(engine, number)])
        said(chunk.stop)


def _charged(engine: Engine, number: int) -> list[fx.Effect]:
    """What one outlet's charge has written by the time its load was seen."""
    rows: list[fx.Effect] = []
    for told in _story(number):
        now = RealClock().now()
        event = told(at=now.at, steady_s=now.steady_s)
        engine.inbox.ask(event)
        batch = engine.step(now)
        if batch is not None:
            engine.committed(batch.number)
            rows += [row for row in batch.rows if not isinstance(row, fx.Wish)]
    return rows


def _story(number: int) -> list[Callable[..., ev.Event]]:
    outlet, amount = topic(number), AMOUNT_FEN

    def reading(**stamp: float) -> ev.Event:
        return ev.Reading(**stamp, outlet=outlet, power_w=POWER_W, energy_wh=1_000_000.0, voltage_v=229.0)

    def placed(**stamp: float) -> ev.Event:
        ids = {"key": f"K{number}", "order": f"O{number}", "session": f"S{number}", "party": f"P{number}"}
        more = {"secret_hash": f"H{number}", "provider": "bench", "lang": "zh"}
        return ev.OrderPlaced(**stamp, **ids, **more, outlet=outlet, amount_fen=amount, max_s=0)

    def paid(**stamp: float) -> ev.Event:
        ids = {"key": f"E{number}", "order": f"O{number}", "txn": f"T{number}", "merchant": MERCHANT}
        return ev.PaymentConfirmed(**stamp, **ids, provider="bench", app="bench", amount_fen=amount, currency="CNY")

    def nothing_drawn(**stamp: float) -> ev.Event:
        return ev.Reading(**stamp, outlet=outlet, power_w=0.0, energy_wh=1_000_000.0, voltage_v=229.0)

    def relay_on(**stamp: float) -> ev.Event:
        return ev.RelayReported(**stamp, outlet=outlet, on=True)

    return [nothing_drawn, placed, paid, relay_on, reading]
