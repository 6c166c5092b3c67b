"""docs/session.md says what the tables say."""

from pathlib import Path

from anchong.session_doc import page
from controller.core import outlet, session

DOC = Path(__file__).parents[2] / "docs" / "session.md"


def test_the_printed_tables_are_up_to_date() -> None:
    assert DOC.read_text(encoding="utf-8") == page(), "run: python -m anchong.session_doc > docs/session.md"


def test_every_phase_and_every_event_has_its_place_in_it() -> None:
    text = page()

    for table in (session.TABLE, outlet.TABLE):
        for phase, row in table.items():
            assert f" {phase} " in text
            assert all(f"| {event.__name__} |" in text for event in row)
