"""Looking for everybody on a bus: found, odd or silent; beside the traffic of those who serve, and harming nobody."""

from collections.abc import Sequence
from itertools import count, pairwise
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.events import Event, PileFound, Reading, Stamp
from controller.ports import Oddity, Scanned
from firmware_bridge.drivers import ON_BUS
from firmware_bridge.gate import Gates
from firmware_bridge.router import Router
from firmware_bridge.scan import AT_ONCE, FOR_ALL, LOST_S, SEVERAL, UNKNOWN, Scan
from firmware_bridge.scan_alone import scan_alone
from firmware_bridge.strangers import PUMP_S
from firmware_bridge.transports.memory_bus import MemoryBus
from firmware_bridge.transports.pace import Pace
from firmware_bridge.wire import BusFamily, Capabilities, LeaseClass, Message, Pile, SwitchOn
from simulators.twins.line import Line, WireFault
from simulators.twins.lines import BOARD, wired
from simulators.twins.meter_units import pzem_unit
from simulators.twins.relay_boards import waveshare
from tests.bridge.test_router import Driver
from tests.bridge.yard import Lamp

T0 = 1_800_000_000.0
SHEDS = count(1)


class Kind:
    """A family of a few units, asked one question each."""

    DISCOVERY: tuple[str, ...] = ()
    CAPABILITIES = Capabilities(LeaseClass.METERING_ONLY, 900, meters=True)

    def __init__(self, name: str, units: int, question: bytes) -> None:
        self.NAME = name
        self.UNITS: Sequence[str] = [f"modbus:{unit}" for unit in range(1, units + 1)]
        self.question = question

    def probes(self, address: str) -> Sequence[Message]:
        return [Message(address, self.question)]

    def discover(self, message: Message, now: Stamp) -> Sequence[PileFound]:
        return ()

    def introduce(self, message: Message) -> Sequence[Message]:
        return ()

    def open(self, pile: Pile) -> Driver:
        return Driver(pile)

    def retained_commands(self, pile: Pile) -> Sequence[str]:
        return ()


def kinds(*units: int) -> dict[str, BusFamily]:
    return {f"k{place}": Kind(f"k{place}", many, b"q%d" % place) for place, many in enumerate(units)}


def silent(question: Message) -> Message:
    return Message(question.address, b"", asked=question.payload, fault="silent")


def answer(question: Message, fault: str = "") -> Message:
    return Message(question.address, b"" if fault else b"a", asked=question.payload, fault=fault)


def gone_through(scan: Scan, *odd: Message) -> list[Message]:
    """All its questions, answered by silence but for these."""
    said = {(message.address, message.asked): message for message in odd}
    asked: list[Message] = []
    for turn in range(10_000):
        if scan.done:
            return asked
        for question in scan.next(turn * LOST_S):
            asked.append(question)
            scan.heard(said.get((question.address, question.payload), silent(question)))
    raise AssertionError("it never ends")


# -- the scan itself ----------------------------------------------------------------------------------------------


def test_every_family_asks_at_every_address_it_may_have_once_and_the_likely_first() -> None:
    asked = gone_through(Scan("b", kinds(300, 40)))

    assert len(asked) == len({(message.address, message.payload) for message in asked}) == 340 - len(FOR_ALL)
    assert {message.address for message in asked[:64]} == {f"b/modbus:{unit}" for unit in range(1, 33)}


def test_what_two_families_ask_alike_is_asked_once() -> None:
    twins: dict[str, BusFamily] = {"k0": Kind("k0", 3, b"same"), "k1": Kind("k1", 3, b"same")}

    assert len(gone_through(Scan("b", twins))) == 3


def test_few_are_under_way_and_one_without_any_answer_is_given_up() -> None:
    scan = Scan("b", kinds(5))

    assert len(scan.next(0.0)) == AT_ONCE
    assert scan.next(LOST_S - 1) == []
    assert len(scan.next(LOST_S)) == AT_ONCE


def test_a_question_that_could_not_leave_is_asked_again() -> None:
    scan = Scan("b", kinds(3))
    first, second = scan.next(0.0)
    scan.unsent(first)
    scan.heard(silent(second))

    assert first in scan.next(0.0)
    scan.heard(silent(first))
    gone_through(scan)
    assert (scan.result().asked, scan.result().total) == (3, 3)


def test_silence_is_no_fault_and_what_answers_oddly_is_named() -> None:
    scan = Scan("b", kinds(9, 9))
    at = {unit: Message(f"b/modbus:{unit}", b"q0") for unit in range(1, 10)}
    scan.found("k0", "b/modbus:4", "b/modbus:4")
    scan.found("k0", "b/modbus:5", "b/modbus:5")
    scan.found("k1", "b/modbus:5", "b/modbus:5")
    gone_through(
        scan,
        answer(at[1], "crc"),
        answer(at[2]),
        answer(at[3], "exception"),
        answer(at[4], "exception"),  # known by another answer: it may refuse what others would not
    )

    result = scan.result()
    assert sorted((odd.address, odd.fault) for odd in result.odd) == [
        ("b/modbus:1", "crc"),
        ("b/modbus:2", UNKNOWN),
        ("b/modbus:3", "exception"),
        ("b/modbus:5", SEVERAL),
    ]
    assert result.found == ["k0:b/modbus:4", "k0:b/modbus:5", "k1:b/modbus:5"]


def test_who_refuses_one_familys_question_is_not_called_odd_before_all_have_asked() -> None:
    scan = Scan("b", kinds(1, 1))
    first, _ = scan.next(0.0)
    scan.heard(answer(first, "exception"))

    assert scan.result().odd == []
    gone_through(scan)
    assert scan.result().odd == [Oddity("b/modbus:1", "exception")]


def test_who_is_ours_is_not_asked_even_if_adopted_meanwhile() -> None:
    ours = {"b/modbus:1"}
    scan = Scan("b", kinds(3), ours)
    ours.add("b/modbus:3")

    assert [message.address for message in gone_through(scan)] == ["b/modbus:2"]


def test_a_device_of_another_bus_is_none_of_this_scans() -> None:
    scan = Scan("b", kinds(1))
    scan.found("k0", "c/modbus:1", "c/modbus:1")

    assert scan.result().found == []


@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["", "silent", "crc", "late"]), st.booleans())))
@settings(max_examples=60, deadline=None)
def test_whatever_is_heard_a_scan_ends_with_each_question_done_once(story: list[tuple[int, str, bool]]) -> None:
    """Doubled, late and foreign answers, and questions that could not leave."""
    scan = Scan("b", kinds(4, 2))
    now_s = 0.0
    for unit, fault, lose in story:
        for question in scan.next(now_s):
            if lose:
                scan.unsent(question)
        scan.heard(answer(Message(f"b/modbus:{unit}", b"q0"), fault))
        now_s += 1.0
    gone_through(scan)

    assert scan.result().asked == scan.result().total == 6


# -- on a line ----------------------------------------------------------------------------------------------------


class Shed:
    """A router on a line in memory; its families have the first units alone, for silence takes its time."""

    def __init__(self, line: Line, units: int = 16) -> None:
        self.name = f"scan-{next(SHEDS)}"
        self.line = line
        self.bus = MemoryBus(Pace(), lambda request, now_s: line(request, T0 + now_s))
        self.told: list[Event] = []
        some: dict[str, Any] = {
            name: SimpleNamespace(**{**vars(family), "UNITS": family.UNITS[:units]}) for name, family in ON_BUS.items()
        }
        self.gates = Gates(self.now)
        self.families: dict[str, BusFamily] = some
        self.router = Router(some, self.bus, self.gates, self.now, self.told.append, lambda trip: None)
        self.bus.start(self.router.receive, self.router.linked)

    def now(self) -> Stamp:
        return Stamp(T0 + self.bus.now_s, self.bus.now_s)

    def run(self, seconds: float) -> None:
        end_s = self.bus.now_s + seconds
        while self.bus.now_s < end_s:
            self.router.ask_round()
            self.bus.run(self.bus.now_s + PUMP_S)

    def scanned(self) -> Scanned:
        assert self.router.strangers.scan(self.name)
        for _ in range(60):
            self.run(10.0)
            result = self.router.strangers.scanned()
            if result is not None and result.done:
                return result
        raise AssertionError("it never ends")

    @property
    def found(self) -> set[str]:
        return {f"{event.family}:{event.address}" for event in self.told if isinstance(event, PileFound)}


def board_of_two() -> Line:
    return wired(waveshare(1, [Lamp(60.0), Lamp(80.0)]), "pzem-004t", T0)


def test_a_board_its_meters_and_a_unit_with_bad_checksums_are_told_apart() -> None:
    line = board_of_two()
    line.add(pzem_unit(7, line.circuit(BOARD, 0)))
    line.inject(WireFault.CRC, T0, "modbus:7")
    shed = Shed(line)

    result = shed.scanned()

    assert set(result.found) == shed.found
    assert shed.found == {
        f"pzem-004t:{shed.name}/modbus:11",
        f"pzem-004t:{shed.name}/modbus:12",
        f"waveshare-relay:{shed.name}/modbus:1",
    }
    [odd] = result.odd
    assert odd.address == f"{shed.name}/modbus:7"
    assert odd.fault in ("crc", "malformed")
    assert not [name for name in shed.router.counts if name.startswith("bad:")]
    assert not line.powered(BOARD, 0)


def test_two_units_at_one_address_are_odd_whatever_they_look_like() -> None:
    line = board_of_two()
    line.add(pzem_unit(1, line.circuit(BOARD, 0)))
    shed = Shed(line)

    result = shed.scanned()

    assert [odd.address for odd in result.odd] == [f"{shed.name}/modbus:1"]
    assert result.odd[0].fault not in ("exception", UNKNOWN)


def test_an_adopted_board_serves_on_while_its_bus_is_scanned() -> None:
    shed = Shed(board_of_two())
    meter = {"family": "pzem-004t", "address": f"{shed.name}/modbus:11"}
    meters: dict[str, object] = {"meters": [meter, *[None] * 7]}
    shed.router.open(Pile("p", "waveshare-relay", f"{shed.name}/modbus:1", ("o1", *[""] * 7), meters))
    shed.run(30.0)
    served = [shed.told.count(event) for event in shed.told if isinstance(event, Reading)]
    shed.told.clear()

    result = shed.scanned()

    readings = [event.steady_s for event in shed.told if isinstance(event, Reading)]
    gaps = [after - before for before, after in pairwise(readings)]
    assert served
    assert max(gaps) < 7.0  # asked each 5 s, and never behind more than what is under way
    assert shed.router.faults("o1") == {}
    assert result.found == [f"pzem-004t:{shed.name}/modbus:12"]


def test_an_off_waits_for_no_more_of_a_scan_than_the_exchange_under_way() -> None:
    shed = Shed(board_of_two())
    meter = {"family": "pzem-004t", "address": f"{shed.name}/modbus:11"}
    shed.router.open(Pile("p", "waveshare-relay", f"{shed.name}/modbus:1", ("o1",), {"meters": [meter]}))
    shed.run(12.0)
    [on, *_] = (
        ON_BUS["waveshare-relay"]
        .open(Pile("q", "waveshare-relay", f"{shed.name}/modbus:1", ("x",), {}))
        .orders(SwitchOn(0, 120.0))
    )
    shed.bus.send(on)
    shed.run(2.0)
    assert shed.line.powered(BOARD, 0)
    shed.router.strangers.scan(shed.name)
    shed.run(5.03)

    shed.gates.off("o1")
    shed.bus.run(shed.bus.now_s + 0.6)

    shed.line.advance(T0 + shed.bus.now_s)
    assert not shed.line.powered(BOARD, 0)


def test_a_scan_of_a_line_that_is_down_waits_and_goes_on() -> None:
    shed = Shed(board_of_two())
    shed.router.strangers.scan(shed.name)
    shed.run(3.0)
    shed.bus.cut()
    shed.run(100.0)
    result = shed.router.strangers.scanned()
    assert result is not None
    assert not result.done

    shed.bus.restore()
    shed.run(400.0)
    result = shed.router.strangers.scanned()
    assert result is not None
    assert result.done
    assert len(result.found) == 3


def test_a_line_can_be_scanned_where_no_gateway_runs() -> None:
    shed = Shed(board_of_two())
    told = list(
        scan_alone("b", shed.bus, shed.families, shed.now, lambda seconds: shed.bus.run(shed.bus.now_s + seconds))
    )

    assert told[-1].done
    assert sorted(told[-1].found) == ["pzem-004t:b/modbus:11", "pzem-004t:b/modbus:12", "waveshare-relay:b/modbus:1"]
    assert not shed.bus.bus.up  # given back
    assert not shed.line.powered(BOARD, 0)
