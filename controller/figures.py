"""Figures about ourselves for those who watch: counters, gauges and histograms as plain values, cheap to keep."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

QUICK_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0)  # a step, a cut
DISK_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)  # a commit, a page


class Histogram:
    """Observations by upper bound. One thread observes; any thread reads, without a lock."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, int]]:
        """Cumulative, each with its upper bound; the last is the count of all."""
        total, found = 0, []
        for bound, count in zip((*self.bounds, "+Inf"), tuple(self._counts), strict=True):
            total += count
            found.append((str(bound), total))
        return found


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Sample(msgspec.Struct, frozen=True):
    value: float | Histogram
    labels: Mapping[str, str] = {}


class Figure(msgspec.Struct, frozen=True):
    """One family of figures; `name` ends with its unit, labels are words from a short list, never an id."""

    name: str
    kind: Kind
    about: str
    samples: tuple[Sample, ...]


def counter(name: str, about: str, value: float) -> Figure:
    return Figure(name, Kind.COUNTER, about, (Sample(value),))


def gauge(name: str, about: str, value: float) -> Figure:
    return Figure(name, Kind.GAUGE, about, (Sample(value),))


def by_label(kind: Kind, name: str, about: str, label: str, values: Mapping[str, float]) -> Figure:
    """One sample a word of `label`."""
    return Figure(name, kind, about, tuple(Sample(value, {label: word}) for word, value in sorted(values.items())))


def histograms(name: str, about: str, samples: Iterable[Sample]) -> Figure:
    return Figure(name, Kind.HISTOGRAM, about, tuple(samples))
