"""PZEM-004T v3 and PZEM-016: meters of one phase on Modbus RTU, with functions of their own and no relay."""

import msgspec

from controller.core.errors import BadFrame
from firmware_bridge.codecs import modbus
from firmware_bridge.codecs.modbus import FAILED, READ_HOLDING, READ_REGISTERS, WRITE_REGISTER, Frame, Layout

ANY_UNIT = 0xF8  # whoever is alone on the bus answers to it
RESET_ENERGY, CALIBRATE = 0x42, 0x41
ALARM_W, UNIT = 1, 2  # holding registers
VALUES = 10  # input registers from 0
_PASSWORD = b"\x37\x21"  # of a calibration, from the manual

_OWN: dict[int, tuple[int, int | None]] = {RESET_ENERGY: (4, None), CALIBRATE: (6, None)}
_USUAL = (READ_HOLDING, READ_REGISTERS, WRITE_REGISTER)
REQUESTS: Layout = {function: modbus.REQUESTS[function] for function in _USUAL} | _OWN
REPLIES: Layout = (
    {function: modbus.REPLIES[function] for function in _USUAL}
    | _OWN
    | {FAILED | function: (5, None) for function in (*_USUAL, *_OWN)}
)


class Values(msgspec.Struct, frozen=True):
    voltage_v: float
    current_a: float
    power_w: float
    energy_wh: int
    frequency_hz: float
    power_factor: float
    alarm: bool


# What no such meter can truly measure, as it lives on the mains it measures: another device that answers like one.
_LIMITS = {
    "voltage_v": (60, 300),
    "current_a": (0, 120),
    "power_w": (0, 30_000),
    "energy_wh": (0, 9_999_999),
    "frequency_hz": (40, 70),
    "power_factor": (0, 1),
}
_ALARM = {0xFFFF: True, 0x0000: False}


def read_request(payload: bytes) -> Frame:
    return _own(modbus.read(payload, REQUESTS))


def read_reply(payload: bytes) -> Frame:
    return _own(modbus.read(payload, REPLIES))


def _own(frame: Frame) -> Frame:
    if frame.unit > ANY_UNIT:
        raise BadFrame("range", f"no meter has the address {frame.unit:02X}")
    if frame.function == CALIBRATE and frame.data != _PASSWORD:
        raise BadFrame("malformed", "a calibration without its password")
    return frame


def read_values(frame: Frame) -> Values:
    """Of the answer to `ask_values`."""
    words = modbus.registers_of(frame)
    if frame.function != READ_REGISTERS or len(words) != VALUES:
        raise BadFrame("length", f"{len(words)} registers where {VALUES} were asked for")
    if words[9] not in _ALARM:
        raise BadFrame("malformed", f"alarm {words[9]:04X}")
    values = Values(
        voltage_v=words[0] / 10,
        current_a=(words[1] | words[2] << 16) / 1000,
        power_w=(words[3] | words[4] << 16) / 10,
        energy_wh=words[5] | words[6] << 16,
        frequency_hz=words[7] / 10,
        power_factor=words[8] / 100,
        alarm=_ALARM[words[9]],
    )
    _check(values)
    return values


def _check(values: Values) -> None:
    for name, (least, most) in _LIMITS.items():
        if not least <= getattr(values, name) <= most:
            raise BadFrame("range", f"{name} {getattr(values, name)}: no such meter shows that")


def ask_values(unit: int) -> Frame:
    return modbus.ask(unit, READ_REGISTERS, 0, VALUES)


def reset_energy(unit: int) -> Frame:
    """The request, and the answer too."""
    return Frame(unit, RESET_ENERGY, b"")


def answer_values(unit: int, values: Values) -> Frame:
    current, power = round(values.current_a * 1000), round(values.power_w * 10)
    words = [round(values.voltage_v * 10)]
    for wide in (current, power, values.energy_wh):
        words += [wide & 0xFFFF, wide >> 16]
    words += [round(values.frequency_hz * 10), round(values.power_factor * 100), 0xFFFF if values.alarm else 0]
    return modbus.answer_registers(unit, READ_REGISTERS, words)


def decode(topic: str | None, direction: str, payload: bytes) -> dict[str, object]:
    reply = direction == "up"
    frame = read_reply(payload) if reply else read_request(payload)
    if frame.function in (RESET_ENERGY, CALIBRATE):
        return {"operation": "reset_energy" if frame.function == RESET_ENERGY else "calibrate"}
    if reply and frame.function == READ_REGISTERS and len(modbus.registers_of(frame)) == VALUES:
        means: dict[str, object] = msgspec.to_builtins(read_values(frame))
        return means
    return modbus.means(frame, reply)
