"""Plugs behind a Zigbee2MQTT: the lease is a timer in the plug, set with the ON or, with Tuya's modules, just after it.

The bridge repeats what it knows of a device in each of its messages, so what stands there need not be new; what must be
new is asked for (`zigbee2mqtt_memory`). Commands go to the IEEE address, which the bridge obeys under any name; what
the device says comes under its name, and the driver follows that.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec import Raw

from controller.core.errors import BadFrame
from controller.core.events import (
    DeviceRestarted,
    Event,
    HazardReported,
    LinkLost,
    LinkUp,
    Reading,
    RelayReported,
    SettingReported,
    Stamp,
)
from firmware_bridge.codecs import zigbee2mqtt as codec
from firmware_bridge.codecs import zigbee2mqtt_names as names
from firmware_bridge.drivers.zigbee2mqtt_found import DISCOVERY, NAME, discover, introduce
from firmware_bridge.drivers.zigbee2mqtt_memory import Memory
from firmware_bridge.drivers.zigbee2mqtt_questions import (
    NamesOf,
    can_ask,
    commanded,
    everything,
    figures,
    get,
    questions,
    set_topic,
    urgent,
    wary,
)
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

__all__ = ["CAPABILITIES", "DISCOVERY", "NAME", "discover", "introduce", "open", "retained_commands"]

Handler = Callable[[Message, Stamp], Iterable[Event]]
Said = Mapping[str, Raw]

LEASE_S_MAX = 240  # some of Tuya's modules count to 255 and begin anew: 256 s would be no timer at all
ASKED_EVERY_S = 10.0
FULL_TURNS = 3  # every third turn asks for all figures
CAPABILITIES = Capabilities(
    lease_class=LeaseClass.RENEWED, lease_s_max=LEASE_S_MAX, meters=True, asked_every_s=ASKED_EVERY_S
)
LOCKED = "LOCK"  # else its button gives an ON without an end


def open(pile: Pile) -> "Zigbee2Mqtt":  # noqa: A001 the word of the Family protocol
    return Zigbee2Mqtt(pile)


def retained_commands(pile: Pile) -> Sequence[str]:
    own = _address(pile)
    endpoints = [socket.endpoint for socket in own.sockets if socket.endpoint]
    leaves = ["set", "set/state", *(f"{endpoint}/set" for endpoint in endpoints)]
    leaves += [f"{endpoint}/set/state" for endpoint in endpoints] + [f"set/{socket.state}" for socket in own.sockets]
    return list(dict.fromkeys(f"{topic}/{leaf}" for topic in (own.topic, commanded(own)) for leaf in leaves))


def _address(pile: Pile) -> names.Address:
    return msgspec.convert({"ieee": pile.address, **pile.params}, names.Address)


def _place(name: str, order: Sequence[str]) -> int | None:
    """By the how-manieth message it is answered; None: it was not asked for."""
    return order.index(name) + 1 if name in order else None


class Zigbee2Mqtt:
    """One device. It remembers nothing that a restart of ours, or a question, would not bring back."""

    def __init__(self, pile: Pile) -> None:
        self._own = _address(pile)
        sockets = enumerate(zip(self._own.sockets, pile.outlets, strict=False))
        self._ours = {channel: (socket, outlet) for channel, (socket, outlet) in sockets if outlet}
        self._memory = {channel: Memory() for channel in self._ours}
        self._turns = 0
        self._common: dict[str, Handler] = {
            f"{self._own.base}/{names.STATE}": self._bridge,
            f"{self._own.base}/{names.DEVICES}": self._listed,
            f"{self._own.base}/{names.EVENT}": self._happened,
        }

    def listens(self) -> Sequence[str]:
        return (self._own.topic, f"{self._own.topic}/availability")

    def overhears(self) -> Sequence[str]:
        return tuple(self._common)

    def polls(self, now: Stamp) -> Sequence[Message]:
        """The air is shared by all: what is off, and has shown it, is asked seldom; of the others first the power."""
        self._turns += 1
        if self._turns % FULL_TURNS == 0:
            return self._asked(figures)
        if all(memory.settled for memory in self._memory.values()):
            return ()
        return self._asked(wary if any(memory.doubts_timer for memory in self._memory.values()) else urgent)

    # -- to the device --------------------------------------------------------------------------------------------

    def orders(self, wish: Wish) -> Sequence[Message]:
        match wish:
            case SwitchOn():
                return self._switch_on(wish)
            case SwitchOff():
                if wish.channel in self._memory:
                    self._memory[wish.channel].ordered(on=False)
                return [self._set(self._socket(wish.channel), codec.switch_off())]
            case Provision():
                return self._provision()
            case SetInputs():
                return ()  # no plug has any
            case AskNow():
                return self._asked(everything)

    def _switch_on(self, wish: SwitchOn) -> Sequence[Message]:
        """In one message with its end, and the question whether it is done: the bridge does not say so by itself."""
        socket, memory = self._socket(wish.channel), self._memory.get(wish.channel, Memory())
        renews = memory.leased and memory.on is True
        if not self._own.timer:
            return ()
        lease_s = min(max(wish.lease_s, 1.0), LEASE_S_MAX)  # one that is cut short is safe
        memory.ordered(on=True)
        if self._own.timer == names.ON_TIME:
            order = codec.switch_on(lease_s)
        else:
            # an ON ends the countdown, and the next one may get lost on the air: alone, it can't leave the plug bare
            order = codec.count_down(int(lease_s), switch_on=not renews)
        return [self._set(socket, order), get(self._own, [socket.state])]

    def _provision(self) -> Sequence[Message]:
        """Each setting is echoed by the bridge, before anything that is asked for is answered."""
        settings = [self._setting(name, value) for name, value in self._wanted().items()]
        asked = self._asked(everything)
        _, order = questions(self._own, {channel: everything(socket) for channel, (socket, _) in self._ours.items()})
        for channel, (socket, _) in self._ours.items():
            self._memory[channel].provisioned(len(settings) + (_place(socket.memory, order) or 0))
        return [*settings, *asked]

    def _wanted(self) -> Mapping[str, str | bool]:
        memories = {socket.memory: socket.memory_off for socket, _ in self._ours.values() if socket.memory}
        return memories | {socket.lock: LOCKED for socket, _ in self._ours.values() if socket.lock}

    def _asked(self, names_of: NamesOf) -> Sequence[Message]:
        asked = {channel: names_of(socket) for channel, (socket, _) in self._ours.items()}
        messages, order = questions(self._own, asked)
        for channel, (socket, _) in self._ours.items():
            self._memory[channel].asked(_place(socket.power, order), _place(socket.countdown, order))
        return messages

    def _socket(self, channel: int) -> names.Socket:
        return self._own.sockets[channel]

    def _set(self, socket: names.Socket, order: bytes) -> Message:
        return Message(set_topic(self._own, socket), order)

    def _setting(self, name: str, value: str | bool) -> Message:
        return Message(f"{commanded(self._own)}/set", codec.setting(name, value))

    # -- from the bridge ------------------------------------------------------------------------------------------

    def receive(self, message: Message, now: Stamp) -> Iterable[Event]:
        if not message.payload:
            return ()  # a bridge empties what it has kept of a name that is no longer
        if message.address in self._common:
            return self._common[message.address](message, now)
        if message.address == self._own.topic:
            return self._said(message, now)
        if message.address == f"{self._own.topic}/availability":
            kind = LinkUp if codec.read_available(message.payload) else LinkLost
            return self._each(kind, now)
        raise BadFrame("unknown", f"{message.address} is not of this pile")

    def _bridge(self, message: Message, now: Stamp) -> Iterable[Event]:
        """Back, it repeats what it knew before it went, which need not be true any more."""
        if not codec.read_available(message.payload):
            return self._each(LinkLost, now)
        for memory in self._memory.values():
            memory.distrust()
        return ()

    def _listed(self, message: Message, now: Stamp) -> Iterable[Event]:
        for device in names.read_devices(message.payload):
            if device.ieee_address == self._own.ieee:
                self._own = msgspec.structs.replace(self._own, topic=names.topic_of(self._own.base, device))
                return self._each(LinkLost, now) if device.disabled else ()
        return self._each(LinkLost, now)

    def _happened(self, message: Message, now: Stamp) -> Iterable[Event]:
        """A plug announces itself when it starts; one that has only found its way back is taken for started, too."""
        event = names.read_event(message.payload)
        if message.retained or event.type != "device_announce" or event.data.ieee_address != self._own.ieee:
            return ()
        return [
            DeviceRestarted(at=now.at, steady_s=now.steady_s, outlet=outlet, cause="announce")
            for _, outlet in self._ours.values()
        ]

    def _each(self, kind: type[LinkUp] | type[LinkLost], now: Stamp) -> list[Event]:
        return [kind(at=now.at, steady_s=now.steady_s, outlet=outlet) for _, outlet in self._ours.values()]

    # -- from the device ------------------------------------------------------------------------------------------

    def _said(self, message: Message, now: Stamp) -> Iterable[Event]:
        """Kept by the broker, it proves nothing."""
        if message.retained:
            return ()
        said = codec.read_said(message.payload)
        return [event for channel in self._ours for event in self._of(channel, said, now)]

    def _of(self, channel: int, said: Said, now: Stamp) -> Iterable[Event]:
        (socket, outlet), memory = self._ours[channel], self._memory[channel]
        on = codec.switched(said, socket.state)
        if on is not None:
            memory.switched(on=on)
            yield RelayReported(at=now.at, steady_s=now.steady_s, outlet=outlet, on=on)
        if socket.countdown:
            reason = memory.newly_wrong(codec.figure(said, socket.countdown, "countdown"), now.steady_s)
            if reason is not None:
                yield HazardReported(at=now.at, steady_s=now.steady_s, outlet=outlet, reason=reason)
        reading = self._reading(socket, outlet, said, now)
        asks = can_ask(socket, socket.power)
        new = reading is not None and memory.is_new(reading.power_w, now.steady_s, can_ask=asks)
        yield from self._settings(channel, said, now, seen_off=new and memory.on is False)
        if reading is not None and new:
            yield reading

    def _reading(self, socket: names.Socket, outlet: str, said: Said, now: Stamp) -> Reading | None:
        power_w = codec.figure(said, socket.power, "power")
        if power_w is None:
            return None
        energy_kwh = codec.figure(said, socket.energy, "energy")
        current_a = codec.figure(said, socket.current, "current")
        return Reading(
            at=now.at,
            steady_s=now.steady_s,
            outlet=outlet,
            power_w=abs(float(power_w)),
            energy_wh=None if energy_kwh is None else round(energy_kwh * 1000, 3),
            voltage_v=codec.figure(said, socket.voltage, "voltage"),
            current_a=None if current_a is None else abs(float(current_a)),
            temperature_c=codec.figure(said, socket.temperature, "temperature"),
        )

    def _settings(self, channel: int, said: Said, now: Stamp, *, seen_off: bool) -> Iterable[Event]:
        socket, _ = self._ours[channel]
        yield from self._setting_told(channel, "inputs_detached", 0.0 if self._own.has_inputs else 1.0, now)
        if not socket.power or not socket.energy:
            yield from self._setting_told(channel, "own_counter", 0.0, now)
        elif codec.figure(said, socket.energy, "energy") is not None:
            yield from self._setting_told(channel, "own_counter", 1.0, now)
        if seen_off:
            yield from self._setting_told(channel, "sees_power_when_off", 1.0, now)
        yield from self._power_up(channel, said, now)

    def _power_up(self, channel: int, said: Said, now: Stamp) -> Iterable[Event]:
        """What the plug itself has answered; one that can't be asked for it can't say."""
        socket, _ = self._ours[channel]
        known = self._memory[channel].knows_setting(now.steady_s)
        if socket.memory not in socket.asked:
            yield from self._setting_told(channel, "power_up_off", -1.0, now)
        elif known and (memory := codec.choice(said, socket.memory)) is not None:
            yield from self._setting_told(channel, "power_up_off", float(memory == socket.memory_off), now)

    def _setting_told(self, channel: int, setting: str, value: float, now: Stamp) -> Iterable[Event]:
        """When it changes, and once after each provisioning."""
        told = self._memory[channel].settings
        if told.get(setting) != value:
            told[setting] = value
            outlet = self._ours[channel][1]
            yield SettingReported(at=now.at, steady_s=now.steady_s, outlet=outlet, setting=setting, value=value)
