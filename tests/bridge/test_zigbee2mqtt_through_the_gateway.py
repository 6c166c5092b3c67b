"""Zigbee plugs against a whole gateway: odd meters, lost halves of an ON, names that change, a bridge that stops."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.reasons import StopReason
from controller.core.state import Rules
from firmware_bridge.drivers import ON_BROKER
from firmware_bridge.gate import Gates
from firmware_bridge.router import Router
from firmware_bridge.transports.memory import MemoryBroker, MemoryTransport
from firmware_bridge.wire import Message, Pile
from simulators.twins.contact import Fault
from simulators.twins.zigbee2mqtt import COUNTDOWN, Zigbee2MqttConfig, Zigbee2MqttTwin
from tests.bridge.yard import Lamp, Yard


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path)
    made.open()
    yield made
    made.stop()


def plug(yard: Yard, **config: Any) -> Zigbee2MqttTwin:
    twin = Zigbee2MqttTwin(Zigbee2MqttConfig(**config), [Lamp(60.0)], yard.clock.now().at)
    yard.connect(twin)
    yard.run(2.0)
    return twin


def charging(yard: Yard, twin: Zigbee2MqttTwin) -> str:
    (outlet,) = yard.sells(twin)
    yard.plug(twin, 0, 180.0)
    yard.begin(outlet)
    return outlet


def settled(yard: Yard, outlet: str) -> Any:
    yard.stop_charge(outlet)
    yard.runs_until(lambda: yard.settled, 90.0)
    return yard.settled[0]


# -- meters -------------------------------------------------------------------------------------------------------


def test_a_meter_that_reports_nothing_now_and_then_neither_ends_nor_pauses_a_charge(yard: Yard) -> None:
    twin = plug(yard, timer=COUNTDOWN, glitch_s=47.0, asked=False)
    outlet = charging(yard, twin)
    zeros = 0

    for _ in range(36):
        yard.said.clear()
        yard.run(10.0)
        zeros += any(b'"power":0,' in message.payload for message in yard.said)
        assert (yard.live(outlet).phase, yard.live(outlet).pause) == ("charging", None)
    assert zeros >= 6
    assert settled(yard, outlet).reason is StopReason.STOPPED_BY_RESIDENT


def test_a_counter_in_steps_of_ten_watt_hours_is_no_broken_meter_and_is_billed_as_it_is(yard: Yard) -> None:
    twin = plug(yard, step_wh=10.0)
    outlet = charging(yard, twin)
    yard.plug(twin, 0, 40.0)  # a step in fifteen minutes
    used_wh = twin.counted_wh(0)

    yard.run(1_500.0)
    done = settled(yard, outlet)

    assert (done.reason, done.proof) == (StopReason.STOPPED_BY_RESIDENT, "measured")
    assert done.meter.used_wh % 10 == 0
    assert abs(done.meter.used_wh - (twin.counted_wh(0) - used_wh)) <= 12.0


@pytest.mark.parametrize(
    "config",
    [
        {"asked": False, "reads": False, "polled_s": 10.0},
        {"asked": False, "polled_s": 60.0, "timer": COUNTDOWN, "step_wh": 10.0},
        {"echo_s": 30.0, "available": False},
        {"timer": COUNTDOWN, "counts_to": 256, "plain": True},
    ],
    ids=[
        "only the bridge asks it",
        "silent, but read by its clusters",
        "says late that it is on, and never that it is there",
        "counts to 255",
    ],
)
def test_an_odd_plug_is_proven_and_charges(yard: Yard, config: dict[str, Any]) -> None:
    outlet = charging(yard, twin := plug(yard, **config))

    yard.run(300.0)
    done = settled(yard, outlet)

    assert (done.reason, done.proof) == (StopReason.STOPPED_BY_RESIDENT, "measured")
    assert not twin.powered(0)


def test_no_lease_is_longer_than_the_shortest_timer_counts(tmp_path: Path) -> None:
    """At 900 s one that counts to 255 would be cut after 132."""
    yard = Yard(tmp_path, Rules(lease_s=900.0))
    yard.open()
    (outlet,) = yard.adopt(plug(yard, timer=COUNTDOWN, counts_to=256))

    assert yard.house.outlets[outlet].lease_s == 240.0
    yard.stop()


def test_a_module_whose_timer_would_switch_it_on_is_found_and_never_switched(yard: Yard) -> None:
    twin = plug(yard, by_tuya=True)
    (outlet,) = yard.adopt(twin)

    assert yard.house.outlets[outlet].phase == "metering_only"
    with pytest.raises(Refused):
        yard.change(ev.Change.COMMISSION, outlet)


def test_a_plug_that_can_t_say_what_it_does_at_power_up_has_to_show_it(yard: Yard) -> None:
    twin = plug(yard, memory=False)
    (outlet,) = yard.adopt(twin)
    yard.run(12.0)
    yard.change(ev.Change.COMMISSION, outlet)

    def at_its_end() -> bool:
        proving = yard.house.outlets[outlet].proving
        return proving is None or proving.step == "power_cut"

    yard.runs_until(at_its_end, 200.0)

    assert yard.house.outlets[outlet].failed is None
    assert yard.house.outlets[outlet].proving.settings["power_up_off"] == -1


# -- timers -------------------------------------------------------------------------------------------------------


def test_an_on_whose_countdown_was_lost_on_the_air_is_dark_within_three_rounds(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = plug(yard, timer=COUNTDOWN)
    (outlet,) = yard.sells(twin)
    yard.plug(twin, 0, 180.0)
    monkeypatch.setattr(twin.outlets[0], "count_down", lambda seconds, now_s: None)  # though the bridge believes it
    yard.ask(ev.CardToppedUp(**yard._stamp(), key="t", by="staff:o", card="c", amount_fen=2_000)).result(0)
    yard.ask(ev.CardTapped(**yard._stamp(), outlet=outlet, uid="E9F35959", session="S", key="k"))
    yard.runs_until(lambda: twin.powered(0), 10.0)

    yard.runs_until(lambda: not twin.powered(0), 35.0)
    yard.runs_until(lambda: yard.settled, 60.0)

    assert yard.settled[0].reason is StopReason.RELAY_FAULT


def test_a_renewal_that_is_lost_in_half_leaves_the_lease_before_it(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = plug(yard, timer=COUNTDOWN)
    charging(yard, twin)
    orders = list[Message]()
    yard.broker.connect("ear", orders.append)
    yard.broker.subscribe("ear", f"zigbee2mqtt/{twin.mac}/set")
    monkeypatch.setattr(twin.outlets[0], "count_down", lambda seconds, now_s: None)

    yard.runs_until(lambda: any(b'"countdown":120' in order.payload for order in orders), 45.0)
    yard.transport.cut()
    yard.run(121.0)

    assert not twin.powered(0)


def test_an_off_between_an_on_and_its_countdown_does_not_come_back_on_by_itself(yard: Yard) -> None:
    twin = plug(yard, timer=COUNTDOWN)
    (outlet,) = yard.sells(twin)
    yard.run(60.0)
    twin.outlets[0].count_down(120, yard.clock.now().at)  # of an ON before: its relay is off, and would turn round
    twin.outlets[0].known["countdown"] = 120
    yard.said.clear()

    yard.run(130.0)

    assert not [message for message in yard.said if b'"state":"ON"' in message.payload]
    assert yard.house.outlets[outlet].latch is None


# -- the bridge ---------------------------------------------------------------------------------------------------


def test_a_charge_goes_on_under_another_name(yard: Yard) -> None:
    twin = plug(yard)
    outlet = charging(yard, twin)
    before_wh = twin.counted_wh(0)
    yard.run(60.0)

    yard.say(twin, twin.rename("shed/3", yard.clock.now().at))
    yard.run(300.0)

    assert twin.powered(0)
    assert yard.live(outlet).phase == "charging"
    assert yard.gateway.router.faults(outlet) == {}  # what the bridge empties under the old name is no fault
    assert not [what for what in yard.gateway.router.counts if what.startswith("bad")]
    done = settled(yard, outlet)
    assert done.proof == "measured"
    assert done.meter.used_wh >= twin.counted_wh(0) - before_wh - 1


def test_a_charge_goes_on_where_it_is_while_two_plugs_are_renamed_into_each_other(yard: Yard) -> None:
    charged, idle = plug(yard, name="a"), plug(yard, name="b", ieee="0x000000000049a3bd")
    yard.sells(idle)
    yard.plug(idle, 0, 90.0)
    outlet = charging(yard, charged)
    before_wh = charged.counted_wh(0)

    for twin, name in ((charged, "meanwhile"), (idle, "a"), (charged, "b")):
        yard.say(twin, twin.rename(name, yard.clock.now().at))
        yard.turn()
    yard.run(300.0)

    assert [charged.powered(0), idle.powered(0)] == [True, False]
    done = settled(yard, outlet)
    assert [charged.powered(0), idle.powered(0)] == [False, False]
    assert done.meter.used_wh == pytest.approx(charged.counted_wh(0) - before_wh, abs=2.0)


def test_a_gateway_that_was_away_finds_its_plug_under_its_new_name(yard: Yard, tmp_path: Path) -> None:
    twin = plug(yard)
    (outlet,) = yard.sells(twin)
    yard.transport.cut()
    yard.say(twin, twin.rename("elsewhere", yard.clock.now().at))
    yard.run(1.0)

    yard.transport.restore()
    yard.run(61.0)

    yard.plug(twin, 0, 180.0)
    yard.begin(outlet)
    assert twin.powered(0)


def test_a_bridge_that_stops_loses_its_plugs_and_the_lease_ends_the_charge(yard: Yard) -> None:
    twin = plug(yard)
    outlet = charging(yard, twin)

    yard.inject(twin, Fault.SILENT)
    yard.run(92.0)  # the broker tells of it by its will
    assert not yard.house.seen[outlet].linked
    yard.run(60.0)

    assert not twin.powered(0)


class Two:
    """Two plugs behind one bridge, and who is told what."""

    def __init__(self, names: tuple[str, str] = ("a", "b")) -> None:
        self.broker = MemoryBroker()
        self.told: list[Any] = []
        self.transport = MemoryTransport(self.broker, "gateway")
        self.router = Router(
            ON_BROKER,
            self.transport,
            Gates(lambda: ev.Stamp(0.0, 0.0)),
            lambda: ev.Stamp(0.0, 0.0),
            self.told.append,
            lambda trip: None,
        )
        self.broker.connect("bridge", lambda message: None)
        self.transport.start(self.router.receive, self.router.linked)
        for one, name in zip("ab", names, strict=True):
            params: dict[str, object] = {"topic": f"z/{name}", "base": "z", "timer": "on_time"}
            self.router.open(Pile(f"p-{one}", "zigbee2mqtt", f"0x0{one}", (f"o-{one}",), params))

    def say(self, topic: str, payload: Any, retained: bool = False) -> list[Any]:
        self.told.clear()
        self.broker.publish("bridge", Message(f"z/{topic}", json.dumps(payload).encode(), retained))
        self.broker.pump(0.0)
        return list(self.told)

    def names(self, a: str, b: str) -> None:
        both = [{"ieee_address": "0x0a", "friendly_name": a}, {"ieee_address": "0x0b", "friendly_name": b}]
        self.say("bridge/devices", both, True)


def test_a_bridge_speaks_for_all_of_its_plugs() -> None:
    two = Two()

    lost = two.say("bridge/state", {"state": "offline"}, True)

    assert {event.outlet for event in lost if isinstance(event, ev.LinkLost)} == {"o-a", "o-b"}
    assert "unknown_address" not in two.router.counts


def test_two_plugs_that_change_names_with_each_other_are_not_taken_for_each_other() -> None:
    two = Two()

    two.names("b", "a")

    assert {event.outlet for event in two.say("a", {"power": 60})} == {"o-b"}
    assert {event.outlet for event in two.say("b", {"power": 60})} == {"o-a"}
    assert "address_taken" not in two.router.counts


def test_a_name_that_another_pile_bears_is_refused_and_the_one_that_bore_it_first_keeps_it() -> None:
    two = Two()

    two.names("b", "b")

    assert {event.outlet for event in two.say("b", {"power": 60})} == {"o-b"}
    assert two.router.counts["address_taken"] == 1
    two.names("c", "b")
    assert {event.outlet for event in two.say("c", {"power": 60})} == {"o-a"}


def test_a_plug_adopted_under_a_name_that_another_bore_when_it_was_adopted_is_served_after_a_restart() -> None:
    """What is kept of the first is its name of then."""
    two = Two(("plug", "plug"))

    two.names("old plug", "plug")

    assert {event.outlet for event in two.say("old plug", {"power": 60})} == {"o-a"}
    assert {event.outlet for event in two.say("plug", {"power": 60})} == {"o-b"}


def test_a_list_of_garbage_moves_nobody() -> None:
    two = Two()

    two.say("bridge/devices", "no list")

    assert {event.outlet for event in two.say("a", {"power": 60})} == {"o-a"}
    assert two.router.counts["bad:malformed"] == 1
