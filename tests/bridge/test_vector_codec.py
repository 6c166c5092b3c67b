"""Every published frame of the binary families through `anchong decode`, the misprinted ones too."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchong.decode import PROTOCOLS, _answer_line
from controller.core.errors import BadFrame
from firmware_bridge.codecs import dlt645, dny, dongjun, juy, m1, modbus, pn532
from tests.bridge.frames import flips, refused, vectors

FAMILIES = {
    "modbus-rtu": "modbus",
    "modbus-pzem-004t-v3": "pzem",
    "modbus-eastron-sdm": "eastron",
    "modbus-relay-waveshare": "relay_waveshare",
    "modbus-relay-lc": "relay_lc",
    "dlt645-2007": "dlt645",
    "pn532-hsu": "pn532",
    "m1-reader-serial": "m1",
    "dny-ap3000": "dny",
    "juy-5aa5": "juy",
    "dongjun-0xEE": "dongjun",
}


def _after(code: bytes) -> st.SearchStrategy[bytes]:
    return st.binary(max_size=20).map(lambda params: code + params)


FRAMES = [
    pytest.param(protocol, frame, id=f"{protocol} {frame['hex']}")
    for protocol, family in FAMILIES.items()
    for frame in vectors(family)
]
GOOD = [frame for frame in FRAMES if "means" in frame.values[1]]  # type: ignore[operator]


@pytest.mark.parametrize(("protocol", "frame"), FRAMES)
def test_a_published_frame_means_what_is_known_of_it_or_is_refused_for_the_right_reason(
    protocol: str, frame: dict[str, Any]
) -> None:
    asked = {"protocol": protocol, "direction": frame["direction"], "hex": frame["hex"]}

    answer = _answer_line(json.dumps(asked).encode())

    if "means" in frame:
        assert answer == {"ok": True, "decoded": frame["means"]}
        assert json.dumps(answer["decoded"]) == json.dumps(frame["means"])  # 3 stays 3, and 3.0 stays 3.0
    else:
        assert (answer["ok"], answer["error"]) == (False, frame["error"])
        assert frame["detail"] in answer["detail"]


@pytest.mark.parametrize(("protocol", "frame"), GOOD)
def test_no_published_frame_survives_a_turned_bit(protocol: str, frame: dict[str, Any]) -> None:
    for flipped in flips(_alone(bytes.fromhex(frame["hex"]))):
        refused(lambda payload: PROTOCOLS[protocol](None, frame["direction"], payload), flipped)


@pytest.mark.parametrize(("protocol", "frame"), GOOD)
def test_no_published_frame_survives_being_cut_or_run_into_zeros(protocol: str, frame: dict[str, Any]) -> None:
    whole = _alone(bytes.fromhex(frame["hex"]))
    for broken in [whole[:end] for end in range(len(whole))] + [whole + bytes(zeros) for zeros in (1, 2, 7)]:
        refused(lambda payload: PROTOCOLS[protocol](None, frame["direction"], payload), broken)


@pytest.mark.parametrize("protocol", FAMILIES)
@given(payload=st.binary(max_size=300), direction=st.sampled_from(["up", "down"]))
def test_random_bytes_are_a_bad_frame_and_nothing_worse(protocol: str, payload: bytes, direction: str) -> None:
    with suppress(BadFrame):
        json.dumps(PROTOCOLS[protocol](None, direction, payload))


BYTES = st.binary(max_size=60)
CODES = st.sampled_from([*range(1, 7), 15, 16, 0x41, 0x42, 0x83, 0x84, 0x85, 0x86, 0x8F, 0x90, 0xC1, 0xC2])
CONTROLS = st.sampled_from([0x08, *(top | code for top in (0, 0x80, 0xA0, 0xC0) for code in (0x11, 0x13, 0x14, 0x1C))])
SEALED = st.one_of(
    st.builds(modbus.Frame, st.integers(0, 255), CODES, BYTES).map(modbus.encode),
    st.builds(lambda data: modbus.encode(modbus.Frame(1, 4, bytes((len(data),)) + data)), BYTES),
    st.builds(dlt645.Frame, st.just("558890213594"), CONTROLS, BYTES).map(dlt645.encode),
    st.builds(pn532.Frame, st.just(0xD5), st.sampled_from([b"\x03", b"\x4b"]).flatmap(_after)).map(pn532.encode),
    st.builds(m1.Frame, st.integers(0, 0xFFFF), BYTES).map(m1.encode),
    st.builds(dny.Frame, st.just(1), st.just(1), st.integers(0, 255), BYTES).map(dny.encode),
    st.builds(juy.Frame, st.integers(0, 255), st.just(0), BYTES).map(juy.encode),
    st.builds(dongjun.Frame, st.integers(0, 255), data=BYTES).map(dongjun.encode),
)


@pytest.mark.parametrize("protocol", FAMILIES)
@given(payload=SEALED, direction=st.sampled_from(["up", "down"]))
def test_a_right_checksum_around_anything_is_read_or_refused_and_what_is_read_can_be_printed(
    protocol: str, payload: bytes, direction: str
) -> None:
    with suppress(BadFrame):
        decoded = PROTOCOLS[protocol](None, direction, payload)
        assert json.loads(json.dumps(decoded, allow_nan=False)) == decoded


def _alone(payload: bytes) -> bytes:
    """Without the ACK before a card reader's answer, which is a frame of its own."""
    return payload.removeprefix(bytes.fromhex("00 00 FF 00 FF 00"))
