"""What cuts many outlets at once and holds. Of the decider's thread.

OFF first, for every outlet of the scope; the ends of sessions after; then the rows. A site stays cut until a person
releases it, a pile's outlets stay latched until a person has cleared each. The trip journal has a cut before its row is
on disk, so that a kill in between can't undo what was acknowledged.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from controller.core import effects as fx
from controller.core import events as ev
from controller.core import outlet, proving
from controller.core.contacts import LATCHES
from controller.core.errors import Refused
from controller.core.events import Stamp
from controller.core.house import House
from controller.core.load import pile_key, site_key
from controller.core.outlet_outcome import Outcome
from controller.core.reasons import StopReason
from controller.core.state import Cut, OutletPhase, Session
from controller.ports import Switchgear
from controller.views import Board

LATE_S = 1.0  # a commit that takes longer may outlast the patience of whoever asked


class Hands(msgspec.Struct, frozen=True):
    """The decider, as far as a cut needs it."""

    switchgear: Switchgear
    run: Callable[[Iterable[fx.Effect]], None]
    at_outlet: Callable[[Any], object]
    outlet_outcome: Callable[[Outcome], None]
    changed: Callable[[str], None]
    keep: Callable[[ev.Tripped | ev.Held], None]  # in the trip journal


class Cuts:
    """Holds nothing itself: what was cut stands in the rows."""

    def __init__(self, house: House, board: Board, hands: Hands) -> None:
        self._house = house
        self._board = board
        self._hands = hands

    def asked(self, event: ev.SiteCutAsked) -> dict[str, Any]:
        if event.site not in self._house.sites:
            raise Refused("unknown_site", f"there is no site {event.site}")
        return {"outlets": self.site(event, event.site, event.by, StopReason.SITE_CUT)}

    def site(self, event: ev.Event, site: str, by: str, why: StopReason) -> int:
        """Every outlet of the site, whatever it does. Who comes second cuts again, and it stays the first one's cut."""
        outlets = self.off(site_key(site))
        cut = Cut(event.at, by, why)
        self._hands.keep(ev.Held(at=event.at, steady_s=event.steady_s, of="site", id=site, by=by, why=why))
        first = () if site in self._house.cuts else (fx.SaveCut(site, cut),)
        self._hands.run((*first, fx.Audit(event.at, by, "site_cut", site, {"outlets": len(outlets), "why": str(why)})))
        self._end(outlets, event, why, by)
        return len(outlets)

    def pile(self, event: ev.Event, pile: str, by: str, why: StopReason) -> None:
        outlets = self.off(pile_key(pile))
        self._hands.keep(ev.Held(at=event.at, steady_s=event.steady_s, of="pile", id=pile, by=by, why=why))
        self._hands.run((fx.Audit(event.at, by, "pile_cut", pile, {"outlets": len(outlets), "why": str(why)}),))
        self._end(outlets, event, why, by)
        for outlet_id in outlets:
            known = self._house.outlets[outlet_id]
            if known.latch is None:
                self._hands.outlet_outcome(outlet.latched(known, str(why)))

    def off(self, key: str) -> list[str]:
        feeder = self._house.grid.feeders.get(key)
        outlets = [] if feeder is None else sorted(feeder.outlets)
        self._hands.run([fx.SwitchOff(outlet_id) for outlet_id in outlets])
        return outlets

    def _end(self, outlets: Iterable[str], event: ev.Event, why: StopReason, by: str) -> None:
        for outlet_id in outlets:
            self.stop(outlet_id, event, why, by)
            self._stop_proving(outlet_id, event, why)
            self._hands.changed(outlet_id)
        self.show()

    def stop(self, outlet_id: str, event: ev.Event, why: StopReason, by: str) -> None:
        """Whatever session runs there, if one does."""
        live = self._house.sessions.get(outlet_id)
        if live is not None:
            self._hands.at_outlet(stop_of(event, outlet_id, live.id, why, by))

    def _stop_proving(self, outlet_id: str, event: ev.Event, why: StopReason) -> None:
        """Its next step would put power on what was just cut."""
        known = self._house.outlets[outlet_id]
        if known.phase is OutletPhase.PROVING:
            self._hands.outlet_outcome(proving.abandoned(known, event, str(why)))

    def stopped(self, closing: Session, now: Stamp, database_away_s: float) -> None:
        """With the disk late a stop is acknowledged before its row is written; the journal keeps it from a restart.

        Of a site that was cut the journal has the cut itself.
        """
        if database_away_s < LATE_S or closing.reason is None or closing.site in self._house.cuts:
            return
        self._hands.keep(
            ev.Tripped(
                at=now.at,
                steady_s=now.steady_s,
                outlet=closing.outlet,
                generation=self._hands.switchgear.generation(closing.outlet),
                reason=closing.reason,
                evidence={},
            )
        )

    def kept_again(self, now: Stamp) -> None:
        """After so many trips that they may have pushed the cuts out of the journal's ring."""
        for site, cut in self._house.cuts.items():
            self._hands.keep(ev.Held(at=cut.at, steady_s=now.steady_s, of="site", id=site, by=cut.by, why=cut.why))

    def again(self, held: Iterable[ev.Held], now: Stamp) -> None:
        """Those that the journal has and the disk has not: they hold all the same, and since when they did."""
        for one in held:
            event = ev.Event(at=one.at, steady_s=now.steady_s)
            if one.of == "site" and one.id in self._house.sites:
                self.site(event, one.id, one.by, one.why)
            elif one.of == "pile" and pile_key(one.id) in self._house.grid.feeders:
                self.pile(event, one.id, one.by, one.why)

    def trip_of(self, live: Session) -> tuple[StopReason, dict[str, float]] | None:
        """Why a session from disk may not go on: its site is cut, or its pile was."""
        cut = self._house.cuts.get(live.site)
        if cut is not None:
            return cut.why, {}
        latch = self._house.outlets[live.outlet].latch
        return (StopReason(latch), {}) if latch in LATCHES else None

    def show(self) -> None:
        self._board.cuts = dict(self._house.cuts)


def stop_of(event: ev.Event, outlet_id: str, session_id: str, why: StopReason, by: str) -> ev.StopAsked:
    return ev.StopAsked(
        at=event.at, steady_s=event.steady_s, key="", session=session_id, outlet=outlet_id, by=by, reason=why
    )
