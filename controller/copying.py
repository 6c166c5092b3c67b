"""A whole database copied into an empty one, of the other kind or the same, and proven equal row by row."""

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import JSON, Column, Connection, Select, Table, Text, bindparam, cast, func, insert, select
from sqlmodel import SQLModel

import controller.tables  # noqa: F401 - fills the metadata
from controller import schema
from controller.database import Unusable

CHUNK = 1_000
MODULO = 1 << 256


class Copied(msgspec.Struct, frozen=True):
    """`hash` is the same for the same rows in whatever order they are read."""

    table: str
    rows: int
    hash: str


class Different(Exception):
    """What arrived is not what was sent: nothing is kept."""


def tables() -> list[Table]:
    """Those that others point at come first; the schema's own number is not among them."""
    return list(SQLModel.metadata.sorted_tables)


def refuse_source(db: Connection) -> None:
    have = schema.revision(db)
    if have is None:
        raise Unusable("--from: there is no database of ours there")
    if have != schema.head():
        raise Unusable(f"--from: has schema {have}, this program needs {schema.head()}: {schema.MIGRATE}")


def refuse_target(db: Connection) -> None:
    """Only an empty one at the newest schema is written to."""
    have = schema.revision(db)
    if have != schema.head():
        raise Unusable(f"--to: has schema {have}, this program needs {schema.head()}: {schema.MIGRATE}")
    for table in tables():
        if db.execute(_rows(table).limit(1)).first() is not None:
            raise Unusable(f"--to: is not empty ({table.name} has rows); a database is moved into an empty one only")


def copied(source: Connection, target: Connection) -> list[Copied]:
    """Inside the callers' transactions; raises Different before anything is kept."""
    for table in tables():
        for rows in _chunks(source, table):
            named = [{f"new_{name}": value for name, value in row.items()} for row in rows]
            target.execute(_insertion(table, target.dialect.name), named)
    _count_on(target)
    return [_same(source, target, table) for table in tables()]


def _same(source: Connection, target: Connection, table: Table) -> Copied:
    sent, arrived = counted(source, table), counted(target, table)
    if sent != arrived:
        raise Different(f"{table.name}: {sent.rows} rows were sent, {arrived.rows} arrived, or they differ")
    return arrived


def counted(db: Connection, table: Table) -> Copied:
    rows, total = 0, 0
    for chunk in _chunks(db, table):
        rows += len(chunk)
        total += sum(int.from_bytes(hashlib.sha256(repr(tuple(row.values())).encode()).digest()) for row in chunk)
    return Copied(str(table.name), rows, f"{total % MODULO:064x}")


def _chunks(db: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    with db.execution_options(yield_per=CHUNK).execute(_rows(table)) as result:
        for part in result.mappings().partitions(CHUNK):
            yield [{name: _without_nul(value) for name, value in row.items()} for row in part]


def _without_nul(value: Any) -> Any:
    """PostgreSQL has none in a text, and what a stray device calls itself shall not keep a site from moving."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _rows(table: Table) -> Select[Any]:
    """JSON travels as the text it is; a schema's number belongs to its database."""
    query = select(*(cast(column, Text).label(column.name) if _is_json(column) else column for column in table.c))
    return query.where(table.c.key != "schema") if table.name == "meta" else query


def _insertion(table: Table, dialect: str) -> Any:
    return insert(table).values({column.name: _bound(column, dialect) for column in table.c})


def _bound(column: Column[Any], dialect: str) -> Any:
    bound: Any = bindparam(f"new_{column.name}", type_=Text() if _is_json(column) else column.type)
    return cast(bound, JSON) if _is_json(column) and dialect != "sqlite" else bound


def _is_json(column: Column[Any]) -> bool:
    return isinstance(column.type, JSON)


def _count_on(db: Connection) -> None:
    """Rows that brought their own number do not move PostgreSQL's counters."""
    for table in tables() if db.dialect.name == "postgresql" else ():
        if table.autoincrement_column is not None:
            last = func.coalesce(select(func.max(table.c.id)).scalar_subquery(), 0)
            sequence = func.pg_get_serial_sequence(table.name, "id")
            db.execute(select(func.setval(sequence, func.greatest(last, 1), last > 0)))
