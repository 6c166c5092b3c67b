"""Logging in: fresh sessions, an end for each, growing waits, forms of our own alone, and no way elsewhere."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from api.auth import IDLE_S, hashed_password, local_path
from controller.core import effects as fx
from controller.core.errors import Refused
from tests.api.stand import Stand, staff_values

PASSWORD = "nine quiet sockets"


@pytest.fixture(scope="module")
def password_hash() -> str:
    return hashed_password(PASSWORD)


@pytest.fixture
def desk(stand: Stand, password_hash: str) -> Stand:
    stand.store.write("password", [fx.Put("staff", staff_values("manager", password_hash))])
    return stand


def logged_in(stand: Stand, password: str = PASSWORD, login: str = "manager") -> tuple[TestClient, int]:
    client = stand.client()
    answer = client.post("/api/v1/login", json={"login": login, "password": password})
    return client, answer.status_code


def test_the_right_pair_lets_in_and_the_cookie_is_guarded(desk: Stand) -> None:
    client = desk.client()
    answer = client.post("/api/v1/login", json={"login": " Manager ", "password": PASSWORD})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert client.get("/api/v1/me").json()["role"] == "manager"
    assert "password" not in answer.text


def test_on_a_real_site_the_cookie_belongs_to_the_host_alone(tmp_path: Path, password_hash: str) -> None:
    stand = Stand(tmp_path, secure_cookies=True)
    stand.store.write("password", [fx.Put("staff", staff_values("manager", password_hash))])
    answer = stand.client().post("/api/v1/login", json={"login": "manager", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-staff=")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert "strict-transport-security" in answer.headers
    stand.close()


@pytest.mark.parametrize(("login", "password"), [("manager", "wrong word here"), ("nobody", PASSWORD), ("owner", "x")])
def test_a_wrong_pair_is_refused_in_the_same_words(desk: Stand, login: str, password: str) -> None:
    answer = desk.client().post("/api/v1/login", json={"login": login, "password": password})
    assert (answer.status_code, answer.json()["code"]) == (401, "login_failed")
    assert "set-cookie" not in answer.headers


def test_T66_a_session_is_new_at_each_log_in(desk: Stand) -> None:
    client = desk.client(cookies={"staff": "chosen by somebody else"})
    answer = client.post("/api/v1/login", json={"login": "manager", "password": PASSWORD})
    assert answer.json()["token"] != "chosen by somebody else"
    stolen = desk.client(cookies={"staff": "chosen by somebody else"})
    assert stolen.get("/api/v1/me").status_code == 401
    again, _ = logged_in(desk)
    assert again.cookies["staff"] != answer.json()["token"]


def test_log_out_ends_the_session_not_just_the_cookie(desk: Stand) -> None:
    client, _ = logged_in(desk)
    token = client.cookies["staff"]
    csrf = client.get("/api/v1/me").json()["csrf"]
    assert client.post("/api/v1/logout", headers={"x-csrf-token": csrf}).status_code == 204
    assert desk.client(cookies={"staff": token}).get("/api/v1/me").status_code == 401


def test_T66_whoever_is_disabled_is_out_at_once(desk: Stand) -> None:
    client, _ = logged_in(desk)
    assert client.get("/api/v1/me").status_code == 200
    owner = desk.as_role("owner")
    assert owner.patch("/api/v1/staff/s-manager", json={"disabled": True}).status_code == 200
    assert client.get("/api/v1/me").status_code == 401
    desk.store.write("disabled", [fx.Put("staff", desk.door.last.values | {"id": "s-manager", "at": 0.0})])
    assert logged_in(desk)[1] == 401


def test_a_session_ends_when_nobody_uses_it(desk: Stand) -> None:
    client, _ = logged_in(desk)
    desk.clock.advance(IDLE_S - 1)
    assert client.get("/api/v1/me").status_code == 200
    desk.clock.advance(IDLE_S - 1)
    assert client.get("/api/v1/me").status_code == 200, "use keeps it alive"
    desk.clock.advance(IDLE_S + 1)
    assert client.get("/api/v1/me").status_code == 401


def test_T67_guessing_waits_longer_and_longer(desk: Stand) -> None:
    codes = [logged_in(desk, "wrong word here")[1] for _ in range(7)]
    assert codes[:5] == [401] * 5
    assert codes[5:] == [429, 429]
    assert logged_in(desk)[1] == 429, "even the right one waits"
    desk.clock.advance(60)
    assert logged_in(desk)[1] == 200
    assert logged_in(desk, "wrong word here")[1] == 401, "and a right one forgives"


def test_T67_one_address_can_not_try_many_logins(desk: Stand) -> None:
    codes = [logged_in(desk, "wrong word here", f"login{n}")[1] for n in range(23)]
    assert codes[-1] == 429


def test_a_password_has_its_bounds() -> None:
    for password in ("short", "x" * 257):
        with pytest.raises(Refused):
            hashed_password(password)


# -- forms of others ----------------------------------------------------------------------------------------------


def test_T65_a_cookie_alone_changes_nothing(desk: Stand) -> None:
    client, _ = logged_in(desk)
    csrf = client.get("/api/v1/me").json()["csrf"]
    for headers in ({}, {"x-csrf-token": "guess"}, {"x-csrf-token": ""}, {"x-csrf-token": csrf[:-1]}):
        answer = client.post("/api/v1/outlets/o-here/open", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed_csrf")
    assert desk.door.events == []
    assert client.post("/api/v1/outlets/o-here/open", headers={"x-csrf-token": csrf}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://testserver.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_T65_another_sites_page_changes_nothing_and_logs_nobody_in(desk: Stand, headers: dict[str, str]) -> None:
    client, _ = logged_in(desk)
    csrf = client.get("/api/v1/me").json()["csrf"]
    answer = client.post("/api/v1/outlets/o-here/open", headers={"x-csrf-token": csrf, **headers})
    assert answer.status_code == 403
    login = {"login": "manager", "password": PASSWORD}
    assert desk.client().post("/api/v1/login", json=login, headers=headers).status_code == 403
    assert desk.door.events == []


@pytest.mark.parametrize("origin", ["http://testserver", "https://charge.example"])
def test_our_own_pages_do(desk: Stand, origin: str) -> None:
    client, _ = logged_in(desk)
    csrf = client.get("/api/v1/me").json()["csrf"]
    headers = {"x-csrf-token": csrf, "origin": origin}
    assert client.post("/api/v1/outlets/o-here/open", headers=headers).status_code == 200


def test_another_sessions_token_does_not_fit(desk: Stand) -> None:
    one, _ = logged_in(desk)
    other, _ = logged_in(desk)
    csrf = other.get("/api/v1/me").json()["csrf"]
    assert one.post("/api/v1/outlets/o-here/open", headers={"x-csrf-token": csrf}).status_code == 403


# -- no way elsewhere ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wished",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/ok\r\nset-cookie: x=1",
        " //evil.example",
        "evil.example",
        "",
        "/" + "a" * 600,
    ],
)
def test_T62_nobody_is_led_elsewhere(wished: str) -> None:
    assert local_path(wished, "/console") == "/console"


@given(st.text(alphabet="/\\:@.aé\t\n ?#", max_size=12))
def test_whatever_is_wished_stays_here(wished: str) -> None:
    path = local_path(wished)
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert path.isascii()


def test_a_path_of_ours_is_kept() -> None:
    assert local_path("/console/outlets?site=a&x=1#top", "/") == "/console/outlets?site=a&x=1#top"
