"""anchong/1, the open socket protocol: the lease is in every ON; repeats, old starts and other names are refused."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from uuid import uuid4

import msgspec

from controller.core.errors import BadFrame
from controller.core.events import (
    CardTapped,
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
from controller.core.reasons import StopReason
from firmware_bridge.codecs import anchong1 as codec
from firmware_bridge.contacts import Contacts
from firmware_bridge.drivers.anchong1_found import DISCOVERY, NAME, Params, check_name, discover
from firmware_bridge.drivers.anchong1_starts import Starts
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

__all__ = ["CAPABILITIES", "DISCOVERY", "NAME", "Anchong", "discover", "introduce", "open", "retained_commands"]

LEASE_S_MAX = int(codec.LEASE_S_MAX)
CAPABILITIES = Capabilities(lease_class=LeaseClass.RENEWED, lease_s_max=LEASE_S_MAX, meters=True, reads_cards=True)
SURGE = 1.5  # the device's own limit stands above ours, which explains itself
RECENT_S = 900.0  # a start that we may have missed, while we were away ourselves; longer ago it is no news to anybody
NOT_CUT = ("boot", "command", "lease", "button")  # why an outlet is off without any danger
UNLEASED = "relay_fault"  # on, and by its own word without an end


def introduce(message: Message) -> Sequence[Message]:
    """Its hello says all, and the broker keeps it."""
    return ()


def open(pile: Pile) -> "Anchong":  # noqa: A001 the word of the Family protocol
    return Anchong(pile)


def retained_commands(pile: Pile) -> Sequence[str]:
    """A sound device refuses a retained ON; a retained OFF would darken it at each of its reconnects."""
    return [codec.down(pile.address)]


class Anchong:
    """One device. It remembers the device's present start and numbers, which the device itself tells after ours."""

    def __init__(self, pile: Pile, make_id: Callable[[], str] = lambda: uuid4().hex) -> None:
        self._device = pile.address
        self._pile = pile.id
        self._bounds = msgspec.convert(pile.params, Params)
        self._ours = {channel: outlet for channel, outlet in enumerate(pile.outlets) if outlet}
        self._make_id = make_id
        self._contacts = Contacts(pile.id)
        self._kinds = {codec.up(pile.address, kind): kind for kind in codec.KINDS}
        self._starts = Starts()
        self._gone = False
        self._obeyed = False  # something was ordered of it, so it is no news that it once started
        self._sent = dict.fromkeys(self._ours, 0)  # numbers: written by an outlet's gate alone, under its lock
        self._taken = dict.fromkeys(self._ours, 0)  # and here by whoever reads
        self._wrong: dict[int, set[str]] = {channel: set() for channel in self._ours}

    def listens(self) -> Sequence[str]:
        return tuple(self._kinds)

    def polls(self, now: Stamp) -> Sequence[Message]:
        return ()

    # -- to the device --------------------------------------------------------------------------------------------

    def orders(self, wish: Wish) -> Sequence[Message]:
        self._obeyed = self._obeyed or isinstance(wish, SwitchOn | Provision)
        match wish:
            case SwitchOn():
                return [self._on(wish)]
            case SwitchOff():
                return [self._off(wish.channel)]
            case Provision():
                return [*self._set(wish), self._ask()]
            case AskNow() | SetInputs():  # its inputs report by themselves, and can switch nothing
                return [self._ask()]

    def _on(self, wish: SwitchOn) -> Message:
        """For this start of the device alone. Of one that has not spoken yet nothing can be asked but to speak."""
        if self._starts.now is None:
            return self._ask()
        boot, heard_up_s = self._starts.now
        number = self._next(wish.channel)
        outlet, lease_s = wish.channel + 1, min(wish.lease_s, self._bounds.lease_max_s)
        return self._down(
            codec.On(id=self._make_id(), outlet=outlet, boot=boot, n=number, heard_up_s=heard_up_s, lease_s=lease_s)
        )

    def _off(self, channel: int) -> Message:
        """Its number refuses an ON that comes after it and was sent before."""
        boot = None if self._starts.now is None else self._starts.now[0]
        return self._down(codec.Off(id=self._make_id(), outlet=channel + 1, boot=boot, n=self._next(channel)))

    def _next(self, channel: int) -> int:
        number = max(self._sent.get(channel, 0), self._taken.get(channel, 0)) + 1
        self._sent[channel] = number
        return number

    def _set(self, wish: Provision) -> Iterable[Message]:
        if self._starts.now is None:
            return
        boot, heard_up_s = self._starts.now
        lease_max_s = min(wish.lease_s, self._bounds.lease_max_s)
        limit_w = None if wish.power_w is None else round(wish.power_w * SURGE)
        if limit_w is not None and self._bounds.power_max_w is not None:
            limit_w = min(limit_w, int(self._bounds.power_max_w))
        for channel in self._ours:
            order = codec.Set(
                id=self._make_id(),
                outlet=channel + 1,
                boot=boot,
                heard_up_s=heard_up_s,
                lease_max_s=lease_max_s,
                limit_w=limit_w,
            )
            yield self._down(order)

    def _ask(self) -> Message:
        return self._down(codec.Ask(id=self._make_id()))

    def _down(self, command: codec.Command) -> Message:
        return Message(codec.down(self._device), codec.encoded(command))

    # -- from the device ------------------------------------------------------------------------------------------

    def receive(self, message: Message, now: Stamp) -> Iterable[Event]:
        kind = self._kinds.get(message.address)
        if kind is None:
            raise BadFrame("unknown", f"{message.address} is not of this pile")
        if message.retained and kind not in (codec.HELLO, codec.ONLINE):
            return ()  # kept by the broker since who knows when: old news proves nothing
        said = codec.read_up(kind, message.payload)
        check_name(said.device, self._device)
        if isinstance(said, codec.Will):
            return self._lost(said, now)
        if message.retained:  # no sign of life: it has not been said just now, and no number counts
            return self._each(LinkUp, now) if isinstance(said, codec.Online) else self._introduced(said, now)
        return chain(self._spoke(said, now), self._told(said, now))

    def _lost(self, will: codec.Will, now: Stamp) -> Iterable[Event]:
        self._starts.check_will(will)
        self._gone = True
        return self._each(LinkLost, now)

    def _spoke(self, head: codec.Head, now: Stamp) -> Iterable[Event]:
        known = self._starts.now is not None
        anew = self._starts.heard(head, now)
        if anew:
            self._taken = dict.fromkeys(self._ours, 0)
        missed = known or (not self._obeyed and head.up_s < RECENT_S)
        back, self._gone = self._gone, False
        up = self._each(LinkUp, now) if back and not isinstance(head, codec.Online) else []
        return [*up, *(self._restarted(head, now) if anew and missed else ())]

    def _each(self, kind: type[LinkUp] | type[LinkLost], now: Stamp) -> list[Event]:
        return [kind(at=now.at, steady_s=now.steady_s, outlet=outlet) for outlet in self._ours.values()]

    def _restarted(self, head: codec.Head, now: Stamp) -> Iterable[Event]:
        cause = (head.started_by if isinstance(head, codec.Hello) else "") or "boot"
        for outlet in self._ours.values():
            yield DeviceRestarted(at=now.at, steady_s=now.steady_s, outlet=outlet, cause=cause, up_s=head.up_s)

    def _told(self, said: codec.Head, now: Stamp) -> Iterable[Event]:
        match said:
            case codec.Hello():
                yield from self._introduced(said, now)
            case codec.State():
                yield from self._state(said, now)
            case codec.Online():
                yield from self._each(LinkUp, now)
            case codec.Ack():
                self._acked(said)
            case codec.Settings():
                yield from self._settings(said, now)
            case codec.Inputs():
                yield from self._contacts.told(dict(enumerate(said.closed, start=1)), now)
            case codec.Card():
                yield from self._tapped(said, now)

    def _introduced(self, hello: codec.Hello, now: Stamp) -> Iterable[Event]:
        for outlet in self._ours.values():
            yield FirmwareReported(
                at=now.at, steady_s=now.steady_s, outlet=outlet, firmware=hello.firmware, model=hello.model
            )

    def _state(self, state: codec.State, now: Stamp) -> Iterable[Event]:
        channel = state.outlet - 1
        outlet = self._ours.get(channel)
        if outlet is None:
            return
        self._taken[channel] = state.n
        for reason in self._newly_wrong(channel, state):  # before the relay: it says why that is off
            yield HazardReported(at=now.at, steady_s=now.steady_s, outlet=outlet, reason=reason)
        yield RelayReported(at=now.at, steady_s=now.steady_s, outlet=outlet, on=state.on)
        if state.power_w is None:
            return
        yield Reading(
            at=now.at,
            steady_s=now.steady_s,
            outlet=outlet,
            power_w=state.power_w,
            energy_wh=state.energy_wh,
            voltage_v=state.voltage_v,
            current_a=state.current_a,
            temperature_c=state.temperature_c,
            leakage_ma=state.leakage_ma,
        )

    def _newly_wrong(self, channel: int, state: codec.State) -> list[StopReason]:
        """Reasons that were not there before. A word that we don't know is no reason to go on."""
        wrong = set(state.faults)
        if state.on and not state.lease_left_s:
            wrong.add(UNLEASED)
        if not state.on and state.off_by is not None and state.off_by not in NOT_CUT:
            wrong.add(state.off_by)
        new, self._wrong[channel] = wrong - self._wrong[channel], wrong
        return [StopReason(word) if word in codec.FAULTS else StopReason.DEVICE_STOP for word in sorted(new)]

    def _acked(self, ack: codec.Ack) -> None:
        """What was done is told by the state that follows. What was refused is not repeated: an ON expires."""
        if ack.outlet is not None and ack.n is not None and ack.outlet - 1 in self._ours:
            self._taken[ack.outlet - 1] = ack.n
        if not ack.ok:
            raise BadFrame("refused", f"{ack.id}: {ack.why}")

    def _settings(self, said: codec.Settings, now: Stamp) -> Iterable[Event]:
        outlet = self._ours.get(said.outlet - 1)
        if outlet is None:
            return
        settings = {
            "lease_s": said.lease_max_s,
            "power_up_off": said.power_up_off,
            "sees_power_when_off": said.sees_power_when_off,
            "own_counter": said.own_counter,
            "inputs_detached": said.inputs_detached,
        }
        for setting, value in settings.items():
            yield SettingReported(at=now.at, steady_s=now.steady_s, outlet=outlet, setting=setting, value=float(value))

    def _tapped(self, card: codec.Card, now: Stamp) -> Iterable[Event]:
        """At an outlet, at the only one, or at a reader for the whole device, where one has yet to be chosen."""
        only = next(iter(self._ours.values())) if len(self._ours) == 1 else ""
        outlet = only if card.outlet is None else self._ours.get(card.outlet - 1)
        if outlet is None:
            raise BadFrame("unknown", f"outlet {card.outlet} is not ours")
        yield CardTapped(
            at=now.at,
            steady_s=now.steady_s,
            outlet=outlet,
            pile="" if outlet else self._pile,
            uid=card.uid.upper(),
            session=self._make_id(),
            key=self._make_id(),
        )
