"""One charge, from the held money to the settled bill: the table of phases × events and its handlers. Pure.

Every cell of TABLE is a handler, `ignore` or `refuse`; a handler changes the phase only by one of the moves.
"""

from msgspec.structs import replace

from controller.core import bikes, danger, draw, moves, paused, waiting
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.due import load_wait_s
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
    settled,
)
from controller.core.off import off_again, off_for_s, still_on
from controller.core.reading import jump, old_news, sampled, with_reading
from controller.core.reasons import StopReason
from controller.core.state import Pause, Phase, Session, Why

LATE_S = 15.0  # no load delays a deadline by so much
DANGERS = frozenset({StopReason.NEVER_TURNED, StopReason.NOT_A_CHARGER, StopReason.FUSE_BLOWN, StopReason.METER_FAULT})


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
    if waited_s >= load_wait_s(session, ctx.rules):
        return _no_load(session, event, waited_s)
    return _renewed(session, event, ctx)


def _no_load(session: Session, event: ev.Event, waited_s: float) -> Outcome:
    """Nobody plugged in; or what has charged before does not come back, which a pause may have asked."""
    if session.started_at is None:
        return closed(session, event, StopReason.NEVER_PLUGGED, {"waited_s": waited_s})
    pause = session.pause
    if pause is None or pause.why not in (Why.PROBE, Why.EMPTY):
        return closed(session, event, StopReason.UNPLUGGED, {"waited_s": waited_s})
    return closed(session, event, paused.reason_of(session), {**pause.evidence, "waited_s": waited_s})


def _opening_link_lost(session: Session, event: ev.LinkLost, ctx: Context) -> Outcome:
    """A start that nobody sees is none; a charge that had begun waits, dark, for its device."""
    if session.started_at is None:
        return closed(session, event, StopReason.START_FAILED)
    return moves.paused(session, event, Why.MAINS)


def _opening_restarted(session: Session, event: ev.DeviceRestarted, ctx: Context) -> Outcome:
    if session.started_at is None:
        return closed(session, event, StopReason.POWER_LOSS)
    return moves.paused(session, event, Why.MAINS)


# -- charging -----------------------------------------------------------------------------------------------------


def _charging_reading(session: Session, event: ev.Reading, ctx: Context) -> Outcome:
    if old_news(session, event):
        return _passed_over(session)
    finish, watch, verdict = _judged(session, event)
    course, wished = _followed(session, finish)
    heard, other = _drawn(with_reading(session, event, finish, watch, course), event)
    if other is not None and (verdict is None or verdict.reason not in DANGERS):
        return moves.paused(heard, event, Why.PLUG, other)
    if verdict is not None and not (verdict.doubt and _is_probed(heard)):
        return _ruled(replace(heard, rule=verdict.rule), event, verdict)
    ended = _leapt(session, heard, event) or _bounded(heard, event, wished)
    if ended is not None:
        return ended
    return _told(danger.shared(session.danger, watch), _goes_on(session, heard, event, ctx), event)


def _is_probed(session: Session) -> bool:
    """The doubt that a probe was to settle is no new one: its own minute decides."""
    return session.pause is not None and session.pause.why is Why.PROBE


def _told(two: dict[str, float] | None, outcome: Outcome, event: ev.Reading) -> Outcome:
    """Two chargers on one lead are somebody's to look at; it is no proof, so the charge goes on."""
    if two is None:
        return outcome
    session = outcome.session
    if session.danger is not None:
        session = replace(session, danger=replace(session.danger, two=True))
    key = f"{session.id}:shared"
    alarm = fx.RaiseAlarm(key, event.at, session.site, session.outlet, fx.SHARED, two)
    return replace(outcome, session=session, effects=(*outcome.effects, alarm))


def _leapt(before: Session, session: Session, event: ev.Reading) -> Outcome | None:
    """Nothing of it is billed; what this counter says next would be."""
    figures = jump(before, event)
    return None if figures is None else closed(session, event, StopReason.METER_FAULT, figures)


def _bounded(session: Session, event: ev.Reading, wished: dict[str, float] | None) -> Outcome | None:
    """As full as its rider wished, or as much as was paid for."""
    if wished is not None:
        return closed(replace(session, rule=bikes.WISHED), event, StopReason.ENERGY_LIMIT, wished)
    if session.meter.used_wh >= session.max_wh:
        return closed(session, event, session.max_reason, {"used_wh": session.meter.used_wh})
    return None


def _goes_on(before: Session, session: Session, event: ev.Reading, ctx: Context) -> Outcome:
    """Unless nothing is drawn any more, or it is on trial; what has just come back is asked for its next report."""
    out = None if session.draw is None else _emptied(session.draw, event, ctx)
    if out is not None:
        return moves.paused(session, event, Why.EMPTY, out)
    if session.pause is not None:
        return _on_trial(session, session.pause, before.power_now_w, event, ctx)
    left = None if session.draw is None else session.draw.left
    outcome = _sampled(session, event, ctx)
    if left is None or left.back_s != event.steady_s:
        return outcome
    return replace(outcome, effects=(fx.AskNow(session.outlet), *outcome.effects))


def _sampled(session: Session, event: ev.Reading, ctx: Context) -> Outcome:
    if event.steady_s - session.saved_s < ctx.rules.sample_s:
        return Outcome(session)
    saved = as_saved(session, event)
    return Outcome(saved, (sampled(saved, event), fx.Progressed(saved)))


def _drawn(session: Session, event: ev.Reading) -> tuple[Session, dict[str, float] | None]:
    """Is it still the same that draws? Held against what left, once something has left and come back."""
    factor = draw.power_factor(event.power_w, event.voltage_v, event.current_a)
    after, other = draw.observe(session.draw, event.steady_s, event.power_w, session.meter, factor)
    return replace(session, draw=after), other


def _emptied(draws: draw.Draw, event: ev.Reading, ctx: Context) -> dict[str, float] | None:
    """The figures that show that a charge at work has had nothing plugged in for a while."""
    left = draws.left
    if left is None or left.bare_s is None or not draw.was_at_work(draws):
        return None
    empty_s = event.steady_s - left.bare_s
    if empty_s < ctx.rules.removal_s:
        return None
    return {"power_w": event.power_w, "before_w": round(draws.level_w, 2), "no_power_s": round(empty_s, 1)}


def _ruled(session: Session, event: ev.Reading, verdict: Verdict) -> Outcome:
    """A verdict ends the charge; one in doubt only pauses it, to ask the charger itself."""
    if not verdict.doubt:
        return closed(session, event, verdict.reason, verdict.evidence)
    why = Why.EMPTY if verdict.reason is StopReason.UNPLUGGED else Why.PROBE
    return moves.paused(session, event, why, verdict.evidence)


def _on_trial(session: Session, pause: Pause, before_w: float, event: ev.Reading, ctx: Context) -> Outcome:
    """On again after a pause, and not known yet: the first minute decides."""
    if pause.why is not Why.PROBE:
        known = session.draw is not None and session.draw.left is None
        return moves.known_again(session, event) if known else _sampled(session, event, ctx)
    half_w = 0.0 if session.finish is None else session.finish.peak_w / 2
    if min(event.power_w, before_w) >= half_w:
        return moves.known_again(session, event, ctx.rules.probes_max)
    if event.steady_s - session.since_s < ctx.rules.probe_s:
        return _sampled(session, event, ctx)
    return closed(session, event, StopReason.FINISHED, {**pause.evidence, "probed_w": event.power_w})


def _judged(session: Session, event: ev.Reading) -> tuple[FinishState, danger.DangerState, Verdict | None]:
    """Is it full, gone, or a pack that will never turn? Both judges see every reading, on the session's own time."""
    t_s = event.steady_s - session.opened_s
    rules = session.finish_rules or FINISH_RULES
    finish, full = observe(session.finish or begin(t_s), t_s, event.power_w, rules, session.usual)
    watch, bad = danger.observe(
        session.danger or danger.begin(t_s),
        t_s,
        event.power_w,
        volts=event.voltage_v,
        amps=event.current_a,
        counter_wh=event.energy_wh,
    )
    return finish, watch, _weightier(bad, full)


def _weightier(bad: Verdict | None, full: Verdict | None) -> Verdict | None:
    """A danger wins over any doubt; only what has surely finished is not said to have climbed."""
    if bad is None or (bad.rule == "climbing" and full is not None and not full.doubt):
        return full
    return bad


def _followed(session: Session, finish: FinishState) -> tuple[bikes.Course | None, dict[str, float] | None]:
    """Of a bike with a name, or a wish to stop before it is full: its course, and the figures once that is reached."""
    if session.bike is None and session.aim is None:
        return None, None
    course = bikes.followed(session.course, finish)
    return course, None if session.aim is None else bikes.reached(session.aim, course, finish)


def _charging_relay(session: Session, event: ev.RelayReported, ctx: Context) -> Outcome:
    return Outcome(session) if event.on else closed(session, event, StopReason.DEVICE_STOP)


def _charging_restarted(session: Session, event: ev.DeviceRestarted, ctx: Context) -> Outcome:
    """A device that booted has lost its mains; whose bike stands there now its first minute will show."""
    return moves.paused(session, event, Why.MAINS)


def _charging_deadline(session: Session, event: ev.DeadlinePassed, ctx: Context) -> Outcome:
    spent_s = event.steady_s - session.opened_s
    if spent_s >= session.max_s:
        return closed(session, event, StopReason.TIME_LIMIT, {"spent_s": spent_s})
    return _renewed(session, event, ctx)


def _renewed(session: Session, event: ev.DeadlinePassed, ctx: Context) -> Outcome:
    """Renews when a third of the lease is gone and the outlet was heard lately; silence is not renewed on trust."""
    since_s = event.steady_s - (session.renewed_s or session.since_s)
    heard_s = event.steady_s - max(session.reading_s or session.since_s, session.since_s)
    heard = ctx.seen.linked and heard_s < ctx.rules.silent_s
    if since_s >= session.lease_s:
        asleep = since_s >= session.lease_s + LATE_S  # this was due long ago: then nobody listened either
        return _lapsed(session, event, ctx, {"late_s": since_s} if heard or asleep else {"silent_s": heard_s})
    if not heard or since_s < session.lease_s / 3:
        return Outcome(session)
    renewed = replace(session, renewed_s=event.steady_s)
    order = fx.Renew(session.outlet, session.generation, session.lease_s, limits(renewed, ctx.rules))
    return Outcome(renewed, (order,))


def _lapsed(session: Session, event: ev.DeadlinePassed, ctx: Context, evidence: dict[str, float]) -> Outcome:
    """It has gone dark by itself, for who knows how long: we were too late (asleep, stopped), or it was silent."""
    late = "late_s" in evidence
    if session.started_at is not None and (late or not ctx.seen.linked):
        return moves.paused(session, event, Why.MAINS, evidence)
    spoke = StopReason.GATEWAY_FAULT if late else StopReason.METER_FAULT
    return closed(session, event, spoke if ctx.seen.linked else StopReason.LINK_LOST, evidence)


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
        return still_on(heard, event, ctx)
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


def _closing_deadline(session: Session, event: ev.DeadlinePassed, ctx: Context) -> Outcome:
    if off_for_s(session, event) >= ctx.rules.proof_s:
        return _unproven(session, event, ctx)
    return off_again(session, event, ctx)


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
    ev.PlugAnswered,
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
        ev.PlugAnswered: paused.not_asked,
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
        ev.PlugAnswered: paused.not_asked,
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
        ev.PlugAnswered: paused.not_asked,
    },
    Phase.SUSPENDED: {
        ev.Reading: paused.suspended_reading,
        ev.RelayReported: paused.suspended_relay,
        ev.LinkUp: paused.suspended_link_up,
        ev.LinkLost: ignore,
        ev.DeviceRestarted: paused.suspended_restarted,
        ev.HazardReported: paused.suspended_hazard,
        ev.Tripped: paused.suspended_tripped,
        ev.StopAsked: paused.suspended_stop,
        ev.DeadlinePassed: paused.suspended_deadline,
        ev.PowerGranted: ignore,
        ev.PowerWithdrawn: paused.suspended_withdrawn,
        ev.PlugAnswered: paused.plug_answered,
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
        ev.PlugAnswered: paused.not_asked,
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
        ev.PlugAnswered: refuse,
    },
}
