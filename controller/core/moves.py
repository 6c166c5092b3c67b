"""The moves of a session: the only ways into a phase, whoever decides on them. Pure.

What ends a charge goes through `closed`, what ends a session through `settled`; there is no other way to either.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from controller.core import draw, ledger
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.finish import begin
from controller.core.reading import sampled
from controller.core.reasons import StopReason
from controller.core.state import Limits, Pause, Phase, Refund, RefundState, Rules, Seen, Session, Why
from controller.core.tariff import Bill, Meter, bill, capped, used


class Context(msgspec.Struct, frozen=True, gc=False):
    """What a handler may know beside the session: the rules, what the outlet last showed, the gate's generation."""

    rules: Rules
    seen: Seen
    generation: int
    resumes: bool = True  # False: the trip journal can't be read, nothing found off is energised again


class Outcome(msgspec.Struct, frozen=True, gc=False):
    session: Session
    effects: tuple[fx.Effect, ...] = ()
    latch: str | None = None  # a fault that takes the outlet out of service
    alarmed: bool | None = None  # whether the outlet shows power that it should not; None: nothing new


Handler = Callable[[Session, Any, Context], Outcome]


def granted(session: Session, event: ev.Event, ctx: Context) -> Outcome:
    """Its turn. The time it waited is no time of the charge; a new charge is metered from what stands there now."""
    waited_s, meter = event.steady_s - session.since_s, session.meter
    if session.started_at is None and ctx.seen.counter_wh is not None:
        meter = replace(meter, counter_wh=ctx.seen.counter_wh)
    return start(replace(session, opened_s=session.opened_s + waited_s, meter=meter, proof=None), event, ctx)


def start(session: Session, event: ev.Event, ctx: Context) -> Outcome:
    """Decides the ON. It leaves only after this outcome is on disk."""
    opening, order = _ordered(session, event, ctx)
    return Outcome(opening, (fx.SaveSession(opening), fx.Moment(session.id, event.at, "on_decided"), order))


def _ordered(session: Session, event: ev.Event, ctx: Context) -> tuple[Session, fx.SwitchOn]:
    now_s = event.steady_s
    begun = {"phase": Phase.OPENING, "since_s": now_s, "on_s": now_s, "confirmed_s": None, "renewed_s": now_s}
    opening = as_saved(replace(session, generation=ctx.generation, **begun), event)
    bounds = limits(opening, ctx.rules)
    return opening, fx.SwitchOn(session.outlet, ctx.generation, session.lease_s, bounds, now_s + ctx.rules.on_expires_s)


def limits(session: Session, rules: Rules) -> Limits:
    """What the gate cuts at by itself: the session's own bounds, as values of the device's counter."""
    counter = session.meter.counter_wh
    bound = None if counter is None else counter - session.meter.used_wh + session.max_wh
    return Limits(
        power_w=session.power_w,
        overload_s=rules.overload_s,
        over_voltage_v=rules.over_voltage_v,
        under_voltage_v=rules.under_voltage_v,
        overheat_c=rules.overheat_c,
        counter_wh=bound,
        counter_reason=session.max_reason,
        leakage_ma=rules.leakage_ma,
    )


def charging(session: Session, event: ev.Reading) -> Outcome:
    """A load is seen: the charge has begun, or goes on after an interruption."""
    confirmed_s = session.confirmed_s if session.confirmed_s is not None else event.steady_s
    begun = as_saved(
        replace(
            session,
            phase=Phase.CHARGING,
            since_s=event.steady_s,
            confirmed_s=confirmed_s,
            started_at=session.started_at or event.at,
            finish=session.finish or begin(event.steady_s - session.opened_s),
        ),
        event,
    )
    return Outcome(begun, (fx.SaveSession(begun), fx.Moment(session.id, event.at, "charging"), sampled(begun, event)))


def queued(session: Session, event: ev.Event, proof: str | None = None) -> Outcome:
    """Found or proven off, it waits for its turn again, in the place it had; what draws then is held against before."""
    pulled = session.pause is None or session.pause.why is not Why.PROBE
    waiting = as_saved(
        replace(
            session,
            phase=Phase.QUEUED,
            draw=draw.interrupted(session.draw, event.steady_s, owed(session), pulled),
            since_s=event.steady_s,
            again=False,
            reason=None,
            evidence={},
            stopped_by=None,
            off_s=None,
            off_sent_s=None,
            off_at=None,
            meter_at_off=None,
            proof=proof,
        ),
        event,
    )
    return Outcome(waiting, (fx.SaveSession(waiting), fx.Moment(session.id, event.at, "queued")))


def suspended(session: Session, event: ev.Event) -> Outcome:
    """After a restart: nothing is renewed until the outlet has said what it does."""
    pause = Pause(Why.AWAY, event.steady_s, session.meter)
    away = replace(session, phase=Phase.SUSPENDED, since_s=event.steady_s, reading_s=None, pause=pause)
    waiting = as_saved(away, event)
    effects = (fx.SaveSession(waiting), fx.Moment(session.id, event.at, "suspended"), fx.AskNow(session.outlet))
    return Outcome(waiting, effects)


def resumed(session: Session, event: ev.Event, ctx: Context) -> Outcome:
    """Still on: an ON at once re-arms its lease under this process's generation, as a renewal would have done."""
    opening, order = _ordered(replace(session, pause=None), event, ctx)
    phase = Phase.CHARGING if session.started_at is not None else Phase.OPENING
    on = replace(opening, phase=phase, confirmed_s=event.steady_s)
    return Outcome(on, (fx.TakeUp(order), fx.SaveSession(on), fx.Moment(session.id, event.at, "on_decided")))


def paused(
    session: Session, event: ev.Event, why: Why, evidence: dict[str, float] | None = None, meter: Meter | None = None
) -> Outcome:
    """OFF now, and dark until the doubt is settled. The first doubt's meter is kept: no later one bills more."""
    doubt = Pause(why, event.steady_s, meter or owed(session), evidence or {})
    before = session.pause
    if before is not None and before.why is not Why.AWAY:
        doubt = replace(doubt, since_s=before.since_s if before.why is why else doubt.since_s, meter=before.meter)
    return darkened(replace(session, pause=doubt), event, doubt)


def darkened(session: Session, event: ev.Event, pause: Pause) -> Outcome:
    """The OFF of a pause, decided; nothing is believed of it until it was measured."""
    dark = as_saved(
        replace(
            session,
            phase=Phase.SUSPENDED,
            pause=pause,
            since_s=event.steady_s,
            off_s=event.steady_s,
            off_sent_s=event.steady_s,
            off_at=event.at,
            proof=None,
        ),
        event,
    )
    told = fx.Moment(dark.id, event.at, f"suspended:{pause.why}", pause.evidence)
    return Outcome(dark, (fx.SwitchOff(dark.outlet), fx.SaveSession(dark), told))


def known_again(session: Session, event: ev.Reading, probes_max: int = 0) -> Outcome:
    """The load is the one that it was: nothing is in doubt any more. Who was probed too often is waited for."""
    probes, rules = session.probes, session.finish_rules
    if probes_max:
        probes += 1
        if probes >= probes_max and rules is not None:
            rules = replace(rules, probe=False)
    known = as_saved(replace(session, pause=None, rule="", probes=probes, finish_rules=rules), event)
    return Outcome(
        known, (fx.SaveSession(known), fx.Moment(session.id, event.at, "known_again"), sampled(known, event))
    )


def doubt_of(session: Session) -> Pause | None:
    """What is in doubt as things stand: a pause that nothing has settled, or a load that has only just come back."""
    if session.pause is not None and session.pause.why is not Why.AWAY:
        return session.pause
    left = None if session.draw is None else session.draw.left
    return None if left is None or left.back_s is None else Pause(Why.PLUG, left.at_s, left.meter)


def owed(session: Session) -> Meter:
    """What may be billed: while it is not known whose load it is, no more than before the doubt."""
    doubt = doubt_of(session)
    return session.meter if doubt is None else doubt.meter


def closed(
    session: Session,
    event: ev.Event,
    reason: StopReason,
    evidence: dict[str, float] | None = None,
    by: str | None = None,
    again: bool = False,
) -> Outcome:
    """OFF now, the reason and its evidence kept. Power first, rows after. An OFF not proven yet is not forgotten."""
    dark = session.phase is Phase.SUSPENDED and session.off_s is not None and session.proof is None
    closing = as_saved(
        replace(
            session,
            phase=Phase.CLOSING,
            since_s=event.steady_s,
            reason=reason,
            evidence=evidence or {},
            stopped_by=by,
            again=again,
            off_s=session.off_s if dark else event.steady_s,
            off_sent_s=event.steady_s,
            off_at=session.off_at if dark else event.at,
            meter_at_off=session.meter,
        ),
        event,
    )
    waits = fx.Moment(closing.id, event.at, "paused", closing.evidence)
    story = waits if again else fx.stop_moment(closing, event.at, reason, closing.evidence)
    return Outcome(closing, (fx.SwitchOff(session.outlet), fx.SaveSession(closing), story))


def settled(session: Session, event: ev.Event, proof: str) -> Outcome:
    """The final bill: hold → revenue, the rest back to where it came from. Never takes more than was held."""
    session = replace(session, meter=owed(session), pause=doubt_of(session))
    due = _bill(session)
    back_fen = session.hold_fen - due.total_fen
    done = as_saved(
        replace(
            session,
            phase=Phase.SETTLED,
            since_s=event.steady_s,
            proof=proof,
            settled_at=event.at,
            bill=due,
            returned_fen=back_fen,
            finish=None,
            danger=None,
            draw=None,
            bike=None,
            course=None,
            aim=None,
            usual=None,
        ),
        event,
    )
    back_to = ledger.card(session.card) if session.card is not None else ledger.refund_due(session.merchant)
    entry = ledger.settled(session.id, session.merchant, due, back_to, back_fen, event.at)
    rows: tuple[fx.Effect, ...] = (
        fx.SaveSession(done),
        fx.Post(entry),
        fx.Receipt(done),
        fx.Moment(session.id, event.at, f"off_proven:{proof}"),
        fx.Moment(session.id, event.at, "settled", {"bill_fen": due.total_fen, "returned_fen": back_fen}),
    )
    return Outcome(done, rows if session.danger is None or not session.danger.two else (*rows, _parted(done, event)))


def _parted(session: Session, event: ev.Event) -> fx.ClearAlarms:
    """The lead with two chargers is dark, and the alarm of it over."""
    return fx.ClearAlarms(session.outlet, event.at, "gateway", fx.SHARED)


def _bill(session: Session) -> Bill:
    """A charge that never began costs nothing, whatever the meter's last digit did."""
    if session.started_at is None:
        return Bill(lines=(), total_fen=0, energy_fen=0, service_fen=0)
    return capped(bill(session.tariff, used(session.meter)), session.hold_fen)


def refund_of(session: Session, provider: str, txn: str, at: float) -> Refund | None:
    """What is owed to the payer after settlement; its number is a function of the order, so it can't happen twice."""
    if session.order is None or session.returned_fen <= 0:
        return None
    return Refund(
        id=f"{session.order}R",
        order=session.order,
        session=session.id,
        merchant=session.merchant,
        provider=provider,
        txn=txn,
        amount_fen=session.returned_fen,
        total_fen=session.hold_fen,
        state=RefundState.DUE,
        due_at=at,
    )


def as_saved(session: Session, event: ev.Event) -> Session:
    return replace(session, saved_at=event.at, saved_s=event.steady_s)
