"""An outlet without a session: found → adopted → proven → open, and what is cut, latched or locked. Pure.

Power without a session is cut and raises an alarm, whatever the phase. Commissioning is a small programme of steps run
on the device itself; each step's measured result is kept as the outlet's record.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.reasons import StopReason
from controller.core.state import Limits, Outlet, OutletPhase, Proving, Rules, Seen


class Context(msgspec.Struct, frozen=True):
    """`dead` is why this outlet may not be energised (`dead.py`), or None."""

    rules: Rules
    seen: Seen
    generation: int
    dead: Refused | None = None


class Outcome(msgspec.Struct, frozen=True):
    outlet: Outlet
    effects: tuple[fx.Effect, ...] = ()
    alarmed: bool | None = None


Handler = Callable[[Outlet, Any, Context], Outcome]


def decide(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    return TABLE[outlet.phase][type(event)](outlet, event, ctx)


def latched(outlet: Outlet, kind: str) -> Outcome:
    shut = replace(outlet, latch=kind)
    return Outcome(shut, (fx.SaveOutlet(shut),))


# -- idle: dead, and kept so --------------------------------------------------------------------------------------


def _idle_reading(outlet: Outlet, event: ev.Reading, ctx: Context) -> Outcome:
    if event.power_w < ctx.rules.no_power_w:
        return Outcome(outlet, alarmed=False)
    cut = fx.SwitchOff(outlet.id)
    if ctx.seen.alarmed:
        return _latched_if_it_stays(outlet, event, ctx, cut)
    return Outcome(
        outlet, (cut, _alarm(outlet, event, "power_without_session", {"power_w": event.power_w})), alarmed=True
    )


def _latched_if_it_stays(outlet: Outlet, event: ev.Reading, ctx: Context, cut: fx.SwitchOff) -> Outcome:
    """A latch is for ever until a person clears it; it comes on the second reading, so one stray report is no fault."""
    if outlet.latch is not None:
        return Outcome(outlet, (cut,))
    shut = replace(outlet, latch="relay_fault")
    return Outcome(shut, (cut, fx.SaveOutlet(shut)))


def _idle_relay(outlet: Outlet, event: ev.RelayReported, ctx: Context) -> Outcome:
    """Somebody switched it on (a button, another program): off."""
    return Outcome(outlet, (fx.SwitchOff(outlet.id),)) if event.on else Outcome(outlet)


def _hazard(outlet: Outlet, event: ev.HazardReported, ctx: Context) -> Outcome:
    return Outcome(outlet, (fx.SwitchOff(outlet.id), _alarm(outlet, event, str(event.reason), {})))


def _link_up(outlet: Outlet, event: ev.LinkUp, ctx: Context) -> Outcome:
    """Whatever it did while it was away, an idle outlet is off and says so."""
    return Outcome(outlet, (fx.SwitchOff(outlet.id), fx.AskNow(outlet.id)))


def _alarm(outlet: Outlet, event: ev.Event, kind: str, evidence: dict[str, float]) -> fx.RaiseAlarm:
    return fx.RaiseAlarm(f"{outlet.id}:{kind}:{event.at:.3f}", event.at, outlet.site, outlet.id, kind, evidence)


# -- commissioning ------------------------------------------------------------------------------------------------

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


def _proving_setting(outlet: Outlet, event: ev.SettingReported, ctx: Context) -> Outcome:
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


def _proving_reading(outlet: Outlet, event: ev.Reading, ctx: Context) -> Outcome:
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


def _proving_relay(outlet: Outlet, event: ev.RelayReported, ctx: Context) -> Outcome:
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


def _proving_deadline(outlet: Outlet, event: ev.DeadlinePassed, ctx: Context) -> Outcome:
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


def _proving_lost(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    return _failed(outlet, event, "lost")


def _proving_hazard(outlet: Outlet, event: ev.HazardReported, ctx: Context) -> Outcome:
    return _failed(outlet, event, "hazard")


def _proving(outlet: Outlet) -> Proving:
    if outlet.proving is None:
        raise RuntimeError(f"outlet {outlet.id} is in PROVING without a programme")
    return outlet.proving


def _measured(outlet: Outlet, values: dict[str, float]) -> Outlet:
    proving = _proving(outlet)
    rounded = {name: round(value, 2) for name, value in values.items()}
    return replace(outlet, proving=replace(proving, measured={**proving.measured, **rounded}))


# -- what staff may do --------------------------------------------------------------------------------------------


def opened(outlet: Outlet, event: ev.StaffChange, ctx: Context) -> Outcome:
    if outlet.phase not in (OutletPhase.COMMISSIONED, OutletPhase.OPEN):
        raise Refused("not_commissioned", f"outlet {outlet.number} has not been proven yet")
    return _changed(replace(outlet, phase=OutletPhase.OPEN))


def shut(outlet: Outlet, event: ev.StaffChange, ctx: Context) -> Outcome:
    """Closed for new sessions; one under way goes on."""
    return (
        _changed(replace(outlet, phase=OutletPhase.COMMISSIONED))
        if outlet.phase is OutletPhase.OPEN
        else Outcome(outlet)
    )


def named(outlet: Outlet, event: ev.StaffChange, ctx: Context) -> Outcome:
    return _changed(replace(outlet, number=str(event.values["number"])))


def locked(outlet: Outlet, event: ev.StaffChange, ctx: Context) -> Outcome:
    if outlet.locked_by not in (None, event.by):
        raise Refused("locked", f"outlet {outlet.number} is already locked")
    if outlet.phase is OutletPhase.PROVING:  # its next step would put power under somebody's hands
        outlet = _failed(outlet, event, "locked").outlet
    held = replace(outlet, locked_by=event.by)
    return Outcome(held, (fx.SwitchOff(outlet.id), fx.SaveOutlet(held)))


def unlocked(outlet: Outlet, event: ev.StaffChange, ctx: Context) -> Outcome:
    """Only the person who locked it, or an owner; a program that acts for one is neither."""
    by_owner = bool(event.values.get("owner")) and event.by.startswith("staff:")
    if outlet.locked_by not in (None, event.by) and not by_owner:
        raise Refused("locked", "only the person who locked it, or an owner, may unlock it")
    return _changed(replace(outlet, locked_by=None))


def cleared(outlet: Outlet, event: ev.StaffChange, ctx: Context) -> Outcome:
    """A latch is cleared by a person who looked, and only while nothing is drawn."""
    if (ctx.seen.power_w or 0.0) >= ctx.rules.no_power_w:
        raise Refused("latched", "power still flows; the relay must be mended first")
    if ctx.dead is not None and ctx.dead.code == "input_active":
        raise ctx.dead
    free = replace(outlet, latch=None)
    return Outcome(free, (fx.SaveOutlet(free), fx.ClearAlarms(outlet.id, event.at, event.by)), alarmed=False)


def _changed(outlet: Outlet) -> Outcome:
    return Outcome(outlet, (fx.SaveOutlet(outlet),))


STAFF: dict[ev.Change, Handler] = {
    ev.Change.COMMISSION: commission,
    ev.Change.OPEN: opened,
    ev.Change.CLOSE: shut,
    ev.Change.NAME: named,
    ev.Change.LOCK: locked,
    ev.Change.UNLOCK: unlocked,
    ev.Change.CLEAR_LATCH: cleared,
}


def ignore(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    return Outcome(outlet)


def refuse(outlet: Outlet, event: ev.Event, ctx: Context) -> Outcome:
    raise Refused("already_settled", f"there is no session on outlet {outlet.number}")


_IDLE: dict[type[ev.Event], Handler] = {
    ev.Reading: _idle_reading,
    ev.RelayReported: _idle_relay,
    ev.LinkUp: _link_up,
    ev.LinkLost: ignore,
    ev.DeviceRestarted: ignore,
    ev.HazardReported: _hazard,
    ev.SettingReported: ignore,
    ev.Tripped: ignore,
    ev.StopAsked: refuse,
    ev.DeadlinePassed: ignore,
}

TABLE: dict[OutletPhase, dict[type[ev.Event], Handler]] = {
    OutletPhase.ADOPTED: _IDLE,
    OutletPhase.PROVING: {
        ev.Reading: _proving_reading,
        ev.RelayReported: _proving_relay,
        ev.LinkUp: ignore,
        ev.LinkLost: _proving_lost,
        ev.DeviceRestarted: _proving_lost,
        ev.HazardReported: _proving_hazard,
        ev.SettingReported: _proving_setting,
        ev.Tripped: _proving_lost,
        ev.StopAsked: refuse,
        ev.DeadlinePassed: _proving_deadline,
    },
    OutletPhase.COMMISSIONED: _IDLE,
    OutletPhase.OPEN: _IDLE,
    OutletPhase.METERING_ONLY: {**_IDLE, ev.LinkUp: ignore, ev.Reading: ignore, ev.RelayReported: ignore},
}
