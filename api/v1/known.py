"""A condition that a list does not know is refused: left aside, its typing error would answer with everything."""

from collections.abc import Iterator

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant

from controller.core.errors import Refused


async def only_known(request: Request) -> None:
    """Refused("invalid") for a query that the route does not have."""
    if request.query_params and set(request.query_params) - set(_names(request.scope["route"].dependant)):
        raise Refused("invalid", "query: there is no such parameter here; see /api/v1/openapi.json")


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for part in dependant.dependencies:
        yield from _names(part)


ONLY_KNOWN = Depends(only_known)
