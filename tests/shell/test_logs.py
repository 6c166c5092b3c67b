"""Log lines: one line each whatever was sent (T69), no secret in any, ids in each, bursts held, a level for a while."""

import json
import logging
import threading
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from anchong.log_lines import BURST_LINES, BURST_S, HIDDEN, TRACE_MAX, VALUE_MAX, Bursts, Redactor
from anchong.logs import KEPT, Form, Logs
from tests.house import eventually

FORMS: tuple[Form, ...] = ("plain", "json")
SECRET = "f00dcafe12345678f00dcafe12345678"
NASTY = "x\r\n2027-01-01 level=critical event=forged\x1b[2J\x00\x9b\u2028\u202e\ud800\ttail"


def line_of(capsys: pytest.CaptureFixture[str], form: Form, event: str = "something", **values: Any) -> str:
    """What one call writes: always exactly one line."""
    logs = Logs("debug", form, [SECRET]).start()
    structlog.get_logger().warning(event, **values)
    written = capsys.readouterr().err
    assert written.endswith("\n")
    assert written.count("\n") == 1
    assert logs.recent() == (written[:-1],)
    return written[:-1]


@pytest.mark.parametrize("form", FORMS)
def test_T69_nobody_makes_a_second_line_or_moves_the_cursor(capsys: pytest.CaptureFixture[str], form: Form) -> None:
    for line in (line_of(capsys, form, address=NASTY), line_of(capsys, form, NASTY)):
        assert len(line.splitlines()) == 1
        assert all(character.isprintable() for character in line)
        assert "tail" in line


@given(st.text())
def test_T69_any_text_stays_in_its_value(text: str) -> None:
    logs = Logs("debug", "json")
    line = json.loads(logs._rendered(None, "info", _through(logs, {"event": "bad frame", "detail": text})))

    assert set(line) == {"event", "detail"}
    assert line["event"] == "bad frame"


def _through(logs: Logs, line: dict[str, object]) -> dict[str, object]:
    for processor in (logs.redactor, *[p for p in logs._processors() if getattr(p, "__name__", "") == "harmless"]):
        line = processor(None, "info", line)
    return line


def test_T69_a_traceback_with_a_devices_words_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs = Logs().start()
    try:
        raise ValueError(NASTY)
    except ValueError:
        structlog.get_logger().exception("decision failed", outlet="o1")

    (line,) = capsys.readouterr().err.splitlines()
    assert "Traceback" in line
    assert logs.recent() == (line,)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("values", "secret"),
    [
        ({"password": "hunter22"}, "hunter22"),
        ({"device_password": "hunter22"}, "hunter22"),
        ({"card_uid": "04AB12CD"}, "04AB12CD"),
        ({"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}, "oUpF8uMu"),
        ({"error": "refused: mqtt://gateway:hunter22@broker:1883"}, "hunter22"),
        ({"error": "postgresql://anchong:hunter22@db/anchong is away"}, "hunter22"),
        ({"error": "Authorization: Bearer abcdef0123456789"}, "abcdef0123456789"),
        ({"error": "{'token': 'abcdef0123456789', 'a': 1}"}, "abcdef0123456789"),
        ({"error": 'body {"openid":"oUpF8uMu","a":1}'}, "oUpF8uMu"),
        ({"path": "/O/3qX-9ZsecretOfAnOrder/stop"}, "3qX-9ZsecretOfAnOrder"),
        ({"path": "/first/oneTimeLink_123"}, "oneTimeLink_123"),
        ({"path": "/s/A123stickerMAC"}, "A123stickerMAC"),
        ({"hash": "$argon2id$v=19$m=19456,t=2,p=1$AAAA$BBBB"}, "AAAA$BBBB"),
        ({"detail": f"key {SECRET} refused"}, SECRET),
        ({"detail": ["nested", {"deeper": SECRET}]}, SECRET),
    ],
)
def test_no_secret_leaves(capsys: pytest.CaptureFixture[str], form: Form, values: dict[str, Any], secret: str) -> None:
    line = line_of(capsys, form, **values)

    assert secret not in line
    assert HIDDEN in line


def test_a_secret_is_not_shown_by_half_where_a_long_value_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    for before in (VALUE_MAX - 10, 2 * TRACE_MAX - 10):
        assert SECRET[:8] not in line_of(capsys, "plain", detail="x" * before + SECRET)
    assert len(line_of(capsys, "plain", detail="token" * 200_000)) < 2 * VALUE_MAX


def test_what_is_no_secret_stays_readable() -> None:
    kept = {"event": "bad frame", "address": "tele/tasmota_610E4B/SENSOR", "power_w": 12.5, "on": True, "why": None}

    assert Redactor()(None, "info", dict(kept)) == kept


@pytest.mark.parametrize("form", FORMS)
def test_a_line_about_an_outlet_carries_its_site_and_session(capsys: pytest.CaptureFixture[str], form: Form) -> None:
    logs = Logs("info", form).start()
    logs.know(lambda outlet: {"site": "s1", "session": "S9"} if outlet == "o1" else {})
    structlog.get_logger().info("dropped", outlet="o1", why="on_expired")
    structlog.get_logger().info("dropped", outlet="o1", session="S8")
    structlog.get_logger().info("dropped", outlet="unknown")

    one, own, unknown = capsys.readouterr().err.splitlines()
    if form == "json":
        assert (json.loads(one)["site"], json.loads(one)["session"]) == ("s1", "S9")
        assert json.loads(own)["session"] == "S8"
    else:
        assert "site=s1" in one
        assert "session=S9" in one
    assert "s1" not in unknown


def test_a_requests_lines_share_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    Logs("info", "json").start()
    with structlog.contextvars.bound_contextvars(request="r1"):
        structlog.get_logger().info("denied")
    structlog.get_logger().info("else")

    one, other = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert one["request"] == "r1"
    assert "request" not in other


def test_a_burst_of_one_event_is_held_and_told_later_and_others_are_not() -> None:
    now_s = [0.0]
    bursts = Bursts(lambda: now_s[0])
    passed = [line for line in (_passed(bursts, "bad frame") for _ in range(BURST_LINES + 7)) if line is not None]

    assert len(passed) == BURST_LINES
    assert _passed(bursts, "another") == {"event": "another"}
    now_s[0] = BURST_S
    assert _passed(bursts, "bad frame") == {"event": "bad frame", "left_out": 7}
    assert _passed(bursts, "bad frame") == {"event": "bad frame"}


def test_debug_is_given_in_full_as_somebody_asked_for_it() -> None:
    bursts = Bursts(lambda: 0.0)

    for number in range(BURST_LINES * 3):
        assert bursts(None, "debug", {"event": "decided", "level": "debug", "n": number})["n"] == number


def test_a_million_kinds_of_events_fill_no_memory() -> None:
    bursts = Bursts(lambda: 0.0)
    for number in range(5_000):
        _passed(bursts, f"event {number}")

    assert len(bursts._seen) <= 1_000


def _passed(bursts: Bursts, event: str) -> dict[str, object] | None:
    try:
        return dict(bursts(None, "info", {"event": event}))
    except structlog.DropEvent:
        return None


def test_the_level_changes_while_it_runs_and_falls_back_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    logs = Logs("warning").start()
    log = structlog.get_logger()
    log.debug("before")
    logs.set_level("debug", 0.2)
    log.debug("meanwhile")
    assert (logs.level.level, logs.level.until is not None) == ("debug", True)

    eventually(lambda: logs.level.level == "warning")
    log.debug("after")

    assert logs.level.until is None
    written = capsys.readouterr().err
    assert "meanwhile" in written
    assert "before" not in written
    assert "after" not in written


def test_a_second_change_is_not_ended_by_the_firsts_time() -> None:
    logs = Logs("warning").start()
    logs.set_level("info", 0.05)
    first = logs._back
    logs.set_level("debug", 60.0)
    assert first is not None
    first.join(5)

    assert logs.level.level == "debug"
    logs.set_usual()
    assert logs.level.level == "warning"


def test_only_the_newest_lines_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    logs = Logs().start()
    for number in range(KEPT + 10):
        logs._rendered(None, "info", {"event": f"e{number}"})

    assert len(logs.recent()) == KEPT
    assert "e10" in logs.recent()[0]


def test_a_standard_error_that_nobody_reads_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, seen = threading.Event(), []

    class Full:
        def write(self, text: str) -> None:
            stuck.wait(30)
            seen.append(text)

        def flush(self) -> None: ...

    logs = Logs().start()
    monkeypatch.setattr("sys.stderr", Full())
    monkeypatch.setattr("anchong.logs.WAITING_MAX", 5)
    logs.write_aside()
    for number in range(20):
        structlog.get_logger().info("line", number=number)  # returns, though not one of them can be written

    assert logs.left_out >= 14
    assert logs.counts["info"] == 20
    assert len(logs.recent()) == 20
    stuck.set()
    logs.stop()
    assert "number=0" in "".join(seen)


def test_lines_of_libraries_come_out_like_ours(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = list(root.handlers)
    logs = Logs("info", "json").start()
    try:
        logs.take_in_others()
        logs.take_in_others()
        logging.getLogger("a.library").warning("Invalid HTTP request %s", "x\r\ny")
    finally:
        root.handlers = before
        logs.stop()

    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["logger"] == "a.library"
