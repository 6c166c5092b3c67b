"""Packs that never turn: judged over hours, from the means of hours. What needs an answer in seconds is the guard's."""

from itertools import pairwise

import msgspec

from controller.core.finish import Verdict
from controller.core.reasons import StopReason


class DangerRules(msgspec.Struct, frozen=True):
    """Fractions are of the charge's highest hour."""

    turn_by_s: float = 6 * 3600.0  # a sound lead-acid pack turns within six to eight hours
    turn_by_wh: float = 300.0  # less than this heats no pack
    hour_s: float = 3600.0
    stuck_hours: int = 3  # a stage of three level hours below the first is no stage of any charger
    stuck_above: float = 0.3  # an old pack stays at 60 to 150 W of 200; float and idle draw lie below
    stuck_below: float = 0.85  # above it is the first stage, which may be as long as the pack is large
    stuck_change: float = 0.04  # an hour; a tail, however long, falls by more
    hold_s: float = 330.0  # as in finish


class DangerState(msgspec.Struct, frozen=True, gc=False):
    """Time is kept as time spent; only `last_s` is on the steady clock."""

    last_s: float
    last_w: float = 0.0
    elapsed_s: float = 0.0
    energy_wh: float = 0.0
    hour_s: float = 0.0
    hour_ws: float = 0.0
    top_w: float = 0.0
    hours_w: tuple[float, ...] = ()


RULES = DangerRules()


def begin(steady_s: float) -> DangerState:
    """The outlet has just gone on."""
    return DangerState(last_s=steady_s)


def resumed(state: DangerState, steady_s: float) -> DangerState:
    """The same charge on another steady clock, after a restart."""
    return msgspec.structs.replace(state, last_s=steady_s)


def observe(
    state: DangerState, steady_s: float, power_w: float, rules: DangerRules = RULES
) -> tuple[DangerState, Verdict | None]:
    """One reading. A reading from the past changes nothing."""
    if steady_s < state.last_s:
        return state, None
    after = _after(state, steady_s, max(0.0, power_w), rules)
    return after, Verdict(StopReason.NEVER_TURNED, _evidence(after)) if _never_turned(after, rules) else None


def _after(state: DangerState, steady_s: float, power_w: float, rules: DangerRules) -> DangerState:
    passed_s = steady_s - state.last_s
    known_s = min(passed_s, rules.hold_s)
    taken_ws = known_s * state.last_w
    hour_s, hour_ws, hours_w, top_w = state.hour_s + known_s, state.hour_ws + taken_ws, state.hours_w, state.top_w
    if hour_s >= rules.hour_s:
        hours_w = (*hours_w, hour_ws / hour_s)[-rules.stuck_hours :]
        top_w = max(top_w, hours_w[-1])
        hour_s = hour_ws = 0.0
    return DangerState(
        last_s=steady_s,
        last_w=power_w,
        elapsed_s=state.elapsed_s + passed_s,
        energy_wh=state.energy_wh + taken_ws / 3600,
        hour_s=hour_s,
        hour_ws=hour_ws,
        top_w=top_w,
        hours_w=hours_w,
    )


def _never_turned(state: DangerState, rules: DangerRules) -> bool:
    """Long enough, enough energy, and hours on one level below the first stage and above any float."""
    if state.elapsed_s < rules.turn_by_s or state.energy_wh < rules.turn_by_wh:
        return False
    if len(state.hours_w) < rules.stuck_hours:
        return False
    between = all(rules.stuck_above <= hour_w / state.top_w <= rules.stuck_below for hour_w in state.hours_w)
    return between and all(
        abs(after - before) <= rules.stuck_change * before for before, after in pairwise(state.hours_w)
    )


def _evidence(state: DangerState) -> dict[str, float]:
    figures = {
        "power_w": state.last_w,
        "highest_hour_w": state.top_w,
        "last_hour_w": state.hours_w[-1],
        "change_w": state.hours_w[-1] - state.hours_w[0],
        "energy_wh": state.energy_wh,
        "elapsed_s": state.elapsed_s,
    }
    return {name: round(value, 2) for name, value in figures.items()}
