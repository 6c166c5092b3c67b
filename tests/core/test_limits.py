"""Limits of a site or a pile, through the real engine: who starts, who waits, who is taken off, and what it costs."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.reasons import StopReason
from controller.core.state import Phase, Rules
from tests.core.desk_rig import Desk

ONE = 1000.0  # room for one start at a time
RULES = Rules()


class Limited(Desk):
    """A desk whose plugs speak every ten seconds, with a limit on the site."""

    def __init__(self, outlets: int = 3, limit_w: float | None = ONE, of: str = "site", subject: str = "s1") -> None:
        super().__init__(outlets)
        self.draws: dict[str, float] = {}
        self.welded: set[str] = set()
        if limit_w is not None:
            self.limit(limit_w, of, subject)

    def limit(self, power_w: float | None, of: str = "site", subject: str = "s1") -> str:
        self.clock.advance(1)
        return self.code(self.change(ev.Change.POWER, subject, of=of, power_w=power_w))

    def pays(self, outlet: str) -> None:
        number = f"{outlet[1:]}-{self.clock.now().at:.0f}"
        self.do(self.order(f"O{number}", outlet))
        self.do(self.paid(f"O{number}", f"T{number}"))

    def beat(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.advance(10)
            for outlet in self.house.outlets:
                on = self.on(outlet)
                power_w = self.draws.get(outlet, 0.0) if on or outlet in self.welded else 0.0
                self.counters[outlet] += power_w / 360
                stamp: dict[str, Any] = {**self.stamp(), "outlet": outlet}
                self.engine.inbox.tell(ev.RelayReported(**stamp, on=on))
                self.engine.inbox.tell(ev.Reading(**stamp, power_w=power_w, energy_wh=self.counters[outlet]))
            self.step()

    def on(self, outlet: str) -> bool:
        live = self.house.sessions.get(outlet)
        return live is not None and live.phase in (Phase.OPENING, Phase.CHARGING)

    def phase(self, outlet: str) -> str | None:
        live = self.house.sessions.get(outlet)
        return None if live is None else str(live.phase)

    def settled(self) -> dict[str, tuple[str, int]]:
        """By outlet: why, and what came back."""
        done = [row.session for row in self.rows if isinstance(row, fx.Receipt)]
        return {session.outlet: (str(session.reason), session.returned_fen) for session in done}

    def alarms(self) -> list[str]:
        raised = [row.outlet for row in self.rows if isinstance(row, fx.RaiseAlarm)]
        cleared = [row.outlet for row in self.rows if isinstance(row, fx.ClearAlarms)]
        return [outlet for outlet in raised if outlet not in cleared]


# -- starting and waiting -----------------------------------------------------------------------------------------


def test_without_a_limit_everybody_starts_in_the_step_of_the_payment() -> None:
    desk = Limited(limit_w=None)
    for outlet in desk.house.outlets:
        desk.pays(outlet)

    assert [desk.phase(outlet) for outlet in desk.house.outlets] == ["opening"] * 3
    assert desk.engine.board.loads == {}


def test_whoever_is_beyond_the_limit_waits_dead_and_starts_when_there_is_room() -> None:
    desk = Limited(outlets=2)
    desk.draws = {"o1": 200.0, "o2": 200.0}
    desk.pays("o1")
    desk.beat()
    desk.pays("o2")
    desk.beat(60)
    assert (desk.phase("o1"), desk.phase("o2")) == ("charging", "queued")

    desk.do(desk.stop("o1"))
    desk.beat()

    assert (desk.phase("o1"), desk.phase("o2")) == (None, "opening")
    desk.beat()
    assert desk.phase("o2") == "charging"


def test_a_charge_counts_for_its_plateau_once_that_is_known_and_the_next_may_start() -> None:
    desk = Limited(outlets=2, limit_w=1200.0)
    desk.draws = {"o1": 200.0, "o2": 200.0}
    desk.pays("o1")
    desk.pays("o2")
    desk.beat(int(RULES.settle_s / 10) - 2)
    assert desk.phase("o2") == "queued"

    desk.beat(5)

    assert desk.phase("o2") == "charging"


def test_a_full_pile_holds_up_nobody_elsewhere_and_a_limit_on_it_alone_is_enough() -> None:
    desk = Limited(outlets=2, of="pile", subject="p1")
    desk.pays("o1")
    desk.pays("o2")

    assert (desk.phase("o1"), desk.phase("o2")) == ("opening", "queued")


def test_starts_under_a_limit_keep_their_distance() -> None:
    desk = Limited(outlets=4, limit_w=9000.0)
    began: list[float] = []
    for outlet in desk.house.outlets:
        desk.pays(outlet)
    for _ in range(200):
        desk.wait(0.1)
        new = sum(desk.phase(outlet) == "opening" for outlet in desk.house.outlets) - 1 - len(began)
        began += [desk.clock.now().steady_s] * new

    gaps = [after - before for before, after in pairwise(began)]
    assert len(began) == 3
    assert all(RULES.stagger_s <= gap <= RULES.stagger_s * 1.5 + 0.2 for gap in gaps)


def test_who_cannot_be_reached_is_passed_over_and_comes_first_when_it_is_back() -> None:
    desk = Limited(outlets=3)
    desk.pays("o1")
    desk.pays("o2")
    desk.pays("o3")
    desk.do(ev.LinkLost(**desk.stamp(), outlet="o2"))
    desk.do(desk.stop("o1"))
    desk.reads("o1", 0.0)
    desk.wait(3)
    assert (desk.phase("o2"), desk.phase("o3")) == ("queued", "opening")

    desk.do(ev.LinkUp(**desk.stamp(), outlet="o2"))
    desk.do(desk.stop("o3"))
    desk.reads("o3", 0.0)
    desk.wait(5)

    assert desk.phase("o2") == "opening"


def test_nothing_starts_while_the_database_is_away_and_it_goes_on_when_it_is_back() -> None:
    desk = Limited(outlets=2)
    desk.pays("o1")
    desk.pays("o2")
    desk.do(desk.stop("o1"))
    late = desk.engine.step(desk.clock.now())
    assert late is None
    desk.engine._batches.rows.append(fx.Audit(0.0, "x", "x", "x", {}))
    unwritten = desk.engine.step(desk.clock.now())
    assert unwritten is not None
    desk.clock.advance(RULES.db_away_s + 1)
    reading = ev.Reading(**desk.stamp(), outlet="o1", power_w=0.0, energy_wh=1000.0)
    desk.engine.inbox.tell(reading)
    desk.engine.step(desk.clock.now())
    assert (desk.phase("o1"), desk.phase("o2")) == (None, "queued")

    for number in range(1, 50):
        desk.engine.committed(f"gw:{number}")
    desk.wait(6)

    assert desk.phase("o2") == "opening"


# -- leaving the line ---------------------------------------------------------------------------------------------


def test_a_waiting_card_that_taps_again_leaves_with_all_its_money() -> None:
    desk = Limited(outlets=2)
    desk.do(desk.topup(300))
    desk.pays("o1")
    desk.do(desk.tap("o2"))
    assert (desk.phase("o2"), desk.of("card:c1")) == ("queued", 0)

    desk.wait(30)
    desk.do(desk.tap("o2", session="SC2"))

    assert (desk.phase("o2"), desk.of("card:c1")) == (None, 300)


def test_who_waits_too_long_gets_everything_back_by_itself() -> None:
    desk = Limited(outlets=2)
    desk.draws = {"o1": 200.0}
    desk.pays("o1")
    desk.pays("o2")
    desk.beat(int(RULES.queue_max_s / 10) + 2)

    assert desk.phase("o1") == "charging"
    assert desk.settled()["o2"] == ("start_failed", 200)
    assert desk.of("refund_due") == 200


def test_a_cut_site_a_lock_and_a_broken_relay_end_the_waiting_with_everything_back() -> None:
    desk = Limited(outlets=4)
    for outlet in desk.house.outlets:
        desk.pays(outlet)
    desk.do(desk.change(ev.Change.LOCK, "o2"))
    for _ in range(2):
        desk.reads("o3", 90.0)
    desk.do(ev.SiteCutAsked(**desk.stamp(), key="cut", site="s1", by="staff:o"))

    assert desk.settled()["o2"] == ("stopped_by_staff", 200)
    assert desk.settled()["o3"] == ("start_failed", 200)
    assert desk.settled()["o4"] == ("site_cut", 200)
    assert desk.house.outlets["o3"].latch == "relay_fault"
    assert desk.house.grid.lines == {}


# -- the limit itself ---------------------------------------------------------------------------------------------


def test_a_limit_that_lets_nobody_start_is_refused_and_so_is_one_of_nothing() -> None:
    desk = Limited(limit_w=None)

    assert desk.limit(919.0) == "limit_too_low"
    assert desk.limit(float("nan")) == "limit_too_low"
    assert desk.limit(1e9) == "limit_too_low"
    assert desk.limit(2000.0, "pile", "p9") == "unknown"
    assert desk.limit(920.0) == "ok"
    assert fx.SavePower("site", "s1", 920.0) in desk.rows


def test_taking_the_limit_away_lets_everybody_start() -> None:
    desk = Limited()
    for outlet in desk.house.outlets:
        desk.pays(outlet)
    assert sorted(desk.phase(outlet) or "" for outlet in desk.house.outlets) == ["opening", "queued", "queued"]

    desk.limit(None)

    assert [desk.phase(outlet) for outlet in desk.house.outlets] == ["opening"] * 3


def test_a_limit_set_while_things_are_on_counts_them() -> None:
    desk = Limited(limit_w=None, outlets=2)
    desk.draws = {"o1": 300.0}
    desk.pays("o1")
    desk.beat(3)
    desk.limit(ONE)
    desk.pays("o2")

    assert desk.phase("o2") == "queued"


def test_a_commissioning_counts_and_does_not_begin_without_room() -> None:
    desk = Limited(outlets=2)
    desk.pays("o1")
    commission = desk.change(ev.Change.COMMISSION, "o2")
    assert desk.code(commission) == "no_room"
    desk.do(desk.stop("o1"))
    desk.reads("o1", 0.0)
    assert desk.code(desk.change(ev.Change.COMMISSION, "o2")) == "ok"

    desk.pays("o1")

    assert desk.phase("o1") == "queued"


# -- too much -----------------------------------------------------------------------------------------------------


def ramped() -> Limited:
    """Two charges of 200 W under 1,200 W; then both chargers take more than they have shown, 1,280 W together."""
    desk = Limited(outlets=2, limit_w=1200.0)
    desk.draws = {"o1": 200.0, "o2": 200.0}
    desk.pays("o1")
    desk.beat(40)
    desk.pays("o2")
    desk.beat(40)
    assert (desk.phase("o1"), desk.phase("o2")) == ("charging", "charging")
    desk.draws = {"o1": 780.0, "o2": 500.0}
    return desk


def test_a_site_over_its_limit_pauses_whoever_came_last_after_the_tolerance_and_says_so() -> None:
    desk = ramped()
    desk.beat(3)
    assert desk.phase("o2") == "charging"
    desk.beat()
    assert desk.phase("o2") == "closing"
    assert desk.alarms() == ["site:s1"]

    desk.beat()

    assert (desk.phase("o1"), desk.phase("o2")) == ("charging", "queued")
    assert desk.alarms() == []
    paused = [row for row in desk.rows if isinstance(row, fx.Moment) and row.what == "paused"]
    assert [(row.values["site_power_w"], row.values["limit_w"]) for row in paused] == [(1280.0, 1200.0)]


def test_a_paused_charge_does_not_come_back_before_a_whole_start_fits() -> None:
    desk = ramped()
    desk.beat(6)
    desk.draws["o1"] = 400.0
    desk.beat(60)
    assert desk.phase("o2") == "queued"  # what is drawn would leave room, what the first may come back to does not

    desk.do(desk.stop("o1"))
    desk.beat(2)

    assert desk.phase("o2") == "charging"


def test_a_paused_charge_is_billed_for_both_parts_and_its_time_is_not_running() -> None:
    desk = ramped()
    desk.beat(6)
    before = desk.house.sessions["o2"]
    desk.beat(60)
    desk.do(desk.stop("o1"))
    desk.beat(20)
    after = desk.house.sessions["o2"]

    assert after.meter.used_wh > before.meter.used_wh
    spent_s = desk.clock.now().steady_s - after.opened_s
    assert spent_s < desk.clock.now().steady_s - before.opened_s - 600

    desk.do(desk.stop("o2"))
    desk.beat()
    reason, back_fen = desk.settled()["o2"]
    assert (reason, 150 < back_fen < 200) == (str(StopReason.STOPPED_BY_RESIDENT), True)


def test_power_that_nobody_can_cut_counts_and_pauses_no_more_than_it_must() -> None:
    desk = Limited(outlets=3, limit_w=2500.0)
    desk.draws = {"o1": 300.0, "o2": 300.0}
    desk.pays("o1")
    desk.beat()
    desk.pays("o2")
    desk.beat(3)
    desk.draws["o3"] = 2100.0  # a welded relay with a heater on it
    desk.welded.add("o3")
    desk.beat(20)

    assert (desk.phase("o1"), desk.phase("o2")) == ("charging", "queued")
    assert desk.house.outlets["o3"].latch == "relay_fault"


# -- what others see ----------------------------------------------------------------------------------------------


def test_the_board_tells_places_and_sums() -> None:
    desk = Limited()
    for outlet in ("o2", "o3", "o1"):
        desk.pays(outlet)
        desk.wait(1)
    views, load = desk.engine.board.views, desk.engine.board.loads["site:s1"]

    assert [views[outlet].place for outlet in ("o2", "o3", "o1")] == [None, 1, 2]
    assert (load.limit_w, load.reserved_w, load.waiting, load.waiting_w) == (ONE, 920, 2, 1840)

    desk.do(desk.stop("o3"))
    desk.wait(1)

    assert desk.engine.board.views["o1"].place == 1
    assert desk.engine.board.loads["site:s1"].waiting == 1


@pytest.mark.parametrize("beats", [1, 7])
def test_the_sums_are_those_of_a_fresh_count(beats: int) -> None:
    """Whatever has happened, the kept sums equal what counting everything anew would give."""
    desk = Limited(outlets=6, limit_w=4000.0)
    desk.draws = {f"o{number}": 100.0 * number for number in range(1, 7)}
    for number in range(1, 7):
        desk.pays(f"o{number}")
        desk.beat(beats)
        if number % 2 == 0:
            desk.do(desk.stop(f"o{number - 1}"))
        feeder = desk.house.grid.feeders["site:s1"]
        shares = [desk.house.grid.share_of(outlet) for outlet in desk.house.outlets]
        assert feeder.reserved_w == sum(share.reserved_w for share in shares)
        assert feeder.drawn_w == sum(share.drawn_w for share in shares)
        assert feeder.reserved_w <= 4000


DOES = st.one_of(
    *[st.tuples(st.just("pays"), st.just(number), st.just(0.0)) for number in range(1, 6)],
    st.tuples(st.just("stops"), st.integers(1, 5), st.just(0.0)),
    st.tuples(st.just("draws"), st.integers(1, 5), st.sampled_from([0.0, 60.0, 200.0, 480.0, 780.0])),
    st.tuples(st.just("beats"), st.integers(1, 12), st.just(0.0)),
)


class Watched(Limited):
    """Judges every step in which somebody starts."""

    last_s = -1e9

    def step(self) -> None:
        before = {outlet for outlet in self.house.outlets if self.on(outlet)}
        super().step()
        started = {outlet for outlet in self.house.outlets if self.on(outlet)} - before
        if started and "site:s1" in self.house.grid.feeders and self.house.grid.feeders["site:s1"].limit_w:
            now_s = self.clock.now().steady_s
            assert len(started) == 1
            assert now_s - self.last_s >= RULES.stagger_s
            assert self.house.grid.feeders["site:s1"].reserved_w <= 2000
            self.last_s = now_s


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(DOES, min_size=12, max_size=40))
def test_whatever_happens_no_start_passes_the_limit_and_starts_keep_their_distance(
    story: list[tuple[str, int, float]],
) -> None:
    desk = Watched(outlets=5, limit_w=2000.0)
    for what, number, power_w in story:
        outlet = f"o{number}"
        if what == "pays" and outlet not in desk.house.sessions:
            desk.pays(outlet)
        elif what == "stops" and outlet in desk.house.sessions and desk.house.sessions[outlet].reason is None:
            desk.do(desk.stop(outlet))
        elif what == "draws":
            desk.draws[outlet] = power_w
        elif what == "beats":
            desk.beat(number)
        desk.clock.advance(1)


def test_a_line_that_cannot_move_keeps_nobody_busy() -> None:
    """A look at every millisecond would be a decider that does nothing else."""
    desk = Limited()
    for outlet in desk.house.outlets:
        desk.pays(outlet)
    desk.wait(60)

    due_s = desk.engine._grants.due_s

    assert due_s is not None
    assert due_s - desk.clock.now().steady_s >= 1.0
