"""Which cells of the two tables a run has reached, and which it can't reach, with why."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from controller.core import outlet, session
from controller.core.reasons import StopReason

Table = dict[Any, dict[type, Callable[..., Any]]]
TABLES: tuple[tuple[str, Table], ...] = (("session", session.TABLE), ("outlet", outlet.TABLE))


def cell(table: str, phase: object, event: type) -> str:
    return f"{table} {phase} × {event.__name__}"


def all_cells() -> list[str]:
    return [cell(name, phase, event) for name, table in TABLES for phase, row in table.items() for event in row]


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """While inside, every handler of both tables counts its calls; the tables are given back as they were."""
    counts: Counter[str] = Counter(dict.fromkeys(all_cells(), 0))
    kept = [(table, phase, row) for _, table in TABLES for phase, row in table.items()]
    for name, table in TABLES:
        for phase, row in list(table.items()):
            table[phase] = {event: _counting(counts, cell(name, phase, event), row[event]) for event in row}
    try:
        yield counts
    finally:
        for table, phase, row in kept:
            table[phase] = row


def _counting(counts: Counter[str], name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        counts[name] += 1
        return handler(*args)

    return call


# -- what can't be reached ----------------------------------------------------------------------------------------

GONE = "a settled session has left the decider's memory; what comes after goes to its outlet"
NO_TIMER = "these sockets have a timer and a meter, so none is adopted as metering-only"
ITS_TURN = "a turn is found and taken at the end of one step, while the session waits"
NOTHING_ON = "power is taken from what draws it; a session that waits, ends, or whose load is not seen yet draws none"
NO_DEADLINE = "an idle outlet has no deadline"
NO_GUARD = "a gate that no session or commissioning has opened guards nothing, so it can't trip"
NO_SENSOR = "no sensor of this family tells it"

CELLS: dict[str, str] = {
    "session settled": GONE,
    "outlet metering_only": NO_TIMER,
    "session queued × Tripped": NO_GUARD,
    "session queued × PowerWithdrawn": NOTHING_ON,
    "session opening × PowerWithdrawn": NOTHING_ON,
    "session suspended × PowerWithdrawn": NOTHING_ON,
    "session closing × PowerWithdrawn": NOTHING_ON,
    "session opening × PowerGranted": ITS_TURN,
    "session charging × PowerGranted": ITS_TURN,
    "session suspended × PowerGranted": ITS_TURN,
    "session closing × PowerGranted": ITS_TURN,
    "outlet adopted × DeadlinePassed": NO_DEADLINE,
    "outlet commissioned × DeadlinePassed": NO_DEADLINE,
    "outlet open × DeadlinePassed": NO_DEADLINE,
    "outlet adopted × Tripped": NO_GUARD,
    "outlet commissioned × Tripped": NO_GUARD,
    "outlet open × Tripped": NO_GUARD,
    "session suspended × Tripped": NO_GUARD,
}
REASONS: dict[StopReason, str] = {
    StopReason.LEAKAGE: NO_SENSOR,
    StopReason.RELAY_FAULT: "a relay that stays closed is an alarm and a latch; the session keeps its reason",
}


def unreachable(handlers: Mapping[str, int], reasons: Mapping[str, int]) -> dict[str, str]:
    """Every zero that is known to be one, with why; a zero without a why is not here."""
    found = {}
    for name, count in handlers.items():
        why = next((why for start, why in CELLS.items() if name.startswith(start)), None)
        if count == 0 and why is not None:
            found[name] = why
    return found | {str(reason): why for reason, why in REASONS.items() if not reasons.get(str(reason))}
