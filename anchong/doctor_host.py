"""The doctor's look at this machine: its clock, its disk, the database and the trip journal."""

import ctypes
import json
import shutil
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import make_url

from anchong.doctor_finding import Finding, State
from controller import schema
from controller.journal import SLOT, SLOTS
from controller.trust import BUILT_AT, STEP_S
from firmware_bridge.wire import Pile

FREE_BAD_MB = 100  # a day's samples of a large compound
FREE_WARN_MB = 1_000
TIME_ERROR = 5  # of adjtimex: the kernel's clock follows nothing
BUSY_S = 2.0
NEWEST = """SELECT MAX(at) FROM (SELECT MAX(at) AS at FROM entry
    UNION ALL SELECT MAX(opened_at) FROM session UNION ALL SELECT MAX(at) FROM audit)"""


# -- clock --------------------------------------------------------------------------------------------------------


def clock_findings() -> Iterable[Finding]:
    shows = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if time.time() < BUILT_AT:
        yield Finding(
            "clock",
            State.BAD,
            f"shows {shows}, before this program was built",
            "set the clock; nothing is sold until then",
        )
    else:
        yield Finding("clock", State.OK, f"shows {shows}")
    if _unsynchronised():
        yield Finding(
            "clock",
            State.WARN,
            "the kernel says that it follows no time server",
            "install chrony or systemd-timesyncd, and see that it reaches a server",
        )


def _unsynchronised() -> bool:
    """Whatever keeps the clock tells the kernel; where the kernel can't be asked, nothing is said."""
    try:
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))) == TIME_ERROR
    except (AttributeError, OSError):
        return False


# -- database -----------------------------------------------------------------------------------------------------


def database_findings(url: str) -> Iterable[Finding]:
    path = _sqlite_path(url)
    if path is None:
        yield Finding(
            "database", State.WARN, "only SQLite is looked at so far", "see that the server is up and backed up"
        )
        return
    yield _free(path.parent)
    if not path.exists():
        yield Finding("database", State.OK, f"{path} is not there yet: `anchong run` makes it")
        return
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)) as db:
            yield from _inside(db, path)
    except sqlite3.Error as error:
        yield Finding(
            "database", State.BAD, f"{path}: {error}", "restore it from the last backup, or name the right file"
        )


def _inside(db: sqlite3.Connection, path: Path) -> Iterable[Finding]:
    yield _writable(db, path)
    yield _schema(db)
    (mode,) = db.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        yield Finding(
            "database",
            State.WARN,
            f"journal_mode is {mode}, not wal",
            "start `anchong run` once; network file systems can't do it",
        )
    yield _newest(db)


def _writable(db: sqlite3.Connection, path: Path) -> Finding:
    try:
        db.execute("BEGIN IMMEDIATE")
        db.execute("PRAGMA user_version = 0")
        db.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        fix = "stop whatever holds it" if "locked" in str(error) else "mend the file's rights or the file system"
        return Finding("database", State.BAD, f"{path} can't be written: {error}", fix)
    return Finding("database", State.OK, f"{path} can be written")


def _schema(db: sqlite3.Connection) -> Finding:
    row = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    have = f"{int(row[0]) if row is not None else 0:04}"
    if have > schema.head():
        return Finding(
            "database", State.BAD, f"has schema {have}, this program knows {schema.head()}", "update this program"
        )
    if have < schema.head():
        return Finding("database", State.BAD, f"has schema {have}, this program needs {schema.head()}", schema.MIGRATE)
    return Finding("database", State.OK, f"schema {have}")


def _newest(db: sqlite3.Connection) -> Finding:
    (newest_at,) = db.execute(NEWEST).fetchone()
    ahead_s = (newest_at or 0.0) - time.time()
    if ahead_s > STEP_S:
        return Finding(
            "database",
            State.BAD,
            f"its newest row is {ahead_s:.0f} s in the future",
            "set the clock; nothing is sold until then",
        )
    return Finding("database", State.OK, "no row from the future")


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
    path = _sqlite_path(url)
    if path is None or not path.exists():
        return []
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_S)) as db:
            outlets = db.execute("SELECT pile_id, id FROM outlet ORDER BY pile_id, channel").fetchall()
            piles = db.execute("SELECT id, family, address, params FROM pile").fetchall()
    except sqlite3.Error:
        return []  # already told by database_findings
    return [
        Pile(pile, family, address, tuple(own for at, own in outlets if at == pile), json.loads(params))
        for pile, family, address, params in piles
    ]


def _sqlite_path(url: str) -> Path | None:
    at = make_url(url)
    return Path(at.database or "") if at.get_backend_name() == "sqlite" else None


# -- the trip journal ---------------------------------------------------------------------------------------------


def journal_findings(path: Path) -> Iterable[Finding]:
    try:
        if path.exists():
            with path.open("r+b"):
                size = path.stat().st_size
        else:
            size = SLOT * SLOTS if path.absolute().parent.is_dir() else 0
    except OSError as error:
        yield Finding(
            "journal",
            State.BAD,
            f"{path} can't be written: {error.strerror}",
            "mend its rights; without it no charge is resumed after a restart",
        )
        return
    if size != SLOT * SLOTS:
        yield Finding(
            "journal",
            State.WARN,
            f"{path} has the wrong size or no folder",
            "make its folder, or move the file away and restart",
        )
    else:
        yield Finding("journal", State.OK, f"{path} can be written")
