"""What the core wishes: power now, rows to be written, and what may happen only after they are."""

import msgspec

from controller.core.bikes import Bike
from controller.core.chargers import Charger
from controller.core.hardware import Hardware
from controller.core.ledger import Entry
from controller.core.reasons import StopReason
from controller.core.state import Card, Cut, Limits, Order, Outlet, Refund, Session

# -- at once, before any disk -------------------------------------------------------------------------------------


class SwitchOff(msgspec.Struct, frozen=True):
    outlet: str


class Renew(msgspec.Struct, frozen=True):
    """Only for an outlet that is on under the same generation; anything else is dropped and counted."""

    outlet: str
    generation: int
    lease_s: float
    limits: Limits


class Provision(msgspec.Struct, frozen=True):
    outlet: str
    lease_s: float
    power_w: float | None = None


class AskNow(msgspec.Struct, frozen=True):
    """`inputs`: those of its pile that somebody has given a meaning."""

    outlet: str
    inputs: tuple[int, ...] = ()


class SetInputs(msgspec.Struct, frozen=True):
    """Lets the inputs of this outlet's pile report, and switch nothing by themselves."""

    outlet: str
    inputs: tuple[int, ...]


class TakeUp(msgspec.Struct, frozen=True):
    """Of an outlet found on after a restart: session and money are on disk already, so it waits for no commit."""

    order: "SwitchOn"


# -- rows, in order -----------------------------------------------------------------------------------------------


class SaveSession(msgspec.Struct, frozen=True):
    session: Session


class Sampled(msgspec.Struct, frozen=True):
    """One point of a session's curve; coarse on purpose, cards wear."""

    session: str
    at: float
    power_w: float
    used_wh: float


class Progressed(msgspec.Struct, frozen=True):
    """A charge under way, as it is now: nothing that an index holds has changed, and nobody waits for it."""

    session: Session


class SaveOutlet(msgspec.Struct, frozen=True):
    outlet: Outlet


class SaveOrder(msgspec.Struct, frozen=True):
    order: Order


class SaveCard(msgspec.Struct, frozen=True):
    card: Card


class SaveRefund(msgspec.Struct, frozen=True):
    refund: Refund


class Post(msgspec.Struct, frozen=True):
    entry: Entry


class Receipt(msgspec.Struct, frozen=True):
    """Final and immutable; written once, with the settlement."""

    session: Session


class Moment(msgspec.Struct, frozen=True):
    """One line of a session's story, for people."""

    session: str
    at: float
    what: str
    values: dict[str, float] = {}


SHARED = "shared_outlet"  # told to people, and says nothing against the outlet: what is shown there is a charge


class RaiseAlarm(msgspec.Struct, frozen=True):
    id: str
    at: float
    site: str
    outlet: str
    kind: str
    evidence: dict[str, float]


class ClearAlarms(msgspec.Struct, frozen=True):
    outlet: str
    at: float
    by: str
    kind: str = ""  # "": whatever is open there


class Audit(msgspec.Struct, frozen=True):
    at: float
    by: str
    what: str
    subject: str
    values: dict[str, object]


class SavePower(msgspec.Struct, frozen=True):
    """What a site or a pile may draw; None: no limit. `of` is "site" or "pile"."""

    of: str
    id: str
    power_w: float | None


class SaveCut(msgspec.Struct, frozen=True):
    """A site is cut, or (None) released."""

    site: str
    cut: Cut | None


class SaveInputs(msgspec.Struct, frozen=True):
    """What a pile's contacts mean, by number: `inputs.Wired` as plain values."""

    pile: str
    inputs: dict[str, dict[str, str]]


class SaveBike(msgspec.Struct, frozen=True):
    bike: Bike


class SaveCharger(msgspec.Struct, frozen=True):
    """`evidence` is what its settings were suggested for; None: as before."""

    charger: Charger
    at: float
    by: str
    evidence: dict[str, object] | None = None


class SaveFinish(msgspec.Struct, frozen=True):
    """The approved settings of a site's finish detector; None: the defaults."""

    site: str
    rules: dict[str, float] | None


class Put(msgspec.Struct, frozen=True):
    """A row of the house (site, tariff, pile, staff, sticker, found…), validated at the edge: insert or replace."""

    table: str
    values: dict[str, object]


class NamePile(msgspec.Struct, frozen=True):
    id: str
    name: str


class SaveHardware(msgspec.Struct, frozen=True):
    """A pile is made of something else since `at`; of what these outlets showed before, nothing is true any more."""

    pile: str
    at: float
    hardware: Hardware
    outlets: tuple[str, ...]


class SaveFirmware(msgspec.Struct, frozen=True):
    """What a pile says it runs; "" of the model: it did not say."""

    pile: str
    firmware: str
    model: str = ""


class KeepAnswer(msgspec.Struct, frozen=True):
    """What was answered under a key that its author chose, for repeats that come after a restart."""

    key: str
    at: float
    wish: str
    answer: dict[str, object]


class Drop(msgspec.Struct, frozen=True):
    """Forget a row of the house that is no record: a found device that was adopted, a staff session."""

    table: str
    key: str


class Wish(msgspec.Struct, frozen=True):
    """One row per slot in the outbox; a newer wish replaces an older."""

    slot: str
    kind: str
    payload: dict[str, object]
    not_before: float
    expires_at: float | None = None
    version: int = 0


class WishDone(msgspec.Struct, frozen=True):
    slot: str
    version: int
    retry_at: float | None = None


# -- only after the commit ----------------------------------------------------------------------------------------


class SwitchOn(msgspec.Struct, frozen=True):
    outlet: str
    generation: int
    lease_s: float
    limits: Limits
    expires_s: float  # steady


class PileAdopted(msgspec.Struct, frozen=True):
    """The bridge may open its driver now."""

    pile: str
    family: str
    address: str
    outlets: tuple[str, ...]
    params: dict[str, object]


class PileReplaced(msgspec.Struct, frozen=True):
    """The bridge may let its outlets be switched by this device, and no longer by the one before. `inputs`: those of
    the pile that somebody has given a meaning."""

    pile: str
    family: str
    address: str
    outlets: tuple[str, ...]
    params: dict[str, object]
    inputs: tuple[int, ...] = ()


Now = SwitchOff | Renew | Provision | AskNow | SetInputs | TakeUp
Row = (
    SaveSession
    | Sampled
    | Progressed
    | SaveOutlet
    | SaveOrder
    | SaveCard
    | SaveRefund
    | Post
    | Receipt
    | Moment
    | RaiseAlarm
    | ClearAlarms
    | Audit
    | SavePower
    | SaveCut
    | SaveBike
    | SaveCharger
    | SaveFinish
    | SaveInputs
    | Put
    | NamePile
    | SaveFirmware
    | SaveHardware
    | KeepAnswer
    | Drop
    | Wish
    | WishDone
)
After = SwitchOn | PileAdopted | PileReplaced
Effect = Now | Row | After

RIDING: tuple[type, ...] = (Sampled, Progressed)  # they wait for a batch that goes anyway, for a second at most
NOW: tuple[type, ...] = (SwitchOff, Renew, Provision, AskNow, SetInputs, TakeUp)
AFTER: tuple[type, ...] = (SwitchOn, PileAdopted, PileReplaced)


def stop_moment(session: Session, at: float, reason: StopReason, evidence: dict[str, float]) -> Moment:
    return Moment(session.id, at, f"stop:{reason}", evidence)
