"""The database really away: stopped, killed, locked by another, taken by another gateway. OFFs leave, nothing is lost.

The fleet is without its database for a minute of its own time, three real seconds. For a real minute, in real time:
`ANCHONG_AWAY_FACTOR=1 python -m pytest tests/shell/test_database_away.py -k fleet --timeout 1200`
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from controller import owner, postgresql
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.ledger import card_held
from controller.core.reasons import StopReason
from controller.core.state import Phase
from controller.database import migrating_engine, reading_engine, snapshot
from controller.ledger_check import proofs
from controller.queries import Queries
from controller.store import Store
from controller.writer import AWAY
from tests.databases import Postgres, at_end
from tests.house import Broker, eventually
from tests.shell.killable import Opening, all_charging
from tests.shell.rig import Rig
from tests.shell.test_kill9 import COUNT, Scene

MINUTE_S = 60.0
FACTOR = float(os.environ.get("ANCHONG_AWAY_FACTOR", "20"))
HOLDS_A_LOCK = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked_by_another(url: str) -> Iterator[None]:
    """Another process has the SQLite file for itself."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS_A_LOCK, url.removeprefix("sqlite:///")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        try:
            yield
        finally:
            holder.kill()


@pytest.fixture
def away(database: str, request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """Takes the database at this URL away, for as long as the context lasts."""
    if database == "sqlite":
        return locked_by_another
    server: Postgres = request.getfixturevalue("postgres")
    return lambda url: server.stopped()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives a silent server up sooner than in earnest, so that the test need not wait."""
    monkeypatch.setattr(postgresql, "ANSWER_S", 0.5)
    monkeypatch.setattr(postgresql, "CONNECT_S", 2)
    monkeypatch.setattr(postgresql, "LOCK_MS", 300)


@pytest.fixture
def rig(tmp_path: Path, impatient: None) -> Rig:
    rig = Rig(tmp_path)
    rig.beat()
    return rig


@pytest.fixture
def mortal(postgres: Postgres) -> Iterator[Postgres]:
    """The server, to be killed: it is there again for the next test, however this one ends."""
    yield postgres
    if not postgres.running:
        postgres.start()


# -- a fleet under a real gateway ---------------------------------------------------------------------------------


@pytest.fixture
def scene(
    mosquitto: Callable[..., Broker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> Iterator[Scene]:
    monkeypatch.setattr("tests.shell.test_kill9.FACTOR", FACTOR)
    with ExitStack() as stack:
        yield Scene(mosquitto().port, tmp_path, stack)


def test_a_fleet_without_its_database_for_a_minute_keeps_its_power_and_obeys_a_stop(
    scene: Scene, away: Callable[[str], Any]
) -> None:
    gateway = scene.gateway()
    Opening(gateway).run(COUNT)
    eventually(lambda: all_charging(gateway, COUNT), within_s=60)
    sessions = {outlet: view.session for outlet, view in gateway.board.views.items()}

    with away(scene.database):
        gone_s = scene.clock.now().steady_s
        eventually(lambda: gateway.engine.database_away_s() > gateway.plan.rules.db_away_s, within_s=MINUTE_S)
        asked = time.monotonic()
        answer = gateway.ask(stop(scene, "outlet-0", str(sessions["outlet-0"])))
        eventually(lambda: scene.powered() == [False, True, True], within_s=10)
        took_s = time.monotonic() - asked
        eventually(lambda: scene.clock.now().steady_s - gone_s > MINUTE_S, within_s=2 * MINUTE_S)
        assert scene.powered() == [False, True, True]  # renewed all the while
        assert not answer.done()  # the record follows

    assert answer.result(30)
    assert took_s < 2.0  # on a busy machine; the path itself is measured by `anchong bench off`
    eventually(lambda: gateway.engine.database_away_s() == 0.0, within_s=30)
    for number in (1, 2):
        gateway.ask(stop(scene, f"outlet-{number}", str(sessions[f"outlet-{number}"]))).result(30)
    eventually(lambda: len(scene.settled) == COUNT, within_s=30)
    gateway.stop()
    assert proofs(scene.database) == []
    with snapshot(scene.database) as db:
        assert db.scalar(text("SELECT COUNT(*) FROM session WHERE phase <> 'settled'")) == 0
        assert db.scalar(text("SELECT COUNT(*) FROM moment")) == db.scalar(
            text("SELECT COUNT(*) FROM (SELECT DISTINCT session_id, at, what FROM moment) AS told")
        )


@pytest.mark.only("postgresql")
def test_a_gateway_whose_database_another_took_switches_everything_off_and_stops(
    scene: Scene, postgres: Postgres
) -> None:
    gateway = scene.gateway()
    Opening(gateway).run(COUNT)
    eventually(lambda: scene.powered() == [True] * COUNT, within_s=60)
    other = migrating_engine(scene.database, lambda _: None)

    with other.connect() as theirs, ThreadPoolExecutor(1) as waits:
        taken = waits.submit(lambda: theirs.execute(text(f"SELECT pg_advisory_lock({owner.ADVISORY})")))
        waiting = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        eventually(lambda: read(scene.database, waiting) == 1)
        postgres.admin("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
        taken.result(10)
        eventually(lambda: gateway.broken, within_s=20)
        eventually(lambda: scene.powered() == [False] * COUNT)
    other.dispose()


def read(url: str, query: str) -> Any:
    with snapshot(url) as db:
        return db.scalar(text(query))


def stop(scene: Scene, outlet: str, session: str) -> ev.StopAsked:
    now = scene.clock.now()
    names: dict[str, Any] = {"session": session, "outlet": outlet, "by": "party:p1"}
    reason = StopReason.STOPPED_BY_RESIDENT
    return ev.StopAsked(at=now.at, steady_s=now.steady_s, key=f"stop-{outlet}", reason=reason, **names)


# -- one writer, one database -------------------------------------------------------------------------------------


def test_a_database_that_is_really_away_is_tried_again_with_the_same_rows(rig: Rig, away: Callable[[str], Any]) -> None:
    rig.answer(rig.order())
    with away(rig.url):
        paid = rig.ask(rig.paid())
        assert not paid.done()
        assert not rig.write()
        assert "on" not in rig.plug.log
    eventually(rig.write, within_s=20)
    assert paid.result(0)["session"] == "S1"
    assert rig.sql("SELECT COUNT(*) FROM entry") == [(1,)]
    assert proofs(rig.url) == []


def test_twenty_minutes_without_the_database_end_every_charge_and_lose_nothing(
    rig: Rig, away: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On virtual time; the writer tries once a minute, as its own attempts take real seconds."""
    rig.charging()
    write, tries = rig.write, iter(range(10_000))
    monkeypatch.setattr(rig, "write", lambda: next(tries) % 60 == 0 and write())
    with away(rig.url):
        since_s, dark_s = rig.clock.now().steady_s, None
        for _ in range(120):
            rig.beat()
            if dark_s is None and rig.plug.power_w == 0.0:
                dark_s = rig.clock.now().steady_s - since_s
        assert dark_s is not None
        assert rig.rules.db_grace_s <= dark_s <= rig.rules.db_grace_s + 60  # from its oldest batch on
        assert rig.house.sessions == {}
    monkeypatch.undo()
    eventually(write, within_s=20)

    saved = rig.saved()
    assert (saved.phase, saved.reason) == (Phase.SETTLED, StopReason.GATEWAY_FAULT)
    assert saved.off_at is not None
    assert proofs(rig.url) == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.only("postgresql")
def test_a_server_killed_in_the_middle_of_a_batch_has_it_once(
    rig: Rig, mortal: Postgres, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    rig.answer(rig.order())
    dialect: Any = rig.store.engine.dialect
    commit = dialect.do_commit

    def killed(connection: Any) -> None:
        if when == "before":
            mortal.kill()
            commit(connection)
        commit(connection)
        mortal.kill()
        raise dialect.dbapi.OperationalError("the answer was lost")

    with monkeypatch.context() as once:
        once.setattr(dialect, "do_commit", killed)
        paid = rig.ask(rig.paid())
    assert not paid.done()
    assert not rig.write()  # it is still gone
    mortal.start()
    eventually(rig.write, within_s=20)

    assert paid.result(0)["session"] == "S1"
    assert rig.plug.log.count("on") == 1
    assert rig.sql("SELECT COUNT(*) FROM entry") == [(1,)]
    assert proofs(rig.url) == []


@pytest.mark.only("postgresql")
def test_a_commit_sent_to_a_server_that_stands_still_is_read_back_when_it_goes_on(
    rig: Rig, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given up by us, carried out by the server later: nothing is written until that connection is gone."""
    rig.answer(rig.order())
    dialect: Any = rig.store.engine.dialect
    commit = dialect.do_commit
    with ExitStack() as standing, monkeypatch.context() as once:

        def into_the_void(connection: Any) -> None:
            standing.enter_context(postgres.stopped())
            commit(connection)

        once.setattr(dialect, "do_commit", into_the_void)
        paid = rig.ask(rig.paid())
        assert not paid.done()
    eventually(rig.write, within_s=20)

    assert paid.result(0)["session"] == "S1"
    assert rig.sql("SELECT COUNT(*) FROM entry") == [(1,)]
    assert rig.sql("SELECT COUNT(*) FROM moment WHERE what = 'paid'")[0][0] <= 1
    assert proofs(rig.url) == []


@pytest.mark.only("postgresql")
def test_a_table_locked_by_somebody_else_is_waited_for_and_not_for_ever(rig: Rig) -> None:
    rig.answer(rig.order())
    other = migrating_engine(rig.url, lambda _: None)
    with other.begin() as db:
        db.execute(text("LOCK TABLE entry IN ACCESS EXCLUSIVE MODE"))
        paid = rig.ask(rig.paid())
        assert not paid.done()
    other.dispose()
    assert rig.write()
    assert paid.result(0)["session"] == "S1"


# -- what is away and what is wrong -------------------------------------------------------------------------------


def test_a_mistake_of_ours_is_never_taken_for_an_absent_database(rig: Rig) -> None:
    for statement in ("SELECT * FROM nowhere", "SELECT nothing FROM session", "SELEC 1"):
        with pytest.raises(ProgrammingError), rig.store.engine.begin() as db:
            db.execute(text(statement))
    with pytest.raises(IntegrityError) as refused:
        rig.store.write("x", [fx.Put("sticker", {"id": "k", "outlet_id": "nowhere", "made_at": 0.0})])
    assert not isinstance(refused.value, AWAY)


def test_no_error_repeats_what_was_in_the_rows(rig: Rig) -> None:
    """A server's DETAIL would print the whole row, a card's number with it."""
    card = {"id": "c9", "uid": "04AB", "printed": "secret-9", "party_id": "p", "frozen": False}
    with pytest.raises(IntegrityError) as refused, rig.store.engine.begin() as db:
        db.execute(text("INSERT INTO card VALUES (:id, :uid, :printed, :party_id, :frozen)"), card)
    assert "04AB" not in str(refused.value)
    assert "secret-9" not in str(refused.value)


def test_a_reader_can_not_write_and_a_nul_finds_nothing(rig: Rig) -> None:
    engine = reading_engine(rig.url)
    with pytest.raises(OperationalError, match=r"read-?only"), engine.connect() as db:
        db.execute(text("DELETE FROM card"))
    engine.dispose()
    queries = Queries(rig.url)
    assert queries.by_key("a\0b") is None
    assert queries.staff_by_login("\0") is None
    queries.close()


# -- one gateway --------------------------------------------------------------------------------------------------


def test_a_second_gateway_is_refused_with_one_line(rig: Rig) -> None:
    with pytest.raises(owner.Taken, match="stop it first") as refused:
        Store(rig.url).create()
    assert len(str(refused.value).splitlines()) == 1
    rig.answer(rig.topup(100))  # ours was not disturbed

    rig.store.close()
    second = Store(rig.url)
    second.create()
    second.close()


@pytest.mark.only("postgresql")
def test_a_lost_connection_of_ours_is_claimed_again(rig: Rig, postgres: Postgres) -> None:
    rig.answer(rig.topup(100))
    postgres.admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'anchong %'")
    rig.ask(rig.topup(100, "t2"))
    eventually(rig.write)
    assert rig.sql("SELECT balance FROM account WHERE code = 'card:c1'") == [(200,)]


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("has_gone", [False, True])
def test_a_database_that_another_took_meanwhile_is_never_written_again(
    rig: Rig, postgres: Postgres, has_gone: bool
) -> None:
    rig.answer(rig.topup(100))
    rig.store.engine.dispose()  # the network took our connection, and with it our claim
    other = Store(rig.url)
    other.create()
    other.write("theirs:1", [])
    at_end(other.close)
    if has_gone:
        other.close()

    with pytest.raises(owner.Taken):
        rig.ask(rig.topup(100, "t2"))
    other.close()
    with snapshot(rig.url) as db:
        assert db.scalar(text("SELECT balance FROM account WHERE code = 'card:c1'")) == 100


# -- a card's money -----------------------------------------------------------------------------------------------


def test_40_holds_of_100_fen_at_once_on_a_card_with_1000_are_exactly_ten(rig: Rig) -> None:
    rig.answer(rig.topup(1_000))

    def hold(number: int) -> bool:
        entry = card_held("c1", f"H{number}", 100, 1.0, "card")
        try:
            rig.store.write(f"hold:{number}", [fx.Post(entry)])
        except IntegrityError:
            return False
        return True

    with ThreadPoolExecutor(40) as pool:
        held = list(pool.map(hold, range(40)))

    assert held.count(True) == 10
    assert rig.sql("SELECT balance FROM account WHERE code = 'card:c1'") == [(0,)]
    assert rig.sql("SELECT COUNT(*) FROM entry WHERE kind = 'hold'") == [(10,)]
    assert proofs(rig.url) == []


def test_40_withdrawals_past_our_one_pen_are_ten_as_well(rig: Rig) -> None:
    """Each on a connection of its own: the database itself holds the floor."""
    rig.answer(rig.topup(1_000))

    def take(_: int) -> bool:
        engine = migrating_engine(rig.url, lambda _: None)
        try:
            while True:
                try:
                    with engine.begin() as db:
                        db.execute(text("UPDATE account SET balance = balance - 100 WHERE code = 'card:c1'"))
                    return True
                except IntegrityError:
                    return False
                except OperationalError:
                    continue  # SQLite: so many at once that one waited too long
        finally:
            engine.dispose()

    with ThreadPoolExecutor(40) as pool:
        assert list(pool.map(take, range(40))).count(True) == 10
    assert rig.sql("SELECT balance FROM account WHERE code = 'card:c1'") == [(0,)]
