"""The short form of the fuzzing: frames and captures, flipped, cut, joined and sealed, through every target."""

import importlib.util
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchong import decode
from tests.fuzz.__main__ import main
from tests.fuzz.known import seeds, unreached
from tests.fuzz.targets import Target, targets

TARGETS = targets()


@cache
def _seeds(name: str) -> list[bytes]:
    return list(seeds(name)) or [b"\0"]


def mutated(name: str) -> st.SearchStrategy[bytes]:
    seed = st.sampled_from(_seeds(name))
    places = st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=4)
    return st.one_of(
        st.builds(_flipped, seed, places),
        st.builds(lambda frame, end: frame[: end % (len(frame) + 1)], seed, st.integers(0, 600)),
        st.builds(lambda first, second: first + second[1:], seed, seed),
        st.binary(max_size=40),
    )


def _flipped(frame: bytes, places: list[tuple[int, int]]) -> bytes:
    turned = bytearray(frame)
    for place, byte in places:
        turned[place % len(turned)] = byte
    return bytes(turned)


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_becomes_of_a_frame_it_is_read_or_refused_and_leaves_no_trace(name: str) -> None:
    run: Target = TARGETS[name]

    @settings(max_examples=15)
    @given(mutated(name))
    def holds(data: bytes) -> None:
        run(data)

    holds()


def test_a_codec_that_slips_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(decode.PROTOCOLS, "pn532-hsu", lambda topic, direction, payload: {"uid": payload[99]})

    with pytest.raises(IndexError):
        targets()["codec pn532-hsu"](b"\0\0\0")


def test_every_family_has_a_capture_to_begin_with() -> None:
    assert unreached() == []


def test_without_atheris_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    assert main(["--for-s", "1"]) == 2
    assert "pip install -r requirements/fuzz.txt" in capsys.readouterr().err


def test_a_name_that_nothing_has_is_told_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--codec", "ykc"]) == 2
    assert "codec tasmota-mqtt" in capsys.readouterr().err
