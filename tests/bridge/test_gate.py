"""The gate: one generation, one wish, and a guard that cuts without asking anybody."""

from collections.abc import Iterable, Sequence
from threading import Thread
from typing import Any

import pytest

from controller.core import effects as fx
from controller.core.events import Event, Reading, Stamp
from controller.core.reasons import StopReason
from controller.core.state import Limits
from firmware_bridge.gate import Gate, Gates, Link
from firmware_bridge.wire import Message, SwitchOff, SwitchOn, Wish

LIMITS = Limits(800.0, 8.0, 270.0, 100.0, 80.0, 2000.0, StopReason.CREDIT_USED)


class Wire:
    """Driver and transport in one: says what was asked of it, and can be cut."""

    def __init__(self) -> None:
        self.up = True
        self.said: list[tuple[str, bool]] = []

    def listens(self) -> Sequence[str]:
        return ["a"]

    def receive(self, message: Message, now: Stamp) -> Iterable[Event]:
        return ()

    def orders(self, wish: Wish) -> Sequence[Message]:
        word = {SwitchOn: "on", SwitchOff: "off"}[type(wish)]
        return [Message("a", f"{word} {getattr(wish, 'lease_s', '')}".encode())]

    def polls(self, now: Stamp) -> Sequence[Message]:
        return ()

    def start(self, receive: object, linked: object) -> None:
        return None

    def listen(self, pattern: str) -> None:
        return None

    def stop(self) -> None:
        return None

    def send(self, message: Message, urgent: bool = False) -> bool:
        if self.up:
            self.said.append((message.payload.decode().strip(), urgent))
        return self.up

    def words(self) -> list[str]:
        return [word.split()[0] for word, _ in self.said]


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def gate(wire: Wire) -> Gate:
    return Gate("o1", Link(wire, wire, 0))


def on(generation: int = 0, expires_s: float = 5.0, limits: Limits = LIMITS) -> fx.SwitchOn:
    return fx.SwitchOn("o1", generation, 120.0, limits, expires_s)


def renewal(generation: int = 0, limits: Limits = LIMITS) -> fx.Renew:
    return fx.Renew("o1", generation, 120.0, limits)


def reading(power_w: float, steady_s: float = 1.0, **other: Any) -> Reading:
    return Reading(at=steady_s, steady_s=steady_s, outlet="o1", power_w=power_w, **other)


NOW = Stamp(0.0, 0.0)


def test_an_on_of_this_generation_leaves_with_its_lease(gate: Gate, wire: Wire) -> None:
    assert gate.on(on(), NOW)
    assert wire.said == [("on 120.0", False)]


def test_every_off_raises_the_generation_and_is_urgent(gate: Gate, wire: Wire) -> None:
    gate.off()
    gate.off()

    assert gate.generation == 2
    assert wire.said == [("off", True), ("off", True)]


@pytest.mark.parametrize("generation", [-1, 0, 2, 99])
def test_an_on_or_renewal_of_another_generation_is_dropped_and_counted(gate: Gate, wire: Wire, generation: int) -> None:
    gate.off()
    assert not gate.on(on(generation), NOW)
    assert gate.on(on(1), NOW)
    assert not gate.renew(renewal(generation))

    assert wire.words() == ["off", "on"]
    assert gate.counts == {"on_other_generation": 1, "renewal_other_generation": 1}


def test_t45_an_on_that_is_too_old_is_dropped(gate: Gate, wire: Wire) -> None:
    assert gate.on(on(), Stamp(0.0, 5.0))
    gate.off()
    assert not gate.on(on(1), Stamp(0.0, 5.1))

    assert wire.words() == ["on", "off"]
    assert gate.counts == {"on_expired": 1}


def test_t45_an_on_while_the_link_is_down_is_not_kept_for_later(gate: Gate, wire: Wire) -> None:
    wire.up = False
    assert not gate.on(on(), NOW)
    wire.up = True

    assert wire.said == []
    assert gate.counts == {"on_unsent": 1}


def test_a_renewal_needs_an_open_gate(gate: Gate, wire: Wire) -> None:
    assert not gate.renew(renewal())
    gate.on(on(), NOW)
    assert gate.renew(renewal())
    gate.off()
    assert not gate.renew(renewal(1))

    assert wire.words() == ["on", "on", "off"]


def test_an_off_between_decision_and_commit_makes_the_on_void(gate: Gate, wire: Wire) -> None:
    decided = on(gate.generation)
    gate.off()

    assert not gate.on(decided, NOW)
    assert not gate.open


def test_the_guard_cuts_at_the_reading_that_proves_it_and_tells_the_new_generation(gate: Gate, wire: Wire) -> None:
    gate.on(on(), NOW)
    assert gate.observe(reading(700.0)) is None

    trip = gate.observe(reading(1300.0))

    assert trip is not None
    assert (trip.reason, trip.generation, gate.generation) == (StopReason.OVERLOAD, 1, 1)
    assert wire.words() == ["on", "off"]
    assert gate.counts == {"trip:overload": 1}
    assert gate.observe(reading(1300.0)) is None  # one trip; the gate is closed now


def test_a_closed_gate_repeats_off_at_each_reading_with_power(gate: Gate, wire: Wire) -> None:
    gate.on(on(), NOW)
    gate.off()
    for steady_s, power_w in enumerate((2.9, 3.0, 60.0)):
        gate.observe(reading(power_w, float(steady_s)))

    assert wire.words() == ["on", "off", "off", "off"]


def test_a_device_that_echoes_each_off_with_power_is_not_answered_in_a_circle(gate: Gate, wire: Wire) -> None:
    gate.on(on(), NOW)
    gate.off()
    for eighth in range(16):
        gate.observe(reading(60.0, eighth / 8))

    assert wire.words().count("off") == 1 + 8


def test_a_gate_of_a_new_process_leaves_alone_what_it_has_not_yet_decided_on(gate: Gate, wire: Wire) -> None:
    """A charge that a restart takes up again must not be cut by the first reading."""
    gate.observe(reading(180.0))
    assert wire.said == []


def test_a_renewal_brings_its_own_limits(gate: Gate) -> None:
    gate.on(on(), NOW)
    assert gate.observe(reading(10.0, energy_wh=1999.0)) is None
    gate.renew(renewal(limits=Limits(800.0, 8.0, 270.0, 100.0, 80.0, 1500.0, StopReason.ENERGY_LIMIT)))

    trip = gate.observe(reading(10.0, energy_wh=1999.0))

    assert trip is not None
    assert trip.reason is StopReason.ENERGY_LIMIT


def test_an_overload_begins_anew_with_each_on(gate: Gate) -> None:
    gate.on(on(), NOW)
    gate.observe(reading(900.0, 1.0))
    gate.off()
    gate.on(on(1), NOW)

    assert gate.observe(reading(900.0, 10.0)) is None
    assert gate.observe(reading(900.0, 18.0)) is not None


def test_under_many_threads_no_on_follows_the_last_off(wire: Wire) -> None:
    gate = Gate("o1", Link(wire, wire, 0))

    def switch() -> None:
        for _ in range(200):
            gate.on(on(gate.generation), NOW)
            gate.renew(renewal(gate.generation))

    def cut() -> None:
        for _ in range(200):
            gate.off()

    threads = [Thread(target=work) for work in (switch, switch, cut, cut)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gate.off()

    assert gate.generation == 401
    assert wire.words().count("off") == 401
    assert wire.words()[-1] == "off"
    assert not gate.open


def test_the_gates_know_only_their_outlets(wire: Wire) -> None:
    gates = Gates(lambda: NOW)
    assert gates.generation("o1") == -1
    assert not gates.on(on(-1))
    assert not gates.renew(renewal(-1))
    gates.off("o1")

    gates.add("o1", Link(wire, wire, 0))
    gates.add("o2", Link(wire, wire, 1))
    assert gates.on(on())
    gates.off_all()
    gates.on(on())

    assert wire.words() == ["on", "off", "off"]
    assert gates.counts() == {"on_other_generation": 1}
    assert gates.get("o9") is None


def test_a_closed_gate_calls_power_what_the_rules_call_power(wire: Wire) -> None:
    gates = Gates(lambda: NOW, no_power_w=10.0)
    gates.add("o1", Link(wire, wire, 0))
    gate = gates.get("o1")
    assert gate is not None
    gate.off()
    wire.said.clear()

    gate.observe(reading(power_w=9.0))
    assert wire.words() == []
    gate.observe(reading(power_w=10.0))
    assert wire.words() == ["off"]
