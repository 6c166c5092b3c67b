"""A site grows from SQLite onto PostgreSQL and back: every row, the books, a charge under way; or nothing at all."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, text
from typer.testing import CliRunner

from anchong.__main__ import app
from controller import copying, schema
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.state import Phase
from controller.database import snapshot
from controller.ledger_check import proofs, totals
from controller.owner import owned
from controller.store import Store
from tests import databases
from tests.databases import Postgres
from tests.shell.rig import LOAD_W, Rig

RUN = CliRunner()


@pytest.fixture
def target(tmp_path: Path, database: str, postgres: Postgres) -> str:
    """An empty database of the other kind."""
    return f"sqlite:///{tmp_path / 'moved.sqlite3'}" if database == "postgresql" else postgres.empty()


@pytest.fixture
def used(tmp_path: Path) -> Rig:
    """A site with a settled and refunded charge, a card with money, an audit log, and a charge under way."""
    rig = Rig(tmp_path)
    rig.charging()
    rig.answer(rig.stop())
    rig.plug.load_w = 0.0
    rig.beat(times=3)
    (refund,) = rig.house.refunds.values()
    rig.answer(rig.refunded(refund.id, refund.amount_fen))
    rig.answer(rig.topup(300))
    stray: dict[str, Any] = {"id": "tasmota:BB", "family": "tasmota", "address": "BB", "model": "a\0b", "firmware": "1"}
    rig.store.write("stray", [fx.Put("found", {**stray, "channels": 1, "params": {"n": "\0"}, "seen_at": 1.0})])
    rig.staff(ev.Change.NAME, number="七")
    rig.answer(rig.order("O2"))
    rig.answer(rig.paid("O2", "T2"))
    rig.plug.load_w = LOAD_W
    rig.beat(times=8)
    assert rig.sql("SELECT COUNT(*) FROM sample")[0][0] > 0
    return rig


def move(source: str, target: str, *arguments: str) -> Any:
    return RUN.invoke(app, ["move-database", "--from", source, "--to", target, *arguments])


def rows(url: str) -> dict[str, int]:
    with snapshot(url) as db:
        return {table.name: copying.counted(db, table).rows for table in copying.tables()}


def test_everything_arrives_and_the_books_say_the_same_on_both(used: Rig, target: str) -> None:
    used.store.close()

    done = move(used.url, target, "--json")

    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)
    moved = {table["table"]: table["rows"] for table in said["tables"]}
    assert moved == rows(used.url) == rows(target)
    assert min(moved[name] for name in ("entry", "transfer", "audit", "receipt", "session", "sample", "moment")) > 0
    checks = [RUN.invoke(app, ["ledger", "check", "--database", url]) for url in (used.url, target)]
    assert [check.exit_code for check in checks] == [0, 0]
    assert checks[0].stdout == checks[1].stdout
    with snapshot(used.url) as old, snapshot(target) as new:
        for table in copying.tables():
            assert copying.counted(old, table) == copying.counted(new, table)
        assert totals(old) == totals(new)


def test_a_charge_goes_on_where_it_was_moved_to(used: Rig, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    used.store.close()
    assert move(used.url, target).exit_code == 0
    used.clock.advance(60)  # the move took its time; the lease still holds
    monkeypatch.setattr("tests.shell.rig.url_of", lambda _: target)
    rig = Rig(used.folder, used.clock, used.plugs.values())
    rig.beat(times=3)

    assert (rig.live().id, rig.live().phase) == ("S2", Phase.CHARGING)
    assert rig.plug.power_w == LOAD_W
    rig.answer(rig.stop("S2"))
    rig.beat(times=2)
    assert (rig.saved("S2").phase, rig.saved("S2").proof) == (Phase.SETTLED, "measured")
    assert rig.house.balances["card:c1"] == 300
    assert proofs(target) == []
    assert rig.sql("SELECT COUNT(*) FROM moment WHERE session_id = 'S2'")[0][0] > 2  # their numbers count on
    rig.store.close()


def test_there_and_back_is_where_it_was(used: Rig, target: str, tmp_path: Path) -> None:
    used.store.close()
    back = f"sqlite:///{tmp_path / 'back.sqlite3'}"
    with snapshot(used.url) as db:
        before = [copying.counted(db, table) for table in copying.tables()]
    assert move(used.url, target).exit_code == 0
    assert move(target, back).exit_code == 0
    with snapshot(back) as db:
        assert [copying.counted(db, table) for table in copying.tables()] == before


def test_a_second_run_is_refused_and_changes_nothing(used: Rig, target: str) -> None:
    used.store.close()
    assert move(used.url, target).exit_code == 0
    before = rows(target)
    again = move(used.url, target)
    assert (again.exit_code, len(again.stderr.strip().splitlines())) == (2, 1)
    assert "is not empty" in again.stderr
    assert rows(target) == before


@pytest.mark.parametrize("which", ["source", "target"])
def test_a_running_gateway_is_not_moved_under_its_feet(used: Rig, target: str, which: str) -> None:
    if which == "target":
        used.store.close()
        running = Store(target)
        running.create()
        databases.at_end(running.close)
    refused = move(used.url, target)
    assert (refused.exit_code, "stop it first" in refused.stderr) == (2, True)


def test_a_move_that_fails_half_way_leaves_the_target_empty(
    used: Rig, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    used.store.close()
    whole = copying._insertion

    def fails(table: Table, dialect: str) -> Any:
        if table.name == "session":
            raise OSError("the network is gone")
        return whole(table, dialect)

    monkeypatch.setattr(copying, "_insertion", fails)
    refused = move(used.url, target)
    assert (refused.exit_code, "nothing was moved" in refused.stderr) == (2, True)
    assert set(rows(target).values()) == {0}
    monkeypatch.undo()
    assert move(used.url, target).exit_code == 0


def test_a_row_that_arrives_changed_stops_the_move(used: Rig, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    used.store.close()
    count_on = copying._count_on

    def and_one_is_changed(db: Connection) -> None:
        count_on(db)
        db.execute(text("UPDATE card SET printed = '0002'"))

    monkeypatch.setattr(copying, "_count_on", and_one_is_changed)
    refused = move(used.url, target)
    assert (refused.exit_code, "card" in refused.stderr) == (2, True)
    assert set(rows(target).values()) == {0}


def test_unsound_books_are_not_moved(used: Rig, target: str) -> None:
    used.store.close()
    databases.unguarded(used.url, "UPDATE account SET balance = balance + 1 WHERE code = 'cash:m'")
    refused = move(used.url, target)
    assert (refused.exit_code, "not sound" in refused.stderr) == (2, True)


def test_only_a_database_at_our_schema_is_moved(used: Rig, target: str, tmp_path: Path) -> None:
    used.store.close()
    with owned(target) as engine, engine.begin() as db:
        schema.upgrade(db, "0001")
    for source, to in ((used.url, target), (target, f"sqlite:///{tmp_path / 'other.sqlite3'}")):
        refused = move(source, to)
        assert (refused.exit_code, "anchong migrate" in refused.stderr) == (2, True)


@pytest.mark.parametrize("source", ["sqlite:////nowhere/x.sqlite3", "nonsense", "mysql://x/y"])
def test_bad_input_is_one_line(source: str, target: str) -> None:
    refused = move(source, target)
    assert (refused.exit_code, len(refused.stderr.strip().splitlines())) == (2, 1)
