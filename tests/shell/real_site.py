"""A real gateway and a played socket on one broker, on a clock that the test moves; adopted and proven by `opened`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from anchong.wiring import Gateway, Plan
from controller.clock import HandClock
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.state import Phase, Rules, Session
from controller.database import snapshot
from controller.outbox import Account
from firmware_bridge.transports.mqtt import MqttSettings, MqttTransport
from firmware_bridge.wire import Message
from simulators.provider_books import Books
from simulators.provider_local import LocalProvider
from tests.databases import url_of
from tests.house import Broker, eventually
from tests.shell.played import MAC, NAME, PlayedPlug

BANDS = [{"name": "all", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}]
OUTLET = "outlet-1"
BEAT_S = 20.0
ON_PROVING = (f"cmnd/{NAME}/Backlog0", "PulseTime1 115;Power1 ON")  # 15 s + 100
ON = (f"cmnd/{NAME}/Backlog0", "PulseTime1 220;Power1 ON")  # 120 s + 100
OFF = (f"cmnd/{NAME}/Power1", "OFF")


class CountedTransport(MqttTransport):
    """Ours, and how many commands have left: time must not pass while one is on its way to the socket."""

    sent = 0

    def send(self, message: Message, urgent: bool = False) -> bool:
        left = super().send(message, urgent)
        self.sent += left
        return left


class Site:
    """The gateway with its threads, the played socket, and a provider's books; time moves by `beat` alone."""

    def __init__(self, broker: Broker, folder: Path, port: int = 0) -> None:
        """`port`: another way to the broker for the gateway, a bad link."""
        self.clock = HandClock()
        self.books = Books()
        self.database = url_of(folder / "real.sqlite3")
        self.settled: list[Session] = []
        provider = LocalProvider(self.books, lambda: self.clock.now().at)
        account = Account("sandbox", "m", "app", "http://127.0.0.1/webhooks/sandbox", "http://127.0.0.1/paid/{order}")
        plan = Plan(
            clock=self.clock,
            rules=Rules(),
            database=self.database,
            journal=folder / "trips",
            name="gw",
            providers={"sandbox": provider},
            accounts={"m": account, "sandbox": account},
        )
        self.link = CountedTransport(MqttSettings(host=broker.host, port=port or broker.port), self.clock)
        self.gateway = Gateway(plan, self.link, self.settled.append)
        self.plug = PlayedPlug(broker, self.clock)

    def start(self) -> None:
        self.gateway.start()
        self.plug.boot()
        eventually(lambda: f"tasmota:{MAC}" in self.gateway.engine.house.found)

    def stop(self) -> None:
        self.gateway.stop()
        self.plug.stop()

    @property
    def seen(self) -> Any:
        return self.gateway.engine.house.seen[OUTLET]

    @property
    def outlet(self) -> Any:
        return self.gateway.engine.house.outlets[OUTLET]

    def beat(self, seconds: float = BEAT_S) -> None:
        """Returns once the gateway has heard the reading of this beat, and the socket what was said to it."""
        self.plug.beat(seconds)
        eventually(lambda: self.seen.reading_s == self.clock.now().steady_s)
        eventually(self._decided)
        self.obeyed()

    def _decided(self) -> bool:
        """Seen comes first, what is made of it after, and an OFF last: then its gate is closed, and it has left."""
        live = self.gateway.engine.house.sessions.get(OUTLET)
        if live is not None and live.phase is Phase.CLOSING:
            gate: Any = self.gateway.gates.get(OUTLET)
            with gate._lock:
                return not gate.open
        if live is None or live.phase is not Phase.CHARGING:
            return True
        return live.reading_s == self.clock.now().steady_s

    def obeyed(self) -> None:
        eventually(lambda: len(self.plug.commands) >= self.link.sent)

    def switched_on(self) -> None:
        eventually(lambda: self.seen.relay_on)
        self.obeyed()

    def beats_until(self, condition: Callable[[], object], at_most: int, seconds: float = BEAT_S) -> None:
        for _ in range(at_most):
            if condition():
                return
            self.beat(seconds)
        eventually(condition)

    def stamp(self) -> dict[str, Any]:
        now = self.clock.now()
        return {"at": now.at, "steady_s": now.steady_s}

    def change(self, change: ev.Change, subject: str, **values: object) -> None:
        key = f"{change}-{subject}"
        event = ev.StaffChange(**self.stamp(), key=key, by="staff:o", change=change, subject=subject, values=values)
        self.gateway.ask(event).result(5)

    def order(self, order: str) -> None:
        values: dict[str, Any] = {"key": f"key-{order}", "order": order, "session": f"S-{order}", "outlet": OUTLET}
        values |= {"party": "p1", "amount_fen": 200, "max_s": 0, "secret_hash": f"hash-{order}"}
        values |= {"provider": "sandbox", "lang": "zh"}
        self.gateway.ask(ev.OrderPlaced(**self.stamp(), **values)).result(5)

    def pay(self, order: str) -> None:
        """The payer pays at the provider, whose notice is asked in at the door as the webhook would."""
        eventually(lambda: order in self.books.orders)
        self.books.pay(order, self.clock.now().at)
        self.notices()

    def notices(self) -> None:
        for notice in self.books.due(self.clock.now().at):
            self.gateway.ask(self._event(msgspec.json.decode(notice.body))).result(5)
            self.books.accepted(notice.event_id)

    def _event(self, body: dict[str, Any]) -> ev.Event:
        common: dict[str, Any] = {"key": body["event_id"], "provider": "sandbox", "merchant": body["merchant"]}
        if body["kind"] == "refund":
            values: dict[str, Any] = {
                "refund": body["refund_no"],
                "amount_fen": body["amount_fen"],
                "state": body["state"],
            }
            return ev.RefundConfirmed(**self.stamp(), **common, **values)
        values = {"app": body["app"], "order": body["order_no"], "txn": body["txn_id"], "currency": body["currency"]}
        return ev.PaymentConfirmed(**self.stamp(), **common, **values, amount_fen=body["amount_fen"])

    def count(self, command: tuple[str, str]) -> int:
        return self.plug.commands.count(command)

    def back(self) -> bool:
        """Both of the gateway's links stand."""
        return self.link._reading.up and self.link._commanding.up

    def refunded_fen(self) -> int:
        self.books.tick(self.clock.now().at)
        return self.books.refunded_fen

    def alarms(self) -> list[Any]:
        return self.sql("SELECT kind FROM alarm ORDER BY at")

    def sql(self, query: str) -> list[Any]:
        """The first column."""
        with snapshot(self.database) as db:
            return [row[0] for row in db.execute(text(query))]


def opened(at: Site) -> None:
    at.change(ev.Change.SITE, "s1", name="Garden", zone="Asia/Shanghai", merchant="m", bands=BANDS)
    values = {"site": "s1", "name": "Shed 1", "numbers": ["01"], "outlets": [OUTLET], "pile": "pile-1"}
    at.change(ev.Change.ADOPT, f"tasmota:{MAC}", **values, stickers=["A-sticker"])
    eventually(lambda: at.seen.relay_on is False)
    at.beat()
    at.plug.load_w = 60.0  # a maintainer's test lamp
    assert ON_PROVING not in at.plug.commands
    at.change(ev.Change.COMMISSION, OUTLET)
    for _ in range(60):
        eventually(lambda: not _waits_for_on(at))
        if at.outlet.phase != "proving":
            break
        at.beat(3.0)
    assert at.outlet.phase == "commissioned", at.outlet.failed
    assert at.count(ON_PROVING) == 3  # lease, re-arm and its one renewal; that it obeys is tried for longer
    assert 12 <= at.outlet.record["lease_s"] <= 25
    assert at.outlet.record["rearmed_s"] >= 19.5
    assert at.outlet.record["off_power_w"] == 0.0
    with pytest.raises(Refused, match="not open"):
        at.order("too-early")
    at.change(ev.Change.OPEN, OUTLET)
    assert not at.plug.relay_on


def _waits_for_on(at: Site) -> bool:
    """An ON is on its way: were time to pass now, it would be too old to be sent."""
    proving = at.outlet.proving
    return proving is not None and proving.step in ("obey_on", "lease", "rearm") and proving.on_s is None
