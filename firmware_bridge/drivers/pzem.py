"""PZEM-004T v3 and PZEM-016 on their own: measured, and never switched."""

from collections.abc import Sequence

from controller.core.events import PileFound, Stamp
from firmware_bridge.drivers import bus_found
from firmware_bridge.drivers.bus_meters import pzem_questions
from firmware_bridge.drivers.metering import Metering
from firmware_bridge.wire import Capabilities, LeaseClass, Message, Pile

NAME = "pzem-004t"
DISCOVERY: tuple[str, ...] = ()
UNITS: Sequence[str] = [f"modbus:{unit}" for unit in range(1, 248)]
CAPABILITIES = Capabilities(lease_class=LeaseClass.METERING_ONLY, lease_s_max=900, meters=True, asked_every_s=5.0)


def probes(address: str) -> Sequence[Message]:
    return [Message(address, question.payload) for question in pzem_questions(address)]


def discover(message: Message, now: Stamp) -> Sequence[PileFound]:
    return bus_found.discover(NAME, message, now)


def introduce(message: Message) -> Sequence[Message]:
    return ()  # a unit of a bus shows itself by what it answers


def retained_commands(pile: Pile) -> Sequence[str]:
    return ()


def open(pile: Pile) -> Metering:  # noqa: A001 the word of the Family protocol
    return Metering(pile, pzem_questions)
