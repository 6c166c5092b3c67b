"""Is it still falling? Means of equal stretches of time, against how this meter scatters and how it speaks. Pure.

A gap or a jump begins anew; so does a value that stands still on a meter whose values never do: that is no news.
"""

import msgspec

from controller.core.finish_rules import FinishRules
from controller.core.finish_tail import brief, corrected_w, excess_w, half_s, hidden_w, slope_error_w, slope_w

FORGETS = 0.15  # of a running mean, a reading
BINS = 5
PER_SIGMA = 1.95  # the mean of second differences of white noise, in standard deviations
SLOW = 2.5  # a meter whose values stand for more readings than this speaks of changes
SETTLED = 0.6  # of the stretches looked at


class Habit(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """How a meter speaks."""

    same_s: float = 0.0  # its value has not changed for so long
    run_s: float = 0.0  # ... as a rule
    step_w: float = 0.0  # ... and then by so much
    jitter_w: float = 0.0  # by so much a change differs from the one before
    change_w: float = 0.0  # the last one


class Level(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The stretch under way, the last whole ones, and what they say."""

    bin_s: float = 0.0
    bin_ws: float = 0.0
    readings: int = 0
    bins_w: tuple[float, ...] = ()
    above_w: float | None = None  # at most so much above what it falls to; None: too early to tell
    flat_s: float = 0.0  # for so long it has been near that
    half_s: float = 0.0  # the shortest time in which it has halved ...
    half_w: float = 0.0  # ... and about which level


def begun_anew(level: Level) -> Level:
    """Of what is under way nothing counts; how this tail halves is still known."""
    return Level(half_s=level.half_s, half_w=level.half_w)


def limit_w(peak_w: float, rules: FinishRules) -> float:
    """A charge that is by no more than this above its idle draw is full."""
    return max(rules.flat_w, rules.flat_change * peak_w)


def low_w(peak_w: float, rules: FinishRules) -> float:
    return max(rules.low * peak_w, min(rules.low_w, rules.low_most * peak_w))


# -- how a meter speaks -------------------------------------------------------------------------------------------


def spoken(habit: Habit, before_w: float, power_w: float, passed_s: float, peak_w: float) -> Habit:
    change_w = power_w - before_w
    if change_w == 0.0:
        return Habit(habit.same_s + passed_s, habit.run_s, habit.step_w, habit.jitter_w)
    size_w = abs(change_w)
    if size_w > 0.12 * peak_w and size_w > 0.3 * before_w:  # the charge's doing, not the meter's
        return Habit(0.0, habit.run_s, habit.step_w, habit.jitter_w)
    share = FORGETS if habit.run_s else 1.0
    jitter_w = habit.jitter_w
    if size_w <= max(1.0, 0.1 * before_w):
        off_w = abs(change_w - habit.change_w)
        jitter_w += share * (min(off_w, 3 * jitter_w + 0.1) - jitter_w) if habit.run_s else off_w
    run_s = habit.run_s + share * (habit.same_s + passed_s - habit.run_s)
    step_w = habit.step_w + share * (size_w - habit.step_w)
    return Habit(0.0, brief(run_s), brief(step_w), brief(jitter_w), brief(change_w))


def is_stuck(habit: Habit, power_w: float, rules: FinishRules) -> bool:
    """A meter in whole watts may well repeat itself."""
    if not rules.stuck_s <= habit.same_s <= rules.stuck_most_s or not habit.run_s or power_w == round(power_w):
        return False
    return habit.same_s > rules.stuck_runs * habit.run_s and habit.jitter_w > rules.stuck_jitter * power_w


# -- the level ----------------------------------------------------------------------------------------------------


def levelled(
    level: Level, habit: Habit, before_w: float, power_w: float, passed_s: float, peak_w: float, rules: FinishRules
) -> Level:
    change_w = abs(power_w - before_w)
    if passed_s > rules.hold_s or (change_w > rules.jump * peak_w and change_w > 0.2 * before_w):
        return begun_anew(level)
    bin_s, readings, whole_s = level.bin_s + passed_s, level.readings + 1, rules.flat_bin_s
    if bin_s < whole_s:
        bin_ws = level.bin_ws + passed_s * before_w
        return Level(bin_s, bin_ws, readings, level.bins_w, level.above_w, level.flat_s, level.half_s, level.half_w)
    first_w = (level.bin_ws + (whole_s - level.bin_s) * before_w) / whole_s
    more, rest_s = divmod(bin_s - whole_s, whole_s)
    bins_w = (*level.bins_w, brief(first_w), *(before_w,) * int(more))[-BINS:]
    return _weighed(level, habit, bins_w, bin_s / readings, rest_s, rest_s * before_w, peak_w, rules)


def _weighed(
    level: Level,
    habit: Habit,
    bins_w: tuple[float, ...],
    every_s: float,
    rest_s: float,
    rest_ws: float,
    peak_w: float,
    rules: FinishRules,
) -> Level:
    """A stretch is whole: what do the last ones say to a meter that reported so often?"""
    step_w = habit.step_w if habit.run_s > SLOW * every_s else 0.0
    halves_s, halves_w = _halving(level, bins_w, step_w, peak_w, rules)
    above_w = None
    if len(bins_w) > 1 and rules.flat_bin_s * len(bins_w) >= rules.flat_for_s:
        jitter_w = habit.jitter_w * (1 - FORGETS) ** (habit.same_s / every_s)  # what does not change does not scatter
        sigma_w = jitter_w / PER_SIGMA * (every_s / rules.flat_bin_s) ** 0.5
        above_w = _above_w(bins_w, sigma_w, halves_s or rules.half_s, halves_w, rules)
        if habit.same_s > SETTLED * rules.flat_bin_s * len(bins_w):
            above_w = max(above_w, brief(hidden_w(step_w, habit.same_s, halves_s or rules.half_s)))
    flat = above_w is not None and above_w <= limit_w(peak_w, rules)
    flat_s = level.flat_s + rules.flat_bin_s if flat else 0.0
    return Level(rest_s, rest_ws, 0, bins_w, above_w, flat_s, halves_s, halves_w)


def _above_w(bins_w: tuple[float, ...], sigma_w: float, halves_s: float, halves_w: float, rules: FinishRules) -> float:
    fall_w = max(0.0, -slope_w(bins_w)) + rules.sure * slope_error_w(bins_w, sigma_w)
    return brief(corrected_w(excess_w(fall_w, rules.flat_bin_s, len(bins_w), halves_s), bins_w[-1], halves_w))


def _halving(
    level: Level, bins_w: tuple[float, ...], step_w: float, peak_w: float, rules: FinishRules
) -> tuple[float, float]:
    """In what time, and about which level: where it was steepest it was least slowed by what it falls to."""
    first_w, last_w = bins_w[0], bins_w[-1]
    if last_w > rules.plateau * peak_w:
        return 0.0, 0.0
    seen_s = rules.flat_bin_s * len(bins_w)
    if seen_s < rules.half_over_s or first_w > rules.plateau * peak_w or last_w <= low_w(peak_w, rules):
        return level.half_s, level.half_w
    halves_s = half_s(first_w - step_w, last_w, seen_s - rules.flat_bin_s)
    near = level.half_w <= rules.half_near * last_w  # tails slow down: what was seen high up says little of here
    if halves_s is None or (near and 0.0 < level.half_s <= halves_s):
        return level.half_s, level.half_w
    halves_s = max(rules.half_min_s, min(rules.half_max_s, halves_s))
    return brief(halves_s), brief((first_w * last_w) ** 0.5)
