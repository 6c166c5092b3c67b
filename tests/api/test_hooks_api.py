"""Hooks over the API: made and changed by those who may, for the sites they have, with a secret only people see."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from controller.core import links
from controller.core.house import House
from controller.core.state import Rules, Site
from controller.couriers import Standing
from controller.postman import Postman
from tests.api.stand import AT, HERE, TARIFF, THERE, Stand
from tests.shell.receiver import receivers

NEW: dict[str, Any] = {"url": "https://books.example/told", "kinds": ["session.settled"], "sites": [HERE]}


class Exchange(Stand):
    """A stand whose door writes what was asked of hooks, as the gateway would."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, postman=Postman(b"key", at_home=True))
        self.house = House()
        self.house.sites = {site: Site(site, site, "Asia/Shanghai", "shop", TARIFF) for site in (HERE, THERE)}

    def written(self) -> None:
        event = self.door.last
        rows = links.hook(self.house, event, Rules())
        for row in rows:
            self.house.apply(row)
        self.store.write(f"asked:{event.key}:{len(self.door.events)}", rows)

    def made(self, by: str = "owner", **changes: Any) -> dict[str, str]:
        answer = self.as_role(by).post("/api/v1/hooks", json={**NEW, **changes})
        assert answer.status_code == 201, answer.text
        self.written()
        made: dict[str, str] = answer.json()
        return made


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    made = Exchange(tmp_path)
    yield made
    made.close()


def test_a_hook_is_made_seen_changed_and_removed(exchange: Exchange) -> None:
    hook = exchange.made()["subject"]
    owner = exchange.as_role("owner")
    seen = owner.get(f"/api/v1/hooks/{hook}").json()
    assert (seen["url"], seen["kinds"], seen["sites"]) == (NEW["url"], NEW["kinds"], NEW["sites"])
    assert (seen["made_by"], seen["at"], seen["disabled"], seen["status"]) == ("staff:s-owner", AT, False, 0)
    assert owner.patch(f"/api/v1/hooks/{hook}", json={"disabled": True, "kinds": []}).status_code == 200
    exchange.written()
    seen = owner.get(f"/api/v1/hooks/{hook}").json()
    assert (seen["disabled"], seen["kinds"], seen["url"]) == (True, [], NEW["url"])
    assert owner.delete(f"/api/v1/hooks/{hook}").status_code == 200
    exchange.written()
    assert owner.get(f"/api/v1/hooks/{hook}").status_code == 404


def test_the_secret_is_shown_when_made_and_to_people_who_ask(exchange: Exchange) -> None:
    made = exchange.made()
    owner, path = exchange.as_role("owner"), f"/api/v1/hooks/{made['subject']}"
    assert owner.get(f"{path}/secret").json()["secret"] == made["secret"]
    assert made["secret"] not in owner.get(path).text + owner.get("/api/v1/hooks").text + str(exchange.door.events)
    renewed = owner.post(f"{path}/secret").json()["secret"]
    exchange.written()
    assert renewed != made["secret"]
    assert owner.get(f"{path}/secret").json()["secret"] == renewed


def token_of(exchange: Exchange) -> TestClient:
    answer = exchange.as_role("owner").post("/api/v1/tokens", json={"name": "x", "role": "owner", "sites": []})
    client = exchange.client()
    client.headers["authorization"] = f"Bearer {answer.json()['token']}"
    return client


def test_a_program_reads_hooks_and_changes_none(exchange: Exchange) -> None:
    hook = exchange.made()["subject"]
    program = token_of(exchange)
    assert program.get(f"/api/v1/hooks/{hook}").status_code == 200
    assert program.get(f"/api/v1/hooks/{hook}/secret").status_code == 403
    assert program.post(f"/api/v1/hooks/{hook}/secret").status_code == 403
    assert program.post("/api/v1/hooks", json=NEW).status_code == 403
    assert program.patch(f"/api/v1/hooks/{hook}", json={"url": "https://thief.example/"}).status_code == 403
    assert program.delete(f"/api/v1/hooks/{hook}").status_code == 403


@pytest.mark.parametrize(
    ("by", "sites", "status"),
    [
        ("owner", [], 201),
        ("owner", [HERE, THERE], 201),
        ("manager", [HERE], 201),
        ("manager", [], 422),
        ("manager", [THERE], 404),
        ("manager", [HERE, THERE], 404),
        ("finance", [HERE], 403),
        ("maintainer", [HERE], 403),
        ("auditor", [HERE], 403),
    ],
)
def test_a_hook_tells_of_no_site_its_maker_can_not_see(
    exchange: Exchange, by: str, sites: list[str], status: int
) -> None:
    assert exchange.as_role(by).post("/api/v1/hooks", json={**NEW, "sites": sites}).status_code == status


def test_a_manager_can_not_widen_a_hook_to_sites_of_others(exchange: Exchange) -> None:
    hook = exchange.made(by="manager")["subject"]
    manager = exchange.as_role("manager")
    before = len(exchange.door.events)
    for sites in ([], [THERE], [HERE, THERE]):
        assert manager.patch(f"/api/v1/hooks/{hook}", json={"sites": sites}).status_code in (404, 422), sites
    assert len(exchange.door.events) == before


@pytest.mark.parametrize("sites", [[], [THERE], [HERE, THERE]])
def test_hooks_of_other_sites_are_as_if_they_were_not(exchange: Exchange, sites: list[str]) -> None:
    hook = exchange.made(sites=sites)["subject"]
    manager, path = exchange.as_role("manager"), f"/api/v1/hooks/{hook}"
    assert hook not in manager.get("/api/v1/hooks").text
    asked = [
        manager.get(path),
        manager.patch(path, json={"disabled": True}),
        manager.delete(path),
        manager.get(f"{path}/secret"),
        manager.post(f"{path}/secret"),
        manager.post(f"{path}/test"),
    ]
    assert {answer.status_code for answer in asked} == {404}


@pytest.mark.parametrize(
    "url",
    [
        "http://there.example/",
        "https://10.1.2.3/",
        "https://[fe80::1]/",
        "https://u:p@there.example/",
        "ftp://x.example",
    ],
)
def test_an_address_we_do_not_speak_to_is_refused_when_made_and_when_changed(exchange: Exchange, url: str) -> None:
    owner = exchange.as_role("owner")
    answer = owner.post("/api/v1/hooks", json={**NEW, "url": url})
    assert (answer.status_code, answer.json()["code"]) == (422, "hook_url")
    hook = exchange.made()["subject"]
    assert owner.patch(f"/api/v1/hooks/{hook}", json={"url": url}).status_code == 422


def test_a_test_event_shows_what_the_receiver_says(exchange: Exchange) -> None:
    with receivers(202, 500) as receiver:
        hook = exchange.made(url=receiver.url)["subject"]
        owner = exchange.as_role("owner")
        assert owner.post(f"/api/v1/hooks/{hook}/test").json() == {"taken": True, "status": 202, "why": ""}
        assert owner.post(f"/api/v1/hooks/{hook}/test").json() == {"taken": False, "status": 500, "why": ""}
        assert [event["kind"] for event in receiver.letters[0]["events"]] == ["test"]


def test_how_it_stands_with_a_receiver_is_shown(tmp_path: Path) -> None:
    standing = Standing(tried_at=AT, status=503, why="", failures=3)
    stand = Stand(tmp_path, standing=lambda hook: standing)
    (seen, _) = stand.as_role("owner").get("/api/v1/hooks").json()
    assert (seen["tried_at"], seen["status"]) == (AT, 503)
    stand.close()
