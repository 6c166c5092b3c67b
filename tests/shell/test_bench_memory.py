"""The memory figure on a small compound: it is a slope, and what was written is counted; never how much."""

import pytest

from anchong.bench.ground import NoGround, ground
from anchong.bench.memory import measured
from tests.house import needs


def test_memory_is_the_slope_between_two_compounds_and_the_disk_is_what_the_kernel_counted() -> None:
    needs("mosquitto")
    with ground() as at:
        try:
            figure = measured(at, 200, seconds=1.0, report_s=0.5)
        except NoGround as missing:
            pytest.skip(str(missing))

    assert figure.outlets == 200
    assert 1_000 < figure.traced_bytes < 100_000
    assert figure.base_rss_bytes > 10_000_000
    assert figure.written_bytes_a_day >= 0
