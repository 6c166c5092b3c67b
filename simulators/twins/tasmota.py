"""A Tasmota socket on virtual time: commands in, reports out, a contact that is the truth, and faults on demand.

Nothing here knows our driver. The broker's last will is played too, for links that drop without a goodbye.
"""

from collections.abc import Sequence

from simulators.twins.tasmota_commands import execute, run_backlog
from simulators.twins.tasmota_firmware import CLOCK_ERRORS_S, WATCH_S, Firmware, Publish, TasmotaConfig
from simulators.twins.tasmota_outlet import FOREVER_S, Fault, Load, Nothing, Outlet

__all__ = ["NAME", "Fault", "Load", "Nothing", "Publish", "TasmotaConfig", "TasmotaTwin"]

NAME = "tasmota"
WILL_AFTER_S = 45.0  # one and a half keep-alives of 30 s
CLOCK_FAULTS = (*CLOCK_ERRORS_S, Fault.CLOCK_1970)


class TasmotaTwin:
    """Every method that takes `now_s` (unix seconds) first lets time pass up to it, and returns all that was said."""

    def __init__(self, config: TasmotaConfig, loads: Sequence[Load], now_s: float = 0.0) -> None:
        self.config = config
        self._outlets = [Outlet(load) for load in loads]
        self._firmware = Firmware(config, self._outlets, now_s)
        self._at_s = now_s
        self._mains = False
        self._silent = False
        self._will_at_s = FOREVER_S
        self._heard: list[Publish] = []

    @classmethod
    def typical(cls, loads: Sequence[Load], now_s: float) -> "TasmotaTwin":
        """One as it comes out of the box."""
        return cls(TasmotaConfig(), loads, now_s)

    # -- the truth ------------------------------------------------------------------------------------------------

    def powered(self, channel: int) -> bool:
        """The contact itself, whatever the firmware believes."""
        return self._mains and self._outlets[channel].closed

    def contact_power_w(self, channel: int) -> float:
        return self._outlets[channel].contact_power_w() if self._mains else 0.0

    def counted_wh(self, channel: int) -> float:
        """What this outlet's meter has counted, unrounded."""
        return self._outlets[channel].total_wh

    # -- the broker's side ----------------------------------------------------------------------------------------

    def subscriptions(self) -> list[str]:
        return [self._firmware.names.command("#")]

    def will(self) -> Publish:
        return Publish(self._firmware.names.report("LWT"), self.config.offline.encode(), retain=True)

    def receive(self, topic: str, payload: bytes, retained: bool, now_s: float) -> list[Publish]:
        """A retained command is obeyed like any other: that is the danger of them."""
        self._catch_up(now_s)
        base = self._firmware.names.command("")
        if self._mains and not self._silent and topic.startswith(base):
            execute(self._firmware, topic.removeprefix(base), payload.decode(errors="replace").strip())
            self._catch_up(now_s)
        return self._take()

    # -- time -----------------------------------------------------------------------------------------------------

    def start(self, now_s: float) -> list[Publish]:
        """Mains and broker are there for the first time."""
        return self.restore_mains(now_s)

    def next_wake_s(self) -> float:
        return min(self._will_at_s, self._firmware.due_s() if self._mains else FOREVER_S)

    def advance(self, now_s: float) -> list[Publish]:
        self._catch_up(now_s)
        if self._mains and now_s - self._firmware.watched_s >= WATCH_S:
            self._firmware.watch()
        return self._take()

    def _catch_up(self, now_s: float) -> None:
        while (at_s := self.next_wake_s()) <= now_s:
            self._run_to(at_s)
            self._act()
        self._run_to(now_s)

    def _run_to(self, at_s: float) -> None:
        for outlet in self._outlets if self._mains else ():
            outlet.run(at_s - self._at_s, counts_when_off=bool(self._firmware.options[21]))
        self._at_s = self._firmware.at_s = max(self._at_s, at_s)

    def _act(self) -> None:
        if self._will_at_s <= self._at_s:
            self._will_at_s = FOREVER_S
            self._heard.append(self.will())
        if self._mains:
            self._firmware.act()
            if self._firmware.backlog_at_s <= self._at_s:
                run_backlog(self._firmware)
            self._deliver()

    def _deliver(self) -> None:
        """What the firmware said has left, or was lost with the link."""
        if self._mains and not self._silent:
            self._heard += self._firmware.said
        self._firmware.said.clear()

    def _take(self) -> list[Publish]:
        self._deliver()
        heard, self._heard = self._heard, []
        return heard

    # -- people, mains and faults ---------------------------------------------------------------------------------

    def plug(self, channel: int, load: Load, now_s: float) -> list[Publish]:
        self._catch_up(now_s)
        self._outlets[channel].load = load
        self._firmware.watch_soon()
        return self._take()

    def unplug(self, channel: int, now_s: float) -> list[Publish]:
        return self.plug(channel, Nothing(), now_s)

    def tap(self, uid: str, now_s: float) -> list[Publish]:
        self._catch_up(now_s)
        self._firmware.report("SENSOR", f'{{"Time":"{self._firmware.time()}","PN532":{{"UID":"{uid}"}}}}')
        return self._take()

    def cut_mains(self, now_s: float) -> list[Publish]:
        self._catch_up(now_s)
        heard = self._take()
        self._mains = False
        self._will_at_s = now_s + WILL_AFTER_S
        return heard

    def restore_mains(self, now_s: float) -> list[Publish]:
        self._catch_up(now_s)
        self._mains = True
        self._will_at_s = self._will_at_s if self._silent else FOREVER_S
        self._firmware.boot("Power On", cold=True)
        return self._take()

    def power_cycle(self, now_s: float) -> list[Publish]:
        return self.cut_mains(now_s) + self.restore_mains(now_s)

    def inject(self, fault: Fault, now_s: float, channel: int = 0) -> list[Publish]:
        self._catch_up(now_s)
        heard = self._take()
        if fault is Fault.SILENT:
            self._silent = True
            self._will_at_s = now_s + WILL_AFTER_S
        elif fault in CLOCK_FAULTS:
            self._firmware.clock_fault = fault
        else:
            self._outlets[channel].inject(fault)
            self._firmware.watch_soon()
        return heard + self._take()

    def mend(self, fault: Fault, now_s: float, channel: int = 0) -> list[Publish]:
        self._catch_up(now_s)
        heard = self._take()
        if fault is Fault.SILENT:
            self._silent = False
            self._will_at_s = FOREVER_S if self._mains else self._will_at_s
            self._firmware.connect()
        elif fault is self._firmware.clock_fault:
            self._firmware.clock_fault = None
        self._outlets[channel].faults.discard(fault)
        return heard + self._take()
