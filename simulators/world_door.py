"""The one door as the world's people find it: an answer, a refusal, or nothing, and then they ask again."""

from collections.abc import Callable, Generator, Mapping
from random import Random
from typing import Any, Protocol

import msgspec

from controller.clock import HandClock
from controller.core.errors import Refused
from controller.core.events import Event
from simulators.world_ground import Driven

ANSWER_S = (0.0, 0.2, 0.8, 1.0, 2.0)

Make = Callable[[dict[str, Any]], Event]


class Reply(msgspec.Struct, frozen=True):
    """`answered` is False when nothing came back: it may still happen."""

    body: dict[str, Any] | None = None
    code: str | None = None

    @property
    def answered(self) -> bool:
        return self.body is not None or self.code is not None


class Asked(Protocol):
    """Whoever keeps account of what was asked, and of what was acknowledged."""

    def asking(self, event: Event) -> None: ...

    def acknowledged(self, event: Event, body: Mapping[str, Any]) -> None: ...


class Door:
    """`gateway` is the life that answers now, if any."""

    def __init__(self, clock: HandClock, rng: Random, asked: Asked) -> None:
        self.gateway: Driven | None = None
        self._clock = clock
        self._rng = rng
        self._account = asked

    def asked(self, make: Make, tries: int = 30) -> Generator[float, None, Reply]:
        """Asks until there is an answer, each time with the same key, as a page does."""
        for _ in range(tries):
            reply = yield from self._asked_once(make)
            if reply.answered and reply.code not in ("overloaded", "database_away"):
                return reply
            yield self._rng.uniform(1.0, 15.0)
        return Reply()

    def _asked_once(self, make: Make) -> Generator[float, None, Reply]:
        gateway, now = self.gateway, self._clock.now()
        if gateway is None:
            return Reply()
        event = make({"at": now.at, "steady_s": now.steady_s})
        self._account.asking(event)
        future = gateway.ask(event)
        for wait_s in ANSWER_S:
            yield wait_s
            if future.done():
                break
        if not future.done():
            return Reply()
        error = future.exception()
        if error is None:
            self._account.acknowledged(event, future.result())
            return Reply(body=future.result())
        return Reply(code=error.code) if isinstance(error, Refused) else Reply(code="bug")
