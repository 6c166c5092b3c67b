"""A driver and its units on one line in memory, on virtual time, driven by hand."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count

from controller.core import events as ev
from controller.core.errors import BadFrame
from firmware_bridge.drivers import ON_BUS
from firmware_bridge.transports.memory_bus import Mangle, MemoryBus
from firmware_bridge.transports.pace import Pace
from firmware_bridge.wire import Driver, Message, Pile, SwitchOff, Wish
from simulators.twins.contact import Fault
from simulators.twins.line import Line, WireFault
from simulators.twins.lines import BOARD, LINES, WATCHDOG, meter_address

T0 = 1_800_000_000.0
SHEDS = count(1)  # what was found on one line is remembered
BOARDS = {"waveshare-relay": "pzem-004t", "lc-relay": "eastron-sdm", "coil-relay": "pzem-004t"}  # and their meters
METERS = ("pzem-004t", "eastron-sdm", "dlt645")
SETTLES_S = 2.5  # a question that is asked twice


class Lamp:
    """Draws the same for ever."""

    def __init__(self, power_w: float) -> None:
        self.power_w = power_w

    def draw_w(self, dt_s: float) -> float:
        return self.power_w


class Pair:
    """`heard` is every event that the driver made of what came over the line, `bad` every answer that it refused."""

    def __init__(
        self,
        name: str,
        *powers_w: float,
        line: Line | None = None,
        kind: str = "",
        mangle: Mangle | None = None,
        echo: bool = False,
        params: Mapping[str, object] | None = None,
    ) -> None:
        self.name = name
        self.shed = f"shed-{next(SHEDS)}"
        self.kind = kind or BOARDS.get(name, name)
        self.relays = len(powers_w)
        self.line = line or LINES[name]([Lamp(power_w) for power_w in powers_w], T0)
        self.bus = MemoryBus(Pace(), lambda request, now_s: self.line(request, T0 + now_s), mangle, echo)
        self.heard: list[ev.Event] = []
        self.bad: list[str] = []
        self.faults: list[str] = []
        self._answers: list[Message] = []
        self.bus.start(self._answers.append, lambda up: None)
        self.driver = self._opened(params or {})

    @property
    def now_s(self) -> float:
        return T0 + self.bus.now_s

    def _opened(self, more: Mapping[str, object]) -> Driver:
        pile = self._found()
        if self.name in METERS:
            return ON_BUS[self.name].open(Pile("p", self.name, pile.address, ("o0",), pile.params))
        meters: list[object] = [None] * pile.channels
        for channel in range(self.relays):
            meters[channel] = {"family": self.kind, "address": self.address(channel)}
        watchdog = {"watchdog": dict(zip(("s", "channel"), WATCHDOG, strict=True))} if self.name == "coil-relay" else {}
        outlets = tuple(f"o{channel}" if channel < self.relays else "" for channel in range(pile.channels))
        return ON_BUS[self.name].open(
            Pile("p", self.name, pile.address, outlets, pile.params | {"meters": meters} | watchdog | dict(more))
        )

    def _found(self) -> ev.PileFound:
        for unit in (BOARD, meter_address(self.kind, 0), *ON_BUS[self.name].UNITS[:1]):
            for probe in self._probes(f"{self.shed}/{unit}"):
                self.bus.send(probe)
        self.bus.run(5.0)
        family, answers = ON_BUS[self.name], self._taken()
        return next(pile for answer in answers if not answer.fault for pile in family.discover(answer, self.stamp()))

    def _probes(self, address: str) -> Iterable[Message]:
        try:
            return ON_BUS[self.name].probes(address)
        except ValueError:
            return ()  # of another protocol

    def _taken(self) -> list[Message]:
        taken, self._answers[:] = self._answers[:], []
        return taken

    def address(self, channel: int = 0) -> str:
        return f"{self.shed}/{meter_address(self.kind, channel)}"

    @property
    def meter(self) -> str:
        """The first one, as the line names it."""
        return meter_address(self.kind, 0)

    def stamp(self) -> ev.Stamp:
        return ev.Stamp(self.now_s, self.bus.now_s)

    # -- what is said ---------------------------------------------------------------------------------------------

    def wish(self, wish: Wish) -> None:
        """And all that comes of it."""
        for message in self.driver.orders(wish):
            self.bus.send(message, isinstance(wish, SwitchOff) and bool(message.slot))
        self.settle()

    def settle(self, at_most_s: float = SETTLES_S) -> None:
        end_s = self.bus.now_s + at_most_s
        while (due_s := self.bus.next_due_s()) is not None and due_s <= end_s:
            self._step(due_s)

    def _step(self, to_s: float) -> None:
        self.bus.run(to_s)
        for message in self._taken():
            self.hear(message)

    def hear(self, message: Message) -> None:
        self.faults += [message.fault] if message.fault else []
        try:
            self.heard += iter(self.driver.receive(message, self.stamp()))
        except BadFrame as bad:
            self.bad.append(bad.kind)

    def run(self, seconds: float) -> None:
        """Time passes, and the driver asks in its turn."""
        end_s = self.bus.now_s + seconds
        while (turn_s := self._turn_s()) < end_s:
            self._until(turn_s)
            for message in self.driver.polls(self.stamp()):
                self.bus.send(message)
        self._until(end_s)

    def _until(self, end_s: float) -> None:
        while (due_s := self.bus.next_due_s()) is not None and due_s <= end_s:
            self._step(due_s)
        self._step(end_s)
        self.line.advance(self.now_s)

    def _turn_s(self) -> float:
        every_s = ON_BUS[self.name].CAPABILITIES.asked_every_s or math.inf
        return (self.bus.now_s // every_s + 1) * every_s

    # -- what is so, and what was told ----------------------------------------------------------------------------

    def powered(self, channel: int = 0) -> bool:
        self.line.advance(self.now_s)
        return self.line.powered(BOARD, channel)

    def inject(self, fault: Fault | WireFault, address: str = BOARD, channel: int = 0) -> None:
        self.line.inject(fault, self.now_s, address, channel)

    def readings(self, outlet: str = "o0") -> list[ev.Reading]:
        return [event for event in self.heard if isinstance(event, ev.Reading) and event.outlet == outlet]

    def last(self, outlet: str = "o0") -> ev.Reading:
        return self.readings(outlet)[-1]

    def last_relay(self, outlet: str = "o0") -> bool:
        return [event.on for event in self.heard if isinstance(event, ev.RelayReported) and event.outlet == outlet][-1]

    def settings(self, outlet: str = "o0") -> dict[str, float]:
        told = [event for event in self.heard if isinstance(event, ev.SettingReported) and event.outlet == outlet]
        return {event.setting: event.value for event in told}

    def links(self, outlet: str = "o0") -> list[str]:
        return [type(e).__name__ for e in self.heard if isinstance(e, ev.LinkUp | ev.LinkLost) and e.outlet == outlet]


@contextmanager
def heard_in(pair: Pair) -> Iterator[list[ev.Event]]:
    """What was heard within."""
    before = len(pair.heard)
    events: list[ev.Event] = []
    yield events
    events += pair.heard[before:]
