"""`anchong move-database`: a site grows from SQLite onto PostgreSQL, or goes back, and the books prove it."""

import json
from typing import Annotated

import msgspec
import typer
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from anchong.ledger import Json, as_line
from controller import schema
from controller.copying import Copied, Different, copied, refuse_source, refuse_target
from controller.database import Unusable, shown, sqlite_path
from controller.ledger_check import Totals, proofs, totals
from controller.owner import owned


class Moved(msgspec.Struct):
    source: str
    target: str
    tables: list[Copied]
    totals: Totals


def move_database(
    source: Annotated[str, typer.Option("--from", help="the URL of the database in use")],
    target: Annotated[str, typer.Option("--to", help="the URL of an empty one")],
    as_json: Json = False,
) -> None:
    """Copies everything into an empty database; stop the gateway first.

    Example: anchong move-database --from sqlite:///anchong.sqlite3 --to postgresql://anchong@127.0.0.1/anchong
    """
    try:
        done = moved(source, target)
    except (Unusable, Different, SQLAlchemyError, OSError) as error:
        typer.echo(f"nothing was moved: {str(error).splitlines()[0]}", err=True)
        raise typer.Exit(2) from error
    typer.echo(json.dumps(msgspec.to_builtins(done)) if as_json else _said(done))


def moved(source: str, target: str) -> Moved:
    """All or nothing; the source stays as it is. Unsound books are not moved: what is wrong is to be seen first."""
    path = sqlite_path(source)
    if path is not None and not path.exists():
        raise Unusable(f"--from: {path} is not there")
    if source == target:
        raise Unusable("--to: is the database itself")
    with owned(source) as old, owned(target) as new, old.connect() as reading:
        refuse_source(reading)
        with new.begin() as writing:
            if schema.revision(writing) is None:
                schema.upgrade(writing)
        with new.begin() as writing:
            refuse_target(writing)
            sums = _sound(reading, "--from")
            tables = copied(reading, writing)
            if _sound(writing, "--to") != sums:
                raise Different("the totals of the books differ")
    return Moved(shown(source), shown(target), tables, sums)


def _sound(db: Connection, which: str) -> Totals:
    broken = proofs(db)
    if broken:
        raise Unusable(f"{which}: the books are not sound: {broken[0]}")
    return totals(db)


def _said(done: Moved) -> str:
    lines = [f"{table.table:<16} {table.rows:>8} rows  {table.hash[:16]}" for table in done.tables if table.rows]
    same = f"{as_line(done.totals)}: the same on both"
    return "\n".join(
        [*lines, f"{done.source} → {done.target}", same, 'now say `database = "…"` in anchong.toml, and start']
    )
