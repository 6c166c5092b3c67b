"""What queries return: frozen rows with names for people already joined in. Whole fen, Wh, unix seconds."""

from typing import Any, Generic, TypeVar

import msgspec

from controller.core.finish import RULES, FinishRules
from controller.core.programme import Failure, Proof
from controller.core.tariff import Tariff

T = TypeVar("T")


class Listed(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list and how long the whole list is."""

    rows: list[T]
    total: int


class SiteRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    zone: str
    merchant_id: str
    merchant_name: str
    power_w: float | None
    tariff: Tariff
    cut_at: float | None = None  # an emergency cut that nobody has released
    cut_by: str | None = None
    cut_why: str | None = None


class MerchantRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str


class TariffRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    site_id: str | None
    name: str
    zone: str
    bands: list[dict[str, Any]]
    at: float


class FoundRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    family: str
    address: str
    model: str
    firmware: str
    channels: int
    seen_at: float
    params: dict[str, Any] = {}
    lease_class: str = "renewed"

    @property
    def needs_meters(self) -> bool:
        """A board that measures nothing by itself."""
        return "meters" in self.params


class PileRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    site_id: str
    name: str
    family: str
    address: str
    model: str
    firmware: str
    adopted_at: float
    power_w: float | None
    inputs: dict[str, dict[str, str]] | None = None
    params: dict[str, Any] = {}

    @property
    def meters(self) -> list[str | None]:
        """By channel, where they are devices of their own."""
        return [meter and f"{meter['family']}:{meter['address']}" for meter in self.params.get("meters") or ()]


class StickerRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    outlet_id: str
    made_at: float
    retired_at: float | None


class OutletRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    pile_id: str
    pile_name: str
    site_id: str
    site_name: str
    zone: str
    channel: int
    number: str
    phase: str
    lease_class: str
    latch: str | None
    locked_by: str | None
    commissioned_at: float | None


class OutletDetail(OutletRow, frozen=True, kw_only=True):
    """`record` is what commissioning measured, `proof` who did it when and on what; `stickers` are the ids that lead
    here, newest last."""

    pile: PileRow
    tariff: Tariff
    power_limit_w: float
    lease_s: float
    record: dict[str, float]
    failed: str | None
    stickers: list[str]
    proof: Proof | None = None
    failure: Failure | None = None


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """`secret_hash` is for comparing, never for showing."""

    id: str
    key: str
    session_id: str
    outlet_id: str
    number: str
    site_id: str
    site_name: str
    zone: str
    merchant_id: str
    party_id: str
    provider: str
    amount_fen: int
    secret_hash: str
    state: str
    placed_at: float
    expires_at: float
    pay_url: str | None
    txn: str | None
    why: str | None


class RefundRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    order_id: str
    session_id: str | None
    site_id: str
    merchant_id: str
    provider: str
    amount_fen: int
    state: str
    due_at: float
    done_at: float | None
    why: str


class ReceiptRow(msgspec.Struct, frozen=True, kw_only=True):
    """`lines`: band, kind (energy or service), wh, price, amount_fen."""

    session_id: str
    at: float
    total_fen: int
    lines: list[dict[str, Any]]


class MomentRow(msgspec.Struct, frozen=True, kw_only=True):
    at: float
    what: str
    evidence: dict[str, Any]


class TransferRow(msgspec.Struct, frozen=True, kw_only=True):
    entry_key: str
    kind: str
    ref: str
    at: float
    by: str
    debit: str
    credit: str
    amount_fen: int


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    outlet_id: str
    number: str
    pile_id: str
    pile_name: str
    site_id: str
    site_name: str
    zone: str
    merchant_id: str
    party_id: str
    order_id: str | None
    card_id: str | None
    phase: str
    reason: str | None
    opened_at: float
    started_at: float | None
    off_at: float | None
    settled_at: float | None
    hold_fen: int
    bill_fen: int | None
    returned_fen: int | None
    energy_wh: float
    peak_w: float
    proof: str | None
    evidence: dict[str, Any]


class SessionDetail(SessionRow, frozen=True, kw_only=True):
    """`curve` is [[t_s, power_w, used_wh], …] counted from the start; `tariff` and `stopped_by` as frozen inside."""

    tariff: Tariff
    max_s: float
    stopped_by: str | None
    stop_at: int = 100  # per cent: at about how full its rider wanted it to stop
    rule: str = ""  # of the detector, where it was one that cut
    finish_rules: FinishRules = RULES  # what the detector went by
    curve: list[list[float]]
    receipt: ReceiptRow | None
    moments: list[MomentRow]
    refunds: list[RefundRow]
    transfers: list[TransferRow]


class SessionReadings(msgspec.Struct, frozen=True, kw_only=True):
    """`curve` as in SessionDetail; its times are counted from `from_at`."""

    site_id: str
    from_at: float
    curve: list[list[float]]


class PartyRow(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who pays, without a name."""

    id: str
    kind: str
    at: float


class CardRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    uid: str
    printed: str
    party_id: str
    frozen: bool
    balance_fen: int


class AlarmRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    at: float
    site_id: str
    outlet_id: str
    number: str | None
    kind: str
    evidence: dict[str, Any]
    cleared_at: float | None
    cleared_by: str | None


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    at: float
    by: str
    what: str
    subject: str
    body: str
    hash: str


class StaffRow(msgspec.Struct, frozen=True, kw_only=True):
    """`password_hash` is for verifying, never for showing."""

    id: str
    login: str
    name: str
    password_hash: str
    role: str
    sites: list[str]
    disabled: bool
    at: float


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Sums since a moment; what is due back is due whenever it arose."""

    sessions: int
    energy_wh: float
    takings_fen: int
    refunds_due_fen: int
    refunds_stuck: int
    alarms_open: int
