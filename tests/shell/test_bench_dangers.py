"""Every danger is dark in time, no ordinary charge is taken for one; and the figure itself can fail."""

import importlib
import json
from typing import Any

import msgspec
import pytest
import typer
from typer.testing import CliRunner, Result

from anchong.bench.danger_drills import DRILLS, NOT_DRILLED, Drill, Played, played
from anchong.bench.danger_loads import Curve, Resistor
from anchong.bench.danger_runs import DANGERS, ORDINARY, SHARED, Trip, per_danger, upper_bound
from anchong.bench.danger_yard import Steady, Yard
from anchong.bench.dangers import Rate, dangers
from controller.core.reasons import StopReason
from simulators.curves import SHAPES

module = importlib.import_module("anchong.bench.dangers")  # the package calls its command by the same name
SEED = 4_000
SESSIONS = 100
BY_NAME = {drill.name: drill for drill in DRILLS}


def anchong(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(dangers)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def figure() -> dict[str, Any]:
    result = anchong("--sessions", SESSIONS, "--seed", SEED, "--json")
    found: dict[str, Any] = json.loads(result.stdout)
    return found | {"exit": result.exit_code}


def changed(name: str, **values: object) -> Drill:
    return msgspec.structs.replace(BY_NAME[name], **values)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_danger_ends_in_time_and_for_its_own_reason(figure: dict[str, Any], name: str) -> None:
    (one,) = [one for one in figure["drills"] if one["name"] == name]
    assert one["ok"], one
    assert 0.0 < one["first_s"] <= one["worst_s"] <= one["bound_s"]


def test_a_hundred_ordinary_sessions_are_no_danger_on_this_seed(figure: dict[str, Any]) -> None:
    found = figure["false_trips"]
    assert found["trips"] == []
    assert (found["sessions"], found["seed"], found["all_dangers"]["upper_percent"]) == (SESSIONS, SEED, 3.0)
    assert figure["exit"] == 0


def test_it_says_which_shapes_are_ordinary_and_why_the_others_are_not(figure: dict[str, Any]) -> None:
    found = figure["false_trips"]
    assert tuple(found["shapes"]) == ORDINARY
    assert {*found["shapes"], *found["left_out"]} == set(SHAPES)


def test_each_reason_that_a_danger_may_give_is_drilled_or_named(figure: dict[str, Any]) -> None:
    drilled = {drill.says.partition(":")[0] for drill in DRILLS}
    assert {*map(str, DANGERS), SHARED} - drilled == {"leakage"}
    assert "leakage" in NOT_DRILLED
    assert figure["not_drilled"] == NOT_DRILLED


def test_a_drill_that_is_late_is_late() -> None:
    late = played(changed("overload, kettle", bound_s=0.5), 1)
    assert late.worst_s is not None
    assert late.worst_s > 0.5
    assert not late.ok


def test_a_drill_that_ends_for_another_reason_is_not_passed() -> None:
    other = played(changed("overload, kettle", says="smoke"), 1)
    assert other.said == ("overload",)
    assert not other.ok


def test_a_danger_that_nobody_cuts_never_ends() -> None:
    """A charge of 180 W is none."""

    def charging(yard: Yard) -> float:
        yard.charge(lambda: Steady(180.0), 60.0)
        return yard.begins()

    calm = played(changed("overload, kettle", play=charging, bound_s=1.0), 1)
    assert (calm.first_s, calm.worst_s, calm.ok) == (None, None, False)


def test_a_late_drill_or_a_false_trip_exits_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(drills: tuple[Drill, ...], seed: int, processes: int) -> tuple[Played, ...]:
        return tuple(played(msgspec.structs.replace(drill, bound_s=0.5), seed) for drill in drills)

    with monkeypatch.context() as slow:
        slow.setattr(module, "all_played", late)
        result = anchong("--drill", "overload, kettle", "--sessions", 0, "--seed", 1)
    assert result.exit_code == 1
    assert "LATE" in result.stdout

    trip = Trip("never_turned:climbing", "cc-cv", 7, "10 s", 9000.0, {"power_w": 200.0})
    monkeypatch.setattr(module, "false_trips", lambda seeds, processes: [trip])
    monkeypatch.setattr(module, "all_played", lambda drills, seed, processes: ())
    result = anchong("--sessions", 10, "--seed", 1)
    assert result.exit_code == 1
    assert "FALSE: never_turned:climbing on cc-cv, seed 7" in result.stdout


def test_a_drill_that_does_not_exist_is_refused_with_those_that_do() -> None:
    result = anchong("--drill", "flying")
    assert result.exit_code == 2
    assert "overload, kettle" in result.output


def test_trips_are_counted_by_danger_and_every_danger_is_named() -> None:
    trips = [Trip("never_turned:climbing", "cc-cv", 1, "10 s", 1.0, {}), Trip(SHARED, "dual", 2, "10 s", 1.0, {})]
    counted = per_danger(trips)
    assert counted[str(StopReason.NEVER_TURNED)] == counted[SHARED] == 1
    assert sum(counted.values()) == 2
    assert set(counted) == {*map(str, DANGERS), SHARED}


def test_the_bound_of_no_trip_is_three_in_all_and_of_some_is_above_their_rate() -> None:
    assert upper_bound(0, 10_000) == pytest.approx(0.0003)
    assert 0.0001 < upper_bound(1, 10_000) < 0.0006
    assert module._rate(0, 10_000) == Rate(0, 0.03)


def test_a_resistor_draws_by_the_square_of_the_mains() -> None:
    mains_v = [230.0]
    heater = Resistor(600.0, 230.0, lambda: mains_v[0])
    assert heater.draw_w(1.0) == pytest.approx(600.0)
    mains_v[0] = 115.0
    assert heater.draw_w(1.0) == pytest.approx(150.0)


def test_a_curve_goes_straight_from_point_to_point_and_stays_at_the_last() -> None:
    pack = Curve(((0, 250.0), (1, 250.0), (2, 110.0)))
    assert pack.draw_w(30.0) == 250.0
    assert pack.draw_w(60.0) == pytest.approx(180.0)
    assert pack.draw_w(600.0) == 110.0
