"""Modbus RTU: both directions, the noise of a line, and pymodbus as the one who did not read our code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, bit_message, register_message

from firmware_bridge.codecs import modbus
from firmware_bridge.codecs.modbus import Frame
from tests.bridge.frames import fed, flips, refused

UNITS = st.integers(0, 255)
WORDS = st.integers(0, 0xFFFF)
VALUES = st.lists(WORDS, min_size=1, max_size=123)
BITS = st.lists(st.booleans(), min_size=1, max_size=1968)
LOW = st.integers(0, 0x8000)
REQUESTS = st.one_of(
    st.builds(modbus.ask, UNITS, st.sampled_from([1, 2, 3, 4]), LOW, st.integers(1, 125)),
    st.builds(modbus.write_one, UNITS, st.sampled_from([5, 6]), WORDS, WORDS),
    st.builds(modbus.write_coils, UNITS, LOW, BITS),
    st.builds(modbus.write_registers, UNITS, LOW, VALUES),
)
REPLIES = st.one_of(
    st.builds(modbus.answer_bits, UNITS, st.sampled_from([1, 2]), BITS),
    st.builds(modbus.answer_registers, UNITS, st.sampled_from([3, 4]), VALUES),
    REQUESTS.filter(lambda frame: frame.function > 4).map(modbus.answer_written),
    st.builds(modbus.failed, REQUESTS, st.integers(1, 11)),
)


@given(REQUESTS)
def test_a_request_that_was_written_is_read_back(frame: Frame) -> None:
    assert modbus.read_request(modbus.encode(frame)) == frame


@given(REPLIES)
def test_an_answer_that_was_written_is_read_back(frame: Frame) -> None:
    assert modbus.read_reply(modbus.encode(frame)) == frame


@given(st.data())
def test_no_answer_survives_a_turned_bit(data: st.DataObject) -> None:
    frame = modbus.encode(data.draw(REPLIES.filter(lambda frame: len(frame.data) < 30)))
    for flipped in flips(frame):
        refused(modbus.read_reply, flipped, "crc", "length")


@given(VALUES, BITS)
def test_what_is_listed_comes_back_in_its_order(values: list[int], bits: list[bool]) -> None:
    assert list(modbus.registers_of(modbus.answer_registers(1, 3, values))) == values
    assert list(modbus.registers_of(modbus.write_registers(1, 0, values))) == values
    assert list(modbus.bits_of(modbus.write_coils(1, 0, bits))) == bits
    answered = modbus.bits_of(modbus.answer_bits(1, 1, bits))
    assert list(answered[: len(bits)]) == bits
    assert not any(answered[len(bits) :])


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("01 03 00 00 00 00", "range"),
        ("01 03 00 00 00 7E", "range"),
        ("01 04 FF FF 00 02", "range"),
        ("01 01 00 00 07 D1", "range"),
        ("01 10 00 00 00 02 02 00 01", "length"),
        ("01 0F 00 00 00 09 01 FF", "length"),
        ("01 10 00 00 00 00 00", "range"),
        ("01 03 00 00 00 01 00", "length"),
        ("01 03", "length"),
        ("01 44 00 00 00 01", "unknown"),
        ("01 83 02", "unknown"),
    ],
)
def test_a_right_checksum_does_not_make_a_right_request(body: str, kind: str) -> None:
    payload = bytes.fromhex(body)
    refused(modbus.read_request, payload + modbus.crc16(payload), kind)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("01 03 00", "length"),
        ("01 03 01 00", "length"),
        ("01 03 FC" + " 00" * 252, "length"),
        ("01 03 04 00 01", "length"),
        ("01 05 00 00 FF", "length"),
        ("01 83", "length"),
        ("01 C4 01", "unknown"),
        ("01 10 00 00 00 7C", "range"),
    ],
)
def test_a_right_checksum_does_not_make_a_right_answer(body: str, kind: str) -> None:
    payload = bytes.fromhex(body)
    refused(modbus.read_reply, payload + modbus.crc16(payload), kind)


@given(REPLIES.map(modbus.encode), st.integers(1, 5))
def test_zeros_behind_an_answer_pass_the_checksum_and_are_refused(frame: bytes, zeros: int) -> None:
    refused(modbus.read_reply, frame + bytes(zeros), "length")


# -- the noise of a line -------------------------------------------------------------------------------------------


@given(st.lists(REPLIES, max_size=4), st.lists(st.integers(0, 2000), max_size=6), st.integers(0, 9))
def test_frames_are_found_however_they_are_cut_and_between_zeros(frames: list[Frame], cuts: list[int], n: int) -> None:
    line = bytes(n) + b"".join(modbus.encode(frame) + bytes(n) for frame in frames)

    assert fed(modbus.finder(modbus.REPLIES), line, cuts) == frames


def test_the_beginning_of_a_frame_hides_no_whole_one_behind_it() -> None:
    whole = modbus.answer_registers(7, 3, [1, 2, 3])
    finder = modbus.finder(modbus.REPLIES, unit=7)

    assert finder.feed(bytes.fromhex("07 03 F0 11 22") + modbus.encode(whole)) == [whole]
    assert finder.skipped == 5


def test_a_frame_of_another_unit_is_no_answer() -> None:
    other, ours = modbus.answer_registers(8, 3, [9]), modbus.answer_registers(7, 3, [5])

    assert modbus.finder(modbus.REPLIES, unit=7).feed(modbus.encode(other) + modbus.encode(ours)) == [ours]


@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=5))
def test_noise_is_never_kept_beyond_the_longest_frame(noise: bytes, cuts: list[int]) -> None:
    finder = modbus.finder(modbus.REPLIES)
    frames = fed(finder, noise, cuts)

    assert len(noise) - finder.skipped - sum(len(modbus.encode(frame)) for frame in frames) < modbus.FRAME_MAX


def test_what_came_before_a_request_answers_nothing() -> None:
    late = modbus.encode(modbus.answer_registers(1, 3, [5]))
    finder = modbus.finder(modbus.REPLIES)
    finder.feed(late[:4])
    finder.clear()

    assert finder.feed(late[4:]) == []
    assert finder.skipped >= 4


# -- the judgement of another ---------------------------------------------------------------------------------------

MASTER, SLAVE = FramerRTU(DecodePDU(False)), FramerRTU(DecodePDU(True))


@given(st.integers(1, 247), st.integers(0, 0xFF00), st.lists(WORDS, min_size=1, max_size=100))
def test_pymodbus_writes_registers_as_we_do(unit: int, address: int, values: list[int]) -> None:
    theirs = register_message.WriteMultipleRegistersRequest(address=address, registers=values, dev_id=unit)

    assert MASTER.buildFrame(theirs) == modbus.encode(modbus.write_registers(unit, address, values))


@given(st.integers(1, 247), st.integers(0, 0xFF00), st.lists(st.booleans(), min_size=1, max_size=200))
def test_pymodbus_writes_coils_as_we_do(unit: int, address: int, bits: list[bool]) -> None:
    theirs = bit_message.WriteMultipleCoilsRequest(address=address, bits=bits, dev_id=unit)

    assert MASTER.buildFrame(theirs) == modbus.encode(modbus.write_coils(unit, address, bits))


@given(REPLIES.filter(lambda frame: frame.unit))
def test_pymodbus_reads_every_answer_of_ours(frame: Frame) -> None:
    used, unit, _, body = MASTER.decode(modbus.encode(frame))
    pdu = DecodePDU(False).decode(body)

    assert (used, unit) == (len(modbus.encode(frame)), frame.unit)
    assert pdu is not None
    if frame.function in (3, 4):
        assert pdu.registers == list(modbus.registers_of(frame))
    if frame.function in (1, 2):
        assert pdu.bits == list(modbus.bits_of(frame))
    if frame.failure is not None:
        assert pdu.exception_code == frame.failure


@given(REQUESTS.filter(lambda frame: frame.unit))
def test_pymodbus_takes_every_request_of_ours(frame: Frame) -> None:
    used, unit, _, body = SLAVE.decode(modbus.encode(frame))

    assert (used, unit) == (len(modbus.encode(frame)), frame.unit)
    assert body == bytes((frame.function,)) + frame.data
