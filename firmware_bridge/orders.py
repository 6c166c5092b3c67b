"""What the router says for others: the decider's orders as wishes to a driver, addresses as patterns to a broker."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from controller.core import effects as fx
from controller.core.events import PileFound
from firmware_bridge.wire import (
    AskNow,
    Capabilities,
    Driver,
    LeaseClass,
    Provision,
    SetInputs,
    Shared,
    Wish,
)

UNFIT = (ValueError, KeyError, msgspec.MsgspecError)  # what a family raises for params that are none of its own


def wish_of(order: fx.Provision | fx.AskNow | fx.SetInputs, channel: int) -> Wish:
    match order:
        case fx.Provision():
            return Provision(order.lease_s, order.power_w)
        case fx.SetInputs():
            return SetInputs(order.inputs)
        case fx.AskNow():
            return AskNow(order.inputs, channel)


def together(addresses: Iterable[str]) -> list[str]:
    """Neighbours of one level as one pattern: a broker takes ten thousand devices' two far sooner than their eleven."""
    levels: dict[str, list[str]] = {}
    for address in addresses:
        levels.setdefault(address.rpartition("/")[0], []).append(address)
    return [f"{level}/+" if level and len(of_level) > 1 else of_level[0] for level, of_level in levels.items()]


def addresses_of(driver: Driver, outlet: str) -> Sequence[str]:
    return driver.addresses_of(outlet) if isinstance(driver, Shared) else driver.listens()


def promised(found: PileFound, capabilities: Capabilities) -> PileFound:
    """With what its family can promise of every channel, if this one does not promise less."""
    without = found.lease_class == LeaseClass.METERING_ONLY
    lease_class = LeaseClass.METERING_ONLY if without else capabilities.lease_class
    lease_s_max = min(found.lease_s_max, capabilities.lease_s_max)
    params = found.params if capabilities.meters else {**found.params, "meters": [None] * found.channels}
    return replace(found, lease_class=str(lease_class), lease_s_max=lease_s_max, params=params)
