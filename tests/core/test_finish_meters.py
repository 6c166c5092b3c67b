"""What a meter can't tell is waited out, and what it can is believed: silence, stuck values, coarse steps, offsets."""

import random
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from controller.core.finish import FinishState, begin, observe
from simulators.curves import charge, truth, useful
from simulators.curves_seen import MODES, Reading, measured, reported
from tests.core.shapes import Curve, hold, noisy, tail
from tests.core.test_finish import cut, even, minutes

BULK = hold(120, 96, 100)


def alive(seen: Sequence[Reading], every_s: float = 60.0, until_s: float = 36_000.0) -> Iterator[Reading]:
    """As a host that knows the device to be alive says its last value again."""
    for (at, power_w), (next_s, _) in zip(seen, [*seen[1:], (until_s, 0.0)], strict=True):
        again_s = at
        while again_s < next_s:
            yield again_s, power_w
            again_s += every_s


# -- every shape that ends, in every way that plugs report ---------------------------------------------------------


ENDS = [
    *("cc-cv", "standby", "high idle", "high idle after a switch", "small", "fast", "snap-off", "snap-off with a rise"),
    *("precharge", "dual", "thermal pause", "brown-out", "throttled", "short top-up", "begun in its tail", "as logged"),
    *("soak", "very long tail", "lead-acid", "lead-acid high float", "pulse maintenance", "swapped", "two chargers"),
    *("lithium cells", "lead-acid cells"),
]


@pytest.mark.parametrize("shape", ENDS)
def test_no_charge_is_cut_before_95_percent_or_left_on_for_an_hour(shape: str) -> None:
    for seed in (300, 301):
        made = charge(shape, seed)
        true = truth(made)
        powers = made.powers(36_000.0)
        for mode in ("60 s", "300 s", "by 2 W or 1 h"):
            rng = random.Random(f"{shape}/{seed}/{mode}")
            stopped = cut(list(alive(reported(measured(powers, rng), MODES[mode], rng))))

            assert stopped, f"{shape}, {seed}, {mode}: never cut"
            share = useful(powers[: round(min(stopped[0], true.full_s or 0.0) / 10)], true.idle_w) / true.useful_wh
            assert share >= 0.95, f"{shape}, {seed}, {mode}: cut at {share:.1%} by {stopped[1].rule}"
            assert stopped[0] - (true.full_s or 0.0) <= 3600, f"{shape}, {seed}, {mode}: {stopped[1].rule}"


# -- what charges look like that people have logged ----------------------------------------------------------------

LOGGED = [50, 39, 29, 21, 15, 11, 7.8, 5.9, 4.6]


def logged(end: str, halves_min: float) -> list[float]:
    """93 to 112 W, rising; a tail by these marks; then its end."""
    falls = [power for at, w in enumerate(LOGGED[:-1]) for power in hold(halves_min / 2, w, LOGGED[at + 1])]
    start = hold(90, 93, 112) + tail(112, 50, halves_min)
    snapped = {"17.7 to 5.2 W": (17.7, 5.2), "25.5 to 4.2 W": (25.5, 4.2)}.get(end)
    if snapped:
        from_w, to_w = snapped
        return start + [w for w in falls if w >= from_w] + hold(15, to_w, 6.3) + hold(60, 6.3, 4.3) + hold(30, 4.3)
    if end == "15.5 W":
        return start + [w for w in falls if w >= 18.5] + hold(60, 15.5)
    return start + falls + hold(60, 0.0 if end == "off" else 4.5)


def within(curve: Curve, step_s: float) -> tuple[float, float]:
    """The share that was in at the cut, and how many minutes after full it came; the last value is held for 12 h."""
    idle_w = sorted(power for at, power in curve if at >= curve[-1][0] - 600)[30]
    above_w = idle_w + max(3.0, 0.03 * max(power for _, power in curve))
    full_s = max(at for at, power in curve if power > above_w)
    held = [(curve[-1][0] + tick * 60.0, curve[-1][1]) for tick in range(1, 721)]
    stopped = cut([point for point in curve if point[0] % step_s == 0] + held)
    assert stopped
    taken = [(at, max(0.0, power - idle_w)) for at, power in curve if at < full_s]
    return sum(w for at, w in taken if at < stopped[0]) / sum(w for _, w in taken), minutes(stopped[0] - full_s)


@pytest.mark.parametrize("step_s", [10, 30, 60])
@pytest.mark.parametrize("halves_min", [15, 20, 25])
@pytest.mark.parametrize("end", ["off", "4.5 W", "17.7 to 5.2 W", "25.5 to 4.2 W", "15.5 W"])
def test_a_logged_charge_is_cut_after_97_percent_and_within_a_quarter_of_an_hour(
    end: str, halves_min: float, step_s: float
) -> None:
    powers = logged(end, halves_min)
    for start_min in (0, 60, 95):
        curve = noisy(powers[start_min * 6 :], random.Random(start_min), 0.005)
        share, late_min = within(curve, step_s)

        assert share >= 0.97, f"from minute {start_min}"
        assert late_min <= 15 + step_s / 60, f"from minute {start_min}"


# -- silence and values that stand still ---------------------------------------------------------------------------


def test_a_value_that_stands_still_on_a_meter_that_never_does_is_no_idle_draw() -> None:
    curve = noisy(BULK + tail(100, 4, 40) + hold(90, 0.5), random.Random(3))
    stuck_at = next(at for at, (_, power_w) in enumerate(curve) if power_w < 15.3)
    stuck_w = 15.13
    seen = [(at, stuck_w if 0 <= index - stuck_at < 150 else power_w) for index, (at, power_w) in enumerate(curve)]
    stopped = cut(seen)

    assert stopped is not None
    assert stopped[0] > seen[stuck_at + 150][0]


def test_the_same_on_a_meter_in_whole_watts_is_idle_draw() -> None:
    stopped = cut([(at, float(round(w))) for at, w in even(BULK + tail(100, 17, 18) + hold(90, 15))])
    fell_min = 120 + minutes(len(tail(100, 17, 18)) * 10)

    assert stopped is not None
    assert minutes(stopped[0]) - fell_min <= 20


@pytest.mark.parametrize("by_w", [2.0, 5.0])
def test_what_a_silent_meter_may_hide_is_learnt_from_what_it_speaks_of(by_w: float) -> None:
    """Of a tail to nothing it speaks again in time, and so it is not cut; of an idle draw it does not."""
    falling, idle = tail(100, 3, 45) + hold(60, 0.0), tail(100, 14, 18, 12) + hold(180, 12)
    for powers, least_share in ((BULK + falling, 0.95), (BULK + idle, 0.97)):
        true = noisy(powers, random.Random(8), 0.002)
        seen = [true[0]]
        for point in true:
            if abs(point[1] - seen[-1][1]) >= by_w:
                seen.append(point)
        stopped = cut(list(alive(seen)))
        idle_w = powers[-1]

        assert stopped is not None
        whole = sum(w - idle_w for w in powers)
        assert (
            sum(w - idle_w for (at, _), w in zip(true, powers, strict=True) if at < stopped[0]) >= least_share * whole
        )


def test_an_offset_does_not_keep_a_full_pack_on() -> None:
    stopped = cut(noisy([w + 2.2 for w in BULK + tail(100, 4, 18) + hold(120, 15)], random.Random(4)))

    assert stopped is not None
    assert minutes(stopped[0]) <= 120 + 84 + 45


def test_a_neighbour_that_comes_and_goes_does_not_make_a_tail() -> None:
    leak = [1.0 if at // 120 % 2 else 0.0 for at in range(3000)]
    powers = BULK + tail(100, 10, 18) + hold(180, 8)
    stopped = cut(noisy([w + leak[at] for at, w in enumerate(powers)], random.Random(5)))

    assert stopped is not None
    assert minutes(stopped[0]) <= 120 + 60 + 30


def test_current_that_stops_twice_a_minute_is_a_repair_charger_at_work() -> None:
    pulsed = [w for at in range(1080) for w in ([180.0] if at % 4 else [40.0])]
    stopped = cut(even([*pulsed, *tail(180, 30, 25), *hold(90, 5)]))

    assert stopped is not None
    assert minutes(stopped[0]) > 180 + 60


def test_time_in_a_state_of_before_this_release_counts_on() -> None:
    """What the last release wrote is read, whatever else it knew."""
    old = b'{"last_s":9000.0,"last_w":6.5,"elapsed_s":9000.0,"energy_wh":210.5,"recent_w":6.5,"peak_w":100.2,'
    old += b'"worked_s":7200.0,"quiet_s":640.0,"modest_s":2400.0,"back_s":0.0,"gone_s":0.0,"fell_from":0.36,'
    old += b'"bin_s":60.0,"bin_ws":390.0,"bins_w":[7.4,7.0,6.7]}'
    state = msgspec.json.decode(old, type=FinishState)
    state, verdict = observe(state, 9030.0, 6.4)

    assert verdict is not None
    assert verdict.rule == "low"
    assert observe(begin(0.0), 0.0, 6.4)[1] is None
