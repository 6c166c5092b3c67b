"""What a gateway knows about itself, gathered when somebody looks: counts that the parts keep anyway, and lengths."""

import platform
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata

from anchong.wiring import Gateway
from controller.core.state import OutletPhase, Phase
from controller.database import sqlite_path
from controller.figures import Figure, Kind, Sample, by_label, counter, gauge, histograms
from controller.views import View
from firmware_bridge.capture import Recorder
from firmware_bridge.routers import BROKER
from firmware_bridge.transports.mqtt import MqttTransport

LIVE_PHASES = [str(phase) for phase in Phase if phase is not Phase.SETTLED]
OUTLET_STATES = [*map(str, OutletPhase), "latched", "locked"]
INPUT_STATES = ("calm", "active", "lost")
READER_STATES = ("reads", "silent", "gone")
NO_COUNTS: Mapping[str, int] = {}


def figures_of(gateway: Gateway) -> Iterable[Figure]:
    """Every figure, one part after the other. Reads memory and file sizes, never the database."""
    for part in (_decider, _power, _house, _money, _disk, _links, _readers, _process):
        yield from part(gateway)


def _decider(gateway: Gateway) -> Iterable[Figure]:
    engine, inbox = gateway.engine, gateway.engine.inbox
    yield histograms("step_seconds", "Time one step of the decider took.", [Sample(gateway.step_s)])
    said_s, clock = gateway.board.health.steady_s, gateway.plan.clock
    silent_s = 0.0 if said_s is None else clock.wait_s(clock.now().steady_s - said_s)
    yield gauge("decider_silent_seconds", "Since the decider last said how it is.", silent_s)
    yield counter("readings_total", "Readings that the decider has looked at.", inbox.looked_at)
    yield counter("readings_coalesced_total", "Readings replaced by a newer one before a look.", inbox.coalesced)
    yield counter("events_dropped_total", "Events for which the inbox had no room.", inbox.dropped)
    yield by_label(Kind.GAUGE, "inbox_events", "What waits for the decider.", "lane", inbox.lengths())
    counts = dict(engine.counts)
    refused = {what.partition(":")[2]: count for what, count in counts.items() if what.startswith("refused:")}
    yield by_label(Kind.COUNTER, "refusals_total", "Wishes that were refused, by code.", "code", refused)
    yield counter(
        "decisions_failed_total", "Decisions ended by a bug of ours; the outlet was cut.", _of(counts, "fenced")
    )
    yield counter("samples_thinned_total", "Samples left out while the disk was away.", _of(counts, "samples_thinned"))


def _power(gateway: Gateway) -> Iterable[Figure]:
    engine_counts, gate_counts = dict(gateway.engine.counts), gateway.gates.counts()
    cuts = [Sample(gateway.guard_cut_s, {"lane": "guard"}), Sample(gateway.decider_cut_s, {"lane": "decider"})]
    yield histograms("cut_seconds", "From a reading's arrival to the OFF that it caused.", cuts)
    trips = {what.partition(":")[2]: count for what, count in gate_counts.items() if what.startswith("trip:")}
    yield by_label(Kind.COUNTER, "trips_total", "Cuts that the safety guard made, by reason.", "reason", trips)
    dropped = {what: count for what, count in gate_counts.items() if not what.startswith("trip:")}
    yield by_label(Kind.COUNTER, "gate_drops_total", "ONs and renewals that a gate did not pass.", "why", dropped)
    yield counter("renewals_total", "Leases renewed.", _of(engine_counts, "renewed"))
    yield counter("renewals_dropped_total", "Renewals that did not leave.", _of(engine_counts, "renewal_dropped"))


def _house(gateway: Gateway) -> Iterable[Figure]:
    views = list(gateway.board.views.values())
    sessions = Counter(dict.fromkeys(LIVE_PHASES, 0))
    sessions.update(view.session_phase for view in views if view.session is not None and view.session_phase)
    outlets = Counter(dict.fromkeys(OUTLET_STATES, 0))
    outlets.update(_state(view) for view in views)
    yield by_label(Kind.GAUGE, "sessions", "Live sessions, by phase.", "phase", sessions)
    yield by_label(Kind.GAUGE, "outlets", "Outlets, by state.", "state", outlets)
    yield gauge("outlets_unreachable", "Outlets whose link is down.", sum(not view.linked for view in views))
    yield gauge("sites_cut", "Sites that are switched off until a person releases them.", len(gateway.board.cuts))
    inputs = Counter(dict.fromkeys(INPUT_STATES, 0))
    inputs.update(view.state for of_pile in list(gateway.board.inputs.values()) for view in of_pile if view.kind)
    yield by_label(Kind.GAUGE, "inputs", "Contacts with a meaning, by what they show.", "state", inputs)
    load_w = sum(view.power_w or 0.0 for view in views if view.session is not None and view.linked)
    yield gauge("load_watts", "Power that flows in sessions, as last measured.", load_w)


def _state(view: View) -> str:
    return "locked" if view.locked_by else "latched" if view.latch else view.phase


def _money(gateway: Gateway) -> Iterable[Figure]:
    waiting = gateway.outbox.waiting(gateway.plan.clock.now().at)
    counts, ages = ({kind: pair[n] for kind, pair in waiting.items()} for n in (0, 1))
    yield by_label(Kind.GAUGE, "errands", "Calls to payment providers not yet done.", "kind", counts)
    about = "How long the oldest of them has been due."
    yield by_label(Kind.GAUGE, "errands_oldest_seconds", about, "kind", ages)
    yield gauge("notices", "Letters to payers not yet taken by the mail server.", gateway.notices.waiting())
    balances = gateway.engine.house.balances.copy()
    for name, about in (
        ("refund_due", "Money owed back to payers."),
        ("wallets", "Money on cards."),
        ("holds", "Money set aside for running sessions."),
    ):
        yield gauge(f"money_{name}_fen", about, sum(v for code, v in balances.items() if _ACCOUNTS[name](code)))


_ACCOUNTS: dict[str, Callable[[str], bool]] = {
    "refund_due": lambda code: code.startswith("refund_due:"),
    "wallets": lambda code: code.startswith("card:"),
    "holds": lambda code: code.startswith("session:"),
}


def _disk(gateway: Gateway) -> Iterable[Figure]:
    writer, rules = gateway.writer, gateway.plan.rules
    yield histograms("commit_seconds", "Time one transaction took.", [Sample(writer.commit_s)])
    yield counter("rows_written_total", "Rows handed to the database in transactions that held.", writer.rows)
    yield counter("commits_failed_total", "Transactions tried in vain, to be tried again.", writer.away)
    yield gauge("writer_batches", "Batches that wait for the writer.", writer.waiting())
    yield gauge("database_away_seconds", "Age of the oldest batch not yet committed.", gateway.engine.database_away_s())
    yield gauge("database_grace_seconds", "At this age every session is ended.", rules.db_grace_s)
    yield by_label(
        Kind.GAUGE, "database_size_bytes", "Size on disk, SQLite only.", "file", _sizes(gateway.plan.database)
    )
    yield gauge("journal_failed", "1: the trip journal can't be written.", gateway.journal.failed)


def _sizes(url: str) -> dict[str, float]:
    main = sqlite_path(url)
    if main is None:
        return {}
    files = {"main": main, "wal": main.with_name(f"{main.name}-wal")}
    return {name: path.stat().st_size for name, path in files.items() if path.exists()}


def _links(gateway: Gateway) -> Iterable[Figure]:
    yield by_label(Kind.GAUGE, "hooks", "Receivers of events, by how they are.", "state", gateway.couriers.counts())
    yield gauge("link_up", "1: our own links to broker and buses stand.", gateway.router.up)
    counts = dict(gateway.router.counts)
    bad = {what.partition(":")[2]: count for what, count in counts.items() if what.startswith("bad:")}
    yield by_label(Kind.COUNTER, "frames_bad_total", "Messages not of their protocol, by kind.", "kind", bad)
    odd = {what: count for what, count in counts.items() if not what.startswith("bad:")}
    yield by_label(Kind.COUNTER, "messages_unplaced_total", "Messages from nobody we know.", "why", odd)
    link = gateway.links.get(BROKER)
    link = link.inner if isinstance(link, Recorder) else link
    lost = _lost(link) if isinstance(link, MqttTransport) else NO_COUNTS
    yield by_label(Kind.COUNTER, "link_losses_total", "What the broker link could not carry.", "why", lost)


def _lost(link: MqttTransport) -> Mapping[str, int]:
    return {
        "not_sent": link.not_sent,
        "oversized": link.oversized,
        "unreadable": link.unreadable,
        "handler_error": link.handler_errors,
        "refused": link.refusals,
    }


def _readers(gateway: Gateway) -> Iterable[Figure]:
    standing = gateway.readers.standing() if gateway.readers is not None else ()
    states = Counter(dict.fromkeys(READER_STATES, 0))
    states.update(reader.state for reader in standing)
    yield by_label(Kind.GAUGE, "readers", "Card readers at this gateway, by how they are.", "state", states)
    faults: Counter[str] = Counter()
    for reader in standing:
        faults.update(reader.faults)
    yield by_label(Kind.COUNTER, "reader_faults_total", "What card readers said wrongly or not at all.", "kind", faults)


def _process(gateway: Gateway) -> Iterable[Figure]:
    yield gauge("clock_trusted", "0: our clock can't be believed, nothing is sold.", gateway.board.health.clock_trusted)
    checks = {check.name: float(check.ok) for check in gateway.board.checks if check.name != "decider"}
    yield by_label(Kind.GAUGE, "ready", "1: this does not keep something new from starting.", "check", checks)
    yield gauge("threads", "Threads of this process.", threading.active_count())
    about = "Always 1; what runs here."
    labels = {"version": version(), "python": platform.python_version()}
    yield Figure("build_info", Kind.GAUGE, about, (Sample(1.0, labels),))


def version() -> str:
    try:
        return metadata.version("anchong")
    except metadata.PackageNotFoundError:
        return "0"


def _of(counts: Mapping[str, int], what: str) -> int:
    return counts.get(what, 0)
