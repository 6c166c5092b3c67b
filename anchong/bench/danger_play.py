"""How each danger comes about: up to the physical event, and the moment of it. What follows is not here."""

from collections.abc import Callable
from math import pi, sin
from random import Random

from anchong.bench.danger_loads import Curve, Resistor, Thermostat
from anchong.bench.danger_yard import Steady, Yard
from controller.core import danger
from controller.core.events import Change
from simulators.twins.contact import Fault, Load, Meddling, Nothing

BOUNDS = danger.RULES
MINUTE_S, HOUR_S = 60.0, 3600.0
LOAD_W = 180.0
EVENT_S = 12.0  # the event falls anywhere within so long


def charging(yard: Yard, load: Callable[[], Load] = lambda: Steady(LOAD_W), for_s: float = 5 * MINUTE_S) -> float:
    """Each in a charge; the event is now, at whatever moment between two reports that may be."""
    yard.charge(load, for_s + yard.rng.uniform(0.0, EVENT_S))
    return yard.begins()


def plugged(load_w: float) -> Callable[[Yard], float]:
    def play(yard: Yard) -> float:
        began_s = charging(yard)
        for outlet in yard.twins:
            yard.plug(outlet, Steady(load_w))
        return began_s

    return play


def surrounded(**what: float) -> Callable[[Yard], float]:
    def play(yard: Yard) -> float:
        began_s = charging(yard)
        yard.surround(**what)
        return began_s

    return play


def broken(fault: Fault) -> Callable[[Yard], float]:
    def play(yard: Yard) -> float:
        began_s = charging(yard)
        for outlet in yard.twins:
            yard.inject(outlet, fault)
        return began_s

    return play


def swapped(other_w: float) -> Callable[[Yard], float]:
    """Out; another bike within twenty seconds, and the event is that it begins to draw."""

    def play(yard: Yard) -> float:
        charging(yard, for_s=20 * MINUTE_S)
        for outlet in yard.twins:
            yard.plug(outlet, Nothing())
        yard.run(20.0)
        began_s = yard.begins()
        for outlet in yard.twins:
            yard.plug(outlet, Steady(other_w))
        return began_s

    return play


def smoke(scope: str) -> Callable[[Yard], float]:
    """At the first pile's input (at each one's, where it cuts its own pile alone)."""

    def play(yard: Yard) -> float:
        piles = list(yard.twins) if scope == "pile" else list(yard.twins)[:1]
        for outlet in piles:
            meaning = {"1": {"kind": "smoke", "scope": scope, "normally": "closed"}}
            yard.wire(outlet, closed=True)
            yard.run(1.0)
            yard.change(Change.INPUTS, f"p-{outlet}", inputs=meaning)
        yard.run(15.0)
        yard.cleared()  # until it is set up, a Tasmota's input says the contrary, and that has cut
        began_s = charging(yard)
        for outlet in piles:
            yard.wire(outlet, closed=False)
        return began_s

    return play


def fuse(yard: Yard) -> float:
    began_s = charging(yard)
    yard.surround(mains_v=0.0)
    for outlet in yard.twins:
        yard.plug(outlet, Nothing())
    return began_s


def welded(yard: Yard) -> float:
    """The contact has stuck while it was closed; the event is the stop that asks it to open."""
    charging(yard)
    for outlet in yard.twins:
        yard.inject(outlet, Fault.WELDED)
    began_s = yard.begins()
    for outlet in yard.twins:
        yard.stop(outlet)
    return began_s


def idle(yard: Yard, befalls: Callable[[str], None]) -> float:
    """A bike stands at each, and nobody has paid."""
    for outlet in yard.twins:
        yard.plug(outlet, Steady(LOAD_W))
    yard.run(MINUTE_S + yard.rng.uniform(0.0, EVENT_S))
    began_s = yard.begins()
    for outlet in yard.twins:
        befalls(outlet)
    return began_s


def by_hand(yard: Yard) -> float:
    return idle(yard, lambda outlet: yard.meddle(outlet, yard.twins[outlet].meddled(Meddling.ON)))


def welded_idle(yard: Yard) -> float:
    return idle(yard, lambda outlet: yard.inject(outlet, Fault.WELDED))


def never_turning(yard: Yard) -> float:
    """250 W for two hours, an hour of tail, and then 110 W for ever: the event is that it falls no more."""
    return charging(yard, lambda: Curve(((0, 250.0), (120, 250.0), (180, 110.0))), 3 * HOUR_S)


def climbing(yard: Yard) -> float:
    """After two hours and ten minutes it takes six percent more every ten minutes."""
    return charging(yard, lambda: Curve(((0, LOAD_W), (130, LOAD_W), (230, 1.6 * LOAD_W))), 130 * MINUTE_S)


def bottomless(yard: Yard) -> float:
    """600 W without an end; the event is that 4 kWh have gone in."""
    before_wh = {outlet: twin.counted_wh(0) for outlet, twin in yard.twins.items()}
    charging(yard, lambda: Steady(600.0), BOUNDS.most_wh / 600.0 * HOUR_S - 2 * MINUTE_S)
    full = lambda: all(t.counted_wh(0) - before_wh[o] >= BOUNDS.most_wh for o, t in yard.twins.items())  # noqa: E731
    yard.until(full, 5 * MINUTE_S, "4 kWh have not gone in")
    return yard.begins()


def heater(yard: Yard) -> float:
    """600 W at 230 V on a mains that moves by itself: the event is that it is switched on."""
    rng = Random(yard.rng.random())  # noqa: S311 - seeded, on purpose
    minutes_v = [rng.gauss(0.0, 0.8) for _ in range(1000)]
    yard.mains = lambda at_s: 228.0 + 3.0 * sin(2 * pi * at_s / HOUR_S) + minutes_v[int(at_s // MINUTE_S) % 1000]
    yard.surround(factor=1.0)
    began_s = yard.clock.now().steady_s
    yard.charge(lambda: Resistor(600.0, 230.0, lambda: yard.mains_v), 0.0)
    yard.begins()
    return began_s


def thermostat(yard: Yard) -> float:
    """600 W that go out after 90 s and come back after 45: the event is the fifth return."""
    yard.surround(factor=1.0)
    began_s: list[float] = []

    def back(times: int, ago_s: float) -> None:
        if times == BOUNDS.cycles_most and not began_s:
            began_s.append(yard.begins() - ago_s)

    yard.charge(lambda: Thermostat(600.0, 90.0, 45.0, back), 0.0)
    yard.until(lambda: bool(began_s), HOUR_S, "it has not come back")
    return began_s[0]


def two_chargers(yard: Yard) -> float:
    began_s = charging(yard, for_s=45 * MINUTE_S)
    for outlet in yard.twins:
        yard.plug(outlet, Steady(LOAD_W + 150.0))
    return began_s
