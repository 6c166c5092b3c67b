"""What is remembered of a bike, what that is good for, and that one odd charge spoils none of it."""

from random import Random

import msgspec
import pytest

from controller.core.bikes import (
    BEYOND,
    FIRST,
    KNOWN,
    Course,
    Figures,
    Memory,
    aim,
    drifts,
    figures_of,
    followed,
    learned,
    reached,
    usual_of,
)
from controller.core.finish import FinishState, begin, observe
from simulators.curves import charge, truth

STEP_S = 10.0
USUAL = Figures(168.0, 2.0, 420.0, 48.0, 150.0, 35.0, 40.0)


def run(powers: list[float], percent: int = 100, memory: Memory | None = None) -> tuple[FinishState, Course, str]:
    """A charge as a session sees it: the detector first, then its course and the wish; "" if neither ended it."""
    state, course, wish = begin(0.0), None, aim(percent, memory)
    for step, power_w in enumerate(powers):
        state, verdict = observe(state, step * STEP_S, power_w)
        course = followed(course, state)
        if verdict is not None:
            return state, course, str(verdict.reason)
        if reached(wish, course, state) is not None:
            return state, course, "wished"
    assert course is not None
    return state, course, ""


def lithium(bulk_min: float, half_min: float = 18.0, peak_w: float = 168.0, idle_w: float = 2.0) -> list[float]:
    """Constant current that rises by a tenth, then a tail."""
    bulk = int(bulk_min * 60 / STEP_S)
    powers = [peak_w * (0.9 + 0.1 * step / bulk) for step in range(bulk)]
    tail = [max(idle_w, peak_w * 0.5 ** (step * STEP_S / 60 / half_min)) for step in range(int(8 * 3600 / STEP_S))]
    return powers + tail


def figures(**other: float) -> Figures:
    return msgspec.structs.replace(USUAL, **other)


def after(charges: list[Figures]) -> Memory:
    memory = Memory()
    for one in charges:
        memory = learned(memory, one)
    return memory


def usual(times: int = 8, seed: int = 1) -> list[Figures]:
    """Ordinary charges of one bike: it comes as empty as it comes, the rest varies by some per cent."""
    rng = Random(seed)
    return [
        figures(
            peak_w=168 * rng.uniform(0.98, 1.02),
            energy_wh=rng.uniform(200, 420),
            after_wh=48 * rng.uniform(0.93, 1.07),
            bulk_min=rng.uniform(60, 150),
            absorption_min=35 * rng.uniform(0.93, 1.07),
            tail_min=40 * rng.uniform(0.93, 1.07),
        )
        for _ in range(times)
    ]


def test_a_memory_is_a_few_hundred_bytes_however_many_charges_it_holds() -> None:
    assert len(msgspec.json.encode(after(usual(400)))) < 600


def test_a_memory_written_before_a_field_was_known_still_loads() -> None:
    assert msgspec.json.decode(b'{"charges":4,"peak_w":[4,168.0]}', type=Memory).peak_w.mean == 168.0


def test_one_odd_charge_moves_a_norm_by_less_than_a_tenth() -> None:
    memory = after(usual(8))
    odd = learned(memory, figures(after_wh=2000.0, tail_min=900.0))

    assert abs(odd.after_wh.mean - memory.after_wh.mean) < 0.1 * memory.after_wh.mean
    assert abs(odd.tail_min.mean - memory.tail_min.mean) < 0.1 * memory.tail_min.mean


def test_a_bike_that_has_really_changed_is_known_anew_after_some_charges() -> None:
    memory = after(usual(8) + [figures(tail_min=60.0)] * 25)

    assert memory.tail_min.mean == pytest.approx(60.0, rel=0.1)


def test_capacity_is_the_most_that_went_in_and_fades_when_it_is_not_seen_again() -> None:
    memory = after([figures(energy_wh=450.0), *[figures(energy_wh=300.0)] * 100])

    assert after([*usual(1), figures(energy_wh=450.0)]).capacity_wh == 450.0
    assert 300.0 <= memory.capacity_wh < 310.0


def test_one_charge_by_a_strange_charger_is_told_and_teaches_nothing() -> None:
    memory = after(usual(6))
    odd = learned(memory, figures(peak_w=400.0, after_wh=200.0))

    assert odd == msgspec.structs.replace(memory, strangers=1)
    assert learned(odd, USUAL).strangers == 0


def test_three_charges_by_another_charger_are_a_new_one() -> None:
    memory = after([*usual(6), *[figures(peak_w=400.0)] * 3])

    assert memory.charges == 1
    assert memory.peak_w.mean == 400.0


# -- drift --------------------------------------------------------------------------------------------------------


def test_nothing_is_said_to_drift_before_the_norm_is_known() -> None:
    assert drifts(after(usual(FIRST - 1)), figures(tail_min=400.0)) == ()


@pytest.mark.parametrize("seed", range(40))
def test_ordinary_charges_are_never_said_to_drift(seed: int) -> None:
    charges = usual(60, seed)
    memory = after(charges[:FIRST])
    for one in charges[FIRST:]:
        assert drifts(memory, one) == ()
        memory = learned(memory, one)


def test_a_stage_that_grows_by_one_per_cent_a_charge_is_noticed() -> None:
    """A running mean grows along with it: it is held against the bike's first charges."""
    memory, noticed = after([USUAL] * FIRST), []
    for month in range(1, 60):
        one = figures(absorption_min=35 * 1.01**month)
        if drifts(memory, one):
            noticed.append(month)
        memory = learned(memory, one)

    assert noticed[0] == pytest.approx(23, abs=1)  # 1.01 ** 23 is 1.26
    assert noticed == list(range(noticed[0], 60))


def test_a_drift_says_what_it_is_and_what_is_usual() -> None:
    (drift,) = drifts(after(usual(8)), figures(absorption_min=35 * BEYOND * 1.1))

    assert drift.what == "absorption_min"
    assert drift.usual == pytest.approx(35, rel=0.1)


def test_a_shorter_bulk_is_no_drift_since_the_bike_came_half_full() -> None:
    assert drifts(after(usual(8)), figures(bulk_min=10.0, energy_wh=60.0)) == ()
    assert drifts(after(usual(8)), figures(bulk_min=900.0)) == ()


def test_far_more_energy_than_ever_went_in_is_told() -> None:
    assert [drift.what for drift in drifts(after(usual(8)), figures(energy_wh=700.0))] == ["energy_wh"]


# -- a charge as it goes ------------------------------------------------------------------------------------------


def test_what_is_learned_after_the_plateau_is_the_same_however_full_the_bike_came() -> None:
    empty, half = (figures_of(*run(lithium(minutes))[:2]) for minutes in (150, 60))

    assert empty is not None
    assert half is not None
    assert empty.energy_wh > half.energy_wh + 200
    assert half.after_wh == pytest.approx(empty.after_wh, rel=0.03)
    assert half.absorption_min == pytest.approx(empty.absorption_min, rel=0.03)


def test_what_came_full_or_begun_in_its_tail_teaches_nothing() -> None:
    full = [6.0] * 400
    tail = lithium(150)[int(150 * 60 / STEP_S) + 200 :]

    assert figures_of(*run(full)[:2]) is None
    assert figures_of(*run(tail)[:2]) is None


def test_a_charge_unseen_for_a_quarter_of_an_hour_teaches_nothing() -> None:
    state, course = begin(0.0), None
    for t_s, power_w in [*((t, 160.0) for t in range(0, 3600, 10)), *((t, 160.0) for t in range(5000, 6000, 10))]:
        state, _ = observe(state, float(t_s), power_w)
        course = followed(course, state)

    assert course is not None
    assert course.gap
    assert figures_of(state, course) is None


def test_the_detector_is_told_what_is_usual_once_that_is_known() -> None:
    assert usual_of(after(usual(KNOWN - 1))) is None
    known = usual_of(after([USUAL] * KNOWN))
    assert known is not None
    assert (known.energy_wh, known.peak_w, known.idle_w) == (420.0, 168.0, 2.0)


# -- stop at about ------------------------------------------------------------------------------------------------


def missing_share(percent: int, bulk_min: float, memory: Memory | None = None) -> float:
    """How much of a pack that takes 480 Wh from empty is missing at the stop, by the curve alone."""
    powers = lithium(bulk_min)
    state, _, ended = run(powers, percent, memory)
    assert ended == "wished"
    whole = sum(power_w - 2.0 for power_w in powers if power_w > 2.0) * STEP_S / 3600
    return (whole - state.energy_wh) / 480


@pytest.mark.parametrize("bulk_min", [20, 60, 150])
def test_stop_at_80_ends_when_the_power_has_begun_to_fall_however_full_the_bike_came(bulk_min: float) -> None:
    assert 0.08 < missing_share(80, bulk_min) < 0.16


@pytest.mark.parametrize("bulk_min", [60, 150])
def test_stop_at_90_goes_on_for_longer_than_80(bulk_min: float) -> None:
    assert missing_share(90, bulk_min) < missing_share(80, bulk_min) - 0.005


def test_a_known_bike_stops_at_90_with_a_tenth_of_its_capacity_missing() -> None:
    learnt = figures_of(*run(lithium(150))[:2])
    assert learnt is not None
    memory = msgspec.structs.replace(after([learnt] * 5), capacity_wh=480.0)
    aimed, unknown = missing_share(90, 60, memory), missing_share(90, 60)

    assert aimed == pytest.approx(0.1, abs=0.015)
    assert abs(aimed - 0.1) <= abs(unknown - 0.1)


def test_100_stops_at_nothing_but_full() -> None:
    assert run(lithium(60), 100)[2] == "finished"


@pytest.mark.parametrize("shape", ["thermal pause", "brown-out"])
@pytest.mark.parametrize("seed", range(15))
def test_a_pause_on_the_plateau_is_not_taken_for_the_taper(shape: str, seed: int) -> None:
    made = charge(shape, seed)
    powers = made.powers(made.charge_s + 3600)
    state, course, ended = run(powers, 80)
    if ended == "wished":
        assert course.knee_wh >= 0.5 * truth(made).useful_wh
        assert state.recent_w > 0.1 * state.peak_w


def test_a_throttled_charger_that_is_level_again_goes_on() -> None:
    assert run([168.0] * 400 + [110.0] * 400, 80)[2] == ""


def test_a_stop_says_by_which_figures() -> None:
    state, course, shown = begin(0.0), None, None
    wish = aim(80, None)
    for step, power_w in enumerate(lithium(60)):
        state, _ = observe(state, step * STEP_S, power_w)
        course = followed(course, state)
        if (shown := reached(wish, course, state)) is not None:
            break

    assert shown is not None
    assert shown["stop_at_percent"] == 80
    assert 35 < shown["percent_of_peak"] < 90
    assert "capacity_wh" not in shown
