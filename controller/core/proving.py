"""Commissioning: a programme of steps that an outlet runs on the device itself before it may sell power. Pure.

Settings; an ON and an OFF that are obeyed and seen by its own meter; a lease that cuts and one that is renewed; and
where the device can't say what it does at power-up, a power cut. What was measured is kept as the outlet's record. Who
fails a step is off, and adopted again. What each step asks for is in `proving_steps`.
"""

from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.outlet_outcome import Context, Outcome
from controller.core.programme import CutBy, Failure, Proof, Proving, Step
from controller.core.proving_cut import gone, is_silent
from controller.core.proving_moves import begun, failed, noted, proving_of
from controller.core.proving_steps import advanced, due_s, over_s, why_over
from controller.core.state import Outlet, OutletPhase, Rules

ASK_S = 2.0  # a lease of fifteen seconds is seen to within a seventh
ASK_CUT_S = 1.0
ASK_TURN_S = 10.0  # nothing happens there; who is being proven wants the line
ON_STEPS = (Step.OBEY_ON, Step.LEASE, Step.REARM, Step.POWER_CUT)
PROVEN = (OutletPhase.COMMISSIONED, OutletPhase.OPEN)


def commission(outlet: Outlet, event: ev.StaffChange, ctx: Context) -> Outcome:
    """Step one: off, then set the device up, and have it say so."""
    if outlet.phase is OutletPhase.METERING_ONLY:
        raise Refused("metering_only", "this device has no timer of its own that could cut it")
    if ctx.dead is not None:  # out of service means no power either, until somebody has looked
        raise ctx.dead
    now_s = event.steady_s
    proving = Proving(Step.PROVISION, now_s, event.by, {}, {}, step_s=now_s, asked_s=now_s)
    started = replace(outlet, phase=OutletPhase.PROVING, proving=proving, failed=None, failure=None)
    provision = fx.Provision(outlet.id, outlet.lease_s, outlet.power_w)
    return Outcome(started, (fx.SwitchOff(outlet.id), fx.SaveOutlet(started), provision))


# -- what its device says -----------------------------------------------------------------------------------------


def proving_setting(outlet: Outlet, event: ev.SettingReported, ctx: Context) -> Outcome:
    proving = proving_of(outlet)
    if proving.step not in (Step.PROVISION, Step.TURN):
        return Outcome(outlet)
    return advanced(noted(outlet, settings={**proving.settings, event.setting: event.value}), event, ctx)


def proving_reading(outlet: Outlet, event: ev.Reading, ctx: Context) -> Outcome:
    proving = proving_of(outlet)
    if proving.step in ON_STEPS and event.power_w >= ctx.rules.load_w and event.steady_s > proving.since_s:
        load_s = event.steady_s if proving.load_s is None else proving.load_s
        outlet = noted(_on(outlet, event), load_s=load_s, lit_s=event.steady_s)
    return advanced(outlet, event, ctx)


def proving_relay(outlet: Outlet, event: ev.RelayReported, ctx: Context) -> Outcome:
    if event.on and proving_of(outlet).step in ON_STEPS:
        outlet = _on(outlet, event)
    if proving_of(outlet).on_s is not None:
        outlet = noted(outlet, heard_s=event.steady_s)
    return advanced(outlet, event, ctx)


def _on(outlet: Outlet, event: ev.Event) -> Outlet:
    proving = proving_of(outlet)
    if proving.on_s is not None:
        return outlet
    return noted(outlet, on_s=event.steady_s, heard_s=event.steady_s)


def proving_lost(outlet: Outlet, event: ev.LinkLost, ctx: Context) -> Outcome:
    return _away(outlet, event, "lost")


def proving_restarted(outlet: Outlet, event: ev.DeviceRestarted, ctx: Context) -> Outcome:
    return _away(outlet, event, "restarted")


def _away(outlet: Outlet, event: ev.Event, why: str) -> Outcome:
    """Expected of a device whose supply is taken away; else it has not been proven."""
    match proving_of(outlet).step:
        case Step.POWER_CUT:
            return gone(outlet, event)
        case Step.TURN:  # a neighbour is being proven, and their supply is one; dark, and waits on
            return Outcome(begun(outlet, Step.TURN, event))
    return failed(outlet, event, why)


def proving_hazard(outlet: Outlet, event: ev.HazardReported, ctx: Context) -> Outcome:
    return failed(outlet, event, "hazard", reason=str(event.reason))


def proving_tripped(outlet: Outlet, event: ev.Tripped, ctx: Context) -> Outcome:
    """The guard has cut what was plugged in."""
    return failed(outlet, event, "tripped", reason=str(event.reason), **event.evidence)


def proving_firmware(outlet: Outlet, event: ev.FirmwareReported, ctx: Context) -> Outcome:
    """Said at first, it is what is being proven; another one in the middle is not."""
    outcome = told_firmware(outlet, event, ctx)
    early = proving_of(outlet).step in (Step.PROVISION, Step.TURN)
    if early or outlet.firmware in ("", event.firmware) or not event.firmware:
        return outcome
    ended = failed(outcome.outlet, event, "firmware_changed", was=outlet.firmware, now=event.firmware)
    return replace(ended, effects=(*ended.effects, *outcome.effects))


# -- time ---------------------------------------------------------------------------------------------------------


def proving_deadline(outlet: Outlet, event: ev.DeadlinePassed, ctx: Context) -> Outcome:
    proving = proving_of(outlet)
    if is_silent(proving, event.steady_s):
        return gone(outlet, event, proving.heard_s)
    outcome = advanced(outlet, event, ctx)
    after = outcome.outlet.proving
    if after is None or after.step != proving.step or outcome.effects:
        return outcome
    if event.steady_s >= over_s(outcome.outlet, ctx.rules):
        return failed(outcome.outlet, event, why_over(outcome.outlet, ctx))
    if event.steady_s < after.asked_s + _ask_s(after):
        return outcome
    return _asked(outcome.outlet, event, ctx)


def _ask_s(proving: Proving) -> float:
    match proving.step:
        case Step.POWER_CUT:
            return ASK_CUT_S
        case Step.TURN:
            return ASK_TURN_S
    return ASK_S


def _asked(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    """The device may be one that speaks when it is asked; and an OFF may have been lost."""
    proving = proving_of(outlet)
    asked = noted(outlet, asked_s=event.steady_s)
    waits_for_off = proving.cut_s is not None or proving.step == Step.OBEY_OFF
    off = (fx.SwitchOff(outlet.id),) if waits_for_off and not _shows_off(ctx) else ()
    others = ctx.besides if proving.step == Step.OBEY_ON else ()
    asks = (fx.AskNow(outlet.id), *(fx.AskNow(beside.id) for beside in others if not beside.charging))
    return Outcome(asked, (*off, *asks) if proving.step != Step.PROVISION else ())


def _shows_off(ctx: Context) -> bool:
    """An OFF goes before all else on a line: sixteen that are dark anyway would leave no room for what proves it."""
    return ctx.seen.relay_on is False and (ctx.seen.power_w or 0.0) < ctx.rules.no_power_w


def next_deadline(outlet: Outlet, rules: Rules) -> float | None:
    proving = outlet.proving
    if proving is None:
        return None
    ask_s = proving.asked_s + _ask_s(proving)
    due = due_s(outlet, rules)
    return min(ask_s, over_s(outlet, rules), ask_s if due is None else due)


def abandoned(outlet: Outlet, event: ev.Event, why: str = "gateway_restarted") -> Outcome:
    """Dead now, whatever step it was at; after a restart nothing is known of a programme half run."""
    return failed(outlet, event, why)


# -- another firmware ---------------------------------------------------------------------------------------------


def told_firmware(outlet: Outlet, event: ev.FirmwareReported, ctx: Context) -> Outcome:
    """Another one than it was proven with: proven no longer, once nobody charges there."""
    if not event.firmware or event.firmware == outlet.firmware:
        return Outcome(outlet)
    told = replace(outlet, firmware=event.firmware, proof=_proof_of(outlet, event))
    rows = (fx.SaveOutlet(told), fx.SaveFirmware(outlet.pile, event.firmware, event.model))
    if ctx.charging or not is_outdated(told):
        return Outcome(told, rows)
    fallen = fell_back(told, event)
    return replace(fallen, effects=(*fallen.effects, rows[1]))


def _proof_of(outlet: Outlet, event: ev.FirmwareReported) -> Proof | None:
    """What was proven before firmware was kept with it was proven with what is known of that time, or now."""
    proof = outlet.proof
    if outlet.phase not in PROVEN or (proof is not None and proof.firmware):
        return proof
    known = proof or Proof(outlet.commissioned_at or event.at, "", "", "", CutBy.TIMER)
    return replace(known, firmware=outlet.firmware or event.firmware)


def is_outdated(outlet: Outlet) -> bool:
    """It serves, and what it was proven with is no longer what it runs."""
    proof = outlet.proof
    return outlet.phase in PROVEN and proof is not None and proof.firmware not in ("", outlet.firmware)


def fell_back(outlet: Outlet, event: ev.Event) -> Outcome:
    proof = outlet.proof
    evidence: dict[str, float | str] = {"was": "" if proof is None else proof.firmware, "now": outlet.firmware}
    failure = Failure(event.at, "", "firmware_changed", evidence)
    fallen = replace(
        outlet, phase=OutletPhase.ADOPTED, commissioned_at=None, failed="firmware_changed", failure=failure
    )
    alarm = fx.RaiseAlarm(
        f"{outlet.id}:firmware_changed:{event.at:.3f}", event.at, outlet.site, outlet.id, "firmware_changed", {}
    )
    audit = fx.Audit(event.at, "gateway", "firmware_changed", outlet.id, dict(evidence))
    return Outcome(fallen, (fx.SwitchOff(outlet.id), fx.SaveOutlet(fallen), alarm, audit))
