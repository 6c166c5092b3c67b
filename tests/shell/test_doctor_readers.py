"""What the doctor says of card readers: their ports, and whether there is what they serve."""

import os
import pty
from pathlib import Path

import pytest

from anchong import doctor_readers
from anchong.doctor_finding import State
from anchong.doctor_readers import reader_findings
from anchong.settings import Reader
from firmware_bridge.wire import Pile

PILES = [Pile("p1", "shelly", "AA", ("o1", "o2"), {})]


def worst(kind: str, port: str, **bound: str) -> State:
    reader = Reader.model_validate({"name": "gate", "kind": kind, "port": port, **(bound or {"outlet": "o1"})})
    return max((finding.state for finding in reader_findings([reader], PILES)), key=list(State).index)


@pytest.mark.parametrize("kind", ["pn532", "m1", "hid"])
def test_a_reader_that_is_not_there_is_named(kind: str) -> None:
    assert worst(kind, "/dev/none") is State.BAD


def test_a_reader_on_a_serial_port_that_may_be_used_is_fine() -> None:
    master, slave = pty.openpty()
    try:
        assert worst("pn532", os.ttyname(slave)) is State.OK
    finally:
        os.close(master)
        os.close(slave)


def test_a_keyboard_is_best_named_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "usb-Reader-event-kbd").touch()
    (tmp_path / "event3").touch()
    monkeypatch.setattr(doctor_readers, "INPUTS", tmp_path)

    assert worst("hid", str(tmp_path / "usb-Reader-event-kbd")) is State.OK
    assert worst("hid", str(tmp_path / "event3")) is State.WARN
    missing = Reader(name="gate", kind="hid", port="/dev/none", outlet="o1")
    assert "usb-Reader-event-kbd" in next(iter(reader_findings([missing], PILES))).do


@pytest.mark.parametrize(("bound", "state"), [({"pile": "p1"}, State.OK), ({"pile": "p9"}, State.BAD)])
def test_a_reader_for_what_does_not_exist_is_told(tmp_path: Path, bound: dict[str, str], state: State) -> None:
    (tmp_path / "usb-Reader-event-kbd").touch()
    assert worst("hid", str(tmp_path / "usb-Reader-event-kbd"), **bound) is state


def test_who_names_a_wrong_pile_is_told_the_right_ones() -> None:
    wrong = Reader(name="gate", kind="hid", port="/dev/none", pile="p9")
    assert "p1 (shelly AA)" in list(reader_findings([wrong], PILES))[-1].do
