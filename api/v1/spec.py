"""The OpenAPI page, with an example for every request and answer put together from the fields' own examples."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

JSON = "application/json"


def openapi_of(app: FastAPI, title: str, description: str) -> dict[str, Any]:
    spec = get_openapi(title=title, version=app.version, description=description, routes=app.routes)
    schemas = spec.get("components", {}).get("schemas", {})
    for path in spec["paths"].values():
        for operation in path.values():
            for body in _bodies(operation):
                body.setdefault("example", example_of(body["schema"], schemas))
    return spec


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
