"""Eastron SDM120 and SDM230 on their own: measured, and never switched."""

from collections.abc import Sequence

from controller.core.events import PileFound, Stamp
from firmware_bridge.codecs import eastron as codec
from firmware_bridge.codecs import modbus
from firmware_bridge.drivers import bus_found
from firmware_bridge.drivers.bus_meters import eastron_questions
from firmware_bridge.drivers.metering import Metering
from firmware_bridge.drivers.units import modbus_unit
from firmware_bridge.wire import Capabilities, LeaseClass, Message, Pile

NAME = "eastron-sdm"
DISCOVERY: tuple[str, ...] = ()
UNITS: Sequence[str] = [f"modbus:{unit}" for unit in range(1, codec.UNIT_MAX + 1)]
CAPABILITIES = Capabilities(lease_class=LeaseClass.METERING_ONLY, lease_s_max=900, meters=True, asked_every_s=5.0)


def probes(address: str) -> Sequence[Message]:
    unit = modbus_unit(address)
    return [Message(address, modbus.encode(codec.ask(unit, at))) for at in (codec.VOLTAGE, codec.FREQUENCY)]


def discover(message: Message, now: Stamp) -> Sequence[PileFound]:
    return bus_found.discover(NAME, message, now)


def introduce(message: Message) -> Sequence[Message]:
    return ()  # a unit of a bus shows itself by what it answers


def retained_commands(pile: Pile) -> Sequence[str]:
    return ()


def open(pile: Pile) -> Metering:  # noqa: A001 the word of the Family protocol
    return Metering(pile, eastron_questions)
