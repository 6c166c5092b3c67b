"""The web program over a real engine, writer and database, without threads of theirs: each ask is decided and written
before it returns. `restarted` is the next process on the same disk."""

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from api.app import make_app
from api.services import Services
from controller.clock import HandClock
from controller.core import events as ev
from controller.queries import Queries
from tests.api.stand import NO_HASH, PROVIDER_KEYS, ROLES, STICKER_KEYS
from tests.shell.rig import Rig


class Door:
    """One at a time, as the decider's inbox."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self._lock = threading.Lock()

    def ask(self, event: ev.Event, found: Mapping[str, Any] | None = None) -> "Future[dict[str, Any]]":
        with self._lock:
            return self.rig.ask(event, found)

    def tell(self, event: ev.Event) -> None:
        with self._lock:
            self.rig.hear(event)
            self.rig.step()


class Office:
    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.queries = Queries(rig.url)
        self.clock = HandClock()  # of log-ins and throttles
        for role in ROLES:
            if f"s-{role}" not in rig.house.staff:
                rig.staff(ev.Change.STAFF, f"s-{role}", **_person(role))
        self.services = Services(
            door=Door(rig),
            board=rig.engine.board,
            queries=self.queries,
            clock=rig.clock,
            sticker_keys=STICKER_KEYS,
            provider="sandbox",
            provider_keys=PROVIDER_KEYS,
            provider_merchant="m",
            provider_app="a",
            public_url="https://charge.example",
            sign_key=b"s" * 32,
            secure_cookies=False,
            real_clock=self.clock,
            rights=rig.rights,
        )
        self.app: FastAPI = make_app(self.services)

    def close(self) -> None:
        self.queries.close()

    def restarted(self) -> "Office":
        self.close()
        return Office(self.rig.restarted())

    def as_role(self, role: str) -> TestClient:
        row = self.queries.staff_by_login(role)
        token = self.app.state.logins.opened(self.services, row)[0]
        return TestClient(
            self.app,
            headers={"authorization": f"Bearer {token}"},
            base_url="http://testserver/api/v1",
            raise_server_exceptions=False,
        )


def office(folder: Path) -> Office:
    return Office(Rig(folder))


def _person(role: str) -> dict[str, Any]:
    sites = [] if role == "owner" else ["s1"]
    return {
        "login": role,
        "name": role.title(),
        "password_hash": NO_HASH,
        "role": role,
        "sites": sites,
        "disabled": False,
    }
