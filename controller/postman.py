"""What a hook's receiver gets: one signed letter with the next events. The secret is derived, never stored."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from http.client import HTTPException

import msgspec
import structlog

from controller.clock import Clock, RealClock
from controller.feed import Kept
from controller.links import HookRow
from controller.post import BadTarget, post

log = structlog.get_logger()

NO_ANSWER = 0
OK = range(200, 300)


class Gap(msgspec.Struct, frozen=True):
    """Events after `after` were dropped before the receiver took them; the next one kept is `next`."""

    after: int
    next: int


class Letter(msgspec.Struct, frozen=True):
    """`delivery` is the same for the same events, so a second copy can be told from a second happening."""

    delivery: str
    hook: str
    gap: Gap | None
    events: list[msgspec.Raw]


class Sent(msgspec.Struct, frozen=True):
    """How it ended: an HTTP status, or 0 and why there was none."""

    status: int
    why: str = ""

    @property
    def taken(self) -> bool:
        return self.status in OK


class Postman:
    """Signs and sends. `at_home` lets letters go to this machine, for demonstrations and tests alone."""

    def __init__(self, key: bytes | None = None, at_home: bool = False, clock: Clock | None = None) -> None:
        self._key = key or secrets.token_bytes(32)
        self.at_home = at_home
        self._clock = clock or RealClock()

    def secret(self, hook: HookRow) -> str:
        """Another `at` makes another secret: that is how it is changed."""
        raw = hmac.digest(self._key, f"hook\n{hook.id}\n{hook.at!r}".encode(), "sha256")
        return "whsec_" + base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def send(self, hook: HookRow, events: Sequence[Kept], gap: Gap | None = None) -> Sent:
        first, last = (events[0].id, events[-1].id) if events else (0, 0)
        letter = Letter(f"{hook.id}-{first}-{last}", hook.id, gap, [msgspec.Raw(event.json) for event in events])
        body = msgspec.json.encode(letter)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Anchong",
            "Anchong-Delivery": letter.delivery,
            "Anchong-Signature": signature(self.secret(hook), int(self._clock.now().at), body),
        }
        return self._posted(hook, body, headers)

    def _posted(self, hook: HookRow, body: bytes, headers: dict[str, str]) -> Sent:
        try:
            return Sent(post(hook.url, body, headers, at_home=self.at_home))
        except BadTarget as bad:
            return Sent(NO_ANSWER, bad.code)
        except (OSError, HTTPException) as error:  # names only: the text may quote what the other end sent
            return Sent(NO_ANSWER, "timeout" if isinstance(error, TimeoutError) else type(error).__name__)


def signature(secret: str, at: int, body: bytes) -> str:
    """`t` is in what is signed, so an old letter can't be sent again as new."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
