"""The shapes that every device family and every way to carry bytes must fit: Driver, Family and Transport.

Fits a broker's topics (address = topic), a polled bus (address = unit on the bus, `polls` says what to ask next and
`receive` gets the answer), a composite of relay and meter (one driver, two units), and a pile that takes an order and
settles by itself (`lease_class` order_bound).
"""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Protocol, runtime_checkable

import msgspec

from controller.core.events import Event, PileFound, Stamp


class Message(msgspec.Struct, frozen=True, gc=False):
    """One unit of traffic: a topic and payload, or a bus unit (`<bus>/<protocol>:<unit>`) and a frame.

    On a bus a question or order may wait for its turn. An order that switches names its `slot` (the relay): there the
    newest wish takes the place of an older one that has not left, so that no ON can follow the OFF decided after it.
    Without a slot it is a question, and one that waits already is not asked twice. What comes back carries in `asked`
    the request that it answers, or in `fault` why there is no answer: `silent`, `crc`, `echo`, `wrong_unit`, ...
    """

    address: str
    payload: bytes
    retained: bool = False
    slot: str = ""
    asked: bytes = b""
    fault: str = ""


class LeaseClass(StrEnum):
    RENEWED = "renewed"
    ORDER_BOUND = "order_bound"
    METERING_ONLY = "metering_only"
    WATCHDOG = "watchdog"  # metering-only by itself; an external timer relay cuts it, as commissioning has seen


class Capabilities(msgspec.Struct, frozen=True):
    """What a driver can promise of each channel; narrowed by what was seen on the device.

    `asked_every_s`: a pile that reports too seldom by itself is asked what its driver's `polls` says, this often.
    """

    lease_class: LeaseClass
    lease_s_max: int
    meters: bool
    reads_cards: bool = False
    asked_every_s: float | None = None


class Pile(msgspec.Struct, frozen=True):
    """What a driver is opened with. `outlets[channel]` is the outlet id, empty where the channel is not ours."""

    id: str
    family: str
    address: str
    outlets: tuple[str, ...]
    params: dict[str, object]


class SwitchOn(msgspec.Struct, frozen=True):
    """On, and off again by itself after `lease_s`, in the device. Sent again it renews."""

    channel: int
    lease_s: float


class SwitchOff(msgspec.Struct, frozen=True):
    channel: int


class Provision(msgspec.Struct, frozen=True):
    """Set lease, power-up state, reporting and the device's own limit, then ask for it back (SettingReported).

    And let no input switch a relay by itself.
    """

    lease_s: float
    power_w: float | None = None  # what the outlet may feed; a limit of the device's own stands above it


class AskNow(msgspec.Struct, frozen=True):
    """Ask for relay state and readings now, and for what these inputs show (from 1), without side effects."""

    inputs: tuple[int, ...] = ()
    channel: int | None = None  # whose; None: of all


class SetInputs(msgspec.Struct, frozen=True):
    """Let these inputs report each change and switch nothing; then ask for what they show. Switches nothing itself."""

    inputs: tuple[int, ...]


Wish = SwitchOn | SwitchOff | Provision | AskNow | SetInputs


class Driver(Protocol):
    """Our end of one pile. Never blocks, owns no thread, no clock. BadFrame for what is not of its protocol."""

    def listens(self) -> Sequence[str]:
        """Addresses (topics, units) whose traffic belongs to this pile; exact, no wildcards."""
        ...

    def receive(self, message: Message, now: Stamp) -> Iterable[Event]: ...

    def orders(self, wish: Wish) -> Sequence[Message]:
        """The messages that carry out a wish, in order."""
        ...

    def polls(self, now: Stamp) -> Sequence[Message]:
        """What a pile should be asked now, without side effects; empty for piles that speak by themselves."""
        ...


@runtime_checkable
class Shared(Protocol):
    """A driver whose outlets do not share all of its addresses says which are whose: a fault is told on its outlet."""

    def addresses_of(self, outlet: str) -> Sequence[str]: ...


@runtime_checkable
class Overhears(Protocol):
    """A driver that also hears what concerns several piles at once: the topics of a bridge.

    It comes by `receive` as well, and may change what it `listens` to: a bridge tells that a device has a new name.
    """

    def overhears(self) -> Sequence[str]: ...


class Family(Protocol):
    """One product family: a module of `drivers/` satisfies it."""

    NAME: str
    DISCOVERY: tuple[str, ...]  # address patterns on which unknown devices make themselves known
    CAPABILITIES: Capabilities

    def discover(self, message: Message, now: Stamp) -> Sequence[PileFound]:
        """Who this is, or are; empty if it is not (yet) enough to tell. May remember parts between calls."""
        ...

    def introduce(self, message: Message) -> Sequence[Message]:
        """What to ask a stranger that shows itself without saying who it is; such questions have no side effects."""
        ...

    def open(self, pile: Pile) -> Driver: ...

    def retained_commands(self, pile: Pile) -> Sequence[str]:
        """Addresses on which a retained command would switch this pile at every reconnect; cleared at start-up."""
        ...


class BusFamily(Family, Protocol):
    """A family whose units share a line with others and speak only when they are asked."""

    UNITS: Sequence[str]  # addresses a unit may have, the likely ones first: `modbus:1`, `dlt645:AAAAAAAAAAAA`

    def probes(self, address: str) -> Sequence[Message]:
        """What to ask at this address of a bus (`<bus>/<protocol>:<unit>`) to learn from the answer, by `discover`,
        whether one of this family is there; such questions have no side effects."""
        ...


Receive = Callable[[Message], None]
Linked = Callable[[bool], None]


class Transport(Protocol):
    """Carries messages. `send` never blocks and never queues while down: False means it did not leave.

    `urgent` is for OFF, which may wait behind other traffic where an ON would be refused.
    """

    def start(self, receive: Receive, linked: Linked) -> None: ...

    def listen(self, pattern: str) -> None: ...

    def send(self, message: Message, urgent: bool = False) -> bool: ...

    def stop(self) -> None: ...
