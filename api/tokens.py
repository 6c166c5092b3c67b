"""API tokens: a program's way in, held in memory by hash, so that a stop needs no database to know who asks.

A token has at most the rights that its maker has now: who is disabled or loses a site takes their tokens along.
"""

import base64
import hmac
import threading
from collections.abc import Iterable

import msgspec

from api.auth import ROLES, TOKEN_PREFIX, Staffer
from api.people import Person
from api.services import Services, hashed
from controller.core import effects as fx
from controller.links import TokenRow
from controller.records import StaffRow

TOKENS_MAX = 500  # that still work
GIVES: dict[str, tuple[str, ...]] = {"owner": ROLES, "manager": ("manager",)}  # who may hand out which rights


class _Live(msgspec.Struct, frozen=True):
    id: str
    name: str
    role: str
    sites: tuple[str, ...]
    made_by: str
    expires_at: float | None


class _Maker(msgspec.Struct, frozen=True):
    role: str
    sites: tuple[str, ...]
    disabled: bool


class Tokens:
    """Loaded at the start, then told of each token and maker that is written; revoking works before that."""

    def __init__(self, services: Services) -> None:
        self._clock = services.clock
        self._lock = threading.Lock()  # for changes; whoever looks sees one whole dict or the other
        self._live: dict[str, _Live] = {}
        self._makers: dict[str, _Maker] = {}
        self._used_at: dict[str, float] = {}  # of this process alone: it would cost a commit each time
        for person in services.queries.staff():
            self.changed_maker(person)
        for row in services.queries.links.tokens():
            self.add(row)

    def add(self, row: TokenRow) -> None:
        if row.revoked_at is None:
            live = _Live(row.id, row.name, row.role, tuple(row.sites), row.made_by, row.expires_at)
            with self._lock:
                self._live = {**self._live, row.token_hash: live}

    def written(self, row: fx.Put) -> None:
        """On the writer's thread, after the commit."""
        if row.table == "staff":
            self.changed_maker(msgspec.convert(row.values, StaffRow))
        elif row.values.get("revoked_at") is not None:
            self.revoke(str(row.values["id"]))
        else:
            self.add(msgspec.convert({"revoked_at": None, **row.values}, TokenRow))

    def known(self, token: str) -> _Live | None:
        return next((live for live in self._live.values() if live.id == token), None)

    def revoke(self, token: str) -> None:
        with self._lock:
            self._live = {key: live for key, live in self._live.items() if live.id != token}

    def changed_maker(self, person: "StaffRow | Person") -> None:
        self._makers[f"staff:{person.id}"] = _Maker(person.role, tuple(person.sites), person.disabled)

    def get(self, token: str) -> Staffer | None:
        """Whoever this token speaks for, with the rights it has now."""
        live, at = self._live.get(hashed(token)), self._clock.now().at
        if live is None or (live.expires_at is not None and live.expires_at <= at):
            return None
        staffer = self._narrowed(live)
        if staffer is not None:
            self._used_at[live.id] = at
        return staffer

    def _narrowed(self, live: _Live) -> Staffer | None:
        maker = self._makers.get(live.made_by)
        if maker is None or maker.disabled or live.role not in GIVES.get(maker.role, ()):
            return None
        sites = live.sites if maker.role == "owner" else tuple(s for s in live.sites if s in maker.sites)
        return Staffer(live.id, live.name, live.name, live.role, sites, csrf="", kind="token")

    def used_at(self, token: str) -> float | None:
        return self._used_at.get(token)

    def count(self) -> int:
        at = self._clock.now().at
        return sum(1 for live in self._live.values() if live.expires_at is None or live.expires_at > at)


def secret_of(services: Services, key: str) -> str:
    """Made of the call's key, so that a repeat of the call whose answer was lost shows the same token."""
    raw = hmac.digest(services.sign_key, f"token\n{key}".encode(), "sha256")
    return TOKEN_PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def may_see(staffer: Staffer, role: str, sites: Iterable[str]) -> bool:
    """Their own kind and narrower: what they could have made."""
    sites = tuple(sites)
    if staffer.role == "owner":
        return True
    return role in GIVES.get(staffer.role, ()) and bool(sites) and all(staffer.sees(site) for site in sites)
