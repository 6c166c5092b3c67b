"""Outlets made of one relay of a board and one meter each, on one bus: a driver for any board with any meters.

Relays are believed by their coils alone: an adapter that hears itself returns an order as if the board had obeyed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from controller.core.errors import BadFrame
from controller.core.events import (
    DeviceRestarted,
    Event,
    FirmwareReported,
    LinkLost,
    Reading,
    RelayReported,
    SettingReported,
    Stamp,
)
from controller.core.state import Rules
from firmware_bridge.codecs import modbus
from firmware_bridge.codecs.modbus import OFF, ON, WRITE_COIL, Frame
from firmware_bridge.drivers.board_params import Params
from firmware_bridge.drivers.bus_meters import METERS, Meter
from firmware_bridge.drivers.falls import Falls
from firmware_bridge.drivers.presence import UNCOUNTED, Presence
from firmware_bridge.drivers.units import modbus_unit
from firmware_bridge.wire import AskNow, Message, Pile, Provision, SetInputs, SwitchOff, SwitchOn, Wish

Told = Reading | RelayReported | FirmwareReported | DeviceRestarted

EXCEPTION = "exception"  # the fault of a unit that refuses
NO_FUNCTION, NO_ADDRESS = b"\x01", b"\x02"  # and why
COILS_AT_ONCE = 8  # a board of four answers eight as well
UNTOLD = -1.0
NO_POWER_W = Rules().no_power_w


class Relays(msgspec.Struct, frozen=True):
    """What tells one family of boards from another: what switches on (unit, channel, seconds), and its settings."""

    on: Callable[[int, int, float], Frame]
    leased: bool = True  # its ON ends by itself
    detach: Callable[[int, int], tuple[Frame, Frame]] | None = None  # let no input switch it; and ask for that (0)
    ask_version: Callable[[int], Frame] | None = None
    read_version: Callable[[Frame], str] = lambda reply: ""


class Composite:
    """One board and its meters. It remembers who answers, and what a Provision still waits for."""

    def __init__(self, pile: Pile, relays: Relays, params: Params) -> None:
        self._board = pile.address
        self._unit = modbus_unit(pile.address)
        self._outlets = pile.outlets
        self._relays = relays
        self._watchdog = params.watchdog
        self._meters = {
            channel: Meter(outlet, meter.address, METERS[meter.family](meter.address))
            for channel, (outlet, meter) in enumerate(zip(pile.outlets, params.meters, strict=False))
            if outlet and meter is not None
        }
        self._channel_of = {meter.address: channel for channel, meter in self._meters.items()}
        self._units = (self._board, *self._channel_of)
        count = -(-max(1, len(pile.outlets)) // COILS_AT_ONCE) * COILS_AT_ONCE
        self._coils = modbus.encode(modbus.ask(self._unit, modbus.READ_COILS, 0, count))
        self._presence = Presence({outlet: self.addresses_of(outlet) for outlet in pile.outlets if outlet})
        self._unproven: dict[str, set[tuple[str, bytes]]] = {}  # what a Provision has yet to hear answered, by outlet
        self._attached: set[str] = set()  # outlets that an input could switch
        self._detaches = relays.detach is not None  # till the board refuses: then it has no inputs
        self._falls = Falls()
        self._off_on_its_way: set[int] = set()  # channels whose OFF the board may not have heard yet
        self._modes = {ask.payload for channel in range(len(pile.outlets)) for ask in self._detach(channel)}
        self._version = b"" if relays.ask_version is None else modbus.encode(relays.ask_version(self._unit))
        self._version_told = not self._version

    def listens(self) -> Sequence[str]:
        return self._units

    def addresses_of(self, outlet: str) -> Sequence[str]:
        meter = self._meters.get(self._outlets.index(outlet))
        return [self._board] if meter is None else [self._board, meter.address]

    # -- to the units ---------------------------------------------------------------------------------------------

    def polls(self, now: Stamp) -> Sequence[Message]:
        return self._asks() if self._version_told else [*self._asks(), Message(self._board, self._version)]

    def orders(self, wish: Wish) -> Sequence[Message]:
        match wish:
            case SwitchOn():
                return self._switch_on(wish)
            case SwitchOff():
                self._off_on_its_way.add(wish.channel)
                self._falls.off(wish.channel)
                off = self._order(self._coil(wish.channel, OFF), f"relay:{wish.channel}")
                return [off, *self._asks([wish.channel])]
            case Provision():
                return self._provision()
            case AskNow():
                return self._asks()
            case SetInputs():
                return []

    def _switch_on(self, wish: SwitchOn) -> Sequence[Message]:
        if not self._relays.leased and self._watchdog is None:
            return []  # it would be an ON without an end
        on = self._order(self._relays.on(self._unit, wish.channel, wish.lease_s), f"relay:{wish.channel}")
        self._falls.ordered(wish, on.payload)
        return [on, *self._pulse(), Message(self._board, self._coils)]

    def _pulse(self) -> Sequence[Message]:
        """The timer counts from the moment at which the contact closes; one that stays closed pulses no more."""
        if self._watchdog is None:
            return []
        close, release = (self._coil(self._watchdog.channel, value) for value in (ON, OFF))
        return [self._order(close, "watchdog:close"), self._order(release, "watchdog:release")]

    def _coil(self, channel: int, value: int) -> Frame:
        return modbus.write_one(self._unit, WRITE_COIL, channel, value)

    def _order(self, frame: Frame, slot: str = "") -> Message:
        return Message(self._board, modbus.encode(frame), slot=slot)

    def _asks(self, channels: Iterable[int] | None = None) -> list[Message]:
        """Relays, then the meters of these channels, or of all."""
        meters = self._meters.values() if channels is None else [self._meters[c] for c in channels if c in self._meters]
        return [Message(self._board, self._coils), *(ask for meter in meters for ask in meter.asks())]

    def _provision(self) -> Sequence[Message]:
        """Settings are told once board and meter have really answered."""
        asks, first = self._asks(), []
        unproven: dict[str, set[tuple[str, bytes]]] = {}
        for channel, outlet in enumerate(self._outlets):
            if outlet:
                detach = self._detach(channel)
                first += detach
                meter = self._meters.get(channel)
                needed = [*detach[-1:], asks[0], *([] if meter is None else meter.asks())]
                unproven[outlet] = {(ask.address, ask.payload) for ask in needed}
        self._attached.clear()
        self._unproven = unproven
        return [*first, *asks]

    def _detach(self, channel: int) -> list[Message]:
        if self._relays.detach is None or not self._detaches:
            return []
        return [self._order(frame) for frame in self._relays.detach(self._unit, channel)]

    # -- from the units -------------------------------------------------------------------------------------------

    def receive(self, message: Message, now: Stamp) -> Iterable[Event]:
        """A bad answer is none: the link may be lost with it, and the BadFrame follows."""
        if message.address not in self._units:
            raise BadFrame("unknown", f"{message.address} is not of this pile")
        if message.address == self._board:  # an OFF goes before all else: it has left by now, if it could
            self._off_on_its_way.clear()
        if message.fault:
            yield from self._failed(message, now)
            return
        try:
            told = self._told(message, now)
        except BadFrame:
            yield from self._lost(message.address, "malformed", now)
            raise
        if told or message.address == self._board:  # a meter that never gets to a reading measures nothing
            yield from self._presence.answered(message.address, now)
        for event in told:
            yield from self._within_reach(event, now)
        yield from self._proven(message, now)

    def _within_reach(self, event: Told, now: Stamp) -> Iterable[Event]:
        """Half of an outlet brings it back no more. Power is told all the same; that there is none, of a board that is
        away, is no news: a reading would be taken for an outlet that can be sold."""
        if not self._presence.lost(event.outlet):
            yield event
            return
        if not isinstance(event, Reading) or event.power_w >= NO_POWER_W:
            yield event
        yield LinkLost(at=now.at, steady_s=now.steady_s, outlet=event.outlet)

    def _failed(self, message: Message, now: Stamp) -> Iterable[Event]:
        yield from self._lost(message.address, message.fault, now)
        if message.fault == EXCEPTION and _has_not(message):  # the mode of an input, or a version
            self._version_told = self._version_told or message.asked == self._version
            self._detaches = self._detaches and message.asked not in self._modes
            yield from self._proven(message, now)

    def _lost(self, address: str, fault: str, now: Stamp) -> Iterable[Event]:
        lost = self._presence.failed(address, fault, now)
        if address == self._board and fault not in UNCOUNTED:
            self._falls.silent()
        if address == self._board and self._presence.away(address):  # who comes back may be another one
            self._version_told, self._detaches = not self._version, self._relays.detach is not None
        return lost

    def _told(self, message: Message, now: Stamp) -> Sequence[Told]:
        channel = self._channel_of.get(message.address)
        if channel is None:
            return self._board_told(message, now)
        reading = self._meters[channel].receive(message, now)
        # measured before the OFF left, and heard after it was ordered, it would prove what has not happened yet
        return [] if reading is None or channel in self._off_on_its_way else [reading]

    def _board_told(self, message: Message, now: Stamp) -> Sequence[Told]:
        reply = modbus.read_reply(message.payload)
        self._falls.answered(message.asked, now.steady_s)
        if message.asked == self._coils:
            return self._coils_told(reply, now)
        if message.asked == self._version:
            return self._version_is(self._relays.read_version(reply), now)
        self._mode_told(message, reply)
        return []

    def _coils_told(self, reply: Frame, now: Stamp) -> Sequence[Told]:
        bits = modbus.bits_of(reply)
        if reply.function != modbus.READ_COILS or len(bits) < len(self._outlets):
            raise BadFrame("length", f"{len(bits)} relays, and {len(self._outlets)} were asked for")
        ours = [(channel, outlet) for channel, outlet in enumerate(self._outlets) if outlet]
        fallen = self._falls.fallen(bits, now.steady_s)
        return [
            *(
                DeviceRestarted(at=now.at, steady_s=now.steady_s, outlet=outlet, cause="relays_opened")
                for channel, outlet in ours
                if channel in fallen
            ),
            *(
                RelayReported(at=now.at, steady_s=now.steady_s, outlet=outlet, on=bits[channel])
                for channel, outlet in ours
            ),
        ]

    def _version_is(self, version: str, now: Stamp) -> Sequence[FirmwareReported]:
        self._version_told = True
        return [
            FirmwareReported(at=now.at, steady_s=now.steady_s, outlet=outlet, firmware=version)
            for outlet in self._outlets
            if outlet
        ]

    def _mode_told(self, message: Message, reply: Frame) -> None:
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
        metered = float(self._outlets.index(outlet) in self._meters)  # behind the relay, and with a counter of its own
        told = {
            "power_up_off": UNTOLD,  # no board says: who proves it has to see the mains return
            "sees_power_when_off": metered,
            "own_counter": metered,
            "inputs_detached": float(outlet not in self._attached),
        }
        by_watchdog = self._watchdog is not None and not self._relays.leased
        return {**told, "watchdog_s": self._watchdog.s} if self._watchdog and by_watchdog else told


def _has_not(refused: Message) -> bool:
    """It knows no such function or register; busy is another matter."""
    return refused.payload[2:3] in (NO_FUNCTION, NO_ADDRESS)
