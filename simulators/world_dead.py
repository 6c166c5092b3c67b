"""What must stay dead: a cut site, a locked or latched outlet, and all that an active input guards; and what undoes it.

Judged by the rows that came onto the disk, by what people have asked, and by the contacts at the devices' inputs.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.events import Change
from controller.core.state import Rules
from simulators.twins.contact import Fault
from simulators.world_devices import Spot

if TYPE_CHECKING:
    from simulators.world_checks import Checks

UNDOES = {Change.RELEASE_SITE: "cut", Change.UNLOCK: "lock", Change.CLEAR_LATCH: "latch"}
OFF_S = 12.0  # over a sound link
ASKED_S = 75.0  # inputs of a pile are asked each minute, should their own word be lost
LATE_S = 32.0


class Dead:
    def __init__(self, checks: "Checks", spots: Mapping[str, Spot], rules: Rules) -> None:
        self._checks = checks
        self._spots = spots
        self._rules = rules
        self._held: dict[tuple[str, str], float] = {}  # (cut, site) or (lock or latch, outlet), and since when
        self._undone: set[tuple[str, str]] = set()  # somebody has asked to undo it
        self._wired: dict[str, dict[str, dict[str, str]]] = {}
        self._site = ""
        self._lit_s: dict[str, float] = {}

    # -- what is known of it --------------------------------------------------------------------------------------

    def asking(self, event: ev.Event) -> None:
        if isinstance(event, ev.StaffChange) and event.change in UNDOES:
            self._undone.add((UNDOES[event.change], event.subject))

    def saved(self, row: fx.Effect) -> None:
        if isinstance(row, fx.SaveCut):
            self._turned("cut", row.site, row.cut is not None)
        elif isinstance(row, fx.SaveInputs):
            self._wired[row.pile] = row.inputs
        elif isinstance(row, fx.SaveOutlet):
            self._site = row.outlet.site
            self._turned("lock", row.outlet.id, row.outlet.locked_by is not None)
            self._turned("latch", row.outlet.id, row.outlet.latch is not None)

    def _turned(self, what: str, about: str, holds: bool) -> None:
        key = (what, about)
        if holds:
            self._held.setdefault(key, self._checks.now_s)
        elif key in self._held:
            del self._held[key]
            if key not in self._undone:
                self._checks.violated(f"a {what} was undone by nobody", about)
            self._undone.discard(key)
            if what == "cut":
                self._released(about)

    def _released(self, site: str) -> None:
        for scope, closed_s in self._active():
            shaken = self._checks.disturbed_s > closed_s
            heard_s = self._checks.disturbed_s + ASKED_S if shaken else closed_s + OFF_S
            if scope == "site" and self._checks.now_s > heard_s:
                self._checks.violated("released while an input shows danger", site)

    def _active(self) -> Iterator[tuple[str, float]]:
        """By scope (a pile, or "site"), since when: contacts that truly stand as no contact should."""
        for device in {id(spot.device): spot.device for spot in self._spots.values()}.values():
            pile = f"pile{device.number}"
            for number, wired in self._wired.get(pile, {}).items():
                closed_s = device.closed.get(int(number))
                if closed_s is not None and wired["normally"] == "open" and device.dark_s is None:
                    yield ("site" if wired["scope"] == "site" else pile), closed_s

    # -- every step -----------------------------------------------------------------------------------------------

    def look(self) -> None:
        active = dict(self._active())
        for spot in self._spots.values():
            since_s = self._since_s(spot, active)
            if since_s is None or not spot.powered or Fault.WELDED in spot.faults:
                self._lit_s.pop(spot.outlet, None)
                continue
            self._look_at(spot, max(self._lit_s.setdefault(spot.outlet, self._checks.now_s), since_s), active)

    def _since_s(self, spot: Spot, active: dict[str, float]) -> float | None:
        keys = (("cut", self._site), ("lock", spot.outlet), ("latch", spot.outlet))
        held = [self._held[key] for key in keys if key in self._held]
        shown = [active[scope] for scope in ("site", f"pile{spot.device.number}") if scope in active]
        return min((*held, *shown), default=None)

    def _look_at(self, spot: Spot, since_s: float, active: dict[str, float]) -> None:
        checks = self._checks
        heard_s = since_s if not active else max(since_s, checks.disturbed_s) + ASKED_S
        if checks.now_s - heard_s > self._rules.lease_s + LATE_S:
            checks.violated("power on what must be dead", spot.outlet)
        calm = checks.house is not None and not spot.faults and not spot.device.odd
        if calm and checks.now_s - max(since_s, checks.disturbed_s) > OFF_S:
            checks.violated("what must be dead was not cut at once", spot.outlet)
