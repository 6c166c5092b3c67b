"""LC relay boards with a meter a channel: their flash is the lease, as that of any board with a timer."""

from collections.abc import Sequence

from controller.core.events import PileFound, Stamp
from firmware_bridge.codecs import modbus
from firmware_bridge.codecs import relay_lc as codec
from firmware_bridge.drivers import bus_found
from firmware_bridge.drivers.board_params import checked
from firmware_bridge.drivers.composite import Composite, Relays
from firmware_bridge.drivers.units import modbus_unit
from firmware_bridge.wire import Capabilities, LeaseClass, Message, Pile

NAME = "lc-relay"
DISCOVERY: tuple[str, ...] = ()
UNITS: Sequence[str] = [f"modbus:{unit}" for unit in (*codec.UNITS, *range(2, 254))]
CAPABILITIES = Capabilities(lease_class=LeaseClass.RENEWED, lease_s_max=900, meters=True, asked_every_s=5.0)
RELAYS = Relays(on=codec.flash_on)


def probes(address: str) -> Sequence[Message]:
    unit = modbus_unit(address)
    return [Message(address, modbus.encode(ask)) for ask in (codec.ask_baud(unit), bus_found.ask_coils(unit))]


def discover(message: Message, now: Stamp) -> Sequence[PileFound]:
    return bus_found.discover(NAME, message, now)


def introduce(message: Message) -> Sequence[Message]:
    return ()  # a unit of a bus shows itself by what it answers


def retained_commands(pile: Pile) -> Sequence[str]:
    return ()


def open(pile: Pile) -> Composite:  # noqa: A001 the word of the Family protocol
    return Composite(pile, RELAYS, checked(pile))
