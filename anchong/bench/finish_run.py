"""Charges under rules: each is made up once, seen in every way, and judged by every rule; both cores help."""

import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from random import Random

import msgspec

from anchong.bench.finish_probe import PROBING, probed
from anchong.bench.finish_rules import BASELINES, Judge, Maker
from anchong.bench.finish_score import FALSE, Outcome, Tally
from anchong.replay import AfterEnd, Limits, Row, Rules, run
from controller.core import finish, state
from simulators.curves import SHAPES, STEP_S, Charge, Kind, Truth, charge, truth
from simulators.curves_seen import (
    DEGRADATIONS,
    METERS,
    MODES,
    RESOLUTION_W,
    Reading,
    shown,
    silenced,
    told,
)

OURS = "anchong"
CAP_S = state.Rules().hard_cap_s  # the hard stop, which ends whatever a rule has missed
DEGRADED_MODE = "60 s"
RESTART = "restart"
REFERENCE = "reference"  # every 60 s, a quarter of the meters with an offset; late counts from 99 % of the energy
REFERENCE_SHAPES = (
    "cc-cv", "standby", "high idle", "small", "fast", "snap-off", "precharge", "balancing", "dual", "thermal pause",
    "brown-out", "lead-acid", "lead-acid high float", "pulse maintenance", "very long tail",
)  # fmt: skip
DEGRADED = (*DEGRADATIONS, RESTART)
AROUND_S = 1800.0  # what goes wrong does so until this long after full
CHUNK = 5

Key = tuple[str, str, str]  # shape, how it was seen, rule
Tallies = dict[Key, Tally]


class Ours:
    """The detector itself, with a restart when it is told of one."""

    def __init__(self, rules: finish.FinishRules = finish.RULES) -> None:
        self._rules = rules
        self._state = finish.begin(0.0)
        self._shift_s = 0.0

    def __call__(self, at_s: float, power_w: float) -> float | None:
        self._state, verdict = finish.observe(self._state, at_s - self._shift_s, power_w, self._rules)
        return at_s if verdict else None

    def restarted(self, at_s: float, away_s: float) -> None:
        """Through JSON, onto another steady clock that begins at nothing."""
        stored = msgspec.json.decode(msgspec.json.encode(self._state), type=finish.FinishState)
        self._shift_s = at_s
        self._state = finish.resumed(stored, 0.0)


class Job(msgspec.Struct, frozen=True):
    """So many seeds of one shape, seen in these ways, judged by these rules."""

    shape: str
    seeds: tuple[int, ...]
    ways: tuple[str, ...]
    rules: tuple[str, ...]


class Made(msgspec.Struct, frozen=True):
    """A charge with its truth, and the sums that outcomes are read from."""

    charge: Charge
    truth: Truth
    powers: list[float]
    useful_ws: list[float]
    all_ws: list[float]
    name: str
    meters: dict[tuple[str, float], list[float]] = {}

    def shown(self, degraded: str = "", resolution_w: float = RESOLUTION_W) -> list[float]:
        """What its meter shows; the same whatever becomes of it on the way."""
        key = degraded, resolution_w
        if key not in self.meters:
            rng = Random(f"meter/{self.name}/{degraded}")  # noqa: S311 - seeded, on purpose
            self.meters[key] = shown(self.powers, rng, degraded, resolution_w)
        return self.meters[key]

    def chance(self) -> Random:
        """What this charge's charger is like, whichever way it is seen."""
        return Random(f"charger/{self.name}")  # noqa: S311 - seeded, on purpose


def measured(jobs: Sequence[Job], processes: int) -> Tallies:
    """The same whatever the number of processes; memory grows with the outcomes, four bytes each."""
    whole: Tallies = defaultdict(Tally)
    for tallies in _done(jobs, processes):
        for key, tally in tallies.items():
            whole[key].merge(tally)
    return dict(whole)


def jobs(shapes: Iterable[str], seeds: range, ways: Iterable[str], rules: Iterable[str]) -> list[Job]:
    starts = range(seeds.start, seeds.stop, CHUNK)
    chunks = [tuple(seeds[start - seeds.start :][:CHUNK]) for start in starts]
    return [Job(shape, chunk, tuple(ways), tuple(rules)) for chunk in chunks for shape in shapes]


def _done(wanted: Sequence[Job], processes: int) -> Iterator[Tallies]:
    if processes == 1:
        yield from map(job_done, wanted)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(job_done, wanted)


def job_done(job: Job) -> Tallies:
    tallies: Tallies = defaultdict(Tally)
    for seed in job.seeds:
        made = prepared(job.shape, seed)
        for way in job.ways:
            rng = Random(f"{job.shape}/{seed}/{way}")  # noqa: S311 - seeded, on purpose
            readings, restarts = viewed(made, way, rng)
            for rule in job.rules:
                if rule == PROBING and way != DEGRADED_MODE:
                    continue
                tallies[job.shape, way, rule].add(_outcome(made, rule, readings, restarts, way))
    return dict(tallies)


def prepared(shape: str, seed: int) -> Made:
    made = charge(shape, seed)
    true, powers = truth(made), made.powers(CAP_S)
    full = len(powers) if true.full_s is None else round(true.full_s / STEP_S)
    useful = (max(0.0, power - true.idle_w) * STEP_S for power in powers[:full])
    useful_ws, all_ws = accumulate(useful, initial=0.0), accumulate((power * STEP_S for power in powers), initial=0.0)
    return Made(made, true, powers, list(useful_ws), list(all_ws), f"{shape}/{seed}")


# -- seen ---------------------------------------------------------------------------------------------------------


def viewed(made: Made, way: str, rng: Random) -> tuple[list[Reading], list[tuple[float, float]]]:
    """The readings, and when the gateway was away (from when, for how long)."""
    until_s = (made.truth.full_s or made.charge.charge_s) + AROUND_S
    if way == RESTART:
        restarts = _restarts(until_s, rng)
        readings = told(made.charge, made.shown(), DEGRADED_MODE, rng)
        return silenced(readings, [(at_s, at_s + away_s) for at_s, away_s in restarts]), restarts
    if way == REFERENCE:
        return told(made.charge, made.shown("offset" if rng.random() < 0.25 else ""), DEGRADED_MODE, rng), []
    mode, degraded = (DEGRADED_MODE, way) if way in DEGRADED else (way, "")
    shown_w = made.shown(degraded if degraded in METERS else "", MODES[mode].resolution_w)
    return told(made.charge, shown_w, mode, rng, degraded, until_s), []


def _restarts(until_s: float, rng: Random) -> list[tuple[float, float]]:
    """One anywhere, one while it is being decided whether the charge is full."""
    anywhere_s = rng.uniform(0.1, 0.8) * (until_s - AROUND_S)
    near_s = until_s - AROUND_S + rng.uniform(-300.0, 900.0)
    return [(max(60.0, at_s), rng.uniform(20.0, 600.0)) for at_s in sorted((anywhere_s, near_s))]


# -- judged -------------------------------------------------------------------------------------------------------


def _outcome(
    made: Made, rule: str, readings: list[Reading], restarts: list[tuple[float, float]], way: str = ""
) -> Outcome:
    if made.charge.kind is Kind.NEVER_TURNS and rule in {OURS, PROBING}:
        return _scored(made, _gateway_cut_s(readings))
    if rule == PROBING:
        of = probed(made.powers, readings, made.chance(), CAP_S)
        return _scored(made, of.cut_s, of.charged_s, from_most=way == REFERENCE, recovered=of.recovered)
    cut_s = cut(Ours if rule == OURS else BASELINES[rule], readings, restarts)
    return _scored(made, cut_s, from_most=way == REFERENCE)


def cut(
    make: Callable[[], Ours] | Maker,
    readings: Sequence[Reading],
    restarts: Sequence[tuple[float, float]] = (),
    end_s: float = CAP_S,
) -> float:
    """When the rule cuts, at the latest `end_s`. Others' timers are lost in a restart, and go off without a reading."""
    judge: Ours | Judge = make()
    waiting = list(restarts)
    for at_s, power_w in readings:
        if waiting and at_s >= waiting[0][0]:
            judge = _after_restart(judge, make, at_s, waiting.pop(0)[1])
        cut_s = judge(at_s, power_w)
        if cut_s is not None:
            return min(cut_s, end_s)
    last = None if isinstance(judge, Ours) else judge(end_s, readings[-1][1])
    return end_s if last is None else min(last, end_s)


def _after_restart(judge: Ours | Judge, make: Callable[[], Ours] | Maker, at_s: float, away_s: float) -> Ours | Judge:
    if not isinstance(judge, Ours):
        return make()
    judge.restarted(at_s, away_s)
    return judge


def _gateway_cut_s(readings: Sequence[Reading]) -> float:
    """A charge that never ends is no detector's: the danger rules and the session's limit end it."""
    rows, limit_s = [Row(at_s, power_w) for at_s, power_w in readings], state.Rules().session_s
    cut_s = run(rows, Rules(), Limits(max_s=limit_s), AfterEnd.STOP).cut_at_s
    return CAP_S if cut_s is None else cut_s


def _scored(
    made: Made, cut_s: float, charged_s: float | None = None, *, from_most: bool = False, recovered: bool = False
) -> Outcome:
    """For a charge that is never full all the time on counts as late, and nothing as false."""
    true, at = made.truth, round((cut_s if charged_s is None else charged_s) / STEP_S)
    full_s = 0.0 if true.full_s is None else true.most_s if from_most else true.full_s
    share = made.useful_ws[min(at, len(made.useful_ws) - 1)] / made.useful_ws[-1] if true.useful_wh else 1.0
    idle_ws = made.all_ws[min(at, len(made.all_ws) - 1)] - made.all_ws[round(full_s / STEP_S)]
    return Outcome(share, cut_s - full_s, max(0.0, idle_ws) / 3600, recovered and share >= FALSE)


def known(ways: Iterable[str]) -> bool:
    return all(way in MODES or way in DEGRADED or way == REFERENCE for way in ways)


def ending(shapes: Iterable[str] = SHAPES) -> list[str]:
    """Those that are full some time."""
    return [shape for shape in shapes if charge(shape, 0).kind is not Kind.NEVER_TURNS]
