"""Every route of the program refuses strangers and foreign forms; the list is the program's own, so new routes are in.

Who may what on the API is in test_rights.py.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from tests.api.document import IDS, operations
from tests.api.stand import Stand

OPEN = {  # what a stranger may ask: the phone's pages, the doors in, and health
    "/healthz",
    "/readyz",
    "/metrics",  # 404 for strangers: tests/api/test_metrics.py
    "/diagnostics",  # 404 for strangers: tests/api/test_watching.py
    "/webhooks/{provider}",
    "/api/v1/login",
    "/api/v1/problems",
    "/api/v1/problems/{code}",
    "/console/login",
    "/console/logout",
    "/first/{token}",
}
RESIDENT = re.compile(r"^/(S|s|O|o|paid|reader)/|^/$")


class Route(NamedTuple):
    path: str
    methods: tuple[str, ...]
    operation: str


def routes_of(app: FastAPI) -> Iterator[Route]:
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute) and context.path is not None:
            methods = sorted((context.original_route.methods or set()) - {"HEAD", "OPTIONS"})
            yield Route(context.path, tuple(methods), context.original_route.operation_id or "")


def asked(route: Route, site: str = "here") -> Iterator[tuple[str, str]]:
    path = re.sub(r"\{(\w+)(:\w+)?\}", lambda match: ids(match[1], site), route.path)
    for method in route.methods:
        yield method, path


def ids(name: str, site: str) -> str:
    return IDS.get(name.removesuffix("_id"), "x").format(site)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    stand = Stand(Path(tmp_path_factory.mktemp("roles")))
    yield stand
    stand.close()


@pytest.fixture
def shared(program: Stand) -> Stand:
    program.door.events.clear()
    return program


def test_the_list_is_the_whole_program(shared: Stand) -> None:
    paths = {route.path for route in routes_of(shared.app)}
    assert {"/api/v1/sites", "/console", "/S/{sticker}", "/healthz", "/webhooks/{provider}"} <= paths
    assert {each.path for each in operations()} == {path for path in paths if path.startswith("/api/")}


def test_a_stranger_gets_nothing(shared: Stand) -> None:
    client, tried = shared.client(), 0
    for route in routes_of(shared.app):
        if route.path in OPEN or RESIDENT.search(route.path):
            continue
        for method, path in asked(route):
            answer = client.request(method, path)
            to_login = answer.status_code == 303 and answer.headers["location"].startswith("/console/login")
            assert answer.status_code == 401 or to_login, f"{method} {path}: {answer.status_code}"
            tried += 1
    assert tried > 60
    assert shared.door.events == []


def changing(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every route of staff that is no question."""
    for route in routes_of(app):
        if route.path in OPEN or RESIDENT.search(route.path) or route.operation == "logOut":
            continue
        yield from ((method, path) for method, path in asked(route) if method != "GET")


def test_an_auditor_changes_nothing_anywhere(shared: Stand) -> None:
    client, tried = shared.as_role("auditor"), 0
    for method, path in changing(shared.app):
        assert client.request(method, path).status_code == 403, f"{method} {path}"
        tried += 1
    assert tried > 30
    assert shared.door.events == []


def test_a_cookie_without_its_token_changes_nothing_anywhere(shared: Stand) -> None:
    client = shared.client(cookies={"staff": shared.token("owner")})
    for method, path in changing(shared.app):
        for form in ({}, {"csrf": "guess"}):
            answer = client.request(method, path, data=form)
            unread = path.startswith("/api/") and form != {}
            assert answer.status_code == (415 if unread else 403), f"{method} {path}"
    assert shared.door.events == []


def test_a_made_up_token_is_a_stranger(shared: Stand) -> None:
    for header in ("Bearer x", "Bearer ", "Basic eDp5", "Bearer " + "a" * 5000):
        assert shared.client().get("/api/v1/me", headers={"authorization": header}).status_code == 401
    assert shared.client(cookies={"staff": "guess"}).get("/api/v1/me").status_code == 401
