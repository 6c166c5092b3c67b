"""`python -m anchong.session_doc` prints docs/session.md from the tables themselves: every cell, nothing by hand."""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from controller.core import outlet, session
from controller.core.reasons import OCPP_STOPPED_REASON

Cell = Callable[..., Any]
Table = Mapping[Any, Mapping[type, Cell]]

INTRO = """\
# The two tables

Printed by `python -m anchong.session_doc > docs/session.md`; a test compares. Don't edit it by hand.

Whatever happens at an outlet is one of these events. With a live session it goes to the session's table, without one
to the outlet's. Each cell is a handler, *ignore*, or *refuse* (said to whoever asked). A handler returns the next state
and its wishes; it does nothing itself.
"""


def page() -> str:
    return "\n".join([INTRO, *_session(), *_outlet(), *_reasons()])


def _session() -> Iterator[str]:
    yield "## A session, from the held money to the settled bill\n"
    yield from _table(session.TABLE)
    yield from _handlers(session.TABLE)


def _outlet() -> Iterator[str]:
    yield "## An outlet without a session\n"
    yield "Locked out and latched are not phases: an outlet in any phase may be locked (by a named person) or latched"
    yield "(by a fault), and then nothing starts on it.\n"
    yield from _table(outlet.TABLE)
    yield from _handlers(outlet.TABLE)


def _table(table: Table) -> Iterator[str]:
    phases = list(table)
    yield _row(["event", *(str(phase) for phase in phases)])
    yield _row(["---"] * (len(phases) + 1))
    for event in _events(table):
        yield _row([event.__name__, *(_shown(table[phase][event]) for phase in phases)])
    yield ""


def _events(table: Table) -> list[type]:
    """In the order of their first appearance; a table with a hole would raise KeyError."""
    return list(dict.fromkeys(event for row in table.values() for event in row))


def _handlers(table: Table) -> Iterator[str]:
    """What each handler promises, where its name does not say it."""
    cells = dict.fromkeys(cell for row in table.values() for cell in row.values())
    told = [(_name(cell), _contract(cell)) for cell in cells if _contract(cell)]
    yield from (f"- `{name}`: {contract}" for name, contract in told)
    yield ""


def _reasons() -> Iterator[str]:
    yield "## Why a session stops\n"
    yield _row(["reason", "OCPP 2.0.1 stoppedReason"])
    yield _row(["---", "---"])
    for reason, ocpp in OCPP_STOPPED_REASON.items():
        yield _row([f"`{reason}`", ocpp])
    yield ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(cell: Cell) -> str:
    name = _name(cell)
    return name if name in ("ignore", "refuse") else f"`{name}`"


def _name(cell: Cell) -> str:
    return cell.__name__.lstrip("_")


def _contract(cell: Cell) -> str:
    return (inspect.getdoc(cell) or "").split("\n", 1)[0]


if __name__ == "__main__":
    sys.stdout.write(page())
