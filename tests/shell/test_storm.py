"""A reconnect storm in small: all twins come back at once while residents pay, and nobody notices."""

from anchong.bench.ground import ground
from anchong.bench.storm import measured
from tests.house import needs

TWINS = 1_000
PAYMENTS = 20


def test_a_thousand_twins_come_back_at_once_and_nobody_is_left_in_the_dark() -> None:
    needs("mosquitto")
    with ground() as at:
        storm = measured(at, TWINS, PAYMENTS, per_s=10.0, lease_s=30.0, report_s=2.0)

    assert storm.twins == TWINS
    assert (storm.dark, storm.offs) == (0, 0)
    assert (storm.commands, storm.unanswered) == (PAYMENTS, 0)
    assert storm.remembers, f"{storm.rss_before} bytes before, {storm.rss_after} after"
    assert storm.files_after <= storm.files_before
