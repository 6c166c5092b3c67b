"""The desk without a browser: what each role may see and do, what a form becomes, and what a spreadsheet gets."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.pages import words
from api.pages.console.desk import MAY, ROLES
from api.pages.console.listing import harmless
from api.pages.console.money import whole_of
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.reasons import StopReason
from tests.pages import console_data as data

PAGES = (
    "/console",
    "/console/outlets/p1-1",
    "/console/outlets/p2-6",
    "/console/outlets/p3-1",
    "/console/sessions",
    "/console/payments",
    "/console/refunds",
    "/console/cards",
    "/console/sites",
    "/console/sites/garden/tariff",
    "/console/sites/garden/finish",
    "/console/sites/garden/finish?look=suggest",
    "/console/limits",
    "/console/inputs",
    "/console/readers",
    "/console/staff",
    "/console/programs",
    "/console/found",
    "/console/stickers",
    "/console/alarms",
    "/console/audit",
    "/console/start",
    "/console/upkeep",
)
LOGINS = {role: login for login, _, role in data.PEOPLE}


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> data.Plant:
    return data.compound(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def fresh(tmp_path: Path) -> data.Plant:
    return data.compound(tmp_path, busy=False)


@pytest.fixture(autouse=True)
def _open_door(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "plant" in request.fixturenames:
        plant: data.Plant = request.getfixturevalue("plant")
        plant.refuse, plant.silent = None, False


def signed_in(plant: data.Plant, role: str = "owner") -> TestClient:
    client = TestClient(plant.app(), follow_redirects=False)
    answer = client.post("/console/login", data={"login": LOGINS[role], "password": data.PASSWORD})
    assert answer.status_code == 303, answer.text
    return client


def csrf(client: TestClient, path: str = "/console") -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]


def send(client: TestClient, path: str, **fields: Any) -> Any:
    return client.post(path, data={"csrf": csrf(client), "key": "a" * 32, **fields})


@pytest.mark.parametrize("lang", words.LANGS)
def test_an_owner_sees_every_page_in_both_languages(plant: data.Plant, lang: str) -> None:
    client = signed_in(plant)

    for path in PAGES:
        page = client.get(path, params={"lang": lang})
        assert page.status_code == 200, path
        assert "desk." not in page.text, path
        assert " style=" not in page.text, path


@pytest.mark.parametrize("role", ROLES)
def test_a_role_meets_no_page_that_is_not_for_it(plant: data.Plant, role: str) -> None:
    client = signed_in(plant, role)
    wanted = {"/console/payments": "money", "/console/staff": "staff", "/console/audit": "audit"}
    wanted["/console/programs"] = "programs"

    for path, what in wanted.items():
        assert client.get(path).status_code == (200 if role in MAY[what] else 403), path
        assert (f'href="{path}"' in client.get("/console").text) is (role in MAY[what]), path


@pytest.mark.parametrize("role", ROLES)
def test_an_action_is_shown_and_taken_only_where_the_role_may(plant: data.Plant, role: str) -> None:
    client = signed_in(plant, role)
    page = client.get("/console/outlets/p1-0").text
    plant.refuse = Refused("busy")

    for act in ("lock", "close", "name"):
        path = f"/console/outlets/p1-0/{act}"
        assert (f'action="{path}"' in page) is (role in MAY[act]), act
        assert send(client, path, number="9").status_code == (409 if role in MAY[act] else 403), act


def test_nobody_gets_in_without_signing_in(plant: data.Plant) -> None:
    client = TestClient(plant.app(), follow_redirects=False)

    for path in PAGES:
        assert client.get(path).status_code == 303, path


def test_a_site_of_others_is_not_found(plant: data.Plant) -> None:
    client = signed_in(plant, "manager")
    asked = len(plant.asked)

    assert "和平里" not in client.get("/console").text
    assert client.get("/console/outlets/p3-1").status_code == 404
    assert client.get("/console/sites/court/tariff").status_code == 404
    assert send(client, "/console/outlets/p3-1/name", number="9").status_code == 404
    assert send(client, "/console/sites/court/cut").status_code == 404
    assert len(plant.asked) == asked


def test_a_form_without_our_token_changes_nothing(plant: data.Plant) -> None:
    client = signed_in(plant)
    asked = len(plant.asked)

    answer = client.post("/console/outlets/p1-0/lock", data={"key": "a" * 32, "csrf": "guessed"})

    assert answer.status_code == 403
    assert len(plant.asked) == asked


def test_a_stop_becomes_the_event_with_the_key_of_the_form(fresh: data.Plant) -> None:
    fresh.pay("p1-1", 200)
    fresh.charge("p1-1", [150.0] * 3)
    fresh.flush()
    client = signed_in(fresh)
    session = fresh.board.views["p1-1"].session

    answer = send(client, "/console/outlets/p1-1/stop", session=session)

    asked = fresh.asked[-1]
    assert answer.headers["location"] == "/console/outlets/p1-1?done=stop"
    assert isinstance(asked, ev.StopAsked)
    assert (asked.session, asked.key, asked.by) == (session, "a" * 32, "staff:li")
    assert asked.reason is StopReason.STOPPED_BY_STAFF
    assert fresh.board.views["p1-1"].session_phase == "closing"


def test_a_refusal_comes_back_on_the_page_with_what_to_do_next(plant: data.Plant) -> None:
    client = signed_in(plant)
    plant.refuse = Refused("not_commissioned")

    page = send(client, "/console/outlets/p3-2/open")

    assert page.status_code == 409
    assert words.t("zh", "desk.refused.not_commissioned") in page.text


def test_a_silent_door_offers_the_same_key_again(plant: data.Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in(plant)
    monkeypatch.setattr("api.door.asked.__kwdefaults__", {"within_s": 0.05})
    plant.silent = True

    page = send(client, "/console/outlets/p1-0/name", number="99")

    assert page.status_code == 503
    assert f'name="key" value="{"a" * 32}"' in page.text
    assert 'name="number" value="99"' in page.text


def test_a_tariff_with_a_gap_is_refused_and_what_was_typed_is_kept(fresh: data.Plant) -> None:
    client = signed_in(fresh, "manager")
    fields = {"name": "新", "band": "日间电价", "from": "00:00", "to": "20:00", "energy": "0.5583", "service": "0.3"}

    page = send(client, "/console/sites/garden/tariff", **fields)
    assert page.status_code == 409
    assert words.t("zh", "desk.refused.tariff_gap") in page.text
    assert "日间电价" in page.text

    assert send(client, "/console/sites/garden/tariff", **{**fields, "to": "24:00"}).status_code == 303
    assert fresh.engine.house.sites["garden"].tariff.bands[0].energy_price == 5583


def test_a_found_device_is_adopted_with_ids_and_stickers_made_here(fresh: data.Plant) -> None:
    client = signed_in(fresh, "maintainer")
    fields = {"id": "tasmota-mqtt:A4CF12F00D42", "site": "garden", "name": "南墙"}

    twice = send(client, "/console/found/adopt", **fields, numbers=["1", "31"])
    assert twice.status_code == 409
    assert words.t("zh", "desk.refused.number_taken") in twice.text

    assert send(client, "/console/found/adopt", **fields, numbers=["30", "31"]).status_code == 303
    adopted = [outlet for outlet in fresh.engine.house.outlets.values() if outlet.number in ("30", "31")]
    assert [outlet.site for outlet in adopted] == ["garden", "garden"]
    assert "南墙" in client.get("/console").text


def test_cards_are_enrolled_topped_up_and_frozen(fresh: data.Plant) -> None:
    client = signed_in(fresh)
    assert send(client, "/console/cards", uid="04 a1 b2 c3", printed="000777").status_code == 303
    card = next(iter(fresh.engine.house.cards))

    assert send(client, f"/console/cards/{card}/topup", key="b" * 32, amount="12.50").status_code == 303
    assert send(client, f"/console/cards/{card}/freeze", key="c" * 32).status_code == 303
    assert send(client, f"/console/cards/{card}/topup", key="d" * 32, amount="12.505").status_code == 409

    page = client.get("/console/cards").text
    assert "¥12.50" in page
    assert words.t("zh", "desk.card.frozen") in page


def test_a_refund_is_paid_by_hand_only_where_the_channel_failed(plant: data.Plant) -> None:
    client = signed_in(plant, "finance")
    page = client.get("/console/refunds").text
    ready = re.findall(r"/console/refunds/(\w+)/by_hand", page)

    assert len(ready) == 1
    assert send(client, f"/console/refunds/{ready[0]}/by_hand").status_code == 303
    assert "by_hand" not in re.findall(r"/console/refunds/\w+/(by_hand)", client.get("/console/refunds").text)


def test_a_new_account_signs_in_and_a_disabled_one_is_out_at_once(fresh: data.Plant) -> None:
    app = fresh.app()
    owner, other = (TestClient(app, follow_redirects=False) for _ in range(2))
    owner.post("/console/login", data={"login": "li", "password": data.PASSWORD})
    fields = {"name": "周", "login": "zhou", "role": "manager", "sites": ["garden"], "password": "a long enough one"}

    assert send(owner, "/console/staff", **{**fields, "password": "short"}).status_code == 409
    assert send(owner, "/console/staff", **{**fields, "login": "wang"}).status_code == 409
    assert send(owner, "/console/staff", **fields).status_code == 303
    login = {"login": "zhou", "password": fields["password"]}
    assert other.post("/console/login", data=login).status_code == 303
    assert other.get("/console").status_code == 200

    row = fresh.services().queries.staff_by_login("zhou")
    assert row is not None
    assert send(owner, f"/console/staff/{row.id}/disable", key="e" * 32).status_code == 303
    assert other.get("/console").status_code == 303
    assert other.post("/console/login", data=login).status_code == 403


def test_the_one_time_link_makes_one_owner_and_shows_what_comes_next(tmp_path: Path) -> None:
    plant = data.empty(tmp_path)
    client = TestClient(plant.app(first=True), follow_redirects=False)
    fields = {"name": "李静", "login": "li", "password": data.PASSWORD, "again": data.PASSWORD}

    assert client.get("/console/login").status_code == 503
    assert client.get("/first/guessed").status_code == 404
    assert client.get(f"/first/{data.LINK}").status_code == 200
    assert client.post(f"/first/{data.LINK}", data={**fields, "again": "another"}).status_code == 409

    made = client.post(f"/first/{data.LINK}", data=fields)
    assert made.headers["location"] == "/console/start?done=first"
    assert client.get("/console/start").status_code == 200
    assert client.get(f"/first/{data.LINK}").status_code == 404
    for path in ("/console", "/console/sessions", "/console/payments", "/console/refunds", "/console/cards"):
        assert "empty" in client.get(path).text, path


def test_exports_hold_what_is_filtered_and_no_formula(plant: data.Plant) -> None:
    client = signed_in(plant, "finance")

    lines = client.get("/console/sessions.csv", params={"reason": "overload"}).text.splitlines()
    assert len(lines) == 2
    assert ",overload," in lines[1]
    assert signed_in(plant, "manager").get("/console/sessions.csv").status_code == 403


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_would_be_a_formula_is_made_harmless(start: str) -> None:
    assert harmless(f"{start}cmd()") == f"'{start}cmd()"
    assert harmless("12") == "12"


def test_amounts_are_read_without_rounding() -> None:
    read = {"12": 1200, "12.5": 1250, "0.01": 1, "¥3": 300}
    assert {text: whole_of(text, 2) for text in read} == read
    for text in ("", "1.234", "-1", "1e9999999", "NaN", "Infinity", "1,5", "１２x"):
        assert whole_of(text, 2) is None, text


def test_an_edited_audit_row_is_told(fresh: data.Plant) -> None:
    client = signed_in(fresh)
    for number in ("41", "42", "43"):
        send(client, "/console/outlets/p1-1/name", key=number.ljust(32, "0"), number=number)
    whole = words.t("zh", "desk.audit.whole", count=3)
    assert whole in client.get("/console/audit").text

    with fresh.store.engine.begin() as db:
        db.exec_driver_sql("DROP TRIGGER audit_no_UPDATE")
        db.exec_driver_sql("UPDATE audit SET body = '{}' WHERE id = 2")
    assert words.t("zh", "desk.audit.broken", id=2) in client.get("/console/audit").text


def test_live_numbers_are_those_of_the_board(plant: data.Plant) -> None:
    news = signed_in(plant).get("/console/live?once=1").json()

    assert news["state"]["p1-1"] == ["charging", "green"]
    assert news["state"]["p2-6"] == ["fault", "red"]
    assert news["text"]["p1-1:power"].endswith(" W")


def test_every_stop_reason_and_refusal_has_words_in_both_languages() -> None:
    for lang in words.LANGS:
        assert all(words.knows(lang, f"desk.stop.{reason}") for reason in StopReason)
    console = {key for key in words.catalogue("zh") if key.startswith("desk.")}
    assert console == {key for key in words.catalogue("en") if key.startswith("desk.")}


@pytest.mark.parametrize("lang", words.LANGS)
def test_the_audit_speaks_in_words_and_names_and_never_in_ids_or_brackets(fresh: data.Plant, lang: str) -> None:
    client = signed_in(fresh)
    for path, fields in (
        (
            "/console/sites/garden/tariff",
            {"name": "新", "band": "全天", "from": "00:00", "to": "24:00", "energy": "0.5583", "service": "0.3"},
        ),
        ("/console/sites/garden/limit", {"power_w": "7000"}),
        ("/console/piles/p1/limit", {"power_w": ""}),
        ("/console/cards", {"printed": "000777", "uid": "04A1B2C7"}),
        ("/console/staff", {"name": "周", "login": "zhou", "password": data.PASSWORD, "role": "owner"}),
    ):
        assert send(client, path, key=secrets.token_hex(16), **fields).status_code == 303, path

    page = client.get(f"/console/audit?lang={lang}").text.partition("<tbody>")[2]

    assert "[" not in page
    assert "{" not in page
    assert words.t(lang, "desk.limits.none") in page
    assert words.t(lang, "desk.word.of.pile") in page
    assert words.t(lang, "desk.card.title", number="000777") in page
    assert words.t(lang, "desk.all_sites") in page
    assert f"{words.band(lang, '全天')} 00:00–24:00" in page


def test_every_change_has_a_name_in_the_audit() -> None:
    missing = [c for c in ev.Change for lang in words.LANGS if not words.knows(lang, f"desk.change.{c}")]
    assert missing == []


def test_a_charge_and_its_refund_are_found_by_the_number_of_the_bill_as_read_aloud(plant: data.Plant) -> None:
    client = signed_in(plant)
    queries = plant.services().queries
    back = next(row for row in queries.refunds().rows if row.session_id is not None)
    number = words.bill_number(str(back.session_id))
    for said in (number, number.lower().replace("-", " ")):
        sessions = client.get("/console/sessions", params={"bill": said}).text
        refunds = client.get("/console/refunds", params={"bill": said}).text

        assert rows_of(sessions) == 1
        assert rows_of(refunds) == 1
        assert f"/console/sessions/{back.session_id}" in sessions
        assert number in refunds
    assert rows_of(client.get("/console/sessions", params={"bill": "zzzz-zzzz"}).text) == 0


@pytest.mark.parametrize("path", ["/console/sessions", "/console/payments", "/console/refunds"])
def test_money_and_charges_are_listed_and_exported_by_day(plant: data.Plant, path: str) -> None:
    client = signed_in(plant)
    day = {"from": "2027-01-15", "to": "2027-01-15"}

    assert rows_of(client.get(path, params=day).text) > 3
    assert rows_of(client.get(path, params={"to": "2027-01-14"}).text) == 0
    assert rows_of(client.get(path, params={"from": "2027-01-16"}).text) == 0
    assert len(client.get(f"{path}.csv", params={"to": "2027-01-14"}).text.splitlines()) == 1  # its head
    assert len(client.get(f"{path}.csv", params=day).text.splitlines()) > 3


@pytest.mark.parametrize(("lang", "valley"), [("zh", "谷"), ("en", "valley")])
def test_bands_are_called_the_same_on_the_desk_and_on_the_bill(plant: data.Plant, lang: str, valley: str) -> None:
    page = signed_in(plant).get(f"/console/sites/garden/tariff?lang={lang}").text
    assert f'">{valley}</td>' in page


def rows_of(page: str) -> int:
    return page.partition("<tbody>")[2].partition("</tbody>")[0].count("<tr>")


def test_the_overview_says_what_a_site_draws_without_a_limit_too(plant: data.Plant) -> None:
    page = signed_in(plant).get("/console?lang=en").text
    assert re.search(r'data-text="load:garden">draws \d+ W<', page)


def test_the_figures_of_a_finished_charge_carry_their_units(plant: data.Plant) -> None:
    client = signed_in(plant)
    done = plant.services().queries.sessions(reason="finished").rows[0]
    page = client.get(f"/console/sessions/{done.id}?lang=en").text
    assert re.search(r"<dt>of its peak</dt><dd>\d+\.\d %</dd>", page)
    assert "<dd>-0 W</dd>" not in page
