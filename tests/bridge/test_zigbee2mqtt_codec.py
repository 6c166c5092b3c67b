"""Zigbee2MQTT's payloads against what real plugs have sent, and against what no plug should send."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.errors import BadFrame
from firmware_bridge.codecs import zigbee2mqtt as z2m
from tests.bridge.frames import refused, vectors

FRAMES = vectors("zigbee2mqtt")
NUMBERS = st.none() | st.integers(0, 200) | st.floats(0, 200)
SAID = st.fixed_dictionaries({}, optional={"power": NUMBERS, "voltage": NUMBERS, "energy": NUMBERS, "x": st.text()})


def means(payload: str, topic: str | None = "zigbee2mqtt/plug") -> dict[str, object]:
    return z2m.decode(topic, "up", payload.encode())


@pytest.mark.parametrize("frame", FRAMES)
def test_a_real_payload_means_what_its_device_meant(frame: dict[str, Any]) -> None:
    decoded = z2m.decode(frame["topic"], frame["direction"], frame["payload"].encode())

    assert decoded == frame["means"]
    assert {name: type(value) for name, value in decoded.items()} == {
        name: type(value) for name, value in frame["means"].items()
    }


@pytest.mark.parametrize("frame", FRAMES)
def test_a_real_payload_means_the_same_without_its_topic(frame: dict[str, Any]) -> None:
    assert z2m.decode(None, frame["direction"], frame["payload"].encode()) == frame["means"]


@pytest.mark.parametrize(
    ("topic", "payload", "told"),
    [
        ("zigbee2mqtt/a/b/plug/availability", "online", {"available": True}),
        ("zigbee2mqtt/bridge/state", '{"state":"offline"}', {"available": False}),
        (None, "offline", {"available": False}),
        ("zigbee2mqtt/plug/set", "ON", {"on": True}),
        ("zigbee2mqtt/plug/l2/set", "OFF", {"on_by_endpoint": {"l2": False}}),
        ("zigbee2mqtt/house/plug/set", '{"state":"ON","on_time":60}', {"on_time_s": 60, "on": True}),
        ("zigbee2mqtt/plug/left/set", '{"state":"OFF"}', {"on_by_endpoint": {"left": False}}),
        ("zigbee2mqtt/plug/set", '{"countdown":120}', {"countdown_s": 120}),
        ("zigbee2mqtt/plug/get", '{"state":""}', {"get": ["state"]}),
        (
            "zigbee2mqtt/plug/set",
            '{"read":{"cluster":"seMetering","attributes":["currentSummDelivered"]}}',
            {"read": {"cluster": "seMetering", "attributes": ["currentSummDelivered"]}},
        ),
        (
            "home/z/bridge/devices",
            '[{"ieee_address":"0x01","friendly_name":"a/b"},7]',
            {"devices": [{"ieee": "0x01", "name": "a/b"}]},
        ),
        (
            "zigbee2mqtt/bridge/event",
            '{"type":"device_announce","data":{"ieee_address":"0x01"}}',
            {"event": "device_announce", "ieee": "0x01"},
        ),
        ("zigbee2mqtt/plug", '{"power_outage_memory":false}', {"power_outage_memory": False}),
        ("zigbee2mqtt/plug", '{"state":null,"power":5}', {"power_w": 5}),
        ("zigbee2mqtt/strip", '{"power_l1":5.5,"power_l2":null}', {"power_w_by_endpoint": {"l1": 5.5}}),
        ("zigbee2mqtt/strip", '{"state_l1":"ON","state_l2":null}', {"on_by_endpoint": {"l1": True}}),
        ("zigbee2mqtt/plug", '{"ac_frequency":50,"device_temperature":31}', {"frequency_hz": 50, "temperature_c": 31}),
    ],
)
def test_a_payload_is_read_by_its_topic(topic: str | None, payload: str, told: dict[str, object]) -> None:
    assert means(payload, topic) == told


@pytest.mark.parametrize(
    ("topic", "payload", "kind"),
    [
        ("zigbee2mqtt/plug", "", "length"),
        ("zigbee2mqtt/plug", "{", "malformed"),
        ("zigbee2mqtt/plug", "[1]", "malformed"),
        ("zigbee2mqtt/plug", "{}", "unknown"),
        ("zigbee2mqtt/plug", '{"linkquality":40}', "unknown"),
        ("zigbee2mqtt/plug", '{"power":NaN}', "malformed"),
        ("zigbee2mqtt/plug", '{"power":1e999}', "range"),
        ("zigbee2mqtt/plug", '{"power":"5"}', "malformed"),
        ("zigbee2mqtt/plug", '{"voltage":3000}', "range"),
        ("zigbee2mqtt/plug", '{"energy":-1}', "range"),
        ("zigbee2mqtt/plug", '{"countdown":43201}', "range"),
        ("zigbee2mqtt/plug", '{"countdown":1.5}', "malformed"),
        ("zigbee2mqtt/plug", '{"state":"OPEN"}', "malformed"),
        ("zigbee2mqtt/plug", '{"state":"online"}', "malformed"),
        ("zigbee2mqtt/plug", '{"state":true}', "malformed"),
        ("zigbee2mqtt/plug", '{"power":5,"power":6}', "malformed"),
        ("zigbee2mqtt/plug", '{"a":"' + "x" * 20_000 + '"}', "length"),
        ("zigbee2mqtt/plug/availability", '{"state":"ON"}', "malformed"),
        ("zigbee2mqtt/plug/availability", '{"state":5}', "malformed"),
        ("zigbee2mqtt/plug/availability", "", "length"),
        ("zigbee2mqtt/plug/set", "TOGGLE", "malformed"),
        ("zigbee2mqtt/strip", '{"power_l1":1e9}', "range"),
    ],
)
def test_a_payload_no_plug_should_send_is_blamed_on_the_wire(topic: str, payload: str, kind: str) -> None:
    refused(lambda payload: z2m.decode(topic, "up", payload), payload.encode(), kind)


@given(st.integers(1, 65535).map(lambda tenths: tenths / 10))
def test_a_lease_that_was_written_is_read_back(on_time_s: float) -> None:
    said = z2m.read_plug(z2m.switch_on(on_time_s))

    assert (said.on, said.plug.on_time_s) == (True, on_time_s)


def test_off_and_a_countdown_that_were_written_are_read_back() -> None:
    assert z2m.read_plug(z2m.switch_off()).on is False
    assert z2m.read_plug(z2m.switch_off("l2")).on_by_endpoint == {"l2": False}
    assert z2m.read_plug(z2m.switch_on(60, "l2")).on_by_endpoint == {"l2": True}
    assert z2m.read_plug(z2m.count_down(120)).plug.countdown_s == 120


@pytest.mark.parametrize("seconds", [0, -1, 50_000])
def test_a_lease_no_plug_can_count_is_never_written(seconds: int) -> None:
    with pytest.raises(ValueError, match="counts"):
        z2m.switch_on(seconds)
    with pytest.raises(ValueError, match="counts"):
        z2m.count_down(seconds)


@given(st.binary() | st.text().map(lambda text: text.encode()) | SAID.map(lambda said: json.dumps(said).encode()))
def test_any_payload_is_read_or_refused_and_what_is_read_can_be_printed(payload: bytes) -> None:
    for topic in (None, "z/plug", "z/plug/l1/set", "z/plug/availability", "z/plug/get", "set", ""):
        with suppress(BadFrame):
            json.dumps(z2m.decode(topic, "up", payload))


@pytest.mark.parametrize(
    ("topic", "said", "means"),
    [
        ("zigbee2mqtt/z1/power", "0", {"power_w": 0}),
        ("zigbee2mqtt/z1/energy", "12.05", {"energy_total_kwh": 12.05}),
        ("zigbee2mqtt/z1/child_lock", "UNLOCK", {"child_lock": "UNLOCK"}),
        ("zigbee2mqtt/z1/state", "OFF", {"on": False}),
        ("zigbee2mqtt/power", '{"state":"ON"}', {"on": True}),
    ],
)
def test_a_value_on_a_topic_of_its_own_is_shown(topic: str, said: str, means: dict[str, object]) -> None:
    """As bridges do that publish attributes; the payloads are from an issue of Zigbee2MQTT's (32463)."""
    assert z2m.decode(topic, "up", said.encode()) == means


@pytest.mark.parametrize("said", ['1,"state":"ON"', "[1]", "99999999", "null", "", "NaN"])
def test_what_is_no_value_of_its_topic_is_refused(said: str) -> None:
    with pytest.raises(BadFrame):
        z2m.decode("zigbee2mqtt/z1/power", "up", said.encode())
