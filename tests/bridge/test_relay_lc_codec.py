"""LC relay boards: the timer of the right channel, and no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.codecs import modbus
from firmware_bridge.codecs import relay_lc as board
from tests.bridge.frames import flips, refused

UNITS = st.integers(1, 255)
CHANNELS = st.integers(0, 31)


@given(UNITS, CHANNELS, st.integers(1, board.FLASH_MAX))
def test_a_lease_that_was_written_is_read_back(unit: int, channel: int, count: int) -> None:
    frame = board.flash_on(unit, channel, count / 10)

    assert board.read_request(modbus.encode(frame)) == frame
    assert board.operation(frame) == {"operation": "flash_on", "channel": channel, "duration_s": count / 10}


def test_the_timers_of_the_channels_are_five_registers_apart() -> None:
    assert [board.flash_on(1, channel, 1).address for channel in range(4)] == [0x0003, 0x0008, 0x000D, 0x0012]


@given(UNITS, CHANNELS)
def test_off_that_was_written_is_read_back(unit: int, channel: int) -> None:
    payload = modbus.encode(board.switch_off(unit, channel))

    assert board.read_request(payload) == board.read_reply(payload)
    assert board.operation(board.read_request(payload)) == {"operation": "off", "channel": channel}


@given(UNITS)
def test_an_address_that_was_written_is_read_back(unit: int) -> None:
    assert board.operation(board.set_address(unit)) == {"operation": "set_address", "new_unit": unit}


@given(CHANNELS, st.floats(0.1, board.LEASE_S_MAX))
def test_no_command_survives_a_turned_bit(channel: int, lease_s: float) -> None:
    for flipped in flips(modbus.encode(board.flash_on(1, channel, lease_s))):
        refused(board.read_request, flipped, "crc", "length")


@pytest.mark.parametrize("lease_s", [0, 0.04, -1, 6553.6])
def test_a_lease_no_board_can_count_is_never_written(lease_s: float) -> None:
    with pytest.raises(ValueError, match="counts"):
        board.flash_on(1, 0, lease_s)


@pytest.mark.parametrize("channel", [-1, 32, 255])
def test_no_relay_beyond_the_board_is_written(channel: int) -> None:
    with pytest.raises(ValueError, match="relay"):
        board.switch_off(1, channel)
    with pytest.raises(ValueError, match="relay"):
        board.flash_on(1, channel, 60)


@pytest.mark.parametrize("unit", [0, 256])
def test_no_board_gets_an_address_it_cannot_have(unit: int) -> None:
    with pytest.raises(ValueError, match="address"):
        board.set_address(unit)


@pytest.mark.parametrize(
    ("address", "values"),
    [(3, [4, 0]), (3, [3, 20]), (8, [0, 20]), (0, [0]), (0, [256])],
)
def test_a_write_no_board_understands_is_refused(address: int, values: list[int]) -> None:
    refused(board.read_request, modbus.encode(modbus.write_registers(1, address, values)), "range")


@pytest.mark.parametrize("value", [0x5500, 7, 1])
def test_a_coil_is_on_or_off(value: int) -> None:
    payload = modbus.encode(modbus.write_one(1, modbus.WRITE_COIL, 0, value))

    refused(board.read_request, payload, "range")
    refused(board.read_reply, payload, "range")


@pytest.mark.parametrize(("address", "values"), [(4, [4, 20]), (1000, [4, 20]), (3, [4, 20, 0]), (1001, [9]), (7, [1])])
def test_registers_of_no_known_meaning_are_shown_and_named_nothing(address: int, values: list[int]) -> None:
    payload = modbus.encode(modbus.write_registers(1, address, values))

    means = {"address": address, "count": len(values), "registers": values}
    assert board.decode(None, "down", payload) == means
