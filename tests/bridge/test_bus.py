"""One owner of one line: OFF first, nothing stale, and no answer taken for another's."""

from collections.abc import Callable, Sequence

import pytest

from firmware_bridge.codecs import dlt645, modbus, relay_lc, relay_waveshare
from firmware_bridge.transports.bus import BACK_OFF_MAX, LATE_S, Bus
from firmware_bridge.transports.bus_queue import ON_WAITS_S
from firmware_bridge.transports.memory_bus import MemoryBus
from firmware_bridge.transports.pace import Pace
from firmware_bridge.wire import Message, Transport

PACE = Pace()
Answers = Sequence[tuple[float, bytes]]


def question(unit: int = 11, address: int = 0, count: int = 10) -> Message:
    payload = modbus.encode(modbus.ask(unit, modbus.READ_REGISTERS, address, count))
    return Message(f"shed-1/modbus:{unit}", payload)


def on(unit: int = 1, channel: int = 0, lease_s: float = 120.0) -> Message:
    payload = modbus.encode(relay_waveshare.flash_on(unit, channel, lease_s))
    return Message(f"shed-1/modbus:{unit}", payload, slot=f"relay:{channel}")


def off(unit: int = 1, channel: int = 0) -> Message:
    payload = modbus.encode(relay_waveshare.switch_off(unit, channel))
    return Message(f"shed-1/modbus:{unit}", payload, slot=f"relay:{channel}")


def reply(request: bytes, values: Sequence[int] = ()) -> bytes:
    frame = modbus.read_request(request)
    if frame.function == modbus.READ_REGISTERS:
        return modbus.encode(modbus.answer_registers(frame.unit, frame.function, values or range(frame.value)))
    return modbus.encode(modbus.answer_written(frame))


def well(request: bytes, now_s: float) -> Answers:
    return [(0.01, reply(request))]


class Shed:
    """A bus whose other end is `answer`; what was said and what was told, in order."""

    def __init__(self, answer: Callable[[bytes, float], Answers] = well, echo: bool = False) -> None:
        self.said: list[bytes] = []
        self.said_s: list[float] = []
        self.told: list[Message] = []
        self.links: list[bool] = []
        self.answer = answer
        self.line = MemoryBus(PACE, self._answered, echo=echo)
        self.line.start(self.told.append, self.links.append)
        self.run(1.0)

    def _answered(self, request: bytes, now_s: float) -> Answers:
        self.said.append(request)
        self.said_s.append(now_s)
        return self.answer(request, now_s)

    def run(self, seconds: float) -> None:
        self.line.run(self.line.now_s + seconds)

    def put(self, *messages: Message, urgent: bool = False) -> None:
        assert {self.line.send(message, urgent) for message in messages} <= {True}

    def faults(self) -> list[str]:
        return [message.fault for message in self.told]


def test_it_is_a_transport() -> None:
    transport: Transport = MemoryBus(PACE, well)

    assert not transport.send(off(), urgent=True)  # before the start


def test_a_question_is_answered_by_its_unit() -> None:
    shed = Shed()
    shed.put(question())
    shed.run(1.0)

    assert shed.told == [Message("shed-1/modbus:11", reply(question().payload), asked=question().payload)]


def test_a_meter_of_dlt645_is_answered_without_its_preamble() -> None:
    asked = dlt645.encode(dlt645.ask("000012345678", "00010000"))
    told = dlt645.encode(dlt645.answer("000012345678", dlt645.READ, bytes.fromhex("0000010078563412")))
    shed = Shed(lambda request, now_s: [(0.4, told)])
    shed.put(Message("shed-1/dlt645:000012345678", asked))
    shed.run(2.0)

    assert shed.told == [Message("shed-1/dlt645:000012345678", told.lstrip(b"\xfe"), asked=asked)]


def test_an_off_is_said_before_all_that_waits() -> None:
    shed = Shed()
    shed.put(question(11), question(12), on(2))
    shed.put(off(), urgent=True)
    shed.run(2.0)

    assert shed.said == [off().payload, on(2).payload, question(11).payload, question(12).payload]


def test_a_question_in_the_train_of_an_off_is_no_off() -> None:
    shed = Shed(lambda request, now_s: [])
    shed.put(off(), question(11), question(12), urgent=True)
    shed.put(off(2), urgent=True)
    shed.run(0.9)

    assert shed.said[:2] == [off().payload, off(2).payload]
    assert shed.said.count(question(11).payload) < 2


def test_an_off_takes_the_place_of_the_on_before_it() -> None:
    shed = Shed()
    shed.put(on())
    shed.put(off(), urgent=True)
    shed.run(2.0)

    assert shed.said == [off().payload]


def test_an_on_decided_after_an_off_follows_it() -> None:
    shed = Shed()
    shed.put(off(), urgent=True)
    shed.put(on(lease_s=60))
    shed.put(on(lease_s=90))
    shed.run(2.0)

    assert shed.said == [off().payload, on(lease_s=90).payload]


def test_an_off_without_an_answer_is_said_three_times_and_an_on_once() -> None:
    shed = Shed(lambda request, now_s: [])
    shed.put(off(), urgent=True)
    shed.run(2.0)
    shed.put(on(2))
    shed.run(2.0)

    assert shed.said == [off().payload] * 3 + [on(2).payload]
    assert shed.faults() == ["silent"] * 4


def test_an_off_is_not_repeated_after_a_newer_wish() -> None:
    shed = Shed(lambda request, now_s: [] if request == off().payload else well(request, now_s))
    shed.put(off(), urgent=True)
    shed.run(0.1)
    shed.put(on())
    shed.run(2.5)

    assert shed.said == [off().payload, on().payload]


def test_an_on_that_waited_too_long_is_never_said() -> None:
    shed = Shed(lambda request, now_s: [])
    shed.put(*(off(unit) for unit in range(10, 30)), urgent=True)
    shed.put(on(1))
    shed.run(ON_WAITS_S + 60)

    assert on(1).payload not in shed.said
    assert Message("shed-1/modbus:1", b"", asked=on(1).payload, fault="expired") in shed.told


def test_a_read_is_asked_once_more_and_not_at_once() -> None:
    shed = Shed(lambda request, now_s: [])
    shed.put(question())
    shed.run(5.0)

    assert shed.said == [question().payload] * 2
    assert shed.said_s[1] - shed.said_s[0] > LATE_S


def test_a_question_that_waits_is_not_asked_twice() -> None:
    shed = Shed()
    shed.put(question(), question(), question(12), question())
    shed.run(2.0)

    assert shed.said == [question().payload, question(12).payload]


FAULTS = {
    "silent": b"",
    "crc": reply(question().payload)[:-1] + b"\x01",
    "truncated": reply(question().payload)[:-3],
    "wrong_unit": reply(question(12).payload),
    "wrong_function": modbus.encode(modbus.answer_registers(11, modbus.READ_HOLDING, range(10))),
    "malformed": reply(question(count=9).payload),
    "echo": question().payload,
    "exception": modbus.encode(modbus.failed(modbus.ask(11, modbus.READ_REGISTERS, 0, 10), 2)),
    "collision": reply(question().payload) + reply(question().payload, [1] * 10),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_its_name(fault: str) -> None:
    shed = Shed(lambda request, now_s: [(0.01, FAULTS[fault])])
    shed.put(question())
    shed.run(0.9)

    assert shed.faults() == [fault]
    assert shed.told[0].payload == (FAULTS[fault] if fault == "exception" else b"")


def test_zeros_around_an_answer_and_an_answer_said_twice_are_no_fault() -> None:
    shed = Shed(lambda request, now_s: [(0.01, b"\0\0" + reply(request) * 2 + b"\0")])
    shed.put(question())
    shed.run(1.0)

    assert shed.faults() == [""]


def test_an_answer_that_comes_late_is_none_to_the_next_question() -> None:
    late = [(0.5, reply(question(address=0, count=2).payload, [7, 7]))]
    shed = Shed(lambda request, now_s: late if len(shed.said) == 1 else well(request, now_s))
    shed.put(question(address=0, count=2), question(address=6, count=2), question(12))
    shed.run(5.0)

    assert shed.faults()[0] == "silent"
    assert "late" in shed.faults()
    assert [m for m in shed.told if m.payload and m.asked == question(address=6, count=2).payload] == [
        Message(
            "shed-1/modbus:11", reply(question(address=6, count=2).payload), asked=question(address=6, count=2).payload
        )
    ]


def test_what_follows_an_answer_is_none_to_the_next_question_and_betrays_a_second_unit() -> None:
    shed = Shed(lambda request, now_s: [(0.01, reply(request, [len(shed.said)] * 2)), (0.045, reply(request, [9, 9]))])
    shed.put(question(address=0, count=2), question(address=6, count=2))
    shed.run(5.0)

    assert [message.payload[4] for message in shed.told if message.payload] == [1, 2]
    assert sorted(shed.faults()) == ["", "", "collision"]


def test_the_copy_of_an_answer_betrays_nobody() -> None:
    shed = Shed(lambda request, now_s: [(0.01, reply(request)), (0.045, reply(request))])
    shed.put(question(address=0, count=2), question(address=6, count=2))
    shed.run(5.0)

    assert shed.faults() == ["", ""]


def test_an_answer_of_a_wrong_length_betrays_nobody_either() -> None:
    shed = Shed(lambda request, now_s: [(0.01, reply(request, [1] * len(shed.said)))])
    shed.put(question(address=0, count=1))
    shed.run(2.0)
    shed.put(question(address=6, count=3))
    shed.run(5.0)

    assert "collision" not in shed.faults()
    assert "malformed" in shed.faults()


def test_an_echo_is_no_answer_on_a_line_that_is_known_to_echo() -> None:
    shed = Shed(echo=True)
    shed.put(question())
    shed.run(1.0)
    shed.put(off(), urgent=True)
    shed.run(1.0)
    shed.answer = lambda request, now_s: []
    shed.put(off(), urgent=True)
    shed.run(3.0)

    assert shed.line.bus.echoes is True
    assert shed.faults() == ["", "", "echo", "echo", "echo"]


def test_a_dead_unit_is_asked_less_and_less_and_the_living_as_ever() -> None:
    shed = Shed(lambda request, now_s: well(request, now_s) if request[0] == 12 else [])
    for _ in range(300):
        shed.put(question(11), question(12))
        shed.run(1.0)

    dead = [s for s, said in zip(shed.said_s, shed.said, strict=True) if said[0] == 11]
    assert shed.said.count(question(12).payload) > 290
    assert len(dead) < 15
    assert dead[-1] - dead[-2] >= BACK_OFF_MAX


def test_a_dead_unit_delays_the_offs_of_the_living_no_more_than_once() -> None:
    shed = Shed(lambda request, now_s: well(request, now_s) if request[0] == 2 else [])
    shed.put(question(1))
    shed.run(10.0)
    shed.put(question(1))
    shed.run(10.0)
    shed.said.clear()
    shed.put(off(1, 0), off(1, 1), off(1, 2), off(2), urgent=True)
    shed.run(10.0)

    assert shed.said.index(off(2).payload) == 0


def test_a_request_to_another_unit_than_its_address_is_refused() -> None:
    shed = Shed()

    assert not shed.line.send(Message("shed-1/modbus:2", off(1).payload, slot="relay:0"), urgent=True)
    assert shed.line.bus.counts["no_request"] == 1


def test_nothing_is_kept_for_after_the_line_was_down() -> None:
    shed = Shed()
    shed.put(on(), question())
    shed.put(off(2), urgent=True)
    shed.line.cut()
    refused = shed.line.send(off(), urgent=True)
    shed.line.restore()
    shed.run(10.0)

    assert (refused, shed.said, shed.links) == (False, [], [True, False, True])
    assert (shed.line.bus.counts["off_lost"], shed.line.bus.counts["off_while_down"]) == (1, 1)


def test_an_off_waits_for_no_more_than_the_exchange_under_way_and_for_no_babble() -> None:
    bus = Bus(PACE)
    bus.opened(0.0)
    bus.put(off(), True, 1.0)
    said_s = None
    for tick in range(1_000):
        now_s = 1.0 + tick / 1_000
        bus.hear(b"\x55", now_s)
        if bus.turn(now_s).write:
            said_s = now_s
            break

    assert said_s is not None
    assert said_s < 1.11


def test_an_off_that_a_late_answer_could_confirm_is_said_again() -> None:
    def lc(request: bytes, now_s: float) -> Answers:
        return [(0.25, reply(request))] if len(shed.said) == 1 else []

    shed = Shed(lc)
    flash = modbus.encode(relay_lc.flash_on(1, 0, 60.0))
    clear = modbus.encode(modbus.write_registers(1, 3, [0, 0]))
    shed.put(Message("shed-1/modbus:1", flash, slot="relay:0"))
    shed.run(0.25)
    shed.put(Message("shed-1/modbus:1", clear, slot="relay:0"), urgent=True)
    shed.run(3.0)

    assert shed.said == [flash, clear, clear, clear]
    assert "" not in shed.faults()


def test_nonsense_right_after_opening_answers_nothing_and_nothing_leaves_into_it() -> None:
    bus = Bus(PACE)
    bus.opened(1.0)
    bus.put(question(), False, 1.0)
    bus.hear(reply(question().payload), 1.05)

    assert not bus.turn(1.09).write
    due_s = bus.next_due_s()
    assert due_s is not None
    assert due_s > 1.1
    assert bus.turn(due_s).write == question().payload


def test_three_answers_without_an_echo_say_that_the_line_has_none() -> None:
    shed = Shed(echo=True)
    shed.put(question())
    shed.run(1.0)
    shed.line.echo = False
    known = []
    for unit in (11, 12, 13):
        shed.put(question(unit))
        shed.run(1.0)
        known.append(shed.line.bus.echoes)

    assert known == [True, True, False]


def test_a_babbling_line_is_heard_so_far_and_no_further() -> None:
    bus = Bus(PACE)
    bus.opened(0.0)
    bus.put(question(), False, 1.0)
    bus.turn(1.0)
    for tick in range(2_000):
        bus.hear(b"\x0b\x04\xf8", 1.0 + tick / 10_000)

    told = bus.turn(2.0).told
    assert [message.fault for message in told] == ["crc"]


@pytest.mark.parametrize("preamble", [4, 0])
def test_a_meter_of_dlt645_is_heard_behind_an_echo_that_lost_its_preamble(preamble: int) -> None:
    asked = dlt645.ask("000012345678", "00010000")
    told = dlt645.encode(dlt645.answer("000012345678", dlt645.READ, bytes.fromhex("0000010078563412")), 0)
    echoed = dlt645.encode(asked, preamble)
    shed = Shed(lambda request, now_s: [(0.0, echoed), (0.3, told)] if len(shed.said) == 1 else [(0.0, echoed)])
    shed.put(Message("shed-1/dlt645:000012345678", dlt645.encode(asked)))
    shed.run(1.0)
    shed.put(Message("shed-1/dlt645:000012345678", dlt645.encode(asked)))
    shed.run(1.0)

    assert (shed.faults(), shed.told[0].payload) == (["", "echo"], told)


def test_a_line_is_deaf_for_as_long_as_it_was_asked_in_vain_and_not_while_nobody_asked() -> None:
    shed = Shed(lambda request, now_s: [])
    for unit in range(1, 6):
        shed.put(off(unit), urgent=True)
    shed.run(60.0)
    deaf_s = shed.line.bus.deaf_s
    shed.run(3600.0)

    assert 1.0 < deaf_s < 10.0
    assert shed.line.bus.deaf_s == deaf_s
    shed.answer = well
    shed.put(question())
    shed.run(1.0)
    assert shed.line.bus.deaf_s == 0.0
