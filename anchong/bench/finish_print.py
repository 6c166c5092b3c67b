"""The benchmark's figures as tables, worst first."""

from collections.abc import Iterable, Iterator, Mapping

from anchong.bench.finish_figures import NO_LOAD, Dominated, Report
from anchong.bench.finish_recorded import Recordings
from anchong.bench.finish_run import OURS
from anchong.bench.finish_score import Rate, Summary
from simulators.curves import charge

HEAD = ("sessions", "false %", "severe", "early", "missed %", "p50", "p95", "p99 min", "idle h", "Wh", "cost")
NAME = 29
MOST_MISSES = 20


def tables(report: Report) -> str:
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"seed {report.seed}, {report.sessions} sessions a shape and way; {report.seconds:.0f} s"
    yield from _table("rules, all shapes and ways of reporting (95 % CI of ours below)", report.rules, by_cost=True)
    if OURS in report.rules:
        yield _sure(report.rules[OURS])
    yield from _table("ours, a shape (all ways of reporting)", report.shapes, by_cost=True)
    yield from _table("ours, a way of reporting (all shapes)", report.modes)
    yield from _table("ours at 60 s, degraded (all shapes)", report.degradations)
    yield from _table("rules at 60 s, degraded", report.degraded, by_cost=True)
    yield from _table("ours at 60 s without probes and with", report.probing)
    yield from _table("no load: minutes until off", _no_load(report))
    yield from _table("never full: minutes on, ended by danger rules or the session's limit", report.endless)
    yield f"charges on for longer than a session may be: {report.beyond_limit}"
    yield ""
    yield f"targets missed: {len(report.misses)}"
    for miss in report.misses[:MOST_MISSES]:
        yield f"  {miss.shape}, {miss.way}: {miss.figure} {miss.value:g} (at most {miss.target:g})"
    yield f"shapes on which another rule is nowhere worse and somewhere better: {_pairs(report.dominated)}"
    quicker = {pair.shape for pair in report.quicker}
    yield f"... if quicker than the targets counts as better, too: {len(quicker)} shapes"


def _table(title: str, rows: Mapping[str, Summary], by_cost: bool = False) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield f"{title:{NAME}}" if len(title) <= NAME else title
    yield " " * NAME + " ".join(f"{word:>8}" for word in HEAD)
    names = sorted(rows, key=lambda name: -rows[name].cost) if by_cost else list(rows)
    for name in names:
        yield f"{name[:NAME]:{NAME}}" + " ".join(f"{value:>8}" for value in _cells(rows[name]))


def _cells(of: Summary) -> tuple[str, ...]:
    rates = (f"{rate.percent:.2f}" for rate in (of.false, of.severe, of.early, of.missed))
    delays = (f"{part.minutes:.0f}" for part in (of.p50, of.p95, of.p99))
    return (str(of.sessions), *rates, *delays, f"{of.idle_h:.2f}", f"{of.idle_wh:.1f}", f"{of.cost:.2f}")


def _sure(of: Summary) -> str:
    return (
        f"  ours: false {_between(of.false)}, severe {_between(of.severe)}, missed {_between(of.missed)} %; "
        f"p50 {of.p50.low:g} to {of.p50.high:g}, p95 {of.p95.low:g} to {of.p95.high:g}, "
        f"p99 {of.p99.low:g} to {of.p99.high:g} min"
    )


def _between(rate: Rate) -> str:
    return f"{rate.low:.2f} to {rate.high:.2f}"


def _no_load(report: Report) -> dict[str, Summary]:
    return {shape: of for shape, of in report.shapes.items() if charge(shape, 0).kind in NO_LOAD}


def _pairs(found: Iterable[Dominated]) -> str:
    shapes: dict[str, list[str]] = {}
    for pair in found:
        shapes.setdefault(pair.shape, []).append(pair.rule)
    return "; ".join(f"{shape} ({', '.join(rules)})" for shape, rules in shapes.items()) or "none"


def recorded(found: Recordings) -> str:
    return "\n".join(_recorded(found))


def _recorded(found: Recordings) -> Iterator[str]:
    yield f"{'file':40}{'Wh':>8}{'full at':>9}{'in %':>8}{'late min':>10}"
    for one in sorted(found.files, key=lambda one: one.cuts[OURS].share):
        ours, full = one.cuts[OURS], "never" if one.full_s is None else f"{one.full_s / 60:.0f} min"
        missed = "" if one.met else "  target missed"
        share, late = f"{100 * ours.share:.1f}", f"{ours.late_s / 60:.0f}"
        yield f"{one.file[-40:]:40}{one.useful_wh:>8.1f}{full:>9}{share:>8}{late:>10}{missed}"
    for model, rules in found.models.items():
        yield from _table(f"model {model}", rules, by_cost=True)
