"""The world's sockets: twins on the broker, the place in front of each outlet, and the weather on the way between."""

from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random

from firmware_bridge.transports.memory import MemoryBroker
from firmware_bridge.wire import Message
from simulators.twins import TWINS
from simulators.twins.contact import Fault, Load, Meddling, Nothing, Publish
from simulators.world_plugs import Plugs

INPUTS = 2  # of each device: for a detector and for a button


class Watts:
    """A steady load: a lamp to prove an outlet with, a heater that no outlet should feed."""

    def __init__(self, power_w: float) -> None:
        self.power_w = power_w

    def draw_w(self, dt_s: float) -> float:
        return self.power_w


class Weather:
    """What happens to messages between socket and broker. Rates are shares of all messages."""

    def __init__(self, rng: Random, faults: Counter[str]) -> None:
        self.lost = self.doubled = self.reordered = self.late = self.garbage = 0.0
        self.late_s = 25.0
        self.gone = False
        self.edits: dict[str, tuple[bytes, bytes]] = {}  # device topic → what stands in its reports, and what instead
        self._rng = rng
        self._faults = faults

    @property
    def calm(self) -> bool:
        return not (self.lost or self.doubled or self.reordered or self.late or self.garbage or self.gone)

    def clear(self) -> None:
        self.lost = self.doubled = self.reordered = self.late = self.garbage = 0.0

    def mangle(self, message: Message, now_s: float) -> Sequence[tuple[float, Message]]:
        if self.gone:
            return ()
        if self.edits:
            message = self._edited(message)
        return ((0.0, message),) if self.calm else self._stormy(message)

    def _edited(self, message: Message) -> Message:
        for topic, (sound, odd) in self.edits.items():
            if topic in message.address.split("/"):
                return Message(message.address, message.payload.replace(sound, odd), message.retained)
        return message

    def _stormy(self, message: Message) -> Sequence[tuple[float, Message]]:
        roll = self._rng.random
        if roll() < self.lost:
            return self._counted("lost", [])
        if roll() < self.garbage:
            cut = self._rng.randrange(len(message.payload) + 1)
            broken = message.payload[:cut] + bytes(self._rng.randrange(256) for _ in range(3))
            return self._counted("garbage", [(0.0, Message(message.address, broken, message.retained))])
        if roll() < self.late:
            return self._counted("late", [(self._rng.uniform(3.0, self.late_s), message)])
        if roll() < self.reordered:
            return self._counted("reordered", [(self._rng.uniform(0.1, 3.0), message)])
        if roll() < self.doubled:
            return self._counted("doubled", [(0.0, message), (self._rng.uniform(0.0, 2.0), message)])
        return ((0.0, message),)

    def _counted(self, kind: str, sent: list[tuple[float, Message]]) -> list[tuple[float, Message]]:
        self._faults[kind] += 1
        return sent


class Device:
    """One twin and its link. `at` is the true time, whatever any clock shows."""

    def __init__(self, family: str, number: int, channels: int, broker: MemoryBroker, at: float) -> None:
        mac = f"0000004900{number:02X}"
        self.twin = TWINS[family](mac, [Nothing() for _ in range(channels)], at, INPUTS)
        self.number = number
        self.channels = channels
        self.closed: dict[int, float] = {}  # contacts at its inputs, and since when (steady)
        self.dark_s: float | None = None  # since when (steady) it has had no mains
        self.found = f"{family}:{mac}"  # what staff adopts it by
        self.broker = broker
        self.at = at
        self.odd: Counter[Fault] = Counter()  # what is broken at its outlets; a broken meter can spoil them all
        broker.connect(mac, self._receive)
        for pattern in self.twin.subscriptions():
            broker.subscribe(mac, pattern)

    def _receive(self, message: Message) -> None:
        self.say(self.twin.receive(message.address, message.payload, message.retained, self.at))

    def say(self, said: Iterable[Publish]) -> None:
        for one in said:
            self.broker.publish(self.twin.mac, Message(one.topic, one.payload, one.retain))

    def run_to(self, at: float) -> None:
        self.at = at
        if self.twin.next_wake_s() <= at:
            self.say(self.twin.advance(at))

    def wire(self, number: int, closed: bool, now_s: float) -> None:
        """The contact at an input of it."""
        if closed:
            self.closed.setdefault(number, now_s)
        else:
            self.closed.pop(number, None)
        self.say(self.twin.wire(number, closed, self.at))

    def meddled(self, what: Meddling, channel: int = 0, watts: int = 0) -> None:
        """By somebody else on the broker."""
        self.say(self.twin.meddled(what, channel, watts))


def built(families: Sequence[str], channels: Sequence[int], broker: MemoryBroker, at: float) -> list[Device]:
    return [
        Device(family, number, many, broker, at)
        for number, (family, many) in enumerate(zip(families, channels, strict=True))
    ]


def spots_of(devices: Iterable[Device]) -> "dict[str, Spot]":
    places = [(device, channel) for device in devices for channel in range(device.channels)]
    return {f"o{d.number}{channel}": Spot(f"o{d.number}{channel}", d, channel) for d, channel in places}


class Spot:
    """The place in front of one outlet: who stands there, and what truly flowed."""

    def __init__(self, outlet: str, device: Device, channel: int) -> None:
        self.outlet = outlet
        self.device = device
        self.channel = channel
        self.taken = False  # somebody's bike stands here
        self.faults: set[Fault] = set()
        self.meter_odd_s = -1e9  # when its meter last told less than the truth
        self.lit_unasked_s: float | None = None
        self.off_s: float | None = None
        self.welded_s: float | None = None
        self.over_s: float | None = None
        self.odd_at = -1e9  # when anything last happened to it that does not happen to an ordinary charge
        self.plugs = Plugs(self.truth_wh, self.drawn_w)
        self._base_wh = 0.0

    @property
    def powered(self) -> bool:
        return self.device.twin.powered(self.channel)

    def drawn_w(self) -> float:
        return self.device.twin.contact_power_w(self.channel)

    def truth_wh(self) -> float:
        return self._base_wh + self.device.twin.counted_wh(self.channel)

    def plug(self, load: Load, visit: int | None = None) -> None:
        """By whoever is there, unless somebody else's visit is named."""
        said = self.device.twin.plug(self.channel, load, self.device.at)
        self.plugs.changed(load, visit, self.device.at)
        self.device.say(said)

    def unplug(self) -> None:
        said = self.device.twin.unplug(self.channel, self.device.at)
        self.plugs.changed(Nothing(), None, self.device.at)
        self.device.say(said)

    def odd(self) -> None:
        """Something happens to it now that does not happen to an ordinary charge."""
        self.odd_at = self.device.at

    def look(self, watched: bool) -> None:
        self.plugs.look(self.powered, self.device.at, watched)

    def inject(self, fault: Fault) -> None:
        self.odd()
        if fault is Fault.COUNTER_RESET:
            self._base_wh += self.device.twin.counted_wh(self.channel)
        else:
            self.faults.add(fault)
            self.device.odd[fault] += 1
        self.device.say(self.device.twin.inject(fault, self.device.at, self.channel))

    def mend(self, fault: Fault) -> None:
        if fault in self.faults:
            self.device.odd = self.device.odd - Counter([fault])
        self.faults.discard(fault)
        self.device.say(self.device.twin.mend(fault, self.device.at, self.channel))
