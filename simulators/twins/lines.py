"""A line for each family that lives on a bus, by its name: given what is plugged in and the time."""

from collections.abc import Callable, Sequence

from simulators.twins.contact import Load, Nothing
from simulators.twins.line import Circuit, Line, Unit
from simulators.twins.meter_units import dlt645_unit, eastron_unit, pzem_unit
from simulators.twins.relay_boards import RelayBoard, coil_board, lc, waveshare

BOARD = "modbus:1"
FIRST_METER = 11  # modbus:11 behind the first relay, and so on
WATCHDOG = (60.0, 7)  # seconds, and the channel that is pulsed

MakeLine = Callable[[Sequence[Load], float], Line]
MakeMeter = Callable[[int, Circuit], Unit]


def _dlt645(number: int, circuit: Circuit) -> Unit:
    return dlt645_unit(f"{number:012}", circuit)


METERS: dict[str, MakeMeter] = {"pzem-004t": pzem_unit, "eastron-sdm": eastron_unit, "dlt645": _dlt645}


def meter_address(kind: str, channel: int) -> str:
    number = FIRST_METER + channel
    return f"dlt645:{number:012}" if kind == "dlt645" else f"modbus:{number}"


def wired(board: RelayBoard, kind: str, now_s: float) -> Line:
    """One board, and a meter of this kind behind each of its relays."""
    line = Line([board], now_s)
    for channel in range(len(board.contacts)):
        line.add(METERS[kind](FIRST_METER + channel, line.circuit(board.address, channel)))
    return line


def _watched(loads: Sequence[Load], now_s: float) -> Line:
    """The last of its relays starts the timer that stands before all."""
    spare = [Nothing()] * (WATCHDOG[1] + 1 - len(loads))
    return wired(coil_board(1, [*loads, *spare], watchdog=WATCHDOG), "pzem-004t", now_s)


LINES: dict[str, MakeLine] = {
    "waveshare-relay": lambda loads, now_s: wired(waveshare(1, loads), "pzem-004t", now_s),
    "lc-relay": lambda loads, now_s: wired(lc(1, loads), "eastron-sdm", now_s),
    "coil-relay": _watched,
    "pzem-004t": lambda loads, now_s: wired(waveshare(1, loads), "pzem-004t", now_s),
    "eastron-sdm": lambda loads, now_s: wired(waveshare(1, loads), "eastron-sdm", now_s),
    "dlt645": lambda loads, now_s: wired(waveshare(1, loads), "dlt645", now_s),
}
