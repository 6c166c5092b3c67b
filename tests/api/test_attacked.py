"""Attacks on the web side, and bad luck with it, that once worked."""

from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from fastapi.testclient import TestClient

from api import door
from api.pages import scan
from controller.core import events as ev
from tests.api.office import Office
from tests.api.stand import HERE, Stand
from tests.pages import console_data
from tests.pages.fakes import Street, new_key


def test_an_order_storm_from_one_phone_is_slowed_and_its_neighbour_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scan, "PAY_PAGE_S", 0.0)
    monkeypatch.setattr(scan, "address_of", lambda request: request.headers["x-phone"])
    street = Street()
    with TestClient(street.app(), follow_redirects=False, raise_server_exceptions=False) as phone:

        def order(who: str = "a") -> int:
            form = {"key": new_key(), "amount": "200", "hours": "0"}
            return phone.post(street.sticker_url + "/order", data=form, headers={"x-phone": who}).status_code

        codes = [order() for _ in range(60)]
        assert codes.count(303) <= 15
        assert order("b") == 303
    placed = [event for event in street.door.asked if isinstance(event, ev.OrderPlaced)]
    assert len(placed) == codes.count(303) + 1


# -- every thread of the web program stands at a database that does not answer ------------------------------------


async def none_free(*args: Any, **named: Any) -> Any:
    raise AssertionError("a thread was wanted, and all of them wait")


@pytest.mark.parametrize(
    "path",
    [
        f"/api/v1/sites/{HERE}/cut",
        "/api/v1/sessions/live-here/stop",
        "/api/v1/outlets/o-here/lock",
        "/api/v1/outlets/o-here/close",
    ],
)
def test_what_makes_an_outlet_dead_needs_no_thread_by_the_api(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    stand.door.answers[ev.SiteCutAsked] = {"outlets": 1}
    manager = stand.as_role("manager")
    monkeypatch.setattr(anyio.to_thread, "run_sync", none_free)
    assert manager.post(path).status_code == 200
    assert len(stand.door.events) == 1


@pytest.mark.parametrize("path", ["outlets/p1-1/stop", "outlets/p1-1/lock", "sites/garden/cut", "sessions/{}/stop"])
def test_what_makes_an_outlet_dead_needs_no_thread_by_the_console(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    plant = console_data.compound(tmp_path, busy=False)
    plant.pay("p1-1", 200)
    plant.charge("p1-1", [150.0] * 3)
    session = plant.board.views["p1-1"].session
    app = plant.app()
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as desk:
        row = app.state.services.queries.staff_by_login("li")
        assert row is not None
        token, staffer = app.state.logins.opened(app.state.services, row)
        desk.cookies.set("staff", token)
        form = {"csrf": staffer.csrf, "key": "a" * 32, "session": session}
        monkeypatch.setattr(anyio.to_thread, "run_sync", none_free)
        assert desk.post("/console/" + path.format(session), data=form).status_code == 303
    assert plant.board.views["p1-1"].session_phase == "closing"


def test_a_session_that_there_is_not_is_stopped_by_nobody(tmp_path: Path) -> None:
    plant = console_data.compound(tmp_path, busy=False)
    app = plant.app()
    row = app.state.services.queries.staff_by_login("li")
    assert row is not None
    desk = TestClient(app, follow_redirects=False)
    token, staffer = app.state.logins.opened(app.state.services, row)
    desk.cookies.set("staff", token)
    for path in ("sessions/nothing/stop", "outlets/nothing/stop", "sites/nothing/cut"):
        answer = desk.post(f"/console/{path}", data={"csrf": staffer.csrf, "key": "a" * 32})
        assert answer.status_code == 404, path
    assert plant.asked == []


# -- rights in memory: they follow the rows, not the answers -------------------------------------------------------

BOOKS = {"name": "books", "role": "manager", "sites": ["s1"]}
STAFF = {"login": "evil", "name": "E", "password": "nine quiet sockets", "role": "owner", "sites": []}


def program(real: Office, token: str) -> TestClient:
    headers = {"authorization": f"Bearer {token}"}
    return TestClient(real.app, headers=headers, base_url="http://testserver/api/v1")


def test_a_revoked_token_is_not_made_anew_by_a_repeat_of_the_call_that_made_it(real: Office) -> None:
    manager, keyed = real.as_role("manager"), {"idempotency-key": "books-2027"}
    made = manager.post("/tokens", json=BOOKS, headers=keyed).json()
    assert program(real, made["token"]).get("/me").status_code == 200
    assert real.as_role("owner").delete(f"/tokens/{made['subject']}").status_code == 200
    repeat = manager.post("/tokens", json=BOOKS, headers=keyed)
    assert (repeat.status_code, repeat.json()["code"]) == (409, "conflict")
    assert program(real, made["token"]).get("/me").status_code == 401


def test_an_old_call_that_is_repeated_gives_nobody_their_rights_back(real: Office) -> None:
    owner, keyed = real.as_role("owner"), {"idempotency-key": "enable-1"}
    assert owner.patch("/staff/s-manager", json={"disabled": False}, headers=keyed).status_code == 200
    token = real.as_role("manager").post("/tokens", json=BOOKS).json()["token"]
    assert owner.patch("/staff/s-manager", json={"disabled": True}).status_code == 200
    assert program(real, token).get("/me").status_code == 401
    assert owner.patch("/staff/s-manager", json={"disabled": False}, headers=keyed).status_code == 200
    assert program(real, token).get("/me").status_code == 401


def test_who_is_dismissed_while_the_database_is_late_is_out_when_it_is_written(
    real: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, owner = real.as_role("manager"), real.as_role("owner")
    token = manager.post("/tokens", json=BOOKS).json()["token"]
    asked = door.asked

    async def answer_lost(*args: Any, **named: Any) -> dict[str, Any]:
        await asked(*args, **named)
        raise door.NotNow

    monkeypatch.setattr("api.people.asked", answer_lost)
    assert owner.patch("/staff/s-manager", json={"disabled": True}).status_code == 503
    assert manager.get("/me").status_code == 401
    assert program(real, token).get("/me").status_code == 401


@pytest.mark.parametrize(("method", "path", "body"), [("POST", "/staff", STAFF), ("PATCH", "/staff/s-manager", {})])
def test_an_owners_token_makes_and_changes_no_staff(real: Office, method: str, path: str, body: dict[str, Any]) -> None:
    wish = {"name": "x", "role": "owner", "sites": []}
    token = real.as_role("owner").post("/tokens", json=wish).json()["token"]
    answer = program(real, token).request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed_person")


def test_who_is_disabled_while_their_password_is_hashed_does_not_get_in(
    real: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fits(password: str, password_hash: str) -> bool:
        real.rig.staff(ev.Change.STAFF, "s-manager", key="dismissed", **{**_row(real), "disabled": True})
        return True

    monkeypatch.setattr("api.auth._fits", fits)
    answer = TestClient(real.app).post("/api/v1/login", json={"login": "manager", "password": "nine quiet sockets"})
    assert answer.json()["code"] == "login_failed"


def _row(real: Office) -> dict[str, Any]:
    row = real.queries.staff_by_login("manager")
    assert row is not None
    return {name: getattr(row, name) for name in ("login", "name", "password_hash", "role", "sites")}


def test_days_that_are_a_digit_and_no_number_are_refused(tmp_path: Path) -> None:
    app = console_data.compound(tmp_path, busy=False).app()
    row = app.state.services.queries.staff_by_login("li")
    token, staffer = app.state.logins.opened(app.state.services, row)
    desk = TestClient(app, follow_redirects=False, cookies={"staff": token}, raise_server_exceptions=False)
    form = {"csrf": staffer.csrf, "key": "a" * 32, "name": "books", "days": "²", "role": "manager"}
    assert desk.post("/console/programs/tokens", data=form).status_code == 409
