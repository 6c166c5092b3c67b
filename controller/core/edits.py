"""Of two edits that began alike only the first is done: the decider compares what an editor saw with what is. Pure."""

from collections.abc import Callable

from controller.core.contacts import plain
from controller.core.errors import Refused
from controller.core.events import Change, StaffChange
from controller.core.house import House
from controller.core.tags import card_tag, merchant_tag, outlet_tag, pile_tag, site_tag


def check_seen(house: House, event: StaffChange) -> None:
    """Refuses an edit of what is no longer as its editor saw it; says nothing of what it does not know."""
    now = _TAGS[event.change](house, event.subject) if event.seen and event.change in _TAGS else None
    if now is not None and now not in event.seen:
        raise Refused("changed", "it is no longer what you read")


def _limit_w(house: House, feeder: str) -> float | None:
    known = house.grid.feeders.get(feeder)
    return None if known is None else known.limit_w


def _site(house: House, site: str) -> str | None:
    at = house.sites.get(site)
    return None if at is None else site_tag(at.name, at.zone, at.tariff.id, _limit_w(house, f"site:{site}"))


def _pile(house: House, pile: str) -> str | None:
    name = house.piles.get(pile)
    return None if name is None else pile_tag(name, _limit_w(house, f"pile:{pile}"), plain(house.wired.get(pile, {})))


def _outlet(house: House, outlet: str) -> str | None:
    at = house.outlets.get(outlet)
    return None if at is None else outlet_tag(at.number, at.phase, at.latch, at.locked_by)


def _card(house: House, card: str) -> str | None:
    at = house.cards.get(card)
    return None if at is None else card_tag(at.printed, at.frozen)


def _merchant(house: House, merchant: str) -> str | None:
    name = house.merchants.get(merchant)
    return None if name is None else merchant_tag(name)


_TAGS: dict[Change, Callable[[House, str], str | None]] = {
    Change.SITE: _site,
    Change.TARIFF: _site,
    Change.POWER: lambda house, subject: _site(house, subject) or _pile(house, subject),
    Change.PILE: _pile,
    Change.INPUTS: _pile,
    Change.MERCHANT: _merchant,
    Change.CARD: _card,
    Change.STAFF: lambda house, staff: house.staff.get(staff),
    **dict.fromkeys(
        (Change.NAME, Change.OPEN, Change.CLOSE, Change.LOCK, Change.UNLOCK, Change.CLEAR_LATCH, Change.COMMISSION),
        _outlet,
    ),
}
