"""The world's own eye on the database file: read-only, plain SQL, sharing no query with the programs it judges."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from controller.core import events as ev

ON_PHASES = "('queued', 'opening', 'charging', 'suspended')"
ENERGISED = f"""SELECT (SELECT COUNT(*) FROM session JOIN account ON account.code = 'session:' || session.id || ':hold'
    WHERE outlet_id = :outlet AND session.phase IN {ON_PHASES} AND account.balance > 0)
    + (SELECT COUNT(*) FROM outlet WHERE id = :outlet AND phase = 'proving')"""  # noqa: S608 - constants only


class Sums(msgspec.Struct, frozen=True):
    """All in fen; balances are credit-positive, so assets are negative here."""

    accounts: Mapping[str, int]
    captured_fen: int
    cash_in_fen: int
    refunded_fen: int
    by_hand_fen: int

    def of(self, *firsts: str) -> int:
        return sum(balance for code, balance in self.accounts.items() if code.split(":", 1)[0] in firsts)

    def wrong(self) -> list[str]:
        found = []
        if sum(self.accounts.values()) != 0:
            found.append(f"balances sum up to {sum(self.accounts.values())} fen")
        came_fen = self.captured_fen + self.cash_in_fen
        there_fen = self.of("session", "card", "revenue", "refund_due") + self.refunded_fen + self.by_hand_fen
        if came_fen != there_fen:
            found.append(f"{came_fen} fen came in, {there_fen} are accounted for")
        negative = [code for code, balance in self.accounts.items() if balance < 0 and code[:3] not in ("psp", "cas")]
        return found + [f"{code} is overdrawn" for code in negative]


class Ledger:
    def __init__(self, database: Path) -> None:
        self._db = sqlite3.connect(f"file:{database}?mode=ro", uri=True, isolation_level=None)

    def close(self) -> None:
        self._db.close()

    def _one(self, query: str, **values: object) -> int:
        return int(self._db.execute(query, values).fetchone()[0] or 0)

    def _column(self, query: str) -> list[str]:
        return [str(row[0]) for row in self._db.execute(query)]

    # -- power ----------------------------------------------------------------------------------------------------

    def may_be_on(self, outlet: str) -> bool:
        """A live session with money held for it, or a commissioning, is on disk."""
        return self._one(ENERGISED, outlet=outlet) > 0

    def alarmed(self, outlet: str) -> bool:
        return self._one("SELECT COUNT(*) FROM alarm WHERE outlet_id = :outlet", outlet=outlet) > 0

    # -- money ----------------------------------------------------------------------------------------------------

    def sums(self) -> Sums:
        def moved(side: str, first: str) -> int:
            query = f"SELECT SUM(amount_fen) FROM transfer WHERE {side} LIKE :first"  # noqa: S608 - two constants
            return self._one(query, first=f"{first}:%")

        accounts = dict(self._db.execute("SELECT code, balance FROM account").fetchall())
        cash = moved("debit", "cash"), moved("credit", "cash")
        return Sums(accounts, moved("debit", "psp"), cash[0], moved("credit", "psp"), cash[1])

    def due_fen(self) -> int:
        """What the refunds that are still owed add up to."""
        return self._one("SELECT SUM(amount_fen) FROM refund WHERE state IN ('due', 'closed', 'abnormal')")

    def settled_holding(self) -> list[str]:
        return self._column(
            "SELECT session.id FROM account JOIN session ON account.code = 'session:' || session.id || ':hold'"
            " WHERE account.balance <> 0 AND session.phase = 'settled'"
        )

    # -- sessions -------------------------------------------------------------------------------------------------

    def sessions(self) -> int:
        return self._one("SELECT COUNT(*) FROM session")

    def live(self) -> list[tuple[str, str]]:
        return self._db.execute("SELECT id, outlet_id FROM session WHERE phase <> 'settled'").fetchall()

    def crowded(self) -> list[str]:
        return self._column(
            "SELECT outlet_id FROM session WHERE phase <> 'settled' GROUP BY outlet_id HAVING COUNT(*) > 1"
        )

    def left_over(self) -> list[str]:
        """Open errands, refunds nobody works on, bills without a settled session and the other way round."""
        queries = {
            "errand": "SELECT slot FROM outbox WHERE kind <> 'query'",
            "refund": "SELECT id FROM refund WHERE state = 'due'",
            "order": "SELECT id FROM charge_order WHERE state = 'open'",
            "session without a bill": "SELECT id FROM session WHERE phase = 'settled'"
            " AND id NOT IN (SELECT session_id FROM receipt)",
            "rest that did not go back": "SELECT o.id FROM charge_order o JOIN receipt r ON r.session_id = o.session_id"
            " WHERE o.amount_fen - r.total_fen <> COALESCE((SELECT SUM(amount_fen) FROM refund WHERE session_id ="
            " o.session_id AND state IN ('success', 'by_hand')), 0)",
            "bill that is not what was taken": "SELECT session_id FROM receipt WHERE total_fen <> COALESCE((SELECT"
            " SUM(amount_fen) FROM transfer WHERE debit = 'session:' || session_id || ':hold' AND credit LIKE"
            " 'revenue:%'), 0)",
        }
        return [f"{what} {found}" for what, query in queries.items() for found in self._column(query)]

    def chain_broken(self) -> list[str]:
        previous = "0" * 64
        for row in self._db.execute("SELECT id, at, by, what, subject, body, previous, hash FROM audit ORDER BY id"):
            chained = json.dumps([previous, repr(row[1]), *row[2:6]], ensure_ascii=False)
            if row[6] != previous or row[7] != hashlib.sha256(chained.encode()).hexdigest():
                return [f"row {row[0]} does not follow from the one before"]
            previous = row[7]
        return []

    # -- what was acknowledged ------------------------------------------------------------------------------------

    def keeps(self, event: ev.Event, body: Mapping[str, Any]) -> bool:
        if isinstance(event, ev.OrderPlaced):
            return self._one("SELECT COUNT(*) FROM charge_order WHERE id = :id", id=body["order"]) == 1
        if isinstance(event, ev.PaymentConfirmed):
            return self._entry(f"txn:{event.provider}:{event.txn}")
        if isinstance(event, ev.RefundConfirmed) and event.state == "success":
            return self._entry(f"refund:{event.refund}")
        if isinstance(event, ev.CardToppedUp):
            return self._entry(f"topup:{event.key}")
        return self._keeps_end(event)

    def _keeps_end(self, event: ev.Event) -> bool:
        if isinstance(event, ev.StopAsked):
            query = "SELECT COUNT(*) FROM session WHERE id = :id AND reason IS NOT NULL"
            return self._one(query, id=event.session) == 1
        if isinstance(event, ev.PlugAnswered):
            word = "mine" if event.mine else "not_mine"
            query = "SELECT COUNT(*) FROM moment WHERE session_id = :id AND what = :what"
            return self._one(query, id=event.session, what=f"plug_answered:{word}") > 0
        if isinstance(event, ev.OrderCancelled):
            return self._one("SELECT COUNT(*) FROM charge_order WHERE id = :id AND state = 'open'", id=event.order) == 0
        return True

    def _entry(self, key: str) -> bool:
        return self._one("SELECT COUNT(*) FROM entry WHERE key = :key", key=key) == 1
