"""A danger, a doubt and a finish at the same reading: which of them ends the charge; and a lead with two chargers."""

from unittest.mock import patch

import pytest
from msgspec.structs import replace

from controller.core import danger, draw, notices
from controller.core import effects as fx
from controller.core import session as table
from controller.core.danger_state import DangerState, Past
from controller.core.finish import Verdict
from controller.core.house import House
from controller.core.moves import Outcome
from controller.core.reasons import StopReason
from controller.core.state import Phase, Why
from tests.core.made import NOW_S, RULES, ctx, one, reading, session

CLIMBING = Verdict(StopReason.NEVER_TURNED, {"power_w": 150.0}, "climbing")
HEATER = Verdict(StopReason.NOT_A_CHARGER, {"power_w": 600.0}, "resistive")
FULL = Verdict(StopReason.FINISHED, {"power_w": 3.0}, "low")
DOUBT = replace(FULL, doubt=True)


def judged(bad: Verdict | None, full: Verdict | None, other: dict[str, float] | None = None) -> Outcome:
    """One reading of which each judge says this."""
    state = session()
    with (
        patch.object(danger, "observe", lambda *_, **__: (DangerState(last_s=0.0), bad)),
        patch.object(table, "observe", lambda finish, *_: (finish, full)),
        patch.object(draw, "observe", lambda draws, *_: (draws, other)),
    ):
        return table.decide(state, reading(100.0), ctx())


@pytest.mark.parametrize(
    ("bad", "full", "reason"),
    [
        (HEATER, FULL, StopReason.NOT_A_CHARGER),
        (HEATER, DOUBT, StopReason.NOT_A_CHARGER),
        (CLIMBING, DOUBT, StopReason.NEVER_TURNED),
        (CLIMBING, None, StopReason.NEVER_TURNED),
        (CLIMBING, FULL, StopReason.FINISHED),
    ],
)
def test_a_danger_wins_but_what_has_surely_finished_has_not_climbed(
    bad: Verdict, full: Verdict | None, reason: StopReason
) -> None:
    after = judged(bad, full).session

    assert (after.phase, after.reason) == (Phase.CLOSING, reason)


def test_a_danger_is_not_put_off_by_another_bike() -> None:
    swapped = {"before_w": 100.0, "now_w": 600.0}

    assert judged(HEATER, None, swapped).session.reason is StopReason.NOT_A_CHARGER
    paused = judged(None, None, swapped).session.pause
    assert paused is not None
    assert paused.why is Why.PLUG


# -- two chargers on one lead ---------------------------------------------------------------------------------------


def test_two_chargers_are_told_once_and_the_charge_goes_on() -> None:
    """Ten level minutes, ten of a step, and twenty on the new level: the last of them ends with this reading."""
    past = Past(elapsed_s=2940.0, bin_s=540.0, bin_ws=540 * 240.0, bins_w=(110.0, 110.0, 175.0, 240.0), best_w=110.0)
    at_s = NOW_S - session().opened_s
    watch = DangerState(last_s=at_s - 60, last_w=240.0, past=past)
    outcome = table.decide(session(danger=watch), reading(240.0), ctx())

    assert one(outcome.effects, fx.RaiseAlarm).kind == "shared_outlet"
    assert outcome.session.phase is Phase.CHARGING
    assert outcome.session.danger is not None
    assert outcome.session.danger.two
    again = replace(outcome.session, danger=replace(watch, two=True))
    assert not [
        effect for effect in table.decide(again, reading(240.0), ctx()).effects if isinstance(effect, fx.RaiseAlarm)
    ]


@pytest.mark.parametrize("two", [True, False])
def test_the_alarm_of_two_chargers_is_over_when_the_lead_is_dark(two: bool) -> None:
    closing = session(Phase.CLOSING, danger=DangerState(last_s=0.0, two=two))
    outcome = table.decide(closing, reading(0.0), ctx())

    assert outcome.session.phase is Phase.SETTLED
    over = [effect for effect in outcome.effects if isinstance(effect, fx.ClearAlarms)]
    assert [(effect.outlet, effect.kind) for effect in over] == [("o1", "shared_outlet")] * two


def test_whoever_paid_hears_of_a_second_charger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_payload", lambda house, session, what: {"what": what})
    house = House()
    house.reachable.add("p1")
    before = session(danger=DangerState(last_s=0.0))
    after = replace(before, danger=DangerState(last_s=0.0, two=True))

    assert [wish.slot for wish in notices.due(house, before, after, RULES, 0.0)] == ["notify:S1:shared"]
    assert notices.due(house, after, after, RULES, 0.0) == ()
