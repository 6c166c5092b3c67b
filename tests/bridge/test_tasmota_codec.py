"""Tasmota's payloads and topics against what real devices have sent, and against what no device should send."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.errors import BadFrame
from firmware_bridge.codecs import tasmota, tasmota_names

FRAMES = Path(__file__).with_name("vectors") / "tasmota.jsonl"
VECTORS = [tuple(json.loads(line).values()) for line in FRAMES.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("topic", "payload", "means"), VECTORS)
def test_a_real_payload_means_what_its_device_meant(topic: str | None, payload: str, means: dict[str, object]) -> None:
    decoded = tasmota.decode(topic, payload.encode())

    assert decoded == means
    assert json.dumps(decoded) == json.dumps({name: means[name] for name in decoded})  # 3 stays 3 and 3.0 stays 3.0


@pytest.mark.parametrize(("topic", "payload", "means"), VECTORS)
def test_a_real_payload_means_the_same_without_its_topic(
    topic: str | None, payload: str, means: dict[str, object]
) -> None:
    if topic != "stat/wemos2/POWER2":
        assert tasmota.decode(None, payload.encode()) == means


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ("", "length"),
        ("hello", "malformed"),
        ("[1,2]", "malformed"),
        ("{", "malformed"),
        ("{}", "unknown"),
        ('{"Command":"Unknown"}', "unknown"),
        ('{"ENERGY":{"Power":nan}}', "malformed"),
        ('{"ENERGY":{"Power":NaN}}', "malformed"),
        ('{"ENERGY":{"Power":-inf}}', "malformed"),
        ('{"ENERGY":{"Power":1e999}}', "range"),
        ('{"ENERGY":{"Power":-5}}', "range"),
        ('{"ENERGY":{"Power":1e9}}', "range"),
        ('{"ENERGY":{"Power":[20,-1]}}', "range"),
        ('{"ENERGY":{"Total":{"Phase1":-1}}}', "range"),
        ('{"ENERGY":{"Voltage":70000}}', "range"),
        ('{"ENERGY":{"Power":"34"}}', "malformed"),
        ('{"ENERGY":{"Power":true}}', "malformed"),
        ('{"ENERGY":{"Power":[[1]]}}', "malformed"),
        ('{"ENERGY":[]}', "malformed"),
        ('{"StatusSNS":7}', "malformed"),
        ('{"POWER":"PERHAPS"}', "malformed"),
        ('{"POWER":1}', "malformed"),
        ('{"PulseTime1":{"Set":70000,"Remaining":0}}', "range"),
        ('{"PulseTime1":{"Set":-1,"Remaining":0}}', "range"),
        ('{"PulseTime":{"Set":[1],"Remaining":[]}}', "length"),
        ('{"TelePeriod":-3}', "range"),
        ('{"PN532":{"UID":"<script>"}}', "malformed"),
        ('{"PN532":{}}', "malformed"),
        ('{"a":' + "[" * 100_000, "malformed"),
        ('{"ENERGY":{"Power":1' + "0" * 5_000 + "}}", "range"),
    ],
)
def test_a_payload_no_device_should_send_is_blamed_on_the_wire(payload: str, kind: str) -> None:
    with pytest.raises(BadFrame) as caught:
        tasmota.decode(None, payload.encode())

    assert caught.value.kind == kind


@given(st.binary() | st.text().map(str.encode))
def test_garbage_is_a_bad_frame_and_nothing_worse(payload: bytes) -> None:
    with suppress(BadFrame):
        tasmota.decode(None, payload)


NAMES = st.sampled_from(["ENERGY", "Power", "Total", "POWER", "POWER2", "PulseTime1", "Set", "StatusSNS", "SetOption0"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
TREES = st.recursive(LEAVES, lambda tree: st.lists(tree, max_size=3) | st.dictionaries(NAMES, tree, max_size=4))


@given(st.dictionaries(NAMES, TREES, max_size=5))
def test_any_json_is_read_or_refused_and_what_is_read_can_be_printed(tree: dict[str, object]) -> None:
    try:
        decoded = tasmota.decode(None, json.dumps(tree).encode())
    except BadFrame:
        return
    json.dumps(decoded, allow_nan=False)


def test_numbers_padded_with_blanks_are_read() -> None:
    assert tasmota.decode(None, b'{"ENERGY":{"Power":   34,"Total":  0.034}}') == {
        "power_w": 34,
        "energy_total_kwh": 0.034,
    }


@pytest.mark.parametrize(
    ("seconds", "code"), [(0.1, 1), (1.5, 15), (11.1, 111), (11.4, 111), (12, 112), (120, 220), (64_800, 64_900)]
)
def test_a_lease_has_one_pulse_time_code(seconds: float, code: int) -> None:
    assert tasmota.pulse_code(seconds) == code
    assert tasmota.pulse_s(code) == pytest.approx(seconds, abs=0.5)


@pytest.mark.parametrize("seconds", [0, -1, 0.05, 64_801, float("nan"), float("inf")])
def test_a_lease_that_would_be_for_ever_has_no_code(seconds: float) -> None:
    with pytest.raises(ValueError, match="PulseTime"):
        tasmota.pulse_code(seconds)


@given(st.integers(min_value=1, max_value=64_900))
def test_a_pulse_time_code_survives_there_and_back(code: int) -> None:
    assert tasmota.pulse_code(tasmota.pulse_s(code)) == code


@pytest.mark.parametrize(
    "template",
    [
        "%prefix%/%topic%/",
        "%topic%/%prefix%/",
        "sonoff/%topic%/%prefix%/",
        "%prefix%/house/%topic%",
        "a/%topic%/b/%prefix%/",
    ],
)
@pytest.mark.parametrize("topic", ["plug", "plugs/tasmota_t2", "小区/3号/棚"])
def test_a_topic_is_split_as_it_was_joined_whatever_the_order(template: str, topic: str) -> None:
    address = tasmota_names.join(template, "stat", topic, "RESULT")

    assert tasmota_names.split(address, template) == ("stat", topic, "RESULT")


def test_a_topic_of_another_template_is_not_ours() -> None:
    with pytest.raises(BadFrame):
        tasmota_names.split("tele/plug/SENSOR", "%topic%/%prefix%/")


def test_a_template_may_hold_the_devices_id_and_host_name() -> None:
    address = tasmota_names.join("%prefix%/%hostname%/%id%/", "cmnd", "t", "POWER", "0000DEADBEEF", "plug-1")

    assert address == "cmnd/plug-1/0000DEADBEEF/POWER"


@pytest.mark.parametrize(
    "change",
    [{"mac": "xyz"}, {"t": "+"}, {"t": "a/#"}, {"t": ""}, {"tp": ["a", "a", "b"]}, {"tp": ["a"]}, {"rl": "1"},
     {"onln": "x", "ofln": "x"}, {"state": ["ON", "ON"]}, {"ft": 5}, {"rl": [10**30]}],
)  # fmt: skip
def test_a_discovery_that_would_mislead_us_is_refused(change: dict[str, object]) -> None:
    config = {"mac": "00000049A3BC", "t": "plug", "ft": "%prefix%/%topic%/", "tp": ["cmnd", "stat", "tele"], "rl": [1]}

    assert tasmota_names.read_config(json.dumps(config).encode()).topic == "plug"
    with pytest.raises(BadFrame):
        tasmota_names.read_config(json.dumps(config | change).encode())


def test_relay_words_may_be_in_another_language() -> None:
    answer = tasmota.read_answer(b'{"POWER":"EIN","SetOption0":"AUS"}', ("AUS", "EIN", "UM", "HALT"))

    assert (answer.on, answer.set_option) == ({"1": True}, {"0": False})


def test_a_power_limit_trip_says_which_relay_if_the_firmware_knows() -> None:
    assert tasmota.decode(None, b'{"Time":"2024-01-01T00:00:00","MaxPowerReached2":900}')["max_power_reached"] == [2]
    assert tasmota.decode(None, b'{"MaxPowerReached":"900 W"}')["max_power_reached"] == []


def test_a_command_is_shown_with_its_argument() -> None:
    decoded = tasmota.decode("cmnd/plug/Backlog0", b"PulseTime1 220;Power1 ON")

    assert decoded == {"command": "Backlog0", "argument": "PulseTime1 220;Power1 ON"}
