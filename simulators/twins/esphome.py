"""A socket with ESPHome and the YAML of our docs: the lease is a script on the device, and every ON has one."""

from collections.abc import Iterable, Sequence

import msgspec

from simulators.twins.contact import FOREVER_S, Contact, Fault, Load, Meddling, Publish
from simulators.twins.twin import WATCH_S, Twin

NAME = "esphome"
DEFAULT_LEASE_S, LEASE_S_MAX = 120, 900
LIMIT_W = 2500.0
REPORT_S = 10.0
MOVED_W = 5.0  # `delta` of the power's filter
EDITS = {
    "over_voltage": (b"230.0", b"291.0"),
    "under_voltage": (b"230.0", b"84.0"),
    "fuse_blown": (b"230.0", b"0.0"),
}


class EsphomeConfig(msgspec.Struct, frozen=True, kw_only=True):
    prefix: str = "socket-1"
    firmware: str = "1.0.0"
    tells_profile: bool = True
    answers: bool = True  # on <prefix>/ask
    kilo: bool = False  # says kW and kWh
    up_s: float = 0.0


class Outlet(Contact):
    def __init__(self, load: Load) -> None:
        super().__init__(load)
        self.ends_s = FOREVER_S
        self.limit_w = LIMIT_W
        self.reported_w = 0.0

    def left_s(self, now_s: float) -> int:
        return round(self.ends_s - now_s) if self.on else 0


class Firmware:
    family = NAME
    reads_cards = False
    keep_alive_s = 15.0
    counts_when_off = True

    def __init__(self, config: EsphomeConfig, outlets: list[Outlet], now_s: float) -> None:
        self.config = config
        self.mac = self.topic = config.prefix
        self.outlets = outlets
        self.clock_fault: Fault | None = None  # it says no time at all
        self.boots = 0
        self.at_s = self.boot_s = self.watched_s = now_s
        self.watch_at_s = self.report_at_s = FOREVER_S
        self.said: list[Publish] = []

    # -- the broker's side ----------------------------------------------------------------------------------------

    def topics(self) -> list[str]:
        return [f"{self.topic}/outlet/+/lease", f"{self.topic}/outlet/+/limit", f"{self.topic}/ask"] + [
            f"{self.topic}/switch/{self._object('relay', place)}/command" for place in range(len(self.outlets))
        ]

    def available(self, *, there: bool) -> Publish:
        return Publish(f"{self.topic}/status", b"online" if there else b"offline", retain=True)

    def hear(self, topic: str, payload: bytes) -> None:
        leaf, text = topic.removeprefix(f"{self.topic}/"), payload.decode(errors="replace")
        if leaf == "ask" and self.config.answers:
            self._tell()
        for place, outlet in enumerate(self.outlets):
            if leaf == f"outlet/{place + 1}/lease" and text.isdecimal():
                self._lease(outlet, min(int(text), LEASE_S_MAX))
            elif leaf == f"outlet/{place + 1}/limit" and text.isdecimal():
                outlet.limit_w = float(text)
                self.watch_soon()
            elif leaf == f"switch/{self._object('relay', place)}/command" and text in ("ON", "OFF"):
                self._commanded(outlet, on=text == "ON")

    def tap(self, uid: str) -> None:
        """It has no reader."""

    def wire(self, number: int, *, closed: bool) -> None:
        """Nor an input."""

    def meddled(self, what: Meddling, channel: int, watts: int) -> Iterable[Publish]:
        own = f"{self.topic}/outlet/{channel + 1}"
        if what in (Meddling.ON, Meddling.OFF, Meddling.NO_LEASE):
            topic = f"{self.topic}/switch/{self._object('relay', channel)}/command"
            return [Publish(topic, b"OFF" if what is Meddling.OFF else b"ON")]
        if what is Meddling.LATE_WARNING:
            return [Publish(f"{own}/hazard", b"overload")]
        if what in (Meddling.LIMIT, Meddling.NO_LIMIT):
            return [Publish(f"{own}/limit", b"%d" % (watts if what is Meddling.LIMIT else LIMIT_W))]
        return [Publish(f"{self.topic}/ask", b"1")] if what is Meddling.SHOW_SETTING else []

    def edit(self, fault: str) -> tuple[bytes, bytes]:
        return EDITS[fault]

    # -- relay and lease ------------------------------------------------------------------------------------------

    def _lease(self, outlet: Outlet, seconds: int) -> None:
        """Begins from its full length each time; 0 is off."""
        self._switch(outlet, seconds or None)

    def _commanded(self, outlet: Outlet, *, on: bool) -> None:
        """By the plain topic: an ON of a relay that is on begins nothing anew."""
        if on is not outlet.on:
            self._switch(outlet, DEFAULT_LEASE_S if on else None)

    def _switch(self, outlet: Outlet, lease_s: float | None) -> None:
        was_on, outlet.on = outlet.on, lease_s is not None
        outlet.ends_s = FOREVER_S if lease_s is None else self.at_s + lease_s
        if outlet.on is not was_on:
            self._say_state(self.outlets.index(outlet))
            self.watch_soon()
        self._say_left(self.outlets.index(outlet))

    # -- life -----------------------------------------------------------------------------------------------------

    def boot(self, *, cold: bool) -> None:
        self.boots += 1
        self.boot_s = self.at_s - self.config.up_s
        for outlet in self.outlets:
            outlet.on, outlet.ends_s = False, FOREVER_S
        self.report_at_s = self.at_s + REPORT_S
        self.watch_soon()
        self.connect()

    def connect(self) -> None:
        self.said.append(self.available(there=True))
        if self.config.tells_profile:
            profile = msgspec.json.encode(self._profile())
            self.said.append(Publish(f"{self.topic}/anchong", profile, retain=True))
        self._tell()

    def due_s(self) -> float:
        return min(self.watch_at_s, self.report_at_s, *(outlet.ends_s for outlet in self.outlets))

    def act(self) -> None:
        for outlet in self.outlets:
            if outlet.ends_s <= self.at_s:
                self._switch(outlet, None)
        if self.watch_at_s <= self.at_s:
            self.watch()
        if self.report_at_s <= self.at_s:
            self.report_at_s = self.at_s + REPORT_S
            for place in range(len(self.outlets)):
                self._say_figures(place)

    def watch_soon(self) -> None:
        self.watch_at_s = self.at_s + WATCH_S

    def watch(self) -> None:
        self.watch_at_s, self.watched_s = FOREVER_S, self.at_s
        for place, outlet in enumerate(self.outlets):
            power_w = outlet.measured_w(sees_when_off=True)
            if abs(power_w - outlet.reported_w) >= MOVED_W:
                self._say_figures(place)
            if outlet.on and power_w > outlet.limit_w:
                self._switch(outlet, None)
                self._say(f"outlet/{place + 1}/hazard", "overload")

    # -- what it says ---------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """All there is, for who asks and at each connection."""
        up_s = int(self.at_s - self.boot_s)
        self._say("boot", f'{{"boot":"{self.boots:08x}","up_s":{up_s}}}')
        for place, outlet in enumerate(self.outlets):
            self._say_state(place)
            self._say_left(place)
            settings = f'{{"power_up":"off","lease_s":{DEFAULT_LEASE_S},"limit_w":{outlet.limit_w:.0f}}}'
            self._say(f"outlet/{place + 1}/settings", settings)
            self._say_figures(place)

    def _say_state(self, place: int) -> None:
        """ESPHome keeps its states on the broker."""
        word = b"ON" if self.outlets[place].on else b"OFF"
        self.said.append(Publish(f"{self.topic}/switch/{self._object('relay', place)}/state", word, retain=True))

    def _say_left(self, place: int) -> None:
        self._say(f"outlet/{place + 1}/left", str(self.outlets[place].left_s(self.at_s)))

    def _say_figures(self, place: int) -> None:
        """The counter last: it is the one that a bill is made of."""
        outlet = self.outlets[place]
        outlet.reported_w = watts = outlet.measured_w(sees_when_off=True)
        amps = watts / outlet.factor / outlet.mains_v if outlet.mains_v else 0.0
        kilo = 1000.0 if self.config.kilo else 1.0
        figures = {"voltage": f"{outlet.mains_v:.1f}", "current": f"{amps:.2f}"}
        figures |= {"power": f"{watts / kilo:.4f}", "energy": f"{outlet.counted_wh() / kilo:.4f}"}
        if Fault.METER_NAN in outlet.faults:
            figures |= {"power": "nan"}
        if Fault.METER_GARBAGE in outlet.faults:
            figures |= {"power": "0.1.7"}
        for name, figure in figures.items():
            self._say(f"sensor/{self._object(name, place)}/state", figure)

    def _say(self, leaf: str, text: str) -> None:
        self.said.append(Publish(f"{self.topic}/{leaf}", text.encode()))

    def _object(self, name: str, place: int) -> str:
        return name if place == 0 else f"{name}_{place + 1}"

    def _profile(self) -> dict[str, object]:
        names = ("power", "energy", "voltage", "current")
        outlets = [
            {"switch": self._object("relay", place)} | {name: self._object(name, place) for name in names}
            for place in range(len(self.outlets))
        ]
        units = {"power_unit": "kW", "energy_unit": "kWh"} if self.config.kilo else {}
        who = {"name": "ESPHome socket", "firmware": self.config.firmware, "ask": self.config.answers}
        return {**who, **units, "outlets": outlets}


class EsphomeTwin(Twin):
    def __init__(self, config: EsphomeConfig, loads: Sequence[Load], now_s: float = 0.0) -> None:
        self.outlets = [Outlet(load) for load in loads]
        self.config = config
        self._device = Firmware(config, self.outlets, now_s)
        super().__init__(self._device, self.outlets, now_s)

    def lose_broker(self, now_s: float) -> list[Publish]:
        """It notices that its link is gone: everything off at once, lease or no lease."""
        self._catch_up(now_s)
        for outlet in self.outlets:
            outlet.on, outlet.ends_s = False, FOREVER_S
        self._device.said.clear()
        return self._take()
