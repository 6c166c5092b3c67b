"""What staff decide about a pile's inputs and about a site that was cut. Pure.

What an active input does stands in `controller/inputs.py`.
"""

from collections.abc import Iterator

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.contacts import Wired, input_key, plain, wired_of
from controller.core.dead import active_inputs
from controller.core.errors import Refused
from controller.core.house import House
from controller.core.load import pile_key
from controller.core.state import Rules


def wire(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    """What each input of a pile means; all of them at once; the device is told to let them report."""
    pile = event.subject
    if pile not in house.piles:
        raise Refused("unknown", f"there is no pile {pile}")
    wired = wired_of(event.values["inputs"])
    gone = [input_key(pile, number) for number in house.wired.get(pile, {}) if number not in wired]
    over = tuple(fx.ClearAlarms(key, event.at, event.by) for each in gone for key in (each, f"{each}:lost"))
    tell = tuple(fx.SetInputs(outlet, tuple(wired)) for outlet in one_of(house, pile)) if wired else ()
    return (fx.SaveInputs(pile, plain(wired)), *over, *tell)


def one_of(house: House, pile: str) -> list[str]:
    """An outlet by which the pile's device can be reached: any will do."""
    feeder = house.grid.feeders.get(pile_key(pile))
    return sorted(feeder.outlets)[:1] if feeder is not None else []


def release(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    """A person has looked: the site may sell again. Not while an input still shows danger."""
    site = event.subject
    if site not in house.sites:
        raise Refused("unknown_site", f"there is no site {site}")
    if event.by.partition(":")[0] != "staff":
        raise Refused("not_allowed_person", "a cut is released by a person")
    if site not in house.cuts:
        raise Refused("not_cut", "this site is not cut")
    for pile, number, wired in active_inputs(house, site):
        raise Refused("input_active", f"input {number} of pile {house.piles.get(pile, pile)} shows {wired.kind}")
    return (fx.SaveCut(site, None),)


def quiet(house: House, site: str) -> Iterator[str]:
    """Keys of this site's inputs whose alarm is over: calm, and nothing is held by them any more."""
    for pile, number, wired in inputs_of(house, site):
        contact = house.contact(pile, number)
        if contact is None or wired.is_active(contact.on):
            continue
        if not _holds(house, site, pile, wired):
            yield input_key(pile, number)


def inputs_of(house: House, site: str) -> Iterator[tuple[str, int, Wired]]:
    for pile, wired in house.wired.items():
        if house.site_of_pile(pile) == site:
            yield from ((pile, number, one) for number, one in wired.items())


def _holds(house: House, site: str, pile: str, wired: Wired) -> bool:
    if wired.scope == "site":
        return site in house.cuts
    return any(house.outlets[outlet].latch == wired.kind for outlet in house.grid.feeders[pile_key(pile)].outlets)
