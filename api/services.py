"""What the web side stands on: one frozen bundle made at the composition root and found again on every request."""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from starlette.requests import HTTPConnection

from api.pages.waits import Waits
from controller.clock import Clock, RealClock
from controller.core.state import Rules
from controller.couriers import Standing
from controller.feed import Feed
from controller.ports import CardReaders, Door, Peeked, Scanned, Strangers, Watch
from controller.postman import Postman
from controller.queries import Queries
from controller.rights import Rights
from controller.views import Board

FIRST_OWNER_S = 1800.0


def hashed(secret: str) -> str:
    """How a secret is kept and looked up: never in clear."""
    return hashlib.sha256(secret.encode()).hexdigest()


class FirstOwner:
    """The one-time link that makes the first owner: good for 30 minutes and for one use."""

    def __init__(self, token: str, until_steady_s: float) -> None:
        self._hash = hashed(token)
        self._until_steady_s = until_steady_s
        self.used = False

    def fits(self, token: str, steady_s: float) -> bool:
        same = hmac.compare_digest(self._hash, hashed(token))
        return same and not self.used and steady_s < self._until_steady_s


class Nobody:
    """Where no gateway stands behind the pages."""

    def buses(self) -> list[str]:
        return []

    def scan(self, bus: str) -> bool:
        return False

    def scanned(self, bus: str) -> Scanned | None:
        return None

    def peek(self, found: str) -> Sequence[Peeked]:
        return ()


@dataclass(frozen=True)
class Services:
    door: Door
    board: Board
    queries: Queries
    clock: Clock
    sticker_keys: Mapping[str, bytes]  # version character → key, newest last
    provider: str  # of new orders
    provider_keys: Mapping[str, bytes]
    provider_merchant: str
    provider_app: str
    public_url: str
    sign_key: bytes
    secure_cookies: bool = True
    demo: bool = False
    factor: float = 1.0
    rules: Rules = field(default_factory=Rules)
    first_owner: FirstOwner | None = None  # None: an owner exists
    waits: Waits = field(default_factory=Waits)
    feed: Feed = field(default_factory=Feed)
    rights: Rights = field(default_factory=Rights)
    postman: Postman = field(default_factory=Postman)
    standing: Callable[[str], Standing] = lambda hook: Standing()  # of a hook, as its courier knows it
    mails: bool = False  # somebody can be written to
    faults: Callable[[str], Mapping[str, int]] = lambda outlet: {}  # on an outlet's wire, by kind, since the start
    readers: CardReaders | None = None
    strangers: Strangers = field(default_factory=Nobody)
    watch: Watch | None = None
    metrics_token: str = ""  # empty: /metrics is for this machine alone
    watch_key: str = ""  # of `anchong diagnostics` on the same machine
    real_clock: Clock = field(default_factory=RealClock)  # for what people wait for: log-ins, throttles, asks


def services_of(request: HTTPConnection) -> Services:
    return cast(Services, request.app.state.services)
