"""The ingest figure on a small compound: everything is counted, by whoever should; never how fast."""

import pytest
from typer.testing import CliRunner

from anchong.__main__ import app
from anchong.bench import ground as on_ground
from anchong.bench.ground import ground
from anchong.bench.ingest import measured
from simulators.packets import Arrivals, publish, published
from simulators.publisher import PAYLOAD_BYTES, Round
from tests.house import needs


def test_every_reading_sent_is_accounted_for_and_every_session_is_written() -> None:
    needs("mosquitto")
    with ground() as at:
        figure = measured(at, 200, seconds=1.5, turns=1, sample_s=0.5)

    assert (figure.outlets, figure.lost) == (200, 0)
    assert figure.rows >= 200
    assert min(figure.ingest_per_s, figure.counting_per_s, figure.stock_per_s) > 0
    assert figure.ratio == round(figure.ingest_per_s / figure.counting_per_s, 2)


def test_a_round_is_one_reading_of_each_plug_and_the_next_has_another_power_and_a_further_counter() -> None:
    round_ = Round(30)
    said = []
    for _ in range(3):
        round_.advance()
        said.append([published(body) for _, body in Arrivals().feed(round_.chunk(0, 30))])

    topics = {topic for topic, _ in said[0]}
    assert len(topics) == 30
    assert all(len(payload) == PAYLOAD_BYTES for readings in said for _, payload in readings)
    totals = [payload.split(b'"Total":')[1][:8] for payload in (readings[7][1] for readings in said)]
    assert totals == [b"1000.001", b"1000.002", b"1000.003"]
    powers = {payload.split(b'"Power":')[1][:5] for readings in said for _, payload in readings}
    assert len(powers) > 10
    assert all(b"180.0" <= power <= b"189.9" for power in powers)


def test_packets_that_come_in_pieces_are_whole_when_they_leave() -> None:
    data = publish("tele/a/SENSOR", b"x" * 300) + publish("tele/b/SENSOR", b"y")
    arrivals, out = Arrivals(), []
    for byte in data:
        out += list(arrivals.feed(bytes((byte,))))

    assert [published(body) for _, body in out] == [("tele/a/SENSOR", b"x" * 300), ("tele/b/SENSOR", b"y")]


@pytest.mark.parametrize("wish", ["x", "0", "1000,", "99999999", "-5"])
def test_a_number_of_outlets_that_makes_no_sense_is_one_line_and_exit_2(wish: str) -> None:
    result = CliRunner().invoke(app, ["bench", "ingest", f"--outlets={wish}"])

    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1


def test_without_a_broker_the_figure_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_ground, "SEARCH_PATH", "/nowhere")
    result = CliRunner().invoke(app, ["bench", "ingest", "--outlets", "10"])

    assert result.exit_code == 2
    assert result.stderr.strip() == (
        "mosquitto is not installed, and figures need a real broker: apt-get install mosquitto"
    )
