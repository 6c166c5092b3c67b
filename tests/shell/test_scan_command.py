"""`anchong scan` on a line that nobody has open: who is there, and one clear line where it can't be asked."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from anchong.__main__ import app
from controller.clock import RealClock
from simulators.bus_end import BusEnd
from simulators.twins.contact import Nothing
from simulators.twins.line import Line
from simulators.twins.meter_units import pzem_unit
from simulators.twins.relay_boards import waveshare


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "/dev/none"], "--port /dev/none: is not there"),
        (["--port", "/dev/null", "--at", "9600,X"], "--at 9600,X: must be baud and parity"),
        (["--port", "/dev/null", "--at", "many"], "--at many: must be baud and parity"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(app, ["scan", *arguments])

    assert result.exit_code == 2
    assert result.stderr.startswith(says)
    assert len(result.stderr.splitlines()) == 1


def test_a_board_on_a_line_is_found_and_nothing_is_switched(tmp_path: Path) -> None:
    clock = RealClock()
    line = Line([waveshare(1, [Nothing()])], clock.now().at)
    line.add(pzem_unit(11, line.circuit("modbus:1", 0)))
    end = BusEnd(line, clock, tmp_path / "bus")
    end.start()
    try:
        asked = ["scan", "--port", str(tmp_path / "bus"), "--at", "115200,N", "--for-s", "1", "--json"]
        result = CliRunner().invoke(app, asked)
    finally:
        end.stop()

    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["at"], told["total"] > told["asked"] > 0) == ("115200,N", True)
    assert not line.board("modbus:1").contacts[0].on
