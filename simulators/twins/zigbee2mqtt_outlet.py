"""One socket of a Zigbee plug: relay, timer and meter, and what its bridge remembers of them."""

from typing import Any

from simulators.twins.contact import FOREVER_S, Contact, Fault, Load

MOVED_W = 1.0
NAN, GARBAGE = '"@nan"', '"@garbage"'  # JSON can't say what a broken meter says; put in its place when it is text


class Outlet(Contact):
    def __init__(self, load: Load, endpoint: str, *, toggles: bool, step_wh: float) -> None:
        super().__init__(load)
        self.endpoint = endpoint
        self.timer_ends_s = FOREVER_S
        self.known: dict[str, Any] = {}  # to the bridge, by the name without the endpoint
        self._toggles = toggles  # Tuya's: at its end the relay turns round, whatever it was
        self._step_wh = step_wh

    def switch(self, on: bool) -> None:
        """Any ON or OFF ends a countdown."""
        self.on, self.timer_ends_s = on, FOREVER_S

    def on_for(self, seconds: float, now_s: float) -> None:
        """The standard's timer: on, and never for less than it would have stayed on anyway."""
        self.timer_ends_s = max(now_s + seconds, self.timer_ends_s if self.timer_ends_s < FOREVER_S else 0.0)
        self.on = True

    def count_down(self, seconds: int, now_s: float) -> None:
        self.timer_ends_s = now_s + seconds if seconds else FOREVER_S

    def time_out(self) -> None:
        self.switch(not self.on if self._toggles else False)

    def left_s(self, now_s: float) -> int:
        return 0 if self.timer_ends_s == FOREVER_S else round(self.timer_ends_s - now_s)

    def measured(self) -> dict[str, Any]:
        if Fault.METER_GARBAGE in self.faults:
            return {"power": "@garbage"}
        if Fault.METER_NAN in self.faults:
            return {"power": "@nan", "current": "@nan"}
        watts = self.measured_w(sees_when_off=True)
        amps = watts / self.factor / self.mains_v if self.mains_v else 0.0
        return {"power": round(watts, 1), "current": round(amps, 2), "voltage": round(self.mains_v)}

    def counted(self) -> dict[str, Any]:
        """In whole steps, cut and not rounded."""
        return {"energy": round(self.counted_wh() // self._step_wh * self._step_wh / 1000, 6)}

    def moved(self) -> bool:
        known = self.known.get("power")
        return not isinstance(known, int | float) or abs(self.measured_w(sees_when_off=True) - known) >= MOVED_W
