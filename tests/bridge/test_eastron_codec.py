"""Eastron meters: floats in pairs of registers, as few digits as the meter shows, and what is no float."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin

from firmware_bridge.codecs import eastron, modbus
from tests.bridge.frames import flips, refused

UNITS = st.integers(1, 247)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
Oracle = ModbusClientMixin


@given(UNITS, st.lists(FLOATS, min_size=1, max_size=60))
def test_quantities_that_were_written_are_read_back(unit: int, values: list[float]) -> None:
    frame = eastron.answer(unit, values)
    floats = eastron.read_floats(eastron.read_reply(modbus.encode(frame)))

    assert floats == pytest.approx(values, rel=1e-6, abs=0)


@given(st.integers(-999_999, 999_999), st.sampled_from([1, 10, 100, 1000]))
def test_what_a_display_of_six_digits_shows_is_what_is_read(digits: int, divisor: int) -> None:
    assert eastron.meant(struct.unpack(">f", struct.pack(">f", digits / divisor))[0]) == digits / divisor


@given(UNITS, FLOATS)
def test_a_setting_that_was_written_is_read_back(unit: int, value: float) -> None:
    frame = eastron.write(unit, eastron.UNIT, value)

    assert eastron.read_request(modbus.encode(frame)) == frame
    assert eastron.read_floats(frame) == pytest.approx([value], rel=1e-6, abs=0)


@given(FLOATS)
def test_no_quantity_survives_a_turned_bit(value: float) -> None:
    for flipped in flips(modbus.encode(eastron.answer(1, [value]))):
        refused(eastron.read_reply, flipped, "crc", "length")


@given(FLOATS)
def test_pymodbus_makes_the_same_registers(value: float) -> None:
    theirs = Oracle.convert_to_registers(value, Oracle.DATATYPE.FLOAT32)

    assert list(modbus.registers_of(eastron.answer(1, [value]))) == theirs


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("01 04 00 01 00 02", "range"),
        ("01 04 00 00 00 03", "range"),
        ("F8 04 00 00 00 02", "range"),
        ("01 05 00 00 FF 00", "unknown"),
    ],
)
def test_what_no_meter_is_asked_is_refused(body: str, kind: str) -> None:
    payload = bytes.fromhex(body)
    refused(eastron.read_request, payload + modbus.crc16(payload), kind)


@pytest.mark.parametrize("words", [[0x7FC0, 0], [0x7F80, 0], [0xFF80, 0]])
def test_what_is_no_number_is_no_quantity_and_still_shown_as_registers(words: list[int]) -> None:
    frame = modbus.answer_registers(1, 4, words)

    refused(lambda _: eastron.read_floats(frame), b"", "range")
    assert eastron.decode(None, "up", modbus.encode(frame)) == {"registers": words}


def test_half_a_quantity_is_none() -> None:
    refused(lambda _: eastron.read_floats(modbus.answer_registers(1, 4, [1, 2, 3])), b"", "length")


def test_several_quantities_are_shown_beside_their_registers() -> None:
    frame = eastron.answer(1, [230.2, 1.0])

    assert eastron.decode(None, "up", modbus.encode(frame)) == {
        "registers": [0x4366, 0x3333, 0x3F80, 0],
        "floats": [230.2, 1.0],
    }


def test_a_setting_of_one_register_is_shown_as_it_is() -> None:
    write = modbus.encode(modbus.write_registers(1, 0xF920, [2]))
    answer = modbus.encode(modbus.answer_registers(1, modbus.READ_HOLDING, [2]))

    assert eastron.decode(None, "down", write) == {"address": 0xF920, "count": 1, "registers": [2]}
    assert eastron.decode(None, "up", answer) == {"registers": [2]}


def test_a_setting_is_shown_as_its_value() -> None:
    payload = modbus.encode(eastron.write(1, eastron.UNIT, 60.0))

    means = {"address": 20, "count": 2, "registers": [0x4270, 0], "float": 60.0}
    assert eastron.decode(None, "down", payload) == means
    assert payload[-2:] == bytes.fromhex("E6 F3")  # what the manual should have printed
