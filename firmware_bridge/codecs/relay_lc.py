"""LC relay boards on Modbus RTU, sold under many names: their timer is two registers a channel."""

from controller.core.errors import BadFrame
from firmware_bridge.codecs import modbus
from firmware_bridge.codecs.modbus import OFF, ON, READ_HOLDING, WRITE_COIL, WRITE_REGISTERS, Frame
from firmware_bridge.codecs.relay_waveshare import tenths

UNITS = (0xFF, 0xFE, 0x01)  # as delivered
UNIT, BAUD = 0x0000, 0x03E9  # registers
BAUD_READ = 0x03E8  # where it is read, unlike where it is written
BAUD_CODES = {2: 4800, 3: 9600, 4: 19200}
FLASH_MAX = 0xFFFF  # tenths of a second
LEASE_S_MAX = FLASH_MAX / 10
_FIRST, _STEP, _CHANNELS = 3, 5, 32  # the timer's registers of each channel
_FLASH_ON = 4
_MODES = {_FLASH_ON: "flash_on", 2: "flash_off"}
_WORDS = {ON: "on", OFF: "off"}


def read_request(payload: bytes) -> Frame:
    frame = modbus.read_request(payload)
    operation(frame)
    return frame


def read_reply(payload: bytes) -> Frame:
    frame = modbus.read_reply(payload)
    if frame.function == WRITE_COIL:
        operation(frame)
    return frame


def operation(frame: Frame) -> dict[str, object]:
    """What a request makes the board do; nothing for a read, and for what is known to be no command."""
    if frame.function == WRITE_COIL:
        if frame.value not in _WORDS:
            raise BadFrame("range", f"a coil is written {frame.value:04X}")
        return {"operation": _WORDS[frame.value], "channel": frame.address}
    if frame.function != WRITE_REGISTERS:
        return {}
    return _setting(frame) if frame.value == 1 else _flash(frame)


def _setting(frame: Frame) -> dict[str, object]:
    (value,) = modbus.registers_of(frame)
    if frame.address == UNIT:
        if not 0 < value <= 0xFF:
            raise BadFrame("range", f"no board takes the address {value}")
        return {"operation": "set_address", "new_unit": value}
    if frame.address == BAUD and value in BAUD_CODES:
        return {"operation": "set_baud", "baud": BAUD_CODES[value]}
    return {}


def _flash(frame: Frame) -> dict[str, object]:
    channel, between = divmod(frame.address - _FIRST, _STEP)
    if frame.value != 2 or between or not 0 <= channel < _CHANNELS:
        return {}
    mode, count = modbus.registers_of(frame)
    if mode not in _MODES or not count:
        raise BadFrame("range", f"no flash is mode {mode} for {count} tenths of a second")
    return {"operation": _MODES[mode], "channel": channel, "duration_s": count / 10}


def switch_off(unit: int, channel: int) -> Frame:
    return modbus.write_one(unit, WRITE_COIL, _checked(channel), OFF)


def flash_on(unit: int, channel: int, lease_s: float) -> Frame:
    """On, and off again by itself; the answer tells only that two registers were written."""
    at = _FIRST + _STEP * _checked(channel)
    return modbus.write_registers(unit, at, [_FLASH_ON, tenths(lease_s, FLASH_MAX)])


def ask_baud(unit: int) -> Frame:
    return modbus.ask(unit, READ_HOLDING, BAUD_READ, 1)


def set_address(new_unit: int) -> Frame:
    """To whoever is alone on the bus."""
    if not 0 < new_unit <= 0xFF:
        raise ValueError(f"no board takes the address {new_unit}")
    return modbus.write_registers(0, UNIT, [new_unit])


def _checked(channel: int) -> int:
    if not 0 <= channel < _CHANNELS:
        raise ValueError(f"no relay is number {channel}")
    return channel


def decode(topic: str | None, direction: str, payload: bytes) -> dict[str, object]:
    reply = direction == "up"
    frame = read_reply(payload) if reply else read_request(payload)
    means = modbus.means(frame, reply)
    return means | operation(frame) if not reply or frame.function == WRITE_COIL else means
