"""`anchong decode`: frames to JSON for people and for programs, and never a traceback."""

import json
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from anchong.decode import _answer_line, decode

APP = typer.Typer()
APP.command()(decode)
VECTORS = Path(__file__).with_name("vectors")
PROTOCOLS = {
    "tasmota-mqtt": "tasmota.jsonl",
    "shelly-rpc-mqtt": "shelly.jsonl",
    "zigbee2mqtt": "zigbee2mqtt.jsonl",
}
FRAMES = [
    {"protocol": protocol, **json.loads(line)}
    for protocol, name in PROTOCOLS.items()
    for line in (VECTORS / name).read_text(encoding="utf-8").splitlines()
]


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(APP, arguments, input=stdin)


@pytest.mark.parametrize("frame", FRAMES)
def test_a_payload_is_shown_as_json(frame: dict[str, str]) -> None:
    topic = ("--topic", frame["topic"]) if frame["topic"] else ()
    direction = ("--direction", frame["direction"]) if "direction" in frame else ()

    result = run("--protocol", frame["protocol"], *topic, *direction, frame["payload"])

    assert (result.exit_code, json.loads(result.stdout)) == (0, {"ok": True, "decoded": frame["means"]})


def test_hexadecimal_is_read_with_or_without_blanks() -> None:
    for text in ("4f 6e 6c 69 6e 65", "4F6E6C696E65"):
        result = run("--protocol", "tasmota-mqtt", "--topic", "tele/plug/LWT", "--hex", text)
        assert json.loads(result.stdout)["decoded"] == {"available": True}


def test_a_bad_payload_says_why_in_one_line_and_exits_with_2() -> None:
    result = run("--protocol", "tasmota-mqtt", '{"ENERGY":{"Power":-5}}')

    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"] == "range"
    assert len(result.stderr.splitlines()) == 1


def test_a_protocol_we_do_not_speak_yet_is_told_with_those_we_do() -> None:
    result = run("--protocol", "ykc", "--hex", "01 03")

    assert result.exit_code == 2
    assert "not supported yet" in result.stderr
    assert "tasmota-mqtt, shelly-rpc-mqtt" in result.stderr
    assert json.loads(result.stdout) | {"detail": ""} == {"ok": False, "error": "unknown", "detail": ""}


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--protocol", "tasmota-mqtt"),
        ("--protocol", "tasmota-mqtt", "--hex", "zz"),
        ("--protocol", "tasmota-mqtt", "--direction", "sideways", "ON"),
        ("--protocol", "tasmota-mqtt", "--hex", "00", "and a payload"),
        ("--jsonl", "/nowhere/frames.jsonl"),
        ("{}",),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert isinstance(result.exception, SystemExit)


def test_a_file_is_answered_line_by_line_in_order(tmp_path: Path) -> None:
    lines = [
        '{"protocol": "tasmota-mqtt", "topic": "tele/plug/LWT", "payload": "Online"}',
        "not json",
        '{"protocol": "ykc", "hex": "44 4E 59"}',
        "[]",
        '{"protocol": "tasmota-mqtt", "direction": "up", "payload": "{\\"ENERGY\\":{\\"Power\\":NaN}}"}',
        '{"protocol": "tasmota-mqtt", "hex": "7b"}',
        '{"protocol": "tasmota-mqtt", "payload": ""}',
        '{"protocol": "tasmota-mqtt"}',
        '{"protocol": ["tasmota-mqtt"], "payload": "ON"}',
        '{"protocol": "tasmota-mqtt", "topic": 5, "payload": "ON"}',
        '{"protocol": "tasmota-mqtt", "payload": "\\ud800"}',
        '{"protocol": "tasmota-mqtt", "payload": "ON", "direction": null, "topic": null}',
    ]
    file = tmp_path / "frames.jsonl"
    file.write_text("\n".join(lines) + "\n\n", encoding="utf-8")

    result = run("--jsonl", str(file))

    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert answers[0] == {"ok": True, "decoded": {"available": True}}
    assert answers[-1] == {"ok": True, "decoded": {"on": {"1": True}}}
    kinds = [answer.get("error") for answer in answers[1:-1]]
    assert kinds[:5] == ["malformed", "unknown", "malformed", "malformed", "malformed"]
    assert kinds[5:] == ["length", "malformed", "unknown", "malformed", "malformed"]


def test_every_real_payload_over_mqtt_is_answered_in_one_file(tmp_path: Path) -> None:
    file = tmp_path / "frames.jsonl"
    file.write_text("".join(json.dumps(frame) + "\n" for frame in FRAMES), encoding="utf-8")

    answers = [json.loads(line) for line in run("--jsonl", str(file)).stdout.splitlines()]

    assert answers == [{"ok": True, "decoded": frame["means"]} for frame in FRAMES]


def test_frames_may_come_by_standard_input() -> None:
    result = run("--jsonl", "-", stdin='{"protocol": "tasmota-mqtt", "payload": "OFF"}\n')

    assert json.loads(result.stdout) == {"ok": True, "decoded": {"on": {"1": False}}}


def test_help_shows_an_example() -> None:
    assert "Example" in run("--help").stdout


@given(
    st.binary(max_size=40)
    | st.builds(
        lambda protocol, text: json.dumps({"protocol": protocol, "payload": text}).encode(),
        st.sampled_from(sorted(PROTOCOLS)),
        st.text(),
    )
)
def test_no_line_can_raise(line: bytes) -> None:
    assert _answer_line(line)["ok"] in (True, False)


def test_a_line_without_an_end_is_one_refusal_and_the_next_line_is_read(tmp_path: Path) -> None:
    file = tmp_path / "frames.jsonl"
    file.write_bytes(
        b"[" * (3 << 20) + b'\n{"protocol": "tasmota-mqtt", "topic": "stat/plug/POWER", "payload": "OFF"}\n'
    )

    answers = [json.loads(line)["ok"] for line in run("--jsonl", str(file)).stdout.splitlines()]

    assert answers == [False, True]
