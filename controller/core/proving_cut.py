"""For devices that can't say what they do at power-up: a person takes their supply away while they are on. Pure.

Power stays on for one lease at a time. The supply has to be back well before the lease would have ended, or an outlet
that is off then has shown nothing, and the next try begins. Outlets of one pile wait for each other, dark: nobody shall
walk once for each of them.
"""

from typing import Final

from controller.core import events as ev
from controller.core.outlet_outcome import Context, Outcome
from controller.core.programme import Proving, Step
from controller.core.proving_moves import (
    begun,
    failed,
    lease_s,
    measured,
    noted,
    proven,
    proving_of,
    switched_off,
    switched_on,
)
from controller.core.state import Outlet, Rules

AWAY_S: Final = 4.0  # asked each second: answers get lost, and a radio takes its time; four in a row are no accident
MARGIN_S: Final = 5.0  # so long before the lease's end an outlet that is off is off for another reason
DARK_S: Final = 15.0
TRIES: Final = 10


def power_cut(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    proving = proving_of(outlet)
    if isinstance(event, ev.RelayReported) and event.on and proving.away_s is not None:
        return failed(outlet, event, "powers_up_on")
    if proving.cut_s is not None:
        return _again(outlet, event, ctx)
    left_s = proving.since_s + lease_s(outlet, ctx.rules) - event.steady_s
    if left_s < MARGIN_S:
        return _tried(outlet, event)
    if isinstance(event, ev.RelayReported) and not event.on:
        return _off(outlet, event)
    if proving.back_s is not None and _is_dark(ctx, proving.back_s):
        gone_s = proving.back_s - (proving.away_s or 0.0)
        return proven(measured(outlet, power_up_off=1.0, away_s=gone_s, lease_left_s=left_s), event, ctx)
    return Outcome(outlet)


def _off(outlet: Outlet, event: ev.RelayReported) -> Outcome:
    """Back, and off: its meter has yet to say so. One that went off without having been away says nothing."""
    proving = proving_of(outlet)
    if proving.on_s is None or proving.back_s is not None:
        return Outcome(outlet)
    return _tried(outlet, event) if proving.away_s is None else Outcome(noted(outlet, back_s=event.steady_s))


def _tried(outlet: Outlet, event: ev.Event) -> Outcome:
    return switched_off(noted(outlet, cut_s=event.steady_s, back_s=None))


def _again(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    proving = proving_of(outlet)
    if not _is_dark(ctx, proving.cut_s or 0.0) or ctx.seen.relay_on is not False:
        return Outcome(outlet)
    if _is_early(ctx):
        return Outcome(noted(outlet, cut_s=event.steady_s, step_s=event.steady_s))
    if proving.tries >= TRIES:
        return failed(outlet, event, "no_power_cut")
    return switched_on(outlet, event, ctx, Step.POWER_CUT, proving.tries + 1)


def held(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    """The step begins: with an ON, or dark until the others have come as far."""
    if not _is_early(ctx):
        return switched_on(outlet, event, ctx, Step.POWER_CUT)
    return switched_off(noted(begun(outlet, Step.POWER_CUT, event), cut_s=event.steady_s))


def _is_early(ctx: Context) -> bool:
    return any(beside.step not in ("", Step.POWER_CUT) for beside in ctx.besides)


def _is_dark(ctx: Context, since_s: float) -> bool:
    seen = ctx.seen
    return seen.reading_s > since_s and seen.power_w is not None and seen.power_w < ctx.rules.no_power_w


def gone(outlet: Outlet, event: ev.Event, since_s: float | None = None) -> Outcome:
    """Out of reach, or started anew. What was not under power just before can't show that it stays off."""
    proving = proving_of(outlet)
    if proving.away_s is not None:
        return Outcome(outlet)
    if proving.cut_s is None and proving.lit_s is None:
        return _tried(outlet, event)
    return Outcome(noted(outlet, away_s=event.steady_s if since_s is None else since_s))


def is_silent(proving: Proving, now_s: float) -> bool:
    """Its supply is taken to be gone although no link has said so."""
    lit = proving.step == Step.POWER_CUT and proving.heard_s is not None and proving.away_s is None
    return lit and now_s - (proving.heard_s or 0.0) >= AWAY_S


def cut_over(proving: Proving, rules: Rules) -> float:
    end_s = proving.step_s + rules.walk_s
    if proving.cut_s is None or proving.away_s is not None:
        return end_s
    return min(end_s, proving.cut_s + DARK_S)
