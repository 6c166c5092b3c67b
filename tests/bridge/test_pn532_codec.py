"""PN532 readers: cards of every kind, handshakes, and a line that stutters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.codecs import pn532
from firmware_bridge.codecs.pn532 import Card, Frame, Handshake, Said
from tests.bridge.frames import fed, flips, refused

SIDES = st.sampled_from([pn532.TO_READER, pn532.FROM_READER])
FRAMES = st.builds(Frame, SIDES, st.binary(min_size=1, max_size=pn532.DATA_MAX - 1)) | st.just(Frame(pn532.ERROR, b""))
SHORT = st.builds(Frame, SIDES, st.binary(min_size=1, max_size=20))
SAID: st.SearchStrategy[Said] = SHORT | st.sampled_from(Handshake)
UIDS = st.sampled_from([4, 7, 10]).flatmap(lambda size: st.binary(min_size=size, max_size=size))
CARDS = st.builds(Card, st.binary(min_size=2, max_size=2), st.sampled_from([0x08, 0x18, 0x09]), UIDS) | st.builds(
    Card,
    st.just(b"\x03\x44"),
    st.just(0x20),
    UIDS,
    st.binary(min_size=1, max_size=8).map(lambda rest: bytes((len(rest) + 1,)) + rest),
)


@given(FRAMES | st.sampled_from(Handshake))
def test_a_frame_that_was_written_is_read_back(said: Said) -> None:
    assert pn532.read_all(pn532.encode(said)) == [said]
    assert pn532.read_all(pn532.WAKE_UP + pn532.encode(said)[1:]) == [said]


@given(st.lists(CARDS, max_size=2))
def test_cards_that_lie_on_a_reader_are_read_back(cards: list[Card]) -> None:
    assert pn532.cards(pn532.answer_cards(cards)) == cards


@given(SAID)
def test_nothing_that_was_said_survives_a_turned_bit(said: Said) -> None:
    for flipped in flips(pn532.encode(said)):
        refused(pn532.read_all, flipped)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ("", "length"),
        ("00 00", "length"),
        ("55 55 00 00", "length"),
        ("00 00 FF 02 FD D4 02 2A 00", "checksum"),
        ("00 00 FF 02 FE D4 02 2B 00", "checksum"),
        ("00 00 FF 02 FE D4 02 2A 01", "malformed"),
        ("00 00 FF 02 FE D4 02 2A", "length"),
        ("00 00 FF 02 FE D4 02 2A 00 00", "length"),
        ("00 FF 02 FE D4 02 2A 00", "malformed"),
        ("00 00 FF 02 FE D6 02 28 00", "malformed"),
        ("00 00 FF 01 FF D4 2C 00", "length"),
        ("00 00 FF FF FF 00 00 00 00 00", "length"),
        ("00 00 FF FF FF 01 10 EF 00", "length"),
        ("00 00 FF 02 FE D4 02 2A 00 00 00 FF 02 FE D4 02 2A 00", "length"),
    ],
)
def test_what_no_reader_says_is_refused_for_its_own_reason(payload: str, kind: str) -> None:
    refused(pn532.read_all, bytes.fromhex(payload), kind)


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ("", "malformed"),
        ("03", "malformed"),
        ("01", "length"),
        ("01 01 00 04 08 04 CB 98 A6", "length"),
        ("01 02 00 04 08 04 CB 98 A6 05", "malformed"),
        ("01 01 00 04 08 03 CB 98 A6", "malformed"),
        ("01 01 00 04 08 04 CB 98 A6 05 77", "length"),
        ("01 01 03 44 20 04 CB 98 A6 05 06 75", "length"),
        ("00 00", "length"),
    ],
)
def test_a_card_that_ends_early_or_late_is_no_card(params: str, kind: str) -> None:
    answer = pn532.encode(pn532.answer(pn532.LIST_TARGETS, bytes.fromhex(params)))

    refused(lambda payload: pn532.decode(None, "up", payload), answer, kind)


def test_no_card_and_several_are_told() -> None:
    def shown(cards: list[Card]) -> dict[str, object]:
        return pn532.decode(None, "up", pn532.encode(pn532.answer_cards(cards)))

    phone = Card(b"\x03\x44", 0x20, bytes(7), b"\x06\x75\x77\x81\x02\x80")
    tag = Card(b"\x00\x04", 0x08, b"\xcb\x98\xa6\x05")
    assert shown([]) == {"tfi": "D5", "code": "4B", "targets": 0}
    assert shown([phone])["ats_hex"] == "067577810280"
    assert shown([tag, phone])["uids"] == ["CB98A605", "00000000000000"]


def test_a_frame_that_goes_the_other_way_is_refused() -> None:
    ask, answer = pn532.encode(pn532.list_cards()), pn532.encode(pn532.answer_cards([]))

    refused(lambda payload: pn532.decode(None, "up", payload), ask, "malformed")
    refused(lambda payload: pn532.decode(None, "down", payload), answer, "malformed")


def test_handshakes_errors_and_captures_of_another_bus_are_shown() -> None:
    nack, error = pn532.encode(Handshake.NACK), bytes.fromhex("00 00 FF 01 FF 7F 81 00")

    assert pn532.decode(None, "up", pn532.encode(Handshake.ACK)) == {"ack": True}
    assert pn532.decode(None, "down", nack) == {"ack": False}
    assert pn532.decode(None, "up", error) == {"tfi": "7F"}
    assert pn532.decode(None, "up", b"\x01" + error) == {"tfi": "7F"}


@pytest.mark.parametrize(("revision", "version"), [(6, 1.6), (10, "1.10"), (1, 1.1)])
def test_a_revision_that_a_number_can_not_tell_is_text(revision: int, version: object) -> None:
    answer = pn532.encode(pn532.answer(pn532.GET_FIRMWARE, bytes((0x32, 1, revision, 7))))

    assert pn532.decode(None, "up", answer)["version"] == version


def test_a_version_of_the_wrong_length_is_refused() -> None:
    answer = pn532.encode(pn532.answer(pn532.GET_FIRMWARE, b"\x32\x01"))

    refused(lambda payload: pn532.decode(None, "up", payload), answer, "length")


def test_what_no_frame_can_carry_is_never_written() -> None:
    with pytest.raises(ValueError, match="too many"):
        pn532.encode(pn532.ask(0x40, bytes(300)))


@given(st.lists(SAID, max_size=5), st.lists(st.integers(0, 200), max_size=6), st.integers(0, 9))
def test_frames_are_found_however_they_are_cut_and_between_noise(said: list[Said], cuts: list[int], n: int) -> None:
    line = b"".join(b"\x55\x00" * n + pn532.encode(each) for each in said) + bytes(n)

    assert fed(pn532.finder(), line, cuts) == said


def test_a_frame_cut_short_hides_no_card_behind_it() -> None:
    card = pn532.answer_cards([Card(b"\x00\x04", 0x08, b"\xcb\x98\xa6\x05")])
    line = pn532.encode(card)

    assert pn532.finder().feed(line[:9] + line) == [card]
