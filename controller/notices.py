"""Notices carried out: to whoever left an address, each at most for as long as it is news, by a thread of their own.

A mail server that is away or slow delays other notices at most: money has its own errands, and power waits for nobody.
"""

import secrets
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from controller.clock import Clock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.notices import What
from controller.ports import Notifier, Sent
from controller.wishes import Wishes

log = structlog.get_logger()

BACK_OFF_S = (10.0, 30.0, 120.0, 600.0, 1800.0)

Tell = Callable[[ev.Event], None]


class Notices:
    """`run_due` sends what is due. Without a notifier nothing is sent, and nothing piles up."""

    def __init__(
        self, notifier: Notifier | None, address_of: Callable[[str], str | None], clock: Clock, tell: Tell
    ) -> None:
        self._notifier = notifier
        self._address_of = address_of
        self._clock = clock
        self._tell = tell
        self._wishes = Wishes()
        self.put = self._wishes.put
        self.next_due_at = self._wishes.next_due_at

    def waiting(self) -> int:
        return len(self._wishes.all())

    def run_due(self) -> int:
        """Sends every notice that is due; returns how many were looked at."""
        return self._wishes.run_due(self._clock, self._carry_out)

    def _carry_out(self, wish: fx.Wish, attempts: int) -> None:
        sent = self._sent(wish)
        log.info("notice", slot=wish.slot, sent=str(sent), attempts=attempts)
        now = self._clock.now()
        retry_at = now.at + BACK_OFF_S[min(attempts, len(BACK_OFF_S) - 1)] if sent is Sent.LATER else None
        if self._wishes.ended(wish, attempts, retry_at):
            self._tell(ev.ErrandDone(at=now.at, steady_s=now.steady_s, slot=wish.slot, version=wish.version))
            self._forget(wish)

    def _sent(self, wish: fx.Wish) -> Sent:
        """NEVER as well for what is no news any more, and for an address that was forgotten meanwhile."""
        if self._notifier is None or (wish.expires_at is not None and self._clock.now().at >= wish.expires_at):
            return Sent.NEVER
        try:
            address = self._address_of(str(wish.payload["party"]))
        except SQLAlchemyError:
            return Sent.LATER
        return Sent.NEVER if address is None else self._notifier.send(address, wish.slot, wish.payload)

    def _forget(self, wish: fx.Wish) -> None:
        """The last thing to tell has been told, or can't be: nobody needs the address any more."""
        if wish.payload["what"] != What.ENDED:
            return
        now, party = self._clock.now(), str(wish.payload["party"])
        key = f"forget:{secrets.token_hex(8)}"
        self._tell(ev.AddressForgotten(at=now.at, steady_s=now.steady_s, key=key, party=party, by="gateway"))
