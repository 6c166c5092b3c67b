"""When a charge is finished: judged against its own peak, by time and not by count; never by a fixed number of watts.

Of each reading it is asked: has it been *low*, a small part of the peak, for long enough? Is it *flat*, by so little
above what it falls to that it is full? Is what is left of its tail *spent*, or has the meter said nothing *still* for
longer than tails last? Has it *fallen* abruptly: then it may be a pause or an empty socket, and patience comes first.
And did it never work at all: it was full when it came (*unworked*), or the socket is *empty*.
"""

from msgspec.structs import replace

from controller.core.finish_level import begun_anew, limit_w
from controller.core.finish_rules import BOUNDS, RULES, FinishRules, Usual, Verdict, check
from controller.core.finish_state import FinishState, after
from controller.core.finish_tail import left_wh
from controller.core.reasons import StopReason

__all__ = [
    "BOUNDS",
    "RULES",
    "FinishRules",
    "FinishState",
    "Usual",
    "Verdict",
    "begin",
    "check",
    "observe",
    "resumed",
]

NOBODY = Usual()


def begin(steady_s: float) -> FinishState:
    """The outlet has just gone on."""
    return FinishState(last_s=steady_s)


def resumed(state: FinishState, steady_s: float) -> FinishState:
    """The same charge on another steady clock, after a restart; nothing is known of the time between."""
    return replace(state, last_s=steady_s, habit=replace(state.habit, same_s=0.0), level=begun_anew(state.level))


def observe(
    state: FinishState, steady_s: float, power_w: float, rules: FinishRules = RULES, usual: Usual | None = None
) -> tuple[FinishState, Verdict | None]:
    """One reading; a reading from the past changes nothing.

    An equal value is as good as any: where a meter speaks only of changes, whoever knows that it is alive may say its
    last value again.
    """
    if steady_s < state.last_s:
        return state, None
    now = after(state, steady_s, max(0.0, power_w), rules)
    if now.last_w > rules.modest * now.peak_w and now.peak_w > rules.full_most_w:
        return now, None
    return now, _verdict(now, rules, usual or NOBODY)


def _verdict(state: FinishState, rules: FinishRules, usual: Usual) -> Verdict | None:
    if not _has_worked(state, rules):
        return _unworked(state, rules)
    if _has_fallen(state, rules):
        return _fallen(state, rules, usual)
    for rule, holds in _GRADUAL.items():
        if holds(state, rules, usual):
            return _finished(state, rule)
    return replace(_finished(state, "flat"), doubt=True) if rules.probe and _is_flat(state, rules) else None


def _has_worked(state: FinishState, rules: FinishRules) -> bool:
    """At a good part of its peak for some minutes; or it came near its end, and has been in its tail since."""
    if state.peak_w <= rules.full_most_w:
        return False
    in_tail = state.level.half_s > 0.0 and state.fell_from <= rules.substantial
    return state.worked_s >= rules.worked_s or in_tail


# -- never worked -------------------------------------------------------------------------------------------------


def _unworked(state: FinishState, rules: FinishRules) -> Verdict | None:
    """Never really charged: nothing there, a full pack, or one still in precharge."""
    empty = state.peak_w < rules.no_power_w
    if _is_gone(state, rules.empty_for_s if empty else rules.gone_for_s, rules):
        return _unplugged(state, "empty" if empty else "gone")
    small = state.peak_w <= rules.full_most_w or state.modest_s >= rules.unworked_s
    if small and state.elapsed_s >= (rules.level_s if _level(state, rules) else rules.unworked_s):
        return _finished(state, "unworked")
    return None


def _level(state: FinishState, rules: FinishRules) -> bool:
    """As no pack in precharge is, under a meter that would show it."""
    if state.peak_w <= rules.level_w:
        return True
    bins, silent_s = state.level.bins_w, max(state.habit.same_s, state.habit.run_s)
    if state.peak_w > rules.full_w or len(bins) < 3 or not state.habit.run_s or silent_s > rules.level_run_s:
        return False
    return bins[-1] - bins[0] <= rules.level_rise * bins[0]


# -- fallen -------------------------------------------------------------------------------------------------------


def _has_fallen(state: FinishState, rules: FinishRules) -> bool:
    """... abruptly, and no tail has come since: another bike's, after a swap, or a throttled one's."""
    if state.fell_from <= rules.substantial:
        return False
    return not rules.float_w < state.level.half_w < rules.modest * state.peak_w


def _fallen(state: FinishState, rules: FinishRules, usual: Usual) -> Verdict | None:
    """Fell from full power: unplugged, resting, or cut off by the pack itself."""
    pause_s = rules.pause_s * _patience(state, rules, usual)
    if _is_gone(state, rules.gone_for_s, rules) or state.gone_s >= pause_s:
        return _unplugged(state, "gone")
    if state.modest_s >= pause_s:
        return _finished(state, "fallen")
    if not rules.probe or state.last_w > rules.float_w or max(state.modest_s, state.gone_s) < rules.doubt_s:
        return None
    gone = _is_gone(state, rules.doubt_s, rules)
    return replace(_unplugged(state, "gone") if gone else _finished(state, "fallen"), doubt=True)


def _patience(state: FinishState, rules: FinishRules, usual: Usual) -> float:
    """Far from its usual end a pause is likelier than near it."""
    if usual.energy_wh <= 0.0 or not _usual_charger(state, rules, usual):
        return 1.0
    share = state.energy_wh / usual.energy_wh
    if share < 1 - 2 * rules.usual_near:
        return rules.usual_more
    return rules.usual_part if share > 1 - rules.usual_near else 1.0


def _is_gone(state: FinishState, for_s: float, rules: FinishRules) -> bool:
    return state.gone_s >= for_s and state.gone_w < rules.gone_w


# -- come down gradually ------------------------------------------------------------------------------------------


def _low(state: FinishState, rules: FinishRules, usual: Usual) -> bool:
    if state.quiet_s < rules.low_for_s:
        return False
    if _left_wh(state, state.last_w - _idle_w(rules, usual), rules) <= rules.left_share * state.energy_wh:
        return True
    return state.quiet_s >= (rules.low_long_s if state.last_w <= rules.low_w else rules.low_longest_s)


def _flat(state: FinishState, rules: FinishRules, usual: Usual) -> bool:
    """Above any known idle draw it may be a soak: then, is what that would still bring worth waiting for?"""
    if not _is_flat(state, rules):
        return False
    falls_to_w = state.last_w - (state.level.above_w or 0.0) / 2  # a soak does not fall
    soak_s = max(0.0, rules.soak_s - state.level.flat_s) if falls_to_w > rules.full_w else 0.0
    return (state.last_w - _idle_w(rules, usual)) * soak_s / 3600 <= rules.left_share * state.energy_wh


def _is_flat(state: FinishState, rules: FinishRules) -> bool:
    above_w = state.level.above_w
    return above_w is not None and above_w <= limit_w(state.peak_w, rules) and state.last_w <= rules.float_w


def _spent(state: FinishState, rules: FinishRules, usual: Usual) -> bool:
    if state.level.above_w is None or state.last_w > rules.full_w:
        return False
    above_w = min(state.level.above_w, state.last_w - _idle_w(rules, usual))
    return _left_wh(state, above_w, rules) <= rules.spent_share * state.energy_wh


def _still(state: FinishState, rules: FinishRules, usual: Usual) -> bool:
    """What a meter that speaks of changes has not said is less than what it speaks of."""
    if state.last_w - state.habit.step_w > rules.float_w:
        return False
    patience_s = rules.still_s if state.last_w <= rules.float_w else rules.soak_s
    return min(state.habit.same_s, state.modest_s) >= patience_s


def _as_usual(state: FinishState, rules: FinishRules, usual: Usual) -> bool:
    """At the idle draw that this bike's charger always has, for less long than a stranger's."""
    bins = state.level.bins_w
    if usual.idle_w <= 0.0 or len(bins) * rules.flat_bin_s < rules.usual_part * rules.flat_for_s:
        return False
    near_w = max(0.5, rules.usual_near * usual.idle_w)
    near = all(abs(power_w - usual.idle_w) <= near_w for power_w in (*bins, state.last_w))
    return near and usual.idle_w <= rules.float_w and _usual_charger(state, rules, usual)


_GRADUAL = {"low": _low, "flat": _flat, "spent": _spent, "still": _still, "usual": _as_usual}


def _usual_charger(state: FinishState, rules: FinishRules, usual: Usual) -> bool:
    return usual.peak_w <= 0.0 or abs(state.peak_w - usual.peak_w) <= 2 * rules.usual_near * usual.peak_w


def _idle_w(rules: FinishRules, usual: Usual) -> float:
    return usual.idle_w or rules.idle_w


def _left_wh(state: FinishState, above_w: float, rules: FinishRules) -> float:
    return left_wh(above_w, state.level.half_s or rules.half_s)


# -- what is said of it -------------------------------------------------------------------------------------------


def _finished(state: FinishState, rule: str) -> Verdict:
    return Verdict(StopReason.FINISHED, _evidence(state), rule)


def _unplugged(state: FinishState, rule: str) -> Verdict:
    return Verdict(StopReason.UNPLUGGED, _evidence(state), rule)


def _evidence(state: FinishState) -> dict[str, float]:
    figures = {
        "power_w": state.last_w,
        "peak_w": state.peak_w,
        "percent_of_peak": 100 * state.last_w / state.peak_w if state.peak_w else 0.0,
        "fell_from_percent": 100 * state.fell_from,
        "low_s": state.quiet_s,
        "modest_s": state.modest_s,
        "no_power_s": state.gone_s,
        "energy_wh": state.energy_wh,
        "elapsed_s": state.elapsed_s,
    }
    if state.level.bins_w:
        figures["change_w"] = state.level.bins_w[-1] - state.level.bins_w[0]
    if state.level.above_w is not None:
        figures["above_idle_w"] = state.level.above_w
    if state.level.half_s:
        figures["halves_s"] = state.level.half_s
    return {name: round(value, 2) for name, value in figures.items()}
