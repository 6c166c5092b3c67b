"""Waveshare's relay boards on Modbus RTU (firmware 2 and newer): coils, and a time after which a relay opens by itself.

Their write of one coil carries more than on and off: a library that takes it for a boolean would leave a relay on.
"""

from controller.core.errors import BadFrame
from firmware_bridge.codecs import modbus
from firmware_bridge.codecs.modbus import OFF, ON, READ_HOLDING, WRITE_COIL, WRITE_REGISTER, Frame

TOGGLE = 0x5500
ALL = 0x00FF  # the coil that is every relay
FLASH_ON, FLASH_OFF = 0x0200, 0x0400  # and the channel
CONTROL_MODE = 0x1000  # and the channel: a register, 0 is normal
UNIT, VERSION = 0x4000, 0x8000  # registers: its own address, and its firmware's version in hundredths
VERSION_MAX = 10_000  # hundredths; the oldest are 100
FLASH_MAX = 0x7FFF  # tenths of a second
LEASE_S_MAX = FLASH_MAX / 10

_WORDS = {ON: "on", OFF: "off", TOGGLE: "toggle"}
_FLASHES = {FLASH_ON: "flash_on", FLASH_OFF: "flash_off"}


def read_request(payload: bytes) -> Frame:
    frame = modbus.read_request(payload)
    if frame.function == WRITE_COIL:
        operation(frame)
    return frame


def read_reply(payload: bytes) -> Frame:
    frame = modbus.read_reply(payload)
    if frame.function == WRITE_COIL:
        operation(frame)
    return frame


def operation(frame: Frame) -> dict[str, object]:
    """What a write of one coil does, or has done: the answer is the same bytes."""
    page, channel = frame.address & 0xFF00, frame.address & 0x00FF
    if page in _FLASHES and channel != ALL:
        if not 0 < frame.value <= FLASH_MAX:
            raise BadFrame("range", f"no flash takes {frame.value} tenths of a second")
        return {"operation": _FLASHES[page], "channel": channel, "duration_s": frame.value / 10}
    if page:
        raise BadFrame("range", f"no coil has the address {frame.address:04X}")
    if frame.value not in _WORDS:
        raise BadFrame("range", f"a coil is written {frame.value:04X}")
    return {"operation": _WORDS[frame.value]} | ({"all": True} if channel == ALL else {"channel": channel})


def tenths(seconds: float, most: int) -> int:
    """A time as boards count it; never none, which would mean something else."""
    count = round(seconds * 10)
    if not 0 < count <= most:
        raise ValueError(f"no relay board counts {seconds} s")
    return count


def _coil(channel: int) -> int:
    if not 0 <= channel < ALL:
        raise ValueError(f"no relay is number {channel}")
    return channel


def switch_off(unit: int, channel: int) -> Frame:
    return modbus.write_one(unit, WRITE_COIL, _coil(channel), OFF)


def switch_all_off(unit: int) -> Frame:
    return modbus.write_one(unit, WRITE_COIL, ALL, OFF)


def flash_on(unit: int, channel: int, lease_s: float) -> Frame:
    """On, and off again by itself: the only way to switch on that survives us."""
    return modbus.write_one(unit, WRITE_COIL, FLASH_ON + _coil(channel), tenths(lease_s, FLASH_MAX))


def detach(unit: int, channel: int) -> Frame:
    """Let the input of this channel leave its relay alone."""
    return modbus.write_one(unit, WRITE_REGISTER, CONTROL_MODE + _coil(channel), 0)


def ask_control_mode(unit: int, channel: int) -> Frame:
    return modbus.ask(unit, READ_HOLDING, CONTROL_MODE + _coil(channel), 1)


def ask_unit(unit: int) -> Frame:
    return modbus.ask(unit, READ_HOLDING, UNIT, 1)


def ask_version(unit: int) -> Frame:
    return modbus.ask(unit, READ_HOLDING, VERSION, 1)


def read_version(frame: Frame) -> str:
    """Of the answer to `ask_version`."""
    words = modbus.registers_of(frame)
    if frame.function != READ_HOLDING or len(words) != 1 or not 0 < words[0] < VERSION_MAX:
        raise BadFrame("range", f"{words} is no version")
    return f"{words[0] / 100:.2f}"


def decode(topic: str | None, direction: str, payload: bytes) -> dict[str, object]:
    reply = direction == "up"
    frame = read_reply(payload) if reply else read_request(payload)
    means = modbus.means(frame, reply)
    return means | operation(frame) if frame.function == WRITE_COIL else means
