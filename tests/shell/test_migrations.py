"""From the first release's schema to ours, on both databases: all or nothing, and what was booked stays booked."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel
from typer.testing import CliRunner

from anchong.__main__ import app
from controller import schema
from controller.clock import HandClock
from controller.core.state import Phase
from controller.database import snapshot
from controller.ledger_check import proofs
from controller.migrations.append_only import protect
from controller.owner import owned
from controller.schema import NewerDatabase, OlderDatabase
from controller.store import Store
from controller.tables import APPEND_ONLY
from tests.databases import empty_url_of, unguarded
from tests.shell.rig import Rig

RUN = CliRunner()
FIRST_RELEASE = Path(__file__).with_name("first_release.sql")
CONFIG = """secret = "{secret}"
database = "{url}"
[broker]
host = "127.0.0.1"
port = 1
user = "gateway"
password = "a good word"
"""
BOOKED = (
    "INSERT INTO account(code, kind, floor, balance) VALUES ('a', 'asset', NULL, -1), ('b', 'asset', NULL, 1)",
    "INSERT INTO entry(id, key, body_hash, kind, ref, at, \"by\") VALUES (1, 'k', 'h', 'kind', 'ref', 1.0, 'me')",
    "INSERT INTO transfer(id, entry_key, debit, credit, amount_fen) VALUES (1, 'k', 'a', 'b', 1)",
    "INSERT INTO audit(id, at, \"by\", what, subject, body, previous, hash) VALUES (1, 1.0, 'me', 'w', 's', '', 'p', 'h')",  # noqa: E501
    "INSERT INTO receipt(session_id, at, total_fen, lines) VALUES ('s', 1.0, 1, '[]')",
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return empty_url_of(tmp_path / "new.sqlite3")


@pytest.fixture
def first_release(tmp_path: Path) -> Path:
    """What release 0.1.0 left on a disk, with a charge under way."""
    path = tmp_path / "a.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(FIRST_RELEASE.read_text(encoding="utf-8"))
    return path


def at(url: str, revision: str) -> None:
    with owned(url) as engine, engine.begin() as db:
        schema.upgrade(db, revision)


def later(seconds: float) -> HandClock:
    clock = HandClock()
    clock.advance(seconds)
    return clock


def tables(url: str) -> set[str]:
    with snapshot(url) as db:
        return set(inspect(db).get_table_names())


def migrate(*arguments: str) -> Any:
    return RUN.invoke(app, ["migrate", *arguments])


# -- the chain ----------------------------------------------------------------------------------------------------


def test_each_revision_follows_the_one_before_and_the_last_is_ours() -> None:
    scripts = ScriptDirectory(str(Path(schema.__file__).with_name("migrations")))
    found = [script.revision for script in scripts.walk_revisions()][::-1]
    assert tuple(found) == schema.known()
    assert scripts.get_current_head() == schema.head()


def test_the_newest_revision_is_exactly_what_the_program_thinks(url: str, database: str) -> None:
    at(url, schema.head())
    with snapshot(url) as db:
        context = MigrationContext.configure(db, opts={"compare_type": True, "compare_server_default": False})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_what_alembic_does_not_compare_is_the_same_too(url: str) -> None:
    """Checks, and the conditions of unique indexes."""
    at(url, schema.head())
    with snapshot(url) as db:
        look = inspect(db)
        for table in SQLModel.metadata.sorted_tables:
            checks = {check["name"] for check in look.get_check_constraints(table.name)}
            assert checks == {c.name for c in table.constraints if type(c).__name__ == "CheckConstraint"}, table.name
        live = [index for index in look.get_indexes("session") if index["unique"]]
        assert {index["name"] for index in live} == {"one_live_session_per_outlet", "one_live_session_per_card"}
        conditions = [str(index["dialect_options"][f"{db.dialect.name}_where"]) for index in live]
        assert all("phase" in condition and "<> 'settled'" in condition for condition in conditions), conditions


@pytest.mark.parametrize("revision", schema.known())
def test_t74_after_every_revision_what_is_booked_can_not_be_changed(url: str, database: str, revision: str) -> None:
    at(url, revision)
    with owned(url) as engine:
        with engine.begin() as db:
            for statement in BOOKED:
                db.execute(text(statement))
        for table in APPEND_ONLY:
            column = {"transfer": "amount_fen", "receipt": "total_fen"}.get(table, "at")
            for change in (f"UPDATE {table} SET {column} = 2", f"DELETE FROM {table}"):  # noqa: S608
                with pytest.raises(IntegrityError, match="append-only"), engine.begin() as db:
                    db.execute(text(change))


def test_a_table_that_is_made_anew_is_protected_again(url: str, database: str) -> None:
    """SQLite's way to change a column drops the triggers without a word."""
    at(url, schema.head())
    with owned(url) as engine:
        with engine.begin() as db:
            anew: Literal["always", "auto"] = "always" if database == "sqlite" else "auto"
            with (
                Operations.context(MigrationContext.configure(db)),
                op.batch_alter_table("receipt", recreate=anew) as it,
            ):
                it.alter_column("total_fen", new_column_name="sum_fen")
            protect(db, "receipt")
            db.execute(text("INSERT INTO receipt(session_id, at, sum_fen, lines) VALUES ('s', 1.0, 1, '[]')"))
        with pytest.raises(IntegrityError, match="append-only"), engine.begin() as db:
            db.execute(text("DELETE FROM receipt"))


# -- all or nothing -----------------------------------------------------------------------------------------------


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A migration that fails when all its tables are made."""
    finish = schema._finish

    def fail(db: Connection, reached: str) -> None:
        finish(db, reached)
        raise RuntimeError("the last step failed")

    monkeypatch.setattr(schema, "_finish", fail)
    return monkeypatch.undo


def test_a_migration_that_fails_leaves_nothing_behind(url: str, failing: Callable[[], None]) -> None:
    with pytest.raises(RuntimeError, match="the last step"):
        at(url, schema.head())
    assert tables(url) == set()

    failing()
    at(url, schema.head())
    assert tables(url) == {*SQLModel.metadata.tables, "alembic_version"}


def test_a_migration_of_an_old_database_that_fails_leaves_it_old(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at(url, "0001")
    before = tables(url)
    monkeypatch.setattr(schema, "protect", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        at(url, schema.head())
    with snapshot(url) as db:
        assert schema.revision(db) == "0001"
    assert tables(url) == before


# -- a start ------------------------------------------------------------------------------------------------------


def test_an_older_database_is_refused_by_a_start_and_left_alone(url: str) -> None:
    at(url, "0001")
    with pytest.raises(OlderDatabase, match="anchong migrate") as refused:
        Store(url).create()
    assert len(str(refused.value).splitlines()) == 1
    with snapshot(url) as db:
        assert schema.revision(db) == "0001"


def test_a_newer_database_is_refused_by_a_start_and_by_a_migration(url: str) -> None:
    at(url, schema.head())
    with owned(url) as engine, engine.begin() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(NewerDatabase, match="0999"):
        Store(url).create()
    refused = migrate("--database", url)
    assert (refused.exit_code, len(refused.stderr.strip().splitlines())) == (2, 1)
    assert "update the program" in refused.stderr


@pytest.mark.parametrize("trouble", ["older", "newer", "taken", "not there"])
def test_anchong_run_says_so_in_one_line(url: str, tmp_path: Path, trouble: str) -> None:
    at(url, "0002" if trouble == "older" else schema.head())
    running = Store(url)
    if trouble == "newer":
        unguarded(url, "UPDATE alembic_version SET version_num = '0999'")
    elif trouble == "taken":
        running.create()
    elif trouble == "not there":
        url = f"{url.rpartition('/')[0]}/nowhere/at/all"
    config = tmp_path / "anchong.toml"
    config.write_text(CONFIG.format(secret="f00dcafe12345678" * 3, url=url), encoding="utf-8")

    refused = RUN.invoke(app, ["run", "-c", str(config)])

    running.close()
    assert (refused.exit_code, len(refused.stderr.strip().splitlines())) == (2, 1), refused.output
    says = {"older": "anchong migrate", "newer": "update the program", "taken": "stop it first"}
    assert says.get(trouble, "can't be opened") in refused.stderr


def test_a_number_that_only_the_first_release_would_read_is_there_for_it(url: str) -> None:
    """It refuses whatever is above its own, which is 1."""
    at(url, schema.head())
    with snapshot(url) as db:
        assert db.scalar(text("SELECT value FROM meta WHERE key = 'schema'")) == str(int(schema.head()))


# -- the command --------------------------------------------------------------------------------------------------


@pytest.mark.only("sqlite")  # the first release knew no other
def test_the_first_releases_database_is_migrated_and_its_charge_goes_on(first_release: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{first_release}"
    looked = migrate("--database", url, "--check")
    assert (looked.exit_code, "would run 0002" in looked.stdout) == (1, True)

    done = migrate("--database", url, "--json")
    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["was"], said["now"], said["ran"]) == ("0001", schema.head(), list(schema.known()[1:]))
    with closing(sqlite3.connect(said["copy"])) as copy:
        assert copy.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == ("1",)
        assert copy.execute("SELECT COUNT(*) FROM entry").fetchone() == (5,)

    assert migrate("--database", url, "--check").exit_code == 0
    assert proofs(url) == []
    rig = Rig(tmp_path, later(400))
    rig.plug.load_w = 180.0
    rig.beat(times=6)
    assert (rig.live().id, rig.live().phase) == ("S2", Phase.CHARGING)
    rig.answer(rig.stop("S2"))
    rig.beat(times=2)
    assert (rig.saved("S2").phase, rig.saved("S2").proof) == (Phase.SETTLED, "measured")
    assert proofs(url) == []


def test_postgresql_is_migrated_only_with_a_dump_to_go_back_to(url: str, database: str) -> None:
    at(url, "0002")
    done = migrate("--database", url)
    assert done.exit_code == (0 if database == "sqlite" else 2)
    if database == "postgresql":
        assert "pg_dump" in done.stderr
        assert migrate("--database", url, "--dumped").exit_code == 0
    with snapshot(url) as db:
        assert schema.revision(db) == schema.head()


def test_a_new_database_is_made_and_a_second_run_has_nothing_to_do(url: str) -> None:
    assert migrate("--database", url).exit_code == 0
    again = migrate("--database", url)
    assert (again.exit_code, "nothing to do" in again.stdout) == (0, True)


@pytest.mark.parametrize(("to", "says"), [("0999", "no such revision"), ("0001", "no way back")])
def test_there_is_no_other_way_to_go(url: str, to: str, says: str) -> None:
    at(url, "0002")
    refused = migrate("--database", url, "--to", to)
    assert (refused.exit_code, len(refused.stderr.strip().splitlines())) == (2, 1)
    assert says in refused.stderr


def test_a_running_gateway_is_not_migrated_under_its_feet(url: str) -> None:
    store = Store(url)
    store.create()
    refused = migrate("--database", url)
    store.close()
    assert (refused.exit_code, "stop it first" in refused.stderr) == (2, True)
