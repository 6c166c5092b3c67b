"""Rows in and state out: one writing connection, used by the writer alone. SQLite now; nothing here decides.

`write` puts a batch's rows in one transaction, with the batch's number, so that a lost answer can be read back.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlmodel import SQLModel

from controller import tables as t
from controller.core import effects as fx
from controller.core.house import House, site_of
from controller.core.state import Card, Order, OrderState, Outlet, Refund, Seen, Session
from controller.rows import WRITE, audited, last_hash, put, sampled

T = TypeVar("T")

# a settled session holds nothing for ever, and there are as many as there were charges
BALANCES = "SELECT code, balance FROM account WHERE balance <> 0 OR code NOT LIKE 'session:%'"


class NewerDatabase(Exception):
    """The database was made by a newer program; nothing was touched."""


class Loaded(msgspec.Struct, frozen=True):
    """What a restart begins with. `newest_at` is the newest moment on disk, for judging our clock."""

    house: House
    sessions: tuple[Session, ...]
    wishes: tuple[fx.Wish, ...]
    newest_at: float


class Store:
    """Owns the writing connection. Errors of the database rise as SQLAlchemy's; the writer decides what to do."""

    def __init__(self, url: str, name: str = "gw") -> None:
        self.url = url
        self.name = name
        self.engine = writing_engine(url)
        self._audit_hash: str | None = None

    def create(self) -> None:
        """Makes the schema if it is not there; refuses a newer one."""
        with self.engine.begin() as db:
            SQLModel.metadata.create_all(db)
            have = db.scalar(text("SELECT value FROM meta WHERE key = 'schema'"))
            if have is not None and int(have) > t.SCHEMA:
                raise NewerDatabase(f"the database has schema {have}, this program knows {t.SCHEMA}: update it")
            put(db, t.Meta, {"key": "schema", "value": str(t.SCHEMA)}, "key")
            for table in t.APPEND_ONLY:
                for verb in ("UPDATE", "DELETE"):
                    db.execute(text(_TRIGGER.format(table=table, verb=verb)))

    def write(self, number: str, rows: Iterable[fx.Effect]) -> None:
        with self.engine.begin() as db:
            audit_hash, self._audit_hash = self._audit_hash or last_hash(db), None  # unknown until this is on disk
            rows = tuple(rows)
            sampled(db, [row for row in rows if isinstance(row, fx.Sampled)])  # before a settlement packs them
            for row in rows:
                if isinstance(row, fx.Audit):
                    audit_hash = audited(db, row, audit_hash)
                elif not isinstance(row, fx.Sampled):
                    WRITE[type(row)](db, row)
            put(db, t.Meta, {"key": f"batch:{self.name}", "value": number}, "key")
        self._audit_hash = audit_hash

    def last_batch(self) -> str | None:
        with self.engine.connect() as db:
            number: str | None = db.scalar(
                text("SELECT value FROM meta WHERE key = :key"), {"key": f"batch:{self.name}"}
            )
            return number

    def load(self) -> Loaded:
        with self.engine.connect() as db:
            return _loaded(db)

    def piles(self) -> list[tuple[str, str, str, tuple[str, ...], dict[str, Any]]]:
        """Id, family, address, outlets by channel and params of every adopted pile."""
        with self.engine.connect() as db:
            outlets: dict[str, list[str]] = {}
            for row in db.execute(text("SELECT pile_id, id FROM outlet ORDER BY pile_id, channel")):
                outlets.setdefault(row.pile_id, []).append(row.id)
            piles = db.execute(text("SELECT id, family, address, params FROM pile")).all()
            return [(p.id, p.family, p.address, tuple(outlets.get(p.id, ())), json.loads(p.params)) for p in piles]

    def close(self) -> None:
        self.engine.dispose()


def writing_engine(url: str) -> Engine:
    """SQLite in WAL, every commit on the disk, transactions begun as writers; parameters never in error texts."""
    engine = create_engine(url, hide_parameters=True, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=0)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA busy_timeout=1000")
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(db: Connection) -> None:
        db.exec_driver_sql("BEGIN IMMEDIATE")

    return engine.execution_options(isolation_level="SERIALIZABLE")


_TRIGGER = (
    "CREATE TRIGGER IF NOT EXISTS {table}_no_{verb} BEFORE {verb} ON {table} "
    "BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
)


# -- state --------------------------------------------------------------------------------------------------------


def _loaded(db: Connection) -> Loaded:
    house = House()
    _load_sites(db, house)
    for outlet in _decoded(db, "SELECT state FROM outlet", Outlet):
        house.outlets[outlet.id] = outlet
        house.seen[outlet.id] = Seen()
    sessions = tuple(_decoded(db, "SELECT state FROM session WHERE phase <> 'settled'", Session))
    _load_orders(db, house, sessions)
    for row in db.execute(text("SELECT id, uid, printed, party_id, frozen FROM card")):
        house.apply(fx.SaveCard(Card(row.id, row.uid, row.printed, row.party_id, bool(row.frozen))))
    house.logins = {row.login: row.id for row in db.execute(text("SELECT login, id FROM staff"))}
    _load_money(db, house)
    return Loaded(house, sessions, _load_wishes(db, house), _newest_at(db))


def _decoded(db: Connection, query: str, kind: type[T]) -> Iterator[T]:
    for (body,) in db.execute(text(query)):
        yield msgspec.json.decode(body, type=kind)


def _load_sites(db: Connection, house: House) -> None:
    query = """SELECT site.id, site.name, site.zone, site.merchant_id, tariff.id AS tariff_id, tariff.name AS tariff,
        tariff.zone AS tariff_zone, tariff.bands FROM site JOIN tariff ON tariff.id = site.tariff_id"""
    for row in db.execute(text(query)):
        tariff = {"id": row.tariff_id, "name": row.tariff, "zone": row.tariff_zone, "bands": json.loads(row.bands)}
        values = {"id": row.id, "name": row.name, "zone": row.zone, "merchant_id": row.merchant_id, "tariff": tariff}
        house.sites[row.id] = site_of(values)
    for found in db.execute(text("SELECT * FROM found")).mappings():
        house.found[found["id"]] = {**found, "params": json.loads(found["params"])}


def _load_orders(db: Connection, house: House, sessions: tuple[Session, ...]) -> None:
    """Open orders, the paid ones whose session still runs, and those that an errand may yet find to be paid."""
    query = """SELECT body FROM charge_order WHERE state = 'open'
        OR id IN (SELECT order_id FROM session WHERE phase <> 'settled')
        OR id IN (SELECT payload ->> 'order' FROM outbox WHERE kind IN ('query', 'close'))"""
    live = {session.order for session in sessions}
    for order in _decoded(db, query, Order):
        if order.state is OrderState.OPEN or order.id in live:
            house.apply(fx.SaveOrder(order))
        else:
            house.ended[order.id] = order


def _load_money(db: Connection, house: House) -> None:
    owed = "SELECT body FROM refund WHERE state NOT IN ('success', 'by_hand')"
    for refund in _decoded(db, owed, Refund):
        house.refunds[refund.id] = refund
    house.balances = {row.code: row.balance for row in db.execute(text(BALANCES))}
    newest = db.execute(text("SELECT key, body_hash FROM entry ORDER BY id DESC LIMIT 10000")).all()
    house.entries = {row.key: row.body_hash for row in reversed(newest)}


def _load_wishes(db: Connection, house: House) -> tuple[fx.Wish, ...]:
    wishes = []
    for row in db.execute(text("SELECT slot, version, kind, payload, not_before, expires_at FROM outbox")):
        payload = json.loads(row.payload)
        wishes.append(fx.Wish(row.slot, row.kind, payload, row.not_before, row.expires_at, row.version))
        house.outbox[row.slot] = row.version
        house.versions = max(house.versions, row.version)
    return tuple(wishes)


def _newest_at(db: Connection) -> float:
    queries = ("SELECT MAX(at) FROM entry", "SELECT MAX(opened_at) FROM session", "SELECT MAX(at) FROM audit")
    return max((db.scalar(text(query)) or 0.0) for query in queries)
