"""Commissioning: a programme of steps that an outlet runs on the device itself before it may sell power. Pure.

Settings, an ON and an OFF that are obeyed, a lease that runs out and one that is renewed; each step's measured result
is kept as the outlet's record. Who fails a step is off, and adopted again.
"""

from collections.abc import Callable

from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.outlet_outcome import Context, Outcome
from controller.core.reasons import StopReason
from controller.core.state import Limits, Outlet, OutletPhase, Proving, Rules

NEEDED: dict[str, Callable[[float, Rules], bool]] = {
    "power_up_off": lambda value, rules: value == 1,
    "sees_power_when_off": lambda value, rules: value == 1,
    "own_counter": lambda value, rules: value == 1,
    "inputs_detached": lambda value, rules: value == 1,
}


def commission(outlet: Outlet, event: ev.StaffChange, ctx: Context) -> Outcome:
    """Step one: set the device up, and have it say so."""
    if outlet.phase is OutletPhase.METERING_ONLY:
        raise Refused("metering_only", "this device has no timer of its own that could cut it")
    if ctx.dead is not None:  # out of service means no power either, until somebody has looked
        raise ctx.dead
    proving = Proving("provision", event.steady_s, event.by, {}, {})
    started = replace(outlet, phase=OutletPhase.PROVING, proving=proving, failed=None)
    return Outcome(started, (fx.SaveOutlet(started), fx.Provision(outlet.id, outlet.lease_s, outlet.power_w)))


def proving_setting(outlet: Outlet, event: ev.SettingReported, ctx: Context) -> Outcome:
    proving = outlet.proving
    if proving is None or proving.step != "provision":
        return Outcome(outlet)
    settings = {**proving.settings, event.setting: event.value}
    heard = replace(outlet, proving=replace(proving, settings=settings))
    if all(name in settings and fits(settings[name], ctx.rules) for name, fits in NEEDED.items()):
        return _switched_on(heard, event, ctx, "obey_on")
    return Outcome(heard)


def _switched_on(outlet: Outlet, event: ev.Event, ctx: Context, step: str) -> Outcome:
    """The ON of a step leaves, like every ON, after its row is on disk, with a lease as short as the step."""
    if ctx.dead is not None:
        return _failed(outlet, event, ctx.dead.code)
    proving = _proving(outlet)
    stepped = replace(outlet, proving=replace(proving, step=step, since_s=event.steady_s, seen_on=False))
    order = fx.SwitchOn(
        outlet.id,
        ctx.generation,
        ctx.rules.lease_proof_s,
        _proof_limits(outlet, ctx.rules),
        event.steady_s + ctx.rules.on_expires_s,
    )
    return Outcome(stepped, (fx.SaveOutlet(stepped), order))


def _proof_limits(outlet: Outlet, rules: Rules) -> Limits:
    return Limits(
        power_w=outlet.power_w,
        overload_s=rules.overload_s,
        over_voltage_v=rules.over_voltage_v,
        under_voltage_v=rules.under_voltage_v,
        overheat_c=rules.overheat_c,
        counter_wh=None,
        counter_reason=StopReason.ENERGY_LIMIT,
        leakage_ma=rules.leakage_ma,
    )


def proving_reading(outlet: Outlet, event: ev.Reading, ctx: Context) -> Outcome:
    proving = _proving(outlet)
    if proving.step == "obey_on" and event.power_w >= ctx.rules.load_w:
        return _switched_off(outlet, event, {"load_w": event.power_w})
    if proving.step == "obey_off" and event.power_w < ctx.rules.no_power_w and ctx.seen.relay_on is False:
        seen = _measured(outlet, {"off_power_w": event.power_w, "off_after_s": event.steady_s - proving.since_s})
        return _switched_on(seen, event, ctx, "lease")
    return Outcome(outlet)


def _switched_off(outlet: Outlet, event: ev.Event, measured: dict[str, float]) -> Outcome:
    proving = _proving(_measured(outlet, measured))
    stepped = replace(outlet, proving=replace(proving, step="obey_off", since_s=event.steady_s))
    return Outcome(stepped, (fx.SwitchOff(outlet.id), fx.SaveOutlet(stepped), fx.AskNow(outlet.id)))


def proving_relay(outlet: Outlet, event: ev.RelayReported, ctx: Context) -> Outcome:
    proving = _proving(outlet)
    if event.on:
        return _saw_on(outlet, proving, event)
    if proving.seen_on and proving.step in ("lease", "rearm"):
        return _lease_cut(outlet, proving, event, ctx)
    return Outcome(outlet)


def _saw_on(outlet: Outlet, proving: Proving, event: ev.RelayReported) -> Outcome:
    if proving.seen_on or proving.step not in ("obey_on", "lease", "rearm"):
        return Outcome(outlet)
    return Outcome(replace(outlet, proving=replace(proving, seen_on=True, since_s=event.steady_s)))


def _lease_cut(outlet: Outlet, proving: Proving, event: ev.RelayReported, ctx: Context) -> Outcome:
    """It went dark by itself: in time after one ON, and a whole lease after the renewal."""
    took_s = event.steady_s - proving.since_s
    lease_s = ctx.rules.lease_proof_s
    if proving.step == "lease":
        if not 0.5 * lease_s <= took_s <= lease_s + 10:
            return _failed(outlet, event, "lease_wrong")
        return _switched_on(_measured(outlet, {"lease_s": took_s}), event, ctx, "rearm")
    if not proving.renewed or took_s < 1.3 * lease_s:
        return _failed(outlet, event, "no_rearm")
    return _proven(_measured(outlet, {"rearmed_s": took_s}), event)


def _proven(outlet: Outlet, event: ev.Event) -> Outcome:
    proving = _proving(outlet)
    done = replace(
        outlet,
        phase=OutletPhase.COMMISSIONED,
        proving=None,
        commissioned_at=event.at,
        record={**proving.settings, **proving.measured},
        failed=None,
    )
    audit = fx.Audit(event.at, proving.by, "commissioned", outlet.id, dict(done.record))
    return Outcome(done, (fx.SwitchOff(outlet.id), fx.SaveOutlet(done), audit))


def proving_deadline(outlet: Outlet, event: ev.DeadlinePassed, ctx: Context) -> Outcome:
    proving = _proving(outlet)
    in_step_s = event.steady_s - proving.since_s
    if proving.step == "rearm" and proving.seen_on and not proving.renewed:
        if in_step_s < ctx.rules.lease_proof_s / 2:
            return Outcome(outlet)
        if ctx.dead is not None:
            return _failed(outlet, event, ctx.dead.code)
        renewed = replace(outlet, proving=replace(proving, renewed=True))
        limits = _proof_limits(outlet, ctx.rules)
        return Outcome(renewed, (fx.Renew(outlet.id, ctx.generation, ctx.rules.lease_proof_s, limits),))
    if in_step_s < ctx.rules.commission_step_s:
        return Outcome(outlet)
    return _failed(outlet, event, _why_late(proving))


def _why_late(proving: Proving) -> str:
    """A counter shared by several relays may be old news while the settings are made; at the end it is the reason."""
    if proving.step == "provision" and proving.settings.get("own_counter") == 0:
        return "no_own_counter"
    if proving.step == "provision" and proving.settings.get("inputs_detached") == 0:
        return "inputs_switch"
    return f"silent_at_{proving.step}"


def next_deadline(outlet: Outlet, rules: Rules) -> float | None:
    proving = outlet.proving
    if proving is None:
        return None
    if proving.step == "rearm" and proving.seen_on and not proving.renewed:
        return proving.since_s + rules.lease_proof_s / 2
    return proving.since_s + rules.commission_step_s


def _failed(outlet: Outlet, event: ev.Event, why: str) -> Outcome:
    proving = _proving(outlet)
    failed = replace(outlet, phase=OutletPhase.ADOPTED, proving=None, failed=why, commissioned_at=None)
    audit = fx.Audit(event.at, proving.by, "commissioning_failed", outlet.id, {"why": why, **proving.measured})
    return Outcome(failed, (fx.SwitchOff(outlet.id), fx.SaveOutlet(failed), audit))


def abandoned(outlet: Outlet, event: ev.Event, why: str = "gateway_restarted") -> Outcome:
    """Dead now, whatever step it was at; after a restart nothing is known of a programme half run."""
    return _failed(outlet, event, why)


def proving_lost(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    return _failed(outlet, event, "lost")


def proving_hazard(outlet: Outlet, event: ev.HazardReported, ctx: Context) -> Outcome:
    return _failed(outlet, event, "hazard")


def _proving(outlet: Outlet) -> Proving:
    if outlet.proving is None:
        raise RuntimeError(f"outlet {outlet.id} is in PROVING without a programme")
    return outlet.proving


def _measured(outlet: Outlet, values: dict[str, float]) -> Outlet:
    proving = _proving(outlet)
    rounded = {name: round(value, 2) for name, value in values.items()}
    return replace(outlet, proving=replace(proving, measured={**proving.measured, **rounded}))
