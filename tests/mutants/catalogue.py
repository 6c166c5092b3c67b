"""Mistakes with money, the meter, power, limits and lives; those with doubts and cuts are in `catalogue_doubts`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from msgspec.structs import replace

from controller.core import desk, house, load, moves, outlet, outlet_outcome, reading, session, starting
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.state import Phase, Session
from controller.engine import Engine
from controller.outbox import Outbox
from controller.writer import Writer
from firmware_bridge.drivers.shelly import Shelly
from firmware_bridge.drivers.tasmota import Tasmota
from firmware_bridge.gate import Gate
from firmware_bridge.wire import Message, SwitchOn
from tests.mutants.form import ALL, CALM, LIMITED, PLOTS, PROCESS, SOCKETS, WAY, cells, mutant

# -- money --------------------------------------------------------------------------------------------------------


@mutant("books a payment again when it is confirmed again", ALL)
def no_idempotency() -> Iterator[None]:
    def confirmed(at: house.House, event: ev.PaymentConfirmed, ctx: starting.Context) -> starting.Outcome:
        order = at.orders.get(event.order) or ctx.found.get("order")
        if order is None:
            return starting.Outcome((), {})
        why, again = desk._why_not(at, order, event, ctx), replace(event, txn=f"{event.txn}-{len(at.entries)}")
        return desk._held(at, order, again) if why is None else desk._rejected(order, again, why)

    with patch.dict(desk.HANDLERS, {ev.PaymentConfirmed: confirmed}):
        yield


@mutant("sends each try of a refund under a new number", ALL)
def refund_number_random() -> Iterator[None]:
    real = Outbox._refund

    def refund(self: Outbox, provider: Any, account: Any, wish: Mapping[str, Any], attempts: int) -> float | None:
        real(self, provider, account, {**wish, "refund": f"{wish['refund']}-{uuid4().hex[:6]}"}, 0)
        return real(self, provider, account, wish, attempts)

    with patch.dict("controller.outbox._ERRANDS", {"refund": refund}):
        yield


@mutant("owes the rest of a session twice", CALM)
def refund_twice() -> Iterator[None]:
    real = Engine._settled

    def settled(self: Engine, before: Session, done: Session, outcome: moves.Outcome) -> None:
        real(self, before, done, outcome)
        if done.order is not None and done.returned_fen > 0:
            again = replace(self.house.refunds[f"{done.order}R"], id=f"{done.order}R2")
            self._run((fx.SaveRefund(again), desk.refund_wish(again, self._now.at)))

    with patch.object(Engine, "_settled", settled):
        yield


@mutant("bills more than was held", PLOTS)
def settles_uncapped() -> Iterator[None]:
    with patch.object(moves, "capped", lambda bill, hold_fen: bill):
        yield


@mutant("settles without giving the rest back", CALM)
def keeps_the_rest() -> Iterator[None]:
    real = moves.settled

    def settled(live: Session, event: ev.Event, proof: str) -> moves.Outcome:
        outcome = real(live, event, proof)
        return replace(outcome, effects=tuple(row for row in outcome.effects if not isinstance(row, fx.Post)))

    with patch.object(session, "settled", settled):
        yield


# -- the meter ----------------------------------------------------------------------------------------------------


@mutant("takes a late reading for news, and bills what it had billed again", ALL)
def bills_old_readings() -> Iterator[None]:
    with patch.object(session, "old_news", lambda live, event: False):
        yield


@mutant("bills nothing of the last readings", CALM)
def forgets_the_last_readings() -> Iterator[None]:
    real = moves.settled

    def settled(live: Session, event: ev.Event, proof: str) -> moves.Outcome:
        meter = replace(live.meter, used_wh=max(live.meter.used_wh - 3.0, live.meter.band_from_wh))
        return real(replace(live, meter=meter), event, proof)

    with patch.object(session, "settled", settled):
        yield


# -- power on -----------------------------------------------------------------------------------------------------


@mutant("switches on before the session is on disk", CALM)
def on_before_commit() -> Iterator[None]:
    real = Engine._run

    def run(self: Engine, effects: Iterable[fx.Effect]) -> None:
        effects = tuple(effects)
        for effect in effects:
            if isinstance(effect, fx.SwitchOn):
                self._switchgear.on(effect)
        real(self, effects)

    with patch.object(Engine, "_run", run):
        yield


@mutant("lets an ON through that was decided before the last OFF", PLOTS)
def generation_ignored() -> Iterator[None]:
    real = Gate.on

    def on(self: Gate, order: fx.SwitchOn, now: ev.Stamp) -> bool:
        return real(self, replace(order, generation=self.generation), now)

    with patch.object(Gate, "on", on):
        yield


@mutant("keeps renewing after the OFF", CALM)
def renewal_without_session() -> Iterator[None]:
    def handler(real: Any) -> Any:
        def deadline(live: Session, event: ev.DeadlinePassed, ctx: moves.Context) -> Any:
            outcome = real(live, event, ctx)
            again = fx.Renew(live.outlet, ctx.generation, live.lease_s, moves.limits(live, ctx.rules))
            return replace(outcome, effects=(*outcome.effects, again))

        return deadline

    def renew(self: Gate, order: fx.Renew) -> bool:
        return self._on(order.lease_s)

    with cells(session.TABLE, [Phase.CLOSING], ev.DeadlinePassed, handler), patch.object(Gate, "renew", renew):
        yield


@mutant("renews a charge that has fallen silent", WAY)
def renews_on_silence() -> Iterator[None]:
    def renewed(live: Session, event: ev.DeadlinePassed, ctx: moves.Context) -> moves.Outcome:
        if event.steady_s - (live.renewed_s or live.since_s) < live.lease_s / 3:
            return moves.Outcome(live)
        again = replace(live, renewed_s=event.steady_s)
        order = fx.Renew(live.outlet, live.generation, live.lease_s, moves.limits(again, ctx.rules))
        return moves.Outcome(again, (order,))

    with patch.object(session, "_renewed", renewed):
        yield


@mutant("renews from the reading's own thread", CALM)
def renewal_from_the_router() -> Iterator[None]:
    real = Gate.observe

    def observe(self: Gate, reading: ev.Reading) -> ev.Tripped | None:
        if self.open:
            self._on(120.0)
        return real(self, reading)

    with patch.object(Gate, "observe", observe):
        yield


@mutant("switches on without a lease", CALM)
def no_lease() -> Iterator[None]:
    def on(self: Tasmota, wish: SwitchOn) -> Sequence[Message]:
        return [self._command("Backlog0", f"PulseTime{wish.channel + 1} 0;Power{wish.channel + 1} ON")]

    with patch.object(Tasmota, "_switch_on", on):
        yield


@mutant("serves an outlet that was never proven, with a lease that is none", PROCESS)
def no_lease_no_proof() -> Iterator[None]:
    def on(self: Tasmota, wish: SwitchOn) -> Sequence[Message]:
        lease = f"PulseTime{wish.channel + 1} {115 if wish.lease_s < 20 else 0}"
        return [self._command("Backlog0", f"{lease};Power{wish.channel + 1} ON")]

    with patch.object(Tasmota, "_switch_on", on):
        yield


@mutant("lets a Shelly go on without a lease, for as long as its own configuration allows", CALM)
def no_lease_of_a_shelly() -> Iterator[None]:
    real = Shelly._set

    def on(self: Shelly, channel: int, *, on: bool, lease_s: float | None = None) -> Message:
        return real(self, channel, on=on)

    with patch.object(Shelly, "_set", on):
        yield


# -- power off ----------------------------------------------------------------------------------------------------


@mutant("takes the relay's word for off", SOCKETS)
def off_believed() -> Iterator[None]:
    def handler(real: Any) -> Any:
        def relay(live: Session, event: ev.RelayReported, ctx: moves.Context) -> Any:
            return real(live, event, ctx) if event.on else moves.settled(live, event, "reported")

        return relay

    with cells(session.TABLE, [Phase.CLOSING], ev.RelayReported, handler):
        yield


@mutant("takes any reading for the proof of off", WAY)
def proof_by_any_reading() -> Iterator[None]:
    def handler(real: Any) -> Any:
        return lambda live, event, ctx: moves.settled(reading.with_reading(live, event), event, "measured")

    with cells(session.TABLE, [Phase.CLOSING], ev.Reading, handler):
        yield


@mutant("never puts a welded outlet out of service", SOCKETS)
def latch_forgotten() -> Iterator[None]:
    def kept(at: Any, *_: Any) -> outlet_outcome.Outcome:
        return outlet_outcome.Outcome(at)

    with patch.object(outlet, "latched", kept), patch.object(outlet, "_latched_if_it_stays", kept):
        yield


@mutant("has no guard at the gate", SOCKETS)
def guard_off() -> Iterator[None]:
    with patch.object(Gate, "observe", lambda self, reading: None):
        yield


# -- limits -------------------------------------------------------------------------------------------------------


@mutant("starts whoever has paid, whatever the site may draw", LIMITED)
def limits_ignored() -> Iterator[None]:
    with patch.object(load.Feeder, "fits", lambda self, needed_w: True):
        yield


@mutant("takes nobody off a site that draws too much", LIMITED)
def over_limit_ignored() -> Iterator[None]:
    with patch.object(load.Grid, "too_much", lambda self, now_s, rules: iter(())):
        yield


@mutant("lets who has waited longest wait for ever", LIMITED)
def waits_for_ever() -> Iterator[None]:
    def handler(real: Any) -> Any:
        return session.ignore

    with cells(session.TABLE, [Phase.QUEUED], ev.DeadlinePassed, handler):
        yield


# -- lives --------------------------------------------------------------------------------------------------------


@mutant("forgets at a restart what was charging", PROCESS)
def restart_forgets() -> Iterator[None]:
    real = Engine.restore

    def restore(self: Engine, sessions: Any, *rest: Any, **named: Any) -> None:
        real(self, (), *rest, **named)

    with patch.object(Engine, "restore", restore):
        yield


@mutant("answers before the commit", PLOTS)
def answers_before_commit() -> Iterator[None]:
    real = Writer.write

    def write(self: Writer, batch: Any) -> None:
        for answered in batch.answers:
            if not answered.future.done():
                answered.future.set_result(answered.body)
        real(self, batch)

    with patch.object(Writer, "write", write):
        yield


@mutant("writes a batch again whose answer was lost", PROCESS)
def writes_twice() -> Iterator[None]:
    with patch.object(Writer, "_already_in", lambda self, batch: False):
        yield
