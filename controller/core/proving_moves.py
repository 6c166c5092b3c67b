"""The ways through commissioning: on, off, proven, failed. Pure; who goes which way when is in `proving_steps`."""

from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.outlet_outcome import Context, Outcome
from controller.core.programme import CutBy, Failure, Proof, Proving, Step, steps_of
from controller.core.reasons import StopReason
from controller.core.state import Limits, Outlet, OutletPhase, Rules

WATCHDOG = "watchdog"  # the lease class of an outlet whose lease only an external watchdog gives


def proving_of(outlet: Outlet) -> Proving:
    if outlet.proving is None:
        raise RuntimeError(f"outlet {outlet.id} is in PROVING without a programme")
    return outlet.proving


def noted(outlet: Outlet, **seen: object) -> Outlet:
    return replace(outlet, proving=replace(proving_of(outlet), **seen))


def measured(outlet: Outlet, **values: float) -> Outlet:
    rounded = {name: round(value, 2) for name, value in values.items()}
    return noted(outlet, measured={**proving_of(outlet).measured, **rounded})


def watchdog_s(outlet: Outlet) -> float:
    """0: the device has a timer of its own, whatever else may cut it."""
    return proving_of(outlet).settings.get("watchdog_s", 0.0) if outlet.lease_class == WATCHDOG else 0.0


def lease_s(outlet: Outlet, rules: Rules) -> float:
    """How long the ON of this step may last without another word of ours: as short as the step allows.

    Where OFF is what is tried, a lease that ends first would hide that it was not obeyed.
    """
    own_s = rules.lease_walk_s if proving_of(outlet).step in (Step.OBEY_ON, Step.POWER_CUT) else rules.lease_proof_s
    return watchdog_s(outlet) or own_s


def begun(outlet: Outlet, step: Step, event: ev.Event) -> Outlet:
    """At the start of a step nothing of it has been seen yet."""
    proving, now_s = proving_of(outlet), event.steady_s
    fresh = Proving(step, now_s, proving.by, proving.settings, proving.measured, step_s=now_s, asked_s=now_s)
    return replace(outlet, proving=fresh)


def switched_on(outlet: Outlet, event: ev.Event, ctx: Context, step: Step, tries: int = 0) -> Outcome:
    """The ON of a step leaves, like every ON, after its row is on disk, with a lease as short as the step."""
    if ctx.dead is not None:
        return failed(outlet, event, ctx.dead.code)
    before = proving_of(outlet)
    stepped = begun(outlet, step, event)
    if tries:
        stepped = noted(stepped, tries=tries, step_s=before.step_s)
    leased_s = lease_s(stepped, ctx.rules)
    stepped = noted(stepped, lease_s=leased_s)
    on = fx.SwitchOn(
        outlet.id,
        ctx.generation,
        leased_s,
        proof_limits(outlet, ctx.rules),
        event.steady_s + ctx.rules.on_expires_s,
    )
    return Outcome(stepped, (fx.SaveOutlet(stepped), on))


def proof_limits(outlet: Outlet, rules: Rules) -> Limits:
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


def switched_off(outlet: Outlet) -> Outcome:
    """Whatever has cut it: from here on it is held off, and asked whether it is."""
    return Outcome(outlet, (fx.SwitchOff(outlet.id), fx.SaveOutlet(outlet), fx.AskNow(outlet.id)))


def renewed(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    if ctx.dead is not None:
        return failed(outlet, event, ctx.dead.code)
    renew = fx.Renew(outlet.id, ctx.generation, lease_s(outlet, ctx.rules), proof_limits(outlet, ctx.rules))
    return Outcome(noted(outlet, renewed_s=event.steady_s), (renew,))


def proven(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    proving = proving_of(outlet)
    cut_by = CutBy.WATCHDOG if watchdog_s(outlet) else CutBy.TIMER
    done = replace(
        outlet,
        phase=OutletPhase.COMMISSIONED,
        proving=None,
        commissioned_at=event.at,
        record={**proving.settings, **proving.measured},
        proof=Proof(event.at, proving.by, outlet.firmware, ctx.model, cut_by),
        failed=None,
        failure=None,
        lease_s=_served_s(outlet, ctx.rules),
    )
    told = {**done.record, "cut_by": str(cut_by), "firmware": done.firmware}
    audit = fx.Audit(event.at, proving.by, "commissioned", outlet.id, told)
    cleared = fx.ClearAlarms(outlet.id, event.at, proving.by, "firmware_changed")
    return Outcome(done, (fx.SwitchOff(outlet.id), fx.SaveOutlet(done), cleared, audit))


def _served_s(outlet: Outlet, rules: Rules) -> float:
    """A watchdog can't be told how long: never longer than it was seen to take."""
    own_s = watchdog_s(outlet)
    return min(rules.lease_s, own_s, proving_of(outlet).measured["lease_s"]) if own_s else outlet.lease_s


def failed(outlet: Outlet, event: ev.Event, why: str, **evidence: float | str) -> Outcome:
    proving = proving_of(outlet)
    evidence = {**proving.measured, **evidence}
    failure = Failure(event.at, proving.step, why, evidence, steps_of(proving.settings))
    after = replace(outlet, phase=OutletPhase.ADOPTED, proving=None, failed=why, failure=failure, commissioned_at=None)
    told: dict[str, object] = {"why": why, "step": proving.step, **failure.evidence}
    audit = fx.Audit(event.at, proving.by, "commissioning_failed", outlet.id, told)
    return Outcome(after, (fx.SwitchOff(outlet.id), fx.SaveOutlet(after), audit))
