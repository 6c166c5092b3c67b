"""Every published frame of the binary families through `anchong decode`, the misprinted ones too."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchong.decode import PROTOCOLS, _answer_line
from controller.core.errors import BadFrame
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


def _alone(payload: bytes) -> bytes:
    """Without the ACK before a card reader's answer, which is a frame of its own."""
    return payload.removeprefix(bytes.fromhex("00 00 FF 00 FF 00"))
