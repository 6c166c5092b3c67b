"""Who is staff, and what they may: log-in, sessions held in memory, roles, and the guard against foreign forms."""

import asyncio
import hmac
import re
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import msgspec
from fastapi import Request
from msgspec.structs import replace
from pwdlib.hashers.argon2 import Argon2Hasher
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.responses import Response

from api.services import Services, hashed, services_of
from api.throttle import Throttle, address_of
from controller.core import effects as fx
from controller.core.errors import Refused
from controller.records import StaffRow

ROLES = ("owner", "manager", "finance", "maintainer", "auditor")
TOKEN_PREFIX = "anchong_"  # noqa: S105 - of API tokens, so that a leaked one is found by a search
FREE_WRONG_TOKENS = 20
IDLE_S = 8 * 3600.0  # one working day
LIVE_MAX = 5_000
PASSWORD_MIN, PASSWORD_MAX = 12, 256  # beyond that hashing itself becomes an attack
HASHES_AT_ONCE = 2  # 19 MiB each, on a small box
_HASHER = Argon2Hasher(memory_cost=19456, time_cost=2, parallelism=1)
_LOCAL_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*", re.ASCII)


class NotLoggedIn(Exception):
    """Nobody, or somebody whose session has ended."""


class NotAllowed(Exception):
    """Logged in, but this needs another role, or the form was not ours."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code  # role, csrf


class Staffer(msgspec.Struct, frozen=True):
    id: str
    login: str
    name: str
    role: str
    sites: tuple[str, ...]
    csrf: str
    kind: str = "staff"  # or "token": a program

    @property
    def scope(self) -> tuple[str, ...] | None:
        """The sites they may see; None: all."""
        return None if self.role == "owner" else self.sites

    @property
    def by(self) -> str:
        return f"{self.kind}:{self.id}"

    def may(self, *roles: str) -> bool:
        return self.role == "owner" or self.role in roles

    def sees(self, site: str) -> bool:
        return self.role == "owner" or site in self.sites


class _Live(msgspec.Struct, frozen=True):
    staffer: Staffer
    seen_s: float


class Logins:
    """Staff sessions by the hash of their token, in memory alone; and the throttles of the log-in."""

    def __init__(self) -> None:
        self._live: dict[str, _Live] = {}
        self._changed: deque[str] = deque()  # staff who were written, from the writer's thread
        self._by_login = Throttle(free=4)
        self._by_address = Throttle(free=20)
        self._wrong_bearers = Throttle(free=FREE_WRONG_TOKENS)
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)

    async def login(self, request: Request, login: str, password: str) -> tuple[str, Staffer]:
        """A fresh token; Refused("login_failed") for any wrong pair, TooFast after too many of them."""
        services, login = services_of(request), login.strip().casefold()
        self._try(login, address_of(request), services.real_clock.now().steady_s)
        row = await run_in_threadpool(services.queries.staff_by_login, login)
        known = row is not None and not row.disabled
        async with self._hashing:
            fits = await run_in_threadpool(_fits, password, row.password_hash if row is not None else _DECOY)
        if row is None or not known or not fits:
            raise Refused("login_failed", "this login and password don't fit")
        if await run_in_threadpool(services.queries.staff_by_login, login) != row:
            raise Refused("login_failed", "they were changed meanwhile")
        self._by_login.right(login)
        self._by_address.right(address_of(request))
        return self.opened(services, row)

    def _try(self, login: str, address: str, now_s: float) -> None:
        """Counted as wrong until it has proven right, so that many at once gain nothing."""
        for throttle, name in ((self._by_login, login), (self._by_address, address)):
            throttle.check(name, now_s)
        for throttle, name in ((self._by_login, login), (self._by_address, address)):
            throttle.wrong(name, now_s)

    def opened(self, services: Services, row: StaffRow) -> tuple[str, Staffer]:
        self._drop_changed()
        token = secrets.token_urlsafe(16)
        staffer = Staffer(row.id, row.login, row.name, row.role, tuple(row.sites), secrets.token_urlsafe(16))
        self._live[hashed(token)] = _Live(staffer, services.real_clock.now().steady_s)
        while len(self._live) > LIVE_MAX:
            self._live.pop(next(iter(self._live)))
        return token, staffer

    def get(self, token: str, now_s: float) -> Staffer | None:
        self._drop_changed()
        live = self._live.pop(hashed(token), None)
        if live is None or now_s - live.seen_s > IDLE_S:
            return None
        self._live[hashed(token)] = replace(live, seen_s=now_s)
        return live.staffer

    def wrong_bearer(self, address: str, now_s: float) -> None:
        """TooFast after too many of them; a right one is never held up by others behind the same address."""
        self._wrong_bearers.check(address, now_s)
        self._wrong_bearers.wrong(address, now_s)

    def close(self, token: str) -> None:
        self._live.pop(hashed(token), None)

    def written(self, row: fx.Put) -> None:
        """On the writer's thread, after the commit: their sessions are dropped before the next is looked at."""
        if row.table == "staff":
            self._changed.append(str(row.values["id"]))

    def _drop_changed(self) -> None:
        while self._changed:
            self.drop(self._changed.popleft())

    def drop(self, staff: str) -> None:
        """Every session of somebody who was changed or disabled."""
        self._live = {key: live for key, live in self._live.items() if live.staffer.id != staff}


def logins_of(request: HTTPConnection) -> Logins:
    logins: Logins = request.app.state.logins
    return logins


# -- passwords ----------------------------------------------------------------------------------------------------


def hashed_password(password: str) -> str:
    """Slow on purpose: call it in a thread."""
    check_password(password)
    return _HASHER.hash(password)


def check_password(password: str) -> None:
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise Refused("password_length", f"a password has {PASSWORD_MIN} to {PASSWORD_MAX} characters")


def _fits(password: str, password_hash: str) -> bool:
    return len(password) <= PASSWORD_MAX and _HASHER.verify(password, password_hash)


_DECOY = _HASHER.hash(secrets.token_hex(16))  # an unknown login takes as long as a known one


# -- who asks -----------------------------------------------------------------------------------------------------


def cookie_name(services: Services) -> str:
    return "__Host-staff" if services.secure_cookies else "staff"


def set_cookie(response: Response, services: Services, token: str) -> None:
    secure = services.secure_cookies
    response.set_cookie(cookie_name(services), token, path="/", secure=secure, httponly=True, samesite="lax")


def clear_cookie(response: Response, services: Services) -> None:
    response.delete_cookie(
        cookie_name(services), path="/", secure=services.secure_cookies, httponly=True, samesite="lax"
    )


def bearer_of(request: HTTPConnection) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def token_of(request: HTTPConnection) -> str | None:
    return bearer_of(request) or request.cookies.get(cookie_name(services_of(request)))


def current(request: HTTPConnection) -> Staffer | None:
    """Whoever asks; TooFast for an address that has sent too many wrong tokens."""
    token = token_of(request)
    now_s = services_of(request).real_clock.now().steady_s
    if not token:
        return None
    staffer = _program(request, token) if token.startswith(TOKEN_PREFIX) else logins_of(request).get(token, now_s)
    if staffer is None and bearer_of(request) is not None:
        logins_of(request).wrong_bearer(address_of(request), now_s)
    return staffer


def _program(request: HTTPConnection, token: str) -> Staffer | None:
    """Programs come to the API alone, and never by cookie."""
    if bearer_of(request) != token or not request.url.path.startswith("/api/v1/"):
        return None
    staffer: Staffer | None = request.app.state.tokens.get(token)
    return staffer


def require(*roles: str) -> Callable[[Request], Awaitable[Staffer]]:
    """A dependency: somebody logged in with one of `roles` (an owner always), by a form of our own if it changes."""

    async def staffer_of(request: Request) -> Staffer:
        staffer = current(request)
        if staffer is None:
            raise NotLoggedIn
        if not staffer.may(*roles):
            raise NotAllowed("role")
        if request.method not in ("GET", "HEAD", "OPTIONS") and bearer_of(request) is None:
            await check_csrf(request, staffer)
        return staffer

    staffer_of.roles = roles  # type: ignore[attr-defined]  # for the OpenAPI page
    return staffer_of


def person(staffer: Staffer) -> None:
    """A program makes no other ways in: what it started would outlive it; nor does it say that a danger is over."""
    if staffer.kind != "staff":
        raise NotAllowed("person")


async def check_csrf(request: Request, staffer: Staffer) -> None:
    """The session's token in the header X-CSRF-Token or the form's field `csrf`, from a page of ours."""
    token = request.headers.get("x-csrf-token", "")
    if not token and "form" in request.headers.get("content-type", ""):
        token = str((await request.form()).get("csrf", ""))
    if not same_origin(request) or not hmac.compare_digest(token.encode(), staffer.csrf.encode()):
        raise NotAllowed("csrf")


def same_origin(request: HTTPConnection) -> bool:
    """False if a browser says that another site's page sends this; old browsers say nothing."""
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    ours = (request.headers.get("host", ""), urlsplit(services_of(request).public_url).netloc)
    return bool(urlsplit(origin).netloc) and urlsplit(origin).netloc in ours


def local_path(wished: str, otherwise: str = "/") -> str:
    """A path within this site, or `otherwise`: nobody is sent elsewhere by a link of ours."""
    return wished if _LOCAL_PATH.fullmatch(wished) and len(wished) <= 512 else otherwise
