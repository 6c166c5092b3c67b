"""A simulated pile on virtual time: mains, link and contacts, around the firmware of one family. Knows no driver.

The broker's last will is played too, for links that drop without a goodbye.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from simulators.twins.contact import FOREVER_S, Contact, Fault, Load, Meddling, Nothing, Publish

CLOCK_ERRORS_S = {Fault.CLOCK_AHEAD: 3600.0, Fault.CLOCK_BEHIND: -3600.0}
CLOCK_FAULTS = (*CLOCK_ERRORS_S, Fault.CLOCK_1970)
WATCH_S = 1.0  # how often power is compared with margins and limits


class Firmware(Protocol):
    """The inside of a device. `at_s` is moved from outside; `said` is what has been published since it was taken."""

    family: str
    mac: str
    topic: str  # what is its own in all of its topics
    at_s: float
    watched_s: float
    clock_fault: Fault | None
    said: list[Publish]
    reads_cards: bool
    keep_alive_s: float

    @property
    def counts_when_off(self) -> bool: ...

    def topics(self) -> list[str]:
        """What it subscribes to."""
        ...

    def available(self, *, there: bool) -> Publish:
        """Its word for being there, and its will."""
        ...

    def hear(self, topic: str, payload: bytes) -> None: ...

    def due_s(self) -> float: ...

    def act(self) -> None:
        """Whatever is due now; each action moves or clears its own time."""
        ...

    def boot(self, *, cold: bool) -> None: ...

    def connect(self) -> None:
        """The link is back."""
        ...

    def watch(self) -> None: ...

    def watch_soon(self) -> None: ...

    def tap(self, uid: str) -> None: ...

    def wire(self, number: int, *, closed: bool) -> None:
        """Somebody or something closes or opens the contact at an input; they count from 1."""
        ...

    def meddled(self, what: Meddling, channel: int, watts: int) -> Iterable[Publish]: ...

    def edit(self, fault: str) -> tuple[bytes, bytes]:
        """What stands in a report of a sound device, and what stands there instead."""
        ...


class Twin:
    """Every method that takes `now_s` (unix seconds) first lets time pass up to it, and returns all that was said."""

    def __init__(self, firmware: Firmware, outlets: Sequence[Contact], now_s: float) -> None:
        self.family = firmware.family
        self.mac = firmware.mac
        self.topic = firmware.topic
        self.reads_cards = firmware.reads_cards
        self._firmware = firmware
        self._outlets = outlets
        self._at_s = now_s
        self._mains = False
        self._silent = False
        self._will_at_s = FOREVER_S
        self._heard: list[Publish] = []

    # -- the truth ------------------------------------------------------------------------------------------------

    def powered(self, channel: int) -> bool:
        """The contact itself, whatever the firmware believes."""
        return self._mains and self._outlets[channel].closed

    def contact_power_w(self, channel: int) -> float:
        return self._outlets[channel].contact_power_w() if self._mains else 0.0

    def counted_wh(self, channel: int) -> float:
        """What this outlet's meter has counted, unrounded."""
        return self._outlets[channel].total_wh

    def charged(self, counter_wh: float, channel: int = 0) -> None:
        """It has been in use before: its counter stands there."""
        self._outlets[channel].total_wh = counter_wh

    # -- the broker's side ----------------------------------------------------------------------------------------

    def subscriptions(self) -> list[str]:
        return self._firmware.topics()

    def will(self) -> Publish:
        return self._firmware.available(there=False)

    def back(self, now_s: float) -> list[Publish]:
        """The broker was away, the firmware was not."""
        return [self._firmware.available(there=True), *self.advance(now_s)]

    def receive(self, topic: str, payload: bytes, retained: bool, now_s: float) -> list[Publish]:
        """A retained command is obeyed like any other: that is the danger of them."""
        self._catch_up(now_s)
        if self._mains and not self._silent:
            self._firmware.hear(topic, payload)
            self._catch_up(now_s)
        return self._take()

    def meddled(self, what: Meddling, channel: int = 0, watts: int = 0) -> list[Publish]:
        """What somebody else on the broker publishes to make it do this, or in its name."""
        return list(self._firmware.meddled(what, channel, watts))

    def edit(self, fault: str) -> tuple[bytes, bytes]:
        return self._firmware.edit(fault)

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
            outlet.run(at_s - self._at_s, counts_when_off=self._firmware.counts_when_off)
        self._at_s = self._firmware.at_s = max(self._at_s, at_s)

    def _act(self) -> None:
        if self._will_at_s <= self._at_s:
            self._will_at_s = FOREVER_S
            self._heard.append(self.will())
        if self._mains:
            self._firmware.act()
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

    def surround(self, channel: int, now_s: float, mains_v: float, factor: float, heat_c: float | None) -> None:
        """What its meter sees besides power and energy: the voltage, the load's power factor, the heat inside."""
        self._catch_up(now_s)
        outlet = self._outlets[channel]
        outlet.mains_v, outlet.factor, outlet.heat_c = mains_v, factor, heat_c

    # -- people, mains and faults ---------------------------------------------------------------------------------

    def plug(self, channel: int, load: Load, now_s: float) -> list[Publish]:
        self._catch_up(now_s)
        self._outlets[channel].load = load
        self._firmware.watch_soon()
        return self._take()

    def unplug(self, channel: int, now_s: float) -> list[Publish]:
        return self.plug(channel, Nothing(), now_s)

    def wire(self, number: int, closed: bool, now_s: float) -> list[Publish]:
        """A smoke detector, a float switch, a button: the contact at an input of the device, powered or not."""
        self._catch_up(now_s)
        self._firmware.wire(number, closed=closed)
        self._catch_up(now_s)
        return self._take()

    def tap(self, uid: str, now_s: float) -> list[Publish]:
        self._catch_up(now_s)
        self._firmware.tap(uid)
        return self._take()

    def cut_mains(self, now_s: float) -> list[Publish]:
        self._catch_up(now_s)
        heard = self._take()
        self._mains = False
        self._will_at_s = now_s + self._firmware.keep_alive_s * 1.5
        return heard

    def restore_mains(self, now_s: float) -> list[Publish]:
        self._catch_up(now_s)
        self._mains = True
        self._will_at_s = self._will_at_s if self._silent else FOREVER_S
        self._firmware.boot(cold=True)
        return self._take()

    def power_cycle(self, now_s: float) -> list[Publish]:
        return self.cut_mains(now_s) + self.restore_mains(now_s)

    def inject(self, fault: Fault, now_s: float, channel: int = 0) -> list[Publish]:
        self._catch_up(now_s)
        heard = self._take()
        if fault is Fault.SILENT:
            self._silent = True
            self._will_at_s = now_s + self._firmware.keep_alive_s * 1.5
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
