"""Serial readers of M1 cards: both directions, and a line that stutters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.codecs import m1
from firmware_bridge.codecs.m1 import Frame
from tests.bridge.frames import fed, flips, refused

FRAMES = st.builds(Frame, st.integers(0, 0xFFFF), st.binary(max_size=m1.PAYLOAD_MAX - 2))
SHORT = st.builds(Frame, st.integers(0, 0xFFFF), st.binary(max_size=20))


@given(FRAMES)
def test_a_frame_that_was_written_is_read_back(frame: Frame) -> None:
    assert m1.read(m1.encode(frame)) == frame


@pytest.mark.parametrize("frame", [m1.activate(500), m1.buzz(300, 2), Frame(m1.FIELD_OFF)])
def test_a_command_that_was_written_is_read_back(frame: Frame) -> None:
    assert m1.read_request(m1.encode(frame)) == frame


@given(SHORT)
def test_no_frame_survives_a_turned_bit(frame: Frame) -> None:
    for flipped in flips(m1.encode(frame)):
        refused(m1.read, flipped, "checksum", "length", "malformed")


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ("", "length"),
        ("02 00", "length"),
        ("02 00 02 31 90 A3 03", "checksum"),
        ("02 00 02 31 90 A1 04", "malformed"),
        ("03 00 02 31 90 A1 03", "malformed"),
        ("02 00 01 31 31 03", "length"),
        ("02 02 01 31 90 A1 03", "length"),
        ("02 00 03 31 90 00 A1 03", "length"),
        ("02 00 02 31 13 22 03", "length"),
    ],
)
def test_what_no_reader_is_told_is_refused_for_its_own_reason(payload: str, kind: str) -> None:
    refused(m1.read_request, bytes.fromhex(payload), kind)


def test_an_answer_is_shown_with_its_status_and_a_request_with_its_command() -> None:
    answer = m1.encode(Frame(0, bytes.fromhex("04 00 CB 98 A6 05")))

    assert m1.decode(None, "up", answer) == {"status_code": "0000", "data": "04 00 CB 98 A6 05"}
    assert m1.decode(None, "down", m1.encode(m1.activate(500))) == {"command": "3224", "data": "01 F4"}


def test_what_no_frame_can_carry_is_never_written() -> None:
    with pytest.raises(ValueError, match="too many"):
        m1.encode(Frame(m1.WRITE_BLOCK, bytes(600)))


@given(st.lists(SHORT, max_size=4), st.lists(st.integers(0, 200), max_size=6), st.integers(0, 9))
def test_frames_are_found_however_they_are_cut_and_between_noise(frames: list[Frame], cuts: list[int], n: int) -> None:
    line = b"".join(b"\xff\x00" * n + m1.encode(frame) for frame in frames) + bytes(n)

    assert fed(m1.finder(), line, cuts) == frames


def test_a_start_that_leads_nowhere_hides_no_frame() -> None:
    frame = m1.activate(500)

    assert m1.finder().feed(b"\x02\x00\x90" + m1.encode(frame)) == [frame]
