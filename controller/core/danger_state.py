"""What the danger rules remember of a charge, and what one reading changes in it. Pure."""

import msgspec

from controller.core.danger_mains import Mains
from controller.core.danger_meter import Counter
from controller.core.danger_rules import DangerRules


class DangerState(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Time is kept as time spent; only `last_s` is on the steady clock."""

    last_s: float
    last_w: float = 0.0
    elapsed_s: float = 0.0
    energy_wh: float = 0.0
    hour_s: float = 0.0
    hour_ws: float = 0.0
    top_w: float = 0.0
    hours_w: tuple[float, ...] = ()
    bin_s: float = 0.0
    bin_ws: float = 0.0
    bins_w: tuple[float, ...] = ()
    bins_v: tuple[float, ...] = ()  # the voltage at the end of each; 0: not told
    best_w: float = 0.0  # the highest of ten minutes, but for the last four of them
    on_w: float = 0.0  # the level of a load that comes and goes
    dark: bool = False
    cycles: int = 0
    mains: Mains | None = None
    counter: Counter | None = None


def after(
    state: DangerState,
    steady_s: float,
    power_w: float,
    rules: DangerRules,
    mains: Mains | None,
    counter: Counter | None,
    volts: float,
) -> DangerState:
    """With one reading's power, and with what its voltage and its counter have said."""
    passed_s = steady_s - state.last_s
    known_s = min(passed_s, rules.hold_s)
    taken_ws = known_s * state.last_w
    hour_s, hour_ws, hours_w, top_w = state.hour_s + known_s, state.hour_ws + taken_ws, state.hours_w, state.top_w
    if hour_s >= rules.hour_s:
        hours_w = (*hours_w, round(hour_ws / hour_s, 2))[-rules.stuck_hours :]
        top_w = max(top_w, hours_w[-1])
        hour_s = hour_ws = 0.0
    bin_s, bin_ws, best_w = state.bin_s + known_s, state.bin_ws + taken_ws, state.best_w
    bins_w, bins_v = state.bins_w, state.bins_v
    if bin_s >= rules.bin_s:
        bins_w = (*bins_w, round(bin_ws / bin_s, 2))[-rules.bins :]
        bins_v = (*bins_v, round(volts, 1))[-rules.bins :]
        best_w = max(best_w, bins_w[0])
        bin_s = bin_ws = 0.0
    on_w, dark, cycles = _cycled(state, power_w, rules)
    return DangerState(
        steady_s,
        power_w,
        state.elapsed_s + passed_s,
        round(state.energy_wh + taken_ws / 3600, 4),
        hour_s,
        hour_ws,
        top_w,
        hours_w,
        bin_s,
        bin_ws,
        bins_w,
        bins_v,
        best_w,
        on_w,
        dark,
        cycles,
        mains,
        counter,
    )


def _cycled(state: DangerState, power_w: float, rules: DangerRules) -> tuple[float, bool, int]:
    """How often a large load went out by itself and came back at the level it had."""
    if power_w < rules.no_power_w:
        return state.on_w, state.on_w > 0.0, state.cycles
    if power_w < rules.cycles_w:
        return 0.0, False, 0
    if not state.dark:
        return max(state.on_w, power_w), False, state.cycles
    alike = rules.cycles_level <= power_w / state.on_w <= 1 / rules.cycles_level
    return power_w, False, state.cycles + 1 if alike else 0
