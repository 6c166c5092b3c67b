"""Money as transfers: append-only entries of debit → credit, balances with floors. Pure; rows are made in store.

Balances are credit-positive fen, so the sum over all accounts is zero by construction. Accounts:
`psp:<provider>:<merchant>` and `cash:<merchant>` (assets, no floor), `session:<id>:hold`, `card:<id>`,
`refund_due:<merchant>` (liabilities, floor 0), `revenue:energy|service:<merchant>` (floor 0).
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from controller.core.errors import Refused
from controller.core.tariff import Bill


class Transfer(msgspec.Struct, frozen=True):
    debit: str
    credit: str
    amount_fen: int


class Entry(msgspec.Struct, frozen=True):
    """One booking; `key` makes it happen once, `body_hash` tells a repeat from a conflict."""

    key: str
    kind: str
    ref: str
    at: float
    by: str
    transfers: tuple[Transfer, ...]

    @property
    def body_hash(self) -> str:
        body = msgspec.json.encode((self.kind, self.ref, self.transfers))
        return hashlib.sha256(body).hexdigest()


def psp(provider: str, merchant: str) -> str:
    return f"psp:{provider}:{merchant}"


def hold(session: str) -> str:
    return f"session:{session}:hold"


def is_hold(account: str) -> bool:
    return account.startswith("session:")


def card(card_id: str) -> str:
    return f"card:{card_id}"


def refund_due(merchant: str) -> str:
    return f"refund_due:{merchant}"


def kind_of(account: str) -> str:
    """asset, liability or revenue, by the account's first word."""
    first = account.split(":", 1)[0]
    return {"psp": "asset", "cash": "asset", "revenue": "revenue"}.get(first, "liability")


def floor_of(account: str) -> int | None:
    return None if kind_of(account) == "asset" else 0


def payment_held(provider: str, merchant: str, txn: str, session: str, amount_fen: int, at: float) -> Entry:
    legs = (Transfer(psp(provider, merchant), hold(session), amount_fen),)
    return Entry(f"txn:{provider}:{txn}", "payment", session, at, f"provider:{provider}", legs)


def payment_rejected(provider: str, merchant: str, txn: str, order: str, amount_fen: int, at: float) -> Entry:
    """Money that came too late, twice or in the wrong amount: owed back at once."""
    legs = (Transfer(psp(provider, merchant), refund_due(merchant), amount_fen),)
    return Entry(f"txn:{provider}:{txn}", "payment_rejected", order, at, f"provider:{provider}", legs)


def card_topped_up(key: str, merchant: str, card_id: str, amount_fen: int, by: str, at: float) -> Entry:
    return Entry(f"topup:{key}", "topup", card_id, at, by, (Transfer(f"cash:{merchant}", card(card_id), amount_fen),))


def card_held(card_id: str, session: str, amount_fen: int, at: float, by: str) -> Entry:
    return Entry(f"hold:{session}", "hold", session, at, by, (Transfer(card(card_id), hold(session), amount_fen),))


def settled(session: str, merchant: str, bill: Bill, back_to: str, back_fen: int, at: float) -> Entry:
    """Hold → revenue by the bill, the rest to `back_to` (a card, or what is due back)."""
    wished = (
        Transfer(hold(session), f"revenue:energy:{merchant}", bill.energy_fen),
        Transfer(hold(session), f"revenue:service:{merchant}", bill.service_fen),
        Transfer(hold(session), back_to, back_fen),
    )
    return Entry(f"settle:{session}", "settle", session, at, "gateway", tuple(t for t in wished if t.amount_fen > 0))


def refunded(provider: str, merchant: str, refund: str, amount_fen: int, at: float) -> Entry:
    legs = (Transfer(refund_due(merchant), psp(provider, merchant), amount_fen),)
    return Entry(f"refund:{refund}", "refund", refund, at, f"provider:{provider}", legs)


def refunded_by_hand(merchant: str, refund: str, amount_fen: int, at: float, by: str) -> Entry:
    legs = (Transfer(refund_due(merchant), f"cash:{merchant}", amount_fen),)
    return Entry(f"refund:{refund}", "refund_by_hand", refund, at, by, legs)


def posted(balances: Mapping[str, int], entry: Entry) -> dict[str, int]:
    """The new balances of the accounts the entry touches; Refused("overdraft") if a floor would be broken."""
    changed: dict[str, int] = {}
    for leg in entry.transfers:
        if leg.amount_fen <= 0 or leg.debit == leg.credit:
            raise ValueError(f"not a transfer: {leg}")
        changed[leg.debit] = changed.get(leg.debit, balances.get(leg.debit, 0)) - leg.amount_fen
        changed[leg.credit] = changed.get(leg.credit, balances.get(leg.credit, 0)) + leg.amount_fen
    _check_floors(changed)
    return changed


def _check_floors(balances: Mapping[str, int]) -> None:
    for account, balance in balances.items():
        floor = floor_of(account)
        if floor is not None and balance < floor:
            raise Refused("overdraft", f"{account} would fall to {balance} fen")


def replayed(entries: Iterable[Entry]) -> dict[str, int]:
    """Balances from nothing, for proofs."""
    balances: dict[str, int] = {}
    for entry in entries:
        balances.update(posted(balances, entry))
    return balances
