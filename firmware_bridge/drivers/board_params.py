"""What a relay board's driver must know besides its address: a meter for each channel, and what cuts the board."""

import msgspec

from firmware_bridge.drivers.bus_meters import METERS
from firmware_bridge.wire import Pile


class MeterAt(msgspec.Struct, frozen=True):
    family: str
    address: str


class Watchdog(msgspec.Struct, frozen=True):
    """A timer relay before the whole board: it cuts unless the relay of `channel` is pulsed within `s`."""

    s: float
    channel: int


class Params(msgspec.Struct, frozen=True):
    """`meters` has one entry a channel; null where the channel is not ours."""

    meters: tuple[MeterAt | None, ...] = ()
    watchdog: Watchdog | None = None


def checked(pile: Pile) -> Params:
    """ValueError in one line if these are no params of such a pile."""
    params = msgspec.convert(pile.params, Params)
    meters = [meter for meter in params.meters if meter is not None]
    bus = pile.address.rpartition("/")[0]
    for meter in meters:
        if meter.family not in METERS:
            raise ValueError(f"{meter.family} is no kind of meter")
        if meter.address.rpartition("/")[0] != bus or meter.address == pile.address:
            raise ValueError(f"the meter {meter.address} must have an address of its own on {bus}")
        METERS[meter.family](meter.address)
    if len({meter.address for meter in meters}) < len(meters):
        raise ValueError("a meter measures one outlet alone")
    if params.watchdog is not None and any(pile.outlets[params.watchdog.channel :][:1]):
        raise ValueError("a watchdog needs a relay with no outlet on it")
    return params
