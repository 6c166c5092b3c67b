"""A link that stalls between gateway and broker: no ON takes effect late, nothing waits for a link that is down."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.core.reasons import StopReason
from controller.ledger_check import proofs
from firmware_bridge.transports import mqtt_link
from simulators.proxy import Proxy, Way
from tests.house import Broker, eventually
from tests.shell.played import NAME
from tests.shell.real_site import OFF, ON, Site, opened

ASKS = ((f"cmnd/{NAME}/Status", "10"), (f"cmnd/{NAME}/Status", "11"))
At = tuple[Site, Proxy]


@pytest.fixture
def at(mosquitto: Callable[..., Broker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[At]:
    """An open outlet with its plug in, and a gateway whose every byte goes through the proxy."""
    monkeypatch.setattr(mqtt_link, "BACKOFF_S", (0.05, 0.2))
    broker = mosquitto()
    proxy = Proxy(broker.port)
    proxy.start()
    site = Site(broker, tmp_path, proxy.port)
    site.start()
    opened(site)
    site.plug.load_w = 180.0
    site.obeyed()
    site.plug.commands.clear()
    site.link.sent = 0
    yield site, proxy
    proxy.resume(Way.UP)
    site.stop()
    proxy.stop()
    assert proofs(site.database) == []


def test_an_on_that_a_stalled_link_delivers_late_is_followed_by_its_off_and_costs_nothing(at: At) -> None:
    site, proxy = at
    site.order("O1")
    proxy.stall(Way.UP)
    sent = site.link.sent
    site.pay("O1")
    eventually(lambda: site.link.sent == sent + 1)  # the kernel has taken it: nobody can tell yet
    _beat_unheard(site, 12.0)  # no confirmation within on_confirm_s
    eventually(lambda: site.link.sent >= sent + 2)
    assert site.plug.commands == []

    proxy.resume(Way.UP)

    eventually(lambda: site.plug.commands[:2] == [ON, OFF])
    site.beat(5.0)
    _check_given_back(site)
    assert site.plug.commands.count(ON) == 1


def test_an_on_that_a_lost_link_held_is_gone_for_ever(at: At) -> None:
    site, proxy = at
    site.order("O1")
    proxy.stall(Way.UP)
    sent = site.link.sent
    site.pay("O1")
    eventually(lambda: site.link.sent == sent + 1)

    proxy.cut()  # what it held goes with it
    eventually(lambda: not site.seen.linked)
    proxy.resume(Way.UP)

    eventually(site.back)
    _beat_unheard(site, 6.0)
    _check_given_back(site)
    assert ON not in site.plug.commands
    assert not site.plug.relay_on


def test_money_that_comes_while_the_link_is_down_goes_back_and_no_on_waits_for_the_link(at: At) -> None:
    site, proxy = at
    site.order("O1")
    proxy.refuse()
    proxy.cut()
    eventually(lambda: not site.seen.linked)

    site.pay("O1")
    eventually(lambda: site.books.refunds)
    proxy.refuse(False)

    eventually(site.back)
    site.beat(6.0)
    assert set(site.plug.commands) <= {OFF, *ASKS}  # a socket that comes back is told to be off, and asked
    assert [refund.wish.amount_fen for refund in site.books.refunds.values()] == [200]


def _beat_unheard(site: Site, seconds: float) -> None:
    """Time passes for both; what the gateway says may not arrive."""
    site.plug.beat(seconds)
    eventually(lambda: site.seen.reading_s == site.clock.now().steady_s)


def _check_given_back(site: Site) -> None:
    eventually(lambda: site.settled)
    done = site.settled[0]
    assert (done.reason, done.proof) == (StopReason.START_FAILED, "measured")
    assert (done.meter.used_wh, done.returned_fen) == (0.0, 200)
    eventually(lambda: [refund.wish.amount_fen for refund in site.books.refunds.values()] == [200])
    assert not site.plug.relay_on
