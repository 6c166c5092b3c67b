"""Which settings would have served the last charges better: each candidate replayed through the real detector. Pure.

What was cut late shows in its curve. What was cut early shows in what people did: they came back and started again.
A suggestion never cuts a recorded charge early, and nobody but a person makes it apply.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

import msgspec

from controller.core.chargers import SETTABLE, rules_of, setting_of
from controller.core.finish import RULES, FinishRules, begin, observe
from controller.core.reasons import StopReason

PAST_MAX = 40  # charges: each candidate runs through all of them
LATE_S = 1200.0  # on for so long after it was full: worth changing something
AGAIN_S = 1800.0  # who starts again within this time was not done
SAME_PEAK = 0.15  # ... if what they plugged in draws as before
AGAIN_WH = 10.0
LEAST_LATE, LEAST_AGAIN = 3, 2  # charges; fewer are chance
LEAST_GAIN_S = 300.0
WHOLE = 0.97  # of the useful energy: a cut before is early
IDLE_S = 600.0
IDLE_MOST = 0.35  # of the peak; what is level above that has not come down
HELD_S = 60.0  # samples are half a minute apart
STEPS = (0.65, 1.5)  # a candidate is a setting by so much shorter or longer
TRIED = ("low", "low_for_s", "low_long_s", "flat_change", "pause_s", "gone_for_s")
JUDGED = (StopReason.FINISHED, StopReason.UNPLUGGED, StopReason.TIME_LIMIT)

Curve = Sequence[Sequence[float]]


class Past(msgspec.Struct, frozen=True):
    """One charge that has ended; `curve` is [[t_s, power_w, used_wh], …]."""

    session: str
    outlet: str
    opened_at: float
    off_at: float
    reason: str
    curve: Curve


class Change(msgspec.Struct, frozen=True):
    """What would have been other on one charge. `now_s` None: not cut within what was recorded."""

    session: str
    was_s: float
    now_s: float | None
    early: bool = False  # before 97 % of what it took
    again: bool = False  # somebody had to start it again


class Trial(msgspec.Struct, frozen=True):
    """Settings, replayed on past charges: sums, and the charges of which something is other than it was."""

    rules: dict[str, float]
    charges: int
    late: int
    again: int
    sooner: int
    sooner_min: float  # of those, in the middle
    later: int
    early_cuts: int
    held: int  # charges that were started again, and would not have been cut
    changes: tuple[Change, ...]


class Suggestion(msgspec.Struct, frozen=True):
    """`why` is late or early."""

    why: str
    trial: Trial


def suggested(past: Sequence[Past], now: Mapping[str, float] | None = None) -> Suggestion | None:
    """The best single change to the settings that hold now, or None: they serve well, or there is too little to say."""
    looked_at = _judged(past)
    late, again = _late(looked_at), _again(looked_at)
    trials = [tried(looked_at, {**(now or {}), **one}, now) for one in _candidates(now)]
    harmless = [trial for trial in trials if trial.early_cuts == 0]
    held = [trial for trial in trials if trial.held >= LEAST_AGAIN and not trial.sooner]
    if len(again) >= LEAST_AGAIN and held:
        return Suggestion("early", min(held, key=lambda trial: (-trial.held, trial.later)))
    sooner = [trial for trial in harmless if trial.sooner >= LEAST_LATE and trial.sooner_min * 60 >= LEAST_GAIN_S]
    if len(late) >= LEAST_LATE and sooner:
        return Suggestion("late", max(sooner, key=lambda trial: trial.sooner * trial.sooner_min))
    return None


def tried(past: Sequence[Past], rules: Mapping[str, float], now: Mapping[str, float] | None = None) -> Trial:
    """What these settings would have changed, against those that hold now."""
    looked_at = _judged(past)
    again, late = _again(looked_at), _late(looked_at)
    changes = tuple(_change(charge, rules, now, charge.session in again) for charge in looked_at)
    other = tuple(change for change in changes if change.now_s is None or abs(change.now_s - change.was_s) >= 1)
    sooner = [change.was_s - change.now_s for change in other if change.now_s is not None and not change.again]
    sooner = [gain_s for gain_s in sooner if gain_s > 0]
    return Trial(
        rules=dict(rules),
        charges=len(looked_at),
        late=len(late),
        again=len(again),
        sooner=len(sooner),
        sooner_min=round(median(sooner) / 60, 1) if sooner else 0.0,
        later=sum(1 for change in other if change.now_s is None or change.now_s > change.was_s),
        early_cuts=sum(1 for change in other if change.early),
        held=sum(1 for change in other if change.again and change.now_s is None),
        changes=other,
    )


def _judged(past: Iterable[Past]) -> list[Past]:
    """The newest that the detector ended, or should have."""
    ended = [charge for charge in past if charge.reason in JUDGED and len(charge.curve) > 1]
    return sorted(ended, key=lambda charge: charge.off_at)[-PAST_MAX:]


def _candidates(now: Mapping[str, float] | None) -> list[dict[str, float]]:
    rules, found = rules_of(now) or RULES, []
    for name in TRIED:
        least, most = SETTABLE[name]
        for step in STEPS:
            value = min(most, max(least, setting_of(name, rules) * step))
            if value != setting_of(name, rules):
                found.append({name: round(value, 4)})
    return found


def _change(charge: Past, rules: Mapping[str, float], now: Mapping[str, float] | None, again: bool) -> Change:
    """Both replayed alike: what a session had beside its curve (a bike's memory, other limits) counts for neither."""
    ended_s, before_s = charge.curve[-1][0], _cut_s(charge.curve, rules_of(now) or RULES)
    now_s, was_s = _cut_s(charge.curve, rules_of(rules) or RULES), ended_s if before_s is None else before_s
    if now_s is None and before_s is None:
        return Change(charge.session, was_s, was_s, again=again)
    early = now_s is not None and now_s < was_s and _energy_by(charge.curve, now_s) < WHOLE
    return Change(charge.session, was_s, now_s, early, again)


def _cut_s(curve: Curve, rules: FinishRules) -> float | None:
    """None: not cut. A curve's last point is up to half a minute before its end, so it is held a little."""
    state, (end_s, end_w, *_) = begin(0.0), curve[-1]
    for t_s, power_w, *_ in (*curve, (end_s + HELD_S / 2, end_w), (end_s + HELD_S, end_w)):
        state, verdict = observe(state, t_s, power_w, rules)
        if verdict is not None:
            return min(t_s, end_s)
    return None


# -- what a curve says --------------------------------------------------------------------------------------------


def full_s(curve: Curve) -> float | None:
    """When it was last clearly above what it ended with; None if it was so to the end, or never came down."""
    end_s, idle_w, peak_w = curve[-1][0], _idle_w(curve), max(point[1] for point in curve)
    above_w = idle_w + max(3.0, 0.03 * peak_w)
    last_s = max((point[0] for point in curve if point[1] > above_w), default=0.0)
    return last_s if last_s < end_s and idle_w <= IDLE_MOST * peak_w else None


def _idle_w(curve: Curve) -> float:
    return median(point[1] for point in curve if point[0] >= curve[-1][0] - IDLE_S)


def _energy_by(curve: Curve, t_s: float) -> float:
    """The share of the useful energy (above idle, until it was full) that was in by then."""
    full = full_s(curve)
    until_s, idle_w = (curve[-1][0], 0.0) if full is None else (full, _idle_w(curve))
    all_wh, by_wh = (_useful_wh(curve, idle_w, end_s) for end_s in (until_s, min(t_s, until_s)))
    return by_wh / all_wh if all_wh > 0 else 1.0


def _useful_wh(curve: Curve, idle_w: float, until_s: float) -> float:
    return max((point[2] - idle_w * point[0] / 3600 for point in curve if point[0] <= until_s), default=0.0)


def _late(past: Sequence[Past]) -> list[str]:
    ends = ((charge, full_s(charge.curve)) for charge in past)
    return [charge.session for charge, full in ends if full is not None and charge.curve[-1][0] - full > LATE_S]


def _again(past: Sequence[Past]) -> set[str]:
    """Those that were ended as full or gone, and soon went on at the same outlet with a like draw."""
    return {charge.session for charge in past if any(_goes_on(charge, later) for later in past)}


def _goes_on(charge: Past, later: Past) -> bool:
    soon = later.outlet == charge.outlet and 0 < later.opened_at - charge.off_at <= AGAIN_S
    if not soon or charge.reason == StopReason.TIME_LIMIT or later.curve[-1][2] < AGAIN_WH:
        return False
    before_w, after_w = (max(point[1] for point in each.curve) for each in (charge, later))
    return abs(after_w - before_w) <= SAME_PEAK * before_w
