"""Two hundred outlets are dark within two seconds of the ask on a real broker, the database stopped; and stay dark."""

import pytest

from anchong.bench.cut_site import DATABASES, GOAL_S, measured
from anchong.bench.ground import ground
from tests.house import needs

OUTLETS = 200


@pytest.mark.parametrize("database", DATABASES)
def test_a_site_of_200_is_dark_within_two_seconds_and_holds_after_a_kill(database: str) -> None:
    needs("mosquitto")
    with ground() as at:
        figure = measured(at, OUTLETS, "stopped" if database == "stopped" else "well")

    assert figure.all_s <= GOAL_S
    assert 0.0 <= figure.first_s <= figure.all_s
    assert figure.holds
