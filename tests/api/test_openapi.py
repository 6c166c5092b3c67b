"""The OpenAPI page: every operation is named, shows an example, and says how it can fail."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.v1 import money_shapes, shapes
from tests.api.stand import Stand


@pytest.fixture
def operations(stand: Stand) -> list[tuple[str, dict[str, Any]]]:
    return list(_operations(stand.client().get("/api/v1/openapi.json").json()))


def _operations(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_every_operation_has_a_name_of_its_own(operations: list[tuple[str, dict[str, Any]]]) -> None:
    names = [operation["operationId"] for _, operation in operations]
    assert len(names) == len(set(names)) > 40
    assert all(operation["summary"] for _, operation in operations)
    assert all(
        name.startswith(("get /api/v1", "post /api/v1", "put /api/v1", "patch /api/v1", "delete /api/v1"))
        for name, _ in operations
    )


def test_every_body_has_an_example(operations: list[tuple[str, dict[str, Any]]]) -> None:
    for name, operation in operations:
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        bodies += [answer for answer in operation["responses"].values() if "content" in answer]
        for body in bodies:
            (content,) = body["content"].values()
            assert "example" in content, name
            assert json.dumps(content["example"]) != "null", name


def test_every_operation_says_how_it_fails(operations: list[tuple[str, dict[str, Any]]]) -> None:
    for name, operation in operations:
        statuses = set(operation["responses"])
        assert {"401", "403"} <= statuses, name
        if not name.endswith(("/me", "/logout", "/login")):
            assert {"404", "422", "503"} <= statuses, name
        for status, answer in operation["responses"].items():
            if status.startswith(("4", "5")):
                assert "problem" in json.dumps(answer).lower(), f"{name} {status}"


def test_every_example_is_a_good_one(operations: list[tuple[str, dict[str, Any]]]) -> None:
    for name, operation in operations:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is not None:
            model = content["schema"]["$ref"].rsplit("/", 1)[-1]
            kind = getattr(shapes, model, None) or getattr(money_shapes, model)
            assert kind.model_validate(content["example"]), name


def test_every_change_may_carry_a_key(operations: list[tuple[str, dict[str, Any]]]) -> None:
    for name, operation in operations:
        if name.startswith("get") or operation["operationId"] in ("logIn", "logOut", "logStaffOut"):
            continue
        headers = [parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "header"]
        assert "idempotency-key" in [header.lower() for header in headers], name
