"""Our end of every card reader against its twin, on virtual time, and against lines that lie."""

import struct
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.codecs import m1 as m1_codec
from firmware_bridge.codecs import pn532 as pn532_codec
from firmware_bridge.readers.hid import Digits, Hid
from firmware_bridge.readers.m1 import M1
from firmware_bridge.readers.pn532 import Pn532
from firmware_bridge.readers.presence import Presence
from firmware_bridge.readers.said import Fault, Feedback, Key, Reader, Ready, Said, Tap
from simulators.twins.hid_twin import SYN_DROPPED, HidTwin
from simulators.twins.m1_twin import M1Twin
from simulators.twins.pn532_twin import Pn532Twin

CARD, OTHER, SEVEN = bytes.fromhex("CB98A605"), bytes.fromhex("24D34F59"), bytes.fromhex("04A1B2C3D4E5F6")
TICK_S = 0.02
Mangle = Callable[[bytes], bytes]


class Pair:
    """A reader and its twin on one line; `up` and `down` change what passes."""

    def __init__(self, reader: Reader, twin: Pn532Twin | M1Twin) -> None:
        self.reader = reader
        self.twin = twin
        self.up: Mangle = lambda data: data
        self.down: Mangle = lambda data: data
        self.said: list[Said] = []
        self.now_s = 100.0
        self._coming = b""

    def run(self, seconds: float) -> list[Said]:
        """What was said meanwhile, but for stutters of the very line."""
        before, end_s = len(self.said), self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += TICK_S
            self.said += self.reader.hear(self._coming, self.now_s)
            sent = self.reader.say(self.now_s)
            heard = self.twin.hear(self.down(sent), self.now_s) if sent else b""
            answer = heard + self.twin.advance(self.now_s)
            self._coming = self.up(answer) if answer else b""
        return self.said[before:]

    def tap(self, uid: bytes = CARD, for_s: float = 0.4) -> list[Said]:
        self.twin.field.tap(uid, self.now_s, for_s)
        return self.run(for_s)


def pn532(reverse: bool = False) -> Pair:
    return Pair(Pn532(Presence(), reverse), Pn532Twin())


def m1(reverse: bool = False) -> Pair:
    return Pair(M1(Presence(), reverse), M1Twin())


@pytest.fixture(params=[pn532, m1])
def pair(request: pytest.FixtureRequest) -> Pair:
    made: Pair = request.param()
    made.run(1.0)
    return made


def kinds(said: Iterable[Said]) -> set[str]:
    return {one.kind for one in said if isinstance(one, Fault)}


def taps(said: Iterable[Said]) -> list[str]:
    return [one.uid for one in said if isinstance(one, Tap)]


# -- both that are polled -----------------------------------------------------------------------------------------


def test_a_reader_is_set_up_and_says_what_it_is(pair: Pair) -> None:
    assert pair.said == [Ready("PN532 1.6" if isinstance(pair.twin, Pn532Twin) else "M1")]


def test_a_card_is_one_swipe_however_long_it_lies_there(pair: Pair) -> None:
    assert pair.tap(for_s=30.0) == [Tap("CB98A605")]


def test_each_swipe_is_one(pair: Pair) -> None:
    said = pair.tap()
    for _ in range(3):
        said += pair.run(1.0) + pair.tap()
    assert said == [Tap("CB98A605")] * 4


def test_a_card_lost_for_a_moment_was_not_taken_away_and_the_stutter_is_counted(pair: Pair) -> None:
    said = pair.tap()
    pair.twin.field.stutter(CARD, pair.now_s, gone_s=0.4)
    said += pair.run(1.0)

    assert (taps(said), kinds(said)) == (["CB98A605"], {"stutter"})


def test_two_cards_at_once_are_refused_and_counted_once(pair: Pair) -> None:
    pair.twin.field.tap(OTHER, pair.now_s + 0.3, 2.0)
    first = pair.tap(for_s=0.45) if isinstance(pair.twin, M1Twin) else []
    pair.twin.field.tap(CARD, pair.now_s, 2.0)
    pair.twin.field.tap(OTHER, pair.now_s, 2.0)
    said = pair.run(4.0)

    assert taps(said) == []
    assert [one for one in first + said if one == Fault("two_cards")] == [Fault("two_cards")]
    assert taps(pair.tap(OTHER)) == ["24D34F59"]


def test_a_card_that_lies_there_when_the_reader_comes_was_not_swiped() -> None:
    for pair in (pn532(), m1()):
        assert taps(pair.tap(for_s=5.0)) == []
        pair.run(1.0)
        assert taps(pair.tap()) == ["CB98A605"]


def test_a_silent_reader_is_woken_until_it_answers_and_is_asked_ever_less_often(pair: Pair) -> None:
    pair.twin.silent = True
    said = pair.run(60.0)
    assert kinds(said) == {"silent"}
    assert 7 <= len(said) <= 15

    pair.twin.silent = False
    assert any(isinstance(one, Ready) for one in pair.run(8.0))
    assert taps(pair.tap()) == ["CB98A605"]


def test_a_card_that_lies_there_through_a_silence_is_no_second_swipe(pair: Pair) -> None:
    said = pair.tap(for_s=30.0)[:1]
    pair.twin.field.tap(CARD, pair.now_s, 30.0)
    pair.twin.silent = True
    pair.run(1.5)
    pair.twin.silent = False

    assert taps(said + pair.run(10.0)) == ["CB98A605"]


def test_a_reader_whose_power_was_away_is_set_up_again(pair: Pair) -> None:
    pair.twin.restart()
    pair.run(8.0)

    assert taps(pair.tap()) == ["CB98A605"]


def test_garbage_on_the_line_is_counted_and_cards_are_read_all_the_same(pair: Pair) -> None:
    pair.twin.garble(b"\x17\x2a\x99\x31")
    said = pair.run(1.0) + pair.tap()

    assert (taps(said), kinds(said)) == (["CB98A605"], {"garbage"})


def test_a_wrong_checksum_is_no_card(pair: Pair) -> None:
    pair.up = lambda data: data.replace(CARD, OTHER)
    said = pair.tap()

    assert taps(said) == []
    assert "checksum" in kinds(said)


def test_an_answer_that_comes_twice_is_one(pair: Pair) -> None:
    pair.up = lambda data: data + data
    said = pair.tap()

    assert (taps(said), kinds(said)) == (["CB98A605"], {"unasked"})


def test_an_answer_that_drips_in_is_an_answer(pair: Pair) -> None:
    pair.twin.field.tap(CARD, pair.now_s, 3.0)
    line, said = bytearray(), list[Said]()
    for _ in range(200):
        pair.now_s += TICK_S
        drop, line[:4] = bytes(line[:4]), b""
        said += pair.reader.hear(drop, pair.now_s)
        line += pair.twin.hear(pair.reader.say(pair.now_s), pair.now_s)

    assert said == [Tap("CB98A605")]


@pytest.mark.parametrize("made", [pn532, m1])
def test_a_reader_told_so_gives_its_bytes_the_other_way_round(made: Callable[[bool], Pair]) -> None:
    pair = made(True)
    pair.run(1.0)
    assert taps(pair.tap()) == ["05A698CB"]


@pytest.mark.parametrize("made", [pn532, m1])
@given(noise=st.lists(st.binary(max_size=40), min_size=1, max_size=8), before=st.booleans())
def test_nothing_on_the_line_makes_a_reader_raise_or_invents_a_card(
    made: Callable[[], Pair], noise: list[bytes], before: bool
) -> None:
    pair = made()
    pair.run(0.5)
    chunks = iter(noise)
    pair.up = lambda data: next(chunks, b"") + data if before else data[:-1] + next(chunks, b"") + data[-1:]
    said = pair.run(4.0)
    pair.up = lambda data: data
    pair.run(8.0)

    assert taps(said) == []
    assert taps(pair.tap()) == ["CB98A605"]


@pytest.mark.parametrize("made", [pn532, m1])
@settings(max_examples=50)
@given(at=st.integers(0, 40), mask=st.integers(1, 255), times=st.integers(1, 2))
def test_one_wrong_byte_makes_no_other_card_of_a_card(made: Callable[[], Pair], at: int, mask: int, times: int) -> None:
    pair = made()
    pair.run(0.5)
    left = iter(range(times))

    def spoilt(data: bytes) -> bytes:
        wrong = at < len(data) and CARD in data and next(left, None) is not None
        return data[:at] + bytes((data[at] ^ mask,)) + data[at + 1 :] if wrong else data

    pair.up = spoilt
    assert taps(pair.tap(for_s=8.0)) == ["CB98A605"]


# -- what is one kind's own ---------------------------------------------------------------------------------------


def test_the_longer_numbers_of_newer_cards_are_read_whole() -> None:
    pair = pn532()
    pair.run(1.0)
    assert taps(pair.tap(SEVEN)) == ["04A1B2C3D4E5F6"]


def test_a_pn532_that_asks_for_a_repetition_gets_it_and_one_that_never_stops_is_woken() -> None:
    pair = pn532()
    pair.run(1.0)
    pair.twin.nacks = 2  # type: ignore[union-attr]
    assert kinds(pair.run(0.5)) == {"nack"}
    assert taps(pair.tap()) == ["CB98A605"]

    pair.twin.nacks = 6  # type: ignore[union-attr]
    assert any(isinstance(one, Ready) for one in pair.run(5.0))


def test_a_pn532_that_understands_nothing_is_set_up_again() -> None:
    pair = pn532()
    pair.run(1.0)
    answers = iter([pn532_codec.encode(pn532_codec.Frame(pn532_codec.ERROR, b""))])
    pair.up = lambda data: next(answers, data)
    said = pair.run(5.0)

    assert said == [Fault("not_understood"), Ready("PN532 1.6")]


def test_an_adapter_that_marks_each_answer_as_over_i2c_is_no_garbage() -> None:
    pair = pn532()
    pair.up = lambda data: b"\x01" + data
    pair.run(1.0)
    assert (pair.tap(), kinds(pair.said)) == ([Tap("CB98A605")], set())


def test_a_late_list_of_cards_is_nobodys_swipe() -> None:
    pair = pn532()
    pair.run(1.0)
    pair.twin.silent = True
    pair.run(2.0)
    late = pn532_codec.encode(pn532_codec.answer_cards([pn532_codec.Card(b"\x00\x04", 8, CARD)]))

    assert pair.reader.hear(late, pair.now_s) == [Fault("unasked")]


def test_an_m1_reader_beeps_what_became_of_it() -> None:
    pair = m1()
    pair.run(1.0)
    for feedback in Feedback:
        pair.reader.tell(feedback)
    pair.run(2.0)

    assert isinstance(pair.twin, M1Twin)
    assert pair.twin.beeps == [(400, 1), (60, 1), (100, 3)]
    assert taps(pair.tap()) == ["CB98A605"]


def test_an_m1_reader_that_gives_the_bare_number_is_read_too() -> None:
    pair = Pair(M1(Presence()), M1Twin(bare=True))
    pair.run(1.0)
    assert taps(pair.tap()) == ["CB98A605"]


def test_an_activated_card_without_a_whole_number_is_none() -> None:
    pair = m1()
    pair.run(1.0)
    short = m1_codec.encode(m1_codec.Frame(0, b"\x04\x00\xcb"))
    pair.up = lambda data: short
    said = pair.tap()

    assert (taps(said), kinds(said)) == ([], {"length"})


# -- keyboards ----------------------------------------------------------------------------------------------------


def typed(hid: Hid, text: str, now_s: float) -> list[Said]:
    twin = HidTwin()
    twin.type(text)
    return [one for one in hid.hear(twin.advance(now_s), now_s) if not isinstance(one, Ready)]


@pytest.mark.parametrize(
    ("digits", "reverse", "text", "uid"),
    [
        (Digits.DECIMAL, False, "3415778821", "CB98A605"),
        (Digits.DECIMAL, True, "3415778821", "05A698CB"),
        (Digits.DECIMAL, False, "0000000255", "000000FF"),
        (Digits.DECIMAL, False, "01303689068602870", "04A1B2C3D4E5F6"),
        (Digits.HEX, False, "CB98A605", "CB98A605"),
        (Digits.HEX, False, "04A1B2C3D4E5F6", "04A1B2C3D4E5F6"),
    ],
)
def test_a_typed_number_is_a_card(digits: Digits, reverse: bool, text: str, uid: str) -> None:
    assert typed(Hid(Presence(), reverse, digits), text, 1.0) == [Tap(uid)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("341577882", "length"), ("33415778821", "length"), ("9999999999", "range"), ("34157788AB", "malformed")],
)
def test_what_is_typed_otherwise_is_no_card(text: str, kind: str) -> None:
    assert typed(Hid(Presence()), text, 1.0) == [Fault(kind)]


def test_a_short_number_is_a_choice_and_a_digit_left_behind_makes_no_other_card() -> None:
    hid = Hid(Presence())
    assert typed(hid, "7", 1.0) == [Key(7)]
    assert typed(hid, "12", 2.0) == [Key(12)]

    left = HidTwin()
    left.type("12")
    hid.hear(left.advance(3.0)[: -6 * 24], 3.0)  # without its Enter
    assert typed(hid, "3415778821", 3.5) == [Fault("length")]
    assert typed(hid, "3415778821", 5.0) == [Tap("CB98A605")]


def test_a_second_enter_is_nothing() -> None:
    hid = Hid(Presence())
    assert typed(hid, "3415778821", 1.0) + typed(hid, "", 1.01) == [Tap("CB98A605")]


def test_digits_left_behind_are_forgotten_after_a_while() -> None:
    hid, left = Hid(Presence()), HidTwin()
    left.type("12")
    hid.hear(left.advance(1.0)[: -6 * 24], 1.0)
    assert typed(hid, "3415778821", 9.0) == [Tap("CB98A605")]


def test_a_keyboard_that_types_a_card_twice_at_once_has_read_it_once() -> None:
    hid = Hid(Presence())
    said = typed(hid, "3415778821", 1.0) + typed(hid, "3415778821", 1.2) + typed(hid, "3415778821", 1.6)
    assert (taps(said), kinds(said)) == (["CB98A605"], {"stutter"})
    assert typed(hid, "3415778821", 2.5) == [Tap("CB98A605")]


def test_a_line_of_which_the_kernel_lost_a_part_is_no_card() -> None:
    hid, twin = Hid(Presence()), HidTwin()
    twin.garble(SYN_DROPPED)
    hid.hear(twin.advance(1.0), 1.0)
    assert typed(hid, "3415778821", 1.0) == [Fault("overrun")]
    assert typed(hid, "3415778821", 1.1) == [Tap("CB98A605")]


def test_events_come_in_any_pieces() -> None:
    hid, twin = Hid(Presence()), HidTwin()
    twin.tap(CARD)
    stream = twin.advance(1.0)
    said = [one for at in range(len(stream)) for one in hid.hear(stream[at : at + 1], 1.0)]
    assert said == [Ready("HID"), Tap("CB98A605")]


@given(st.lists(st.tuples(st.integers(0, 31), st.integers(0, 0xFFFF), st.integers(-3, 3)), max_size=60), st.binary())
def test_no_event_makes_a_keyboard_raise(events: list[tuple[int, int, int]], rest: bytes) -> None:
    hid = Hid(Presence())
    packed = b"".join(struct.pack("@llHHi", 0, 0, *event) for event in events)
    assert all(isinstance(one, Ready | Fault | Key | Tap) for one in hid.hear(packed + rest, 1.0))
