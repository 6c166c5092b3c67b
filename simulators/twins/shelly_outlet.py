"""One switch of a Shelly with its flip-back timer and meter; methods are in `shelly_rpc`."""

from typing import Any

from simulators.twins.contact import FOREVER_S, Contact, Fault, Load

MINUTE_S = 60.0
MOVED_W = 1.0  # a change smaller than this, or than a thirtieth, is not worth a notification
NAN, GARBAGE = '"@nan"', '"@garbage"'  # JSON can't say what a broken meter says; put in its place when it is text


class Outlet(Contact):
    def __init__(self, load: Load, number: int, initial_state: str, power_limit: int) -> None:
        super().__init__(load)
        self.number = number
        self.source = "init"
        self.timer_started_s = 0.0
        self.timer_s = 0.0  # 0: no timer runs
        self.errors: list[str] = []
        self.config: dict[str, Any] = {
            "id": number,
            "name": None,
            "initial_state": initial_state,
            "auto_on": False,
            "auto_on_delay": 60.0,
            "auto_off": False,
            "auto_off_delay": 60.0,
            "power_limit": power_limit,
            "autorecover_voltage_errors": False,
        }
        self.saved_on = False
        self.reported_w = 0.0
        self.returned_wh = 0.0
        self.by_minute_mwh = [0.0, 0.0, 0.0]
        self._minute_wh = 0.0

    # -- the relay and its timer ----------------------------------------------------------------------------------

    def switch(self, on: bool, source: str, now_s: float, toggle_after_s: float | None, *, rearms: bool) -> None:
        """One timer at a time, which flips back: that of the request, or else that of the configuration."""
        was_on, self.on, self.source = self.on, on, source
        self.saved_on = on
        if on:
            self.errors = []
        if on and was_on and self.timer_s and not rearms:
            return
        self.timer_started_s, self.timer_s = now_s, self._own_timer_s(on) if toggle_after_s is None else toggle_after_s

    def _own_timer_s(self, on: bool) -> float:
        flips = self.config["auto_off" if on else "auto_on"]
        return float(self.config["auto_off_delay" if on else "auto_on_delay"]) if flips else 0.0

    def timer_ends_s(self) -> float:
        return self.timer_started_s + self.timer_s if self.timer_s else FOREVER_S

    def boot(self) -> None:
        self.timer_s, self.errors, self.source = 0.0, [], "init"
        self.on = {"on": True, "restore_last": self.saved_on}.get(self.config["initial_state"], False)

    # -- the meter ------------------------------------------------------------------------------------------------

    def moved(self, power_w: float) -> bool:
        return abs(power_w - self.reported_w) >= max(MOVED_W, self.reported_w / 30)

    def minute_passed(self) -> None:
        total_wh = self.counted_wh()
        self.by_minute_mwh = [round(max(0.0, total_wh - self._minute_wh) * 1000, 3), *self.by_minute_mwh[:2]]
        self._minute_wh = total_wh

    def over_limit(self) -> bool:
        return self.on and abs(self.measured_w(sees_when_off=True)) > self.config["power_limit"]

    # -- what is said of it ---------------------------------------------------------------------------------------

    def power(self) -> dict[str, Any]:
        watts = self.measured_w(sees_when_off=True)
        if Fault.METER_GARBAGE in self.faults:
            return {"apower": "@garbage"}
        if Fault.METER_NAN in self.faults:
            return {"apower": "@nan", "current": "@nan"}
        amps = abs(watts) / self.factor / self.mains_v if self.mains_v else 0.0
        return {"apower": round(watts, 1), "current": round(amps, 3)}

    def energy(self, minute_ts: int, *, returns: bool) -> dict[str, Any]:
        """`aenergy` counts whatever flows, whichever way; `ret_aenergy`, where there is one, what flows back."""
        drawn = {"total": round(self.counted_wh() + self.returned_wh, 3), "by_minute": self.by_minute_mwh}
        back = {"total": round(self.returned_wh, 3), "by_minute": [0.0, 0.0, 0.0]}
        both = {"aenergy": drawn | {"minute_ts": minute_ts}}
        return both | ({"ret_aenergy": back | {"minute_ts": minute_ts}} if returns else {})

    def timer(self, clock_error_s: float) -> dict[str, Any]:
        started_at = round(self.timer_started_s + clock_error_s, 2)
        return {"timer_started_at": max(0.0, started_at), "timer_duration": self.timer_s} if self.timer_s else {}
