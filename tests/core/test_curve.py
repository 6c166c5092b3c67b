"""The curve is small, says what it shows, and trusts no text."""

import random
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.curve import MAX_POINTS, svg, thinned

SVG = "{http://www.w3.org/2000/svg}"

NIGHT = [(second * 10.0, 100.0 + 20 * random.Random(second).random()) for second in range(3600)]


def parsed(drawing: str) -> ET.Element:
    return ET.fromstring(drawing)  # noqa: S314 - our own drawing


def words(drawing: str) -> list[str]:
    return [text.text or "" for text in parsed(drawing).iter(f"{SVG}text")]


def test_a_night_of_readings_fits_in_eight_kilobytes() -> None:
    assert len(svg(NIGHT, cut=(36_000, "full"), bands=[(0, 9000, "peak"), (9000, 36_000, "valley")]).encode()) < 8_000


def test_a_peak_of_one_reading_survives_the_thinning() -> None:
    points = [*NIGHT[:1777], (17_770.0, 777.0), *NIGHT[1778:]]

    assert (17_770.0, 777.0) in thinned(points)


@given(st.lists(st.floats(0, 4_000), min_size=1, max_size=1_500), st.integers(10, MAX_POINTS))
def test_thinning_keeps_order_ends_and_extremes(powers: list[float], most: int) -> None:
    points = [(float(at), power) for at, power in enumerate(powers)]
    kept = thinned(points, most)

    assert len(kept) <= most
    assert kept == sorted(kept, key=lambda point: point[0])
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert max(power for _, power in kept) == max(powers)
    assert min(power for _, power in kept) == min(powers)


def test_axes_speak_of_hours_and_watts() -> None:
    said = words(svg([(0, 0), (7200, 168)]))

    assert "200 W" in said
    assert "100" in said
    assert {"0:00", "0:30", "1:00", "2:00"} <= set(said)


def test_the_reason_is_written_at_the_mark() -> None:
    drawing = svg([(0, 100), (3600, 100), (7200, 5)], cut=(6000, "充满自停"))
    mark = next(path for path in parsed(drawing).iter(f"{SVG}path") if path.get("class") == "cut")
    reason = next(text for text in parsed(drawing).iter(f"{SVG}text") if text.get("class") == "reason")

    assert reason.text == "充满自停"
    assert (mark.get("d") or "").startswith(f"M{reason.get('x')} ")


@pytest.mark.parametrize(("at_s", "anchor"), [(0.0, "start"), (3600.0, "middle"), (7200.0, "end")])
def test_the_reason_stays_on_the_paper(at_s: float, anchor: str) -> None:
    drawing = svg([(0, 100), (7200, 100)], cut=(at_s, "a reason of some length"))
    reason = next(text for text in parsed(drawing).iter(f"{SVG}text") if text.get("class") == "reason")

    assert reason.get("text-anchor") == anchor


def test_text_from_outside_can_not_leave_its_place() -> None:
    evil = "</title><script>alert('1')</script>&\""
    drawing = svg([(0, 1), (60, 2)], cut=(30, evil), title=evil, bands=[(0, 60, evil)])

    assert "<script" not in drawing
    assert evil in words(drawing)


def test_it_is_an_image_with_a_name_for_those_who_hear_it() -> None:
    root = parsed(svg([(0, 100), (3600, 80)], cut=(3600, "finished")))

    assert root.get("role") == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[0].text == "Power over 1:00 h, at most 100 W. Cut after 1:00 h: finished."


@pytest.mark.parametrize("points", [[], [(0.0, 0.0)], [(0.0, 5.0), (0.0, 6.0)], [(0.0, 3500.0), (360_000.0, 9999.0)]])
def test_odd_curves_are_drawn_too(points: list[tuple[float, float]]) -> None:
    drawing = svg(points)

    assert parsed(drawing).get("role") == "img"
    assert "nan" not in drawing
    assert len(words(drawing)) <= 3 + 7


def test_dark_pages_get_light_ink() -> None:
    assert "prefers-color-scheme:dark" in svg(NIGHT)
    assert "currentColor" in svg(NIGHT)


def test_a_page_with_its_own_style_sheet_gets_no_style_in_the_drawing() -> None:
    assert "style" not in svg(NIGHT, styled=False)


def test_levels_stand_at_their_height_and_their_words_do_not_lie_on_each_other() -> None:
    levels = [(168.0, "peak"), (160.0, "nearly"), (58.8, "modest"), (13.4, "low"), (9.0, "lower")]
    drawing = parsed(svg([(0, 168), (7200, 5)], levels=levels))
    heights = [float(text.get("y", "0")) for text in drawing.iter(f"{SVG}text") if text.get("class") == "mark"]
    lines = [path.get("d") for path in drawing.iter(f"{SVG}path") if path.get("class") == "level"]

    assert len(lines) == len(set(lines)) == len(levels)
    assert all(abs(one - other) >= 8 for at, one in enumerate(heights) for other in heights[:at])
