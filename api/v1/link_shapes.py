"""What tokens, hooks and the feed look like in JSON; one model for the data of each kind of event."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from api.v1.shapes import Asked, At, Evidence, Fen, Given, Id, IdIn, Name, Number, Role, W, Wh
from controller.core.feed import KINDS
from controller.post import URL_MAX

Kind = Annotated[Literal[KINDS], Field(examples=["session.settled"])]  # type: ignore[valid-type]
Sites = Annotated[list[IdIn], Field(default_factory=list, max_length=200, examples=[["yinshan"]])]
Place = Annotated[int, Field(description="An event's id; counts up by one.", examples=[4711])]
Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=URL_MAX, pattern=r"^[!-~]+$"),
    Field(description="https, public, without a user or a #part.", examples=["https://books.example/anchong"]),
]

# -- tokens -------------------------------------------------------------------------------------------------------


class NewToken(Asked):
    """Never more rights than its maker has, now or later."""

    name: Annotated[Name, Field(description="What it is for.", examples=["bookkeeping"])]
    role: Role
    sites: Sites
    days: Annotated[
        int | None, Field(strict=True, ge=1, le=3650, description="How long it works; null: until revoked.")
    ] = 365


class TokenMade(BaseModel):
    """The token is shown here and nowhere again."""

    subject: Id
    token: Annotated[str, Field(examples=["anchong_9m3Vq1…"])]
    expires_at: At | None


class Token(Given):
    """`used_at` is the last use since the gateway was started."""

    id: Id
    name: Annotated[str, Field(examples=["bookkeeping"])]
    role: Role
    sites: Annotated[list[str], Field(examples=[["yinshan"]])]
    made_by: Annotated[str, Field(examples=["staff:6f1c2a9b"])]
    at: At
    expires_at: At | None
    revoked_at: Annotated[float | None, Field(examples=[None])]
    used_at: Annotated[float | None, Field(examples=[1800000000.0])]


# -- hooks --------------------------------------------------------------------------------------------------------


class NewHook(Asked):
    """Where to tell. No kinds: all. No sites: all, for an owner alone."""

    url: Url
    kinds: Annotated[
        list[Kind], Field(default_factory=list, max_length=len(KINDS), examples=[["session.settled", "refund.failed"]])
    ]
    sites: Sites


class HookEdit(Asked):
    """What is left out stays."""

    url: Url | None = None
    kinds: Annotated[list[Kind] | None, Field(max_length=len(KINDS), examples=[["session.settled"]])] = None
    sites: Annotated[list[IdIn] | None, Field(max_length=200, examples=[["yinshan"]])] = None
    disabled: Annotated[bool | None, Field(strict=True, examples=[False])] = None


class HookMade(BaseModel):
    """The secret signs every letter; people may look it up again."""

    subject: Id
    secret: Annotated[str, Field(examples=["whsec_5f0dXw…"])]


class Hook(Given):
    """`after`: its receiver has taken everything up to there. `failing_at`: since when it is marked as failing."""

    id: Id
    url: Annotated[str, Field(examples=["https://books.example/anchong"])]
    kinds: Annotated[list[str], Field(examples=[["session.settled"]])]
    sites: Annotated[list[str], Field(examples=[["yinshan"]])]
    made_by: Annotated[str, Field(examples=["staff:6f1c2a9b"])]
    at: Annotated[float, Field(description="When its secret was made.", examples=[1800000000.0])]
    disabled: Annotated[bool, Field(examples=[False])]
    after: Annotated[int | None, Field(examples=[4711])]
    failing_at: Annotated[float | None, Field(examples=[None])]
    tried_at: Annotated[float | None, Field(description="Since the gateway was started.", examples=[1800000000.0])]
    status: Annotated[int, Field(description="Of the last try; 0: no answer.", examples=[204])]
    why: Annotated[str, Field(description="Why there was no answer.", examples=[""])]


class HookTried(BaseModel):
    """What the receiver said to an event of kind `test`."""

    taken: Annotated[bool, Field(examples=[True])]
    status: Annotated[int, Field(description="0: no answer.", examples=[204])]
    why: Annotated[str, Field(examples=[""])]


# -- the feed -----------------------------------------------------------------------------------------------------


class Event(BaseModel):
    """What happened. `site` is empty for what belongs to no single site; what `data` holds: see /events/kinds."""

    id: Place
    at: At
    kind: Annotated[str, Field(examples=["session.settled"])]
    site: Annotated[str, Field(examples=["yinshan"])]
    outlet: Annotated[str | None, Field(examples=["6f1c2a9b4d3e8f705a6b7c8d9e0f1a2b"])]
    session: Annotated[str | None, Field(examples=["0c9e6d1f"])]
    data: Annotated[dict[str, Any], Field(examples=[{"reason": "finished", "bill_fen": 29, "returned_fen": 171}])]


class Gap(BaseModel):
    """Events after `after` are no longer kept, or were never ours; `next` is where it goes on."""

    after: Place
    next: Place


class Events(BaseModel):
    """A page of the feed: ask again with `since` = `next`. With `more` there is more at once."""

    events: list[Event]
    next: Place
    more: Annotated[bool, Field(examples=[False])]
    gap: Annotated[Gap | None, Field(examples=[None])] = None


class KindOfEvent(BaseModel):
    kind: Kind
    about: Annotated[str, Field(examples=["The bill is final."])]
    json_schema: Annotated[dict[str, Any], Field(description="Of `data`.", examples=[{"type": "object"}])]


class _Data(BaseModel):
    order: Annotated[str | None, Field(description="The order that paid for it; null: a card.")]


class Opened(_Data):
    """Money is held and a charge begins."""

    paid_by: Literal["order", "card"]
    hold_fen: Fen
    max_s: float


class Queued(_Data):
    """It waits until its site and pile have power for it."""

    energy_wh: Wh


class Paused(_Data):
    """Cut because a site or pile draws too much; it waits in line and goes on by itself."""

    evidence: Evidence
    energy_wh: Wh


class Charging(_Data):
    """A load is seen."""

    power_w: W


class Suspended(_Data):
    """Nothing is renewed until the outlet has said what it does."""

    energy_wh: Wh


class Resumed(_Data):
    """It goes on after an interruption."""

    energy_wh: Wh


class Stopped(_Data):
    """OFF has left; `reason` and `evidence` as the resident sees them."""

    reason: str
    evidence: Evidence
    energy_wh: Wh


class BillLine(BaseModel):
    band: str
    kind: Literal["energy", "service"]
    wh: int
    price: int
    amount_fen: Fen


class Settled(_Data):
    """The bill is final; what was not used goes back."""

    reason: str | None
    proof: str | None
    energy_wh: Wh
    bill_fen: Fen
    returned_fen: Fen
    lines: list[BillLine]


class _Order(BaseModel):
    order: str
    amount_fen: Fen
    provider: str


class OrderPaid(_Order):
    """Money came and is held."""


class OrderRejected(_Order):
    """Money came, but nothing could be started: it goes back."""

    why: str | None


class OrderExpired(_Order):
    """Nobody paid in time."""


class OrderCancelled(_Order):
    """Taken back before it was paid."""


class _Refund(BaseModel):
    refund: str
    order: str
    amount_fen: Fen
    provider: str
    state: str


class RefundDue(_Refund):
    """Money is owed back."""


class RefundSucceeded(_Refund):
    """It has gone back; `state` by_hand: paid at the office."""


class Drifted(BaseModel):
    """A figure of this charge was beyond its bike's norm. Which bike, and whose, is not told."""

    order: str | None
    what: Annotated[str, Field(description="absorption_min, tail_min, after_wh, energy_wh or peak_w.")]
    evidence: Evidence


class RefundFailed(_Refund):
    """The provider can't: somebody has to pay it by hand."""


class CardToppedUp(BaseModel):
    """Money was taken for a card. Cards belong to no single site."""

    card: str
    amount_fen: Fen


class _Alarm(BaseModel):
    alarm: str
    what: str
    about: Annotated[str, Field(description="An outlet, or site:, pile:, input: or hook: and an id; empty: money.")]


class AlarmRaised(_Alarm):
    """Something is wrong; `what` names it."""

    evidence: Evidence


class AlarmCleared(_Alarm):
    """Somebody looked after it."""


class OutletChanged(BaseModel):
    """`changed` names what is new: number, phase (closed is commissioned), latch, locked."""

    pile: str
    number: Number
    phase: Literal["adopted", "commissioned", "open", "metering_only"]
    latch: str | None
    locked: bool
    changed: list[str]


class PileAdopted(BaseModel):
    """A device belongs to a site now; its outlets serve nothing yet."""

    pile: str
    name: str
    family: str
    model: str
    firmware: str


class SiteCut(BaseModel):
    """A whole site is off, and stays so until a person releases it."""

    cut: bool
    reason: Literal["site_cut", "smoke", "flood"]


class SiteReleased(BaseModel):
    """Somebody has looked; the site may sell again."""

    cut: bool


DATA: dict[str, type[BaseModel]] = {
    "session.opened": Opened,
    "session.queued": Queued,
    "session.charging": Charging,
    "session.paused": Paused,
    "session.suspended": Suspended,
    "session.resumed": Resumed,
    "session.stopped": Stopped,
    "session.settled": Settled,
    "session.drifted": Drifted,
    "order.paid": OrderPaid,
    "order.rejected": OrderRejected,
    "order.expired": OrderExpired,
    "order.cancelled": OrderCancelled,
    "refund.due": RefundDue,
    "refund.succeeded": RefundSucceeded,
    "refund.failed": RefundFailed,
    "card.topped_up": CardToppedUp,
    "alarm.raised": AlarmRaised,
    "alarm.cleared": AlarmCleared,
    "outlet.changed": OutletChanged,
    "pile.adopted": PileAdopted,
    "site.cut": SiteCut,
    "site.released": SiteReleased,
}
