"""Cuts that hold: over restarts, over a disk that was away, over a kill; until a person lets go."""

from pathlib import Path
from typing import Any

import pytest

from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.state import Phase
from controller.journal import SLOT, SLOTS, Journal
from tests.shell.rig import Rig

SMOKE = {"1": {"kind": "smoke", "scope": "pile", "normally": "open"}}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def cut(rig: Rig, key: str = "cut") -> ev.SiteCutAsked:
    return ev.SiteCutAsked(**rig.stamp(), key=key, site="s1", by="staff:m")


def shows(rig: Rig, on: bool) -> None:
    rig.clock.advance(1.0)
    rig.engine.inbox.tell(ev.InputReported(**rig.stamp(), pile="p1", input=1, on=on))


def code(rig: Rig, event: ev.Event) -> str:
    try:
        rig.answer(event)
    except Refused as refused:
        return refused.code
    return "ok"


def disk_goes(rig: Rig) -> None:
    """From now on nobody writes what is decided."""
    rig.engine.inbox.tell(rig.topup(100))
    assert rig.engine.step(rig.clock.now()) is not None


def through_the_journal(rig: Rig) -> list[ev.Held]:
    """What a restart finds of it: written by the real journal, read by another."""
    path = rig.folder / "trips"
    journal = Journal(path)
    journal.open()
    for trip in rig.kept:
        journal.write(trip)
    for kept in rig.held:
        journal.write(kept)
    assert path.stat().st_size == SLOT * SLOTS
    return Journal(path).held()


def test_a_cut_site_is_still_cut_after_a_restart_and_says_who_did_it(rig: Rig) -> None:
    rig.charging()
    rig.answer(cut(rig))
    rig.beat(times=2)

    again = rig.restarted()
    again.beat()

    assert (again.house.cuts["s1"].by, str(again.house.cuts["s1"].why)) == ("staff:m", "site_cut")
    assert again.engine.board.cuts == again.house.cuts
    assert code(again, again.order("O2")) == "site_cut"
    again.staff(ev.Change.RELEASE_SITE, "s1")
    last = again.restarted()
    last.beat()
    assert code(last, last.order("O3")) == "ok"


def test_a_cut_with_the_disk_away_leaves_at_once_and_outlives_a_kill(rig: Rig) -> None:
    rig.charging()
    disk_goes(rig)
    rig.clock.advance(3.0)
    rig.plug.log.clear()
    rig.engine.inbox.ask(cut(rig))
    rig.engine.step(rig.clock.now())
    assert rig.plug.log[0] == "off"
    assert rig.engine.board.cuts.keys() == {"s1"}  # so the api may answer that it is off

    rig.clock.advance(200.0)
    again = rig.restarted(held=through_the_journal(rig))
    again.plug.log.clear()

    assert (again.live().phase, str(again.live().reason)) == (Phase.CLOSING, "site_cut")
    again.beat(times=30)
    assert not [word for word in again.plug.log if word.startswith("on")]
    assert code(again, again.order("O2")) == "site_cut"
    assert again.sql("SELECT cut_by FROM site") == [("staff:m",)]
    assert again.reasons() == ["site_cut"]


def test_a_charge_found_on_after_such_a_kill_is_cut_not_taken_up(rig: Rig) -> None:
    """The OFF may have been lost as well: what the relay says does not matter."""
    rig.charging()
    disk_goes(rig)
    rig.plug.reachable = False
    rig.engine.inbox.ask(cut(rig))
    rig.engine.step(rig.clock.now())
    rig.plug.reachable = True
    assert rig.plug.on

    again = rig.restarted(held=through_the_journal(rig))
    again.plug.log.clear()
    again.beat(times=3)

    assert not again.plug.on
    assert not [word for word in again.plug.log if word.startswith("on")]


def test_a_released_cut_does_not_come_back_out_of_the_journal(rig: Rig) -> None:
    rig.answer(cut(rig))
    rig.clock.advance(60.0)
    rig.staff(ev.Change.RELEASE_SITE, "s1")
    kept = through_the_journal(rig)
    assert len(kept) == 1

    again = rig.restarted(held=kept)

    assert again.house.cuts == {}


def test_a_cut_that_was_done_again_after_a_kill_is_released_once_and_for_all(rig: Rig) -> None:
    disk_goes(rig)
    cut_at = rig.clock.now().at
    rig.engine.inbox.ask(cut(rig))
    rig.engine.step(rig.clock.now())
    rig.clock.advance(30.0)
    again = rig.restarted(held=through_the_journal(rig))
    again.beat()
    assert again.house.cuts["s1"].at == cut_at  # since when it is, not since our restart
    again.staff(ev.Change.RELEASE_SITE, "s1")

    rig.held += again.held
    last = again.restarted(held=through_the_journal(rig))

    assert last.house.cuts == {}


def test_trips_without_end_do_not_push_a_cut_out_of_the_journal(rig: Rig) -> None:
    """When the disk is given up every charge of every site gets its OFF, and a line in the ring of 256."""
    disk_goes(rig)
    rig.engine.inbox.ask(cut(rig))
    rig.engine.step(rig.clock.now())
    (held,) = rig.held
    rig.held.clear()
    rig.clock.advance(rig.rules.db_grace_s + 1.0)
    rig.engine.step(rig.clock.now())

    assert [(kept.id, kept.at, kept.by) for kept in rig.held] == [("s1", held.at, "staff:m")]
    again = rig.restarted(held=through_the_journal(rig))
    assert again.house.cuts["s1"].by == "staff:m"


def test_those_who_follow_are_told_of_a_cut_and_of_its_release(rig: Rig) -> None:
    rig.answer(cut(rig))
    rig.clock.advance(1.0)
    rig.staff(ev.Change.RELEASE_SITE, "s1")

    told = rig.sql("SELECT kind, body FROM feed WHERE kind LIKE 'site.%' ORDER BY id")

    assert [kind for kind, _ in told] == ["site.cut", "site.released"]
    assert "site_cut" in str(told[0][1])
    assert "staff:m" not in str(told)  # who did it is nobody's business


def test_a_journal_that_is_full_of_trips_still_has_the_cut(rig: Rig, tmp_path: Path) -> None:
    """Sessions of a cut site need no entry of their own, or two hundred of them would push the cut out."""
    rig.charging()
    disk_goes(rig)
    rig.clock.advance(3.0)
    rig.engine.inbox.ask(cut(rig))
    rig.engine.step(rig.clock.now())

    assert (len(rig.held), rig.kept) == (1, [])


@pytest.mark.parametrize("away", [False, True])
def test_smoke_holds_over_a_restart_with_the_smoke_still_there(rig: Rig, away: bool) -> None:
    rig.staff(ev.Change.INPUTS, "p1", inputs=SMOKE)
    rig.charging()
    if away:
        disk_goes(rig)
    shows(rig, True)
    if away:
        rig.engine.step(rig.clock.now())
    else:
        rig.beat(times=2)

    again = rig.restarted(held=through_the_journal(rig))

    assert again.house.outlets["o1"].latch == "smoke"
    assert "o1" not in again.house.sessions or str(again.live().reason) == "smoke"
    again.plug.log.clear()
    shows(again, True)
    again.beat(times=20)
    assert "off" in again.plug.log
    assert not [word for word in again.plug.log if word.startswith("on")]
    assert code(again, again.order("O2")) == "input_active"
    assert code(again, again.staff_change(ev.Change.CLEAR_LATCH)) == "input_active"
    assert len(again.sql("SELECT id FROM alarm WHERE kind = 'smoke' AND cleared_at IS NULL")) == 1

    shows(again, False)
    again.beat()
    again.clock.advance(1.0)
    again.staff(ev.Change.CLEAR_LATCH)
    again.beat()
    assert code(again, again.order("O3")) == "ok"
    assert again.sql("SELECT id FROM alarm WHERE kind = 'smoke' AND cleared_at IS NULL") == []


def test_a_contact_that_closed_while_we_were_away_counts(rig: Rig) -> None:
    rig.staff(ev.Change.INPUTS, "p1", inputs=SMOKE)
    rig.charging()

    again = rig.restarted()
    shows(again, True)
    again.beat(times=3)

    assert again.reasons() == ["smoke"]
    assert not again.plug.on
    assert again.house.outlets["o1"].latch == "smoke"


def test_a_lock_out_outlives_restarts_and_everything_that_tries_to_end_it(rig: Rig) -> None:
    rig.beat()
    rig.staff(ev.Change.LOCK, by="staff:holder")

    again = rig.restarted()
    again.beat(times=3)
    tried: list[tuple[ev.Change, dict[str, Any]]] = [
        (ev.Change.UNLOCK, {}),
        (ev.Change.COMMISSION, {}),
        (ev.Change.OPEN, {}),
        (ev.Change.CLEAR_LATCH, {}),
    ]
    for change, values in tried:
        code(again, again.staff_change(change, by="staff:other", **values))
    assert again.house.outlets["o1"].locked_by == "staff:holder"
    assert code(again, again.order("O2")) == "locked"
    assert again.restarted().house.outlets["o1"].locked_by == "staff:holder"
