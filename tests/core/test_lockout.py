"""What keeps an outlet dead keeps it dead: attacked with every change of staff, every event and every state."""

from typing import Any

import pytest
from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.contacts import Contact, wired_of
from controller.core.dead import why_dead
from controller.core.reasons import StopReason
from controller.core.state import Cut, Limits, OutletPhase, Phase
from tests.core import made
from tests.core.desk_rig import BANDS, Desk

HOLDER = "staff:holder"
VALUES: dict[ev.Change, dict[str, Any]] = {
    ev.Change.MERCHANT: {"name": "M"},
    ev.Change.SITE: {"name": "S", "zone": "Asia/Shanghai", "merchant": "m", "bands": BANDS},
    ev.Change.TARIFF: {"name": "new", "bands": BANDS},
    ev.Change.PILE: {"name": "P"},
    ev.Change.CARD: {"uid": "04FF", "printed": "9"},
    ev.Change.STAFF: {"login": "x", "name": "X", "password_hash": "", "role": "owner", "sites": [], "disabled": False},
    ev.Change.ADOPT: {
        "site": "s1",
        "name": "again",
        "pile": "p7",
        "outlets": ["o1"],
        "numbers": ["1"],
        "stickers": ["k1"],
    },
    ev.Change.NAME: {"number": "7"},
    ev.Change.POWER: {"of": "pile", "power_w": 5_000.0},
    ev.Change.INPUTS: {"inputs": {}},
    ev.Change.RETIRE_STICKER: {"outlet": "o1", "new_sticker": "k2"},
    ev.Change.TOKEN: {"name": "t", "role": "owner", "sites": [], "hash": "h"},
    ev.Change.HOOK: {"url": "https://example.org/", "kinds": [], "sites": [], "disabled": False},
}
SUBJECTS = ("o1", "p1", "s1", "made-up:AA", "c1")
OTHERS = ("staff:other", "token:t1", "gateway", "card", "party:p1")


def locked(phase: OutletPhase = OutletPhase.OPEN) -> Desk:
    desk = Desk()
    desk.house.piles["p1"] = "P"
    desk.house.found["made-up:AA"] = {"id": "made-up:AA", "channels": 1, "family": "made-up", "address": "AA"}
    desk.house.found["made-up:AA"] |= {"model": "", "firmware": "", "params": {}}
    before = replace(desk.house.outlets["o1"], phase=phase)
    if phase is OutletPhase.PROVING:
        before = replace(before, proving=made.outlet(phase).proving)
    desk.house.apply(fx.SaveOutlet(before))
    desk.ask(desk.change(ev.Change.LOCK, "o1", by=HOLDER))
    desk.gear.log.clear()
    return desk


def stays_dead(desk: Desk) -> None:
    assert desk.house.outlets["o1"].locked_by == HOLDER
    assert not {"on o1", "renew o1"} & set(desk.gear.log)
    assert why_dead(desk.house, "o1") is not None


@pytest.mark.parametrize("what", list(ev.Change))
@pytest.mark.parametrize("phase", [phase for phase in OutletPhase if phase is not OutletPhase.PROVING])
def test_no_change_by_anybody_else_ends_a_lock_out(what: ev.Change, phase: OutletPhase) -> None:
    for subject in SUBJECTS:
        for by in OTHERS:
            desk = locked(phase)
            desk.code(desk.change(what, subject, by=by, **VALUES.get(what, {})))
            stays_dead(desk)
            assert desk.code(desk.order()) != "ok"


def test_who_locked_it_unlocks_it_and_so_does_an_owner_who_is_a_person() -> None:
    desk = locked()
    assert desk.code(desk.change(ev.Change.UNLOCK, "o1", by="staff:other")) == "locked"
    assert desk.code(desk.change(ev.Change.UNLOCK, "o1", by="token:t1", key="t", owner=True)) == "locked"
    stays_dead(desk)
    assert desk.code(desk.change(ev.Change.UNLOCK, "o1", by=HOLDER, key="h")) == "ok"
    assert desk.house.outlets["o1"].locked_by is None

    again = locked()
    assert again.code(again.change(ev.Change.UNLOCK, "o1", by="staff:boss", owner=True)) == "ok"
    assert again.house.outlets["o1"].locked_by is None


@pytest.mark.parametrize("kind", list(made._EVERY))
@pytest.mark.parametrize("phase", list(OutletPhase))
def test_nothing_that_happens_to_a_locked_outlet_ends_its_lock_out(kind: type[ev.Event], phase: OutletPhase) -> None:
    for event in made.every(kind):
        desk = locked(phase)
        desk.do(_now(desk, event))
        desk.wait(60.0)
        stays_dead(desk)


def _latched(desk: Desk) -> None:
    desk.house.apply(fx.SaveOutlet(replace(desk.house.outlets["o1"], latch="relay_fault")))


def _locked(desk: Desk) -> None:
    desk.house.apply(fx.SaveOutlet(replace(desk.house.outlets["o1"], locked_by=HOLDER)))


def _cut(desk: Desk) -> None:
    desk.house.apply(fx.SaveCut("s1", Cut(0.0, HOLDER, StopReason.SITE_CUT)))


def _smoke(desk: Desk) -> None:
    desk.house.wire("p1", wired_of({"1": {"kind": "smoke", "scope": "pile"}}))
    desk.house.heard("p1", 1, Contact(True, 0.0))


DEAD = {"latched": _latched, "locked": _locked, "site_cut": _cut, "input_active": _smoke}
LIVE = [phase for phase in Phase if phase is not Phase.SETTLED]


@pytest.mark.parametrize("kind", list(made._EVERY))
@pytest.mark.parametrize("phase", LIVE)
@pytest.mark.parametrize("code", list(DEAD))
def test_no_session_however_it_got_there_puts_power_on_what_is_kept_dead(
    code: str, phase: Phase, kind: type[ev.Event]
) -> None:
    """Of four reasons, each against every event in every phase of a session that should not be there at all."""
    for event in made.every(kind):
        desk = Desk()
        now = desk.clock.now()
        shift_s, shift_at = now.steady_s - made.NOW_S, now.at - made.NOW_AT
        desk.house.sessions["o1"] = _moved(made.session(phase, generation=0), shift_s, shift_at)
        desk.house.secrets["O1"] = "h"
        desk.house.paid["O1"] = ("sandbox", "T1")
        desk.house.balances["session:S1:hold"] = 200
        DEAD[code](desk)
        why = why_dead(desk.house, "o1")
        assert why is not None
        assert why.code == code

        desk.do(_now(desk, event))
        for _ in range(5):
            desk.wait(5.0)

        assert not {"on o1", "renew o1"} & set(desk.gear.log)


def _now(desk: Desk, event: ev.Event) -> ev.Event:
    now = desk.clock.now()
    return replace(event, at=now.at + event.at - made.NOW_AT, steady_s=now.steady_s + event.steady_s - made.NOW_S)


def _moved(session: Any, delta_s: float, delta_at: float) -> Any:
    """To the clock of this desk."""
    times = {name: getattr(session, name) for name in session.__struct_fields__ if name.endswith(("_s", "_at"))}
    spans = ("max_s", "lease_s")
    moved = {name: value for name, value in times.items() if value is not None and name not in spans}
    return replace(
        session, **{name: value + (delta_s if name.endswith("_s") else delta_at) for name, value in moved.items()}
    )


def test_a_renewal_in_commissioning_is_held_back_too() -> None:
    desk = Desk()
    _locked(desk)
    limits = Limits(800.0, 8.0, 270.0, 100.0, 80.0, None, StopReason.ENERGY_LIMIT)
    desk.engine._run((fx.Renew("o1", 0, 15.0, limits), fx.SwitchOn("o1", 0, 15.0, limits, 1e9)))
    order = fx.SwitchOn("o1", 0, 15.0, limits, 1e9)
    desk.engine._run((fx.TakeUp(order),))

    assert set(desk.gear.log) == {"off o1"}
    assert desk.engine.counts["on_while_dead"] == 3
