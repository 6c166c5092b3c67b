"""What keeps an outlet dead, whoever asks: the one place where that is decided. Pure.

A start, a turn in line, a commissioning, a renewal and a resumption all ask here; what is not refused here may still be
refused for reasons of their own.
"""

from collections.abc import Iterator

from controller.core.contacts import Wired
from controller.core.errors import Refused
from controller.core.house import House


def why_dead(house: House, outlet_id: str) -> Refused | None:
    """The first reason why this outlet may not be energised; None: none."""
    at = house.outlets[outlet_id]
    if house.active and not house.active.isdisjoint(house.grid.keys(outlet_id)):
        return Refused("input_active", f"an input that guards outlet {at.number} shows danger")
    if at.site in house.cuts:
        return Refused("site_cut", "the whole site is switched off until a person releases it")
    if at.latch is not None:
        return Refused("latched", f"outlet {at.number} is out of service: {at.latch}")
    if at.locked_by is not None:
        return Refused("locked", f"outlet {at.number} is locked")
    return None


def check_not_dead(house: House, outlet_id: str) -> None:
    why = why_dead(house, outlet_id)
    if why is not None:
        raise why


def active_inputs(house: House, site: str) -> Iterator[tuple[str, int, Wired]]:
    """Of this site's piles, those that show danger now, as far as they were heard."""
    for pile, wired in house.wired.items():
        if house.site_of_pile(pile) == site:
            yield from ((pile, number, one) for number, one in wired.items() if house.is_active(pile, number, one))
