"""What a session from disk does first: a pending ON is dropped, a running charge waits for what its outlet says."""

from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core import moves
from controller.core.reasons import StopReason
from controller.core.state import Pause, Phase, Session, Why


def restored(
    live: Session, event: ev.Event, trip: tuple[StopReason, dict[str, float]] | None, resumes: bool = True
) -> moves.Outcome:
    """`resumes` is False when the trip journal can't be read: who waits may have been told that it has ended."""
    if live.phase is Phase.CLOSING:
        return _closing(live, event, trip)
    if trip is not None:
        return moves.closed(live, event, trip[0], trip[1])
    if live.phase is Phase.QUEUED and resumes:
        return _in_line(live, event)
    if live.phase in (Phase.QUEUED, Phase.OPENING) and live.started_at is None:
        return moves.closed(live, event, StopReason.GATEWAY_FAULT)
    if live.pause is not None and live.pause.why is not Why.AWAY:
        return _in_doubt(live, event, live.pause)
    return moves.suspended(live, event)


def _in_doubt(live: Session, event: ev.Event, pause: Pause) -> moves.Outcome:
    """Dark again, whether it was on trial already or not; how long it has been in doubt is on disk."""
    dark = moves.darkened(live, event, pause) if live.phase is not Phase.SUSPENDED else _dark(live, event)
    return replace(dark, effects=(dark.effects[0], fx.AskNow(live.outlet), *dark.effects[1:]))


def _dark(live: Session, event: ev.Event) -> moves.Outcome:
    kept = moves.as_saved(replace(live, off_sent_s=event.steady_s, proof=None), event)
    return moves.Outcome(kept, (fx.SwitchOff(live.outlet), fx.SaveSession(kept)))


def _in_line(live: Session, event: ev.Event) -> moves.Outcome:
    """Its place and the time it has waited are on disk; its outlet may only be off."""
    kept = moves.as_saved(live, event)
    return moves.Outcome(kept, (fx.SwitchOff(live.outlet), fx.AskNow(live.outlet), fx.SaveSession(kept)))


def _closing(live: Session, event: ev.Event, trip: tuple[StopReason, dict[str, float]] | None) -> moves.Outcome:
    again = (fx.SwitchOff(live.outlet), fx.AskNow(live.outlet))
    if trip is None or not live.again:
        return moves.Outcome(live, again)
    ended = moves.as_saved(replace(live, again=False, reason=trip[0], evidence=trip[1]), event)
    return moves.Outcome(ended, (*again, fx.SaveSession(ended)))
