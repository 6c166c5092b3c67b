"""Between an OFF and its proof: what is repeated, what is an alarm; of charges that end and that pause. Pure."""

from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.moves import Context, Outcome
from controller.core.state import Session


def off_for_s(session: Session, event: ev.Event) -> float:
    """Since its first OFF."""
    return event.steady_s - (session.off_s if session.off_s is not None else event.steady_s)


def still_on(session: Session, event: ev.Reading, ctx: Context) -> Outcome:
    """Power after the OFF: an alarm, once three repeats have had their time."""
    on_for_s = off_for_s(session, event)
    if on_for_s < 3 * ctx.rules.off_repeat_s or ctx.seen.alarmed:
        return Outcome(session)
    evidence = {"power_w": event.power_w, "on_for_s": on_for_s}
    alarm = fx.RaiseAlarm(f"{session.id}:relay", event.at, session.site, session.outlet, "relay_fault", evidence)
    return Outcome(session, (alarm,))


def off_again(session: Session, event: ev.Event, ctx: Context) -> Outcome:
    """The OFF once more, if the last one has had its time."""
    if event.steady_s - (session.off_sent_s or event.steady_s) < ctx.rules.off_repeat_s:
        return Outcome(session)
    again = replace(session, off_sent_s=event.steady_s)
    return Outcome(again, (fx.SwitchOff(session.outlet), fx.AskNow(session.outlet)))
