"""A session that waits: paid, dead, in line for room on its pile and its site. The handlers of its row. Pure."""

from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.due import patience_s
from controller.core.moves import Context, Outcome, closed, granted, settled
from controller.core.reasons import StopReason
from controller.core.state import Session


def queued_granted(session: Session, event: ev.PowerGranted, ctx: Context) -> Outcome:
    return granted(session, event, ctx)


def queued_reading(session: Session, event: ev.Reading, ctx: Context) -> Outcome:
    """Power before its turn is cut; the second report of it is a fault of the relay, and everything goes back."""
    if event.power_w < ctx.rules.no_power_w:
        return Outcome(session, alarmed=False)
    evidence = {"power_w": event.power_w}
    cut = fx.SwitchOff(session.outlet)
    if not ctx.seen.alarmed:
        return Outcome(session, (cut, _powered(session, event, evidence)), alarmed=True)
    shown = replace(session, reason=StopReason.START_FAILED, evidence=evidence, off_at=event.at, off_s=event.steady_s)
    ended = settled(shown, event, "none")
    return replace(ended, effects=(cut, *ended.effects), latch="relay_fault")


def _powered(session: Session, event: ev.Event, evidence: dict[str, float]) -> fx.RaiseAlarm:
    kind = "power_without_session"
    return fx.RaiseAlarm(f"{session.id}:{kind}", event.at, session.site, session.outlet, kind, evidence)


def queued_relay(session: Session, event: ev.RelayReported, ctx: Context) -> Outcome:
    """Somebody else switched it on: off, until it is its turn."""
    return Outcome(session, (fx.SwitchOff(session.outlet),)) if event.on else Outcome(session)


def queued_link_up(session: Session, event: ev.LinkUp, ctx: Context) -> Outcome:
    """Whatever it did while it was away, an outlet that waits is off and says so."""
    return Outcome(session, (fx.SwitchOff(session.outlet), fx.AskNow(session.outlet)))


def queued_stop(session: Session, event: ev.StopAsked, ctx: Context) -> Outcome:
    """Who waits may leave at any time, and gets back what was not used."""
    return _given_up(session, event, why_stopped(session, event), by=event.by)


def why_stopped(session: Session, event: ev.StopAsked) -> StopReason:
    change_of_mind = session.started_at is None and event.reason is StopReason.STOPPED_BY_RESIDENT
    return StopReason.CANCELLED if change_of_mind else event.reason


def queued_deadline(session: Session, event: ev.DeadlinePassed, ctx: Context) -> Outcome:
    """Nobody waits for ever: what was not used goes back."""
    waited_s = event.steady_s - session.since_s
    if waited_s < patience_s(session, ctx.rules):
        return Outcome(session)
    interrupted = StopReason.OVERLOAD if session.proof == "measured" else StopReason.POWER_LOSS
    reason = StopReason.START_FAILED if session.started_at is None else interrupted
    return _given_up(session, event, reason, {"queued_s": waited_s})


def _given_up(
    session: Session,
    event: ev.Event,
    reason: StopReason,
    evidence: dict[str, float] | None = None,
    by: str | None = None,
) -> Outcome:
    """Settled while off: what was used before an interruption is billed, and only if off was measured since."""
    if session.started_at is not None and session.proof is None:
        return closed(session, event, reason, evidence, by)
    ended = replace(session, reason=reason, evidence=evidence or {}, stopped_by=by, off_at=event.at)
    return settled(replace(ended, off_s=event.steady_s), event, session.proof or "never_on")
