"""Waveshare relay boards with a meter a channel: flash-on is the lease, inside the board, and sent again it renews."""

from collections.abc import Sequence

from controller.core.events import PileFound, Stamp
from firmware_bridge.codecs import modbus
from firmware_bridge.codecs import relay_waveshare as codec
from firmware_bridge.drivers import bus_found
from firmware_bridge.drivers.board_params import checked
from firmware_bridge.drivers.composite import Composite, Relays
from firmware_bridge.drivers.units import modbus_unit
from firmware_bridge.wire import Capabilities, LeaseClass, Message, Pile

NAME = "waveshare-relay"
DISCOVERY: tuple[str, ...] = ()
UNITS: Sequence[str] = [f"modbus:{unit}" for unit in range(1, 256)]
CAPABILITIES = Capabilities(lease_class=LeaseClass.RENEWED, lease_s_max=900, meters=True, asked_every_s=5.0)


def _detach(unit: int, channel: int) -> tuple[modbus.Frame, modbus.Frame]:
    return codec.detach(unit, channel), codec.ask_control_mode(unit, channel)


RELAYS = Relays(codec.flash_on, detach=_detach, ask_version=codec.ask_version, read_version=codec.read_version)


def probes(address: str) -> Sequence[Message]:
    unit = modbus_unit(address)
    return [Message(address, modbus.encode(ask)) for ask in (codec.ask_unit(unit), codec.ask_version(unit))]


def discover(message: Message, now: Stamp) -> Sequence[PileFound]:
    return bus_found.discover(NAME, message, now)


def introduce(message: Message) -> Sequence[Message]:
    return ()  # a unit of a bus shows itself by what it answers


def retained_commands(pile: Pile) -> Sequence[str]:
    return ()


def open(pile: Pile) -> Composite:  # noqa: A001 the word of the Family protocol
    return Composite(pile, RELAYS, checked(pile))
