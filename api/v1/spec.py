"""The OpenAPI page. Rights are read from the dependencies that enforce them; examples are put together from the
fields' own; what holds for every request with a body, or every answer, is written once here."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from api.auth import ROLES
from api.codes import CODES
from api.problems import PROBLEM_TYPE, problem_of
from api.v1.calls import said

JSON = "application/json"
EVERY = said(406)
KNOWN = said(429)  # wrong tokens are slowed down
WITH_BODY = said(408, 413, 415)
LINK = {
    "description": "Where the next page is; none on the last.",
    "schema": {"type": "string"},
    "example": '</api/v1/sessions?cursor=WyItYXQiXQ>; rel="next"',
}
WAYS_IN: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "A log-in's token, or an API token."},
}
EXAMPLE_CODES = {404: "unknown", 409: "busy", 412: "changed", 422: "invalid", 503: "no_answer_yet"}


def openapi_of(app: FastAPI, title: str, description: str) -> dict[str, Any]:
    spec = get_openapi(title=title, version=app.version, description=description, routes=app.routes)
    schemas = spec.get("components", {}).get("schemas", {})
    spec.setdefault("components", {})["securitySchemes"] = WAYS_IN
    rights = dict(_rights(app))
    for path in spec["paths"].values():
        for method, operation in path.items():
            operation.update(rights[operation["operationId"]])
            _complete(operation, changes=method != "get")
            for body in _bodies(operation):
                body.setdefault("example", example_of(body["schema"], schemas))
    return spec


# -- rights -------------------------------------------------------------------------------------------------------


def _rights(app: FastAPI) -> Iterator[tuple[str, dict[str, Any]]]:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.operation_id:
            yield route.operation_id, rights_of(route.dependant)


def rights_of(dependant: Dependant) -> dict[str, Any]:
    """`x-roles` and `x-scope`; nothing of both where a stranger may come."""
    roles, scopes = list(_marks(dependant, "roles")), set(_marks(dependant, "scope"))
    if not roles:
        return {"security": []}
    allowed = [role for role in ROLES if role == "owner" or all(role in some for some in roles)]
    rights: dict[str, Any] = {"security": [{"token": []}], "x-roles": allowed}
    return rights | ({"x-scope": scopes.pop()} if len(scopes) == 1 else {})


def _marks(dependant: Dependant, name: str) -> Iterator[Any]:
    mark = getattr(dependant.call, name, None)
    if mark is not None:
        yield mark
    for part in dependant.dependencies:
        yield from _marks(part, name)


# -- answers ------------------------------------------------------------------------------------------------------


def _complete(operation: dict[str, Any], changes: bool) -> None:
    for part in operation.get("parameters", ()):
        if part["in"] == "header":
            part["schema"].pop("default", None)  # a client would send it, and none is meant
    responses = operation["responses"]
    common = EVERY | (KNOWN if "x-roles" in operation else {}) | (WITH_BODY if changes else {})
    for status, answer in common.items():
        reference = {"$ref": "#/components/schemas/Problem"}
        responses[str(status)] = {"description": answer["description"], "content": {JSON: {"schema": reference}}}
    for status, answer in responses.items():
        if status.startswith(("4", "5")) and JSON in answer.get("content", {}):
            answer["content"] = {PROBLEM_TYPE: answer["content"].pop(JSON) | {"example": _problem(int(status))}}
    listed = responses.get("200", {}).get("content", {}).get(JSON, {}).get("schema", {}).get("$ref", "")
    if "/Rows_" in listed and any(part["name"] == "cursor" for part in operation.get("parameters", ())):
        responses["200"].setdefault("headers", {})["Link"] = LINK


def _problem(status: int) -> dict[str, Any]:
    word = EXAMPLE_CODES.get(status) or next(word for word, code in CODES.items() if code.status == status)
    return problem_of(status, word, CODES[word].title).model_dump(exclude_none=True)


def _bodies(operation: dict[str, Any]) -> list[dict[str, Any]]:
    holders = [operation.get("requestBody", {}), *operation.get("responses", {}).values()]
    bodies = [holder.get("content", {}).get(JSON) for holder in holders]
    return [body for body in bodies if body is not None and body.get("schema")]


def example_of(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """The schema's own example, or one made of its parts'."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas)
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas)
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas)]
    if "properties" in schema:
        return {name: example_of(part, schemas) for name, part in schema["properties"].items()}
    return schema.get("default")
