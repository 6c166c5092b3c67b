"""API tokens: never more than their maker has, never kept in clear, never for pages, gone at once when revoked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from api.app import make_app
from api.auth import FREE_WRONG_TOKENS, TOKEN_PREFIX
from api.door import NotNow
from api.people import Person
from controller.core import events as ev
from controller.core.house import House
from controller.core.links import token as row_of
from controller.core.state import Rules, Site
from controller.engine import _audited
from tests.api.stand import AT, HERE, TARIFF, THERE, Stand

NEW = {"name": "books", "role": "manager", "sites": [HERE]}


class Office(Stand):
    """A stand whose door writes what was asked, as the gateway would."""

    def written(self) -> None:
        event = self.door.last
        house = House()
        house.sites = {site: Site(site, site, "Asia/Shanghai", "shop", TARIFF) for site in (HERE, THERE)}
        self.store.write(f"asked:{event.key}:{len(self.door.events)}", row_of(house, event, Rules()))

    def made(self, by: str = "owner", **changes: Any) -> str:
        answer = self.as_role(by).post("/api/v1/tokens", json={**NEW, **changes})
        assert answer.status_code == 201, answer.text
        self.written()
        token: str = answer.json()["token"]
        return token

    def bearer(self, token: str) -> TestClient:
        client = self.client()
        client.headers["authorization"] = f"Bearer {token}"
        return client


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.close()


def made_here(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without those the stand begins with."""
    return [row for row in rows if row["name"] not in (HERE, THERE)]


def test_a_token_does_what_its_role_may_at_its_sites(office: Office) -> None:
    program = office.bearer(office.made())
    me = program.get("/api/v1/me").json()
    assert (me["role"], me["sites"], me["csrf"]) == ("manager", [HERE], "")
    assert program.get(f"/api/v1/sites/{HERE}").status_code == 200
    assert program.get(f"/api/v1/sites/{THERE}").status_code == 404
    assert program.post("/api/v1/outlets/o-here/close").status_code == 200
    assert program.post("/api/v1/outlets/o-there/close").status_code == 404
    assert program.get("/api/v1/staff").status_code == 403


def test_what_a_token_does_is_done_under_its_name(office: Office) -> None:
    program = office.bearer(office.made())
    program.post("/api/v1/outlets/o-here/close")
    assert office.door.last.by == f"token:{program.get('/api/v1/me').json()['id']}"


def test_a_program_may_cut_a_site_and_never_release_it(office: Office) -> None:
    program = office.bearer(office.made(role="maintainer"))
    office.door.answers[ev.SiteCutAsked] = {"outlets": 1}
    assert program.post("/api/v1/sites/here/cut").status_code == 200
    answer = program.post("/api/v1/sites/here/release")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed_person")
    assert isinstance(office.door.last, ev.SiteCutAsked)


def test_the_token_is_kept_as_a_hash_and_shown_once(office: Office) -> None:
    token = office.made()
    assert token.startswith(TOKEN_PREFIX)
    assert len(token) > 40
    assert token not in str(office.door.events)
    listed = office.as_role("owner").get("/api/v1/tokens")
    assert token not in listed.text
    assert "hash" not in listed.text
    (row,) = made_here(listed.json())
    assert (row["name"], row["made_by"], row["used_at"]) == ("books", "staff:s-owner", None)
    office.bearer(token).get("/api/v1/me")
    assert made_here(office.as_role("owner").get("/api/v1/tokens").json())[0]["used_at"] == AT


def test_a_repeat_of_the_call_shows_the_same_token_again(office: Office) -> None:
    owner = office.as_role("owner")
    keyed = {"idempotency-key": "books-2027"}
    one, two = (owner.post("/api/v1/tokens", json=NEW, headers=keyed).json() for _ in range(2))
    assert one == two
    assert owner.post("/api/v1/tokens", json=NEW).json()["token"] != one["token"]


def test_a_token_outlives_a_restart(office: Office) -> None:
    token = office.made()
    office.app = make_app(office.services)
    assert office.bearer(token).get("/api/v1/me").status_code == 200


def test_a_revoked_token_works_no_more_from_that_moment(office: Office) -> None:
    token = office.made()
    program = office.bearer(token)
    ident = program.get("/api/v1/me").json()["id"]
    assert office.as_role("manager").delete(f"/api/v1/tokens/{ident}").status_code == 200
    assert program.get("/api/v1/me").status_code == 401
    office.written()
    assert made_here(office.as_role("owner").get("/api/v1/tokens").json())[0]["revoked_at"] == AT


def test_revoking_waits_for_no_database(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    program = office.bearer(office.made())
    ident = program.get("/api/v1/me").json()["id"]
    owner = office.as_role("owner")
    office.door.answers[ev.StaffChange] = NotNow()
    monkeypatch.setattr(office.queries.links, "token", away)
    assert owner.delete(f"/api/v1/tokens/{ident}").status_code == 503
    assert program.get("/api/v1/me").status_code == 401


def away(*args: Any) -> Any:
    raise OperationalError("SELECT", {}, OSError("away"))


def test_a_token_stops_a_charge_without_a_database(office: Office) -> None:
    program = office.bearer(office.made())
    office.queries.close()
    (Path(office.queries._engine.url.database.removeprefix("file:"))).unlink()  # type: ignore[union-attr]
    assert program.post("/api/v1/sessions/live-here/stop").status_code == 200
    assert program.post("/api/v1/sites/here/cut").status_code != 401


def test_an_expired_token_works_no_more(office: Office) -> None:
    program = office.bearer(office.made(days=1))
    assert program.get("/api/v1/me").status_code == 200
    office.clock.advance(86_401.0)
    assert program.get("/api/v1/me").status_code == 401


def test_a_token_is_for_the_api_alone(office: Office) -> None:
    token = office.made(role="owner")
    program = office.bearer(token)
    for page in ("/console", "/console/staff", "/console/live"):
        assert program.get(page).status_code == 303, page
    cookie = office.client(cookies={"staff": token})
    assert cookie.get("/api/v1/me").status_code == 401
    assert cookie.get("/console").status_code == 303


# -- never more than its maker has --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "changes", "status"),
    [
        ("manager", {}, 201),
        ("manager", {"role": "owner"}, 403),
        ("manager", {"role": "finance"}, 403),
        ("manager", {"role": "maintainer"}, 403),
        ("manager", {"role": "auditor"}, 403),
        ("manager", {"sites": [THERE]}, 404),
        ("manager", {"sites": [HERE, THERE]}, 404),
        ("owner", {"role": "owner", "sites": []}, 201),
        ("finance", {}, 403),
        ("maintainer", {}, 403),
        ("auditor", {}, 403),
    ],
)
def test_nobody_gives_what_they_have_not(office: Office, by: str, changes: dict[str, Any], status: int) -> None:
    assert office.as_role(by).post("/api/v1/tokens", json={**NEW, **changes}).status_code == status


def person(**changes: Any) -> Person:
    values: dict[str, Any] = {"id": "s-manager", "login": "manager", "name": "M", "password_hash": "x"}
    return Person(**{**values, "role": "manager", "sites": (HERE,), **changes})


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "finance"}, {"role": "auditor"}])
def test_whoever_loses_their_rights_takes_their_tokens_along(office: Office, change: dict[str, Any]) -> None:
    program = office.bearer(office.made(by="manager"))
    assert program.get("/api/v1/me").status_code == 200
    office.app.state.tokens.changed_maker(person(**change))
    assert program.get("/api/v1/me").status_code == 401
    office.app.state.tokens.changed_maker(person())
    assert program.get("/api/v1/me").status_code == 200


def test_a_site_its_maker_lost_is_lost_to_the_token(office: Office) -> None:
    program = office.bearer(office.made(by="manager"))
    office.app.state.tokens.changed_maker(person(sites=(THERE,)))
    assert program.get("/api/v1/me").json()["sites"] == []
    assert program.get(f"/api/v1/sites/{HERE}").status_code == 404


def test_saving_a_maker_counts_at_once(office: Office) -> None:
    program = office.bearer(office.made(by="manager"))
    owner = office.as_role("owner")
    assert owner.patch("/api/v1/staff/s-manager", json={"disabled": True}).status_code == 200
    assert program.get("/api/v1/me").status_code == 401


def test_a_token_makes_no_tokens(office: Office) -> None:
    program = office.bearer(office.made(role="owner", sites=[]))
    answer = program.post("/api/v1/tokens", json=NEW)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed_person")
    ident = program.get("/api/v1/me").json()["id"]
    assert program.delete(f"/api/v1/tokens/{ident}").status_code == 403
    assert program.get("/api/v1/me").status_code == 200


def test_a_manager_sees_and_revokes_what_they_could_have_made(office: Office) -> None:
    office.made(role="owner")
    office.made(role="auditor")
    for sites in ([THERE], [HERE, THERE], []):
        office.made(sites=sites)
    office.made(name="ours")
    manager = office.as_role("manager")
    assert [row["name"] for row in made_here(manager.get("/api/v1/tokens").json())] == ["ours"]
    everything = made_here(office.as_role("owner").get("/api/v1/tokens").json())
    assert len(everything) == 6
    for row in everything:
        wanted = 200 if row["name"] == "ours" else 404
        assert manager.delete(f"/api/v1/tokens/{row['id']}").status_code == wanted
    assert {row["name"] for row in everything if office.app.state.tokens.known(row["id"])} == {"books"}


def test_wrong_tokens_are_slowed_down_and_right_ones_are_not(office: Office) -> None:
    right = office.bearer(office.made())
    wrong = office.bearer(TOKEN_PREFIX + "x" * 43)
    seen = {wrong.get("/api/v1/me").status_code for _ in range(FREE_WRONG_TOKENS)}
    assert seen == {401}
    wrong.get("/api/v1/me")
    answer = wrong.get("/api/v1/me")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert right.get("/api/v1/me").status_code == 200


def test_an_audited_token_shows_no_hash(office: Office) -> None:
    office.as_role("owner").post("/api/v1/tokens", json=NEW)
    audit = _audited(office.door.last)
    assert audit.values["name"] == "books"
    assert not [name for name in audit.values if "hash" in name]
