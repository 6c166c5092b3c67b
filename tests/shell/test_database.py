"""The disk slow, absent and back; an answer lost; what no hand may change in it (T73, T74)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from controller.clock import HandClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.reasons import StopReason
from controller.core.state import Phase
from controller.feed import Kept
from controller.ledger_check import proofs
from controller.schema import NewerDatabase
from controller.store import Store
from controller.tables import APPEND_ONLY
from tests.core import made
from tests.databases import unguarded
from tests.shell.rig import LOAD_W, Plug, Rig


class Away(Store):
    """A disk that can be taken away, and one that loses the answer of a commit it has made."""

    away = False
    loses_answers = 0

    def write(self, number: str, rows: Iterable[fx.Effect], at: float = 0.0) -> tuple[Kept, ...]:
        if self.away:
            raise OperationalError("COMMIT", {}, OSError("disk I/O error"))
        kept = super().write(number, rows, at)
        if self.loses_answers > 0:
            self.loses_answers -= 1
            raise OperationalError("COMMIT", {}, OSError("the answer was lost"))
        return kept


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    clock = HandClock()
    rig = Rig(tmp_path, clock, [Plug(clock), Plug(clock, "o2")], store=Away)
    rig.beat()
    return rig


def disk(rig: Rig) -> Away:
    assert isinstance(rig.store, Away)
    return rig.store


# -- away and back ------------------------------------------------------------------------------------------------


def test_a_minute_without_the_disk_sells_nothing_and_charges_go_on(rig: Rig) -> None:
    rig.charging()
    ons = rig.plug.log.count("on")
    disk(rig).away = True
    rig.ask(rig.order("O8", "o2"))  # the first that has to wait: its answer comes with the disk
    rig.beat(times=6)

    late = rig.ask(rig.order("O9", "o2"))
    with pytest.raises(Refused) as refused:
        late.result(0)

    assert refused.value.code == "database_away"
    assert rig.live().phase is Phase.CHARGING
    assert rig.plug.log.count("on") > ons  # renewed all the while
    assert rig.plug.power_w == LOAD_W

    disk(rig).away = False
    assert rig.write()
    assert rig.engine.database_away_s() == 0.0
    assert rig.answer(rig.order("O10", "o2")) == {"order": "O10"}
    assert rig.sql("SELECT COUNT(*) FROM charge_order WHERE id = 'O8'") == [(1,)]


def test_an_on_never_leaves_before_its_rows_are_on_disk(rig: Rig) -> None:
    rig.answer(rig.order())
    disk(rig).away = True
    paid = rig.ask(rig.paid())

    assert not paid.done()
    assert "on" not in rig.plug.log
    rig.clock.advance(6)  # longer than an ON lives
    disk(rig).away = False
    rig.write()

    assert paid.result(0)["session"] == "S1"
    assert "on" not in rig.plug.log  # T45: it had expired, and would have surprised somebody
    rig.beat(times=2)
    assert rig.reasons() == ["start_failed"]
    assert rig.house.balances["refund_due:m"] == 200


def test_at_the_end_of_the_grace_every_charge_is_off_and_settles_when_the_disk_is_back(rig: Rig) -> None:
    rig.charging()
    disk(rig).away = True
    rig.beat(times=int(rig.rules.db_grace_s / 10))
    assert rig.live().phase is Phase.CHARGING
    rig.beat(times=6)

    assert rig.plug.power_w == 0.0
    assert rig.house.sessions == {}  # decided; not yet on disk
    assert rig.saved().phase is Phase.CHARGING

    disk(rig).away = False
    rig.write()
    assert (rig.saved().phase, rig.saved().reason) == (Phase.SETTLED, StopReason.GATEWAY_FAULT)
    assert proofs(rig.url) == []


def test_a_stop_without_the_disk_reaches_the_wire_in_the_same_step(rig: Rig) -> None:
    rig.charging()
    disk(rig).away = True
    before = rig.clock.now()

    stopped = rig.ask(rig.stop())

    assert rig.plug.log[-1] == "off"
    assert rig.plug.power_w == 0.0
    assert rig.clock.now() == before
    assert not stopped.done()  # the record follows
    disk(rig).away = False
    rig.beat()
    assert stopped.result(0)
    assert rig.saved().reason == StopReason.STOPPED_BY_RESIDENT


def test_a_trip_and_a_site_cut_without_the_disk_reach_the_wire(rig: Rig) -> None:
    rig.charging()
    disk(rig).away = True
    rig.plug.load_w = 2_000.0
    rig.beat()
    assert rig.plug.log[-1] == "off"

    rig.ask(ev.SiteCutAsked(**rig.stamp(), key="cut", site="s1", by="staff:o"))
    assert rig.plugs["o2"].log[-1] == "off"
    disk(rig).away = False
    rig.beat()
    assert rig.saved().reason == StopReason.OVERLOAD


def test_a_lost_answer_is_read_back_and_nothing_is_written_twice(rig: Rig) -> None:
    rig.answer(rig.order())
    disk(rig).loses_answers = 1
    paid = rig.ask(rig.paid())
    assert not paid.done()

    assert rig.write()

    assert paid.result(0)["session"] == "S1"
    assert rig.plug.log[-1] == "on"
    assert rig.sql("SELECT COUNT(*) FROM entry") == [(1,)]


def test_a_lost_answer_does_not_break_the_audit_chain(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.staff(ev.Change.NAME, number="7")
    dialect: Any = rig.store.engine.dialect
    commit = dialect.do_commit

    def lost(connection: Any) -> None:
        commit(connection)
        raise dialect.dbapi.OperationalError("disk I/O error")

    with monkeypatch.context() as once:
        once.setattr(dialect, "do_commit", lost)
        rig.ask(rig.staff_change(ev.Change.NAME, key="b", number="8"))
    assert rig.batches
    assert rig.write()
    rig.staff(ev.Change.NAME, number="9", key="c")

    assert proofs(rig.url) == []
    assert rig.sql("SELECT COUNT(*) FROM audit") == [(3,)]


def test_the_batch_number_of_an_earlier_life_is_not_mistaken_for_ours(rig: Rig) -> None:
    rig.answer(rig.order())  # this life's first batches
    again = rig.restarted(store=Away)
    number = again.sql("SELECT value FROM meta WHERE key = 'batch:gw'")
    for _ in range(3):
        disk(again).away = True
        topped = again.ask(again.topup(100, f"t{len(again.house.entries)}"))
        disk(again).away = False
        again.write()
        assert topped.done()

    assert again.sql("SELECT COUNT(*) FROM entry") == [(3,)]
    assert again.sql("SELECT value FROM meta WHERE key = 'batch:gw'") != number


# -- what the schema itself refuses -------------------------------------------------------------------------------


@pytest.fixture
def written(rig: Rig) -> Rig:
    """Something in every append-only table."""
    rig.charging()
    rig.answer(rig.stop())
    rig.beat()
    rig.staff(ev.Change.NAME, number="7")
    return rig


CHANGES = ("UPDATE {table} SET {column} = {column}", "DELETE FROM {table}")
CHANGES_OF = {
    "sqlite": (
        "INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
        "REPLACE INTO {table} SELECT * FROM {table} LIMIT 1",
        "UPDATE OR IGNORE {table} SET {column} = NULL",
    ),
    "postgresql": (
        "INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ({key}) DO UPDATE SET {column} = 0",
        "TRUNCATE {table} CASCADE",
    ),
}


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_t74_nothing_that_was_booked_can_be_changed_by_our_own_connection(
    written: Rig, table: str, database: str
) -> None:
    column = {"transfer": "amount_fen", "receipt": "total_fen"}.get(table, "at")
    key = "session_id" if table == "receipt" else "id"
    before = written.sql(f"SELECT * FROM {table} ORDER BY {key}")  # noqa: S608
    assert before

    for change in (*CHANGES, *CHANGES_OF[database]):
        with pytest.raises(IntegrityError, match="append-only"), written.store.engine.begin() as db:
            db.execute(text(change.format(table=table, column=column, key=key)))

    assert written.sql(f"SELECT * FROM {table} ORDER BY {key}") == before  # noqa: S608


def test_t73_an_edited_audit_row_is_detected(written: Rig) -> None:
    written.staff(ev.Change.NAME, number="8")
    assert proofs(written.url) == []
    unguarded(written.url, "UPDATE audit SET \"by\" = 'staff:nobody' WHERE id = 1")

    assert proofs(written.url) == ["audit: the chain breaks at row 1 (name of o1)"]


@pytest.mark.parametrize("other", [{"id": "X", "order": None, "card": "c9"}, {"id": "X", "outlet": "o9", "card": "c1"}])
def test_one_live_session_an_outlet_and_a_card(rig: Rig, other: dict[str, Any]) -> None:
    rig.store.write("one", [fx.SaveSession(made.session(card="c1"))])

    with pytest.raises(IntegrityError, match=r"UNIQUE|unique"):
        rig.store.write("two", [fx.SaveSession(made.session(**other))])


def test_an_overdraft_is_refused_by_the_database_too(rig: Rig) -> None:
    with pytest.raises(IntegrityError, match="account_floor"), rig.store.engine.begin() as db:
        db.execute(text("INSERT INTO account(code, kind, floor, balance) VALUES ('card:x', 'liability', 0, -1)"))


def test_a_batch_is_all_or_nothing(rig: Rig) -> None:
    session = made.session(card="c1")
    with pytest.raises(IntegrityError):
        rig.store.write("bad", [fx.SaveSession(session), fx.SaveSession(made.session(id="X", order=None))])

    assert rig.sql("SELECT COUNT(*) FROM session") == [(0,)]


def test_an_errand_done_late_does_not_strike_out_a_newer_wish(rig: Rig) -> None:
    for version in (1, 2):
        rig.store.write(str(version), [fx.Wish("refund:R", "refund", {}, 0.0, version=version)])
    rig.store.write("late", [fx.WishDone("refund:R", 1)])
    assert rig.sql("SELECT version FROM outbox") == [(2,)]

    rig.store.write("later", [fx.WishDone("refund:R", 2, retry_at=9.0)])
    assert rig.sql("SELECT attempts, not_before FROM outbox") == [(1, 9.0)]
    rig.store.write("last", [fx.WishDone("refund:R", 2)])
    assert rig.sql("SELECT * FROM outbox") == []


def test_a_newer_database_is_not_touched(rig: Rig) -> None:
    with rig.store.engine.begin() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(NewerDatabase, match="0999"):
        rig.store.create()
    assert rig.sql("SELECT version_num FROM alembic_version") == [("0999",)]


ON_THE_DISK: dict[str, dict[str, object]] = {
    "sqlite": {"PRAGMA journal_mode": "wal", "PRAGMA synchronous": 2, "PRAGMA foreign_keys": 1},  # 2: FULL
    "postgresql": {"SHOW synchronous_commit": "on", "SHOW lock_timeout": "5s", "SHOW statement_timeout": "10s"},
}


def test_money_is_on_the_disk_not_in_a_cache(rig: Rig, database: str) -> None:
    with rig.store.engine.connect() as db:
        for asked, wanted in ON_THE_DISK[database].items():
            assert db.scalar(text(asked)) == wanted, asked
