"""One order, followed by an open page: figures from the board at each look, the records only when they may say more."""

from typing import Final

import msgspec

from api.pages import charge
from api.pages.charge import LIVE, Charge, State
from api.services import Services, hashed
from controller.feed import Kept

RECORDS_S: Final = 15.0  # what no event tells of, if there is such a thing, is seen after so long


class Followed:
    """`look` is what `charge.known` would say, mostly without asking the database."""

    def __init__(self, services: Services, secret: str) -> None:
        self._services = services
        self._secret = secret
        self._known: Charge | None = None
        self._read_s = 0.0
        self._place = services.feed.newest

    async def look(self) -> Charge | None:
        """AwayError as `charge.known`; None for an order that is not there."""
        now_s = self._services.real_clock.now().steady_s
        known, self._known = self._known, None  # begins anew if the records can't be read
        if known is None or self._told(known) or self._changed(known, now_s):
            self._known, self._read_s = await charge.known(self._services, self._secret), now_s
        else:
            self._known = self._refreshed(known)
        return self._known

    def _told(self, known: Charge) -> bool:
        """Whether the feed has told something of this order since the last look; True if that can't be said."""
        feed, place = self._services.feed, self._place
        self._place = feed.newest
        news = None if place is None else feed.after(place)
        return news is None or any(_about(event, known) for event in news)

    def _changed(self, known: Charge, now_s: float) -> bool:
        view = self._services.board.by_secret(hashed(self._secret))
        is_live = view is not None and view.session_phase in LIVE
        was_live = known.view is not None and known.view.session is not None
        over = known.state is State.PAYING and known.order is not None and self._now_at() >= known.order.expires_at
        sure = is_live and known.order is not None
        return is_live != was_live or over or (not sure and now_s - self._read_s >= RECORDS_S)

    def _refreshed(self, known: Charge) -> Charge:
        view = self._services.board.by_secret(hashed(self._secret))
        if view is not None and view.session_phase in LIVE:
            return charge.live(view, known.order, self._now_at())
        url = known.pay_url
        if known.order is not None and known.state is State.PAYING:
            url = self._services.board.pay_urls.get(known.order.id) or url
        return msgspec.structs.replace(known, at=self._now_at(), pay_url=url)

    def _now_at(self) -> float:
        return self._services.clock.now().at


def _about(event: Kept, known: Charge) -> bool:
    order = known.order.id if known.order is not None else known.view.order if known.view is not None else None
    return order is not None and event.data.get("order") == order
