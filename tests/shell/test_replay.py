"""`anchong replay` speaks the agreed JSON, decides by the real rules, and blames a bad file in one line."""

import json
import random
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner
from typer.testing import Result as Answer

from anchong.replay import AfterEnd, Limits, Row, Rules, read_curve, replay, run
from controller.core.reasons import StopReason
from tests.core.shapes import Curve, every, full_at, hold, noisy, tail, useful_wh

NIGHT = every(noisy(hold(120, 150, 168) + tail(168, 5, 18) + hold(60, 3), random.Random(1)), 60)


def anchong(*arguments: object) -> Answer:
    app = typer.Typer()
    app.command()(replay)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def written(path: Path, curve: Sequence[tuple[object, ...]], header: str = "t_s,power_w") -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in curve)]) + "\n")
    return path


def rows(curve: Curve) -> list[Row]:
    return [Row(at, power_w) for at, power_w in curve]


@pytest.fixture
def night(tmp_path: Path) -> Path:
    return written(tmp_path / "night.csv", NIGHT)


def test_one_object_a_file_with_the_agreed_keys(night: Path, tmp_path: Path) -> None:
    short = written(tmp_path / "short.csv", NIGHT[:30])
    answer = anchong(night, short, "--json", "--after-end", "stop")
    first, second = map(json.loads, answer.stdout.splitlines())

    assert answer.exit_code == 0
    assert set(first) == {"file", "cut_at_s", "reason", "energy_wh", "peak_w", "evidence"}
    assert (first["file"], first["reason"]) == (str(night), "finished")
    assert useful_wh(NIGHT, first["cut_at_s"]) / useful_wh(NIGHT, NIGHT[-1][0]) > 0.97
    assert first["cut_at_s"] - full_at(NIGHT)[0] <= 16 * 60
    assert first["peak_w"] == max(power_w for _, power_w in NIGHT)
    assert first["evidence"]["percent_of_peak"] < 10
    assert (second["cut_at_s"], second["reason"], second["evidence"]) == (None, None, {})


def test_after_the_end_the_last_value_goes_on_unless_told_otherwise() -> None:
    low = next(at for at, (_, power_w) in enumerate(NIGHT) if power_w < 12)
    curve = rows(NIGHT[: low + 1])

    held, stopped = run(curve, Rules(), Limits()), run(curve, Rules(), Limits(), AfterEnd.STOP)

    assert held.reason is StopReason.FINISHED
    assert held.cut_at_s is not None
    assert held.cut_at_s > curve[-1].t_s
    assert stopped.reason is None
    assert held.energy_wh > stopped.energy_wh


def test_a_pack_held_at_full_power_is_still_on_twelve_hours_later() -> None:
    result = run([Row(0, 150), Row(60, 150)], Rules(), Limits())

    assert result.cut_at_s is None
    assert result.energy_wh == pytest.approx(150 * (12 + 1 / 60), abs=1)


def test_the_time_limit_cuts_to_the_second_between_two_rows(night: Path) -> None:
    answer = json.loads(anchong(night, "--json", "--max-s", 1830).stdout)

    assert (answer["cut_at_s"], answer["reason"]) == (1830, "time_limit")
    assert answer["energy_wh"] == pytest.approx(1830 / 3600 * 151, rel=0.02)


def test_the_energy_limit_cuts_at_the_reading_that_reaches_it(night: Path) -> None:
    answer = json.loads(anchong(night, "--json", "--max-wh", 100).stdout)

    assert answer["reason"] == "energy_limit"
    assert 100 <= answer["energy_wh"] <= 103


def test_energy_is_the_meters_own_where_it_has_a_counter() -> None:
    curve = [Row(0, 100, 5000.0), Row(3600, 100, 5090.5), Row(7200, 100, 5181.0)]

    assert run(curve, Rules(), Limits(), AfterEnd.STOP).energy_wh == 181.0


def test_a_counter_goes_on_with_the_held_power_and_is_not_counted_twice_where_it_is_silent() -> None:
    curve = [Row(0, 100, 5000.0), Row(3600, 100), Row(7200, 100, 5200.0)]
    limit = Limits(max_s=7200 + 1800)

    assert run(curve, Rules(), Limits(), AfterEnd.STOP).energy_wh == 200.0
    assert run(curve, Rules(), limit).energy_wh == pytest.approx(250, abs=1)


def test_energy_without_a_counter_is_the_area_under_the_curve() -> None:
    curve = [Row(0, 100), Row(3600, 200), Row(7200, 200)]

    assert run(curve, Rules(), Limits(), AfterEnd.STOP).energy_wh == pytest.approx(350)


def test_a_pack_that_never_turns_is_named() -> None:
    powers = hold(150, 190, 200) + tail(200, 100, 30, 90) + hold(500, 98)
    result = run(rows(every(noisy(powers, random.Random(1)), 60)), Rules(), Limits())

    assert result.reason is StopReason.NEVER_TURNED


def test_the_future_changes_no_decision(night: Path) -> None:
    whole = run(rows(NIGHT), Rules(), Limits())
    assert whole.cut_at_s is not None
    part = [row for row in rows(NIGHT) if row.t_s <= whole.cut_at_s]

    assert run(part, Rules(), Limits(), AfterEnd.STOP) == whole


def test_the_plot_shows_the_cut_and_its_reason(night: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.svg"
    answer = anchong(night, "--plot", out)
    drawn = ET.fromstring(out.read_text())  # noqa: S314 - our own drawing

    assert answer.exit_code == 0
    said = [text.text or "" for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert any("finished after" in words and words.endswith(")") for words in said), "the reason, and the rule"
    assert any(words.startswith("peak 1") for words in said)
    assert any(words.startswith("modest: 35 %") for words in said)
    assert any(words.startswith("low: ") for words in said)


def test_settings_of_ones_own_judge_the_same_curve_otherwise(night: Path, tmp_path: Path) -> None:
    few, whole = tmp_path / "few.json", tmp_path / "session.json"
    few.write_text(json.dumps({"low": 0.03, "low_w": 2.0, "spent_share": 0.0, "flat_w": 0.5}))
    whole.write_text(json.dumps({"versions": {"finish_rules": json.loads(few.read_text())}}))
    usual, patient, same = (
        json.loads(anchong(night, "--json", *more).stdout)["cut_at_s"]
        for more in ((), ("--rules", few), ("--rules", whole))
    )

    assert patient > usual
    assert same == patient


@pytest.mark.parametrize("text", ["", "[]", '{"low": "much"}', '{"low": 0.9}', '{"versions": {}}'])
def test_settings_that_make_no_sense_are_refused_in_one_line(night: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "rules.json"
    path.write_text(text)
    answer = anchong(night, "--rules", path)

    assert answer.exit_code == 2
    assert answer.stderr.count("\n") == 1
    assert answer.stderr.startswith("anchong replay: ")


def test_people_get_a_sentence(night: Path) -> None:
    assert "finished after 3:" in anchong(night).stdout


def test_columns_may_come_in_any_order_with_others_among_them(tmp_path: Path) -> None:
    file = written(
        tmp_path / "a.csv", [(1, 230.1, 100, 0, ""), (1, 230.1, 101, 10, 7)], "x,voltage_v,power_w,t_s,energy_wh"
    )

    assert read_curve(file) == [Row(0, 100), Row(10, 101, 7)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column t_s"),
        ("t_s,watts\n0,1\n", "no column power_w"),
        ("t_s,power_w\n", "no rows"),
        ("t_s,power_w\n0,abc\n", "line 2: power_w is not a number: 'abc'"),
        ("t_s,power_w\n0,1\n10,nan\n", "line 3: power_w is nan"),
        ("t_s,power_w\n0,inf\n", "line 2: power_w is inf"),
        ("t_s,power_w\n0,1e300\n", "line 2: power_w is 1e300"),
        ("t_s,power_w\n0,5e6\n", "which no outlet can give"),
        ("t_s,power_w\n10,1\n9,1\n", "line 3: t_s goes back to 9"),
        ("t_s,power_w\n-1,1\n", "line 2: t_s goes back to -1"),
        ("t_s,power_w\n0\n", "line 2: t_s and power_w are needed"),
        ("t_s,power_w,energy_wh\n0,1,x\n", "line 2: energy_wh is not a number"),
    ],
)
def test_a_bad_file_is_blamed_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(text)
    answer = anchong(file, "--json")

    assert answer.exit_code == 2
    assert says in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert answer.stdout == ""


@pytest.mark.parametrize("content", [b"\xff\xfe\x00t", b"t_s,power_w\n0,\x001\n", b"PK\x03\x04\x14\x00\x08\x08\xb5"])
def test_a_file_that_is_no_text_is_blamed_too(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(content)

    assert anchong(file).exit_code == 2


def test_what_can_not_be_opened_or_written_is_said(night: Path, tmp_path: Path) -> None:
    assert "can not be read" in anchong(tmp_path / "none.csv").stderr
    assert "can not be read" in anchong(tmp_path).stderr
    assert "can not be written" in anchong(night, "--plot", tmp_path / "none" / "out.svg").stderr
    assert "give one file" in anchong(night, night, "--plot", tmp_path / "out.svg").stderr


@pytest.mark.parametrize("option", [("--max-s", "0"), ("--max-wh", "-5"), ("--after-end", "later"), ("--max-s", "nan")])
def test_options_out_of_bounds_are_refused(night: Path, option: tuple[str, str]) -> None:
    assert anchong(night, *option).exit_code == 2
