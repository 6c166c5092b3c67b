"""JUY's pile boards: both directions, with and without the IMEI, and frames run together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.codecs import juy
from firmware_bridge.codecs.juy import Frame
from tests.bridge.frames import fed, flips, refused

BYTES = st.integers(0, 255)
IMEIS = st.just("") | st.text("0123456789", min_size=15, max_size=15)


def frames(most: int) -> st.SearchStrategy[Frame]:
    """What begins with fifteen digits and is no IMEI can't be told from one: no board sends that."""
    data = st.binary(max_size=most).filter(lambda data: not data[:15].isdigit())
    return st.builds(Frame, BYTES, BYTES, data | st.just(b""), IMEIS)


@given(frames(900))
def test_a_frame_that_was_written_is_read_back(frame: Frame) -> None:
    assert juy.read(juy.encode(frame)) == frame


@given(frames(20))
def test_no_frame_survives_a_turned_bit(frame: Frame) -> None:
    for flipped in flips(juy.encode(frame)):
        refused(juy.read, flipped, "checksum", "length", "malformed")


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ("", "length"),
        ("5A", "length"),
        ("5A A5 04 00", "length"),
        ("5A A5 02 00 82 86", "length"),
        ("5A A5 05 00 82 00 00 87", "length"),
        ("5A A5 04 00 82 00 00 85", "checksum"),
        ("5A A6 04 00 82 00 00 86", "malformed"),
        ("5A A5 04 00 82 00 00 86 00", "length"),
        ("5A A5 FF FF 82 00 00 86", "length"),
    ],
)
def test_what_no_board_sends_is_refused_for_its_own_reason(payload: str, kind: str) -> None:
    refused(juy.read, bytes.fromhex(payload), kind)


def test_what_is_no_frame_is_never_written() -> None:
    with pytest.raises(ValueError, match="IMEI"):
        juy.encode(Frame(juy.LOGIN, imei="12345"))
    with pytest.raises(ValueError, match="too many"):
        juy.encode(Frame(juy.LOGIN, data=bytes(2000)))


@given(st.lists(frames(20), max_size=4), st.lists(st.integers(0, 200), max_size=6), st.integers(0, 9))
def test_frames_are_found_however_they_are_cut_and_between_noise(said: list[Frame], cuts: list[int], n: int) -> None:
    line = b"".join(b"\x00\x5a" * n + juy.encode(frame) for frame in said) + bytes(n)

    assert fed(juy.finder(), line, cuts) == said
