"""One session at the desk: why it ended and how full it was, whose bike it is, and all its evidence to take away."""

import io
import zipfile
from html import unescape
from pathlib import Path

import pytest

from controller.core import events as ev
from controller.core.state import Why
from tests.pages import console_data as data
from tests.pages.test_console_pages import send, signed_in

USUAL = [168.0] * 60
SWAPPED = [*USUAL, *[0.0] * 3, *[420.0] * 14]


@pytest.fixture
def asked(tmp_path: Path) -> tuple[data.Plant, str, str]:
    """A charge whose plug was swapped: the plant, the outlet, the session."""
    plant = data.compound(tmp_path)
    outlet = next(
        of
        for of, view in plant.board.views.items()
        if view.session is None and view.phase == "open" and view.linked and not view.latch and not view.locked_by
    )
    session, _ = plant.pay(outlet, 200)
    plant.charge(outlet, SWAPPED, every_s=10.0)
    plant.flush()
    assert plant.board.views[outlet].pause is not None
    return plant, outlet, session


def test_the_desk_reads_the_sentence_that_the_resident_reads_and_the_rule(tmp_path: Path) -> None:
    plant = data.compound(tmp_path)
    done = next(row for row in plant.services().queries.sessions(reason="finished", limit=1).rows)
    text = unescape(signed_in(plant).get(f"/console/sessions/{done.id}?lang=en").text)
    detail = plant.services().queries.session(done.id)

    assert detail is not None
    assert detail.rule
    assert "of its peak" in text
    assert "Probably charged to" in text
    assert "<dt>rule</dt>" in text


def test_the_question_is_shown_with_what_was_seen_and_what_is_frozen(asked: tuple[data.Plant, str, str]) -> None:
    plant, _, session = asked
    text = unescape(signed_in(plant).get(f"/console/sessions/{session}?lang=en").text)

    assert "somebody else's bike" in text
    assert "It drew 168 W before" in text
    assert "Nothing is billed since" in text
    assert "It is the payer's" in text


@pytest.mark.parametrize(("said", "mine"), [("1", True), ("0", False)])
def test_staff_answer_for_a_payer_who_cannot_and_the_audit_has_it(
    asked: tuple[data.Plant, str, str], said: str, mine: bool
) -> None:
    plant, outlet, session = asked
    client = signed_in(plant)
    answer = send(client, f"/console/sessions/{session}/plug", mine=said)
    event = plant.asked[-1]
    plant.flush()

    assert answer.headers["location"] == f"/console/sessions/{session}?done=plug"
    assert isinstance(event, ev.PlugAnswered)
    assert (event.session, event.outlet, event.by, event.mine) == (session, outlet, "staff:li", mine)
    assert plant.services().queries.audit(limit=1).rows[0].what == "plug_answered"
    story = unescape(client.get(f"/console/sessions/{session}?lang=en").text)
    assert ("Answered: it is the payer's" if mine else "Answered: it is another's") in story


def test_what_nobody_asks_is_not_answered(asked: tuple[data.Plant, str, str]) -> None:
    plant, _, session = asked
    client = signed_in(plant)
    send(client, f"/console/sessions/{session}/plug", mine="0")
    again = send(client, f"/console/sessions/{session}/plug", key="b" * 32, mine="1")

    assert again.status_code in (404, 409)


def test_all_the_evidence_is_one_click_away(asked: tuple[data.Plant, str, str]) -> None:
    plant, _, session = asked
    client = signed_in(plant)
    answer = client.get(f"/console/sessions/{session}/evidence.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as whole:
        commands = whole.read("commands.csv").decode()

    assert f"/console/sessions/{session}/evidence.zip" in client.get(f"/console/sessions/{session}").text
    assert f"suspended:{Why.PLUG}" in commands
    assert client.get("/console/sessions/nowhere/evidence.zip").status_code == 404


def test_an_off_that_could_not_be_proven_is_not_told_as_proven(tmp_path: Path) -> None:
    plant = data.compound(tmp_path)
    unproven = next(row for row in plant.services().queries.sessions(reason="overload", limit=1).rows)
    client = signed_in(plant)
    story = unescape(client.get(f"/console/sessions/{unproven.id}?lang=en").text)
    answer = client.get(f"/console/sessions/{unproven.id}/evidence.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as whole:
        commands = whole.read("commands.csv").decode()

    assert unproven.proof == "none"
    assert "Proof of off: Not proven" in story
    assert "off was proven" not in commands
    assert "off could not be proven" in commands


@pytest.mark.parametrize(("lang", "said"), [("en", "Switch off its breaker"), ("zh", "请先断开它的断路器")])
def test_an_open_alarm_says_what_to_do(tmp_path: Path, lang: str, said: str) -> None:
    plant = data.compound(tmp_path)

    assert said in unescape(signed_in(plant).get(f"/console/alarms?lang={lang}").text)
