"""What each step of commissioning has to see before the next, and how long it may take. Pure.

Called after every event of an outlet that is being proven, with what it has shown by then.
"""

from collections.abc import Callable
from typing import Final

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.outlet_outcome import Beside, Context, Outcome
from controller.core.programme import CAN_T_SAY, CutBy, Proving, Step
from controller.core.proving_cut import cut_over, held, power_cut
from controller.core.proving_moves import (
    WATCHDOG,
    begun,
    failed,
    lease_s,
    measured,
    noted,
    proven,
    proving_of,
    renewed,
    switched_off,
    switched_on,
    watchdog_s,
)
from controller.core.state import Outlet, Rules

Look = Callable[[Outlet, ev.Event, Context], Outcome]

NEEDED: Final[dict[str, tuple[tuple[float, ...], str]]] = {
    "power_up_off": ((1.0, CAN_T_SAY), "powers_up_on"),
    "own_counter": ((1.0,), "no_own_counter"),
    "sees_power_when_off": ((1.0,), "blind_when_off"),
    "inputs_detached": ((1.0,), "inputs_switch"),
}
TRIED: Final = (Step.OBEY_ON, Step.OBEY_OFF, Step.LEASE, Step.REARM)  # one outlet of a pile at a time
LATE_S: Final = 10.0  # a lease may cut so much late: reports are, and timers of seconds are not exact
PLUG_S: Final = 40.0  # to plug a lamp in; with OFF and dark behind it, it is over before the lease is
DARK_S: Final = 15.0  # a meter's average has fallen by then
REARMED: Final = 1.1  # of a lease: under power then, a renewal has counted


def advanced(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    return _LOOKS[proving_of(outlet).step](outlet, event, ctx)


def _is_dark(outlet: Outlet, ctx: Context, since_s: float) -> bool:
    """Relay open, and measured since then."""
    seen = ctx.seen
    measured_off = seen.reading_s > since_s and seen.power_w is not None and seen.power_w < ctx.rules.no_power_w
    return measured_off and seen.relay_on is False


# -- before the first ON ------------------------------------------------------------------------------------------


def _provision(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    settings = proving_of(outlet).settings
    has_lease = outlet.lease_class != WATCHDOG or watchdog_s(outlet) > 0
    if has_lease and all(settings.get(name) in fits for name, (fits, _) in NEEDED.items()):
        return Outcome(begun(outlet, Step.TURN, event), (fx.AskNow(outlet.id),))
    return Outcome(outlet)


def _turn(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    """A watchdog cuts the whole board, and is fed by whoever charges at it."""
    proving = proving_of(outlet)
    if watchdog_s(outlet) and any(beside.charging for beside in ctx.besides):
        return failed(outlet, event, "busy_beside")
    if any(beside.step in TRIED for beside in ctx.besides):
        return Outcome(noted(outlet, since_s=event.steady_s))
    if ctx.seen.reading_s <= proving.step_s or (ctx.seen.power_w or 0.0) >= ctx.rules.no_power_w:
        return Outcome(outlet)
    return switched_on(outlet, event, ctx, Step.OBEY_ON)


# -- on and off ---------------------------------------------------------------------------------------------------


def _obey_on(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    """Its load on this meter, and on no other of the pile that nobody charges at."""
    proving = proving_of(outlet)
    for beside in _idle(ctx):
        if beside.reading_s > proving.since_s and beside.power_w >= ctx.rules.load_w:
            seen_w = (ctx.seen.power_w or 0.0) if ctx.seen.reading_s > proving.since_s else 0.0
            return failed(outlet, event, "wrong_meter", other=beside.number, other_w=beside.power_w, own_w=seen_w)
    load_s = proving.load_s
    if load_s is None or not ctx.seen.relay_on:
        return Outcome(outlet)
    if any(_speaks(beside, proving, ctx.rules) and beside.reading_s <= load_s for beside in _idle(ctx)):
        return Outcome(outlet)
    done = measured(outlet, load_w=ctx.seen.power_w or 0.0, on_after_s=load_s - proving.since_s)
    return switched_off(begun(done, Step.OBEY_OFF, event))


def _idle(ctx: Context) -> tuple[Beside, ...]:
    return tuple(
        beside
        for beside in ctx.besides
        if not (beside.charging or beside.step in TRIED or beside.step == Step.POWER_CUT)
    )


def _speaks(beside: Beside, proving: Proving, rules: Rules) -> bool:
    """A meter that was silent before can't be waited for; it may be broken, and is not what is proven here."""
    return beside.reading_s > proving.since_s - rules.silent_s


def _obey_off(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    proving = proving_of(outlet)
    if not _is_dark(outlet, ctx, proving.since_s):
        return Outcome(outlet)
    done = measured(outlet, off_power_w=ctx.seen.power_w or 0.0, off_after_s=event.steady_s - proving.since_s)
    return switched_on(done, event, ctx, Step.LEASE)


# -- the lease ----------------------------------------------------------------------------------------------------


def _lease(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    proving = proving_of(outlet)
    if proving.cut_s is None:
        return _cut(outlet, event, ctx, _judged)
    if not _is_dark(outlet, ctx, proving.cut_s):
        return Outcome(outlet)
    took_s = proving.cut_s - (proving.on_s or 0.0)
    return switched_on(measured(outlet, lease_s=took_s), event, ctx, Step.REARM)


def _judged(outlet: Outlet, took_s: float, rules: Rules) -> str | None:
    span_s = lease_s(outlet, rules)
    return None if 0.5 * span_s <= took_s <= span_s + LATE_S else "lease_wrong"


def _rearm(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    """Renewed once at half its lease; asked every few seconds, so that it is seen under power beyond the first."""
    proving = proving_of(outlet)
    if proving.cut_s is None:
        renewal_s = due_s(outlet, ctx.rules)
        if renewal_s is not None and event.steady_s >= renewal_s:
            return renewed(outlet, event, ctx)
        return _cut(outlet, event, ctx, _judged_again)
    if not _is_dark(outlet, ctx, proving.cut_s):
        return Outcome(outlet)
    done = measured(outlet, rearmed_s=proving.cut_s - (proving.on_s or 0.0))
    if proving.settings.get("power_up_off") == CAN_T_SAY:
        return held(done, event, ctx)
    return proven(done, event, ctx)


def _judged_again(outlet: Outlet, took_s: float, rules: Rules) -> str | None:
    """A meter says how long it was on; a relay's word may be older than it looks."""
    proving = proving_of(outlet)
    lit_s = (proving.lit_s or 0.0) - (proving.on_s or 0.0)
    counted = proving.renewed_s is not None and lit_s >= REARMED * lease_s(outlet, rules)
    return None if counted else "no_rearm"


def _cut(
    outlet: Outlet, event: ev.Event, ctx: Context, judged: Callable[[Outlet, float, Rules], str | None]
) -> Outcome:
    """It went dark by itself: as its relay says, or as its meter says of a relay that only a watchdog cuts."""
    proving = proving_of(outlet)
    if proving.on_s is None:
        return Outcome(outlet)
    relay_off = isinstance(event, ev.RelayReported) and not event.on
    if watchdog_s(outlet) and relay_off:
        return failed(outlet, event, "lease_wrong", took_s=event.steady_s - proving.on_s)
    fell = isinstance(event, ev.Reading) and proving.lit_s is not None and event.power_w < ctx.rules.no_power_w
    if not (fell if watchdog_s(outlet) else relay_off):
        return Outcome(outlet)
    took_s = event.steady_s - proving.on_s
    why = "no_load" if proving.lit_s is None else judged(outlet, took_s, ctx.rules)
    if why is not None:
        return failed(outlet, event, why, took_s=round(took_s, 2))
    cut_by = CutBy.WATCHDOG if watchdog_s(outlet) else CutBy.TIMER
    return switched_off(noted(outlet, cut_s=event.steady_s, cut_by=cut_by))


_LOOKS: Final[dict[str, Look]] = {
    Step.PROVISION: _provision,
    Step.TURN: _turn,
    Step.OBEY_ON: _obey_on,
    Step.OBEY_OFF: _obey_off,
    Step.LEASE: _lease,
    Step.REARM: _rearm,
    Step.POWER_CUT: power_cut,
}


# -- bounds -------------------------------------------------------------------------------------------------------


def due_s(outlet: Outlet, rules: Rules) -> float | None:
    """When (steady) it is renewed, whatever is heard of it meanwhile."""
    proving = proving_of(outlet)
    if proving.step != Step.REARM or proving.on_s is None or proving.renewed_s is not None:
        return None
    return proving.on_s + lease_s(outlet, rules) / 2


def over_s(outlet: Outlet, rules: Rules) -> float:
    """When (steady) this step has failed if nothing more is heard."""
    proving = proving_of(outlet)
    if proving.step == Step.POWER_CUT:
        return cut_over(proving, rules)
    if proving.step in (Step.PROVISION, Step.TURN):
        return proving.since_s + rules.commission_step_s
    if proving.cut_s is not None or proving.step == Step.OBEY_OFF:
        return (proving.cut_s or proving.since_s) + DARK_S
    if proving.step == Step.OBEY_ON:
        return proving.since_s + PLUG_S
    if proving.on_s is None:
        return proving.since_s + lease_s(outlet, rules) + LATE_S
    return max(proving.on_s, proving.renewed_s or 0.0) + lease_s(outlet, rules) + LATE_S


def why_over(outlet: Outlet, ctx: Context) -> str:
    """What was missing, in the word that the pages have a sentence for."""
    proving = proving_of(outlet)
    if proving.step == Step.PROVISION:
        wrong = (why for name, (fits, why) in NEEDED.items() if proving.settings.get(name, fits[0]) not in fits)
        unwatched = outlet.lease_class == WATCHDOG and watchdog_s(outlet) <= 0 and proving.settings
        return next(wrong, "no_watchdog" if unwatched else "silent_at_provision")
    if ctx.seen.reading_s <= proving.since_s:
        return "meter_silent"
    if proving.step in (Step.TURN, Step.OBEY_OFF) or proving.cut_s is not None:
        return _why_not_dark(proving, ctx)
    if proving.step == Step.POWER_CUT:
        return "lost" if proving.away_s is not None else "no_power_cut"
    if proving.on_s is None or proving.load_s is None:
        return "not_obeyed" if proving.on_s is None else "no_load"
    return "beside_silent" if proving.step == Step.OBEY_ON else "never_cut"


def _why_not_dark(proving: Proving, ctx: Context) -> str:
    if proving.away_s is not None:
        return "lost"
    if proving.step != Step.TURN and ctx.seen.relay_on:
        return "not_off"
    return "welded" if (ctx.seen.power_w or 0.0) >= ctx.rules.no_power_w else "meter_silent"
