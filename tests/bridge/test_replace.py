"""Another device behind the same gates: the old one is reached no more, the new one not before it was proven."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from anchong.wiring import Gateway
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from firmware_bridge.gate import Link
from firmware_bridge.routers import BROKER
from firmware_bridge.transports.memory import MemoryBroker, MemoryTransport
from firmware_bridge.wire import Pile
from simulators.twins import TWINS
from simulators.twins.contact import Fault
from simulators.twins.lines import BOARD, meter_address, wired
from simulators.twins.relay_boards import waveshare
from simulators.twins.twin import Twin
from tests.bridge.test_router import LIMITS, Bench, Driver, Line
from tests.bridge.yard import Lamp, Yard

MACS = (f"C4DD57{number:06X}" for number in count(1))
SHEDS = count(1)
T0 = 1_800_000_000.0
NEW = fx.PileReplaced("p1", "made-up", "BB", ("o1", ""), {})


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def twin_of(yard: Yard, family: str) -> Twin:
    return yard.connect(TWINS[family](next(MACS), [Lamp(60.0)], yard.clock.now().at))


def serving(yard: Yard, family: str = "tasmota") -> tuple[Twin, str]:
    twin = twin_of(yard, family)
    yard.run(2.0)
    (outlet,) = yard.sells(twin)
    return twin, outlet


# -- the gate and the router --------------------------------------------------------------------------------------


def test_a_gate_that_is_relinked_is_dark_on_both_sides_and_no_older_order_fits(bench: Bench) -> None:
    other = Line([])
    gate = bench.gates.get("o1")
    assert gate is not None
    bench.gates.on(fx.SwitchOn("o1", 0, 120.0, LIMITS, 200.0))

    gate.relink(Link(Driver(Pile("p1", "made-up", "BB", ("o1",), {})), other, 0))

    assert bench.story == ["send on", "send off"]
    assert other.story == ["send off"]
    assert (gate.open, gate.generation) == (False, 1)
    assert not bench.gates.on(fx.SwitchOn("o1", 0, 120.0, LIMITS, 200.0))
    assert not bench.gates.renew(fx.Renew("o1", 0, 120.0, LIMITS))
    assert bench.gates.on(fx.SwitchOn("o1", 1, 120.0, LIMITS, 200.0))
    assert other.story == ["send off", "send on"]


def test_a_gate_without_a_device_drops_every_on_and_counts_it(bench: Bench) -> None:
    bench.gates.unlink("o1")

    assert not bench.gates.on(fx.SwitchOn("o1", 1, 120.0, LIMITS, 200.0))
    assert bench.gates.counts() == {"on_unsent": 1}
    bench.gates.off("o1")
    assert bench.story == ["send off"]


def test_the_old_address_is_a_strangers_and_may_be_found_again(bench: Bench) -> None:
    bench.router.replaced(NEW)
    bench.told.clear()

    bench.receives("w:5000", "tele/AA")
    assert bench.told == []
    bench.receives("hello:AA,BB", "new/x")
    assert [event.address for event in bench.told if isinstance(event, ev.PileFound)] == ["AA"]
    bench.receives("w:7", "tele/BB")
    assert [event.power_w for event in bench.told if isinstance(event, ev.Reading)] == [7.0]


def test_what_was_known_of_the_old_device_is_told_to_be_lost(bench: Bench) -> None:
    bench.router.replaced(NEW)

    assert [type(event) for event in bench.told] == [ev.LinkLost]
    assert bench.story == ["send off", "send off", "tell LinkLost", "send ask"]


def test_a_device_whose_addresses_are_anothers_leaves_the_outlet_dark_and_out_of_reach(bench: Bench) -> None:
    bench.router.open(Pile("p2", "made-up", "CC", ("o2",), {}))

    bench.router.replaced(fx.PileReplaced("p1", "made-up", "CC", ("o1",), {}))

    assert not bench.gates.on(fx.SwitchOn("o1", 1, 120.0, LIMITS, 200.0))
    assert bench.gates.on(fx.SwitchOn("o2", 0, 120.0, LIMITS, 200.0))


# -- a whole gateway ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["tasmota", "shelly"])
def test_a_dead_plug_is_replaced_proven_and_sells_again_under_its_number(yard: Yard, family: str) -> None:
    yard.open()
    dead, outlet = serving(yard)
    yard.begin(outlet)
    yard.run(120.0)
    yard.stop_charge(outlet)
    yard.runs_until(lambda: yard.session(outlet) is None)
    yard.inject(dead, Fault.SILENT)
    new = twin_of(yard, family)
    yard.run(2.0)

    yard.change(ev.Change.REPLACE, f"p-{dead.mac}", found=f"{family}:{new.mac}")
    assert yard.house.outlets[outlet].phase == "adopted"
    proven = yard.prove(outlet)
    assert proven.phase == "commissioned", proven.failed
    yard.change(ev.Change.OPEN, outlet)
    yard.begin(outlet)
    yard.run(120.0)
    yard.stop_charge(outlet)
    yard.runs_until(lambda: yard.session(outlet) is None)

    first, second = yard.settled
    assert first.outlet == second.outlet == outlet
    assert 1.5 < second.meter.used_wh < 3.0  # two minutes and a bit at 60 W, wherever its counter began


def test_nothing_is_switched_at_the_old_device_any_more(yard: Yard) -> None:
    yard.open()
    old, outlet = serving(yard)
    new = twin_of(yard, "tasmota")
    yard.run(2.0)
    yard.change(ev.Change.REPLACE, f"p-{old.mac}", found=f"tasmota:{new.mac}")
    yard.prove(outlet)
    yard.change(ev.Change.OPEN, outlet)

    yard.begin(outlet)

    assert new.powered(0)
    assert not old.powered(0)


def test_a_charge_is_not_replaced_away_under_its_rider(yard: Yard) -> None:
    yard.open()
    old, outlet = serving(yard)
    new = twin_of(yard, "tasmota")
    yard.run(2.0)
    yard.begin(outlet)

    with pytest.raises(Refused, match="in use"):
        yard.change(ev.Change.REPLACE, f"p-{old.mac}", found=f"tasmota:{new.mac}")

    yard.run(300.0)
    assert yard.live(outlet).phase == "charging"
    assert f"tasmota:{new.mac}" in yard.house.found


def test_a_kill_between_the_commit_and_the_new_link_leaves_the_new_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard = Yard(tmp_path)
    yard.open()
    old, outlet = serving(yard)
    new = twin_of(yard, "tasmota")
    yard.run(2.0)
    monkeypatch.setattr(yard.gateway.router, "replaced", lambda order: None)  # killed before it came to that
    yard.change(ev.Change.REPLACE, f"p-{old.mac}", found=f"tasmota:{new.mac}")
    yard.stop()

    again = Gateway(yard.plan, MemoryTransport(MemoryBroker(), "again"))
    again.restore()

    [pile] = again.piles()
    assert (pile.address, pile.outlets) == (new.mac, (outlet,))
    assert again.router.of[BROKER].has(outlet)
    assert again.engine.house.owners == {f"tasmota:{new.mac}": pile.id}
    assert again.engine.house.outlets[outlet].phase == "adopted"
    again.stop()


def test_a_dead_board_is_replaced_by_another_unit_of_its_bus_and_keeps_its_meters(tmp_path: Path) -> None:
    shed = f"swap-{next(SHEDS)}"
    line = wired(waveshare(1, [Lamp(60.0), Lamp(80.0)]), "pzem-004t", T0)
    spare = waveshare(2, [Lamp(60.0), Lamp(80.0)])
    spare.at_s = T0
    line.units.append(spare)
    yard = Yard(tmp_path, lines={shed: line})
    yard.open()
    yard.find(shed)
    meters = [f"pzem-004t:{shed}/{meter_address('pzem-004t', channel)}" for channel in range(2)]
    outlets = yard.adopt_board(shed, BOARD, meters)

    yard.change(ev.Change.REPLACE, f"p-{shed}-{BOARD}", found=f"waveshare-relay:{shed}/modbus:2")
    yard.run(12.0)

    [pile] = yard.gateway.piles()
    assert (pile.address, pile.outlets[:2]) == (f"{shed}/modbus:2", tuple(outlets))
    assert all(yard.house.seen[outlet].power_w == 0.0 for outlet in outlets)
    yard.find(shed)
    assert list(yard.house.found) == [f"waveshare-relay:{shed}/{BOARD}"]
    yard.stop()
