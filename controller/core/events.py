"""What has happened, in the past tense: everything that may change a session or money enters as one of these.

Every event carries `at` (UTC, unix seconds, for records) and `steady_s` (monotonic seconds, for durations),
stamped at the edge, and every id it needs: the core makes neither.
"""

from enum import StrEnum

import msgspec

from controller.core.reasons import StopReason


class Stamp(msgspec.Struct, frozen=True):
    """One moment, on both clocks."""

    at: float
    steady_s: float


class Event(msgspec.Struct, frozen=True, kw_only=True):
    at: float
    steady_s: float


# -- from devices -------------------------------------------------------------------------------------------------


class Reading(Event, frozen=True, kw_only=True, gc=False):
    """`energy_wh` is the device's own cumulative counter; None is "this meter does not say"."""

    outlet: str
    power_w: float
    energy_wh: float | None = None
    voltage_v: float | None = None
    current_a: float | None = None
    temperature_c: float | None = None
    leakage_ma: float | None = None


class RelayReported(Event, frozen=True, kw_only=True):
    outlet: str
    on: bool


class LinkUp(Event, frozen=True, kw_only=True):
    outlet: str


class LinkLost(Event, frozen=True, kw_only=True):
    outlet: str


class DeviceRestarted(Event, frozen=True, kw_only=True):
    """`up_s` is for how long it has run since; None: it has only just begun to."""

    outlet: str
    cause: str = ""
    up_s: float | None = None


class HazardReported(Event, frozen=True, kw_only=True):
    """The device itself speaks of danger (its own power limit, smoke, flood)."""

    outlet: str
    reason: StopReason


class InputReported(Event, frozen=True, kw_only=True):
    """A contact wired to a pile's own input (smoke, flood, an emergency button); inputs count from 1.

    What it means is a setting of the pile, not of the device.
    """

    pile: str
    input: int
    on: bool


class SettingReported(Event, frozen=True, kw_only=True):
    """One setting read back from the device while provisioning, in our words: `lease_s`, `power_up_off`,
    `sees_power_when_off`, `own_counter`, `inputs_detached`, `watchdog_s`; 0/1 for no and yes, and -1 for a
    `power_up_off` that the device can't say."""

    outlet: str
    setting: str
    value: float


class FirmwareReported(Event, frozen=True, kw_only=True):
    """What the device of an adopted outlet runs. Another one than it was proven with has to be proven again."""

    outlet: str
    firmware: str
    model: str = ""  # "": not told this time


class Tripped(Event, frozen=True, kw_only=True):
    """The guard at the gate has already sent OFF; this is the fact that follows."""

    outlet: str
    generation: int
    reason: StopReason
    evidence: dict[str, float]


class CardTapped(Event, frozen=True, kw_only=True):
    """`session` and `key` are ids made at the edge, used only if the tap opens a session.

    At a reader that serves a whole pile `pile` is its id, and `outlet` what was chosen there, or empty.
    """

    outlet: str
    pile: str = ""
    uid: str
    session: str
    key: str


class PileFound(Event, frozen=True, kw_only=True):
    """A device nobody has adopted. `address` names it within its family for ever (a MAC); `params` is what its
    driver needs to talk to it, kept with the pile."""

    family: str
    address: str
    model: str
    firmware: str
    channels: int
    params: dict[str, object]
    lease_class: str = "renewed"
    lease_s_max: int = 900


# -- from residents and the office --------------------------------------------------------------------------------


class OrderPlaced(Event, frozen=True, kw_only=True):
    """A wish with its frozen price. `secret_hash` is SHA-256 of the order's secret; the secret itself never enters."""

    key: str
    order: str
    session: str
    outlet: str
    party: str
    amount_fen: int
    max_s: int
    secret_hash: str
    provider: str
    lang: str
    stop_at: int = 100  # per cent: at about how full its rider wants it to stop
    bike: str = ""  # as its rider named it; empty: nobody said


class BikeForgotten(Event, frozen=True, kw_only=True):
    """A bike by its id, asked for by whoever holds its token; or all bikes of a party, by staff. The other is ""."""

    key: str
    by: str
    bike: str = ""
    party: str = ""
    wish: str = ""


class OrderCancelled(Event, frozen=True, kw_only=True):
    key: str
    order: str


class PayPageMade(Event, frozen=True, kw_only=True):
    order: str
    url: str


class PaymentConfirmed(Event, frozen=True, kw_only=True):
    """A verified statement of the provider: money has arrived. `party` names the payer if the provider told us."""

    key: str
    provider: str
    merchant: str
    app: str
    order: str
    txn: str
    amount_fen: int
    currency: str


class RefundConfirmed(Event, frozen=True, kw_only=True):
    """`state` is success, closed or abnormal; only success moves money."""

    key: str
    provider: str
    merchant: str
    refund: str
    amount_fen: int
    state: str


class StopAsked(Event, frozen=True, kw_only=True):
    """`by` is `party:<id>` or `staff:<id>`; a stop always wins, so it needs no permission beyond the api's."""

    key: str
    session: str
    outlet: str
    by: str
    reason: StopReason


class PlugAnswered(Event, frozen=True, kw_only=True):
    """Whoever pays says whether what is plugged in now is theirs. `by` as in StopAsked."""

    key: str
    session: str
    outlet: str
    by: str
    mine: bool


class AddressLeft(Event, frozen=True, kw_only=True):
    """Whoever pays says where to be told: an e-mail address, good until the charge has ended."""

    key: str
    session: str
    outlet: str
    party: str
    address: str


class AddressForgotten(Event, frozen=True, kw_only=True):
    """By whoever left it, or by us (`gateway`) once the last notice has left."""

    key: str
    party: str
    by: str


class SiteCutAsked(Event, frozen=True, kw_only=True):
    """It holds until a person releases the site."""

    key: str
    site: str
    by: str


class Held(Event, frozen=True, kw_only=True):
    """A cut that holds, as the trip journal keeps it: `of` is "site" or "pile", `by` as in SiteCutAsked."""

    of: str
    id: str
    by: str
    why: StopReason


# -- from staff ---------------------------------------------------------------------------------------------------


class Change(StrEnum):
    """What staff may change about the house; each is one `StaffChange` event."""

    MERCHANT = "merchant"
    SITE = "site"
    TARIFF = "tariff"
    PILE = "pile"
    CARD = "card"
    STAFF = "staff"
    ADOPT = "adopt"
    REPLACE = "replace"
    NAME = "name"
    COMMISSION = "commission"
    OPEN = "open"
    CLOSE = "close"
    LOCK = "lock"
    UNLOCK = "unlock"
    CLEAR_LATCH = "clear_latch"
    POWER = "power"
    INPUTS = "inputs"
    RELEASE_SITE = "release_site"
    BIKE = "bike"
    FINISH = "finish"
    CHARGER = "charger"
    RETIRE_STICKER = "retire_sticker"
    TOKEN = "token"  # noqa: S105
    HOOK = "hook"
    LOG_LEVEL = "log_level"


class StaffChange(Event, frozen=True, kw_only=True):
    """`subject` is the id of the thing changed, `values` already validated at the edge; `by` is `staff:<id>`.

    `seen` are tags (`tags.py`) of what its author saw of the thing; empty: they did not say. `wish`, here and below,
    digests what was asked under a key of the author's own; its answer is kept for repeats after a restart.
    """

    key: str
    by: str
    change: Change
    subject: str
    values: dict[str, object]
    wish: str = ""
    seen: tuple[str, ...] = ()


class CardToppedUp(Event, frozen=True, kw_only=True):
    key: str
    by: str
    card: str
    amount_fen: int
    wish: str = ""


class RefundPaidByHand(Event, frozen=True, kw_only=True):
    """A refund the provider could not make, paid at the office: closes the debt."""

    key: str
    by: str
    refund: str
    wish: str = ""


# -- from our own inside ------------------------------------------------------------------------------------------


class DeadlinePassed(Event, frozen=True, kw_only=True):
    outlet: str


class PowerGranted(Event, frozen=True, kw_only=True):
    """There is room on the outlet's pile and site, and it is this session's turn."""

    outlet: str


class PowerWithdrawn(Event, frozen=True, kw_only=True):
    """A site or pile draws more than it may; of its sessions this one came last. `evidence` has both figures."""

    outlet: str
    evidence: dict[str, float]


class ErrandDone(Event, frozen=True, kw_only=True):
    """An outbox slot was carried out, if its version is still `version`; `retry_at` set means: try again then."""

    slot: str
    version: int
    retry_at: float | None = None


class HookReached(Event, frozen=True, kw_only=True):
    """A receiver has taken all events up to `after`; `failing_at` since when it is marked as failing (None: it takes),
    `turned` if that has just changed, `status` its last HTTP status (0: no answer at all)."""

    hook: str
    site: str
    after: int
    failing_at: float | None = None
    turned: bool = False
    status: int = 0
