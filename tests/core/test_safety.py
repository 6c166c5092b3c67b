"""The guard: what one reading proves, what takes two, and what is no danger at all."""

from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from controller.core import safety
from controller.core.events import Reading
from controller.core.reasons import StopReason
from controller.core.safety import CALM, Guard, Trip, guarded
from controller.core.state import Limits, Rules

RULES = Rules()
LIMITS = Limits(800.0, RULES.overload_s, 270.0, 100.0, 80.0, 2000.0, StopReason.CREDIT_USED)


def trips(*readings: Reading, limits: Limits = LIMITS) -> Trip | None:
    guard = CALM
    for reading in readings:
        guard, trip = guarded(guard, limits, reading)
        if trip is not None:
            return trip
    return None


def reading(power_w: float = 100.0, at_s: float = 0.0, **other: Any) -> Reading:
    return Reading(at=at_s, steady_s=at_s, outlet="o1", power_w=power_w, **other)


def test_a_usual_reading_trips_nothing() -> None:
    assert trips(reading(voltage_v=230.0, temperature_c=40.0, energy_wh=1999.9)) is None
    assert trips(reading()) is None


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"temperature_c": 95.1}, StopReason.OVERHEAT),
        ({"voltage_v": 297.1}, StopReason.OVER_VOLTAGE),
        ({"leakage_ma": 30.1}, StopReason.LEAKAGE),
        ({"energy_wh": 2000.0}, StopReason.CREDIT_USED),
        ({"power_w": 1200.1}, StopReason.OVERLOAD),
    ],
)
def test_one_reading_is_enough(other: dict[str, float], reason: StopReason) -> None:
    trip = trips(reading(**other))

    assert trip is not None
    assert trip.reason is reason
    assert set(other.values()) <= set(trip.evidence.values()) | {2000.0}


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"temperature_c": 80.1}, StopReason.OVERHEAT),
        ({"voltage_v": 270.1}, StopReason.OVER_VOLTAGE),
        ({"voltage_v": 99.9}, StopReason.UNDER_VOLTAGE),
    ],
)
def test_what_is_only_just_beyond_needs_a_second_report(other: dict[str, float], reason: StopReason) -> None:
    sound = {"temperature_c": 60.0, "voltage_v": 230.0}
    name = next(iter(other))
    once = reading(**other)
    denied = reading(at_s=10.0, **{name: sound[name]})

    assert trips(once) is None
    assert trips(once, once) is None, "the same message twice is one report"
    assert trips(once, denied, reading(at_s=20.0, **other)) is None
    trip = trips(once, reading(at_s=5.0), reading(at_s=10.0, **other))
    assert trip is not None
    assert trip.reason is reason


@pytest.mark.parametrize(
    ("other", "reason"),
    [({"temperature_c": 80.1}, StopReason.OVERHEAT), ({"voltage_v": 270.1}, StopReason.METER_FAULT)],
)
def test_what_nothing_denies_for_a_minute_is_believed(other: dict[str, float], reason: StopReason) -> None:
    assert trips(reading(**other), reading(at_s=59.0)) is None
    trip = trips(reading(**other), reading(at_s=59.0), reading(at_s=60.0))

    assert trip is not None
    assert trip.reason is reason


@pytest.mark.parametrize(
    "other", [{"temperature_c": 80.0}, {"leakage_ma": 30.0}, {"voltage_v": 270.0}, {"voltage_v": 100.0}]
)
def test_on_the_limit_is_not_over_it(other: dict[str, float]) -> None:
    assert trips(reading(**other)) is None


@pytest.mark.parametrize("voltage_v", [0.0, 19.9])
def test_a_meter_that_boots_or_a_dead_mains_is_no_under_voltage(voltage_v: float) -> None:
    assert trips(reading(voltage_v=voltage_v)) is None


@pytest.mark.parametrize("every_s", [1.0, 10.0])
def test_a_kettle_goes_at_its_first_report(every_s: float) -> None:
    assert trips(*(reading(120.0, at * every_s) for at in range(5)), reading(1800.0, 5 * every_s)) is not None


@pytest.mark.parametrize("inrush_s", [1.0, 2.0, 3.0])
def test_an_inrush_of_some_seconds_is_no_overload_reported_each_second(inrush_s: float) -> None:
    assert trips(*(reading(1100.0 if at <= inrush_s else 600.0, float(at)) for at in range(30))) is None


def test_an_overload_must_last() -> None:
    assert trips(reading(900.0, 0.0), reading(900.0, 7.9)) is None
    trip = trips(reading(900.0, 0.0), reading(900.0, 4.0), reading(900.0, 8.0))

    assert trip is not None
    assert trip.evidence == {"power_w": 900.0, "limit_w": 800.0, "over_s": 8.0}


def test_a_single_inrush_is_forgotten() -> None:
    assert trips(reading(900.0, 0.0), reading(800.0, 5.0), reading(900.0, 10.0), reading(900.0, 15.0)) is None


def test_heat_is_named_before_everything_else() -> None:
    trip = trips(reading(5000.0, temperature_c=96.0, voltage_v=300.0))

    assert trip is not None
    assert trip.reason is StopReason.OVERHEAT


def test_without_a_counter_limit_no_energy_trips() -> None:
    free = Limits(800.0, 8.0, 270.0, 100.0, 80.0, None, StopReason.ENERGY_LIMIT)
    assert trips(reading(energy_wh=1e9), limits=free) is None


def near(*limits: float) -> st.SearchStrategy[float | None]:
    return st.none() | st.sampled_from([0.0, *(limit + step for limit in limits for step in (-0.1, 0.0, 0.1))])


@given(
    st.builds(
        reading,
        st.sampled_from([0.0, 799.9, 800.0, 800.1, 1200.1]),
        voltage_v=near(20.0, 100.0, 270.0),
        temperature_c=near(80.0),
        leakage_ma=near(30.0),
        energy_wh=near(2000.0),
    ),
    st.none() | st.just(-5.0),
    st.sampled_from([None, 2000.0]),
)
def test_what_is_calm_at_first_sight_is_calm_at_the_second(
    seen: Reading, over_since_s: float | None, counter_wh: float | None
) -> None:
    guard, limits = CALM if over_since_s is None else Guard(over_since_s), replace(LIMITS, counter_wh=counter_wh)
    quick = guarded(guard, limits, seen)

    with patch.object(safety, "_calm", lambda *_: False):
        assert guarded(guard, limits, seen) == quick
