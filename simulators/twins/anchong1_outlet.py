"""One outlet of the reference device of anchong/1: a relay that is on for as long as its lease runs, and a meter."""

from firmware_bridge.codecs import anchong1 as codec
from simulators.twins.contact import FOREVER_S, Contact, Load

CALM_C = 41.0
MOVED_W = 5.0  # a change beyond this is told within a second
REPORT_ON_S, REPORT_OFF_S = 10.0, 30.0
HOLD_S = 2.0  # a charger's first surge is shorter


class Outlet(Contact):
    def __init__(self, load: Load, number: int, limit_w: float, lease_max_s: float) -> None:
        super().__init__(load)
        self.number = number
        self.lease_max_s = lease_max_s  # a setting, in flash
        self.limit_w = limit_w  # a setting, in flash
        self.lease_ends_s = FOREVER_S
        self.n = 0
        self.off_by = "boot"
        self.alarms: list[str] = []
        self.leakage_ma: float | None = None
        self.reported_w = 0.0
        self.report_at_s = FOREVER_S
        self._on_limit_w = limit_w
        self._over_since_s: float | None = None

    def boot(self) -> None:
        self.n, self.alarms = 0, []
        self.switch_off("boot")

    def switch_on(self, order: codec.On, now_s: float) -> None:
        """The lease counts from its full value, whether the relay was on or not."""
        self.on, self.n, self.alarms = True, order.n, []
        self.lease_ends_s = now_s + order.lease_s
        self._on_limit_w = self.limit_w if order.limit_w is None else min(order.limit_w, self.limit_w)

    def switch_off(self, by: str) -> None:
        self.on, self.lease_ends_s, self._over_since_s = False, FOREVER_S, None
        self.off_by = by

    def watt(self) -> float:
        """The meter stands behind the relay and sees what flows, whatever the relay should do."""
        return abs(self.measured_w(sees_when_off=True))

    def moved(self) -> bool:
        return abs(self.watt() - self.reported_w) > MOVED_W

    def watch_limit(self, now_s: float) -> None:
        over = self.on and self.watt() > min(self._on_limit_w, self.limit_w)
        if not over:
            self._over_since_s = None
        elif self._over_since_s is None:
            self._over_since_s = now_s

    def cuts_at_s(self) -> float:
        return FOREVER_S if self._over_since_s is None else self._over_since_s + HOLD_S

    def reported(self, now_s: float) -> None:
        self.reported_w = self.watt()
        self.report_at_s = now_s + (REPORT_ON_S if self.on else REPORT_OFF_S)

    def lease_left_s(self, now_s: float) -> float:
        return round(max(0.001, self.lease_ends_s - now_s), 3) if self.on else 0.0
