"""Looking at strangers: what they show, and how little looking can do."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest

from anchong.strangers import Around
from controller.core.events import PileFound, Stamp
from controller.ports import Peeked
from firmware_bridge.drivers import ON_BUS
from firmware_bridge.peeks import EVER_MAX, OLD_S, PEEKS_MAX, Peeks
from firmware_bridge.wire import Message, Pile
from simulators.twins import TWINS
from simulators.twins.lines import LINES, meter_address
from simulators.twins.twin import Twin
from tests.bridge.test_router import Bench
from tests.bridge.yard import Lamp, Yard

MACS = (f"C4DD58{number:06X}" for number in count(1))
T0 = 1_800_000_000.0


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path)
    yield made
    made.stop()


def stranger(address: str = "BB", channels: int = 2) -> PileFound:
    values = {"family": "made-up", "model": "m", "firmware": "f", "channels": channels, "params": {}}
    return PileFound(at=0.0, steady_s=0.0, address=address, **values)  # type: ignore[arg-type]


def seen(bench: Bench, address: str = "BB") -> Sequence[Peeked]:
    return bench.router.strangers.peek(stranger(address), bench.now)


def later(bench: Bench, seconds: float) -> None:
    bench.now = type(bench.now)(bench.now.at + seconds, bench.now.steady_s + seconds)


def test_what_a_stranger_says_is_shown_and_told_to_nobody(bench: Bench) -> None:
    assert seen(bench) == [Peeked(), Peeked()]
    bench.receives("w:168", "tele/BB")
    bench.receives("relay:1", "tele/BB")

    assert seen(bench) == [Peeked(on=True, power_w=168.0, old=False), Peeked()]
    assert bench.told == []
    assert bench.gates.get("0") is None
    assert not bench.router.has("0")


def test_looking_asks_and_never_switches(bench: Bench) -> None:
    for _ in range(20):
        seen(bench)
        later(bench, 1.0)

    assert set(bench.story) == {"send ask"}
    assert 4 <= len(bench.story) <= 5  # not with every look


def test_what_is_kept_or_said_long_ago_is_marked_as_old(bench: Bench) -> None:
    seen(bench)
    bench.router.receive(Message("tele/BB", b"w:168", retained=True))
    assert seen(bench)[0] == Peeked(power_w=168.0, old=True)

    bench.receives("w:170", "tele/BB")
    assert not seen(bench)[0].old
    later(bench, OLD_S)
    assert seen(bench)[0].old


def test_a_strangers_bad_frames_are_nobodys_faults(bench: Bench) -> None:
    seen(bench)
    bench.receives("nonsense", "tele/BB")
    bench.receives("bug", "tele/BB")

    assert bench.router.faults("o1") == {}
    assert [shown.power_w for shown in seen(bench)] == [None, None]


def test_who_speaks_on_our_addresses_is_not_looked_at(bench: Bench) -> None:
    assert seen(bench, "AA") == []
    bench.receives("w:168", "tele/AA")

    assert [type(event).__name__ for event in bench.told] == ["Reading"]
    assert bench.story == ["tell Reading"]


def test_a_stranger_cannot_have_us_listen_to_everybody(bench: Bench) -> None:
    heard = len(bench.line.heard)
    for address in ("#", "+", "a/+/b", "a/#"):
        seen(bench, address)

    assert bench.line.heard[heard:] == []


def test_no_more_are_looked_at_than_a_page_has_room_for_nor_listened_to_in_a_life(bench: Bench) -> None:
    shown = [seen(bench, f"X{number}") for number in range(PEEKS_MAX + 10)]
    assert [bool(one) for one in shown] == [True] * PEEKS_MAX + [False] * 10

    for number in range(EVER_MAX + 100):
        later(bench, 16.0)  # nobody looks at the others any more
        seen(bench, f"Y{number}")
    assert len(bench.line.heard) <= 1 + EVER_MAX


def test_adopted_it_is_a_stranger_no_more(bench: Bench) -> None:
    seen(bench)

    bench.router.open(Pile("p2", "made-up", "BB", ("o2", ""), {}))
    bench.receives("w:168", "tele/BB")

    assert [event.outlet for event in bench.told] == ["o2"]  # type: ignore[attr-defined]


def test_an_unknown_family_and_foreign_params_show_nothing(bench: Bench) -> None:
    other = {"at": 0.0, "steady_s": 0.0, "model": "m", "firmware": "", "channels": 1}
    unknown = PileFound(family="gone", address="X", params={}, **other)  # type: ignore[arg-type]

    assert bench.router.strangers.peek(unknown, bench.now) == []


# -- real families ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["tasmota", "shelly"])
def test_a_lamp_that_is_plugged_in_shows_at_the_plug_that_nobody_adopted(yard: Yard, family: str) -> None:
    yard.open()
    twin: Twin = yard.connect(TWINS[family](next(MACS), [Lamp(0.0)], yard.clock.now().at))
    around = Around(yard.house, yard.gateway.router, yard.clock)
    key = f"{family}:{twin.mac}"
    yard.run(2.0)
    said = len(yard.said)

    around.peek(key)
    yard.run(3.0)
    assert around.peek(key)[0].on is False
    yard.plug(twin, 0, 60.0)
    yard.run(6.0)
    around.peek(key)
    yard.run(3.0)

    shown = around.peek(key)[0]
    assert shown.on is not True  # nothing was switched: a lamp behind a relay that is off draws nothing
    assert (shown.power_w, shown.old) == (0.0, False)
    assert len(yard.said) > said


def test_on_a_bus_one_stranger_is_asked_a_second_and_all_come_in_turn() -> None:
    peeks, asked = Peeks(ON_BUS), Counter[str]()
    found = [
        PileFound(
            at=0.0,
            steady_s=0.0,
            family="pzem-004t",
            address=f"b/modbus:{unit}",
            model="m",
            firmware="",
            channels=1,
            params={},
        )
        for unit in range(1, 13)
    ]
    for second in range(120):
        asks = [ask for one in found for ask in peeks.look(one, (), Stamp(0.0, float(second)))[2]]
        assert len({ask.address for ask in asks}) <= 1
        asked.update(ask.address for ask in asks)

    assert len(asked) == 12
    assert max(asked.values()) - min(asked.values()) <= 1


def test_a_meter_and_a_board_on_a_bus_show_what_they_do(tmp_path: Path) -> None:
    shed = "peek-1"
    yard = Yard(tmp_path, lines={shed: LINES["waveshare-relay"]([Lamp(60.0), Lamp(0.0)], T0)})
    yard.open()
    yard.find(shed)
    around = Around(yard.house, yard.gateway.router, yard.clock)
    keys = [f"waveshare-relay:{shed}/modbus:1", f"pzem-004t:{shed}/{meter_address('pzem-004t', 0)}"]

    for _ in range(3):
        for key in keys:
            around.peek(key)
        yard.run(1.0)

    board, meter = (around.peek(key) for key in keys)
    assert [shown.on for shown in board] == [False] * 8
    assert (meter[0].power_w, meter[0].old) == (0.0, False)
    assert meter[0].voltage_v is not None
    assert 200 < meter[0].voltage_v < 250
    line, _ = yard.at(shed)
    assert not line.powered("modbus:1", 0)
    yard.stop()
