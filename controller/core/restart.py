"""What a session from disk does first: a pending ON is dropped, a running charge waits for what its outlet says."""

from controller.core import effects as fx
from controller.core import events as ev
from controller.core import moves
from controller.core.reasons import StopReason
from controller.core.state import Phase, Session


def restored(live: Session, event: ev.Event, trip: tuple[StopReason, dict[str, float]] | None) -> moves.Outcome:
    if live.phase is Phase.CLOSING:
        return moves.Outcome(live, (fx.SwitchOff(live.outlet), fx.AskNow(live.outlet)))
    if trip is not None:
        return moves.closed(live, event, trip[0], trip[1])
    if live.phase in (Phase.QUEUED, Phase.OPENING) and live.started_at is None:
        return moves.closed(live, event, StopReason.GATEWAY_FAULT)
    return moves.suspended(live, event)
