"""What a reading costs the detector, beside something known, and how large its memory of a charge is."""

import time
from collections.abc import Callable
from random import Random
from statistics import median

import msgspec

from controller.core import finish
from simulators.curves import charge
from simulators.curves_seen import Reading, seen

SHAPES = ("standby", "dual", "pulse maintenance", "lead-acid", "high idle", "thermal pause")
TURNS = 5


class _Empty(msgspec.Struct, frozen=True, gc=False):
    at_s: float = 0.0


class Cost(msgspec.Struct, frozen=True):
    """Microseconds of the processor, the best of some turns; `replace_us` is a frozen struct of one field made anew."""

    readings: int
    observe_us: float
    replace_us: float
    ratio: float
    state_bytes_p50: int
    state_bytes_most: int


def cost() -> Cost:
    curves = [_readings(shape) for shape in SHAPES]
    count = sum(len(readings) for readings in curves)
    observe_us = _best_us(lambda: _all_observed(curves), count)
    replace_us = _best_us(lambda: _replaced(count), count)
    sizes = [size for readings in curves for size in _sizes(readings)]
    return Cost(
        readings=count,
        observe_us=round(observe_us, 2),
        replace_us=round(replace_us, 3),
        ratio=round(observe_us / replace_us, 1),
        state_bytes_p50=int(median(sizes)),
        state_bytes_most=max(sizes),
    )


def _readings(shape: str) -> list[Reading]:
    made = charge(shape, 1)
    return seen(made, made.powers(made.charge_s + 7200.0), "10 s", Random(shape))  # noqa: S311 - seeded, on purpose


def _all_observed(curves: list[list[Reading]]) -> None:
    for readings in curves:
        state = finish.begin(0.0)
        for at_s, power_w in readings:
            state, _ = finish.observe(state, at_s, power_w)


def _replaced(times: int) -> None:
    empty = _Empty()
    for _ in range(times):
        empty = msgspec.structs.replace(empty, at_s=1.0)


def _sizes(readings: list[Reading]) -> list[int]:
    state, sizes = finish.begin(1e6 / 3), []
    for at_s, power_w in readings:
        state, _ = finish.observe(state, 1e6 / 3 + at_s, power_w)
        sizes.append(len(msgspec.json.encode(state)))
    return sizes


def _best_us(work: Callable[[], object], count: int) -> float:
    """The best turn is the one that was disturbed least."""
    best_s = float("inf")
    for _ in range(TURNS):
        start_s = time.process_time()
        work()
        best_s = min(best_s, time.process_time() - start_s)
    return best_s / count * 1e6


def spoken(of: Cost) -> str:
    return (
        f"{of.observe_us:.1f} µs a reading over {of.readings} readings, {of.ratio:.0f} times a struct made anew "
        f"({of.replace_us:.2f} µs); its state has {of.state_bytes_p50} bytes, at most {of.state_bytes_most}"
    )
