"""What a real gateway says of itself: figures that Prometheus can read, queries that find them, health, signals."""

import json
import os
import re
import runpy
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from anchong.logs import Logs
from anchong.watching import Watching
from anchong.web import WebPlan, services
from anchong.wiring import Gateway, Plan
from api.app import make_app
from controller.clock import HandClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.moves import limits
from controller.core.state import Rules
from controller.ports import LogLevel
from controller.store import Store
from firmware_bridge.gate import Link
from firmware_bridge.transports.memory import MemoryBroker, MemoryTransport
from firmware_bridge.wire import Message
from tests.databases import url_of
from tests.house import eventually
from tests.shell.rig import Plug, seed

DOCS = Path(__file__).parents[2] / "docs"
HERE = ("127.0.0.1", 50_000)
METRIC = re.compile(r"\b((?:anchong|process|up)(?:_\w+)?)\b(?:\{([^}]*)\})?")
UNITS = ("seconds", "bytes", "watts", "fen", "total", "info")
# what is no measure of anything but a count of things that are there now
THINGS = re.compile(
    r"^anchong_(hooks|readers|sessions|outlets|sites_cut|inputs|outlets_unreachable|errands|notices|inbox_events|writer_batches|threads|ready)$"
)
FLAGS = re.compile(r"^anchong_(link_up|clock_trusted|journal_failed|web_streams)$")


class Watched:
    """A gateway stepped by hand, with its web program, on a seeded database, and a plug that draws what it is told."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        url = url_of(folder / "watched.sqlite3")
        _seeded(url, self.clock.now().at)
        plan = Plan(self.clock, Rules(), url, folder / "trips", "gw", {}, {})
        self.gateway = Gateway(plan, MemoryTransport(MemoryBroker(), "gateway"))
        self.plug = Plug(self.clock)
        self.gateway.gates.add("o1", Link(self.plug, self.plug, 0))
        self.logs = Logs("info")
        self.watching = Watching(self.gateway, self.logs)
        web = WebPlan(
            sticker_keys={"A": b"x" * 32},
            sign_key=b"s" * 32,
            public_url="http://127.0.0.1",
            provider="",
            provider_keys={},
            merchant="",
            app="",
        )
        self.services = services(self.gateway, web, None, self.watching)
        self.client = TestClient(make_app(self.services), client=HERE)

    def beat(self, *events: ev.Event, seconds: float = 5.0) -> None:
        self.clock.advance(seconds)
        for event in (*self.plug.spoken(), *events):
            gate = self.gateway.gates.get("o1")
            trip = gate.observe(event) if gate is not None and isinstance(event, ev.Reading) else None
            if trip is not None:
                self.gateway.tell(trip)
                self.gateway._tripped(trip)
            self.gateway.tell(event)
        batch = self.gateway.step()
        if batch is not None:
            self.gateway.writer.write(batch)

    def charging(self) -> None:
        """A card pays, and its battery draws."""
        self.beat()
        self.beat(ev.CardToppedUp(**self.stamp(), key="t", by="staff:o", card="c1", amount_fen=2000))
        self.beat(ev.CardTapped(**self.stamp(), outlet="o1", uid="04AB", session="SC1", key="tap"))
        self.plug.load_w = 180.0
        self.beat()
        self.beat()
        assert self.gateway.board.views["o1"].session_phase == "charging"

    def stamp(self) -> dict[str, Any]:
        now = self.clock.now()
        return {"at": now.at, "steady_s": now.steady_s}

    def metrics(self) -> dict[str, Metric]:
        answer = self.client.get("/metrics")
        assert answer.status_code == 200
        return {family.name: family for family in text_string_to_metric_families(answer.text)}

    def close(self) -> None:
        self.services.queries.close()
        self.gateway.store.close()


def _seeded(url: str, at: float) -> None:
    store = Store(url)
    store.create()
    store.write("seed", seed(["o1"], at, Rules()))
    store.close()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.close()


def value(found: dict[str, Metric], name: str, **labels: str) -> float:
    for family in found.values():
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    raise AssertionError(f"no {name} {labels}")


# -- figures ------------------------------------------------------------------------------------------------------


def test_a_charge_and_its_cut_stand_in_the_figures(watched: Watched) -> None:
    watched.charging()
    found = watched.metrics()

    assert value(found, "anchong_sessions", phase="charging") == 1
    assert value(found, "anchong_outlets", state="open") == 1
    assert value(found, "anchong_load_watts") == 180
    assert value(found, "anchong_money_wallets_fen") + value(found, "anchong_money_holds_fen") == 2000
    assert value(found, "anchong_commit_seconds_count") >= 2
    assert value(found, "anchong_rows_written_total") > 5
    assert value(found, "anchong_step_seconds_count") == 5
    readings = value(found, "anchong_readings_total")

    watched.plug.load_w = 3_000.0  # far over what the outlet may give
    watched.beat()

    found = watched.metrics()
    assert value(found, "anchong_readings_total") == readings + 1
    assert value(found, "anchong_trips_total", reason="overload") == 1
    assert value(found, "anchong_cut_seconds_count", lane="guard") == 1
    assert value(found, "anchong_sessions", phase="charging") == 0


def test_the_deciders_cuts_are_timed_from_the_reading(watched: Watched) -> None:
    watched.charging()
    watched.plug.load_w = 0.0  # unplugged: the decider's judgement, not the guard's
    while watched.gateway.board.views["o1"].session_phase not in ("closing", None):
        watched.beat()

    found = watched.metrics()
    assert value(found, "anchong_cut_seconds_count", lane="decider") == 1
    assert value(found, "anchong_cut_seconds_sum", lane="decider") == 0.0  # no time passes on this clock
    assert value(found, "anchong_cut_seconds_count", lane="guard") == 0


def test_every_figure_is_named_and_formed_as_prometheus_wants(watched: Watched) -> None:
    watched.charging()
    text = watched.client.get("/metrics").text

    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        if not family.name.startswith("anchong_"):
            continue
        full = f"{family.name}_total" if family.type == "counter" else family.name
        unit = full.rsplit("_", 1)[1]
        assert unit in UNITS or THINGS.match(full) or FLAGS.match(full), full
        assert (unit == "total") is (family.type == "counter"), full
        assert "_".join(full.split("_")[:2]) != full or family.type == "gauge", full
        assert {len(set(sample.labels) - {"le"}) for sample in family.samples} <= {0, 1, 2}
    lines = text.splitlines()
    named = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(named) == len(set(named))


def test_labels_are_words_from_short_lists_never_an_id(watched: Watched) -> None:
    watched.charging()
    watched.beat(ev.OrderPlaced(**watched.stamp(), **ORDER))
    text = watched.client.get("/metrics").text

    for private in ("o1", "SC1", "S1", "p1", "c1", "04AB", "card:c1", "s1", "O77", "hash"):
        assert f'"{private}"' not in text, private
    for family in text_string_to_metric_families(text):
        assert len({tuple(sorted(s.labels.items())) for s in family.samples}) <= 40, family.name


ORDER: dict[str, Any] = {"key": "k", "order": "O77", "session": "S77", "outlet": "o1", "party": "p1", "max_s": 0}
ORDER |= {"amount_fen": 200, "secret_hash": "hash", "provider": "sandbox", "lang": "zh"}


def test_figures_need_no_database(watched: Watched) -> None:
    watched.beat()
    watched.gateway.store.close()
    for path in watched.gateway.plan.journal.parent.glob("watched.sqlite3*"):
        path.unlink()

    found = watched.metrics()
    assert value(found, "anchong_clock_trusted") == 1
    assert found["anchong_database_size_bytes"].samples == []


def test_the_size_of_a_file_is_a_figure(watched: Watched, database: str) -> None:
    watched.charging()
    if database == "sqlite":
        assert value(watched.metrics(), "anchong_database_size_bytes", file="main") > 10_000
        assert value(watched.metrics(), "anchong_database_size_bytes", file="wal") > 0
    else:
        assert watched.metrics()["anchong_database_size_bytes"].samples == []


# -- dashboard and alerts -----------------------------------------------------------------------------------------


def expressions() -> list[str]:
    board = json.loads((DOCS / "grafana" / "anchong.json").read_text(encoding="utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]


def alerts() -> list[dict[str, Any]]:
    rules = yaml.safe_load((DOCS / "grafana" / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in rules["groups"] for rule in group["rules"]]


def test_the_dashboard_is_what_its_script_makes() -> None:
    made = runpy.run_path(str(DOCS / "grafana.py"))["dashboard"]()

    assert json.loads((DOCS / "grafana" / "anchong.json").read_text(encoding="utf-8")) == made
    places = [tuple(panel["gridPos"].values()) for panel in made["panels"]]
    assert len(places) == len(set(places)) > 30


def test_every_query_asks_for_figures_and_labels_that_there_are(watched: Watched) -> None:
    watched.charging()
    watched.plug.load_w = 3_000.0
    watched.beat()
    watched.gateway.router.receive(Message("nobody", b"x"))
    watched.client.get("/healthz")
    live = labels_by_name(watched.metrics())
    asked: set[str] = set()
    for expression in (*expressions(), *(rule["expr"] for rule in alerts())):
        for name, selector in METRIC.findall(expression):
            asked.add(name)
            assert name in live, expression
            wanted = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selector)) - {"instance", "job"}
            assert not live[name] or wanted <= live[name], expression
        for by in re.findall(r"by \(([^)]*)\)", expression):
            known = set().union(*(live[name] for name, _ in METRIC.findall(expression))) | {"instance", "le"}
            assert {label.strip() for label in by.split(",")} <= known, expression
    told = set(re.findall(r"`(anchong_\w+)`", (DOCS / "watching.md").read_text(encoding="utf-8")))
    assert {name for name in told if not name.endswith("_")} <= {name.removesuffix("_bucket") for name in live}
    ours = {name.removesuffix("_bucket") for name in asked if name.startswith("anchong_")}
    shown = {name for name in live if name.startswith("anchong_") and not name.endswith(("_created", "_sum", "_count"))}
    assert {name.removesuffix("_bucket") for name in shown} - ours <= {"anchong_build_info"}, "a figure nobody looks at"


def labels_by_name(found: dict[str, Metric]) -> dict[str, set[str]]:
    live: dict[str, set[str]] = {"up": set()}
    for family in found.values():
        if not family.samples:
            live[f"{family.name}_total" if family.type == "counter" else family.name] = set()
        for sample in family.samples:
            live.setdefault(sample.name, set()).update(sample.labels)
    return live


def test_every_alert_says_what_to_do() -> None:
    names = [rule["alert"] for rule in alerts()]

    assert len(names) == len(set(names)) >= 15
    for rule in alerts():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
        assert len(rule["annotations"]["do"]) > 20, rule["alert"]


# -- seen from outside --------------------------------------------------------------------------------------------


def test_health_follows_the_real_gateway(watched: Watched) -> None:
    assert watched.client.get("/healthz").status_code == 503
    watched.gateway.router.linked(True)
    watched.beat()
    assert (watched.client.get("/healthz").status_code, watched.client.get("/readyz").status_code) == (200, 200)

    watched.gateway.router.linked(False)
    watched.beat()
    down_at = watched.clock.now().at
    watched.beat(seconds=30.0)

    body = watched.client.get("/readyz").json()
    assert [(check["name"], check["since"]) for check in body["checks"] if not check["ok"]] == [("link", down_at)]
    assert watched.client.get("/healthz").status_code == 200


def test_a_database_that_is_away_makes_it_unready_within_seconds_and_says_so(watched: Watched) -> None:
    watched.gateway.router.linked(True)
    watched.beat()
    watched.gateway.tell(ev.CardToppedUp(**watched.stamp(), key="t", by="staff:o", card="c1", amount_fen=100))
    batch = watched.gateway.step()  # never written
    assert batch is not None
    watched.clock.advance(6.0)
    watched.gateway.step()

    answer = watched.client.get("/readyz")
    (bad,) = (check for check in answer.json()["checks"] if not check["ok"])
    assert (answer.status_code, bad["name"]) == (503, "writer")
    assert "6 s" in bad["why"]


def test_a_journal_that_cannot_be_written_makes_it_unready(watched: Watched) -> None:
    watched.gateway.router.linked(True)
    watched.gateway.plan.journal.mkdir()  # a folder in its place
    watched.gateway.journal.open()
    watched.beat()

    bad = [check["name"] for check in watched.client.get("/readyz").json()["checks"] if not check["ok"]]
    assert bad == ["journal"]


def test_status_is_one_line_for_systemctl(watched: Watched) -> None:
    watched.gateway.router.linked(True)
    watched.charging()
    assert watched.watching.status() == "1 of 1 outlets charge; ready"
    watched.gateway.router.linked(False)
    watched.beat()
    assert watched.watching.status().endswith("not ready: link")


def test_signals_change_the_level_and_stand_in_the_audit_log(watched: Watched) -> None:
    before = {which: signal.getsignal(which) for which in (signal.SIGUSR1, signal.SIGUSR2)}
    watched.logs.start()
    try:
        watched.watching.obey_signals()
        os.kill(os.getpid(), signal.SIGUSR1)
        eventually(lambda: watched.gateway.engine.inbox.lengths()["facts"] == 1)
        during = watched.logs.level
        assert (during.level, during.until is not None) == ("debug", True)
        os.kill(os.getpid(), signal.SIGUSR2)
        eventually(lambda: watched.gateway.engine.inbox.lengths()["facts"] == 2)
        assert watched.logs.level == LogLevel("info")
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
    watched.beat()

    rows = watched.services.queries.audit(None).rows
    said = [(row.what, row.by, json.loads(row.body)["level"]) for row in rows if row.what == "log_level"]
    assert sorted(said) == [("log_level", "host", "debug"), ("log_level", "host", "info")]


def test_a_dropped_on_names_outlet_site_and_session(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    watched.logs.start()
    watched.charging()
    capsys.readouterr()
    live = watched.gateway.engine.house.sessions["o1"]
    gate = watched.gateway.gates.get("o1")
    assert gate is not None
    assert not gate.renew(fx.Renew("o1", gate.generation - 1, live.lease_s, limits(live, Rules())))

    line = capsys.readouterr().err
    for part in ("outlet=o1", "site=s1", "session=SC1"):
        assert part in line
