"""One whole charge on real input: a real gateway and broker, and a socket played by mosquitto_pub and mosquitto_sub."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.reasons import StopReason
from controller.core.state import Rules
from controller.ledger_check import proofs
from tests.house import Broker, eventually, needs
from tests.shell.real_site import OFF, ON, OUTLET, Site, opened

# Watts and how many beats of 20 s. A beat at w watts is w/180 Wh: 62,501 / 180 = 347.2 Wh, printed as 0.347 kWh.
CURVE = (
    *((360, 130), (306, 15), (252, 15), (190, 12), (153, 10), (117, 9), (90, 9), (63, 9), (45, 9)),
    *((27, 9), (21, 9), (16, 9), (11, 8)),
)


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
    opened(at)
    _charge_until_finished(at)
    _stop_while_welded(at)
    assert _kept_commands(broker) == ""
    at.gateway.stop()
    assert proofs(at.database) == []


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
    at.beats_until(lambda: at.plug.commands[-1] == OFF, at_most=12)
    eventually(lambda: not at.plug.relay_on)
    renewals = at.count(ON) - 1
    assert 5100 / 60 - 1 <= renewals <= 5100 / 40 + 1  # at a third of its 120 s, or the reading after
    at.beats_until(lambda: bool(at.settled), at_most=12)
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
