"""Each effect's rows: how what the core wishes is written, on the writer's one connection."""

import hashlib
import json
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, Table, Update, bindparam, delete, func, insert, null, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel, col

from controller import tables as t
from controller.core import bikes
from controller.core import effects as fx
from controller.core.ledger import floor_of, kind_of
from controller.core.state import Phase, Session

GENESIS = "0" * 64
KEPT_S = 7 * 86_400.0


def put(db: Connection, table: type[SQLModel], values: dict[str, Any], key: str) -> None:
    db.execute(_upsert(db.dialect.name, table, tuple(values), key), values)


def upsert_into(dialect: str, table: type[SQLModel]) -> "sqlite.Insert | postgresql.Insert":
    """Both speak the same, in the words of each."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


@cache
def _upsert(dialect: str, table: type[SQLModel], names: tuple[str, ...], key: str) -> Any:
    """Made once a shape: building a statement costs more than running it."""
    statement = upsert_into(dialect, table)
    changed = {name: statement.excluded[name] for name in names if name != key}
    if changed:
        return statement.on_conflict_do_update(index_elements=[key], set_=changed)
    return statement.on_conflict_do_nothing()


def _session(db: Connection, row: fx.SaveSession) -> None:
    s = row.session
    values = {
        "id": s.id,
        "outlet_id": s.outlet,
        "site_id": s.site,
        "merchant_id": s.merchant,
        "party_id": s.party,
        "order_id": s.order,
        "card_id": s.card,
        "phase": str(s.phase),
        "reason": None if s.reason is None else str(s.reason),
        "opened_at": s.opened_at,
        "started_at": s.started_at,
        "off_at": s.off_at,
        "settled_at": s.settled_at,
        "hold_fen": s.hold_fen,
        "bill_fen": None if s.bill is None else s.bill.total_fen,
        "returned_fen": s.returned_fen if s.bill is not None else None,
        "energy_wh": s.meter.used_wh,
        "peak_w": s.peak_w,
        "proof": s.proof,
        "evidence": s.evidence,
        "state": msgspec.json.encode(s),
    }
    if not _only_moved(db, values):
        put(db, t.Session, values, "id")
    if s.phase is Phase.SETTLED:
        _pack_curve(db, s)


_MOVING = (
    "started_at",
    "off_at",
    "hold_fen",
    "bill_fen",
    "returned_fen",
    "energy_wh",
    "peak_w",
    "proof",
    "evidence",
    "state",
)


def _only_moved(db: Connection, values: dict[str, Any]) -> bool:
    """Most saves change nothing that an index holds: writing those anew each time would wear a card out."""
    same = {"is_id": values["id"], "is_phase": values["phase"], "is_reason": values["reason"] or ""}
    return db.execute(_moved(), {**same, **{name: values[name] for name in _MOVING}}).rowcount == 1


@cache
def _moved() -> Update:
    reason = func.coalesce(col(t.Session.reason), "")
    same = (col(t.Session.id) == bindparam("is_id")) & (col(t.Session.phase) == bindparam("is_phase"))
    return update(t.Session).where(same & (reason == bindparam("is_reason")))


def _pack_curve(db: Connection, session: Session) -> None:
    """The samples of an ended session become one value of its row."""
    query = text("SELECT at, power_w, used_wh FROM sample WHERE session_id = :session ORDER BY at")
    rows = db.execute(query, {"session": session.id})
    start = session.started_at or session.opened_at
    curve = [[round(at - start, 1), power_w, used_wh] for at, power_w, used_wh in rows]
    db.execute(update(t.Session).where(col(t.Session.id) == session.id).values(curve=curve))
    db.execute(delete(t.Sample).where(col(t.Sample.session_id) == session.id))


def sampled(db: Connection, rows: list[fx.Sampled]) -> None:
    """One statement a batch: executemany gives up the interpreter at each row."""
    if not rows:
        return
    if db.dialect.name == "sqlite":
        packed = msgspec.json.encode([(r.session, r.at, r.power_w, r.used_wh) for r in rows]).decode()
        db.execute(_SAMPLES_SQLITE, {"packed": packed})
    else:
        columns = zip(*((r.session, r.at, r.power_w, r.used_wh) for r in rows), strict=True)
        db.execute(_SAMPLES_POSTGRESQL, dict(zip("sapu", map(list, columns), strict=True)))


def progressed(db: Connection, rows: list[fx.Progressed]) -> None:
    """One statement, as with samples; of each session the newest."""
    if not rows:
        return
    newest = {row.session.id: row.session for row in rows}.values()
    if db.dialect.name == "sqlite":
        packed = [(s.id, msgspec.json.encode(s).decode(), s.meter.used_wh, s.peak_w) for s in newest]
        db.execute(_PROGRESS_SQLITE, {"packed": msgspec.json.encode(packed).decode()})
    else:
        columns = zip(*((s.id, msgspec.json.encode(s), s.meter.used_wh, s.peak_w) for s in newest), strict=True)
        db.execute(_PROGRESS_POSTGRESQL, dict(zip("isup", map(list, columns), strict=True)))


_PROGRESS_SQLITE = text(
    "UPDATE session SET state = CAST(p.value ->> 1 AS BLOB), energy_wh = p.value ->> 2, peak_w = p.value ->> 3"
    " FROM json_each(:packed) AS p WHERE session.id = p.value ->> 0"
)
_PROGRESS_POSTGRESQL = text(
    "UPDATE session SET state = p.state, energy_wh = p.used_wh, peak_w = p.peak_w FROM unnest(CAST(:i AS text[]),"
    " CAST(:s AS bytea[]), CAST(:u AS float8[]), CAST(:p AS float8[])) AS p(id, state, used_wh, peak_w)"
    " WHERE session.id = p.id"
)
_SAMPLES_SQLITE = text(
    "INSERT INTO sample(session_id, at, power_w, used_wh) SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3"
    " FROM json_each(:packed) WHERE true ON CONFLICT DO NOTHING"
)
_SAMPLES_POSTGRESQL = text(
    "INSERT INTO sample(session_id, at, power_w, used_wh) SELECT * FROM unnest(CAST(:s AS text[]),"
    " CAST(:a AS float8[]), CAST(:p AS float8[]), CAST(:u AS float8[])) ON CONFLICT DO NOTHING"
)


def _outlet(db: Connection, row: fx.SaveOutlet) -> None:
    o = row.outlet
    values = {
        "id": o.id,
        "pile_id": o.pile,
        "site_id": o.site,
        "channel": o.channel,
        "number": o.number,
        "phase": str(o.phase),
        "lease_class": o.lease_class,
        "latch": o.latch,
        "locked_by": o.locked_by,
        "commissioned_at": o.commissioned_at,
        "state": msgspec.json.encode(o),
    }
    put(db, t.Outlet, values, "id")


def _order(db: Connection, row: fx.SaveOrder) -> None:
    o = row.order
    values = {
        "id": o.id,
        "key": o.key,
        "session_id": o.session,
        "outlet_id": o.outlet,
        "site_id": o.site,
        "merchant_id": o.merchant,
        "party_id": o.party,
        "provider": o.provider,
        "amount_fen": o.amount_fen,
        "secret_hash": o.secret_hash,
        "state": str(o.state),
        "placed_at": o.placed_at,
        "expires_at": o.expires_at,
        "pay_url": o.pay_url,
        "txn": o.txn,
        "why": o.why,
        "body": msgspec.json.encode(o),
    }
    put(db, t.ChargeOrder, values, "id")


def _card(db: Connection, row: fx.SaveCard) -> None:
    c = row.card
    put(db, t.Card, {"id": c.id, "uid": c.uid, "printed": c.printed, "party_id": c.party, "frozen": c.frozen}, "id")


def _refund(db: Connection, row: fx.SaveRefund) -> None:
    r = row.refund
    values = {
        "id": r.id,
        "order_id": r.order,
        "session_id": r.session,
        "site_id": db.scalar(select(col(t.ChargeOrder.site_id)).where(col(t.ChargeOrder.id) == r.order)) or "",
        "merchant_id": r.merchant,
        "provider": r.provider,
        "amount_fen": r.amount_fen,
        "state": str(r.state),
        "due_at": r.due_at,
        "done_at": r.done_at,
        "why": r.why,
        "body": msgspec.json.encode(r),
    }
    put(db, t.Refund, values, "id")


def _post(db: Connection, row: fx.Post) -> None:
    e = row.entry
    head = {"key": e.key, "body_hash": e.body_hash, "kind": e.kind, "ref": e.ref, "at": e.at, "by": e.by}
    db.execute(insert(t.Entry).values(id=_next(db, t.Entry), **head))
    for leg in e.transfers:
        for account in (leg.debit, leg.credit):
            new = {"code": account, "kind": kind_of(account), "floor": floor_of(account), "balance": 0}
            db.execute(upsert_into(db.dialect.name, t.Account).values(new).on_conflict_do_nothing())
        moved = {"entry_key": e.key, "debit": leg.debit, "credit": leg.credit, "amount_fen": leg.amount_fen}
        db.execute(insert(t.Transfer).values(id=_next(db, t.Transfer), **moved))
        _move(db, leg.debit, -leg.amount_fen)
        _move(db, leg.credit, leg.amount_fen)


def _next(db: Connection, table: type[SQLModel]) -> int:
    """Counted on from the last row, not drawn from a sequence: a gap shall mean that a row was taken away."""
    newest = db.scalar(_newest(table))
    return 1 if newest is None else int(newest) + 1


@cache
def _newest(table: type[SQLModel]) -> Select[Any]:
    rows: Table = table.__table__  # type: ignore[attr-defined]
    return select(func.max(rows.c.id))


def _move(db: Connection, account: str, by_fen: int) -> None:
    column = col(t.Account.balance)
    db.execute(update(t.Account).where(col(t.Account.code) == account).values(balance=column + by_fen))


def _receipt(db: Connection, row: fx.Receipt) -> None:
    s = row.session
    lines = [] if s.bill is None else msgspec.to_builtins(s.bill.lines)
    total_fen = 0 if s.bill is None else s.bill.total_fen
    db.execute(insert(t.Receipt).values(session_id=s.id, at=s.settled_at, total_fen=total_fen, lines=lines))


def _moment(db: Connection, row: fx.Moment) -> None:
    db.execute(insert(t.Moment).values(session_id=row.session, at=row.at, what=row.what, evidence=row.values))


def _alarm(db: Connection, row: fx.RaiseAlarm) -> None:
    new = upsert_into(db.dialect.name, t.Alarm).values(
        id=row.id, at=row.at, site_id=row.site, outlet_id=row.outlet, kind=row.kind, evidence=row.evidence
    )
    db.execute(new.on_conflict_do_nothing())


def _clear_alarms(db: Connection, row: fx.ClearAlarms) -> None:
    open_ones = (col(t.Alarm.outlet_id) == row.outlet) & col(t.Alarm.cleared_at).is_(None)
    if row.kind:
        open_ones &= col(t.Alarm.kind) == row.kind
    db.execute(update(t.Alarm).where(open_ones).values(cleared_at=row.at, cleared_by=row.by))


def audited(db: Connection, row: fx.Audit, previous: str) -> str:
    body = json.dumps(row.values, sort_keys=True, ensure_ascii=False, default=str)
    digest = audit_hash(previous, row.at, row.by, row.what, row.subject, body)
    values = {"at": row.at, "by": row.by, "what": row.what, "subject": row.subject, "body": body}
    values["id"] = _next(db, t.Audit)
    db.execute(insert(t.Audit).values(**values, previous=previous, hash=digest))
    return digest


def audit_hash(previous: str, at: float, by: str, what: str, subject: str, body: str) -> str:
    chained = json.dumps([previous, repr(at), by, what, subject, body], ensure_ascii=False)
    return hashlib.sha256(chained.encode()).hexdigest()


def last_hash(db: Connection) -> str:
    return db.scalar(text("SELECT hash FROM audit ORDER BY id DESC LIMIT 1")) or GENESIS


_HOUSE: dict[str, type[SQLModel]] = {
    "merchant": t.Merchant,
    "tariff": t.Tariff,
    "pile": t.Pile,
    "found": t.Found,
    "sticker": t.Sticker,
    "party": t.Party,
    "staff": t.Staff,
    "api_token": t.ApiToken,
    "hook": t.Hook,
    "party_identity": t.PartyIdentity,
    "bike": t.Bike,
}


def _house(db: Connection, row: fx.Put) -> None:
    if row.table == "site":
        values = {name: row.values[name] for name in ("id", "name", "zone", "merchant_id")}
        tariff: Any = row.values["tariff"]
        put(db, t.Site, {**values, "tariff_id": tariff["id"], "epoch": 0}, "id")
    elif row.table == "party":
        db.execute(upsert_into(db.dialect.name, t.Party).values(row.values).on_conflict_do_nothing())
    else:
        put(db, _HOUSE[row.table], dict(row.values), _key_of(row.table))


def _key_of(table: str) -> str:
    return "party_id" if table == "party_identity" else "id"


def _bike(db: Connection, row: fx.SaveBike) -> None:
    """And those go that have not come for too long, as from memory."""
    b = row.bike
    names = {"id": b.id, "site_id": b.site, "party_id": b.party, "name": b.name, "charger_id": b.charger}
    db.execute(delete(t.Bike).where(col(t.Bike.at) < b.at - bikes.KEPT_S))
    put(db, t.Bike, {**names, "at": b.at, "kept": b.kept, "memory": msgspec.json.encode(b.memory)}, "id")


def _charger(db: Connection, row: fx.SaveCharger) -> None:
    c, by_whom = row.charger, {"by": row.by, "at": row.at}
    if row.evidence is None:
        db.execute(update(t.Charger).where(col(t.Charger.id) == c.id).values(state=c.state, **by_whom))
        return
    values = {"id": c.id, "site_id": c.site, "name": c.name, "rules": c.rules, "state": c.state}
    put(db, t.Charger, {**values, "evidence": row.evidence, **by_whom}, "id")


def _finish(db: Connection, row: fx.SaveFinish) -> None:
    db.execute(update(t.Site).where(col(t.Site.id) == row.site).values(finish=row.rules or null()))


def _power(db: Connection, row: fx.SavePower) -> None:
    table: Any = _HOUSE.get(row.of, t.Site)
    db.execute(update(table).where(table.id == row.id).values(power_w=row.power_w))


def _cut(db: Connection, row: fx.SaveCut) -> None:
    cut = row.cut
    at, by, why = (None, None, None) if cut is None else (cut.at, cut.by, str(cut.why))
    values = {"cut_at": at, "cut_by": by, "cut_why": why}
    db.execute(update(t.Site).where(col(t.Site.id) == row.site).values(values))


def _inputs(db: Connection, row: fx.SaveInputs) -> None:
    db.execute(update(t.Pile).where(col(t.Pile.id) == row.pile).values(inputs=row.inputs))


def _name_pile(db: Connection, row: fx.NamePile) -> None:
    db.execute(update(t.Pile).where(col(t.Pile.id) == row.id).values(name=row.name))


def _hardware(db: Connection, row: fx.SaveHardware) -> None:
    values = {**msgspec.structs.asdict(row.hardware), "adopted_at": row.at}
    db.execute(update(t.Pile).where(col(t.Pile.id) == row.pile).values(values))


def _firmware(db: Connection, row: fx.SaveFirmware) -> None:
    values = {"firmware": row.firmware, **({"model": row.model} if row.model else {})}
    db.execute(update(t.Pile).where(col(t.Pile.id) == row.pile).values(values))


def _keep_answer(db: Connection, row: fx.KeepAnswer) -> None:
    """A week is longer than anybody repeats."""
    db.execute(delete(t.KeptAnswer).where(col(t.KeptAnswer.at) < row.at - KEPT_S))
    put(db, t.KeptAnswer, {"key": row.key, "at": row.at, "wish": row.wish, "answer": row.answer}, "key")


def _drop(db: Connection, row: fx.Drop) -> None:
    table: Any = _HOUSE[row.table]
    db.execute(delete(table).where(getattr(table, _key_of(row.table)) == row.key))


def _wish(db: Connection, row: fx.Wish) -> None:
    values = {
        "slot": row.slot,
        "version": row.version,
        "kind": row.kind,
        "payload": row.payload,
        "not_before": row.not_before,
        "expires_at": row.expires_at,
        "attempts": 0,
    }
    put(db, t.Outbox, values, "slot")


def _wish_done(db: Connection, row: fx.WishDone) -> None:
    """Only if nobody wished for something newer while it was carried out."""
    same = (col(t.Outbox.slot) == row.slot) & (col(t.Outbox.version) == row.version)
    if row.retry_at is None:
        db.execute(delete(t.Outbox).where(same))
    else:
        attempts = col(t.Outbox.attempts)
        db.execute(update(t.Outbox).where(same).values(not_before=row.retry_at, attempts=attempts + 1))


WRITE: dict[type, Any] = {
    fx.SaveSession: _session,
    fx.SaveOutlet: _outlet,
    fx.SaveOrder: _order,
    fx.SaveCard: _card,
    fx.SaveRefund: _refund,
    fx.Post: _post,
    fx.Receipt: _receipt,
    fx.Moment: _moment,
    fx.RaiseAlarm: _alarm,
    fx.ClearAlarms: _clear_alarms,
    fx.SavePower: _power,
    fx.SaveBike: _bike,
    fx.SaveCharger: _charger,
    fx.SaveFinish: _finish,
    fx.SaveCut: _cut,
    fx.SaveInputs: _inputs,
    fx.Put: _house,
    fx.NamePile: _name_pile,
    fx.SaveFirmware: _firmware,
    fx.SaveHardware: _hardware,
    fx.KeepAnswer: _keep_answer,
    fx.Drop: _drop,
    fx.Wish: _wish,
    fx.WishDone: _wish_done,
}
