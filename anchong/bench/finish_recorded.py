"""Recorded curves under the same rules: each file by itself, and summed up by model of charger, never by session.

A model is the folder a file lies in, or what comes before the first "-" or "_" of its name.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

import msgspec

from anchong.bench.finish_rules import BASELINES
from anchong.bench.finish_run import OURS, cut
from anchong.bench.finish_score import Outcome, Summary, Tally, summary
from anchong.replay import HOLD_FOR_S, AfterEnd, Limits, Row, Rules, read_curve, run
from controller.core.errors import Refused
from simulators.curves_parts import ABOVE_SHARE, ABOVE_W, IDLE_S

SHARE_LEAST = 0.97
LATE_MOST_S = 900.0
IDLE_MOST = 0.5  # of the peak: a recording that stops in mid-charge has no idle draw to show
TICK_S = 60.0  # how often the last value is said again after the recording


class Recorded(msgspec.Struct, frozen=True):
    """`full_s` is None where the recording ends before full: it can be cut too early, and never too late."""

    file: str
    model: str
    useful_wh: float
    full_s: float | None
    interval_s: float
    cuts: dict[str, Outcome]

    @property
    def met(self) -> bool:
        """Ours: nothing lost, and dark within a quarter of an hour and one reporting interval."""
        ours = self.cuts[OURS]
        return ours.share >= SHARE_LEAST and ours.late_s <= LATE_MOST_S + self.interval_s


class Recordings(msgspec.Struct, frozen=True):
    files: list[Recorded]
    models: dict[str, dict[str, Summary]]


def recordings(folder: Path, rules: Sequence[str]) -> Recordings:
    """Of every CSV file in the folder and below it."""
    files = sorted(folder.rglob("*.csv"))
    if not files:
        raise Refused("bench_csv", f"{folder} has no CSV files.")
    found = [recorded(file, folder, rules) for file in files]
    models: dict[str, dict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))
    for one in found:
        for rule, outcome in one.cuts.items():
            models[one.model][rule].add(outcome)
    return Recordings(found, {model: {rule: summary(of) for rule, of in row.items()} for model, row in models.items()})


def recorded(file: Path, folder: Path, rules: Sequence[str]) -> Recorded:
    rows = read_curve(file)
    idle_w, full_s = _full(rows)
    ended = full_s <= rows[-1].t_s - IDLE_S and idle_w <= IDLE_MOST * max(row.power_w for row in rows)
    cuts = {rule: _outcome(rows, rule, idle_w, full_s, ended) for rule in rules}
    interval_s = median(after.t_s - row.t_s for row, after in pairwise(rows)) if len(rows) > 1 else 0.0
    return Recorded(
        file=str(file.relative_to(folder)),
        model=model(file, folder),
        useful_wh=round(_useful_wh(rows, idle_w, full_s), 2),
        full_s=full_s if ended else None,
        interval_s=interval_s,
        cuts=cuts,
    )


def model(file: Path, folder: Path) -> str:
    return file.parent.name if file.parent != folder else re.split(r"[-_]", file.stem, maxsplit=1)[0]


def _full(rows: Sequence[Row]) -> tuple[float, float]:
    """Idle, and when the power was last clearly above it."""
    idle_w = median(row.power_w for row in rows if row.t_s >= rows[-1].t_s - IDLE_S)
    above_w = idle_w + max(ABOVE_W, ABOVE_SHARE * max(row.power_w for row in rows))
    return idle_w, max((row.t_s for row in rows if row.power_w > above_w), default=0.0)


def _useful_wh(rows: Sequence[Row], idle_w: float, until_s: float) -> float:
    """Each value holds until the next."""
    parts = ((row, min(after.t_s, until_s) - row.t_s) for row, after in pairwise(rows) if row.t_s < until_s)
    return sum(max(0.0, row.power_w - idle_w) * lasts_s for row, lasts_s in parts) / 3600


def _outcome(rows: Sequence[Row], rule: str, idle_w: float, full_s: float, ended: bool) -> Outcome:
    end_s = rows[-1].t_s + HOLD_FOR_S
    cut_s = _cut_s(rows, rule, end_s)
    useful_wh = _useful_wh(rows, idle_w, full_s)
    share = _useful_wh(rows, idle_w, min(cut_s, full_s)) / useful_wh if useful_wh else 1.0
    late_s = cut_s - full_s if ended or cut_s < full_s else 0.0
    return Outcome(round(share, 4), round(late_s, 1), round(_idle_wh(rows, full_s, full_s + max(0.0, late_s)), 2))


def _cut_s(rows: Sequence[Row], rule: str, end_s: float) -> float:
    if rule == OURS:
        cut_s = run(rows, Rules(), Limits(), AfterEnd.HOLD).cut_at_s
        return end_s if cut_s is None else cut_s
    return cut(BASELINES[rule], [*((row.t_s, row.power_w) for row in rows), *_held(rows[-1])], end_s=end_s)


def _held(last: Row) -> list[tuple[float, float]]:
    return [(last.t_s + tick * TICK_S, last.power_w) for tick in range(1, round(HOLD_FOR_S / TICK_S))]


def _idle_wh(rows: Sequence[Row], from_s: float, until_s: float) -> float:
    """After the recording its last value goes on."""
    held = [*rows, Row(rows[-1].t_s + HOLD_FOR_S, rows[-1].power_w)]
    spent_ws = (row.power_w * max(0.0, min(after.t_s, until_s) - max(row.t_s, from_s)) for row, after in pairwise(held))
    return sum(spent_ws) / 3600
