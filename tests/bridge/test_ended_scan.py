"""A scan of a bus that somebody has seen enough of."""

from pathlib import Path

from simulators.twins.lines import LINES
from tests.bridge.yard import Lamp, Yard

T0 = 1_800_000_000.0


def test_a_scan_that_is_ended_asks_no_more_and_another_may_begin(tmp_path: Path) -> None:
    shed = "ended"
    yard = Yard(tmp_path, lines={shed: LINES["waveshare-relay"]([Lamp(60.0)], T0)})
    yard.open()
    assert yard.gateway.router.scan(shed)
    yard.run(5.0)
    sent = yard.buses[shed].bus.counts["sent"]

    yard.gateway.router.end_scan(shed)
    yard.run(10.0)  # what had left is answered, or asked once more
    soon = yard.buses[shed].bus.counts["sent"]
    yard.run(20.0)

    assert 0 < sent <= soon == yard.buses[shed].bus.counts["sent"]
    assert yard.gateway.router.scanned(shed) is None
    assert yard.gateway.router.scan(shed)
    yard.stop()
