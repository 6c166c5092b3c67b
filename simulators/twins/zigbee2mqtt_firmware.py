"""A Zigbee2MQTT with one plug: it repeats all that it knows of the plug in each message, however old."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from simulators.twins.contact import FOREVER_S, Fault, Meddling, Publish
from simulators.twins.twin import CLOCK_ERRORS_S, WATCH_S
from simulators.twins.zigbee2mqtt_device import COUNTDOWN, Zigbee2MqttConfig, listed
from simulators.twins.zigbee2mqtt_outlet import GARBAGE, NAN, Outlet

NAME = "zigbee2mqtt"
ENERGY_S = 10.0  # how often a plug that reports by itself says what its counter shows
MINUTE_S = 60  # a countdown is told at each full minute, and not at its end
CALM_C = 31.0
EDITS = {
    "over_voltage": (b'"voltage":230', b'"voltage":291'),
    "under_voltage": (b'"voltage":230', b'"voltage":84'),
    "fuse_blown": (b'"voltage":230', b'"voltage":0'),
    "overheat": (b'"device_temperature":31.0', b'"device_temperature":96.5'),
}


class Firmware:
    family = NAME
    reads_cards = False
    keep_alive_s = 60.0
    counts_when_off = True

    def __init__(self, config: Zigbee2MqttConfig, outlets: list[Outlet], now_s: float) -> None:
        self.config = config
        self.mac = config.ieee
        self.topic = config.base
        self.name = config.name
        self.outlets = outlets
        self.memory = "restore"
        self.lock = "UNLOCK"
        self.clock_fault: Fault | None = None
        self.at_s = self.watched_s = now_s
        self.watch_at_s = self.meter_at_s = self.glitch_at_s = self.report_at_s = FOREVER_S
        self.said: list[Publish] = []

    # -- the broker's side ----------------------------------------------------------------------------------------

    def topics(self) -> list[str]:
        return [f"{self.topic}/#"]

    def available(self, *, there: bool) -> Publish:
        """The bridge's own; it goes with the bridge's link."""
        return Publish(f"{self.topic}/bridge/state", self._word(there=there), retain=True)

    def _word(self, *, there: bool) -> bytes:
        word = "online" if there else "offline"
        return word.encode() if self.config.plain else msgspec.json.encode({"state": word})

    def hear(self, topic: str, payload: bytes) -> None:
        target, _, verb = topic.removeprefix(f"{self.topic}/").rpartition("/")
        endpoint = target.rpartition("/")[2]
        if endpoint in [outlet.endpoint for outlet in self.outlets if outlet.endpoint]:
            target = target.rpartition("/")[0]
        if verb not in ("set", "get") or target not in (self.config.ieee, self.name):
            return
        try:
            wanted = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if isinstance(wanted, dict):
            self._told(endpoint, wanted) if verb == "set" else self._asked(wanted)

    def tap(self, uid: str) -> None:
        """It has no reader."""

    def wire(self, number: int, *, closed: bool) -> None:
        """Nor an input."""

    def meddled(self, what: Meddling, channel: int, watts: int) -> Iterable[Publish]:
        topic = f"{self.topic}/{self.name}"
        if what is Meddling.RESTART:
            return [self._announce()]
        if what is Meddling.SHOW_SETTING:
            return [Publish(f"{topic}/get", msgspec.json.encode({"power_outage_memory": ""}))]
        if what in (Meddling.LIMIT, Meddling.NO_LIMIT, Meddling.LATE_WARNING):
            return []  # it knows no limit of its own
        endpoint = f"/{self.outlets[channel].endpoint}" if self.outlets[channel].endpoint else ""
        word = "OFF" if what is Meddling.OFF else "ON"
        return [Publish(f"{topic}{endpoint}/set", msgspec.json.encode({"state": word}))]

    def edit(self, fault: str) -> tuple[bytes, bytes]:
        return EDITS[fault]

    def rename(self, name: str) -> None:
        """What was kept of the old name is emptied first."""
        old = f"{self.topic}/{self.name}"
        self.said += [Publish(old, b"", retain=True), Publish(f"{old}/availability", b"", retain=True)]
        self.name = name
        self._say_devices()
        self._say_available()
        self.say()

    # -- what it is told ------------------------------------------------------------------------------------------

    def _told(self, endpoint: str, wanted: dict[str, Any]) -> None:
        if self.config.memory and "power_outage_memory" in wanted:
            self.memory = wanted["power_outage_memory"]
            self.say()
        if "read" in wanted:
            self._read(endpoint, wanted["read"])
        if "child_lock" in wanted:
            self.lock = wanted["child_lock"]
            self.say()
        for outlet in self.outlets:
            suffix = f"_{outlet.endpoint}" if outlet.endpoint else ""
            own = wanted if outlet.endpoint in ("", endpoint) else {}
            orders = {name: own.get(name, wanted.get(f"{name}{suffix}")) for name in ("state", "on_time", "countdown")}
            self._ordered(outlet, **orders)

    def _ordered(self, outlet: Outlet, state: str | None, on_time: float | None, countdown: int | None) -> None:
        """The state before the countdown, in whichever order they came; an `on_time` is part of the ON."""
        before = outlet.on
        timed = state == "ON" and on_time and self.config.timer != COUNTDOWN
        if timed:
            outlet.on_for(float(on_time or 0.0), self.at_s)
        elif state is not None:
            outlet.switch(state == "ON")
            outlet.known |= {"state": state} | ({"countdown": 0} if self.config.timer == COUNTDOWN else {})
        if countdown is not None and self.config.timer == COUNTDOWN:
            outlet.count_down(countdown % self.config.counts_to, self.at_s)
            outlet.known |= {"countdown": countdown} if state is not None else {}
        if state is None:
            return
        self.watch_soon()
        if not timed:
            self.say()  # the bridge believes what it has sent
        elif outlet.on is not before:
            self.report_at_s = self.at_s + self.config.echo_s

    def _asked(self, wanted: dict[str, Any]) -> None:
        """One answer for each name, as the plug gives them."""
        for name in wanted:
            for outlet in self.outlets:
                bare = name.removesuffix(f"_{outlet.endpoint}") if outlet.endpoint else name
                if outlet.endpoint and bare == name:
                    continue
                fresh = self._fresh(outlet)
                if bare in fresh:
                    outlet.known[bare] = fresh[bare]
                    self.say()
            if name == "power_outage_memory" and self.config.memory:
                self.say()

    def _read(self, endpoint: str, what: dict[str, Any]) -> None:
        """By a cluster; its answer is published as a report is."""
        outlets = [outlet for outlet in self.outlets if outlet.endpoint in ("", endpoint)]
        for outlet in outlets if self.config.reads else ():
            outlet.known |= outlet.counted() if what["cluster"] == "seMetering" else outlet.measured()
            self.say()

    def _fresh(self, outlet: Outlet) -> dict[str, Any]:
        fresh: dict[str, Any] = {"state": "ON" if outlet.on else "OFF"}
        if self.config.timer == COUNTDOWN and self.config.reads_timer:
            fresh["countdown"] = outlet.left_s(self.at_s)
        return fresh | (outlet.measured() | outlet.counted() if self.config.asked else {})

    # -- life -----------------------------------------------------------------------------------------------------

    def boot(self, *, cold: bool) -> None:
        """The bridge and its plug come back together."""
        for outlet in self.outlets:
            was_on = outlet.on
            outlet.switch({"on": True, "restore": was_on}.get(self.memory, False))
        self.watch_soon()
        self.meter_at_s = self.at_s + (self.config.polled_s or ENERGY_S)
        self.glitch_at_s = self.at_s + self.config.glitch_s
        self.connect()
        self.said.append(self._announce())
        self._report()

    def connect(self) -> None:
        self.said.append(self.available(there=True))
        self._say_devices()
        self._say_available()
        self.say()

    def due_s(self) -> float:
        timers = [self._next_timer_s(outlet) for outlet in self.outlets]
        return min(self.watch_at_s, self.meter_at_s, self.glitch_at_s, self.report_at_s, *timers)

    def _next_timer_s(self, outlet: Outlet) -> float:
        left_s = outlet.timer_ends_s - self.at_s
        if self.config.timer != COUNTDOWN or left_s == FOREVER_S or left_s <= MINUTE_S:
            return outlet.timer_ends_s
        told_s = outlet.timer_ends_s - left_s // MINUTE_S * MINUTE_S
        return told_s if told_s > self.at_s else told_s + MINUTE_S

    def act(self) -> None:
        for outlet in self.outlets:
            self._timed(outlet)
        if self.report_at_s <= self.at_s:
            self._report()
        if self.watch_at_s <= self.at_s:
            self.watch()
        if self.glitch_at_s <= self.at_s:
            self._glitch()
        if self.meter_at_s <= self.at_s:
            self._metered()

    def _timed(self, outlet: Outlet) -> None:
        if outlet.timer_ends_s <= self.at_s:
            outlet.time_out()
            self._report()
            self.watch_soon()
        elif outlet.timer_ends_s < FOREVER_S and self.config.timer == COUNTDOWN:
            left_s = outlet.timer_ends_s - self.at_s
            if left_s >= MINUTE_S and left_s % MINUTE_S < 1e-3:
                outlet.known["countdown"] = round(left_s)
                self.say()

    def _report(self) -> None:
        """The plug itself says what its relays do."""
        self.report_at_s = FOREVER_S
        for outlet in self.outlets:
            outlet.known["state"] = "ON" if outlet.on else "OFF"
        self.say()

    def watch_soon(self) -> None:
        self.watch_at_s = self.at_s + WATCH_S

    def watch(self) -> None:
        self.watch_at_s, self.watched_s = FOREVER_S, self.at_s
        if self.config.polled_s:
            return
        for outlet in self.outlets:
            if outlet.moved():
                outlet.known |= outlet.measured()
                self.say()

    def _metered(self) -> None:
        self.meter_at_s = self.at_s + (self.config.polled_s or ENERGY_S)
        for outlet in self.outlets:
            outlet.known |= outlet.counted() | (outlet.measured() if self.config.polled_s else {})
        self.say()

    def _glitch(self) -> None:
        """One report of nothing, though something flows."""
        self.glitch_at_s = self.at_s + self.config.glitch_s
        for outlet in self.outlets:
            outlet.known |= {"power": 0, "current": 0}
        self.say()
        self.watch_soon()

    # -- what it says ---------------------------------------------------------------------------------------------

    def say(self) -> None:
        """All that is known."""
        known = {
            f"{name}_{outlet.endpoint}" if outlet.endpoint and name != "voltage" else name: value
            for outlet in self.outlets
            for name, value in outlet.known.items()
        }
        heat_c = self.outlets[0].heat_c
        known |= {
            "device_temperature": CALM_C if heat_c is None else heat_c,
            "linkquality": 98,
            "last_seen": self.time(),
        }
        known |= {"child_lock": self.lock, "update": {"state": "idle"}}
        known |= {"power_outage_memory": self.memory} if self.config.memory else {}
        payload = msgspec.json.encode(known).replace(NAN.encode(), b"nan").replace(GARBAGE.encode(), b'0.1.7,"volt')
        self.said.append(Publish(f"{self.topic}/{self.name}", payload))

    def _say_available(self) -> None:
        if self.config.available:
            word = self._word(there=True)
            self.said.append(Publish(f"{self.topic}/{self.name}/availability", word, retain=True))

    def _say_devices(self) -> None:
        endpoints = [outlet.endpoint for outlet in self.outlets]
        devices = msgspec.json.encode(listed(self.config, self.name, endpoints))
        self.said.append(Publish(f"{self.topic}/bridge/devices", devices, retain=True))

    def _announce(self) -> Publish:
        who = {"friendly_name": self.name, "ieee_address": self.config.ieee}
        event = msgspec.json.encode({"type": "device_announce", "data": who})
        return Publish(f"{self.topic}/bridge/event", event)

    def time(self) -> str:
        """As wrong as the bridge's clock is."""
        wrong_s = CLOCK_ERRORS_S.get(self.clock_fault, 0.0) if self.clock_fault else 0.0
        at_s = 0.0 if self.clock_fault is Fault.CLOCK_1970 else self.at_s + wrong_s
        return datetime.fromtimestamp(at_s, UTC).isoformat()
