"""What the finish detector remembers of a charge, and what one reading changes in it. Pure.

Time counts only where it is known what was drawn meanwhile: a gap is no time spent low.
"""

from math import exp

import msgspec

from controller.core.finish_level import Habit, Level, begun_anew, is_stuck, levelled, low_w, spoken
from controller.core.finish_rules import FinishRules
from controller.core.finish_tail import brief


class FinishState(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Time is kept as time spent, so that it may sleep on disk; only `last_s` is on the steady clock."""

    last_s: float
    last_w: float = 0.0
    elapsed_s: float = 0.0
    energy_wh: float = 0.0
    recent_w: float = 0.0
    peak_w: float = 0.0
    worked_s: float = 0.0
    quiet_s: float = 0.0
    modest_s: float = 0.0
    back_s: float = 0.0
    gone_s: float = 0.0
    gone_w: float = 0.0  # the mean of that time
    fell_from: float = 0.0
    habit: Habit = Habit()
    level: Level = Level()


def after(state: FinishState, steady_s: float, power_w: float, rules: FinishRules) -> FinishState:
    """With one reading. The value before held until now; the new one has had no time yet."""
    before_w, passed_s = state.last_w, brief(steady_s - state.last_s)
    known_s = min(passed_s, rules.hold_s)
    recent_w = brief(before_w + (state.recent_w - before_w) * exp(-passed_s / rules.peak_s))
    peak_w = max(state.peak_w, recent_w)
    quiet_w = low_w(peak_w, rules)
    both_low = power_w <= quiet_w and before_w <= quiet_w
    calm_s = min(passed_s, rules.calm_s) if both_low else known_s
    habit = spoken(state.habit, before_w, power_w, passed_s, peak_w)
    stuck = power_w > quiet_w and is_stuck(habit, power_w, rules)
    modest_s, back_s, fell_from = _modest(state, power_w, calm_s, recent_w, peak_w, rules)
    gone_s, gone_w = _gone(state, power_w, calm_s, rules)
    return FinishState(
        last_s=steady_s,
        last_w=power_w,
        elapsed_s=brief(state.elapsed_s + passed_s),
        energy_wh=state.energy_wh + passed_s * before_w / 3600,
        recent_w=recent_w,
        peak_w=peak_w,
        worked_s=state.worked_s + known_s if before_w > rules.worked * peak_w else state.worked_s,
        quiet_s=_quiet_s(state, power_w, calm_s, quiet_w, peak_w, rules),
        modest_s=modest_s,
        back_s=back_s,
        gone_s=gone_s,
        gone_w=gone_w,
        fell_from=fell_from,
        habit=habit,
        level=begun_anew(state.level)
        if stuck
        else levelled(state.level, habit, before_w, power_w, passed_s, peak_w, rules),
    )


def _quiet_s(
    state: FinishState, power_w: float, known_s: float, quiet_w: float, peak_w: float, rules: FinishRules
) -> float:
    """Time spent low, less what bursts have taken back."""
    if state.last_w <= quiet_w:
        return state.quiet_s + known_s
    if state.quiet_s == 0.0:
        return known_s / 2 if power_w <= quiet_w else 0.0  # it came down some time between the two
    strength = min(1.0, state.last_w / peak_w) if peak_w else 1.0
    return max(0.0, state.quiet_s - known_s * rules.burst_cost * strength)


def _gone(state: FinishState, power_w: float, known_s: float, rules: FinishRules) -> tuple[float, float]:
    """How long next to nothing was drawn, and how much that was."""
    if power_w >= rules.no_power_w:
        return 0.0, 0.0
    if state.last_w >= rules.no_power_w:
        return known_s / 2, power_w
    gone_s = state.gone_s + known_s
    return gone_s, state.gone_w + (state.last_w - state.gone_w) * known_s / gone_s if gone_s else power_w


def _modest(
    state: FinishState, power_w: float, known_s: float, recent_w: float, peak_w: float, rules: FinishRules
) -> tuple[float, float, float]:
    """How long the power has been modest, how long it has been back, and the share of the peak that it fell from."""
    modest_w = rules.modest * peak_w
    if state.last_w > modest_w:
        modest_s, back_s, fell_from = _back(state, known_s, rules)
    elif state.fell_from > rules.substantial and state.last_w > rules.float_w:  # it has gone on, if with less
        modest_s, back_s, fell_from = 0.0, 0.0, state.fell_from
    else:
        modest_s, back_s, fell_from = state.modest_s + known_s, 0.0, state.fell_from
    if power_w > modest_w:
        return modest_s, back_s, fell_from
    if fell_from == 0.0:
        return known_s / 2, 0.0, recent_w / peak_w if peak_w else 0.0
    return modest_s, 0.0, fell_from


def _back(state: FinishState, known_s: float, rules: FinishRules) -> tuple[float, float, float]:
    """It was above modest: the charge is on again, or that was but a burst."""
    back_s = state.back_s + known_s
    if back_s >= rules.back_s:
        return 0.0, back_s, 0.0
    return max(0.0, state.modest_s - rules.burst_cost * known_s), back_s, state.fell_from
