"""A serial line that somebody else talks on: both sides are told apart, and whatever comes between is told too."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.codecs import dlt645, modbus, pn532, pzem
from firmware_bridge.overheard import HELD_MAX, WAYS, Heard, Overheard

ASK = modbus.encode(pzem.ask_values(11))
ANSWER = bytes.fromhex("01 04 14 08 D1 00 6C 00 00 00 F4 00 00 00 26 00 00 01 F4 00 64 00 00 51 34")
SWITCH = modbus.encode(modbus.write_one(1, modbus.WRITE_COIL, 0x0200, 1200))
BITS = modbus.encode(modbus.answer_bits(1, 1, [True] * 8))
ASK_BITS = modbus.encode(modbus.ask(1, 1, 0, 8))
METER = dlt645.encode(dlt645.ask("558890213594", "00010000"), 0)
METERED = bytes.fromhex("68 94 35 21 90 88 55 68 91 08 33 33 34 33 59 35 33 33 81 16")
BUS = ["modbus-pzem-004t-v3", "modbus-relay-waveshare"]
TALK = [
    (BUS, [("down", ASK), ("up", ANSWER), ("down", SWITCH), ("up", SWITCH), ("down", ASK_BITS), ("up", BITS)]),
    (BUS, [("down", SWITCH), ("up", SWITCH), ("down", SWITCH), ("up", SWITCH)]),
    (["dlt645-2007"], [("down", METER), ("up", METERED)]),
    (
        ["pn532-hsu"],
        [
            ("down", pn532.encode(pn532.list_cards())),
            ("up", pn532.encode(pn532.Handshake.ACK)),
            ("up", pn532.encode(pn532.answer_cards([pn532.Card(b"\x00\x04", 8, b"\xcb\x98\xa6\x05")]))),
        ],
    ),
]


@pytest.mark.parametrize(("protocols", "said"), TALK)
@settings(max_examples=25)
@given(st.data())
def test_both_sides_are_heard_however_the_bytes_come(
    protocols: list[str], said: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    line = b"".join(frame for _, frame in said)
    cuts = data.draw(st.lists(st.integers(0, len(line)), max_size=6))
    ear = Overheard(protocols)

    edges = [0, *sorted(cuts), len(line)]
    heard = [one for start, end in itertools.pairwise(edges) for one in ear.feed(line[start:end])] + ear.quiet()

    assert [(one.direction, one.frame) for one in heard] == said


def test_a_question_that_nobody_answers_is_asked_again() -> None:
    ear = Overheard(BUS)

    assert [one.direction for one in ear.feed(ASK) + ear.quiet() + ear.feed(ASK)] == ["down", "down"]


def test_a_frame_cut_short_is_told_and_hides_no_whole_one_behind_it() -> None:
    ear = Overheard(BUS)

    assert ear.feed(ASK + ANSWER[:9]) == [Heard(BUS[0], "down", ASK)]
    assert ear.feed(SWITCH) == []
    assert ear.quiet() == [Heard(BUS[0], "up", ANSWER[:9]), Heard(BUS[1], "down", SWITCH)]


def test_zeros_of_an_undriven_line_are_not_worth_a_line() -> None:
    ear = Overheard(BUS)

    assert [one.frame for one in ear.feed(b"\0" + ASK + b"\0\0") + ear.quiet()] == [ASK]


def test_without_a_protocol_silence_ends_a_frame() -> None:
    ear = Overheard([])

    assert ear.feed(ASK) == []
    assert ear.quiet() == [Heard("raw", "down", ASK)]
    assert [len(one.frame) for one in ear.feed(b"\x01" * (HELD_MAX + 1))] == [HELD_MAX + 1]


@settings(max_examples=50)
@given(st.lists(st.sampled_from(sorted(WAYS)), max_size=3), st.lists(st.binary(max_size=60), max_size=8))
def test_whatever_is_on_the_line_nothing_is_lost_but_what_says_nothing(
    protocols: list[str], chunks: list[bytes]
) -> None:
    ear = Overheard(protocols)
    line = b"".join(chunks)

    heard = [one for chunk in chunks for one in ear.feed(chunk)] + ear.quiet()

    told = b"".join(one.frame[one.before :] for one in heard)
    kept = bytes(byte for byte in line if byte not in b"\x00\xfe\x55")
    assert bytes(byte for byte in told if byte not in b"\x00\xfe\x55") == kept


def test_a_line_that_babbles_is_heard_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0

    def counted(ear: Overheard, at: int) -> tuple[Heard | None, bool]:
        nonlocal looked
        looked += 1
        return at_of(ear, at)

    at_of = Overheard._at
    monkeypatch.setattr(Overheard, "_at", counted)
    ear = Overheard(BUS)
    for _ in range(2000):
        ear.feed(b"\xff")

    assert looked < 3 * 2000
