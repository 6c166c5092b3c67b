"""The real engine without a disk: every batch counts as committed at once, and every row is kept to be looked at."""

from typing import Any

from controller.clock import HandClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.house import House, site_of
from controller.core.reasons import StopReason
from controller.core.state import Card, Outlet, OutletPhase, Rules
from controller.engine import Engine
from controller.views import Board

BANDS = [{"name": "all", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}]
TARIFF = {"id": "t1", "name": "flat", "zone": "Asia/Shanghai", "bands": BANDS}


class Gear:
    """Switches nothing, remembers everything."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.told: list[fx.Provision | fx.AskNow | fx.SetInputs] = []
        self._generations: dict[str, int] = {}

    def generation(self, outlet: str) -> int:
        return self._generations.get(outlet, 0)

    def on(self, order: fx.SwitchOn) -> bool:
        self.log.append(f"on {order.outlet}")
        return True

    def renew(self, order: fx.Renew) -> bool:
        self.log.append(f"renew {order.outlet}")
        return True

    def off(self, outlet: str) -> None:
        self._generations[outlet] = self.generation(outlet) + 1
        self.log.append(f"off {outlet}")

    def tell(self, order: fx.Provision | fx.AskNow | fx.SetInputs) -> bool:
        self.told.append(order)
        return True


class Desk:
    """Outlets o1 … that are open and linked, cards c1 and c2, one merchant."""

    def __init__(self, outlets: int = 2, rules: Rules | None = None) -> None:
        self.clock = HandClock()
        self.house = House()
        self.rows: list[fx.Effect] = []
        self.gear = Gear()
        self.house.sites["s1"] = site_of(
            {"id": "s1", "name": "S", "zone": "Asia/Shanghai", "merchant_id": "m", "tariff": TARIFF}
        )
        for channel in range(outlets):
            self.house.apply(fx.SaveOutlet(_outlet(f"o{channel + 1}", channel)))
        for card in "12":
            self.house.apply(fx.SaveCard(Card(f"c{card}", f"04AB{card}", card, f"card:c{card}")))
        self.engine = Engine(self.house, rules or Rules(), self.gear, self.gear, Board())
        self.counters = dict.fromkeys(self.house.outlets, 1000.0)
        for outlet in self.house.outlets:
            self.reads(outlet, 0.0)

    # -- driving --------------------------------------------------------------------------------------------------

    def stamp(self) -> dict[str, Any]:
        now = self.clock.now()
        return {"at": now.at, "steady_s": now.steady_s}

    def do(self, *events: ev.Event) -> None:
        for event in events:
            self.engine.inbox.tell(event)
        self.step()

    def step(self) -> None:
        batch = self.engine.step(self.clock.now())
        if batch is not None:
            self.rows += batch.rows
            self.engine.committed(batch.number)
            for answered in batch.answers:
                answered.future.set_result(answered.body)

    def ask(self, event: ev.Event, **found: Any) -> dict[str, Any]:
        """The answer; Refused if it was refused, and any bug as itself."""
        future = self.engine.inbox.ask(event, found)
        self.step()
        return future.result(0)

    def code(self, event: ev.Event, **found: Any) -> str:
        """The code it was refused with, or `ok`."""
        try:
            self.ask(event, **found)
        except Refused as refused:
            return refused.code
        return "ok"

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.step()

    def reads(self, outlet: str, power_w: float, used_wh: float = 0.0) -> None:
        self.clock.advance(1)
        self.counters[outlet] += used_wh
        self.do(ev.Reading(**self.stamp(), outlet=outlet, power_w=power_w, energy_wh=self.counters[outlet]))

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

    def cancelled(self, order: str = "O1") -> ev.OrderCancelled:
        return ev.OrderCancelled(**self.stamp(), key=f"cancel-{order}", order=order)

    def topup(self, amount_fen: int, key: str = "t1", card: str = "c1") -> ev.CardToppedUp:
        return ev.CardToppedUp(**self.stamp(), key=key, by="staff:o", card=card, amount_fen=amount_fen)

    def tap(self, outlet: str = "o1", uid: str = "04AB1", session: str = "SC1") -> ev.CardTapped:
        return ev.CardTapped(**self.stamp(), outlet=outlet, uid=uid, session=session, key=f"tap-{session}-{outlet}")

    def stop(self, outlet: str = "o1", session: str = "") -> ev.StopAsked:
        live = session or self.house.sessions[outlet].id
        return ev.StopAsked(
            **self.stamp(),
            key=f"stop-{live}",
            session=live,
            outlet=outlet,
            by="party:p1",
            reason=StopReason.STOPPED_BY_RESIDENT,
        )

    def change(
        self, change: ev.Change, subject: str, by: str = "staff:o", key: str = "", **values: Any
    ) -> ev.StaffChange:
        key = key or f"{change}-{subject}-{self.clock.now().at}"
        return ev.StaffChange(**self.stamp(), key=key, by=by, change=change, subject=subject, values=values)

    def charged(self, outlet: str, used_wh: float) -> None:
        """The live session draws that much, is stopped and proven off."""
        self.reads(outlet, 60.0)
        self.reads(outlet, 60.0, used_wh)
        if outlet in self.house.sessions and self.house.sessions[outlet].reason is None:
            self.do(self.stop(outlet))
        self.reads(outlet, 0.0)

    # -- what came of it --------------------------------------------------------------------------------------------

    def entries(self) -> list[str]:
        return [row.entry.key for row in self.rows if isinstance(row, fx.Post)]

    def of(self, prefix: str) -> int:
        """The balance of all accounts that begin so."""
        return sum(fen for account, fen in self.house.balances.items() if account.startswith(prefix))

    def receipts(self) -> dict[str, int]:
        bills = [row.session for row in self.rows if isinstance(row, fx.Receipt)]
        return {session.id: session.bill.total_fen for session in bills if session.bill is not None}


def _outlet(outlet: str, channel: int) -> Outlet:
    return Outlet(
        id=outlet,
        pile="p1",
        site="s1",
        channel=channel,
        number=str(channel + 1),
        phase=OutletPhase.OPEN,
        lease_class="renewed",
        lease_s=120.0,
        power_w=800.0,
    )
