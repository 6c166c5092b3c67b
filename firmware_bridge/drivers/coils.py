"""Relay boards that know coils and nothing else: no timer, so by themselves they are only measured.

With an external timer relay before the whole board, which each ON pulses, they serve once that has been seen to cut.
"""

from collections.abc import Sequence

from controller.core.events import PileFound, Stamp
from firmware_bridge.codecs import modbus
from firmware_bridge.codecs.modbus import ON, WRITE_COIL
from firmware_bridge.drivers import bus_found, lc, waveshare
from firmware_bridge.drivers.board_params import checked
from firmware_bridge.drivers.composite import Composite, Relays
from firmware_bridge.wire import Capabilities, LeaseClass, Message, Pile

NAME = "coil-relay"
DISCOVERY: tuple[str, ...] = ()
UNITS: Sequence[str] = [f"modbus:{unit}" for unit in range(1, 256)]
CAPABILITIES = Capabilities(lease_class=LeaseClass.METERING_ONLY, lease_s_max=900, meters=True, asked_every_s=5.0)


def _on(unit: int, channel: int, lease_s: float) -> modbus.Frame:
    return modbus.write_one(unit, WRITE_COIL, channel, ON)


RELAYS = Relays(on=_on, leased=False)


def probes(address: str) -> Sequence[Message]:
    """What boards with a timer would answer comes first: only who does not is taken for one without."""
    return [*waveshare.probes(address), *lc.probes(address)]


def discover(message: Message, now: Stamp) -> Sequence[PileFound]:
    return bus_found.discover(NAME, message, now)


def introduce(message: Message) -> Sequence[Message]:
    return ()  # a unit of a bus shows itself by what it answers


def retained_commands(pile: Pile) -> Sequence[str]:
    return ()


def open(pile: Pile) -> Composite:  # noqa: A001 the word of the Family protocol
    return Composite(pile, RELAYS, checked(pile))
