"""What pages and API do alike with tokens and hooks: who may make which, and the events that make them."""

from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api import tokens as tokens_
from api.auth import Staffer, person
from api.door import asked
from api.services import Services, hashed, services_of
from api.tokens import GIVES, TOKENS_MAX, Tokens, may_see
from controller.core.errors import Refused
from controller.core.events import Change, StaffChange
from controller.feed import Kept
from controller.links import HookRow, TokenRow
from controller.post import BadTarget, target_of
from controller.postman import Sent

DAY_S = 86_400.0
TRIES_AT_ONCE = 4  # each may hold a thread for some seconds


class Wish(msgspec.Struct, frozen=True):
    """One change somebody asks for."""

    request: Request
    staffer: Staffer
    key: str
    wish: str = ""  # as in `Call`

    @property
    def services(self) -> Services:
        return services_of(self.request)

    async def done(self, change: Change, subject: str, values: dict[str, object]) -> str:
        now = self.services.clock.now()
        event = StaffChange(
            at=now.at,
            steady_s=now.steady_s,
            key=self.key,
            by=self.staffer.by,
            change=change,
            subject=subject,
            values=values,
            wish=self.wish,
        )
        return str((await asked(self.services, event)).get("subject", subject))


def tokens_of(request: Request) -> Tokens:
    tokens: Tokens = request.app.state.tokens
    return tokens


# -- tokens -------------------------------------------------------------------------------------------------------


class NewToken(msgspec.Struct, frozen=True):
    id: str
    name: str
    role: str
    sites: tuple[str, ...]
    days: int | None


async def make_token(wish: Wish, new: NewToken) -> tuple[str, float | None]:
    """The token, to be shown once, and when it ends. Refused("not_yours_to_give") for more than the maker has."""
    person(wish.staffer)
    _check_gives(wish.staffer, new.role, new.sites)
    tokens = tokens_of(wish.request)
    if tokens.count() >= TOKENS_MAX:
        raise Refused("too_many", f"there are {TOKENS_MAX} tokens already")
    token, at = tokens_.secret_of(wish.services, wish.key), wish.services.clock.now().at
    values: dict[str, object] = {
        "name": new.name,
        "token_hash": hashed(token),
        "role": new.role,
        "sites": list(new.sites),
        "made_by": wish.staffer.by,
        "at": at,
        "expires_at": None if new.days is None else at + new.days * DAY_S,
    }
    await wish.done(Change.TOKEN, new.id, values)
    live = tokens.known(new.id)
    if live is None:  # a late repeat: what was made under this key is no more
        raise Refused("conflict", "this token was revoked")
    return token, live.expires_at


def _check_gives(staffer: Staffer, role: str, sites: tuple[str, ...]) -> None:
    if role not in GIVES.get(staffer.role, ()):
        raise Refused("not_yours_to_give", f"a {staffer.role} can't give the rights of {role}")
    if not all(staffer.sees(site) for site in sites):
        raise Refused("unknown_site", "one of these sites does not exist")


def seen_tokens(services: Services, staffer: Staffer) -> list[TokenRow]:
    return [row for row in services.queries.links.tokens() if may_see(staffer, row.role, row.sites)]


async def revoke_token(wish: Wish, token: str) -> None:
    """It works no more from here on, whatever becomes of its record: with the database away that comes later."""
    person(wish.staffer)
    tokens, staffer = tokens_of(wish.request), wish.staffer
    live = tokens.known(token)
    if live is not None and may_see(staffer, live.role, live.sites):
        tokens.revoke(token)
    row = await run_in_threadpool(wish.services.queries.links.token, token)
    if row is None or not may_see(staffer, row.role, row.sites):
        raise Refused("unknown", "there is no such token")
    if row.revoked_at is not None:
        return
    values = msgspec.structs.asdict(row) | {"revoked_at": wish.services.clock.now().at}
    del values["id"]
    await wish.done(Change.TOKEN, row.id, values)


# -- hooks --------------------------------------------------------------------------------------------------------


def seen_hooks(services: Services, staffer: Staffer) -> list[HookRow]:
    return [row for row in services.queries.links.hooks() if sees_hook(staffer, row)]


def sees_hook(staffer: Staffer, row: HookRow) -> bool:
    """A hook of all sites is the owner's."""
    return staffer.role == "owner" or (bool(row.sites) and all(staffer.sees(site) for site in row.sites))


def check_hook(services: Services, staffer: Staffer, url: str, sites: list[str]) -> None:
    try:
        target_of(url, services.postman.at_home)
    except BadTarget as bad:
        raise Refused("hook_url", f"this address can't be told ({bad.code})") from bad
    if staffer.role != "owner" and not sites:
        raise Refused("invalid", "name the sites it is told of")
    if not all(staffer.sees(site) for site in sites):
        raise Refused("unknown_site", "one of these sites does not exist")


def hook_values(row: HookRow, **changes: Any) -> dict[str, object]:
    """Its whole row, as the engine wants it."""
    kept = {name: getattr(row, name) for name in ("url", "kinds", "sites", "disabled", "made_by", "at")}
    return {**kept, **changes}


async def save_hook(wish: Wish, hook: str, values: dict[str, object]) -> str:
    person(wish.staffer)
    return await wish.done(Change.HOOK, hook, values)


async def renewed_secret(wish: Wish, row: HookRow) -> str:
    """Letters are signed with the new one from here on; the old one fits no more."""
    at = max(wish.services.clock.now().at, row.at + 1e-3)
    await save_hook(wish, row.id, hook_values(row, at=at))
    return wish.services.postman.secret(msgspec.structs.replace(row, at=at))


async def try_hook(request: Request, row: HookRow) -> Sent:
    """An event of kind `test`, sent now and once, beside the hook's own letters."""
    services, tries = services_of(request), request.app.state.hook_tries
    if tries.locked():
        raise Refused("overloaded", "other hooks are being tried just now")
    event = Kept(id=0, at=services.clock.now().at, kind="test", site="", outlet=None, session=None, data={})
    async with tries:
        return await run_in_threadpool(services.postman.send, row, [event])
