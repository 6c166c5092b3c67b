"""Made sessions, outlets and events for tests of the tables: one of everything, at one moment, changed by name."""

from typing import Any, TypeVar

from controller.core import effects as fx
from controller.core import events as ev
from controller.core import moves, outlet_outcome
from controller.core.programme import Proving
from controller.core.reasons import StopReason
from controller.core.state import Outlet, OutletPhase, Phase, Rules, Seen, Session
from controller.core.tariff import Band, Meter, Tariff

T = TypeVar("T")

NOW_S = 10_000.0
NOW_AT = 1_800_010_000.0
RULES = Rules()
TARIFF = Tariff("t1", "flat", "Asia/Shanghai", (Band("all", 0, 1440, 5583, 3000),))


def session(phase: Phase = Phase.CHARGING, **other: Any) -> Session:
    """Opened ten minutes ago with 200 fen; charging since five minutes, 50 Wh so far, renewed a moment ago."""
    values: dict[str, Any] = {
        "id": "S1",
        "outlet": "o1",
        "site": "s1",
        "merchant": "m",
        "party": "p1",
        "order": "O1",
        "card": None,
        "tariff": TARIFF,
        "hold_fen": 200,
        "max_s": 8 * 3600.0,
        "max_wh": 2341,
        "max_reason": StopReason.CREDIT_USED,
        "power_w": 800.0,
        "lease_s": 120.0,
        "phase": phase,
        "opened_at": NOW_AT - 600,
        "opened_s": NOW_S - 600,
        "since_s": NOW_S - 300,
        "meter": Meter(used_wh=50.0, counter_wh=1050.0, band="all"),
        "generation": 7,
    }
    values |= _PHASES[phase]
    return Session(**{**values, **other})


_ON = {"on_s": NOW_S - 600, "confirmed_s": NOW_S - 590, "renewed_s": NOW_S - 10, "reading_s": NOW_S - 5}
_FRESH = {"meter": Meter(counter_wh=1000.0, band="all"), "opened_s": NOW_S - 3, "since_s": NOW_S - 3}
_OFF = {
    "off_s": NOW_S - 10,
    "off_sent_s": NOW_S - 10,
    "off_at": NOW_AT - 10,
    "since_s": NOW_S - 10,
    "reason": StopReason.FINISHED,
    "started_at": NOW_AT - 300,
}
_PHASES: dict[Phase, dict[str, Any]] = {
    Phase.QUEUED: _FRESH,
    Phase.OPENING: {**_FRESH, "on_s": NOW_S - 3, "renewed_s": NOW_S - 3},
    Phase.CHARGING: {**_ON, "started_at": NOW_AT - 300},
    Phase.SUSPENDED: {**_ON, "started_at": NOW_AT - 300, "since_s": NOW_S - 5, "reading_s": None},
    Phase.CLOSING: {**_ON, **_OFF, "meter_at_off": Meter(used_wh=50.0, counter_wh=1050.0, band="all")},
    Phase.SETTLED: {**_ON, **_OFF, "settled_at": NOW_AT - 5, "proof": "measured"},
}


def outlet(phase: OutletPhase = OutletPhase.OPEN, **other: Any) -> Outlet:
    values: dict[str, Any] = {
        "id": "o1",
        "pile": "p1",
        "site": "s1",
        "channel": 0,
        "number": "1",
        "phase": phase,
        "lease_class": "renewed",
        "lease_s": 120.0,
        "power_w": 800.0,
    }
    if phase is OutletPhase.PROVING:
        values["proving"] = Proving("obey_on", NOW_S - 5, "staff:m", {}, {})
    return Outlet(**{**values, **other})


def stamp(after_s: float = 0.0) -> dict[str, Any]:
    return {"at": NOW_AT + after_s, "steady_s": NOW_S + after_s}


def reading(power_w: float, energy_wh: float | None = 1050.0, after_s: float = 0.0, **other: Any) -> ev.Reading:
    return ev.Reading(**stamp(after_s), outlet="o1", power_w=power_w, energy_wh=energy_wh, **other)


def relay(on: bool, after_s: float = 0.0) -> ev.RelayReported:
    return ev.RelayReported(**stamp(after_s), outlet="o1", on=on)


def deadline(after_s: float = 0.0) -> ev.DeadlinePassed:
    return ev.DeadlinePassed(**stamp(after_s), outlet="o1")


def stop(reason: StopReason = StopReason.STOPPED_BY_RESIDENT, by: str = "party:p1") -> ev.StopAsked:
    return ev.StopAsked(**stamp(), key="k", session="S1", outlet="o1", by=by, reason=reason)


def tripped(reason: StopReason = StopReason.OVERLOAD) -> ev.Tripped:
    return ev.Tripped(**stamp(), outlet="o1", generation=8, reason=reason, evidence={"power_w": 1300.0})


def hazard(reason: StopReason = StopReason.SMOKE) -> ev.HazardReported:
    return ev.HazardReported(**stamp(), outlet="o1", reason=reason)


def setting(name: str, value: float) -> ev.SettingReported:
    return ev.SettingReported(**stamp(), outlet="o1", setting=name, value=value)


def change(what: ev.Change, by: str = "staff:m", **values: Any) -> ev.StaffChange:
    return ev.StaffChange(**stamp(), key="k", by=by, change=what, subject="o1", values=values)


def grant(after_s: float = 0.0) -> ev.PowerGranted:
    return ev.PowerGranted(**stamp(after_s), outlet="o1")


def withdrawn(after_s: float = 0.0) -> ev.PowerWithdrawn:
    evidence = {"site_power_w": 3600.0, "limit_w": 3500.0}
    return ev.PowerWithdrawn(**stamp(after_s), outlet="o1", evidence=evidence)


def answer(mine: bool, by: str = "party:p1", after_s: float = 0.0) -> ev.PlugAnswered:
    return ev.PlugAnswered(**stamp(after_s), key="k", session="S1", outlet="o1", by=by, mine=mine)


def every(event: type[ev.Event]) -> list[ev.Event]:
    """Several of a kind, so that a cell's branches are all walked."""
    return _EVERY[event]


_EVERY: dict[type[ev.Event], list[ev.Event]] = {
    ev.Reading: [
        *(reading(power, wh) for power in (0.0, 2.9, 60.0, 5000.0) for wh in (None, 0.0, 900.0, 1051.0, 1e7)),
        reading(60.0, 1051.0, -100.0),
    ],
    ev.RelayReported: [relay(True), relay(False)],
    ev.LinkUp: [ev.LinkUp(**stamp(), outlet="o1")],
    ev.LinkLost: [ev.LinkLost(**stamp(), outlet="o1")],
    ev.DeviceRestarted: [ev.DeviceRestarted(**stamp(), outlet="o1", cause="power on")],
    ev.HazardReported: [hazard()],
    ev.SettingReported: [setting("own_counter", 0), setting("own_counter", 1), setting("power_up_off", 1)],
    ev.FirmwareReported: [ev.FirmwareReported(**stamp(), outlet="o1", firmware=version) for version in ("", "1", "2")],
    ev.Tripped: [tripped()],
    ev.StopAsked: [stop(), stop(StopReason.SITE_CUT, "staff:m")],
    ev.DeadlinePassed: [deadline(after_s) for after_s in (0.0, 11.0, 130.0, 700.0, 40_000.0)],
    ev.PowerGranted: [grant(), grant(100.0)],
    ev.PowerWithdrawn: [withdrawn()],
    ev.PlugAnswered: [answer(True), answer(False), answer(True, "staff:m")],
}


def ctx(**other: Any) -> moves.Context:
    seen = Seen(power_w=0.0, counter_wh=1050.0, reading_s=NOW_S - 5, relay_on=None, linked=True)
    values: dict[str, Any] = {"rules": RULES, "seen": seen, "generation": 7}
    return moves.Context(**{**values, **other})


def seen(**other: Any) -> Seen:
    values: dict[str, Any] = {"power_w": 0.0, "counter_wh": 1050.0, "reading_s": NOW_S - 5, "linked": True}
    return Seen(**{**values, **other})


def outlet_ctx(**other: Any) -> outlet_outcome.Context:
    return outlet_outcome.Context(rules=RULES, seen=seen(**other), generation=7)


def one(effects: tuple[fx.Effect, ...], kind: type[T]) -> T:
    """The only effect of a kind."""
    (found,) = [effect for effect in effects if isinstance(effect, kind)]
    return found


def kinds(effects: tuple[fx.Effect, ...]) -> list[type]:
    return [type(effect) for effect in effects]


def bill_fen(settled: Session) -> int:
    assert settled.bill is not None
    return settled.bill.total_fen
