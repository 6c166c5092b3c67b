"""The rows, written by the writer alone. Whole numbers for money, unix seconds for time, text with CHECKs for words."""

from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, text
from sqlmodel import Field, SQLModel

# PostgreSQL's INTEGER ends at 21 million yuan; SQLite's has 64 bits, and numbers its rows only under that name
WHOLE = BigInteger().with_variant(Integer(), "sqlite")
LIVE = text("phase <> 'settled'")
PAID = text("txn IS NOT NULL")
UNCLEARED = text("cleared_at IS NULL")


class Meta(SQLModel, table=True):
    key: str = Field(primary_key=True)
    value: str


class Merchant(SQLModel, table=True):
    id: str = Field(primary_key=True)
    name: str


class Tariff(SQLModel, table=True):
    """Never edited: a changed price is a new row that the site points at."""

    id: str = Field(primary_key=True)
    site_id: str | None = Field(default=None, index=True)
    name: str
    zone: str
    bands: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    at: float


class Site(SQLModel, table=True):
    id: str = Field(primary_key=True)
    name: str
    zone: str
    merchant_id: str = Field(foreign_key="merchant.id")
    tariff_id: str = Field(foreign_key="tariff.id")
    epoch: int = 0
    power_w: float | None = None  # what its feed may carry; None: nobody said
    cut_at: float | None = None  # an emergency cut holds until a person releases it
    cut_by: str | None = None
    cut_why: str | None = None
    finish: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))  # approved settings of its detector


class Pile(SQLModel, table=True):
    id: str = Field(primary_key=True)
    site_id: str = Field(foreign_key="site.id", index=True)
    name: str
    family: str
    address: str
    model: str
    firmware: str
    params: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    adopted_at: float
    power_w: float | None = None  # what its cable and breaker may carry; None: nobody said
    inputs: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))  # what its contacts mean
    __table_args__ = (Index("pile_by_name", "name", "id"), Index("pile_of_site", "site_id", "name", "id"))


class Outlet(SQLModel, table=True):
    id: str = Field(primary_key=True)
    pile_id: str = Field(foreign_key="pile.id", index=True)
    site_id: str = Field(foreign_key="site.id", index=True)
    channel: int
    number: str  # as printed on the box
    phase: str
    lease_class: str
    latch: str | None = None
    locked_by: str | None = None
    commissioned_at: float | None = None
    state: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    __table_args__ = (Index("outlet_by_number", "number", "id"), Index("outlet_of_site", "site_id", "number", "id"))


class Found(SQLModel, table=True):
    id: str = Field(primary_key=True)  # family:address
    family: str
    address: str
    model: str
    firmware: str
    channels: int
    params: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    lease_class: str = "renewed"
    lease_s_max: int = 900
    seen_at: float


class Sticker(SQLModel, table=True):
    id: str = Field(primary_key=True)
    outlet_id: str = Field(foreign_key="outlet.id", index=True)
    made_at: float
    retired_at: float | None = None


class Party(SQLModel, table=True):
    id: str = Field(primary_key=True)
    kind: str
    at: float


class PartyIdentity(SQLModel, table=True):
    """The one table that says who somebody is; erasable, and nothing of it stands anywhere else."""

    __tablename__ = "party_identity"
    party_id: str = Field(primary_key=True)
    kind: str
    value: str = Field(index=True)


class Card(SQLModel, table=True):
    id: str = Field(primary_key=True)
    uid: str = Field(unique=True)
    printed: str
    party_id: str
    frozen: bool = False
    __table_args__ = (Index("card_by_printed", "printed", "id"),)


class Bike(SQLModel, table=True):
    """What is known of one bike from its charges; a card or a party names it, and it goes with them."""

    id: str = Field(primary_key=True)
    site_id: str
    party_id: str
    name: str
    charger_id: str | None = None
    kept: bool = True  # False: told to remember nothing
    at: float
    memory: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    __table_args__ = (Index("bike_of_party", "party_id", "at", "id"), Index("bike_by_time", "at", "id"))


class Charger(SQLModel, table=True):
    """A model of charger, with settings of the finish detector that a person has approved, or not yet."""

    id: str = Field(primary_key=True)
    site_id: str
    name: str
    rules: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    state: str  # suggested, approved, withdrawn
    evidence: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    by: str
    at: float
    __table_args__ = (Index("charger_by_time", "at", "id"), Index("charger_of_site", "site_id", "at", "id"))


class ChargeOrder(SQLModel, table=True):
    __tablename__ = "charge_order"
    id: str = Field(primary_key=True)
    key: str = Field(unique=True)
    session_id: str = Field(index=True)
    outlet_id: str
    site_id: str
    merchant_id: str
    party_id: str
    provider: str
    amount_fen: int
    secret_hash: str = Field(unique=True)
    state: str
    placed_at: float
    expires_at: float
    pay_url: str | None = None
    txn: str | None = None
    why: str | None = None
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="order_amount"),
        Index("order_by_time", "placed_at", "id"),
        Index("order_of_site", "site_id", "placed_at", "id"),
        Index("order_of_outlet", "outlet_id", "placed_at", "id"),
        Index("order_of_party", "party_id", "placed_at", "id"),
        Index("order_in_state", "state", "placed_at", "id"),
        Index("order_of_site_in_state", "site_id", "state", "placed_at", "id"),
        Index("order_paid", "placed_at", "id", sqlite_where=PAID, postgresql_where=PAID),
        Index("order_of_site_paid", "site_id", "placed_at", "id", sqlite_where=PAID, postgresql_where=PAID),
        Index("order_party_at_site", "site_id", "party_id"),
    )


class Session(SQLModel, table=True):
    id: str = Field(primary_key=True)
    outlet_id: str
    site_id: str
    merchant_id: str
    party_id: str
    order_id: str | None = Field(default=None, index=True)
    card_id: str | None = None
    phase: str
    reason: str | None = None
    opened_at: float
    started_at: float | None = None
    off_at: float | None = None
    settled_at: float | None = None
    hold_fen: int
    bill_fen: int | None = None
    returned_fen: int | None = None
    energy_wh: float = 0.0
    peak_w: float = 0.0
    proof: str | None = None
    evidence: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    curve: list[Any] | None = Field(default=None, sa_column=Column(JSON))  # packed at the end: [[t_s, w, wh], …]
    state: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    __table_args__ = (
        Index("one_live_session_per_outlet", "outlet_id", unique=True, sqlite_where=LIVE, postgresql_where=LIVE),
        Index("one_live_session_per_card", "card_id", unique=True, sqlite_where=LIVE, postgresql_where=LIVE),
        Index("session_by_time", "opened_at", "id"),
        Index("session_of_site", "site_id", "opened_at", "id"),
        Index("session_of_outlet", "outlet_id", "opened_at", "id"),
        Index("session_of_party", "party_id", "opened_at", "id"),
        Index("session_of_card", "card_id", "opened_at", "id"),
        Index("session_in_phase", "phase", "opened_at", "id"),
        Index("session_of_site_in_phase", "site_id", "phase", "opened_at", "id"),
        Index("session_for_reason", "reason", "opened_at", "id"),
        Index("session_of_site_for_reason", "site_id", "reason", "opened_at", "id"),
        Index("session_party_at_site", "site_id", "party_id"),
        Index("session_settled", "settled_at"),
    )


class Sample(SQLModel, table=True):
    session_id: str = Field(primary_key=True)
    at: float = Field(primary_key=True)
    power_w: float
    used_wh: float


class Receipt(SQLModel, table=True):
    session_id: str = Field(primary_key=True)
    at: float
    total_fen: int
    lines: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))


class Moment(SQLModel, table=True):
    id: int | None = Field(default=None, sa_column=Column(WHOLE, primary_key=True))
    session_id: str = Field(index=True)
    at: float
    what: str
    evidence: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))


class Refund(SQLModel, table=True):
    id: str = Field(primary_key=True)
    order_id: str = Field(index=True)
    session_id: str | None = Field(default=None, index=True)
    site_id: str = Field(default="", sa_column_kwargs={"server_default": ""})  # of its order
    merchant_id: str
    provider: str
    amount_fen: int
    state: str
    due_at: float
    done_at: float | None = None
    why: str = ""
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="refund_amount"),
        Index("refund_by_time", "due_at", "id"),
        Index("refund_of_site", "site_id", "due_at", "id"),
        Index("refund_in_state", "state", "due_at", "id"),
        Index("refund_of_site_in_state", "site_id", "state", "due_at", "id"),
    )


class Account(SQLModel, table=True):
    code: str = Field(primary_key=True)
    kind: str
    floor: int | None = Field(default=None, sa_column=Column(WHOLE))
    balance: int = Field(default=0, sa_column=Column(WHOLE, nullable=False))
    __table_args__ = (CheckConstraint("floor IS NULL OR balance >= floor", name="account_floor"),)


class Entry(SQLModel, table=True):
    id: int | None = Field(default=None, sa_column=Column(WHOLE, primary_key=True))
    key: str = Field(unique=True)
    body_hash: str
    kind: str
    ref: str = Field(index=True)
    at: float
    by: str


class Transfer(SQLModel, table=True):
    id: int | None = Field(default=None, sa_column=Column(WHOLE, primary_key=True))
    entry_key: str = Field(foreign_key="entry.key", index=True)
    debit: str = Field(foreign_key="account.code", index=True)
    credit: str = Field(foreign_key="account.code", index=True)
    amount_fen: int = Field(sa_column=Column(WHOLE, nullable=False))
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="transfer_amount"),
        CheckConstraint("debit <> credit", name="transfer_two_accounts"),
    )


class Outbox(SQLModel, table=True):
    slot: str = Field(primary_key=True)
    version: int = 1
    kind: str
    payload: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    not_before: float = Field(index=True)
    expires_at: float | None = None
    attempts: int = 0


class Audit(SQLModel, table=True):
    """Hash-chained: an edited or missing row breaks every later hash."""

    id: int | None = Field(default=None, sa_column=Column(WHOLE, primary_key=True))
    at: float
    by: str
    what: str
    subject: str
    body: str
    previous: str
    hash: str = Field(unique=True)
    __table_args__ = (Index("audit_by_time", "at", "id"), Index("audit_of_subject", "subject", "at", "id"))


class Staff(SQLModel, table=True):
    id: str = Field(primary_key=True)
    login: str = Field(unique=True)
    name: str
    password_hash: str
    role: str
    sites: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    disabled: bool = False
    at: float


class ApiToken(SQLModel, table=True):
    """A program's way in: rights like a staff member's, no password, no pages."""

    __tablename__ = "api_token"
    id: str = Field(primary_key=True)
    name: str
    token_hash: str = Field(unique=True)
    role: str
    sites: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    made_by: str
    at: float
    expires_at: float | None = None
    revoked_at: float | None = None


class Hook(SQLModel, table=True):
    """Where somebody else's program wants to be told; its secret is derived, never stored."""

    id: str = Field(primary_key=True)
    url: str
    kinds: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))  # empty: all
    sites: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))  # empty: all
    made_by: str
    at: float
    disabled: bool = False


class Feed(SQLModel, table=True):
    """What happened, in the order of the commits, for programs that follow; its id is where they go on."""

    id: int | None = Field(default=None, sa_column=Column(WHOLE, primary_key=True))
    at: float = Field(index=True)
    kind: str
    site_id: str = Field(index=True)
    outlet_id: str | None = None
    session_id: str | None = None
    body: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class Alarm(SQLModel, table=True):
    id: str = Field(primary_key=True)
    at: float
    site_id: str
    outlet_id: str
    kind: str
    evidence: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    cleared_at: float | None = None
    cleared_by: str | None = None
    __table_args__ = (
        Index("alarm_by_time", "at", "id"),
        Index("alarm_of_site", "site_id", "at", "id"),
        Index("alarm_of_outlet", "outlet_id", "at", "id"),
        Index("alarm_open", "at", "id", sqlite_where=UNCLEARED, postgresql_where=UNCLEARED),
        Index("alarm_of_site_open", "site_id", "at", "id", sqlite_where=UNCLEARED, postgresql_where=UNCLEARED),
    )


class KeptAnswer(SQLModel, table=True):
    """What was answered under a key of the caller's own, so that a repeat after a restart is answered alike."""

    __tablename__ = "kept_answer"
    key: str = Field(primary_key=True)
    at: float = Field(index=True)
    wish: str
    answer: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


APPEND_ONLY = ("entry", "transfer", "audit", "receipt")
