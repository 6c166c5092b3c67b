"""PZEM meters: their scale, their own functions, and other devices that answer like one."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.codecs import modbus, pzem
from firmware_bridge.codecs.pzem import Values
from tests.bridge.frames import fed, flips, refused

UNITS = st.integers(0, 0xF8)


def tenths(least: int, most: int, divisor: int) -> st.SearchStrategy[float]:
    return st.integers(least * divisor, most * divisor).map(lambda raw: raw / divisor)


VALUES = st.builds(
    Values,
    tenths(60, 300, 10),
    tenths(0, 120, 1000),
    tenths(0, 30_000, 10),
    st.integers(0, 9_999_999),
    tenths(40, 70, 10),
    tenths(0, 1, 100),
    st.booleans(),
)
USUAL = Values(225.9, 70.001, 6553.6, 65_537, 50.1, 0.06, False)


@given(UNITS, VALUES)
def test_values_that_were_written_are_read_back(unit: int, values: Values) -> None:
    frame = pzem.answer_values(unit, values)

    assert pzem.read_reply(modbus.encode(frame)) == frame
    assert pzem.read_values(frame) == values


@given(VALUES)
def test_no_reading_survives_a_turned_bit(values: Values) -> None:
    for flipped in flips(modbus.encode(pzem.answer_values(1, values))):
        refused(pzem.read_reply, flipped, "crc", "length")


def test_a_wide_value_has_its_low_word_first() -> None:
    words = modbus.registers_of(pzem.answer_values(1, USUAL))

    assert words == (2259, 70_001 - 65_536, 1, 0, 1, 1, 1, 501, 6, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("voltage_v", 0.5),
        ("voltage_v", 400.0),
        ("current_a", 900.0),
        ("power_w", 40_000.0),
        ("energy_wh", 10_000_000),
        ("frequency_hz", 0.0),
        ("power_factor", 1.01),
    ],
)
def test_an_inverter_that_answers_like_a_meter_is_found_out(name: str, value: float) -> None:
    strange = pzem.answer_values(1, msgspec.structs.replace(USUAL, **{name: value}))

    refused(lambda payload: pzem.read_values(pzem.read_reply(payload)), modbus.encode(strange), "range")


def test_an_alarm_is_one_of_two_words() -> None:
    words = [*modbus.registers_of(pzem.answer_values(1, USUAL))[:9], 0x00FF]

    refused(lambda _: pzem.read_values(modbus.answer_registers(1, 4, words)), b"", "malformed")


def test_too_few_registers_are_no_reading() -> None:
    refused(lambda _: pzem.read_values(modbus.answer_registers(1, 4, [2259] * 9)), b"", "length")
    refused(lambda _: pzem.read_values(modbus.answer_registers(1, 3, [2259] * 10)), b"", "length")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("F9 04 00 00 00 0A", "range"),
        ("01 01 00 00 00 0A", "unknown"),
        ("01 10 00 01 00 01 02 00 01", "unknown"),
        ("F8 41 00 00", "malformed"),
        ("01 42 00", "length"),
    ],
)
def test_what_no_meter_is_asked_is_refused(body: str, kind: str) -> None:
    payload = bytes.fromhex(body)
    refused(pzem.read_request, payload + modbus.crc16(payload), kind)


def test_a_refused_reset_says_why() -> None:
    payload = modbus.encode(modbus.failed(pzem.reset_energy(5), 4))

    assert pzem.decode(None, "up", payload) == {"exception": 4}


def test_a_reset_is_answered_by_its_echo_and_a_calibration_is_named() -> None:
    reset = modbus.encode(pzem.reset_energy(1))

    assert pzem.read_request(reset) == pzem.read_reply(reset)
    assert pzem.decode(None, "down", bytes.fromhex("F8 41 37 21 B7 78")) == {"operation": "calibrate"}


@given(st.lists(VALUES, max_size=3), st.lists(st.integers(0, 200), max_size=5))
def test_a_reset_and_readings_are_found_in_one_stream(values: list[Values], cuts: list[int]) -> None:
    frames = [pzem.reset_energy(1), *(pzem.answer_values(1, each) for each in values), pzem.reset_energy(1)]
    line = b"\x00".join(map(modbus.encode, frames))

    assert fed(modbus.finder(pzem.REPLIES, unit=1), line, cuts) == frames
