"""Where a Shelly Gen2 or newer speaks and listens; what travels on these topics is in `shelly`."""

import re
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from controller.core.errors import BadFrame

PREFIX_MAX = 300  # the firmware's own limit
OURS: Final = "anchong"  # answers come to <source>/rpc; a source below this, ending in the prefix, names the device
EVENTS, ONLINE, RPC, ANNOUNCE = "events/rpc", "online", "rpc", "announce"
_ID = re.compile(r"(?P<model>[a-z0-9]{1,40})-(?P<mac>[0-9a-f]{12})")
_STATUS = re.compile(r"(?P<prefix>.+)/status/(?P<component>[a-z0-9_]{1,40})(?::(?P<number>\d{1,3}))?")


class Address(msgspec.Struct, frozen=True):
    """How to speak to one device, and which of its switches there are."""

    prefix: Annotated[str, Meta(min_length=1, max_length=PREFIX_MAX, pattern=r"^[^$+#%?\x00][^+#%?\x00]*$")]
    switches: list[int] = []
    mac: str = ""

    @property
    def rpc(self) -> str:
        return f"{self.prefix}/{RPC}"

    @property
    def source(self) -> str:
        """What we call ourselves in a request; the answer comes to <source>/rpc."""
        return f"{OURS}/{self.prefix}"

    @property
    def replies(self) -> str:
        return f"{self.source}/{RPC}"

    @property
    def events(self) -> str:
        return f"{self.prefix}/{EVENTS}"

    @property
    def online(self) -> str:
        return f"{self.prefix}/{ONLINE}"

    def status(self, number: int) -> str:
        return f"{self.prefix}/status/switch:{number}"

    def command(self, number: int) -> str:
        return f"{self.prefix}/command/switch:{number}"


def addressed(prefix: str, switches: Sequence[int] = (), mac: str = "") -> Address:
    """BadFrame where a prefix would make us hear other devices as this one."""
    try:
        return msgspec.convert({"prefix": prefix, "switches": list(switches), "mac": mac}, Address)
    except msgspec.ValidationError as error:
        raise BadFrame("malformed", str(error)) from error


def prefix_of(topic: str, leaf: str) -> str | None:
    """What stands before this leaf; None if the topic ends otherwise."""
    return topic.removesuffix(f"/{leaf}") if topic.endswith(f"/{leaf}") else None


def answered_prefix(topic: str) -> str | None:
    """Whose answer travels on a topic of ours."""
    inner = prefix_of(topic, RPC)
    return inner.removeprefix(f"{OURS}/") if inner is not None and inner.startswith(f"{OURS}/") else None


def status_of(topic: str) -> tuple[str, int | None] | None:
    """Component and number of a status topic; the number stands in the key even where the payload has none."""
    match = _STATUS.fullmatch(topic)
    return None if match is None else (match["component"], int(match["number"]) if match["number"] else None)


def model_and_mac(device: str) -> tuple[str, str]:
    """A device's id is its model and its MAC, whatever its prefix is."""
    match = _ID.fullmatch(device.lower())
    if match is None:
        raise BadFrame("malformed", f"{device[:60]!r} is no device id")
    return match["model"], match["mac"].upper()


def mac_of(device: str) -> str | None:
    match = _ID.fullmatch(device.lower())
    return None if match is None else match["mac"].upper()
