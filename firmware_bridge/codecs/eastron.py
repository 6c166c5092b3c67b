"""Eastron SDM120 and SDM230: meters on Modbus RTU whose quantities are floats, two registers each, high word first."""

import math
import struct
from collections.abc import Sequence

from controller.core.errors import BadFrame
from firmware_bridge.codecs import modbus
from firmware_bridge.codecs.modbus import FAILED, READ_HOLDING, READ_REGISTERS, WRITE_REGISTERS, Frame, Layout

UNIT_MAX = 247
VOLTAGE, CURRENT, POWER, FREQUENCY, ENERGY_TOTAL = 0x0000, 0x0006, 0x000C, 0x0046, 0x0156
# Input registers, each the first of two.
QUANTITIES = {
    VOLTAGE: "voltage_v",
    CURRENT: "current_a",
    POWER: "power_w",
    0x0012: "apparent_va",
    0x0018: "reactive_var",
    0x001E: "power_factor",
    0x0024: "phase_angle_deg",
    FREQUENCY: "frequency_hz",
    0x0048: "energy_import_kwh",
    0x004A: "energy_export_kwh",
    0x004C: "reactive_import_kvarh",
    0x004E: "reactive_export_kvarh",
    ENERGY_TOTAL: "energy_total_kwh",
    0x0158: "reactive_total_kvarh",
}
PULSE_WIDTH, PARITY, UNIT, BAUD = 0x000C, 0x0012, 0x0014, 0x001C  # holding registers, floats too
BAUD_CODES = {0: 2400, 1: 4800, 2: 9600, 5: 1200}

_FUNCTIONS = (READ_HOLDING, READ_REGISTERS, WRITE_REGISTERS)
REQUESTS: Layout = {function: modbus.REQUESTS[function] for function in _FUNCTIONS}
REPLIES: Layout = {
    function: modbus.REPLIES[function] for function in (*_FUNCTIONS, *(FAILED | function for function in _FUNCTIONS))
}


def read_request(payload: bytes) -> Frame:
    """Every quantity has two registers: half of one is no question. A setting may have one."""
    frame = _own(modbus.read(payload, REQUESTS))
    if frame.function == READ_REGISTERS and (frame.address % 2 or frame.value % 2):
        raise BadFrame("range", f"{frame.value} registers from {frame.address}: both must be even")
    return frame


def read_reply(payload: bytes) -> Frame:
    return _own(modbus.read(payload, REPLIES))


def _own(frame: Frame) -> Frame:
    if frame.unit > UNIT_MAX:
        raise BadFrame("range", f"no meter has the address {frame.unit}")
    return frame


def read_floats(frame: Frame) -> tuple[float, ...]:
    """Of an answer to a read, or of a request that writes."""
    words = modbus.registers_of(frame)
    if len(words) % 2:
        raise BadFrame("length", f"{len(words)} registers hold no whole floats")
    values = struct.unpack(f">{len(words) // 2}f", struct.pack(f">{len(words)}H", *words))
    if not all(map(math.isfinite, values)):
        raise BadFrame("range", f"{values} is no quantity")
    return tuple(map(meant, values))


def meant(value: float) -> float:
    """To seven digits, all that 32 bits hold: a meter that shows 230.2 sends 230.20001 as well."""
    return float(f"{value:.7g}")


def _words(values: Sequence[float]) -> tuple[int, ...]:
    return struct.unpack(f">{2 * len(values)}H", struct.pack(f">{len(values)}f", *values))


def ask(unit: int, address: int, quantities: int = 1) -> Frame:
    return modbus.ask(unit, READ_REGISTERS, address, 2 * quantities)


def answer(unit: int, values: Sequence[float], function: int = READ_REGISTERS) -> Frame:
    return modbus.answer_registers(unit, function, _words(values))


def write(unit: int, address: int, value: float) -> Frame:
    return modbus.write_registers(unit, address, _words([value]))


def decode(topic: str | None, direction: str, payload: bytes) -> dict[str, object]:
    if direction == "down":
        request = read_request(payload)
        means = modbus.means(request)
        return means | _floats(request) if request.function == WRITE_REGISTERS else means
    reply = read_reply(payload)
    if reply.function not in (READ_HOLDING, READ_REGISTERS):
        return modbus.means(reply, reply=True)
    floats = _floats(reply)
    return floats if "float" in floats else modbus.means(reply, reply=True) | floats


def _floats(frame: Frame) -> dict[str, object]:
    """None where the registers hold something else, as a serial number."""
    try:
        floats = read_floats(frame)
    except BadFrame:
        return {}
    return {"float": floats[0]} if len(floats) == 1 else {"floats": list(floats)}
