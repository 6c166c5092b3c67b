"""What the router says for others: the decider's orders as wishes to a driver, addresses as patterns to a broker."""

from collections.abc import Iterable

import msgspec

from controller.core import effects as fx
from firmware_bridge.wire import AskNow, Provision, SetInputs, Wish

UNFIT = (ValueError, KeyError, msgspec.MsgspecError)  # what a family raises for params that are none of its own


def wish_of(order: fx.Provision | fx.AskNow | fx.SetInputs) -> Wish:
    match order:
        case fx.Provision():
            return Provision(order.lease_s, order.power_w)
        case fx.SetInputs():
            return SetInputs(order.inputs)
        case fx.AskNow():
            return AskNow(order.inputs)


def together(addresses: Iterable[str]) -> list[str]:
    """Neighbours of one level as one pattern: a broker takes ten thousand devices' two far sooner than their eleven."""
    levels: dict[str, list[str]] = {}
    for address in addresses:
        levels.setdefault(address.rpartition("/")[0], []).append(address)
    return [f"{level}/+" if level and len(of_level) > 1 else of_level[0] for level, of_level in levels.items()]
