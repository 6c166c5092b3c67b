"""Pages of a list by keyset: a page begins after the last row's key, so depth costs nothing and new rows move nothing.

The cursor holds that key and no more. Who forges one only chooses where to begin: conditions and scope come with
every request anew. First the page's ids are found in one table, by an index; names are joined to those alone.
"""

import base64
import binascii
import math
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec.structs import replace
from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    func,
    literal,
    select,
    tuple_,
    union,
    union_all,
)

from controller.core.errors import Refused

T = TypeVar("T")

CURSOR_MAX = 512
SITES_MERGED_MAX = 64  # one index walk a site, merged; with more sites most rows fit anyway
TOTAL_MAX = 10_000  # nobody reads further, and counting a million rows is slow


class Turn(msgspec.Struct, frozen=True):
    """Which page is wanted. `sort` is a name the list knows, "-" before it turns it round; "" is the list's own."""

    limit: int = 50
    cursor: str = ""
    sort: str = ""
    total: bool = False

    def by(self, sort: str) -> "Turn":
        return replace(self, sort=sort)


class Page(msgspec.Struct, Generic[T], frozen=True):
    """`next` is the cursor of the page after, None on the last; `total` counts to TOTAL_MAX, if it was asked for."""

    rows: list[T]
    next: str | None
    total: int | None = None


class Listing(msgspec.Struct, Generic[T], frozen=True):
    """A list that can be paged: ids are found in `table`, rows come from `query`; `sorts[0]` is its own order."""

    made: Callable[[RowMapping], T]
    query: Select[Any]
    table: Table
    sorts: tuple[str, ...]
    site: str | None = "site_id"


class Order(msgspec.Struct, frozen=True):
    """By a column, and by the id where that is the same."""

    name: str
    column: ColumnElement[Any]
    id: ColumnElement[Any]

    @property
    def down(self) -> bool:
        return self.name.startswith("-")

    def by(self, key: ColumnElement[Any], row: ColumnElement[Any]) -> list[ColumnElement[Any]]:
        columns = [row] if self.column is self.id else [key, row]
        return [column.desc() if self.down else column.asc() for column in columns]

    def after(self, cursor: str) -> list[ColumnElement[bool]]:
        if not cursor:
            return []
        key, row = _read(cursor, self)
        if self.column is self.id:
            return [self.id < row if self.down else self.id > row]
        pair, last = tuple_(self.column, self.id), tuple_(literal(key, self.column.type), literal(row, self.id.type))
        return [pair < last if self.down else pair > last]


def as_(kind: type[T]) -> Callable[[RowMapping], T]:
    return lambda row: msgspec.convert(dict(row), kind)


def page_of(db: Connection, listing: Listing[T], turn: Turn, keys_of: Callable[[Turn], Select[Any]]) -> Page[T]:
    """`keys_of` a turn are key and id of its page's rows and of one more, in order."""
    keys = db.execute(keys_of(turn)).all()
    order = order_of(listing, turn)
    rows = _rows(db, listing, order, [row[1] for row in keys[: turn.limit]])
    following = cursor_of(order.name, *keys[turn.limit - 1]) if len(keys) > turn.limit else None
    return Page(rows, following, _total(db, keys_of(replace(turn, cursor="", limit=TOTAL_MAX - 1)), turn.total))


def keys_in(
    listing: Listing[Any], turn: Turn, sites: Sequence[str] | None, *conditions: ColumnElement[bool]
) -> Select[Any]:
    """Of the rows of `sites` alone (None: of all). Refused for a cursor or a sort that is not the list's."""
    order = order_of(listing, turn)
    keys = select(order.column.label("key"), order.id.label("id")).where(*conditions, *order.after(turn.cursor))
    keys = keys.order_by(*order.by(order.column, order.id)).limit(turn.limit + 1)
    if sites is None or listing.site is None:
        return keys
    here = listing.table.c[listing.site]
    if len(sites) == 1:
        return keys.where(here == sites[0])
    if not sites or len(sites) > SITES_MERGED_MAX:
        return keys.where(here.in_(sites))
    return merged(order, turn, [keys.where(here == site) for site in sites])


def merged(order: Order, turn: Turn, parts: Sequence[Select[Any]], distinct: bool = False) -> Select[Any]:
    """One page of several, each in order and cut by itself."""
    together = union if distinct else union_all
    whole = together(*(select(part.subquery()) for part in parts)).subquery()
    return select(whole.c.key, whole.c.id).order_by(*order.by(whole.c.key, whole.c.id)).limit(turn.limit + 1)


def order_of(listing: Listing[Any], turn: Turn) -> Order:
    name = turn.sort or listing.sorts[0]
    if name not in listing.sorts:
        raise Refused("invalid", f"this list can be sorted by {', '.join(listing.sorts)}")
    return Order(name, listing.table.c[name.removeprefix("-")], listing.table.c.id)


def _rows(db: Connection, listing: Listing[T], order: Order, ids: list[Any]) -> list[T]:
    if not ids:
        return []
    query = listing.query.where(order.id.in_(ids)).order_by(*order.by(order.column, order.id))
    return [listing.made(row) for row in db.execute(query).mappings()]


def _total(db: Connection, keys: Select[Any], wanted: bool) -> int | None:
    return db.scalar(select(func.count()).select_from(keys.subquery())) if wanted else None


# -- cursors ------------------------------------------------------------------------------------------------------


def cursor_of(sort: str, key: Any, row: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((sort, key, row))).decode().rstrip("=")


def _read(cursor: str, order: Order) -> tuple[Any, Any]:
    """Where to go on; Refused("cursor") for anything that this list did not give out in this order."""
    kinds: Any = tuple[str, _kind(order.column), _kind(order.id)]  # type: ignore[misc]
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        sort, key, row = msgspec.json.decode(packed, type=kinds)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise Refused("cursor", "this cursor can't be read") from error
    if sort != order.name or not (_storable(key) and _storable(row)):
        raise Refused("cursor", "this cursor was given for another order")
    return key, row


def _kind(column: ColumnElement[Any]) -> type:
    """What is neither a fraction nor a whole number here is text."""
    kind: type = column.type.python_type
    return kind if kind in (float, int) else str


def _storable(value: Any) -> bool:
    """A database refuses NUL in text, a number beyond 64 bits, and what is no number."""
    if isinstance(value, str):
        return "\x00" not in value
    return math.isfinite(value) and (isinstance(value, float) or -(2**63) <= value < 2**63)
