"""`anchong ledger`: proves the books, or writes them out."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO

import msgspec
import typer
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from anchong import settings
from controller.database import Unusable, snapshot
from controller.ledger_check import Totals, proofs, totals

DANGEROUS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run it

QUERIES = {
    "entries": 'SELECT key, kind, ref, at, "by", body_hash FROM entry ORDER BY id',
    "transfers": "SELECT entry_key, debit, credit, amount_fen FROM transfer ORDER BY id",
}

Database = Annotated[str, typer.Option(help="the database's URL, sqlite:///anchong.sqlite3")]
Config = Annotated[Path | None, typer.Option("-c", "--config", help="anchong.toml, for its database")]
Json = Annotated[bool, typer.Option("--json", help="machine-readable")]

ledger = typer.Typer(no_args_is_help=True, help=__doc__)


@ledger.command()
def check(database: Database = "", config: Config = None, as_json: Json = False) -> None:
    """Proves the books; exit 1 and a line for each broken proof. Example: anchong ledger check -c anchong.toml"""
    url = url_of(database, config)
    try:
        with snapshot(url) as db:  # all proofs look at one moment
            broken, sums = proofs(db), totals(db)
    except (SQLAlchemyError, Unusable) as error:
        _unreadable(error)
    if as_json:
        said = {"sound": not broken, "broken": broken, "totals": msgspec.to_builtins(sums)}
        typer.echo(json.dumps(said, ensure_ascii=False))
    else:
        typer.echo("\n".join(broken) if broken else f"the books are sound\n{as_line(sums)}")
    raise typer.Exit(1 if broken else 0)


def as_line(sums: Totals) -> str:
    return ", ".join(f"{name} {value}" for name, value in msgspec.to_builtins(sums).items())


@ledger.command()
def export(
    folder: Annotated[Path | None, typer.Argument(help="a folder for entries.csv and transfers.csv")] = None,
    database: Database = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Entries and transfers as CSV, to FOLDER or stdout. Example: anchong ledger export books -c anchong.toml"""
    try:
        with snapshot(url_of(database, config)) as db:  # both tables as of one moment
            _exported(db, folder, as_json)
    except (SQLAlchemyError, Unusable) as error:
        _unreadable(error)
    except OSError as error:
        typer.echo(f"{folder}: can't be written ({error.strerror})", err=True)
        raise typer.Exit(2) from error


def _exported(db: Connection, folder: Path | None, as_json: bool) -> None:
    if as_json:
        tables = {name: [dict(row) for row in db.execute(text(query)).mappings()] for name, query in QUERIES.items()}
        typer.echo(json.dumps(tables, ensure_ascii=False))
    elif folder is None:
        for name, query in QUERIES.items():
            typer.echo(f"# {name}")
            _csv(db, query, sys.stdout)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        for name, query in QUERIES.items():
            with (folder / f"{name}.csv").open("w", encoding="utf-8-sig", newline="") as file:
                _csv(db, query, file)


def _csv(db: Connection, query: str, file: TextIO) -> None:
    result = db.execute(text(query))
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(result.keys())
    writer.writerows(_safe(row) for row in result)


def _safe(row: Any) -> Iterator[object]:
    """A text that a spreadsheet would take for a formula is quoted, as OWASP asks."""
    for value in row:
        yield f"'{value}" if isinstance(value, str) and value.startswith(DANGEROUS) else value


def url_of(database: str, config: Path | None) -> str:
    """The one that was named; else one line and exit 2."""
    if bool(database) == (config is not None):
        typer.echo("name the books: --database URL, or -c anchong.toml", err=True)
        raise typer.Exit(2)
    if config is None:
        return database
    try:
        return settings.read(config).database
    except settings.BadSettings as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error


def _unreadable(error: SQLAlchemyError | Unusable) -> NoReturn:
    typer.echo(f"the database can't be read: {str(error).splitlines()[0]}", err=True)
    raise typer.Exit(2) from error
