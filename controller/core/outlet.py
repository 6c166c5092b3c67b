"""An outlet without a session: found → adopted → proven → open, and what is cut, latched or locked. Pure.

Power without a session is cut and raises an alarm, whatever the phase. How an outlet is proven is in `proving`.
"""

from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.outlet_outcome import Context, Handler, Outcome, changed
from controller.core.proving import (
    abandoned,
    commission,
    proving_deadline,
    proving_firmware,
    proving_hazard,
    proving_lost,
    proving_reading,
    proving_relay,
    proving_restarted,
    proving_setting,
    proving_tripped,
    told_firmware,
)
from controller.core.state import Outlet, OutletPhase


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


# -- what staff may do --------------------------------------------------------------------------------------------


def opened(outlet: Outlet, event: ev.StaffChange, ctx: Context) -> Outcome:
    if outlet.phase not in (OutletPhase.COMMISSIONED, OutletPhase.OPEN):
        raise Refused("not_commissioned", f"outlet {outlet.number} has not been proven yet")
    return changed(replace(outlet, phase=OutletPhase.OPEN))


def shut(outlet: Outlet, event: ev.StaffChange, ctx: Context) -> Outcome:
    """Closed for new sessions; one under way goes on."""
    return (
        changed(replace(outlet, phase=OutletPhase.COMMISSIONED))
        if outlet.phase is OutletPhase.OPEN
        else Outcome(outlet)
    )


def named(outlet: Outlet, event: ev.StaffChange, ctx: Context) -> Outcome:
    return changed(replace(outlet, number=str(event.values["number"])))


def locked(outlet: Outlet, event: ev.StaffChange, ctx: Context) -> Outcome:
    if outlet.locked_by not in (None, event.by):
        raise Refused("locked", f"outlet {outlet.number} is already locked")
    if outlet.phase is OutletPhase.PROVING:  # its next step would put power under somebody's hands
        outlet = abandoned(outlet, event, "locked").outlet
    held = replace(outlet, locked_by=event.by)
    return Outcome(held, (fx.SwitchOff(outlet.id), fx.SaveOutlet(held)))


def unlocked(outlet: Outlet, event: ev.StaffChange, ctx: Context) -> Outcome:
    """Only the person who locked it, or an owner; a program that acts for one is neither."""
    by_owner = bool(event.values.get("owner")) and event.by.startswith("staff:")
    if outlet.locked_by not in (None, event.by) and not by_owner:
        raise Refused("locked", "only the person who locked it, or an owner, may unlock it")
    return changed(replace(outlet, locked_by=None))


def cleared(outlet: Outlet, event: ev.StaffChange, ctx: Context) -> Outcome:
    """A latch is cleared by a person who looked, and only while nothing is drawn."""
    if (ctx.seen.power_w or 0.0) >= ctx.rules.no_power_w:
        raise Refused("latched", "power still flows; the relay must be mended first")
    if ctx.dead is not None and ctx.dead.code == "input_active":
        raise ctx.dead
    free = replace(outlet, latch=None)
    return Outcome(free, (fx.SaveOutlet(free), fx.ClearAlarms(outlet.id, event.at, event.by)), alarmed=False)


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
    ev.FirmwareReported: told_firmware,
    ev.Tripped: ignore,
    ev.StopAsked: refuse,
    ev.DeadlinePassed: ignore,
}

TABLE: dict[OutletPhase, dict[type[ev.Event], Handler]] = {
    OutletPhase.ADOPTED: _IDLE,
    OutletPhase.PROVING: {
        ev.Reading: proving_reading,
        ev.RelayReported: proving_relay,
        ev.LinkUp: ignore,
        ev.LinkLost: proving_lost,
        ev.DeviceRestarted: proving_restarted,
        ev.HazardReported: proving_hazard,
        ev.SettingReported: proving_setting,
        ev.FirmwareReported: proving_firmware,
        ev.Tripped: proving_tripped,
        ev.StopAsked: refuse,
        ev.DeadlinePassed: proving_deadline,
    },
    OutletPhase.COMMISSIONED: _IDLE,
    OutletPhase.OPEN: _IDLE,
    OutletPhase.METERING_ONLY: {**_IDLE, ev.LinkUp: ignore, ev.Reading: ignore, ev.RelayReported: ignore},
}
