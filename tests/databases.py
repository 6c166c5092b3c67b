"""Both databases for tests: SQLite files, and a PostgreSQL of our own on loopback, in a temporary folder.

The server runs without fsync: what a test kills is the server's process, never the machine under it.
"""

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel

from controller.schema import head
from controller.store import Store
from controller.tables import APPEND_ONLY
from tests import house

SERVER = """listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 100
fsync = off
full_page_writes = off
restart_after_crash = on
logging_collector = off
"""
HEAD = "at_head"  # the template: a fresh database is a copy of it


class Files:
    """A SQLite file for each path; a new one is a copy of one at the newest schema, which is quickest."""

    kind = "sqlite"

    def __init__(self) -> None:
        self._template: Path | None = None

    def url(self, path: Path) -> str:
        if not path.exists():
            shutil.copyfile(self._made(), path)
        return f"sqlite:///{path}"

    def empty_url(self, path: Path) -> str:
        return f"sqlite:///{path}"

    def _made(self) -> Path:
        if self._template is None:
            self._template = Path(tempfile.mkdtemp(prefix="anchong-sqlite-")) / "head.sqlite3"
            atexit.register(shutil.rmtree, self._template.parent)
            _at_head(f"sqlite:///{self._template}")
        return self._template


def _at_head(url: str) -> None:
    store = Store(url)
    store.create()
    store.close()


def emptied(url: str) -> bool:
    """False if the schema is no longer what it was: then it is left alone."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.begin() as db:
            if url in _spoilt or db.scalar(text("SELECT version_num FROM alembic_version")) != head():
                return False
            db.execute(text("SET session_replication_role = replica"))
            for table in SQLModel.metadata.sorted_tables:
                kept = " WHERE key <> 'schema'" if table.name == "meta" else ""
                db.execute(text(f"DELETE FROM {table.name}{kept}"))  # noqa: S608
            return True
    finally:
        engine.dispose()


_spoilt: set[str] = set()


class Postgres:
    """A server that can be stopped in its tracks, killed, and started again on the same port."""

    kind = "postgresql"

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"
        self._urls: dict[Path, str] = {}
        self._used: list[str] = []  # until they are emptied: a copy costs 7 MB and a tenth of a second
        self.port = house.free_port()
        self.log = folder / "postgresql.log"
        self._made = 0
        self._template = False
        self._process: subprocess.Popen[bytes] | None = None
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:  # it refuses to be root
            shutil.chown(folder, "postgres", "postgres")
            self._user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        self._make()
        self.start()

    def _make(self) -> None:
        options = ("-A", "trust", "-U", "anchong", "-E", "UTF8", "--no-sync")
        made = subprocess.run(
            [house.needs("initdb"), "-D", self.folder, *options],
            capture_output=True,
            check=False,
            cwd="/",
            **self._user,
        )
        if made.returncode:
            pytest.fail(f"initdb: {made.stderr.decode(errors='replace')}")
        with (self.folder / "postgresql.conf").open("a", encoding="utf-8") as config:
            config.write(f"{SERVER}port = {self.port}\n")

    def url(self, path: Path) -> str:
        """A database for each path, as if it were a file."""
        if path not in self._urls:
            self._urls[path] = self.fresh()
        return self._urls[path]

    def empty_url(self, path: Path) -> str:
        return self.empty()

    def over(self) -> None:
        """The test is over: what it used may be emptied for another."""
        self._used += self._urls.values()
        self._urls.clear()

    def at(self, database: str) -> str:
        return f"postgresql://anchong@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Our own child, so that it is gone for good when it is killed."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [house.needs("postgres"), "-D", self.folder], stdout=log, stderr=log, cwd="/", **self._user
            )
        house.eventually(self._up_or_dead, within_s=30)
        if self._process.poll() is not None:
            pytest.fail(f"PostgreSQL did not start: {self.log.read_text(encoding='utf-8', errors='replace')}")

    def _up_or_dead(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            return True
        try:
            self.admin("SELECT 1")
        except OperationalError:  # not yet, or still mending what a kill left
            return False
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)  # at once, as nothing is to be kept
            self._process.wait(30)
            self._process = None

    def kill(self) -> None:
        """kill -9 of the server and of all that serve a connection."""
        assert self._process is not None
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        self._process.wait(10)
        self._process = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """SIGSTOP: connections stay open, and nobody answers on them."""
        pids = self.pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def pids(self) -> list[int]:
        """The server, then its children."""
        assert self._process is not None
        return [self._process.pid, *_children(self._process.pid)]

    @property
    def running(self) -> bool:
        return self._process is not None

    def fresh(self) -> str:
        """The URL of an empty database at the newest schema."""
        while self._used:
            if emptied(url := self._used.pop()):
                return url
        if not self._template:
            self._template = True
            self.admin(f"CREATE DATABASE {HEAD}")
            _at_head(self.at(HEAD))
        return self.empty(HEAD)

    def empty(self, template: str = "template0") -> str:
        self._made += 1
        name = f"test_{self._made}"
        self.admin(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return self.at(name)

    def admin(self, statement: str) -> None:
        engine = create_engine(
            self.at("postgres").replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
        )
        try:
            with engine.connect() as db:
                db.execute(text(statement))
        finally:
            engine.dispose()


def _children(parent: int) -> Iterator[int]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            state, its_parent = stat.read_text(encoding="utf-8").rpartition(") ")[2].split()[:2]
            if its_parent == str(parent) and state != "Z":
                yield int(stat.parent.name)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Where its own user may go, which pytest's folders are not."""
    house.needs("initdb")  # before anything is made for it, or asked of its user
    folder = Path(tempfile.mkdtemp(prefix="anchong-postgresql-"))
    server = Postgres(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


_files = Files()
_current: list[Files | Postgres] = [_files]


def empty_url_of(path: Path) -> str:
    """As `url_of`, of a database in which there is nothing yet."""
    return _current[-1].empty_url(path)


def url_of(path: Path) -> str:
    """The URL of the database that stands for `path`, on whichever database this test runs; made if it is not there."""
    return _current[-1].url(path)


@contextmanager
def tested_on(server: Postgres | None) -> Iterator[None]:
    """None: SQLite."""
    _current.append(server or _files)
    try:
        yield
    finally:
        _current.pop()
        while _ends:
            _ends.pop()()
        if server is not None:
            server.over()


_ends: list[Callable[[], None]] = []


def at_end(close: Callable[[], None]) -> None:
    """Called when the test is over."""
    _ends.append(close)


def unguarded(url: str, *statements: str) -> None:
    """As somebody with the file, or the server's superuser, would: triggers, keys and checks off."""
    _spoilt.add(url)
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as db:
            for statement in (*_UNGUARD[engine.dialect.name], *statements):
                db.execute(text(statement))
    finally:
        engine.dispose()


_UNGUARD = {
    "sqlite": (
        *(f"DROP TRIGGER IF EXISTS {table}_no_{verb}" for table in APPEND_ONLY for verb in ("UPDATE", "DELETE")),
        "PRAGMA ignore_check_constraints=ON",
        "PRAGMA foreign_keys=OFF",
    ),
    "postgresql": (
        "SET session_replication_role = replica",
        "ALTER TABLE account DROP CONSTRAINT IF EXISTS account_floor",
        "ALTER TABLE transfer DROP CONSTRAINT IF EXISTS transfer_amount",
    ),
}
