"""How plugs behind a Zigbee2MQTT are found: the bridge keeps a list of all its devices on the broker."""

from collections.abc import Sequence

import msgspec

from controller.core.events import PileFound, Stamp
from firmware_bridge.codecs import zigbee2mqtt_names as names
from firmware_bridge.wire import LeaseClass, Message

NAME = "zigbee2mqtt"
DISCOVERY: tuple[str, ...] = (f"+/{names.DEVICES}", f"+/+/{names.DEVICES}")  # its base topic has one level, or two


def discover(message: Message, now: Stamp) -> Sequence[PileFound]:
    base, _, leaf = message.address.rpartition(f"/{names.DEVICES}")
    if leaf or not base or not message.payload:
        return ()
    listed = ((device, names.address_of(base, device)) for device in names.read_devices(message.payload))
    return [_found(device, address, now) for device, address in listed if address is not None]


def _found(device: names.Device, address: names.Address, now: Stamp) -> PileFound:
    definition = device.definition or names.Definition()
    return PileFound(
        at=now.at,
        steady_s=now.steady_s,
        family=NAME,
        address=device.ieee_address,
        model=f"{definition.vendor} {definition.model}".strip()[:64],
        firmware=device.firmware,
        channels=len(address.sockets),
        params=msgspec.to_builtins(address),
        lease_class=str(LeaseClass.RENEWED if address.timer else LeaseClass.METERING_ONLY),
    )


def introduce(message: Message) -> Sequence[Message]:
    """Its list says all."""
    return ()
