"""Limits of load over a restart: who waits keeps the place and the time waited, and nothing starts all at once."""

import itertools
from pathlib import Path

import pytest

from controller.clock import HandClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.reasons import StopReason
from controller.core.state import Phase, Rules
from tests.shell.rig import LOAD_W, Plug, Rig

RULES = Rules()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Four plugs on one pile, 1,000 W for all."""
    return limited(tmp_path, 1000.0)


def limited(folder: Path, limit_w: float) -> Rig:
    clock = HandClock()
    rig = Rig(folder, clock, [Plug(clock, f"o{number}") for number in range(1, 5)])
    rig.beat()
    rig.staff(ev.Change.POWER, "s1", of="site", power_w=limit_w)
    for plug in rig.plugs.values():
        plug.load_w = LOAD_W
    return rig


def pays(rig: Rig, *outlets: str) -> None:
    for outlet in outlets:
        order = f"O{outlet}"
        rig.answer(rig.order(order, outlet))
        rig.answer(rig.paid(order, f"T{outlet}"))
        rig.clock.advance(1)


def phases(rig: Rig) -> dict[str, str]:
    return {outlet: str(live.phase) for outlet, live in sorted(rig.house.sessions.items())}


def test_who_waits_is_on_disk_and_keeps_the_place_and_the_time_over_a_restart(rig: Rig) -> None:
    pays(rig, "o1", "o3", "o2")
    rig.beat(times=6)
    assert phases(rig) == {"o1": "charging", "o2": "queued", "o3": "queued"}

    rig.clock.advance(600)
    again = rig.restarted()
    again.beat(times=2)

    assert phases(again)["o2"] == phases(again)["o3"] == "queued"
    assert [again.engine.board.views[outlet].place for outlet in ("o3", "o2")] == [1, 2]
    waited_s = again.clock.now().steady_s - again.live("o3").since_s
    assert 680 < waited_s < 700
    assert again.house.grid.feeders["site:s1"].limit_w == 1000.0

    again.beat(10, times=int((RULES.queue_max_s - waited_s) / 10) + 2)
    assert again.saved("So3").reason is StopReason.START_FAILED
    assert again.saved("So3").returned_fen == 200


def test_after_a_power_cut_charges_come_back_one_by_one(tmp_path: Path) -> None:
    rig = limited(tmp_path, 3800.0)
    outlets = ("o1", "o2", "o3", "o4")
    for outlet in outlets:
        pays(rig, outlet)
        rig.beat()
    rig.beat(times=3)
    assert set(phases(rig).values()) == {"charging"}

    rig.clock.advance(400)  # leases are over: all dark
    again = rig.restarted()
    began: dict[str, float] = {}
    for _ in range(300):
        again.beat(0.1)
        for outlet, plug in again.plugs.items():
            if plug.on and outlet not in began:
                began[outlet] = again.clock.now().steady_s

    times = sorted(began.values())
    assert len(times) == 4
    assert all(after - before >= RULES.stagger_s for before, after in itertools.pairwise(times))


def test_a_pause_that_a_crash_interrupts_is_still_a_pause(rig: Rig) -> None:
    pays(rig, "o1")
    rig.beat(times=2)
    live = rig.live()
    rig.engine.inbox.tell(
        ev.PowerWithdrawn(**rig.stamp(), outlet="o1", evidence={"site_power_w": 1190.0, "limit_w": 1000.0})
    )
    rig.step()
    assert (rig.live().phase, rig.live().again) == (Phase.CLOSING, True)

    again = rig.restarted()
    again.beat(times=2)

    assert (again.live().id, again.live().reason) == (live.id, None)
    assert again.live().phase in (Phase.QUEUED, Phase.OPENING, Phase.CHARGING)


def test_programs_that_follow_read_of_the_pause_and_of_its_end(rig: Rig) -> None:
    pays(rig, "o1")
    rig.beat(times=2)
    rig.plug.load_w = 780.0
    rig.house.grid.limit("site:s1", 700.0)
    rig.beat(times=6)
    rig.house.grid.limit("site:s1", 1000.0)
    rig.beat(times=2)

    told = rig.sql("SELECT kind, outlet_id FROM feed WHERE kind LIKE 'session.%' OR kind LIKE 'alarm.%' ORDER BY id")

    kinds = ["opened", "charging", "paused", "queued", "resumed", "charging"]
    assert [kind for kind, _ in told if kind.startswith("session.")] == [f"session.{kind}" for kind in kinds]
    assert [row for row in told if row[0].startswith("alarm.")] == [("alarm.raised", None), ("alarm.cleared", None)]


def test_a_waiting_session_gets_its_money_back_when_the_trip_journal_cannot_be_read(rig: Rig) -> None:
    pays(rig, "o1", "o2")
    again = rig.restarted(journal_failed=True)
    again.beat(times=3)

    assert again.saved("So2").reason is StopReason.GATEWAY_FAULT
    assert again.saved("So2").returned_fen == 200


def test_a_stop_in_the_line_that_was_acknowledged_before_its_row_survives_a_crash(rig: Rig) -> None:
    pays(rig, "o1", "o2")
    rig.writer.write = lambda batch: (_ for _ in ()).throw(OSError("away"))  # type: ignore[method-assign]
    rig.engine.inbox.tell(ev.LinkUp(**rig.stamp(), outlet="o1"))
    rig.engine._run((fx.Audit(0.0, "x", "x", "x", {}),))
    rig.step()
    rig.clock.advance(2.0)
    rig.ask(rig.stop("So2", "o2"))
    trips = {trip.outlet: (trip.reason, trip.evidence) for trip in rig.kept}
    assert trips["o2"][0] is StopReason.CANCELLED

    again = rig.restarted(trips=trips)
    again.beat(times=3)

    assert again.saved("So2").reason is StopReason.CANCELLED
    assert again.saved("So2").returned_fen == 200
