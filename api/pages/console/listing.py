"""One page of a list: filters from the address, the addresses of its neighbours, and the same as CSV."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict, TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
from starlette.responses import StreamingResponse

from api.pages.console.desk import Desk
from controller.records import Listed

T = TypeVar("T")
PER_PAGE: Final = 50
CHUNK: Final = 500
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # spreadsheets would run what begins so
DEFAULT_ZONE: Final = "Asia/Shanghai"
NO_FILTERS: Final = ("page", "lang", "done", "swipe", "printed")
MAX_PAGE: Final = 100_000


class Paging(msgspec.Struct, frozen=True):
    """Where in a list we are; `query` is the filters without the page."""

    total: int
    first: int
    last: int
    before: str
    after: str
    query: str


def page_of(desk: Desk) -> int:
    wanted = desk.request.query_params.get("page", "")
    return min(MAX_PAGE, int(wanted)) if wanted.isdecimal() and len(wanted) < 8 else 0


def paging(desk: Desk, listed: Listed[Any]) -> Paging:
    at = page_of(desk)
    first = at * PER_PAGE
    last = first + len(listed.rows)
    kept = [(k, v) for k, v in desk.request.query_params.multi_items() if v and k not in NO_FILTERS]

    def address(page: int) -> str:
        return f"{desk.request.url.path}?{urlencode([*kept, ('page', page)])}"

    return Paging(
        total=listed.total,
        first=min(first + 1, last),
        last=last,
        before=address(at - 1) if at else "",
        after=address(at + 1) if last < listed.total else "",
        query=urlencode(kept),
    )


def zone_of(desk: Desk) -> str:
    """The zone of what is looked at: that of the first site, for all sites of one company share it."""
    sites = desk.services.queries.sites(desk.here)
    return sites[0].zone if sites else DEFAULT_ZONE


def day_at(text: str, zone: str, *, days: int = 0) -> float | None:
    """The first moment of a day written as 2026-11-24, or None for anything else."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=ZoneInfo(zone))
    except ValueError:
        return None
    return (day + timedelta(days=days)).timestamp() if 1970 < day.year < 9000 else None


class Days(TypedDict):
    since_at: float | None
    until_at: float | None


def days_of(desk: Desk) -> Days:
    """From the first moment of one day to the last of another, as the filter above a list says."""
    asked_for, zone = desk.request.query_params, zone_of(desk)
    until_at = day_at(asked_for.get("to", ""), zone, days=1)
    return {"since_at": day_at(asked_for.get("from", ""), zone), "until_at": until_at}


def today(desk: Desk) -> str:
    """As the filter above a list wants it."""
    return datetime.fromtimestamp(desk.services.clock.now().at, ZoneInfo(zone_of(desk))).date().isoformat()


def bill_of(desk: Desk) -> str:
    """A bill's number as it stands in the records: read aloud and typed, it comes with dashes and in capitals."""
    return re.sub(r"[\s-]", "", desk.request.query_params.get("bill", "")).lower()[:32]


def today_at(now: float, zone: str) -> float:
    return datetime.fromtimestamp(now, ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


# -- CSV ----------------------------------------------------------------------------------------------------------


def harmless(value: object) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def exported(name: str, rows: Iterable[Mapping[str, object]], columns: tuple[str, ...]) -> StreamingResponse:
    """As it is read from the database, never all of it in memory; with the mark that makes Excel read UTF-8."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(_lines(rows, columns), media_type="text/csv; charset=utf-8", headers=headers)


def _lines(rows: Iterable[Mapping[str, object]], columns: tuple[str, ...]) -> Iterator[str]:
    yield "\ufeff" + _line(columns)
    for row in rows:
        yield _line(harmless(row[column]) for column in columns)


def _line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def every(fetch: Callable[[int, int], Listed[T]]) -> Iterator[T]:
    """All rows of a list, a chunk at a time."""
    offset = 0
    while rows := fetch(CHUNK, offset).rows:
        yield from rows
        offset += len(rows)
