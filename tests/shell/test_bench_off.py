"""OFF never waits for the disk: the published figure's own rig, without its stop-watch."""

from pathlib import Path

import pytest

from anchong.bench.off import TROUBLES, measured


@pytest.mark.parametrize("trouble", sorted(TROUBLES))
def test_a_trip_a_stop_and_a_finish_leave_while_the_database_is_in_trouble_and_no_on_does(
    trouble: str, tmp_path: Path
) -> None:
    figure = measured(trouble, tmp_path)  # raises if an OFF did not leave at all

    assert figure.ons_left == 0
    assert figure.books == "sound"
