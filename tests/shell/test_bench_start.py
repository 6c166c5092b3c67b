"""The start figure on a small compound: every payment is answered and followed by its ON; never how fast."""

from typer.testing import CliRunner

from anchong.__main__ import app
from anchong.bench.ground import ground
from anchong.bench.start import measured
from tests.house import needs


def test_every_payment_that_is_told_is_followed_by_an_on_at_its_plug() -> None:
    needs("mosquitto")
    with ground() as at:
        figure = measured(at, live=10, payments=8, per_s=20.0)

    assert (figure.database, figure.n, figure.missing) == ("sqlite", 8, 0)
    assert 0 < figure.p50_ms <= figure.p99_ms <= figure.max_ms
    assert figure.answer_p50_ms > 0


def test_a_database_that_cannot_be_used_is_one_line_and_exit_2() -> None:
    needs("mosquitto")
    result = CliRunner().invoke(app, ["bench", "start", "--database", "nonsense"])

    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
