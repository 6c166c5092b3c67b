"""The world's own account of whose bike drew what: without it nobody could say who pays for whom."""

from random import Random

import pytest

from simulators.battery import Battery, Stage, sleeper
from simulators.twins.contact import Load, Nothing
from simulators.world_answers import STRANGER, Kettle, Lead, alike, larger, smaller
from simulators.world_devices import Watts
from simulators.world_plugs import Plugs

STEP_S = 10.0


class Outlet:
    """An outlet that is on, or not, with a true counter."""

    def __init__(self) -> None:
        self.wh, self.now_s, self.on = 0.0, 0.0, True
        self.load: Load = Nothing()
        self.plugs = Plugs(lambda: self.wh, lambda: self.load.draw_w(0.0) if self.on else 0.0)
        self.plugs.come()

    def plug(self, load: Load, visit: int | None = None) -> None:
        self.load = load
        self.plugs.changed(load, visit, self.now_s)

    def run(self, for_s: float) -> None:
        for _ in range(round(for_s / STEP_S)):
            self.now_s += STEP_S
            self.wh += self.load.draw_w(STEP_S) * STEP_S / 3600 if self.on else 0.0
            self.plugs.look(self.on, self.now_s)

    def swapped(self, load: Load, gap_s: float = 20.0) -> None:
        self.plug(Nothing())
        self.run(gap_s)
        self.plug(load, STRANGER)
        self.run(600.0)


def steady(power_w: float) -> Battery:
    return Battery((Stage(power_w, power_w, 1e6),), (Stage(1.0, 0.9, 1e6),), Random(1))


def at_work() -> Outlet:
    outlet = Outlet()
    outlet.plug(steady(200.0))
    outlet.run(600.0)
    return outlet


def test_what_a_larger_or_a_smaller_charger_drew_in_its_place_is_a_strangers() -> None:
    for load in (larger(Random(2)), smaller(steady(200.0), Random(2))):
        outlet = at_work()
        before_wh = outlet.wh
        outlet.swapped(load)
        strange_wh = outlet.plugs.of_strangers_wh(outlet.plugs.visit, 0.0)
        assert strange_wh == pytest.approx(outlet.wh - before_wh)
        assert strange_wh > 10.0


def test_one_of_the_same_model_is_held_against_nobody() -> None:
    outlet = at_work()
    outlet.swapped(alike(steady(200.0), Random(3)))
    assert outlet.plugs.of_strangers_wh(outlet.plugs.visit, 0.0) == 0.0


@pytest.mark.parametrize("gap_s", [0.0, 900.0])
def test_a_swap_too_fast_to_be_seen_or_after_the_window_is_not_counted(gap_s: float) -> None:
    outlet = at_work()
    outlet.swapped(larger(Random(4)), gap_s)
    assert outlet.plugs.of_strangers_wh(outlet.plugs.visit, 0.0) == 0.0


def test_who_stood_there_alone_is_known() -> None:
    outlet = at_work()
    alone = outlet.plugs.alone_since(outlet.plugs.visit, 0.0)
    assert alone is not None
    assert alone.most_w > 190.0
    outlet.swapped(larger(Random(5)))
    assert outlet.plugs.alone_since(outlet.plugs.visit, 0.0) is None


@pytest.mark.parametrize("wakes_by_power", [True, False])
def test_a_charger_asleep_wakes_as_it_is_made_to(wakes_by_power: bool) -> None:
    outlet = Outlet()
    pack = sleeper(Random(6), wakes_by_power)
    outlet.plug(pack)
    outlet.run(1_200.0)
    assert pack.draw_w(0.0) < 5.0

    outlet.on = False
    outlet.run(75.0)
    outlet.on = True
    outlet.run(60.0)
    assert (pack.draw_w(0.0) > 100.0) is wakes_by_power

    outlet.plug(Nothing())
    outlet.plug(pack)
    outlet.run(60.0)
    assert pack.draw_w(0.0) > 100.0


def test_a_kettle_rests_and_a_lead_carries_both() -> None:
    kettle = Kettle(Random(7))
    draws = [kettle.draw_w(10.0) for _ in range(100)]
    assert min(draws) == 0.0 < max(draws)
    assert Lead(Watts(100.0), Watts(60.0)).draw_w(1.0) == 160.0


def test_a_smaller_stranger_after_one_that_looked_like_the_tail_is_held_against_nobody() -> None:
    """Of the session all three are one bike: at its best, in its tail, and further down."""
    outlet = Outlet()
    outlet.plug(steady(400.0))
    outlet.run(600.0)
    outlet.swapped(steady(120.0))
    later_s = outlet.now_s - 100.0
    outlet.plug(Nothing())
    outlet.run(20.0)
    outlet.plug(steady(60.0), STRANGER - 1)
    outlet.run(600.0)
    assert outlet.plugs.of_strangers_wh(outlet.plugs.visit, 0.0) == 0.0
    assert outlet.plugs.of_strangers_wh(STRANGER, later_s) == pytest.approx(10.0, abs=0.5)  # of a session since then


def test_what_was_drawn_before_a_swap_is_sure() -> None:
    outlet = at_work()
    before_wh = outlet.wh
    outlet.swapped(larger(Random(8)))
    assert outlet.plugs.sure_wh(outlet.plugs.visit, 0.0) == pytest.approx(before_wh)


def test_what_was_drawn_on_trial_before_a_swap_is_not_sure() -> None:
    """Its power fails, and it is gone before it was found to be the same again."""
    outlet = at_work()
    before_wh = outlet.wh
    outlet.on = False
    outlet.run(60.0)
    outlet.on = True
    outlet.run(150.0)
    assert outlet.wh > before_wh + 5.0
    outlet.swapped(larger(Random(9)))
    assert outlet.plugs.sure_wh(outlet.plugs.visit, 0.0) == pytest.approx(before_wh)


def test_what_was_drawn_before_a_swap_long_after_a_power_failure_is_sure() -> None:
    outlet = at_work()
    outlet.on = False
    outlet.run(60.0)
    outlet.on = True
    outlet.run(400.0)
    before_wh = outlet.wh
    outlet.swapped(larger(Random(10)))
    assert outlet.plugs.sure_wh(outlet.plugs.visit, 0.0) == pytest.approx(before_wh)


def test_what_a_process_that_died_with_the_power_had_no_time_to_write_is_not_sure() -> None:
    """Also if somebody pulls the plug in the very same moment."""
    outlet = at_work()
    before_wh = outlet.wh
    outlet.now_s += 1.0
    outlet.on = False
    outlet.plug(Nothing())
    outlet.plugs.look(False, outlet.now_s, watched=False)
    outlet.now_s += 20.0
    outlet.on = True
    outlet.plug(larger(Random(11)), STRANGER)
    outlet.run(100.0)
    assert outlet.plugs.sure_wh(outlet.plugs.visit, 0.0) == pytest.approx(before_wh - 200.0 * 30.0 / 3600, abs=0.1)


def test_nothing_is_called_sure_where_nobody_else_came() -> None:
    outlet = at_work()
    outlet.plug(Nothing())
    assert outlet.plugs.sure_wh(outlet.plugs.visit, 0.0) is None
