"""Signing in and out, and the page behind the one-time link that makes the first owner."""

import re
from typing import Final

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from api import door
from api.auth import (
    check_csrf,
    clear_cookie,
    current,
    hashed_password,
    local_path,
    logins_of,
    same_origin,
    set_cookie,
    token_of,
)
from api.pages.console.desk import OWNER, Desk
from api.pages.console.forms import desk_of, text_of
from api.people import Person, save_staff
from api.services import Services, hashed, services_of
from api.throttle import TooFast
from controller.core.errors import Refused

router = APIRouter()

PASSWORD_MIN: Final = 12
LOGIN: Final = re.compile(r"[a-z0-9._-]{2,64}", re.ASCII)


@router.get("/console/login")
def login_page(request: Request) -> Response:
    desk = desk_of(request)
    following = local_path(request.query_params.get("next", ""), "/console")
    if current(request) is not None:
        return RedirectResponse(following, 303)
    return desk.page("login", next=following, form={})


@router.post("/console/login")
async def login(request: Request) -> Response:
    desk, form = desk_of(request), await request.form()
    following, name = local_path(text_of(form, "next", 512), "/console"), text_of(form, "login", 64)
    try:
        _from_here(request)
        token, _ = await logins_of(request).login(request, name, _secret(form, "password"))
    except TooFast:
        return desk.page("login", 429, desk.t("refused.too_fast"), next=following, form={"login": name})
    except Refused as refused:
        return desk.page("login", 403, desk.refusal(refused), next=following, form={"login": name})
    answer = RedirectResponse(following, 303)
    set_cookie(answer, desk.services, token)
    return answer


@router.post("/console/logout")
async def logout(request: Request) -> Response:
    staffer, token = current(request), token_of(request)
    answer = RedirectResponse("/console/login", 303)
    if staffer is not None and token is not None:
        await check_csrf(request, staffer)
        logins_of(request).close(token)
    clear_cookie(answer, services_of(request))
    return answer


# -- the first owner ----------------------------------------------------------------------------------------------


@router.get("/first/{token}")
def first_page(request: Request, token: str) -> Response:
    desk = desk_of(request)
    if not _fits(desk.services, token):
        return desk.page("gone", 404)
    return desk.page("first", token=token, form={})


@router.post("/first/{token}")
async def first(request: Request, token: str) -> Response:
    desk, form = desk_of(request), await request.form()
    services = desk.services
    if not _fits(services, token):
        return desk.page("gone", 404)
    try:
        _from_here(request)
        if _secret(form, "again") != _secret(form, "password"):
            raise Refused("passwords_differ")
        # Id and key are functions of the link: however often it is sent, there is one first owner.
        number = hashed(f"first:{token}")[:32]
        person = await run_in_threadpool(person_of, form, number, OWNER, ())
        await save_staff(request, person, number, f"staff:{number}")
    except Refused as refused:
        return desk.page("first", 409, desk.refusal(refused), token=token, form=_typed(form))
    except door.NotNow:
        return desk.page("first", 503, desk.t("wait.why"), token=token, form=_typed(form))
    return await _welcome(request, desk, person.login, _secret(form, "password"))


async def _welcome(request: Request, desk: Desk, login: str, password: str) -> Response:
    """The link has done its work; whoever used it is signed in and sees what comes next."""
    if desk.services.first_owner is not None:
        desk.services.first_owner.used = True
    token, _ = await logins_of(request).login(request, login, password)
    answer = RedirectResponse("/console/start?done=first", 303)
    set_cookie(answer, desk.services, token)
    return answer


def _fits(services: Services, token: str) -> bool:
    link = services.first_owner
    return link is not None and link.fits(token, services.real_clock.now().steady_s)


def _from_here(request: Request) -> None:
    if not same_origin(request):
        raise Refused("csrf")


def _typed(form: FormData) -> dict[str, str]:
    return {"name": text_of(form, "name", 64), "login": text_of(form, "login", 64)}


def _secret(form: FormData, name: str) -> str:
    """A password is taken as typed, spaces and all."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def person_of(form: FormData, staff: str, role: str, sites: tuple[str, ...]) -> Person:
    """Slow, for it hashes the password."""
    name, login = text_of(form, "name", 64), text_of(form, "login", 64).casefold()
    if not name:
        raise Refused("name_missing")
    if LOGIN.fullmatch(login) is None:
        raise Refused("login_form")
    password = _secret(form, "password")
    if len(password) < PASSWORD_MIN or len(set(password)) < 5:
        raise Refused("password_short")
    if login in password.casefold():
        raise Refused("password_is_login")
    return Person(staff, login, name, hashed_password(password), role, sites)
