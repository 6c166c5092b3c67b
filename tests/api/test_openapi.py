"""The OpenAPI page: every operation is named, shows good examples, says how it can fail, and what guards it."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from api.codes import CODES
from tests.api.document import Operation, document, named, operations

ROOT = Path(__file__).parents[2]
EVERY = named(operations())
NO_KEY = {"logIn", "logOut", "logStaffOut"}  # done twice they are as good as once
ELSEWHERE = re.compile(r"^api/(pages|providers)/")  # said on pages, or before anything starts


def bodies(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    holders = {"request": operation.spec.get("requestBody", {}), **operation.spec["responses"]}
    for name, holder in holders.items():
        for kind, content in holder.get("content", {}).items():
            if kind.endswith("json"):
                yield name, content


def errors_in(example: Any, schema: dict[str, Any]) -> list[str]:
    whole = {**schema, "components": document()["components"]}
    return [error.message for error in jsonschema_rs.validator_for(whole).iter_errors(example)]


def test_every_operation_has_a_name_of_its_own() -> None:
    every = list(operations())
    names = [operation.id for operation in every]
    assert len(names) == len(set(names)) > 70
    assert all(operation.spec["summary"] for operation in every)
    assert all(operation.path.startswith("/api/v1/") for operation in every)


@pytest.mark.parametrize("operation", EVERY)
def test_every_body_has_an_example_that_fits_its_schema(operation: Operation) -> None:
    for name, content in bodies(operation):
        assert json.dumps(content["example"]) != "null", name
        assert errors_in(content["example"], content["schema"]) == [], name


@pytest.mark.parametrize("operation", EVERY)
def test_every_operation_says_how_it_fails(operation: Operation) -> None:
    wanted = {"406", "503"}
    wanted |= {"401", "403", "429"} if operation.roles else set()
    wanted |= {"404", "422"} if operation.has_id else set()
    wanted |= {"422"} if operation.spec.get("parameters") or operation.body() else set()
    wanted |= {"408", "413", "415"} if operation.method != "get" else set()
    wanted |= {"412"} if "if-match" in operation.parameters("header") else set()
    assert wanted <= set(operation.spec["responses"])
    for status, answer in operation.spec["responses"].items():
        if status.startswith(("4", "5")):
            assert answer["description"]
            problem = answer["content"]["application/problem+json"]["example"]
            assert problem["status"] == int(status)
            assert problem["code"] in CODES


@pytest.mark.parametrize("operation", named(each for each in operations() if each.method != "get"))
def test_every_change_may_carry_a_key(operation: Operation) -> None:
    if operation.id not in NO_KEY:
        key = operation.parameters("header")["idempotency-key"]
        assert key["description"]


@pytest.mark.parametrize("operation", EVERY)
def test_every_list_is_paged_alike(operation: Operation) -> None:
    (schema,) = [content["schema"] for name, content in bodies(operation) if name in ("200", "201", "202")][:1] or [{}]
    if operation.method != "get" or "/Rows_" not in schema.get("$ref", "") or operation.id == "listProblems":
        return
    query = operation.parameters("query")
    assert {"limit", "cursor", "total"} <= set(query)
    assert "offset" not in query
    assert "Link" in operation.spec["responses"]["200"]["headers"]


def test_what_is_edited_by_two_people_has_a_tag() -> None:
    by_path = {(each.method, each.path): each for each in operations()}
    edits = [each for each in operations() if "if-match" in each.parameters("header")]
    assert {each.path.split("/")[3] for each in edits} >= {"sites", "piles", "outlets", "cards", "staff", "merchants"}
    for edit in edits:
        read = by_path["get", re.sub(r"(\}).*", r"\1", edit.path)]
        assert "ETag" in read.spec["responses"]["200"]["headers"], edit.id


def test_every_word_of_a_refusal_is_explained() -> None:
    words = {word for path in _sources() for word in _words(path)}
    assert len(words) > 30
    assert words - set(CODES) == set()
    assert all(code.title.endswith(".") and code.todo.endswith(".") for code in CODES.values())


def _sources() -> Iterator[Path]:
    for folder in ("api", "controller"):
        for path in (ROOT / folder).rglob("*.py"):
            if not ELSEWHERE.match(str(path.relative_to(ROOT))):
                yield path


def _words(path: Path) -> Iterator[str]:
    """The first argument of every Refused(…) and the second of every sorry(request, status, …)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            at = {"Refused": 0, "sorry": 2}.get(node.func.id)
            if at is not None and len(node.args) > at and isinstance(node.args[at], ast.Constant):
                yield str(node.args[at].value)  # type: ignore[attr-defined]
