"""What the controller needs of others, and what others may ask of it: protocols of at most four methods."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from controller.core.effects import AskNow, Provision, Renew, SetInputs, SwitchOn
from controller.core.events import Event
from controller.figures import Figure


class Switchgear(Protocol):
    """The gates, as the decider sees them. Never blocks."""

    def generation(self, outlet: str) -> int:
        """The number an ON decided now must carry."""
        ...

    def on(self, order: SwitchOn) -> bool:
        """False: dropped (another generation, expired, link down) and counted."""
        ...

    def renew(self, order: Renew) -> bool: ...

    def off(self, outlet: str) -> None:
        """Closes the gate, raises its generation, sends OFF."""
        ...


class Errander(Protocol):
    """Carries what is no power command to a device: settings and questions."""

    def tell(self, order: Provision | AskNow | SetInputs) -> bool: ...


class Door(Protocol):
    """The one door. `ask` is answered after the commit; Refused and NotNow arrive through the future."""

    def ask(self, event: Event, found: Mapping[str, Any] | None = None) -> "Future[dict[str, Any]]":
        """`event.key` makes a repeat get the first answer; `found` is what queries know of that key (order, entry)."""
        ...

    def tell(self, event: Event) -> None: ...


class LogLevel(msgspec.Struct, frozen=True):
    """What is logged; `until` (UTC) a change for a while, which then falls back by itself."""

    level: str
    until: float | None = None


class Watch(Protocol):
    """What those who watch the gateway may ask of it. Nothing here waits for the database."""

    def figures(self) -> Iterable[Figure]: ...

    def diagnosis(self) -> bytes:
        """A .tar.gz of what a maintainer needs, without a secret or a person in it; within seconds."""
        ...

    def log_level(self) -> LogLevel: ...

    def set_log_level(self, level: str, for_s: float) -> None:
        """For so many seconds; 0: as it usually is, at once."""
        ...


class Peeked(msgspec.Struct, frozen=True):
    """What one channel of a device shows that nobody has adopted; None: it has not said. `old`: it may be otherwise."""

    on: bool | None = None
    power_w: float | None = None
    voltage_v: float | None = None
    energy_wh: float | None = None
    old: bool = True


class Oddity(msgspec.Struct, frozen=True):
    """Something answers at an address of a bus, but not as any device we know; `fault` is a name of the wire's."""

    address: str
    fault: str


class Scanned(msgspec.Struct, frozen=True, kw_only=True):
    """A scan of a bus, under way or over: how many questions of `total` are done with, and the ids of who was found."""

    bus: str
    asked: int
    total: int
    done: bool
    found: list[str]
    odd: list[Oddity]


class Strangers(Protocol):
    """Devices that nobody has adopted: looking at them switches nothing."""

    def buses(self) -> list[str]: ...

    def scan(self, bus: str) -> bool:
        """Begins to ask for everybody on this bus; False while it is being asked already."""
        ...

    def scanned(self, bus: str) -> Scanned | None:
        """The newest scan of this bus in this process."""
        ...

    def peek(self, found: str) -> Sequence[Peeked]:
        """By channel; empty while it can't be heard. Whoever looks makes it be asked."""
        ...


class Shown(msgspec.Struct, frozen=True):
    """What a reader has last answered to whoever stands there; never who that is.

    `kind` is started, stopped, refused (then `code` says why), slow, or one of `readers.choice.Note`; `number` is
    printed on the outlet, `count` makes two alike two.
    """

    kind: str
    number: str = ""
    code: str = ""
    balance_fen: int | None = None
    cost_fen: int | None = None
    count: int = 0


class Swipe(msgspec.Struct, frozen=True):
    """Of a card that nobody knows; `uid` as it would be kept."""

    number: int
    reader: str
    at: float
    uid: str


class Standing(msgspec.Struct, frozen=True):
    """How a reader is: `gone` (no port), `silent` or `reads`; its faults by name since the start."""

    name: str
    kind: str
    port: str
    outlet: str
    pile: str
    state: str
    device: str
    faults: Mapping[str, int]
    swipes: int


class CardReaders(Protocol):
    """The readers at this gateway, for pages and figures. Nothing here waits."""

    def standing(self) -> Sequence[Standing]: ...

    def unknown(self) -> Sequence[Swipe]:
        """The newest first; kept in memory alone, and few."""
        ...

    def shown(self, name: str) -> Shown | None:
        """What to show beside this reader now; KeyError if there is none of this name."""
        ...


class Sent(StrEnum):
    """LATER: nobody is known to have it, try again. NEVER: there is no such address, or it is refused for good."""

    DONE = "done"
    LATER = "later"
    NEVER = "never"


class Notifier(Protocol):
    """Tells somebody, in words, what a notice is about. Synchronous; may take its time, and raises nothing."""

    def send(self, address: str, slot: str, notice: Mapping[str, Any]) -> Sent:
        """`slot` is the same for the same notice, so that a second copy can be told from a second happening."""
        ...


class PaymentState(StrEnum):
    """UNKNOWN: we could not learn it; ask again with the same number."""

    OPEN = "open"
    PAID = "paid"
    CLOSED = "closed"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    order_no: str
    amount_fen: int
    merchant: str
    app: str
    description: str
    notify_url: str
    return_url: str
    expires_at: float


class PayPage(msgspec.Struct, frozen=True):
    """Where the payer goes; `url` is empty unless `state` is OPEN. FAILED is a refusal for good, `code` says why."""

    url: str
    state: PaymentState = PaymentState.OPEN
    code: str = ""


class PaymentView(msgspec.Struct, frozen=True, kw_only=True):
    """An order (open, paid, closed) or a refund (refunding, refunded, failed), as the provider has it. UNKNOWN with
    code NOT_FOUND: the provider answered and has no such number, so sending it again is safe."""

    number: str
    state: PaymentState
    amount_fen: int = 0
    txn_id: str = ""
    code: str = ""


class CloseResult(StrEnum):
    """PAID: too late, refund it. UNKNOWN: query, then close again."""

    CLOSED = "closed"
    PAID = "paid"
    UNKNOWN = "unknown"


class RefundRequest(msgspec.Struct, frozen=True, kw_only=True):
    order_no: str
    refund_no: str
    amount_fen: int
    total_fen: int
    txn_id: str = ""


class RefundState(StrEnum):
    """ACCEPTED: on its way, the outcome comes later. REJECTED: no money moves under this number, `code` says why."""

    ACCEPTED = "accepted"
    SUCCESS = "success"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class RefundView(msgspec.Struct, frozen=True):
    state: RefundState
    code: str = ""


class PaymentProvider(Protocol):
    """Synchronous. An outcome not learnt is a state UNKNOWN, never an exception; the caller repeats the same number."""

    def create(self, order: OrderRequest) -> PayPage: ...

    def query(self, number: str) -> PaymentView:
        """The state of an order or a refund."""
        ...

    def close(self, order_no: str) -> CloseResult: ...

    def refund(self, request: RefundRequest) -> RefundView: ...
