"""Smoke at a real twin's input, through drivers, decider and gates, to the contact that opens; and what comes after."""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from controller.core import events as ev
from controller.core.errors import Refused
from simulators.twins.shelly import ShellyConfig, ShellyTwin
from simulators.twins.tasmota import TasmotaConfig, TasmotaTwin
from simulators.twins.twin import Twin
from tests.bridge.yard import Lamp, Yard

SMOKE = {"1": {"kind": "smoke", "scope": "pile", "normally": "closed"}}
MACS = ("0C0FFE000001", "0C0FFE000002")


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path)
    yield made
    made.stop()


def twin_of(yard: Yard, family: str, mac: str) -> Twin:
    now_s = yard.clock.now().at
    if family == "tasmota":
        return TasmotaTwin(TasmotaConfig(mac=mac, topic=f"t_{mac[-6:]}", inputs=1), [Lamp(60.0)], now_s)
    return ShellyTwin(ShellyConfig(mac=mac, model="shellyplus1pm", inputs=1), [Lamp(60.0)], now_s)


def wires(yard: Yard, twin: Twin, closed: bool) -> None:
    yard.say(twin, twin.wire(1, closed, yard.clock.now().at))
    yard.turn()


def selling(yard: Yard, family: str) -> tuple[list[Twin], list[str]]:
    """Two piles, each with a closed loop at its input; the first one's means smoke."""
    yard.open()
    twins = [yard.connect(twin_of(yard, family, mac)) for mac in MACS]
    yard.run(2.0)
    outlets = [outlet for twin in twins for outlet in yard.sells(twin)]
    for twin in twins:
        wires(yard, twin, closed=True)
    yard.change(ev.Change.INPUTS, f"p-{MACS[0]}", inputs=SMOKE)
    yard.run(15.0)
    return twins, outlets


@pytest.mark.parametrize("family", ["tasmota", "shelly"])
def test_a_broken_loop_darkens_its_pile_and_only_a_person_brings_it_back(yard: Yard, family: str) -> None:
    twins, outlets = selling(yard, family)
    yard.begin(outlets[0])
    assert twins[0].powered(0)

    wires(yard, twins[0], closed=False)
    assert not twins[0].powered(0)
    yard.runs_until(lambda: yard.settled, 30.0)
    assert (str(yard.settled[0].reason), yard.settled[0].proof) == ("smoke", "measured")

    wires(yard, twins[0], closed=True)
    yard.run(300.0)
    assert not twins[0].powered(0)
    yard.change(ev.Change.CLEAR_LATCH, outlets[0])
    yard.begin(outlets[0])
    assert twins[0].powered(0)


@pytest.mark.parametrize("family", ["tasmota", "shelly"])
def test_a_loop_at_a_pile_without_a_meaning_does_nothing(yard: Yard, family: str) -> None:
    twins, outlets = selling(yard, family)
    yard.begin(outlets[1])

    wires(yard, twins[1], closed=False)
    yard.run(60.0)

    assert twins[1].powered(0)


@pytest.mark.parametrize("family", ["tasmota", "shelly"])
def test_a_loop_that_broke_without_mains_is_found_when_they_are_back(yard: Yard, family: str) -> None:
    twins, outlets = selling(yard, family)
    yard.say(twins[0], twins[0].cut_mains(yard.clock.now().at))
    wires(yard, twins[0], closed=False)
    yard.run(5.0)
    yard.say(twins[0], twins[0].restore_mains(yard.clock.now().at))
    yard.run(15.0)

    assert yard.house.outlets[outlets[0]].latch == "smoke"
    with pytest.raises(Refused, match="shows danger"):
        yard.change(ev.Change.CLEAR_LATCH, outlets[0])


def test_a_contact_that_would_switch_its_relay_is_no_pile_of_ours(yard: Yard) -> None:
    """A Shelly whose firmware does not take `detached` fails its proof, by name."""
    yard.open()
    twin = twin_of(yard, "shelly", MACS[0])
    assert isinstance(twin, ShellyTwin)
    yard.connect(twin)
    yard.run(2.0)
    (outlet,) = yard.adopt(twin)
    twin.outlets[0].config = _Stubborn(twin.outlets[0].config)

    proven = yard.prove(outlet)

    assert (proven.phase, proven.failed) == ("adopted", "inputs_switch")


class _Stubborn(dict):  # type: ignore[type-arg]
    """A configuration that keeps its relay on its input, whatever it is told."""

    def __ior__(self, other: object) -> Self:  # type: ignore[misc]
        self.update(other)  # type: ignore[call-overload]
        self["in_mode"] = "follow"
        return self
