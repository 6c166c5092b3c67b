"""What a capture does not give away, and that what is left still decodes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchong.decode import PROTOCOLS
from controller.core.errors import BadFrame
from firmware_bridge.codecs import dlt645, dny, dongjun, juy, m1, pn532
from firmware_bridge.veil import NOWHERE, Veil
from tests.bridge.frames import vectors

VEIL = Veil(b"of this capture")
STATE = (
    '{"Time":"2024-01-14T18:03:15","POWER":"ON","Wifi":{"AP":1,"SSId":"indebuurt_IoT","BSSId":"18:E8:29:CA:17:C1",'
    '"RSSI":60}}'
)
SEEN = {"tasmota-mqtt": STATE, "shelly-rpc-mqtt": '{"wifi":{"sta_ip":"192.168.1.77","ssid":"Li","rssi":-50}}'}
FAMILIES = {"dny": "dny-ap3000", "juy": "juy-5aa5", "dongjun": "dongjun-0xEE", "pn532": "pn532-hsu"}
FAMILIES |= {"m1": "m1-reader-serial", "dlt645": "dlt645-2007"}
FRAMES = [
    pytest.param(protocol, frame["direction"], bytes.fromhex(frame["hex"]), id=f"{protocol} {frame['hex'][:60]}")
    for family, protocol in FAMILIES.items()
    for frame in vectors(family)
    if "means" in frame
]


def covered(protocol: str, payload: bytes, direction: str = "up", topic: str = "tele/plug/STATE") -> bytes:
    result = VEIL.over(protocol, direction, topic, payload)
    assert result is not None
    return result


@pytest.mark.parametrize(("protocol", "direction", "frame"), FRAMES)
def test_a_frame_still_decodes_to_the_same_names_and_goes_the_same_way(
    protocol: str, direction: str, frame: bytes
) -> None:
    before, after = (PROTOCOLS[protocol](None, direction, one) for one in (frame, covered(protocol, frame, direction)))

    assert before.keys() == after.keys()
    assert len(covered(protocol, frame, direction)) >= len(frame.lstrip(b"\x55\x00"))
    assert covered(protocol, covered(protocol, frame, direction), direction)  # a capture may be covered again


CARD, KEY = bytes.fromhex("CB98A605"), bytes.fromhex("A0A1A2A3A4A5")
WORD = b"\x37\x06\x02"
SERVER = b"\x01" + b"10.0.0.7".ljust(34, b"\0") + b"hunter2".ljust(10, b"\0")


@pytest.mark.parametrize(
    ("protocol", "direction", "frame", "secret"),
    [
        ("pn532-hsu", "up", pn532.answer_cards([pn532.Card(b"\x00\x04", 8, CARD)]), CARD),
        ("pn532-hsu", "down", pn532.ask(0x40, b"\x01\x60\x08" + KEY + CARD), KEY),
        ("m1-reader-serial", "up", m1.Frame(0, b"\x04\x00" + CARD), CARD),
        ("m1-reader-serial", "down", m1.Frame(m1.AUTHENTICATE, b"\x60\x08" + KEY + CARD), KEY),
        ("dny-ap3000", "up", dny.Frame(1, 1, 2, CARD + b"\x00\x01\x00\x00"), CARD),
        ("dny-ap3000", "up", dny.Frame(1, 1, 2, bytes(12) + b"\x04" + CARD), CARD),
        ("dny-ap3000", "down", dny.Frame(1, 1, 0x86, b"\x00" + KEY + b"\xff" * 6), KEY),
        ("juy-5aa5", "up", juy.Frame(0x87, 0, b"\x01" + CARD + b"\x02", "861197062934387"), CARD),
        ("juy-5aa5", "down", juy.Frame(0x8C, 0, SERVER), b"hunter2"),
        ("dongjun-0xEE", "up", dongjun.Frame(0xB6, data=b"\x02" + CARD + b"\x0a" + bytes(4)), CARD),
        (
            "dlt645-2007",
            "down",
            dlt645.Frame("558890213594", 0x1C, b"\x02" + WORD + b"\x01" * 4 + b"\x1a" + bytes(7)),
            WORD,
        ),
    ],
)
def test_no_card_key_or_password_is_left(protocol: str, direction: str, frame: object, secret: bytes) -> None:
    encoders = (pn532, m1, dny, juy, dongjun, dlt645)
    codec = next(codec for codec in encoders if type(frame).__module__ == codec.__name__)
    said: bytes = codec.encode(frame)

    hidden = covered(protocol, said, direction)

    plain = dlt645.read(hidden).data if codec is dlt645 else hidden
    assert secret not in plain
    PROTOCOLS[protocol](None, direction, hidden)
    assert covered(protocol, said, direction) == hidden  # the same card stays the same
    assert Veil(b"another").over(protocol, direction, "", said) != hidden or codec is dlt645


@pytest.mark.parametrize("protocol", SEEN)
def test_networks_and_addresses_are_hidden_and_figures_stay(protocol: str) -> None:
    said = covered(protocol, SEEN[protocol].encode()).decode()

    assert not any(secret in said for secret in ("indebuurt", "18:E8:29", "192.168.1.77", '"Li"'))
    assert json.loads(said).keys() == json.loads(SEEN[protocol]).keys()
    assert '"RSSI": 60' in said or '"rssi": -50' in said


@pytest.mark.parametrize(
    ("topic", "said", "secret"),
    [
        ("cmnd/plug/Password1", "hunter2", "hunter2"),
        ("cmnd/plug/Backlog", "SSId1 my home; Password1 hunter2; Power1 OFF", "hunter2"),
        ("cmnd/plug/Backlog", "SSId1 my home; Password1 hunter2; Power1 OFF", "my home"),
        ("stat/plug/STATUS6", '{"StatusMQT":{"MqttUser":"li","MqttHost":"h"}}', '"li"'),
        ("plug/rpc", '{"params":{"config":{"sta":{"ssid":"home","pass":"hunter2"}}}}', "hunter2"),
        ("plug/rpc", '{"result":{"location":{"lat":59.7165,"lon":12.157}}}', "59.7165"),
        ("plug/rpc", '{"access_token":"abcdef"}', "abcdef"),
    ],
)
def test_commands_and_settings_are_covered_too(topic: str, said: str, secret: str) -> None:
    hidden = covered("tasmota-mqtt", said.encode(), "down", topic).decode()

    assert secret not in hidden
    assert hidden.endswith("Power1 OFF") == said.endswith("Power1 OFF")


def test_what_needs_no_cover_stays_to_the_letter() -> None:
    said = b'{"ENERGY":{"Total":1066.000,"Power":0.00},"sw":"9.4.0.4"}'

    assert covered("tasmota-mqtt", said) == said
    assert covered("tasmota-mqtt", b"ON") == b"ON"
    assert covered("modbus-rtu", b"\xff\x00") == b"\xff\x00"


def test_a_device_keeps_its_own_address_and_no_other() -> None:
    said = b'{"mac":"5C:CF:7F:49:A3:BC","seen":"AA:BB:CC:DD:EE:FF","at":"10.0.0.7 and fe80::1"}'

    hidden = json.loads(covered("tasmota-mqtt", said, topic="tasmota/discovery/5CCF7F49A3BC/config"))

    assert hidden["mac"] == "5C:CF:7F:49:A3:BC"
    assert hidden["seen"] != "AA:BB:CC:DD:EE:FF"
    assert hidden["at"] == f"{NOWHERE} and 2001:db8::1"


def test_a_card_read_by_a_plug_is_hidden_and_stays_the_same_card() -> None:
    said = '{"PN532":{"UID":"E9F35959","DATA":"ILOVETASMOTA"}}'

    hidden = json.loads(covered("tasmota-mqtt", said.encode(), topic="tele/gate/SENSOR"))["PN532"]

    assert len(hidden["UID"]) == 8
    assert hidden["UID"] != "E9F35959"
    assert hidden == json.loads(covered("tasmota-mqtt", said.encode(), topic="tele/other/SENSOR"))["PN532"]


@pytest.mark.parametrize("protocol", FAMILIES.values())
def test_what_can_not_be_read_is_left_out_whole(protocol: str) -> None:
    assert VEIL.over(protocol, "up", "", b"\x01\xcb\x98\xa6\x05") is None


@settings(max_examples=30)
@given(
    st.sampled_from(sorted(PROTOCOLS)),
    st.sampled_from(["up", "down"]),
    st.binary(max_size=60) | st.text().map(str.encode),
)
def test_whatever_comes_is_covered_or_left_out(protocol: str, direction: str, payload: bytes) -> None:
    try:
        VEIL.over(protocol, direction, "tele/plug/SENSOR", payload)
    except BadFrame:
        pytest.fail("a veil refuses nothing")
