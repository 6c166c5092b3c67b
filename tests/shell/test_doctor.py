"""`anchong doctor`: each thing that is wrong is found, named and given a remedy; what is right is left in peace."""

import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from anchong import doctor_database, doctor_host
from anchong.__main__ import app
from anchong.doctor import _carried_out
from anchong.doctor_finding import Finding, State
from controller.core import effects as fx
from controller.core.state import Rules
from controller.schema import head
from controller.store import Store
from tests import databases
from tests.databases import Postgres
from tests.house import Broker, free_port, needs
from tests.shell.rig import seed

pytestmark = pytest.mark.only("sqlite")  # what looks at a server says so itself
Mosquitto = Callable[..., Broker]
ACL = (Path(__file__).parents[2] / "deploy" / "mosquitto.acl").read_text(encoding="utf-8")
USERS = {"gateway": "gateway-word", "tester": "tester-word"}
DEVICE = ("--device-user", "tester", "--device-password", "tester-word")
SECRET = "f00dcafe12345678" * 3


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Path]:
    def write(port: int, user: str = "gateway", word: str = "gateway-word", secret: str = SECRET) -> Path:
        path = tmp_path / "anchong.toml"
        path.write_text(
            f'secret = "{secret}"\ndatabase = "sqlite:///{tmp_path / "a.sqlite3"}"\njournal = "{tmp_path / "trips"}"\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {port}\nuser = "{user}"\npassword = "{word}"\n',
            encoding="utf-8",
        )
        path.chmod(0o600)
        return path

    return write


def examined(config: Path, *more: str) -> tuple[int, list[dict[str, Any]]]:
    result = CliRunner().invoke(app, ["doctor", "-c", str(config), "--json", *more])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.exit_code, json.loads(result.stdout)["findings"]


def says(findings: list[dict[str, Any]], state: str) -> str:
    return "\n".join(finding["says"] for finding in findings if finding["state"] == state)


def test_a_sound_site_has_nothing_bad(mosquitto: Mosquitto, configured: Callable[..., Path], tmp_path: Path) -> None:
    _database(tmp_path)

    code, findings = examined(configured(mosquitto(USERS, ACL).port), *DEVICE)

    assert (code, says(findings, "bad")) == (0, "")
    good = says(findings, "ok")
    for part in (
        "strangers are turned away",
        "ms through the broker",
        "keeps no commands",
        f"schema {head()}",
        "as itself",
    ):
        assert part in good
    for how in ("by topic", "by client id"):
        assert f"no device can speak as another, {how}" in good
        assert f"no device can hear another's commands, {how}" in good


def test_a_broker_that_lets_anybody_in_is_bad(mosquitto: Mosquitto, configured: Callable[..., Path]) -> None:
    code, findings = examined(configured(mosquitto().port))

    assert code == 1
    assert "without a password is let in" in says(findings, "bad")
    assert "was not tried" in says(findings, "warn")


def test_t41_a_device_that_speaks_or_hears_as_another_by_topic_is_found(
    mosquitto: Mosquitto, configured: Callable[..., Path]
) -> None:
    code, findings = examined(configured(mosquitto(USERS, "topic readwrite #\npattern readwrite #\n").port), *DEVICE)

    assert code == 1
    assert "one device can speak as another, by topic" in says(findings, "bad")
    assert "one device can hear another's commands, by topic" in says(findings, "bad")


def test_t41_rights_by_client_id_are_found_out(mosquitto: Mosquitto, configured: Callable[..., Path]) -> None:
    by_client = "".join(f"pattern readwrite {prefix}/%c/#\n" for prefix in ("tele", "stat", "cmnd"))

    code, findings = examined(
        configured(mosquitto(USERS, f"user gateway\ntopic readwrite #\n{by_client}").port), *DEVICE
    )

    assert code == 1
    assert "one device can speak as another, by client id" in says(findings, "bad")
    assert "one device can hear another's commands, by client id" in says(findings, "bad")
    assert "no device can speak as another, by topic" in says(findings, "ok")


@pytest.mark.parametrize("topic", ["cmnd/shed7/POWER", "shed7/command/switch:0", "shed7/rpc"])
def test_t44_a_retained_command_is_bad_and_the_remedy_works(
    mosquitto: Mosquitto, configured: Callable[..., Path], topic: str
) -> None:
    broker = mosquitto(USERS, ACL)
    as_gateway = ["-h", broker.host, "-p", str(broker.port), "-u", "gateway", "-P", "gateway-word", "-q", "1"]
    retain = [needs("mosquitto_pub"), *as_gateway, "-r", "-t", topic]
    subprocess.run([*retain, "-m", "ON"], check=True)
    config = configured(broker.port)

    code, findings = examined(config)

    assert (code, topic in says(findings, "bad")) == (1, True)
    subprocess.run([*retain, "-n"], check=True)
    assert "keeps no commands" in says(examined(config)[1], "ok")


def test_a_broker_that_is_away_or_refuses_is_bad(mosquitto: Mosquitto, configured: Callable[..., Path]) -> None:
    code, findings = examined(configured(free_port()))
    assert (code, "does not let us in" in says(findings, "bad")) == (1, True)

    code, findings = examined(configured(mosquitto(USERS, ACL).port, word="not-the-word"))
    assert (code, "Not authorized" in says(findings, "bad")) == (1, True)


def test_a_broker_without_nodelay_is_found_by_its_round_trip(
    mosquitto: Mosquitto, configured: Callable[..., Path]
) -> None:
    broker = mosquitto(USERS, ACL)
    broker.stop()
    conf = broker.log.with_name("mosquitto.conf")
    conf.write_text(conf.read_text(encoding="utf-8").replace("set_tcp_nodelay true", "set_tcp_nodelay false"))
    broker.start()

    code, slow = _round_trip_of(configured(broker.port))
    for _ in range(4):  # on a busy machine an answer may come along in time to carry the kernel's word
        if slow["state"] == "ok":
            code, slow = _round_trip_of(configured(broker.port))

    assert (code, slow["state"]) == (0, "warn")
    assert "set_tcp_nodelay" in slow["do"]


def _round_trip_of(config: Path) -> tuple[int, dict[str, str]]:
    code, findings = examined(config)
    (found,) = [finding for finding in findings if "ms through the broker" in finding["says"]]
    return code, found


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("UPDATE alembic_version SET version_num = '0999'", "has schema 0999"),
        ("UPDATE alembic_version SET version_num = '0001'", "has schema 0001"),
        (
            'INSERT INTO audit (at, "by", what, subject, body, previous, hash) VALUES (9e9, 1, 2, 3, 4, 5, 6)',
            "future",
        ),
        ("DROP TABLE entry", "no such table"),
    ],
)
def test_a_database_that_is_wrong_is_bad(tmp_path: Path, change: str, part: str) -> None:
    path = _database(tmp_path)
    with sqlite3.connect(path) as db:
        db.execute(change)
    db.close()

    assert part in _bad(doctor_database.database_findings(f"sqlite:///{path}"))


def test_a_file_that_is_no_database_and_one_that_is_held_are_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_database, "BUSY_S", 0.05)
    (tmp_path / "poem").write_text("The curfew tolls the knell of parting day" * 100)
    assert "not a database" in _bad(doctor_database.database_findings(f"sqlite:///{tmp_path / 'poem'}"))

    path = _database(tmp_path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert "locked" in _bad(doctor_database.database_findings(f"sqlite:///{path}"))
    holder.close()


def test_looking_changes_nothing(tmp_path: Path) -> None:
    path = _database(tmp_path)
    before = path.read_bytes()

    assert _bad(doctor_database.database_findings(f"sqlite:///{path}")) == ""
    assert [pile.address for pile in doctor_database.known_piles(f"sqlite:///{path}")] == ["AA"]
    assert _bad(doctor_database.database_findings(f"sqlite:///{tmp_path / 'new.sqlite3'}")) == ""

    assert path.read_bytes() == before
    assert not (tmp_path / "new.sqlite3").exists()


def test_a_full_disk_and_a_missing_folder_are_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No such file" in _bad(doctor_database.database_findings(f"sqlite:///{tmp_path / 'none' / 'a.sqlite3'}"))
    monkeypatch.setattr(doctor_database, "FREE_BAD_MB", 1e12)
    assert "MB free" in _bad(doctor_database.database_findings(f"sqlite:///{tmp_path / 'a.sqlite3'}"))


def test_a_clock_before_the_build_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_host, "BUILT_AT", 9e9)
    assert "before this program was built" in _bad(doctor_host.clock_findings())


def test_a_weak_secret_and_an_open_file_are_told(mosquitto: Mosquitto, configured: Callable[..., Path]) -> None:
    config = configured(mosquitto(USERS, ACL).port, secret="changeme" * 5)
    config.chmod(0o644)

    code, findings = examined(config)

    assert (code, "secret: is weak" in says(findings, "bad")) == (1, True)
    assert "can be read by others" in says(findings, "warn")
    assert "changeme" not in json.dumps(findings)


def test_bad_settings_are_one_line_and_code_2(tmp_path: Path) -> None:
    (tmp_path / "anchong.toml").write_text("[broker]\nhost = 7\n")
    for name in ("anchong.toml", "none.toml"):
        result: Result = CliRunner().invoke(app, ["doctor", "-c", str(tmp_path / name)])
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


def test_a_check_that_breaks_is_a_finding_and_no_traceback() -> None:
    def broken() -> list[Finding]:
        raise ZeroDivisionError

    (finding,) = _carried_out(("clock", broken))

    assert (finding.state, "ZeroDivisionError" in finding.says) == (State.BAD, True)


def test_for_people_each_finding_has_its_remedy_below(mosquitto: Mosquitto, configured: Callable[..., Path]) -> None:
    result = CliRunner().invoke(app, ["doctor", "-c", str(configured(mosquitto().port))])

    assert result.exit_code == 1
    bad = next(number for number, line in enumerate(result.stdout.splitlines()) if line.startswith("bad "))
    assert result.stdout.splitlines()[bad + 1].startswith("      → ")


def _database(folder: Path) -> Path:
    store = Store(f"sqlite:///{folder / 'a.sqlite3'}")
    store.create()
    rows: list[fx.Effect] = seed(["o1"], 1_795_000_001.0, Rules())
    store.write("1", rows)
    store.close()
    return folder / "a.sqlite3"


def _bad(findings: Any) -> str:
    return "\n".join(finding.says for finding in findings if finding.state is State.BAD)


# -- a server -----------------------------------------------------------------------------------------------------


def test_a_server_at_our_schema_is_well_and_a_gateway_that_writes_it_is_told(postgres: Postgres) -> None:
    url = postgres.empty()
    assert "is empty" in says_all(doctor_database.database_findings(url))
    store = Store(url)
    store.create()
    store.write("1", seed(["o1"], 1_795_000_001.0, Rules()))

    said = says_all(doctor_database.database_findings(url))
    assert "a gateway writes it, from 127.0.0.1" in said
    assert "can be written" in said
    assert _bad(doctor_database.database_findings(url)) == (
        "fsync and full_page_writes off: a power cut can take booked money with it"  # as this test's server is
    )
    assert [pile.address for pile in doctor_database.known_piles(url)] == ["AA"]
    store.close()
    assert "no gateway writes it" in says_all(doctor_database.database_findings(url))


def test_a_server_that_is_not_there_or_not_ours_is_bad(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = f"postgresql://anchong:word@127.0.0.1:{free_port()}/anchong"
    said = _bad(doctor_database.database_findings(gone))
    assert "can't be read" in said
    assert "word" not in said
    assert doctor_database.known_piles(gone) == []

    url = postgres.fresh()
    databases.unguarded(url, "UPDATE alembic_version SET version_num = '0001'")
    assert "has schema 0001, this program needs" in _bad(doctor_database.database_findings(url))
    monkeypatch.setattr(doctor_database, "OLDEST_SERVER", 10**9)
    assert "PostgreSQL" in _bad(doctor_database.database_findings(url))


def says_all(findings: Any) -> str:
    return "\n".join(finding.says for finding in findings)
