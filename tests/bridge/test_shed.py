"""Outlets of relays and meters on one line of 9,600 baud, sold at once: by phone, by card, and left behind.

Four of them in the suite; `ANCHONG_SHED=8 pytest tests/bridge/test_shed.py` has sixteen, and takes a minute.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from anchong.readers import Readers
from anchong.settings import Reader
from controller.core import events as ev
from controller.core.programme import todo
from controller.core.reasons import StopReason
from controller.core.state import Rules
from firmware_bridge.readers.attendant import Attendant
from firmware_bridge.transports.memory_bus import Mangle, Way
from simulators.battery import BATTERIES
from simulators.twins.contact import Nothing
from simulators.twins.line import Line
from simulators.twins.meter_units import pzem_unit
from simulators.twins.pn532_twin import Pn532Twin
from simulators.twins.relay_boards import waveshare
from tests.bridge.yard import Lamp, Yard

T0 = 1_800_000_000.0
BUS = "shed"
BOARDS = ("modbus:1", "modbus:2")
CARD = bytes.fromhex("E9F35959")  # the yard's own
PAID_FEN = 500
EACH = int(os.environ.get("ANCHONG_SHED", "2"))  # outlets of each board


def wired(boards: Sequence[str] = BOARDS) -> Line:
    numbers = [int(board.removeprefix("modbus:")) for board in boards]
    line = Line([waveshare(number, [Lamp(60.0) for _ in range(EACH)]) for number in numbers], T0)
    for number in numbers:
        for channel in range(EACH):
            line.add(pzem_unit(10 * number + channel + 1, line.circuit(f"modbus:{number}", channel)))
    return line


class Shed:
    """Its boards, adopted with their meters and proven, each by pulling its plug when that is asked for."""

    def __init__(self, folder: Path, boards: Sequence[str] = BOARDS) -> None:
        self.boards = boards
        self.yard = Yard(folder, lines={BUS: wired(boards)})
        self.yard.open()
        self.yard.find(BUS)
        self.outlets = [outlet for board in boards for outlet in self._adopted(board)]
        self._unfed: set[str] = set()
        self._txn = 0

    def _adopted(self, board: str) -> list[str]:
        first = int(board.removeprefix("modbus:")) * 10 + 1
        return self.yard.adopt_board(
            BUS, board, [f"pzem-004t:{BUS}/modbus:{first + channel}" for channel in range(EACH)]
        )

    def place(self, outlet: str) -> tuple[str, int]:
        return self.boards[self.outlets.index(outlet) // EACH], self.outlets.index(outlet) % EACH

    def powered(self, outlet: str) -> bool:
        line, _ = self.yard.at(BUS)
        return line.powered(*self.place(outlet))

    def flowed_wh(self) -> dict[str, float]:
        """Through each outlet, since it was wired."""
        line, _ = self.yard.at(BUS)
        return {outlet: line.circuit(*self.place(outlet)).total_wh for outlet in self.outlets}

    def prove(self) -> None:
        self.yard.run(12.0)
        for outlet in self.outlets:
            self.yard.change(ev.Change.COMMISSION, outlet)
        self.yard.runs_until(self._is_proven, 4_000.0)
        for outlet in self.outlets:
            self.yard.change(ev.Change.OPEN, outlet)

    def _is_proven(self) -> bool:
        known = [self.yard.house.outlets[outlet] for outlet in self.outlets]
        for outlet in known:
            assert outlet.failed is None, (outlet.id, outlet.failed)
            self._hold_the_plug(outlet.id, todo(outlet.proving))
        return all(outlet.phase == "commissioned" for outlet in known)

    def _hold_the_plug(self, outlet: str, wanted: str) -> None:
        line, now_s = self.yard.at(BUS)
        board, _ = self.place(outlet)
        if wanted == "take_away" and board not in self._unfed:
            self._unfed.add(board)
            line.cut_supply(board, now_s)
        elif wanted == "give_back" and board in self._unfed:
            self._unfed.discard(board)
            line.restore_supply(board, now_s)

    # -- people ---------------------------------------------------------------------------------------------------

    def plug(self, outlet: str, load: Any) -> None:
        line, now_s = self.yard.at(BUS)
        line.plug(*self.place(outlet), load, now_s)

    def pay(self, outlet: str) -> None:
        """By phone: an order, and the provider's word that it was paid."""
        self._txn += 1
        number, stamp = str(self._txn), self.yard._stamp()
        order: dict[str, Any] = {
            "key": f"o{number}",
            "order": f"O{number}",
            "session": f"S{number}",
            "party": f"p{number}",
        }
        order |= {"amount_fen": PAID_FEN, "max_s": 0, "secret_hash": number, "provider": "sandbox", "lang": "zh"}
        self.yard.ask(ev.OrderPlaced(**stamp, outlet=outlet, **order)).result(0)
        paid: dict[str, Any] = {
            "key": f"e{number}",
            "provider": "sandbox",
            "merchant": "m",
            "app": "a",
            "order": f"O{number}",
        }
        self.yard.ask(
            ev.PaymentConfirmed(**stamp, **paid, txn=f"T{number}", amount_fen=PAID_FEN, currency="CNY")
        ).result(0)

    def top_up(self) -> None:
        stamp = self.yard._stamp()
        self.yard.ask(ev.CardToppedUp(**stamp, key="top", by="staff:o", card="c", amount_fen=2_000)).result(0)

    def swipe(self, reader: Attendant, twin: Pn532Twin) -> None:
        """Held there once the reader is awake, for as long as people do."""
        said = b""
        for tick in range(40):
            if tick == 20:
                twin.field.tap(CARD, self.yard.clock.now().steady_s)
            now_s = self.yard.clock.now().steady_s
            said = reader.turn(twin.hear(said, now_s) + twin.advance(now_s), now_s)
            self.yard.run(0.05)

    def ended(self, outlet: str) -> StopReason | None:
        return next((session.reason for session in self.yard.settled if session.outlet == outlet), None)


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    made = Shed(tmp_path_factory.mktemp("shed"))
    made.prove()
    yield made
    made.yard.stop()


def test_a_phone_a_card_and_a_pulled_plug_among_those_who_charge_on_one_line(shed: Shed) -> None:
    yard, (*phones, by_card) = shed.yard, shed.outlets
    left = phones[1]
    yard.settled.clear()
    shed.top_up()
    readers = Readers(yard.gateway, [Reader(name="shed", kind="pn532", port="/dev/none", outlet=by_card)], yard.clock)
    reader, twin = readers.attended["shed"], Pn532Twin()
    reader.opened()
    for seed, outlet in enumerate(shed.outlets):
        shed.plug(outlet, BATTERIES["nearly-full"](Random(seed)))

    before, before_wh = yard.gateway.router.faults(left), shed.flowed_wh()
    for outlet in phones:
        shed.pay(outlet)
    shed.swipe(reader, twin)
    yard.runs_until(lambda: all(shed.powered(outlet) for outlet in shed.outlets), 120.0)
    yard.run(300.0)
    assert all(yard.live(outlet).phase == "charging" for outlet in shed.outlets)
    shed.plug(left, Nothing())
    yard.runs_until(lambda: len(yard.settled) == 2 * EACH, 3 * 3600.0)

    assert shed.ended(left) == StopReason.UNPLUGGED
    assert {shed.ended(outlet) for outlet in shed.outlets if outlet != left} == {StopReason.FINISHED}
    assert not any(shed.powered(outlet) for outlet in shed.outlets)
    for session in yard.settled:
        flowed_wh = shed.flowed_wh()[session.outlet] - before_wh[session.outlet]
        assert session.meter.used_wh == pytest.approx(flowed_wh, abs=2.0)
    assert yard.gateway.router.faults(left) == before
    with create_engine(yard.database).connect() as books:
        assert books.execute(text("select sum(balance) from account")).scalar() == 0


def mangling(seed: int) -> Mangle:
    """One transmission in eight is lost, doubled, changed, cut in two, or late."""
    random = Random(seed)

    def mangle(way: Way, data: bytes, now_s: float) -> list[tuple[float, bytes]]:
        at = random.randrange(len(data))
        match random.randrange(40):
            case 0:
                return []
            case 1:
                return [(0.0, data), (0.03, data)]
            case 2:
                return [(0.0, data[:at] + bytes((data[at] ^ (1 << random.randrange(8)),)) + data[at + 1 :])]
            case 3:
                return [(0.0, data[:at]), (0.02, data[at:])]
            case 4:
                return [(random.uniform(0.1, 1.5), data)]
            case _:
                return [(0.0, data)]

    return mangle


def test_on_a_line_that_mangles_nothing_is_powered_longer_than_its_lease_and_nobody_pays_for_more(shed: Shed) -> None:
    yard, lease_s = shed.yard, Rules().lease_s
    yard.settled.clear()
    before_wh = shed.flowed_wh()
    for outlet in shed.outlets:
        shed.plug(outlet, Lamp(120.0))
        shed.pay(outlet)
    yard.runs_until(lambda: all(shed.powered(outlet) for outlet in shed.outlets), 120.0)
    yard.buses[BUS].mangle = mangling(7)
    dark_from_s: dict[str, float] = {}
    for _ in range(1_800):
        yard.run(1.0)
        for outlet in shed.outlets:
            wanted = (live := yard.session(outlet)) is not None and live.off_s is None
            since_s = dark_from_s.setdefault(outlet, yard.clock.now().steady_s) if not wanted else None
            if wanted:
                dark_from_s.pop(outlet, None)
            assert since_s is None or not shed.powered(outlet) or yard.clock.now().steady_s - since_s <= lease_s
    for outlet in shed.outlets:
        if (live := yard.session(outlet)) is not None and live.off_s is None:
            yard.stop_charge(outlet)
            yard.runs_until(lambda outlet=outlet: not shed.powered(outlet), 5.0)  # type: ignore[misc]
    yard.runs_until(lambda: len(yard.settled) == 2 * EACH, 1_200.0)

    for session in yard.settled:
        flowed_wh = shed.flowed_wh()[session.outlet] - before_wh[session.outlet]
        assert 0 < session.meter.used_wh <= flowed_wh + 1.0
    assert sum(yard.gateway.router.faults(shed.outlets[0]).values()) > 20
    yard.buses[BUS].mangle = None
