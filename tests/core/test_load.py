"""Limits of load: what an outlet counts for, and a line that never exceeds, never starves and keeps its order."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.finish import FinishState
from controller.core.load import Grid, Share, needed_w, pile_key, share, site_key
from controller.core.state import OutletPhase, Phase, Seen
from tests.core import made
from tests.core.made import NOW_S, RULES, outlet, session

NEEDED_W = needed_w(session(), RULES)


def seen(power_w: float | None = 0.0, ago_s: float = 5.0) -> Seen:
    return Seen(power_w=power_w, reading_s=NOW_S - ago_s, linked=True)


def finish(peak_w: float = 200.0, **other: Any) -> FinishState:
    return FinishState(last_s=600.0, last_w=peak_w, peak_w=peak_w, recent_w=peak_w, **other)


def charging(for_s: float = 600.0, **other: Any) -> Any:
    return session(since_s=NOW_S - for_s, on_s=NOW_S - for_s - 30, **{"finish": finish(), **other})


# -- what an outlet counts for ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("live", "shown", "share_w", "why"),
    [
        (None, seen(), (0, 0), "nothing is on"),
        (None, seen(2.2), (0, 0), "a meter's offset is no load"),
        (None, seen(120.4), (121, 121), "welded, or switched on by somebody else: it counts as measured"),
        (session(Phase.QUEUED), seen(), (0, 0), "who waits draws nothing yet"),
        (session(Phase.QUEUED), seen(60.0), (60, 60), "... unless it does"),
        (session(Phase.OPENING), seen(), (920, 0), "a start takes its limit and the gulp of its first seconds"),
        (session(Phase.OPENING, on_s=NOW_S - 60), seen(), (800, 0), "nobody has plugged in yet"),
        (charging(for_s=60), seen(200.0), (800, 200), "its plateau is not known yet"),
        (charging(), seen(200.0), (230, 200), "its peak, and a little more"),
        (charging(), seen(60.0), (230, 60), "a pause comes back to the peak"),
        (charging(), seen(500.0), (500, 500), "never less than is drawn"),
        (charging(finish=finish(fell_from=0.4, modest_s=600)), seen(30.0), (81, 30), "a tail does not turn back"),
        (charging(finish=finish(fell_from=1.0, modest_s=600)), seen(30.0), (230, 30), "an abrupt fall is a pause"),
        (charging(), seen(200.0, ago_s=61), (800, 200), "a silent meter counts as full load"),
        (session(Phase.SUSPENDED, on_s=NOW_S - 900), seen(), (800, 0), "after a restart anything may be on"),
        (session(Phase.CLOSING, on_s=NOW_S - 900, finish=finish()), seen(150.0), (230, 150), "off is not proven yet"),
        (session(Phase.CLOSING, on_s=NOW_S - 99, started_at=None), seen(), (800, 0), "... of a load never seen"),
    ],
)
def test_what_an_outlet_counts_for(live: Any, shown: Seen, share_w: tuple[int, int], why: str) -> None:
    assert share(outlet(), shown, live, RULES, NOW_S) == Share(*share_w), why


def test_commissioning_counts_and_so_does_an_outlet_out_of_service_that_nobody_can_see() -> None:
    assert share(outlet(OutletPhase.PROVING), seen(), None, RULES, NOW_S).reserved_w == 920
    assert share(outlet(latch="relay_fault"), seen(None, ago_s=900), None, RULES, NOW_S).reserved_w == 800
    assert share(outlet(latch="relay_fault"), seen(0.0), None, RULES, NOW_S).reserved_w == 0


# -- the sums -----------------------------------------------------------------------------------------------------


def house(limits: dict[str, float], piles: dict[str, str]) -> Grid:
    """Outlets by pile, all of site s1."""
    grid = Grid()
    for name, pile in piles.items():
        grid.hang(outlet(id=name, pile=pile))
    for key, limit_w in limits.items():
        grid.limit(key, limit_w)
    return grid


def test_an_outlet_without_any_limit_is_not_weighed_at_all() -> None:
    grid = house({pile_key("p2"): 3500.0}, {"o1": "p1", "o2": "p2"})

    assert set(grid.limited) == {"o2"}
    assert grid.weigh("o1", Share(800, 800), NOW_S) is False


def test_a_limit_that_comes_later_finds_what_is_already_on_and_one_that_goes_lets_go() -> None:
    grid = house({pile_key("p1"): 3500.0}, {"o1": "p1", "o2": "p1"})
    grid.weigh("o1", Share(800, 200), NOW_S)

    grid.limit(site_key("s1"), 5000.0)
    assert grid.unweighed == {"o1", "o2"}
    for name in sorted(grid.unweighed):
        grid.weigh(name, Share(800, 200), NOW_S)
    assert [f.reserved_w for f in grid.feeders.values()] == [1600, 1600]

    grid.limit(pile_key("p1"), None)
    grid.limit(site_key("s1"), None)
    assert [(f.reserved_w, f.drawn_w) for f in grid.feeders.values()] == [(0, 0), (0, 0)]


def test_too_much_is_too_much_only_for_so_long_and_whoever_came_last_is_cut_first() -> None:
    grid = house({site_key("s1"): 1000.0}, {"o1": "p1", "o2": "p1", "o3": "p2"})
    for name, drawn_w in (("o1", 500), ("o2", 300), ("o3", 450)):
        grid.weigh(name, Share(drawn_w, drawn_w), NOW_S)

    assert list(grid.too_much(NOW_S + RULES.over_limit_s - 1, RULES)) == []
    assert list(grid.too_much(NOW_S + RULES.over_limit_s, RULES)) == ["site:s1"]
    paid_s = {"o1": 30.0, "o2": 20.0, "o3": 10.0}
    assert grid.last_come("site:s1", paid_s.get) == ["o1"]
    assert grid.last_come("site:s1", {"o2": 20.0, "o3": 10.0}.get) == ["o2"]

    grid.weigh("o1", Share(200, 200), NOW_S + 10)
    assert list(grid.too_much(NOW_S + 3600, RULES)) == []


# -- the line -----------------------------------------------------------------------------------------------------


def wait(grid: Grid, name: str, queued_s: float, wanted_w: int = NEEDED_W) -> None:
    grid.wait(session(Phase.QUEUED, id=f"S-{name}", outlet=name, queued_s=queued_s), wanted_w)


def test_first_paid_is_first_served_whenever_it_came_into_the_line() -> None:
    grid = house({site_key("s1"): 1000.0}, {"o1": "p1", "o2": "p1"})
    wait(grid, "o2", 20.0)
    wait(grid, "o1", 10.0)

    turn = grid.turn("s1", lambda name: True)

    assert turn is not None
    assert turn.outlet == "o1"
    assert (grid.place_of("o1"), grid.place_of("o2")) == (1, 2)


def test_who_is_blocked_by_a_pile_alone_blocks_nobody_of_other_piles() -> None:
    grid = house({site_key("s1"): 9000.0, pile_key("p1"): 1000.0}, {"o1": "p1", "o2": "p1", "o3": "p1", "o4": "p2"})
    grid.weigh("o1", Share(800, 800), NOW_S)
    for at_s, name in enumerate(("o2", "o3", "o4")):
        wait(grid, name, float(at_s))

    turn = grid.turn("s1", lambda name: True)

    assert turn is not None
    assert turn.outlet == "o4"


def test_nobody_small_overtakes_who_waits_for_the_site() -> None:
    grid = house({site_key("s1"): 1000.0}, {"o1": "p1", "o2": "p2", "o3": "p3"})
    grid.weigh("o1", Share(400, 400), NOW_S)
    wait(grid, "o2", 1.0, 920)
    wait(grid, "o3", 2.0, 300)

    assert grid.turn("s1", lambda name: True) is None


def test_who_cannot_be_reached_keeps_the_place_and_is_passed_over() -> None:
    grid = house({site_key("s1"): 1000.0}, {"o1": "p1", "o2": "p2"})
    wait(grid, "o1", 1.0)
    wait(grid, "o2", 2.0)

    turn = grid.turn("s1", lambda name: name != "o1")

    assert turn is not None
    assert (turn.outlet, grid.place_of("o1")) == ("o2", 1)


# -- for any order of things --------------------------------------------------------------------------------------

OUTLETS = {f"o{number}": f"p{number // 3}" for number in range(9)}
LIMITS = {site_key("s1"): 2500.0, pile_key("p0"): 1000.0, pile_key("p1"): 1900.0}
DOES = st.one_of(
    st.tuples(st.just("come"), st.sampled_from(sorted(OUTLETS)), st.sampled_from([230, 500, 920])),
    st.tuples(st.just("go"), st.sampled_from(sorted(OUTLETS)), st.just(0)),
    st.tuples(st.just("settle"), st.sampled_from(sorted(OUTLETS)), st.integers(0, 230)),
)


class Line:
    """A grid driven as the engine drives it: every turn is taken at once, and weighs."""

    def __init__(self) -> None:
        self.grid = house(LIMITS, OUTLETS)
        self.number = count(1)
        self.on: dict[str, int] = {}
        self.line: dict[str, tuple[int, int]] = {}  # by outlet: when it came, and what it needs

    def does(self, what: str, name: str, watts: int) -> None:
        if what == "come" and name not in self.on and name not in self.line:
            self.line[name] = (next(self.number), watts)
            wait(self.grid, name, float(self.line[name][0]), watts)
        elif what == "go":
            self._counts(name, 0)
            self.on.pop(name, None)
            if self.line.pop(name, None):
                self.grid.leave(name)
        elif what == "settle" and name in self.on:
            self._counts(name, min(watts, self.on[name]))

    def turns(self) -> Iterator[str]:
        while (place := self.grid.turn("s1", lambda name: True)) is not None:
            yield place.outlet
            self.grid.leave(place.outlet)
            del self.line[place.outlet]
            self._counts(place.outlet, place.needed_w)

    def _counts(self, name: str, watts: int) -> None:
        self.grid.weigh(name, Share(watts, watts), 0.0)
        self.on[name] = watts

    def room_w(self, name: str) -> int:
        """What would fit, reckoned from all that is on and not from the sums."""
        of = (site_key("s1"), pile_key(OUTLETS[name]))
        on_w = {key: sum(w for o, w in self.on.items() if key in (of[0], pile_key(OUTLETS[o]))) for key in of}
        return min(int(LIMITS.get(key, 1e6)) - on_w[key] for key in of)


@settings(max_examples=300, deadline=None)
@given(st.lists(DOES, max_size=60))
def test_it_never_exceeds_keeps_the_order_and_leaves_nothing_idle(story: list[tuple[str, str, int]]) -> None:
    line = Line()
    for what, name, watts in story:
        line.does(what, name, watts)
        for started in line.turns():
            came = line.line[started][0]
            ahead = [o for o, (at, _) in line.line.items() if at < came]
            # whoever stands before it waits for another pile, and for that pile alone
            assert all(OUTLETS[o] != OUTLETS[started] for o in ahead)
            assert all(line.line[o][1] > _pile_room_w(line, o) for o in ahead if not _behind(line, o))
        assert all(line.room_w(name) >= 0 for name in OUTLETS)
        _nothing_idle(line)


def _pile_room_w(line: Line, name: str) -> int:
    on_w = sum(w for o, w in line.on.items() if OUTLETS[o] == OUTLETS[name])
    return int(LIMITS.get(pile_key(OUTLETS[name]), 1e6)) - on_w


def _behind(line: Line, name: str) -> bool:
    """Somebody of its own pile waits longer."""
    return any(OUTLETS[o] == OUTLETS[name] and at < line.line[name][0] for o, (at, _) in line.line.items())


def _nothing_idle(line: Line) -> None:
    """The first who fits the pile, and stands behind nobody of it, does not fit the site."""
    for name in sorted(line.line, key=lambda o: line.line[o][0]):
        if not _behind(line, name) and line.line[name][1] <= _pile_room_w(line, name):
            assert line.line[name][1] > line.room_w(name)
            return


@settings(max_examples=100, deadline=None)
@given(st.lists(DOES, max_size=60), st.sampled_from(sorted(OUTLETS)))
def test_nobody_starves_however_many_come_after(story: list[tuple[str, str, int]], name: str) -> None:
    """Charges end, others come at once in their place: who waited when it began has its turn within one round."""
    line = Line()
    for what, other, watts in story:
        line.does(what, other, watts)
        list(line.turns())
    line.does("go", name, 0)
    line.does("come", name, 920)
    list(line.turns())
    for _ in range(2 * len(OUTLETS)):
        if name in line.on:
            break
        oldest = next(iter(line.on))
        line.does("go", oldest, 0)
        line.does("come", oldest, 230)
        list(line.turns())
    assert name in line.on


def test_a_made_session_needs_its_limit_and_the_gulp() -> None:
    assert made.session().power_w == 800.0
    assert NEEDED_W == 920
