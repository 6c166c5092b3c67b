"""A quote is the bill of a real charge with steady power: its bands, its rounding, its changes of clocks."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.quote import quoted
from controller.core.tariff import Band, Meter, Tariff, band_ending_at, bill, metered, next_edge, used

BERLIN = "Europe/Berlin"
NIGHT_AND_DAY = (
    Band("night", 0, 360, 3000, 1000),
    Band("day", 360, 1320, 6000, 2000),
    Band("night", 1320, 1440, 3000, 1000),
)


def tariff(zone: str = "Asia/Shanghai") -> Tariff:
    return Tariff("t", "2026", zone, NIGHT_AND_DAY)


def local(zone: str, *when: int) -> float:
    return datetime(*when, tzinfo=ZoneInfo(zone)).timestamp()  # type: ignore[misc,arg-type]


def wh_of(found: object) -> dict[str, int]:
    return {line.band: line.wh for line in found.bill.lines}  # type: ignore[attr-defined]


def test_a_charge_across_an_edge_is_split_there() -> None:
    at = local("Asia/Shanghai", 2027, 1, 15, 5, 0)
    found = quoted(tariff(), at, 300.0, 3 * 3600)
    assert wh_of(found) == {"night": 300, "day": 600}
    assert (found.energy_wh, found.end_at) == (900, at + 3 * 3600)
    assert found.bill.total_fen == 9 + 3 + 36 + 12 == sum(line.amount_fen for line in found.bill.lines)


def test_it_ends_with_its_energy_if_that_comes_first() -> None:
    at = local("Asia/Shanghai", 2027, 1, 15, 7, 0)
    found = quoted(tariff(), at, 200.0, 8 * 3600, most_wh=500.0)
    assert (found.energy_wh, found.end_at) == (500, at + 2.5 * 3600)


@pytest.mark.parametrize(("day", "hours"), [((2027, 3, 28), 5), ((2027, 10, 31), 7)])
def test_a_night_with_a_change_of_clocks_has_its_own_hours(day: tuple[int, int, int], hours: int) -> None:
    """From midnight to six o'clock are five hours in spring and seven in autumn."""
    at = local(BERLIN, *day, 0, 0)
    found = quoted(tariff(BERLIN), at, 100.0, 10 * 3600)
    assert wh_of(found) == {"night": hours * 100, "day": (10 - hours) * 100}


@given(
    st.floats(1.7e9, 1.9e9),
    st.floats(1.0, 10_000.0),
    st.floats(60.0, 36_000.0),
    st.sampled_from([BERLIN, "Asia/Shanghai"]),
)
def test_a_meter_read_every_minute_comes_to_the_same_energy(
    at: float, power_w: float, seconds: float, zone: str
) -> None:
    prices, meter, now = tariff(zone), Meter(counter_wh=0.0, band=band_ending_at(tariff(zone), at + 1e-3).name), at
    while now < at + seconds:
        now = min(at + seconds, now + 60.0, next_edge(prices, now))
        meter, _ = metered(meter, power_w * (now - at) / 3600, band_ending_at(prices, now).name, max_step_wh=1e9)
    found = quoted(prices, at, power_w, seconds)
    assert abs(found.energy_wh - sum(part.wh for part in used(meter))) <= 1
    assert abs(found.bill.total_fen - bill(prices, used(meter)).total_fen) <= 1
