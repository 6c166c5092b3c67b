"""How the web asks at the one door: up to four seconds for the answer after the commit, then 503 with the key."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool

from api.services import Services
from controller.core import events as ev

ASK_S = 4.0
_LOOKED_UP = (ev.OrderPlaced, ev.PaymentConfirmed, ev.RefundConfirmed, ev.RefundPaidByHand, ev.CardToppedUp)


class NotNow(Exception):
    """No answer in time: it may still happen, so ask again with the same key."""

    def __init__(self, key: str = "") -> None:
        super().__init__("no answer yet; ask again with the same key")
        self.key = key


async def asked(
    services: Services, event: ev.Event, found: Mapping[str, Any] | None = None, *, within_s: float | None = None
) -> dict[str, Any]:
    """The answer after its commit; Refused as the engine raised it; NotNow after `within_s` (ASK_S) real seconds.

    A stop or a cut whose OFF has left answers {"pending": True} while its record waits for the database.
    """
    if found is None and _is_looked_up(event):
        found = await run_in_threadpool(services.queries.known, event)
    future = asyncio.wrap_future(services.door.ask(event, found))
    done, _ = await asyncio.wait({future}, timeout=ASK_S if within_s is None else within_s)
    if done:
        return future.result()
    future.add_done_callback(_heard)
    if isinstance(event, ev.StopAsked) and _is_off(services, event):
        return {"outlet": event.outlet, "pending": True}
    if isinstance(event, ev.SiteCutAsked) and event.site in services.board.cuts:  # and in the trip journal
        outlets = sum(1 for view in services.board.views.values() if view.site == event.site)
        return {"outlets": outlets, "pending": True}
    raise NotNow(getattr(event, "key", ""))


def _is_looked_up(event: ev.Event) -> bool:
    """By its numbers, or by a key that its author chose."""
    return isinstance(event, _LOOKED_UP) or bool(getattr(event, "wish", ""))


def _heard(future: "asyncio.Future[dict[str, Any]]") -> None:
    """Nobody waits any more; an error that nobody asks for would be logged as lost."""
    if not future.cancelled():
        future.exception()


def _is_off(services: Services, event: ev.StopAsked) -> bool:
    view = services.board.views.get(event.outlet)
    return view is not None and (view.session != event.session or view.session_phase in ("closing", "settled"))
