"""Whole piles against a whole gateway: found, proven on the device itself or refused, charged, cut; both families."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from controller.core import events as ev
from controller.core.reasons import StopReason
from firmware_bridge.codecs.shelly_decode import decode
from firmware_bridge.drivers import ON_BROKER
from firmware_bridge.wire import Message
from simulators.twins import TWINS
from simulators.twins.contact import Fault, Meddling
from simulators.twins.shelly import ShellyConfig, ShellyTwin
from simulators.twins.tasmota import TasmotaConfig, TasmotaTwin
from simulators.twins.twin import Twin
from tests.bridge.yard import Lamp, Yard

MQTT = pytest.mark.parametrize("family", ["shelly", "tasmota"])
FAMILIES = pytest.mark.parametrize("family", sorted(ON_BROKER))
WITH_LIMITS = pytest.mark.parametrize("family", sorted(set(ON_BROKER) - {"zigbee2mqtt"}))  # its bridge offers none
BARE_ON = {"zigbee2mqtt"}  # gives no end to an ON that brings none: its button is locked, its topics are ours
MACS = iter(f"0000004900{number:02X}" for number in range(1, 200))


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path)
    yield made
    made.stop()


def typical(yard: Yard, family: str, *powers_w: float) -> Twin:
    return TWINS[family](next(MACS), [Lamp(power_w) for power_w in powers_w or (60.0,)], yard.clock.now().at)


def shelly(yard: Yard, **config: object) -> ShellyTwin:
    return ShellyTwin(ShellyConfig(mac=next(MACS), **config), [Lamp(60.0)], yard.clock.now().at)  # type: ignore[arg-type]


# -- proven, or refused -------------------------------------------------------------------------------------------


@FAMILIES
def test_a_pile_is_found_adopted_and_proven_on_the_device_itself(yard: Yard, family: str) -> None:
    yard.open()
    twin = yard.connect(typical(yard, family))
    yard.run(2.0)
    assert f"{family}:{twin.mac}" in yard.house.found

    (outlet,) = yard.adopt(twin)
    proven = yard.prove(outlet)

    assert proven.phase == "commissioned", proven.failed
    assert not twin.powered(0)
    assert proven.record["power_up_off"] == proven.record["own_counter"] == proven.record["sees_power_when_off"] == 1
    assert 14.0 <= proven.record["lease_s"] <= 17.0
    assert proven.record["rearmed_s"] >= 19.5


@FAMILIES
def test_a_device_that_was_there_before_us_is_found(yard: Yard, family: str) -> None:
    twin = yard.connect(typical(yard, family))
    yard.broker.pump(yard.clock.now().steady_s)  # what it said at its start is gone, but for what the broker retains

    yard.open()
    yard.run(2.0)

    assert yard.house.found[f"{family}:{twin.mac}"]["firmware"] in ("13.3.0", "1.4.4", "1.0.0")


def test_two_families_on_one_broker_do_not_disturb_each_other(yard: Yard) -> None:
    yard.open()
    twins = {family: yard.connect(typical(yard, family, 60.0, 40.0)) for family in sorted(ON_BROKER)}
    yard.run(2.0)
    outlets = {family: yard.adopt(twin, 2) for family, twin in twins.items()}

    for mine in outlets.values():
        for outlet in mine:
            assert yard.prove(outlet).phase == "commissioned", yard.house.outlets[outlet].failed

    assert not [twin.mac for twin in twins.values() for channel in (0, 1) if twin.powered(channel)]
    bad = {what: count for what, count in yard.gateway.router.counts.items() if what.startswith("bad")}
    assert bad == {}


def test_a_model_whose_timer_does_not_start_over_is_refused(yard: Yard) -> None:
    yard.open()
    twin = yard.connect(shelly(yard, rearms=False))
    yard.run(2.0)

    proven = yard.prove(*yard.adopt(twin))

    assert (proven.phase, proven.failed) == ("adopted", "no_rearm")
    assert not twin.powered(0)


def test_a_firmware_that_drops_the_lease_is_dark_at_its_first_whole_status_and_refused(yard: Yard) -> None:
    yard.open()
    twin = yard.connect(shelly(yard, times=False))
    yard.run(2.0)

    proven = yard.prove(*yard.adopt(twin))

    assert (proven.phase, proven.failed) == ("adopted", "hazard")
    assert not twin.powered(0)


def test_a_relay_without_a_meter_is_refused(yard: Yard) -> None:
    yard.open()
    twin = yard.connect(shelly(yard, meters=False))
    yard.run(2.0)

    proven = yard.prove(*yard.adopt(twin))

    assert (proven.phase, proven.failed) == ("adopted", "no_own_counter")


def test_an_outlet_that_is_wired_in_reverse_is_refused(yard: Yard) -> None:
    yard.open()
    twin = yard.connect(ShellyTwin(ShellyConfig(mac=next(MACS)), [Lamp(-60.0)], yard.clock.now().at))
    yard.run(2.0)

    proven = yard.prove(*yard.adopt(twin))

    assert (proven.phase, proven.failed) == ("adopted", "hazard")
    assert not twin.powered(0)


def test_a_relay_that_is_shipped_on_is_switched_off_once_it_is_ours_and_stays_off_after_the_mains(yard: Yard) -> None:
    yard.open()
    twin = yard.connect(shelly(yard, initial_state="on"))
    yard.run(2.0)
    assert twin.powered(0)

    (outlet,) = yard.adopt(twin)
    yard.run(11.0)
    assert not twin.powered(0)
    assert yard.prove(outlet).phase == "commissioned"
    yard.say(twin, twin.power_cycle(yard.clock.now().at))
    assert not twin.powered(0)


def test_with_a_custom_prefix_and_switches_without_their_id_a_device_is_as_good(yard: Yard) -> None:
    twin = yard.connect(shelly(yard, prefix="home/Terrasse", names_itself=False, returns=False, status_ntf=True))
    yard.open()
    yard.run(2.0)

    assert yard.prove(*yard.adopt(twin)).phase == "commissioned"


# -- another firmware ---------------------------------------------------------------------------------------------


def updated(yard: Yard, twin: Twin, firmware: str) -> None:
    """As after an update: it starts anew, and says what it runs when it is asked."""
    inside: Any = twin._firmware
    inside.config = replace(inside.config, firmware=firmware)
    yard.say(twin, twin.power_cycle(yard.clock.now().at))
    yard.run(15.0)


@MQTT
def test_another_firmware_is_proven_again_before_it_serves(yard: Yard, family: str) -> None:
    yard.open()
    twin = yard.connect(typical(yard, family))
    yard.run(2.0)
    (outlet,) = yard.sells(twin)
    assert yard.house.outlets[outlet].proof.firmware

    updated(yard, twin, "99.1.0")
    fallen = yard.house.outlets[outlet]
    assert (fallen.phase, fallen.failed, fallen.firmware) == ("adopted", "firmware_changed", "99.1.0")
    assert yard.house.hardware[fallen.pile].firmware == "99.1.0"

    proven = yard.prove(outlet)
    assert proven.phase == "commissioned", proven.failure
    assert proven.proof is not None
    assert proven.proof.firmware == "99.1.0"


@MQTT
def test_a_charge_under_way_ends_before_its_outlet_falls_back(yard: Yard, family: str) -> None:
    yard.open()
    twin = yard.connect(typical(yard, family))
    yard.run(2.0)
    (outlet,) = yard.sells(twin)
    yard.begin(outlet)

    yard.gateway.tell(ev.FirmwareReported(**yard._stamp(), outlet=outlet, firmware="99.1.0"))
    yard.run(10.0)
    assert yard.house.outlets[outlet].phase == "open"
    assert yard.live(outlet).phase == "charging"
    yard.stop_charge(outlet)
    yard.runs_until(lambda: yard.settled, 30.0)

    assert yard.house.outlets[outlet].failed == "firmware_changed"


# -- charged ------------------------------------------------------------------------------------------------------


@FAMILIES
def test_a_charge_is_renewed_while_nothing_changes_and_settles_to_the_watt_hour(yard: Yard, family: str) -> None:
    yard.open()
    twin = yard.connect(typical(yard, family))
    yard.run(2.0)
    (outlet,) = yard.sells(twin)
    before_wh = twin.counted_wh(0)
    yard.plug(twin, 0, 180.0)
    yard.begin(outlet)

    yard.run(900.0)
    assert twin.powered(0)
    yard.stop_charge(outlet)
    yard.runs_until(lambda: yard.settled, 30.0)

    (done,) = yard.settled
    assert (done.proof, done.reason) == ("measured", StopReason.STOPPED_BY_RESIDENT)
    assert done.meter.used_wh == pytest.approx(twin.counted_wh(0) - before_wh, abs=1.0)
    assert not twin.powered(0)


@FAMILIES
def test_a_gateway_that_falls_silent_is_cut_by_the_lease(yard: Yard, family: str) -> None:
    yard.open()
    twin = yard.connect(typical(yard, family))
    yard.run(2.0)
    (outlet,) = yard.sells(twin)
    yard.begin(outlet)
    yard.run(100.0)
    assert twin.powered(0)

    yard.transport.cut()
    yard.run(121.0)

    assert not twin.powered(0)


@FAMILIES
def test_a_foreign_on_of_a_dead_outlet_is_cut_and_ends_by_itself_if_we_are_away(yard: Yard, family: str) -> None:
    yard.open()
    twin = yard.connect(typical(yard, family))
    yard.run(2.0)
    yard.sells(twin)

    yard.meddle(twin, Meddling.ON)
    yard.run(1.0)
    assert not twin.powered(0)
    yard.transport.cut()
    for one in twin.meddled(Meddling.ON):
        yard.say(twin, twin.receive(one.topic, one.payload, False, yard.clock.now().at))
    assert twin.powered(0)
    yard.run(121.0)
    assert twin.powered(0) is (family in BARE_ON)


@WITH_LIMITS
def test_the_devices_own_limit_ends_the_charge_for_good(yard: Yard, family: str) -> None:
    """Tasmota would switch on again by itself, five times."""
    yard.open()
    twin = yard.connect(typical(yard, family))
    yard.run(2.0)
    (outlet,) = yard.sells(twin)
    yard.plug(twin, 0, 180.0)
    yard.begin(outlet)

    yard.meddle(twin, Meddling.LIMIT, watts=100)
    yard.runs_until(lambda: yard.settled, 60.0)
    assert yard.settled[0].reason is StopReason.OVERLOAD
    lit = 0
    for _ in range(200):
        yard.run(1.0)
        lit += twin.powered(0)
    assert lit <= 10  # each of its own tries is cut at once
    assert not twin.powered(0)


def test_the_old_output_on_the_status_topic_neither_ends_a_charge_nor_hides_an_off(yard: Yard) -> None:
    yard.open()
    twin = yard.connect(shelly(yard, stale_status=True, status_ntf=True))
    yard.run(2.0)
    (outlet,) = yard.sells(twin)
    yard.begin(outlet)

    yard.run(300.0)
    assert yard.live(outlet).phase == "charging"
    yard.stop_charge(outlet)
    yard.runs_until(lambda: yard.settled, 30.0)

    assert yard.settled[0].proof == "measured"
    assert yard.house.outlets[outlet].latch is None


def test_an_off_that_met_a_device_shutting_down_is_sent_again_when_it_is_back(yard: Yard) -> None:
    yard.open()
    twin = shelly(yard, initial_state="restore_last")
    yard.connect(twin)
    yard.run(2.0)
    (outlet,) = yard.sells(twin)
    twin.outlets[0].config["initial_state"] = "restore_last"  # somebody's page; at its worst it comes back on
    yard.begin(outlet)
    for one in twin.meddled(Meddling.RESTART):
        yard.say(twin, twin.receive(one.topic, one.payload, False, yard.clock.now().at))
    yard.said.clear()

    yard.turn()  # the restart is told, the OFF is decided, and refused
    assert [m for m in yard.said if b'"code":-109' in m.payload]
    assert twin.powered(0)
    yard.runs_until(lambda: not twin.powered(0), 15.0)
    yard.runs_until(lambda: twin.powered(0), 30.0)  # off was measured, and its load is held against the one before
    yard.runs_until(lambda: yard.live(outlet).phase == "charging" and yard.live(outlet).pause is None, 120.0)


@pytest.mark.parametrize("family", ["shelly", "tasmota"])  # those that obey one
def test_a_retained_command_is_a_danger_and_is_found_by_its_name(yard: Yard, family: str) -> None:
    """What `run` clears at its start: one that is left switches the device at each of its reconnections."""
    yard.open()
    twin = yard.connect(typical(yard, family))
    yard.run(2.0)
    yard.adopt(twin)
    switches = {"tasmota": (f"cmnd/tasmota_{twin.mac[-6:]}/POWER", b"ON")}
    switches["esphome"] = (f"{twin.topic}/outlet/1/lease", b"120")
    switches["zigbee2mqtt"] = (f"{twin.topic}/{twin.mac}/set", b'{"state":"ON"}')
    switches["shelly"] = (f"shellyplugsg3-{twin.mac.lower()}/command/switch:0", b"on")
    topic, payload = switches[family]

    yard.say(twin, twin.receive(topic, payload, True, yard.clock.now().at))
    assert twin.powered(0)
    yard.broker.publish(twin.mac, Message(topic, payload, retained=True))
    yard.broker.pump(yard.clock.now().steady_s)

    assert topic in yard.gateway.retained_commands()
    assert yard.broker.clear_retained(yard.gateway.retained_commands()) == (topic,)


def test_after_provisioning_and_a_start_the_plain_commands_of_a_shelly_are_dead(yard: Yard) -> None:
    yard.open()
    twin = yard.connect(typical(yard, "shelly"))
    yard.run(2.0)
    yard.sells(twin)

    yard.say(twin, twin.power_cycle(yard.clock.now().at))
    yard.say(twin, twin.receive(f"shellyplugsg3-{twin.mac.lower()}/command/switch:0", b"on", True, yard.clock.now().at))

    assert not twin.powered(0)


# -- Tasmota, older and odder -------------------------------------------------------------------------------------


def test_the_lease_of_firmware_that_forgets_it_when_asked_for_power_is_never_lost(yard: Yard) -> None:
    yard.open()
    config = TasmotaConfig(mac=next(MACS), topic="old", empty_power_cancels_pulse=True)
    twin = yard.connect(TasmotaTwin(config, [Lamp(60.0)], yard.clock.now().at))
    yard.run(2.0)
    (outlet,) = yard.sells(twin)
    yard.begin(outlet)

    yard.transport.cut()
    yard.run(121.0)

    assert not twin.powered(0)


def test_answers_that_somebody_had_moved_elsewhere_come_back_and_numbers_do_no_harm(yard: Yard) -> None:
    yard.open()
    twin = yard.connect(TasmotaTwin(TasmotaConfig(mac=next(MACS), topic="moved"), [Lamp(60.0)], yard.clock.now().at))
    for option in (b"SetOption4 1", b"SetOption26 1", b"PowerRetain 1", b"TelePeriod 0"):
        command, _, argument = option.partition(b" ")
        yard.say(twin, twin.receive(f"cmnd/moved/{command.decode()}", argument, False, yard.clock.now().at))
    yard.run(2.0)

    assert yard.prove(*yard.adopt(twin)).phase == "commissioned"


def test_relays_that_share_one_counter_are_refused(yard: Yard) -> None:
    yard.open()
    config = TasmotaConfig(mac=next(MACS), topic="shared", splits_totals=False)
    twin = yard.connect(TasmotaTwin(config, [Lamp(60.0), Lamp(60.0)], yard.clock.now().at))
    yard.run(2.0)
    outlet, _ = yard.adopt(twin, 2)

    assert yard.prove(outlet).failed == "no_own_counter"


def test_words_templates_and_slashes_of_any_device_are_its_own(yard: Yard) -> None:
    yard.open()
    odd = {"full_topic": "%topic%/%prefix%/", "topic": "plugs/小区/3", "words": ("AUS", "EIN", "UM", "HALT")}
    config = TasmotaConfig(mac=next(MACS), online="Da", offline="Weg", **odd)  # type: ignore[arg-type]
    twin = yard.connect(TasmotaTwin(config, [Lamp(60.0)], yard.clock.now().at))
    yard.run(2.0)

    yard.sells(twin)


@FAMILIES
def test_a_counter_that_somebody_has_set_back_costs_the_resident_nothing(yard: Yard, family: str) -> None:
    yard.open()
    twin = yard.connect(typical(yard, family))
    yard.run(2.0)
    (outlet,) = yard.sells(twin)
    yard.plug(twin, 0, 360.0)
    yard.begin(outlet)

    yard.run(300.0)
    yard.inject(twin, Fault.COUNTER_RESET)
    yard.run(300.0)
    yard.stop_charge(outlet)
    yard.runs_until(lambda: yard.settled, 30.0)

    assert yard.settled[0].proof == "measured"
    assert 50.0 < yard.settled[0].meter.used_wh < 62.0  # 360 W for ten minutes, less what was under way at the reset


def test_what_is_heard_of_a_device_can_be_read_by_people(yard: Yard) -> None:
    """Every frame a Shelly sends in a charge is JSON that `decode` explains."""
    yard.open()
    twin = yard.connect(shelly(yard, status_ntf=True))
    yard.run(2.0)
    (outlet,) = yard.sells(twin)
    yard.begin(outlet)
    yard.run(120.0)

    assert len(yard.said) > 50
    for message in yard.said:
        assert isinstance(json.dumps(decode(message.address, "up", message.payload), allow_nan=False), str)
