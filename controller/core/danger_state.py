"""What the danger rules remember of a charge, and what one reading changes in it. Pure.

A reading adds to its minute, and nothing else: all that is weighed is weighed when a minute is over, or at once where
something stands out (no voltage, a large load that comes or goes).
"""

import msgspec

from controller.core.danger_mains import Mains, minuted
from controller.core.danger_meter import Counter, counted
from controller.core.danger_rules import DangerRules


class Past(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Whole minutes, gathered into tens of minutes and hours."""

    elapsed_s: float = 0.0
    energy_wh: float = 0.0
    hour_s: float = 0.0
    hour_ws: float = 0.0
    top_w: float = 0.0
    hours_w: tuple[float, ...] = ()
    bin_s: float = 0.0
    bin_ws: float = 0.0
    bin_wws: float = 0.0
    bins_w: tuple[float, ...] = ()
    bins_v: tuple[float, ...] = ()  # the voltage at the end of each; 0: not told
    best_w: float = 0.0  # the highest of ten minutes, but for the last four of them
    even: int = 0  # how many of the last bins were of one level: no pulses


class DangerState(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Time is kept as time spent; only `last_s` is on the steady clock."""

    last_s: float
    last_w: float = 0.0
    last_v: float = 0.0
    minute_s: float = 0.0  # the minute that is not over: how long, and what was drawn at which voltage
    minute_ws: float = 0.0
    minute_vs: float = 0.0
    gap_s: float = 0.0  # time of it that is not known
    on_w: float = 0.0  # the level of a load that comes and goes
    dark: bool = False
    cycles: int = 0
    past: Past = Past()
    load: Mains | None = None
    meter: Counter | None = None
    two: bool = False  # another charger seems to have come onto the lead: told once


def cycled(state: DangerState, power_w: float, rules: DangerRules) -> tuple[float, bool, int]:
    """How often a large load went out by itself and came back at the level it had."""
    on_w = max(state.on_w, state.last_w) if state.last_w >= rules.cycles_w else state.on_w
    if power_w < rules.no_power_w:
        return on_w, on_w > 0.0, state.cycles
    if power_w < rules.cycles_w:
        return 0.0, False, 0
    if not state.dark:
        return max(on_w, power_w), False, state.cycles
    alike = rules.cycles_level <= power_w / on_w <= 1 / rules.cycles_level
    return power_w, False, state.cycles + 1 if alike else 0


def weighed(state: DangerState, rules: DangerRules, amps: float | None, counter_wh: float | None) -> DangerState:
    """The minute is over, and goes into what is remembered of the charge."""
    minute_s, minute_ws = state.minute_s, state.minute_ws
    return DangerState(
        last_s=state.last_s,
        last_w=state.last_w,
        last_v=state.last_v,
        on_w=state.on_w,
        dark=state.dark,
        cycles=state.cycles,
        past=_longer(state.past, state, rules),
        load=minuted(state.load, minute_ws / minute_s, state.minute_vs / minute_s, _factor(state, amps), rules),
        meter=counted(state.meter, counter_wh, minute_ws / 3600, state.last_w, minute_s, rules),
        two=state.two,
    )


def _longer(past: Past, state: DangerState, rules: DangerRules) -> Past:
    minute_s, minute_ws = state.minute_s, state.minute_ws
    hour_s, hour_ws, hours_w, top_w = past.hour_s + minute_s, past.hour_ws + minute_ws, past.hours_w, past.top_w
    if hour_s >= rules.hour_s:
        hours_w = (*hours_w, round(hour_ws / hour_s, 1))[-rules.stuck_hours :]
        top_w = max(top_w, hours_w[-1])
        hour_s = hour_ws = 0.0
    bin_s, bin_ws = past.bin_s + minute_s, past.bin_ws + minute_ws
    bin_wws = past.bin_wws + minute_ws * minute_ws / minute_s
    bins_w, bins_v, best_w, even = past.bins_w, past.bins_v, past.best_w, past.even
    if bin_s >= rules.bin_s:
        even = min(even + 1, rules.bins) if _even(bin_s, bin_ws, bin_wws, rules) else 0
        bins_w = (*bins_w, round(bin_ws / bin_s, 1))[-rules.bins :]
        bins_v = (*bins_v, round(state.last_v))[-rules.bins :]
        best_w = max(best_w, bins_w[0])
        bin_s = bin_ws = bin_wws = 0.0
    return Past(
        past.elapsed_s + minute_s + state.gap_s,
        round(past.energy_wh + minute_ws / 3600, 2),
        round(hour_s, 1),
        round(hour_ws, 1),
        top_w,
        hours_w,
        round(bin_s, 1),
        round(bin_ws, 1),
        round(bin_wws),
        bins_w,
        bins_v,
        best_w,
        even,
    )


def _even(bin_s: float, bin_ws: float, bin_wws: float, rules: DangerRules) -> bool:
    """The minutes of these ten keep near their mean, as no pulses do."""
    mean_w = bin_ws / bin_s
    return bin_wws / bin_s - mean_w * mean_w <= (rules.even * mean_w) ** 2


def _factor(state: DangerState, amps: float | None) -> float:
    """The power factor as the minute ends; 0: not told."""
    if not amps or amps < 0 or not state.last_v:
        return 0.0
    return round(min(1.0, state.last_w / (state.last_v * amps)), 3)
