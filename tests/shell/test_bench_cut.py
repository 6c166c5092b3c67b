"""The cut figure on a small compound: every OFF comes, in both lanes, with somebody looking on; never how fast."""

import pytest
from typer.testing import CliRunner

from anchong.__main__ import app
from anchong.bench.cut import Load, measured, percentile, prepared
from anchong.bench.ground import ground
from tests.house import needs


def test_every_plug_that_gives_a_reason_is_told_off_in_both_lanes_with_viewers_on_real_pages() -> None:
    needs("mosquitto")
    with ground() as at:
        template = prepared(at, 20 + 5, 5)
        figures = measured(at, Load("few", 20, 40.0), watching=3, probes=5, seconds=1.0, template=template)

    assert [(figure.lane, figure.n, figure.missing) for figure in figures] == [("guard", 5, 0), ("decider", 5, 0)]
    assert all(0 < figure.p50_ms <= figure.p99_ms <= figure.max_ms for figure in figures)
    assert {figure.viewers for figure in figures} == {3}


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(1, 201)]

    assert [percentile(values, percent) for percent in (50, 99, 100)] == [100.0, 198.0, 200.0]
    assert percentile([7.0], 99) == 7.0


@pytest.mark.parametrize("wish", ["--viewers=x", "--viewers=-1", "--load=4", "--load=0,"])
def test_a_load_or_number_of_viewers_that_makes_no_sense_is_one_line_and_exit_2(wish: str) -> None:
    result = CliRunner().invoke(app, ["bench", "cut", wish])

    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
