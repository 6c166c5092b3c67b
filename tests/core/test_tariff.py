"""Every Wh is priced once, in the right band, and rounded down once."""

from datetime import UTC, datetime
from math import floor
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.errors import Refused
from controller.core.tariff import (
    DAY_MIN,
    Band,
    Meter,
    Tariff,
    Used,
    band_at,
    band_ending_at,
    bill,
    capped,
    check,
    credit_left_wh,
    credit_wh,
    metered,
    next_edge,
    used,
)

VALLEY, PEAK = (3583, 3000), (7583, 3000)
DAY = Tariff(
    "t1",
    "Night and day",
    "Asia/Shanghai",
    (Band("valley", 0, 480, *VALLEY), Band("peak", 480, 1320, *PEAK), Band("valley", 1320, 1440, *VALLEY)),
)
FLAT = Tariff("t2", "Flat", "Asia/Shanghai", (Band("flat", 0, 1440, 5583, 3000),))
BERLIN = Tariff("t3", "Berlin", "Europe/Berlin", DAY.bands)


def local(zone: str, *when: int) -> float:
    return datetime(*when, tzinfo=ZoneInfo(zone)).timestamp()  # type: ignore[misc,arg-type]


def test_the_example_of_the_design_comes_out_to_the_fen() -> None:
    priced = bill(FLAT, [Used("flat", 347)])

    assert [line.amount_fen for line in priced.lines] == [19, 10]
    assert (priced.total_fen, priced.energy_fen, priced.service_fen) == (29, 19, 10)


def test_a_band_used_twice_is_one_pair_of_lines() -> None:
    priced = bill(DAY, [Used("valley", 150), Used("peak", 10), Used("valley", 150)])

    assert [(line.band, line.kind, line.wh) for line in priced.lines] == [
        ("valley", "energy", 300),
        ("valley", "service", 300),
        ("peak", "energy", 10),
        ("peak", "service", 10),
    ]


def test_nothing_used_costs_nothing() -> None:
    assert bill(DAY, ()).total_fen == 0


@pytest.mark.parametrize(
    ("bands", "code"),
    [
        ((), "tariff_empty"),
        ((Band("a", 0, 600, 1, 1),), "tariff_gap"),
        ((Band("a", 1, 1440, 1, 1),), "tariff_gap"),
        ((Band("a", 0, 600, 1, 1), Band("b", 700, 1440, 1, 1)), "tariff_gap"),
        ((Band("a", 0, 700, 1, 1), Band("b", 600, 1440, 1, 1)), "tariff_overlap"),
        ((Band("a", 0, 1441, 1, 1),), "tariff_band"),
        ((Band("a", 600, 600, 1, 1),), "tariff_band"),
        ((Band("", 0, 1440, 1, 1),), "tariff_band"),
        ((Band("a", 0, 1440, -1, 1),), "tariff_price"),
        ((Band("a", 0, 1440, 1, 1_000_001),), "tariff_price"),
        ((Band("a", 0, 600, 1, 1), Band("a", 600, 1440, 2, 1)), "tariff_name"),
    ],
)
def test_a_tariff_that_can_not_price_every_minute_is_refused(bands: tuple[Band, ...], code: str) -> None:
    with pytest.raises(Refused) as refusal:
        check(Tariff("t", "T", "Asia/Shanghai", bands))

    assert refusal.value.code == code


@pytest.mark.parametrize("zone", ["Asia/Nowhere", "", "../etc/passwd"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(Refused, match="time zone"):
        check(Tariff("t", "T", zone, FLAT.bands))


def test_bands_may_come_in_any_order() -> None:
    check(Tariff("t", "T", "Asia/Shanghai", DAY.bands[::-1]))


@pytest.mark.parametrize(
    ("when", "name"),
    [((7, 59), "valley"), ((8, 0), "peak"), ((21, 59), "peak"), ((22, 0), "valley"), ((0, 0), "valley")],
)
def test_a_band_holds_from_its_first_minute_to_before_its_last(when: tuple[int, int], name: str) -> None:
    assert band_at(DAY, local("Asia/Shanghai", 2026, 5, 1, *when)).name == name


def test_a_reading_on_the_edge_belongs_to_the_band_it_ends() -> None:
    edge = local("Asia/Shanghai", 2026, 5, 1, 8, 0)

    assert band_at(DAY, edge).name == "peak"
    assert band_ending_at(DAY, edge).name == "valley"
    assert band_ending_at(DAY, edge + 1).name == "peak"


def test_the_next_edge_is_the_end_of_the_band() -> None:
    assert next_edge(DAY, local("Asia/Shanghai", 2026, 5, 1, 3, 7)) == local("Asia/Shanghai", 2026, 5, 1, 8)
    assert next_edge(DAY, local("Asia/Shanghai", 2026, 5, 1, 23)) == local("Asia/Shanghai", 2026, 5, 2)


@pytest.mark.parametrize(
    ("day", "hours"), [((2026, 3, 29), (7, 14, 2)), ((2026, 10, 25), (9, 14, 2)), ((2026, 6, 1), (8, 14, 2))]
)
def test_days_of_23_and_25_hours_have_their_own_lengths_of_night(
    day: tuple[int, int, int], hours: tuple[int, ...]
) -> None:
    at, lengths = local("Europe/Berlin", *day, 0, 0), [0.0, 0.0, 0.0]
    end = at + sum(hours) * 3600
    for part, name in enumerate(("valley", "peak", "valley")):
        while at < end and band_at(BERLIN, at).name == name:
            edge = next_edge(BERLIN, at)
            lengths[part] += edge - at
            at = edge

    assert tuple(seconds / 3600 for seconds in lengths) == hours


MOMENTS = st.integers(
    int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2028, 1, 1, tzinfo=UTC).timestamp())
)


@given(
    at=MOMENTS, part=st.floats(0, 1), zone=st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "Australia/Lord_Howe"])
)
def test_a_band_never_changes_before_the_edge_that_was_named(at: int, part: float, zone: str) -> None:
    tariff = Tariff("t", "T", zone, DAY.bands)
    edge = next_edge(tariff, at)

    assert at < edge <= at + 25 * 3600
    assert band_at(tariff, at + (edge - at) * part * 0.999_999) == band_at(tariff, at)


# -- money --------------------------------------------------------------------------------------------------------

PRICES = st.integers(0, 1_000_000)
TWO = st.builds(
    lambda *prices: Tariff("t", "T", "UTC", (Band("a", 0, 720, *prices[:2]), Band("b", 720, 1440, *prices[2:]))),
    PRICES,
    PRICES,
    PRICES,
    PRICES,
)
PARTS = st.lists(st.builds(Used, st.sampled_from("ab"), st.integers(0, 20_000)), max_size=6)


@given(tariff=TWO, parts=PARTS)
def test_a_bill_is_the_sum_of_lines_rounded_down(tariff: Tariff, parts: list[Used]) -> None:
    priced = bill(tariff, parts)

    assert priced.total_fen == priced.energy_fen + priced.service_fen == sum(line.amount_fen for line in priced.lines)
    assert all(line.amount_fen == line.wh * line.price // 100_000 for line in priced.lines)


@given(tariff=TWO, parts=PARTS, hold_fen=st.integers(0, 2_000))
def test_a_capped_bill_never_takes_more_than_the_hold(tariff: Tariff, parts: list[Used], hold_fen: int) -> None:
    full, less = bill(tariff, parts), capped(bill(tariff, parts), hold_fen)

    assert less.total_fen == min(full.total_fen, hold_fen)
    assert all(0 <= line.amount_fen <= before.amount_fen for line, before in zip(less.lines, full.lines, strict=True))
    assert less.energy_fen == full.energy_fen or less.service_fen == 0


@given(tariff=TWO, hold_fen=st.integers(0, 2_000), share=st.floats(0, 1))
def test_credit_is_never_overdrawn_however_the_wh_fall_on_the_bands(
    tariff: Tariff, hold_fen: int, share: float
) -> None:
    wh = credit_wh(tariff, hold_fen)
    first = int(wh * share)

    if any(band.energy_price + band.service_price for band in tariff.bands):
        assert bill(tariff, [Used("a", first), Used("b", wh - first)]).total_fen <= hold_fen


@given(tariff=TWO, parts=PARTS, hold_fen=st.integers(0, 2_000))
def test_credit_left_after_some_use_is_never_overdrawn(tariff: Tariff, parts: list[Used], hold_fen: int) -> None:
    left = credit_left_wh(tariff, parts, hold_fen)

    if 0 < left < 1_000_000:
        for name in "ab":
            assert bill(tariff, [*parts, Used(name, left)]).total_fen <= hold_fen


def test_credit_of_one_price_is_the_largest_that_fits() -> None:
    one = Tariff("t", "T", "UTC", (Band("a", 0, DAY_MIN, 5583, 0),))
    wh = credit_wh(one, 200)

    assert bill(one, [Used("a", wh)]).total_fen == 200
    assert bill(one, [Used("a", wh + 1)]).total_fen == 201


# -- the meter ----------------------------------------------------------------------------------------------------


def run(*readings: tuple[float | None, str], meter: Meter | None = None) -> Meter:
    now = meter or Meter()
    for counter_wh, band in readings:
        now, _ = metered(now, counter_wh, band)
    return now


def test_the_first_reading_only_sets_the_mark() -> None:
    assert used(run((51_000.0, "a"))) == ()


def test_a_band_ends_at_the_last_reading_before_its_edge() -> None:
    meter = run((100.0, "a"), (110.4, "a"), (120.9, "b"), (130.2, "b"))

    assert used(meter) == (Used("a", 10), Used("b", 20))


def test_a_counter_that_fell_adds_nothing_and_goes_on_from_there() -> None:
    meter = run((500.0, "a"), (510.0, "a"), (0.0, "a"), (5.0, "a"))

    assert used(meter) == (Used("a", 15),)


def test_an_absurd_step_is_not_billed_and_is_reported() -> None:
    meter, absurd = metered(run((500.0, "a")), 900_000.0, "a", max_step_wh=100)
    after, again = metered(meter, 900_003.0, "a", max_step_wh=100)

    assert (absurd, again) == (True, False)
    assert used(after) == (Used("a", 3),)


def test_a_meter_that_does_not_say_changes_nothing() -> None:
    assert run((None, "a"), (None, "a"), meter=run((5.0, "a"), (7.0, "a"))).used_wh == 2.0


def test_kilowatt_hours_with_three_places_lose_no_watt_hour() -> None:
    assert used(run((1.0 * 1000, "a"), (1.347 * 1000, "a"))) == (Used("a", 347),)


@given(
    st.lists(
        st.tuples(st.none() | st.floats(0, 5_000, allow_nan=False), st.sampled_from(["valley", "peak", "noon"])),
        max_size=40,
    )
)
def test_every_wh_is_billed_exactly_once(readings: list[tuple[float | None, str]]) -> None:
    meter = run(*readings)

    assert sum(part.wh for part in used(meter)) == floor(meter.used_wh)
    assert all(part.wh > 0 for part in used(meter))


@given(
    st.lists(st.tuples(st.floats(0, 50, allow_nan=False), st.sampled_from(["a", "b"])), min_size=1, max_size=60),
    st.floats(0, 1e6),
)
def test_a_counter_that_only_grows_is_billed_whole(steps: list[tuple[float, str]], start_wh: float) -> None:
    counter_wh, meter = start_wh, run((start_wh, steps[0][1]))
    for step_wh, band in steps:
        counter_wh += step_wh
        meter = run((counter_wh, band), meter=meter)

    assert abs(meter.used_wh - (counter_wh - start_wh)) < 0.001
    assert sum(part.wh for part in used(meter)) == floor(meter.used_wh)
