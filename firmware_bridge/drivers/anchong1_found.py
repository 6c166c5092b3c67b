"""How a device that speaks anchong/1 is found: by its hello, under the name that its broker knows it by."""

from collections.abc import Sequence

import msgspec

from controller.core.errors import BadFrame
from controller.core.events import PileFound, Stamp
from firmware_bridge.codecs import anchong1 as codec
from firmware_bridge.wire import Message

NAME = "anchong"
DISCOVERY: tuple[str, ...] = (codec.up("+", codec.HELLO),)


class Params(msgspec.Struct):
    """What its hello has said of its bounds."""

    lease_max_s: float = codec.LEASE_S_MAX
    power_max_w: float | None = None


def discover(message: Message, now: Stamp) -> Sequence[PileFound]:
    """Whoever says hello, by the name its broker knows it by; an empty payload is a goodbye."""
    if not message.payload or not message.address.startswith(f"{codec.ROOT}/"):
        return ()
    device = codec.device_of(message.address)
    if message.address != codec.up(device, codec.HELLO):
        return ()
    hello = codec.read_up(codec.HELLO, message.payload)
    check_name(hello.device, device)
    return [
        PileFound(
            at=now.at,
            steady_s=now.steady_s,
            family=NAME,
            address=device,
            model=hello.model,
            firmware=hello.firmware,
            channels=hello.outlets,
            params={"lease_max_s": hello.lease_max_s, "power_max_w": hello.power_max_w},
            lease_s_max=int(hello.lease_max_s),
        )
    ]


def check_name(said: str, device: str) -> None:
    if said and said != device:
        raise BadFrame("unknown", f"{said!r} speaks on the topics of {device}")
