"""Others' Modbus and DL/T 645 on the far end of our twins and of our drivers: they did not read our code."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import pytest
from dlt645.model.data import data_handler
from dlt645.model.data.define import DIMap
from dlt645.protocol.protocol import DLT645Protocol
from dlt645.service.clientsvc.client_service import MeterClientService
from dlt645.service.serversvc import server_service
from dlt645.service.serversvc.server_service import MeterServerService
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ModbusPDU, bit_message, register_message
from pymodbus.simulator import DataType, SimData, SimDevice
from pymodbus.simulator.simcore import SimCore

from controller.core import events as ev
from firmware_bridge.drivers import ON_BUS
from firmware_bridge.transports.memory_bus import Answer, MemoryBus
from firmware_bridge.transports.pace import Pace
from firmware_bridge.wire import Message, Pile, SwitchOff, SwitchOn, Wish
from simulators.twins.contact import Fault
from simulators.twins.line import Line
from simulators.twins.lines import BOARD, LINES, wired
from simulators.twins.meter_units import dlt645_unit
from simulators.twins.relay_boards import lc, waveshare
from tests.bridge.on_a_bus import Lamp

T0 = 1_800_000_000.0
MASTER, SLAVE = FramerRTU(DecodePDU(False)), FramerRTU(DecodePDU(True))
FLOAT = ModbusClientMixin.DATATYPE.FLOAT32
METER = "000000000161"
WIRE = "610100000000"  # its digits in the order of the wire, as their client has it


@pytest.fixture(autouse=True)
def _quick_and_quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each of their meters would copy thousands of quantities; and they log, at length, what somebody may not do."""
    kept = {di: DIMap[di] for di in (0x00010000, 0x00020000, 0x02010100, 0x02030000, 0x04000401)}
    monkeypatch.setattr(server_service, "clone_data_map", lambda: deepcopy(kept))
    monkeypatch.setattr(data_handler, "clone_data_map", lambda: deepcopy(kept))
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


# -- pymodbus as the master of our twins --------------------------------------------------------------------------


class Master:
    def __init__(self, line: Line) -> None:
        self.line = line
        self.now_s = T0

    def ask(self, request: ModbusPDU) -> ModbusPDU:
        ((_, answer),) = self.line(MASTER.buildFrame(request), self.now_s)
        used, reply = MASTER.handleFrame(answer, request.dev_id, 0)
        assert used == len(answer)
        assert reply is not None
        return reply

    def coils(self) -> list[bool]:
        return list(self.ask(bit_message.ReadCoilsRequest(address=0, count=8, dev_id=1)).bits)

    def registers(self, unit: int, address: int, count: int) -> list[int]:
        request = register_message.ReadInputRegistersRequest(address=address, count=count, dev_id=unit)
        return list(self.ask(request).registers)


class Flash(register_message.WriteSingleRegisterRequest):
    """Their write of one coil is a boolean: as a number it has to be told like this."""

    function_code = 5


def shed(name: str, *powers_w: float) -> Line:
    return LINES[name]([Lamp(power_w) for power_w in powers_w], T0)


@pytest.mark.parametrize("name", ["waveshare-relay", "lc-relay", "coil-relay"])
def test_pymodbus_switches_relays_of_ours(name: str) -> None:
    master = Master(shed(name, 100, 100))

    on = master.ask(bit_message.WriteSingleCoilRequest(address=1, bits=[True], dev_id=1))
    assert (on.address, on.bits) == (1, [True])
    assert master.coils()[:2] == [False, True]
    master.ask(bit_message.WriteMultipleCoilsRequest(address=0, bits=[True, False], dev_id=1))
    assert master.coils()[:2] == [True, False]
    master.ask(bit_message.WriteSingleCoilRequest(address=0, bits=[False], dev_id=1))
    assert master.coils() == [False] * 8


@pytest.mark.parametrize("name", ["waveshare-relay", "lc-relay"])
def test_pymodbus_sees_a_flash_of_ours_end_by_itself(name: str) -> None:
    master = Master(shed(name, 100, 100))
    flash = Flash(address=0x0201, registers=[600], dev_id=1)
    timer = register_message.WriteMultipleRegistersRequest(address=8, registers=[4, 600], dev_id=1)

    master.ask(flash if name == "waveshare-relay" else timer)
    master.now_s += 59.9
    assert master.coils()[1]
    master.now_s += 0.1

    assert not master.coils()[1]


def test_pymodbus_is_refused_what_a_board_has_not() -> None:
    master = Master(wired(waveshare(1, [Lamp(100)]), "pzem-004t", T0))

    assert master.ask(bit_message.WriteSingleCoilRequest(address=3, bits=[True], dev_id=1)).exception_code == 2
    assert master.ask(Flash(address=0x0200, registers=[0x8000], dev_id=1)).exception_code == 3
    holding = register_message.ReadHoldingRegistersRequest(address=0x1000, count=1, dev_id=1)
    assert master.ask(holding).exception_code == 2


def test_pymodbus_reads_who_our_boards_are() -> None:
    def held(line: Line, address: int) -> list[int]:
        request = register_message.ReadHoldingRegistersRequest(address=address, count=1, dev_id=7)
        return list(Master(line).ask(request).registers)

    board, other = Line([waveshare(7, [Lamp(1)], version=210)], T0), Line([lc(7, [Lamp(1)])], T0)
    everybody = register_message.ReadHoldingRegistersRequest(address=0x4000, count=1, dev_id=0)
    assert board(MASTER.buildFrame(everybody), T0)[0][1].hex(" ") == "07 03 02 00 07 71 86"
    assert (held(board, 0x4000), held(board, 0x8000), held(other, 0x03E8)) == ([7], [210], [3])


def test_pymodbus_reads_a_pzem_of_ours() -> None:
    master = Master(shed("pzem-004t", 2300))
    master.line.board(BOARD).contacts[0].inject(Fault.WELDED)
    master.line.unit("modbus:11").count_from(70_000)  # type: ignore[attr-defined]
    master.now_s += 3600

    words = master.registers(11, 0, 10)

    assert (words[0], words[3] | words[4] << 16, words[5] | words[6] << 16) == (2300, 23_000, 72_300)
    assert words[1] | words[2] << 16 == pytest.approx(2300 / 230 / 0.9 * 1000, abs=1)
    assert words[7:] == [500, 90, 0]


def test_pymodbus_reads_an_eastron_of_ours() -> None:
    master = Master(shed("eastron-sdm", 2300))
    master.line.board(BOARD).contacts[0].inject(Fault.WELDED)
    master.now_s += 3600

    def quantity(address: int) -> Any:
        return ModbusClientMixin.convert_from_registers(master.registers(11, address, 2), FLOAT)

    assert (quantity(0x0000), quantity(0x000C), quantity(0x0046)) == (230, 2300, 50)
    assert quantity(0x0156) == pytest.approx(2.3)


# -- pymodbus as the slave of our drivers -------------------------------------------------------------------------


class Slave:
    """Everything its store holds; it knows no timer, and answers whatever it is asked."""

    def __init__(
        self, unit: int, coils: Sequence[bool] = (), held: Sequence[int] = (), read: Sequence[int] = ()
    ) -> None:
        bits = [SimData(0, values=list(coils) or [False], datatype=DataType.BITS)]
        words = [[SimData(0, values=list(of) or [0], datatype=DataType.REGISTERS)] for of in (held, read)]
        none = [SimData(0, values=[False], datatype=DataType.BITS)]
        self._unit = unit
        self._core = SimCore(SimDevice(unit, simdata=(bits, none, words[0], words[1])))

    def __call__(self, request: bytes, now_s: float) -> Sequence[tuple[float, bytes]]:
        _, pdu = SLAVE.handleFrame(request, 0, 0)
        if pdu is None or pdu.dev_id != self._unit:
            return []
        reply = asyncio.run(pdu.datastore_update(self._core, self._unit))  # type: ignore[arg-type]
        reply.dev_id = self._unit
        return [(0.02, MASTER.buildFrame(reply))]

    def stored(self, function: int, address: int, count: int) -> Any:
        return asyncio.run(self._core.async_getValues(self._unit, function, address, count))


def heard_of(pile: Pile, answer: Answer, *wishes: Wish) -> list[ev.Event]:
    """All that our driver makes of it, carrying out these wishes and asking once."""
    driver, bus = ON_BUS[pile.family].open(pile), MemoryBus(Pace(), answer)
    heard: list[ev.Event] = []
    bus.start(lambda message: heard.extend(driver.receive(message, ev.Stamp(T0, 0.0))), lambda up: None)
    for messages in (*map(driver.orders, wishes), driver.polls(ev.Stamp(T0, 0.0))):
        for message in messages:
            assert bus.send(message)
        bus.run(bus.now_s + 5.0)
    return heard


def relays_told(events: Sequence[ev.Event]) -> list[bool]:
    return [event.on for event in events if isinstance(event, ev.RelayReported)]


def readings(events: Sequence[ev.Event]) -> list[ev.Reading]:
    return [event for event in events if isinstance(event, ev.Reading)]


def test_a_pymodbus_slave_is_switched_as_plain_coils() -> None:
    slave = Slave(1, coils=[False] * 8)
    watchdog: dict[str, object] = {"watchdog": {"s": 60, "channel": 7}}
    pile = Pile("p", "coil-relay", "shed-1/modbus:1", ("", "o1", *[""] * 6), watchdog)

    assert relays_told(heard_of(pile, slave, SwitchOn(1, 60))) == [True, True]
    assert slave.stored(1, 0, 8) == [False, True, *[False] * 6]
    assert relays_told(heard_of(pile, slave, SwitchOff(1))) == [False, False]
    assert slave.stored(1, 0, 8) == [False] * 8


def test_a_pymodbus_slave_gets_the_timer_of_an_lc_board() -> None:
    slave = Slave(255, coils=[False] * 8, held=[0] * 50)
    pile = Pile("p", "lc-relay", "shed-1/modbus:255", ("", "", "o2", *[""] * 5), {})

    assert relays_told(heard_of(pile, slave, SwitchOn(2, 120))) == [False, False]  # a store has no relay: no ON
    assert slave.stored(3, 13, 2) == [4, 1200]
    assert not any(slave.stored(3, 0, 13))


def test_a_pymodbus_slave_is_read_as_a_pzem_and_never_written() -> None:
    words = [2301, 0x1388, 0x0001, 0x86A0, 0x0001, 0x869F, 0x0001, 499, 97, 0]
    slave = Slave(11, read=words)
    pile = Pile("p", "pzem-004t", "shed-1/modbus:11", ("o0",), {})

    (reading,) = readings(heard_of(pile, slave, SwitchOn(0, 60), SwitchOff(0)))

    assert (reading.power_w, reading.energy_wh, reading.voltage_v) == (10_000, 99_999, 230.1)
    assert reading.current_a == 70.536
    assert slave.stored(4, 0, 10) == words


def test_a_pymodbus_slave_is_read_as_an_eastron() -> None:
    def words(value: float) -> list[int]:
        return ModbusClientMixin.convert_to_registers(value, FLOAT)

    registers = [0] * 0x0158
    for address, value in ((0x0000, 229.9), (0x0006, 5.0), (0x000C, -1150.0), (0x0156, 1234.56)):
        registers[address : address + 2] = words(value)
    slave = Slave(3, read=registers)

    (reading,) = readings(heard_of(Pile("p", "eastron-sdm", "shed-1/modbus:3", ("o0",), {}), slave))

    assert (reading.power_w, reading.energy_wh) == (1150, 1_234_560)  # turned clamps draw all the same
    assert (reading.voltage_v, reading.current_a) == (229.9, 5.0)


@pytest.mark.parametrize("value", [0, 210])
def test_a_pymodbus_store_that_holds_anything_anywhere_is_no_board_with_a_timer(value: int) -> None:
    """An address that is not its own, and no speed; its coils are plain ones."""
    slave = Slave(1, coils=[False] * 8, held=[value] * 0x8001)
    address, found = f"shed-oracle-{value}/modbus:1", set()

    for probe in ON_BUS["coil-relay"].probes(address):
        for _, reply in slave(probe.payload, 0.0):
            message = Message(address, reply, asked=probe.payload)
            found |= {pile.family for f in ON_BUS.values() for pile in f.discover(message, ev.Stamp(T0, 0.0))}

    assert found == {"coil-relay"}


# -- dlt645, both ways --------------------------------------------------------------------------------------------


class TheirLink:
    """What their client believes to be its port."""

    def __init__(self, line: Line) -> None:
        self.line = line

    def _ensure_connection(self) -> bool:
        return True

    def send_request(self, data: bytes, retries: int = 1) -> bytes | None:
        return next((answer for _, answer in self.line(bytes(data), T0 + 3600)), None)


def test_their_client_reads_a_meter_of_ours() -> None:
    line = shed("dlt645", 2300)
    line.board(BOARD).contacts[0].inject(Fault.WELDED)
    line.add(dlt645_unit(METER, line.circuit(BOARD, 0)))
    client = MeterClientService(TheirLink(line))
    client.set_address(WIRE)

    def value(item: Any) -> Any:
        return item.value

    assert value(client.read_00(0x00010000)) == pytest.approx(2.3)
    assert value(client.read_02(0x02010100)) == 230
    assert value(client.read_02(0x02030000)) == pytest.approx(2.3)
    assert client.read_00(0x00020000) is None  # we have no such data, and say so


def test_their_client_learns_the_address_of_a_meter_of_ours() -> None:
    line = Line([waveshare(1, [Lamp(1)])], T0)
    line.add(dlt645_unit(METER, line.circuit(BOARD, 0)))

    item = MeterClientService(TheirLink(line)).read_address()

    assert WIRE in str(item)


def their_meter(energy_kwh: float, voltage_v: float, power_kw: float) -> Answer:
    meter = MeterServerService(None, bytearray.fromhex(METER)[::-1])
    meter.set_00(0x00010000, energy_kwh)
    meter.set_02(0x02010100, voltage_v)
    meter.set_02(0x02030000, power_kw)

    def answer(request: bytes, now_s: float) -> Sequence[tuple[float, bytes]]:
        reply = meter.handle_request(DLT645Protocol.deserialize(request))
        return [(0.1, bytes(reply))] if reply else []

    return answer


def test_their_meter_is_read_by_our_driver() -> None:
    pile = Pile("p", "dlt645", f"shed-1/dlt645:{METER}", ("o0",), {})

    (reading,) = readings(heard_of(pile, their_meter(123_456.78, 229.7, 1.2345)))

    assert (reading.energy_wh, reading.voltage_v, reading.power_w) == (123_456_780, 229.7, 1234.5)


def test_their_meter_is_found_by_its_own_address() -> None:
    family, answer = ON_BUS["dlt645"], their_meter(1, 230, 0)
    (probe,) = family.probes("shed-1/dlt645:AAAAAAAAAAAA")
    ((_, reply),) = answer(probe.payload, 0.0)

    (found,) = family.discover(Message(probe.address, reply, asked=probe.payload), ev.Stamp(T0, 0.0))

    assert found.address == f"shed-1/dlt645:{METER}"
