"""Writes docs/grafana/anchong.json: `python docs/grafana.py`. A row is a heading and its panels.

The dashboard needs nothing but a Prometheus that reads /metrics.
"""

import json
import re
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "grafana" / "anchong.json"
SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDTH, HEIGHT, ACROSS = 8, 7, 3
METRIC = re.compile(r"\b((?:anchong|process)_\w+)(\{)?")

# title, unit, what it tells, (expression, legend)…
Panel = tuple[str, str, str, tuple[tuple[str, str], ...]]

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Overview",
        (
            ("Would start something new", "short", "0: no; the check says why.", (("anchong_ready", "{{check}}"),)),
            ("Sessions", "short", "Live charges by phase.", (("anchong_sessions", "{{phase}}"),)),
            ("Outlets", "short", "By state; latched and locked serve nobody.", (("anchong_outlets", "{{state}}"),)),
            ("Load", "watt", "Power that flows in sessions.", (("anchong_load_watts", "load"),)),
            (
                "Readings",
                "ops",
                "Looked at, and replaced before a look.",
                (
                    ("rate(anchong_readings_total[5m])", "looked at"),
                    ("rate(anchong_readings_coalesced_total[5m])", "coalesced"),
                ),
            ),
            ("Refusals", "ops", "Wishes refused, by code.", (("rate(anchong_refusals_total[5m])", "{{code}}"),)),
        ),
    ),
    (
        "Power and safety",
        (
            (
                "Cuts by the guard",
                "short",
                "In the last hour, by reason.",
                (("increase(anchong_trips_total[1h])", "{{reason}}"),),
            ),
            (
                "From reading to OFF, p99",
                "s",
                "By lane: the guard cuts at once, the decider with judgement.",
                (("histogram_quantile(0.99, sum by (le, lane) (rate(anchong_cut_seconds_bucket[15m])))", "{{lane}}"),),
            ),
            (
                "Leases",
                "ops",
                "A renewal that does not leave lets an outlet go dark.",
                (
                    ("rate(anchong_renewals_total[5m])", "renewed"),
                    ("rate(anchong_renewals_dropped_total[5m])", "dropped"),
                ),
            ),
            (
                "Not passed by a gate",
                "ops",
                "Too old, of another generation, or not sent.",
                (("rate(anchong_gate_drops_total[5m])", "{{why}}"),),
            ),
            (
                "Latched and locked",
                "short",
                "Out of service until somebody looks.",
                (('anchong_outlets{state=~"latched|locked"}', "{{state}}"),),
            ),
            (
                "Failed decisions",
                "short",
                "Bugs of ours; the outlet was cut. Report them.",
                (("increase(anchong_decisions_failed_total[1h])", "failed"),),
            ),
        ),
    ),
    (
        "Money",
        (
            ("Owed back", "short", "Fen on their way to payers.", (("anchong_money_refund_due_fen", "refunds due"),)),
            (
                "Held and on cards",
                "short",
                "Fen.",
                (
                    ("anchong_money_holds_fen", "held for sessions"),
                    ("anchong_money_wallets_fen", "on cards"),
                ),
            ),
            (
                "Calls and letters that wait",
                "short",
                "Calls to providers by kind, and letters to payers.",
                (("anchong_errands", "{{kind}}"), ("anchong_notices", "letters")),
            ),
            ("The oldest of them", "s", "Overdue for so long.", (("anchong_errands_oldest_seconds", "{{kind}}"),)),
        ),
    ),
    (
        "Database",
        (
            (
                "Commit",
                "s",
                "Time of one transaction.",
                (
                    ("histogram_quantile(0.5, sum by (le) (rate(anchong_commit_seconds_bucket[5m])))", "p50"),
                    ("histogram_quantile(0.99, sum by (le) (rate(anchong_commit_seconds_bucket[5m])))", "p99"),
                ),
            ),
            (
                "Oldest batch",
                "s",
                "Over 5 s nothing new starts; at the grace every session ends.",
                (
                    ("anchong_database_away_seconds", "waits"),
                    ("anchong_database_grace_seconds", "grace"),
                ),
            ),
            (
                "Rows",
                "ops",
                "Written, and samples left out while the disk was away.",
                (
                    ("rate(anchong_rows_written_total[5m])", "written"),
                    ("rate(anchong_samples_thinned_total[5m])", "left out"),
                ),
            ),
            ("Waiting for the writer", "short", "Batches.", (("anchong_writer_batches", "batches"),)),
            (
                "Commits in vain",
                "short",
                "Tried again with the same rows.",
                (("increase(anchong_commits_failed_total[1h])", "failed"),),
            ),
            ("Size", "bytes", "SQLite only.", (("anchong_database_size_bytes", "{{file}}"),)),
        ),
    ),
    (
        "Links",
        (
            ("Broker link", "short", "1: up.", (("anchong_link_up", "up"),)),
            ("Out of reach", "short", "Outlets whose link is down.", (("anchong_outlets_unreachable", "outlets"),)),
            (
                "Bad frames",
                "ops",
                "Not of their protocol, by kind.",
                (("rate(anchong_frames_bad_total[5m])", "{{kind}}"),),
            ),
            (
                "From nobody we know",
                "ops",
                "Messages of strangers.",
                (("rate(anchong_messages_unplaced_total[5m])", "{{why}}"),),
            ),
            ("Hooks", "short", "Receivers of our events.", (("anchong_hooks", "{{state}}"),)),
            (
                "Not carried",
                "ops",
                "What the link could not carry.",
                (("rate(anchong_link_losses_total[5m])", "{{why}}"),),
            ),
            (
                "Card readers",
                "short",
                "Those that read, and what came wrongly from any.",
                (
                    ("anchong_readers", "{{state}}"),
                    ("increase(anchong_reader_faults_total[1h])", "{{kind}}, in an hour"),
                ),
            ),
        ),
    ),
    (
        "Decider, web and host",
        (
            (
                "Step",
                "s",
                "The time nobody else is decided about.",
                (
                    ("histogram_quantile(0.5, sum by (le) (rate(anchong_step_seconds_bucket[5m])))", "p50"),
                    ("histogram_quantile(0.99, sum by (le) (rate(anchong_step_seconds_bucket[5m])))", "p99"),
                ),
            ),
            (
                "Inbox",
                "short",
                "What waits for the decider.",
                (
                    ("anchong_inbox_events", "{{lane}}"),
                    ("increase(anchong_events_dropped_total[1h])", "dropped in an hour"),
                ),
            ),
            (
                "Web answers",
                "ops",
                "By class of status.",
                (("sum by (status) (rate(anchong_web_answers_total[5m]))", "{{status}}"),),
            ),
            (
                "Web answers, p95",
                "s",
                "Until the answer began.",
                (("histogram_quantile(0.95, sum by (le) (rate(anchong_web_answer_seconds_bucket[5m])))", "p95"),),
            ),
            (
                "Log lines",
                "ops",
                "By level; left out: nobody took them.",
                (
                    ("rate(anchong_log_lines_total[5m])", "{{level}}"),
                    ("rate(anchong_log_lines_left_out_total[5m])", "left out"),
                ),
            ),
            ("Open streams", "short", "Live pages and followers.", (("anchong_web_streams", "streams"),)),
            ("Processor", "percentunit", "1 is one core.", (("rate(process_cpu_seconds_total[5m])", "used"),)),
            ("Memory", "bytes", "Resident.", (("process_resident_memory_bytes", "resident"),)),
            (
                "Files and threads",
                "short",
                "Open.",
                (
                    ("process_open_fds", "files"),
                    ("anchong_threads", "threads"),
                ),
            ),
            ("Clock", "short", "0: not believed, nothing is sold.", (("anchong_clock_trusted", "trusted"),)),
            (
                "Decider",
                "s",
                "Since its last word; over 10 s it hangs.",
                (("anchong_decider_silent_seconds", "silent"),),
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    return {
        "uid": "anchong",
        "title": "Anchong",
        "tags": ["anchong"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source(), _gateway()]},
        "panels": _panels(),
    }


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _gateway() -> dict[str, Any]:
    return {
        "name": "instance",
        "label": "Gateway",
        "type": "query",
        "datasource": SOURCE,
        "query": "label_values(anchong_build_info, instance)",
        "refresh": 2,
        "includeAll": True,
        "multi": True,
    }


def _panels() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    y = 0
    for heading, row in ROWS:
        panels.append(_row(len(panels) + 1, heading, y))
        y += 1
        for number, panel in enumerate(row):
            at = {"x": number % ACROSS * WIDTH, "y": y + number // ACROSS * HEIGHT, "w": WIDTH, "h": HEIGHT}
            panels.append(_graph(len(panels) + 1, panel, at))
        y += -(-len(row) // ACROSS) * HEIGHT
    return panels


def _row(number: int, title: str, y: int) -> dict[str, Any]:
    at = {"x": 0, "y": y, "w": 24, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": at, "panels": []}


def _graph(number: int, panel: Panel, at: dict[str, int]) -> dict[str, Any]:
    title, unit, tells, targets = panel
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "description": tells,
        "datasource": SOURCE,
        "gridPos": at,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": chosen(expression), "legendFormat": legend}
            for n, (expression, legend) in enumerate(targets)
        ],
    }


def chosen(expression: str) -> str:
    """Of the gateways chosen at the top alone."""
    return METRIC.sub(lambda found: f'{found[1]}{{instance=~"$instance"{"," if found[2] else "}"}', expression)


if __name__ == "__main__":
    OUT.write_text(json.dumps(dashboard(), indent=1) + "\n", encoding="utf-8")
