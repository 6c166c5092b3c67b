"""A connection to PostgreSQL that never waits for ever, and whose errors tell no resident's data."""

from typing import Any, TypeVar

import psycopg
from psycopg.abc import Buffer, PQGen
from psycopg.errors import ConnectionTimeout
from psycopg.types.string import StrDumper

T = TypeVar("T")

CONNECT_S = 5
ANSWER_S = 15.0  # the server's own limits come first; this is for a server that is stopped or a network that is gone
STATEMENT_MS = 10_000
READ_MS = 10_000
LOCK_MS = 5_000
SILENT_MS = 10_000  # unanswered bytes: either end gives the other up, so that a dead gateway's lock goes free

_PROBES = {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
_THEIR_PROBES = {"tcp_keepalives_idle": 5, "tcp_keepalives_interval": 2, "tcp_keepalives_count": 3}


class Clean(StrDumper):
    """PostgreSQL knows no NUL in a text, and what people and devices send may have one."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", "\ufffd"))


class Bounded(psycopg.Connection[Any]):
    """Gives up, and closes itself, when an answer takes longer than `answer_s`."""

    answer_s: float | None = None

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        limit_s = self.answer_s if timeout is None else timeout
        try:
            return super().wait(gen, interval, limit_s)
        except psycopg.errors._WaitTimeout as error:
            self.pgconn.finish()  # what the server does with the rest is not known: `Store` reads it back
            raise ConnectionTimeout(f"no answer within {limit_s} s") from error
        except psycopg.Error as error:
            error.args = (_first_line(error),)  # DETAIL repeats whole rows
            raise

    @classmethod
    def connect(cls, conninfo: str = "", **named: Any) -> "Bounded":
        limited = named.pop("limited", True)
        connection = super().connect(conninfo, **named)
        connection.answer_s = ANSWER_S if limited else None
        connection.adapters.register_dumper(str, Clean)
        return connection


def _first_line(error: psycopg.Error) -> str:
    return error.diag.message_primary or next(iter(str(error).splitlines()), "")


def arguments(named: dict[str, Any], name: str, *, writes: bool, limited: bool) -> dict[str, Any]:
    """What a connection is opened with; what the URL says itself comes first."""
    server: dict[str, Any] = {"lock_timeout": LOCK_MS, "tcp_user_timeout": SILENT_MS, **_THEIR_PROBES}
    if limited:
        server["statement_timeout"] = STATEMENT_MS if writes else READ_MS
        server["idle_in_transaction_session_timeout"] = STATEMENT_MS
    server |= {"synchronous_commit": "on"} if writes else {"default_transaction_read_only": "on"}
    options = " ".join(f"-c {name}={value}" for name, value in server.items())
    ours = {"connect_timeout": CONNECT_S, "tcp_user_timeout": SILENT_MS, **_PROBES, "application_name": name}
    return {**ours, **named, "options": f"{options} {named.get('options', '')}".strip(), "limited": limited}
