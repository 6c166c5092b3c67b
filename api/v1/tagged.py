"""ETags of what people edit. They cover what can be edited; what only devices change (readings, lease) is no part."""

from typing import Any

from starlette.responses import Response

_HEADER = {
    "description": "Send it as If-Match with an edit. It covers what can be edited here.",
    "schema": {"type": "string"},
    "example": '"5d41402abc4b2a76b9719d91"',
}
TAGGED: dict[int | str, dict[str, Any]] = {200: {"description": "Successful Response", "headers": {"ETag": _HEADER}}}


def tag_on(response: Response, tag: str) -> None:
    response.headers["etag"] = f'"{tag}"'
