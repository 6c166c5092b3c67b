"""A request that comes twice gets one answer, and a second wish under its key none. Pure."""

from typing import Any

import msgspec

from controller.core.errors import Refused
from controller.core.events import Event


class Kept(msgspec.Struct, frozen=True):
    """What the database knows of a key: what was wished under it, digested, and what was answered."""

    wish: str
    answer: dict[str, Any]

    def repeated(self, event: Event) -> dict[str, Any]:
        if self.wish != getattr(event, "wish", ""):
            raise Refused("conflict", "this Idempotency-Key was used for something else")
        return self.answer


def answer_key(event: Event) -> str:
    """Under which an event's answer is remembered; "" for what carries no key."""
    key = getattr(event, "key", "")
    return f"{type(event).__name__}:{key}" if key else ""
