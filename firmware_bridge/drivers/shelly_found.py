"""How a Shelly Gen2 or newer is found: by any sign of life, by asking who it is, by the switches it says it has."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw

from controller.core.events import PileFound, Stamp
from firmware_bridge.codecs import shelly as codec
from firmware_bridge.codecs import shelly_names as names
from firmware_bridge.wire import Message

NAME = "shelly"
# A prefix has one level, or two. The first say that somebody is there, the others who it is.
DISCOVERY: tuple[str, ...] = (
    *("+/online", "+/+/online", "+/announce"),
    *("+/events/rpc", "+/+/events/rpc", "anchong/+/rpc", "anchong/+/+/rpc"),
)
OUTLETS_MAX = 16  # in one box; ids of add-ons count from 100 and are no outlets
WHO = "who"
HAS = "has "  # and the firmware: the answer to the first question travels in the id of the second, which comes back


def introduce(message: Message) -> Sequence[Message]:
    """Whoever shows signs of life is asked for its name, and then for its switches."""
    prefix = _alive(message)
    if prefix is not None:
        return [_question(prefix, WHO, "Shelly.GetDeviceInfo")]
    prefix = names.answered_prefix(message.address)
    if prefix is None or message.retained:
        return ()
    frame = codec.read_frame(message.payload)
    if frame.id != WHO or not isinstance(frame.result, Raw):
        return ()
    return [_question(prefix, f"{HAS}{codec.announced_of(frame.result).ver or ''}", "Shelly.GetStatus")]


def _alive(message: Message) -> str | None:
    """The prefix of a device that is connected. `online` may be retained: the device of an old one stays silent."""
    prefix = names.prefix_of(message.address, names.ONLINE)
    if prefix is not None:
        return prefix if message.payload == b"true" else None
    if message.address.endswith(f"/{names.ANNOUNCE}"):
        return _announced(message)
    return None if message.retained else names.prefix_of(message.address, names.EVENTS)


def _announced(message: Message) -> str | None:
    """The first generation announces itself too, on the same topic, and is not for us."""
    who = codec.read_announced(message.payload)
    if who.gen is None or who.gen < 2:
        return None
    prefix = names.prefix_of(message.address, names.ANNOUNCE)
    return who.id if prefix == "shellies" else prefix


def _question(prefix: str, id_: str, method: str) -> Message:
    address = names.addressed(prefix)
    return Message(address.rpc, codec.request(id_, address.source, method))


def discover(message: Message, now: Stamp) -> Sequence[PileFound]:
    """A whole status with a switch in it. Its sender's id is model and MAC, whatever its prefix."""
    prefix = names.prefix_of(message.address, names.EVENTS) or names.answered_prefix(message.address)
    if prefix is None or message.retained:
        return ()
    frame = codec.read_frame(message.payload)
    status, firmware = _whole_status(frame)
    if status is None or not isinstance(frame.src, str):
        return ()
    switches = sorted(number for number in codec.components_of(status).switches if number < OUTLETS_MAX)
    if not switches:
        return ()
    model, mac = names.model_and_mac(frame.src)
    return [
        PileFound(
            at=now.at,
            steady_s=now.steady_s,
            family=NAME,
            address=mac,
            model=model,
            firmware=firmware,
            channels=switches[-1] + 1,
            params=msgspec.to_builtins(names.addressed(prefix, switches)),
        )
    ]


def _whole_status(frame: codec.Frame) -> tuple[Raw | None, str]:
    """Sent by itself at each connection, or the answer to our second question; and the firmware, if known."""
    if frame.method == "NotifyFullStatus" and isinstance(frame.params, Raw):
        return frame.params, ""
    ours = frame.method is UNSET and isinstance(frame.id, str) and frame.id.startswith(HAS)
    if ours and isinstance(frame.result, Raw):
        return frame.result, str(frame.id).removeprefix(HAS)[:64]
    return None, ""
