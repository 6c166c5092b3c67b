"""Which schema a database has, and how it gets the one that this program knows.

A database that the first release made has no `alembic_version`: it is known by its number and taken as revision 0001.
"""

from functools import cache
from importlib.resources import files
from typing import Any

from sqlalchemy import Connection, inspect, text

from controller.database import Unusable
from controller.migrations.append_only import protect
from controller.tables import APPEND_ONLY

FIRST = "0001"
MIGRATE = "stop the gateway, then `anchong migrate -c anchong.toml`"


class NewerDatabase(Unusable):
    """The database was made by a newer program."""


class OlderDatabase(Unusable):
    """The database waits for a migration, which only a person starts."""


@cache
def known() -> tuple[str, ...]:
    """The revisions this program knows, oldest first."""
    names = (entry.name for entry in files("controller.migrations.versions").iterdir())
    return tuple(sorted(name[:4] for name in names if name[:4].isdigit()))


def head() -> str:
    return known()[-1]


def revision(db: Connection) -> str | None:
    """None: nothing of ours is here."""
    look = inspect(db)
    if look.has_table("alembic_version"):
        number: str | None = db.scalar(text("SELECT version_num FROM alembic_version"))
        return number
    if not look.has_table("meta"):
        return None
    number = db.scalar(text("SELECT value FROM meta WHERE key = 'schema'")) or FIRST
    return f"{int(number):04}"


def ready(db: Connection) -> None:
    """Makes the schema in an empty database; refuses one that this program does not know, or has outgrown."""
    have = revision(db)
    if have is None:
        upgrade(db)
        return
    refuse_newer(have)
    if have != head():
        raise OlderDatabase(f"database: has schema {have}, this program needs {head()}: {MIGRATE}")


def refuse_newer(have: str) -> None:
    if have not in known():
        raise NewerDatabase(f"database: has schema {have}, this program knows {head()}: update the program")


def missing(have: str | None, to: str = "") -> tuple[str, ...]:
    """The revisions between what is there and `to` or the newest; there is no way back."""
    wanted = to or head()
    if have is not None:
        refuse_newer(have)
    if wanted not in known():
        raise Unusable(f"--to {to}: there is no such revision; one of {', '.join(known())}")
    if have is not None and wanted < have:
        raise Unusable(f"--to {to}: the database has {have} already, and there is no way back but a copy")
    return tuple(each for each in known() if (have or "") < each <= wanted)


def upgrade(db: Connection, to: str = "") -> None:
    """Runs what is missing, inside the caller's transaction."""
    have = revision(db)
    if missing(have, to):
        _run(db, have, to or head())
        _finish(db, to or head())


def _run(db: Connection, have: str | None, to: str) -> None:
    from alembic import command  # noqa: PLC0415 - 10 MB that only a new schema needs

    config = _config(db)
    if have == FIRST and not inspect(db).has_table("alembic_version"):
        command.stamp(config, FIRST)
    command.upgrade(config, to)


def _config(db: Connection) -> Any:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(files("controller.migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = db
    return config


def _finish(db: Connection, reached: str) -> None:
    """What no migration may forget: its number, for programs older than it, and the triggers."""
    db.execute(text("DELETE FROM meta WHERE key = 'schema'"))
    db.execute(text("INSERT INTO meta(key, value) VALUES ('schema', :schema)"), {"schema": str(int(reached))})
    protect(db, *APPEND_ONLY)
    if db.dialect.name == "sqlite" and db.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise RuntimeError("the migration has left rows that point nowhere")
