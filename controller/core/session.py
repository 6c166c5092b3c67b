"""One charge, from the held money to the settled bill: the table of phases × events and its handlers. Pure.

Every cell of TABLE is a handler, `ignore` or `refuse`; a handler changes the phase only by one of the moves.
"""

from msgspec.structs import replace

from controller.core import bikes, danger, waiting
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.finish import RULES as FINISH_RULES
from controller.core.finish import FinishState, Verdict, begin, observe
from controller.core.moves import (
    Context,
    Handler,
    Outcome,
    as_saved,
    charging,
    closed,
    limits,
    queued,
    resumed,
    settled,
)
from controller.core.reading import old_news, sampled, with_reading
from controller.core.reasons import StopReason
from controller.core.state import Phase, Session


def decide(session: Session, event: ev.Event, ctx: Context) -> Outcome:
    return TABLE[session.phase][type(event)](session, event, ctx)


# -- opening ------------------------------------------------------------------------------------------------------


def _opening_reading(session: Session, event: ev.Reading, ctx: Context) -> Outcome:
    if old_news(session, event):
        return _passed_over(session)
    heard = with_reading(session, event)
    if event.power_w < ctx.rules.load_w:
        return Outcome(heard)
    return charging(heard, event)


def _opening_relay(session: Session, event: ev.RelayReported, ctx: Context) -> Outcome:
    if event.on and session.confirmed_s is None:
        confirmed = as_saved(replace(session, confirmed_s=event.steady_s), event)
        return Outcome(confirmed, (fx.SaveSession(confirmed), fx.Moment(session.id, event.at, "on_confirmed")))
    if not event.on and session.confirmed_s is not None:
        return closed(session, event, StopReason.DEVICE_STOP)
    return Outcome(session)  # off before the ON is confirmed is old news


def _opening_deadline(session: Session, event: ev.DeadlinePassed, ctx: Context) -> Outcome:
    if session.confirmed_s is None:
        late_s = event.steady_s - (session.on_s or session.since_s)
        if late_s >= ctx.rules.on_confirm_s:
            return closed(session, event, StopReason.START_FAILED, {"waited_s": late_s})
        return Outcome(session)
    waited_s = event.steady_s - max(session.confirmed_s, session.since_s)
    if waited_s >= ctx.rules.never_plugged_s:
        reason = StopReason.NEVER_PLUGGED if session.started_at is None else StopReason.UNPLUGGED
        return closed(session, event, reason, {"waited_s": waited_s})
    return _renewed(session, event, ctx)


def _opening_link_lost(session: Session, event: ev.LinkLost, ctx: Context) -> Outcome:
    return closed(session, event, StopReason.START_FAILED)


def _opening_restarted(session: Session, event: ev.DeviceRestarted, ctx: Context) -> Outcome:
    return closed(session, event, StopReason.POWER_LOSS)


# -- charging -----------------------------------------------------------------------------------------------------


def _charging_reading(session: Session, event: ev.Reading, ctx: Context) -> Outcome:
    if old_news(session, event):
        return _passed_over(session)
    finish, watch, verdict = _judged(session, event)
    heard, wished = _followed(with_reading(session, event, finish, watch), finish)
    if verdict is not None:
        return closed(replace(heard, rule=verdict.rule), event, verdict.reason, verdict.evidence)
    if wished is not None:
        return closed(replace(heard, rule=bikes.WISHED), event, StopReason.ENERGY_LIMIT, wished)
    if heard.meter.used_wh >= session.max_wh:
        return closed(heard, event, session.max_reason, {"used_wh": heard.meter.used_wh})
    if event.steady_s - session.saved_s < ctx.rules.sample_s:
        return Outcome(heard)
    saved = as_saved(heard, event)
    return Outcome(saved, (sampled(saved, event), fx.Progressed(saved)))


def _judged(session: Session, event: ev.Reading) -> tuple[FinishState, danger.DangerState, Verdict | None]:
    """Is it full, gone, or a pack that will never turn? Both judges see every reading, on the session's own time."""
    t_s = event.steady_s - session.opened_s
    rules = session.finish_rules or FINISH_RULES
    finish, full = observe(session.finish or begin(t_s), t_s, event.power_w, rules, session.usual)
    watch, bad = danger.observe(session.danger or danger.begin(t_s), t_s, event.power_w)
    return finish, watch, full or bad


def _followed(session: Session, finish: FinishState) -> tuple[Session, dict[str, float] | None]:
    """Of a bike with a name, or a wish to stop before it is full: its course, and the figures once that is reached."""
    if session.bike is None and session.aim is None:
        return session, None
    course = bikes.followed(session.course, finish)
    wished = None if session.aim is None else bikes.reached(session.aim, course, finish)
    return replace(session, course=course), wished


def _charging_relay(session: Session, event: ev.RelayReported, ctx: Context) -> Outcome:
    return Outcome(session) if event.on else closed(session, event, StopReason.DEVICE_STOP)


def _charging_restarted(session: Session, event: ev.DeviceRestarted, ctx: Context) -> Outcome:
    """A device that booted has lost its mains, and is off; whose bike stands there now nobody knows."""
    return closed(session, event, StopReason.POWER_LOSS)


def _charging_deadline(session: Session, event: ev.DeadlinePassed, ctx: Context) -> Outcome:
    spent_s = event.steady_s - session.opened_s
    if spent_s >= session.max_s:
        return closed(session, event, StopReason.TIME_LIMIT, {"spent_s": spent_s})
    return _renewed(session, event, ctx)


def _renewed(session: Session, event: ev.DeadlinePassed, ctx: Context) -> Outcome:
    """Renews when a third of the lease is gone and the outlet was heard lately; silence is not renewed on trust."""
    since_s = event.steady_s - (session.renewed_s or session.since_s)
    heard_s = event.steady_s - max(session.reading_s or session.since_s, session.since_s)
    if ctx.seen.linked and heard_s < ctx.rules.silent_s:
        if since_s < session.lease_s / 3:
            return Outcome(session)
        renewed = replace(session, renewed_s=event.steady_s)
        return Outcome(
            renewed, (fx.Renew(session.outlet, session.generation, session.lease_s, limits(renewed, ctx.rules)),)
        )
    if since_s >= session.lease_s:
        reason = StopReason.METER_FAULT if ctx.seen.linked else StopReason.LINK_LOST
        return closed(session, event, reason, {"silent_s": heard_s})
    return Outcome(session)


# -- suspended: this gateway was away, what the outlet does is not known yet --------------------------------------


def _suspended_reading(session: Session, event: ev.Reading, ctx: Context) -> Outcome:
    if old_news(session, event):
        return _passed_over(session)
    heard = with_reading(session, event)
    return resumed(heard, event, ctx) if event.power_w >= ctx.rules.load_w else Outcome(heard)


def _suspended_relay(session: Session, event: ev.RelayReported, ctx: Context) -> Outcome:
    if event.on:
        return resumed(session, event, ctx)
    away_s = event.steady_s - (session.renewed_s or session.opened_s)
    if away_s < session.lease_s:
        return closed(session, event, StopReason.DEVICE_STOP, {"away_s": away_s})
    if away_s > ctx.rules.resume_max_s or not ctx.resumes:
        return closed(session, event, StopReason.POWER_LOSS, {"away_s": away_s})
    return queued(session, event)


def _suspended_deadline(session: Session, event: ev.DeadlinePassed, ctx: Context) -> Outcome:
    if event.steady_s - session.since_s < ctx.rules.silent_s:
        return Outcome(session, (fx.AskNow(session.outlet),))
    return closed(session, event, StopReason.LINK_LOST)


# -- closing: off is proven, not believed -------------------------------------------------------------------------


def _stop(session: Session, event: ev.StopAsked, ctx: Context) -> Outcome:
    """Before any load was seen a stop is a change of mind, and costs nothing."""
    return closed(session, event, waiting.why_stopped(session, event), by=event.by)


def _tripped(session: Session, event: ev.Tripped, ctx: Context) -> Outcome:
    return closed(session, event, event.reason, event.evidence)


def _withdrawn(session: Session, event: ev.PowerWithdrawn, ctx: Context) -> Outcome:
    """Its site or pile draws too much, and it came last: off, proven, and back into the line."""
    return closed(session, event, StopReason.OVERLOAD, event.evidence, again=True)


def _hazard(session: Session, event: ev.HazardReported, ctx: Context) -> Outcome:
    return closed(session, event, event.reason)


def _closing_reading(session: Session, event: ev.Reading, ctx: Context) -> Outcome:
    if old_news(session, event) or event.steady_s <= (session.off_s or 0.0):
        return _passed_over(session)
    heard = with_reading(session, event)
    if event.power_w >= ctx.rules.no_power_w:
        return _still_on(heard, event, ctx)
    if ctx.seen.relay_on is True:
        return Outcome(heard)  # nothing drawn proves nothing while the relay says on
    if event.energy_wh is None and heard.meter.counter_wh is not None:
        return Outcome(heard)  # the bill waits for the counter as it stands after the OFF, which has been asked for
    return queued(heard, event, "measured") if session.again else settled(heard, event, "measured")


def _closing_stop(session: Session, event: ev.StopAsked, ctx: Context) -> Outcome:
    """A stop that comes twice is one stop; who was only paused does not come back."""
    return _for_good(session, event, waiting.why_stopped(session, event), {}, event.by)


def _closing_hazard(session: Session, event: ev.HazardReported, ctx: Context) -> Outcome:
    return _for_good(session, event, event.reason, {})


def _closing_tripped(session: Session, event: ev.Tripped, ctx: Context) -> Outcome:
    return _for_good(session, event, event.reason, event.evidence)


def _for_good(
    session: Session, event: ev.Event, reason: StopReason, evidence: dict[str, float], by: str | None = None
) -> Outcome:
    """A pause becomes an end; an end stays the first one."""
    if not session.again:
        return Outcome(session)
    ended = as_saved(replace(session, again=False, reason=reason, evidence=evidence, stopped_by=by), event)
    return Outcome(ended, (fx.SaveSession(ended), fx.stop_moment(ended, event.at, reason, evidence)))


def _still_on(session: Session, event: ev.Reading, ctx: Context) -> Outcome:
    on_for_s = event.steady_s - (session.off_s or event.steady_s)
    if on_for_s < 3 * ctx.rules.off_repeat_s or ctx.seen.alarmed:
        return Outcome(session)
    return Outcome(session, (_welded(session, event, {"power_w": event.power_w, "on_for_s": on_for_s}),))


def _welded(session: Session, event: ev.Event, evidence: dict[str, float]) -> fx.RaiseAlarm:
    return fx.RaiseAlarm(f"{session.id}:relay", event.at, session.site, session.outlet, "relay_fault", evidence)


def _closing_deadline(session: Session, event: ev.DeadlinePassed, ctx: Context) -> Outcome:
    off_for_s = event.steady_s - (session.off_s or event.steady_s)
    if off_for_s >= ctx.rules.proof_s:
        return _unproven(session, event, ctx)
    if event.steady_s - (session.off_sent_s or event.steady_s) < ctx.rules.off_repeat_s:
        return Outcome(session)
    again = replace(session, off_sent_s=event.steady_s)
    return Outcome(again, (fx.SwitchOff(session.outlet), fx.AskNow(session.outlet)))


def _unproven(session: Session, event: ev.DeadlinePassed, ctx: Context) -> Outcome:
    """Nobody saw it off in time: the outlet is latched, the money settles on what was metered before the first OFF."""
    silent = ctx.seen.reading_s <= (session.off_s or 0.0)
    on_for_s = event.steady_s - (session.renewed_s or session.opened_s)
    proof = "lease_expired" if silent and on_for_s > session.lease_s else "none"
    outcome = settled(replace(session, meter=session.meter_at_off or session.meter), event, proof)
    kind = "link_lost" if silent else "relay_fault"
    alarm = fx.RaiseAlarm(
        f"{session.id}:unproven", event.at, session.site, session.outlet, kind, {"proof_s": ctx.rules.proof_s}
    )
    return replace(outcome, effects=(fx.SwitchOff(session.outlet), *outcome.effects, alarm), latch=kind)


# -- shared by the handlers ---------------------------------------------------------------------------------------


def _passed_over(session: Session) -> Outcome:
    """Late messages are counted and nothing else: too many in a row are a counter that was reset."""
    return Outcome(replace(session, behind=session.behind + 1))


def ignore(session: Session, event: ev.Event, ctx: Context) -> Outcome:
    return Outcome(session)


def refuse(session: Session, event: ev.Event, ctx: Context) -> Outcome:
    raise Refused("already_settled", f"session {session.id} is {session.phase}")


EVENTS: tuple[type[ev.Event], ...] = (
    ev.Reading,
    ev.RelayReported,
    ev.LinkUp,
    ev.LinkLost,
    ev.DeviceRestarted,
    ev.HazardReported,
    ev.Tripped,
    ev.StopAsked,
    ev.DeadlinePassed,
    ev.PowerGranted,
    ev.PowerWithdrawn,
)

TABLE: dict[Phase, dict[type[ev.Event], Handler]] = {
    Phase.QUEUED: {
        ev.Reading: waiting.queued_reading,
        ev.RelayReported: waiting.queued_relay,
        ev.LinkUp: waiting.queued_link_up,
        ev.LinkLost: ignore,  # it keeps its place, and is passed over while it can't be reached
        ev.DeviceRestarted: ignore,
        ev.HazardReported: _hazard,
        ev.Tripped: ignore,  # of whoever was there before
        ev.StopAsked: waiting.queued_stop,
        ev.DeadlinePassed: waiting.queued_deadline,
        ev.PowerGranted: waiting.queued_granted,
        ev.PowerWithdrawn: ignore,
    },
    Phase.OPENING: {
        ev.Reading: _opening_reading,
        ev.RelayReported: _opening_relay,
        ev.LinkUp: ignore,
        ev.LinkLost: _opening_link_lost,
        ev.DeviceRestarted: _opening_restarted,
        ev.HazardReported: _hazard,
        ev.Tripped: _tripped,
        ev.StopAsked: _stop,
        ev.DeadlinePassed: _opening_deadline,
        ev.PowerGranted: ignore,
        ev.PowerWithdrawn: _withdrawn,
    },
    Phase.CHARGING: {
        ev.Reading: _charging_reading,
        ev.RelayReported: _charging_relay,
        ev.LinkUp: ignore,
        ev.LinkLost: ignore,  # the lease ends it if the link stays away
        ev.DeviceRestarted: _charging_restarted,
        ev.HazardReported: _hazard,
        ev.Tripped: _tripped,
        ev.StopAsked: _stop,
        ev.DeadlinePassed: _charging_deadline,
        ev.PowerGranted: ignore,
        ev.PowerWithdrawn: _withdrawn,
    },
    Phase.SUSPENDED: {
        ev.Reading: _suspended_reading,
        ev.RelayReported: _suspended_relay,
        ev.LinkUp: ignore,
        ev.LinkLost: ignore,
        ev.DeviceRestarted: ignore,  # off at power-up, which the relay's report will say
        ev.HazardReported: _hazard,
        ev.Tripped: _tripped,
        ev.StopAsked: _stop,
        ev.DeadlinePassed: _suspended_deadline,
        ev.PowerGranted: ignore,
        ev.PowerWithdrawn: _withdrawn,
    },
    Phase.CLOSING: {
        ev.Reading: _closing_reading,
        ev.RelayReported: ignore,  # believed only where there is no meter
        ev.LinkUp: ignore,
        ev.LinkLost: ignore,
        ev.DeviceRestarted: ignore,
        ev.HazardReported: _closing_hazard,
        ev.Tripped: _closing_tripped,
        ev.StopAsked: _closing_stop,
        ev.DeadlinePassed: _closing_deadline,
        ev.PowerGranted: ignore,
        ev.PowerWithdrawn: ignore,
    },
    Phase.SETTLED: {
        ev.Reading: ignore,
        ev.RelayReported: ignore,
        ev.LinkUp: ignore,
        ev.LinkLost: ignore,
        ev.DeviceRestarted: ignore,
        ev.HazardReported: ignore,
        ev.Tripped: ignore,
        ev.StopAsked: refuse,
        ev.DeadlinePassed: ignore,
        ev.PowerGranted: ignore,
        ev.PowerWithdrawn: ignore,
    },
}
