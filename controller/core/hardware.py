"""What a pile is made of: one device, or a relay board with the meters of its channels. Pure.

`params` are what the pile's driver is opened with. A board that does not measure by itself is found with an empty
place for each channel's meter: `{"meters": [None, …]}`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace


class Hardware(msgspec.Struct, frozen=True):
    family: str
    address: str
    model: str
    firmware: str
    params: dict[str, Any]


def hardware_of(row: Mapping[str, Any]) -> Hardware:
    """Of a row of `pile` or `found`."""
    return Hardware(row["family"], row["address"], row["model"], row["firmware"], dict(row["params"]))


def remembered(hardware: Hardware) -> Hardware:
    """What decisions need of it: of ten thousand plugs nobody asks for their topics here."""
    return hardware if "meters" in hardware.params else replace(hardware, params={})


def bus_of(address: str) -> str:
    """Of a unit on a line (`<bus>/<protocol>:<unit>`); "" for whoever has a link of its own."""
    bus, line, unit = address.partition("/")
    return bus if line and unit.startswith(("modbus:", "dlt645:")) else ""


def device_key(family: str, address: str) -> str:
    """Who this is. At one address of a bus stands one unit, whatever it may look like; elsewhere families name theirs
    by themselves."""
    return address if bus_of(address) else f"{family}:{address}"


def meters_of(params: Mapping[str, Any]) -> list[dict[str, str] | None]:
    """By channel; empty where the device measures by itself."""
    return list(params.get("meters") or ())


def keys_of(hardware: Hardware) -> list[str]:
    """Of every device it is made of."""
    meters = [meter for meter in meters_of(hardware.params) if meter is not None]
    own = device_key(hardware.family, hardware.address)
    return [own, *(device_key(meter["family"], meter["address"]) for meter in meters)]


def placed(outlets: Iterable[tuple[int, str]], params: Mapping[str, Any]) -> tuple[str, ...]:
    """Ids by channel, "" where a channel is not ours: as many as the device has, if it is known to have more."""
    ours = dict(outlets)
    channels = max(max(ours, default=-1) + 1, len(meters_of(params)), int(params.get("channels") or 0))
    return tuple(ours.get(channel, "") for channel in range(channels))
