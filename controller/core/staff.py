"""What staff change of the house: sites, tariffs, cards, staff, adoption, stickers. Pure; every change is audited.

Values were validated at the edge; what only the house can know (that a site exists, that a tariff covers the day)
is checked here.
"""

from collections.abc import Callable
from math import ceil
from typing import Any

import msgspec

from controller.core import adoption, garage, inputs, links, models
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.house import House, tariff_of
from controller.core.state import Card, Rules, Site
from controller.core.tariff import check

Handler = Callable[[House, ev.StaffChange, Rules], tuple[fx.Effect, ...]]


def _merchant(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    """A new merchant, or a merchant's name."""
    return (fx.Put("merchant", {"id": event.subject, "name": str(event.values["name"])}),)


def _pile(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    if event.subject not in house.piles:
        raise Refused("unknown", f"there is no pile {event.subject}")
    return (fx.NamePile(event.subject, str(event.values["name"])),)


def _site(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    """A new site, or a site's name and zone; the merchant of a site with money can't be changed."""
    old = house.sites.get(event.subject)
    return _new_site(house, event) if old is None else _changed_site(old, event)


def _new_site(house: House, event: ev.StaffChange) -> tuple[fx.Effect, ...]:
    if not event.values.get("bands"):
        raise Refused("invalid", "a new site needs a tariff")
    name, zone, merchant = (str(event.values[part]) for part in ("name", "zone", "merchant"))
    tariff = _tariff_row(event, event.subject, name, zone, event.values["bands"])
    known = merchant in house.merchants
    new = fx.Put("merchant", {"id": merchant, "name": str(event.values.get("merchant_name") or merchant)})
    return (*(() if known else (new,)), *_site_rows(event, name, zone, merchant, tariff))


def _changed_site(old: Site, event: ev.StaffChange) -> tuple[fx.Effect, ...]:
    """In another zone the same prices hold at other hours: that is another tariff."""
    name, zone = str(event.values.get("name") or old.name), str(event.values.get("zone") or old.zone)
    tariff, bands = msgspec.to_builtins(old.tariff), event.values.get("bands")
    if zone == old.zone and not bands:
        return (_site_row(old.id, name, zone, old.merchant, tariff),)
    tariff = _tariff_row(event, old.id, old.tariff.name, zone, bands or tariff["bands"])
    return _site_rows(event, name, zone, old.merchant, tariff)


def _site_rows(
    event: ev.StaffChange, name: str, zone: str, merchant: str, tariff: dict[str, Any]
) -> tuple[fx.Effect, ...]:
    priced = fx.Put("tariff", {**tariff, "site_id": event.subject, "at": event.at})
    return (priced, _site_row(event.subject, name, zone, merchant, tariff))


def _site_row(site: str, name: str, zone: str, merchant: str, tariff: dict[str, Any]) -> fx.Effect:
    return fx.Put("site", {"id": site, "name": name, "zone": zone, "merchant_id": merchant, "tariff": tariff})


def _tariff(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    """A new price list; orders placed under the old one keep it."""
    site = house.sites.get(event.subject)
    if site is None:
        raise Refused("unknown_site", f"there is no site {event.subject}")
    tariff = _tariff_row(event, site.id, str(event.values["name"]), site.zone, event.values["bands"])
    return _site_rows(event, site.name, site.zone, site.merchant, tariff)


def _tariff_row(event: ev.StaffChange, site: str, name: str, zone: str, bands: object) -> dict[str, Any]:
    row = {"id": f"{site}:{event.key}", "name": name, "zone": zone, "bands": bands}
    check(tariff_of(row))
    return row


def _card(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    old = house.cards.get(event.subject)
    uid = str(event.values.get("uid", old.uid if old else "")).upper()
    printed = str(event.values.get("printed", old.printed if old else ""))
    if not uid or house.uids.get(uid, event.subject) != event.subject:
        raise Refused("conflict", "this card is already enrolled" if uid else "a card needs its number")
    card = Card(
        event.subject,
        uid,
        printed,
        f"card:{event.subject}",
        bool(event.values.get("frozen", old is not None and old.frozen)),
    )
    party = fx.Put("party", {"id": card.party, "kind": "card", "at": event.at})
    return (party, fx.SaveCard(card))


def _staff(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    login = str(event.values["login"])
    if house.logins.get(login, event.subject) != event.subject:
        raise Refused("conflict", f"somebody else logs in as {login}")
    return (fx.Put("staff", {"id": event.subject, **event.values, "at": event.at}),)


POWER_W_MAX = 10_000_000.0  # a transformer's worth: more is a slip of the keyboard


def _power(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    """What a site or a pile may draw: `of` is "site" or "pile", `power_w` watts or None for no limit."""
    of, power_w = str(event.values["of"]), event.values["power_w"]
    feeder = house.grid.feeders.get(f"{of}:{event.subject}")
    if feeder is None and event.subject not in house.sites:
        raise Refused("unknown", f"there is no {of} {event.subject}")
    if power_w is None:
        return (fx.SavePower(of, event.subject, None),)
    largest_w = max((house.outlets[outlet].power_w for outlet in feeder.outlets), default=0.0) if feeder else 0.0
    least_w = ceil((largest_w or rules.outlet_w) * (1 + rules.headroom))
    if not isinstance(power_w, int | float) or not least_w <= power_w <= POWER_W_MAX:
        raise Refused("limit_too_low", f"under {least_w} W none of its outlets could ever start")
    return (fx.SavePower(of, event.subject, float(power_w)),)


def _retire_sticker(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    outlet = str(event.values["outlet"])
    made = {"id": event.values["new_sticker"], "outlet_id": outlet, "made_at": event.at, "retired_at": None}
    old = {"id": event.subject, "outlet_id": outlet, "made_at": event.at, "retired_at": event.at}
    house.outlet(outlet)
    return (fx.Put("sticker", old), fx.Put("sticker", made))


def _log_level(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    """Changes nothing of the house; whoever may read more must stand in the audit log."""
    return ()


HANDLERS: dict[ev.Change, Handler] = {
    ev.Change.MERCHANT: _merchant,
    ev.Change.SITE: _site,
    ev.Change.TARIFF: _tariff,
    ev.Change.CARD: _card,
    ev.Change.STAFF: _staff,
    ev.Change.ADOPT: adoption.adopt,
    ev.Change.REPLACE: adoption.replaced,
    ev.Change.PILE: _pile,
    ev.Change.POWER: _power,
    ev.Change.INPUTS: inputs.wire,
    ev.Change.RELEASE_SITE: inputs.release,
    ev.Change.BIKE: garage.changed,
    ev.Change.FINISH: models.finish,
    ev.Change.CHARGER: models.charger,
    ev.Change.RETIRE_STICKER: _retire_sticker,
    ev.Change.TOKEN: links.token,
    ev.Change.HOOK: links.hook,
    ev.Change.LOG_LEVEL: _log_level,
}
