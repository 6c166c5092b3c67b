"""A device that nobody has adopted: kept, once, until somebody does. Pure."""

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.hardware import device_key
from controller.core.house import House

FOUND_MAX = 1_000  # anybody who may publish a discovery can invent devices without end


def pile_found(house: House, event: ev.PileFound) -> tuple[fx.Effect, ...]:
    """A row only for what is new or has changed: devices say who they are at every boot."""
    key = f"{event.family}:{event.address}"
    row: dict[str, object] = {
        "id": key,
        "family": event.family,
        "address": event.address,
        "model": event.model,
        "firmware": event.firmware,
        "channels": event.channels,
        "params": event.params,
        "lease_class": event.lease_class,
        "lease_s_max": event.lease_s_max,
    }
    if device_key(event.family, event.address) in house.owners:  # heard again before its adoption was on disk
        return ()
    old = house.found.get(key)
    if old is not None and not event.firmware:  # not told this time
        row["firmware"] = old["firmware"]
    if old is None and len(house.found) >= FOUND_MAX:
        return ()
    if old is not None and {name: value for name, value in old.items() if name != "seen_at"} == row:
        return ()
    return (fx.Put("found", {**row, "seen_at": event.at}),)
