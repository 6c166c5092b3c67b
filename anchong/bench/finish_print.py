"""The benchmark's figures as tables, worst first, and the Pareto picture as SVG."""

from collections.abc import Iterable, Iterator, Mapping
from html import escape

from anchong.bench.finish_figures import NO_LOAD, Dominated, Report, front
from anchong.bench.finish_recorded import Recordings
from anchong.bench.finish_run import OURS
from anchong.bench.finish_score import Rate, Summary
from simulators.curves import charge

HEAD = ("sessions", "false %", "severe", "early", "missed %", "p50", "p95", "p99 min", "idle h", "Wh", "cost")
NAME = 29
MOST_MISSES = 20
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 760, 420, 56, 44, 26, 170
STYLE = (
    ".pareto{max-width:100%;height:auto;color:#1f2933;font:12px system-ui,sans-serif}.pareto text{fill:currentColor}"
    ".pareto .axis{stroke:currentColor;stroke-opacity:.3}.pareto .rule{fill:#4b74b8}.pareto .ours{fill:#b3261e}"
    ".pareto .front{fill:none;stroke:#0a7d4f;stroke-width:1.5;stroke-dasharray:4 3}"
    "@media(prefers-color-scheme:dark){.pareto{color:#e4e7eb}}"
)


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
    yield from _table("no load: minutes until off", _no_load(report))
    yield from _table("never full: minutes on, ended by danger rules or the session's limit", report.endless)
    yield f"charges on for longer than a session may be: {report.beyond_limit}"
    yield ""
    yield f"targets missed: {len(report.misses)}"
    for miss in report.misses[:MOST_MISSES]:
        yield f"  {miss.shape}, {miss.way}: {miss.figure} {miss.value:g} (at most {miss.target:g})"
    yield f"shapes on which another rule is nowhere worse and somewhere better: {_pairs(report.dominated)}"
    yield f"... if quicker than the targets counts as better, too: {_pairs(report.quicker)}"


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


# -- the picture --------------------------------------------------------------------------------------------------


def pareto(rules: Mapping[str, Summary]) -> str:
    """False cuts over idle hours; left and down is better."""
    most_h = max(0.5, *(of.idle_h for of in rules.values())) * 1.05
    most = max(1.0, *(of.false.percent for of in rules.values())) * 1.05

    def x(of: Summary) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * of.idle_h / most_h, 1)

    def y(of: Summary) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * of.false.percent / most, 1)

    best = sorted((x(rules[rule]), y(rules[rule])) for rule in front(rules))
    dots = [
        f'<circle class="{"ours" if rule == OURS else "rule"}" cx="{x(of):g}" cy="{y(of):g}" r="4"/>'
        f'<text x="{x(of) + 7:g}" y="{y(of) + 4:g}">{escape(rule)}</text>'
        for rule, of in rules.items()
    ]
    line = "L".join(f"{at:g} {high:g}" for at, high in best)
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="pareto" role="img" viewBox="0 0 {WIDTH} {HEIGHT}">',
            f"<title>False cuts over idle hours, a rule each</title><style>{STYLE}</style>",
            *_axes(most_h, most),
            f'<path class="front" d="M{line}"/>',
            *dots,
            "</svg>",
        )
    )


def _axes(most_h: float, most: float) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    yield f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}" fill="none"/>'
    for part in (0.0, 0.5, 1.0):
        across, up = LEFT + (right - LEFT) * part, bottom - (bottom - TOP) * part
        yield f'<text x="{across:g}" y="{bottom + 16}" text-anchor="middle">{most_h * part:.1f}</text>'
        yield f'<text x="{LEFT - 6}" y="{up + 4:g}" text-anchor="end">{most * part:.1f}</text>'
    yield f'<text x="{right}" y="{HEIGHT - 8}" text-anchor="end">hours on after full, a session</text>'
    yield f'<text x="8" y="{TOP - 10}">false cuts, %</text>'
