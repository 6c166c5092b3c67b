"""Every driver of a bus against units of its kind: found, set up, switched, renewed, cut by its lease, off, seen."""

import pytest

from controller.core import events as ev
from firmware_bridge.drivers import ON_BUS
from firmware_bridge.transports.memory_bus import Mangle, Way
from firmware_bridge.wire import AskNow, Provision, SwitchOff, SwitchOn
from simulators.twins.contact import Fault
from simulators.twins.line import WireFault
from simulators.twins.lines import BOARD, LINES, WATCHDOG, wired
from simulators.twins.relay_boards import waveshare
from tests.bridge.on_a_bus import BOARDS, METERS, T0, Lamp, Pair, heard_in

LEASES_S = {"coil-relay": WATCHDOG[0]}  # others have what we give them
LEASE_S = 120.0
ALL = pytest.mark.parametrize("name", sorted(ON_BUS))
RELAYS = pytest.mark.parametrize("name", sorted(BOARDS))


def lease_s(name: str) -> float:
    return LEASES_S.get(name, LEASE_S)


def provisioned(name: str, *powers_w: float) -> Pair:
    pair = Pair(name, *powers_w)
    pair.wish(Provision(LEASE_S))
    pair.run(1)
    return pair


def lit(name: str, *powers_w: float) -> Pair:
    """The first of its outlets is on."""
    pair = provisioned(name, *powers_w)
    pair.wish(SwitchOn(0, LEASE_S))
    return pair


def fed(pair: Pair) -> None:
    """Its first circuit has power, whatever anybody orders."""
    pair.line.board(BOARD).contacts[0].inject(Fault.WELDED)
    pair.line.board(BOARD).timer = None


def test_every_driver_has_a_line() -> None:
    assert sorted(ON_BUS) == sorted(LINES) == sorted([*BOARDS, *METERS])


@ALL
def test_an_outlet_is_within_reach_once_all_of_its_units_have_answered(name: str) -> None:
    pair = Pair(name, 100)
    pair.run(16)

    assert pair.links() == ["LinkUp"]
    assert pair.bad == pair.faults == []


@ALL
def test_a_reading_is_whole(name: str) -> None:
    pair = Pair(name, 100)
    fed(pair)
    pair.run(88)

    last = pair.last()
    assert (last.power_w, last.voltage_v) == (100, 230)
    if pair.kind != "dlt645":
        assert last.current_a == pytest.approx(100 / 230 / 0.9, abs=0.001)
    assert last.energy_wh == pytest.approx(pair.line.circuit(BOARD, 0).total_wh, abs=10 if name == "dlt645" else 1)


@RELAYS
@pytest.mark.parametrize("relays", [1, 2, 7])
def test_provisioning_tells_all_that_commissioning_wants(name: str, relays: int) -> None:
    pair = provisioned(name, *[100.0] * relays)

    wanted = {"power_up_off": -1, "sees_power_when_off": 1, "own_counter": 1, "inputs_detached": 1}
    watchdog = {"watchdog_s": WATCHDOG[0]} if name == "coil-relay" else {}
    for channel in range(relays):
        assert pair.settings(f"o{channel}") == wanted | watchdog
        assert not pair.powered(channel)


@RELAYS
@pytest.mark.parametrize("silent", ["board", "meter"])
def test_nothing_is_told_of_settings_before_board_and_meter_have_really_answered(name: str, silent: str) -> None:
    pair = Pair(name, 100)
    pair.inject(Fault.SILENT, BOARD if silent == "board" else pair.meter)
    pair.wish(Provision(LEASE_S))
    pair.run(30)
    assert pair.settings() == {}

    pair.line.mend(Fault.SILENT, pair.now_s, BOARD if silent == "board" else pair.meter)
    pair.run(60)
    pair.wish(Provision(LEASE_S))
    assert pair.settings()["own_counter"] == 1


@RELAYS
def test_on_is_confirmed_by_the_coil_and_seen_by_the_meter(name: str) -> None:
    pair = provisioned(name, 100, 60)

    pair.wish(SwitchOn(1, LEASE_S))
    assert (pair.last_relay("o0"), pair.last_relay("o1")) == (False, True)
    pair.run(6)

    assert (pair.powered(0), pair.powered(1)) == (False, True)
    assert (pair.last("o0").power_w, pair.last("o1").power_w) == (0, 60)


@pytest.mark.parametrize("kind", METERS)
def test_any_kind_of_meter_may_stand_behind_a_relay(kind: str) -> None:
    line = wired(waveshare(1, [Lamp(100), Lamp(60)]), kind, T0)
    pair = Pair("waveshare-relay", 100, 60, line=line, kind=kind)
    pair.wish(Provision(LEASE_S))
    pair.wish(SwitchOn(1, LEASE_S))
    pair.run(11)
    drawn_w = [pair.last(outlet).power_w for outlet in ("o0", "o1")]
    pair.wish(SwitchOff(1))

    assert drawn_w == [0, 60]
    assert (pair.last("o1").power_w, pair.last("o1").voltage_v) == (0, 230)
    assert pair.settings("o1")["own_counter"] == 1


@RELAYS
def test_the_lease_cuts_by_itself(name: str) -> None:
    pair = lit(name, 100)

    pair.run(lease_s(name) - 1)
    assert pair.powered()
    pair.run(7)

    assert not pair.powered()
    assert pair.last().power_w == 0
    assert pair.last_relay() is (name == "coil-relay")  # its coil stays; the timer before it has cut


@RELAYS
def test_the_lease_cuts_an_outlet_that_was_never_provisioned(name: str) -> None:
    pair = Pair(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))
    assert pair.powered()

    pair.run(lease_s(name) + 1)

    assert not pair.powered()


@RELAYS
def test_a_renewal_counts_from_the_full_value(name: str) -> None:
    pair = lit(name, 100)

    for _ in range(9):
        pair.run(lease_s(name) / 3)
        pair.wish(SwitchOn(0, LEASE_S))
    pair.run(lease_s(name) - 1)
    assert pair.powered()
    pair.run(2)

    assert not pair.powered()


@RELAYS
def test_asking_never_lengthens_or_shortens_a_lease(name: str) -> None:
    pair = lit(name, 100)

    for _ in range(10):
        pair.wish(AskNow())
        pair.run(lease_s(name) / 10 - 0.3)
    assert pair.powered()
    pair.run(4)

    assert not pair.powered()


@RELAYS
def test_off_is_off_and_the_meter_proves_it_at_once(name: str) -> None:
    pair = lit(name, 100, 100)
    pair.run(20)

    with heard_in(pair) as heard:
        pair.wish(SwitchOff(0))

    assert not pair.powered()
    assert [e.on for e in heard if isinstance(e, ev.RelayReported) and e.outlet == "o0"] == [False]
    assert [e.power_w for e in heard if isinstance(e, ev.Reading) and e.outlet == "o0"] == [0]


@RELAYS
def test_an_order_that_arrives_twice_does_no_harm(name: str) -> None:
    pair = provisioned(name, 100)
    for wish in (SwitchOn(0, LEASE_S), SwitchOn(0, LEASE_S), SwitchOff(0), SwitchOff(0)):
        pair.wish(wish)
    pair.run(LEASE_S * 2)

    assert not pair.powered()


@RELAYS
def test_a_welded_relay_is_seen_after_the_off(name: str) -> None:
    pair = lit(name, 100)
    pair.inject(Fault.WELDED)

    pair.wish(SwitchOff(0))

    assert (pair.last_relay(), pair.last().power_w) == (False, 100)


@RELAYS
def test_a_relay_that_will_not_close_is_told_by_the_meter(name: str) -> None:
    pair = provisioned(name, 100)
    pair.inject(Fault.WONT_CLOSE)

    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(6)

    assert (pair.last_relay(), pair.last().power_w) == (True, 0)


@RELAYS
@pytest.mark.parametrize("silent", ["board", "meter"])
def test_a_silent_unit_takes_its_outlets_out_of_reach_and_the_lease_cuts(name: str, silent: str) -> None:
    pair = lit(name, 100, 60)
    address = BOARD if silent == "board" else pair.meter
    pair.inject(Fault.SILENT, address)

    pair.run(20)
    assert pair.powered()
    pair.run(lease_s(name) - 19)

    assert pair.links("o0")[:2] == ["LinkUp", "LinkLost"]
    assert ("LinkLost" in pair.links("o1")) is (silent == "board")
    assert not pair.powered()
    pair.line.mend(Fault.SILENT, pair.now_s, address)
    pair.run(66)  # who was silent for long is asked seldom
    assert pair.links("o0")[-1] == "LinkUp"


@ALL
def test_an_adapter_that_was_away_for_long_brings_its_outlets_back_by_name(name: str) -> None:
    """Its loss is told by the link; what was ordered meanwhile was lost with it."""
    pair = Pair(name, 100)
    pair.run(16)
    pair.bus.cut()
    pair.run(60)
    pair.bus.restore()
    pair.run(16)

    assert pair.links() == ["LinkUp", "LinkUp"]


@RELAYS
def test_what_half_an_outlet_says_does_not_bring_it_within_reach(name: str) -> None:
    pair = provisioned(name, 100)
    pair.inject(Fault.SILENT, pair.meter)
    pair.run(20)

    with heard_in(pair) as heard:
        pair.run(20)

    about = [type(event) for event in heard if isinstance(event, ev.RelayReported | ev.LinkLost)]
    assert about == [ev.RelayReported, ev.LinkLost] * 4


@RELAYS
def test_power_behind_a_board_that_is_away_is_told_and_that_there_is_none_is_not(name: str) -> None:
    """None would be taken for a socket that is free; power, for what it is."""
    pair = lit(name, 100, 60)
    pair.inject(Fault.SILENT)
    pair.run(20)

    with heard_in(pair) as heard:
        pair.run(20)

    assert {e.outlet for e in heard if isinstance(e, ev.Reading)} == {"o0"}
    assert {e.outlet for e in heard if isinstance(e, ev.LinkLost)} == {"o0", "o1"}


@ALL
def test_a_meter_that_is_silent_is_lost_and_comes_back(name: str) -> None:
    pair = Pair(name, 100)
    pair.run(16)
    pair.inject(Fault.SILENT, pair.meter)
    pair.run(31)
    lost = pair.links()
    pair.line.mend(Fault.SILENT, pair.now_s, pair.meter)
    pair.run(60)

    assert lost[:2] == ["LinkUp", "LinkLost"]
    assert pair.links()[-1] == "LinkUp"


@RELAYS
def test_mains_that_come_back_leave_an_outlet_off(name: str) -> None:
    pair = lit(name, 100)
    pair.run(10)

    pair.line.power_cycle(pair.now_s)
    pair.run(6)

    assert not pair.powered()
    assert (pair.last_relay(), pair.last().power_w) == (False, 0)


@ALL
@pytest.mark.parametrize("fault", [Fault.METER_NAN, Fault.METER_GARBAGE, WireFault.OTHER_KIND])
def test_a_broken_meter_or_another_device_is_blamed_and_lost(name: str, fault: Fault | WireFault) -> None:
    pair = Pair(name, 100)
    pair.run(16)
    pair.inject(fault, pair.meter)

    with heard_in(pair) as heard:
        pair.run(50)

    assert set(pair.bad) <= {"range", "malformed"}
    assert len(pair.bad) >= 3
    assert not [event for event in heard if isinstance(event, ev.Reading)]
    assert pair.links()[1] == "LinkLost"


@ALL
def test_errors_on_the_line_are_no_readings(name: str) -> None:
    pair = Pair(name, 100)
    pair.run(16)
    pair.inject(WireFault.CRC, pair.meter)

    with heard_in(pair) as heard:
        pair.run(40)

    assert not [event for event in heard if isinstance(event, ev.Reading)]
    assert pair.links()[1] == "LinkLost"
    assert set(pair.faults) <= {"crc", "malformed", "truncated"}


def whole(way: Way, chunk: bytes, now_s: float) -> list[tuple[float, bytes]]:
    return [(0.0, chunk)]


def byte_by_byte(way: Way, chunk: bytes, now_s: float) -> list[tuple[float, bytes]]:
    return (
        [(place * BYTE_S, chunk[place : place + 1]) for place in range(len(chunk))] if way is Way.UP else [(0, chunk)]
    )


def with_glitches(way: Way, chunk: bytes, now_s: float) -> list[tuple[float, bytes]]:
    return [(0.0, b"\x00\x00" + chunk + b"\x00\x00\x00" if way is Way.UP else chunk)]


BYTE_S = 10 / 9600


@ALL
@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("mangle", [whole, byte_by_byte, with_glitches])
def test_whatever_the_wires_do_to_it_all_is_understood(name: str, mangle: Mangle, echo: bool) -> None:
    pair = Pair(name, 100, 60, mangle=mangle, echo=echo)
    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(16)
    drawn_w = pair.last().power_w
    pair.wish(SwitchOff(0))
    pair.run(16)

    assert drawn_w == (100 if name in BOARDS else 0)
    assert pair.last().power_w == 0
    assert pair.links() == ["LinkUp"]
    assert pair.bad == pair.faults == []


@RELAYS
def test_an_adapter_that_hears_itself_proves_no_relay(name: str) -> None:
    """A board that is gone: what comes back of the order is the order."""
    pair = Pair(name, 100, echo=True)
    pair.run(6)
    pair.inject(Fault.SILENT)
    with heard_in(pair) as heard:
        pair.wish(SwitchOn(0, LEASE_S))
        pair.wish(SwitchOff(0))

    assert not [event for event in heard if isinstance(event, ev.RelayReported)]


@RELAYS
def test_the_counter_only_rises_and_counts_what_flowed(name: str) -> None:
    pair = provisioned(name, 100, 50)
    for _ in range(6):
        pair.wish(SwitchOn(0, LEASE_S))
        pair.wish(SwitchOn(1, LEASE_S))
        pair.run(lease_s(name) - 1)
    pair.wish(AskNow())

    hours = 6 * lease_s(name) / 3600
    for outlet, power_w in (("o0", 100.0), ("o1", 50.0)):
        counted = [reading.energy_wh for reading in pair.readings(outlet) if reading.energy_wh is not None]
        assert counted == sorted(counted)
        assert counted[-1] == pytest.approx(power_w * hours, abs=1.5)


@ALL
def test_a_counter_that_was_set_back_is_told_as_it_stands(name: str) -> None:
    pair = Pair(name, 3600)
    fed(pair)
    pair.run(60)
    before_wh = pair.last().energy_wh
    pair.inject(Fault.COUNTER_RESET, pair.meter)
    pair.run(36)

    assert before_wh is not None
    assert pair.last().energy_wh == pytest.approx(20, abs=16)
    assert before_wh > 40


@pytest.mark.parametrize("name", METERS)
def test_a_meter_alone_can_be_ordered_nothing(name: str) -> None:
    pair = Pair(name, 100)

    for wish in (SwitchOn(0, LEASE_S), SwitchOff(0), Provision(LEASE_S)):
        assert pair.driver.orders(wish) == []
    pair.wish(AskNow())
    assert pair.last().power_w == 0
