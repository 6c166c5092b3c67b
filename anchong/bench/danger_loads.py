"""What is plugged in when something goes wrong: packs that never turn or run away, kettles and heaters."""

from collections.abc import Callable, Sequence


class Curve:
    """Straight lines between (minutes under power, watts); after the last point its power for ever."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        self._points = tuple((minutes * 60.0, power_w) for minutes, power_w in points)
        self._powered_s = 0.0

    def draw_w(self, dt_s: float) -> float:
        self._powered_s += dt_s
        before_s, before_w = self._points[0]
        for at_s, power_w in self._points:
            if self._powered_s < at_s:
                return before_w + (power_w - before_w) * (self._powered_s - before_s) / (at_s - before_s)
            before_s, before_w = at_s, power_w
        return before_w


class Resistor:
    """A heater or a kettle without a thermostat: its power is the square of the mains'."""

    def __init__(self, power_w: float, at_v: float, mains_v: Callable[[], float]) -> None:
        self._ohms = at_v * at_v / power_w
        self._mains_v = mains_v

    def draw_w(self, dt_s: float) -> float:
        return self._mains_v() ** 2 / self._ohms


class Thermostat:
    """A heater that goes out by itself and comes back at the level it had: the time and how long ago are told."""

    def __init__(self, power_w: float, on_s: float, out_s: float, back: Callable[[int, float], None]) -> None:
        self._power_w, self._on_s, self._turn_s, self._back = power_w, on_s, on_s + out_s, back
        self._powered_s = 0.0
        self._times = 0

    def draw_w(self, dt_s: float) -> float:
        self._powered_s += dt_s
        times, into_s = divmod(self._powered_s, self._turn_s)
        if times > self._times:
            self._times = int(times)
            self._back(self._times, into_s)
        return self._power_w if into_s < self._on_s else 0.0
