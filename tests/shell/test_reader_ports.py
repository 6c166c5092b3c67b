"""Card readers on ptys, through real ports and a real gateway: swiped, stopped, refused; pulled, and back."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from structlog.testing import capture_logs

from anchong.readers import Readers
from anchong.settings import Reader
from controller.clock import HandClock, RealClock
from controller.core import events as ev
from controller.core.events import Stamp
from controller.views import Board, View
from firmware_bridge.codecs.pn532 import GET_FIRMWARE, WAKE_UP, ask, encode
from firmware_bridge.transports.reader_port import ReaderPort, SerialPort
from simulators.reader_ends import PipeEnd, PtyEnd, Running
from simulators.twins.hid_twin import HidTwin
from simulators.twins.m1_twin import M1Twin
from simulators.twins.pn532_twin import Pn532Twin
from simulators.twins.shelly import ShellyConfig, ShellyTwin
from tests.bridge.yard import Lamp, Yard

CARD = bytes.fromhex("E9F35959")  # the yard's own
STRANGER, OTHER = bytes.fromhex("0102AABB"), bytes.fromhex("0102AACC")
MAC = "0C0FFE000001"
STEP_S = 0.1


class Hands:
    """The yard's time; a port waits only for what is on its way through a pty, and then as long as that takes."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self.coming = False

    def now(self) -> Stamp:
        return self._yard.clock.now()

    def wait_s(self, seconds: float) -> float:
        return seconds if self.coming else 0.0


class Compound:
    """A yard with one pile of two outlets, and readers at ends that are turned by hand."""

    def __init__(self, folder: Path) -> None:
        self.yard = Yard(folder)
        self.yard.open()
        self.twin = self.yard.connect(
            ShellyTwin(ShellyConfig(mac=MAC, model="shellyplus2pm"), [Lamp(60.0), Lamp(60.0)], self.yard.clock.now().at)
        )
        self.yard.run(2.0)
        self.outlets = self.yard.adopt(self.twin, 2)
        for outlet in self.outlets:
            assert self.yard.prove(outlet).phase == "commissioned"
            self.yard.change(ev.Change.OPEN, outlet)
        self.yard.ask(ev.CardToppedUp(**self._stamp(), key="t", by="staff:o", card="c", amount_fen=2_000)).result(0)
        self.ends: list[PtyEnd | PipeEnd] = []
        self.readers = Readers(self.yard.gateway, [])
        self.hands = Hands(self.yard)

    def _stamp(self) -> dict[str, Any]:
        now = self.yard.clock.now()
        return {"at": now.at, "steady_s": now.steady_s}

    def has(self, end: PtyEnd | PipeEnd, kind: str, **bound: Any) -> None:
        self.ends.append(end)
        setting = Reader.model_validate({"name": "gate", "kind": kind, "port": end.path, **bound})
        self.readers = Readers(self.yard.gateway, [setting], self.hands)
        self.runs_until(lambda: self.readers.standing()[0].state == "reads")
        self.run(0.5)

    def turn(self) -> None:
        self.yard.run(STEP_S)
        for port in self.readers.ports.values():
            port.turn()
        wait_s = 0.2 if self._has_asked() else 0.0
        self.hands.coming = sum(end.turn(self.yard.clock.now().steady_s, wait_s) for end in self.ends) > 0

    def _has_asked(self) -> bool:
        """Bytes are on their way to the twin, which answers at once."""
        return any(getattr(one._reader, "_asked", None) for one in self.readers.attended.values())

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.turn()

    def runs_until(self, true: Callable[[], object], within_s: float = 30.0) -> None:
        for _ in range(round(within_s / STEP_S)):
            if true():
                return
            self.turn()
        pytest.fail(f"not within {within_s} s")

    def shows(self, kind: str) -> Any:
        self.runs_until(lambda: (shown := self.readers.shown("gate")) is not None and shown.kind == kind, 12.0)
        return self.readers.shown("gate")

    def powered(self) -> list[bool]:
        return [self.twin.powered(0), self.twin.powered(1)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compound]:
    made = Compound(tmp_path_factory.mktemp("compound"))
    yield made
    made.yard.stop()


@pytest.fixture
def compound(built: Compound) -> Iterator[Compound]:
    """One yard for all: each test leaves it with nothing running."""
    yield built
    for end in built.ends:
        end.pull()
    built.ends.clear()
    built.readers.stop()
    for outlet in list(built.yard.house.sessions):
        built.yard.stop_charge(outlet)
    built.yard.runs_until(lambda: not built.yard.house.sessions, 300.0)
    built.yard.run(4.0)


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    before = structlog.get_config()
    structlog.reset_defaults()  # whatever others have set: all levels
    with capture_logs() as entries:
        yield entries
    structlog.configure(**before)


def test_at_an_outlets_reader_the_first_swipe_starts_the_second_stops_and_a_stranger_is_refused(
    compound: Compound, logged: list[Any]
) -> None:
    twin = Pn532Twin()
    compound.has(PtyEnd(twin), "pn532", outlet=compound.outlets[0])

    twin.field.tap(CARD, compound.yard.clock.now().steady_s)
    started = compound.shows("started")
    assert (started.number, started.balance_fen) == (compound.outlets[0], 2_000)
    compound.runs_until(lambda: compound.powered() == [True, False])

    compound.run(4.0)
    twin.field.tap(STRANGER, compound.yard.clock.now().steady_s)
    assert compound.shows("refused").code == "card_unknown"
    assert [(swipe.reader, swipe.uid) for swipe in compound.readers.unknown()] == [("gate", "0102AABB")]
    compound.yard.change(ev.Change.CARD, "c2", uid="0102AABB", printed="2")
    assert compound.readers.unknown() == []
    assert compound.powered() == [True, False]

    compound.run(1.5)
    twin.field.tap(CARD, compound.yard.clock.now().steady_s)
    assert compound.shows("stopped").cost_fen == 0
    assert compound.powered() == [False, False]
    assert "CardTapped" in str(logged)
    assert not [uid for uid in (CARD, STRANGER) if uid.hex() in str(logged).lower()]


def test_at_a_piles_reader_the_outlet_is_chosen_by_swiping_again_and_one_swipe_stops(compound: Compound) -> None:
    twin = M1Twin()
    compound.has(PtyEnd(twin), "m1", pile=f"p-{MAC}")

    twin.field.tap(CARD, compound.yard.clock.now().steady_s)
    compound.shows("choose")
    compound.run(1.0)
    for _ in range(2):
        twin.field.tap(CARD, compound.yard.clock.now().steady_s)
        compound.run(1.5)
    assert compound.powered() == [False, False]
    assert compound.shows("started").number == compound.outlets[1]
    compound.runs_until(lambda: compound.powered() == [False, True])
    compound.run(0.5)
    assert twin.beeps == [(60, 1), (60, 1), (60, 1), (400, 1)]

    compound.run(4.0)
    twin.field.tap(CARD, compound.yard.clock.now().steady_s)
    assert compound.shows("stopped").number == compound.outlets[1]
    assert compound.powered() == [False, False]


def test_at_a_keyboard_the_outlets_number_is_typed_before_the_card(compound: Compound, tmp_path: Path) -> None:
    twin = HidTwin()
    compound.has(PipeEnd(twin, tmp_path / "event-kbd"), "hid", pile=f"p-{MAC}")

    twin.type("1")
    compound.shows("keyed")
    twin.tap(CARD)
    assert compound.shows("started").number == "shelly-1"
    compound.runs_until(lambda: compound.powered() == [False, True])

    compound.run(4.0)
    twin.tap(CARD)
    assert compound.shows("stopped").number == "shelly-1"


def test_a_reader_that_was_pulled_is_found_again_under_its_lasting_name(compound: Compound, tmp_path: Path) -> None:
    twin = Pn532Twin()
    end = PtyEnd(twin, tmp_path / "usb-reader")
    compound.has(end, "pn532", outlet=compound.outlets[0])

    end.pull()
    compound.runs_until(lambda: compound.readers.standing()[0].state == "gone")
    compound.run(12.0)
    twin.restart()
    end.plug_in()
    compound.runs_until(lambda: compound.readers.standing()[0].state == "reads")
    assert compound.readers.standing()[0].faults["port_gone"] == 1

    compound.run(0.5)
    twin.field.tap(OTHER, compound.yard.clock.now().steady_s)
    assert compound.shows("refused").code == "card_unknown"


def test_two_of_us_at_one_reader_do_not_share_it(compound: Compound) -> None:
    end = PtyEnd(Pn532Twin())
    compound.has(end, "pn532", outlet=compound.outlets[0])
    setting = Reader(name="gate", kind="pn532", port=end.path, outlet=compound.outlets[0])
    second = Readers(compound.yard.gateway, [setting], Hands(compound.yard))
    port: ReaderPort = second.ports["gate"]

    assert port.turn() is False
    assert second.standing()[0].faults == {"port_missing": 1}


class Noted:
    """What is done at a reader, here: it is noted that there was one."""

    def __init__(self) -> None:
        self.open, self.heard = threading.Event(), threading.Event()
        self.breaks = self.asked = False
        self.lost_by: list[str] = []

    def opened(self) -> None:
        self.open.set()

    def lost(self, why: str) -> None:
        self.open.clear()
        self.lost_by.append(why)

    def turn(self, data: bytes, now_s: float) -> bytes:
        if self.breaks:
            raise RuntimeError
        if data:
            self.heard.set()
        asked, self.asked = self.asked, True
        return b"" if asked else WAKE_UP + encode(ask(GET_FIRMWARE))

    def due_s(self) -> float:
        return inf


@pytest.mark.parametrize(
    ("phases", "outlet"),
    [(["open"], "o0"), (["open", "metering_only"], "o0"), (["open", "commissioned"], ""), (["metering_only"] * 2, "")],
)
def test_what_only_measures_is_nothing_to_choose_and_what_is_closed_is(phases: list[str], outlet: str) -> None:
    asked: list[Any] = []

    def ask(event: ev.Event) -> Future[Any]:
        asked.append(event)
        return Future()

    gateway, twin = SimpleNamespace(board=Board(), plan=SimpleNamespace(clock=HandClock()), ask=ask), HidTwin()
    for number, phase in enumerate(phases):
        gateway.board.put(View(f"o{number}", str(number), "s", "p", phase, "renewed", linked=True))
    readers = Readers(cast(Any, gateway), [Reader(name="gate", kind="hid", port="/dev/none", pile="p")], HandClock())
    twin.tap(CARD)
    readers.attended["gate"].opened()
    readers.attended["gate"].turn(twin.advance(0.0), 0.0)

    [event] = asked
    assert (event.pile, event.outlet, event.uid) == ("p", outlet, "E9F35959")


def test_a_reader_behind_an_adapter_on_the_network_is_read_and_its_loss_is_noticed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = SerialPort(f"socket://127.0.0.1:{server.getsockname()[1]}", 115200)
        line, _ = server.accept()
        port.write(WAKE_UP + encode(ask(GET_FIRMWARE)))
        answer = Pn532Twin().hear(line.recv(100), 0.0)
        line.sendall(answer)
        heard = b""
        while len(heard) < len(answer):
            heard += port.read(5.0)
        line.close()
        with pytest.raises(OSError, match="gone"):
            port.read(5.0)
        port.close()
    assert heard == answer


def test_a_bug_at_one_reader_is_counted_and_the_reader_is_tried_again() -> None:
    end, work, clock = PtyEnd(Pn532Twin()), Noted(), HandClock()
    port = ReaderPort("gate", lambda: SerialPort(end.path, 115200), work, clock)
    work.breaks = True
    assert port.turn() is False
    assert work.lost_by == ["failed"]

    work.breaks = False
    clock.advance(1.0)
    assert port.turn() is True
    port.stop()
    end.pull()


def test_a_thread_reads_in_real_time_and_ends_when_it_is_told() -> None:
    running, work = Running(PtyEnd(Pn532Twin())), Noted()
    port = ReaderPort("gate", lambda: SerialPort(running.end.path, 115200), work, RealClock())
    port.start()
    try:
        assert work.open.wait(5.0)
        assert work.heard.wait(5.0)
    finally:
        port.stop()
        running.stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reader-")]
