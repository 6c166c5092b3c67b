"""Rows in and state out: one writing connection, on SQLite or PostgreSQL, used by the writer alone; it decides nothing.

`write` puts a batch's rows in one transaction, with the batch's number, so that a lost answer can be read back.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace
from sqlalchemy import JSON, Connection, RowMapping, or_, select, text
from sqlmodel import col

from controller import schema
from controller import tables as t
from controller.core import effects as fx
from controller.core.bikes import Bike, Memory
from controller.core.chargers import Charger
from controller.core.events import Held
from controller.core.hardware import hardware_of, placed
from controller.core.house import House, site_of
from controller.core.reasons import StopReason
from controller.core.state import Card, Cut, Order, OrderState, Outlet, Refund, Session
from controller.core.tariff import Tariff
from controller.database import writing_engine
from controller.feed import Kept, fed, newest_on
from controller.owner import Taken, claim_on
from controller.rows import WRITE, audited, last_hash, progressed, put, sampled

T = TypeVar("T")
P = TypeVar("P", Session, Order)
Adopted = tuple[str, str, str, tuple[str, ...], dict[str, Any]]

# a settled session holds nothing for ever, and there are as many as there were charges
BALANCES = "SELECT code, balance FROM account WHERE balance <> 0 OR code NOT LIKE 'session:%'"


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
        self._claim = claim_on(url)
        self.engine = writing_engine(url, self._connected)
        self._audit_hash: str | None = None
        self._left: tuple[str | None, ...] | None = None  # the batches the disk may end with, once we have seen it

    def create(self) -> None:
        """Claims the database, and makes the schema if it is empty. Raises Unusable: taken, older or newer."""
        try:
            self._claim.take()
            with self.engine.begin() as db:
                schema.ready(db)
            self.last_batch()
        except BaseException:
            self.close()
            raise

    def write(self, number: str, rows: Iterable[fx.Effect], at: float = 0.0) -> tuple[Kept, ...]:
        """One transaction; answers with what it has added to the feed."""
        self._left = None if self._left is None else (self._left[0], number)
        with self.engine.begin() as db:
            audit_hash, self._audit_hash = self._audit_hash or last_hash(db), None  # unknown until this is on disk
            rows = tuple(rows)
            kept = fed(db, rows, at)
            sampled(db, [row for row in rows if isinstance(row, fx.Sampled)])  # before a settlement packs them
            progressed(db, [row for row in rows if isinstance(row, fx.Progressed)])
            for row in rows:
                if isinstance(row, fx.Audit):
                    audit_hash = audited(db, row, audit_hash)
                elif not isinstance(row, fx.RIDING):
                    WRITE[type(row)](db, row)
            put(db, t.Meta, {"key": f"batch:{self.name}", "value": number}, "key")
        self._audit_hash, self._left = audit_hash, (number,)
        return kept

    def last_batch(self) -> str | None:
        with self.engine.connect() as db:
            number: str | None = db.scalar(
                text("SELECT value FROM meta WHERE key = :key"), {"key": f"batch:{self.name}"}
            )
        self._left = (number,)
        return number

    def newest_fed(self) -> int:
        with self.engine.connect() as db:
            return newest_on(db)

    def unwritten(self, held: Iterable[Held]) -> list[Held]:
        """Those cuts of the trip journal that never came to the disk; of the others the rows know more."""
        query = text("SELECT 1 FROM audit WHERE subject = :id AND at = :at AND what = :what")
        with self.engine.connect() as db:
            return [
                one for one in held if db.scalar(query, {"id": one.id, "at": one.at, "what": f"{one.of}_cut"}) is None
            ]

    def load(self) -> Loaded:
        with self.engine.connect() as db:
            return _loaded(db)

    def piles(self) -> list[Adopted]:
        with self.engine.connect() as db:
            return piles_on(db)

    def close(self) -> None:
        self.engine.dispose()
        self._claim.release()

    def _connected(self, connection: Any) -> None:
        """Whoever was connected before us may have written; then what we know is old, and we may not go on."""
        self._claim.connected(connection)
        if self._left is not None and (found := _last_batch(connection, self.name)) not in self._left:
            connection.close()
            raise Taken(f"database: it ends with batch {found}, not with ours: another gateway or an old copy is there")


def piles_on(db: Connection) -> list[Adopted]:
    """Id, family, address, outlets by channel and params of every adopted pile."""
    outlets: dict[str, list[tuple[int, str]]] = {}
    for row in db.execute(text("SELECT pile_id, channel, id FROM outlet")):
        outlets.setdefault(row.pile_id, []).append((row.channel, row.id))
    piles = db.execute(text("SELECT id, family, address, params FROM pile").columns(params=JSON)).all()
    return [(p.id, p.family, p.address, placed(outlets.get(p.id, ()), p.params), p.params) for p in piles]


def _last_batch(connection: Any, name: str) -> str | None:
    row = connection.execute(f"SELECT value FROM meta WHERE key = 'batch:{name}'").fetchone()  # noqa: S608
    connection.commit()
    return None if row is None else str(row[0])


# -- state --------------------------------------------------------------------------------------------------------


def _loaded(db: Connection) -> Loaded:
    house = House()
    _load_sites(db, house)
    for outlet in _decoded(db, "SELECT state FROM outlet", Outlet):
        house.apply(fx.SaveOutlet(outlet))
    for of in ("site", "pile"):
        for row in db.execute(text(f"SELECT id, power_w FROM {of} WHERE power_w IS NOT NULL")):  # noqa: S608
            house.apply(fx.SavePower(of, row.id, row.power_w))
    _load_cuts(db, house)
    alike: dict[Tariff, Tariff] = {}
    live = _decoded(db, "SELECT state FROM session WHERE phase <> 'settled'", Session)
    sessions = tuple(_shared(session, alike) for session in live)
    _load_orders(db, house, sessions, alike)
    for row in db.execute(text("SELECT id, uid, printed, party_id, frozen FROM card")):
        house.apply(fx.SaveCard(Card(row.id, row.uid, row.printed, row.party_id, bool(row.frozen))))
    for staff in db.execute(select(t.Staff.__table__)).mappings():  # type: ignore[attr-defined]
        house.apply(fx.Put("staff", dict(staff)))
    house.reachable.update(
        db.scalars(select(col(t.PartyIdentity.party_id)).where(col(t.PartyIdentity.kind) == "email"))
    )
    _load_bikes(db, house)
    _load_money(db, house)
    return Loaded(house, sessions, _load_wishes(db, house), _newest_at(db))


def _load_cuts(db: Connection, house: House) -> None:
    for row in db.execute(text("SELECT id, cut_at, cut_by, cut_why FROM site WHERE cut_at IS NOT NULL")):
        house.apply(fx.SaveCut(row.id, Cut(row.cut_at, row.cut_by, StopReason(row.cut_why))))
    for row in db.execute(text("SELECT id, inputs FROM pile").columns(inputs=JSON)):
        if row.inputs:
            house.apply(fx.SaveInputs(row.id, row.inputs))


def _decoded(db: Connection, query: str, kind: type[T]) -> Iterator[T]:
    for (body,) in db.execute(text(query)):
        yield msgspec.json.decode(body, type=kind)


def _load_sites(db: Connection, house: House) -> None:
    query = """SELECT site.id, site.name, site.zone, site.merchant_id, tariff.id AS tariff_id, tariff.name AS tariff,
        tariff.zone AS tariff_zone, tariff.bands FROM site JOIN tariff ON tariff.id = site.tariff_id"""
    for row in db.execute(text(query).columns(bands=JSON)):
        tariff = {"id": row.tariff_id, "name": row.tariff, "zone": row.tariff_zone, "bands": row.bands}
        values = {"id": row.id, "name": row.name, "zone": row.zone, "merchant_id": row.merchant_id, "tariff": tariff}
        house.sites[row.id] = site_of(values)
    house.merchants = {row.id: row.name for row in db.execute(text("SELECT id, name FROM merchant"))}
    for pile in db.execute(select(t.Pile.__table__)).mappings():  # type: ignore[attr-defined]
        house.piles[pile["id"]] = pile["name"]
        house.made_of(pile["id"], hardware_of(dict(pile)))
    for found in db.execute(select(t.Found.__table__)).mappings():  # type: ignore[attr-defined]
        house.found[found["id"]] = dict(found)


def _shared(priced: P, alike: dict[Tariff, Tariff]) -> P:
    """Frozen prices are the same for thousands: kept once."""
    return replace(priced, tariff=alike.setdefault(priced.tariff, priced.tariff))


def _load_orders(db: Connection, house: House, sessions: tuple[Session, ...], alike: dict[Tariff, Tariff]) -> None:
    """Open orders, the paid ones whose session still runs, and those that an errand may yet find to be paid."""
    order_id = col(t.ChargeOrder.id)
    running = select(col(t.Session.order_id)).where(col(t.Session.phase) != "settled")
    asked = select(col(t.Outbox.payload)["order"].as_string()).where(col(t.Outbox.kind).in_(("query", "close")))
    wanted = or_(col(t.ChargeOrder.state) == "open", order_id.in_(running), order_id.in_(asked))
    live = {session.order for session in sessions}
    for (body,) in db.execute(select(col(t.ChargeOrder.body)).where(wanted)):
        order = _shared(msgspec.json.decode(body, type=Order), alike)
        if order.state is OrderState.OPEN or order.id in live:
            house.apply(fx.SaveOrder(order))
        else:
            house.ended[order.id] = order


def _load_bikes(db: Connection, house: House) -> None:
    """Bikes, models of chargers, and the detector's settings of each site."""
    for row in db.execute(select(t.Bike.__table__).order_by(col(t.Bike.at))).mappings():  # type: ignore[attr-defined]
        house.bikes[row["id"]] = bike_of(row)
    for row in db.execute(select(t.Charger.__table__)).mappings():  # type: ignore[attr-defined]
        charger = Charger(row["id"], row["site_id"], row["name"], row["rules"], row["state"])
        house.apply(fx.SaveCharger(charger, row["at"], row["by"]))
    for site, rules in db.execute(select(col(t.Site.id), col(t.Site.finish)).where(col(t.Site.finish).is_not(None))):
        house.apply(fx.SaveFinish(site, rules))


def bike_of(row: RowMapping) -> Bike:
    memory = msgspec.json.decode(row["memory"], type=Memory)
    names = (row["id"], row["site_id"], row["party_id"], row["name"], row["charger_id"])
    return Bike(*names, row["at"], memory, bool(row["kept"]))


def _load_money(db: Connection, house: House) -> None:
    owed = "SELECT body FROM refund WHERE state NOT IN ('success', 'by_hand')"
    for refund in _decoded(db, owed, Refund):
        house.refunds[refund.id] = refund
    house.balances = {row.code: row.balance for row in db.execute(text(BALANCES))}
    newest = db.execute(text("SELECT key, body_hash FROM entry ORDER BY id DESC LIMIT 10000")).all()
    house.entries = {row.key: row.body_hash for row in reversed(newest)}


def _load_wishes(db: Connection, house: House) -> tuple[fx.Wish, ...]:
    wishes = []
    query = text("SELECT slot, version, kind, payload, not_before, expires_at FROM outbox").columns(payload=JSON)
    for row in db.execute(query):
        wishes.append(fx.Wish(row.slot, row.kind, row.payload, row.not_before, row.expires_at, row.version))
        house.outbox[row.slot] = row.version
        house.versions = max(house.versions, row.version)
    return tuple(wishes)


def _newest_at(db: Connection) -> float:
    """Nothing here looks at more than the newest rows, however many there are."""
    newest = "SELECT MAX(at) FROM (SELECT at FROM {} ORDER BY id DESC LIMIT 1000) AS newest"
    queries = (newest.format("entry"), "SELECT MAX(opened_at) FROM session", newest.format("audit"))
    return max((db.scalar(text(query)) or 0.0) for query in queries)
