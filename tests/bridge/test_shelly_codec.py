"""Shelly's payloads and topics against what real devices have sent, and against what no device should send."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.errors import BadFrame
from firmware_bridge.codecs import shelly, shelly_names
from firmware_bridge.codecs.shelly_decode import decode

FRAMES = Path(__file__).with_name("vectors") / "shelly.jsonl"
VECTORS = [tuple(json.loads(line).values()) for line in FRAMES.read_text(encoding="utf-8").splitlines()]
REAL = pytest.mark.parametrize(("topic", "direction", "payload", "means"), VECTORS)


@REAL
def test_a_real_payload_means_what_its_device_meant(
    topic: str | None, direction: str, payload: str, means: dict[str, object]
) -> None:
    decoded = decode(topic, direction, payload.encode())

    assert decoded == means
    assert json.dumps(decoded, sort_keys=True) == json.dumps(means, sort_keys=True)  # 0 stays 0 and 0.0 stays 0.0


@REAL
def test_a_real_payload_means_the_same_without_its_topic(
    topic: str | None, direction: str, payload: str, means: dict[str, object]
) -> None:
    assert decode(None, direction, payload.encode()) == means


@pytest.mark.parametrize(
    ("topic", "payload", "means"),
    [
        ("plug/online", "true", {"available": True}),
        ("plug/online", "false", {"available": False}),
        ("plug/command/switch:1", "on", {"channel": 1, "command": "on"}),
        ("plug/command", "announce", {"command": "announce"}),
        ("plug/status/cloud", '{"connected":true}', {"other_components": ["cloud"]}),
        ("plug/status/em1:0", '{"id":0,"act_power":7.1}', {"other_components": ["em1:0"]}),
        ("plug/status/switch:2", '{"output":false}', {"channel": 2, "on": False}),
        ("anchong/plug/rpc", '{"id":7,"src":"d","dst":"x","result":{"was_on":true}}', {"id": 7, "was_on": True}),
        (
            "lamp/rpc",
            '{"id":7,"src":"me","method":"Light.Set","params":{"id":1,"brightness":40}}',
            {"id": 7, "src": "me", "method": "Light.Set", "channel": 1, "brightness": 40},
        ),
        (
            "anchong/plug/rpc",
            '{"id":7,"src":"d","result":{"id":1,"initial_state":"off","auto_off":true}}',
            {"id": 7, "channel": 1, "initial_state": "off", "auto_off": True},
        ),
        ("anchong/plug/rpc", '{"id":"7","src":"d","dst":"x","result":null}', {"id": "7"}),
        (
            "anchong/plug/rpc",
            '{"id":1,"src":"d","result":{"id":0,"output":true,"apower":5}}',
            {"id": 0, "channel": 0, "on": True, "power_w": 5} | {"id": 1},
        ),
        (
            "plug/events/rpc",
            '{"src":"d","method":"NotifyStatus","params":{"ts":1.5,"switch:0":{"timer_duration":null},"em1:0":{}}}',
            {
                "src": "d",
                "ts": 1.5,
                "switches": {"switch:0": {"timer_duration_s": None}},
                "other_components": ["em1:0"],
            },
        ),
        (
            "shellies/announce",
            '{"id":"shellypro4pm-f008d1d8b8b8","mac":"F008D1D8B8B8","gen":2,"model":"SPSW-004PE16EU","ver":"1.4.4"}',
            {"device": "shellypro4pm-f008d1d8b8b8", "mac": "F008D1D8B8B8", "generation": 2}
            | {"model": "SPSW-004PE16EU", "firmware": "1.4.4"},
        ),
    ],
)
def test_the_rest_of_the_family_is_shown_by_rule(topic: str, payload: str, means: dict[str, object]) -> None:
    assert decode(topic, "up", payload.encode()) == means


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ("", "length"),
        ("hello", "malformed"),
        ("[1,2]", "malformed"),
        ("{", "malformed"),
        ("{}", "unknown"),
        ('{"connected":true}', "unknown"),
        ('{"apower":NaN}', "malformed"),
        ('{"apower":-Infinity}', "malformed"),
        ('{"apower":1e999}', "range"),
        ('{"apower":1e9}', "range"),
        ('{"apower":-1e9}', "range"),
        ('{"voltage":70000}', "range"),
        ('{"aenergy":{"total":-1}}', "range"),
        ('{"apower":"34"}', "malformed"),
        ('{"apower":true}', "malformed"),
        ('{"output":1}', "malformed"),
        ('{"output":"on"}', "malformed"),
        ('{"output":true,"output":false}', "malformed"),
        ('{"aenergy":{"total":1,"total":2}}', "malformed"),
        ('{"id":9999,"output":true}', "range"),
        ('{"aenergy":[]}', "malformed"),
        ('{"errors":"overtemp"}', "malformed"),
        ('{"method":"NotifyStatus"}', "malformed"),
        ('{"method":"NotifyStatus","params":{"switch:999":{}}}', "range"),
        ('{"method":"NotifyStatus","params":{"switch:0":{"id":1}}}', "malformed"),
        ('{"method":"NotifyEvent","params":{"events":{}}}', "malformed"),
        ('{"method":"Switch.Set","params":{"id":0,"on":"yes"}}', "malformed"),
        ('{"method":"Switch.Set","params":{"on":true}}', "malformed"),
        ('{"id":{},"result":{}}', "malformed"),
        ('{"id":1,"error":{"message":"no code"}}', "malformed"),
        ('{"a":' + "[" * 30_000, "malformed"),
        ('{"apower":1' + "0" * 4_000 + "}", "range"),
        ('{"apower":1,"tag":"' + "x" * 40_000 + '"}', "length"),
    ],
)
def test_a_payload_no_device_should_send_is_blamed_on_the_wire(payload: str, kind: str) -> None:
    with pytest.raises(BadFrame) as caught:
        decode(None, "up", payload.encode())

    assert caught.value.kind == kind


def test_an_id_that_is_not_that_of_its_topic_is_refused() -> None:
    with pytest.raises(BadFrame):
        decode("plug/status/switch:1", "up", b'{"id":0,"output":true}')


@given(
    st.sampled_from([None, "p/online", "p/status/switch:0", "p/events/rpc"]), st.binary() | st.text().map(str.encode)
)
def test_garbage_is_a_bad_frame_and_nothing_worse(topic: str | None, payload: bytes) -> None:
    with suppress(BadFrame):
        decode(topic, "up", payload)


NAMES = st.sampled_from(["id", "src", "method", "params", "result", "error", "switch:0", "output", "apower", "aenergy"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["NotifyStatus", "Switch.Set", "x"])
TREES = st.recursive(LEAVES, lambda tree: st.lists(tree, max_size=3) | st.dictionaries(NAMES, tree, max_size=4))


@given(st.dictionaries(NAMES, TREES, max_size=5))
def test_any_json_is_read_or_refused_and_what_is_read_can_be_printed(tree: dict[str, object]) -> None:
    try:
        decoded = decode(None, "up", json.dumps(tree).encode())
    except BadFrame:
        return
    json.dumps(decoded, allow_nan=False)


@pytest.mark.parametrize("id_", [1, "flur", 1.5, None])
def test_an_id_comes_back_with_the_type_it_was_sent_in(id_: shelly.RequestId) -> None:
    sent = shelly.read_frame(shelly.switch_set(id_, "anchong/plug", 0, on=True, toggle_after=120))
    answer = shelly.read_frame(shelly.reply(id_, "shellyplus1-08b61fd90730", "anchong/plug", {"was_on": False}))

    assert (sent.id, type(sent.id)) == (answer.id, type(answer.id)) == (id_, type(id_))


def test_what_we_write_reads_back() -> None:
    payload = shelly.switch_set("on:1", "anchong/plug", 1, on=True, toggle_after=120)

    assert decode("plug/rpc", "down", payload) == {
        "id": "on:1",
        "src": "anchong/plug",
        "method": "Switch.Set",
        "channel": 1,
        "on": True,
        "toggle_after": 120,
    }


def test_topics_are_built_from_the_prefix_alone() -> None:
    address = shelly_names.Address("home/Terrasse")

    assert (address.rpc, address.events, address.online) == (
        "home/Terrasse/rpc",
        "home/Terrasse/events/rpc",
        "home/Terrasse/online",
    )
    assert address.replies == "anchong/home/Terrasse/rpc"
    assert shelly_names.answered_prefix(address.replies) == "home/Terrasse"
    assert shelly_names.answered_prefix("somebody/else/rpc") is None


def test_a_device_id_holds_its_model_and_its_mac() -> None:
    assert shelly_names.model_and_mac("shellyplusplugs-3ce90e304de4") == ("shellyplusplugs", "3CE90E304DE4")
    for name in ("", "my-prefix", "shelly/3ce90e304de4", "shelly-3ce90e304de", "x" * 500):
        with pytest.raises(BadFrame):
            shelly_names.model_and_mac(name)
