"""One gateway writes a database: it holds a locked file beside SQLite's, an advisory lock on PostgreSQL."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine

from controller.database import Unusable, migrating_engine, sqlite_path

ADVISORY = 0x616E63686F6E67  # "anchong"
HOLDER = f"""SELECT pid, application_name, client_addr FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND (CAST(classid AS bigint) << 32 | CAST(objid AS bigint)) = {ADVISORY}
    AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""  # noqa: S608
_END_OURS = f"SELECT pg_terminate_backend(pid) FROM ({HOLDER}) AS holder WHERE application_name = %s"  # noqa: S608
_TAKEN = "database: another gateway uses it (process {pid} of the server, from {host}): stop it first"


class Taken(Unusable):
    """Another gateway writes this database, or has written it since we last did."""


class Claim(Protocol):
    """Held from `take` to `release`; `connected` renews it on a new DBAPI connection before that is used."""

    def take(self) -> None: ...

    def connected(self, connection: Any) -> None: ...

    def release(self) -> None: ...


def claim_on(url: str) -> Claim:
    path = sqlite_path(url)
    if path is None:
        return AdvisoryLock()
    there = path.resolve()  # by whatever name it is opened, one file has one lock
    return FileLock(there.with_name(f"{there.name}.lock"))


@contextmanager
def owned(url: str) -> Iterator[Engine]:
    """The database to ourselves, for what a running gateway must not live through; raises Taken."""
    claim = claim_on(url)
    claim.take()
    engine = migrating_engine(url, claim.connected)
    try:
        yield engine
    finally:
        engine.dispose()
        claim.release()


class FileLock:
    """The kernel frees it with our process, however that ends; the file itself stays."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> None:
        if self._file is not None:
            return
        file = self._opened()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(file, 20).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise Taken(f"database: another gateway uses it (process {holder}, {self._path}): stop it first") from error
        except OSError as error:
            os.close(file)
            line = f"database: can't be locked: {self._path}: {error.strerror}; keep it on a disk of this machine"
            raise Unusable(line) from error
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._file = file

    def _opened(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            line = f"database: can't be opened: {self._path}: {error.strerror}; `anchong doctor` says more"
            raise Unusable(line) from error

    def connected(self, connection: Any) -> None:
        """The file is locked for as long as we live, whatever happens to connections."""

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class AdvisoryLock:
    """Belongs to the writing connection: who can commit, owns. It goes when the server ends the connection."""

    def take(self) -> None:
        """With the first connection."""

    def connected(self, connection: Any) -> None:
        try:
            _lock(connection)
            connection.commit()
        except BaseException:
            connection.close()
            raise

    def release(self) -> None:
        """With the last connection."""


def _lock(connection: Any) -> None:
    """A lost connection of ours that the server still keeps may yet commit: it is ended before we read and write."""
    from psycopg.errors import LockNotAvailable  # noqa: PLC0415 - there is a connection, so the driver is here

    if connection.execute("SELECT pg_try_advisory_lock(%s)", (ADVISORY,)).fetchone()[0]:
        return
    ours = connection.info.parameter_status("application_name")
    connection.execute(_END_OURS, (ours,))
    connection.commit()
    try:
        connection.execute("SELECT pg_advisory_lock(%s)", (ADVISORY,))  # a gateway that has just gone takes a moment
    except LockNotAvailable:
        connection.rollback()
        holder = connection.execute(HOLDER).fetchone()
        if holder is None or holder[1] == ours:
            raise  # away: tried again
        raise Taken(_TAKEN.format(pid=holder[0], host=holder[2])) from None
