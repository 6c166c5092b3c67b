"""The decider: an inbox, `step(now)`, and the deadlines. It knows no thread and no clock; whoever drives it has both.

A step takes stops and trips first, then facts, then the newest reading of each outlet, then what is due. OFFs and
renewals leave at once; rows and what must wait for them leave as one Batch for the writer.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from itertools import islice
from typing import Any

import structlog
from msgspec.structs import replace

from controller.batches import Answered, Batch, Batches
from controller.core import (
    desk,
    due,
    garage,
    links,
    moves,
    notices,
    outlet,
    outlet_outcome,
    proving,
    session,
    staff,
    starting,
)
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.besides import known_of, proving_beside
from controller.core.dead import why_dead
from controller.core.edits import check_seen
from controller.core.errors import Refused
from controller.core.events import Stamp
from controller.core.found import pile_found
from controller.core.house import House
from controller.core.reasons import StopReason
from controller.core.repeats import Kept, answer_key
from controller.core.restart import restored
from controller.core.seen import saw
from controller.core.state import Order, Outlet, OutletPhase, Phase, Rules, Session, rebased
from controller.cuts import Cuts, Hands, stop_of
from controller.deadlines import Deadlines
from controller.grants import Grants
from controller.inbox import ANSWERS_MAX, Answer, Asked, Inbox
from controller.inputs import Inputs
from controller.ports import Errander, Switchgear
from controller.roll import Roll
from controller.trust import BUILT_AT, ClockTrust
from controller.view_of import Shown
from controller.views import Board

log = structlog.get_logger()

DEADLINE_STEP_S = 1.0  # a deadline that stays due is looked at again after this long
DEADLINES_A_STEP = 64  # ten thousand leases that are renewed at once keep no stop waiting


class Engine:
    """All session state and every decision. Its inbox is open to any thread, `step` belongs to one."""

    def __init__(
        self,
        house: House,
        rules: Rules,
        switchgear: Switchgear,
        errander: Errander,
        board: Board,
        name: str = "gw",
        inbox: Inbox | None = None,
        keep: Callable[[ev.Tripped | ev.Held], None] = lambda kept: None,
    ) -> None:
        self.inbox = inbox or Inbox()
        self.house = house
        self.rules = rules
        self.counts: dict[str, int] = {}
        self.board = board
        self.cuts: list[float] = []  # (steady) of readings whose OFF left in this step
        self._cause: ev.Event | None = None
        self._shown = Shown(board)
        self._grants = Grants(rules, board)
        hands = Hands(switchgear, self._run, self._at_outlet, self._outlet_outcome, self._shown.changed, keep)
        self._cuts = Cuts(house, board, hands)
        self._inputs = Inputs(house, rules, board, hands, self._cuts)
        self._switchgear = switchgear
        self._errander = errander
        self._roll = Roll(errander.tell, switchgear.renew)
        self._outlets_due = Deadlines()
        self._orders_due = Deadlines()
        self._batches = Batches(name)
        self._failed: list[tuple[Future[Answer], Exception]] = []
        self._trust = ClockTrust()
        self._graced = False
        self._resumes = True
        self._now = Stamp(0.0, 0.0)

    def next_due_s(self) -> float | None:
        """When (steady) the next deadline is; None if there is none."""
        dues = (self._outlets_due.next_s(), self._orders_due.next_s())
        heads = (*dues, self._grants.due_s, self._batches.due_s(), self._roll.due_s(), self._inputs.due_s())
        return min((due_s for due_s in heads if due_s is not None), default=None)

    # -- one step -------------------------------------------------------------------------------------------------

    def step(self, now: Stamp) -> Batch | None:
        """Everything that waits, then what is due; None when nothing has to be written or answered."""
        self._now = now
        self.cuts.clear()
        self._cause = None
        self._trust.look(now)
        self._database_grace(now)
        for asked in self.inbox.drained():
            self._one(asked)
        for reading in self.inbox.readings():
            self._heard(reading)
        self._deadlines(now)
        self._roll.call(self.house, now.steady_s)
        self._inputs.look(now)
        self._power(now)
        self._shown.show(self.house, now, self._trust.trusted, self.database_away_s())
        return self._batch(now)

    def _power(self, now: Stamp) -> None:
        """Whose turn it is, and who must stop, after all that this step has changed."""
        held, changed = self._database_is_away(), self._shown.pending()
        for what in self._grants.look(self.house, changed, now, held, self._shown.changed):
            if isinstance(what, ev.Event):
                self._one(Asked(what))
            else:
                self._run((what,))

    def _one(self, asked: Asked) -> None:
        """Decides one event. Refusals speak to whoever asked; anything else fences the one outlet it concerns."""
        self._cause = asked.event
        try:
            answer = self._decided(asked.event, asked.found)
        except Refused as refused:
            self._refused(asked, refused)
        except Exception as error:  # noqa: BLE001 - a bug in one decision must not stop the others
            self._fence(asked, error)
        else:
            if asked.future is not None:
                self._batches.answers.append(Answered(asked.future, answer))

    def _heard(self, reading: ev.Reading) -> None:
        """`_one` for what comes by the thousand: nobody waits for its answer, and it has no key."""
        self._cause = reading
        try:
            self._at_outlet(reading)
        except Refused as refused:
            self._refused(Asked(reading), refused)
        except Exception as error:  # noqa: BLE001 - as in `_one`
            self._fence(Asked(reading), error)

    def _refused(self, asked: Asked, refused: Refused) -> None:
        self._count(f"refused:{refused.code}")
        if asked.future is not None:
            self._failed.append((asked.future, refused))
        elif not isinstance(asked.event, ev.Reading):
            log.info("refused", **_whose(asked.event), code=refused.code, why=refused.detail)

    def _fence(self, asked: Asked, error: Exception) -> None:
        self._count("fenced")
        outlet_id = getattr(asked.event, "outlet", None)
        log.error("decision failed", **_whose(asked.event), exc_info=error)
        if outlet_id in self.house.outlets:
            self._switchgear.off(outlet_id)
            self._alarm(outlet_id, "gateway_fault")
            self._shown.changed(outlet_id)
        if asked.future is not None:
            self._failed.append((asked.future, error))

    def _alarm(self, outlet_id: str, kind: str) -> None:
        at = self.house.outlets[outlet_id]
        alarm = fx.RaiseAlarm(
            f"{outlet_id}:{kind}:{self._now.at // 600:.0f}", self._now.at, at.site, outlet_id, kind, {}
        )
        self._run((alarm,))

    # -- who decides what -----------------------------------------------------------------------------------------

    def _decided(self, event: ev.Event, found: Mapping[str, Any]) -> Answer:
        key = answer_key(event)
        if key in self.house.answers:
            return self.house.answers[key]
        kept: Kept | None = found.get("kept")
        answer = self._routed(event, found) if kept is None else kept.repeated(event)
        if type(event) is not ev.DeadlinePassed:
            log.debug("decided", **_whose(event))
        if key:
            self._remember(key, answer)
        if kept is None and (wish := getattr(event, "wish", "")):
            self._run((fx.KeepAnswer(key, event.at, wish, answer),))
        return answer

    def _remember(self, key: str, answer: Answer) -> None:
        self.house.answers[key] = answer
        while len(self.house.answers) > ANSWERS_MAX:
            self.house.answers.pop(next(iter(self.house.answers)))

    def _routed(self, event: ev.Event, found: Mapping[str, Any]) -> Answer:
        if type(event) in desk.HANDLERS:
            return self._at_desk(event, found)
        if isinstance(event, ev.StaffChange):
            return self._by_staff(event)
        if isinstance(event, ev.InputReported | ev.SiteCutAsked):
            return self._cuts.asked(event) if isinstance(event, ev.SiteCutAsked) else self._inputs.heard(event)
        if isinstance(event, ev.PileFound):
            self._run(pile_found(self.house, event))
            return {"found": f"{event.family}:{event.address}"}
        if type(event) in _NOTED:
            self._run(_NOTED[type(event)](self.house, event))
            return {}
        return self._at_outlet(event)

    def _at_desk(self, event: ev.Event, found: Mapping[str, Any]) -> Answer:
        ctx = starting.Context(self.rules, self._not_selling(), found)
        outcome = desk.HANDLERS[type(event)](self.house, event, ctx)
        self.house.check(outcome.effects)
        self._run(outcome.effects)
        if "stop" in outcome.answer:
            at, live = outcome.answer["outlet"], outcome.answer["stop"]
            self._at_outlet(stop_of(event, at, live, StopReason.STOPPED_BY_RESIDENT, "card"))
        return outcome.answer

    def _not_selling(self) -> str | None:
        if not self._trust.trusted:
            return "clock_untrusted"
        return "database_away" if self._database_is_away() else None

    def _by_staff(self, event: ev.StaffChange) -> Answer:
        check_seen(self.house, event)
        if event.change in outlet.STAFF:
            self._outlet_by_staff(event)
        else:
            effects = staff.HANDLERS[event.change](self.house, event, self.rules)
            self._run((*effects, _audited(event)))
        self._inputs.after(event)
        return {"subject": event.subject}

    def _outlet_by_staff(self, event: ev.StaffChange) -> None:
        known = self.house.outlet(event.subject)
        if event.change is ev.Change.COMMISSION and known.id in self.house.sessions:
            raise Refused("busy", f"outlet {known.number} is in use")
        if event.change is ev.Change.COMMISSION and not self._grants.has_room(
            self.house, known.id, known.power_w, self._now
        ):
            raise Refused("no_room", "its pile or its site is at the limit of its power; try again when less is drawn")
        outcome = outlet.STAFF[event.change](known, event, self._outlet_ctx(known.id))
        if event.change is ev.Change.LOCK:
            self._cuts.stop(known.id, event, StopReason.STOPPED_BY_STAFF, event.by)
        self._outlet_outcome(outcome)
        self._run((_audited(event),))

    # -- an outlet and its session --------------------------------------------------------------------------------

    def _at_outlet(self, event: Any) -> Answer:
        """Device events and stops: to the live session's table, or to the outlet's own."""
        outlet_id: str = event.outlet
        known = self.house.outlet(outlet_id)
        self._see(outlet_id, event)
        if type(event) is ev.LinkUp:
            self._inputs.linked(outlet_id)
        live = self.house.sessions.get(outlet_id)
        if isinstance(event, ev.StopAsked) and live is not None and live.id != event.session:
            raise Refused("already_settled", "that session has ended")
        if isinstance(event, ev.PlugAnswered) and (live is None or live.id != event.session):
            raise Refused("already_settled", "that session has ended")
        if live is None or isinstance(event, ev.FirmwareReported):
            self._outlet_outcome(outlet.decide(known, event, self._outlet_ctx(outlet_id)))
            if type(event) is ev.Reading and event.power_w >= self.rules.load_w:
                self._look_beside(known)
        elif not isinstance(event, ev.SettingReported):
            self._session_outcome(live, session.decide(live, event, self._session_ctx(outlet_id)))
        return {"outlet": outlet_id}

    def _look_beside(self, shows: Outlet) -> None:
        """A load on an idle outlet may be that of one that is being proven, on the wrong meter."""
        for outlet_id in proving_beside(self.house, shows):
            self._pass(outlet_id, self._now)

    def _see(self, outlet_id: str, event: ev.Event) -> None:
        after = saw(self.house.seen[outlet_id], event)
        if after is not None:
            self.house.seen[outlet_id] = after
            self._shown.read(outlet_id)  # what else it means its outcome will tell

    def _session_ctx(self, outlet_id: str) -> moves.Context:
        generation = self._switchgear.generation(outlet_id)
        return moves.Context(self.rules, self.house.seen[outlet_id], generation, self._resumes)

    def _outlet_ctx(self, outlet_id: str) -> outlet_outcome.Context:
        generation, seen = self._switchgear.generation(outlet_id), self.house.seen[outlet_id]
        return outlet_outcome.Context(self.rules, seen, generation, **known_of(self.house, outlet_id))

    def _session_outcome(self, before: Session, outcome: moves.Outcome) -> None:
        after = outcome.session
        if after.phase is Phase.SETTLED:
            self._settled(before, after, outcome)
            self._outdated(after.outlet)
        else:
            self.house.sessions[after.outlet] = after
            if outcome.effects:
                self._run(self._thinned(before, outcome))
        if self.house.reachable and outcome.effects:
            self._run(notices.due(self.house, before, after, self.rules, self._now.at))
        if outcome.alarmed is not None:
            self._alarmed(after.outlet, outcome.alarmed)
        if after.reason is not None and (before.reason is None or before.again is not after.again):
            self._cuts.stopped(after, self._now, self.database_away_s())
        if outcome.latch is not None:
            self._outlet_outcome(outlet.latched(self.house.outlets[after.outlet], outcome.latch))
        if after.phase is not before.phase or after.renewed_s != before.renewed_s or outcome.effects:
            self._schedule(after.outlet)
        if outcome.effects or after.phase is not Phase.CHARGING or after.outlet in self.house.grid.limited:
            self._shown.changed(after.outlet)
        else:
            self._shown.read(after.outlet)  # no limit to weigh it for, and nobody waits behind a charge

    def _thinned(self, before: Session, outcome: moves.Outcome) -> tuple[fx.Effect, ...]:
        """While the disk is away samples are the first to go: they would fill the memory, and decide nothing."""
        sampled = any(isinstance(effect, fx.Sampled) for effect in outcome.effects)
        if not sampled or before.phase is not outcome.session.phase or not self._database_is_away():
            return outcome.effects
        self._count("samples_thinned")
        return ()

    def _settled(self, before: Session, done: Session, outcome: moves.Outcome) -> None:
        """What was not used is owed back the moment the bill is final."""
        rows = [*outcome.effects, *garage.kept(self.house, before, done)]
        self._grants.ended(done)
        if done.order is not None and done.returned_fen > 0:
            provider, txn = self.house.paid.pop(done.order)
            refund = moves.refund_of(done, provider, txn, self._now.at)
            if refund is not None:
                rows += [fx.SaveRefund(refund), desk.refund_wish(refund, self._now.at)]
        self._run(rows)

    def _outdated(self, outlet_id: str) -> None:
        """Its device has told of another firmware while a charge was under way."""
        known = self.house.outlets[outlet_id]
        if proving.is_outdated(known):
            self._outlet_outcome(proving.fell_back(known, _at(self._now)))

    def _outlet_outcome(self, outcome: outlet_outcome.Outcome) -> None:
        after = outcome.outlet
        self.house.outlets[after.id] = after
        if outcome.alarmed is not None:
            self._alarmed(after.id, outcome.alarmed)
        self._run(outcome.effects)
        self._schedule(after.id)
        self._shown.changed(after.id)

    def _alarmed(self, outlet_id: str, alarmed: bool) -> None:
        if self.house.seen[outlet_id].alarmed is not alarmed:
            self.house.seen[outlet_id] = replace(self.house.seen[outlet_id], alarmed=alarmed)

    def _run(self, effects: Iterable[fx.Effect]) -> None:
        """Power at once; rows into memory and the batch; the rest waits for the commit."""
        for effect in effects:
            if isinstance(effect, fx.NOW):
                _NOW[type(effect)](self, effect)
            elif isinstance(effect, fx.AFTER):
                self._after(effect)
            else:
                self._row(effect)

    def _after(self, effect: fx.Effect) -> None:
        """The last look at an ON: whatever was decided, nothing leaves for an outlet that something keeps dead."""
        if isinstance(effect, fx.SwitchOn) and self._is_dead(effect.outlet):
            return
        self._batches.after.append(effect)

    def _is_dead(self, outlet_id: str) -> bool:
        """If so it gets its OFF instead."""
        if why_dead(self.house, outlet_id) is None:
            return False
        self._count("on_while_dead")
        self._off(fx.SwitchOff(outlet_id))
        return True

    def _row(self, row: fx.Effect) -> None:
        if isinstance(row, fx.RIDING):
            self._batches.riding.append(row)
            return
        self.house.apply(row)
        self._batches.rows.append(row if not isinstance(row, fx.Wish) else self._versioned(row))
        if isinstance(row, fx.SaveSession):
            self._schedule(row.session.outlet)
            self._shown.changed(row.session.outlet)
        elif isinstance(row, fx.SaveOutlet):
            self._shown.changed(row.outlet.id)
        elif isinstance(row, fx.SaveOrder):
            self._order_saved(row)
        elif isinstance(row, fx.RaiseAlarm) and row.outlet in self.house.seen and row.kind != fx.SHARED:
            self.house.seen[row.outlet] = replace(self.house.seen[row.outlet], alarmed=True)

    def _versioned(self, row: fx.Wish) -> fx.Wish:
        """A version is used once in a process's life, so a late ErrandDone can't strike out a newer wish."""
        return replace(row, version=self.house.outbox[row.slot])

    def _order_saved(self, row: fx.SaveOrder) -> None:
        if row.order.id in self.house.orders:
            self._order_due_again(row.order, self._now)
            if row.order.pay_url is not None:
                self.board.pay_urls[row.order.id] = row.order.pay_url
        else:
            self.board.pay_urls.pop(row.order.id, None)

    # -- deadlines ------------------------------------------------------------------------------------------------

    def _schedule(self, outlet_id: str) -> None:
        live = self.house.sessions.get(outlet_id)
        if live is not None:
            self._outlets_due.set(outlet_id, due.next_deadline(live, self.rules))
        else:
            self._outlets_due.set(outlet_id, proving.next_deadline(self.house.outlets[outlet_id], self.rules))

    def _deadlines(self, now: Stamp) -> None:
        for outlet_id in islice(self._outlets_due.passed(now.steady_s), DEADLINES_A_STEP):
            self._pass(outlet_id, now)
        for order_id in self._orders_due.passed(now.steady_s):
            order = self.house.orders.get(order_id)
            if order is not None and order.expires_at <= now.at:
                self._run(desk.expired(order, now.at))
            elif order is not None:  # our wall clock was set back meanwhile
                self._order_due_again(order, now)

    def _order_due_again(self, order: Order, now: Stamp) -> None:
        self._orders_due.set(order.id, now.steady_s + max(DEADLINE_STEP_S, order.expires_at - now.at))

    def _pass(self, outlet_id: str, now: Stamp) -> None:
        """A deadline that its handler does not move is looked at again later, never in the same step."""
        self._one(Asked(ev.DeadlinePassed(at=now.at, steady_s=now.steady_s, outlet=outlet_id)))
        self._schedule(outlet_id)
        due_s = self._outlets_due.get(outlet_id)
        if due_s is not None and due_s <= now.steady_s:
            self._outlets_due.set(outlet_id, now.steady_s + DEADLINE_STEP_S)

    # -- the database away ----------------------------------------------------------------------------------------

    def database_away_s(self) -> float:
        """How old the oldest batch is that the writer has not yet committed."""
        return self._batches.oldest_s(self._now.steady_s)

    def _database_is_away(self) -> bool:
        return self.database_away_s() > self.rules.db_away_s

    def committed(self, number: str) -> None:
        """The writer's word, from its own thread."""
        self._batches.committed(number)

    def _database_grace(self, now: Stamp) -> None:
        """Once each time the database has been away for so long."""
        over = self.database_away_s() >= self.rules.db_grace_s
        if over and not self._graced:
            for outlet_id in list(self.house.sessions):
                self._cuts.stop(outlet_id, _at(now), StopReason.GATEWAY_FAULT, "gateway")
            self._cuts.kept_again(now)
        self._graced = over

    # -- restart --------------------------------------------------------------------------------------------------

    def restore(
        self,
        sessions: Iterable[Session],
        trips: Mapping[str, tuple[StopReason, dict[str, float]]],
        now: Stamp,
        sellable_from: float = 0.0,
        journal_failed: bool = False,
        held: Iterable[ev.Held] = (),
    ) -> None:
        """State from disk: pending ONs are dropped, running charges wait for what their outlets say."""
        self._now = now
        self._resumes = not journal_failed
        self._trust = ClockTrust(max(BUILT_AT, sellable_from))
        self._inputs.restore(held, now)
        for saved in sessions:
            live = rebased(saved, now.at, now.steady_s)
            self.house.sessions[live.outlet] = live
            trip = trips.get(live.outlet) or self._cuts.trip_of(live)
            self._session_outcome(live, restored(live, _at(now), trip, self._resumes))
        self._run([fx.ClearAlarms(key, now.at, "gateway") for key, f in self.house.grid.feeders.items() if f.limit_w])
        for order in list(self.house.orders.values()):
            self._order_due_again(order, now)
            if order.pay_url is not None:
                self.board.pay_urls[order.id] = order.pay_url
        for known in list(self.house.outlets.values()):
            if known.phase is OutletPhase.PROVING:
                self._outlet_outcome(proving.abandoned(known, _at(now)))
            self._shown.changed(known.id)

    # -- what leaves ----------------------------------------------------------------------------------------------

    def _batch(self, now: Stamp) -> Batch | None:
        """A refusal needs no disk; answers wait for theirs."""
        for future, error in self._failed:
            if not future.done():
                future.set_exception(error)
        self._failed.clear()
        return self._batches.closed(now)

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def _off(self, effect: fx.SwitchOff) -> None:
        self._switchgear.off(effect.outlet)
        if isinstance(self._cause, ev.Reading):
            self.cuts.append(self._cause.steady_s)
        self.house.seen[effect.outlet] = replace(self.house.seen[effect.outlet], off_s=self._now.steady_s)

    def _renew(self, effect: fx.Renew) -> None:
        if not self._is_dead(effect.outlet):
            self._count("renewed" if self._switchgear.renew(effect) else "renewal_dropped")

    def _take_up(self, effect: fx.TakeUp) -> None:
        if not self._is_dead(effect.order.outlet) and not self._switchgear.on(effect.order):
            self._roll.take_up(effect.order)

    def _tell(self, effect: fx.Provision | fx.AskNow | fx.SetInputs) -> None:
        if not self._errander.tell(effect) and isinstance(effect, fx.AskNow):
            self._roll.ask(effect.outlet)


_NOW: dict[type, Callable[[Engine, Any], None]] = {
    fx.SwitchOff: Engine._off,
    fx.Renew: Engine._renew,
    fx.Provision: Engine._tell,
    fx.AskNow: Engine._tell,
    fx.SetInputs: Engine._tell,
    fx.TakeUp: Engine._take_up,
}


_NOTED: dict[type[ev.Event], Callable[[House, Any], tuple[fx.Effect, ...]]] = {
    ev.ErrandDone: links.carried,
    ev.HookReached: links.carried,
    **notices.HANDLERS,
}


def _whose(event: ev.Event) -> dict[str, str]:
    """What a log line says of an event: its kind, and the outlet, session and order it is about."""
    known = ((name, getattr(event, name, None)) for name in ("outlet", "session", "order"))
    return {"event_type": type(event).__name__, **{name: str(value) for name, value in known if value}}


def _at(now: Stamp) -> ev.Event:
    return ev.Event(at=now.at, steady_s=now.steady_s)


def _audited(event: ev.StaffChange) -> fx.Audit:
    """What was changed, never a secret."""
    values = {name: value for name, value in event.values.items() if "hash" not in name and "password" not in name}
    return fx.Audit(event.at, event.by, str(event.change), event.subject, values)
