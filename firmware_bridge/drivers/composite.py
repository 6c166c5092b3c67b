"""Outlets made of one relay of a board and one meter each, on one bus: a driver for any board with any meters.

Relays are believed by their coils alone: an adapter that hears itself returns an order as if the board had.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from controller.core.errors import BadFrame
from controller.core.events import Event, LinkLost, Reading, RelayReported, SettingReported, Stamp
from firmware_bridge.codecs import modbus
from firmware_bridge.drivers.bus_meters import METERS, Meter
from firmware_bridge.drivers.presence import Presence
from firmware_bridge.drivers.units import modbus_unit
from firmware_bridge.wire import AskNow, Message, Pile, Provision, SetInputs, SwitchOff, SwitchOn, Wish

EXCEPTION = "exception"  # the fault of a unit that refuses
COILS_AT_ONCE = 8  # a board of four answers eight as well
SETTINGS = {
    "power_up_off": -1.0,  # no board tells: who proves it has to see the mains return
    "sees_power_when_off": 1.0,  # its meter stands behind the relay, on a line of its own
    "own_counter": 1.0,
}


class MeterAt(msgspec.Struct, frozen=True):
    family: str
    address: str


class Watchdog(msgspec.Struct, frozen=True):
    """A timer relay before the whole board: it cuts unless the relay of `channel` is pulsed within `s`."""

    s: float
    channel: int


class Params(msgspec.Struct, frozen=True):
    """`meters` has one entry a channel; null where the channel is not ours."""

    meters: tuple[MeterAt | None, ...] = ()
    watchdog: Watchdog | None = None


class Relays(msgspec.Struct, frozen=True):
    """What a family of boards is told: the frames that switch a relay (unit, channel, seconds), and its settings."""

    on: Callable[[int, int, float], Sequence[bytes]]
    off: Callable[[int, int], bytes]
    detach: Callable[[int, int], tuple[bytes, bytes]] | None = None  # let no input switch it; and ask for that (0)


def checked(pile: Pile) -> Params:
    """ValueError in one line if these are no params of such a pile."""
    params = msgspec.convert(pile.params, Params)
    meters = [meter for meter in params.meters if meter is not None]
    bus = pile.address.rpartition("/")[0]
    for meter in meters:
        if meter.family not in METERS:
            raise ValueError(f"{meter.family} is no kind of meter")
        if meter.address.rpartition("/")[0] != bus or meter.address == pile.address:
            raise ValueError(f"the meter {meter.address} must have an address of its own on {bus}")
        METERS[meter.family](meter.address)
    if len({meter.address for meter in meters}) < len(meters):
        raise ValueError("a meter measures one outlet alone")
    return params


class Composite:
    """One board and its meters. It remembers who answers, and what a Provision still waits for."""

    def __init__(self, pile: Pile, relays: Relays, params: Params) -> None:
        self._board = pile.address
        self._unit = modbus_unit(pile.address)
        self._outlets = pile.outlets
        self._relays = relays
        self._watchdog = params.watchdog
        self._meters = {
            channel: Meter(pile.outlets[channel], meter.address, METERS[meter.family](meter.address))
            for channel, meter in enumerate(params.meters[: len(pile.outlets)])
            if meter is not None
        }
        self._channel_of = {meter.address: channel for channel, meter in self._meters.items()}
        count = -(-max(1, len(pile.outlets)) // COILS_AT_ONCE) * COILS_AT_ONCE
        self._coils = modbus.encode(modbus.ask(self._unit, modbus.READ_COILS, 0, count))
        self._presence = Presence({outlet: self.addresses_of(outlet) for outlet in pile.outlets if outlet})
        self._unproven: dict[str, set[tuple[str, bytes]]] = {}  # what a Provision has yet to hear answered, by outlet
        self._attached: set[str] = set()  # outlets that an input could switch

    def listens(self) -> Sequence[str]:
        return [self._board, *self._channel_of]

    def addresses_of(self, outlet: str) -> Sequence[str]:
        meter = self._meters.get(self._outlets.index(outlet))
        return [self._board] if meter is None else [self._board, meter.address]

    # -- to the units ---------------------------------------------------------------------------------------------

    def polls(self, now: Stamp) -> Sequence[Message]:
        return self._asks()

    def orders(self, wish: Wish) -> Sequence[Message]:
        match wish:
            case SwitchOn():
                return self._switch_on(wish)
            case SwitchOff():
                off = Message(self._board, self._relays.off(self._unit, wish.channel), slot=f"relay:{wish.channel}")
                return [off, *self._asks([wish.channel])]
            case Provision():
                return self._provision()
            case AskNow():
                return self._asks()
            case SetInputs():
                return []

    def _switch_on(self, wish: SwitchOn) -> Sequence[Message]:
        slot = f"relay:{wish.channel}"
        frames = self._relays.on(self._unit, wish.channel, wish.lease_s)
        return [*(Message(self._board, frame, slot=slot) for frame in frames), Message(self._board, self._coils)]

    def _asks(self, channels: Iterable[int] | None = None) -> list[Message]:
        """Relays, then the meters of these channels, or of all."""
        meters = self._meters.values() if channels is None else [self._meters[c] for c in channels if c in self._meters]
        return [Message(self._board, self._coils), *(ask for meter in meters for ask in meter.asks())]

    def _provision(self) -> Sequence[Message]:
        """Settings are told once board and meter have really answered."""
        asks, first = self._asks(), []
        ours = [(channel, outlet) for channel, outlet in enumerate(self._outlets) if outlet]
        self._attached.clear()
        self._unproven = {outlet: set() for _, outlet in ours}
        for channel, outlet in ours:
            detach = [] if self._relays.detach is None else [*self._relays.detach(self._unit, channel)]
            first += [Message(self._board, frame) for frame in detach]
            meter = self._meters.get(channel)
            needed = [*first[-1:], asks[0], *([] if meter is None else meter.asks())]
            self._unproven[outlet] = {(ask.address, ask.payload) for ask in needed}
        return [*first, *asks]

    # -- from the units -------------------------------------------------------------------------------------------

    def receive(self, message: Message, now: Stamp) -> Iterable[Event]:
        """A bad answer is none: the link may be lost with it, and the BadFrame follows."""
        if message.address not in self.listens():
            raise BadFrame("unknown", f"{message.address} is not of this pile")
        if message.fault:
            yield from self._failed(message, now)
            return
        try:
            told = self._told(message, now)
        except BadFrame:
            yield from self._presence.failed(message.address, "malformed", now)
            raise
        yield from self._presence.answered(message.address, now)
        for event in told:
            yield event
            if self._presence.lost(event.outlet):  # half of it is out of reach: nothing may be sold there
                yield LinkLost(at=now.at, steady_s=now.steady_s, outlet=event.outlet)
        yield from self._proven(message, now)

    def _failed(self, message: Message, now: Stamp) -> Iterable[Event]:
        yield from self._presence.failed(message.address, message.fault, now)
        if message.fault == EXCEPTION:  # asked for the mode of an input that it has not got
            yield from self._proven(message, now)

    def _told(self, message: Message, now: Stamp) -> Sequence[Reading | RelayReported]:
        channel = self._channel_of.get(message.address)
        if channel is None:
            return self._board_told(message, now)
        reading = self._meters[channel].receive(message, now)
        return [] if reading is None else [reading]

    def _board_told(self, message: Message, now: Stamp) -> Sequence[RelayReported]:
        reply = modbus.read_reply(message.payload)
        if message.asked != self._coils:
            self._mode_told(message, reply)
            return []
        bits = modbus.bits_of(reply)
        if reply.function != modbus.READ_COILS or len(bits) < len(self._outlets):
            raise BadFrame("length", f"{len(bits)} relays, and {len(self._outlets)} were asked for")
        return [
            RelayReported(at=now.at, steady_s=now.steady_s, outlet=outlet, on=on)
            for outlet, on in zip(self._outlets, bits, strict=False)
            if outlet
        ]

    def _mode_told(self, message: Message, reply: modbus.Frame) -> None:
        if reply.function != modbus.READ_HOLDING or modbus.registers_of(reply) == (0,):
            return
        awaited = (message.address, message.asked)
        self._attached |= {outlet for outlet, needed in self._unproven.items() if awaited in needed}

    def _proven(self, message: Message, now: Stamp) -> Iterable[Event]:
        """Whose last awaited answer this is."""
        awaited = (message.address, message.asked)
        for outlet in [outlet for outlet, needed in self._unproven.items() if awaited in needed]:
            self._unproven[outlet].discard(awaited)
            if not self._unproven[outlet]:
                del self._unproven[outlet]
                for setting, value in self._settings(outlet).items():
                    yield SettingReported(at=now.at, steady_s=now.steady_s, outlet=outlet, setting=setting, value=value)

    def _settings(self, outlet: str) -> Mapping[str, float]:
        told = {**SETTINGS, "inputs_detached": float(outlet not in self._attached)}
        return told if self._watchdog is None else {**told, "watchdog_s": self._watchdog.s}
