"""What is joined to what: the SELECTs behind queries, and how their rows become records."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Table, func, select
from sqlmodel import SQLModel

import controller.tables  # noqa: F401 - fills the metadata
from controller import records as r
from controller.core import ledger
from controller.core.finish import RULES
from controller.core.state import Outlet, Session

T = TypeVar("T")
Sites = Sequence[str] | None  # whose rows may be seen; None: all

_ALL: Mapping[str, Table] = SQLModel.metadata.tables
SITE, TARIFF, MERCHANT, PILE, OUTLET = (_ALL[name] for name in ("site", "tariff", "merchant", "pile", "outlet"))
FOUND, STICKER, CARD, ORDER, SESSION = (_ALL[name] for name in ("found", "sticker", "card", "charge_order", "session"))
SAMPLE, RECEIPT, MOMENT, REFUND = (_ALL[name] for name in ("sample", "receipt", "moment", "refund"))
KEPT, BIKE, CHARGER = (_ALL[name] for name in ("kept_answer", "bike", "charger"))
ACCOUNT, ENTRY, TRANSFER = (_ALL[name] for name in ("account", "entry", "transfer"))
AUDIT, STAFF, ALARM, PARTY, IDENTITY = (_ALL[name] for name in ("audit", "staff", "alarm", "party", "party_identity"))
OWED = ("due", "closed", "abnormal")
STUCK = ("closed", "abnormal")
SAMPLES_MAX = 2_000  # ten hours at `sample_s` are 1,200


SITES = (
    select(SITE, MERCHANT.c.name.label("merchant_name"), TARIFF.c.name.label("tariff_name"))
    .add_columns(TARIFF.c.zone.label("tariff_zone"), TARIFF.c.bands)
    .join(TARIFF, TARIFF.c.id == SITE.c.tariff_id)
    .join(MERCHANT, MERCHANT.c.id == SITE.c.merchant_id)
)
_PLACE = (OUTLET.c.number, SITE.c.name.label("site_name"), SITE.c.zone)
OUTLETS = (
    select(*(column for column in OUTLET.c if column.name != "state"))
    .add_columns(PILE.c.name.label("pile_name"), SITE.c.name.label("site_name"), SITE.c.zone)
    .join(PILE, PILE.c.id == OUTLET.c.pile_id)
    .join(SITE, SITE.c.id == OUTLET.c.site_id)
)
ORDERS = (
    select(*(column for column in ORDER.c if column.name != "body"), *_PLACE)
    .join(OUTLET, OUTLET.c.id == ORDER.c.outlet_id)
    .join(SITE, SITE.c.id == ORDER.c.site_id)
)
SESSIONS = (
    select(*(column for column in SESSION.c if column.name not in ("state", "curve")), *_PLACE)
    .add_columns(PILE.c.id.label("pile_id"), PILE.c.name.label("pile_name"))
    .join(OUTLET, OUTLET.c.id == SESSION.c.outlet_id)
    .join(PILE, PILE.c.id == OUTLET.c.pile_id)
    .join(SITE, SITE.c.id == SESSION.c.site_id)
)
REFUNDS = select(*(column for column in REFUND.c if column.name != "body"))
CARDS = select(CARD, func.coalesce(ACCOUNT.c.balance, 0).label("balance_fen")).outerjoin(
    ACCOUNT, ACCOUNT.c.code == ledger.card("") + CARD.c.id
)
ALARMS = select(ALARM, OUTLET.c.number).outerjoin(OUTLET, OUTLET.c.id == ALARM.c.outlet_id)
TRANSFERS = select(TRANSFER, ENTRY.c.kind, ENTRY.c.ref, ENTRY.c.at, ENTRY.c.by).join(
    ENTRY, ENTRY.c.key == TRANSFER.c.entry_key
)


def all_of(db: Connection, kind: type[T], query: Select[Any]) -> list[T]:
    return [msgspec.convert(dict(row), kind) for row in db.execute(query).mappings()]


def of(query: Select[Any], column: ColumnElement[Any], sites: Sites) -> Select[Any]:
    return query if sites is None else query.where(column.in_(sites))


def within(
    query: Select[Any], column: ColumnElement[Any], since_at: float | None, until_at: float | None
) -> Select[Any]:
    query = query if since_at is None else query.where(column >= since_at)
    return query if until_at is None else query.where(column < until_at)


def billed(query: Select[Any], column: ColumnElement[Any], bill: str) -> Select[Any]:
    """A bill's number is how its session's id begins: hexadecimal, so that nothing of it comes after `g`."""
    return query.where(column >= bill, column < bill + "g") if bill else query


def site_of(row: RowMapping) -> r.SiteRow:
    tariff = {"id": row["tariff_id"], "name": row["tariff_name"], "zone": row["tariff_zone"], "bands": row["bands"]}
    return msgspec.convert({**row, "tariff": tariff}, r.SiteRow)


def outlet_detail(db: Connection, row: dict[str, Any]) -> r.OutletDetail:
    whole = msgspec.json.decode(row.pop("state"), type=Outlet)
    site = site_of(db.execute(SITES.where(SITE.c.id == row["site_id"])).mappings().one())
    leads = (STICKER.c.outlet_id == row["id"]) & STICKER.c.retired_at.is_(None)
    return r.OutletDetail(
        **row,
        pile=all_of(db, r.PileRow, select(PILE).where(PILE.c.id == row["pile_id"]))[0],
        tariff=site.tariff,
        power_limit_w=whole.power_w,
        lease_s=whole.lease_s,
        record=whole.record,
        failed=whole.failed,
        proof=whole.proof,
        failure=whole.failure,
        stickers=list(db.scalars(select(STICKER.c.id).where(leads).order_by(STICKER.c.made_at))),
    )


def session_detail(db: Connection, row: dict[str, Any]) -> r.SessionDetail:
    whole = msgspec.json.decode(row.pop("state"), type=Session)
    packed = row.pop("curve")
    refunds = all_of(db, r.RefundRow, REFUNDS.where(REFUND.c.session_id == row["id"]).order_by(REFUND.c.due_at))
    receipts = all_of(db, r.ReceiptRow, select(RECEIPT).where(RECEIPT.c.session_id == row["id"]))
    return r.SessionDetail(
        **row,
        tariff=whole.tariff,
        max_s=whole.max_s,
        stopped_by=whole.stopped_by,
        stop_at=whole.stop_at,
        rule=whole.rule,
        finish_rules=whole.finish_rules or RULES,
        curve=_curve(db, row) if packed is None else packed,
        receipt=receipts[0] if receipts else None,
        moments=all_of(db, r.MomentRow, select(MOMENT).where(MOMENT.c.session_id == row["id"]).order_by(MOMENT.c.id)),
        refunds=refunds,
        transfers=transfers_of(db, (row["id"], *(refund.id for refund in refunds))),
    )


def readings_of(db: Connection, session: str) -> r.SessionReadings | None:
    """Of a session under way the samples so far, of one that has ended its packed curve."""
    query = select(SESSION.c.id, SESSION.c.site_id, SESSION.c.started_at, SESSION.c.opened_at, SESSION.c.curve)
    row = db.execute(query.where(SESSION.c.id == session)).mappings().first()
    if row is None:
        return None
    curve = _curve(db, dict(row)) if row["curve"] is None else row["curve"]
    return r.SessionReadings(site_id=row["site_id"], from_at=row["started_at"] or row["opened_at"], curve=curve)


def _curve(db: Connection, row: Mapping[str, Any]) -> list[list[float]]:
    """Of a session under way: its samples so far, counted from the start."""
    start_at = row["started_at"] or row["opened_at"]
    query = select(SAMPLE).where(SAMPLE.c.session_id == row["id"]).order_by(SAMPLE.c.at.desc()).limit(SAMPLES_MAX)
    return [[round(s.at - start_at, 1), s.power_w, s.used_wh] for s in db.execute(query)][::-1]


def transfers_of(db: Connection, refs: Sequence[str]) -> list[r.TransferRow]:
    return all_of(db, r.TransferRow, TRANSFERS.where(ENTRY.c.ref.in_(refs)).order_by(TRANSFER.c.id))


def overview_of(db: Connection, since_at: float, sites: Sites) -> r.Overview:
    today = of(select(func.count(), func.coalesce(func.sum(SESSION.c.energy_wh), 0.0)), SESSION.c.site_id, sites)
    sessions, energy_wh = db.execute(today.where(SESSION.c.opened_at >= since_at)).one()
    takings = select(func.coalesce(func.sum(SESSION.c.bill_fen), 0)).where(SESSION.c.settled_at >= since_at)
    due = select(func.coalesce(func.sum(REFUND.c.amount_fen), 0)).where(REFUND.c.state.in_(OWED))
    stuck = select(func.count()).select_from(REFUND).where(REFUND.c.state.in_(STUCK))
    alarms = select(func.count()).select_from(ALARM).where(ALARM.c.cleared_at.is_(None))
    return r.Overview(
        sessions=sessions,
        energy_wh=energy_wh,
        takings_fen=db.scalar(of(takings, SESSION.c.site_id, sites)) or 0,
        refunds_due_fen=db.scalar(of(due, REFUND.c.site_id, sites)) or 0,
        refunds_stuck=db.scalar(of(stuck, REFUND.c.site_id, sites)) or 0,
        alarms_open=db.scalar(of(alarms, ALARM.c.site_id, sites)) or 0,
    )
