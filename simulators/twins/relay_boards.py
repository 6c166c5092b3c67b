"""Relay boards on Modbus RTU as their firmware behaves: coils, a timer each, and what they do when the mains return."""

from collections.abc import Callable, Sequence
from enum import StrEnum

from msgspec.structs import replace

from controller.core.errors import BadFrame
from firmware_bridge.codecs import modbus, relay_lc, relay_waveshare
from firmware_bridge.codecs.modbus import (
    OFF,
    ON,
    READ_COILS,
    READ_HOLDING,
    WRITE_COIL,
    Frame,
)
from simulators.twins.contact import FOREVER_S, Contact, Fault, Load
from simulators.twins.line import ANSWERS_AFTER_S, WireFault
from simulators.twins.timer_relay import TimerRelay

NO_FUNCTION, NO_ADDRESS, NO_VALUE = 1, 2, 3  # what a board says when it refuses
EVERYBODY = 0


class PowerUp(StrEnum):
    OFF = "off"
    ON = "on"
    AS_BEFORE = "as_before"


class Refusal(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class RelayBoard:
    """What all boards have; `speaks` is what its maker made of Modbus."""

    def __init__(
        self,
        unit: int,
        loads: Sequence[Load],
        speaks: "Speaks",
        *,
        power_up: PowerUp = PowerUp.OFF,
        rearms: bool = True,
        inputs: int = 0,
        greeting: bytes = b"",
    ) -> None:
        self.number = unit
        self.contacts = [Contact(load) for load in loads]
        self.timer: TimerRelay | None = None
        self.control_modes = [1] * inputs  # of each input: 0 leaves the relay alone
        self.registers: dict[int, int] = {}
        self.at_s = 0.0
        self.answers_after_s = ANSWERS_AFTER_S
        self.faults: set[Fault | WireFault] = set()
        self._ends_s = [FOREVER_S] * len(loads)
        self._then = [False] * len(loads)  # how each stands once its time is over
        self._power_up = power_up
        self._rearms = rearms  # a second flash-on starts the time over
        self._speaks = speaks
        self._greeting = greeting

    @property
    def address(self) -> str:
        return f"modbus:{self.number}"

    # -- relays ---------------------------------------------------------------------------------------------------

    def switch(self, channel: int, *, on: bool) -> None:
        self._contact(channel).on = on
        self._ends_s[channel] = FOREVER_S

    def flash(self, channel: int, seconds: float, *, on: bool = True) -> None:
        contact = self._contact(channel)
        if contact.on is on and self._ends_s[channel] < FOREVER_S and not self._rearms:
            return
        contact.on = on
        self._ends_s[channel], self._then[channel] = self.at_s + seconds, not on

    def _contact(self, channel: int) -> Contact:
        if channel >= len(self.contacts):
            raise Refusal(NO_ADDRESS)
        return self.contacts[channel]

    def wire(self, number: int, *, closed: bool) -> None:
        """The contact at an input, counted from 1: with control mode 1 its relay follows it."""
        if self.control_modes[number - 1]:
            self.switch(number - 1, on=closed)

    def due_s(self) -> float:
        return min(self._ends_s)

    def act(self) -> None:
        for channel, ends_s in enumerate(self._ends_s):
            if ends_s <= self.at_s:
                self.switch(channel, on=self._then[channel])

    def boot(self) -> bytes:
        for channel, contact in enumerate(self.contacts):
            self.switch(channel, on=contact.on if self._power_up is PowerUp.AS_BEFORE else self._power_up is PowerUp.ON)
        return self._greeting

    # -- on the wires ---------------------------------------------------------------------------------------------

    def hear(self, request: bytes) -> bytes:
        try:
            frame = modbus.read_request(request)
        except BadFrame as bad:
            return self._unknown(request) if bad.kind == "unknown" else b""
        if frame.unit not in (self.number, EVERYBODY):
            return b""
        try:
            answer = self._speaks(self, frame)
        except Refusal as refusal:
            answer = modbus.failed(frame, refusal.code)
        unanswered = frame.unit == EVERYBODY and frame.function not in (READ_COILS, READ_HOLDING)
        return b"" if unanswered else modbus.encode(answer)

    def _unknown(self, request: bytes) -> bytes:
        if request[0] != self.number:
            return b""
        return modbus.encode(modbus.failed(Frame(request[0], request[1], b""), NO_FUNCTION))

    def answer(self, frame: Frame) -> Frame:
        """What every board understands."""
        match frame.function:
            case modbus.READ_COILS:
                return self._bits(frame, [contact.on for contact in self.contacts])
            case modbus.READ_INPUTS if self.control_modes:
                return self._bits(frame, [False] * len(self.control_modes))
            case modbus.WRITE_COIL:
                return self._write_coil(frame)
            case modbus.WRITE_COILS:
                self._contact(frame.address + frame.value - 1)  # all, or none
                for channel, on in enumerate(modbus.bits_of(frame), start=frame.address):
                    self.switch(channel, on=on)
                return modbus.answer_written(frame)
            case modbus.READ_HOLDING if frame.value == 1 and frame.address in self.registers:
                return modbus.answer_registers(frame.unit, READ_HOLDING, [self.registers[frame.address]])
            case modbus.READ_HOLDING:
                raise Refusal(NO_ADDRESS)
        raise Refusal(NO_FUNCTION)

    def _bits(self, frame: Frame, bits: Sequence[bool]) -> Frame:
        """Eight are answered even by a board of four."""
        padded = [*bits, *[False] * (8 - len(bits))]
        if frame.address + frame.value > len(padded):
            raise Refusal(NO_ADDRESS)
        return modbus.answer_bits(frame.unit, frame.function, padded[frame.address : frame.address + frame.value])

    def _write_coil(self, frame: Frame) -> Frame:
        if frame.value not in (ON, OFF):
            raise Refusal(NO_VALUE)
        self.switch(frame.address, on=frame.value == ON)
        return frame


Speaks = Callable[[RelayBoard, Frame], Frame]

# -- Waveshare ----------------------------------------------------------------------------------------------------


def waveshare(
    unit: int,
    loads: Sequence[Load],
    *,
    power_up: PowerUp = PowerUp.OFF,
    rearms: bool = True,
    inputs: int = 0,
    version: int = 200,
) -> RelayBoard:
    board = RelayBoard(unit, loads, _waveshare, power_up=power_up, rearms=rearms, inputs=inputs)
    board.registers = {relay_waveshare.UNIT: unit, relay_waveshare.VERSION: version}
    return board


def _waveshare(board: RelayBoard, frame: Frame) -> Frame:
    frame = replace(frame, unit=board.number)  # asked by the address of all, it answers with its own
    if frame.function == WRITE_COIL:
        return _waveshare_coil(board, frame)
    first = frame.address - relay_waveshare.CONTROL_MODE
    if board.control_modes and 0 <= first < len(board.control_modes):
        return _control_mode(board, frame, first)
    return board.answer(frame)


def _waveshare_coil(board: RelayBoard, frame: Frame) -> Frame:
    try:
        means = relay_waveshare.operation(frame)
    except BadFrame as bad:
        raise Refusal(NO_VALUE) from bad
    channels = range(len(board.contacts)) if "all" in means else [int(str(means["channel"]))]
    for channel in channels:
        match means["operation"]:
            case "flash_on" | "flash_off" as flash:
                board.flash(channel, frame.value / 10, on=flash == "flash_on")
            case "toggle":
                board.switch(channel, on=not board.contacts[channel].on)
            case word:
                board.switch(channel, on=word == "on")
    return frame


def _control_mode(board: RelayBoard, frame: Frame, first: int) -> Frame:
    match frame.function:
        case modbus.READ_HOLDING if first + frame.value <= len(board.control_modes):
            modes = board.control_modes[first : first + frame.value]
            return modbus.answer_registers(frame.unit, READ_HOLDING, modes)
        case modbus.WRITE_REGISTER:
            board.control_modes[first] = frame.value
            return frame
        case modbus.WRITE_REGISTERS if first + frame.value <= len(board.control_modes):
            board.control_modes[first : first + frame.value] = modbus.registers_of(frame)
            return modbus.answer_written(frame)
    raise Refusal(NO_ADDRESS)


# -- LC -----------------------------------------------------------------------------------------------------------


def lc(
    unit: int,
    loads: Sequence[Load],
    *,
    power_up: PowerUp = PowerUp.OFF,
    rearms: bool = True,
    greeting: bytes = b"",
) -> RelayBoard:
    """Some say something by themselves when the mains return."""
    board = RelayBoard(unit, loads, _lc, power_up=power_up, rearms=rearms, greeting=greeting)
    board.registers = {relay_lc.UNIT: unit, relay_lc.BAUD_READ: 3}
    return board


def _lc(board: RelayBoard, frame: Frame) -> Frame:
    if frame.function != modbus.WRITE_REGISTERS:
        return board.answer(frame)
    try:
        means = relay_lc.operation(frame)
    except BadFrame as bad:
        raise Refusal(NO_VALUE) from bad
    match means.get("operation"):
        case "flash_on" | "flash_off" as flash:
            seconds = modbus.registers_of(frame)[1] / 10
            board.flash(int(str(means["channel"])), seconds, on=flash == "flash_on")
        case "set_address":
            board.number = board.registers[relay_lc.UNIT] = int(str(means["new_unit"]))
        case None:
            raise Refusal(NO_ADDRESS)
    return modbus.answer_written(frame)


# -- coils and nothing else ---------------------------------------------------------------------------------------


def coil_board(
    unit: int,
    loads: Sequence[Load],
    *,
    power_up: PowerUp = PowerUp.OFF,
    watchdog: tuple[float, int] | None = None,
) -> RelayBoard:
    """`watchdog`: seconds and the channel that must be pulsed within them, or a timer relay cuts the whole board."""
    board = RelayBoard(unit, loads, RelayBoard.answer, power_up=power_up)
    if watchdog is not None:
        board.timer = TimerRelay(board.contacts[watchdog[1]], watchdog[0])
    return board
