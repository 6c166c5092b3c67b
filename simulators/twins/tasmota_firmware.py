"""The inside of a Tasmota device: its settings, its relays as it sees them, all that it says; no link, no mains."""

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from firmware_bridge.codecs import tasmota_names as names
from simulators.twins.contact import FOREVER_S, Fault, Meddling, Publish
from simulators.twins.tasmota_commands import execute, run_backlog
from simulators.twins.tasmota_outlet import OPTIONS, TELE_DEFAULT_S, TELE_MIN_S, Outlet, energy_json
from simulators.twins.twin import CLOCK_ERRORS_S, WATCH_S

NAME = "tasmota"
LIMITS = {"MaxPower": 0, "MaxPowerHold": 10, "MaxPowerWindow": 30}
TOGGLE, FOLLOW_INV = 0, 2  # SwitchMode
VOLTAGE = b'"Voltage":230'
EDITS = {
    "over_voltage": b'"Voltage":291',
    "under_voltage": b'"Voltage":84',
    "fuse_blown": b'"Voltage":0',
    "overheat": b'"BL09XX":{"Temperature":96.5},"Voltage":230',
}


class TasmotaConfig(msgspec.Struct, frozen=True, kw_only=True):
    mac: str = "00000049A3BC"
    topic: str = "tasmota_49A3BC"
    full_topic: str = names.FULL_TOPIC
    prefixes: tuple[str, str, str] = names.PREFIXES
    words: tuple[str, str, str, str] = names.WORDS
    online: str = names.ONLINE
    offline: str = names.OFFLINE
    model: str = "Athom Plug V3"
    firmware: str = "13.3.0"
    watt_places: int = 0
    splits_totals: bool = True  # SetOption129 has an effect
    empty_power_cancels_pulse: bool = False  # older firmware
    inputs: int = 0  # Switch1, Switch2, …
    up_s: float = 0.0  # it says at its start that it has run for so long: a twin that joins in the middle of things


class Firmware:
    family = NAME
    reads_cards = True
    keep_alive_s = 30.0

    def __init__(self, config: TasmotaConfig, outlets: list[Outlet], now_s: float) -> None:
        self.config = config
        self.mac = config.mac
        self.topic = config.topic
        self.outlets = outlets
        self.names = msgspec.convert(config, names.Address, from_attributes=True)
        self.options = dict(OPTIONS)
        self.limits = dict(LIMITS)
        self.closed = dict.fromkeys(range(1, config.inputs + 1), False)  # contacts from an input to ground
        self.switch_modes = dict.fromkeys(self.closed, TOGGLE)
        self.power_on_state = 3
        self.power_retain = False
        self.tele_s = TELE_DEFAULT_S
        self.clock_fault: Fault | None = None
        self.at_s = self.boot_s = self.watched_s = now_s
        self.tele_at_s = self.watch_at_s = self.backlog_at_s = FOREVER_S
        self.backlog: deque[str] = deque()
        self.gap_s = 0.0
        self.said: list[Publish] = []

    # -- the broker's side ----------------------------------------------------------------------------------------

    @property
    def counts_when_off(self) -> bool:
        return bool(self.options[21])

    def topics(self) -> list[str]:
        return [self.names.command("#")]

    def available(self, *, there: bool) -> Publish:
        word = self.config.online if there else self.config.offline
        return Publish(self.names.report("LWT"), word.encode(), retain=True)

    def hear(self, topic: str, payload: bytes) -> None:
        base = self.names.command("")
        if topic.startswith(base):
            execute(self, topic.removeprefix(base), payload.decode(errors="replace").strip())

    def tap(self, uid: str) -> None:
        self.report("SENSOR", f'{{"Time":"{self.time()}","PN532":{{"UID":"{uid}"}}}}')

    def wire(self, number: int, *, closed: bool) -> None:
        """Without SetOption114 it is its relay's switch, with it a contact that reports."""
        if number not in self.closed or self.closed[number] is closed:
            return
        self.closed[number] = closed
        mode = self.switch_modes[number]
        if self.options[114]:
            word = self.config.words[2] if mode == TOGGLE else self.switch_word(number)
            self.result("SWITCH", f'{{"Switch{number}":{{"Action":"{word}"}}}}')
        elif number <= len(self.outlets):
            on = not self.outlets[number - 1].on if mode == TOGGLE else self.shows(number)
            self.switch(number - 1, on=on)

    def shows(self, number: int) -> bool:
        """A contact that closes pulls its input down: only the inverted modes call that on."""
        return self.closed[number] is (self.switch_modes[number] == FOLLOW_INV)

    def switch_word(self, number: int) -> str:
        return self.word(self.shows(number))

    def meddled(self, what: Meddling, channel: int, watts: int) -> Iterable[Publish]:
        if what is Meddling.LATE_WARNING:
            return [Publish(self.names.answer("WARNING"), b'{"MaxPowerReached":900}')]
        commands = {
            Meddling.RESTART: [("Restart", "1")],
            Meddling.ON: [(f"Power{channel + 1}", "ON")],
            Meddling.OFF: [(f"Power{channel + 1}", "OFF")],
            Meddling.NO_LEASE: [(f"PulseTime{channel + 1}", "0")],
            Meddling.LIMIT: [("MaxPowerHold", "1"), ("MaxPower", str(watts))],
            Meddling.NO_LIMIT: [("MaxPower", "0"), ("MaxPowerHold", "10")],
            Meddling.SHOW_SETTING: [(f"PulseTime{channel + 1}", "")],
        }
        return [Publish(self.names.command(name), argument.encode()) for name, argument in commands[what]]

    def edit(self, fault: str) -> tuple[bytes, bytes]:
        return VOLTAGE, EDITS[fault]

    # -- life -----------------------------------------------------------------------------------------------------

    def boot(self, *, cold: bool) -> None:
        self.boot_s = self.at_s - self.config.up_s
        self.backlog.clear()
        self.backlog_at_s = FOREVER_S
        for outlet in self.outlets:
            outlet.over_since_s, outlet.retry_at_s, outlet.retries = None, FOREVER_S, 0
            outlet.switch(self._wanted_at_boot(outlet, cold), self.at_s)
        self.tele_at_s = self.at_s + min(TELE_MIN_S, self.tele_s) if self.tele_s else FOREVER_S
        self.watch_soon()
        self.connect("Power On" if cold else "Software/System restart")

    def _wanted_at_boot(self, outlet: Outlet, cold: bool) -> bool:
        saved = outlet.saved_on and bool(self.options[0])
        if not cold:
            return saved
        return {0: False, 1: True, 2: not saved, 3: saved, 4: True}[self.power_on_state]

    def connect(self, reason: str = "") -> None:
        self.said.append(self.available(there=True))
        if reason:
            self.report("INFO1", f'{{"Info1":{{"Module":"{self.config.model}","Version":"{self.config.firmware}"}}}}')
            self.report("INFO2", '{"Info2":{"WebServerMode":"Admin","Hostname":"plug","IPAddress":"192.0.2.10"}}')
            self.report("INFO3", f'{{"Info3":{{"RestartReason":"{reason}","BootCount":3}}}}')
        for channel in range(len(self.outlets)):
            self.say_power(channel)
        self.say_discovery()

    def due_s(self) -> float:
        relays = (min(o.pulse_ends_s, o.retry_at_s, self._trips_at_s(o)) for o in self.outlets)
        return min(self.tele_at_s, self.watch_at_s, self.backlog_at_s, *relays)

    def act(self) -> None:
        for channel, outlet in enumerate(self.outlets):
            if outlet.pulse_ends_s <= self.at_s:
                self.switch(channel, on=False)
            if self._trips_at_s(outlet) <= self.at_s:
                self._trip(channel, outlet)
            if outlet.retry_at_s <= self.at_s:
                self._retry(channel, outlet)
        if self.watch_at_s <= self.at_s:
            self.watch()
        if self.tele_at_s <= self.at_s:
            self.tele()
        if self.backlog_at_s <= self.at_s:
            run_backlog(self)

    def switch(self, channel: int, *, on: bool) -> None:
        outlet = self.outlets[channel]
        outlet.switch(on or self.power_on_state == 4, self.at_s)
        outlet.saved_on = outlet.on
        self.watch_soon()
        self.say_power(channel)

    # -- margins and the power limit of its own -------------------------------------------------------------------

    def watch_soon(self) -> None:
        self.watch_at_s = self.at_s + WATCH_S

    def watch(self) -> None:
        self.watch_at_s, self.watched_s = FOREVER_S, self.at_s
        powers_w = [outlet.measured_w(sees_when_off=bool(self.options[21])) for outlet in self.outlets]
        pairs = list(zip(self.outlets, powers_w, strict=True))
        moved_w = [power_w for outlet, power_w in pairs if outlet.moved(power_w)]
        if moved_w:
            self.report("MARGINS", f'{{"Time":"{self.time()}","PowerDelta1":{moved_w[0]:.0f}}}')
            self.say_sensor()
        for outlet, power_w in pairs:
            self._compare_limit(outlet, power_w)

    def _compare_limit(self, outlet: Outlet, power_w: float) -> None:
        if not self.limits["MaxPower"] or power_w <= self.limits["MaxPower"]:
            outlet.over_since_s = None
            outlet.retries = 0 if outlet.on else outlet.retries
        elif outlet.over_since_s is None and outlet.on:
            outlet.over_since_s = self.at_s

    def _trips_at_s(self, outlet: Outlet) -> float:
        return FOREVER_S if outlet.over_since_s is None else outlet.over_since_s + self.limits["MaxPowerHold"]

    def _trip(self, channel: int, outlet: Outlet) -> None:
        number = str(channel + 1) if len(self.outlets) > 1 else ""
        power_w = outlet.measured_w(sees_when_off=True)
        outlet.over_since_s = None
        outlet.retries = outlet.retries or self.options[33] + 1
        outlet.retry_at_s = self.at_s + self.limits["MaxPowerWindow"]
        self.answer("WARNING", f'{{"Time":"{self.time()}","MaxPowerReached{number}":{power_w:.0f}}}')
        self.say_sensor()
        self.switch(channel, on=False)

    def _retry(self, channel: int, outlet: Outlet) -> None:
        """By itself, and with a new pulse: an ON that nobody gave."""
        outlet.retry_at_s = FOREVER_S
        outlet.retries -= 1
        word = self.config.words[1 if outlet.retries else 0]
        self.answer("WARNING", f'{{"Time":"{self.time()}","MaxPowerReachedRetry":"{word}"}}')
        if outlet.retries:
            self.switch(channel, on=True)

    # -- what it says ---------------------------------------------------------------------------------------------

    def report(self, leaf: str, payload: str, *, retain: bool = False) -> None:
        self.said.append(Publish(self.names.report(leaf), payload.encode(), retain))

    def answer(self, leaf: str, payload: str, *, retain: bool = False) -> None:
        self.said.append(Publish(self.names.answer(leaf), payload.encode(), retain))

    def result(self, command: str, payload: str) -> None:
        self.answer(command.upper() if self.options[4] else "RESULT", payload)

    def say_power(self, channel: int) -> None:
        key, word = self.power_key(channel), self.word(self.outlets[channel].on)
        self.result(key, f'{{"{key}":"{word}"}}')
        self.answer(key, word, retain=self.power_retain)

    def power_key(self, channel: int) -> str:
        return "POWER" if len(self.outlets) == 1 and not self.options[26] else f"POWER{channel + 1}"

    def word(self, on: bool) -> str:
        return self.config.words[1 if on else 0]

    def tele(self) -> None:
        self.tele_at_s = self.at_s + self.tele_s if self.tele_s else FOREVER_S
        self.report("STATE", self.state())
        self.report("SENSOR", self.sensor(period=True))
        self._remember_reported()

    def say_sensor(self) -> None:
        self.report("SENSOR", self.sensor(period=True))
        self._remember_reported()

    def _remember_reported(self) -> None:
        for outlet in self.outlets:
            outlet.reported_wh = outlet.counted_wh()
            outlet.reported_w = outlet.measured_w(sees_when_off=bool(self.options[21]))

    def sensor(self, *, period: bool) -> str:
        energy = energy_json(
            self.outlets,
            sees_when_off=bool(self.options[21]),
            own_totals=bool(self.options[129]) and self.config.splits_totals,
            period=period,
            watt_places=self.config.watt_places,
        )
        switches = "".join(f'"Switch{number}":"{self.switch_word(number)}",' for number in self.closed)
        return f'{{"Time":"{self.time()}",{switches}"ENERGY":{energy}}}'

    def state(self) -> str:
        relays = [f'"{self.power_key(c)}":"{self.word(o.on)}"' for c, o in enumerate(self.outlets)]
        head = (
            f'{{"Time":"{self.time()}","UptimeSec":{self.at_s - self.boot_s:.0f},"Heap":183,"LoadAvg":21,"MqttCount":1'
        )
        return f'{head},{",".join(relays)},"Wifi":{{"AP":1,"RSSI":60,"Signal":-70,"LinkCount":1}}}}'

    def say_discovery(self) -> None:
        topic = f"tasmota/discovery/{self.config.mac}"
        config, sensors = (b"", b"") if self.options[19] else (self._config_json(), self._sensors_json())
        self.said += [Publish(f"{topic}/config", config, True), Publish(f"{topic}/sensors", sensors, True)]

    def _config_json(self) -> bytes:
        own = self.config
        relays = ([1] * len(self.outlets) + [0] * 8)[: max(8, len(self.outlets))]
        who = {"ip": "192.0.2.10", "dn": "Tasmota", "fn": ["Tasmota"], "hn": "plug", "mac": own.mac, "md": own.model}
        words = {"ty": 0, "if": 0, "ofln": own.offline, "onln": own.online, "state": own.words, "sw": own.firmware}
        topics = {"t": own.topic, "ft": own.full_topic, "tp": own.prefixes, "rl": relays}
        options = {str(number): value for number, value in self.options.items()}
        return msgspec.json.encode({**who, **words, **topics, "so": options, "lk": 1, "lt_st": 0, "ver": 1})

    def _sensors_json(self) -> bytes:
        return f'{{"sn":{self.sensor(period=False)},"ver":1}}'.encode()

    def time(self) -> str:
        """As wrong as its clock is."""
        at_s = self.at_s + CLOCK_ERRORS_S.get(self.clock_fault, 0.0) if self.clock_fault else self.at_s
        if self.clock_fault is Fault.CLOCK_1970:
            at_s = self.at_s - self.boot_s
        return datetime.fromtimestamp(max(0.0, at_s), UTC).strftime("%Y-%m-%dT%H:%M:%S")
