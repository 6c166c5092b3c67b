"""When a charge is finished: judged against its own peak, by time and not by count; never by a fixed number of watts.

Three questions are asked of each reading. Is it *low*: has the power been a small part of the peak for long enough?
Is it *flat*: has a modest power stopped falling, so that it is the charger's own idle draw and not a tail? And did the
power come down *abruptly*: then it may be a pause or an empty socket, and patience is asked first.
"""

from itertools import pairwise
from math import exp

import msgspec

from controller.core.reasons import StopReason


class FinishRules(msgspec.Struct, frozen=True):
    """Fractions are of the charge's own peak."""

    low: float = 0.08  # a lithium charge has 0.2 to 3 Wh to come below 10 %
    low_w: float = 4.0  # ... and a small one as little below this: chargers of 25 to 60 W have idle draw too
    low_for_s: float = 720.0  # a change-over between two packs takes 35 s to some minutes
    idle_w: float = 2.0  # what most chargers draw when full
    left_h: float = 0.5  # what is left of a tail is its power above that times this: tails halve in 15 to 25 min
    left_share: float = 0.015  # of the charge so far: more than that is worth waiting for ...
    low_long_s: float = 1500.0  # ... but not longer than this
    modest: float = 0.35  # a small charger's idle draw is up to a third of its peak; an old pack's plateau is above
    flat_bin_s: float = 180.0  # long enough to average meter noise away
    flat_bins: int = 3  # two comparisons in a row: one may be chance
    flat_change: float = 0.021  # of the level, a bin: a tail that halves in 90 min falls by 2.3 %, idle draw does not
    flat_w: float = 0.3  # a cheap meter's last digit
    substantial: float = 0.6  # falling from above this is no tail: snap-offs at full come from below half
    pause_s: float = 2400.0  # warm packs and chargers rest for up to half an hour
    gone_w: float = 0.5  # below it no charger is there; a resting one draws a little, and gets `pause_s`
    gone_for_s: float = 900.0  # some chargers rest at nothing; 10 minutes was the field's last answer
    no_power_w: float = 3.0  # reads as nothing plugged, a meter's offset included
    worked: float = 0.5  # a charge has worked while above this ...
    worked_s: float = 300.0  # ... for this long; a spike before precharge has not
    unworked_s: float = 1800.0  # a pack in precharge gets this long to leave it
    full_w: float = 16.0  # no known charger idles higher; a pack that never takes more was full when it came
    peak_s: float = 60.0  # an inrush shall not make the peak
    burst_cost: float = 4.0  # a burst at the peak takes back so many times its length: balancing, pulsed maintenance
    back_s: float = 60.0  # above `modest` for this long, and the charge is on again
    hold_s: float = 330.0  # how long a value stands for what came after: a plug's usual report is 300 s
    calm_s: float = 3600.0  # the same where both are low: meters that speak on change say nothing for hours
    probe: bool = False  # a doubt is told at once, to be settled by a probe; else it is waited out
    jump: float = 0.05  # a change by more (and by a fifth of the level) starts a new plateau


class FinishState(msgspec.Struct, frozen=True, gc=False):
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
    fell_from: float = 0.0
    bin_s: float = 0.0
    bin_ws: float = 0.0
    bins_w: tuple[float, ...] = ()


class Usual(msgspec.Struct, frozen=True, gc=False):
    """What is known of a bike's earlier charges; 0 where nothing is."""

    energy_wh: float = 0.0  # of a whole charge since it was plugged in
    peak_w: float = 0.0
    idle_w: float = 0.0  # when full


class Verdict(msgspec.Struct, frozen=True):
    """Why the charge has ended, and the figures that show it.

    `rule` names the question that was answered. In `doubt` it may be but a pause: whoever can asks the charger itself.
    """

    reason: StopReason
    evidence: dict[str, float]
    rule: str = ""
    doubt: bool = False


RULES = FinishRules()


def begin(steady_s: float) -> FinishState:
    """The outlet has just gone on."""
    return FinishState(last_s=steady_s)


def resumed(state: FinishState, steady_s: float) -> FinishState:
    """The same charge on another steady clock, after a restart; nothing is known of the time between."""
    return msgspec.structs.replace(state, last_s=steady_s, bin_s=0.0, bin_ws=0.0, bins_w=())


def observe(
    state: FinishState, steady_s: float, power_w: float, rules: FinishRules = RULES, usual: Usual | None = None
) -> tuple[FinishState, Verdict | None]:
    """One reading. A reading from the past changes nothing."""
    if steady_s < state.last_s:
        return state, None
    after = _after(state, steady_s, max(0.0, power_w), rules)
    return after, _verdict(after, rules)


# -- what is remembered -------------------------------------------------------------------------------------------


def _after(state: FinishState, steady_s: float, power_w: float, rules: FinishRules) -> FinishState:
    passed_s = steady_s - state.last_s
    known_s = min(passed_s, rules.hold_s)
    # The last value held until now; the new one has had no time yet.
    recent_w = state.last_w + (state.recent_w - state.last_w) * exp(-passed_s / rules.peak_s)
    peak_w = max(state.peak_w, recent_w)
    low_w = max(rules.low_w, rules.low * peak_w)
    calm_s = min(passed_s, rules.calm_s) if power_w <= low_w and state.last_w <= low_w else known_s
    modest_s, back_s, fell_from = _modest(state, power_w, calm_s, recent_w, peak_w, rules)
    bin_s, bin_ws, bins_w = _binned(state, passed_s, known_s, power_w, peak_w, rules)
    return FinishState(
        last_s=steady_s,
        last_w=power_w,
        elapsed_s=state.elapsed_s + passed_s,
        energy_wh=state.energy_wh + passed_s * state.last_w / 3600,
        recent_w=recent_w,
        peak_w=peak_w,
        worked_s=state.worked_s + (known_s if state.last_w > rules.worked * peak_w else 0.0),
        quiet_s=_quiet_s(state, calm_s, low_w, peak_w, rules),
        modest_s=modest_s,
        back_s=back_s,
        gone_s=state.gone_s + calm_s if power_w < rules.no_power_w and state.last_w < rules.no_power_w else 0.0,
        fell_from=fell_from,
        bin_s=bin_s,
        bin_ws=bin_ws,
        bins_w=bins_w,
    )


def _quiet_s(state: FinishState, known_s: float, low_w: float, peak_w: float, rules: FinishRules) -> float:
    """Time spent low, less what bursts have taken back."""
    if state.last_w <= low_w:
        return state.quiet_s + known_s
    if state.quiet_s == 0.0:
        return 0.0
    strength = min(1.0, state.last_w / peak_w) if peak_w else 1.0
    return max(0.0, state.quiet_s - known_s * rules.burst_cost * strength)


def _modest(
    state: FinishState, power_w: float, known_s: float, recent_w: float, peak_w: float, rules: FinishRules
) -> tuple[float, float, float]:
    """How long the power has been modest, how long it has been back, and the share of the peak that it fell from."""
    if power_w > rules.modest * peak_w:
        back_s = state.back_s + (known_s if state.last_w > rules.modest * peak_w else 0.0)
        return (0.0, back_s, 0.0) if back_s >= rules.back_s else (state.modest_s, back_s, state.fell_from)
    if state.fell_from == 0.0:
        return 0.0, 0.0, recent_w / peak_w if peak_w else 0.0
    return state.modest_s + known_s, 0.0, state.fell_from


def _binned(
    state: FinishState, passed_s: float, known_s: float, power_w: float, peak_w: float, rules: FinishRules
) -> tuple[float, float, tuple[float, ...]]:
    """Means of equal stretches of time, begun anew after a gap or a jump."""
    change_w = abs(power_w - state.last_w)
    if passed_s > rules.hold_s or (change_w > rules.jump * peak_w and change_w > 0.2 * state.last_w):
        return 0.0, 0.0, ()
    bin_s, bin_ws = state.bin_s + known_s, state.bin_ws + known_s * state.last_w
    if bin_s < rules.flat_bin_s:
        return bin_s, bin_ws, state.bins_w
    return 0.0, 0.0, (*state.bins_w, bin_ws / bin_s)[-rules.flat_bins :]


# -- what follows from it -----------------------------------------------------------------------------------------


def _verdict(state: FinishState, rules: FinishRules) -> Verdict | None:
    if state.last_w > rules.modest * state.peak_w and state.last_w > rules.full_w:
        return None
    if state.worked_s < rules.worked_s or state.peak_w < rules.full_w:
        return _unworked(state, rules)
    if state.fell_from > rules.substantial:
        return _fallen(state, rules)
    if _low(state, rules) or _flat(state, rules):
        return _finished(state)
    return None


def _unworked(state: FinishState, rules: FinishRules) -> Verdict | None:
    """Never really charged: a full pack, or one still in precharge."""
    if state.gone_s >= rules.gone_for_s and state.recent_w < rules.gone_w:
        return Verdict(StopReason.UNPLUGGED, _evidence(state))
    small = state.peak_w < rules.full_w or state.modest_s >= rules.unworked_s
    return _finished(state) if small and state.elapsed_s >= rules.unworked_s else None


def _fallen(state: FinishState, rules: FinishRules) -> Verdict | None:
    """Fell from full power: unplugged, resting, or cut off by the pack itself."""
    if state.gone_s >= rules.gone_for_s and (state.recent_w < rules.gone_w or state.gone_s >= rules.pause_s):
        return Verdict(StopReason.UNPLUGGED, _evidence(state))
    return _finished(state) if state.modest_s >= rules.pause_s else None


def _low(state: FinishState, rules: FinishRules) -> bool:
    little = (state.last_w - rules.idle_w) * rules.left_h <= rules.left_share * state.energy_wh
    return state.quiet_s >= (rules.low_for_s if little else rules.low_long_s)


def _flat(state: FinishState, rules: FinishRules) -> bool:
    bins = state.bins_w
    if len(bins) < rules.flat_bins or bins[-1] > rules.modest * state.peak_w:
        return False
    allowed_w = max(rules.flat_w, rules.flat_change * bins[-1])
    return all(abs(after - before) <= allowed_w for before, after in pairwise(bins))


def _finished(state: FinishState) -> Verdict:
    return Verdict(StopReason.FINISHED, _evidence(state))


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
    if state.bins_w:
        figures["change_w"] = state.bins_w[-1] - state.bins_w[0]
    return {name: round(value, 2) for name, value in figures.items()}
