"""What the documents say is true: the guide's code serves a paid charge, links lead somewhere, settings are read."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from anchong.settings import check_in_earnest, parsed, read
from anchong.web import WebPlan, services
from anchong.wiring import Gateway, Plan
from api.app import make_app
from api.auth import hashed_password
from api.stickers import sticker_path
from controller.clock import HandClock
from controller.core import events as ev
from controller.core.state import Rules
from controller.ledger_check import proofs
from controller.outbox import Account
from firmware_bridge.drivers import DRIVERS, by_name
from firmware_bridge.transports.memory import MemoryBroker, MemoryTransport
from firmware_bridge.wire import Family, Message
from simulators.provider_books import Books
from simulators.provider_local import LocalProvider
from simulators.provider_wire import webhook_headers
from tests.api.stand import HERE, STICKER, STICKER_KEYS, Stand, live_view

ROOT = Path(__file__).parents[2]
CORE = ROOT / "controller" / "core"
GUIDE = ROOT / "docs" / "add-a-device.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
KEY_ID, KEY = "k1", b"the provider's secret"
PASSWORD = "nine quiet sockets"
BANDS = [{"name": "day", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}]
REPORT_S = 5.0
# Watts and for how long: a lithium pack that is nearly full, and its tail.
CURVE_W = [180.0] * 300 + [round(180.0 * 0.9 ** (step / 12), 1) for step in range(700)]


class AcmePlug:
    """The far end of the guide's table: a relay with a timer, a meter, and what its owner has plugged in."""

    def __init__(self, broker: MemoryBroker, name: str) -> None:
        self.load_w = 0.0
        self.on = False
        self.done: list[dict[str, Any]] = []
        self._name = name
        self._broker = broker
        self._left_s = 0.0
        self._wh = 1000.0
        self._boot = "on"
        broker.connect(name, self._obey, will=Message(f"acme/{name}/status", b""))
        broker.subscribe(name, f"acme/{name}/do")

    def hello(self) -> None:
        body = {"model": "Acme One", "firmware": "1.2"}
        self._broker.publish(self._name, Message(f"acme/{self._name}/hello", json.dumps(body).encode(), True))

    def tick(self, seconds: float) -> None:
        self._wh += self._watts() * seconds / 3600
        self._left_s -= seconds
        if self.on and self._left_s <= 0:
            self.on = False
        self._status()

    def _watts(self) -> float:
        return self.load_w if self.on else 0.0

    def _status(self, **more: object) -> None:
        body = {"on": self.on, "watts": self._watts(), "wh": round(self._wh, 3), **more}
        self._broker.publish(self._name, Message(f"acme/{self._name}/status", json.dumps(body).encode()))

    def _obey(self, message: Message) -> None:
        what = json.loads(message.payload)
        self.done.append(what)
        self._boot = what.get("boot", self._boot)
        if "on" in what:
            self.on, self._left_s = what["on"], what.get("lease_s", 0.0)
        self._status(**({"boot": self._boot} if "ask" in what else {}))


class House:
    """A real gateway over a broker in memory, its web program, one plug, and the provider's books; driven by hand."""

    def __init__(self, folder: Path, families: dict[str, Family]) -> None:
        self.clock = HandClock()
        self.books = Books()
        self.broker = MemoryBroker()
        self.plug = AcmePlug(self.broker, "a1b2")
        self.database = f"sqlite:///{folder / 'docs.sqlite3'}"
        transport = MemoryTransport(self.broker, "gateway")
        self.gateway = Gateway(self._plan(folder), transport, families=families)
        self.services = services(self.gateway, _web_plan(), None)
        self.client = TestClient(make_app(self.services), follow_redirects=False)
        self._pool = ThreadPoolExecutor(1)
        self._start(transport)

    def _plan(self, folder: Path) -> Plan:
        account = Account("sandbox", "yinshan", "app", "http://127.0.0.1/webhooks/sandbox", "http://127.0.0.1/{order}")
        return Plan(
            clock=self.clock,
            rules=Rules(),
            database=self.database,
            journal=folder / "trips",
            name="docs",
            providers={"sandbox": LocalProvider(self.books, lambda: self.clock.now().at)},
            accounts={"sandbox": account},
        )

    def _start(self, transport: MemoryTransport) -> None:
        self.gateway.restore()
        self.gateway.router.listen_for_unknown()
        transport.start(self.gateway.router.receive, self.gateway.router.linked)
        self.plug.hello()
        self.turn()

    def stop(self) -> None:
        self._pool.shutdown()
        self.services.queries.close()
        self.gateway.stop()

    # -- time ---------------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """All that is to be done at this moment."""
        self.broker.pump(self.clock.now().steady_s)
        while (batch := self.gateway.step()) is not None:
            self.gateway.writer.write(batch)
            self.broker.pump(self.clock.now().steady_s)
        self.gateway.outbox.run_due()

    def run(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.plug.tick(seconds)
        self.turn()

    def runs_until(self, true: Callable[[], object], seconds: float, step_s: float = 1.0) -> None:
        for _ in range(round(seconds / step_s)):
            if true():
                return
            self.run(step_s)
        pytest.fail(f"not within {seconds} s")

    # -- people -------------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """The request waits on another thread for what is done here."""
        asked = self._pool.submit(self.client.request, method, path, **more)
        while not wait({asked}, timeout=0.005).done:
            self.turn()
        response = asked.result()
        assert response.status_code < 400, response.text
        return response

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return self.ask(method, f"/api/v1{path}", json=body).json()

    def log_in(self) -> None:
        values = {"login": "lin", "name": "Lin", "role": "owner", "sites": [], "disabled": False}
        now = self.clock.now()
        owner = ev.StaffChange(
            at=now.at,
            steady_s=now.steady_s,
            key="first",
            by="setup",
            change=ev.Change.STAFF,
            subject="lin",
            values={**values, "password_hash": hashed_password(PASSWORD)},
        )
        self.gateway.ask(owner)
        self.turn()
        token = self.api("POST", "/login", {"login": "lin", "password": PASSWORD})["token"]
        self.client.headers["authorization"] = f"Bearer {token}"

    def notices(self) -> None:
        """What the provider has to say arrives as signed webhooks."""
        for notice in self.books.due(self.clock.now().at):
            headers = webhook_headers(notice, KEY_ID, KEY, self.clock.now().at)
            self.ask("POST", "/webhooks/sandbox", content=notice.body, headers=headers)
            self.books.accepted(notice.event_id)


def _web_plan() -> WebPlan:
    return WebPlan(
        sticker_keys={"A": b"k" * 32},
        sign_key=b"s" * 32,
        public_url="http://testserver",
        provider="sandbox",
        provider_keys={KEY_ID: KEY},
        merchant="yinshan",
        app="app",
    )


def _acme() -> Family:
    """The one python block of the guide, as the module it would be."""
    (code,) = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    module = ModuleType("acme")
    exec(compile(code, str(GUIDE), "exec"), module.__dict__)  # noqa: S102 - our own page
    return cast(Family, module)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, {**DRIVERS, **by_name(_acme())})
    yield made
    made.stop()


def test_the_family_of_the_guide_is_adopted_through_the_api_and_serves_a_paid_charge(house: House) -> None:
    outlet, sticker = _opened(house)
    _ordered_and_paid(house, sticker)
    _charged(house)
    session = house.api("GET", f"/sessions?outlet={outlet}")["rows"][0]["id"]
    _check_settled(house, session)
    assert proofs(house.database) == []


def _opened(house: House) -> tuple[str, str]:
    house.log_in()
    site = {"name": "Yinshan", "zone": "Asia/Shanghai", "merchant": "yinshan", "merchant_name": "Yinshan"}
    at = house.api("POST", "/sites", {**site, "bands": BANDS})["subject"]
    (found,) = house.api("GET", "/found")["rows"]
    assert (found["id"], found["model"], found["channels"]) == ("acme:a1b2", "Acme One", 1)
    adopted = house.api("POST", "/piles", {"found": found["id"], "site": at, "name": "Gate", "numbers": ["A-01"]})
    (outlet,) = adopted["outlets"]
    house.plug.load_w = 60.0  # a maintainer's test lamp
    house.run(REPORT_S)
    house.api("POST", f"/outlets/{outlet}/commission")
    house.runs_until(lambda: house.gateway.engine.house.outlets[outlet].phase != "proving", 180)
    shown = house.api("GET", f"/outlets/{outlet}")
    assert (shown["phase"], shown["failed"]) == ("commissioned", None)
    assert shown["record"]["lease_s"] == pytest.approx(Rules().lease_proof_s, abs=2)
    house.api("POST", f"/outlets/{outlet}/open")
    return outlet, sticker_path(shown["stickers"][0], house.services.sticker_keys["A"])


def _ordered_and_paid(house: House, sticker: str) -> None:
    """As a resident's phone does: no account, only the sticker."""
    house.plug.load_w = 0.0
    house.run(REPORT_S)
    assert "A-01" in house.ask("GET", sticker).text
    answer = house.ask("POST", f"{sticker}/order", data={"key": "0" * 32, "amount": "200", "hours": "0"})
    (order,) = house.books.orders
    assert answer.headers["location"].endswith(order)
    assert house.plug.done[-1].get("on") is not True
    house.books.pay(order, house.clock.now().at)
    house.notices()
    assert house.plug.on
    assert house.plug.done[-1] == {"on": True, "lease_s": Rules().lease_s}


def _charged(house: House) -> None:
    for watts in CURVE_W:
        house.plug.load_w = watts
        house.run(REPORT_S)
        if not house.plug.on:
            break
    assert house.plug.done[-1].get("on") is not True
    house.run(REPORT_S)


def _check_settled(house: House, session: str) -> None:
    """The bill is floored line by line from the plug's own watt-hours; the rest goes back by itself."""
    house.runs_until(lambda: house.gateway.engine.house.refunds, 60, REPORT_S)
    for _ in range(60):
        house.run(REPORT_S)
        house.notices()
    done = house.api("GET", f"/sessions/{session}")
    wh = int(done["energy_wh"])
    assert wh > 50
    bill_fen = wh * 5583 // 100_000 + wh * 3000 // 100_000
    assert (done["phase"], done["reason"], done["proof"]) == ("settled", "finished", "measured")
    assert (done["receipt"]["total_fen"], done["returned_fen"]) == (bill_fen, 200 - bill_fen)
    assert [refund["state"] for refund in done["refunds"]] == ["success"]
    assert (house.books.captured_fen, house.books.refunded_fen) == (200, 200 - bill_fen)


def test_without_a_payment_provider_the_sticker_says_that_only_cards_are_taken(tmp_path: Path) -> None:
    stand = Stand(tmp_path, provider="")
    stand.board.put(replace(live_view("o-here", HERE), power_w=0.0, session=None, session_phase=None))
    sticker = sticker_path(STICKER, STICKER_KEYS[STICKER[0]])
    page = stand.client().get(f"{sticker}?lang=en").text
    form = {"key": "0" * 32, "amount": "200", "hours": "0"}
    answer = stand.client().post(f"{sticker}/order", data=form)
    stand.close()

    assert "please tap a card" in page
    assert "<form" not in page
    assert answer.status_code == 409
    assert stand.door.events == []


# -- the rest of the pages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_documents_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_decision_says_its_sentence_its_reason_and_what_holds_it() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))

    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert text.count("\n> ") >= 1, record.name
        for heading in ("Status:", "## Context", "## Decision", "## Consequences", "## Held by"):
            assert heading in text, f"{record.name} lacks {heading}"


def test_the_map_of_the_core_names_each_module_once_and_every_file_that_a_way_passes_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    questions = text.split("Inside `controller/core/`")[1].split("\n## ")[0].splitlines()
    named = [name for row in questions for name in re.findall(r"`(\w+)`", row)]
    passed = re.findall(r"`((?:core|api|drivers|transports|firmware_bridge)/[\w/]+\.py)`", text)

    assert sorted(named) == sorted(file.stem for file in CORE.glob("[a-z]*.py"))
    assert passed
    homes = (ROOT, CORE.parent, ROOT / "firmware_bridge")
    assert [file for file in passed if not any((home / file).exists() for home in homes)] == []


def test_the_settings_that_we_ship_are_good_once_the_secrets_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCHONG_SECRET", "0123456789abcdef" * 4)
    monkeypatch.setenv("ANCHONG_BROKER_PASSWORD", "a long password")

    check_in_earnest(read(ROOT / "deploy" / "anchong.toml"))


def test_a_rule_named_on_the_safety_page_is_a_rule() -> None:
    text = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
    named = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+)", text, re.MULTILINE))

    assert named
    assert {name: float(value) for name, value in named.items()} == {
        name: pytest.approx(getattr(Rules(), name)) for name in named
    }
    parsed({"broker": {"host": "h"}, "rules": {name: float(value) for name, value in named.items()}}, "page")
