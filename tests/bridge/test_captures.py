"""Every file in `tests/captures/` is a test: its frames decode, and its piles' drivers take them, whole and in pieces.

Drop a file there, and it is one; docs/capture.md says how to make one.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from anchong.decode import PROTOCOLS, _answer_line
from controller.core.events import CardTapped, Event, LinkLost
from firmware_bridge.drivers import DRIVERS, ON_BUS
from firmware_bridge.spoken import PROTOCOL_OF
from firmware_bridge.wire import Driver, Message, Pile
from tests.bridge.captures import FILES, about, ears, heard, lines_of, messages_of, opened, piles_of

EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
EACH_PILE = pytest.mark.parametrize(
    ("file", "pile"),
    [pytest.param(file, pile, id=f"{file.stem}-{pile.id}") for file in FILES for pile in piles_of(file)],
)


def test_there_are_captures_and_every_family_that_they_name_is_known() -> None:
    assert {pile.family for file in FILES for pile in piles_of(file)} <= set(DRIVERS)
    assert FILES


def test_what_a_capture_calls_a_protocol_is_known_to_decode() -> None:
    assert set(PROTOCOL_OF.values()) <= set(PROTOCOLS)


@EACH
def test_every_line_decodes_or_is_refused_by_name_and_means_what_it_is_said_to_mean(file: Path) -> None:
    for said in lines_of(file):
        answer = json.loads(json.dumps(_answer_line(json.dumps(said).encode())))  # as it is printed
        assert answer["ok"] or answer["error"] != "bug"
        if "expect" in said:
            assert answer["ok"], answer
            assert_within(said["expect"], answer["decoded"])


def assert_within(expected: dict[str, Any], decoded: dict[str, Any]) -> None:
    for name, value in expected.items():
        if isinstance(value, dict) and isinstance(decoded.get(name), dict):
            assert_within(value, decoded[name])
        else:
            assert decoded[name] == value, name


@EACH
def test_a_capture_that_is_shown_around_is_covered(file: Path) -> None:
    assert about(file).get("redacted") is not False


@EACH_PILE
def test_a_driver_takes_its_capture(file: Path, pile: Pile) -> None:
    assert events_of(file, pile)


@EACH_PILE
def test_pieces_of_frames_teach_a_driver_nothing(file: Path, pile: Pile) -> None:
    """Between the frames come the same cut short, doubled and turned; what is no frame must leave no trace.

    A bus hands over whole answers alone. There a driver may take one that it can't read for none at all.
    """
    teaches = events_of(file, pile, between=True)

    assert pile.family in ON_BUS or teaches == events_of(file, pile)


def events_of(file: Path, pile: Pile, *, between: bool = False) -> list[Event]:
    driver = opened(pile)
    listens = set(ears(driver))
    events: list[Event] = []
    for t_s, message in messages_of(file):
        if message.address in listens:
            for piece in _pieces(message) if between else ():
                _taken(driver, pile, piece, t_s)
            events += map(_without_ids, heard(driver, message, t_s)[0])
    return events


def _taken(driver: Driver, pile: Pile, piece: Message, t_s: float) -> None:
    """What is no frame by itself says nothing of relay or meter, whatever has been said before."""
    if heard(opened(pile), piece, t_s)[1] is None:
        return
    events, _ = heard(driver, piece, t_s)
    assert [event for event in events if not isinstance(event, LinkLost)] == []


def _without_ids(event: Event) -> Event:
    """Of a card: each start is given new ones."""
    return replace(event, session="", key="") if isinstance(event, CardTapped) else event


def _pieces(message: Message) -> list[Message]:
    whole = message.payload
    cut = [whole[:at] for at in range(1, len(whole), max(1, len(whole) // 16))]
    turned = [
        bytes((*whole[:at], whole[at] ^ 0x20, *whole[at + 1 :])) for at in range(0, len(whole), max(1, len(whole) // 8))
    ]
    return [replace(message, payload=piece) for piece in [*cut, whole + whole, b"\xff" + whole, *turned]]
