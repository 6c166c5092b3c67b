"""Load limits: what each outlet counts for, the sums of sites and piles, who waits, and whose turn it is. Pure.

Sums follow the shares as they change; nothing here looks at every outlet. Watts are whole and rounded up, so that
sums are exact and never too small.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from math import ceil

import msgspec

from controller.core.due import is_dark
from controller.core.finish import RULES as FINISH
from controller.core.finish import FinishState
from controller.core.state import Outlet, OutletPhase, Phase, Rules, Seen, Session

MODEST_FOR_S = 300.0  # a tail that has lasted this long will not turn back to the plateau


# -- what one outlet counts for -----------------------------------------------------------------------------------


class Share(msgspec.Struct, frozen=True, gc=False):
    """`reserved_w` is what it may come to draw, and never less than `drawn_w`, which was measured last."""

    reserved_w: int = 0
    drawn_w: int = 0


NOTHING = Share()


def share(outlet: Outlet, seen: Seen, live: Session | None, rules: Rules, now_s: float) -> Share:
    drawn_w = seen.power_w if seen.power_w is not None and seen.power_w >= rules.no_power_w else 0.0
    reserved_w = _reserved_w(outlet, seen, live, rules, now_s)
    return Share(ceil(max(reserved_w, drawn_w)), ceil(drawn_w))


def needed_w(live: Session, rules: Rules) -> int:
    """What a start takes: nobody knows yet what is plugged in, and the guard lets it have so much."""
    return ceil(live.power_w * (1 + rules.headroom))


def _reserved_w(outlet: Outlet, seen: Seen, live: Session | None, rules: Rules, now_s: float) -> float:
    if live is not None and is_dark(live) and live.proof is not None:
        return 0.0
    if live is not None and live.phase is not Phase.QUEUED:
        return _of_session(seen, live, rules, now_s)
    if outlet.phase is OutletPhase.PROVING:
        return outlet.power_w * (1 + rules.headroom)
    silent = outlet.latch is not None and now_s - seen.reading_s >= rules.silent_s
    return outlet.power_w if silent else 0.0


def _of_session(seen: Seen, live: Session, rules: Rules, now_s: float) -> float:
    on_s = live.on_s if live.on_s is not None else live.since_s
    if now_s - on_s < rules.inrush_s:
        return live.power_w * (1 + rules.headroom)
    if now_s - max(seen.reading_s, on_s) >= rules.silent_s:  # what can't be seen may be anything
        return live.power_w
    if live.finish is None or not _settled(live, rules, now_s):
        return live.power_w
    return min(live.power_w, plateau_w(live.finish) * (1 + rules.headroom))


def _settled(live: Session, rules: Rules, now_s: float) -> bool:
    if live.phase is Phase.CLOSING or is_dark(live):  # its OFF has left: it will not draw more than it did
        return live.started_at is not None
    return live.phase is Phase.CHARGING and now_s - live.since_s >= rules.settle_s


def plateau_w(finish: FinishState) -> float:
    """What it may come back to: its peak, or what is modest of it once it is in its tail. A pause is no tail."""
    return finish.peak_w * (FINISH.modest if in_tail(finish) else 1.0)


def in_tail(finish: FinishState) -> bool:
    return 0.0 < finish.fell_from <= FINISH.substantial and finish.modest_s >= MODEST_FOR_S


# -- the sums -----------------------------------------------------------------------------------------------------


class Feeder(msgspec.Struct):
    """One site or pile: its limit, and what its outlets count for together."""

    site: str
    limit_w: float | None = None
    reserved_w: int = 0
    drawn_w: int = 0
    over_since_s: float | None = None  # steady
    outlets: set[str] = msgspec.field(default_factory=set)

    def fits(self, needed_w: int) -> bool:
        return self.limit_w is None or self.reserved_w + needed_w <= self.limit_w


class Place(msgspec.Struct, frozen=True, order=True):
    """One in the line of a site. Sorted by when it was paid."""

    queued_s: float
    session: str
    outlet: str
    needed_w: int


def site_key(site: str) -> str:
    return f"site:{site}"


def pile_key(pile: str) -> str:
    return f"pile:{pile}"


class Grid:
    """All feeders, the shares of outlets under a limit, and a line for each site."""

    def __init__(self) -> None:
        self.feeders: dict[str, Feeder] = {}
        self.limited: dict[str, tuple[Feeder, ...]] = {}  # outlets that hang on a limit
        self.lines: dict[str, list[Place]] = {}
        self.over: set[str] = set()  # feeders that draw more than they may
        self.unweighed: set[str] = set()  # outlets whose limits have changed
        self.moved: set[str] = set()  # sites whose line or limit has
        self.stale: set[str] = set()  # feeders that show other figures than before
        self._keys: dict[str, tuple[str, str]] = {}  # outlet → its pile's and its site's key
        self._shares: dict[str, Share] = {}
        self._places: dict[str, tuple[str, Place]] = {}  # by outlet: site and place

    def hang(self, outlet: Outlet) -> None:
        """An outlet is known: it hangs on its pile and on its site."""
        if outlet.id in self._keys:
            return
        self._keys[outlet.id] = (pile_key(outlet.pile), site_key(outlet.site))
        for key in self._keys[outlet.id]:
            self.feeders.setdefault(key, Feeder(outlet.site)).outlets.add(outlet.id)
        self._look_for_limits(outlet.id)

    def limit(self, key: str, limit_w: float | None) -> None:
        feeder = self.feeders.setdefault(key, Feeder(key.partition(":")[2]))
        if feeder.limit_w == limit_w:
            return
        feeder.limit_w = limit_w
        self.stale.add(key)
        self.moved.add(feeder.site)
        for outlet in feeder.outlets:
            self._look_for_limits(outlet)

    def _look_for_limits(self, outlet: str) -> None:
        """Who hangs on no limit is not weighed at all."""
        self._weighed(outlet, NOTHING, 0.0)
        self._shares.pop(outlet, None)
        feeders = tuple(self.feeders[key] for key in self._keys[outlet])
        if any(feeder.limit_w is not None for feeder in feeders):
            self.limited[outlet] = feeders
            self.unweighed.add(outlet)
        else:
            self.limited.pop(outlet, None)
            self.unweighed.discard(outlet)

    def weigh(self, outlet: str, share: Share, now_s: float) -> bool:
        """True if its share is another than before."""
        self.unweighed.discard(outlet)
        return outlet in self.limited and self._weighed(outlet, share, now_s)

    def _weighed(self, outlet: str, share: Share, now_s: float) -> bool:
        before = self._shares.get(outlet, NOTHING)
        if share == before:
            return False
        self._shares[outlet] = share
        for key, feeder in zip(self._keys[outlet], self.limited.get(outlet, ()), strict=False):
            feeder.reserved_w += share.reserved_w - before.reserved_w
            feeder.drawn_w += share.drawn_w - before.drawn_w
            self._mark(key, feeder, now_s)
        return True

    def _mark(self, key: str, feeder: Feeder, now_s: float) -> None:
        self.stale.add(key)
        if feeder.limit_w is None or feeder.drawn_w <= feeder.limit_w:
            feeder.over_since_s = None
            self.over.discard(key)
        elif feeder.over_since_s is None:
            feeder.over_since_s = now_s
            self.over.add(key)

    def share_of(self, outlet: str) -> Share:
        return self._shares.get(outlet, NOTHING)

    def keys(self, outlet: str) -> tuple[str, str]:
        return self._keys[outlet]

    def has_room(self, outlet: str, needed_w: int) -> bool:
        """Now, and whoever may be waiting."""
        more_w = needed_w - self.share_of(outlet).reserved_w
        return all(feeder.fits(more_w) for feeder in self.limited.get(outlet, ()))

    # -- the line -------------------------------------------------------------------------------------------------

    def wait(self, live: Session, needed_w: int) -> None:
        """In the order of payment, whenever it comes into the line."""
        self.leave(live.outlet)
        queued_s = live.queued_s if live.queued_s is not None else live.opened_s
        place = Place(queued_s, live.id, live.outlet, needed_w)
        insort(self.lines.setdefault(live.site, []), place)
        self._places[live.outlet] = (live.site, place)
        self.moved.add(live.site)

    def leave(self, outlet: str) -> None:
        """Out of the line, if it was there."""
        site, place = self._places.pop(outlet, ("", None))
        if place is not None:
            del self.lines[site][bisect_left(self.lines[site], place)]
            self.moved.add(site)
            if not self.lines[site]:
                del self.lines[site]

    def waiting(self, outlet: str) -> str | None:
        """The session that stands in line for it."""
        _, place = self._places.get(outlet, ("", None))
        return None if place is None else place.session

    def place_of(self, outlet: str) -> int | None:
        """1 is next."""
        site, place = self._places.get(outlet, ("", None))
        return None if place is None else bisect_left(self.lines[site], place) + 1

    def turn(self, site: str, ready: Callable[[str], bool]) -> Place | None:
        """The first of the line for whom there is room.

        Nobody overtakes who waits for the same pile or for the site; who is blocked by a pile alone blocks no other.
        """
        full: set[str] = set()
        for place in self.lines.get(site, ()):
            pile = self._keys[place.outlet][0]
            if pile in full or not ready(place.outlet):
                continue
            if not self.feeders[pile].fits(place.needed_w):
                full.add(pile)
            elif not self.feeders[site_key(site)].fits(place.needed_w):
                return None
            else:
                return place
        return None

    # -- too much -------------------------------------------------------------------------------------------------

    def too_much(self, now_s: float, rules: Rules) -> Iterator[str]:
        """Feeders that have drawn too much for too long."""
        for key in sorted(self.over):
            since_s = self.feeders[key].over_since_s
            if since_s is not None and now_s - since_s >= rules.over_limit_s:
                yield key

    def last_come(self, key: str, queued_s: Callable[[str], float | None]) -> list[str]:
        """Whom to cut so that the rest fits, who came last first. `queued_s` is None for what can't be cut."""
        feeder = self.feeders[key]
        excess_w = feeder.drawn_w - (feeder.limit_w or 0.0)
        drawing = [(s, outlet) for outlet in feeder.outlets if (s := queued_s(outlet)) is not None]
        cut = []
        for _, outlet in sorted(drawing, reverse=True):
            if excess_w <= 0:
                break
            if (drawn_w := self.share_of(outlet).drawn_w) > 0:
                cut.append(outlet)
                excess_w -= drawn_w
        return cut
