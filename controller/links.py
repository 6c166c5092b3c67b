"""Read-only views of what other programs use: tokens, hooks with how far they have got, and the feed itself."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Engine, func, select
from sqlmodel import SQLModel

import controller.tables  # noqa: F401 - fills the metadata
from controller.core.links import slot_of
from controller.feed import Kept

_NAMES = ("api_token", "hook", "feed", "outbox", "staff")
TOKEN, HOOK, FEED, OUTBOX, STAFF = (SQLModel.metadata.tables[name] for name in _NAMES)
MAKERS = ("owner", "manager")


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """`token_hash` is for looking up, never for showing."""

    id: str
    name: str
    token_hash: str
    role: str
    sites: list[str]
    made_by: str
    at: float
    expires_at: float | None
    revoked_at: float | None


class HookRow(msgspec.Struct, frozen=True, kw_only=True):
    """`at` is when its secret was made; `after` how far its receiver has got; `failing_at` since when it has not."""

    id: str
    url: str
    kinds: list[str]
    sites: list[str]
    made_by: str
    at: float
    disabled: bool
    after: int | None = None
    failing_at: float | None = None


class Links:
    """Open to any thread, as `Queries` is, on its engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- tokens and hooks -----------------------------------------------------------------------------------------

    def tokens(self) -> list[TokenRow]:
        """Newest first, the revoked ones too: who had a way in shall be known."""
        with self._engine.connect() as db:
            rows = db.execute(select(TOKEN).order_by(TOKEN.c.at.desc(), TOKEN.c.id)).mappings()
            return [msgspec.convert(dict(row), TokenRow) for row in rows]

    def token(self, token: str) -> TokenRow | None:
        return next((row for row in self.tokens() if row.id == token), None)

    def hooks(self) -> list[HookRow]:
        with self._engine.connect() as db:
            places = db.execute(select(OUTBOX.c.slot, OUTBOX.c.payload).where(OUTBOX.c.kind == "hook")).all()
            rows = db.execute(select(HOOK).order_by(HOOK.c.at, HOOK.c.id)).mappings().all()
        place_of = {place.slot: place.payload for place in places}
        return [_hook(dict(row), place_of.get(slot_of(row["id"]), {})) for row in rows]

    def hook(self, hook: str) -> HookRow | None:
        return next((row for row in self.hooks() if row.id == hook), None)

    def vouched(self, hook: HookRow) -> bool:
        """Whether its maker may still be told so much: who was dismissed shall not go on reading elsewhere."""
        wanted = select(STAFF.c.role, STAFF.c.sites, STAFF.c.disabled)
        with self._engine.connect() as db:
            maker = db.execute(wanted.where(STAFF.c.id == hook.made_by.removeprefix("staff:"))).one_or_none()
        if maker is None or maker.disabled or maker.role not in MAKERS:
            return False
        return maker.role == "owner" or (bool(hook.sites) and set(hook.sites) <= set(maker.sites))

    # -- the feed -------------------------------------------------------------------------------------------------

    def newest(self) -> int:
        return self._place(select(func.max(FEED.c.id)))

    def oldest(self) -> int:
        """0 while nothing was told."""
        return self._place(select(func.min(FEED.c.id)))

    def before(self, at: float) -> int:
        """The place of somebody who wants what happened from `at` on."""
        return self._place(select(func.max(FEED.c.id)).where(FEED.c.at < at))

    def _place(self, query: Any) -> int:
        with self._engine.connect() as db:
            return db.scalar(query) or 0

    def fed(self, after: int, upto: int, kinds: Collection[str], sites: Sequence[str] | None, most: int) -> list[Kept]:
        """The next events in (after, upto] of these kinds, oldest first; `sites` None: all, "": of no site."""
        wanted = select(FEED).where(FEED.c.id > after, FEED.c.id <= upto, FEED.c.kind.in_(kinds))
        wanted = wanted if sites is None else wanted.where(FEED.c.site_id.in_(sites))
        with self._engine.connect() as db:
            return [_kept(row) for row in db.execute(wanted.order_by(FEED.c.id).limit(most)).mappings()]


def _hook(row: dict[str, Any], place: dict[str, Any]) -> HookRow:
    return msgspec.convert({**row, "after": place.get("after"), "failing_at": place.get("failing_at")}, HookRow)


def _kept(row: Any) -> Kept:
    return Kept(
        id=row["id"],
        at=row["at"],
        kind=row["kind"],
        site=row["site_id"],
        outlet=row["outlet_id"],
        session=row["session_id"],
        data=row["body"],
    )
