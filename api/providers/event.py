"""What a provider's verified notice says, in one shape for all providers."""

from enum import StrEnum

import msgspec


class EventKind(StrEnum):
    PAYMENT = "payment"
    REFUND = "refund"


class EventState(StrEnum):
    PAID = "paid"
    SUCCESS = "success"
    CLOSED = "closed"
    ABNORMAL = "abnormal"


class ProviderEvent(msgspec.Struct, frozen=True, kw_only=True):
    """True to its sender; merchant, app, numbers, amount and currency are still to be compared with our books."""

    provider: str
    event_id: str
    kind: EventKind
    merchant: str
    app: str
    order_no: str
    refund_no: str
    txn_id: str
    amount_fen: int
    currency: str
    state: EventState
