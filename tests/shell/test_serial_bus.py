"""A bus on ptys: it serves, loses its adapter, and finds it again under another name."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, cast

import pytest
import serial
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import ModbusSerialServer
from serial.rfc2217 import PortManager

from firmware_bridge.codecs import modbus, relay_waveshare
from firmware_bridge.transports import port
from firmware_bridge.transports import serial as serial_bus
from firmware_bridge.transports.memory_bus import Way
from firmware_bridge.transports.pace import Pace
from firmware_bridge.transports.serial import SerialBus
from firmware_bridge.wire import Message, Transport
from simulators.serial_proxy import SerialProxy
from simulators.twins.contact import Nothing
from simulators.twins.line import Line
from simulators.twins.lines import LINES

WAIT_S = 5.0
PACE = Pace(baud=115_200, turnaround_s=1.0)
HASTY = Pace(baud=115_200, turnaround_s=0.02)


def question(unit: int = 11) -> Message:
    return Message(f"shed-1/modbus:{unit}", modbus.encode(modbus.ask(unit, modbus.READ_REGISTERS, 0, 10)))


def order(channel: int, lease_s: float | None) -> Message:
    make = relay_waveshare.switch_off(1, channel) if lease_s is None else relay_waveshare.flash_on(1, channel, lease_s)
    return Message("shed-1/modbus:1", modbus.encode(make), slot=f"relay:{channel}")


class Ear:
    """What a bus tells, waited for."""

    def __init__(self) -> None:
        self.told: list[Message] = []
        self.links: list[bool] = []
        self._news = threading.Condition()

    def receive(self, message: Message) -> None:
        with self._news:
            self.told.append(message)
            self._news.notify_all()

    def linked(self, up: bool) -> None:
        with self._news:
            self.links.append(up)
            self._news.notify_all()

    def until(self, true: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(true, WAIT_S)

    def until_linked(self, *links: bool) -> None:
        self.until(lambda: self.links == list(links))


class Rig:
    def __init__(self, where: str, pace: Pace = PACE) -> None:
        self.ear = Ear()
        self.bus = SerialBus("shed-1", where, pace)
        self.bus.start(self.ear.receive, self.ear.linked)
        self.ear.until_linked(True)

    def ask(self, message: Message, urgent: bool = False) -> Message:
        told = len(self.ear.told)
        assert self.bus.send(message, urgent)
        self.ear.until(lambda: len(self.ear.told) > told)
        return self.ear.told[told]


@pytest.fixture
def line() -> Line:
    return LINES["waveshare-relay"]([Nothing()] * 4, 0.0)


@pytest.fixture
def proxy(tmp_path: Path, line: Line) -> Iterator[SerialProxy]:
    proxy = SerialProxy(tmp_path, line)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def rig(proxy: SerialProxy) -> Iterator[Rig]:
    rig = Rig(str(proxy.near))
    yield rig
    rig.bus.stop()


def test_units_are_asked_and_switched_over_a_pty(rig: Rig, line: Line) -> None:
    transport: Transport = rig.bus

    assert rig.ask(question()).payload[:3] == b"\x0b\x04\x14"
    rig.ask(order(2, 60.0))
    assert line.powered("modbus:1", 2)
    rig.ask(order(2, None), urgent=True)
    assert not line.powered("modbus:1", 2)
    assert transport.send(question())


def test_an_adapter_that_comes_back_under_another_name_is_found(rig: Rig, proxy: SerialProxy) -> None:
    before = proxy.near.readlink()

    proxy.unplug()
    rig.ear.until_linked(True, False)
    sent = rig.bus.send(order(0, None), urgent=True)
    proxy.plug()
    rig.ear.until_linked(True, False, True)

    assert (sent, rig.bus.bus.counts["off_while_down"]) == (False, 1)
    assert rig.ask(question()).fault == ""
    assert proxy.near.readlink() != before


def test_an_off_overtakes_all_that_waits(proxy: SerialProxy) -> None:
    rig, left = Rig(str(proxy.near), Pace(baud=115_200, turnaround_s=0.4)), threading.Event()

    def waited_for(way: Way, chunk: bytes, now_s: float) -> Sequence[tuple[float, bytes]]:
        if chunk[0] != 11:
            return [(0.0, chunk)]
        left.set()
        return []

    proxy.mangle = waited_for
    rig.bus.send(question(11))
    assert left.wait(WAIT_S)
    for unit in range(12, 15):
        rig.bus.send(question(unit))
    rig.bus.send(order(0, None), urgent=True)
    rig.ear.until(lambda: len(rig.ear.told) == 5)
    rig.bus.stop()

    asked = [question(11), order(0, None), question(12)]
    assert [message.asked for message in rig.ear.told[:3]] == [message.payload for message in asked]


def test_an_adapter_behind_which_nobody_answers_is_opened_anew(
    proxy: SerialProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_bus, "DEAF_S", 0.1)
    monkeypatch.setattr(serial_bus, "REOPEN_S", 0.001)
    rig = Rig(str(proxy.near), HASTY)
    proxy.mangle = lambda way, chunk, now_s: []
    for channel in range(2):
        rig.bus.send(order(channel, None), urgent=True)
    rig.ear.until_linked(True, False, True)
    rig.bus.stop()

    assert rig.bus.opened == 2
    assert "silent" in {message.fault for message in rig.ear.told}


def test_a_handler_that_fails_does_not_end_the_thread(proxy: SerialProxy) -> None:
    bus = SerialBus("shed-1", str(proxy.near), PACE)
    ear = Ear()

    def failing(message: Message) -> None:
        ear.receive(message)
        raise RuntimeError("a bug")

    bus.start(failing, ear.linked)
    ear.until_linked(True)
    for told in (1, 2):
        bus.send(question())
        ear.until(lambda told=told: len(ear.told) == told)  # type: ignore[misc]
    bus.stop()

    assert bus.handler_errors >= 1


def test_a_port_has_one_owner(rig: Rig, proxy: SerialProxy) -> None:
    with pytest.raises(port.LOST, match="lock"):
        port.opened(str(proxy.near), PACE, 0)


def test_nothing_stays_open_after_many_reconnections(proxy: SerialProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_bus, "REOPEN_S", 0.001)
    before = len(list(Path("/proc/self/fd").iterdir()))
    rig = Rig(str(proxy.near))
    for times in range(1, 5):
        proxy.unplug()
        rig.ear.until_linked(*[True, False] * times)
        proxy.plug()
        rig.ear.until_linked(*[True, False] * times, True)
    rig.bus.stop()

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_it_stops_at_once_whether_or_not_there_is_a_port(tmp_path: Path) -> None:
    never_started = SerialBus("shed-1", "/nowhere", PACE)
    never_started.stop()
    bus = SerialBus("shed-1", str(tmp_path / "nothing"), PACE)
    bus.start(lambda message: None, lambda up: None)
    bus.stop()
    bus.stop()

    assert not bus._thread.is_alive()
    assert not bus.send(question())


# -- adapters on a network ------------------------------------------------------------------------------------------


def serve(answer: Callable[[socket.socket], None]) -> tuple[socket.socket, int]:
    door = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = door.accept()
                with caller, contextlib.suppress(OSError):
                    answer(caller)

    threading.Thread(target=accept, daemon=True).start()
    return door, door.getsockname()[1]


def test_an_adapter_on_tcp_serves_and_is_connected_again(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_bus, "REOPEN_S", 0.001)

    def two_requests(caller: socket.socket) -> None:
        for _ in range(2):
            for _, answer in line(caller.recv(256), 0.0):
                caller.sendall(answer)
        caller.recv(1)

    door, number = serve(two_requests)
    rig = Rig(f"socket://127.0.0.1:{number}")

    assert [rig.ask(question(unit)).fault for unit in (11, 12)] == ["", ""]
    rig.bus.send(question())
    rig.ear.until_linked(True, False, True)
    assert rig.ask(question()).fault == ""
    rig.bus.stop()
    door.close()


@pytest.mark.filterwarnings("ignore:set(Daemon|Name).*:DeprecationWarning")  # pyserial's
def test_an_adapter_by_rfc2217_serves(line: Line) -> None:
    def speak(caller: socket.socket) -> None:
        loop: Any = serial.serial_for_url("loop://")
        telnet = PortManager(loop, cast(Any, _Writes(caller.sendall)))
        while chunk := caller.recv(256):
            request = b"".join(telnet.filter(chunk))
            for _, answer in line(request, 0.0) if request else ():
                caller.sendall(b"".join(telnet.escape(answer)))

    door, number = serve(speak)
    rig = Rig(f"rfc2217://127.0.0.1:{number}")

    assert [rig.ask(question(unit)).fault for unit in (11, 12)] == ["", ""]
    rig.bus.stop()
    door.close()


class _Writes:
    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.write = write


# -- an independent slave -------------------------------------------------------------------------------------------


class Pymodbus:
    """A slave that did not read our code: coils all on, and input registers that tell where they stand."""

    def __init__(self, where: str, baud: int) -> None:
        self._where, self._baud = where, baud
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._done(self._serve())
        return self

    def __exit__(self, *_: object) -> None:
        self._done(self._server.shutdown())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()

    def _done(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_S)

    async def _serve(self) -> ModbusSerialServer:
        block: Any = ModbusSequentialDataBlock
        device = ModbusDeviceContext(co=block(1, [1] * 8), ir=block(1, list(range(100, 120))))
        server = ModbusSerialServer(
            ModbusServerContext(devices={1: device}), port=self._where, baudrate=self._baud, ignore_missing_devices=True
        )
        await server.serve_forever(background=True)
        return server


def test_pymodbus_as_a_slave_answers_us(tmp_path: Path) -> None:
    proxy = SerialProxy(tmp_path)
    proxy.start()
    plain_off = modbus.encode(modbus.write_one(1, modbus.WRITE_COIL, 3, modbus.OFF))
    with Pymodbus(proxy.far, PACE.baud):
        rig = Rig(str(proxy.near))
        read = rig.ask(question(1))
        switched = rig.ask(Message("shed-1/modbus:1", plain_off, slot="relay:3"), urgent=True)
        coils = rig.ask(Message("shed-1/modbus:1", modbus.encode(modbus.ask(1, modbus.READ_COILS, 0, 8))))
        missing = rig.ask(Message("shed-1/modbus:1", modbus.encode(modbus.ask(1, modbus.READ_REGISTERS, 900, 1))))
        rig.bus.stop()
    proxy.stop()

    assert modbus.registers_of(modbus.read_reply(read.payload)) == tuple(range(100, 110))
    assert switched.payload == plain_off
    assert modbus.bits_of(modbus.read_reply(coils.payload)) == tuple(channel != 3 for channel in range(8))
    assert (missing.fault, missing.payload[2]) == ("exception", 2)
