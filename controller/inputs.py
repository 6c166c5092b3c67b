"""What a pile's inputs show, and what follows: an active one cuts its scope, one that nobody hears is a fault.

Of the decider's thread. The level counts, not the edge: what an input shows when it is first heard counts as a change.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from controller.core import effects as fx
from controller.core import events as ev
from controller.core import inputs
from controller.core.contacts import INPUTS_MAX, KINDS, REASONS, Contact, Kind, Wired, input_key
from controller.core.dead import active_inputs
from controller.core.events import Stamp
from controller.core.house import House
from controller.core.load import pile_key, site_key
from controller.core.state import Outlet, Rules
from controller.cuts import Cuts, Hands
from controller.views import Board, InputView

LOOK_S = 5.0
UNHEARD_S = -1e18  # of a contact that is presumed
ASKED_IN = 12  # looks: each pile is asked what its inputs show once in so many
AT_INPUTS = (ev.Change.INPUTS, ev.Change.RELEASE_SITE, ev.Change.CLEAR_LATCH)


class Inputs:
    """Remembers which alarms it has raised; a restart learns anew what each input shows."""

    def __init__(self, house: House, rules: Rules, board: Board, hands: Hands, cuts: Cuts) -> None:
        self._house = house
        self._rules = rules
        self._board = board
        self._hands = hands
        self._cuts = cuts
        self._due_s = 0.0
        self._looks = 0
        self._raised: set[str] = set()  # inputs whose alarm this process has raised
        self._lost: set[str] = set()
        self._presumed: set[str] = set()  # active as far as the process before knew, and not heard since
        self._since_s: float | None = None  # when this process began to listen
        self._told_s: dict[str, float] = {}  # pile → when staff said, meanwhile, what its inputs mean

    def heard(self, event: ev.InputReported) -> dict[str, Any]:
        """Of a pile of ours; what hangs on the input, if anything, decides what its state means."""
        house, pile, number = self._house, event.pile, event.input
        if pile not in house.piles or not 1 <= number <= INPUTS_MAX:
            return {}
        before = None if input_key(pile, number) in self._presumed else house.contact(pile, number)
        self._presumed.discard(input_key(pile, number))
        house.heard(pile, number, Contact(event.on, event.steady_s))
        self._found(input_key(pile, number), event)
        wired = house.wired.get(pile, {}).get(number)
        turned = before is None or before.on is not event.on
        if wired is not None and wired.is_active(event.on) and turned:
            self._alarmed(event, pile, number, wired, anew=before is not None)
        elif wired is not None and turned:
            self._calmed(pile, wired)
        if turned:
            self._show(pile)
        return {"pile": pile}

    def _alarmed(self, event: ev.Event, pile: str, number: int, wired: Wired, anew: bool) -> None:
        """`anew`: it was calm before; the first word of it since our start may repeat what is held already."""
        key, why = input_key(pile, number), REASONS[wired.kind]
        held = self._is_held(pile, wired)
        if held:  # as a flapping contact does a hundred times a minute
            self._cuts.off(self._house.scope_key(pile, wired))
        elif wired.scope == "site":
            self._cuts.site(event, self._house.site_of_pile(pile), key, why)
        else:
            self._cuts.pile(event, pile, key, why)
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

    def _calmed(self, pile: str, wired: Wired) -> None:
        """What it guards may show something else now."""
        for known in self._of(self._house.scope_key(pile, wired)):
            self._hands.changed(known.id)

    # -- by staff -------------------------------------------------------------------------------------------------

    def after(self, event: ev.StaffChange) -> None:
        """What follows from a change of inputs, a release and a cleared latch."""
        if event.change not in AT_INPUTS:
            return
        site = self._site_of(event)
        if event.change is ev.Change.INPUTS:
            self._told_s[event.subject] = event.steady_s
            for pile, number, wired in list(active_inputs(self._house, site)):
                if pile == event.subject:
                    self._alarmed(event, pile, number, wired, anew=True)
        for key in list(inputs.quiet(self._house, site)):
            self._raised.discard(key)
            self._hands.run((fx.ClearAlarms(key, event.at, event.by),))
        for known in self._of(site_key(site)) if site_key(site) in self._house.grid.feeders else ():
            self._hands.changed(known.id)
        self._cuts.show()
        for pile in {pile for pile in self._board.inputs if self._house.site_of_pile(pile) == site} | {event.subject}:
            if pile in self._house.piles:
                self._show(pile)

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
        key, contact = input_key(pile, number), self._house.contact(pile, number)
        heard_s = self._told_s.get(pile, self._since_s or now.steady_s)
        heard_s = heard_s if contact is None else max(heard_s, contact.heard_s)
        if now.steady_s - heard_s < self._rules.input_lost_s or key in self._lost:
            return
        self._lost.add(key)
        site = self._house.site_of_pile(pile)
        silent = {"input": float(number), "silent_s": now.steady_s - heard_s}
        lost = fx.RaiseAlarm(f"{key}:lost:{now.at:.0f}", now.at, site, f"{key}:lost", "input_lost", silent)
        self._hands.run((lost,))
        self._show(pile)

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
        """Before any session is taken up. The alarms of lost inputs are raised anew if they stay lost."""
        lost = [input_key(pile, number) for pile, wired in self._house.wired.items() for number in wired]
        self._hands.run([fx.ClearAlarms(f"{key}:lost", now.at, "gateway") for key in lost])
        held = list(held)
        self._cuts.again(held, now)
        self._presume()
        for one in held:
            if one.by.startswith("input:"):  # its alarm went with the rows that were lost
                site = one.id if one.of == "site" else self._house.site_of_pile(one.id)
                self._raise(one, site, one.by, KINDS[one.why])
        self._cuts.show()
        for pile in self._house.wired:
            self._show(pile)

    def _presume(self) -> None:
        """What has cut, and holds, shows danger until it is heard: a fire may have taken its detector along."""
        for pile, wired in self._house.wired.items():
            for number, one in wired.items():
                if self._has_cut(pile, number, one):
                    self._presumed.add(input_key(pile, number))
                    self._house.heard(pile, number, Contact(one.normally == "open", UNHEARD_S))

    def _has_cut(self, pile: str, number: int, wired: Wired) -> bool:
        if wired.scope == "pile":
            return any(known.latch == wired.kind for known in self._of(pile_key(pile)))
        cut = self._house.cuts.get(self._house.site_of_pile(pile))
        return cut is not None and cut.by == input_key(pile, number)

    # -- what others see ------------------------------------------------------------------------------------------

    def _show(self, pile: str) -> None:
        self._board.inputs[pile] = tuple(self._views(pile))

    def _views(self, pile: str) -> Iterator[InputView]:
        wired = self._house.wired.get(pile, {})
        for number in sorted({*self._house.contacts.get(pile, ()), *wired}):
            one, contact = wired.get(number), self._house.contact(pile, number)
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
