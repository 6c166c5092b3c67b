"""Other people's programs: the tokens they come in with, and the hooks they are told by."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import Response

from api import door
from api.links import (
    NewToken,
    Wish,
    check_hook,
    hook_values,
    make_token,
    renewed_secret,
    revoke_token,
    save_hook,
    seen_hooks,
    seen_tokens,
    sees_hook,
    tokens_of,
    try_hook,
)
from api.pages.console.desk import Desk
from api.pages.console.forms import carried_out, desk_of, missing, need, not_now, stamped, text_of, texts_of
from api.pages.console.listing import zone_of
from api.services import hashed
from api.tokens import GIVES
from controller.core.errors import Refused
from controller.core.feed import KINDS
from controller.couriers import Standing
from controller.links import HookRow, TokenRow
from controller.post import URL_MAX

router = APIRouter()
HERE: Final = "/console/programs"
FAMILIES: Final = tuple(dict.fromkeys(kind.partition(".")[0] for kind in KINDS))
DAYS: Final = (30, 365, 1095, 0)  # 0: until it is revoked

Shown = tuple[str, str]  # a name of words, and what is shown this once
Ask = Callable[[Desk, FormData, Wish], Awaitable[Shown | None]]


@router.get(HERE, dependencies=[need("programs")])
def programs(request: Request) -> Response:
    return programs_page(desk_of(request))


def programs_page(
    desk: Desk, problem: str = "", status: int = 200, form: dict[str, Any] | None = None, shown: Shown | None = None
) -> Response:
    names, zone = {site.id: site.name for site in desk.services.queries.sites(desk.sites)}, zone_of(desk)
    blank = {"name": "", "role": "manager", "url": "", "sites": list(names), "kinds": list(FAMILIES), "days": 365}
    blank["hook_sites"] = [] if desk.me.role == "owner" else list(names)  # of an owner: all, those to come too
    return desk.page(
        "programs",
        status,
        problem,
        here="programs",
        tokens=[_token(desk, row, names, zone) for row in seen_tokens(desk.services, desk.me)],
        hooks=[_hook(desk, row, names, zone) for row in seen_hooks(desk.services, desk.me)],
        sites=names,
        roles=GIVES[desk.me.role],
        families=FAMILIES,
        days=DAYS,
        form=blank | (form or {}),
        shown=shown,
    )


def _token(desk: Desk, row: TokenRow, names: dict[str, str], zone: str) -> dict[str, Any]:
    used_at, at = tokens_of(desk.request).used_at(row.id), desk.services.clock.now().at
    over = row.expires_at is not None and row.expires_at <= at
    state = "revoked" if row.revoked_at is not None else "expired" if over else "works"
    return {
        "id": row.id,
        "name": row.name,
        "role": row.role,
        "where": _where(desk, row.role == "owner", row.sites, names),
        "state": state,
        "until": desk.t("token.for_ever") if row.expires_at is None else _day(row.expires_at, zone),
        "used": desk.when(used_at, zone) or "–",
    }


def _day(at: float, zone: str) -> str:
    """With its year: it may be far away."""
    return datetime.fromtimestamp(at, ZoneInfo(zone)).date().isoformat()


def _where(desk: Desk, everywhere: bool, sites: list[str], names: dict[str, str]) -> str:
    return desk.t("all_sites") if everywhere else "、".join(names.get(site, "?") for site in sites) or "–"


def _hook(desk: Desk, row: HookRow, names: dict[str, str], zone: str) -> dict[str, Any]:
    families = dict.fromkeys(kind.partition(".")[0] for kind in row.kinds or KINDS)
    tone, mark, word = _standing(desk, row, desk.services.standing(row.id), zone)
    return {
        "id": row.id,
        "url": row.url,
        "where": _where(desk, not row.sites, row.sites, names),
        "kinds": "、".join(desk.t(f"family.{family}") for family in families),
        "disabled": row.disabled,
        "tone": tone,
        "mark": mark,
        "word": word,
    }


def _standing(desk: Desk, row: HookRow, now: Standing, zone: str) -> tuple[str, str, str]:
    if row.disabled:
        return "amber", "locked", desk.t("hook.paused")
    if row.failing_at is not None:
        return "red", "fault", desk.t("hook.failing", when=desk.when(row.failing_at, zone), why=_why(desk, now))
    if now.failures:
        return "amber", "interrupted", desk.t("hook.tried_again", why=_why(desk, now))
    if now.taken_at is not None:
        return "grey", "check", desk.t("hook.taken", when=desk.when(now.taken_at, zone))
    return "grey", "free", desk.t("hook.quiet")


def _why(desk: Desk, said: Any) -> str:
    """A status, or why there was none."""
    return f"HTTP {said.status}" if said.status else desk.or_plain(f"why.{said.why}", said.why or "–")


# -- what one may do ----------------------------------------------------------------------------------------------


async def _once(request: Request, ask: Ask) -> Response:
    """As every form, but its answer is a page: what it shows is shown this once."""
    desk, form = desk_of(request), await request.form()
    try:
        shown = await ask(desk, form, Wish(request, desk.me, stamped(request, form)["key"]))
    except Refused as refused:
        return await run_in_threadpool(programs_page, desk, desk.refusal(refused), 409, _typed(form))
    except door.NotNow:
        return await run_in_threadpool(not_now, desk, form)
    if shown is None:
        return await run_in_threadpool(missing, desk)
    return await run_in_threadpool(programs_page, desk, shown=shown)


def _typed(form: FormData) -> dict[str, Any]:
    typed: dict[str, Any] = {name: text_of(form, name) for name in ("name", "role", "url") if name in form}
    sites = texts_of(form, "sites", 64)
    return typed | {"sites": sites, "hook_sites": sites, "kinds": texts_of(form, "kinds", 16) or list(FAMILIES)}


@router.post(f"{HERE}/tokens", dependencies=[need("programs")])
async def new_token(request: Request) -> Response:
    async def ask(desk: Desk, form: FormData, wish: Wish) -> Shown:
        name, days = text_of(form, "name", 64), text_of(form, "days", 5)
        if not name:
            raise Refused("name_missing")
        if days not in {str(each) for each in DAYS}:
            raise Refused("invalid")
        sites = tuple(texts_of(form, "sites", 64))
        new = NewToken(hashed(f"{wish.key}:token")[:32], name, text_of(form, "role", 16), sites, int(days) or None)
        token, _ = await make_token(wish, new)
        return "token", token

    return await _once(request, ask)


@router.post(f"{HERE}/tokens/{{token_id}}/revoke", dependencies=[need("programs")])
async def revoke(request: Request, token_id: str) -> Response:
    async def ask(desk: Desk, form: FormData) -> bool:
        await revoke_token(Wish(request, desk.me, stamped(request, form)["key"]), token_id)
        return True

    return await carried_out(request, ask, _again, HERE, "revoke")


def _again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
    return programs_page(desk, problem, status)


@router.post(f"{HERE}/hooks", dependencies=[need("programs")])
async def new_hook(request: Request) -> Response:
    async def ask(desk: Desk, form: FormData, wish: Wish) -> Shown:
        url, sites, families = (
            text_of(form, "url", URL_MAX + 1),
            texts_of(form, "sites", 64),
            texts_of(form, "kinds", 16),
        )
        check_hook(desk.services, desk.me, url, sites)
        kinds = [kind for kind in KINDS if kind.partition(".")[0] in families]
        if not kinds:
            raise Refused("invalid")
        every = set(families) >= set(FAMILIES)
        values: dict[str, Any] = {"url": url, "kinds": [] if every else kinds, "sites": sites, "disabled": False}
        values |= {"made_by": desk.by, "at": desk.services.clock.now().at}
        hook = await save_hook(wish, hashed(f"{wish.key}:hook")[:32], values)
        return "secret", desk.services.postman.secret(HookRow(id=hook, **values))

    return await _once(request, ask)


def _seen(desk: Desk, hook: str) -> HookRow | None:
    row = desk.services.queries.links.hook(hook)
    return row if row is not None and sees_hook(desk.me, row) else None


def _act(name: str, act: Callable[[Wish, HookRow], Awaitable[Shown]]) -> None:
    """One route an action whose answer is shown this once."""

    async def acted(request: Request, hook_id: str) -> Response:
        async def ask(desk: Desk, form: FormData, wish: Wish) -> Shown | None:
            row = await run_in_threadpool(_seen, desk, hook_id)
            return None if row is None else await act(wish, row)

        return await _once(request, ask)

    router.add_api_route(f"{HERE}/hooks/{{hook_id}}/{name}", acted, methods=["POST"], dependencies=[need("programs")])


async def _tried(wish: Wish, row: HookRow) -> Shown:
    sent = await try_hook(wish.request, row)
    return ("tried" if sent.taken else "not_tried"), _why(desk_of(wish.request), sent)


async def _secret(wish: Wish, row: HookRow) -> Shown:
    return "secret", wish.services.postman.secret(row)


async def _renewed(wish: Wish, row: HookRow) -> Shown:
    return "secret", await renewed_secret(wish, row)


def _change(name: str, changes: Callable[[HookRow], dict[str, object]]) -> None:
    """One route an action that changes the hook."""

    async def changed(request: Request, hook_id: str) -> Response:
        async def ask(desk: Desk, form: FormData) -> bool:
            row = await run_in_threadpool(_seen, desk, hook_id)
            if row is not None:
                await save_hook(Wish(request, desk.me, stamped(request, form)["key"]), row.id, changes(row))
            return row is not None

        return await carried_out(request, ask, _again, HERE, name)

    router.add_api_route(f"{HERE}/hooks/{{hook_id}}/{name}", changed, methods=["POST"], dependencies=[need("programs")])


_act("test", _tried)
_act("secret", _secret)
_act("renew", _renewed)
_change("pause", lambda row: hook_values(row, disabled=True))
_change("resume", lambda row: hook_values(row, disabled=False))
_change("drop", lambda row: {"gone": True})
