"""Where the rows live, by URL: SQLite or PostgreSQL, opened to write or to read; errors mean the same on both.

`OperationalError` and `InterfaceError` say that the database is not there, so the same is tried again; every other
error is a bug of ours.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError

BUSY_MS = 1_000
READERS = 8
READERS_MORE_SQLITE = 32  # a file has no limit of connections, a server has
READERS_MORE_POSTGRESQL = 8
SQLITE_ERROR = 1  # "no such table", "syntax error": nothing that time mends
READ_ONLY_NOW = ("25006", "25P03", "25P04")  # fail-over in progress, and transactions that the server gave up


class Unusable(Exception):
    """The database can't be used as it is; nothing was touched. One line says why, and what to do."""


class NoDriver(Unusable):
    """PostgreSQL is asked for, and its driver is not installed."""


Connected = Callable[[Any], None]


def is_sqlite(url: str) -> bool:
    return _made(url).get_backend_name() == "sqlite"


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL; None for PostgreSQL."""
    at = _made(url)
    return Path(at.database or "") if at.get_backend_name() == "sqlite" else None


def shown(url: str) -> str:
    """For people and logs: without the password."""
    at = _made(url)
    hidden = {name: "***" for name in at.query if "password" in name}
    return at.update_query_dict(hidden).render_as_string(hide_password=True)


def _made(url: str) -> URL:
    try:
        at = make_url(url)
        if at.get_backend_name() in ("sqlite", "postgresql"):
            return at
    except ArgumentError:
        pass
    raise Unusable(
        "database: must be a URL such as sqlite:///anchong.sqlite3 or postgresql://anchong@127.0.0.1/anchong"
    )


def writing_engine(url: str, connected: Connected | None = None) -> Engine:
    """One connection, every commit on the disk; `connected` looks at each new DBAPI connection before it is used."""
    engine = _sqlite_writing(url) if is_sqlite(url) else _postgresql(url, writes=True, answer_s=True)
    return _looked_at(engine, connected)


def migrating_engine(url: str, connected: Connected) -> Engine:
    """One connection that may take its time; a table may be made anew without its neighbours' keys in the way."""
    slow = _sqlite_writing(url, foreign_keys="OFF") if is_sqlite(url) else _postgresql(url, writes=True, answer_s=False)
    return _looked_at(slow, connected)


def _looked_at(engine: Engine, connected: Connected | None) -> Engine:
    if connected is not None:
        event.listen(engine, "connect", lambda connection, _record: connected(connection))
    return engine


def reading_engine(url: str) -> Engine:
    """Not even a mistake can write: a file opened read-only, or a server told that its sessions only read."""
    return _sqlite_reading(url) if is_sqlite(url) else _postgresql(url, writes=False, answer_s=True)


@contextmanager
def snapshot(url: str) -> Iterator[Connection]:
    """A connection that sees one moment of the database, and can't write."""
    engine = reading_engine(url) if is_sqlite(url) else _postgresql(url, writes=False, answer_s=False)
    try:
        with engine.connect() as db:
            if is_sqlite(url):
                db.exec_driver_sql("BEGIN")
            else:
                db = db.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901 - the same connection
            yield db
    finally:
        engine.dispose()


# -- SQLite -------------------------------------------------------------------------------------------------------


def _sqlite_writing(url: str, foreign_keys: str = "ON") -> Engine:
    """WAL, transactions begun as writers; parameters never in error texts."""
    engine = create_engine(url, hide_parameters=True, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=0)
    event.listen(engine, "handle_error", _sqlite_classed, retval=True)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        settings = ("journal_mode=WAL", "synchronous=FULL", f"foreign_keys={foreign_keys}", "recursive_triggers=ON")
        for pragma in (*settings, f"busy_timeout={BUSY_MS}"):
            connection.execute(f"PRAGMA {pragma}")
        connection.isolation_level = None  # or a failed migration would leave half of it behind

    @event.listens_for(engine, "begin")
    def _begin(db: Connection) -> None:
        db.exec_driver_sql("BEGIN IMMEDIATE")

    return engine.execution_options(isolation_level="SERIALIZABLE")


def _sqlite_reading(url: str) -> Engine:
    at = make_url(url)
    at = at.set(database=f"file:{at.database}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(at, hide_parameters=True, pool_size=READERS, max_overflow=READERS_MORE_SQLITE)
    event.listen(engine, "handle_error", _sqlite_classed, retval=True)
    return engine


def _sqlite_classed(context: ExceptionContext) -> BaseException | None:
    """SQLite says "operational" of a misspelt table too."""
    code = getattr(context.original_exception, "sqlite_errorcode", None)
    if isinstance(context.sqlalchemy_exception, OperationalError) and code == SQLITE_ERROR:
        return ProgrammingError(context.statement, None, context.original_exception, hide_parameters=True)
    return None


# -- PostgreSQL ---------------------------------------------------------------------------------------------------


def _postgresql(url: str, *, writes: bool, answer_s: bool) -> Engine:
    """`answer_s`: give up a server that does not answer; what moves whole tables waits instead."""
    try:
        from controller.postgresql import Bounded, arguments  # noqa: PLC0415 - 9 MB that a box with SQLite is spared
    except ImportError as error:
        raise NoDriver("database: PostgreSQL needs its driver: pip install 'anchong[postgresql]'") from error
    at = make_url(url).set(drivername="postgresql+psycopg")
    sizes = (1, 0) if writes else (READERS, READERS_MORE_POSTGRESQL)
    engine = create_engine(
        at,
        hide_parameters=True,
        pool_size=sizes[0],
        max_overflow=sizes[1],
        pool_pre_ping=not writes,  # a server that was restarted costs a page nothing
        isolation_level="READ COMMITTED" if writes else "AUTOCOMMIT",
    )
    event.listen(engine, "handle_error", _postgresql_classed, retval=True)

    name = f"anchong {secrets.token_hex(6)}"  # by it a new connection knows a lost one of the same engine

    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, record: Any, positional: Any, named: dict[str, Any]) -> Any:
        return Bounded.connect(*positional, **arguments(named, name, writes=writes, limited=answer_s))

    return engine


def _postgresql_classed(context: ExceptionContext) -> BaseException | None:
    """A server that has become a replica is away, whatever class the driver gives it."""
    if getattr(context.original_exception, "sqlstate", None) in READ_ONLY_NOW:
        return OperationalError(context.statement, None, context.original_exception, hide_parameters=True)
    return None
