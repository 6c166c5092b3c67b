"""Sockets of one's own make with ESPHome: the YAML in the docs holds the lease on the device, here is its other end.

Which topics mean what is a profile: told by the device itself (our YAML keeps it on the broker) or by the settings. It
stands in the pile's params, so that a pile is kept with it. The plain switch topic is never used: it gives no end.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec

from controller.core.errors import BadFrame
from controller.core.events import (
    DeviceRestarted,
    Event,
    HazardReported,
    LinkLost,
    LinkUp,
    PileFound,
    Reading,
    RelayReported,
    SettingReported,
    Stamp,
)
from controller.core.reasons import StopReason
from firmware_bridge.codecs import esphome as codec
from firmware_bridge.wire import (
    AskNow,
    Capabilities,
    LeaseClass,
    Message,
    Pile,
    Provision,
    SetInputs,
    SwitchOff,
    SwitchOn,
    Wish,
)

Handler = Callable[[bytes, Stamp], Iterable[Event]]

NAME = "esphome"
PROFILE = "anchong"  # <prefix>/anchong: what the device says of itself, kept on the broker
DISCOVERY: tuple[str, ...] = (f"+/{PROFILE}", f"+/+/{PROFILE}")
CAPABILITIES = Capabilities(lease_class=LeaseClass.RENEWED, lease_s_max=codec.LEASE_S_MAX, meters=True)
SURGE = 1.5  # the device's own limit stands above ours, which explains itself
TOGETHER_S = 5.0  # power and counter come in two messages of one moment
BESIDE_S = 15.0  # the mains' voltage hardly moves, and is told with the next round
RECENT_S = 900.0  # a start that we may have missed
BARE = 2  # the first may have been said just before the ON
HAZARDS = {"overload": StopReason.OVERLOAD, "overheat": StopReason.OVERHEAT}


def discover(message: Message, now: Stamp) -> Sequence[PileFound]:
    prefix, _, leaf = message.address.rpartition("/")
    if leaf != PROFILE or not prefix or not message.payload:
        return ()
    return [found(msgspec.structs.replace(codec.read_profile(message.payload), prefix=prefix), now)]


def found(profile: codec.Profile, now: Stamp) -> PileFound:
    return PileFound(
        at=now.at,
        steady_s=now.steady_s,
        family=NAME,
        address=profile.prefix,
        model=profile.name[:64],
        firmware=profile.firmware[:64],
        channels=len(profile.outlets),
        params=msgspec.to_builtins(profile),
        lease_class=str(CAPABILITIES.lease_class),
        lease_s_max=CAPABILITIES.lease_s_max,
    )


def introduce(message: Message) -> Sequence[Message]:
    """Its profile says all."""
    return ()


def open(pile: Pile) -> "Esphome":  # noqa: A001 the word of the Family protocol
    return Esphome(pile)


def retained_commands(pile: Pile) -> Sequence[str]:
    own = _profile(pile)
    leases = [_lease_topic(own, channel) for channel in range(len(own.outlets))]
    return [*leases, *(f"{own.prefix}/switch/{outlet.switch}/command" for outlet in own.outlets)]


def _profile(pile: Pile) -> codec.Profile:
    return msgspec.convert({**pile.params, "prefix": pile.address}, codec.Profile)


def _lease_topic(own: codec.Profile, channel: int) -> str:
    return own.outlets[channel].lease or f"{own.prefix}/outlet/{channel + 1}/lease"


class _Socket(msgspec.Struct):
    """What we remember of one: figures come one by one."""

    outlet: str
    on: bool | None = None
    leased: bool = False
    bare: int = 0  # so often in a row it was on without a lease
    figures: dict[str, tuple[float, float]] = msgspec.field(default_factory=dict)  # with when (steady) each was told
    settings: dict[str, float] = msgspec.field(default_factory=dict)  # told since the last provisioning


class Esphome:
    """One device. Its figures are joined with those of the same moment alone."""

    def __init__(self, pile: Pile) -> None:
        self._own = _profile(pile)
        outlets = zip(range(len(self._own.outlets)), pile.outlets, strict=False)
        self._sockets = {channel: _Socket(outlet) for channel, outlet in outlets if outlet}
        self._boot = ""
        self._obeyed = False  # something was ordered of it, so it is no news that it once started
        self._handlers: dict[str, Handler] = {f"{self._own.prefix}/boot": self._started}
        for channel in self._sockets:
            self._handlers |= self._of_socket(channel)
        self._status = f"{self._own.prefix}/status"

    def _of_socket(self, channel: int) -> dict[str, Handler]:
        outlet, own = self._own.outlets[channel], f"{self._own.prefix}/outlet/{channel + 1}"
        sensors = {"power": self._power, "energy": self._energy, "voltage": self._voltage, "current": self._current}
        handlers: dict[str, Handler] = {
            f"{self._own.prefix}/sensor/{getattr(outlet, name)}/state": partial(handler, channel)
            for name, handler in sensors.items()
            if getattr(outlet, name)
        }
        handlers[f"{self._own.prefix}/switch/{outlet.switch}/state"] = partial(self._relay, channel)
        for leaf, handler in (("left", self._left), ("settings", self._settings), ("hazard", self._hazard)):
            handlers[f"{own}/{leaf}"] = partial(handler, channel)
        return handlers

    def listens(self) -> Sequence[str]:
        return (self._status, *self._handlers)

    def polls(self, now: Stamp) -> Sequence[Message]:
        return ()

    # -- to the device --------------------------------------------------------------------------------------------

    def orders(self, wish: Wish) -> Sequence[Message]:
        self._obeyed = self._obeyed or isinstance(wish, SwitchOn | Provision)
        match wish:
            case SwitchOn():
                return [self._lease(wish.channel, max(1.0, wish.lease_s))]
            case SwitchOff():
                return [self._lease(wish.channel, 0)]
            case Provision():
                return self._provision(wish)
            case SetInputs():
                return ()
            case AskNow():
                return self._ask()

    def _lease(self, channel: int, seconds: float) -> Message:
        """The ON is its end; nothing here can be on without one."""
        if channel in self._sockets:
            self._sockets[channel].leased = seconds > 0
        return Message(_lease_topic(self._own, channel), codec.lease(seconds))

    def _provision(self, wish: Provision) -> Sequence[Message]:
        for socket in self._sockets.values():
            socket.settings.clear()
        watts = None if wish.power_w is None else codec.limit(wish.power_w * SURGE)
        topics = (f"{self._own.prefix}/outlet/{channel + 1}/limit" for channel in self._sockets)
        limits = [] if watts is None or not self._own.ask else [Message(topic, watts) for topic in topics]
        return [*limits, *self._ask()]

    def _ask(self) -> Sequence[Message]:
        """A YAML that does not answer reports by itself, as often as it says."""
        return [Message(f"{self._own.prefix}/ask", b"1")] if self._own.ask else ()

    # -- from the device ------------------------------------------------------------------------------------------

    def receive(self, message: Message, now: Stamp) -> Iterable[Event]:
        if message.address == self._status:
            return self._available(message.payload, now)
        handler = self._handlers.get(message.address)
        if handler is None:
            raise BadFrame("unknown", f"{message.address} is not of this pile")
        if message.retained:
            return ()  # ESPHome keeps its states on the broker: old news proves nothing
        return handler(message.payload, now)

    def _available(self, payload: bytes, now: Stamp) -> Iterable[Event]:
        kind = LinkUp if codec.read_available(payload) else LinkLost
        return [kind(at=now.at, steady_s=now.steady_s, outlet=socket.outlet) for socket in self._sockets.values()]

    def _started(self, payload: bytes, now: Stamp) -> Iterable[Event]:
        told, before = codec.read_boot(payload), self._boot
        self._boot = told.boot
        if before == told.boot or (not before and (self._obeyed or told.up_s >= RECENT_S)):
            return ()
        return [
            DeviceRestarted(at=now.at, steady_s=now.steady_s, outlet=socket.outlet, cause="boot", up_s=told.up_s)
            for socket in self._sockets.values()
        ]

    def _relay(self, channel: int, payload: bytes, now: Stamp) -> Iterable[Event]:
        socket = self._sockets[channel]
        socket.on = codec.read_on(payload)
        yield RelayReported(at=now.at, steady_s=now.steady_s, outlet=socket.outlet, on=socket.on)
        yield from self._of_the_profile(channel, now)

    def _of_the_profile(self, channel: int, now: Stamp) -> Iterable[Event]:
        """What is settled without the device's word; one that is not asked may be long in saying anything."""
        socket = self._sockets[channel]
        yield from self._setting(socket, "inputs_detached", 1.0, now)
        if not self._own.outlets[channel].energy:
            yield from self._setting(socket, "own_counter", 0.0, now)
        if not self._own.ask:
            yield from self._setting(socket, "power_up_off", -1.0, now)  # it can't say

    def _power(self, channel: int, payload: bytes, now: Stamp) -> Iterable[Event]:
        """At once, without the counter, which is told just after it."""
        socket, power_w = self._sockets[channel], abs(codec.read_figure(payload, self._own.power_unit))
        socket.figures["power"] = power_w, now.steady_s
        yield from self._of_the_profile(channel, now)
        if not socket.leased and socket.on is not True:
            yield from self._setting(socket, "sees_power_when_off", 1.0, now)
        yield self._reading(socket, power_w, None, now)

    def _energy(self, channel: int, payload: bytes, now: Stamp) -> Iterable[Event]:
        socket = self._sockets[channel]
        energy_wh = codec.read_figure(payload, self._own.energy_unit)
        yield from self._setting(socket, "own_counter", 1.0, now)
        power_w = self._told(socket, "power", now, TOGETHER_S)
        if power_w is not None:
            yield self._reading(socket, power_w, energy_wh, now)

    def _told(self, socket: _Socket, figure: str, now: Stamp, within_s: float) -> float | None:
        value, at_s = socket.figures.get(figure, (0.0, -math.inf))
        return value if now.steady_s - at_s <= within_s else None

    def _reading(self, socket: _Socket, power_w: float, energy_wh: float | None, now: Stamp) -> Reading:
        return Reading(
            at=now.at,
            steady_s=now.steady_s,
            outlet=socket.outlet,
            power_w=power_w,
            energy_wh=energy_wh,
            voltage_v=self._told(socket, "voltage", now, BESIDE_S),
            current_a=self._told(socket, "current", now, TOGETHER_S),
        )

    def _voltage(self, channel: int, payload: bytes, now: Stamp) -> Iterable[Event]:
        self._sockets[channel].figures["voltage"] = codec.read_figure(payload, "V"), now.steady_s
        return ()

    def _current(self, channel: int, payload: bytes, now: Stamp) -> Iterable[Event]:
        self._sockets[channel].figures["current"] = abs(codec.read_figure(payload, "A")), now.steady_s
        return ()

    def _left(self, channel: int, payload: bytes, now: Stamp) -> Iterable[Event]:
        """On by our word, and no lease runs, as it says twice: somebody's own YAML has lost it."""
        socket, left_s = self._sockets[channel], codec.read_left_s(payload)
        bare = socket.leased and socket.on is True and left_s == 0
        socket.bare = socket.bare + 1 if bare else 0
        if socket.bare == BARE:
            reason = StopReason.RELAY_FAULT
            yield HazardReported(at=now.at, steady_s=now.steady_s, outlet=socket.outlet, reason=reason)

    def _settings(self, channel: int, payload: bytes, now: Stamp) -> Iterable[Event]:
        told, socket = codec.read_settings(payload), self._sockets[channel]
        yield from self._setting(socket, "power_up_off", float(told.power_up == "off"), now)
        yield from self._setting(socket, "lease_s", told.lease_s, now)

    def _hazard(self, channel: int, payload: bytes, now: Stamp) -> Iterable[Event]:
        """A word we don't know is not a reason to go on."""
        reason = HAZARDS.get(codec.read_hazard(payload), StopReason.DEVICE_STOP)
        outlet = self._sockets[channel].outlet
        return [HazardReported(at=now.at, steady_s=now.steady_s, outlet=outlet, reason=reason)]

    def _setting(self, socket: _Socket, setting: str, value: float, now: Stamp) -> Iterable[Event]:
        """When it changes, and once after each provisioning."""
        if socket.settings.get(setting) != value:
            socket.settings[setting] = value
            yield SettingReported(
                at=now.at, steady_s=now.steady_s, outlet=socket.outlet, setting=setting, value=float(value)
            )
