"""What the Shelly driver remembers of one switch: little enough that a restart of ours loses nothing but seconds."""

from controller.core.reasons import StopReason
from firmware_bridge.codecs.shelly import Switch, told

BACKWARDS_W = -5.0  # noise is less
BACKWARDS, UNLEASED = "backwards", "unleased"  # ours, beside the device's own words for what is wrong
OURS = frozenset((BACKWARDS, UNLEASED))
REASONS = {
    "overtemp": StopReason.OVERHEAT,
    "overpower": StopReason.OVERLOAD,
    "overcurrent": StopReason.OVERLOAD,
    "overvoltage": StopReason.OVER_VOLTAGE,
    "undervoltage": StopReason.UNDER_VOLTAGE,
    BACKWARDS: StopReason.METER_FAULT,
    UNLEASED: StopReason.RELAY_FAULT,
}


class Memory:
    """Of a whole status (an answer, a NotifyFullStatus, a status topic) all keys are there; of a change only some."""

    def __init__(self) -> None:
        self.output: bool | None = None
        self.leased = False  # our newest word was an ON, and every ON of ours carries its end
        self.settings: dict[str, float] = {}  # told since the last provisioning
        self._wrong: frozenset[str] = frozenset()
        self._returns: bool | None = None  # whether it counts both ways; not known before a whole status
        self._total_wh = 0.0
        self._returned_wh = 0.0
        self._forgotten_wh = 0.0  # returns that were reset while the total was not

    def contradicted(self, status: Switch) -> bool:
        """Several firmwares repeat the old output on the status topic just after the event that says otherwise."""
        output = told(status.output)
        return output is not None and self.output is not None and output is not self.output

    def newly_wrong(self, status: Switch, *, whole: bool) -> list[StopReason]:
        """Reasons that were not there before; a change that does not speak of errors leaves them as they are."""
        wrong = self._wrong
        if whole or isinstance(status.errors, list):
            wrong = (wrong & OURS) | frozenset(told(status.errors) or ())
        if whole:
            wrong = wrong | {UNLEASED} if self._without_end(status) else wrong - {UNLEASED}
        power_w = told(status.apower)
        if power_w is not None:
            wrong = wrong | {BACKWARDS} if power_w <= BACKWARDS_W else wrong - {BACKWARDS}
        new, self._wrong = wrong - self._wrong, wrong
        # the device has cut, or should have; a word we don't know is not a reason to go on
        return [REASONS.get(word, StopReason.DEVICE_STOP) for word in sorted(new)]

    def _without_end(self, status: Switch) -> bool:
        """On by our word, and no timer runs: its firmware has dropped the lease, and nothing but us would cut it."""
        return self.leased and status.output is True and not told(status.timer_duration)

    def drawn_wh(self, status: Switch, *, whole: bool) -> float | None:
        """The counter as a bill may use it; None if this message does not say.

        Newer models count into `aenergy` whatever flows, whichever way, and into `ret_aenergy` what flows back: drawn
        is the difference, and one without the other would run fast. A reset of the returns alone must not either.
        """
        if whole:
            self._returns = status.returned_wh is not None
        total_wh, returned_wh = status.total_wh, status.returned_wh
        if total_wh is None or self._returns is None or (self._returns and returned_wh is None):
            return None
        back_wh = float(returned_wh or 0.0)
        if total_wh < self._total_wh:
            self._forgotten_wh = 0.0
        elif back_wh < self._returned_wh:
            self._forgotten_wh += self._returned_wh - back_wh
        self._total_wh, self._returned_wh = float(total_wh), back_wh
        return round(max(0.0, total_wh - back_wh - self._forgotten_wh), 3)
