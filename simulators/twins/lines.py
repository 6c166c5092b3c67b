"""A line for each family that lives on a bus, by its name: given what is plugged in and the time."""

from collections.abc import Callable, Sequence

from simulators.twins.contact import Load
from simulators.twins.line import Circuit, Line, Unit
from simulators.twins.meter_units import pzem_unit
from simulators.twins.relay_boards import RelayBoard, waveshare

BOARD = "modbus:1"
FIRST_METER = 11  # modbus:11 behind the first relay, and so on

MakeLine = Callable[[Sequence[Load], float], Line]
MakeMeter = Callable[[int, Circuit], Unit]


def wired(board: RelayBoard, meter: MakeMeter, now_s: float) -> Line:
    """One board, and a meter of this kind behind each of its relays."""
    line = Line([board], now_s)
    for channel in range(len(board.contacts)):
        line.add(meter(FIRST_METER + channel, line.circuit(board.address, channel)))
    return line


def _waveshare(loads: Sequence[Load], now_s: float) -> Line:
    return wired(waveshare(1, loads), pzem_unit, now_s)


LINES: dict[str, MakeLine] = {"waveshare-relay": _waveshare}
