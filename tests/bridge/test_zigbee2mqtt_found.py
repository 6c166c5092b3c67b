"""What is found in a bridge's list: plugs that could be switched and metered, with what each of them offers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import events as ev
from controller.core.errors import BadFrame
from firmware_bridge.drivers import zigbee2mqtt
from firmware_bridge.wire import LeaseClass, Message

NOW = ev.Stamp(0.0, 0.0)
STATE = {"type": "binary", "name": "state", "property": "state", "access": 7}
SWITCH = {"type": "switch", "features": [STATE]}
POWER = {"type": "numeric", "name": "power", "property": "power", "access": 1, "unit": "W"}
ENERGY = {"type": "numeric", "name": "energy", "property": "energy", "access": 1, "unit": "kWh"}
COUNTDOWN = {"type": "numeric", "name": "countdown", "property": "countdown", "access": 3, "value_max": 43200}
MEMORY = {"type": "enum", "name": "power_outage_memory", "property": "power_outage_memory", "access": 7}
TUYA = {"manufacturer": "_TZ3000_gjnozsaz", "model_id": "TS011F"}


def device(*exposes: dict[str, Any], **more: Any) -> dict[str, Any]:
    definition = {"model": "M1", "vendor": "Maker", "exposes": list(exposes)}
    return {"ieee_address": "0x01", "friendly_name": "plug", "type": "Router", "definition": definition, **more}


def found(*devices: Any, topic: str = "zigbee2mqtt/bridge/devices") -> list[ev.PileFound]:
    return list(zigbee2mqtt.discover(Message(topic, json.dumps(devices).encode(), True), NOW))


def socket(pile: ev.PileFound, place: int = 0) -> dict[str, Any]:
    sockets: Any = pile.params["sockets"]
    told: dict[str, Any] = sockets[place]
    return told


def test_a_plug_is_found_under_the_base_topic_of_its_bridge_whatever_its_name() -> None:
    (pile,) = found(device(SWITCH, POWER, friendly_name="a/b/小区"), topic="home/upstairs/bridge/devices")

    assert (pile.address, pile.model, pile.channels) == ("0x01", "Maker M1", 1)
    assert (pile.params["topic"], pile.params["base"]) == ("home/upstairs/a/b/小区", "home/upstairs")


def test_the_pattern_of_discovery_meets_a_base_of_one_level_or_two() -> None:
    assert zigbee2mqtt.DISCOVERY == ("+/bridge/devices", "+/+/bridge/devices")


@pytest.mark.parametrize(
    "stranger",
    [
        {"ieee_address": "0x00", "type": "Coordinator", "friendly_name": "Coordinator", "definition": None},
        device(POWER),
        device(SWITCH),
        device({"type": "light", "features": [STATE]}, POWER),
        device(SWITCH, POWER, disabled=True),
        {"ieee_address": 7},
        "plug",
        None,
    ],
    ids=["coordinator", "no switch", "no meter", "a lamp", "disabled", "no address", "text", "null"],
)
def test_what_is_no_metered_plug_is_not_found_and_hides_no_other(stranger: Any) -> None:
    assert [pile.address for pile in found(stranger, device(SWITCH, POWER, ieee_address="0x02"))] == ["0x02"]


def test_a_plug_of_the_standard_has_its_timer_in_the_on() -> None:
    (pile,) = found(device(SWITCH, POWER, manufacturer="frient A/S", model_id="SPLZB-141"))

    assert (pile.params["timer"], pile.lease_class) == ("on_time", LeaseClass.RENEWED)


def test_a_module_of_tuya_s_has_a_countdown_or_nothing_that_we_could_use() -> None:
    """Its firmware takes the standard's timer for a toggle, ten times as late."""
    (with_one,) = found(device(SWITCH, POWER, COUNTDOWN, **TUYA))
    (without,) = found(device(SWITCH, POWER, **TUYA))

    assert (with_one.params["timer"], with_one.lease_class) == ("countdown", LeaseClass.RENEWED)
    assert (without.params["timer"], without.lease_class) == ("", LeaseClass.METERING_ONLY)


@pytest.mark.parametrize(("unit", "timer"), [("s", "countdown"), ("seconds", "countdown"), ("m", ""), ("min", "")])
def test_a_countdown_of_minutes_is_no_lease(unit: str, timer: str) -> None:
    """Two minutes would be two hours."""
    (pile,) = found(device(SWITCH, POWER, {**COUNTDOWN, "unit": unit}, manufacturer="_TZE204_apiu8k13"))

    assert pile.params["timer"] == timer


def test_what_can_be_asked_for_is_what_the_bridge_says_and_the_countdown() -> None:
    (pile,) = found(device(SWITCH, {**POWER, "access": 5}, ENERGY, COUNTDOWN, MEMORY))

    assert list(socket(pile)["asked"]) == ["state", "power", "power_outage_memory", "countdown"]
    assert not socket(pile)["reads"]


def test_a_meter_by_the_standard_s_clusters_can_be_read() -> None:
    clusters = {"1": {"clusters": {"input": ["genOnOff", "haElectricalMeasurement", "seMetering"], "output": []}}}

    assert socket(found(device(SWITCH, POWER, ENERGY, endpoints=clusters))[0])["reads"]


def test_sockets_of_a_strip_have_what_bears_their_name_and_share_no_meter() -> None:
    both = [{"type": "switch", "features": [{**STATE, "property": f"state_{e}", "endpoint": e}]} for e in ("l1", "l2")]
    own = {**POWER, "property": "power_l1", "endpoint": "l1"}
    (pile,) = found(device(*both, own, ENERGY, {**POWER, "name": "voltage", "property": "voltage"}))

    first, second = socket(pile, 0), socket(pile, 1)
    assert (first["power"], first["energy"], first["voltage"]) == ("power_l1", "", "voltage")
    assert (second["endpoint"], second["state"], second["power"]) == ("l2", "state_l2", "")


def test_a_module_with_terminals_for_a_switch_says_that_it_has_inputs() -> None:
    kind = {"type": "enum", "name": "switch_type", "property": "switch_type", "access": 7}

    assert [pile.params["has_inputs"] for pile in found(device(SWITCH, POWER, kind))] == [True]


def test_a_memory_that_is_yes_or_no_is_told_no() -> None:
    binary = {**MEMORY, "type": "binary", "value_on": True, "value_off": False}

    assert socket(found(device(SWITCH, POWER, binary))[0])["memory_off"] is False


def test_a_memory_that_can_only_be_seen_is_none() -> None:
    assert socket(found(device(SWITCH, POWER, {**MEMORY, "access": 1}))[0])["memory"] == ""


@pytest.mark.parametrize("topic", ["bridge/devices", "zigbee2mqtt/bridge/devices/x", "zigbee2mqtt/plug"])
def test_only_a_bridge_s_list_is_read(topic: str) -> None:
    assert found(device(SWITCH, POWER), topic=topic) == []


def test_a_list_of_a_hundred_plugs_is_read_and_one_without_end_is_not() -> None:
    many = [device(SWITCH, POWER, ENERGY, ieee_address=f"0x{n:02x}", padding="x" * 8_000) for n in range(100)]
    assert len(found(*many)) == 100

    with pytest.raises(BadFrame, match="more than any bridge lists"):
        found(*many, "x" * (1 << 20))


@given(payload=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_list_is_read_or_a_bad_frame(payload: bytes) -> None:
    try:
        assert list(zigbee2mqtt.discover(Message("z/bridge/devices", payload), NOW)) == []
    except BadFrame:
        return


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda x: st.lists(x, max_size=3)))
def test_any_json_in_the_place_of_a_device_hides_no_other(odd: Any) -> None:
    assert len(found(odd, device(SWITCH, POWER), {"ieee_address": "0x03", "definition": {"exposes": odd}})) == 1
