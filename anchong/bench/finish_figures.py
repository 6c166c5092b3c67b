"""What a run of the benchmark found, in one value: what is printed, drawn and judged by its targets."""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from anchong.bench.finish_probe import PROBING
from anchong.bench.finish_run import DEGRADED, DEGRADED_MODE, OURS, Tallies
from anchong.bench.finish_score import Summary, Tally, summary, total
from controller.core import state
from simulators.curves import Kind, charge

# Percent of a shape's charges in one way of reporting; and minutes after full, of all charges together.
FALSE_MOST, SEVERE_MOST, MISSED_MOST = 0.5, 0.0, 2.0
P50_MOST, P95_MOST = 15.0, 45.0
NO_LOAD = (Kind.UNPLUGGED, Kind.NOTHING)


class Miss(msgspec.Struct, frozen=True):
    """A target that was not met."""

    shape: str
    way: str
    figure: str
    value: float
    target: float


class Dominated(msgspec.Struct, frozen=True):
    shape: str
    rule: str


class Report(msgspec.Struct, frozen=True):
    """`rules` are means over every shape that ends and every way of reporting; so are `degraded` and
    `probing`, at 60 s.
    """

    seed: int
    sessions: int
    seconds: float
    rules: dict[str, Summary]
    degraded: dict[str, Summary]
    shapes: dict[str, Summary]
    modes: dict[str, Summary]
    degradations: dict[str, Summary]
    cells: dict[str, dict[str, Summary]]
    others: dict[str, dict[str, Summary]]
    probing: dict[str, Summary]
    endless: dict[str, Summary]
    beyond_limit: int
    misses: list[Miss]
    dominated: list[Dominated]
    quicker: list[Dominated]


def reported(tallies: Tallies, seed: int, sessions: int, seconds: float) -> Report:
    shapes = list(dict.fromkeys(shape for shape, _, _ in tallies))
    ways = list(dict.fromkeys(way for _, way, _ in tallies))
    rules = list(dict.fromkeys(rule for _, _, rule in tallies if rule != PROBING))
    endless = [shape for shape in shapes if charge(shape, 0).kind is Kind.NEVER_TURNS]
    ends = [shape for shape in shapes if shape not in endless]
    spoilt = [way for way in ways if way in DEGRADED]
    clean = [way for way in ways if way not in spoilt]
    of = _Chosen(tallies)
    cells = {shape: {way: of.one(shape, way) for way in ways} for shape in ends}
    others = {rule: {shape: of.sum([shape], clean, rule) for shape in ends} for rule in rules}
    modes = {mode: of.sum(ends, [mode]) for mode in clean}
    return Report(
        seed=seed,
        sessions=sessions,
        seconds=round(seconds, 1),
        rules={rule: of.sum(ends, clean, rule) for rule in rules},
        degraded={rule: of.sum(ends, spoilt, rule) for rule in rules} if spoilt else {},
        shapes={shape: of.sum([shape], clean) for shape in ends},
        modes=modes,
        degradations={way: of.sum(ends, [way]) for way in spoilt},
        cells=cells,
        others=others,
        probing={rule: of.sum(ends, [DEGRADED_MODE], rule) for rule in (OURS, PROBING)}
        if DEGRADED_MODE in ways
        else {},
        endless={shape: of.sum([shape], clean) for shape in endless},
        beyond_limit=_beyond_limit(tallies, endless),
        misses=_misses(cells, clean, modes),
        dominated=_dominated(others, _within_targets),
        quicker=_dominated(others, _as_measured),
    )


class _Chosen:
    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies

    def one(self, shape: str, way: str, rule: str = OURS) -> Summary:
        return summary(self._tallies[shape, way, rule])

    def sum(self, shapes: Iterable[str], ways: Iterable[str], rule: str = OURS) -> Summary:
        chosen = [(shape, way, rule) for shape in shapes for way in ways]
        return summary(total(self._tallies.get(key, Tally()) for key in chosen))


def _beyond_limit(tallies: Tallies, endless: Iterable[str]) -> int:
    """Charges that never end and were on for longer than a session may be."""
    limit_s = state.Rules().session_s
    ours = [tally for (shape, _, rule), tally in tallies.items() if rule == OURS and shape in endless]
    return sum(late_s > limit_s for tally in ours for late_s in tally.late_s)


# -- targets ------------------------------------------------------------------------------------------------------


def _misses(cells: Mapping[str, Mapping[str, Summary]], clean: list[str], modes: Mapping[str, Summary]) -> list[Miss]:
    """Worst first: false cuts before missed ones before late ones."""
    rates = [
        Miss(shape, way, figure, value, target)
        for shape, row in cells.items()
        for way in clean
        for figure, value, target in _rates(row[way])
        if value > target
    ]
    delays = [
        Miss("all shapes", mode, figure, value, target)
        for mode, of_all in modes.items()
        for figure, value, target in _delays(of_all)
        if value > target
    ]
    order = ("severe %", "false %", "missed %", "p50 min", "p95 min")
    return sorted(rates + delays, key=lambda miss: (order.index(miss.figure), -miss.value))


def _rates(of: Summary) -> tuple[tuple[str, float, float], ...]:
    return (
        ("severe %", of.severe.percent, SEVERE_MOST),
        ("false %", of.false.percent, FALSE_MOST),
        ("missed %", of.missed.percent, MISSED_MOST),
    )


def _delays(of: Summary) -> tuple[tuple[str, float, float], ...]:
    return ("p50 min", of.p50.minutes, P50_MOST), ("p95 min", of.p95.minutes, P95_MOST)


# -- against others -----------------------------------------------------------------------------------------------

Measures = Callable[[Summary], tuple[float, ...]]


def _dominated(others: Mapping[str, Mapping[str, Summary]], measures: Measures) -> list[Dominated]:
    """Where another rule is nowhere worse and somewhere better."""
    found = []
    for shape, ours in others.get(OURS, {}).items():
        mine = measures(ours)
        for rule in [rule for rule in others if rule != OURS]:
            theirs = measures(others[rule][shape])
            if theirs != mine and all(their <= my for their, my in zip(theirs, mine, strict=True)):
                found.append(Dominated(shape, rule))
    return found


def _within_targets(of: Summary) -> tuple[float, ...]:
    """Quicker than the targets ask for is no better: on easy shapes a hair trigger always is."""
    return (*_failed(of), max(of.p50.minutes, P50_MOST), max(of.p95.minutes, P95_MOST))


def _as_measured(of: Summary) -> tuple[float, ...]:
    return (*_failed(of), of.early.percent, of.p50.minutes, of.p95.minutes)


def _failed(of: Summary) -> tuple[float, ...]:
    return of.severe.percent, of.false.percent, of.missed.percent


def front(rules: Mapping[str, Summary]) -> list[str]:
    """Those that no other beats in both false cuts and idle hours."""
    places = {rule: (of.false.percent, of.idle_h) for rule, of in rules.items()}
    return [
        rule
        for rule, (false, idle) in places.items()
        if not any(f <= false and i <= idle and (f, i) != (false, idle) for f, i in places.values())
    ]
