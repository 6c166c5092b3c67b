"""The doctor's look at the database: a file and its disk, or a server; its schema, its rights, its newest row."""

import shutil
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from anchong.doctor_finding import Finding, State
from controller import schema
from controller.database import Unusable, shown, snapshot, sqlite_path
from controller.owner import HOLDER
from controller.store import piles_on
from controller.trust import STEP_S
from firmware_bridge.wire import Pile

FREE_BAD_MB = 100  # a day's samples of a large compound
FREE_WARN_MB = 1_000
BUSY_S = 2.0
OLDEST_SERVER = 140_000  # CREATE OR REPLACE TRIGGER
NEWEST = """SELECT MAX(at) FROM (SELECT MAX(at) AS at FROM entry
    UNION ALL SELECT MAX(opened_at) FROM session UNION ALL SELECT MAX(at) FROM audit) AS newest"""


def database_findings(url: str) -> Iterable[Finding]:
    path = sqlite_path(url)
    if path is None:
        yield from _server_findings(url)
        return
    yield _free(path.parent)
    if not path.exists():
        yield Finding("database", State.OK, f"{path} is not there yet: `anchong run` makes it")
        return
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)) as db:
            yield from _inside(db, path)
        with snapshot(url) as same:
            yield from _content(same)
    except sqlite3.Error as error:
        yield Finding(
            "database", State.BAD, f"{path}: {error}", "restore it from the last backup, or name the right file"
        )
    except SQLAlchemyError as error:
        yield Finding("database", State.BAD, f"{path}: {_line(error)}", "restore it from the last backup")


def _inside(db: sqlite3.Connection, path: Path) -> Iterable[Finding]:
    yield _writable(db, path)
    (mode,) = db.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        yield Finding(
            "database",
            State.WARN,
            f"journal_mode is {mode}, not wal",
            "start `anchong run` once; network file systems can't do it",
        )


def _writable(db: sqlite3.Connection, path: Path) -> Finding:
    try:
        db.execute("BEGIN IMMEDIATE")
        db.execute("PRAGMA user_version = 0")
        db.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        fix = "stop whatever holds it" if "locked" in str(error) else "mend the file's rights or the file system"
        return Finding("database", State.BAD, f"{path} can't be written: {error}", fix)
    return Finding("database", State.OK, f"{path} can be written")


def _content(db: Connection) -> Iterable[Finding]:
    yield _schema(schema.revision(db))
    ahead_s = (db.scalar(text(NEWEST)) or 0.0) - time.time()
    if ahead_s > STEP_S:
        says = f"its newest row is {ahead_s:.0f} s in the future"
        yield Finding("database", State.BAD, says, "set the clock; nothing is sold until then")
    else:
        yield Finding("database", State.OK, "no row from the future")


def _schema(have: str | None) -> Finding:
    if have == schema.head():
        return Finding("database", State.OK, f"schema {have}")
    if have in schema.known():
        return Finding("database", State.BAD, f"has schema {have}, this program needs {schema.head()}", schema.MIGRATE)
    return Finding(
        "database", State.BAD, f"has schema {have}, this program knows {schema.head()}", "update this program"
    )


def _free(folder: Path) -> Finding:
    try:
        free_mb = shutil.disk_usage(folder).free // 1_000_000
    except OSError as error:
        return Finding("database", State.BAD, f"{folder}: {error.strerror}", "make the folder, or name another")
    state = State.BAD if free_mb < FREE_BAD_MB else State.WARN if free_mb < FREE_WARN_MB else State.OK
    return Finding(
        "database",
        state,
        f"{free_mb} MB free in {folder.absolute()}",
        "" if state is State.OK else "make room: a full disk stops all sales",
    )


def known_piles(url: str) -> list[Pile]:
    """The adopted piles, read without a chance to write; none where there is no database yet."""
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return []
    try:
        with snapshot(url) as db:
            return [Pile(*row) for row in piles_on(db)]
    except (SQLAlchemyError, Unusable):
        return []  # already told by database_findings


# -- a server -----------------------------------------------------------------------------------------------------


def _server_findings(url: str) -> Iterable[Finding]:
    try:
        with snapshot(url) as db:
            yield from _server(db)
            have = schema.revision(db)
            if have is None:
                yield Finding("database", State.OK, f"{shown(url)} is empty: `anchong run` fills it")
                return
            yield _rights(db)
            yield _owner(db)
            yield from _content(db)
    except Unusable as missing:
        says, _, fix = str(missing).partition(": pip")
        yield Finding("database", State.BAD, says, f"pip{fix}" if fix else "mend the URL")
    except SQLAlchemyError as error:
        yield Finding(
            "database",
            State.BAD,
            f"{shown(url)} can't be read: {_line(error)}",
            "see that the server runs, that pg_hba.conf lets this user in, and that the password is right",
        )


def _server(db: Connection) -> Iterable[Finding]:
    version = int(db.scalar(text("SHOW server_version_num")) or 0)
    says = f"PostgreSQL {version // 10_000}, answers in {_answer_ms(db):.1f} ms"
    if version < OLDEST_SERVER:
        yield Finding("database", State.BAD, says, "update the server: 14 or newer is needed")
    else:
        yield Finding("database", State.OK, says)
    careless = [name for name in ("fsync", "full_page_writes") if db.scalar(text(f"SHOW {name}")) != "on"]
    if careless:
        says = f"{' and '.join(careless)} off: a power cut can take booked money with it"
        yield Finding("database", State.BAD, says, "turn on in postgresql.conf and reload")


def _answer_ms(db: Connection) -> float:
    times = []
    for _ in range(5):
        begun_s = time.perf_counter()
        db.execute(text("SELECT 1"))
        times.append(time.perf_counter() - begun_s)
    return sorted(times)[2] * 1_000


def _rights(db: Connection) -> Finding:
    allowed = db.scalar(text("SELECT has_table_privilege('entry', 'SELECT, INSERT') AND NOT pg_is_in_recovery()"))
    if allowed:
        return Finding("database", State.OK, "can be written")
    return Finding("database", State.BAD, "can't be written", "name the primary, and the user that owns the tables")


def _owner(db: Connection) -> Finding:
    held = db.execute(text(HOLDER)).first()
    if held is None:
        return Finding("database", State.OK, "no gateway writes it now")
    return Finding("database", State.OK, f"a gateway writes it, from {held.client_addr or 'the same machine'}")


def _line(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
