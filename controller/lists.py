"""Every list that programs page through: what it holds, its orders, and which conditions it knows.

Each order, alone and under each condition, walks an index of `tables.py`; a million charges make none of them slow.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Engine, Select, Table, false, func, or_, select
from sqlalchemy.sql.elements import SQLCoreOperations

from controller import records as r
from controller.garage import BikeRow, ChargerRow, bike_of
from controller.joins import (
    ALARM,
    ALARMS,
    AUDIT,
    BIKE,
    CARD,
    CARDS,
    CHARGER,
    FOUND,
    MERCHANT,
    ORDER,
    ORDERS,
    OUTLET,
    OUTLETS,
    OWED,
    PARTY,
    PILE,
    REFUND,
    REFUNDS,
    SESSION,
    SESSIONS,
    SITE,
    SITES,
    STAFF,
    TARIFF,
    Sites,
    site_of,
)
from controller.paging import Listing, Order, Page, Turn, as_, keys_in, merged, order_of, page_of

NEWEST = ("-at", "at")
SESSION_LIST = Listing(as_(r.SessionRow), SESSIONS, SESSION, ("-opened_at", "opened_at"))
ORDER_LIST = Listing(as_(r.OrderRow), ORDERS, ORDER, ("-placed_at", "placed_at"))
REFUND_LIST = Listing(as_(r.RefundRow), REFUNDS, REFUND, ("-due_at", "due_at"))
ALARM_LIST = Listing(as_(r.AlarmRow), ALARMS, ALARM, NEWEST)
AUDIT_LIST = Listing(as_(r.AuditRow), select(AUDIT), AUDIT, NEWEST, site=None)
CARD_LIST = Listing(as_(r.CardRow), CARDS, CARD, ("printed", "-printed"), site=None)
PARTY_LIST = Listing(as_(r.PartyRow), select(PARTY), PARTY, ("id",), site=None)
OUTLET_LIST = Listing(as_(r.OutletRow), OUTLETS, OUTLET, ("number", "-number"))
PILE_LIST = Listing(as_(r.PileRow), select(PILE), PILE, ("name", "-name"))
SITE_LIST = Listing(site_of, SITES, SITE, ("name", "-name"), site="id")
MERCHANT_LIST = Listing(as_(r.MerchantRow), select(MERCHANT), MERCHANT, ("name", "-name"), site=None)
TARIFF_LIST = Listing(as_(r.TariffRow), select(TARIFF), TARIFF, NEWEST)
STAFF_LIST = Listing(as_(r.StaffRow), select(STAFF), STAFF, ("login", "-login"), site=None)
BIKE_LIST = Listing(bike_of, select(BIKE), BIKE, NEWEST)
CHARGER_LIST = Listing(as_(ChargerRow), select(CHARGER), CHARGER, NEWEST)
FOUND_LIST = Listing(as_(r.FoundRow), select(FOUND), FOUND, ("-seen_at", "seen_at"), site=None)

Condition = ColumnElement[bool]


class Between(msgspec.Struct, frozen=True):
    """From `since` on, before `until`; None is open."""

    since: float | None = None
    until: float | None = None

    def of(self, column: SQLCoreOperations[Any]) -> list[Condition]:
        edges = [None if self.since is None else column >= self.since]
        edges.append(None if self.until is None else column < self.until)
        return [edge for edge in edges if edge is not None]


ALWAYS = Between()


def same(**values: tuple[SQLCoreOperations[Any], str]) -> list[Condition]:
    """Each column equal to its value; an empty value asks for nothing."""
    return [column == value for column, value in values.values() if value]


class Lists:
    """Pages, each read in one transaction. `sites` narrows to what somebody may see."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def sessions(
        self,
        turn: Turn,
        sites: Sites = None,
        *,
        outlet: str = "",
        card: str = "",
        party: str = "",
        phase: str = "",
        reason: str = "",
        opened: Between = ALWAYS,
    ) -> Page[r.SessionRow]:
        c = SESSION.c
        wanted = same(o=(c.outlet_id, outlet), c=(c.card_id, card), p=(c.party_id, party))
        wanted += _phase_and_reason(phase, reason)
        return self._page(SESSION_LIST, turn, sites, wanted + opened.of(c.opened_at))

    def orders(
        self,
        turn: Turn,
        sites: Sites = None,
        *,
        outlet: str = "",
        party: str = "",
        state: str = "",
        paid: bool = False,
        placed: Between = ALWAYS,
    ) -> Page[r.OrderRow]:
        """`paid`: only those that money came for."""
        c = ORDER.c
        wanted = same(o=(c.outlet_id, outlet), p=(c.party_id, party), s=(c.state, state))
        wanted += [c.txn.is_not(None)] if paid else []
        return self._page(ORDER_LIST, turn, sites, wanted + placed.of(c.placed_at))

    def refunds(
        self,
        turn: Turn,
        sites: Sites = None,
        *,
        order: str = "",
        state: str = "",
        owed: bool = False,
        due: Between = ALWAYS,
    ) -> Page[r.RefundRow]:
        """`owed` leaves out what has gone back."""
        c = REFUND.c
        wanted = same(o=(c.order_id, order), s=(c.state, state))
        wanted += [c.state.in_(OWED)] if owed else []
        return self._page(REFUND_LIST, turn, sites, wanted + due.of(c.due_at))

    def alarms(
        self, turn: Turn, sites: Sites = None, *, outlet: str = "", open_only: bool = True, raised: Between = ALWAYS
    ) -> Page[r.AlarmRow]:
        wanted = same(o=(ALARM.c.outlet_id, outlet))
        wanted += [ALARM.c.cleared_at.is_(None)] if open_only else []
        return self._page(ALARM_LIST, turn, sites, wanted + raised.of(ALARM.c.at))

    def audit(
        self, turn: Turn, sites: Sites = None, *, subject: str = "", by: str = "", at: Between = ALWAYS
    ) -> Page[r.AuditRow]:
        """Somebody scoped sees what was done to their sites, piles and outlets."""
        wanted = same(s=(AUDIT.c.subject, subject), by=(AUDIT.c.by, by)) + at.of(AUDIT.c.at)
        wanted += [] if sites is None else [_within(sites)]
        return self._page(AUDIT_LIST, turn, None, wanted)

    def cards(self, turn: Turn, *, search: str = "", party: str = "") -> Page[r.CardRow]:
        """`search` is part of the printed or the chip's number."""
        part = CARD.c.printed.icontains(search, autoescape=True) | CARD.c.uid.icontains(search, autoescape=True)
        wanted = [*same(p=(CARD.c.party_id, party)), *([part] if search else [])]
        return self._page(CARD_LIST, turn, None, wanted)

    def bikes(self, turn: Turn, sites: Sites = None, *, party: str) -> Page[BikeRow]:
        return self._page(BIKE_LIST, turn, sites, same(p=(BIKE.c.party_id, party)))

    def chargers(self, turn: Turn, sites: Sites = None) -> Page[ChargerRow]:
        return self._page(CHARGER_LIST, turn, sites, [])

    def parties(self, turn: Turn, sites: Sites = None) -> Page[r.PartyRow]:
        """Who ordered or charged at the sites; of the person only the id and the kind."""
        if sites is None:
            return self._page(PARTY_LIST, turn, None, [])
        with self._engine.connect() as db:
            return page_of(db, PARTY_LIST, turn, lambda turn: _came_to(turn, sites))

    def outlets(self, turn: Turn, sites: Sites = None, *, pile: str = "", phase: str = "") -> Page[r.OutletRow]:
        wanted = same(pile=(OUTLET.c.pile_id, pile), phase=(OUTLET.c.phase, phase))
        return self._page(OUTLET_LIST, turn, sites, wanted)

    def piles(self, turn: Turn, sites: Sites = None, *, family: str = "") -> Page[r.PileRow]:
        return self._page(PILE_LIST, turn, sites, same(f=(PILE.c.family, family)))

    def sites(self, turn: Turn, sites: Sites = None, *, merchant: str = "") -> Page[r.SiteRow]:
        return self._page(SITE_LIST, turn, sites, same(m=(SITE.c.merchant_id, merchant)))

    def merchants(self, turn: Turn, sites: Sites = None) -> Page[r.MerchantRow]:
        """Those whose sites may be seen."""
        mine = [] if sites is None else [MERCHANT.c.id.in_(select(SITE.c.merchant_id).where(SITE.c.id.in_(sites)))]
        return self._page(MERCHANT_LIST, turn, None, mine)

    def tariffs(self, turn: Turn, site: str) -> Page[r.TariffRow]:
        """Every price list the site ever had."""
        return self._page(TARIFF_LIST, turn, [site], [])

    def staff(self, turn: Turn) -> Page[r.StaffRow]:
        return self._page(STAFF_LIST, turn, None, [])

    def found(self, turn: Turn) -> Page[r.FoundRow]:
        return self._page(FOUND_LIST, turn, None, [])

    def _page(self, listing: Listing[Any], turn: Turn, sites: Sites, wanted: Sequence[Condition]) -> Page[Any]:
        with self._engine.connect() as db:
            return page_of(db, listing, turn, lambda turn: keys_in(listing, turn, sites, *wanted))


def _phase_and_reason(phase: str, reason: str) -> list[Condition]:
    """Of both, one is bound to the index of the other: few are live, and few of the ended ended for most reasons."""
    c = SESSION.c
    if not (phase and reason):
        return same(phase=(c.phase, phase), reason=(c.reason, reason))
    if phase == "settled":
        return [c.reason == reason, func.coalesce(c.phase, "") == phase]
    return [c.phase == phase, func.coalesce(c.reason, "") == reason]


def _within(sites: Sequence[str]) -> Condition:
    places = [select(table.c.id).where(table.c.site_id.in_(sites)) for table in (OUTLET, PILE)]
    return or_(AUDIT.c.subject.in_(sites), *(AUDIT.c.subject.in_(place) for place in places))


def _came_to(turn: Turn, sites: Sequence[str]) -> Select[Any]:
    """From two indexes of each site, so that it matters not how many came to the others."""
    order = order_of(PARTY_LIST, turn)
    parts = [_parties(order, turn, table, site) for site in sites for table in (SESSION, ORDER)]
    return merged(order, turn, parts, distinct=True) if parts else keys_in(PARTY_LIST, turn, None, false())


def _parties(order: Order, turn: Turn, table: Table, site: str) -> Select[Any]:
    party = table.c.party_id
    at = Order(order.name, party, party)
    keys = select(party.label("key"), party.label("id")).where(table.c.site_id == site, *at.after(turn.cursor))
    return keys.group_by(party).order_by(party).limit(turn.limit + 1)
