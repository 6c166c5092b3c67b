"""The soak and the bench of a bus, in their short form; and that the soak would see what is wrong."""

import pytest
from typer.testing import CliRunner

from anchong.bench import bench
from anchong.bench.bus import measured
from anchong.bench.bus_soak import PARTS, is_sound, soaked
from firmware_bridge.codecs import modbus
from firmware_bridge.transports.bus_queue import Queue, Wish
from firmware_bridge.transports.pace import Pace
from simulators.twins.line import Line


def test_a_bad_line_in_memory_switches_no_wrong_relay() -> None:
    figure = soaked("memory", 2_000)

    assert is_sound(figure), figure
    assert figure.switched > 100
    assert {"drop", "flip", "double", "split", "cut", "noise", "late"} <= figure.faults.keys()
    assert {"crc", "silent", "truncated", "echo", "late"} <= figure.counts.keys()


def test_a_bad_line_on_ptys_switches_no_wrong_relay() -> None:
    figure = soaked("pty", 100, jitter_s=1.0, parts=PARTS[2:])

    assert is_sound(figure), figure
    assert figure.reconnections == 2


def test_the_soak_sees_an_on_that_follows_its_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def put_off(self: Queue, wish: Wish) -> str:
        self.offs[wish.slot] = wish
        return "queued"

    monkeypatch.setattr(Queue, "_put_off", put_off)

    assert any("after its OFF" in wrong for wrong in soaked("memory", 500).wrong)


def test_the_soak_sees_a_relay_that_nobody_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Line.__call__

    def crossed(self: Line, request: bytes, now_s: float) -> object:
        frame = modbus.read_request(request)
        if frame.function != modbus.WRITE_COIL:
            return whole(self, request, now_s)
        whole(self, modbus.encode(modbus.write_one(frame.unit, frame.function, frame.address ^ 1, frame.value)), now_s)
        return [(0.001, request)]

    monkeypatch.setattr(Line, "__call__", crossed)

    assert any("switched by" in wrong for wrong in soaked("memory", 400, parts=PARTS[:1]).wrong)


def test_the_bench_measures_beside_what_it_computed() -> None:
    figure = measured(Pace(115_200, turnaround_s=0.03), 1)

    assert (figure.outlets, figure.baud) == (16, 115_200)
    assert 0 < figure.off_p50_ms <= figure.off_max_ms
    assert figure.offs_max_ms > figure.off_max_ms / 2


def test_the_commands_say_what_they_are_for() -> None:
    soak = CliRunner().invoke(bench, ["bus-soak", "--pty", "0", "--memory", "200"])
    table = CliRunner().invoke(bench, ["bus-budget", "--baud", "2400"])

    assert soak.exit_code == 0, soak.output
    assert '"over":"memory"' in soak.output
    assert table.output.count("at most") == 9
