"""Dangers played through the real parts: the physical event, what must follow, how soon, and who says so."""

import tempfile
from collections.abc import Callable
from math import pi, sin
from pathlib import Path
from random import Random
from typing import Literal

import msgspec

from anchong.bench.danger_loads import Curve, Resistor, Thermostat
from anchong.bench.danger_yard import LINK_S, LOOK_S, Steady, Yard
from controller.core import danger
from controller.core.events import Change
from controller.core.state import Rules
from firmware_bridge.drivers.shelly import REPORT_S as ASKED_S
from firmware_bridge.drivers.tasmota import REPORT_S as TOLD_S
from simulators.twins.contact import Fault, Load, Meddling, Nothing

RULES, BOUNDS = Rules(), danger.RULES
REPORT_S = max(TOLD_S, ASKED_S) + 4 * LINK_S  # asked, answered; the OFF
MINUTE_S, HOUR_S = 60.0, 3600.0
LOAD_W = 180.0
SOON_S = 2.0
AFTER_S = 120.0  # so long is waited beyond the bound, to say how late it was
EVENT_S = 12.0  # the event falls anywhere within so long

End = Literal["dark", "alarm", "latched"]


class Drill(msgspec.Struct, frozen=True):
    """`play` goes up to the event and returns its moment. `says` begins the gateway's own word for what it saw."""

    name: str
    event: str
    play: Callable[[Yard], float]
    says: str
    bound_s: float
    source: str
    end: End = "dark"
    outlets: int = 4


class Played(msgspec.Struct, frozen=True):
    """Seconds from the event to the end at the quickest and at the slowest outlet; None where it never came."""

    name: str
    event: str
    end: str
    outlets: int
    first_s: float | None
    worst_s: float | None
    bound_s: float
    source: str
    said: tuple[str, ...]
    ok: bool


def played(drill: Drill, seed: int) -> Played:
    with tempfile.TemporaryDirectory(prefix="anchong-drill-") as folder:
        yard = Yard(Path(folder), drill.outlets, seed)
        try:
            return _judged(drill, yard, drill.play(yard))
        finally:
            yard.close()


def _judged(drill: Drill, yard: Yard, began_s: float) -> Played:
    end_s = yard.clock.now().steady_s + drill.bound_s + AFTER_S
    while len(_ends(drill, yard)) < len(yard.twins) and yard.clock.now().steady_s < end_s:
        yard.run(min(LOOK_S, drill.bound_s))
    yard.run(LOOK_S)  # what is dark stays so, and has said why
    ends = {outlet: at_s - began_s for outlet, at_s in _ends(drill, yard).items()}
    said = tuple(sorted({_said(drill, yard, outlet) for outlet in yard.twins}))
    worst_s = max(ends.values()) if len(ends) == len(yard.twins) else None
    right = all(one.startswith(drill.says) for one in said)
    in_time = worst_s is not None and worst_s <= drill.bound_s
    return Played(
        name=drill.name,
        event=drill.event,
        end=drill.end,
        outlets=drill.outlets,
        first_s=round(min(ends.values()), 2) if ends else None,
        worst_s=None if worst_s is None else round(worst_s, 2),
        bound_s=round(drill.bound_s, 1),
        source=drill.source,
        said=said,
        ok=in_time and right,
    )


def _ends(drill: Drill, yard: Yard) -> dict[str, float]:
    if drill.end == "dark":
        return dict(yard.dark_s)
    if drill.end == "latched":
        return dict(yard.latched_s)
    told = {outlet: yard.alarmed_s(outlet, drill.says) for outlet in yard.twins}
    return {outlet: at_s for outlet, at_s in told.items() if at_s is not None}


def _said(drill: Drill, yard: Yard, outlet: str) -> str:
    if drill.end == "dark":
        return yard.said_of(outlet)
    if drill.end == "latched":
        return yard.gateway.engine.house.outlets[outlet].latch or ""
    return drill.says if yard.alarmed_s(outlet, drill.says) is not None else ""


# -- the events ---------------------------------------------------------------------------------------------------


def _charging(yard: Yard, load: Callable[[], Load] = lambda: Steady(LOAD_W), for_s: float = 5 * MINUTE_S) -> float:
    """Each in a charge; the event is now, at whatever moment between two reports that may be."""
    yard.charge(load, for_s + yard.rng.uniform(0.0, EVENT_S))
    return yard.begins()


def _plugged(load_w: float) -> Callable[[Yard], float]:
    def play(yard: Yard) -> float:
        began_s = _charging(yard)
        for outlet in yard.twins:
            yard.plug(outlet, Steady(load_w))
        return began_s

    return play


def _surrounded(**what: float) -> Callable[[Yard], float]:
    def play(yard: Yard) -> float:
        began_s = _charging(yard)
        yard.surround(**what)
        return began_s

    return play


def _broken(fault: Fault) -> Callable[[Yard], float]:
    def play(yard: Yard) -> float:
        began_s = _charging(yard)
        for outlet in yard.twins:
            yard.inject(outlet, fault)
        return began_s

    return play


def _swapped(other_w: float) -> Callable[[Yard], float]:
    """Out; another bike within twenty seconds, and the event is that it begins to draw."""

    def play(yard: Yard) -> float:
        _charging(yard, for_s=20 * MINUTE_S)
        for outlet in yard.twins:
            yard.plug(outlet, Nothing())
        yard.run(20.0)
        began_s = yard.begins()
        for outlet in yard.twins:
            yard.plug(outlet, Steady(other_w))
        return began_s

    return play


def _smoke(scope: str) -> Callable[[Yard], float]:
    """At the first pile's input (at each one's, where it cuts its own pile alone)."""

    def play(yard: Yard) -> float:
        piles = list(yard.twins) if scope == "pile" else list(yard.twins)[:1]
        for outlet in piles:
            meaning = {"1": {"kind": "smoke", "scope": scope, "normally": "closed"}}
            yard.wire(outlet, closed=True)
            yard.run(1.0)
            yard.change(Change.INPUTS, f"p-{outlet}", inputs=meaning)
        yard.run(15.0)
        began_s = _charging(yard)
        for outlet in piles:
            yard.wire(outlet, closed=False)
        return began_s

    return play


def _fuse(yard: Yard) -> float:
    began_s = _charging(yard)
    yard.surround(mains_v=0.0)
    for outlet in yard.twins:
        yard.plug(outlet, Nothing())
    return began_s


def _welded(yard: Yard) -> float:
    """The contact has stuck while it was closed; the event is the stop that asks it to open."""
    _charging(yard)
    for outlet in yard.twins:
        yard.inject(outlet, Fault.WELDED)
    began_s = yard.begins()
    for outlet in yard.twins:
        yard.stop(outlet)
    return began_s


def _idle(yard: Yard, befalls: Callable[[str], None]) -> float:
    """A bike stands at each, and nobody has paid."""
    for outlet in yard.twins:
        yard.plug(outlet, Steady(LOAD_W))
    yard.run(MINUTE_S + yard.rng.uniform(0.0, EVENT_S))
    began_s = yard.begins()
    for outlet in yard.twins:
        befalls(outlet)
    return began_s


def _by_hand(yard: Yard) -> float:
    return _idle(yard, lambda outlet: yard.meddle(outlet, yard.twins[outlet].meddled(Meddling.ON)))


def _welded_idle(yard: Yard) -> float:
    return _idle(yard, lambda outlet: yard.inject(outlet, Fault.WELDED))


def _never_turning(yard: Yard) -> float:
    """250 W for two hours, an hour of tail, and then 110 W for ever: the event is that it falls no more."""
    return _charging(yard, lambda: Curve(((0, 250.0), (120, 250.0), (180, 110.0))), 3 * HOUR_S)


def _climbing(yard: Yard) -> float:
    """After two hours and ten minutes it takes six percent more every ten minutes."""
    return _charging(yard, lambda: Curve(((0, LOAD_W), (130, LOAD_W), (230, 1.6 * LOAD_W))), 130 * MINUTE_S)


def _bottomless(yard: Yard) -> float:
    """600 W without an end; the event is that 4 kWh have gone in."""
    before_wh = {outlet: twin.counted_wh(0) for outlet, twin in yard.twins.items()}
    _charging(yard, lambda: Steady(600.0), BOUNDS.most_wh / 600.0 * HOUR_S - 2 * MINUTE_S)
    full = lambda: all(t.counted_wh(0) - before_wh[o] >= BOUNDS.most_wh for o, t in yard.twins.items())  # noqa: E731
    yard.until(full, 5 * MINUTE_S, "4 kWh have not gone in")
    return yard.begins()


def _heater(yard: Yard) -> float:
    """600 W at 230 V on a mains that moves by itself: the event is that it is switched on."""
    rng = Random(yard.rng.random())  # noqa: S311 - seeded, on purpose
    minutes_v = [rng.gauss(0.0, 0.8) for _ in range(1000)]
    yard.mains = lambda at_s: 228.0 + 3.0 * sin(2 * pi * at_s / HOUR_S) + minutes_v[int(at_s // MINUTE_S) % 1000]
    yard.surround(factor=1.0)
    began_s = yard.clock.now().steady_s
    yard.charge(lambda: Resistor(600.0, 230.0, lambda: yard.mains_v), 0.0)
    yard.begins()
    return began_s


def _thermostat(yard: Yard) -> float:
    """600 W that go out after 90 s and come back after 45: the event is the fifth return."""
    yard.surround(factor=1.0)
    heaters = [Thermostat(600.0, 90.0, 45.0) for _ in yard.twins]
    waits = iter(heaters)
    yard.charge(lambda: next(waits), 0.0)
    yard.until(lambda: all(one.returned >= BOUNDS.cycles_most for one in heaters), HOUR_S, "it has not come back")
    return yard.begins()


def _two_chargers(yard: Yard) -> float:
    began_s = _charging(yard, for_s=45 * MINUTE_S)
    for outlet in yard.twins:
        yard.plug(outlet, Steady(LOAD_W + 150.0))
    return began_s


ONE, TWO = "the first report", "the second report"
DRILLS = (
    Drill("overload, kettle", "a kettle of 1,800 W on an outlet of 800 W", _plugged(1800.0), "overload", REPORT_S,
          f"over 1.5 times outlet_w: {ONE}"),
    Drill("overload", "1,000 W on an outlet of 800 W", _plugged(1000.0), "overload", 2 * REPORT_S + RULES.overload_s,
          f"{ONE}, overload_s, and the next one"),
    Drill("overheat", "the chip at 88 °C", _surrounded(heat_c=88.0), "overheat", 2 * REPORT_S, TWO),
    Drill("overheat, gross", "the chip at 105 °C", _surrounded(heat_c=105.0), "overheat", REPORT_S, ONE),
    Drill("over-voltage", "278 V", _surrounded(mains_v=278.0), "over_voltage", 2 * REPORT_S, TWO),
    Drill("over-voltage, gross", "a lost neutral: 330 V", _surrounded(mains_v=330.0), "over_voltage", REPORT_S, ONE),
    Drill("under-voltage", "90 V", _surrounded(mains_v=90.0), "under_voltage", 2 * REPORT_S, TWO),
    Drill("fuse blown", "no voltage behind the fuse, and the device talks", _fuse, "fuse_blown",
          BOUNDS.fuse_s + 2 * REPORT_S, f"fuse_s, and {TWO}"),
    Drill("smoke, site", "the detector at one pile's input closes", _smoke("site"), "smoke", SOON_S,
          "at once; a site in 2 s"),
    Drill("smoke, pile", "the detector at each pile's input closes", _smoke("pile"), "smoke", SOON_S,
          "at once; a site in 2 s"),
    Drill("meter silent", "the meter says what is no number; the link is well", _broken(Fault.METER_NAN), "meter_fault",
          RULES.silent_s + RULES.lease_s, "silent_s, and the last lease"),
    Drill("device silent", "no message comes or goes any more", _broken(Fault.SILENT), "",
          RULES.silent_s + RULES.lease_s, "its own timer: silent_s, and the last lease"),
    Drill("meter stuck", "power and counter stand still", _broken(Fault.METER_STUCK), "meter_fault:counter",
          BOUNDS.frozen_s + REPORT_S, f"frozen_s, and {ONE}"),
    Drill("plug swap, draws more", "out, and within 20 s another bike of 260 W for one of 180", _swapped(260.0),
          "paused:plug", 2 * REPORT_S, TWO),
    Drill("plug swap, draws less", "out, and within 20 s another bike of 110 W for one of 180", _swapped(110.0),
          "paused:plug", MINUTE_S + 2 * REPORT_S, f"a minute between {ONE} and the last"),
    Drill("welded relay, alarm", "a stop, and the contact has stuck", _welded, "relay_fault",
          3 * RULES.off_repeat_s + REPORT_S, f"three repeats of off_repeat_s, and {ONE}", "alarm"),
    Drill("welded relay, latch", "a stop, and the contact has stuck", _welded, "relay_fault",
          RULES.proof_s + RULES.off_repeat_s, "proof_s", "latched"),
    Drill("power without a session", "somebody else's ON", _by_hand, "", REPORT_S, f"its word or {ONE}"),
    Drill("power without a session, alarm", "an idle contact that has closed by itself", _welded_idle,
          "power_without_session", REPORT_S, ONE, "alarm"),
    Drill("power without a session, latch", "an idle contact that has closed by itself", _welded_idle, "relay_fault",
          2 * REPORT_S, TWO, "latched"),
    Drill("never turns", "an old pack that stays at 110 W of 250", _never_turning, "never_turned:stuck",
          4 * HOUR_S + REPORT_S, "three level hours after six, by full hours", outlets=2),
    Drill("never turns, climbing", "6 % more every ten minutes", _climbing, "never_turned:climbing",
          6 * BOUNDS.bin_s + REPORT_S, "five steps of ten minutes", outlets=2),
    Drill("never turns, bottomless", "600 W, and 4 kWh are in", _bottomless, "never_turned:bottomless",
          MINUTE_S + REPORT_S, f"{ONE}, and 10 Wh of a meter's rounding", outlets=2),
    Drill("heater", "600 W below the limit, at a mains that moves by 1 V a minute", _heater, "not_a_charger:resistive",
          HOUR_S, "within the hour", outlets=2),
    Drill("thermostat", "600 W that go and come: the fifth return", _thermostat, "not_a_charger:thermostat", REPORT_S,
          ONE, outlets=2),
    Drill("two chargers on one lead", "150 W more while 180 W are drawn", _two_chargers, "shared_outlet",
          3 * BOUNDS.bin_s + REPORT_S, "three times ten minutes; told, not cut", "alarm", outlets=2),
)  # fmt: skip
NOT_DRILLED = {
    "leakage": "no device that we drive measures it; the rule is tried in tests/core/test_safety.py",
    "flood, emergency button": "the same way as smoke; anchong bench cut-site measures 200 outlets",
}
