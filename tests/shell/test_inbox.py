"""What waits for the decider: the newest reading of each outlet, in turn, and never before a stop."""

from pathlib import Path

import pytest

from anchong.bench.off import Recorder
from anchong.wiring import CROWDED_S, Gateway, Plan
from controller.clock import HandClock
from controller.core import events as ev
from controller.core.state import OutletPhase, Phase, Rules
from controller.engine import DEADLINES_A_STEP
from controller.inbox import ASKS_MAX, FACTS_A_STEP, FACTS_ALONE, READINGS_A_STEP, Inbox
from firmware_bridge.wire import Message, Pile
from tests.shell.rig import Plug, Rig

MANY = 3 * READINGS_A_STEP - 1


def reading(outlet: str, power_w: float = 100.0) -> ev.Reading:
    return ev.Reading(at=0.0, steady_s=0.0, outlet=outlet, power_w=power_w)


def test_a_storm_is_looked_at_in_turns_and_the_bell_rings_until_its_end() -> None:
    inbox, seen, turns = Inbox(), list[str](), 0
    for number in range(MANY):
        inbox.tell(reading(f"o{number}"))

    while inbox.waiting.is_set():
        assert list(inbox.drained()) == []
        seen += [r.outlet for r in inbox.readings()]
        turns += 1

    assert turns == 3
    assert seen == [f"o{number}" for number in range(MANY)]
    assert (inbox.looked_at, inbox.coalesced) == (MANY, 0)


def test_the_newest_reading_takes_the_place_of_the_one_that_waits() -> None:
    inbox = Inbox()
    for outlet, power_w in (("a", 1.0), ("b", 2.0), ("a", 3.0)):
        inbox.tell(reading(outlet, power_w))

    assert [(r.outlet, r.power_w) for r in inbox.readings()] == [("a", 3.0), ("b", 2.0)]
    assert (inbox.looked_at, inbox.coalesced) == (2, 1)


def test_a_reading_that_comes_while_the_decider_looks_rings_again() -> None:
    inbox = Inbox()
    inbox.tell(reading("a"))
    list(inbox.drained())

    inbox.tell(reading("b"))

    assert inbox.waiting.is_set()


def test_facts_come_in_turns_too_and_no_reading_overtakes_one() -> None:
    inbox, turns = Inbox(), list[tuple[int, int]]()
    for number in range(2 * FACTS_A_STEP + 1):
        inbox.tell(ev.LinkUp(at=0.0, steady_s=0.0, outlet=f"o{number}"))
    inbox.tell(reading("o1"))

    while inbox.waiting.is_set():
        turns.append((len(list(inbox.drained())), len(inbox.readings())))

    assert turns == [(FACTS_A_STEP, 0), (FACTS_A_STEP, 0), (1, 1)]


def test_a_flood_of_facts_does_not_make_us_blind_to_readings() -> None:
    inbox, steps = Inbox(), 0
    inbox.tell(reading("o1"))

    while not inbox.looked_at:
        steps += 1
        for number in range(2 * FACTS_A_STEP):  # more than a step takes, for ever
            inbox.tell(ev.LinkUp(at=0.0, steady_s=0.0, outlet=f"o{number}"))
        list(inbox.drained())
        inbox.readings()

    assert steps == FACTS_ALONE


def test_stops_come_before_all_facts_however_many_there_are() -> None:
    inbox = Inbox()
    for number in range(FACTS_A_STEP):
        inbox.tell(ev.LinkUp(at=0.0, steady_s=0.0, outlet=f"o{number}"))
    for number in range(FACTS_A_STEP + 1):
        inbox.tell(ev.SiteCutAsked(at=0.0, steady_s=0.0, key="", site=f"s{number}", by="staff:m"))

    kinds = [type(asked.event) for asked in inbox.drained()]

    assert kinds == [ev.SiteCutAsked] * (FACTS_A_STEP + 1) + [ev.LinkUp] * FACTS_A_STEP


def test_a_stop_that_comes_in_the_storm_is_decided_before_the_rest_of_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.charging()
    for number in range(MANY):
        rig.engine.inbox.tell(reading(f"stranger{number}"))
    rig.engine.step(rig.clock.now())
    rig.engine.inbox.ask(rig.stop())

    rig.engine.step(rig.clock.now())

    assert rig.live().phase is Phase.CLOSING
    assert rig.plug.log[-1] == "off"
    assert rig.engine.inbox.lengths()["readings"] == MANY - 2 * READINGS_A_STEP


def test_what_is_due_at_once_is_decided_in_turns(tmp_path: Path) -> None:
    clock = HandClock()
    rig = Rig(tmp_path, clock, [Plug(clock, f"o{number}") for number in range(DEADLINES_A_STEP + 3)])
    for outlet in rig.house.outlets:
        rig.staff(ev.Change.COMMISSION, outlet)
    clock.advance(rig.rules.commission_step_s)

    left = []
    for _ in range(2):
        rig.step()
        left.append(sum(known.phase is OutletPhase.PROVING for known in rig.house.outlets.values()))

    assert left == [3, 0]


def test_a_link_that_brings_more_facts_than_can_be_thought_about_is_slowed_and_its_readings_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(HandClock(), Rules(), f"sqlite:///{tmp_path / 'a.sqlite3'}", tmp_path / "trips", "gw", {}, {})
    gateway = Gateway(plan, Recorder())
    gateway.router.open(Pile("p", "tasmota", "AA", ("o1",), {"topic": "plug", "relays": [1]}))
    sensor = Message("tele/plug/SENSOR", b'{"ENERGY": {"Power": 100, "Total": 1.0}}')
    gateway.router.receive(sensor)  # the first also tells whose counter it is
    waited: list[float] = []
    monkeypatch.setattr(gateway._stopping, "wait", waited.append)
    gateway.router.linked(False)
    for _ in range(ASKS_MAX):
        gateway.tell(ev.LinkUp(at=0.0, steady_s=0.0, outlet="o1"))

    gateway.router.receive(sensor)
    assert waited == []
    gateway.router.linked(False)
    assert waited == [CROWDED_S]
    gateway.store.close()
