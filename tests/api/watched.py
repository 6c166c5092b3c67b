"""A gateway that is watched, made up: what `Services.watch` needs, written down."""

from collections.abc import Iterable

from controller.figures import QUICK_S, Figure, Histogram, Sample, counter, histograms
from controller.ports import LogLevel


class FakeWatch:
    def __init__(self) -> None:
        self.level = LogLevel("info")
        self.asked: list[tuple[str, float]] = []

    def figures(self) -> Iterable[Figure]:
        took_s = Histogram(QUICK_S)
        took_s.observe(0.0007)
        return [counter("things_total", "Things.", 3), histograms("thing_seconds", "A thing.", [Sample(took_s)])]

    def diagnosis(self) -> bytes:
        return b"a bundle"

    def log_level(self) -> LogLevel:
        return self.level

    def set_log_level(self, level: str, for_s: float) -> None:
        self.asked.append((level, for_s))
        self.level = LogLevel(level, 1_800_000_900.0) if for_s else LogLevel("info")
