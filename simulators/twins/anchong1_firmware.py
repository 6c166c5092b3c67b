"""The inside of the reference device of anchong/1, as docs/anchong-1.md wants it; no link, no mains, no clock."""

from collections import deque
from collections.abc import Iterable
from hashlib import blake2s
from typing import Any

import msgspec

from firmware_bridge.codecs import anchong1 as codec
from simulators.twins import anchong1_commands
from simulators.twins.anchong1_outlet import CALM_C, Outlet
from simulators.twins.contact import FOREVER_S, Fault, Meddling, Publish
from simulators.twins.twin import WATCH_S

NAME = "anchong"
ROUNDED_S = 1.0  # what it said itself may come back rounded up
REMEMBERED = 16  # commands whose answers are kept for repeats
NO_WATTS = b'"power_w":null'
EDITS = {
    "over_voltage": (b'"voltage_v":230.0', b'"voltage_v":291.0'),
    "under_voltage": (b'"voltage_v":230.0', b'"voltage_v":84.0'),
    "fuse_blown": (b'"voltage_v":230.0', b'"voltage_v":0.0'),
    "overheat": (b'"temperature_c":41.0', b'"temperature_c":96.5'),
}


class AnchongConfig(msgspec.Struct, frozen=True, kw_only=True):
    mac: str = "00000049A3BC"
    device: str = ""  # its user name at the broker; empty: its MAC
    model: str = "Reference socket"
    firmware: str = "1.0.0"
    power_max_w: float = 2500.0
    lease_max_s: float = codec.LEASE_S_MAX
    inputs: int = 0

    @property
    def name(self) -> str:
        return self.device or self.mac


class Firmware:
    family = NAME
    reads_cards = True
    keep_alive_s = 10.0
    counts_when_off = True

    def __init__(self, config: AnchongConfig, outlets: list[Outlet], now_s: float) -> None:
        self.config = config
        self.mac = config.mac
        self.topic = config.name
        self.outlets = outlets
        self.closed = [False] * config.inputs
        self.clock_fault: Fault | None = None  # it has no clock
        self.at_s = self.boot_s = self.watched_s = now_s
        self.watch_at_s = FOREVER_S
        self.said: list[Publish] = []
        self.retained = False  # whether what is heard was kept by the broker
        self.seq = 0
        self.starts = 0
        self.boot_id = self._new_boot_id()
        self._answered: deque[tuple[str, str, str | None, int | None]] = deque(maxlen=REMEMBERED)

    def _new_boot_id(self) -> str:
        """A microcontroller takes 64 random bits; here a run must repeat."""
        return blake2s(f"{self.mac} {self.starts} {self.at_s}".encode(), digest_size=8).hexdigest()

    # -- the broker's side ----------------------------------------------------------------------------------------

    def topics(self) -> list[str]:
        return [codec.down(self.topic)]

    def available(self, *, there: bool) -> Publish:
        if there:
            return self._made(codec.ONLINE, codec.Online(**self._head(), online=True), retain=True)
        return self._made(codec.ONLINE, codec.Will(boot=self.boot_id, online=False), retain=True)

    def hear(self, topic: str, payload: bytes) -> None:
        if topic == codec.down(self.topic):
            anchong1_commands.heard(self, payload, retained=self.retained)

    def tap(self, uid: str) -> None:
        self._say(codec.CARD, codec.Card(**self._head(), uid=uid))

    def wire(self, number: int, *, closed: bool) -> None:
        if 1 <= number <= len(self.closed) and self.closed[number - 1] is not closed:
            self.closed[number - 1] = closed
            self._say_inputs()

    def meddled(self, what: Meddling, channel: int, watts: int) -> Iterable[Publish]:
        """By somebody with the gateway's rights; nobody else can reach it. It can't be told to restart."""
        outlet, number, up_s = self.outlets[channel], channel + 1, self._up_s()
        id_ = f"m-{what}-{self.seq}"
        on = codec.On(
            id=id_, outlet=number, boot=self.boot_id, n=outlet.n + 1, heard_up_s=up_s, lease_s=outlet.lease_max_s
        )
        limit_w = {Meddling.LIMIT: float(watts), Meddling.NO_LIMIT: self.config.power_max_w}.get(what)
        if what is Meddling.RESTART:
            return []
        if what is Meddling.LATE_WARNING:
            late = msgspec.structs.replace(self._state(outlet), seq=1, on=False, off_by="overload")
            return [self._made(codec.STATE, late)]
        command = {
            Meddling.ON: codec.encoded(on),
            Meddling.OFF: codec.encoded(codec.Off(outlet=number)),
            Meddling.NO_LEASE: codec.encoded(on).replace(b'"lease_s"', b'"for_ever"'),
        }.get(what)
        setting = codec.Set(id=id_, outlet=number, boot=self.boot_id, heard_up_s=up_s, limit_w=limit_w)
        return [Publish(codec.down(self.topic), command or codec.encoded(setting))]

    def edit(self, fault: str) -> tuple[bytes, bytes]:
        return EDITS[fault]

    # -- life -----------------------------------------------------------------------------------------------------

    def boot(self, *, cold: bool) -> None:
        if self.starts:
            self.boot_id = self._new_boot_id()
        self.starts += 1
        self.boot_s, self.seq = self.at_s, 0
        self._answered.clear()
        for outlet in self.outlets:
            outlet.boot()
        self.watch_soon()
        self.connect()

    def connect(self) -> None:
        hello = codec.Hello(
            **self._head(),
            device=self.topic,
            model=self.config.model,
            firmware=self.config.firmware,
            outlets=len(self.outlets),
            lease_max_s=self.config.lease_max_s,
            power_max_w=self.config.power_max_w,
            inputs=len(self.closed),
            reads_cards=self.reads_cards,
            started_by="power",
        )
        self._say(codec.HELLO, hello, retain=True)
        self.said.append(self.available(there=True))
        self.say_all()

    def due_s(self) -> float:
        return min(self.watch_at_s, *(min(o.lease_ends_s, o.report_at_s, o.cuts_at_s()) for o in self.outlets))

    def act(self) -> None:
        for outlet in self.outlets:
            if outlet.lease_ends_s <= self.at_s:
                self.switch_off(outlet, "lease")
            if outlet.cuts_at_s() <= self.at_s:
                outlet.alarms = ["overload"]
                self.switch_off(outlet, "overload")
            if outlet.report_at_s <= self.at_s:
                self.say_state(outlet)
        if self.watch_at_s <= self.at_s:
            self.watch()

    def watch_soon(self) -> None:
        self.watch_at_s = self.at_s + WATCH_S

    def watch(self) -> None:
        self.watch_at_s, self.watched_s = FOREVER_S, self.at_s
        for outlet in self.outlets:
            outlet.watch_limit(self.at_s)
            if outlet.moved():
                self.say_state(outlet)

    # -- commands -------------------------------------------------------------------------------------------------

    def repeats(self, kind: str, id_: str) -> bool:
        """The very same command again: the same answer, and nothing else."""
        for known_kind, known, why, outlet in self._answered:
            if id_ and (known_kind, known) == (kind, id_):
                self._say_ack(id_, why, outlet)
                return True
        return False

    def refuses(self, order: codec.On, *, retained: bool) -> str | None:
        """Why this ON is not obeyed."""
        why = self.refuses_setting(order, retained=retained)
        if why is not None:
            return why
        outlet = self.outlets[order.outlet - 1]
        if order.n <= outlet.n:
            return "old"
        return "lease" if order.lease_s > outlet.lease_max_s else None

    def refuses_setting(self, order: codec.On | codec.Set, *, retained: bool) -> str | None:
        if retained:
            return "retained"
        if order.outlet > len(self.outlets):
            return "outlet"
        if order.boot != self.boot_id:
            return "boot"
        if not -ROUNDED_S <= self._up_s() - order.heard_up_s <= codec.FRESH_S:
            return "stale"
        if isinstance(order, codec.Set) and (order.lease_max_s or 0) > self.config.lease_max_s:
            return "lease"
        return "limit" if (order.limit_w or 0) > self.config.power_max_w else None

    def switch_on(self, outlet: Outlet, order: codec.On) -> None:
        outlet.switch_on(order, self.at_s)
        self.watch_soon()

    def switch_off(self, outlet: Outlet, by: str) -> None:
        outlet.switch_off(by)
        self.say_state(outlet)
        self.watch_soon()

    # -- what it says ---------------------------------------------------------------------------------------------

    def ack(self, kind: str, id_: str, why: str | None, outlet: int | None) -> None:
        self._answered.append((kind, id_, why, outlet))
        self._say_ack(id_, why, outlet)

    def _say_ack(self, id_: str, why: str | None, outlet: int | None) -> None:
        here = outlet is not None and outlet <= len(self.outlets)
        taken = self.outlets[outlet - 1].n if outlet is not None and here else None
        ack = codec.Ack(**self._head(), id=id_[:32], ok=why is None, why=why, outlet=outlet, n=taken)
        self._say(codec.ACK, ack)

    def say_all(self) -> None:
        for outlet in self.outlets:
            self.say_state(outlet)
        if self.closed:
            self._say_inputs()

    def say_state(self, outlet: Outlet) -> None:
        outlet.reported(self.at_s)
        self.said.append(self._broken(self._made(codec.STATE, self._state(outlet)), outlet))

    def _state(self, outlet: Outlet) -> codec.State:
        watts, volts = outlet.watt(), outlet.mains_v
        broken = outlet.faults & {Fault.METER_NAN, Fault.METER_GARBAGE}
        return codec.State(
            **self._head(),
            outlet=outlet.number,
            on=outlet.on,
            n=outlet.n,
            power_w=None if broken else round(watts, 2),
            energy_wh=round(outlet.counted_wh(), 3),
            lease_left_s=outlet.lease_left_s(self.at_s),
            off_by=None if outlet.on else outlet.off_by,
            faults=outlet.alarms,
            voltage_v=volts,
            current_a=round(watts / outlet.factor / volts, 3) if volts else 0.0,
            temperature_c=CALM_C if outlet.heat_c is None else outlet.heat_c,
            leakage_ma=outlet.leakage_ma,
        )

    def _broken(self, said: Publish, outlet: Outlet) -> Publish:
        word = {Fault.METER_NAN: b"nan", Fault.METER_GARBAGE: b"0.1.7"}
        for fault in outlet.faults & word.keys():
            return Publish(said.topic, said.payload.replace(NO_WATTS, b'"power_w":' + word[fault]))
        return said

    def say_settings(self, outlet: Outlet) -> None:
        settings = codec.Settings(
            **self._head(),
            outlet=outlet.number,
            lease_max_s=outlet.lease_max_s,
            limit_w=outlet.limit_w,
            power_up_off=True,
            sees_power_when_off=True,
            own_counter=True,
            inputs_detached=True,
        )
        self._say(codec.SETTINGS, settings)

    def _say_inputs(self) -> None:
        self._say(codec.INPUTS, codec.Inputs(**self._head(), closed=list(self.closed)))

    def _say(self, kind: str, message: codec.Head, *, retain: bool = False) -> None:
        self.said.append(self._made(kind, message, retain=retain))

    def _made(self, kind: str, message: codec.Head | codec.Will, *, retain: bool = False) -> Publish:
        return Publish(codec.up(self.topic, kind), codec.encoded(message), retain)

    def _head(self) -> dict[str, Any]:
        """Of one message, which takes the next number."""
        self.seq = self.next_seq()
        return {"boot": self.boot_id, "seq": self.seq, "up_s": self._up_s()}

    def next_seq(self) -> int:
        return self.seq + 1

    def _up_s(self) -> float:
        return round(max(0.0, self.at_s - self.boot_s), 3)
