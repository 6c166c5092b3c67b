"""Every route of the program refuses strangers and wrong roles; the list is the program's own, so new routes are in."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from tests.api.stand import ROLES, Stand

OPEN = {  # what a stranger may ask: the phone's pages, the doors in, and health
    "/healthz",
    "/readyz",
    "/metrics",  # 404 for strangers: tests/api/test_metrics.py
    "/diagnostics",  # 404 for strangers: tests/api/test_watching.py
    "/webhooks/{provider}",
    "/api/v1/login",
    "/console/login",
    "/console/logout",
    "/first/{token}",
}
RESIDENT = re.compile(r"^/(S|s|O|o|paid)/|^/$")
EVERYBODY = {"owner", "manager", "finance", "maintainer", "auditor"}
MONEY = {"owner", "manager", "finance", "auditor"}
MAY: dict[str, set[str]] = {  # the whole matrix of the JSON API, by operation
    "logOut": EVERYBODY,
    "whoAmI": EVERYBODY,
    "listSites": EVERYBODY,
    "getSite": EVERYBODY,
    "addSite": {"owner"},
    "changeSite": {"owner", "manager"},
    "listTariffs": EVERYBODY,
    "addTariff": {"owner", "manager"},
    "cutSite": {"owner", "manager", "maintainer"},
    "listFound": {"owner", "maintainer"},
    "listPiles": EVERYBODY,
    "adopt": {"owner", "maintainer"},
    "listOutlets": EVERYBODY,
    "getOutlet": EVERYBODY,
    "nameOutlet": {"owner", "manager", "maintainer"},
    "commission": {"owner", "maintainer"},
    "openOutlet": {"owner", "manager"},
    "closeOutlet": {"owner", "manager"},
    "lockOutlet": {"owner", "manager", "maintainer"},
    "unlockOutlet": {"owner", "manager", "maintainer"},
    "clearLatch": {"owner", "maintainer"},
    "replaceSticker": {"owner", "manager", "maintainer"},
    "listSessions": EVERYBODY,
    "getSession": EVERYBODY,
    "stopSession": {"owner", "manager", "maintainer"},
    "getOverview": EVERYBODY,
    "listOrders": MONEY,
    "getOrder": MONEY,
    "listPayments": MONEY,
    "listRefunds": MONEY,
    "payRefundByHand": {"owner", "finance"},
    "listCards": MONEY,
    "getCard": MONEY,
    "addCard": {"owner", "manager"},
    "changeCard": {"owner", "manager"},
    "topUpCard": {"owner", "finance"},
    "listStaff": {"owner"},
    "addStaff": {"owner"},
    "changeStaff": {"owner"},
    "logStaffOut": {"owner"},
    "listAlarms": EVERYBODY,
    "listAudit": {"owner", "auditor"},
    "getLogLevel": {"owner", "maintainer"},
    "setLogLevel": {"owner", "maintainer"},
    "getDiagnostics": {"owner", "maintainer"},
}


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
    known = {"site": site, "outlet": f"o-{site}", "session": f"s-{site}", "order": f"order-{site}", "card": "card1"}
    known |= {"refund": f"r-{site}", "staff": "s-manager"}
    return known.get(name.removesuffix("_id"), "x")


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
    operations = {route.operation for route in routes_of(shared.app) if route.path.startswith("/api/v1/")}
    assert operations == {*MAY, "logIn"}, "a new operation needs its line in the matrix"


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
            assert answer.status_code == 403, f"{method} {path}"
    assert shared.door.events == []


def test_a_made_up_token_is_a_stranger(shared: Stand) -> None:
    for header in ("Bearer x", "Bearer ", "Basic eDp5", "Bearer " + "a" * 5000):
        assert shared.client().get("/api/v1/me", headers={"authorization": header}).status_code == 401
    assert shared.client(cookies={"staff": "guess"}).get("/api/v1/me").status_code == 401


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_what_the_matrix_says(shared: Stand, role: str) -> None:
    client = shared.as_role(role)
    for route in routes_of(shared.app):
        if route.operation not in MAY or route.operation in ("logOut", "logStaffOut"):
            continue
        for method, path in asked(route):
            status = client.request(method, path, json={"not": "a field"}).status_code
            allowed = role in MAY[route.operation]
            assert (status != 403) == allowed, f"{role} {method} {path}: {status}"
            assert status < 500, f"{role} {method} {path}: {status}"


@pytest.mark.parametrize("role", ROLES[1:])
def test_a_foreign_id_is_as_unknown_as_a_missing_one(shared: Stand, role: str) -> None:
    client, tried = shared.as_role(role), 0
    for route in routes_of(shared.app):
        local = re.search(r"\{(site|outlet|session|order|refund)\}", route.path)
        if route.operation not in MAY or role not in MAY[route.operation] or local is None:
            continue
        for method, path in asked(route, "there"):
            body = BODIES.get(route.operation)
            foreign, missing = (client.request(method, p, json=body) for p in (path, path.replace("there", "nowhere")))
            assert (foreign.status_code, missing.status_code) == (404, 404), f"{method} {path}"
            assert foreign.json() == missing.json()
            tried += 1
    assert tried >= 3
    assert shared.door.events == []


BAND = {"name": "day", "from_min": 0, "to_min": 1440, "energy_price": 1, "service_price": 1}
BODIES: dict[str, object] = {
    "changeSite": {"name": "n", "zone": "Asia/Shanghai"},
    "addTariff": {"name": "n", "bands": [BAND]},
    "nameOutlet": {"number": "1"},
    "replaceSticker": {"old": "1ABCDEFGHJKMNPQS"},
}


@pytest.mark.parametrize("role", ROLES[1:])
def test_lists_hold_nothing_foreign(shared: Stand, role: str) -> None:
    client = shared.as_role(role)
    for path in ("sites", "outlets", "piles", "sessions", "orders", "payments", "refunds", "alarms", "audit"):
        answer = client.get(f"/api/v1/{path}")
        if answer.status_code == 200:
            assert "there" not in answer.text, path


def test_the_owner_sees_both_sites(shared: Stand) -> None:
    client = shared.as_role("owner")
    for path in ("sites", "outlets", "piles", "sessions", "orders", "payments", "refunds", "alarms", "audit"):
        text = client.get(f"/api/v1/{path}").text
        assert "there" in text, path
        assert "here" in text, path
