"""Waveshare's relay boards: a lease that is written is the lease that is read, and nothing is a lease of none."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.codecs import modbus
from firmware_bridge.codecs import relay_waveshare as board
from tests.bridge.frames import flips, refused

UNITS = st.integers(1, 255)
CHANNELS = st.integers(0, 31)


@given(UNITS, CHANNELS, st.integers(1, board.FLASH_MAX))
def test_a_lease_that_was_written_is_read_back(unit: int, channel: int, count: int) -> None:
    frame = board.flash_on(unit, channel, count / 10)
    payload = modbus.encode(frame)

    assert board.read_request(payload) == board.read_reply(payload) == frame
    assert board.operation(frame) == {"operation": "flash_on", "channel": channel, "duration_s": count / 10}


@given(UNITS, CHANNELS)
def test_off_that_was_written_is_read_back(unit: int, channel: int) -> None:
    frame = board.read_request(modbus.encode(board.switch_off(unit, channel)))

    assert board.operation(frame) == {"operation": "off", "channel": channel}


def test_all_of_them_go_off_by_one_coil() -> None:
    assert board.operation(board.switch_all_off(1)) == {"operation": "off", "all": True}


@given(CHANNELS, st.floats(0.1, board.LEASE_S_MAX))
def test_no_command_survives_a_turned_bit(channel: int, lease_s: float) -> None:
    for flipped in flips(modbus.encode(board.flash_on(1, channel, lease_s))):
        refused(board.read_request, flipped, "crc", "length")


@pytest.mark.parametrize("lease_s", [0, 0.04, -1, 3276.8, 1e9])
def test_a_lease_no_board_can_count_is_never_written(lease_s: float) -> None:
    with pytest.raises(ValueError, match="counts"):
        board.flash_on(1, 0, lease_s)


@pytest.mark.parametrize("write", [board.switch_off, lambda unit, channel: board.flash_on(unit, channel, 60)])
@pytest.mark.parametrize("channel", [-1, 255, 256])
def test_one_relay_is_never_written_as_all_or_as_none(write: Callable[[int, int], object], channel: int) -> None:
    with pytest.raises(ValueError, match="relay"):
        write(1, channel)


@pytest.mark.parametrize(
    ("address", "value"),
    [(0x0200, 0), (0x0200, 0x8000), (0x0200, 0xFF00), (0x0100, 0xFF00), (0x0300, 5), (0x02FF, 5), (0, 7), (0, 1)],
)
def test_a_write_no_board_understands_is_refused(address: int, value: int) -> None:
    payload = modbus.encode(modbus.write_one(1, modbus.WRITE_COIL, address, value))

    refused(board.read_request, payload, "range")
    refused(board.read_reply, payload, "range")


def test_off_after_on_is_named_and_registers_are_shown_as_they_are() -> None:
    flash_off = modbus.encode(modbus.write_one(1, modbus.WRITE_COIL, 0x0403, 30))
    mode = modbus.encode(modbus.write_one(1, modbus.WRITE_REGISTER, board.CONTROL_MODE + 2, 0))

    means = {"address": 0x403, "value": 30, "operation": "flash_off", "channel": 3, "duration_s": 3.0}
    assert board.decode(None, "down", flash_off) == means
    assert board.decode(None, "up", mode) == {"address": 0x1002, "value": 0}
