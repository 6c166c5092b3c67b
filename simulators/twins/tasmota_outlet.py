"""One relay of a Tasmota device with its pulse timer and meter; commands are in `tasmota_commands`."""

import math
from collections.abc import Callable

from firmware_bridge.codecs.tasmota import pulse_code, pulse_s
from simulators.twins.contact import FOREVER_S, Contact, Fault, Load

TELE_MIN_S, TELE_DEFAULT_S = 10, 300
OPTIONS = {0: 1, 4: 0, 19: 0, 21: 0, 26: 0, 33: 5, 34: 200, 114: 0, 129: 0}


class Outlet(Contact):
    def __init__(self, load: Load) -> None:
        super().__init__(load)
        self.saved_on = False
        self.pulse_code = 0
        self.pulse_ends_s = FOREVER_S
        self.reported_wh = 0.0
        self.reported_w = 0.0
        self.delta_code = 0
        self.over_since_s: float | None = None
        self.retry_at_s = FOREVER_S
        self.retries = 0

    def switch(self, on: bool, now_s: float) -> None:
        """ON, even of a relay that is on, starts the pulse timer over from its full value; OFF clears it."""
        self.on = on
        self.pulse_ends_s = now_s + pulse_s(self.pulse_code) if on and self.pulse_code else FOREVER_S

    def set_pulse(self, code: int, now_s: float) -> None:
        """Of a relay that is on, the countdown starts at once."""
        self.pulse_code = code
        if self.on:
            self.switch(True, now_s)

    def pulse_left_code(self, now_s: float) -> int:
        left_s = self.pulse_ends_s - now_s
        return 0 if math.isinf(left_s) or left_s < 0.1 else pulse_code(left_s)

    def moved(self, power_w: float) -> bool:
        """PowerDelta: percent up to 100, watts + 100 above; nothing on the way to 0, which switching off does."""
        if not self.delta_code or not self.on:
            return False
        moved_w = abs(power_w - self.reported_w)
        if self.delta_code > 100:
            return moved_w > self.delta_code - 100
        return moved_w > max(self.reported_w, power_w) * self.delta_code / 100


def each_or_one(values: list[str]) -> str:
    """One relay's figure stands alone, those of several in a list; the firmware writes JSON by hand, and so do we."""
    return values[0] if len(values) == 1 else f"[{','.join(values)}]"


def energy_json(outlets: list[Outlet], *, sees_when_off: bool, own_totals: bool, period: bool, watt_places: int) -> str:
    """The ENERGY object, as wrong as the meter is."""
    if any(Fault.METER_GARBAGE in outlet.faults for outlet in outlets):
        return '{"Total":0.1.7,"Power":,"Volt'
    mains_v, factor = outlets[0].mains_v, outlets[0].factor
    reactive = math.sqrt(1 / factor**2 - 1)
    powers_w = [outlet.measured_w(sees_when_off=sees_when_off) for outlet in outlets]
    broken = [Fault.METER_NAN in outlet.faults for outlet in outlets]

    def figures(what: Callable[[float], str]) -> str:
        return each_or_one(["nan" if bad else what(w) for w, bad in zip(powers_w, broken, strict=True)])

    totals_wh = [outlet.counted_wh() for outlet in outlets]
    total_wh, reported_wh = sum(totals_wh), sum(outlet.reported_wh for outlet in outlets)
    # cut, not rounded: a counter shows a watt-hour when it is full
    kwh = [f"{math.floor(wh) / 1000:.3f}" for wh in (totals_wh if own_totals else [total_wh])]
    parts = ['"TotalStartTime":"2024-01-14T18:02:42"', f'"Total":{each_or_one(kwh)}', '"Yesterday":0.000']
    parts.append(f'"Today":{math.floor(total_wh) / 1000:.3f}')
    if period:
        parts.append(f'"Period":{max(0, math.floor(total_wh - reported_wh))}')
    parts.append(f'"Power":{figures(lambda w: f"{w:.{watt_places}f}")}')
    parts.append(f'"ApparentPower":{figures(lambda w: f"{w / factor:.{watt_places}f}")}')
    parts.append(f'"ReactivePower":{figures(lambda w: f"{w * reactive:.{watt_places}f}")}')
    parts.append(f'"Factor":{figures(lambda w: f"{factor:.2f}" if w else "0.00")}')
    if outlets[0].heat_c is not None:
        parts.append(f'"BL09XX":{{"Temperature":{outlets[0].heat_c:.1f}}}')
    parts.append(f'"Voltage":{mains_v:.0f}')
    parts.append(f'"Current":{figures(lambda w: f"{w / factor / mains_v if mains_v else 0.0:.3f}")}')
    return "{" + ",".join(parts) + "}"
