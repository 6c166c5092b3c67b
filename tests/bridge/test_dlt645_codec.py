"""DL/T 645 meters: both directions, values with their signs, the noise of a line, and another library's judgement."""

from datetime import UTC, datetime

import pytest
from dlt645.protocol.protocol import DLT645Protocol
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.codecs import dlt645, dlt645_data
from firmware_bridge.codecs.dlt645 import Frame
from firmware_bridge.codecs.dlt645_data import QUANTITIES, Quantity
from tests.bridge.frames import fed, flips, refused

METER = "558890213594"
ADDRESSES = st.text("0123456789a", min_size=12, max_size=12)
CONTROLS = st.sampled_from(sorted(dlt645.FUNCTIONS)).flatmap(
    lambda function: st.sampled_from([function, 0x80 | function, 0xA0 | function, 0xC0 | function])
)
FRAMES = st.builds(Frame, ADDRESSES, CONTROLS, st.binary(max_size=dlt645.DATA_MAX))
SHORT = st.builds(Frame, ADDRESSES, CONTROLS, st.binary(max_size=20))


@given(FRAMES, st.integers(0, 8))
def test_a_frame_that_was_written_is_read_back(frame: Frame, preamble: int) -> None:
    assert dlt645.read(dlt645.encode(frame, preamble)) == frame


@given(SHORT)
def test_no_frame_survives_a_turned_bit(frame: Frame) -> None:
    for flipped in flips(dlt645.encode(frame)):
        refused(dlt645.read, flipped, "checksum", "malformed", "length")


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ("", "length"),
        ("FE FE FE FE", "length"),
        ("FE " * 9 + "68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16", "malformed"),
        ("68 61 01 00 00 00 00 68 11 04 33 33 34 33 15 16", "checksum"),
        ("68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 17", "malformed"),
        ("68 61 01 00 00 00 00 69 11 04 33 33 34 33 14 16", "malformed"),
        ("68 61 01 00 00 00 00 68 11 05 33 33 34 33 15 16", "length"),
        ("68 61 01 00 00 00 0B 68 11 04 33 33 34 33 1F 16", "malformed"),
        ("68 61 01 00 00 00 00 68 11 C9 33 33 34 33 D9 16", "length"),
        ("68 61 01 00 00 00 00 68 00 00 32 16", "unknown"),
    ],
)
def test_a_frame_no_meter_sends_is_refused_for_its_own_reason(payload: str, kind: str) -> None:
    refused(dlt645.read, bytes.fromhex(payload), kind)


def test_more_data_than_any_meter_sends_is_no_frame() -> None:
    refused(dlt645.read, dlt645.encode(Frame(METER, 0x91, bytes(dlt645.DATA_MAX + 1))), "length")


def test_a_question_is_no_answer_and_an_answer_no_question() -> None:
    question = dlt645.encode(dlt645.ask(METER, "00010000"))
    answer = dlt645.encode(dlt645.answer(METER, dlt645.READ, bytes(8)))

    refused(dlt645.read_reply, question, "malformed")
    refused(dlt645.read_request, answer, "malformed")


# -- values -------------------------------------------------------------------------------------------------------


@given(st.sampled_from(sorted(QUANTITIES)), st.data())
def test_a_value_that_a_meter_sends_is_read_back(di: str, data: st.DataObject) -> None:
    quantity = QUANTITIES[di]
    most = 10 ** (2 * quantity.size) - 1
    raw = data.draw(st.integers(-(most * 4 // 5) + 1 if quantity.signed else 0, most * 4 // 5 - 1))
    value = raw / quantity.scale
    payload = dlt645.encode(
        dlt645.answer(METER, dlt645.READ, dlt645.di_bytes(di) + dlt645_data.number_bytes(quantity, value))
    )

    means = {"address": METER, "control": "91", "di": di, quantity.name: value}
    assert dlt645_data.decode(None, "up", payload) == means


@pytest.mark.parametrize("value", [-1, 1000.0, 1e9])
def test_a_value_beyond_its_digits_is_never_written(value: float) -> None:
    with pytest.raises(ValueError, match="fit"):
        dlt645_data.number_bytes(Quantity("voltage_a_v", 2, 1), value)


@pytest.mark.parametrize(
    ("function", "data", "kind"),
    [
        (0x91, "00 00 01 00 1A 00 00 00", "malformed"),
        (0x91, "00 00 01 00 01 00 00", "length"),
        (0x91, "00 01 01 02 FF FF", "malformed"),
        (0x91, "03 05 00 04 50", "length"),
        (0x91, "11", "length"),
        (0x93, "00 01", "length"),
        (0x93, "AA AA AA AA AA AA", "malformed"),
        (0xD1, "", "length"),
        (0x94, "00", "length"),
    ],
)
def test_data_that_does_not_fit_what_it_answers_is_refused(function: int, data: str, kind: str) -> None:
    payload = dlt645.encode(Frame(METER, function, bytes.fromhex(data)))

    refused(lambda payload: dlt645_data.decode(None, "up", payload), payload, kind)


def test_a_refusal_is_shown_with_its_reasons() -> None:
    payload = dlt645.encode(dlt645.refusal(METER, dlt645.RELAY, 0b110))

    assert dlt645_data.decode(None, "up", payload) == {
        "address": METER,
        "control": "DC",
        "error_code": "06",
        "errors": ["no_such_data", "password"],
    }


def test_a_closed_relay_is_shown_as_closed() -> None:
    payload = dlt645.encode(dlt645.answer(METER, dlt645.READ, bytes.fromhex("03 05 00 04 00 00")))

    assert dlt645_data.decode(None, "up", payload)["relay"] == "closed"


# -- commands -----------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(sorted(dlt645_data.COMMANDS.values())),
    st.binary(min_size=4, max_size=4),
    st.binary(min_size=4, max_size=4),
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_a_command_that_was_written_is_read_back(
    command: str, password: bytes, operator: bytes, until: datetime
) -> None:
    payload = dlt645.encode(dlt645_data.relay(METER, command, password, operator, until))

    assert dlt645_data.decode(None, "down", payload) == {
        "address": METER,
        "control": "1C",
        "password_level": f"{password[0]:02X}",
        "password_bytes": password[1:].hex(" ").upper(),
        "operator_bytes": operator.hex(" ").upper(),
        "command": command,
        "valid_until": until.strftime("%Y-%m-%d %H:%M:%S"),
    }


@pytest.mark.parametrize(
    ("function", "data", "kind"),
    [
        (0x1C, "02 00 00 00 00 00 00 00 1A 00 00 00 00 00 00", "length"),
        (0x1C, "02 00 00 00 00 00 00 00 77 00 00 00 00 00 00 00", "unknown"),
        (0x1C, "02 00 00 00 00 00 00 00 1A 00 61 00 00 01 01 26", "malformed"),
        (0x1C, "02 00 00 00 00 00 00 00 1A 00 00 00 00 31 02 26", "malformed"),
        (0x13, "00", "length"),
        (0x08, "00", "length"),
        (0x14, "00 00 00 00", "length"),
        (0x11, "", "length"),
    ],
)
def test_a_request_that_no_meter_understands_is_refused(function: int, data: str, kind: str) -> None:
    payload = dlt645.encode(Frame(METER, function, bytes.fromhex(data)))

    refused(lambda payload: dlt645_data.decode(None, "down", payload), payload, kind)


def test_a_write_shows_who_wrote_what() -> None:
    data = dlt645.di_bytes("04000C01") + bytes.fromhex("02 11 22 33 01 00 00 00 99")

    assert dlt645_data.decode(None, "down", dlt645.encode(Frame(METER, dlt645.WRITE, data))) == {
        "address": METER,
        "control": "14",
        "di": "04000C01",
        "password_level": "02",
        "password_bytes": "11 22 33",
        "operator_bytes": "01 00 00 00",
        "data": "99",
    }


def test_the_time_of_day_goes_to_every_meter() -> None:
    time = datetime(2026, 11, 26, 22, 5, 30, tzinfo=UTC)
    payload = dlt645.encode(Frame(dlt645.EVERY, dlt645.SET_TIME, dlt645_data.time_bytes(time)))

    assert dlt645_data.decode(None, "down", payload)["time"] == "2026-11-26 22:05:30"


@pytest.mark.parametrize("address", ["", "12345", "12345678901b", "1234567890123"])
def test_no_frame_is_written_to_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        dlt645.encode(dlt645.ask(address, "00010000"))


# -- the noise of a line, and the judgement of another ---------------------------------------------------------------


@given(st.lists(SHORT, max_size=4), st.lists(st.integers(0, 300), max_size=6), st.integers(0, 9))
def test_frames_are_found_however_they_are_cut_and_between_noise(frames: list[Frame], cuts: list[int], n: int) -> None:
    line = b"".join(b"\x00\xff" * n + dlt645.encode(frame) for frame in frames) + bytes(n)

    assert fed(dlt645.finder(), line, cuts) == frames


def test_a_start_that_leads_nowhere_hides_no_frame() -> None:
    frame = dlt645.ask(METER, "00010000")

    assert dlt645.finder().feed(b"\x68" + dlt645.encode(frame)) == [frame]


@given(FRAMES, st.integers(0, 4))
def test_another_library_writes_and_reads_the_same_bytes(frame: Frame, preamble: int) -> None:
    ours = dlt645.encode(frame, preamble)
    theirs = DLT645Protocol.build_frame(dlt645.address_bytes(frame.address), frame.control, frame.data, preamble)

    assert bytes(theirs) == ours
    read = DLT645Protocol.deserialize(ours)
    assert read is not None
    assert (read.addr, read.ctrl_code, read.data) == (
        dlt645.address_bytes(frame.address),
        frame.control,
        frame.data,
    )
