"""Mistakes with charges in doubt, and with what has to stay dead."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

from controller import inputs as contacts_at_work
from controller import store
from controller.core import bikes, draw, due, inputs, load, moves, outlet, outlet_outcome, proving, session
from controller.core import events as ev
from controller.core.state import Phase, Session, Why
from controller.cuts import Cuts
from controller.grants import Grants
from tests.mutants.form import ALARMS, DOUBTS, cells, mutant

# -- whose bike it is ---------------------------------------------------------------------------------------------


@mutant("lets a charge go on without comparing what draws now with what drew before", DOUBTS)
def resumes_without_comparing() -> Iterator[None]:
    with patch.object(draw, "_differs", lambda *_: None):
        yield


@mutant("bills whoever paid for what a stranger's bike has drawn", DOUBTS)
def bills_the_thief() -> Iterator[None]:
    with patch.object(moves, "owed", lambda live: live.meter):
        yield


@mutant("takes an answer and does nothing about it", DOUBTS)
def answer_ignored() -> Iterator[None]:
    def handler(real: Any) -> Any:
        return session.ignore

    with cells(session.TABLE, [Phase.SUSPENDED], ev.PlugAnswered, handler):
        yield


@mutant("waits for an answer for ever", DOUBTS)
def question_without_an_end() -> Iterator[None]:
    with patch.dict(due._WAITS, {Why.PLUG: lambda rules: 1e9}):
        yield


@mutant("bills nothing of a charge whose bike was swapped", DOUBTS)
def swap_costs_nothing() -> Iterator[None]:
    real = moves.owed

    def owed(live: Session) -> Any:
        meter = real(live)
        doubt = moves.doubt_of(live)
        gone = doubt is not None and doubt.why is Why.PLUG
        return replace(meter, used_wh=meter.band_from_wh) if gone else meter

    with patch.object(moves, "owed", owed):
        yield


# -- probes and resumptions ---------------------------------------------------------------------------------------


@mutant("probes a charger that rests again and again", DOUBTS)
def probe_without_cap() -> Iterator[None]:
    real = moves.known_again

    def known_again(live: Session, event: ev.Reading, probes_max: int = 0) -> moves.Outcome:
        return real(live, event)

    with patch.object(moves, "known_again", known_again):
        yield


@mutant("lets a probe last for as long as the charger rests", DOUBTS)
def probe_without_end() -> Iterator[None]:
    def sampled(live: Session, pause: Any, before_w: float, event: ev.Reading, ctx: moves.Context) -> moves.Outcome:
        return session._sampled(live, event, ctx)

    with patch.object(session, "_on_trial", sampled):
        yield


@mutant("switches all on at once when the power is back", DOUBTS)
def stagger_skipped() -> Iterator[None]:
    with patch.object(Grants, "_gap_s", lambda self, place: 0.0):
        yield


@mutant("keeps room for what is proven dark", (14, 46, 62))  # with limits
def the_dark_takes_room() -> Iterator[None]:
    with patch.object(load, "is_dark", lambda live: False):
        yield


@mutant("goes on to be full, whatever its rider wished", DOUBTS)
def stop_at_ignored() -> Iterator[None]:
    with patch.object(bikes, "reached", lambda *_: None):
        yield


# -- what has to stay dead ----------------------------------------------------------------------------------------


@mutant("forgets at a restart that a site is cut", ALARMS)
def site_cut_forgotten() -> Iterator[None]:
    with patch.object(store, "_load_cuts", lambda db, house: None):
        yield


@mutant("does not notice that a contact has closed", ALARMS)
def input_edge_lost() -> Iterator[None]:
    with patch.object(contacts_at_work.Inputs, "_alarmed", lambda self, *_, **__: None):
        yield


@mutant("latches what smoke was seen at, and leaves it on", ALARMS)
def smoke_cuts_nothing() -> Iterator[None]:
    with (
        patch.object(Cuts, "off", lambda self, key: []),
        patch("controller.inputs.Inputs._is_held", lambda self, pile, wired: True),
    ):
        yield


@mutant("releases a site while an input still shows danger", ALARMS)
def released_in_danger() -> Iterator[None]:
    with patch.object(inputs, "active_inputs", lambda house, site: iter(())):
        yield


@mutant("lets commissioning take a lock off", ALARMS)
def lock_cleared_by_commissioning() -> Iterator[None]:
    real = proving.commission

    def commission(at: Any, event: ev.StaffChange, ctx: outlet_outcome.Context) -> outlet_outcome.Outcome:
        return real(replace(at, locked_by=None), event, replace(ctx, dead=None))

    with patch.dict(outlet.STAFF, {ev.Change.COMMISSION: commission}):
        yield
