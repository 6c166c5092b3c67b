"""`anchong migrate`: brings an older database to the schema that this program knows."""

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer
from sqlalchemy.exc import SQLAlchemyError

from anchong.ledger import Config, Database, Json, url_of
from controller import schema
from controller.database import Unusable, shown, snapshot, sqlite_path
from controller.owner import owned

DUMP = "PostgreSQL: take a copy first (`pg_dump -Fc -f anchong.dump DATABASE`), then repeat with --dumped"


class Migrated(msgspec.Struct):
    """`copy` is where SQLite's database stands as it was; `was` is empty for a new one."""

    database: str
    was: str
    now: str
    ran: tuple[str, ...] = ()
    copy: str = ""


def migrate(
    database: Database = "",
    config: Config = None,
    to: Annotated[str, typer.Option("--to", help="stop at this revision, such as 0002; else the newest")] = "",
    check: Annotated[
        bool, typer.Option("--check", help="say what would be run, and run nothing; exit 1 if any")
    ] = False,
    dumped: Annotated[bool, typer.Option("--dumped", help="PostgreSQL: there is a copy to go back to")] = False,
    as_json: Json = False,
) -> None:
    """Brings the database to this program's schema; stop the gateway first. Example: anchong migrate -c anchong.toml"""
    url = url_of(database, config)
    try:
        done = looked_at(url, to) if check else migrated(url, to, dumped=dumped)
    except (Unusable, SQLAlchemyError, OSError, sqlite3.Error) as error:
        _refused(error)
    typer.echo(json.dumps(msgspec.to_builtins(done)) if as_json else _said(done, check=check))
    raise typer.Exit(1 if check and done.ran else 0)


def looked_at(url: str, to: str = "") -> Migrated:
    """What `migrated` would do; reads only."""
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return Migrated(shown(url), "", "", schema.missing(None, to))
    with snapshot(url) as db:
        was = schema.revision(db)
    return Migrated(shown(url), was or "", was or "", schema.missing(was, to))


def migrated(url: str, to: str = "", *, dumped: bool = False) -> Migrated:
    """Runs what is missing, all or nothing, with nobody else at the database."""
    with owned(url) as engine:
        with engine.connect() as db:
            was = schema.revision(db)
        missing = schema.missing(was, to)
        copy = _copied(url, was, dumped=dumped) if was and missing else ""
        with engine.begin() as db:
            schema.upgrade(db, to)
            now = schema.revision(db)
    return Migrated(shown(url), was or "", now or "", missing, copy)


def _copied(url: str, was: str, *, dumped: bool) -> str:
    """A copy beside the file; a server's is its owner's business, who has to say so."""
    path = sqlite_path(url)
    if path is not None:
        return str(
            _vacuumed(path, path.with_name(f"{path.name}.{was}.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"))
        )
    if not dumped:
        raise Unusable(DUMP)
    return ""


def _vacuumed(path: Path, copy: Path) -> Path:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("VACUUM INTO ?", (str(copy),))
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    copy.chmod(path.stat().st_mode)
    return copy


def _said(done: Migrated, *, check: bool) -> str:
    if not done.ran:
        return f"{done.database}: schema {done.now}, nothing to do"
    steps = ", ".join(done.ran)
    if check:
        return f"{done.database}: schema {done.was or 'none'}; `anchong migrate` would run {steps}"
    kept = f"; as it was: {done.copy}" if done.copy else ""
    return f"{done.database}: schema {done.was or 'none'} → {done.now}, ran {steps}{kept}"


def _refused(error: Exception) -> NoReturn:
    typer.echo(str(error).splitlines()[0], err=True)
    raise typer.Exit(2) from error
