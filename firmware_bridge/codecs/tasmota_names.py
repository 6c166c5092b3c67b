"""Who a Tasmota device says it is, and how its topics are made; what travels on them is in `tasmota`."""

import re
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, field

from controller.core.errors import BadFrame
from firmware_bridge.codecs.strict import parsed

PREFIXES = ("cmnd", "stat", "tele")
FULL_TOPIC = "%prefix%/%topic%/"
WORDS = ("OFF", "ON", "TOGGLE", "HOLD")
ONLINE, OFFLINE = "Online", "Offline"
RELAY = 1  # in `rl`: 0 is nothing, 2 a light, 3 a shutter


def join(full_topic: str, prefix: str, topic: str, rest: str = "", device_id: str = "", host: str = "") -> str:
    """The topic of one command or report: `rest` is its last level, empty gives the common beginning."""
    filled = full_topic.replace("%prefix%", prefix).replace("%topic%", topic)
    filled = filled.replace("%id%", device_id).replace("%hostname%", host)
    return re.sub("/+", "/", f"{filled}/{rest}")


def split(address: str, full_topic: str = FULL_TOPIC, prefixes: Sequence[str] = PREFIXES) -> tuple[str, str, str]:
    """(prefix, topic, rest) of an address, whatever the order of its template; a topic may hold slashes."""
    holes = {"%prefix%": f"(?P<prefix>{'|'.join(map(re.escape, prefixes))})", "%topic%": "(?P<topic>.+?)"}
    parts = re.split(r"(%\w+%)", full_topic.strip("/"))
    pattern = "".join(holes.get(part, "[^/]+" if part.startswith("%") else re.escape(part)) for part in parts)
    match = re.fullmatch(f"{pattern}/(?P<rest>[^/]+)", address)
    if match is None:
        raise BadFrame("unknown", f"{address} is not of {full_topic}")
    named = match.groupdict("")
    return named.get("prefix", ""), named.get("topic", ""), named["rest"]


_Part = Annotated[str, Meta(max_length=128)]  # twice what the firmware has room for
_Word = Annotated[str, Meta(max_length=64)]


class Config(msgspec.Struct, frozen=True):
    """The discovery message, as far as it names the device, its topics and its words."""

    mac: str
    topic: _Part = field(name="t")
    full_topic: _Part = field(name="ft")
    prefixes: tuple[_Word, _Word, _Word] = field(name="tp")
    relays: Annotated[list[Annotated[int, Meta(ge=0, le=9)]], Meta(max_length=32)] = field(name="rl", default=[])
    model: _Part = field(name="md", default="")
    firmware: _Part = field(name="sw", default="")
    words: Annotated[tuple[_Word, ...], Meta(max_length=8)] = field(name="state", default=WORDS)
    online: _Word = field(name="onln", default=ONLINE)
    offline: _Word = field(name="ofln", default=OFFLINE)
    host: _Part = field(name="hn", default="")


_CONFIG = msgspec.json.Decoder(Config)


def read_config(payload: bytes | Raw) -> Config:
    config = parsed(_CONFIG, payload)
    if not re.fullmatch("[0-9A-Fa-f]{12}", config.mac):
        raise BadFrame("malformed", "mac is not twelve hexadecimal digits")
    parts = (config.topic, config.full_topic, *config.prefixes)
    # a wildcard here would make us hear every other device as this one
    if any(not part or re.search(r"[+#\x00]", part) for part in parts) or len(set(config.prefixes)) != 3:
        raise BadFrame("malformed", "topic parts are empty, doubled or wildcards")
    if config.online == config.offline or len(config.words) < 2 or config.words[0] == config.words[1]:
        raise BadFrame("malformed", "words for yes and no are the same")
    return config


class Address(msgspec.Struct, frozen=True):
    """How to speak to one device, and its own words: what is kept of its Config."""

    topic: str
    full_topic: str = FULL_TOPIC
    prefixes: tuple[str, str, str] = PREFIXES
    relays: list[int] = []
    words: tuple[str, ...] = WORDS
    online: str = ONLINE
    offline: str = OFFLINE
    host: str = ""
    mac: str = ""

    def switches(self, channel: int) -> bool:
        """A relay stands at this place, as far as the device has told."""
        return not self.relays or self.relays[channel : channel + 1] == [RELAY]

    def command(self, leaf: str) -> str:
        template = self.full_topic
        if "%prefix%" not in template:
            template += "/%prefix%"  # as the firmware does, or it would hear its own reports as commands
        return join(template, self.prefixes[0], self.topic, leaf, self.mac, self.host)

    def answer(self, leaf: str) -> str:
        return join(self.full_topic, self.prefixes[1], self.topic, leaf, self.mac, self.host)

    def report(self, leaf: str) -> str:
        return join(self.full_topic, self.prefixes[2], self.topic, leaf, self.mac, self.host)


def address_of(config: Config) -> Address:
    return msgspec.convert(config, Address, from_attributes=True)
