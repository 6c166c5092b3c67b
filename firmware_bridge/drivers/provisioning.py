"""What the settings of a board's outlets are: told once board and meter have really answered a Provision."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from controller.core.events import SettingReported, Stamp
from firmware_bridge.codecs import modbus
from firmware_bridge.codecs.modbus import Frame
from firmware_bridge.wire import Message

NO_FUNCTION, NO_ADDRESS = b"\x01", b"\x02"  # why a unit refuses
UNTOLD = -1.0

Detach = Callable[[int, int], tuple[Frame, Frame]]  # (unit, channel): let no input switch it; and ask for that (0)


class Provisioning:
    """Of one board. `watchdog_s`: None unless an external timer alone gives the lease."""

    def __init__(self, board: str, unit: int, detach: Detach | None, watchdog_s: float | None) -> None:
        self._board = board
        self._unit = unit
        self._detach = detach
        self._watchdog_s = watchdog_s
        self._has_inputs = True  # till the board refuses to speak of them
        self._awaited: dict[str, set[tuple[str, bytes]]] = {}  # questions without an answer, by outlet
        self._metered: set[str] = set()
        self._modes: set[bytes] = set()  # questions
        self._attached: set[str] = set()  # outlets that an input could switch

    def begin(self, coils: Message, meters: Mapping[tuple[int, str], Sequence[Message]]) -> Sequence[Message]:
        """`meters`: the questions to each outlet's meter, by channel and outlet. Returns what goes before all those."""
        first: list[Message] = []
        awaited: dict[str, set[tuple[str, bytes]]] = {}
        for (channel, outlet), asks in meters.items():
            detach = self._detached(channel)
            first += detach
            awaited[outlet] = {(ask.address, ask.payload) for ask in (*detach[-1:], coils, *asks)}
        self._metered = {outlet for (_, outlet), asks in meters.items() if asks}
        self._attached = set()
        self._awaited = awaited
        return first

    def _detached(self, channel: int) -> list[Message]:
        if self._detach is None or not self._has_inputs:
            return []
        set_, ask = (Message(self._board, modbus.encode(frame)) for frame in self._detach(self._unit, channel))
        self._modes.add(ask.payload)
        return [set_, ask]

    def another(self) -> None:
        """The board was away: who comes back may have inputs."""
        self._has_inputs = True

    def mode(self, message: Message, reply: Frame) -> None:
        """Of an input; who answers no question for one says nothing of it."""
        if message.asked in self._modes and modbus.registers_of(reply) != (0,):
            self._attached |= set(self._of(message))

    def refused(self, message: Message, now: Stamp) -> Iterable[SettingReported]:
        """A board that knows no modes has no inputs; one that is busy is another matter."""
        if message.asked in self._modes and has_not(message):
            self._has_inputs = False
            yield from self.answered(message, now)

    def answered(self, message: Message, now: Stamp) -> Iterable[SettingReported]:
        """The settings of those whose last awaited answer this is."""
        for outlet in self._of(message):
            self._awaited[outlet].discard((message.address, message.asked))
            if not self._awaited[outlet]:
                del self._awaited[outlet]
                for setting, value in self._settings(outlet).items():
                    yield SettingReported(at=now.at, steady_s=now.steady_s, outlet=outlet, setting=setting, value=value)

    def _of(self, message: Message) -> list[str]:
        return [o for o, awaited in self._awaited.items() if (message.address, message.asked) in awaited]

    def _settings(self, outlet: str) -> Mapping[str, float]:
        metered = float(outlet in self._metered)  # behind the relay, and with a counter of its own
        told = {
            "power_up_off": UNTOLD,  # no board says: who proves it has to see the mains return
            "sees_power_when_off": metered,
            "own_counter": metered,
            "inputs_detached": float(outlet not in self._attached),
        }
        return told if self._watchdog_s is None else {**told, "watchdog_s": self._watchdog_s}


def has_not(refused: Message) -> bool:
    """It knows no such function or register."""
    return refused.payload[2:3] in (NO_FUNCTION, NO_ADDRESS)
