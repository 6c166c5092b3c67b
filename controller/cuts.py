"""What cuts many outlets at once and holds: a person, or an input of a pile. Of the decider's thread.

OFF first, for every outlet of the scope; the ends of sessions after; then the rows. A site stays cut until a person
releases it, a pile's outlets stay latched until a person has cleared each. The trip journal has a cut before its row is
on disk, so that a kill in between can't undo what was acknowledged.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from controller.core import effects as fx
from controller.core import events as ev
from controller.core import inputs, outlet
from controller.core.contacts import INPUTS_MAX, REASONS, Contact, Kind, Wired, input_key
from controller.core.dead import active_inputs
from controller.core.errors import Refused
from controller.core.events import Stamp
from controller.core.house import House
from controller.core.load import pile_key, site_key
from controller.core.reasons import StopReason
from controller.core.state import Cut, Outlet, OutletPhase, Rules, Session
from controller.ports import Switchgear
from controller.views import Board, InputView

LATE_S = 1.0  # a commit that takes longer may outlast the patience of whoever asked
LOOK_S = 5.0
ASKED_IN = 12  # looks: each pile is asked what its inputs show once in so many
KINDS = {why: kind for kind, why in REASONS.items()}
LATCHES = frozenset((Kind.SMOKE, Kind.FLOOD))
AT_INPUTS = (ev.Change.INPUTS, ev.Change.RELEASE_SITE, ev.Change.CLEAR_LATCH)


class Hands(msgspec.Struct, frozen=True):
    """The decider, as far as a cut needs it."""

    switchgear: Switchgear
    run: Callable[[Iterable[fx.Effect]], None]
    at_outlet: Callable[[Any], object]
    outlet_outcome: Callable[[outlet.Outcome], None]
    changed: Callable[[str], None]
    keep: Callable[[ev.Tripped | ev.Held], None]  # in the trip journal


class Cuts:
    """Holds nothing that a restart would miss: what was cut stands in the rows, what an input shows it says again."""

    def __init__(self, house: House, rules: Rules, board: Board, hands: Hands) -> None:
        self._house = house
        self._rules = rules
        self._board = board
        self._hands = hands
        self._due_s = 0.0
        self._looks = 0
        self._raised: set[str] = set()  # inputs whose alarm this process has raised
        self._lost: set[str] = set()
        self._since_s: float | None = None  # when this process began to listen

    def came(self, event: ev.InputReported | ev.SiteCutAsked) -> dict[str, Any]:
        return self._heard(event) if isinstance(event, ev.InputReported) else self._asked(event)

    # -- a whole site ---------------------------------------------------------------------------------------------

    def _asked(self, event: ev.SiteCutAsked) -> dict[str, Any]:
        if event.site not in self._house.sites:
            raise Refused("unknown_site", f"there is no site {event.site}")
        return {"outlets": self._cut_site(event, event.site, event.by, StopReason.SITE_CUT)}

    def _cut_site(self, event: ev.Event, site: str, by: str, why: StopReason) -> int:
        """Every outlet of the site, whatever it does. Who comes second cuts again, and it stays the first one's cut."""
        outlets = self._off(site_key(site))
        cut = Cut(event.at, by, why)
        self._hands.keep(ev.Held(at=event.at, steady_s=event.steady_s, of="site", id=site, by=by, why=why))
        first = () if site in self._house.cuts else (fx.SaveCut(site, cut),)
        self._hands.run((*first, fx.Audit(event.at, by, "site_cut", site, {"outlets": len(outlets), "why": str(why)})))
        self._end(outlets, event, why, by)
        return len(outlets)

    def _off(self, key: str) -> list[str]:
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
            self._hands.outlet_outcome(outlet.abandoned(known, event, str(why)))

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

    # -- inputs ---------------------------------------------------------------------------------------------------

    def _heard(self, event: ev.InputReported) -> dict[str, Any]:
        """Of a pile of ours; what hangs on the input, if anything, decides what its state means."""
        house, pile, number = self._house, event.pile, event.input
        if pile not in house.piles or not 1 <= number <= INPUTS_MAX:
            return {}
        before = house.contacts.get((pile, number))
        house.heard(pile, number, Contact(event.on, event.steady_s))
        self._found(input_key(pile, number), event)
        wired = house.wired.get(pile, {}).get(number)
        turned = before is None or before.on is not event.on
        if wired is not None and wired.is_active(event.on) and turned:
            self._alarmed(event, pile, number, wired, anew=before is not None)
        elif turned:
            self._tell_scope(pile, wired)
        return {"pile": pile}

    def _alarmed(self, event: ev.Event, pile: str, number: int, wired: Wired, anew: bool) -> None:
        """`anew`: it was calm before; the first word of it since our start may repeat what is held already."""
        key, why = input_key(pile, number), REASONS[wired.kind]
        held = self._is_held(pile, wired)
        if held:  # as a flapping contact does a hundred times a minute
            self._off(self._house.scope_key(pile, wired))
            self.show()
        elif wired.scope == "site":
            self._cut_site(event, self._house.site_of_pile(pile), key, why)
        else:
            self._latch_pile(event, pile, key, why)
        if key not in self._raised and (anew or not held):
            self._raise(event, self._house.site_of_pile(pile), key, wired.kind)
        self._raised.add(key)

    def _raise(self, event: ev.Event, site: str, key: str, kind: Kind) -> None:
        number = float(key.rpartition(":")[2])
        alarm = fx.RaiseAlarm(f"{key}:{kind}:{event.at:.3f}", event.at, site, key, str(kind), {"input": number})
        self._hands.run((alarm,))

    def _is_held(self, pile: str, wired: Wired) -> bool:
        if wired.scope == "site":
            return self._house.site_of_pile(pile) in self._house.cuts
        return all(known.latch is not None for known in self._of(pile_key(pile)))

    def _of(self, key: str) -> Iterator[Outlet]:
        return (self._house.outlets[outlet_id] for outlet_id in sorted(self._house.grid.feeders[key].outlets))

    def _latch_pile(self, event: ev.Event, pile: str, by: str, why: StopReason) -> None:
        outlets = self._off(pile_key(pile))
        self._hands.keep(ev.Held(at=event.at, steady_s=event.steady_s, of="pile", id=pile, by=by, why=why))
        self._hands.run((fx.Audit(event.at, by, "pile_cut", pile, {"outlets": len(outlets), "why": str(why)}),))
        self._end(outlets, event, why, by)
        for known in [known for known in self._of(pile_key(pile)) if known.latch is None]:
            self._hands.outlet_outcome(outlet.latched(known, str(why)))

    def _tell_scope(self, pile: str, wired: Wired | None) -> None:
        """It calmed down: what it guards may show something else now."""
        key = pile_key(pile) if wired is None else self._house.scope_key(pile, wired)
        for known in self._of(key):
            self._hands.changed(known.id)
        self.show()

    # -- by staff -------------------------------------------------------------------------------------------------

    def after(self, event: ev.StaffChange) -> None:
        """What follows from a change of inputs, a release and a cleared latch."""
        if event.change not in AT_INPUTS:
            return
        site = self._site_of(event)
        if event.change is ev.Change.INPUTS:
            for pile, number, wired in list(active_inputs(self._house, site)):
                if pile == event.subject:
                    self._alarmed(event, pile, number, wired, anew=True)
        for key in list(inputs.quiet(self._house, site)):
            self._raised.discard(key)
            self._hands.run((fx.ClearAlarms(key, event.at, event.by),))
        for known in self._of(site_key(site)) if site_key(site) in self._house.grid.feeders else ():
            self._hands.changed(known.id)
        self.show()

    def _site_of(self, event: ev.StaffChange) -> str:
        if event.change is ev.Change.INPUTS:
            return self._house.site_of_pile(event.subject)
        if event.change is ev.Change.CLEAR_LATCH:
            return self._house.outlets[event.subject].site
        return event.subject

    # -- time -----------------------------------------------------------------------------------------------------

    def look(self, now: Stamp) -> None:
        """Inputs that nobody hears are a fault; those that do not speak by themselves are asked."""
        if now.steady_s < self._due_s:
            return
        self._due_s = now.steady_s + LOOK_S
        if self._since_s is None:
            self._since_s = now.steady_s
        for pile, wired in self._house.wired.items():
            for number in wired:
                self._look_at(pile, number, now)
        self._looks += 1
        turn = [pile for place, pile in enumerate(self._house.wired) if (place + self._looks) % ASKED_IN == 0]
        self._hands.run([effect for pile in turn for effect in self._asks(pile)])

    def due_s(self) -> float | None:
        """When (steady) to look again; None while no input means anything."""
        return self._due_s if self._house.wired else None

    def _look_at(self, pile: str, number: int, now: Stamp) -> None:
        key, contact = input_key(pile, number), self._house.contacts.get((pile, number))
        heard_s = self._since_s or now.steady_s
        heard_s = heard_s if contact is None else max(heard_s, contact.heard_s)
        if now.steady_s - heard_s < self._rules.input_lost_s or key in self._lost:
            return
        self._lost.add(key)
        site = self._house.site_of_pile(pile)
        silent = {"input": float(number), "silent_s": now.steady_s - heard_s}
        lost = fx.RaiseAlarm(f"{key}:lost:{now.at:.0f}", now.at, site, f"{key}:lost", "input_lost", silent)
        self._hands.run((lost,))
        self.show()

    def _found(self, key: str, event: ev.Event) -> None:
        if key in self._lost:
            self._lost.discard(key)
            self._hands.run((fx.ClearAlarms(f"{key}:lost", event.at, "gateway"),))

    def _asks(self, pile: str) -> Iterator[fx.Effect]:
        numbers = tuple(self._house.wired[pile])
        return (fx.AskNow(outlet_id, numbers) for outlet_id in inputs.one_of(self._house, pile))

    def linked(self, outlet_id: str) -> None:
        """A device that comes back may have forgotten that its inputs switch nothing; and tells what they show."""
        if not self._house.wired:
            return
        pile = self._house.outlets[outlet_id].pile
        wired = self._house.wired.get(pile)
        if wired and inputs.one_of(self._house, pile) == [outlet_id]:
            self._hands.run((fx.SetInputs(outlet_id, tuple(wired)),))

    # -- restart --------------------------------------------------------------------------------------------------

    def restore(self, held: Iterable[ev.Held], now: Stamp) -> None:
        """Cuts that the journal has and the disk has not: they hold all the same. Before any session is taken up."""
        event = ev.Event(at=now.at, steady_s=now.steady_s)
        lost = [input_key(pile, number) for pile, wired in self._house.wired.items() for number in wired]
        self._hands.run([fx.ClearAlarms(f"{key}:lost", now.at, "gateway") for key in lost])
        for one in held:
            if one.of == "site" and one.id in self._house.sites:
                self._cut_site(event, one.id, one.by, one.why)
                self._raise_again(event, one.id, one)
            elif one.of == "pile" and pile_key(one.id) in self._house.grid.feeders:
                self._latch_pile(event, one.id, one.by, one.why)
                self._raise_again(event, self._house.site_of_pile(one.id), one)
        self.show()

    def _raise_again(self, event: ev.Event, site: str, one: ev.Held) -> None:
        """The alarm of the input that cut went with the rows that were lost."""
        if one.by.startswith("input:"):
            self._raise(event, site, one.by, KINDS[one.why])

    def trip_of(self, live: Session) -> tuple[StopReason, dict[str, float]] | None:
        """Why a session from disk may not go on: its site is cut, or its pile was."""
        cut = self._house.cuts.get(live.site)
        if cut is not None:
            return cut.why, {}
        latch = self._house.outlets[live.outlet].latch
        return (StopReason(latch), {}) if latch in LATCHES else None

    # -- what others see ------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Few enough to be made anew."""
        self._board.cuts = dict(self._house.cuts)
        piles = {pile for pile, _ in self._house.contacts} | set(self._house.wired)
        self._board.inputs = {pile: tuple(self._views(pile)) for pile in piles}

    def _views(self, pile: str) -> Iterator[InputView]:
        wired = self._house.wired.get(pile, {})
        numbers = {number for its, number in self._house.contacts if its == pile}
        for number in sorted(numbers | set(wired)):
            one, contact = wired.get(number), self._house.contacts.get((pile, number))
            lost = contact is None or input_key(pile, number) in self._lost
            active = one is not None and self._house.is_active(pile, number, one)
            yield InputView(
                number=number,
                kind="" if one is None else str(one.kind),
                scope="" if one is None else one.scope,
                normally="" if one is None else one.normally,
                on=None if contact is None else contact.on,
                state="active" if active else "lost" if lost else "calm",
            )


def stop_of(event: ev.Event, outlet_id: str, session_id: str, why: StopReason, by: str) -> ev.StopAsked:
    return ev.StopAsked(
        at=event.at, steady_s=event.steady_s, key="", session=session_id, outlet=outlet_id, by=by, reason=why
    )
