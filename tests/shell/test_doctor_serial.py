"""What the doctor says of the adapters: there or not, ours to use or not, and by a name that lasts."""

import os
import pty
import socket
from pathlib import Path

import pytest

from anchong import doctor_serial
from anchong.doctor_finding import State
from anchong.doctor_serial import bus_findings
from anchong.settings import Bus


def looked(port: str) -> list[tuple[State, str]]:
    return [(finding.state, finding.says) for finding in bus_findings([Bus(name="shed", port=port)])]


def test_an_adapter_that_is_not_there_is_named_with_those_that_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usb-FTDI-if00").touch()
    monkeypatch.setattr(doctor_serial, "BY_ID", tmp_path)

    [finding] = bus_findings([Bus(name="shed", port="/dev/none")])

    assert (finding.state, finding.says) == (State.BAD, "shed: /dev/none is not there")
    assert "usb-FTDI-if00" in finding.do


def test_a_file_is_no_serial_port(tmp_path: Path) -> None:
    (tmp_path / "port").touch()

    assert looked(str(tmp_path / "port"))[0][0] is State.BAD


def test_a_port_that_may_be_used_is_fine_and_one_whose_name_changes_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pty.openpty()
    lasting, passing = tmp_path / "by-id", tmp_path / "ttyUSB0"
    lasting.mkdir()
    for link in (lasting / "usb-FTDI-if00", passing):
        link.symlink_to(os.ttyname(theirs))
    monkeypatch.setattr(doctor_serial, "BY_ID", lasting)

    assert [state for state, _ in looked(str(lasting / "usb-FTDI-if00"))] == [State.OK]
    assert [state for state, _ in looked(str(passing))] == [State.OK, State.WARN]
    [_, warned] = bus_findings([Bus(name="shed", port=str(passing))])
    assert str(lasting / "usb-FTDI-if00") in warned.do
    os.close(ours)
    os.close(theirs)


def test_an_adapter_on_the_network_is_asked_whether_it_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        assert looked(f"socket://127.0.0.1:{port}")[0][0] is State.OK
    assert looked(f"socket://127.0.0.1:{port}")[0][0] is State.BAD
    assert looked("rfc2217://127.0.0.1:many")[0][0] is State.BAD
