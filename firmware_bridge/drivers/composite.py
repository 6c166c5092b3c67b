"""Outlets made of one relay of a board and one meter each, on one bus: a driver for any board with any meters.

Relays are believed by their coils alone: an adapter that hears itself returns an order as if the board had obeyed.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from controller.core.errors import BadFrame
from controller.core.events import (
    DeviceRestarted,
    Event,
    FirmwareReported,
    LinkLost,
    Reading,
    RelayReported,
    Stamp,
)
from controller.core.state import Rules
from firmware_bridge.codecs import modbus
from firmware_bridge.codecs.modbus import OFF, ON, WRITE_COIL, Frame
from firmware_bridge.drivers.board_params import Params
from firmware_bridge.drivers.bus_meters import METERS, Meter
from firmware_bridge.drivers.falls import Falls
from firmware_bridge.drivers.presence import OF_BEFORE, UNCOUNTED, Presence
from firmware_bridge.drivers.provisioning import Detach, Provisioning, has_not
from firmware_bridge.drivers.units import modbus_unit
from firmware_bridge.wire import AskNow, Message, Pile, Provision, SetInputs, SwitchOff, SwitchOn, Wish

Told = Reading | RelayReported | FirmwareReported | DeviceRestarted

EXCEPTION = "exception"  # the fault of a unit that refuses
COILS_AT_ONCE = 8  # a board of four answers eight as well
NO_POWER_W = Rules().no_power_w


class Relays(msgspec.Struct, frozen=True):
    """What tells one family of boards from another: what switches on (unit, channel, seconds), and its settings."""

    on: Callable[[int, int, float], Frame]
    leased: bool = True  # its ON ends by itself
    detach: Detach | None = None
    ask_version: Callable[[int], Frame] | None = None
    read_version: Callable[[Frame], str] = lambda reply: ""


class Composite:
    """One board and its meters. It remembers nothing that a few questions would not bring back."""

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
        by_watchdog = self._watchdog is not None and not relays.leased
        watchdog_s = self._watchdog.s if self._watchdog is not None and by_watchdog else None
        self._provisioning = Provisioning(self._board, self._unit, relays.detach, watchdog_s)
        self._falls = Falls()
        self._off_on_its_way: set[int] = set()  # channels whose OFF the board may not have heard yet
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
                return self._asks(None if wish.channel is None else [wish.channel])
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
        ours = [(channel, outlet) for channel, outlet in enumerate(self._outlets) if outlet]
        meters = {(c, outlet): self._meters[c].asks() if c in self._meters else [] for c, outlet in ours}
        asks = self._asks()
        return [*self._provisioning.begin(asks[0], meters), *asks]

    # -- from the units -------------------------------------------------------------------------------------------

    def receive(self, message: Message, now: Stamp) -> Iterable[Event]:
        """A bad answer is none: the link may be lost with it, and the BadFrame follows."""
        if message.address not in self._units:
            raise BadFrame("unknown", f"{message.address} is not of this pile")
        if message.address == self._board and message.fault not in OF_BEFORE:
            # an OFF goes before all else: it has left by now, if it could
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
        yield from self._provisioning.answered(message, now)

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
        if message.fault == EXCEPTION:
            self._version_told = self._version_told or (message.asked == self._version and has_not(message))
            yield from self._provisioning.refused(message, now)

    def _lost(self, address: str, fault: str, now: Stamp) -> Iterable[Event]:
        lost = self._presence.failed(address, fault, now)
        if address == self._board and fault not in UNCOUNTED:
            self._falls.silent()
        if address == self._board and self._presence.away(address):  # who comes back may be another one
            self._version_told = not self._version
            self._provisioning.another()
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
        self._provisioning.mode(message, reply)
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
