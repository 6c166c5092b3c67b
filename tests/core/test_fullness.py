"""How full it probably was: true of charges whose truth is known, narrow enough to be worth saying, else silent."""

import pytest

from controller.core.fullness import FULL_WHEN_IT_CAME, Fullness, fullness
from controller.core.reasons import StopReason
from simulators.curves import STEP_S, charge, truth

STOPPED = StopReason.STOPPED_BY_RESIDENT
SAMPLE = 3  # a curve keeps each third step, which is 30 s
HOURS_AT_PEAK = 4.0  # no usual charger fills an empty pack faster, so no pack holds less
SHAPES = (
    "cc-cv",
    "standby",
    "high idle",
    "small",
    "fast",
    "snap-off",
    "soak",
    "lead-acid",
    "balancing",
    "short top-up",
)


def cuts(shape: str, seed: int) -> list[tuple[float, Fullness | None]]:
    """Cut at every fifth minute until it is full: how full it was, and what was said."""
    made = charge(shape, seed)
    known = truth(made)
    powers = made.powers(known.full_s or 0.0)
    inflows = [max(0.0, power_w - known.idle_w) for power_w in powers]
    holds = max(sum(inflows), known.peak_w * HOURS_AT_PEAK * 3600 / STEP_S)
    curve = [(at * STEP_S, power_w) for at, power_w in enumerate(powers)]
    ends = range(60, len(powers), 30)
    return [(100 - 100 * sum(inflows[end:]) / holds, fullness(curve[: end + 1 : SAMPLE], STOPPED)) for end in ends]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_said_is_true_wherever_a_charge_of_this_shape_is_cut(shape: str) -> None:
    told = [(full, said) for seed in range(4100, 4112) for full, said in cuts(shape, seed) if said is not None]
    true = [(full, said) for full, said in told if said.least - 1 <= full <= said.most + 1]

    assert len(told) > 40
    assert len(true) >= 0.97 * len(told)
    assert all(abs(full - min(max(full, said.least), said.most)) < 3 for full, said in told)


def test_it_is_narrow_enough_to_be_worth_saying() -> None:
    told = [said for seed in range(4200, 4212) for _, said in cuts("cc-cv", seed) if said is not None]

    assert sum(said.most - said.least for said in told) / len(told) < 6
    assert all(0 < said.least <= said.most <= 100 for said in told)


def test_the_lower_it_has_fallen_the_fuller_it_is() -> None:
    taper = [(float(at), 100.0) for at in range(0, 600, 30)]
    said = []
    for share in (0.8, 0.6, 0.5, 0.35, 0.2, 0.1, 0.03):
        taper.append((taper[-1][0] + 600, 100 * share))
        said.append(fullness(taper, STOPPED))

    assert None not in said
    leasts = [one.least for one in said if one is not None]
    assert leasts == sorted(leasts)
    assert (leasts[0], leasts[-1]) == (87, 98)


def test_in_the_main_stage_nothing_can_be_told() -> None:
    assert fullness([(at, 150.0 + at / 600) for at in range(0, 7200, 30)], STOPPED) is None


def test_a_plug_that_is_pulled_in_the_main_stage_says_nothing_of_the_pack() -> None:
    pulled = [(float(at), 150.0) for at in range(0, 7200, 30)] + [(float(at), 0.0) for at in range(7200, 7500, 30)]

    assert fullness(pulled, StopReason.UNPLUGGED) is None


def test_what_a_charger_draws_after_it_has_switched_itself_off_does_not_make_the_pack_fuller() -> None:
    taper = [(float(at), 100.0) for at in range(0, 3000, 30)]
    taper += [(3000.0 + at * 30, 100 - at * 0.8) for at in range(80)]
    dark = [(5400.0 + at * 30, 2.0) for at in range(20)]
    before, after = fullness(taper, STOPPED), fullness(taper + dark, STOPPED)

    assert before == after
    assert after is not None
    assert after.least < 97


def test_a_finished_charge_may_have_been_quite_full() -> None:
    taper = [(float(at), 100.0) for at in range(0, 3000, 30)] + [(3000.0 + at * 30, 100 - at * 0.8) for at in range(90)]
    finished = fullness(taper, StopReason.FINISHED)

    assert finished is not None
    assert finished.most == 100


def test_a_pack_that_never_took_more_than_a_charger_at_rest_was_full_when_it_came() -> None:
    idle = [(float(at), 4.0) for at in range(0, 1800, 30)]

    assert fullness(idle, StopReason.FINISHED) == FULL_WHEN_IT_CAME
    assert fullness(idle, StopReason.NEVER_PLUGGED) is None


@pytest.mark.parametrize("reason", [StopReason.NEVER_TURNED, StopReason.NOT_A_CHARGER, StopReason.PLUG_SWAPPED])
def test_of_a_sick_pack_or_another_ones_load_nothing_is_said(reason: StopReason) -> None:
    taper = [(float(at), 100.0) for at in range(0, 3000, 30)] + [(3000.0 + at * 60, 95 - at * 5) for at in range(15)]

    assert fullness(taper, reason) is None
    assert fullness(taper, STOPPED) is not None


def test_an_inrush_is_no_peak() -> None:
    curve = [(0.0, 400.0), *((30.0 + at, 100.0) for at in range(0, 3000, 30))]

    assert fullness(curve, STOPPED) is None


def test_without_a_curve_nothing_is_said() -> None:
    assert fullness([], StopReason.FINISHED) is None
    assert fullness([(0.0, 100.0)], StopReason.FINISHED) is None
