"""DL/T 645-2007 meters on their own: measured, and never switched; their relays are made for few operations."""

from collections.abc import Sequence

from controller.core.errors import BadFrame
from controller.core.events import PileFound, Stamp
from firmware_bridge.codecs import dlt645 as codec
from firmware_bridge.drivers.bus_meters import dlt645_questions
from firmware_bridge.drivers.metering import Metering
from firmware_bridge.wire import Capabilities, LeaseClass, Message, Pile

NAME = "dlt645"
DISCOVERY: tuple[str, ...] = ()
UNITS: Sequence[str] = [f"dlt645:{codec.ANY.upper()}"]  # one that is alone on its line tells who it is
CAPABILITIES = Capabilities(lease_class=LeaseClass.METERING_ONLY, lease_s_max=900, meters=True, asked_every_s=15.0)


def probes(address: str) -> Sequence[Message]:
    """By its number, if that is known, it is asked for what it has counted."""
    unit = address.rpartition(":")[2].lower()
    ask = codec.ask_address() if unit == codec.ANY else codec.ask(unit, ENERGY)
    return [Message(address, codec.encode(ask))]


ENERGY = "00010000"


def discover(message: Message, now: Stamp) -> Sequence[PileFound]:
    try:
        asked, reply = codec.read_request(message.asked), codec.read_reply(message.payload)
    except BadFrame:
        return ()
    number = reply.data[::-1].hex() if asked.function == codec.READ_ADDRESS else reply.address
    if reply.function != asked.function or reply.failed or len(number) != 12 or not number.isdecimal():
        return ()
    bus = message.address.rpartition("/")[0]
    return [
        PileFound(
            at=now.at,
            steady_s=now.steady_s,
            family=NAME,
            address=f"{bus}/dlt645:{number}",
            model="DL/T 645-2007",
            firmware="",
            channels=1,
            params={},
        )
    ]


def introduce(message: Message) -> Sequence[Message]:
    return ()  # a unit of a bus shows itself by what it answers


def retained_commands(pile: Pile) -> Sequence[str]:
    return ()


def open(pile: Pile) -> Metering:  # noqa: A001 the word of the Family protocol
    return Metering(pile, dlt645_questions)
