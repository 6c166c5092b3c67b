"""The 0xEE frame of pile boards: both directions, its relatives, and a line that stutters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.codecs import dongjun
from firmware_bridge.codecs.dongjun import Frame
from tests.bridge.frames import fed, flips, refused

SESSIONS = st.binary(min_size=6, max_size=6)
STARTS = st.sampled_from([dongjun.TO_BOARD, dongjun.FROM_BOARD])
FRAMES = st.builds(Frame, st.integers(0, 255), SESSIONS, st.binary(max_size=dongjun.DATA_MAX), STARTS)
SHORT = st.builds(Frame, st.integers(0, 255), SESSIONS, st.binary(max_size=20), STARTS)


@given(FRAMES)
def test_a_frame_that_was_written_is_read_back(frame: Frame) -> None:
    assert dongjun.read(dongjun.encode(frame)) == frame


@given(SHORT)
def test_no_frame_survives_a_turned_bit(frame: Frame) -> None:
    for flipped in flips(dongjun.encode(frame)):
        refused(dongjun.read, flipped, "checksum", "length", "malformed")


@pytest.mark.parametrize(
    ("payload", "command", "data"),
    [
        ("EE 09 A5 00 00 00 00 00 00 01 AD", "A5", "01"),
        ("EE 12 B6 00 00 00 00 00 00 02 01 02 0C 01 0A 00 00 00 00 A2", "B6", "02 01 02 0C 01 0A 00 00 00 00"),
        ("EE 0A B8 00 00 00 00 00 00 00 05 B7", "B8", "00 05"),
        ("EE 09 B9 00 00 00 00 00 00 05 B5", "B9", "05"),
        ("EE 0A BC 00 00 00 00 00 00 00 03 B5", "BC", "00 03"),
        ("66 13 01 00 00 00 00 00 00 0A 01 01 01 01 01 01 01 01 01 01 18", "01", "0A 01 01 01 01 01 01 01 01 01 01"),
    ],
)
def test_the_relatives_on_tcp_share_the_frame(payload: str, command: str, data: str) -> None:
    assert dongjun.decode(None, "up", bytes.fromhex(payload)) == {"command": command, "data": data}


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ("", "length"),
        ("EE", "length"),
        ("EE 07 01 31 32 33 34 35 0F", "length"),
        ("EF 09 01 31 32 33 34 35 36 00 0F", "malformed"),
        ("EE 09 01 31 32 33 34 35 36 00 0E", "checksum"),
        ("EE 09 01 31 32 33 34 35 36 00 0F 00", "length"),
        ("66 0A 01 31 32 33 34 35 36 01 01 0C", "malformed"),
    ],
)
def test_what_no_board_is_told_is_refused_for_its_own_reason(payload: str, kind: str) -> None:
    refused(lambda payload: dongjun.decode(None, "down", payload), bytes.fromhex(payload), kind)


def test_an_answer_repeats_the_session_and_begins_as_a_board_does() -> None:
    request = Frame(1, b"123456", b"\x00")

    assert dongjun.encode(dongjun.answer(request, b"\x01\x01")).hex(" ") == "66 0a 01 31 32 33 34 35 36 01 01 0c"


@pytest.mark.parametrize("frame", [Frame(1, b"short"), Frame(1, data=bytes(248))])
def test_what_no_frame_can_carry_is_never_written(frame: Frame) -> None:
    with pytest.raises(ValueError, match="no frame"):
        dongjun.encode(frame)


@given(st.lists(SHORT, max_size=4), st.lists(st.integers(0, 200), max_size=6), st.integers(0, 9))
def test_frames_are_found_however_they_are_cut_and_between_noise(frames: list[Frame], cuts: list[int], n: int) -> None:
    line = b"".join(bytes(n) + dongjun.encode(frame) for frame in frames) + bytes(n)

    assert fed(dongjun.finder(), line, cuts) == frames
