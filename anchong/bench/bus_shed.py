"""Sixteen outlets on one line for the bench: two boards of eight relays, a meter each, and what to say to them."""

from collections.abc import Sequence

from firmware_bridge import budget
from firmware_bridge.codecs import modbus, pzem, relay_waveshare
from firmware_bridge.wire import Message
from simulators.twins.contact import Nothing
from simulators.twins.line import Line
from simulators.twins.meter_units import pzem_unit
from simulators.twins.relay_boards import waveshare

BOARDS, RELAYS, FIRST_METER = (1, 2), 8, 11
OUTLETS = [(unit, channel) for unit in BOARDS for channel in range(RELAYS)]
BUDGETED = [budget.Board("waveshare-relay", ("pzem-004t",) * RELAYS)] * len(BOARDS)
TENTHS = relay_waveshare.FLASH_MAX  # so many leases can be told apart


def line_of(now_s: float, answers_after_s: float = budget.BEGINS_S) -> Line:
    line = Line([waveshare(unit, [Nothing()] * RELAYS) for unit in BOARDS], now_s)
    for number, (unit, channel) in enumerate(OUTLETS):
        line.add(pzem_unit(FIRST_METER + number, line.circuit(f"modbus:{unit}", channel)))
    for each in line.units:
        each.answers_after_s = answers_after_s
    return line


def questions() -> Sequence[Message]:
    """A whole round."""
    coils = [_message(modbus.ask(unit, modbus.READ_COILS, 0, RELAYS)) for unit in BOARDS]
    return [*coils, *(_message(pzem.ask_values(FIRST_METER + number)) for number in range(len(OUTLETS)))]


def off(unit: int, channel: int) -> Message:
    return _message(relay_waveshare.switch_off(unit, channel), f"relay:{channel}")


def on(unit: int, channel: int, tenths: int) -> Message:
    """Of a lease in tenths of a second, by which it is known again."""
    return _message(relay_waveshare.flash_on(unit, channel, tenths / 10), f"relay:{channel}")


def _message(frame: modbus.Frame, slot: str = "") -> Message:
    return Message(f"bench/modbus:{frame.unit}", modbus.encode(frame), slot=slot)
