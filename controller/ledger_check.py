"""Proves the books from the database alone: each broken invariant is one sentence, and no sentence means sound."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from sqlalchemy import JSON, Connection, text

from controller.core.ledger import Entry, Transfer, floor_of, hold
from controller.core.state import Refund, Session
from controller.core.tariff import Bill, bill, capped, used
from controller.database import snapshot
from controller.rows import GENESIS, audit_hash, last_hash


class Totals(msgspec.Struct, frozen=True):
    """What two copies of the same books agree on. `chain` is the newest link of the audit log."""

    entries: int
    transfers: int
    moved_fen: int
    held_fen: int
    sessions: int
    refunds: int
    audit: int
    chain: str


def totals(db: Connection) -> Totals:
    count = {
        table: int(db.scalar(text(f"SELECT COUNT(*) FROM {table}")) or 0)  # noqa: S608
        for table in ("entry", "transfer", "session", "refund", "audit")
    }
    return Totals(
        entries=count["entry"],
        transfers=count["transfer"],
        moved_fen=int(db.scalar(text("SELECT SUM(amount_fen) FROM transfer")) or 0),
        held_fen=int(db.scalar(text("SELECT SUM(balance) FROM account WHERE code LIKE 'session:%'")) or 0),
        sessions=count["session"],
        refunds=count["refund"],
        audit=count["audit"],
        chain=last_hash(db),
    )


def proofs(database: Connection | str) -> list[str]:
    """Every broken invariant; empty when the books are sound. A URL is opened for reading only."""
    if isinstance(database, Connection):
        return [broken for proof in PROOFS for broken in proof(database)]
    with snapshot(database) as db:  # all proofs look at one moment
        return proofs(db)


# -- the ledger ---------------------------------------------------------------------------------------------------


def _sum_is_zero(db: Connection) -> Iterator[str]:
    total = db.scalar(text("SELECT COALESCE(SUM(balance), 0) FROM account"))
    if total != 0:
        yield f"I1: the balances of all accounts sum to {total} fen, not to 0"


def _balances_are_their_transfers(db: Connection) -> Iterator[str]:
    query = """SELECT code, balance, COALESCE(moved, 0) AS moved FROM account LEFT JOIN (
        SELECT account, SUM(amount) AS moved FROM (
            SELECT credit AS account, amount_fen AS amount FROM transfer
            UNION ALL SELECT debit, -amount_fen FROM transfer) AS legs GROUP BY account) AS sums ON account = code
        WHERE balance <> COALESCE(moved, 0) ORDER BY code"""
    for row in db.execute(text(query)):
        yield f"I2: account {row.code} says {row.balance} fen, its transfers say {row.moved}"


def _floors_hold(db: Connection) -> Iterator[str]:
    for row in db.execute(text("SELECT code, floor, balance FROM account ORDER BY code")):
        floor = floor_of(row.code)
        if floor is not None and row.balance < floor:
            yield f"I3: account {row.code} is at {row.balance} fen, below its floor of {floor}"
        if row.floor != floor:
            yield f"I3: account {row.code} has the floor {row.floor}, it should be {floor}"


def _entries_are_unchanged(db: Connection) -> Iterator[str]:
    legs: dict[str, list[Transfer]] = {}
    for row in db.execute(text("SELECT entry_key, debit, credit, amount_fen FROM transfer ORDER BY id")):
        legs.setdefault(row.entry_key, []).append(Transfer(row.debit, row.credit, row.amount_fen))
    for row in db.execute(text('SELECT key, body_hash, kind, ref, at, "by" FROM entry ORDER BY id')):
        own = tuple(legs.pop(row.key, ()))
        if not own:
            yield f"I4: entry {row.key} has no transfers"
        elif Entry(row.key, row.kind, row.ref, row.at, row.by, own).body_hash != row.body_hash:
            yield f"I4: entry {row.key} is not what was booked: its hash does not match"
    for key in sorted(legs):
        yield f"I4: transfers of {key} belong to no entry"


def _numbers_have_no_gap(db: Connection) -> Iterator[str]:
    """Rows are only ever appended, by one writer in one transaction, so a missing number is a deleted row."""
    for table in ("entry", "transfer", "audit"):
        row = db.execute(text(f"SELECT COUNT(*) AS rows, COALESCE(MAX(id), 0) AS last FROM {table}")).one()  # noqa: S608
        if row.rows != row.last:
            yield f"I4: {table} has {row.rows} rows, but the last has number {row.last}"


# -- sessions -----------------------------------------------------------------------------------------------------


def _settled_sessions_hold_nothing(db: Connection) -> Iterator[str]:
    balances = {row.code: row.balance for row in db.execute(text("SELECT code, balance FROM account"))}
    for row in db.execute(text("SELECT id, phase, hold_fen FROM session ORDER BY opened_at, id")):
        held = balances.get(hold(row.id), 0)
        wished = 0 if row.phase == "settled" else row.hold_fen
        if held != wished:
            yield f"I6: session {row.id} is {row.phase} and holds {held} fen, not {wished}"


class Held(msgspec.Struct):
    """What went through one session's hold."""

    into_fen: int = 0
    revenue_fen: int = 0
    back_fen: int = 0


def _holds(db: Connection) -> dict[str, Held]:
    """By account."""
    holds: dict[str, Held] = {}
    query = """SELECT debit, credit, SUM(amount_fen) AS fen FROM transfer
        WHERE debit LIKE 'session:%' OR credit LIKE 'session:%' GROUP BY debit, credit"""
    for row in db.execute(text(query)):
        if row.credit.startswith("session:"):
            holds.setdefault(row.credit, Held()).into_fen += int(row.fen)
        if row.debit.startswith("session:"):
            held = holds.setdefault(row.debit, Held())
            held.revenue_fen += int(row.fen) if row.credit.startswith("revenue:") else 0
            held.back_fen += 0 if row.credit.startswith("revenue:") else int(row.fen)
    return holds


def _captured_is_accounted_for(db: Connection) -> Iterator[str]:
    """Per session: what was held = revenue + what went back, and never more than was held."""
    holds = _holds(db)
    for row in db.execute(text("SELECT id, hold_fen FROM session WHERE phase = 'settled' ORDER BY opened_at, id")):
        held = holds.get(hold(row.id), Held())
        if not held.into_fen == row.hold_fen == held.revenue_fen + held.back_fen:
            yield (
                f"I5: session {row.id} held {row.hold_fen} of {held.into_fen} fen;"
                f" revenue {held.revenue_fen} and returned {held.back_fen}"
            )


def _paid_orders_were_booked(db: Connection) -> Iterator[str]:
    query = """SELECT charge_order.id, charge_order.txn, charge_order.amount_fen, SUM(transfer.amount_fen) AS booked
        FROM charge_order LEFT JOIN transfer ON transfer.entry_key = 'txn:' || provider || ':' || txn
        WHERE state = 'paid' GROUP BY charge_order.id, charge_order.txn, charge_order.amount_fen"""
    for row in db.execute(text(query)):
        if row.booked != row.amount_fen:
            yield f"I5: order {row.id} of {row.amount_fen} fen is paid, payment {row.txn} has {row.booked or 0} fen"


def _bills_are_right(db: Connection) -> Iterator[str]:
    query = """SELECT session.id, session.hold_fen, session.bill_fen, session.returned_fen, session.state,
        receipt.total_fen, receipt.lines FROM session LEFT JOIN receipt ON receipt.session_id = session.id
        WHERE session.phase = 'settled' ORDER BY session.opened_at, session.id"""
    holds = _holds(db)
    for row in db.execute(text(query).columns(lines=JSON)):
        if row.total_fen is None:
            yield f"I8: session {row.id} is settled and has no receipt"
        else:
            yield from _bill_is_right(row, row.lines, holds.get(hold(row.id), Held()).revenue_fen)


def _bill_is_right(row: Any, lines: list[dict[str, Any]], revenue_fen: int) -> Iterator[str]:
    total, billed = row.total_fen, row.bill_fen
    if not total == billed == revenue_fen == sum(line["amount_fen"] for line in lines):
        yield f"I8: session {row.id}: receipt {total}, bill {billed} and revenue {revenue_fen} fen differ, or its lines"
    if billed > row.hold_fen:
        yield f"I8: session {row.id} was billed {billed} fen of {row.hold_fen} held"
    if billed + row.returned_fen != row.hold_fen:
        yield f"I8: session {row.id}: bill {billed} and returned {row.returned_fen} are not the {row.hold_fen} held"
    if msgspec.to_builtins(list(_due(msgspec.json.decode(row.state, type=Session)).lines)) != lines:
        yield f"I8: the receipt of session {row.id} is not its meter times its frozen prices"


def _due(session: Session) -> Bill:
    if session.started_at is None:
        return Bill((), 0, 0, 0)
    return capped(bill(session.tariff, used(session.meter)), session.hold_fen)


def _one_live_session(db: Connection) -> Iterator[str]:
    for column in ("outlet_id", "card_id"):
        query = f"""SELECT {column} AS at, COUNT(*) AS live FROM session
            WHERE phase <> 'settled' AND {column} IS NOT NULL GROUP BY {column} HAVING COUNT(*) > 1"""  # noqa: S608
        for row in db.execute(text(query)):
            yield f"I9: {column} {row.at} has {row.live} live sessions"


# -- refunds and the audit log ------------------------------------------------------------------------------------


def _refunds_match(db: Connection) -> Iterator[str]:
    """What is owed is exactly what is due and not yet paid; what is paid has its entry."""
    for row in db.execute(text("SELECT id, order_id, amount_fen, state FROM refund ORDER BY due_at, id")):
        booked = db.scalar(
            text("SELECT SUM(amount_fen) FROM transfer WHERE entry_key = :key"), {"key": f"refund:{row.id}"}
        )
        paid = row.state in ("success", "by_hand")
        if booked != (row.amount_fen if paid else None):
            yield f"I7: refund {row.id} of {row.amount_fen} fen is {row.state}, the ledger has {booked or 0} fen"
    yield from _owed_is_due(db)
    yield from _never_more_than_paid(db)


def _owed_is_due(db: Connection) -> Iterator[str]:
    owed = """SELECT merchant_id, SUM(amount_fen) AS owed FROM refund WHERE state NOT IN ('success', 'by_hand')
        GROUP BY merchant_id"""
    wished = {f"refund_due:{row.merchant_id}": int(row.owed) for row in db.execute(text(owed))}
    rows = db.execute(text("SELECT code, balance FROM account WHERE code LIKE 'refund_due:%'"))
    have = {row.code: row.balance for row in rows}
    for code in sorted({*wished, *have}):
        if wished.get(code, 0) != have.get(code, 0):
            yield f"I7: {code} is {have.get(code, 0)} fen, but refunds of {wished.get(code, 0)} are open"


def _never_more_than_paid(db: Connection) -> Iterator[str]:
    back: dict[str, int] = {}
    for (body,) in db.execute(text("SELECT body FROM refund")):
        refund = msgspec.json.decode(body, type=Refund)
        key = f"txn:{refund.provider}:{refund.txn}"
        back[key] = back.get(key, 0) + refund.amount_fen
    came = "SELECT entry_key, SUM(amount_fen) AS fen FROM transfer WHERE entry_key LIKE 'txn:%' GROUP BY entry_key"
    paid = {row.entry_key: int(row.fen) for row in db.execute(text(came))}
    for key, fen in sorted(back.items()):
        if fen > paid.get(key, 0):
            yield f"I7: of payment {key} {fen} fen go back, {paid.get(key, 0)} came"


def _audit_is_unbroken(db: Connection) -> Iterator[str]:
    previous = GENESIS
    for row in db.execute(text('SELECT id, at, "by", what, subject, body, previous, hash FROM audit ORDER BY id')):
        digest = audit_hash(row.previous, row.at, row.by, row.what, row.subject, row.body)
        if row.previous != previous or row.hash != digest:
            yield f"audit: the chain breaks at row {row.id} ({row.what} of {row.subject})"
            return
        previous = row.hash


PROOFS: tuple[Callable[[Connection], Iterator[str]], ...] = (
    _sum_is_zero,
    _balances_are_their_transfers,
    _floors_hold,
    _entries_are_unchanged,
    _numbers_have_no_gap,
    _settled_sessions_hold_nothing,
    _captured_is_accounted_for,
    _paid_orders_were_booked,
    _bills_are_right,
    _one_live_session,
    _refunds_match,
    _audit_is_unbroken,
)
