"""The diagnostics: what a maintainer needs is in them, and of all that must not be read not one byte."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvicorn
from sqlalchemy import create_engine, text
from starlette.testclient import TestClient
from typer.testing import CliRunner

from anchong.__main__ import app
from anchong.bundle import PART_MAX, bundle, unpacked
from anchong.log_lines import Redactor
from anchong.logs import Logs
from anchong.run import gateway_of, watch_key, web_plan
from anchong.settings import Settings, read, secrets_of
from anchong.watching import Watching
from anchong.web import services
from anchong.wiring import Gateway
from api.app import make_app
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.reasons import StopReason
from controller.core.state import Card, Rules
from controller.store import Store
from firmware_bridge.routers import BROKER
from tests.databases import url_of
from tests.house import eventually, free_port
from tests.shell.rig import seed

MARK = "hush"  # in everything that must stay inside
SECRET = f"{MARK}-f00dcafe-12345678-abcdef-0987"
BROKER_WORD = f"{MARK}-broker-word"
METRICS_TOKEN = f"{MARK}-metrics-token-1234"
OUTSIDE = {"about.json", "alarms.json", "database.json", "findings.json", "host.json", "settings.json", "trips.json"}
INSIDE = {"checks.json", "log.txt", "metrics.txt", "outlets.json", "queues.json", "threads.txt"}


class Site:
    """A seeded database with a mark in every secret, its settings, and a gateway on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = url_of(folder / "site.sqlite3")
        self.port = free_port()
        self.config = folder / "anchong.toml"
        self.config.write_text(self._toml(), encoding="utf-8")
        self.settings: Settings = read(self.config)
        store = Store(self.database)
        store.create()
        store.write("seed", [*(row for row in seed(["o1"], 1_800_000_000.0, Rules())), *marked_rows()])
        store.close()

    def _toml(self) -> str:
        return (
            f'secret = "{SECRET}"\ndatabase = "{self.database}"\njournal = "{self.folder / "trips"}"\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {free_port()}\nuser = "gateway"\npassword = "{BROKER_WORD}"\n'
            f'[web]\nport = {self.port}\nmetrics_token = "{METRICS_TOKEN}"\n'
        )

    def gateway(self) -> Gateway:
        gateway = gateway_of(self.settings)
        gateway.journal.open()
        gateway.journal.write(trip())
        return gateway


def marked_rows() -> list[fx.Effect]:
    staff: dict[str, object] = {"id": "s-1", "login": f"{MARK}-login", "name": f"{MARK}-name"}
    staff |= {"password_hash": f"$argon2id${MARK}", "role": "owner", "sites": [], "disabled": False, "at": 1.0}
    sticker: dict[str, object] = {"id": f"A-{MARK}-sticker", "outlet_id": "o1", "made_at": 1.0, "retired_at": None}
    told: Any = {"power_w": 40.0, "who": f"{MARK}-openid"}
    return [
        fx.Put("staff", staff),
        fx.Put("sticker", sticker),
        fx.Put("party", {"id": f"{MARK}-party", "kind": "openid", "at": 1.0}),
        fx.SaveCard(Card(f"{MARK}-card", f"{MARK}-uid", f"{MARK}-printed", f"{MARK}-party")),
        fx.RaiseAlarm("a1", 2.0, "s1", "o1", "no_proof", told),
        fx.Audit(1.0, f"staff:{MARK}", "open", "o1", {"note": MARK}),
    ]


def trip() -> ev.Tripped:
    evidence = {"power_w": 3000.0}
    return ev.Tripped(at=5.0, steady_s=5.0, outlet="o1", generation=1, reason=StopReason.OVERLOAD, evidence=evidence)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def running(site: Site) -> Iterator[tuple[Site, Gateway, Watching]]:
    """Its parts, with lines in the log that carry what must not leave."""
    gateway = site.gateway()
    logs = Logs("debug", "plain", secrets_of(site.settings)).start()
    watching = Watching(gateway, logs, (site.config, site.settings))
    log = structlog.get_logger()
    log.warning("login failed", password=f"{MARK}-typed", detail=f"token={MARK}-token, Bearer {MARK}abcdefgh")
    log.warning("broker", error=f"mqtt://gateway:{MARK}@broker refused", path=f"/O/{MARK}-order/stop")
    log.error("bug", why=f"the key was {SECRET} and {BROKER_WORD}")
    gateway.tell(ev.OrderPlaced(at=1.0, steady_s=1.0, **ORDER))
    gateway.step()
    yield site, gateway, watching
    gateway.links[BROKER].stop()
    gateway.store.close()


ORDER: dict[str, Any] = {"key": "k", "order": "O1", "session": "S1", "outlet": "o1", "party": f"{MARK}-party"}
ORDER |= {"amount_fen": 200, "max_s": 0, "secret_hash": f"{MARK}-hash", "provider": "sandbox", "lang": "zh"}


def files_of(raw: bytes) -> dict[str, str]:
    return {name: body.decode() for name, body in unpacked(raw).items()}


def test_not_one_secret_is_in_the_bundle(running: tuple[Site, Gateway, Watching]) -> None:
    files = files_of(running[2].diagnosis())

    assert set(files) == OUTSIDE | INSIDE
    for name, body in files.items():
        assert MARK not in body.replace(str(running[0].folder), ""), f"{name}: {body}"
    assert "***" in files["settings.json"]
    assert "***" in files["log.txt"]


def test_what_helps_is_in_it(running: tuple[Site, Gateway, Watching]) -> None:
    files = files_of(running[2].diagnosis())
    parsed = {name: json.loads(body) for name, body in files.items() if name.endswith(".json")}

    assert parsed["about.json"]["python"]
    assert "fastapi" in parsed["about.json"]["packages"]
    assert parsed["host.json"]["disk"]["free_bytes"] > 0
    assert parsed["settings.json"]["broker"]["user"] == "gateway"
    assert {finding["area"] for finding in parsed["findings.json"]} == {
        "settings",
        "clock",
        "database",
        "journal",
        "broker",
    }
    assert parsed["trips.json"] == [{"at": 5.0, "outlet": "o1", "reason": "overload", "evidence": {"power_w": 3000.0}}]
    assert [(alarm["kind"], alarm["evidence"]) for alarm in parsed["alarms.json"]] == [("no_proof", {"power_w": 40.0})]
    assert parsed["database.json"]["schema"] == parsed["database.json"]["schema_of_this_program"]
    assert [outlet["id"] for outlet in parsed["database.json"]["outlets"]] == ["o1"]
    assert parsed["queues.json"]["inbox"] == {"first": 0, "facts": 0, "readings": 0}
    assert "anchong_step_seconds_count 1.0" in files["metrics.txt"]
    assert "login failed" in files["log.txt"]
    assert "MainThread" in files["threads.txt"]


def test_it_works_with_the_database_away(running: tuple[Site, Gateway, Watching], database: str) -> None:
    site, gateway, watching = running
    gateway.store.close()
    with _spoilt(site, database):
        files = files_of(watching.diagnosis())

    assert set(files) == OUTSIDE | INSIDE
    for name in ("alarms.json", "database.json"):
        assert files[name].startswith("could not be had: ")
    assert "anchong_" in files["metrics.txt"]


@contextmanager
def _spoilt(site: Site, database: str) -> Iterator[None]:
    """A file that is none, or a server that has lost its tables; whole again at the end, for the next test."""
    if database == "sqlite":
        for path in site.folder.glob("site.sqlite3*"):
            path.write_bytes(b"no database")
        yield
        return
    renamed = (("alarm", "gone"), ("outlet", "gone_too"))
    _renamed(site.database, renamed)
    try:
        yield
    finally:
        _renamed(site.database, [(after, before) for before, after in renamed])


def test_a_database_that_stands_still_holds_up_nothing(
    running: tuple[Site, Gateway, Watching],
    database: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site, gateway, watching = running
    monkeypatch.setattr("anchong.watching.bundle", partial(bundle, within_s=3.0))
    the = services(gateway, web_plan(site.settings), None, watching)
    client = TestClient(make_app(the), client=("127.0.0.1", 1))
    with _standing_still(site, database, request):
        began_s = time.monotonic()
        files = files_of(watching.diagnosis())
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503  # there is no broker
        assert client.get("/metrics").status_code == 200
        assert time.monotonic() - began_s < 8.0
    the.queries.close()

    assert "anchong_" in files["metrics.txt"]
    if database == "sqlite":
        assert "locked" in files["findings.json"]
        assert json.loads(files["alarms.json"])  # a reader needs no lock
    else:
        assert files["alarms.json"].startswith("could not be had")


@contextmanager
def _standing_still(site: Site, database: str, request: pytest.FixtureRequest) -> Iterator[None]:
    """Another process's exclusive lock, or a server that was stopped."""
    if database == "sqlite":
        holder = sqlite3.connect(site.folder / "site.sqlite3", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        yield
        holder.close()
    else:
        with request.getfixturevalue("postgres").stopped():
            yield


def _renamed(url: str, tables: Iterable[tuple[str, str]]) -> None:
    engine = create_engine(url)
    with engine.begin() as db:
        for before, after in tables:
            db.execute(text(f"ALTER TABLE {before} RENAME TO {after}"))
    engine.dispose()


def test_two_at_once_are_one_and_a_refusal(running: tuple[Site, Gateway, Watching]) -> None:
    _, _, watching = running
    with watching._bundling, pytest.raises(Refused) as refused:
        watching.diagnosis()

    assert refused.value.code == "busy"
    assert watching.diagnosis()


def test_a_part_that_hangs_or_breaks_holds_up_nothing() -> None:
    never = threading.Event()

    def broken() -> str:
        raise OSError(f"password={MARK}")

    raw = bundle({"hangs.txt": lambda: str(never.wait(20)), "breaks.txt": broken, "good.txt": lambda: "good"},
                 Redactor().text, within_s=0.3)  # fmt: skip
    never.set()

    files = files_of(raw)
    assert files["hangs.txt"] == "could not be had within 0 s"
    assert files["breaks.txt"] == "could not be had: OSError('password=***')"
    assert files["good.txt"] == "good"


def test_no_part_is_larger_than_its_bound() -> None:
    files = unpacked(bundle({"long.txt": lambda: "x" * (PART_MAX + 5)}, Redactor().text))

    assert len(files["long.txt"]) < PART_MAX + 100
    assert files["long.txt"].endswith(b"(the rest is left out)\n")


# -- the command --------------------------------------------------------------------------------------------------


def commanded(site: Site, *more: str) -> tuple[Any, dict[str, str]]:
    out = site.folder / "bundle.tar.gz"
    result = CliRunner().invoke(app, ["diagnostics", "-c", str(site.config), "-o", str(out), *more])
    assert result.exit_code == 0, result.output
    assert out.stat().st_mode & 0o777 == 0o600
    return result, files_of(out.read_bytes())


def test_the_command_works_with_the_gateway_stopped(site: Site) -> None:
    result, files = commanded(site, "--json")

    said = json.loads(result.stdout)
    assert set(said["parts"]) == set(files) == OUTSIDE
    assert said["running"].startswith("no answer")
    assert all(MARK not in body.replace(str(site.folder), "") for body in files.values())


def test_the_command_asks_the_running_gateway_as_well(running: tuple[Site, Gateway, Watching]) -> None:
    site, gateway, watching = running
    the = services(gateway, web_plan(site.settings), None, watching)
    web = uvicorn.Server(uvicorn.Config(make_app(the), port=site.port, log_level="error", log_config=None))
    thread = threading.Thread(target=web.run)
    thread.start()
    try:
        eventually(lambda: web.started)
        result, files = commanded(site)
    finally:
        web.should_exit = True
        thread.join(10)
        the.queries.close()

    assert set(files) == OUTSIDE | {f"running/{name}" for name in OUTSIDE | INSIDE}
    assert "From the running gateway: yes." in result.stdout
    assert "login failed" in files["running/log.txt"]
    assert all(MARK not in body.replace(str(site.folder), "") for body in files.values())


def test_a_stranger_with_another_secret_gets_nothing_from_the_running(site: Site) -> None:
    other = site.settings.model_copy(update={"secret": SECRET[::-1]})

    assert watch_key(other) != watch_key(site.settings)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-c", "none.toml", "-o", "x.tar.gz"], "none.toml: can't be read"),
        (["-o", "no/such/folder/x.tar.gz"], "can't be written"),
    ],
)
def test_bad_input_costs_one_line(site: Site, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str) -> None:
    monkeypatch.chdir(site.folder)

    result = CliRunner().invoke(app, ["diagnostics", *arguments])

    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_file_is_not_read_by_others_even_where_it_was(site: Site) -> None:
    out = site.folder / "bundle.tar.gz"
    out.write_bytes(b"old")
    out.chmod(0o644)

    result = CliRunner().invoke(app, ["diagnostics", "-c", str(site.config), "-o", str(out)])

    assert result.exit_code == 0
    assert out.stat().st_mode & 0o777 == 0o600
