"""What the JSON API asks at the door: whole events with a key and an author, nothing that was not offered."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy.exc import OperationalError

from api import door
from controller.core.errors import Refused
from controller.core.events import CardToppedUp, Change, RefundPaidByHand, SiteCutAsked, StaffChange, StopAsked
from controller.core.reasons import StopReason
from controller.core.state import Cut
from tests.api.stand import AT, STICKER, Stand

BAND: dict[str, object] = {"name": "day", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}
SITE: dict[str, object] = {
    "name": "New",
    "zone": "Asia/Shanghai",
    "merchant": "shop",
    "merchant_name": "Shop",
    "bands": [BAND],
}
PERSON = {"login": "wang", "name": "Wang", "password": "nine quiet sockets", "role": "manager", "sites": ["here"]}
ADOPT = {"found": "tasmota:AA", "site": "here", "name": "Gate", "numbers": ["A-09"]}

NEW_TARIFF: dict[str, object] = {"name": "2027", "bands": [BAND]}

CHANGES: list[tuple[str, str, dict[str, Any] | None, Change, dict[str, object]]] = [
    ("/outlets/o-here/name", "post", {"number": "B-1"}, Change.NAME, {"number": "B-1"}),
    ("/outlets/o-here/commission", "post", None, Change.COMMISSION, {}),
    ("/outlets/o-here/open", "post", None, Change.OPEN, {}),
    ("/outlets/o-here/close", "post", None, Change.CLOSE, {}),
    ("/outlets/o-here/lock", "post", None, Change.LOCK, {}),
    ("/outlets/o-here/unlock", "post", None, Change.UNLOCK, {"owner": True}),
    ("/outlets/o-here/clear-latch", "post", None, Change.CLEAR_LATCH, {}),
    ("/sites", "post", SITE, Change.SITE, SITE),
    ("/sites/here", "patch", {"name": "N"}, Change.SITE, {"name": "N"}),
    ("/sites/here/power-limit", "put", {"power_w": 7000}, Change.POWER, {"of": "site", "power_w": 7000.0}),
    ("/piles/p-here/power-limit", "put", {"power_w": None}, Change.POWER, {"of": "pile", "power_w": None}),
    (
        "/piles/p-here/inputs",
        "put",
        {"inputs": {"2": {"kind": "flood", "scope": "pile"}}},
        Change.INPUTS,
        {"inputs": {"2": {"kind": "flood", "scope": "pile", "normally": "open"}}},
    ),
    ("/sites/here/release", "post", None, Change.RELEASE_SITE, {}),
    ("/piles/p-here", "patch", {"name": "Gate 3"}, Change.PILE, {"name": "Gate 3"}),
    ("/merchants", "post", {"name": "Other"}, Change.MERCHANT, {"name": "Other"}),
    ("/merchants/m-here", "patch", {"name": "Other"}, Change.MERCHANT, {"name": "Other"}),
    (
        "/sites/here/tariffs",
        "post",
        {"name": "2027", "bands": [BAND]},
        Change.TARIFF,
        {"name": "2027", "bands": [BAND]},
    ),
    (
        "/cards",
        "post",
        {"uid": "04a1b2c4", "printed": "000124"},
        Change.CARD,
        {"uid": "04A1B2C4", "printed": "000124"},
    ),
    ("/cards/card1", "patch", {"frozen": True}, Change.CARD, {"frozen": True}),
]


@pytest.mark.parametrize(("path", "method", "body", "change", "values"), CHANGES)
def test_a_change_is_one_event(
    stand: Stand, path: str, method: str, body: dict[str, Any] | None, change: Change, values: dict[str, object]
) -> None:
    answer = stand.as_role("owner").request(method, f"/api/v1{path}", json=body)
    assert answer.status_code in (200, 201), answer.text
    event = stand.door.last
    assert isinstance(event, StaffChange)
    assert (event.change, event.by, event.at) == (change, "staff:s-owner", AT)
    assert event.values == values
    assert len(event.key) == 32


def test_adopting_brings_every_id(stand: Stand) -> None:
    answer = stand.as_role("maintainer").post("/api/v1/piles", json=ADOPT)
    assert answer.status_code == 201
    event = stand.door.last
    assert (event.change, event.subject) == (Change.ADOPT, "tasmota:AA")
    assert event.values["numbers"] == ["A-09"]
    assert event.values["outlets"] == answer.json()["outlets"]
    assert event.values["pile"] == answer.json()["pile"]
    assert len(event.values["stickers"][0]) == 16
    assert "found" not in event.values


def test_a_sticker_is_replaced_by_one_of_the_newest_key(stand: Stand) -> None:
    answer = stand.as_role("manager").post("/api/v1/outlets/o-here/stickers", json={"old": STICKER})
    event = stand.door.last
    assert (event.change, event.subject) == (Change.RETIRE_STICKER, STICKER)
    assert event.values == {"outlet": "o-here", "new_sticker": answer.json()["sticker"]}
    assert answer.json()["path"].startswith("/S/2")


def test_a_new_member_of_staff_has_a_hash_and_no_password(stand: Stand) -> None:
    answer = stand.as_role("owner").post("/api/v1/staff", json=PERSON)
    assert answer.status_code == 201
    values = stand.door.last.values
    assert set(values) == {"login", "name", "password_hash", "role", "sites", "disabled"}
    assert values["password_hash"].startswith("$argon2id$")
    assert "quiet" not in str(values)


@pytest.mark.parametrize(
    ("path", "method", "body", "status"),
    [
        ("/staff", "post", {**PERSON, "login": "Manager"}, 409),
        ("/staff", "post", {**PERSON, "sites": ["nowhere"]}, 422),
        ("/staff/s-owner", "patch", {"role": "manager"}, 409),
        ("/staff/s-owner", "patch", {"disabled": True}, 409),
        ("/staff/nobody", "patch", {"disabled": True}, 404),
    ],
)
def test_staff_keep_one_login_each_and_an_owner(
    stand: Stand, path: str, method: str, body: dict[str, Any], status: int
) -> None:
    assert stand.as_role("owner").request(method, f"/api/v1{path}", json=body).status_code == status
    assert stand.door.events == []


def test_money_at_the_office(stand: Stand) -> None:
    finance = stand.as_role("finance")
    stand.door.answers[CardToppedUp] = {"card": "card1", "balance_fen": 5100}
    answer = finance.post("/api/v1/cards/card1/top-ups", json={"amount_fen": 100})
    assert answer.json() == {"card": "card1", "balance_fen": 5100}
    assert isinstance(stand.door.last, CardToppedUp)
    assert finance.post("/api/v1/refunds/r-here/paid-by-hand").status_code == 200
    assert isinstance(stand.door.last, RefundPaidByHand)
    assert stand.door.last.by == "staff:s-finance"


def test_a_site_is_cut_and_a_session_stopped(stand: Stand) -> None:
    client = stand.as_role("maintainer")
    stand.door.answers[SiteCutAsked] = {"outlets": 3}
    assert client.post("/api/v1/sites/here/cut").json() == {"outlets": 3, "pending": False}
    assert client.post("/api/v1/sessions/live-here/stop").json() == {"session": "live-here", "pending": False}
    assert isinstance(stand.door.last, StopAsked)
    assert (stand.door.last.outlet, stand.door.last.by) == ("o-here", "staff:s-maintainer")
    assert client.post("/api/v1/sessions/s-here/stop").json()["code"] == "already_settled"
    assert client.post("/api/v1/sessions/live-there/stop").status_code == 404


def test_a_stop_works_while_the_database_is_away(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    client = stand.as_role("manager")
    stand.queries.close()
    stand.store.close()
    monkeypatch.setattr(door, "ASK_S", 0.02)
    stand.door.answers[StopAsked] = None
    assert client.post("/api/v1/sessions/live-here/stop").status_code == 503, "not yet off"
    stand.board.put(replace(stand.board.views["o-here"], session_phase="closing"))
    answer = client.post("/api/v1/sessions/live-here/stop")
    assert (answer.status_code, answer.json()) == (202, {"session": "live-here", "pending": True})


def test_a_cut_works_while_the_database_is_away(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    client = stand.as_role("manager")
    stand.queries.close()
    stand.store.close()
    monkeypatch.setattr(door, "ASK_S", 0.02)
    stand.door.answers[SiteCutAsked] = None
    assert client.post("/api/v1/sites/here/cut").status_code == 503, "nobody has cut it yet"
    stand.board.cuts = {"here": Cut(AT, "staff:s-manager", StopReason.SITE_CUT)}
    answer = client.post("/api/v1/sites/here/cut")
    assert (answer.status_code, answer.json()) == (202, {"outlets": 1, "pending": True})


@pytest.mark.parametrize(
    ("role", "site", "status"), [("manager", "here", 403), ("maintainer", "there", 404), ("maintainer", "here", 200)]
)
def test_a_cut_is_released_by_those_who_may_at_their_sites(stand: Stand, role: str, site: str, status: int) -> None:
    assert stand.as_role(role).post(f"/api/v1/sites/{site}/release").status_code == status
    assert len(stand.door.events) == (status == 200)


@pytest.mark.parametrize(
    "inputs",
    [
        {"0": {"kind": "smoke"}},
        {"29": {"kind": "smoke"}},
        {"1": {"kind": "bell"}},
        {"1": {"kind": "smoke", "scope": "town"}},
        {"1": {"kind": "smoke", "and": 1}},
        {"1": {}},
        [],
    ],
)
def test_what_is_no_input_does_not_come_in(stand: Stand, inputs: Any) -> None:
    answer = stand.as_role("maintainer").put("/api/v1/piles/p-here/inputs", json={"inputs": inputs})
    assert answer.status_code == 422
    assert stand.door.events == []


# -- keys ---------------------------------------------------------------------------------------------------------


def test_the_same_key_is_the_same_wish(stand: Stand) -> None:
    client, headers = stand.as_role("owner"), {"Idempotency-Key": "my-key-0001"}
    first = client.post("/api/v1/sites", json=SITE, headers=headers)
    second = client.post("/api/v1/sites", json=SITE, headers=headers)
    one, two = (event for event in stand.door.events if isinstance(event, StaffChange))
    assert (one.key, one.subject) == (two.key, two.subject)
    assert first.json() == second.json()
    other = client.post("/api/v1/sites", json={**SITE, "name": "Other"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "conflict")


def test_a_key_belongs_to_its_user_and_its_place(stand: Stand) -> None:
    headers = {"Idempotency-Key": "my-key-0001"}
    stand.as_role("owner").post("/api/v1/outlets/o-here/open", headers=headers)
    stand.as_role("manager").post("/api/v1/outlets/o-here/open", headers=headers)
    stand.as_role("owner").post("/api/v1/outlets/o-here/close", headers=headers)
    assert len({event.key for event in stand.door.events if isinstance(event, StaffChange)}) == 3


def test_without_a_key_every_call_is_new(stand: Stand) -> None:
    client = stand.as_role("owner")
    for _ in range(2):
        client.post("/api/v1/sites", json=SITE)
    one, two = (event for event in stand.door.events if isinstance(event, StaffChange))
    assert one.key != two.key
    assert one.subject != two.subject


def test_no_answer_in_time_gives_the_key_to_ask_again(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "ASK_S", 0.02)
    stand.door.answers[StaffChange] = None
    owner, path = stand.as_role("owner"), "/api/v1/merchants"
    for headers in ({}, {"Idempotency-Key": "my-own-key"}):
        first = owner.post(path, json={"name": "Other"}, headers=headers)
        assert first.status_code == 503
        assert first.headers["retry-after"] == "2"
        key = first.json()["key"]
        owner.post(path, json={"name": "Other"}, headers={"Idempotency-Key": key})
        one, two = stand.door.events[-2:]
        assert (one.key, one.subject) == (two.key, two.subject)  # type: ignore[attr-defined]


def test_refusals_speak_in_stable_words(stand: Stand) -> None:
    for code, status in (("busy", 409), ("unknown_outlet", 404), ("tariff_gap", 422), ("database_away", 503)):
        stand.door.answers[StaffChange] = Refused(code, "in words")
        answer = stand.as_role("owner").post("/api/v1/outlets/o-here/open")
        assert answer.status_code == status
        assert (answer.json()["code"], answer.json()["detail"].split(". ")[0]) == (code, "In words")


# -- what is not offered ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "method", "body", "extra"),
    [
        ("/cards", "post", {"uid": "04A1B2C4", "printed": "1"}, {"balance_fen": 100_000}),
        ("/cards/card1", "patch", {"frozen": False}, {"uid": "DEADBEEF"}),
        ("/cards/card1/top-ups", "post", {"amount_fen": 100}, {"merchant": "other"}),
        ("/sites/here", "patch", {"name": "N", "zone": "UTC"}, {"merchant": "other"}),
        ("/sites", "post", SITE, {"epoch": 7}),
        ("/sites/here/tariffs", "post", {"name": "n", "bands": [BAND]}, {"site_id": "there"}),
        ("/staff", "post", PERSON, {"password_hash": "x"}),
        ("/staff/s-manager", "patch", {"name": "N"}, {"login": "owner"}),
        ("/piles", "post", ADOPT, {"outlets": ["o-there"]}),
        ("/outlets/o-here/name", "post", {"number": "1"}, {"phase": "open"}),
    ],
)
def test_a_field_that_was_not_offered_is_refused(
    stand: Stand, path: str, method: str, body: dict[str, Any], extra: dict[str, Any]
) -> None:
    answer = stand.as_role("owner").request(method, f"/api/v1{path}", json={**body, **extra})
    assert answer.status_code == 422
    assert next(iter(extra)) in answer.json()["detail"]
    assert stand.door.events == []


@pytest.mark.parametrize("amount", [0, -1, 1.5, "100", 100_001, 10**30, None, True, [], float("1e400")])
def test_an_amount_is_whole_fen_within_bounds(stand: Stand, amount: object) -> None:
    body = '{"amount_fen": ' + str(amount).replace("True", "true").replace("None", "null") + "}"
    body = body if amount != "100" else '{"amount_fen": "100"}'
    headers = {"content-type": "application/json"}
    answer = stand.as_role("finance").post("/api/v1/cards/card1/top-ups", content=body, headers=headers)
    assert answer.status_code == 422
    assert stand.door.events == []


@pytest.mark.parametrize(
    "wrong",
    [{"energy_price": -1}, {"energy_price": 0.5}, {"service_price": 1_000_001}, {"to_min": 1441}, {"from_min": "0"}],
)
def test_a_price_is_whole_and_within_bounds(stand: Stand, wrong: dict[str, object]) -> None:
    body = {"name": "n", "bands": [{**BAND, **wrong}]}
    assert stand.as_role("manager").post("/api/v1/sites/here/tariffs", json=body).status_code == 422
    assert stand.door.events == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSON, path=st.sampled_from(["/sites", "/cards", "/staff", "/piles", "/login", "/cards/card1/top-ups"]))
def test_no_body_breaks_a_route(stand: Stand, body: object, path: str) -> None:
    headers = {"content-type": "application/json"}
    answer = stand.as_role("owner").post(f"/api/v1{path}", content=json.dumps(body), headers=headers)
    assert answer.status_code == 422


def test_a_price_of_the_clients_own_is_nowhere_taken(stand: Stand) -> None:
    """No route of the JSON API places an order; the resident's page takes an amount and hours alone."""
    paths = stand.app.openapi()["paths"]
    assert [path for path in paths if "order" in path] == ["/api/v1/orders", "/api/v1/orders/{order}"]
    assert all(set(paths[path]) == {"get"} for path in paths if "order" in path)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "phse=charging",
        "offset=50",
        "limit=201",
        "limit=x",
        "sort=energy_wh",
        "phase=odd",
        "cursor=odd",
        "cursor=%00",
        "outlet=%00",
        "since_at=nan",
        "since_at=-1",
    ],
)
def test_a_page_has_its_bounds(stand: Stand, query: str) -> None:
    assert stand.as_role("owner").get(f"/api/v1/sessions?{query}").status_code == 422


def test_what_is_given_out_holds_no_secret(stand: Stand) -> None:
    client = stand.as_role("owner")
    for path in ("/staff", "/orders", "/orders/order-here", "/sessions/s-here", "/cards/card1", "/me"):
        answer = client.get(f"/api/v1{path}")
        assert answer.status_code == 200, path
        assert "hash-here" not in answer.text
        assert "argon2" not in answer.text


def test_a_session_is_given_with_readings_evidence_and_money(stand: Stand) -> None:
    body = stand.as_role("auditor").get("/api/v1/sessions/s-here").json()
    assert body["curve"] == [[10.0, 168.0, 0.5]]
    assert body["evidence"] == {"peak_w": 168.0}
    assert sum(line["amount_fen"] for line in body["receipt"]["lines"]) == body["receipt"]["total_fen"] == 29
    assert {transfer["kind"] for transfer in body["transfers"]} == {"payment", "settle"}


def test_the_parts_of_a_session_are_given_one_by_one(stand: Stand) -> None:
    client = stand.as_role("auditor")
    readings = client.get("/api/v1/sessions/s-here/readings").json()
    assert readings == {"rows": [{"at": AT + 10, "power_w": 168.0, "used_wh": 0.5}], "now": None}
    assert client.get(f"/api/v1/sessions/s-here/readings?since_at={AT + 10}").json()["rows"] == []
    evidence = client.get("/api/v1/sessions/s-here/evidence").json()
    assert (evidence["reason"], evidence["proof"], evidence["evidence"]) == ("finished", "measured", {"peak_w": 168.0})
    assert [row["what"] for row in client.get("/api/v1/sessions/s-here/story").json()["rows"]] == ["paid"]


def test_a_party_is_known_by_its_deeds_alone(stand: Stand) -> None:
    client = stand.as_role("finance")
    assert [row["id"] for row in client.get("/api/v1/parties").json()["rows"]] == ["party-here"]
    assert client.get("/api/v1/parties/party-here").json() == {"id": "party-here", "kind": "walk_in", "at": AT}
    for what, found in (("sessions", "s-here"), ("orders", "order-here"), ("payments", "order-here")):
        assert [row["id"] for row in client.get(f"/api/v1/{what}?party=party-here").json()["rows"]] == [found]


def test_a_payment_is_an_order_that_money_came_for(stand: Stand) -> None:
    client = stand.as_role("finance")
    assert client.get("/api/v1/payments/order-here").json()["txn"] == "txn-here"
    assert client.get("/api/v1/refunds/r-here").json()["amount_fen"] == 171
    assert client.get("/api/v1/refunds?order=order-here&owed=true").json()["rows"][0]["site_id"] == "here"


def test_a_quote_names_its_prices(stand: Stand) -> None:
    query = {"power_w": 100, "minutes": 120, "start_at": AT}
    body = stand.as_role("auditor").get("/api/v1/sites/here/quote", params=query).json()
    assert (body["energy_wh"], body["end_at"], body["tariff"]) == (200, AT + 7200, "t-here")
    assert [(line["kind"], line["amount_fen"]) for line in body["lines"]] == [("energy", 11), ("service", 6)]
    assert body["total_fen"] == 17


def test_an_outlet_is_given_live(stand: Stand) -> None:
    client = stand.as_role("auditor")
    body = client.get("/api/v1/outlets/o-here").json()
    assert (body["live"]["power_w"], body["live"]["session_phase"]) == (168.0, "charging")
    assert client.get("/api/v1/outlets").json()["rows"][0]["live"]["linked"] is True


def test_a_database_away_answers_503_to_readers(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("", {}, Exception())

    client = stand.as_role("owner")
    monkeypatch.setattr(stand.queries.lists, "sites", away)
    answer = client.get("/api/v1/sites")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_away")
