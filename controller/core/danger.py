"""What no sound charge does, judged over minutes and hours. What needs an answer in seconds is the guard's.

A pack that never turns (*stuck*), takes more than any (*bottomless*) or takes ever more (*climbing*); a load that is
no charger, since it follows the mains (*resistive*) or a thermostat (*thermostat*); a blown *fuse*; a meter that
contradicts itself. Two chargers on one lead are told but not cut: see `shared`.
"""

from itertools import pairwise

from msgspec.structs import replace

from controller.core.danger_mains import fuse_blown, resists, voltage
from controller.core.danger_meter import disbelieved
from controller.core.danger_rules import RULES, DangerRules
from controller.core.danger_state import DangerState, Past, cycled, weighed
from controller.core.finish import Verdict
from controller.core.reasons import StopReason

__all__ = ["RULES", "DangerRules", "DangerState", "begin", "observe", "resumed", "shared"]


def begin(steady_s: float) -> DangerState:
    """The outlet has just gone on."""
    return DangerState(last_s=steady_s)


def resumed(state: DangerState, steady_s: float) -> DangerState:
    """The same charge on another steady clock, after a restart."""
    return replace(state, last_s=steady_s)


def observe(
    state: DangerState,
    steady_s: float,
    power_w: float,
    rules: DangerRules = RULES,
    volts: float | None = None,
    amps: float | None = None,
    counter_wh: float | None = None,
) -> tuple[DangerState, Verdict | None]:
    """One reading, with whatever else its meter tells. A reading from the past changes nothing."""
    passed_s = steady_s - state.last_s
    if passed_s < 0:
        return state, None
    power_w = max(0.0, power_w)
    known_s = min(rules.hold_s, passed_s)
    minute_s = state.minute_s + known_s
    load = state.load if volts is None else voltage(state.load, volts, known_s, rules)
    on_w, dark, cycles = state.on_w, state.dark, state.cycles
    if not _goes_on(state, power_w, rules):
        on_w, dark, cycles = cycled(state, power_w, rules)
    now = DangerState(
        steady_s,
        power_w,
        state.last_v if volts is None else volts,
        minute_s,
        state.minute_ws + known_s * state.last_w,
        state.minute_vs + known_s * state.last_v,
        state.gap_s + passed_s - known_s,
        on_w,
        dark,
        cycles,
        state.past,
        load,
        state.meter,
        state.two,
    )
    if minute_s < rules.minute_s:
        return now, _at_once(now, rules) if load is not state.load or cycles else None
    now = weighed(now, rules, amps, counter_wh)
    return now, _at_once(now, rules) or _verdict(state, now, rules)


def _goes_on(state: DangerState, power_w: float, rules: DangerRules) -> bool:
    """It draws as before, as far as comings and goings of large loads are counted."""
    if state.dark:
        return power_w < rules.no_power_w
    if power_w >= rules.cycles_w:
        return True
    return state.on_w == 0.0 and state.last_w < rules.cycles_w


def _at_once(now: DangerState, rules: DangerRules) -> Verdict | None:
    """What waits for no minute's end."""
    if fuse_blown(now.load, now.last_w, rules):
        return Verdict(StopReason.FUSE_BLOWN, {"power_w": now.last_w, "no_voltage_s": _low_s(now)}, "fuse")
    if now.cycles < rules.cycles_most:
        return None
    figures = {"power_w": round(now.on_w, 2), "times": float(now.cycles)}
    return Verdict(StopReason.NOT_A_CHARGER, figures, "thermostat")


def _verdict(before: DangerState, now: DangerState, rules: DangerRules) -> Verdict | None:
    """A minute is over. What hangs on means of ten minutes is asked when there is a new one."""
    lies = disbelieved(now.meter, rules)
    if lies is not None:
        return Verdict(StopReason.METER_FAULT, lies, "counter")
    load = resists(now.load, rules)
    if load is not None:
        return Verdict(StopReason.NOT_A_CHARGER, load, "resistive")
    if now.past.bins_w is not before.past.bins_w and _climbing(now.past, rules):
        return Verdict(StopReason.NEVER_TURNED, _climb(now.past), "climbing")
    rule = _unturned(now, rules)
    return Verdict(StopReason.NEVER_TURNED, _evidence(now), rule) if rule else None


def shared(before: DangerState | None, now: DangerState, rules: DangerRules = RULES) -> dict[str, float] | None:
    """The figures of a step by another charger's worth while one is at work: a lead with two, told once.

    It is no proof: a cold pack is fed gently first. So it is an alarm for a person; the limit cuts what is too much.
    """
    bins_w = now.past.bins_w
    if now.two or len(bins_w) < rules.bins or before is None or bins_w is before.past.bins_w:
        return None
    first_w, alone_w, between_w, both_w, last_w = bins_w
    level = _near(first_w, alone_w, rules.shared_level) and _near(both_w, last_w, rules.shared_level)
    step_w, most_w = both_w - alone_w, rules.shared_most * alone_w
    worth = min(alone_w, step_w) >= rules.shared_from_w and rules.shared_step * alone_w <= both_w <= most_w
    if not level or not worth or not alone_w * 0.97 <= between_w < both_w * 0.98 or now.past.best_w > 1.05 * alone_w:
        return None
    return {"before_w": alone_w, "now_w": last_w}


def _near(one_w: float, other_w: float, share: float) -> bool:
    return abs(one_w - other_w) <= share * max(one_w, other_w)


def _low_s(state: DangerState) -> float:
    return 0.0 if state.load is None else round(state.load.low_s, 1)


# -- packs --------------------------------------------------------------------------------------------------------


def _unturned(state: DangerState, rules: DangerRules) -> str:
    past = state.past
    if past.energy_wh >= rules.most_wh and len(past.hours_w) > 0:
        return "bottomless" if state.last_w >= rules.stuck_above * past.top_w else ""
    return "stuck" if _never_turned(past, rules) else ""


def _never_turned(past: Past, rules: DangerRules) -> bool:
    """Long enough, enough energy, and hours on one level below the first stage and above any float."""
    if past.elapsed_s < rules.turn_by_s or past.energy_wh < rules.turn_by_wh:
        return False
    if len(past.hours_w) < rules.stuck_hours:
        return False
    between = all(rules.stuck_above <= hour_w / past.top_w <= rules.stuck_below for hour_w in past.hours_w)
    return between and all(
        abs(later - before) <= rules.stuck_change * before for before, later in pairwise(past.hours_w)
    )


def _climbing(past: Past, rules: DangerRules) -> bool:
    """Ten minutes after ten minutes it takes more, late in a charge and not for the mains' sake: it runs away."""
    bins_w = past.bins_w
    if past.elapsed_s < rules.late_s or len(bins_w) < rules.bins or past.even < rules.bins:
        return False
    first_w, last_w = bins_w[0], bins_w[-1]
    least_w = max(first_w + rules.climb_w, first_w * (1 + rules.climb) * _mains_may(past.bins_v, rules))
    if first_w < rules.climb_from * past.best_w or last_w < least_w:
        return False
    return all(rules.climb_step <= later / before - 1 <= rules.climb_jump for before, later in pairwise(bins_w))


def _mains_may(bins_v: tuple[float, ...], rules: DangerRules) -> float:
    """By how much more an unregulated charger draws for a voltage that has risen."""
    low_v = min(bins_v)
    return (max(bins_v) / low_v) ** rules.climb_mains if low_v >= rules.no_mains_v else 1.0


def _climb(past: Past) -> dict[str, float]:
    first_w, last_w = past.bins_w[0], past.bins_w[-1]
    figures = {"from_w": first_w, "power_w": last_w, "energy_wh": past.energy_wh, "elapsed_s": past.elapsed_s}
    return {name: round(value, 2) for name, value in figures.items()}


def _evidence(state: DangerState) -> dict[str, float]:
    past = state.past
    figures = {
        "power_w": state.last_w,
        "highest_hour_w": past.top_w,
        "last_hour_w": past.hours_w[-1],
        "change_w": past.hours_w[-1] - past.hours_w[0],
        "energy_wh": past.energy_wh,
        "elapsed_s": past.elapsed_s,
    }
    return {name: round(value, 2) for name, value in figures.items()}
