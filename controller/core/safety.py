"""The guard at the gate: what cuts at the reading that proves it, without asking anybody. Pure."""

import msgspec

from controller.core.events import Reading
from controller.core.reasons import StopReason
from controller.core.state import Limits
from controller.core.tariff import MAX_STEP_WH

SURGE = 1.5  # times the limit: no inrush shows as that in a report, so one is enough
SURE_C = 15.0  # over the limit: no chip cools in the time that a second report takes
SURE_VOLTS = 1.1  # times the limit: a lost neutral, which burns chargers in seconds
DOUBT_S = 60.0  # a report beyond a limit that nothing denies for so long is believed


class Guard(msgspec.Struct, frozen=True, gc=False):
    """Since when (steady) each has been beyond its limit."""

    over_since_s: float | None = None
    hot_since_s: float | None = None
    volts_since_s: float | None = None


class Trip(msgspec.Struct, frozen=True):
    reason: StopReason
    evidence: dict[str, float]


CALM = Guard()


def guarded(guard: Guard, limits: Limits, reading: Reading) -> tuple[Guard, Trip | None]:
    """The guard after this reading, and whether it must cut."""
    if _calm(guard, limits, reading):
        return guard, None
    after = _after(guard, limits, reading)
    trip = (
        _heat(after, limits, reading)
        or _leakage(limits, reading)
        or _voltage(after, limits, reading)
        or _counter(limits, reading)
        or _power(after, limits, reading)
    )
    return (CALM if after == CALM else after), trip


def _calm(guard: Guard, limits: Limits, reading: Reading) -> bool:
    """Nothing is beyond its limit, and nothing was: so it is with nearly every reading, and asked first."""
    volts, heat_c, counter_wh = reading.voltage_v, reading.temperature_c, reading.energy_wh
    leaks_ma = reading.leakage_ma
    return (
        guard is CALM
        and reading.power_w <= limits.power_w
        and (volts is None or limits.under_voltage_v <= volts <= limits.over_voltage_v)
        and (heat_c is None or heat_c <= limits.overheat_c)
        and (leaks_ma is None or leaks_ma <= limits.leakage_ma)
        and (counter_wh is None or limits.counter_wh is None or counter_wh < limits.counter_wh)
    )


def _after(guard: Guard, limits: Limits, reading: Reading) -> Guard:
    heat_c, volts, at_s = reading.temperature_c, reading.voltage_v, reading.steady_s
    return Guard(
        _since(guard.over_since_s, reading.power_w > limits.power_w, at_s),
        _since(guard.hot_since_s, None if heat_c is None else heat_c > limits.overheat_c, at_s),
        _since(guard.volts_since_s, None if volts is None else _beyond(volts, limits), at_s),
    )


def _since(since_s: float | None, beyond: bool | None, at_s: float) -> float | None:
    """What a reading does not tell neither begins a doubt nor ends it."""
    if beyond is None:
        return since_s
    if not beyond:
        return None
    return at_s if since_s is None else since_s


def _beyond(volts: float, limits: Limits) -> bool:
    # Meters report 0 V while they boot, and a dead mains needs no cut.
    return volts >= 20 and not limits.under_voltage_v <= volts <= limits.over_voltage_v


def _confirmed(since_s: float | None, told: bool, at_s: float) -> bool:
    """By a second report, in a row and later than the first; or by none, for too long."""
    if since_s is None:
        return False
    return at_s > since_s if told else at_s - since_s >= DOUBT_S


def _heat(guard: Guard, limits: Limits, reading: Reading) -> Trip | None:
    heat_c = reading.temperature_c
    sure = heat_c is not None and heat_c > limits.overheat_c + SURE_C
    if not sure and not _confirmed(guard.hot_since_s, heat_c is not None, reading.steady_s):
        return None
    told = {} if heat_c is None else {"temperature_c": heat_c}
    return Trip(StopReason.OVERHEAT, told | {"limit_c": limits.overheat_c})


def _leakage(limits: Limits, reading: Reading) -> Trip | None:
    if reading.leakage_ma is None or reading.leakage_ma <= limits.leakage_ma:
        return None
    return Trip(StopReason.LEAKAGE, {"leakage_ma": reading.leakage_ma, "limit_ma": limits.leakage_ma})


def _voltage(guard: Guard, limits: Limits, reading: Reading) -> Trip | None:
    volts = reading.voltage_v
    if volts is None:
        lost = _confirmed(guard.volts_since_s, told=False, at_s=reading.steady_s)
        return Trip(StopReason.METER_FAULT, {"silent_s": DOUBT_S}) if lost else None
    sure = volts > limits.over_voltage_v * SURE_VOLTS
    if not sure and not _confirmed(guard.volts_since_s, told=True, at_s=reading.steady_s):
        return None
    reason = StopReason.OVER_VOLTAGE if volts > limits.over_voltage_v else StopReason.UNDER_VOLTAGE
    return Trip(reason, {"voltage_v": volts})


def _counter(limits: Limits, reading: Reading) -> Trip | None:
    if limits.counter_wh is None or reading.energy_wh is None or reading.energy_wh < limits.counter_wh:
        return None
    leapt = reading.energy_wh > limits.counter_wh + MAX_STEP_WH  # far beyond: that has not flowed, and is not billed
    reason = StopReason.METER_FAULT if leapt else limits.counter_reason
    return Trip(reason, {"counter_wh": reading.energy_wh, "limit_wh": limits.counter_wh})


def _power(guard: Guard, limits: Limits, reading: Reading) -> Trip | None:
    if guard.over_since_s is None:
        return None
    over_s = reading.steady_s - guard.over_since_s
    if over_s < limits.overload_s and reading.power_w <= limits.power_w * SURGE:
        return None
    return Trip(StopReason.OVERLOAD, {"power_w": reading.power_w, "limit_w": limits.power_w, "over_s": over_s})
