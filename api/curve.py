"""A power curve as one small SVG: the same drawing for the page, the receipt, the console and the command line."""

from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, log10

Point = tuple[float, float]

MAX_POINTS = 240  # more than a phone has pixels for, and keeps the drawing under 8 kB
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 22, 24  # room for the axes' words and for the reason above the mark
MARK_PX = 12  # the height of a level's word
WORD_PX = 6.6  # an average letter at 12 px; Chinese ones count twice
TIME_STEPS_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720)
MAX_TIME_LABELS = 6

STYLE = (
    ".curve{max-width:100%;height:auto;color:#1f2933;font:12px system-ui,sans-serif;font-variant-numeric:tabular-nums}"
    ".curve text{fill:currentColor}"
    ".curve .area{fill:#0a7d4f;fill-opacity:.18}.curve .power{fill:none;stroke:#0a7d4f;stroke-width:1.5}"
    ".curve .axis{stroke:currentColor;stroke-opacity:.25}"
    ".curve .band{stroke-width:3}"
    ".curve .band0{stroke:#4b74b8}.curve .band1{stroke:#b36b00}.curve .band2{stroke:#7a4fa3}"
    ".curve .level{stroke:currentColor;stroke-opacity:.55;stroke-dasharray:2 3}.curve .mark{font-size:11px}"
    ".curve .cut{stroke:#b3261e;stroke-width:1.5;stroke-dasharray:4 3}"
    "@media(prefers-color-scheme:dark){svg:root{background:#12161c}.curve{color:#e4e7eb}"
    ".curve .area{fill:#5fd3a2;fill-opacity:.25}.curve .power{stroke:#5fd3a2}.curve .cut{stroke:#ff8a80}}"
)


def svg(
    points: Sequence[Point],
    *,
    width: int = 640,
    height: int = 240,
    cut: tuple[float, str] | None = None,
    bands: Sequence[tuple[float, float, str]] = (),
    levels: Sequence[tuple[float, str]] = (),
    title: str = "",
    styled: bool = True,
) -> str:
    """`points` are (seconds since the outlet went on, W); `cut` is (seconds, reason); `bands` are (from, to, name);
    `levels` are (W, what it is), such as the peak and what was called low.

    `styled=False` leaves `STYLE` out, for a page that has it in its own style sheet.
    """
    plot = _Plot(width, height, _end_s(points, cut), _nice(max((power for _, power in points), default=0.0)))
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="curve" role="img" width="{width}" {_box(width, height)}>',
            f"<title>{escape(title or _spoken(points, cut))}</title>",
            f"<style>{STYLE}</style>" if styled else "",
            *_axes(plot),
            *_price_line(plot, bands),
            *_area(plot, thinned(points)),
            *_levels(plot, levels),
            *(_mark(plot, *cut) if cut else ()),
            "</svg>",
        )
    )


def thinned(points: Sequence[Point], most: int = MAX_POINTS) -> list[Point]:
    """At most `most` points: the ends, and the lowest and the highest of each stretch between, so that peaks stay."""
    if len(points) <= most:
        return list(points)
    inner, stretches = points[1:-1], (most - 2) // 2
    kept = [points[0]]
    for part in range(stretches):
        stretch = inner[part * len(inner) // stretches : (part + 1) * len(inner) // stretches]
        low, high = min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])
        kept += [low] if low == high else sorted((low, high))
    return [*kept, points[-1]]


def _box(width: int, height: int) -> str:
    return f'viewBox="0 0 {width} {height}"'


class _Plot:
    """Where seconds and watts lie on the paper."""

    def __init__(self, width: int, height: int, end_s: float, top_w: float) -> None:
        self.left, self.right, self.top, self.bottom = LEFT, width - RIGHT, TOP, height - BOTTOM
        self.end_s, self.top_w = end_s, top_w

    def x(self, at_s: float) -> float:
        return round(self.left + (self.right - self.left) * min(1.0, max(0.0, at_s / self.end_s)), 1)

    def y(self, power_w: float) -> float:
        return round(self.bottom - (self.bottom - self.top) * min(1.0, max(0.0, power_w / self.top_w)), 1)


def _axes(plot: _Plot) -> Iterator[str]:
    for share in (0.0, 0.5, 1.0):
        y = plot.y(plot.top_w * share)
        unit = " W" if share == 1.0 else ""
        yield f'<path class="axis" d="M{plot.left} {y}H{plot.right}"/>'
        yield f'<text x="{plot.left - 5}" y="{y + 4:g}" text-anchor="end">{plot.top_w * share:g}{unit}</text>'
    step_s = _time_step_s(plot.end_s)
    for at_s in range(0, int(plot.end_s) + 1, step_s):
        anchor = "middle" if plot.left + 14 < plot.x(at_s) < plot.right - 14 else "start" if at_s == 0 else "end"
        yield f'<text x="{plot.x(at_s):g}" y="{plot.bottom + 16}" text-anchor="{anchor}">{_clock(at_s)}</text>'


def _area(plot: _Plot, points: Sequence[Point]) -> Iterator[str]:
    if not points:
        return
    line = "L".join(f"{plot.x(at_s):g} {plot.y(power_w):g}" for at_s, power_w in points)
    first, last = plot.x(points[0][0]), plot.x(points[-1][0])
    # One path twice would double the size: the area is the line, closed along the axis.
    yield f'<path class="area" d="M{first:g} {plot.bottom}L{line}L{last:g} {plot.bottom}Z"/>'
    yield f'<path class="power" d="M{line}"/>'


def _price_line(plot: _Plot, bands: Sequence[tuple[float, float, str]]) -> Iterator[str]:
    names = list(dict.fromkeys(name for _, _, name in bands))
    for from_s, to_s, name in bands:
        yield (
            f'<path class="band band{names.index(name) % 3}" d="M{plot.x(from_s):g} {plot.bottom}H{plot.x(to_s):g}">'
            f"<title>{escape(name)}</title></path>"
        )


def _levels(plot: _Plot, levels: Sequence[tuple[float, str]]) -> Iterator[str]:
    """Each a thin line with its word above, or below where another's would be in the way."""
    written: list[float] = [plot.top - MARK_PX]
    for power_w, word in sorted(levels, reverse=True):
        y = plot.y(power_w)
        above = y - 4 - written[-1] >= MARK_PX
        written.append(y - 4 if above else y + MARK_PX)
        yield f'<path class="level" d="M{plot.left} {y:g}H{plot.right}"/>'
        yield f'<text class="mark" x="{plot.left + 4}" y="{written[-1]:g}">{escape(word)}</text>'


def _mark(plot: _Plot, at_s: float, text: str) -> Iterator[str]:
    x, half = plot.x(at_s), _width_px(text) / 2
    anchor = "start" if x - half < 2 else "end" if x + half > plot.right + RIGHT - 2 else "middle"
    yield f'<path class="cut" d="M{x:g} {plot.top - 4}V{plot.bottom}"/>'
    yield f'<text class="reason" x="{x:g}" y="{plot.top - 8}" text-anchor="{anchor}">{escape(text)}</text>'


# -- words and steps ----------------------------------------------------------------------------------------------


def _spoken(points: Sequence[Point], cut: tuple[float, str] | None) -> str:
    if not points:
        return "No power has been seen yet."
    said = f"Power over {_clock(points[-1][0])} h, at most {max(power for _, power in points):.0f} W."
    return f"{said} Cut after {_clock(cut[0])} h: {cut[1]}." if cut else said


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d}"


def _width_px(text: str) -> float:
    return sum(WORD_PX * (2 if ord(letter) > 0x2E80 else 1) for letter in text)


def _end_s(points: Sequence[Point], cut: tuple[float, str] | None) -> float:
    last_s = points[-1][0] if points else 0.0
    return max(60.0, last_s, cut[0] if cut else 0.0)


def _nice(power_w: float) -> float:
    """The next of 1, 2, 4, 5, 8, 10 times a power of ten: a half of it is a number people like too."""
    if power_w <= 10:
        return 10.0
    scale: float = 10.0 ** int(log10(power_w))
    return next(step * scale for step in (1, 2, 4, 5, 8, 10) if power_w <= step * scale)


def _time_step_s(end_s: float) -> int:
    minutes = end_s / 60
    return 60 * next((step for step in TIME_STEPS_MIN if minutes / step < MAX_TIME_LABELS), ceil(minutes / 300) * 60)
