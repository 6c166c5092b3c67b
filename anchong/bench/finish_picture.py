"""The Pareto picture: which rules no other beats in both false cuts and time on after full."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import log

from anchong.bench.finish_figures import front
from anchong.bench.finish_run import OURS
from anchong.bench.finish_score import Summary

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 840, 400, 52, 44, 28, 270
LEAST_H, MOST_H = 0.05, 12.0
TICKS_H = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
LINE = 17
STYLE = (
    ".pareto{max-width:100%;height:auto;color:#1f2933;font:12px system-ui,sans-serif}.pareto text{fill:currentColor}"
    ".pareto .axis{fill:none;stroke:currentColor;stroke-opacity:.3}"
    ".pareto .rule{fill:#4b74b8}.pareto .ours{fill:#b3261e}"
    ".pareto .front{fill:none;stroke:#0a7d4f;stroke-width:1.5;stroke-dasharray:4 3}"
    "@media(prefers-color-scheme:dark){svg:root{background:#12161c}.pareto{color:#e4e7eb}"
    ".pareto .rule{fill:#8fb1ec}.pareto .ours{fill:#ff8a80}.pareto .front{stroke:#5fd3a2}}"
)

Place = tuple[float, float]


def pareto(rules: Mapping[str, Summary]) -> str:
    """False cuts over idle hours; left and down is better. Rules are numbered, and named beside."""
    most = max(1.0, *(of.false.percent for of in rules.values())) * 1.05
    places = {rule: (_x(of.idle_h), _y(of.false.percent, most)) for rule, of in rules.items()}
    line = "L".join(f"{x:g} {y:g}" for x, y in sorted(places[rule] for rule in front(rules)))
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="pareto" role="img" viewBox="0 0 {WIDTH} {HEIGHT}">',
            f"<title>False cuts over hours on after full, a rule each</title><style>{STYLE}</style>",
            *_axes(most),
            f'<path class="front" d="M{line}"/>',
            *_dots(places),
            *_names(list(rules)),
            "</svg>",
        )
    )


def _x(hours: float) -> float:
    """By equal ratios: minutes matter as hours do."""
    part = log(min(MOST_H, max(LEAST_H, hours)) / LEAST_H) / log(MOST_H / LEAST_H)
    return round(LEFT + (WIDTH - LEFT - RIGHT) * part, 1)


def _y(percent: float, most: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * percent / most, 1)


def _axes(most: float) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    yield f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>'
    for hours in TICKS_H:
        yield f'<text x="{_x(hours):g}" y="{bottom + 16}" text-anchor="middle">{hours:g}</text>'
    for part in (0.0, 0.5, 1.0):
        yield f'<text x="{LEFT - 6}" y="{_y(most * part, most) + 4:g}" text-anchor="end">{most * part:.1f}</text>'
    yield f'<text x="{right}" y="{HEIGHT - 8}" text-anchor="end">hours on after full, a session</text>'
    yield f'<text x="8" y="{TOP - 12}">false cuts, %</text>'


def _dots(places: Mapping[str, Place]) -> Iterator[str]:
    taken: list[Place] = []
    for number, (rule, (x, y)) in enumerate(places.items(), 1):
        label = _free((x + 6, y - 4), taken)
        taken.append(label)
        yield f'<circle class="{_class(rule)}" cx="{x:g}" cy="{y:g}" r="4"/>'
        yield f'<text x="{label[0]:g}" y="{label[1]:g}">{number}</text>'


def _free(wished: Place, taken: Sequence[Place]) -> Place:
    """The next place above where no other number stands."""
    x, y = wished
    while any(abs(x - other_x) < 16 and abs(y - other_y) < 11 for other_x, other_y in taken):
        y -= 11
    return x, y


def _names(rules: Sequence[str]) -> Iterator[str]:
    for number, rule in enumerate(rules, 1):
        y = TOP + LINE * number
        yield f'<circle class="{_class(rule)}" cx="{WIDTH - RIGHT + 30}" cy="{y - 4}" r="4"/>'
        yield f'<text x="{WIDTH - RIGHT + 42}" y="{y}">{number} {escape(rule)}</text>'


def _class(rule: str) -> str:
    return "ours" if rule == OURS else "rule"
