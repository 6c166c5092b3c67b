"""Tasmota sockets over MQTT: PulseTime is the lease; the device's clock and retained readings count for nothing."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from uuid import uuid4

import msgspec

from controller.core.errors import BadFrame
from controller.core.events import (
    CardTapped,
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
from firmware_bridge.codecs import tasmota as codec
from firmware_bridge.codecs import tasmota_names as names
from firmware_bridge.codecs.strict import read_text
from firmware_bridge.contacts import Contacts
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

Handler = Callable[["Tasmota", bytes, Stamp], Iterable[Event]]  # of the class: bound ones would be ten for each device

NAME = "tasmota"
DISCOVERY: tuple[str, ...] = ("tasmota/discovery/+/config", "tasmota/discovery/+/sensors")
CAPABILITIES = Capabilities(lease_class=LeaseClass.RENEWED, lease_s_max=900, meters=True, reads_cards=True)

BACKLOG_MAX = 30  # commands the firmware takes in one Backlog; it drops the rest without a word
REPORT_S = 10  # the shortest TelePeriod there is
RECENT_S = 900  # a start that we may have missed, while we were away ourselves; longer ago it is no news to anybody
SHIFTED_S = 30.0  # messages may be late; a start that moved by more is another one
MOVED_BY_5_W = 105  # PowerDelta from 101 on is watts + 100
SAFE_SETTINGS = (
    "SetOption4 0",  # answers on RESULT, where we listen, not on a topic for each command
    "PowerOnState 0",
    "SetOption0 0",
    "SetOption21 1",  # or a relay that is off always reads 0 W, and a welded one is invisible
    "SetOption129 1",  # or all relays share one counter
    "SetOption114 1",  # or a contact at an input switches its relay, and says nothing of itself
    "PowerRetain 0",
    f"TelePeriod {REPORT_S}",
    "SetOption19 0",
)
READ_BACK = ("PowerOnState", "SetOption0", "SetOption21", "SetOption129", "SetOption114", "TelePeriod")
CLOSED_IS_ON = 2  # SwitchMode: follow, inverted: a contact that closes pulls its input to ground


def discover(message: Message, now: Stamp) -> Sequence[PileFound]:
    """A socket that told its relays; sensors without a relay are not for us, and an empty payload is a goodbye."""
    if not message.address.endswith("/config") or not message.payload:
        return ()
    config = names.read_config(message.payload)
    relays = [number for number, kind in enumerate(config.relays, start=1) if kind == names.RELAY]
    if not relays:
        return ()
    params: dict[str, object] = msgspec.to_builtins(names.address_of(config))
    return [
        PileFound(
            at=now.at,
            steady_s=now.steady_s,
            family=NAME,
            address=config.mac.upper(),
            model=config.model,
            firmware=config.firmware,
            channels=relays[-1],
            params=params,
        )
    ]


def introduce(message: Message) -> Sequence[Message]:
    """Its discovery message says all."""
    return ()


def open(pile: Pile) -> "Tasmota":  # noqa: A001 the word of the Family protocol
    return Tasmota(pile)


def retained_commands(pile: Pile) -> Sequence[str]:
    """Topics are told apart by case, commands are not: the three spellings people use."""
    switches = ["", *(str(number) for number in range(len(pile.outlets) + 1))]
    commands = [f"{word}{number}" for word in ("POWER", "Power", "power") for number in switches]
    own = _address(pile)
    return [own.command(command) for command in (*commands, "Backlog", "Backlog0", "BACKLOG", "backlog")]


def _address(pile: Pile) -> names.Address:
    return msgspec.convert({"mac": pile.address, **pile.params}, names.Address)


class Tasmota:
    """One device. It remembers settings read back in parts, and nothing that a restart of ours would miss."""

    def __init__(self, pile: Pile, make_id: Callable[[], str] = lambda: uuid4().hex) -> None:
        self._own = _address(pile)
        self._outlets = pile.outlets
        named = [(channel, outlet) for channel, outlet in enumerate(pile.outlets) if outlet]
        self._ours = tuple((channel, outlet) for channel, outlet in named if self._own.switches(channel))
        self._relays = self._own.relays.count(names.RELAY) or len(pile.outlets)
        self._make_id = make_id
        self._contacts = Contacts(pile.id)
        self._own_counter: list[bool | None] = [None] * len(pile.outlets)
        self._powers_up_off: dict[str, bool] = {}
        self._began_s: float | None = None  # when (steady) it started, as far as it has said
        self._obeyed = False  # something was ordered of it, so it is no news that it once started
        self._handlers = self._make_handlers()

    def _make_handlers(self) -> dict[str, Handler]:
        powers = {f"POWER{channel + 1}": _power_of(channel) for channel, _ in self._ours}
        reports, answers = self._own.report(""), self._own.answer("")
        by_topic = {f"{reports}{leaf}": handler for leaf, handler in REPORTS.items()}
        return by_topic | {f"{answers}{leaf}": handler for leaf, handler in (ANSWERS | powers).items()}

    def listens(self) -> Sequence[str]:
        return tuple(self._handlers)

    def polls(self, now: Stamp) -> Sequence[Message]:
        return ()

    # -- to the device --------------------------------------------------------------------------------------------

    def orders(self, wish: Wish) -> Sequence[Message]:
        self._obeyed = self._obeyed or isinstance(wish, SwitchOn | Provision)
        match wish:
            case SwitchOn():
                return self._switch_on(wish)
            case SwitchOff():
                # on its own topic: inside a Backlog it would wait behind whatever is queued there
                return [self._command(f"Power{wish.channel + 1}", "OFF")]
            case Provision():
                return self._provision(wish.lease_s)
            case SetInputs():
                return self._set_inputs(wish.inputs)
            case AskNow():
                # an empty Power would ask too, and stop the pulse timer of older firmware
                return [self._command("Status", "10"), self._command("Status", "11")]

    def _switch_on(self, wish: SwitchOn) -> Sequence[Message]:
        """Lease and ON travel in one message, lease first, so no loss or delay can leave an ON without its end.

        On a relay that is on, PulseTime starts the new count and ON starts it over: both halves renew. Backlog0 leaves
        no gap in which an OFF could be overtaken, and firmware too old to know it does nothing, which is off. Flash
        is not worn: an unchanged PulseTime is not written again.
        """
        number = wish.channel + 1
        lease = f"PulseTime{number} {codec.pulse_code(wish.lease_s)}"
        return [self._command("Backlog0", f"{lease};Power{number} ON")]

    def _provision(self, lease_s: float) -> Sequence[Message]:
        """No command here switches a relay on. The read-back queues behind the settings, so it can't be too early."""
        self._own_counter = [None] * len(self._outlets)
        self._powers_up_off.clear()
        numbers = [channel + 1 for channel, _ in self._ours]
        leases = [f"PulseTime{number} {codec.pulse_code(lease_s)}" for number in numbers]
        deltas = [f"PowerDelta{number} {MOVED_BY_5_W}" for number in numbers]
        asks = [*READ_BACK, *(f"PulseTime{number}" for number in numbers), "Status 10", "Status 11"]
        commands = [*leases, *SAFE_SETTINGS, *deltas, *asks]
        if len(commands) <= BACKLOG_MAX:
            return [self._command("Backlog0", ";".join(commands))]
        # a second Backlog would find the queue still full; sent one by one they are carried out as they come
        return [self._command(name, argument) for name, _, argument in (command.partition(" ") for command in commands)]

    def _set_inputs(self, numbers: Sequence[int]) -> Sequence[Message]:
        """One by one: a queue that is full drops the rest without a word, and none of these may be dropped."""
        modes = [self._command(f"SwitchMode{number}", str(CLOSED_IS_ON)) for number in numbers]
        return [self._command("SetOption114", "1"), *modes, self._command("Status", "10")]

    def _command(self, name: str, argument: str) -> Message:
        return Message(self._own.command(name), argument.encode())

    # -- from the device ------------------------------------------------------------------------------------------

    def receive(self, message: Message, now: Stamp) -> Iterable[Event]:
        handler = self._handlers.get(message.address)
        if handler is None:
            raise BadFrame("unknown", f"{message.address} is not of this pile")
        if message.retained and handler is not Tasmota._availability:
            return ()  # kept by the broker since who knows when: old news proves nothing
        return handler(self, message.payload, now)

    def _availability(self, payload: bytes, now: Stamp) -> Iterable[Event]:
        text = read_text(payload)
        if text not in (self._own.online, self._own.offline):
            raise BadFrame("malformed", "neither of the device's words for online and offline")
        kind = LinkUp if text == self._own.online else LinkLost
        return [kind(at=now.at, steady_s=now.steady_s, outlet=outlet) for _, outlet in self._ours]

    def _power(self, channel: int, payload: bytes, now: Stamp) -> Iterable[Event]:
        return self._relay(channel, codec.read_word(read_text(payload), self._own.words), now)

    def _relay(self, channel: int, on: bool, now: Stamp) -> Iterable[Event]:
        if 0 <= channel < len(self._outlets) and self._outlets[channel]:
            yield RelayReported(at=now.at, steady_s=now.steady_s, outlet=self._outlets[channel], on=on)

    # readings

    def _sensor(self, payload: bytes, now: Stamp) -> Iterable[Event]:
        return self._with_inputs(self._measured(codec.read_sensor(payload), now), payload, now)

    def _status_sensor(self, payload: bytes, now: Stamp) -> Iterable[Event]:
        return self._with_inputs(self._measured(codec.read_status_sensor(payload), now), payload, now)

    def _with_inputs(self, events: list[Event], payload: bytes, now: Stamp) -> list[Event]:
        """Inputs first: what they cut waits for no reading. Few devices have any."""
        if codec.SWITCH not in payload:
            return events
        shown = codec.read_switches(payload, self._own.words)
        return [*self._contacts.told(shown, now), *events]

    def _measured(self, sensor: codec.Sensor, now: Stamp) -> list[Event]:
        events: list[Event] = []
        if sensor.energy is not None:
            for channel, outlet in self._ours:
                self._read(sensor.energy, sensor.temperature_unit, channel, outlet, now, events)
        if sensor.card is not None and self._outlets and self._outlets[0]:
            events.append(self._tap(sensor.card.uid, now))
        return events

    def _read(
        self, energy: codec.Energy, unit: str, channel: int, outlet: str, now: Stamp, events: list[Event]
    ) -> None:
        total_kwh = codec.own_part(energy.total, channel, self._relays)
        own = total_kwh is not None
        if self._own_counter[channel] is not own:
            self._own_counter[channel] = own
            events.append(self._setting(outlet, "own_counter", own, now))
        power_w = codec.own_part(energy.power, channel, self._relays)
        if power_w is None:
            return  # a meter shared by several relays can't say which of them draws
        reading = Reading(
            at=now.at,
            steady_s=now.steady_s,
            outlet=outlet,
            power_w=power_w,
            # the counter counts whole Wh in kWh: unrounded, 1.001 kWh would be 1000.9999999999999 Wh, and floor to 1000
            energy_wh=None if total_kwh is None else round(total_kwh * 1000, 3),
            voltage_v=codec.shared_part(energy.voltage, channel),
            current_a=codec.own_part(energy.current, channel, self._relays),
            temperature_c=codec.celsius(energy.chip, unit),
        )
        events.append(reading)

    def _tap(self, uid: str, now: Stamp) -> Event:
        session, key = self._make_id(), self._make_id()
        outlet = self._outlets[0]
        return CardTapped(at=now.at, steady_s=now.steady_s, outlet=outlet, uid=uid.upper(), session=session, key=key)

    # answers

    def _answer(self, payload: bytes, now: Stamp) -> Iterable[Event]:
        answer = codec.read_answer(payload, self._own.words)
        events: list[Event] = []
        if codec.SWITCH in payload:
            events += self._contacts.told(codec.read_switches(payload, self._own.words), now)
        if answer.uptime_s is not None:
            events += self._running(answer.uptime_s, now)
        for number, on in answer.on.items():
            events += self._relay(int(number) - 1, on, now)
        events += self._settings(answer, now)
        if answer.max_power_reached is not None:
            events += self._overload(answer.max_power_reached, now)
        if answer.restart_reason is not None:
            self._began_s = now.steady_s
            events += self._restarted(answer.restart_reason[:80], None, now)
        return events

    def _running(self, uptime_s: float, now: Stamp) -> list[Event]:
        """Its word of a start may have been missed: while we were away, or with a link that came up late."""
        before_s, self._began_s = self._began_s, now.steady_s - uptime_s
        missed = not self._obeyed and uptime_s < RECENT_S if before_s is None else self._began_s - before_s > SHIFTED_S
        return self._restarted("uptime", uptime_s, now) if missed else []

    def _restarted(self, cause: str, up_s: float | None, now: Stamp) -> list[Event]:
        return [
            DeviceRestarted(at=now.at, steady_s=now.steady_s, outlet=outlet, cause=cause, up_s=up_s)
            for _, outlet in self._ours
        ]

    def _overload(self, numbers: list[int], now: Stamp) -> Iterable[Event]:
        """Older firmware does not say which relay: then all of them, since it cuts all and switches all on again."""
        for channel, outlet in self._ours:
            if not numbers or channel + 1 in numbers:
                reason = StopReason.OVERLOAD
                yield HazardReported(at=now.at, steady_s=now.steady_s, outlet=outlet, reason=reason)

    def _settings(self, answer: codec.Answer, now: Stamp) -> Iterable[Event]:
        for channel, outlet in self._ours:
            timer = answer.pulse_time.get(str(channel + 1))
            if timer is not None:
                yield self._setting(outlet, "lease_s", timer.set_s, now)
        for setting, value in self._shared_settings(answer):
            for _, outlet in self._ours:
                yield self._setting(outlet, setting, value, now)

    def _shared_settings(self, answer: codec.Answer) -> Iterable[tuple[str, float]]:
        if answer.tele_period_s is not None:
            yield "report_s", answer.tele_period_s
        if "21" in answer.set_option:
            yield "sees_power_when_off", bool(answer.set_option["21"])
        if "114" in answer.set_option:
            yield "inputs_detached", bool(answer.set_option["114"])
        if answer.set_option.get("129") is False and self._relays > 1:
            yield "own_counter", False  # ON proves nothing: only separate totals do, and those come with a reading
        if answer.power_on_state is not None:
            self._powers_up_off["after mains"] = answer.power_on_state == 0
        if "0" in answer.set_option:
            self._powers_up_off["after restart"] = not answer.set_option["0"]
        changed = answer.power_on_state is not None or "0" in answer.set_option
        if changed and (len(self._powers_up_off) == 2 or not all(self._powers_up_off.values())):
            yield "power_up_off", all(self._powers_up_off.values())

    def _setting(self, outlet: str, setting: str, value: float, now: Stamp) -> Event:
        return SettingReported(at=now.at, steady_s=now.steady_s, outlet=outlet, setting=setting, value=float(value))


@cache
def _power_of(channel: int) -> Handler:
    return lambda device, payload, now: device._power(channel, payload, now)


REPORTS: dict[str, Handler] = {
    "LWT": Tasmota._availability,
    "SENSOR": Tasmota._sensor,
    "STATE": Tasmota._answer,
    "INFO3": Tasmota._answer,
}
ANSWERS: dict[str, Handler] = {
    "RESULT": Tasmota._answer,
    "STATUS8": Tasmota._status_sensor,
    "STATUS10": Tasmota._status_sensor,
    "STATUS11": Tasmota._answer,
    "WARNING": Tasmota._answer,
    "POWER": _power_of(0),
}
