"""Sessions, orders, refunds and cards as the JSON API gives them; no secret and no identity is among them."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from api.v1.shapes import Asked, At, Evidence, Fen, Given, Id, Name, Number, SiteName, Tariff, TopUpFen, W, Wh


class Session(Given):
    id: Id
    outlet_id: Id
    number: Number
    pile_name: Annotated[str, Field(examples=["Gate 2, left"])]
    site_id: Id
    site_name: SiteName
    party_id: Id
    order_id: Id | None
    card_id: Annotated[str | None, Field(examples=[None])]
    phase: Annotated[str, Field(examples=["settled"])]
    reason: Annotated[str | None, Field(examples=["finished"])]
    opened_at: At
    started_at: At | None
    off_at: At | None
    settled_at: At | None
    hold_fen: Fen
    bill_fen: Annotated[int | None, Field(examples=[29])]
    returned_fen: Annotated[int | None, Field(examples=[171])]
    energy_wh: Wh
    peak_w: W
    proof: Annotated[str | None, Field(examples=["measured"])]
    evidence: Evidence


class Line(Given):
    band: Annotated[str, Field(examples=["day"])]
    kind: Annotated[str, Field(examples=["energy"])]
    wh: Annotated[int, Field(examples=[347])]
    price: Annotated[int, Field(examples=[5583])]
    amount_fen: Annotated[int, Field(examples=[19])]


class Receipt(Given):
    """Final; the total is the sum of its lines."""

    at: At
    total_fen: Annotated[int, Field(examples=[19])]
    lines: list[Line]


class Moment(Given):
    at: At
    what: Annotated[str, Field(examples=["stop:finished"])]
    evidence: Evidence


class Transfer(Given):
    entry_key: Annotated[str, Field(examples=["settle:6f1c2a9b"])]
    kind: Annotated[str, Field(examples=["settle"])]
    at: At
    by: Annotated[str, Field(examples=["gateway"])]
    debit: Annotated[str, Field(examples=["session:6f1c2a9b:hold"])]
    credit: Annotated[str, Field(examples=["revenue:energy:yinshan"])]
    amount_fen: Annotated[int, Field(examples=[19])]


class Refund(Given):
    id: Id
    order_id: Id
    session_id: Id | None
    site_id: Id
    provider: Annotated[str, Field(examples=["sandbox"])]
    amount_fen: Annotated[int, Field(examples=[171])]
    state: Annotated[str, Field(examples=["due"])]
    due_at: At
    done_at: At | None
    why: Annotated[str, Field(examples=[""])]


class SessionDetail(Session):
    """`curve` is [[seconds from the start, W, Wh], …]."""

    tariff: Tariff
    max_s: Annotated[float, Field(examples=[28800.0])]
    stop_at: Annotated[int, Field(description="Per cent, about: where its rider wanted it to stop.", examples=[100])]
    stopped_by: Annotated[str | None, Field(examples=[None])]
    curve: Annotated[list[Any], Field(examples=[[[0.0, 168.0, 0.0], [30.0, 167.5, 1.4]]])]
    receipt: Receipt | None
    moments: list[Moment]
    refunds: list[Refund]
    transfers: list[Transfer]


class Reading(Given):
    at: At
    power_w: W
    used_wh: Wh


class Readings(Given):
    """Oldest first, some 30 s apart. `now`: the newest of a charge under way, null once it has ended."""

    rows: list[Reading]
    now: Reading | None


class StopEvidence(Given):
    """Why it ended, and the figures that decided it; all null while it goes on. `rule` is the detector's own word."""

    reason: Annotated[str | None, Field(examples=["finished"])]
    rule: Annotated[str, Field(examples=["low"])]
    stopped_by: Annotated[str | None, Field(examples=[None])]
    off_at: At | None
    proof: Annotated[str | None, Field(examples=["measured"])]
    evidence: Evidence


class Story(Given):
    """What happened, oldest first."""

    rows: list[Moment]


class Quote(Given):
    """What a charge would cost, by the code that bills: each line rounded down, the total their sum."""

    site: Id
    tariff: Id
    start_at: At
    end_at: Annotated[float, Field(examples=[1800021600.0])]
    energy_wh: Annotated[int, Field(description="Whole Wh, as billed.", examples=[1008])]
    total_fen: Annotated[int, Field(examples=[86])]
    lines: list[Line]


class Stopped(Given):
    """`pending`: the outlet is off, the record follows as soon as it can be written."""

    session: Id
    pending: Annotated[bool, Field(examples=[False])]


class PlugAnswer(Asked):
    """`mine`: what is plugged in now belongs to whoever paid for this session."""

    mine: Annotated[bool, Field(strict=True, examples=[True])]


class Order(Given):
    id: Id
    session_id: Id
    outlet_id: Id
    number: Number
    site_id: Id
    site_name: SiteName
    party_id: Id
    provider: Annotated[str, Field(examples=["sandbox"])]
    amount_fen: Fen
    state: Annotated[str, Field(examples=["paid"])]
    placed_at: At
    expires_at: At
    txn: Annotated[str | None, Field(examples=["T20270115000001"])]
    why: Annotated[str | None, Field(examples=[None])]


class Party(Given):
    """Somebody who pays. Who it is, nobody is told here."""

    id: Id
    kind: Annotated[str, Field(examples=["walk_in"])]
    at: At


class Card(Given):
    id: Id
    party_id: Annotated[str, Field(examples=["card:6f1c2a9b"])]
    uid: Annotated[str, Field(examples=["04A1B2C3"])]
    printed: Annotated[str, Field(examples=["000123"])]
    frozen: Annotated[bool, Field(examples=[False])]
    balance_fen: Annotated[int, Field(examples=[5000])]


class CardDetail(Card):
    transfers: list[Transfer]


class NewCard(Asked):
    """`uid` as a reader gives it, `printed` as people read it."""

    uid: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{8,20}$", to_upper=True), Field(examples=["04A1B2C3"])]
    printed: Annotated[Name, Field(examples=["000123"])]


class CardEdit(Asked):
    """What is left out stays as it is."""

    printed: Annotated[Name | None, Field(examples=["000123"])] = None
    frozen: Annotated[bool | None, Field(strict=True, examples=[True])] = None


class TopUp(Asked):
    """Money taken at the office."""

    amount_fen: TopUpFen


class ToppedUp(Given):
    card: Id
    balance_fen: Annotated[int | None, Field(description="None for a repeat.", examples=[5000])] = None


class Overview(Given):
    sessions: Annotated[int, Field(examples=[42])]
    energy_wh: Wh
    takings_fen: Fen
    refunds_due_fen: Fen
    refunds_stuck: Annotated[int, Field(examples=[0])]
    alarms_open: Annotated[int, Field(examples=[0])]
