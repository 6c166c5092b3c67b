"""The 0xEE frame of pile boards: both directions, its relatives, and a line that stutters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.codecs import dongjun, dongjun_data
from firmware_bridge.codecs.dongjun import Frame
from tests.bridge.frames import fed, flips, refused

SESSIONS = st.binary(min_size=6, max_size=6)
STARTS = st.sampled_from([dongjun.ASKS, dongjun.ANSWERS])
FRAMES = st.builds(Frame, st.integers(0, 255), SESSIONS, st.binary(max_size=dongjun.DATA_MAX), STARTS)
SHORT = st.builds(Frame, st.integers(0, 255), SESSIONS, st.binary(max_size=20), STARTS)


@given(FRAMES)
def test_a_frame_that_was_written_is_read_back(frame: Frame) -> None:
    assert dongjun.read(dongjun.encode(frame)) == frame


@given(SHORT)
def test_no_frame_survives_a_turned_bit(frame: Frame) -> None:
    for flipped in flips(dongjun.encode(frame)):
        refused(dongjun.read, flipped, "checksum", "length", "malformed")


def shown(command: int, data: str) -> dict[str, object]:
    return dongjun_data.decode(None, "up", dongjun.encode(Frame(command, data=bytes.fromhex(data))))


@pytest.mark.parametrize(
    ("kind", "limit"), [("00", {"duration_s": 6000}), ("11", {"energy_kwh": 0.1}), ("04", {"limit": 100})]
)
def test_what_a_start_allows_depends_on_its_kind(kind: str, limit: dict[str, object]) -> None:
    fields = shown(0xB7, f"05 00 00 00 00 00 00 00 07 {kind} 03 64 00 01 02 0C 01 64 00")["fields"]

    who = {"port": 5, "order_hex": "0000000000000007", "charge_type": int(kind, 16), "pay_type": 3}
    assert fields == who | limit | {"card_number": 17564161, "balance_cents": 1000}


@pytest.mark.parametrize("data", ["02 01", "01", "00", ""])
def test_states_that_are_not_as_many_as_the_ports_are_shown_as_bytes_alone(data: str) -> None:
    assert "fields" not in shown(0x01, data)


@given(st.sampled_from(sorted({*dongjun_data.FIELDS, 0x01, 0xA4, 0xB1, 0xB7})), st.binary(max_size=80))
def test_a_body_that_is_not_as_it_is_written_is_shown_as_its_bytes(command: int, data: bytes) -> None:
    decoded = dongjun_data.decode(None, "up", dongjun.encode(Frame(command, data=data)))

    assert decoded.get("data", "") == data.hex(" ").upper()


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ("", "length"),
        ("EE", "length"),
        ("EE 07 01 31 32 33 34 35 0F", "length"),
        ("EF 09 01 31 32 33 34 35 36 00 0F", "malformed"),
        ("EE 09 01 31 32 33 34 35 36 00 0E", "checksum"),
        ("EE 09 01 31 32 33 34 35 36 00 0F 00", "length"),
        ("66 0A 01 31 32 33 34 35 36 01 01 0D", "checksum"),
    ],
)
def test_what_no_board_is_told_is_refused_for_its_own_reason(payload: str, kind: str) -> None:
    refused(lambda payload: dongjun_data.decode(None, "down", payload), bytes.fromhex(payload), kind)


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
