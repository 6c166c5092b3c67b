"""What a page says of waiting for room: the place in the line, and about how long, from what the board shows."""

from math import ceil
from typing import TYPE_CHECKING

import msgspec

from api.pages import words
from controller.core import wait
from controller.core.load import pile_key, site_key
from controller.core.wait import Charge, Wait
from controller.views import Load, View

if TYPE_CHECKING:
    from api.services import Services

STEP_S = 300.0  # nobody plans by the minute
SOON_S = 120.0
LOOK_S = 3.0


class Line(msgspec.Struct, frozen=True):
    """`ahead` have paid before. `wait` None: nobody can say how long."""

    ahead: int
    wait: Wait


class Waits:
    """Looked up once every few seconds for all who ask: what is under way on a site or a pile changes slowly."""

    def __init__(self) -> None:
        self._views: dict[str, tuple[float, list[View]]] = {}

    def before_paying(self, services: "Services", view: View) -> Line | None:
        """None: there is room, and one would start at once."""
        loads = [(key, load) for key in _keys(view) if (load := services.board.loads.get(key)) is not None]
        found = None
        for key, load in loads:
            found = wait.longer(found, self._wait(services, view, key, load, load.waiting))
        return None if found is None else Line(max(load.waiting for _, load in loads), found)

    def in_line(self, services: "Services", view: View) -> Line | None:
        """Of one who has paid and waits; None while there is no line."""
        place, found = view.place, None
        if place is None:
            return None
        for key in _keys(view):
            load = services.board.loads.get(key)
            if load is not None:
                ahead = sum(1 for other in self._of(services, key) if other.place is not None and other.place < place)
                found = wait.longer(found, self._wait(services, view, key, load, ahead))
        return Line(place - 1, found or Wait(0.0, SOON_S))

    def _wait(self, services: "Services", view: View, key: str, load: Load, ahead: int) -> Wait | None:
        rules, lasted_s = services.rules, services.board.lasted.get(view.site, ())
        views = [other for other in self._of(services, key) if other.reserved_w and other.session is not None]
        charges = [_charge(other, services) for other in views]
        needed_w = ceil(rules.outlet_w * (1 + rules.headroom))
        usual = Charge(needed_w, needed_w, rules.settle_s, *wait.left_s(0.0, rules.session_s, lasted_s))
        return wait.wait(load.limit_w - load.reserved_w, ahead, needed_w, charges, usual)

    def _of(self, services: "Services", key: str) -> list[View]:
        now_s = services.real_clock.now().steady_s
        looked_s, views = self._views.get(key, (-LOOK_S, []))
        if now_s - looked_s >= LOOK_S:
            views = [view for view in list(services.board.views.values()) if key in _keys(view)]
            self._views[key] = now_s, views
        return views


def _keys(view: View) -> tuple[str, str]:
    return pile_key(view.pile), site_key(view.site)


def _charge(view: View, services: "Services") -> Charge:
    rules = services.rules
    spent_s = 0.0 if view.started_at is None else services.clock.now().at - view.started_at
    later_w = view.reserved_w if view.plateau_w is None else ceil(view.plateau_w * (1 + rules.headroom))
    least_s, most_s = wait.left_s(spent_s, view.max_s, services.board.lasted.get(view.site, ()))
    if view.session_phase == "closing":
        least_s, most_s = wait.PROVEN_S
    elif view.tail:
        least_s, most_s = min(wait.TAIL_S[0], most_s), min(wait.TAIL_S[1], most_s)
    settles_s = max(0.0, rules.settle_s - spent_s)
    return Charge(view.reserved_w, min(later_w, view.reserved_w), settles_s, least_s, most_s)


# -- as people say it ---------------------------------------------------------------------------------------------


def about(lang: str, found: Wait) -> str:
    """About 20 to 40 minutes; within 2 minutes; up to 3 hours; or that nobody can say."""
    if found.most_s is None:
        return words.t(lang, "line.unknown")
    if found.most_s <= SOON_S:
        return words.t(lang, "line.soon")
    least_s, most_s = (found.least_s or 0.0) // STEP_S * STEP_S, ceil(found.most_s / STEP_S) * STEP_S
    most = words.span(lang, most_s)
    if least_s < STEP_S or least_s >= most_s:
        return words.t(lang, "line.up_to", most=most)
    return words.t(lang, "line.about", least=words.span(lang, least_s), most=most)
