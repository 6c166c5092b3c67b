"""The desk's page for other people's programs: tokens shown once, hooks made, tried, paused and removed."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import make_app
from controller.postman import Postman
from tests.pages import console_data as data
from tests.shell.receiver import Receiver, receivers


class Desk:
    """Somebody signed in, on one program."""

    def __init__(self, plant: data.Plant, login: str) -> None:

        self.plant = plant
        self.app = make_app(dataclasses.replace(plant.services(), postman=Postman(b"key", at_home=True)))
        self.client = TestClient(self.app, follow_redirects=False)
        answer = self.client.post("/console/login", data={"login": login, "password": data.PASSWORD})
        assert answer.status_code == 303, answer.text
        self._sent = 0

    def page(self) -> str:
        return self.client.get("/console/programs?lang=en").text

    def send(self, path: str, **fields: Any) -> Any:
        csrf = re.search(r'name="csrf" value="([^"]+)"', self.page())
        assert csrf is not None
        self._sent += 1
        key = f"{self._sent:032x}"
        return self.client.post(f"/console/programs/{path}", data={"csrf": csrf[1], "key": key, **fields})


@pytest.fixture
def plant(tmp_path: Path) -> data.Plant:
    return data.compound(tmp_path, busy=False)


@pytest.fixture
def owner(plant: data.Plant) -> Desk:
    return Desk(plant, {role: login for login, _, role in data.PEOPLE}["owner"])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receivers() as made:
        yield made


TOKEN = {"name": "books", "role": "auditor", "days": "365", "sites": ["garden"]}


def test_a_token_is_shown_once_works_and_is_revoked(owner: Desk) -> None:
    made = owner.send("tokens", **TOKEN)
    assert made.status_code == 200
    (token,) = set(re.findall(r"anchong_[\w-]{40,}", made.text))
    assert token not in owner.page()
    program = TestClient(owner.app)
    program.headers["authorization"] = f"Bearer {token}"
    assert program.get("/api/v1/me").json()["role"] == "auditor"
    (path,) = re.findall(r'action="/console/programs/(tokens/\w+/revoke)"', owner.page())
    assert owner.send(path).headers["location"] == "/console/programs?done=revoke"
    assert program.get("/api/v1/me").status_code == 401
    assert "Revoked" in owner.page()


def test_what_can_not_be_given_is_refused_with_what_was_typed(plant: data.Plant) -> None:
    manager = Desk(plant, {role: login for login, _, role in data.PEOPLE}["manager"])
    refused = manager.send("tokens", **TOKEN, lang="en")
    assert refused.status_code == 409
    assert 'value="books"' in refused.text
    assert manager.send("tokens", **{**TOKEN, "name": ""}).status_code == 409
    assert manager.send("tokens", **{**TOKEN, "days": "7"}).status_code == 409
    assert manager.send("hooks", url="https://x.example/", kinds=["session"]).status_code == 409


def test_a_hook_is_made_tried_paused_resumed_and_removed(owner: Desk, receiver: Receiver) -> None:
    made = owner.send("hooks", url=receiver.url, kinds=["session", "refund"], sites=["garden"])
    assert made.status_code == 200
    (secret,) = set(re.findall(r"whsec_[\w-]{40,}", made.text))
    page = owner.page()
    assert secret not in page
    (hook,) = set(re.findall(r"programs/hooks/(\w+)/test", page))
    assert owner.send(f"hooks/{hook}/test").status_code == 200
    assert [event["kind"] for event in receiver.letters[0]["events"]] == ["test"]
    assert secret in owner.send(f"hooks/{hook}/secret").text
    renewed = owner.send(f"hooks/{hook}/renew").text
    assert "whsec_" in renewed
    assert secret not in renewed
    assert owner.send(f"hooks/{hook}/pause").status_code == 303
    assert "Paused" in owner.page()
    assert owner.send(f"hooks/{hook}/resume").status_code == 303
    assert owner.send(f"hooks/{hook}/drop").status_code == 303
    assert hook not in owner.page()
    assert owner.send(f"hooks/{hook}/test").status_code == 404


def test_a_receiver_that_does_not_take_the_test_is_told_why(owner: Desk) -> None:
    with receivers(500) as broken:
        owner.send("hooks", url=broken.url, kinds=["alarm"], sites=["garden"])
        (hook,) = set(re.findall(r"programs/hooks/(\w+)/test", owner.page()))
        assert "HTTP 500" in owner.send(f"hooks/{hook}/test").text


@pytest.mark.parametrize("url", ["https://10.0.0.8/x", "http://there.example/", "https://a:b@there.example/", "x"])
def test_an_address_inside_or_without_tls_is_refused(owner: Desk, url: str) -> None:
    answer = owner.send("hooks", url=url, kinds=["session"])
    assert answer.status_code == 409
    assert "whsec_" not in answer.text


def test_a_manager_neither_sees_nor_touches_hooks_of_other_sites(plant: data.Plant, owner: Desk) -> None:
    owner.send("hooks", url="https://there.example/all", kinds=["session"])
    (hook,) = set(re.findall(r"programs/hooks/(\w+)/test", owner.page()))
    manager = Desk(plant, {role: login for login, _, role in data.PEOPLE}["manager"])
    assert hook not in manager.page()
    for act in ("test", "secret", "renew", "pause", "drop"):
        assert manager.send(f"hooks/{hook}/{act}").status_code == 404
    assert hook in owner.page()
