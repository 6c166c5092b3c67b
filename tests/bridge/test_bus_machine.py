"""Whatever is put, heard or left unanswered in whatever order: no ON after a later OFF, no answer to another question.

A unit may answer at once, late, twice, wrongly or never; what it says is marked with the request that it answers.
"""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from firmware_bridge.codecs import modbus, relay_waveshare
from firmware_bridge.transports.bus import LATE_S, TWICE_S, Bus
from firmware_bridge.transports.bus_queue import ON_WAITS_S
from firmware_bridge.transports.pace import Pace
from firmware_bridge.wire import Message

PACE = Pace()
UNITS, CHANNELS = st.integers(1, 2), st.integers(0, 1)
SPANS = st.sampled_from([(0, 2), (6, 2), (6, 3)])  # two whose answers look alike, one whose answer does not


def message(frame: modbus.Frame, slot: str = "") -> Message:
    return Message(f"shed-1/modbus:{frame.unit}", modbus.encode(frame), slot=slot)


class Answer:
    """What a unit has to say to one request."""

    def __init__(self, request: bytes, number: int, due_s: float) -> None:
        self.request, self.number = request, number
        self.until_s = due_s
        self.said = 0
        self.refused = False

    def payload(self) -> bytes:
        frame = modbus.read_request(self.request)
        if self.refused:
            return modbus.encode(modbus.failed(frame, self.number % 256))
        if frame.function == modbus.WRITE_COIL:
            return modbus.encode(modbus.answer_written(frame))
        return modbus.encode(modbus.answer_registers(frame.unit, frame.function, [self.number] * frame.value))


class OneOwner(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.bus = Bus(PACE)
        self.now_s = 1.0
        self.bus.opened(0.0)
        self.number = 0
        self.put: dict[bytes, tuple[int, float]] = {}  # by an ON's bytes, which are never the same: when
        self.offs: dict[tuple[str, str], int] = {}
        self.offs_waiting: dict[tuple[str, str], int] = {}
        self.slots: dict[bytes, tuple[str, str]] = {}
        self.answers: list[Answer] = []
        self.by_number: dict[int, bytes] = {}

    def _next(self) -> int:
        self.number += 1
        return self.number

    @rule(unit=UNITS, channel=CHANNELS)
    def decide_on(self, unit: int, channel: int) -> None:
        number = self._next()
        on = message(relay_waveshare.flash_on(unit, channel, number / 10), f"relay:{channel}")
        if self.bus.put(on, False, self.now_s):
            self.put[on.payload] = (number, self.now_s)
            self.slots[on.payload] = (on.address, on.slot)

    @rule(unit=UNITS, channel=CHANNELS)
    def decide_off(self, unit: int, channel: int) -> None:
        off = message(relay_waveshare.switch_off(unit, channel), f"relay:{channel}")
        assert self.bus.put(off, True, self.now_s)
        slot = self.slots[off.payload] = off.address, off.slot
        self.offs[slot] = self.offs_waiting[slot] = self._next()

    @rule(unit=UNITS, span=SPANS)
    def ask(self, unit: int, span: tuple[int, int]) -> None:
        self.bus.put(message(modbus.ask(unit, modbus.READ_REGISTERS, *span)), False, self.now_s)

    @rule(seconds=st.sampled_from([0.001, 0.004, 0.02, 0.1, 0.3, 1.0]))
    def time_passes(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while (due_s := self.bus.next_due_s()) is not None and due_s <= until_s:
            self.now_s = max(self.now_s, due_s)
            self._turn()
        self.now_s = until_s
        self._turn()

    @rule(answered=st.integers(1, 4))
    def the_units_are_well(self, answered: int) -> None:
        for _ in range(answered):
            said = len(self.answers)
            while len(self.answers) == said and (due_s := self.bus.next_due_s()) is not None:
                self.now_s = max(self.now_s, due_s)
                self._turn()
            for answer in self.answers[said:]:
                answer.said += 1
                answer.until_s = self.now_s + 2 * TWICE_S
                self.by_number[answer.number] = answer.request
                self.now_s += TWICE_S
                self.bus.hear(answer.payload(), self.now_s)

    @precondition(lambda self: self.answers)
    @rule(
        data=st.data(), refused=st.booleans(), cut=st.integers(0, 6), noise=st.sampled_from([b"", b"\0", b"\x01\x04"])
    )
    def a_unit_answers(self, data: Any, refused: bool, cut: int, noise: bytes) -> None:
        self.answers = [answer for answer in self.answers if self.now_s <= answer.until_s and answer.said < 2]
        if not self.answers:
            return
        answer = data.draw(st.sampled_from(self.answers))
        answer.refused = answer.refused if answer.said else refused  # a copy is one
        answer.said += 1
        answer.until_s = min(answer.until_s, self.now_s + TWICE_S)
        self.by_number[answer.number] = answer.request
        payload = answer.payload()
        self.bus.hear(noise + payload[: len(payload) - (cut if cut < 3 else 0)], self.now_s)
        self._turn()

    def _turn(self) -> None:
        turn = self.bus.turn(self.now_s)
        for told in turn.told:
            self._told(told)
        if turn.write:
            self._written(turn.write)

    def _written(self, request: bytes) -> None:
        frame = modbus.read_request(request)
        size = 8 if frame.function == modbus.WRITE_COIL else 5 + 2 * frame.value
        due_s = self.now_s + PACE.answer_within_s("modbus", len(request), size) + LATE_S
        self.answers.append(Answer(request, self._next(), due_s))
        if frame.function != modbus.WRITE_COIL:
            return
        slot = self.slots[request]
        if frame.value == modbus.OFF:
            self.offs_waiting.pop(slot, None)
            return
        put, put_s = self.put.pop(request)  # and is never said again
        assert put > self.offs.get(slot, 0)
        assert slot not in self.offs_waiting
        assert self.now_s - put_s <= ON_WAITS_S

    def _told(self, told: Message) -> None:
        if not told.payload:
            return
        frame = modbus.read_reply(told.payload)
        if frame.failure is not None:
            answered = {self.by_number[number] for number in self.by_number if number % 256 == frame.failure}
            assert told.asked in answered
        elif frame.function == modbus.WRITE_COIL:
            assert told.asked == told.payload
        else:
            assert told.asked == self.by_number[modbus.registers_of(frame)[0]]


TestOneOwner = OneOwner.TestCase
TestOneOwner.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
