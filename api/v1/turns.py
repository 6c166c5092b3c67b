"""How a list is asked for and answered: a limit and a cursor in, rows and the next cursor out."""

from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response

from api.v1.calls import Limit
from controller.lists import Between
from controller.paging import CURSOR_MAX, TOTAL_MAX, Page, Turn

Cursor = Annotated[
    str,
    Query(
        max_length=CURSOR_MAX,
        pattern=r"^[A-Za-z0-9_\-]*$",
        description="`next` of the page before; without it the list begins.",
    ),
]
Total = Annotated[bool, Query(description=f"Count the whole list too, up to {TOTAL_MAX}.")]
Moment = Annotated[float | None, Query(ge=0, le=1e11, description="UTC, unix seconds.")]


def _turn(limit: Limit = 50, cursor: Cursor = "", total: Total = False) -> Turn:
    return Turn(limit=limit, cursor=cursor, total=total)


def _between(since_at: Moment = None, until_at: Moment = None) -> Between:
    """From `since_at` on, before `until_at`."""
    return Between(since_at, until_at)


Turning = Annotated[Turn, Depends(_turn)]
Time = Annotated[Between, Depends(_between)]


def linked(request: Request, response: Response, page: Page[Any]) -> Page[Any]:
    """The page, with where the next one is in a Link header (RFC 8288)."""
    if page.next is not None:
        query = request.url.include_query_params(cursor=page.next).query
        response.headers["link"] = f'<{request.url.path}?{query}>; rel="next"'
    return page
