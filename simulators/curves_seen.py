"""What a gateway gets to see of a charge: a meter's errors, its way of reporting, and what gets lost on the way."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import ceil
from random import Random

import msgspec

from simulators.curves_parts import STEP_S, Charge

Reading = tuple[float, float]  # seconds since the outlet went on, W

NOISE = 0.012  # either way, of the power
RESOLUTION_W = 0.1
NEIGHBOUR_W = 100.0
ASKED_S = 60.0  # nobody's session goes on who isn't heard for longer


class Mode(msgspec.Struct, frozen=True):
    """Reports each `every_s`; if `by_w` is given, each `every_s` only as a heartbeat, and on a change by that much."""

    every_s: float
    by_w: float | None = None
    resolution_w: float = RESOLUTION_W


MODES: dict[str, Mode] = {
    "10 s": Mode(10.0),
    "60 s": Mode(60.0),
    "300 s": Mode(300.0),
    "60 s in 1 W": Mode(60.0, resolution_w=1.0),
    "by 2 W or 300 s": Mode(300.0, by_w=2.0),
    "by 5 W or 300 s": Mode(300.0, by_w=5.0),
    "by 10 W or 300 s": Mode(300.0, by_w=10.0),
    "by 2 W or 1 h": Mode(3600.0, by_w=2.0),
    "by 5 W or 1 h": Mode(3600.0, by_w=5.0),
    "by 10 W or 1 h": Mode(3600.0, by_w=10.0),
}

Meter = Callable[[list[float], Random], list[float]]
Way = Callable[[list[Reading], Random, float], list[Reading]]


def measured(powers: Sequence[float], rng: Random, noise: float = NOISE) -> list[float]:
    """As a meter sees it; rounding comes later, after what else is added."""
    spread, drawn = 2 * noise, rng.random
    return [power * (1 - noise + spread * drawn()) for power in powers]


def shown(powers: Sequence[float], rng: Random, degraded: str = "", resolution_w: float = RESOLUTION_W) -> list[float]:
    """What the meter shows, whoever asks when."""
    exact = measured(powers, rng)
    if degraded in METERS:
        exact = METERS[degraded](exact, rng)
    return [round(round(power / resolution_w) * resolution_w, 2) for power in exact]


def reported(shown_w: Sequence[float], mode: Mode, rng: Random) -> list[Reading]:
    """The first report is at once."""
    steps = round(mode.every_s / STEP_S)
    if mode.by_w is not None:
        return _on_change(shown_w, mode.by_w, steps)
    phase = rng.randrange(steps)
    return [(0.0, shown_w[0])] + [(at * STEP_S, shown_w[at]) for at in range(phase or steps, len(shown_w), steps)]


def _on_change(powers: Sequence[float], by_w: float, steps: int) -> list[Reading]:
    said_w, said_at, said = powers[0], 0, [(0.0, powers[0])]
    for at, power_w in enumerate(powers):
        if abs(power_w - said_w) >= by_w or at - said_at >= steps:
            said_w, said_at = power_w, at
            said.append((at * STEP_S, power_w))
    return said


def asked(readings: Sequence[Reading], until_s: float) -> list[Reading]:
    """The same again each minute between them: no meter that answers says less than that."""
    said: list[Reading] = []
    for (at_s, power_w), (next_s, _) in pairwise([*readings, (until_s, 0.0)]):
        said += [(at_s + ASKED_S * time, power_w) for time in range(max(1, ceil((next_s - at_s) / ASKED_S)))]
    return said


# -- what a meter may add -----------------------------------------------------------------------------------------


def _noisier(powers: list[float], rng: Random) -> list[float]:
    """A cheap meter: some percent, and some tenths of a watt of its own."""
    gauss = rng.gauss
    return [max(0.0, power * gauss(1.0, 0.02) + gauss(0.0, 0.25)) for power in powers]


def _offset(powers: list[float], rng: Random) -> list[float]:
    offset_w = rng.uniform(0.2, 2.2)
    return [power + offset_w for power in powers]


def _crosstalk(powers: list[float], rng: Random) -> list[float]:
    """A neighbour of 100 W comes and goes, and some of it shows here."""
    leak_w, seen, there = NEIGHBOUR_W * rng.uniform(0.005, 0.01), [], rng.random() < 0.5
    left = rng.randint(60, 1000)
    for power in powers:
        left -= 1
        if left <= 0:
            there, left = not there, rng.randint(60, 1000)
        seen.append(power + leak_w if there else power)
    return seen


METERS: dict[str, Meter] = {"noise": _noisier, "offset": _offset, "crosstalk": _crosstalk}


# -- what may happen on the way -----------------------------------------------------------------------------------


def silenced(readings: list[Reading], silent: Sequence[tuple[float, float]]) -> list[Reading]:
    return [seen for seen in readings if not any(start <= seen[0] < end for start, end in silent)]


def _loss(readings: list[Reading], rng: Random, _: float) -> list[Reading]:
    return [seen for seen in readings if rng.random() >= 0.02]


def _gap(readings: list[Reading], rng: Random, until_s: float) -> list[Reading]:
    start_s = rng.uniform(0.1, 1.0) * until_s
    return silenced(readings, [(start_s, start_s + rng.uniform(300.0, 1800.0))])


def _stuck(readings: list[Reading], rng: Random, until_s: float) -> list[Reading]:
    """The device goes on reporting, and says the same again and again."""
    start_s = rng.uniform(0.1, 1.0) * until_s
    end_s, kept_w, seen = start_s + rng.uniform(300.0, 1800.0), None, []
    for at_s, power_w in readings:
        if start_s <= at_s < end_s:
            kept_w = power_w if kept_w is None else kept_w
            seen.append((at_s, kept_w))
        else:
            seen.append((at_s, power_w))
    return seen


def _counter_reset(readings: list[Reading], rng: Random, until_s: float) -> list[Reading]:
    """The meter begins anew: its counter at nothing, and so is its first power."""
    start_s = rng.uniform(0.1, 1.0) * until_s
    first = next((at for at, seen in enumerate(readings) if seen[0] >= start_s), len(readings) - 1)
    return [(at_s, 0.0 if at == first else power_w) for at, (at_s, power_w) in enumerate(readings)]


WAYS: dict[str, Way] = {"loss": _loss, "gap": _gap, "stuck": _stuck, "counter reset": _counter_reset}

DEGRADATIONS = (*METERS, *WAYS)


def seen(
    charge: Charge, powers: Sequence[float], mode: str, rng: Random, degraded: str = "", until_s: float = 3600.0
) -> list[Reading]:
    """The readings of a charge; a degradation that lasts for minutes begins at random before `until_s`."""
    return told(charge, shown(powers, rng, degraded, MODES[mode].resolution_w), mode, rng, degraded, until_s)


def told(
    charge: Charge, shown_w: Sequence[float], mode: str, rng: Random, degraded: str = "", until_s: float = 3600.0
) -> list[Reading]:
    """What of it arrives. Who speaks on change is asked each minute, and says again what it has said."""
    readings = reported(shown_w, MODES[mode], rng)
    if MODES[mode].by_w is not None:
        readings = asked(readings, len(shown_w) * STEP_S)
    if degraded in WAYS:
        readings = WAYS[degraded](readings, rng, until_s)
    return silenced(readings, charge.silent)
