"""What somebody far away needs to understand a gateway. Each part names what it shows; nothing else goes in.

No secret, no token, no card, no payer: what is not listed here by name stays out, and the rest is redacted.
"""

import json
import os
import platform
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from anchong.bundle import Part
from anchong.doctor import findings_of
from anchong.figures import figures_of, version
from anchong.logs import Logs
from anchong.settings import Settings, without_secrets
from anchong.wiring import Gateway
from api.metrics import exposed
from controller.database import reading_engine
from controller.journal import Journal
from controller.schema import head, revision

ALARMS_MAX = 200
SHOWN_OF_OUTLET = (
    *("outlet", "number", "site", "pile", "phase", "lease_class", "linked", "latch", "power_w", "relay_on"),
    *("reading_at", "proving_step", "failed", "session", "session_phase", "reason", "lease_left_s"),
)
ALARMS = "SELECT at, site_id, outlet_id, kind, evidence, cleared_at FROM alarm ORDER BY at DESC LIMIT :most"
OUTLETS = "SELECT id, pile_id, site_id, channel, number, phase, lease_class, latch, commissioned_at FROM outlet"
LIVE = "SELECT outlet_id, id, phase, reason, opened_at FROM session WHERE phase <> 'settled'"


def from_files(config: Path, settings: Settings) -> dict[str, Part]:
    """What can be seen without the gateway's help, so also when it is stopped."""
    return {
        "about.json": about,
        "host.json": lambda: host(Path(settings.journal).absolute().parent),
        "settings.json": lambda: without_secrets(settings),
        "findings.json": lambda: msgspec.to_builtins(findings_of(config, settings)),
        "trips.json": lambda: trips(Path(settings.journal)),
        "database.json": lambda: database(settings.database),
        "alarms.json": lambda: alarms(settings.database),
    }


def from_within(gateway: Gateway, logs: Logs) -> dict[str, Part]:
    """What only the running process knows."""
    return {
        "log.txt": lambda: "\n".join(logs.recent()),
        "metrics.txt": lambda: exposed(figures_of(gateway)).decode(),
        "threads.txt": stacks,
        "queues.json": lambda: queues(gateway),
        "checks.json": lambda: msgspec.to_builtins((gateway.board.health, gateway.board.checks)),
        "outlets.json": lambda: outlets(gateway),
    }


# -- the parts ----------------------------------------------------------------------------------------------------


def about() -> dict[str, Any]:
    packages = {dist.name: dist.version for dist in metadata.distributions()}
    return {"anchong": version(), "python": sys.version, "at": time.time(), "packages": dict(sorted(packages.items()))}


def host(folder: Path) -> dict[str, Any]:
    disk = shutil.disk_usage(folder)
    return {
        "system": platform.platform(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "load": os.getloadavg(),
        "memory": _memory(),
        "disk": {"total_bytes": disk.total, "free_bytes": disk.free},
    }


def _memory() -> list[str]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.startswith(("MemTotal", "MemAvailable", "SwapFree"))]


def trips(journal: Path) -> list[dict[str, Any]]:
    return [
        {"at": t.at, "outlet": t.outlet, "reason": str(t.reason), "evidence": figures_in(t.evidence)}
        for t in (Journal(journal).newest() if journal.exists() else ())
    ]


def database(url: str) -> dict[str, Any]:
    with _reading(url) as db:
        return {
            "kind": db.dialect.name,
            "schema": revision(db),
            "schema_of_this_program": head(),
            "outlets": [dict(row) for row in db.execute(text(OUTLETS)).mappings()],
            "live_sessions": [dict(row) for row in db.execute(text(LIVE)).mappings()],
        }


def alarms(url: str) -> list[dict[str, Any]]:
    with _reading(url) as db:
        rows = [dict(row) for row in db.execute(text(ALARMS), {"most": ALARMS_MAX}).mappings()]
    return [{**row, "evidence": figures_in(_decoded(row["evidence"]))} for row in rows]


@contextmanager
def _reading(url: str) -> Iterator[Connection]:
    engine = reading_engine(url)
    try:
        with engine.connect() as db:
            yield db
    finally:
        engine.dispose()


def _decoded(evidence: Any) -> Mapping[str, Any]:
    """SQLite gives JSON as text, PostgreSQL as a value."""
    found = json.loads(evidence) if isinstance(evidence, str | bytes) else evidence
    return found if isinstance(found, Mapping) else {}


def figures_in(evidence: Mapping[str, Any]) -> dict[str, float]:
    """Measured values; a text might be anybody's name."""
    return {name: value for name, value in evidence.items() if isinstance(value, int | float)}


def stacks() -> str:
    """Where every thread is now: lines of code, never values."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()
    return "\n".join(
        f"-- {names.get(ident, ident)}\n{''.join(traceback.format_stack(frame))}" for ident, frame in frames.items()
    )


def queues(gateway: Gateway) -> dict[str, Any]:
    return {
        "inbox": gateway.engine.inbox.lengths(),
        "writer_batches": gateway.writer.waiting(),
        "database_away_s": gateway.engine.database_away_s(),
        "errands": gateway.outbox.waiting(gateway.plan.clock.now().at),
        "notices": gateway.notices.waiting(),
        "counts": dict(gateway.engine.counts),
        "gates": gateway.gates.counts(),
        "router": dict(gateway.router.counts),
    }


def outlets(gateway: Gateway) -> list[dict[str, Any]]:
    return [{name: getattr(view, name) for name in SHOWN_OF_OUTLET} for view in list(gateway.board.views.values())]
