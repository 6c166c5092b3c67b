"""Bikes, models of chargers, settings of the detector, and past charges to try them on: read-only."""

from typing import Any

import msgspec
from sqlalchemy import Engine, RowMapping, select

from controller.core.bikes import Memory
from controller.core.suggest import JUDGED, PAST_MAX, Past
from controller.joins import BIKE, CHARGER, SESSION, SITE, Sites, of


class BikeRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    site_id: str
    party_id: str
    charger_id: str | None
    kept: bool
    at: float
    memory: Memory


class ChargerRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    site_id: str
    name: str
    rules: dict[str, float]
    state: str
    evidence: dict[str, Any]
    by: str
    at: float


class Garage:
    """Open to any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def bike(self, bike: str) -> BikeRow | None:
        with self._engine.connect() as db:
            row = db.execute(select(BIKE).where(BIKE.c.id == bike)).mappings().first()
            return None if row is None else bike_of(row)

    def chargers(self, sites: Sites = None) -> list[ChargerRow]:
        """Newest first."""
        with self._engine.connect() as db:
            rows = db.execute(of(select(CHARGER), CHARGER.c.site_id, sites).order_by(CHARGER.c.at.desc(), CHARGER.c.id))
            return [msgspec.convert(dict(row), ChargerRow) for row in rows.mappings()]

    def charger(self, charger: str) -> ChargerRow | None:
        with self._engine.connect() as db:
            row = db.execute(select(CHARGER).where(CHARGER.c.id == charger)).mappings().first()
            return None if row is None else msgspec.convert(dict(row), ChargerRow)

    def finish(self, site: str) -> dict[str, float]:
        """The approved settings of a site; empty: the defaults."""
        with self._engine.connect() as db:
            return db.scalar(select(SITE.c.finish).where(SITE.c.id == site)) or {}

    def past(self, site: str) -> list[Past]:
        """The newest charges of a site that the detector ended, or should have."""
        columns = (SESSION.c.id, SESSION.c.outlet_id, SESSION.c.opened_at, SESSION.c.off_at, SESSION.c.reason)
        judged = (SESSION.c.site_id == site) & SESSION.c.reason.in_([str(reason) for reason in JUDGED])
        whole = SESSION.c.curve.is_not(None) & SESSION.c.off_at.is_not(None)
        query = select(*columns, SESSION.c.curve).where(judged & whole).order_by(SESSION.c.opened_at.desc())
        with self._engine.connect() as db:
            return [Past(*row) for row in db.execute(query.limit(PAST_MAX)) if row.curve]


def bike_of(row: RowMapping) -> BikeRow:
    memory = msgspec.json.decode(row["memory"], type=Memory)
    return msgspec.convert({**row, "kept": bool(row["kept"]), "memory": memory}, BikeRow)
