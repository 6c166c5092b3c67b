"""DNY piles: both directions, bodies of older and newer firmware, and what else a pile says on its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.codecs import dny, dny_data
from firmware_bridge.codecs.dny import Frame
from tests.bridge.frames import fed, flips, refused

PILES, MESSAGES, COMMANDS = st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFF), st.integers(0, 255)
FRAMES = st.builds(Frame, PILES, MESSAGES, COMMANDS, st.binary(max_size=247))
SHORT = st.builds(Frame, PILES, MESSAGES, COMMANDS, st.binary(max_size=20))


def shown(command: int, data: str, direction: str = "up") -> dict[str, object]:
    return dny_data.decode(None, direction, dny.encode(Frame(0x04AB373B, 1, command, bytes.fromhex(data))))


@given(FRAMES)
def test_a_frame_that_was_written_is_read_back(frame: Frame) -> None:
    assert dny.read(dny.encode(frame)) == frame


@given(SHORT)
def test_no_frame_survives_a_turned_bit(frame: Frame) -> None:
    for flipped in flips(dny.encode(frame)):
        refused(dny.read, flipped, "checksum", "length", "malformed")


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ("", "length"),
        ("44 4E 59", "length"),
        ("44 4E 58 09 00 3B 37 AB 04 B9 00 22 F0 02", "malformed"),
        ("44 4E 59 09 00 3B 37 AB 04 B9 00 22 F0 03", "checksum"),
        ("44 4E 59 0A 00 3B 37 AB 04 B9 00 22 F1 02", "length"),
        ("44 4E 59 08 00 3B 37 AB 04 B9 00 EF 02", "length"),
        ("44 4E 59 FF FF 3B 37 AB 04 B9 00 22 F0 02", "length"),
    ],
)
def test_what_no_pile_sends_is_refused_for_its_own_reason(payload: str, kind: str) -> None:
    refused(lambda payload: dny_data.decode(None, "up", payload), bytes.fromhex(payload), kind)


def test_some_units_answer_a_start_with_no_more_than_its_result_and_port() -> None:
    assert shown(0x82, "09 01") == {"cmd": "82", "result": 9, "fields": {"port": 1}}
    assert shown(0x82, "0B") == {"cmd": "82", "result": 11, "fields": {}}


def test_older_firmware_ends_earlier_and_newer_goes_on() -> None:
    whole = {"max_duration_s": 36_000, "overload_w": 2000.0}

    assert shown(0x85, "A0 8C", "down")["fields"] == {"max_duration_s": 36_000}
    assert shown(0x85, "A0 8C 20 4E", "down")["fields"] == whole
    assert shown(0x85, "A0 8C 20 4E 8C 0A E8 03 01 02", "down")["fields"] == whole | {
        "over_voltage_v": 270.0,
        "under_voltage_v": 100.0,
    }


def test_what_is_asked_of_a_metered_port_is_energy_and_of_any_other_time() -> None:
    assert shown(0x8A, "01 01 80 70", "down")["fields"] == {"rate_mode": 1, "port": 1, "duration_s": 28_800}
    assert shown(0x8A, "02 01 96 00", "down")["fields"] == {"rate_mode": 2, "port": 1, "energy_kwh": 1.5}


def test_one_byte_acknowledges_only_where_something_was_asked() -> None:
    assert shown(0x96, "00") == {"cmd": "96", "fields": {"ack": 0}}
    assert shown(0x96, "1E", "down") == {"cmd": "96", "fields": {"locate_s": 30}}
    assert shown(0x20, "00", "down") == {"cmd": "20", "fields": {"ack": 0}}
    assert shown(0x99, "05", "down") == {"cmd": "99", "data": "05", "fields": {}}


def test_a_piece_of_firmware_is_answered_with_its_result_and_number() -> None:
    assert shown(0xE0, "00 07 00") == {"cmd": "E0", "result": 0, "fields": {"packet": 7}}


def test_a_longer_card_is_shown_beside_its_uid() -> None:
    fields = shown(0x02, "7A 8D 05 DD 04 01 00 00 0A CA 3D 68 03 AA BB CC")["fields"]

    assert isinstance(fields, dict)
    assert (fields["card_number"], fields["epoch_s"], fields["card2_hex"]) == (3708128634, 1748879882, "AABBCC")


@pytest.mark.parametrize(
    ("command", "data"),
    [(0x85, "A0 8C 20"), (0x21, "98 08 0A 00 00"), (0x03, "10 0E E8"), (0x02, "7A 8D"), (0x06, "01 01 10")],
)
def test_a_body_that_ends_within_a_field_is_cut(command: int, data: str) -> None:
    frame = Frame(1, 1, command, bytes.fromhex(data))
    direction = "down" if command == 0x85 else "up"

    refused(lambda payload: dny_data.decode(None, direction, payload), dny.encode(frame), "length")


def test_a_body_that_is_not_known_is_shown_as_its_bytes() -> None:
    assert shown(0x84, "1E 00", "down") == {"cmd": "84", "data": "1E 00", "fields": {}}


def test_a_host_that_is_no_name_is_refused() -> None:
    body = b"\xb8\x22\x03\x01" + b"baidu.com\0evil" + bytes(32)

    refused(lambda payload: dny_data.decode(None, "down", payload), dny.encode(Frame(1, 0, 0x34, body)), "malformed")


def test_what_a_pile_says_between_its_frames_is_shown() -> None:
    assert dny_data.decode(None, "up", b"link") == {"fields": {"link": True}}
    assert dny_data.decode(None, "up", b"898604D11722D0348606") == {"fields": {"iccid": "898604D11722D0348606"}}
    refused(lambda payload: dny_data.decode(None, "up", payload), b"8986 4D11722D0348606", "malformed")


def test_a_settlement_is_acknowledged_under_its_own_number() -> None:
    settled = Frame(0x04AB373B, 1, 0x03)

    assert dny.encode(dny.answer(settled)).hex(" ") == "44 4e 59 0a 00 3b 37 ab 04 01 00 03 00 1a 02".lower()


def test_what_no_frame_can_carry_is_never_written() -> None:
    with pytest.raises(ValueError, match="too many"):
        dny.encode(Frame(1, 1, 0x82, bytes(248)))


@given(st.lists(SHORT, max_size=4), st.lists(st.integers(0, 200), max_size=6), st.integers(0, 3))
def test_frames_are_found_however_they_are_cut_and_between_links(frames: list[Frame], cuts: list[int], n: int) -> None:
    line = b"898604D11722D0348606" + b"".join(dny.LINK * n + dny.encode(frame) for frame in frames)

    assert fed(dny.finder(), line, cuts) == frames
