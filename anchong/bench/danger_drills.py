"""Dangers played through the real parts: the physical event, what must follow, how soon, and who says so."""

import multiprocessing
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from anchong.bench import danger_play as play
from anchong.bench.danger_play import BOUNDS, HOUR_S, MINUTE_S
from anchong.bench.danger_yard import LINK_S, LOOK_S, Yard
from anchong.logs import plain
from controller.core.state import Rules
from firmware_bridge.drivers.shelly import REPORT_S as ASKED_S
from firmware_bridge.drivers.tasmota import REPORT_S as TOLD_S
from simulators.twins.contact import Fault

RULES = Rules()
REPORT_S = max(TOLD_S, ASKED_S) + 4 * LINK_S  # asked, answered; the OFF
SOON_S = 2.0
AFTER_S = 120.0  # so long is waited beyond the bound, to say how late it was

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


ONE, TWO = "the first report", "the second report"
DRILLS = (
    Drill("overload, kettle", "a kettle of 1,800 W on an outlet of 800 W", play.plugged(1800.0), "overload", REPORT_S,
          f"over 1.5 times outlet_w: {ONE}"),
    Drill("overload", "1,000 W on an outlet of 800 W", play.plugged(1000.0), "overload",
          2 * REPORT_S + RULES.overload_s, f"{ONE}, overload_s, and the next one"),
    Drill("overheat", "the chip at 88 °C", play.surrounded(heat_c=88.0), "overheat", 2 * REPORT_S, TWO),
    Drill("overheat, gross", "the chip at 105 °C", play.surrounded(heat_c=105.0), "overheat", REPORT_S, ONE),
    Drill("over-voltage", "278 V", play.surrounded(mains_v=278.0), "over_voltage", 2 * REPORT_S, TWO),
    Drill("over-voltage, gross", "a lost neutral: 330 V", play.surrounded(mains_v=330.0), "over_voltage",
          REPORT_S, ONE),
    Drill("under-voltage", "90 V", play.surrounded(mains_v=90.0), "under_voltage", 2 * REPORT_S, TWO),
    Drill("fuse blown", "no voltage behind the fuse, and the device talks", play.fuse, "fuse_blown",
          BOUNDS.fuse_s + 2 * REPORT_S, f"fuse_s, and {TWO}"),
    Drill("smoke, site", "the loop of the detector at one pile's input opens", play.smoke("site"), "smoke", SOON_S,
          "at once; a site in 2 s"),
    Drill("smoke, pile", "the loop of the detector at each pile's input opens", play.smoke("pile"), "smoke", SOON_S,
          "at once; a site in 2 s"),
    Drill("meter silent", "the meter says what is no number; the link is well", play.broken(Fault.METER_NAN),
          "meter_fault", RULES.silent_s + RULES.lease_s, "silent_s, and the last lease"),
    Drill("device silent", "no message comes or goes any more", play.broken(Fault.SILENT), "",
          RULES.silent_s + RULES.lease_s, "its own timer: silent_s, and the last lease"),
    Drill("meter stuck", "power and counter stand still", play.broken(Fault.METER_STUCK), "meter_fault:counter",
          BOUNDS.frozen_s + MINUTE_S + REPORT_S, f"frozen_s, a minute to its end, and {ONE}"),
    Drill("plug swap, draws more", "out, and within 20 s another bike of 260 W for one of 180", play.swapped(260.0),
          "paused:plug", 2 * REPORT_S, TWO),
    Drill("plug swap, draws less", "out, and within 20 s another bike of 110 W for one of 180", play.swapped(110.0),
          "paused:plug", MINUTE_S + 2 * REPORT_S, f"a minute between {ONE} and the last"),
    Drill("welded relay, alarm", "a stop, and the contact has stuck", play.welded, "relay_fault",
          3 * RULES.off_repeat_s + REPORT_S, f"three repeats of off_repeat_s, and {ONE}", "alarm"),
    Drill("welded relay, latch", "a stop, and the contact has stuck", play.welded, "relay_fault",
          RULES.proof_s + RULES.off_repeat_s, "proof_s", "latched"),
    Drill("power without a session", "somebody else's ON", play.by_hand, "", REPORT_S, f"its word or {ONE}"),
    Drill("power without a session, alarm", "an idle contact that has closed by itself", play.welded_idle,
          "power_without_session", REPORT_S, ONE, "alarm"),
    Drill("power without a session, latch", "an idle contact that has closed by itself", play.welded_idle,
          "relay_fault", 2 * REPORT_S, TWO, "latched"),
    Drill("never turns", "an old pack that stays at 110 W of 250", play.never_turning, "never_turned:stuck",
          4 * HOUR_S + REPORT_S, "three level hours after six, by full hours", outlets=1),
    Drill("never turns, climbing", "6 % more every ten minutes", play.climbing, "never_turned:climbing",
          6 * BOUNDS.bin_s + REPORT_S, "five steps of ten minutes", outlets=2),
    Drill("never turns, bottomless", "600 W, and 4 kWh are in", play.bottomless, "never_turned:bottomless",
          MINUTE_S + REPORT_S, f"a minute to its end, and {ONE}", outlets=1),
    Drill("heater", "600 W below the limit, at a mains that moves by 1 V a minute", play.heater,
          "not_a_charger:resistive", HOUR_S, "within the hour", outlets=2),
    Drill("thermostat", "600 W that go and come: the fifth return", play.thermostat,
          "not_a_charger:thermostat", REPORT_S, ONE, outlets=2),
    Drill("two chargers on one lead", "150 W more while 180 W are drawn", play.two_chargers, "shared_outlet",
          3 * BOUNDS.bin_s + REPORT_S, "three times ten minutes; told, not cut", "alarm", outlets=2),
)  # fmt: skip
NOT_DRILLED = {
    "leakage": "no device that we drive measures it; the rule is tried in tests/core/test_safety.py",
    "flood, emergency button": "the same way as smoke; anchong bench cut-site measures 200 outlets",
}


def all_played(drills: tuple[Drill, ...], seed: int, processes: int) -> tuple[Played, ...]:
    if processes == 1:
        return tuple(played(drill, seed) for drill in drills)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return tuple(pool.starmap(_by_name, [(drill.name, seed) for drill in drills], chunksize=1))


def _by_name(name: str, seed: int) -> Played:
    """What is played can't be sent to another process, its name can."""
    plain("critical")
    return played(next(drill for drill in DRILLS if drill.name == name), seed)
