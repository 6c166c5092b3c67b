"""The guard at the gate: what cuts at the reading that proves it, without asking anybody. Pure."""

import msgspec

from controller.core.events import Reading
from controller.core.reasons import StopReason
from controller.core.state import Limits

SURGE = 1.5  # times the limit: no inrush shows as that in a report, so one is enough


class Guard(msgspec.Struct, frozen=True, gc=False):
    """Since when (steady) the power has been over its limit."""

    over_since_s: float | None = None


class Trip(msgspec.Struct, frozen=True):
    reason: StopReason
    evidence: dict[str, float]


CALM = Guard()


def guarded(guard: Guard, limits: Limits, reading: Reading) -> tuple[Guard, Trip | None]:
    """The guard after this reading, and whether it must cut."""
    if _calm(guard, limits, reading):
        return guard, None
    trip = _heat(limits, reading) or _leakage(limits, reading) or _voltage(limits, reading) or _counter(limits, reading)
    if trip is not None:
        return guard, trip
    return _power(guard, limits, reading)


def _calm(guard: Guard, limits: Limits, reading: Reading) -> bool:
    """Nothing is beyond its limit, and nothing was: so it is with nearly every reading, and asked first."""
    volts, heat_c, counter_wh = reading.voltage_v, reading.temperature_c, reading.energy_wh
    leaks_ma = reading.leakage_ma
    return (
        guard.over_since_s is None
        and reading.power_w <= limits.power_w
        and (volts is None or limits.under_voltage_v <= volts <= limits.over_voltage_v)
        and (heat_c is None or heat_c <= limits.overheat_c)
        and (leaks_ma is None or leaks_ma <= limits.leakage_ma)
        and (counter_wh is None or limits.counter_wh is None or counter_wh < limits.counter_wh)
    )


def _heat(limits: Limits, reading: Reading) -> Trip | None:
    if reading.temperature_c is None or reading.temperature_c <= limits.overheat_c:
        return None
    return Trip(StopReason.OVERHEAT, {"temperature_c": reading.temperature_c, "limit_c": limits.overheat_c})


def _leakage(limits: Limits, reading: Reading) -> Trip | None:
    if reading.leakage_ma is None or reading.leakage_ma <= limits.leakage_ma:
        return None
    return Trip(StopReason.LEAKAGE, {"leakage_ma": reading.leakage_ma, "limit_ma": limits.leakage_ma})


def _voltage(limits: Limits, reading: Reading) -> Trip | None:
    volts = reading.voltage_v
    # Meters report 0 V while they boot, and a dead mains needs no cut.
    if volts is None or volts < 20 or limits.under_voltage_v <= volts <= limits.over_voltage_v:
        return None
    reason = StopReason.OVER_VOLTAGE if volts > limits.over_voltage_v else StopReason.UNDER_VOLTAGE
    return Trip(reason, {"voltage_v": volts})


def _counter(limits: Limits, reading: Reading) -> Trip | None:
    if limits.counter_wh is None or reading.energy_wh is None or reading.energy_wh < limits.counter_wh:
        return None
    return Trip(limits.counter_reason, {"counter_wh": reading.energy_wh, "limit_wh": limits.counter_wh})


def _power(guard: Guard, limits: Limits, reading: Reading) -> tuple[Guard, Trip | None]:
    if reading.power_w <= limits.power_w:
        return (guard if guard.over_since_s is None else CALM), None
    since_s = reading.steady_s if guard.over_since_s is None else guard.over_since_s
    surge = reading.power_w > limits.power_w * SURGE
    if surge or reading.steady_s - since_s >= limits.overload_s:
        evidence = {"power_w": reading.power_w, "limit_w": limits.power_w, "over_s": reading.steady_s - since_s}
        return guard, Trip(StopReason.OVERLOAD, evidence)
    return Guard(since_s), None
