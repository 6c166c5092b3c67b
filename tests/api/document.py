"""The OpenAPI page as tests walk it: every operation, and a request for each that is good, put together from it."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest

from tests.api.stand import HERE, STICKER, STICKER_THERE, Stand

MISSING = "nowhere"
IDS = {  # by the name of a path's parameter: an id at a site; a new parameter needs its line
    "site": "{}",
    "merchant": "m-{}",
    "tariff": "t-{}",
    "pile": "p-{}",
    "bus": "shed-1",  # of the gateway, and so of no site
    "outlet": "o-{}",
    "session": "s-{}",
    "order": "order-{}",
    "payment": "order-{}",
    "refund": "r-{}",
    "alarm": "a-{}",
    "party": "party-{}",
    "hook": "h-{}",
    "bike": "bike-{}",
    "charger": "c-{}",
    "token": "k-{}",
    "card": "card1",  # a card and who works here belong to no site
    "staff": "s-manager",
    "code": "busy",
}
LIVE = {"stopSession": "live-{}", "answerPlug": "live-{}"}


class Operation(NamedTuple):
    id: str
    method: str
    path: str
    spec: dict[str, Any]

    @property
    def roles(self) -> list[str]:
        return list(self.spec.get("x-roles", []))

    @property
    def scope(self) -> str:
        return str(self.spec.get("x-scope", ""))

    @property
    def has_id(self) -> bool:
        return "{" in self.path

    def parameters(self, where: str) -> dict[str, dict[str, Any]]:
        return {each["name"].lower(): each for each in self.spec.get("parameters", ()) if each["in"] == where}

    def body(self) -> dict[str, Any]:
        content = self.spec.get("requestBody", {}).get("content", {}).get("application/json", {})
        return dict(content.get("example", {}))


@cache
def document() -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        stand = Stand(Path(folder))
        try:
            return stand.app.openapi()
        finally:
            stand.close()


def operations() -> Iterator[Operation]:
    for path, methods in document()["paths"].items():
        for method, spec in methods.items():
            yield Operation(spec["operationId"], method, path, spec)


def named(some: Iterable[Operation]) -> list[Any]:
    """For parametrize: a test each, called by the operation's name."""
    return [pytest.param(operation, id=operation.id) for operation in some]


def request_for(operation: Operation, site: str) -> dict[str, Any]:
    """What a client is to send for the operation to be done at `site`."""
    made: dict[str, Any] = {"method": operation.method, "url": url_for(operation, site)}
    query = {name: asked["example"] for name, asked in _wanted(operation).items()}
    made |= {"params": query} if query else {}
    return made | ({"json": at_site(operation.body(), site)} if operation.body() else {})


def _wanted(operation: Operation) -> dict[str, dict[str, Any]]:
    found = {name: each for name, each in operation.parameters("query").items() if each.get("required")}
    return {name: {"example": each["schema"]["examples"][0]} for name, each in found.items()}


def url_for(operation: Operation, site: str) -> str:
    def known(match: re.Match[str]) -> str:
        name = LIVE.get(operation.id, IDS[match[1]])
        return name.format(site)

    return re.sub(r"\{(\w+)\}", known, operation.path)


def at_site(body: Any, site: str) -> Any:
    """The example, about what there is at `site` in the tests' database."""
    sticker = STICKER if site == HERE else STICKER_THERE
    there = {"site": site, "sites": [site], "found": "tasmota:AA", "meters": None, "old": sticker, "merchant": "m-here"}
    there |= {"uid": "04A1B2C4", "login": "somebody"}
    return {name: there.get(name, value) for name, value in body.items()}
