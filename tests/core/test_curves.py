"""Made-up charges are what they say they are, and meters show of them what meters do."""

from itertools import pairwise
from random import Random
from statistics import mean

import pytest

from controller.core.state import Rules
from simulators.curves import HIDDEN_SEEDS, SHAPES, STEP_S, Charge, Kind, charge, truth, useful
from simulators.curves_parts import Part, hold, pulses, split, tail
from simulators.curves_seen import DEGRADATIONS, MODES, measured, reported, seen, shown, told

ENDING = [shape for shape in SHAPES if charge(shape, 0).kind is Kind.ENDS]
DAY_S = 10 * 3600.0


def readings(shape: str, mode: str, degraded: str = "", until_s: float = 3600.0) -> list[tuple[float, float]]:
    made = charge(shape, 3)
    return seen(made, made.powers(DAY_S), mode, Random(5), degraded, until_s)


# -- the charges --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_a_seed_gives_the_same_charge_for_ever_and_another_gives_another(shape: str) -> None:
    first, again, other = (charge(shape, seed).powers(DAY_S) for seed in (1, 1, 2))

    assert first == again
    assert first != other or shape == "nothing plugged"


@pytest.mark.parametrize("shape", ENDING)
def test_what_ends_is_full_within_the_longest_session(shape: str) -> None:
    for seed in range(20):
        true = truth(charge(shape, seed))

        assert true.full_s is not None
        assert 600 < true.full_s < Rules().session_s
        assert true.most_s <= true.full_s
        assert 10 < true.useful_wh < 2500
        assert 20 < true.peak_w <= 610


def test_what_is_true_of_a_charge_is_read_off_its_curve() -> None:
    # an hour at 100 W, half an hour at 10 W, and 2 W for ever
    true = truth(Charge(Kind.ENDS, (hold(60, 100.0), hold(30, 10.0)), (hold(60, 2.0),)))

    assert true.full_s == 5400.0
    assert true.idle_w == 2.0
    assert true.peak_w == 100.0
    assert true.useful_wh == pytest.approx(98 + 4)
    assert true.most_s == pytest.approx(3600 + (0.99 * 102 - 98) / 8 * 3600, abs=STEP_S)


def test_what_is_within_three_watts_of_idle_is_not_worth_waiting_for() -> None:
    true = truth(Charge(Kind.ENDS, (hold(60, 90.0), hold(30, 4.9)), (hold(60, 2.0),)))

    assert true.full_s == 3600.0


def test_pulses_that_keep_a_full_pack_full_are_no_charging() -> None:
    parts = ((hold(60, 200.0),), (*pulses(60, 4, 5.0, 0.5, 60.0), hold(60, 5.0)))

    assert truth(Charge(Kind.ENDS, *parts, maintained=True)).full_s == 3600.0
    assert (truth(Charge(Kind.ENDS, *parts)).full_s or 0.0) > 2.9 * 3600


@pytest.mark.parametrize("shape", ["never turns", "heater"])
def test_what_never_turns_is_never_full(shape: str) -> None:
    made = charge(shape, 1)

    assert truth(made).full_s is None
    assert min(made.powers(DAY_S)[-100:]) >= 60


@pytest.mark.parametrize("shape", ["nothing plugged", "full when plugged", "full with high idle"])
def test_what_takes_nothing_is_full_at_once(shape: str) -> None:
    true = truth(charge(shape, 1))

    assert (true.full_s, true.useful_wh) == (0.0, 0.0)
    assert true.peak_w < 16


def test_an_emptied_socket_draws_nothing_ever_after() -> None:
    for seed in range(20):
        made = charge("unplugged", seed)

        assert truth(made).full_s == pytest.approx(made.charge_s, abs=STEP_S)
        assert set(made.powers(DAY_S)[int(made.charge_s // STEP_S) + 1 :]) == {0.0}


def test_a_tail_halves_what_is_above_its_floor() -> None:
    part = tail(104.0, 6.5, 20, 4.0)

    assert part.at_w(0) == pytest.approx(104)
    assert part.at_w(1200) == pytest.approx(54)
    assert part.at_w(part.lasts_s) == pytest.approx(6.5)


def test_a_part_in_two_is_the_same_part() -> None:
    whole = Part(100.0, 5.0, 3600.0, 2.0)
    two = split(whole, 0.3)

    for at_s in (100.0, 2000.0, 3500.0):
        there = two[0].at_w(at_s) if at_s < two[0].lasts_s else two[1].at_w(at_s - two[0].lasts_s)
        assert there == pytest.approx(whole.at_w(at_s))


def test_power_may_be_looked_at_more_finely() -> None:
    made = charge("standby", 1)
    coarse, fine = made.powers(DAY_S), made.powers(DAY_S, 1.0)

    assert coarse == pytest.approx(fine[::10])
    assert useful(fine, 2.0, 1.0) == pytest.approx(useful(coarse, 2.0), rel=0.01)


# -- what is seen of them -----------------------------------------------------------------------------------------


def test_a_meter_is_wrong_by_a_percent_either_way() -> None:
    shares = [seen_w / 100 for seen_w in measured([100.0] * 2000, Random(1))]

    assert mean(shares) == pytest.approx(1, abs=0.001)
    assert 0.0115 < max(shares) - 1 <= 0.012


@pytest.mark.parametrize(("mode", "every_s"), [("10 s", 10), ("60 s", 60), ("300 s", 300)])
def test_regular_reports_are_regular_after_the_first(mode: str, every_s: float) -> None:
    gaps = {after[0] - before[0] for before, after in pairwise(readings("standby", mode)[1:])}

    assert gaps == {every_s}


@pytest.mark.parametrize("mode", [mode for mode in MODES if MODES[mode].by_w])
def test_reports_on_change_miss_no_change_and_no_heartbeat(mode: str) -> None:
    powers = [round(power, 1) for power in charge("lead-acid", 2).powers(DAY_S)]
    by_w, every_s = MODES[mode].by_w or 0.0, MODES[mode].every_s
    told = dict(reported(powers, MODES[mode], Random(1)))
    last_w, last_s = powers[0], 0.0
    for at, power in enumerate(powers):
        if at * STEP_S in told:
            last_w, last_s = told[at * STEP_S], at * STEP_S

        assert abs(power - last_w) < by_w + 1e-6
        assert at * STEP_S - last_s < every_s


@pytest.mark.parametrize("mode", [mode for mode in MODES if MODES[mode].by_w])
def test_who_speaks_on_change_is_asked_each_minute_and_says_the_same_again(mode: str) -> None:
    made = charge("standby", 3)
    shown_w = shown(made.powers(DAY_S), Random(1))
    by_itself, all_told = reported(shown_w, MODES[mode], Random(1)), told(made, shown_w, mode, Random(1))

    assert set(by_itself) <= set(all_told)
    assert max(after[0] - before[0] for before, after in pairwise(all_told)) <= 60
    assert all_told[-1][0] >= DAY_S - 60
    last_w = dict(by_itself)
    for at_s, power_w in all_told:
        assert power_w == last_w[max(said_s for said_s in last_w if said_s <= at_s)]


def test_a_coarse_meter_tells_whole_watts() -> None:
    assert all(power_w == int(power_w) for _, power_w in readings("standby", "60 s in 1 W"))


def test_a_plug_without_mains_says_nothing() -> None:
    made = charge("mains loss", 3)
    (start_s, end_s) = made.silent[0]

    assert end_s - start_s >= 120
    assert not [at_s for at_s, _ in readings("mains loss", "10 s") if start_s <= at_s < end_s]


@pytest.mark.parametrize("degraded", DEGRADATIONS)
def test_whatever_happens_on_the_way_something_is_seen_and_differs(degraded: str) -> None:
    assert 300 < len(readings("standby", "60 s", degraded)) <= 601
    assert readings("standby", "60 s", degraded) != readings("standby", "60 s")


def test_one_message_in_fifty_is_lost() -> None:
    assert len(readings("standby", "10 s", "loss")) == pytest.approx(3601 * 0.98, abs=30)


def test_a_gap_lasts_between_five_minutes_and_half_an_hour() -> None:
    for seed in range(20):
        made = charge("standby", seed)
        told = seen(made, made.powers(DAY_S), "10 s", Random(seed), "gap", 7200.0)
        longest_s = max(after[0] - before[0] for before, after in pairwise(told))

        assert 300 <= longest_s <= 1820


def test_a_stuck_meter_goes_on_saying_the_same() -> None:
    told = readings("cc-cv", "10 s", "stuck")
    runs, length = [0], 0
    for before, after in pairwise(told[:400]):
        length = length + 1 if before[1] == after[1] else 0
        runs.append(length)

    assert 29 <= max(runs) <= 181


def test_an_offset_is_on_every_reading() -> None:
    powers = [power_w for _, power_w in readings("nothing plugged", "60 s", "offset")]

    assert len(set(powers)) == 1
    assert 0.2 <= powers[0] <= 2.2


def test_a_neighbour_leaks_half_a_percent_to_one_and_not_always() -> None:
    powers = {power_w for _, power_w in readings("nothing plugged", "10 s", "crosstalk")}

    assert len(powers) == 2
    assert min(powers) == 0
    assert 0.5 <= max(powers) <= 1.0


def test_a_meter_begun_anew_shows_nothing_once() -> None:
    before = readings("heater", "60 s")
    after = readings("heater", "60 s", "counter reset")

    assert [power_w for _, power_w in after].count(0.0) == 1
    assert len(after) == len(before)


def test_the_hidden_seeds_are_many_and_far_from_those_in_use() -> None:
    assert HIDDEN_SEEDS.start >= 900_000
    assert len(HIDDEN_SEEDS) >= 100_000
