"""A suspended charge: the handlers of its row, by why it is. Pure.

Away: this gateway was; what the outlet does is not known yet. For every other reason the outlet is dark: its OFF was
decided, is repeated until it was measured, and only then the charge may go on, through the line like everybody.
"""

from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.draw import was_in_tail
from controller.core.due import doubted_s, is_dark, waits_s
from controller.core.errors import Refused
from controller.core.moves import Context, Outcome, as_saved, closed, paused, queued, resumed
from controller.core.off import off_again, off_for_s, still_on
from controller.core.reading import old_news, with_reading
from controller.core.reasons import StopReason
from controller.core.state import Pause, Session, Why

ASKED = (Why.PLUG, Why.EMPTY)  # the doubts that somebody can settle by a word


# -- readings, and other words of the outlet ----------------------------------------------------------------------


def suspended_reading(session: Session, event: ev.Reading, ctx: Context) -> Outcome:
    """Away: a load that draws is taken up again. Dark: nothing drawn after the OFF is its proof."""
    if is_dark(session):
        return _dark_reading(session, event, ctx)
    if old_news(session, event):
        return _passed_over(session)
    heard = with_reading(session, event)
    return resumed(heard, event, ctx) if event.power_w >= ctx.rules.load_w else Outcome(heard)


def _dark_reading(session: Session, event: ev.Reading, ctx: Context) -> Outcome:
    if old_news(session, event) or event.steady_s <= (session.off_s or 0.0):
        return _passed_over(session)
    heard = with_reading(session, event)
    if event.power_w >= ctx.rules.no_power_w:
        return _powered(heard, event, ctx)
    if session.proof is not None or ctx.seen.relay_on is True:
        return Outcome(heard)
    proven = as_saved(replace(heard, proof="measured"), event)
    after = _proven(proven, event, ctx)
    return after if after is not None else Outcome(proven, (fx.SaveSession(proven),))


def _powered(session: Session, event: ev.Reading, ctx: Context) -> Outcome:
    """Dark once does not mean dark for ever: what was proven has to be proven again, and is somebody's to look at."""
    if session.proof is None:
        return still_on(session, event, ctx)
    kind = "power_without_session"
    key = f"{session.id}:{kind}:{event.at // 600:.0f}"
    evidence = {"power_w": event.power_w}
    return _with(
        _off_anew(session, event),
        fx.RaiseAlarm(key, event.at, session.site, session.outlet, kind, evidence),
    )


def _off_anew(session: Session, event: ev.Event) -> Outcome:
    again = replace(session, proof=None, off_s=event.steady_s, off_sent_s=event.steady_s, off_at=event.at)
    saved = as_saved(again, event)
    return Outcome(saved, (fx.SwitchOff(session.outlet), fx.AskNow(session.outlet), fx.SaveSession(saved)))


def _proven(session: Session, event: ev.Event, ctx: Context) -> Outcome | None:
    """What waited for nothing but the proof goes on now."""
    pause = _pause(session)
    if pause.why is Why.MAINS:
        back = fx.Moment(session.id, event.at, "power_back", {"away_s": round(dark_for_s(session, event), 1)})
        return _with(_on_again(session, event, ctx), back)
    return _on_again(session, event, ctx) if "mine" in pause.evidence else None


def suspended_relay(session: Session, event: ev.RelayReported, ctx: Context) -> Outcome:
    """Away: on is taken up again; off goes on or ends, by how long nobody was here. Dark: on is cut."""
    if is_dark(session):
        return Outcome(session, (fx.SwitchOff(session.outlet),)) if event.on else Outcome(session)
    if event.on:
        return resumed(session, event, ctx)
    away_s = event.steady_s - (session.renewed_s or session.opened_s)
    if away_s < session.lease_s:
        return closed(session, event, StopReason.DEVICE_STOP, {"away_s": away_s})
    if away_s > ctx.rules.resume_max_s or not ctx.resumes:
        return closed(session, event, StopReason.POWER_LOSS, {"away_s": away_s})
    return queued(session, event)


def suspended_link_up(session: Session, event: ev.LinkUp, ctx: Context) -> Outcome:
    """Whatever it did while it was out of reach, an outlet in a pause is off and says so."""
    if not is_dark(session):
        return Outcome(session)
    return Outcome(session, (fx.SwitchOff(session.outlet), fx.AskNow(session.outlet)))


def suspended_restarted(session: Session, event: ev.DeviceRestarted, ctx: Context) -> Outcome:
    """It was without power, as we may have been: off at power-up is commissioned, but proven and not believed."""
    if event.steady_s - (event.up_s or 0.0) < (session.renewed_s or session.opened_s):
        return Outcome(session)  # since before its last ON: no news
    if session.started_at is None:
        return closed(session, event, StopReason.POWER_LOSS)
    if not is_dark(session):
        return _with(paused(session, event, Why.MAINS), fx.AskNow(session.outlet))
    pause = _pause(session)
    booted = replace(pause, evidence={}) if pause.why is Why.MAINS else pause
    return _off_anew(replace(session, pause=booted), event)


# -- what ends it -------------------------------------------------------------------------------------------------


def suspended_stop(session: Session, event: ev.StopAsked, ctx: Context) -> Outcome:
    """A stop ends a pause as it ends a charge: who pays is billed nothing that was in doubt."""
    return ended(session, event, event.reason, by=event.by)


def suspended_tripped(session: Session, event: ev.Tripped, ctx: Context) -> Outcome:
    """After a trip nothing goes on by itself."""
    return ended(session, event, event.reason, event.evidence)


def suspended_hazard(session: Session, event: ev.HazardReported, ctx: Context) -> Outcome:
    return ended(session, event, event.reason)


def suspended_withdrawn(session: Session, event: ev.PowerWithdrawn, ctx: Context) -> Outcome:
    """What is dark draws nothing that could be taken away."""
    if is_dark(session):
        return Outcome(session)
    return closed(session, event, StopReason.OVERLOAD, event.evidence, again=True)


def ended(
    session: Session,
    event: ev.Event,
    reason: StopReason,
    evidence: dict[str, float] | None = None,
    by: str | None = None,
) -> Outcome:
    """Off is proven once more: what was dark when it was measured need not be dark now."""
    if session.started_at is None and reason is StopReason.STOPPED_BY_RESIDENT:
        reason = StopReason.CANCELLED
    return closed(session, event, reason, evidence, by)


REASONS: dict[Why, StopReason] = {
    Why.AWAY: StopReason.LINK_LOST,
    Why.MAINS: StopReason.POWER_LOSS,
    Why.PLUG: StopReason.PLUG_SWAPPED,
    Why.EMPTY: StopReason.UNPLUGGED,
    Why.PROBE: StopReason.FINISHED,
}


def given_up(session: Session, event: ev.Event, more: dict[str, float]) -> Outcome:
    """The doubt as the reason, with the figures that it came from."""
    return ended(session, event, reason_of(session), {**_pause(session).evidence, **more})


def reason_of(session: Session) -> StopReason:
    """Why it ends if the doubt is not cleared: out of reach and never back, or nothing drawn by a pack nearly full."""
    pause = _pause(session)
    if pause.why is Why.MAINS and "silent_s" in pause.evidence:
        return StopReason.LINK_LOST
    if pause.why is Why.EMPTY and was_in_tail(session.draw):
        return StopReason.FINISHED
    return REASONS[pause.why]


# -- what somebody says -------------------------------------------------------------------------------------------


def plug_answered(session: Session, event: ev.PlugAnswered, ctx: Context) -> Outcome:
    """Theirs: it goes on in its turn, and is not asked again. Not theirs: it ends, billed as it stood before."""
    pause = session.pause
    if pause is None or not is_dark(session) or pause.why not in ASKED:
        return not_asked(session, event, ctx)
    told = _answer(session, event)
    if not event.mine:
        return _with(ended(session, event, reason_of(session), {**pause.evidence, "mine": 0.0}, event.by), *told)
    mine = as_saved(_claimed(session, pause), event)
    if session.proof is None:
        return Outcome(mine, (fx.SaveSession(mine), *told))
    return _with(_on_again(mine, event, ctx), *told)


def _claimed(session: Session, pause: Pause) -> Session:
    """What was another load is one pack more: it is judged from its own beginning, and nothing of it is in doubt."""
    kept = replace(pause, evidence={**pause.evidence, "mine": 1.0})
    if pause.why is Why.EMPTY:
        return replace(session, pause=kept)
    return replace(
        session, pause=replace(kept, meter=session.meter), draw=None, finish=None, danger=None, course=None, usual=None
    )


def _answer(session: Session, event: ev.PlugAnswered) -> tuple[fx.Effect, ...]:
    word = "mine" if event.mine else "not_mine"
    moment = fx.Moment(session.id, event.at, f"plug_answered:{word}")
    if not event.by.startswith("staff:"):
        return (moment,)
    return (moment, fx.Audit(event.at, event.by, "plug_answered", session.id, {"mine": event.mine}))


def not_asked(session: Session, event: ev.PlugAnswered, ctx: Context) -> Outcome:
    """Said to whoever answers what nobody asks, or asks no longer."""
    raise Refused("not_asked", f"nobody asks whose bike stands at the outlet of session {session.id}")


# -- time ---------------------------------------------------------------------------------------------------------


def suspended_deadline(session: Session, event: ev.DeadlinePassed, ctx: Context) -> Outcome:
    """Away: asked, and ended if it stays silent. Dark: OFF until proven, then whatever its reason waits for."""
    if is_dark(session):
        return _dark_deadline(session, event, ctx)
    if event.steady_s - session.since_s < ctx.rules.silent_s:
        return Outcome(session, (fx.AskNow(session.outlet),))
    return closed(session, event, StopReason.LINK_LOST)


def _dark_deadline(session: Session, event: ev.DeadlinePassed, ctx: Context) -> Outcome:
    why = _pause(session).why
    waited_s = event.steady_s - doubted_s(session)
    over = waited_s >= waits_s(why, ctx.rules)
    if session.proof is None:
        awaited = why is Why.MAINS and not ctx.seen.linked  # without power it can't say anything
        if (over and why is not Why.PROBE) or (not awaited and off_for_s(session, event) >= ctx.rules.proof_s):
            return given_up(session, event, {"waited_s": round(waited_s, 1)})
        return Outcome(session) if awaited else off_again(session, event, ctx)
    if not over:
        return Outcome(session)
    if why in (Why.PROBE, Why.EMPTY):
        return _on_again(session, event, ctx)
    return given_up(session, event, {"waited_s": round(waited_s, 1)})


def dark_for_s(session: Session, event: ev.Event) -> float:
    """Since its last power, as far as it was known to have any."""
    return event.steady_s - doubted_s(session)


# -- on again -----------------------------------------------------------------------------------------------------


def _on_again(session: Session, event: ev.Event, ctx: Context) -> Outcome:
    """Into the line, with all that is known of its load; the time it was dark is no time of the charge."""
    pause = _pause(session)
    if not ctx.resumes:  # a trip may stand in a journal that can't be read
        return given_up(session, event, {})
    away_s = dark_for_s(session, event)
    if pause.why is Why.MAINS and away_s > ctx.rules.resume_max_s:
        return given_up(session, event, {"away_s": round(away_s, 1)})
    opened_s = session.opened_s + event.steady_s - session.since_s
    going = replace(session, opened_s=opened_s, pause=None if pause.why is Why.PLUG else pause)
    return queued(going, event, session.proof)


def _pause(session: Session) -> Pause:
    if session.pause is None:
        raise RuntimeError(f"session {session.id} is suspended, and nothing says why")
    return session.pause


def _with(outcome: Outcome, *more: fx.Effect) -> Outcome:
    """What leaves at once goes first, rows go last."""
    now = tuple(effect for effect in (*outcome.effects, *more) if isinstance(effect, fx.NOW))
    rows = tuple(effect for effect in (*outcome.effects, *more) if not isinstance(effect, fx.NOW))
    return replace(outcome, effects=(*now, *rows))


def _passed_over(session: Session) -> Outcome:
    return Outcome(replace(session, behind=session.behind + 1))
