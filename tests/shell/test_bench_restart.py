"""The restart figure on a small compound: after kill -9 every lease is renewed and nothing is told off."""

from anchong.bench.ground import ground
from anchong.bench.restart import measured
from tests.house import needs


def test_after_kill_9_every_lease_is_renewed_and_no_plug_is_told_off() -> None:
    needs("mosquitto")
    with ground() as at:
        figure = measured(at, 30, report_s=1.0)  # raises if a lease was not renewed

    assert (figure.sessions, figure.offs) == (30, 0)
    assert 0 < figure.first_s <= figure.all_s
    assert figure.longest_lease_s < 120
