"""Shelly Gen2 and newer over MQTT RPC: toggle_after is the lease; answers and events are believed first."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec import UNSET, Raw

from controller.core.errors import BadFrame
from controller.core.events import (
    DeviceRestarted,
    Event,
    FirmwareReported,
    HazardReported,
    LinkLost,
    LinkUp,
    Reading,
    RelayReported,
    SettingReported,
    Stamp,
)
from firmware_bridge.codecs import shelly as codec
from firmware_bridge.codecs import shelly_names as names
from firmware_bridge.codecs.shelly import told
from firmware_bridge.contacts import Contacts
from firmware_bridge.drivers.shelly_found import DISCOVERY, NAME, discover, introduce
from firmware_bridge.drivers.shelly_memory import Memory
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

__all__ = ["CAPABILITIES", "DISCOVERY", "NAME", "Shelly", "discover", "introduce", "open", "retained_commands"]

LEASE_S_MAX = 900
REPORT_S = 10.0  # it speaks by itself of what changes; of a steady load once a minute, which is too seldom
CAPABILITIES = Capabilities(
    lease_class=LeaseClass.RENEWED, lease_s_max=LEASE_S_MAX, meters=True, asked_every_s=REPORT_S
)
BOOTED_S = 30  # a whole status comes with each connection; this soon after a start it means that there was one
RECENT_S = 900  # a start that we may have missed, while we were away ourselves; longer ago it is no news to anybody
SHIFTED_S = 30.0  # messages may be late; a start that moved by more is another one
IF_IT_CAN = "may:"  # begins the id of what not every model has
DETACHED: dict[str, object] = {"in_mode": "detached"}  # no contact at an input switches a relay
SURGE = 1.5  # the device's own limit stands above ours, which explains itself


def open(pile: Pile) -> "Shelly":  # noqa: A001 the word of the Family protocol
    return Shelly(pile)


def retained_commands(pile: Pile) -> Sequence[str]:
    """A request that the broker has kept is carried out at each reconnect as a command is."""
    own = _address(pile)
    switches = own.switches or range(len(pile.outlets))
    return [own.rpc, f"{own.prefix}/command", *(own.command(number) for number in switches)]


def _address(pile: Pile) -> names.Address:
    return msgspec.convert({"prefix": pile.address, **pile.params, "mac": pile.address}, names.Address)


class Shelly:
    """One device. Its relay is what events and answers say, its power what a message itself carries."""

    def __init__(self, pile: Pile) -> None:
        self._own = _address(pile)
        here = self._own.switches or range(len(pile.outlets))
        self._ours = {channel: outlet for channel, outlet in enumerate(pile.outlets) if outlet and channel in here}
        self._memory = {channel: Memory() for channel in self._ours}
        self._contacts = Contacts(pile.id)
        self._uptime: tuple[int, float] | None = None  # when we last heard it, and what it was
        self._obeyed = False  # something was ordered of it, so it is no news that it once started
        self._introduced = False  # since its link is up it has said what it runs
        self._handlers: dict[str, Handler] = {
            self._own.online: self._availability,
            self._own.events: self._notified,
            self._own.replies: self._answered,
        }
        self._handlers |= {self._own.status(channel): self._status_of(channel) for channel in self._ours}

    def listens(self) -> Sequence[str]:
        return tuple(self._handlers)

    def polls(self, now: Stamp) -> Sequence[Message]:
        return [*self._who(), *map(self._get_status, self._ours)]

    def _who(self) -> Sequence[Message]:
        """Another firmware comes with a restart; what it runs stands in no report."""
        return [] if self._introduced else [self._ask("who", "Shelly.GetDeviceInfo")]

    # -- to the device --------------------------------------------------------------------------------------------

    def orders(self, wish: Wish) -> Sequence[Message]:
        self._obeyed = self._obeyed or isinstance(wish, SwitchOn | Provision)
        match wish:
            case SwitchOn():
                return [self._set(wish.channel, on=True, lease_s=_lease(wish.lease_s))]
            case SwitchOff():
                return [self._set(wish.channel, on=False)]
            case Provision():
                return self._provision(wish)
            case AskNow():
                # first for how long it has run: a relay found off is another matter if the mains were gone
                switches = [self._ask("sys", "Sys.GetStatus"), *map(self._get_status, self._ours)]
                return [*self._who(), *switches, *map(self._get_input, wish.inputs)]
            case SetInputs():
                return list(self._set_inputs(wish.inputs))

    def _set(self, channel: int, *, on: bool, lease_s: float | None = None) -> Message:
        """Lease and ON are one request, so that no ON can arrive without its end; sent again it renews."""
        if channel in self._memory:
            self._memory[channel].leased = on
        id_ = f"{'on' if on else 'off'}:{channel}"
        return Message(self._own.rpc, codec.switch_set(id_, self._own.source, channel, on, lease_s))

    def _get_status(self, channel: int) -> Message:
        return self._ask(f"status:{channel}", "Switch.GetStatus", id=channel)

    def _get_input(self, number: int) -> Message:
        return self._ask(f"input:{number}", "Input.GetStatus", id=number - 1)

    def _set_inputs(self, numbers: Sequence[int]) -> Iterable[Message]:
        """A state that follows its contact, no button; no relay follows it. `enable` is not known to every model."""
        for channel in self._ours:
            yield self._ask(f"{IF_IT_CAN}{channel}", "Switch.SetConfig", id=channel, config=DETACHED)
        for number in numbers:
            for config in ({"type": "switch", "invert": False}, {"enable": True}):
                yield self._ask(f"{IF_IT_CAN}input", "Input.SetConfig", id=number - 1, config=config)
            yield self._get_input(number)

    def _ask(self, id_: str, method: str, **params: object) -> Message:
        return Message(self._own.rpc, codec.request(id_, self._own.source, method, **params))

    def _provision(self, wish: Provision) -> Sequence[Message]:
        """What must hold is read back; the rest goes one by one, as a model without a key refuses all it comes with."""
        for memory in self._memory.values():
            memory.settings.clear()
        messages = [message for channel in self._ours for message in self._configured(channel, wish)]
        mqtt = ({"rpc_ntf": True, "status_ntf": True}, {"enable_control": False})
        messages += [self._ask(f"{IF_IT_CAN}mqtt", "Mqtt.SetConfig", config=config) for config in mqtt]
        messages += [self._ask(f"config:{channel}", "Switch.GetConfig", id=channel) for channel in self._ours]
        return [*messages, *self.orders(AskNow())]

    def _configured(self, channel: int, wish: Provision) -> Iterable[Message]:
        """None of this switches anything on; an ON that nobody gave a timer gets that of the lease."""
        off = {"initial_state": "off", "auto_on": False, "auto_off": True, "auto_off_delay": _lease(wish.lease_s)}
        yield self._ask(f"set:{channel}", "Switch.SetConfig", id=channel, config=off)
        more: list[dict[str, object]] = [{"autorecover_voltage_errors": False}, DETACHED]
        if wish.power_w is not None:
            more.append({"power_limit": round(wish.power_w * SURGE)})
        for config in more:
            yield self._ask(f"{IF_IT_CAN}{channel}", "Switch.SetConfig", id=channel, config=config)

    # -- from the device ------------------------------------------------------------------------------------------

    def receive(self, message: Message, now: Stamp) -> Iterable[Event]:
        handler = self._handlers.get(message.address)
        if handler is None:
            raise BadFrame("unknown", f"{message.address} is not of this pile")
        if message.retained and handler != self._availability:
            return ()  # kept by the broker since who knows when: old news proves nothing
        return handler(message.payload, now)

    def _availability(self, payload: bytes, now: Stamp) -> Iterable[Event]:
        kind = LinkUp if codec.read_online(payload) else LinkLost
        self._introduced = False
        return self._each(kind, now)

    def _each(self, kind: type[LinkUp] | type[LinkLost], now: Stamp) -> list[Event]:
        return [kind(at=now.at, steady_s=now.steady_s, outlet=outlet) for outlet in self._ours.values()]

    def _frame(self, payload: bytes) -> codec.Frame:
        frame = codec.read_frame(payload)
        mac = names.mac_of(frame.src) if isinstance(frame.src, str) else None
        if mac is not None and self._own.mac and mac != self._own.mac:
            raise BadFrame("unknown", f"{frame.src} speaks on the topics of {self._own.mac}")
        return frame

    def _notified(self, payload: bytes, now: Stamp) -> Iterable[Event]:
        frame = self._frame(payload)
        if not isinstance(frame.params, Raw):
            raise BadFrame("malformed", "no params")
        match frame.method:
            case "NotifyStatus":
                return self._components(codec.components_of(frame.params), now, whole=False)
            case "NotifyFullStatus":
                return self._components(codec.components_of(frame.params), now, whole=True)
            case "NotifyEvent":
                restarts = any(note.event == "scheduled_restart" for note in codec.notes_of(frame.params))
                return self._restarted("scheduled_restart", None, now) if restarts else ()
        raise BadFrame("unknown", f"method {frame.method!r}")

    def _answered(self, payload: bytes, now: Stamp) -> Iterable[Event]:
        """By its keys, whatever its id: that comes back in the type it left in, and may be anybody's."""
        frame = self._frame(payload)
        if isinstance(frame.error, codec.Error):
            return self._refused(frame.id, frame.error, now)
        if not isinstance(frame.result, Raw):
            return ()
        if b'"output"' in payload:  # nearly all of the traffic
            switch = codec.switch_of(frame.result)
            return self._switch(switch.id, switch, now, whole=True)
        return self._told(frame.result, now)

    def _told(self, result: Raw, now: Stamp) -> Iterable[Event]:
        keys = codec.keys_of(result)
        if "initial_state" in keys:
            return self._config(codec.config_of(result), now)
        if "state" in keys:
            one = codec.input_of(result)
            return self._inputs({one.id: one} if isinstance(one.id, int) else {}, now)
        if "uptime" in keys:
            return self._running(codec.sys_of(result), now, connected=False)
        if "ver" in keys:
            return self._said_who(codec.announced_of(result), now)
        return ()

    def _said_who(self, who: codec.Announced, now: Stamp) -> Iterable[Event]:
        self._introduced = True
        return [
            FirmwareReported(at=now.at, steady_s=now.steady_s, outlet=outlet, firmware=who.ver or "")
            for outlet in self._ours.values()
        ]

    def _refused(self, id_: object, error: codec.Error, now: Stamp) -> Iterable[Event]:
        """Shutting down: gone for us until it is back. What it did not do is not repeated here: an ON expires, an OFF
        is sent again until it is proven, a proof begins anew."""
        if error.code == codec.SHUTTING_DOWN:
            return self._each(LinkLost, now)
        if str(id_).startswith(IF_IT_CAN):
            return ()
        raise BadFrame("refused", f"{id_}: {error.code} {error.message}")

    # status

    def _components(self, components: codec.Components, now: Stamp, *, whole: bool) -> list[Event]:
        events = [*self._inputs(components.inputs, now), *self._running(components.sys, now, connected=whole)]
        for channel, switch in components.switches.items():
            events += self._switch(channel, switch, now, whole=whole)
        return events

    def _inputs(self, inputs: Mapping[int, codec.Input], now: Stamp) -> list[Event]:
        """Ours count from 1; one without a state is a button, or not enabled, and says nothing."""
        shown = {number + 1: one.state for number, one in inputs.items() if isinstance(one.state, bool)}
        return [*self._contacts.told(shown, now)]

    def _status_of(self, channel: int) -> Handler:
        def status(payload: bytes, now: Stamp) -> Iterable[Event]:
            switch = codec.read_switch(payload)
            if switch.id not in (UNSET, channel):
                raise BadFrame("malformed", f"switch:{channel} says it is {switch.id}")
            if self._memory[channel].contradicted(switch):
                return ()  # old in all its parts; the next answer decides
            return self._switch(channel, switch, now, whole=True)

        return status

    def _switch(self, channel: object, switch: codec.Switch, now: Stamp, *, whole: bool) -> list[Event]:
        outlet = self._ours.get(channel) if isinstance(channel, int) else None
        if outlet is None or not isinstance(channel, int):
            return []
        memory, events = self._memory[channel], list[Event]()
        output = told(switch.output)  # not said is not off
        if output is not None:
            memory.output = output
            events.append(RelayReported(at=now.at, steady_s=now.steady_s, outlet=outlet, on=output))
        for reason in memory.newly_wrong(switch, whole=whole):
            events.append(HazardReported(at=now.at, steady_s=now.steady_s, outlet=outlet, reason=reason))
        energy_wh = memory.drawn_wh(switch, whole=whole)
        if whole:
            events += self._meters(channel, switch, now)
        return [*events, *_reading(outlet, switch, energy_wh, now)]

    def _meters(self, channel: int, switch: codec.Switch, now: Stamp) -> Iterable[Event]:
        yield from self._setting(channel, "own_counter", switch.total_wh is not None, now)
        if switch.output is False:
            yield from self._setting(channel, "sees_power_when_off", told(switch.apower) is not None, now)

    def _config(self, config: codec.SwitchConfig, now: Stamp) -> Iterable[Event]:
        if config.id not in self._ours or config.id is None:
            return
        detached = config.in_mode in (None, "detached")  # a model without inputs has no such key
        yield from self._setting(config.id, "inputs_detached", detached, now)
        yield from self._setting(config.id, "power_up_off", config.initial_state == "off" and not config.auto_on, now)
        yield from self._setting(config.id, "lease_s", (config.auto_off and config.auto_off_delay) or 0.0, now)

    def _setting(self, channel: int, setting: str, value: float, now: Stamp) -> Iterable[Event]:
        """When it changes, and once after each provisioning."""
        told_so_far = self._memory[channel].settings
        if told_so_far.get(setting) != value:
            told_so_far[setting] = value
            outlet = self._ours[channel]
            yield SettingReported(at=now.at, steady_s=now.steady_s, outlet=outlet, setting=setting, value=float(value))

    # restarts

    def _running(self, sys: codec.Sys, now: Stamp, *, connected: bool) -> Iterable[Event]:
        """Its uptime only falls when it starts anew; a message that was held up may be old, but not by so much."""
        if sys.uptime is None:
            return ()
        before, self._uptime = self._uptime, (sys.uptime, now.steady_s)
        just_booted = connected and sys.uptime < BOOTED_S
        missed = before is None and not self._obeyed and sys.uptime < RECENT_S
        if just_booted or missed or (before is not None and _began_anew(before, self._uptime)):
            return self._restarted("uptime", float(sys.uptime), now)
        return ()

    def _restarted(self, cause: str, up_s: float | None, now: Stamp) -> list[Event]:
        self._introduced = False
        return [
            DeviceRestarted(at=now.at, steady_s=now.steady_s, outlet=outlet, cause=cause, up_s=up_s)
            for outlet in self._ours.values()
        ]


def _reading(outlet: str, switch: codec.Switch, energy_wh: float | None, now: Stamp) -> Iterable[Event]:
    """Only what this very message says was measured now; limits are for watts, whichever way they flow."""
    power_w, current_a = told(switch.apower), told(switch.current)
    if power_w is None:
        return
    yield Reading(
        at=now.at,
        steady_s=now.steady_s,
        outlet=outlet,
        power_w=abs(float(power_w)),
        energy_wh=energy_wh,
        voltage_v=told(switch.voltage),
        current_a=None if current_a is None else abs(float(current_a)),
        temperature_c=switch.celsius,
    )


def _began_anew(before: tuple[int, float], after: tuple[int, float]) -> bool:
    shifted_s = (after[1] - after[0]) - (before[1] - before[0])
    return after[0] < before[0] and shifted_s > SHIFTED_S


def _lease(lease_s: float) -> float:
    """Whole seconds as such; never none, which would be for ever."""
    if not 1 <= lease_s <= LEASE_S_MAX:
        raise ValueError(f"no toggle_after is {lease_s} s")
    return int(lease_s) if float(lease_s).is_integer() else lease_s
