"""The inside of a Shelly Gen2 or newer: its switches as it sees them, its settings, all that it says by itself."""

from collections.abc import Iterable
from typing import Any

import msgspec

from firmware_bridge.codecs import shelly as codec
from firmware_bridge.codecs import shelly_names as names
from simulators.twins.contact import FOREVER_S, Fault, Meddling, Publish
from simulators.twins.shelly_outlet import GARBAGE, MINUTE_S, NAN, Outlet
from simulators.twins.shelly_rpc import answered, commanded
from simulators.twins.twin import CLOCK_ERRORS_S, WATCH_S

NAME = "shelly"
SOMEBODY = "somebody-else"
CALM_C = 41.0
SWITCHED = ("output", "source", "timer_started_at", "timer_duration", "errors")  # None where it is gone
EDITS = {
    "over_voltage": (b'"voltage":230.0', b'"voltage":291.0'),
    "under_voltage": (b'"voltage":230.0', b'"voltage":84.0'),
    "fuse_blown": (b'"voltage":230.0', b'"voltage":0.0'),
    "overheat": (b'"tC":41.0', b'"tC":96.5'),
}


class ShellyConfig(msgspec.Struct, frozen=True, kw_only=True):
    mac: str = "54320464A1D0"
    model: str = "shellyplugsg3"
    prefix: str = ""  # empty: the device's id
    firmware: str = "1.4.4"
    initial_state: str = "restore_last"
    power_limit: int = 2500
    meters: bool = True
    returns: bool = True  # counts what flows back
    rearms: bool = True  # an ON of a switch that is on starts its timer over
    times: bool = True  # False: a firmware that drops every timer it is asked for
    stale_status: bool = False  # says the old output on the status topic just after it has changed
    status_ntf: bool = False
    inputs: int = 0
    names_itself: bool = True  # `id` inside a notification's switch

    @property
    def id(self) -> str:
        return f"{self.model}-{self.mac.lower()}"


class Firmware:
    family = NAME
    reads_cards = False
    keep_alive_s = 60.0
    counts_when_off = True  # its meter stands where the current flows, whatever the relay should do

    def __init__(self, config: ShellyConfig, outlets: list[Outlet], now_s: float) -> None:
        self.config = config
        self.mac = config.mac
        self.outlets = outlets
        self.topic = config.prefix or config.id
        self.names = names.addressed(self.topic)
        self.closed = [False] * config.inputs
        self.input_types = ["switch"] * config.inputs
        self.mqtt: dict[str, Any] = {"rpc_ntf": True, "status_ntf": config.status_ntf, "enable_control": True}
        self._mqtt_next: dict[str, Any] = {}  # in force after the next start
        self.clock_fault: Fault | None = None
        self.at_s = self.boot_s = self.watched_s = now_s
        self.watch_at_s = self.minute_at_s = self.reboot_at_s = FOREVER_S
        self.said: list[Publish] = []

    # -- the broker's side ----------------------------------------------------------------------------------------

    def topics(self) -> list[str]:
        return [self.names.rpc, f"{self.names.prefix}/command", f"{self.names.prefix}/command/#"]

    def available(self, *, there: bool) -> Publish:
        return Publish(self.names.online, b"true" if there else b"false", retain=True)

    def hear(self, topic: str, payload: bytes) -> None:
        if topic == self.names.rpc:
            answered(self, payload)
        elif self.mqtt["enable_control"]:
            commanded(self, topic.removeprefix(f"{self.names.prefix}/command"), payload.decode(errors="replace"))

    def answer(self, source: str, frame: bytes) -> None:
        self.said.append(Publish(f"{source}/{names.RPC}", self._as_broken(frame)))

    def tap(self, uid: str) -> None:
        """It has no reader."""

    def wire(self, number: int, *, closed: bool) -> None:
        """A switch's relay follows its input unless it is detached from it."""
        place = number - 1
        if not 0 <= place < len(self.closed) or self.closed[place] is closed:
            return
        self.closed[place] = closed
        self._notify("NotifyStatus", {f"input:{place}": self.input_status(place)})
        if place < len(self.outlets) and self.outlets[place].config.get("in_mode") == "follow":
            self.switch(self.outlets[place], on=closed, source="switch")

    def input_status(self, place: int) -> dict[str, Any]:
        """A button has no state."""
        return {"id": place, "state": self.closed[place] if self.input_types[place] == "switch" else None}

    def meddled(self, what: Meddling, channel: int, watts: int) -> Iterable[Publish]:
        if what is Meddling.LATE_WARNING:
            late = {"ts": self.time(), f"switch:{channel}": {"id": channel, "errors": ["overpower"]}}
            return [Publish(self.names.events, self._notification("NotifyStatus", late))]
        if what is Meddling.RESTART:
            return [self._asked("Shelly.Reboot")]
        if what is Meddling.SHOW_SETTING:
            request = codec.request("who asks", self.names.source, "Switch.GetConfig", id=channel)
            return [Publish(self.names.rpc, request)]
        if what in (Meddling.LIMIT, Meddling.NO_LIMIT):
            limit = watts if what is Meddling.LIMIT else self.config.power_limit
            return [self._asked("Switch.SetConfig", id=channel, config={"power_limit": limit})]
        # an ON without a timer of its own takes the place of one that had
        return [self._asked("Switch.Set", id=channel, on=what is not Meddling.OFF)]

    def _asked(self, method: str, **params: object) -> Publish:
        return Publish(self.names.rpc, codec.request(1, SOMEBODY, method, **params))

    def edit(self, fault: str) -> tuple[bytes, bytes]:
        return EDITS[fault]

    # -- life -----------------------------------------------------------------------------------------------------

    def boot(self, *, cold: bool) -> None:
        self.boot_s = self.at_s
        self.mqtt |= self._mqtt_next
        self.reboot_at_s = FOREVER_S
        for outlet in self.outlets:
            outlet.boot()
        self.minute_at_s = self.at_s + MINUTE_S
        self.watch_soon()
        self.connect()

    def connect(self) -> None:
        self.said.append(self.available(there=True))
        everything = {"cloud": {"connected": False}, "mqtt": {"connected": True}, **self.status()}
        self._notify("NotifyFullStatus", everything)
        for outlet in self.outlets:
            self._say_status(outlet, self.switch_status(outlet))

    def due_s(self) -> float:
        return min(self.watch_at_s, self.minute_at_s, self.reboot_at_s, *(o.timer_ends_s() for o in self.outlets))

    def act(self) -> None:
        for outlet in self.outlets:
            if outlet.timer_ends_s() <= self.at_s:
                self.switch(outlet, on=not outlet.on, source="timer")
        if self.watch_at_s <= self.at_s:
            self.watch()
        if self.minute_at_s <= self.at_s:
            self._minute()
        if self.reboot_at_s <= self.at_s:
            self.boot(cold=False)

    def reboot_soon(self, delay_s: float) -> None:
        self.reboot_at_s = self.at_s + delay_s
        event = {"component": "sys", "event": "scheduled_restart", "time_ms": delay_s * 1000, "ts": self.time()}
        self._notify("NotifyEvent", {"events": [event]})

    def configure_mqtt(self, config: dict[str, Any]) -> None:
        self._mqtt_next |= {key: value for key, value in config.items() if key in self.mqtt}

    def switch(self, outlet: Outlet, *, on: bool, source: str, toggle_after_s: float | None = None) -> None:
        """An order that changes nothing is answered, and not notified."""
        before = self.switch_status(outlet)
        outlet.switch(on, source, self.at_s, toggle_after_s if self.config.times else 0.0, rearms=self.config.rearms)
        after = self.switch_status(outlet)
        self.watch_soon()
        changed = {key: after.get(key) for key in SWITCHED if after.get(key) != before.get(key)}
        if changed:
            self._changed(outlet, changed, before)

    def watch_soon(self) -> None:
        self.watch_at_s = self.at_s + WATCH_S

    def watch(self) -> None:
        self.watch_at_s, self.watched_s = FOREVER_S, self.at_s
        for outlet in self.outlets if self.config.meters else ():
            watts = outlet.measured_w(sees_when_off=True)
            if outlet.moved(watts):
                outlet.reported_w = watts
                self._changed(outlet, outlet.power())
            if outlet.over_limit():
                self._cut(outlet)

    def _cut(self, outlet: Outlet) -> None:
        """By its own limit, and for good: only somebody's ON brings it back."""
        outlet.switch(False, "overpower", self.at_s, None, rearms=True)
        outlet.errors = ["overpower"]
        self.watch_soon()
        gone = {"timer_started_at": None, "timer_duration": None}
        self._changed(outlet, {"output": False, "source": "overpower", "errors": outlet.errors, **gone})

    def _minute(self) -> None:
        self.minute_at_s = self.at_s + MINUTE_S
        for outlet in self.outlets if self.config.meters else ():
            outlet.minute_passed()
            self._changed(outlet, outlet.energy(self._minute_ts(), returns=self.config.returns))

    # -- what it says ---------------------------------------------------------------------------------------------

    def _changed(self, outlet: Outlet, what: dict[str, Any], before: dict[str, Any] | None = None) -> None:
        """What has changed and no more; then, if it is set to, the whole on a topic of its own."""
        itself = {"id": outlet.number} if self.config.names_itself else {}
        self._notify("NotifyStatus", {f"switch:{outlet.number}": itself | what})
        stale = before if self.config.stale_status else None
        self._say_status(outlet, self.switch_status(outlet) if stale is None else stale)

    def _say_status(self, outlet: Outlet, status: dict[str, Any]) -> None:
        if self.mqtt["status_ntf"]:
            payload = self._as_broken(msgspec.json.encode(status))
            self.said.append(Publish(self.names.status(outlet.number), payload))

    def _notify(self, method: str, params: dict[str, Any]) -> None:
        if self.mqtt["rpc_ntf"]:
            frame = self._notification(method, {"ts": self.time(), **params})
            self.said.append(Publish(self.names.events, self._as_broken(frame)))

    def _notification(self, method: str, params: dict[str, Any]) -> bytes:
        return codec.notification(self.config.id, self.names.prefix, method, params)

    def _as_broken(self, payload: bytes) -> bytes:
        return payload.replace(NAN.encode(), b"nan").replace(GARBAGE.encode(), b'0.1.7,"volt')

    def status(self) -> dict[str, Any]:
        """What Shelly.GetStatus tells of us."""
        switches = {f"switch:{outlet.number}": self.switch_status(outlet) for outlet in self.outlets}
        inputs = {f"input:{place}": self.input_status(place) for place in range(len(self.closed))}
        return {**inputs, **switches, "sys": self.sys_status(), "wifi": {"status": "got ip", "rssi": -58}}

    def switch_status(self, outlet: Outlet) -> dict[str, Any]:
        status: dict[str, Any] = {"id": outlet.number, "source": outlet.source, "output": outlet.on}
        status |= outlet.timer(self._error_s())
        if self.config.meters:
            status |= outlet.power() | {"voltage": outlet.mains_v, "freq": 50.0}
            status |= outlet.energy(self._minute_ts(), returns=self.config.returns)
        errors = {"errors": outlet.errors} if outlet.errors else {}
        heat_c = CALM_C if outlet.heat_c is None else outlet.heat_c
        return status | {"temperature": {"tC": heat_c, "tF": round(heat_c * 1.8 + 32, 1)}} | errors

    def sys_status(self) -> dict[str, Any]:
        restart = any(self.mqtt[key] != value for key, value in self._mqtt_next.items())
        uptime = int(self.at_s - self.boot_s)
        return {"mac": self.mac, "restart_required": restart, "unixtime": int(self.time()), "uptime": uptime}

    def device_info(self) -> dict[str, Any]:
        generation = {"name": None, "id": self.config.id, "mac": self.mac, "model": "S3PL-00112EU", "gen": 3}
        return generation | {"fw_id": f"20241011-114455/{self.config.firmware}", "ver": self.config.firmware}

    def _minute_ts(self) -> int:
        return int(self.time() // MINUTE_S * MINUTE_S)

    def _error_s(self) -> float:
        return -self.boot_s if self.clock_fault is Fault.CLOCK_1970 else CLOCK_ERRORS_S.get(self.clock_fault, 0.0)  # type: ignore[arg-type] # no fault is no key

    def time(self) -> float:
        """As wrong as its clock is."""
        return round(max(0.0, self.at_s + self._error_s()), 2)
