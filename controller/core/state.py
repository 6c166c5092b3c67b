"""What the decider remembers: sites, outlets, sessions, orders, cards, refunds. Values only; nothing here decides.

Steady times (`…_s` marked "steady") are of this process; `rebased` moves them after a restart, time away included.
What is made anew with each reading is `gc=False`, here and elsewhere: values of values are part of no cycle, and the
collector need not walk through ten thousand of them.
"""

from enum import StrEnum

import msgspec
from msgspec.structs import replace

from controller.core.bikes import Aim, Course
from controller.core.danger import DangerState
from controller.core.draw import Draw, moved
from controller.core.finish import FinishRules, FinishState, Usual
from controller.core.programme import Failure, Proof, Proving
from controller.core.reasons import StopReason
from controller.core.tariff import Bill, Meter, Tariff


class Rules(msgspec.Struct, frozen=True):
    """Every default with its reason; a site's settings replace them."""

    session_s: float = 8 * 3600.0  # the longest charge fire authorities recommend
    hard_cap_s: float = 10 * 3600.0  # no charge of a sound pack takes longer
    outlet_w: float = 800.0  # the largest usual e-bike charger draws 600 W
    no_power_w: float = 3.0  # meters in this class show up to 2.2 W of nothing
    load_w: float = 5.0  # the smallest charger at work draws more
    never_plugged_s: float = 120.0  # time to walk back to the bike once
    lease_s: float = 120.0  # what a dead gateway may cost in time under power
    on_expires_s: float = 5.0  # an ON older than this surprises somebody at the outlet
    on_confirm_s: float = 10.0  # a device that has not confirmed by then may still obey: OFF follows
    off_repeat_s: float = 5.0
    silent_s: float = 60.0  # six reports missed: nothing is renewed on trust
    proof_s: float = 600.0
    db_away_s: float = 5.0  # nothing new starts when the disk is this late
    db_grace_s: float = 900.0
    resume_max_s: float = 1800.0  # after half an hour another bike may stand there
    removal_s: float = 180.0  # nothing drawn for so long by a charge at work: dark, until somebody says or it is looked
    removal_window_s: float = 900.0  # ... and that long it may go on; some chargers rest at nothing
    plug_answer_s: float = 900.0  # to answer whose bike it is; long enough to come back down
    probe_wait_s: float = 75.0  # dark for so long, chargers have forgotten that they were full
    probe_s: float = 60.0  # soft starts are over by then
    probes_max: int = 3  # a charger that comes back each time rests, and is waited for
    order_s: float = 900.0
    pay_fen_min: int = 100
    pay_fen_max: int = 2_000
    card_hold_fen: int = 500
    sample_s: float = 30.0
    tap_s: float = 3.0  # readers stutter: taps closer than this are one
    over_voltage_v: float = 270.0
    under_voltage_v: float = 100.0
    overheat_c: float = 80.0  # lower values tripped falsely in the field
    leakage_ma: float = 30.0  # what a residual-current device for people trips at
    overload_s: float = 8.0  # one reading over the limit may be an inrush, two are not
    headroom: float = 0.15  # constant current rises by a tenth with the pack's voltage; cold chargers take a gulp
    inrush_s: float = 10.0  # a start that is no longer seen in the report after the next
    settle_s: float = 300.0  # within it a charger has shown its plateau; until then it counts as its outlet's limit
    stagger_s: float = 2.0  # between starts on one site: gulps shall not add up, after a power cut least of all
    over_limit_s: float = 30.0  # three reports; a breaker carries half as much again for longer
    queue_max_s: float = 7200.0  # an evening's peak; who waits longer has gone home, and wants the money there
    input_lost_s: float = 180.0  # three asks without an answer: a contact that nobody hears guards nothing
    lease_proof_s: float = 15.0  # the lease used while commissioning: short, or proving takes minutes
    commission_step_s: float = 60.0
    lease_walk_s: float = 60.0  # while commissioning waits for a person: for a lamp, for the supply gone and back
    walk_s: float = 600.0  # to walk there, and back if the first try came to nothing


class Limits(msgspec.Struct, frozen=True, gc=False):
    """What the gate's guard cuts at, by itself. `counter_wh` is the device counter's value, not a difference."""

    power_w: float
    overload_s: float
    over_voltage_v: float
    under_voltage_v: float
    overheat_c: float
    counter_wh: float | None
    counter_reason: StopReason
    leakage_ma: float = 30.0


class OutletPhase(StrEnum):
    ADOPTED = "adopted"
    PROVING = "proving"
    COMMISSIONED = "commissioned"
    OPEN = "open"
    METERING_ONLY = "metering_only"


class Outlet(msgspec.Struct, frozen=True):
    id: str
    pile: str
    site: str
    channel: int
    number: str
    phase: OutletPhase
    lease_class: str
    lease_s: float
    power_w: float
    firmware: str = ""
    latch: str | None = None
    locked_by: str | None = None
    commissioned_at: float | None = None
    record: dict[str, float] = {}
    proof: Proof | None = None  # the last one, also where it counts no longer (`phase`)
    failed: str | None = None
    failure: Failure | None = None
    proving: Proving | None = None


class Seen(msgspec.Struct, frozen=True, gc=False):
    """The newest an outlet has said of itself; never stored, steady times."""

    power_w: float | None = None
    counter_wh: float | None = None
    reading_s: float = -1e18
    relay_on: bool | None = None
    linked: bool = False
    off_s: float = -1e18
    alarmed: bool = False
    behind: int = 0  # readings in a row whose counter was below the mark


class Phase(StrEnum):
    QUEUED = "queued"
    OPENING = "opening"
    CHARGING = "charging"
    SUSPENDED = "suspended"
    CLOSING = "closing"
    SETTLED = "settled"


class Why(StrEnum):
    """Why a charge is suspended."""

    AWAY = "away"  # this gateway was
    MAINS = "mains"  # its device was without power, or out of reach for longer than its lease
    PLUG = "plug"  # another load came than had left: whose is it?
    EMPTY = "empty"  # nothing is drawn any more: unplugged, or a charger that rests at nothing
    PROBE = "probe"  # dark for a moment, to see whether the charger draws again


class Pause(msgspec.Struct, frozen=True, gc=False):
    """Kept from the doubt until a load is seen and known again, through QUEUED and OPENING."""

    why: Why
    since_s: float  # steady
    meter: Meter  # as it stood before the doubt; the payer is billed no more than that if it is not theirs
    evidence: dict[str, float] = {}


class Session(msgspec.Struct, frozen=True, gc=False):
    id: str
    outlet: str
    site: str
    merchant: str
    party: str
    order: str | None
    card: str | None
    tariff: Tariff
    hold_fen: int
    max_s: float
    max_wh: int
    max_reason: StopReason
    power_w: float
    lease_s: float
    phase: Phase
    opened_at: float
    opened_s: float  # steady
    since_s: float  # steady, of the phase
    meter: Meter
    generation: int = -1
    on_s: float | None = None  # steady, when the ON was decided
    confirmed_s: float | None = None  # steady
    renewed_s: float | None = None  # steady; of the last ON or renewal
    started_at: float | None = None
    reading_s: float | None = None  # steady
    reading_at: float | None = None
    queued_s: float | None = None  # steady, when it was paid: its place in any line
    again: bool = False  # closing only to wait: once off is proven it goes back into the line
    behind: int = 0  # readings in a row whose counter was below the mark
    power_now_w: float = 0.0
    peak_w: float = 0.0
    band_until: float = 0.0  # UTC: the tariff need not be asked before
    finish: FinishState | None = None
    danger: DangerState | None = None
    pause: Pause | None = None
    draw: Draw | None = None
    probes: int = 0
    stop_at: int = 100  # per cent: at about how full its rider wants it to stop
    bike: str | None = None  # until it has settled
    course: Course | None = None  # of a bike, or where it shall stop before it is full
    aim: Aim | None = None
    usual: Usual | None = None  # what its bike's memory knew when it started
    finish_rules: FinishRules | None = None  # as set for its site or charger when it started; None: the defaults
    reason: StopReason | None = None
    evidence: dict[str, float] = {}
    rule: str = ""  # of the detector that ended it: which of its questions was answered yes
    stopped_by: str | None = None
    off_s: float | None = None  # steady, of the first OFF
    off_sent_s: float | None = None  # steady, of the last OFF
    off_at: float | None = None
    meter_at_off: Meter | None = None
    proof: str | None = None
    settled_at: float | None = None
    bill: Bill | None = None
    returned_fen: int = 0
    saved_at: float = 0.0
    saved_s: float = 0.0


_STEADY = ("opened_s", "since_s", "queued_s", "on_s", "confirmed_s", "renewed_s", "reading_s", "off_s", "off_sent_s")


def rebased(session: Session, at: float, steady_s: float) -> Session:
    """The session as it was saved, its steady times moved to this process; the time away counts as spent."""
    delta_s = steady_s - session.saved_s - max(0.0, at - session.saved_at)
    shifted = {name: value + delta_s for name in _STEADY if (value := getattr(session, name)) is not None}
    pause = session.pause and replace(session.pause, since_s=session.pause.since_s + delta_s)
    draws = session.draw and moved(session.draw, delta_s)
    return replace(session, **shifted, pause=pause, draw=draws, saved_at=at, saved_s=steady_s)


class OrderState(StrEnum):
    OPEN = "open"
    PAID = "paid"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


class Order(msgspec.Struct, frozen=True):
    id: str
    key: str
    session: str
    outlet: str
    site: str
    merchant: str
    party: str
    provider: str
    amount_fen: int
    max_s: float
    tariff: Tariff
    secret_hash: str
    lang: str
    state: OrderState
    placed_at: float
    expires_at: float
    pay_url: str | None = None
    txn: str | None = None
    why: str | None = None
    stop_at: int = 100
    bike: str = ""


class Card(msgspec.Struct, frozen=True):
    id: str
    uid: str
    printed: str
    party: str
    frozen: bool = False


class RefundState(StrEnum):
    DUE = "due"
    SUCCESS = "success"
    CLOSED = "closed"
    ABNORMAL = "abnormal"
    BY_HAND = "by_hand"


class Refund(msgspec.Struct, frozen=True):
    id: str
    order: str
    session: str | None
    merchant: str
    provider: str
    txn: str
    amount_fen: int
    total_fen: int
    state: RefundState
    due_at: float
    done_at: float | None = None
    why: str = ""


class Cut(msgspec.Struct, frozen=True):
    """A whole site is off, and stays so until a person releases it. `by` as in StopAsked, or `input:<pile>:<n>`."""

    at: float
    by: str
    why: StopReason


class Site(msgspec.Struct, frozen=True):
    id: str
    name: str
    zone: str
    merchant: str
    tariff: Tariff
