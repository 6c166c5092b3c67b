"""Settings suggested from past charges: only what the real detector, replayed, shows to be better."""

from typing import NamedTuple

import pytest

from controller.core import suggest
from controller.core.chargers import SETTABLE, checked, rules_of
from controller.core.errors import Refused
from controller.core.finish import RULES, FinishRules, Verdict, begin, observe
from controller.core.reasons import StopReason
from controller.core.suggest import LATE_S, Past, full_s, suggested, tried

SAMPLE_S = 30.0
HOUR = 3600.0


def ended(number: int, powers: list[float], reason: StopReason = StopReason.FINISHED, at: float = 0.0) -> Past:
    curve, used_wh = [], 0.0
    for step, power_w in enumerate(powers):
        curve.append([step * SAMPLE_S, power_w, round(used_wh, 3)])
        used_wh += power_w * SAMPLE_S / 3600
    opened_at = at or number * 10 * HOUR
    return Past(f"S{number}", "o1", opened_at, opened_at + len(powers) * SAMPLE_S, str(reason), curve)


def cut(powers: list[float]) -> list[float]:
    """As far as the real detector lets it run."""
    state = begin(0.0)
    for step, power_w in enumerate(powers):
        state, verdict = observe(state, step * SAMPLE_S, power_w)
        if verdict is not None:
            return powers[: step + 1]
    return powers


class Plain(NamedTuple):
    """A detector that knows `low` and `low_for_s` alone: what is suggested shall not hang on the real one's finesse."""

    peak_w: float = 0.0
    low_since_s: float | None = None


def plainly(state: Plain, t_s: float, power_w: float, rules: FinishRules) -> tuple[Plain, Verdict | None]:
    peak_w = max(state.peak_w, power_w)
    since_s = (t_s if state.low_since_s is None else state.low_since_s) if power_w <= rules.low * peak_w else None
    full = since_s is not None and t_s - since_s >= rules.low_for_s
    return Plain(peak_w, since_s), Verdict(StopReason.FINISHED, {}) if full else None


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggest, "begin", lambda at_s: Plain())
    monkeypatch.setattr(suggest, "observe", plainly)


def charge(idle_w: float, bulk: int = 200, peak_w: float = 168.0, half: int = 36) -> list[float]:
    tail = [idle_w + (peak_w - idle_w) * 0.5 ** (step / half) for step in range(half * 5)]
    return [peak_w] * bulk + tail + [idle_w] * 960


NOW = {"low": 0.08, "low_for_s": 600.0}


def resting(number: int, at: float, bulk: int = 200) -> Past:
    """It rested, was taken for full when its patience was over, and was started again."""
    return ended(number, [168.0] * bulk + [3.0] * 21, at=at)


def test_a_site_that_is_served_well_gets_no_suggestion() -> None:
    past = [ended(number, cut(charge(2.0))) for number in range(6)]

    assert suggested(past) is None


def test_nothing_is_suggested_from_less_than_a_few_charges() -> None:
    assert suggested([]) is None
    assert suggested([ended(1, charge(25.0))]) is None


STRICT = {"low": 0.03, "low_for_s": 600.0}


def late() -> list[Past]:
    """Under settings that are too strict for it: idle draw of 4 % of the peak, to the end of its time."""
    return [ended(n, [*charge(6.5)[:380], *[6.5] * 600], StopReason.TIME_LIMIT) for n in range(4)]


@pytest.mark.usefixtures("plain")
def test_chargers_that_stay_on_for_hours_after_they_are_full_bring_a_suggestion_with_its_figures() -> None:
    found = suggested(late(), STRICT)

    assert found is not None
    assert found.why == "late"
    assert found.trial.rules == {**STRICT, "low": 0.045}
    assert (found.trial.late, found.trial.sooner, found.trial.early_cuts) == (4, 4, 0)
    assert found.trial.sooner_min > 200
    assert all(change.now_s is not None and change.now_s < change.was_s for change in found.trial.changes)


@pytest.mark.usefixtures("plain")
def test_what_would_cut_a_single_past_charge_early_is_not_suggested_for_the_others() -> None:
    """A pack that crept down and then took more, among those that only idle there."""
    lone = ended(9, charge(6.5)[:380] + [6.5] * 150 + charge(6.5))
    assert tried([lone], {**STRICT, "low": 0.045}, STRICT).early_cuts == 1

    assert suggested([*late(), lone], STRICT) is None


@pytest.mark.usefixtures("plain")
def test_charges_that_were_started_again_bring_more_patience() -> None:
    past = []
    for number in range(0, 6, 2):
        first = resting(number, 1000.0 + number * 20 * HOUR)
        past += [first, ended(number + 1, charge(2.0)[:400], at=first.off_at + 600)]
    found = suggested(past, NOW)

    assert found is not None
    assert found.why == "early"
    assert (found.trial.again, found.trial.held) == (3, 3)
    assert found.trial.rules == {**NOW, "low_for_s": 900.0}


def test_another_bike_that_comes_soon_is_no_charge_that_was_started_again() -> None:
    first = resting(1, 1000.0)
    other = ended(2, cut(charge(2.0, peak_w=300.0)), at=first.off_at + 600)
    later = ended(3, cut(charge(2.0)), at=first.off_at + 3 * HOUR)

    assert tried([first, other, later], {"pause_s": 3600}).again == 0


def test_a_trial_of_what_holds_already_changes_nothing() -> None:
    past = [ended(number, cut(charge(2.0))) for number in range(3)]
    trial = tried(past, {"low": RULES.low})

    assert (trial.charges, trial.changes, trial.sooner, trial.later) == (3, (), 0, 0)


@pytest.mark.usefixtures("plain")
def test_a_trial_tells_of_early_cuts_by_the_energy_that_was_still_to_come() -> None:
    pauses = ended(1, [168.0] * 100 + [3.0] * 50 + [168.0] * 100 + charge(2.0)[200:420])
    trial = tried([pauses], NOW, {"low_for_s": 1800.0})

    assert trial.early_cuts == 1
    assert trial.changes[0].early
    assert trial.changes[0].now_s == pytest.approx(100 * SAMPLE_S + 600, abs=2 * SAMPLE_S)


def test_when_it_was_full_is_told_by_the_curve_alone() -> None:
    curve = ended(1, charge(5.0)).curve

    assert full_s(curve) == pytest.approx((200 + 36 * 4.98) * SAMPLE_S, abs=12 * SAMPLE_S)
    assert full_s(ended(2, [168.0] * 100).curve) is None
    assert curve[-1][0] - (full_s(curve) or 0) > LATE_S


# -- what may be set ----------------------------------------------------------------------------------------------


def test_every_default_lies_within_its_bounds_and_every_bound_may_be_set() -> None:
    for name, (least, most) in SETTABLE.items():
        assert least <= float(getattr(RULES, name)) <= most
        assert checked({name: least}) == {name: least}
        assert checked({name: most}) == {name: most}


@pytest.mark.parametrize("name", SETTABLE)
def test_what_lies_beyond_a_bound_is_refused_and_named(name: str) -> None:
    least, most = SETTABLE[name]
    for value in (least - 0.001, most * 1.01, float("nan"), float("inf"), -1.0):
        with pytest.raises(Refused, match=name):
            checked({name: value})


def test_rules_without_a_setting_are_the_defaults() -> None:
    assert rules_of(None, {}) is None
    set_ = rules_of({"low": 0.1}, {"probe": 1.0})
    assert set_ is not None
    assert (set_.low, set_.probe, set_.pause_s) == (0.1, True, RULES.pause_s)


def test_a_setting_that_is_settable_no_more_is_passed_over() -> None:
    assert rules_of({"of_an_older_release": 1.0}) is None
