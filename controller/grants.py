"""Who may start now and who must stop, looked at once a step, after everything that has happened was decided."""

from collections.abc import Callable, Iterable, Iterator
from math import ceil
from zlib import crc32

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.dead import why_dead
from controller.core.due import is_dark
from controller.core.events import Stamp
from controller.core.house import House
from controller.core.load import Place, needed_w, share
from controller.core.state import OutletPhase, Phase, Rules, Session
from controller.views import Board, Load

POLL_S = 5.0  # what nobody tells of is looked at again: a database that is back
SHOW_S = 1.0  # the sums on the board are for people
LASTED_MAX = 50
SPREAD = 0.5  # of the stagger: sites behind one transformer shall not keep step after a power cut
SERVES = (OutletPhase.OPEN, OutletPhase.COMMISSIONED)  # closed is for new ones; who has paid is none
ON = (Phase.OPENING, Phase.CHARGING, Phase.SUSPENDED)


class Grants:
    """Keeps the grid's sums and lines equal to the house, hands out turns, and takes power back."""

    def __init__(self, rules: Rules, board: Board) -> None:
        self.due_s: float | None = None
        self._rules = rules
        self._board = board
        self._next_s: dict[str, float] = {}  # by site: no start under a limit before
        self._alarmed: set[str] = set()
        self._shown_s = -SHOW_S

    def look(
        self, house: House, changed: Iterable[str], now: Stamp, held: bool, tell: Callable[[str], None]
    ) -> Iterator[ev.Event | fx.Effect]:
        """What follows from what has changed; each is to be decided before the next is asked for.

        `held`: nothing starts, but who must stop must. `tell` hears whose place in a line is another.
        """
        touched = self._taken_over(house, (*changed, *house.grid.unweighed), now) | house.grid.moved
        yield from self._cuts(house, now)
        polled = self.due_s is not None and now.steady_s >= self.due_s
        for site in sorted(house.grid.lines.keys() if polled else house.grid.lines.keys() & touched):
            if not held:
                yield from self._turns(house, site, now)
        self._tell_places(house, tell)
        self._show(house, now.steady_s)
        self.due_s = self._next_due_s(house, now.steady_s)

    def has_room(self, house: House, outlet: str, power_w: float, now: Stamp) -> bool:
        """For a load that nobody has paid for: a commissioning. It takes no place before others."""
        self._taken_over(house, tuple(house.grid.unweighed), now)
        return house.grid.has_room(outlet, ceil(power_w * (1 + self._rules.headroom)))

    def ended(self, done: Session) -> None:
        """How long charges usually take here, for those who wait."""
        if done.started_at is not None and done.off_at is not None:
            last = self._board.lasted.get(done.site, ())[-LASTED_MAX + 1 :]
            self._board.lasted[done.site] = (*last, done.off_at - done.started_at)

    # -- the grid -------------------------------------------------------------------------------------------------

    def _taken_over(self, house: House, outlets: Iterable[str], now: Stamp) -> set[str]:
        """The sites of which something is other than before."""
        grid, touched = house.grid, set()
        for outlet in outlets:
            if self._stands(house, outlet) | (outlet in grid.limited and self._weighs(house, outlet, now.steady_s)):
                touched.add(house.outlets[outlet].site)
        return touched

    def _stands(self, house: House, outlet: str) -> bool:
        """Its session is in line exactly while it is queued; True while it is."""
        live = house.sessions.get(outlet)
        queued = live if live is not None and live.phase is Phase.QUEUED else None
        if house.grid.waiting(outlet) != (None if queued is None else queued.id):
            house.grid.leave(outlet)
            if queued is not None:
                house.grid.wait(queued, needed_w(queued, self._rules))
        return queued is not None

    def _weighs(self, house: House, outlet: str, now_s: float) -> bool:
        """True if it counts for something else now."""
        now = share(house.outlets[outlet], house.seen[outlet], house.sessions.get(outlet), self._rules, now_s)
        return house.grid.weigh(outlet, now, now_s)

    # -- turns ----------------------------------------------------------------------------------------------------

    def _turns(self, house: House, site: str, now: Stamp) -> Iterator[ev.Event]:
        def may(outlet: str) -> bool:
            """Who goes on keeps the stagger on every site, and holds up nobody who starts where there is no limit."""
            waits = self._next_s.get(site, now.steady_s) > now.steady_s and outlet not in house.grid.limited
            return ready(house, outlet) and not (waits and goes_on(house, outlet))

        while (place := house.grid.turn(site, may)) is not None:
            limited = place.outlet in house.grid.limited
            if limited and now.steady_s < self._next_s.get(site, now.steady_s):
                return
            spaced = limited or goes_on(house, place.outlet)
            yield ev.PowerGranted(at=now.at, steady_s=now.steady_s, outlet=place.outlet)
            self._taken_over(house, (place.outlet,), now)
            if house.grid.waiting(place.outlet) == place.session:  # its decision has failed: no second one now
                return
            if spaced:
                self._next_s[site] = now.steady_s + self._gap_s(place)

    def _gap_s(self, place: Place) -> float:
        return self._rules.stagger_s * (1 + SPREAD * (crc32(place.session.encode()) % 1000) / 1000)

    # -- too much -------------------------------------------------------------------------------------------------

    def _cuts(self, house: House, now: Stamp) -> Iterator[ev.Event | fx.Effect]:
        """Whoever came last goes back into the line; what that does is awaited before more is cut."""
        for key in tuple(house.grid.too_much(now.steady_s, self._rules)):
            feeder = house.grid.feeders[key]
            feeder.over_since_s = now.steady_s
            evidence = {f"{key.partition(':')[0]}_power_w": float(feeder.drawn_w), "limit_w": feeder.limit_w or 0.0}
            if key not in self._alarmed:
                yield self._alarm(house, key, now, evidence)
            for outlet in house.grid.last_come(key, lambda outlet: _paid_s(house.sessions.get(outlet))):
                yield ev.PowerWithdrawn(at=now.at, steady_s=now.steady_s, outlet=outlet, evidence=evidence)
        for key in sorted(self._alarmed - house.grid.over):
            self._alarmed.discard(key)
            yield fx.ClearAlarms(key, now.at, "gateway")

    def _alarm(self, house: House, key: str, now: Stamp, evidence: dict[str, float]) -> fx.RaiseAlarm:
        """It names the feeder where others name an outlet, and is cleared with the excess."""
        self._alarmed.add(key)
        site = house.grid.feeders[key].site
        return fx.RaiseAlarm(f"{key}:over_limit:{now.at:.0f}", now.at, site, key, "over_limit", evidence)

    # -- what others see ------------------------------------------------------------------------------------------

    def _tell_places(self, house: House, tell: Callable[[str], None]) -> None:
        if not house.grid.moved:
            return
        for place in (place for site in house.grid.moved for place in house.grid.lines.get(site, ())):
            tell(place.outlet)
        feeders = house.grid.feeders
        house.grid.stale.update(key for key in self._board.loads if feeders[key].site in house.grid.moved)
        house.grid.moved.clear()

    def _show(self, house: House, now_s: float) -> None:
        if not house.grid.stale or 0.0 <= now_s - self._shown_s < SHOW_S:
            return
        self._shown_s = now_s
        for key in house.grid.stale:
            if house.grid.feeders[key].limit_w is None:
                self._board.loads.pop(key, None)
            else:
                self._board.loads[key] = _load(house, key)
        house.grid.stale.clear()

    def _next_due_s(self, house: House, now_s: float) -> float | None:
        due = [self._shown_s + SHOW_S] if house.grid.stale else []
        over = [(house.grid.feeders[key].over_since_s or now_s) + self._rules.over_limit_s for key in house.grid.over]
        due += [over_s if over_s > now_s else now_s + POLL_S for over_s in over]
        soon = [due_s for site in house.grid.lines if (due_s := self._next_s.get(site, 0.0)) > now_s]
        due += [*soon, now_s + POLL_S] if house.grid.lines else []
        return min(due, default=None)


def goes_on(house: House, outlet: str) -> bool:
    """A charge that was interrupted; after a power cut they are many, and come at once."""
    live = house.sessions.get(outlet)
    return live is not None and live.started_at is not None


def ready(house: House, outlet: str) -> bool:
    """It could be switched on now, if there were room."""
    known, seen = house.outlets[outlet], house.seen[outlet]
    serves = known.phase in SERVES and why_dead(house, outlet) is None
    return serves and seen.linked and not seen.alarmed


def _paid_s(live: Session | None) -> float | None:
    if live is None or live.phase not in ON or is_dark(live):
        return None
    return live.queued_s if live.queued_s is not None else live.opened_s


def _load(house: House, key: str) -> Load:
    feeder = house.grid.feeders[key]
    line = house.grid.lines.get(feeder.site, ())
    ahead_w = [place.needed_w for place in line if key in house.grid.keys(place.outlet)]
    return Load(feeder.limit_w or 0.0, feeder.reserved_w, feeder.drawn_w, sum(ahead_w), len(ahead_w))
