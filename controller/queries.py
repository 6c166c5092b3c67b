"""Read-only views for pages and the API: nothing here can write, and paging is the database's work."""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, FromClause, Select, Table, func, or_, select

from controller import records as r
from controller.core import events as ev
from controller.core.repeats import Kept, answer_key
from controller.core.state import Order, Refund
from controller.database import reading_engine
from controller.garage import Garage
from controller.joins import (
    ALARM,
    ALARMS,
    AUDIT,
    CARD,
    CARDS,
    ENTRY,
    FOUND,
    IDENTITY,
    KEPT,
    MERCHANT,
    MOMENT,
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
    STICKER,
    TARIFF,
    Sites,
    all_of,
    billed,
    of,
    outlet_detail,
    overview_of,
    readings_of,
    session_detail,
    site_of,
    transfers_of,
    within,
)
from controller.links import Links
from controller.lists import Lists

T = TypeVar("T")


class Queries:
    """Open to any thread. `sites` narrows a list to what somebody may see; a foreign id is None, as a missing one."""

    def __init__(self, url: str) -> None:
        self._engine = reading_engine(url)
        self.lists = Lists(self._engine)
        self.links = Links(self._engine)
        self.garage = Garage(self._engine)

    def close(self) -> None:
        self._engine.dispose()

    # -- the house ------------------------------------------------------------------------------------------------

    def sites(self, sites: Sites = None) -> list[r.SiteRow]:
        with self._engine.connect() as db:
            return [site_of(row) for row in db.execute(of(SITES, SITE.c.id, sites).order_by(SITE.c.name)).mappings()]

    def site(self, site: str) -> r.SiteRow | None:
        return next(iter(self.sites([site])), None)

    def tariffs(self, site: str) -> list[r.TariffRow]:
        """Every price list the site ever had, newest first."""
        return self._rows(r.TariffRow, select(TARIFF).where(TARIFF.c.site_id == site).order_by(TARIFF.c.at.desc()))

    def tariff(self, tariff: str) -> r.TariffRow | None:
        return self._one(r.TariffRow, select(TARIFF).where(TARIFF.c.id == tariff))

    def found(self) -> list[r.FoundRow]:
        return self._rows(r.FoundRow, select(FOUND).order_by(FOUND.c.seen_at.desc()))

    def found_one(self, found: str) -> r.FoundRow | None:
        return self._one(r.FoundRow, select(FOUND).where(FOUND.c.id == found))

    def piles(self, sites: Sites = None) -> list[r.PileRow]:
        return self._rows(r.PileRow, of(select(PILE), PILE.c.site_id, sites).order_by(PILE.c.name))

    def pile(self, pile: str) -> r.PileRow | None:
        return self._one(r.PileRow, select(PILE).where(PILE.c.id == pile))

    def merchant(self, merchant: str) -> r.MerchantRow | None:
        return self._one(r.MerchantRow, select(MERCHANT).where(MERCHANT.c.id == merchant))

    def sticker(self, sticker: str) -> r.StickerRow | None:
        return self._one(r.StickerRow, select(STICKER).where(STICKER.c.id == sticker))

    def stickers(self, sites: Sites = None) -> list[r.StickerRow]:
        """Those in use."""
        here = select(STICKER).join(OUTLET, OUTLET.c.id == STICKER.c.outlet_id).where(STICKER.c.retired_at.is_(None))
        return self._rows(r.StickerRow, of(here, OUTLET.c.site_id, sites).order_by(OUTLET.c.number))

    def outlets(self, sites: Sites = None) -> list[r.OutletRow]:
        return self._rows(r.OutletRow, of(OUTLETS, OUTLET.c.site_id, sites).order_by(PILE.c.name, OUTLET.c.channel))

    def outlet(self, outlet: str) -> r.OutletDetail | None:
        with self._engine.connect() as db:
            row = db.execute(OUTLETS.add_columns(OUTLET.c.state).where(OUTLET.c.id == outlet)).mappings().first()
            return None if row is None else outlet_detail(db, dict(row))

    # -- orders and sessions --------------------------------------------------------------------------------------

    def order(self, order: str) -> r.OrderRow | None:
        return self._one(r.OrderRow, ORDERS.where(ORDER.c.id == order))

    def order_by_secret(self, secret_hash: str) -> r.OrderRow | None:
        return self._one(r.OrderRow, ORDERS.where(ORDER.c.secret_hash == secret_hash))

    def by_key(self, key: str) -> r.OrderRow | None:
        return self._one(r.OrderRow, ORDERS.where(ORDER.c.key == key))

    def orders(
        self,
        sites: Sites = None,
        *,
        state: str = "",
        since_at: float | None = None,
        until_at: float | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> "r.Listed[r.OrderRow]":
        """Newest first; `txn` is set once money came."""
        wanted = of(ORDERS, ORDER.c.site_id, sites)
        wanted = wanted.where(ORDER.c.state == state) if state else wanted
        wanted = within(wanted, ORDER.c.placed_at, since_at, until_at)
        return self._listed(r.OrderRow, ORDER, wanted, ORDER.c.placed_at.desc(), limit, offset)

    def payments(self, sites: Sites = None, *, limit: int = 50, offset: int = 0) -> "r.Listed[r.OrderRow]":
        """Orders that money came for."""
        wanted = of(ORDERS, ORDER.c.site_id, sites).where(ORDER.c.txn.is_not(None))
        return self._listed(r.OrderRow, ORDER, wanted, ORDER.c.placed_at.desc(), limit, offset)

    def sessions(
        self,
        sites: Sites = None,
        *,
        outlet: str = "",
        card: str = "",
        phase: str = "",
        reason: str = "",
        bill: str = "",
        since_at: float | None = None,
        until_at: float | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> "r.Listed[r.SessionRow]":
        """Newest first. `bill` is how the id begins, as printed on the bill."""
        same = {"outlet_id": outlet, "card_id": card, "phase": phase, "reason": reason}
        wanted = of(SESSIONS, SESSION.c.site_id, sites)
        wanted = wanted.where(*(SESSION.c[name] == value for name, value in same.items() if value))
        wanted = within(billed(wanted, SESSION.c.id, bill), SESSION.c.opened_at, since_at, until_at)
        return self._listed(r.SessionRow, SESSION, wanted, SESSION.c.opened_at.desc(), limit, offset)

    def session(self, session: str) -> r.SessionDetail | None:
        return self._session(SESSION.c.id == session)

    def session_row(self, session: str) -> r.SessionRow | None:
        """Without its story, curve and money."""
        return self._one(r.SessionRow, SESSIONS.where(SESSION.c.id == session))

    def readings(self, session: str) -> r.SessionReadings | None:
        with self._engine.connect() as db:
            return readings_of(db, session)

    def moments(self, session: str) -> list[r.MomentRow]:
        return self._rows(r.MomentRow, select(MOMENT).where(MOMENT.c.session_id == session).order_by(MOMENT.c.id))

    def session_by_order(self, order: str) -> r.SessionDetail | None:
        return self._session(SESSION.c.order_id == order)

    def _session(self, wanted: ColumnElement[bool]) -> r.SessionDetail | None:
        with self._engine.connect() as db:
            query = SESSIONS.add_columns(SESSION.c.state, SESSION.c.curve).where(wanted)
            row = db.execute(query).mappings().first()
            return None if row is None else session_detail(db, dict(row))

    # -- money ----------------------------------------------------------------------------------------------------

    def refunds(
        self,
        sites: Sites = None,
        *,
        state: str = "",
        owed: bool = False,
        bill: str = "",
        since_at: float | None = None,
        until_at: float | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> "r.Listed[r.RefundRow]":
        wanted = of(REFUNDS, REFUND.c.site_id, sites)
        wanted = wanted.where(REFUND.c.state == state) if state else wanted
        wanted = wanted.where(REFUND.c.state.in_(OWED)) if owed else wanted
        wanted = within(billed(wanted, REFUND.c.session_id, bill), REFUND.c.due_at, since_at, until_at)
        return self._listed(r.RefundRow, REFUND, wanted, REFUND.c.due_at.desc(), limit, offset)

    def refund(self, refund: str) -> r.RefundRow | None:
        return self._one(r.RefundRow, REFUNDS.where(REFUND.c.id == refund))

    def refunds_of(self, order: str) -> list[r.RefundRow]:
        return self._rows(r.RefundRow, REFUNDS.where(REFUND.c.order_id == order).order_by(REFUND.c.due_at))

    def cards(self, *, search: str = "", limit: int = 50, offset: int = 0) -> "r.Listed[r.CardRow]":
        """`search` is part of the printed or the chip's number."""
        part = CARD.c.printed.icontains(search, autoescape=True) | CARD.c.uid.icontains(search, autoescape=True)
        return self._listed(r.CardRow, CARD, CARDS.where(part) if search else CARDS, CARD.c.printed, limit, offset)

    def card(self, card: str) -> r.CardRow | None:
        return self._one(r.CardRow, CARDS.where(CARD.c.id == card))

    def transfers(self, *refs: str) -> list[r.TransferRow]:
        """The money's trail of sessions, orders, refunds or cards, oldest first."""
        with self._engine.connect() as db:
            return transfers_of(db, refs)

    def party(self, party: str, sites: Sites = None) -> r.PartyRow | None:
        """None as well for somebody who never came to `sites`."""
        row = self._one(r.PartyRow, select(PARTY).where(PARTY.c.id == party))
        return row if row is not None and (sites is None or self._came_to(party, sites)) else None

    def address(self, party: str) -> str | None:
        """Where this party wants to be told; for sending, and for whoever holds the order's secret."""
        wanted = select(IDENTITY.c.value).where(IDENTITY.c.party_id == party, IDENTITY.c.kind == "email")
        with self._engine.connect() as db:
            return db.scalar(wanted)

    def _came_to(self, party: str, sites: Sequence[str]) -> bool:
        here = [select(t.c.id).where(t.c.party_id == party, t.c.site_id.in_(sites)).exists() for t in (SESSION, ORDER)]
        with self._engine.connect() as db:
            return bool(db.scalar(select(or_(*here))))

    # -- the office -----------------------------------------------------------------------------------------------

    def alarms(
        self, sites: Sites = None, *, open_only: bool = True, limit: int = 50, offset: int = 0
    ) -> "r.Listed[r.AlarmRow]":
        wanted = of(ALARMS, ALARM.c.site_id, sites)
        wanted = wanted.where(ALARM.c.cleared_at.is_(None)) if open_only else wanted
        return self._listed(r.AlarmRow, ALARM, wanted, ALARM.c.at.desc(), limit, offset)

    def alarm(self, alarm: str) -> r.AlarmRow | None:
        return self._one(r.AlarmRow, ALARMS.where(ALARM.c.id == alarm))

    def audit(self, sites: Sites = None, *, limit: int = 50, offset: int = 0) -> "r.Listed[r.AuditRow]":
        """Newest first; somebody scoped sees what was done to their sites and outlets."""
        wanted = select(AUDIT)
        if sites is not None:
            outlets = select(OUTLET.c.id).where(OUTLET.c.site_id.in_(sites))
            wanted = wanted.where(or_(AUDIT.c.subject.in_(sites), AUDIT.c.subject.in_(outlets)))
        return self._listed(r.AuditRow, AUDIT, wanted, AUDIT.c.id.desc(), limit, offset)

    def staff(self) -> list[r.StaffRow]:
        return self._rows(r.StaffRow, select(STAFF).order_by(STAFF.c.login))

    def staff_one(self, staff: str) -> r.StaffRow | None:
        return self._one(r.StaffRow, select(STAFF).where(STAFF.c.id == staff))

    def staff_by_login(self, login: str) -> r.StaffRow | None:
        return self._one(r.StaffRow, select(STAFF).where(STAFF.c.login == login))

    def overview(self, since_at: float, sites: Sites = None) -> r.Overview:
        with self._engine.connect() as db:
            return overview_of(db, since_at, sites)

    # -- what an ask brings ---------------------------------------------------------------------------------------

    def known(self, event: ev.Event) -> dict[str, Any]:
        """What the database knows of the event's numbers: `order`, `refund` (whole), `entry` (body hash), and of a
        key that its author chose the answer that was given (`kept`)."""
        return {**self._numbers(event), **_some(kept=self._kept(event) if getattr(event, "wish", "") else None)}

    def _kept(self, event: ev.Event) -> Kept | None:
        query = select(KEPT.c.wish, KEPT.c.answer).where(KEPT.c.key == answer_key(event))
        return self._one(Kept, query)

    def _numbers(self, event: ev.Event) -> dict[str, Any]:
        if isinstance(event, ev.OrderPlaced):
            return _some(order=self.by_key(event.key))
        if isinstance(event, ev.PaymentConfirmed):
            entry = f"txn:{event.provider}:{event.txn}"
            return _some(order=self._body(ORDER, event.order, Order), entry=self._entry(entry))
        if isinstance(event, ev.RefundConfirmed | ev.RefundPaidByHand):
            return _some(refund=self._body(REFUND, event.refund, Refund))
        if isinstance(event, ev.CardToppedUp):
            return _some(entry=self._entry(f"topup:{event.key}"))
        return {}

    def _entry(self, key: str) -> str | None:
        with self._engine.connect() as db:
            return db.scalar(select(ENTRY.c.body_hash).where(ENTRY.c.key == key))

    def _body(self, table: Table, row: str, kind: type[T]) -> T | None:
        with self._engine.connect() as db:
            body = db.scalar(select(table.c.body).where(table.c.id == row))
            return None if body is None else msgspec.json.decode(body, type=kind)

    # -- helpers --------------------------------------------------------------------------------------------------

    def _rows(self, kind: type[T], query: Select[Any]) -> list[T]:
        with self._engine.connect() as db:
            return all_of(db, kind, query)

    def _one(self, kind: type[T], query: Select[Any]) -> T | None:
        return next(iter(self._rows(kind, query)), None)

    def _listed(
        self, kind: type[T], counted: FromClause, query: Select[Any], order: Any, limit: int, offset: int
    ) -> "r.Listed[T]":
        """Counts in `counted` alone, which all conditions are about: joining a million names is slow."""
        count = select(func.count()).select_from(counted)
        count = count if query.whereclause is None else count.where(query.whereclause)
        with self._engine.connect() as db:
            total = db.scalar(count) or 0
            return r.Listed(all_of(db, kind, query.order_by(order).limit(limit).offset(offset)), total)


def _some(**found: Any) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None}
