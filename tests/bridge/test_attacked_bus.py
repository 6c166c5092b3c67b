"""Whatever hangs on a line, or is done to it, while two charge: power ends, nobody pays for more, and it has a name."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.core import events as ev
from controller.core.reasons import StopReason
from controller.core.state import Rules, Session
from firmware_bridge.codecs.modbus import WRITE_COIL
from firmware_bridge.transports.memory_bus import Mangle, Way
from simulators.twins.contact import Fault
from simulators.twins.line import Circuit, Line, Unit, WireFault
from simulators.twins.meter_units import Meter, pzem_unit
from simulators.twins.relay_boards import waveshare
from tests.bridge.test_shed import BUS, Shed
from tests.bridge.yard import Lamp

BOARD = "modbus:1"
METERS = (11, 12)
METER = "modbus:11"
LEASE_S = Rules().lease_s


class Attacked:
    """Two outlets of one board that charge. Its `run` looks every other second whether anybody has power too long."""

    def __init__(self, shed: Shed) -> None:
        self.shed, self.yard, self.outlets = shed, shed.yard, shed.outlets
        self._began_wh = shed.flowed_wh()
        self._unwanted_s: dict[str, float] = {}

    @property
    def now_s(self) -> float:
        return self.yard.clock.now().steady_s

    def line(self) -> tuple[Line, float]:
        return self.yard.at(BUS)

    def meter(self, channel: int) -> Meter:
        unit = self.line()[0].unit(f"modbus:{METERS[channel]}")
        assert isinstance(unit, Meter)
        return unit

    def circuit(self, channel: int) -> Circuit:
        return self.line()[0].circuit(BOARD, channel)

    def add(self, unit: Unit) -> None:
        self.line()[0].add(unit)

    def mangle(self, mangle: Mangle | None) -> None:
        self.yard.buses[BUS].mangle = mangle

    def inject(self, fault: Fault | WireFault, address: str) -> None:
        line, now_s = self.line()
        line.inject(fault, now_s, address)

    def faults(self, outlet: str) -> dict[str, int]:
        return self.yard.gateway.router.faults(outlet)

    def flowed_wh(self, outlet: str) -> float:
        return self.shed.flowed_wh()[outlet] - self._began_wh[outlet]

    def run(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.yard.run(min(2.0, end_s - self.now_s))
            self.check()

    def check(self) -> None:
        """Power without a live charge lasts for no longer than its lease."""
        for outlet in self.outlets:
            live = self.yard.session(outlet)
            wanted = live is not None and live.off_s is None
            if wanted or not self.shed.powered(outlet):
                self._unwanted_s.pop(outlet, None)
            else:
                since_s = self._unwanted_s.setdefault(outlet, self.now_s)
                assert self.now_s - since_s <= LEASE_S, f"{outlet} has power that nobody asked for"

    def ended(self, outlet: str, within_s: float = 1_500.0) -> Session:
        """Its charge, settled; stopped if it goes on. Nobody pays for more than flowed."""
        if (live := self.yard.session(outlet)) is not None and live.phase != "closing":
            self.yard.stop_charge(outlet)
        end_s = self.now_s + within_s
        while self.yard.session(outlet) is not None and self.now_s < end_s:
            self.run(2.0)
        (session,) = [one for one in self.yard.settled if one.outlet == outlet]
        assert session.meter.used_wh <= self.flowed_wh(outlet) + 1.0  # its counter shows whole Wh
        return session


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    made = Shed(tmp_path_factory.mktemp("attacked"), [BOARD])
    made.prove()
    yield made
    made.yard.stop()


@pytest.fixture
def two(shed: Shed) -> Iterator[Attacked]:
    for outlet, power_w in zip(shed.outlets, (360.0, 120.0), strict=True):
        shed.plug(outlet, Lamp(power_w))
        shed.pay(outlet)
    attacked = Attacked(shed)
    units = list(attacked.line()[0].units)
    attacked.run(30.0)
    assert all(shed.yard.live(outlet).phase == "charging" for outlet in shed.outlets)
    yield attacked
    mended(attacked, units)


def mended(attacked: Attacked, units: list[Unit]) -> None:
    """As it was before, and nobody charges."""
    yard, bus, (line, now_s) = attacked.yard, attacked.yard.buses[BUS], attacked.line()
    bus.mangle, bus.echo = None, False
    bus.restore()
    line.units[:] = units
    for unit in units:
        unit.faults.clear()
    line.restore_supply(BOARD, now_s)
    for outlet in attacked.outlets:
        if (live := yard.session(outlet)) is not None and live.phase != "closing":
            yard.stop_charge(outlet)
    yard.runs_until(lambda: not yard.house.sessions, 700.0)
    yard.runs_until(lambda: all(yard.house.seen[outlet].linked for outlet in attacked.outlets))
    yard.run(12.0)
    for outlet in attacked.outlets:
        if yard.house.outlets[outlet].latch is not None:
            yard.change(ev.Change.CLEAR_LATCH, outlet)
    yard.settled.clear()


def named(attacked: Attacked, outlet: str, before: dict[str, int]) -> set[str]:
    """What has been counted since."""
    return {kind for kind, count in attacked.faults(outlet).items() if count > before.get(kind, 0)}


def odd_bytes_lost(way: Way, data: bytes, now_s: float) -> list[tuple[float, bytes]]:
    """One that sends 8E1 heard as 8N1: where the parity bit is no stop bit, the byte is none. And so the other way."""
    if way is Way.DOWN or data[0] != METERS[0]:
        return [(0.0, data)]
    return [(0.0, bytes(byte for byte in data if byte.bit_count() % 2))]


def ends_lost(way: Way, data: bytes, now_s: float) -> list[tuple[float, bytes]]:
    return [(0.0, data if way is Way.DOWN or data[0] != METERS[0] else data[:-3])]


# -- what units say -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attack", "fault"),
    [
        (lambda two: two.inject(WireFault.OTHER_KIND, METER), "range"),
        (lambda two: two.inject(WireFault.CRC, METER), "crc"),
        (lambda two: two.add(pzem_unit(METERS[0], two.circuit(1))), "crc"),
        (lambda two: two.mangle(odd_bytes_lost), "truncated"),
        (lambda two: two.mangle(ends_lost), "truncated"),
    ],
    ids=["an inverter that answers like a meter", "checksums", "two at one address", "8E1 among 8N1", "cut short"],
)
def test_a_meter_that_is_not_to_be_believed_is_renewed_no_more_and_named(
    two: Attacked, attack: Callable[[Attacked], None], fault: str
) -> None:
    outlet, before = two.outlets[0], two.faults(two.outlets[0])
    attack(two)

    two.run(Rules().silent_s + LEASE_S)

    assert not two.shed.powered(outlet)
    assert fault in named(two, outlet, before)
    two.mangle(None)
    two.ended(outlet)


def test_a_second_meter_that_answers_after_the_first_is_named_and_the_first_is_billed(two: Attacked) -> None:
    outlet, before = two.outlets[0], two.faults(two.outlets[0])
    slow = pzem_unit(METERS[0], two.circuit(1))
    slow.answers_after_s = 0.06
    two.add(slow)

    two.run(60.0)

    assert named(two, outlet, before) == {"collision"}
    assert two.ended(outlet).meter.used_wh == pytest.approx(two.flowed_wh(outlet), abs=1.0)


def test_a_meter_that_shows_the_same_for_ever_ends_the_charge_and_bills_what_it_counted(two: Attacked) -> None:
    two.inject(Fault.METER_STUCK, METER)

    two.run(1_000.0)

    assert not two.shed.powered(two.outlets[0])
    assert two.ended(two.outlets[0]).reason == StopReason.METER_FAULT
    assert two.yard.house.outlets[two.outlets[0]].latch is not None


@pytest.mark.parametrize("jump_wh", [2**32 % 10_000_000, 1_500.0, 700.0])
def test_a_counter_that_jumps_ends_the_charge_and_nobody_pays_for_the_jump(two: Attacked, jump_wh: float) -> None:
    meter = two.meter(0)
    meter.count_from(meter.counted_wh + jump_wh)

    two.run(10.0)

    assert not two.shed.powered(two.outlets[0])
    assert two.ended(two.outlets[0]).reason == StopReason.METER_FAULT


def test_a_counter_that_begins_anew_is_billed_from_there(two: Attacked) -> None:
    two.inject(Fault.COUNTER_RESET, METER)
    two.run(60.0)

    assert two.yard.live(two.outlets[0]).phase == "charging"
    assert two.ended(two.outlets[0]).meter.used_wh >= 6.0


# -- the line, and we ourselves -----------------------------------------------------------------------------------


def test_an_adapter_that_is_pulled_out_is_counted_for_each_outlet_and_the_charges_go_on(two: Attacked) -> None:
    before = {outlet: two.faults(outlet) for outlet in two.outlets}
    two.yard.buses[BUS].cut()
    two.run(40.0)
    two.yard.buses[BUS].restore()
    two.run(60.0)

    for outlet in two.outlets:
        assert named(two, outlet, before[outlet]) == {"link_down"}
        assert two.yard.live(outlet).phase == "charging"
        two.ended(outlet)


def test_an_adapter_that_stays_away_leaves_nobody_lit_for_longer_than_a_lease(two: Attacked) -> None:
    two.yard.buses[BUS].cut()
    two.run(LEASE_S)
    assert not any(map(two.shed.powered, two.outlets))
    two.yard.buses[BUS].restore()

    two.run(120.0)

    assert all(two.yard.live(outlet).phase == "charging" for outlet in two.outlets)


@pytest.mark.parametrize(("away_s", "lit"), [(60.0, True), (200.0, False)])
def test_a_gateway_that_hung_blames_no_meter_and_goes_on(two: Attacked, away_s: float, lit: bool) -> None:
    two.yard.clock.advance(away_s)
    assert [two.shed.powered(outlet) for outlet in two.outlets] == [lit, lit]
    two.yard.turn()
    two.run(120.0)

    assert all(two.yard.live(outlet).phase == "charging" for outlet in two.outlets)
    two.ended(two.outlets[0])


def test_orders_that_are_lost_leave_the_lease_before_them_and_are_counted(two: Attacked) -> None:
    before = two.faults(two.outlets[0])
    lost = lambda way, data, now_s: [] if way is Way.DOWN and data[1] == WRITE_COIL and any(data[4:6]) else [(0, data)]  # noqa: E731
    two.mangle(lost)

    two.run(LEASE_S + 10.0)

    assert not any(map(two.shed.powered, two.outlets))
    assert "silent" in named(two, two.outlets[0], before)
    assert two.ended(two.outlets[0]).reason == StopReason.DEVICE_STOP


def test_an_adapter_that_echoes_on_changes_nothing_while_units_answer_and_is_named_when_none_does(
    two: Attacked,
) -> None:
    outlet, before = two.outlets[0], two.faults(two.outlets[0])
    two.yard.buses[BUS].echo = True
    two.run(60.0)
    assert two.yard.live(outlet).phase == "charging"
    assert not named(two, outlet, before)

    two.inject(Fault.SILENT, BOARD)
    two.run(LEASE_S)

    assert not any(map(two.shed.powered, two.outlets))
    assert "echo" in named(two, outlet, before)


def test_an_off_waits_for_no_scan_and_a_scan_for_no_charge(two: Attacked) -> None:
    assert two.yard.gateway.router.scan(BUS)
    two.run(30.0)
    two.yard.stop_charge(two.outlets[0])
    two.yard.run(0.3)

    assert not two.shed.powered(two.outlets[0])
    assert two.yard.live(two.outlets[1]).phase == "charging"
    scanned = two.yard.gateway.router.scanned(BUS)
    assert scanned is not None
    assert scanned.asked > 10
    assert not scanned.found  # whoever is ours is not asked


# -- boards -------------------------------------------------------------------------------------------------------


def test_a_board_that_comes_back_lit_is_dark_within_a_round_and_an_alarm(two: Attacked) -> None:
    for outlet in two.outlets:
        two.ended(outlet)
    line, now_s = two.line()
    line.cut_supply(BOARD, now_s)
    two.run(20.0)
    line, now_s = two.line()
    line.restore_supply(BOARD, now_s)
    for contact in line.board(BOARD).contacts:
        contact.on = True  # the one before it did not do so

    two.yard.run(6.0)

    assert not any(map(two.shed.powered, two.outlets))


def test_a_board_that_a_scan_finds_takes_the_place_of_another_while_the_scan_runs(tmp_path: Path) -> None:
    shed = Shed(tmp_path, [BOARD])
    yard, spare, key = shed.yard, waveshare(2, [Lamp(60.0)] * 2), f"waveshare-relay:{BUS}/modbus:2"
    line, _ = yard.at(BUS)
    line.add(spare)
    yard.gateway.router.scan(BUS)
    yard.runs_until(lambda: key in yard.house.found)

    yard.change(ev.Change.REPLACE, f"p-{BUS}-{BOARD}", found=key)
    yard.run(20.0)

    assert [pile.address for pile in yard.gateway.piles()] == [f"{BUS}/modbus:2"]
    assert {yard.house.outlets[outlet].phase for outlet in shed.outlets} == {"adopted"}
    assert not any(contact.on for contact in (*spare.contacts, *line.board(BOARD).contacts))
    scanned = yard.gateway.router.scanned(BUS)
    assert scanned is not None
    assert not scanned.done
    yard.stop()
