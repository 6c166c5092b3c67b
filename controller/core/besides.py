"""What else a decision on an outlet may look at: its pile's model, and the other outlets there. Pure."""

from collections.abc import Iterator
from typing import Any

from controller.core.dead import why_dead
from controller.core.house import House
from controller.core.load import pile_key
from controller.core.outlet_outcome import Beside
from controller.core.state import Outlet, OutletPhase


def known_of(house: House, outlet_id: str) -> dict[str, Any]:
    """For `outlet_outcome.Context`. Others of the pile are looked at only for who is being proven."""
    outlet = house.outlets[outlet_id]
    known: dict[str, Any] = {"dead": why_dead(house, outlet_id), "charging": outlet_id in house.sessions}
    if outlet.phase is OutletPhase.PROVING:
        made_of = house.hardware.get(outlet.pile)
        known["model"] = "" if made_of is None else made_of.model
        known["besides"] = tuple(_beside(house, other) for other in _others(house, outlet))
    return known


def _others(house: House, outlet: Outlet) -> Iterator[Outlet]:
    feeder = house.grid.feeders.get(pile_key(outlet.pile))
    for other in feeder.outlets if feeder is not None else ():
        if other != outlet.id:
            yield house.outlets[other]


def _beside(house: House, other: Outlet) -> Beside:
    seen, charging = house.seen[other.id], other.id in house.sessions
    step = "" if other.proving is None else other.proving.step
    return Beside(other.id, other.number, seen.power_w or 0.0, seen.reading_s, charging, step)


def proving_beside(house: House, outlet: Outlet) -> list[str]:
    """Who of its pile is being proven, while it is not itself."""
    if outlet.phase is OutletPhase.PROVING:
        return []
    return [other.id for other in _others(house, outlet) if other.phase is OutletPhase.PROVING]
