"""One whole charge on real input: a real gateway and broker, and a socket played by mosquitto_pub and mosquitto_sub."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import create_engine, text

from anchong.wiring import Gateway, Plan
from controller.clock import HandClock
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.reasons import StopReason
from controller.core.state import Rules, Session
from controller.ledger_check import proofs
from controller.outbox import Account
from firmware_bridge.transports.mqtt import MqttSettings, MqttTransport
from firmware_bridge.wire import Message
from simulators.provider_books import Books
from simulators.provider_local import LocalProvider
from tests.house import Broker, eventually, needs
from tests.shell.played import MAC, NAME, PlayedPlug

BANDS = [{"name": "all", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}]
OUTLET = "outlet-1"
BEAT_S = 20.0
ON_PROVING = (f"cmnd/{NAME}/Backlog0", "PulseTime1 115;Power1 ON")  # 15 s + 100
ON = (f"cmnd/{NAME}/Backlog0", "PulseTime1 220;Power1 ON")  # 120 s + 100
OFF = (f"cmnd/{NAME}/Power1", "OFF")
# Watts and how many beats of 20 s. A beat at w watts is w/180 Wh: 62,501 / 180 = 347.2 Wh, printed as 0.347 kWh.
CURVE = (
    *((360, 130), (306, 15), (252, 15), (190, 12), (153, 10), (117, 9), (90, 9), (63, 9), (45, 9)),
    *((27, 9), (21, 9), (16, 9), (11, 10)),
)


class CountedTransport(MqttTransport):
    """Ours, and how many commands have left: time must not pass while one is on its way to the socket."""

    sent = 0

    def send(self, message: Message, urgent: bool = False) -> bool:
        left = super().send(message, urgent)
        self.sent += left
        return left


class Site:
    """The gateway with its threads, the played socket, and a provider's books; time moves by `beat` alone."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.clock = HandClock()
        self.books = Books()
        self.database = f"sqlite:///{folder / 'real.sqlite3'}"
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
        self.link = CountedTransport(MqttSettings(host=broker.host, port=broker.port), self.clock)
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
        self.obeyed()

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

    def refunded_fen(self) -> int:
        self.books.tick(self.clock.now().at)
        return self.books.refunded_fen

    def alarms(self) -> list[Any]:
        return self.sql("SELECT kind FROM alarm ORDER BY at")

    def sql(self, query: str) -> list[Any]:
        """The first column."""
        engine = create_engine(self.database)
        with engine.connect() as db:
            found = [row[0] for row in db.execute(text(query))]
        engine.dispose()
        return found


@pytest.fixture
def site(mosquitto: Callable[..., Broker], tmp_path: Path) -> Iterator[tuple[Site, Broker]]:
    broker = mosquitto()
    made = Site(broker, tmp_path)
    made.start()
    yield made, broker
    made.stop()


def test_a_socket_played_by_hand_is_found_proven_charged_by_billed_to_the_fen_and_latched_when_welded(
    site: tuple[Site, Broker],
) -> None:
    at, broker = site
    _adopt_and_open(at)
    _charge_until_finished(at)
    _stop_while_welded(at)
    assert _kept_commands(broker) == ""
    at.gateway.stop()
    assert proofs(at.database) == []


def _adopt_and_open(at: Site) -> None:
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
    assert at.count(ON_PROVING) == 4  # obeys, lease, re-arm and its one renewal
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
    return proving is not None and proving.step in ("obey_on", "lease", "rearm") and not proving.seen_on


def _charge_until_finished(at: Site) -> None:
    at.plug.total_wh, at.plug.load_w = 1000.0, 0.0
    at.beat()
    commands = len(at.plug.commands)
    at.order("O1")
    assert at.plug.commands[commands:] == []  # an order reserves and switches nothing
    at.pay("O1")
    at.switched_on()
    assert at.plug.commands[commands:] == [ON]
    for watts, beats in CURVE:
        at.plug.load_w = watts
        for _ in range(beats):
            at.beat()
    eventually(lambda: at.plug.commands[-1] == OFF)
    eventually(lambda: not at.plug.relay_on)
    renewals = at.count(ON) - 1
    assert 5100 / 60 - 1 <= renewals <= 5100 / 40 + 1  # at a third of its 120 s, or the reading after
    at.beat()
    eventually(lambda: at.settled)
    _check_bill(at)


def _check_bill(at: Site) -> None:
    """347 Wh x 0.5583 yuan/kWh = 19.37 fen, 347 Wh x 0.3000 = 10.41 fen; each line rounded down; 200 - 29 = 171."""
    done = at.settled[0]
    assert (done.reason, done.proof, done.meter.used_wh) == (StopReason.FINISHED, "measured", 347.0)
    assert done.bill is not None
    assert [(line.kind, line.wh, line.amount_fen) for line in done.bill.lines] == [
        ("energy", 347, 19),
        ("service", 347, 10),
    ]
    assert (done.hold_fen, done.bill.total_fen, done.returned_fen) == (200, 29, 171)
    _check_refunded(at, 171)
    assert at.alarms() == []


def _check_refunded(at: Site, so_far_fen: int) -> None:
    """The provider has paid it back, its notice came in, and nothing is owed any more."""
    eventually(lambda: len(at.books.refunds) == len(at.settled))
    at.beats_until(lambda: at.refunded_fen() == so_far_fen, at_most=10)
    at.notices()
    eventually(lambda: at.sql("SELECT COUNT(*) FROM refund WHERE state <> 'success'") == [0])


def _stop_while_welded(at: Site) -> None:
    """150 Wh until the stop: 8.37 and 4.50 fen, rounded down; what a welded relay lets through after is not billed."""
    at.order("O2")
    at.pay("O2")
    at.switched_on()
    at.plug.load_w = 450.0
    for _ in range(60):
        at.beat()
    at.plug.welded = True
    offs, stop_s = at.count(OFF), at.clock.now().steady_s
    at.gateway.ask(
        ev.StopAsked(
            **at.stamp(),
            key="stop",
            session="S-O2",
            outlet=OUTLET,
            by="party:p1",
            reason=StopReason.STOPPED_BY_RESIDENT,
        )
    ).result(5)
    eventually(lambda: at.count(OFF) == offs + 1)
    at.beat(5.0)
    at.beat(5.0)
    assert at.alarms() == []
    at.beats_until(lambda: "relay_fault" in at.alarms(), at_most=3, seconds=5.0)
    while at.clock.now().steady_s < stop_s + Rules().proof_s:
        assert len(at.settled) == 1
        at.beat()
    eventually(lambda: len(at.settled) == 2)
    assert at.outlet.latch == "relay_fault"
    assert at.count(OFF) >= offs + 25  # at each reading with power
    done = at.settled[1]
    assert done.bill is not None
    assert (done.reason, done.proof) == (StopReason.STOPPED_BY_RESIDENT, "none")
    assert (done.bill.total_fen, done.returned_fen) == (12, 188)
    with pytest.raises(Refused, match="out of service"):
        at.order("O3")
    _check_refunded(at, 171 + 188)


def _kept_commands(broker: Broker) -> str:
    """What the broker would tell a socket that connects now."""
    sub = [needs("mosquitto_sub"), "-h", broker.host, "-p", str(broker.port), "-t", "cmnd/#", "-v", "-W", "1"]
    return subprocess.run(sub, capture_output=True, text=True, check=False).stdout
