"""The units that we play behave as real ones do at their worst; what our drivers make of that is in the other files."""

import pytest

from firmware_bridge.codecs import modbus, pzem, relay_lc, relay_waveshare
from firmware_bridge.wire import AskNow, Provision, SwitchOff, SwitchOn
from simulators.twins.contact import Fault
from simulators.twins.line import Line, WireFault, collided
from simulators.twins.lines import BOARD, wired
from simulators.twins.meter_units import Meter, eastron_unit, pzem_unit
from simulators.twins.relay_boards import PowerUp, RelayBoard, coil_board, lc, waveshare
from tests.bridge.on_a_bus import Lamp, Pair

T0 = 1_800_000_000.0
LEASE_S = 120.0


def shed(board: RelayBoard) -> Pair:
    return Pair("waveshare-relay", *[100.0] * len(board.contacts), line=wired(board, "pzem-004t", T0))


# -- boards -------------------------------------------------------------------------------------------------------


def test_a_board_that_does_not_rearm_is_dark_by_its_first_lease() -> None:
    pair = shed(waveshare(1, [Lamp(100)], rearms=False))
    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(80)
    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(45)

    assert not pair.powered()
    assert pair.last_relay() is False


@pytest.mark.parametrize(("power_up", "lit"), [(PowerUp.OFF, False), (PowerUp.ON, True), (PowerUp.AS_BEFORE, True)])
def test_what_a_board_does_when_the_mains_return_is_seen_by_coil_and_meter(power_up: PowerUp, lit: bool) -> None:
    pair = shed(waveshare(1, [Lamp(100)], power_up=power_up))
    pair.wish(SwitchOn(0, LEASE_S))
    pair.line.power_cycle(pair.now_s)
    pair.run(6)

    assert (pair.powered(), pair.last_relay(), pair.last().power_w) == (lit, lit, 100 if lit else 0)
    pair.run(LEASE_S * 2)
    assert pair.powered() is lit  # nobody gave it an end


def test_a_flash_off_ends_with_power_and_is_none_of_ours() -> None:
    line = Line([lc(1, [Lamp(100)])], T0)
    timer = relay_lc.flash_on(1, 0, 3.0)
    off = modbus.write_registers(1, timer.address, [2, 30])

    line(modbus.encode(off), T0)
    assert not line.powered(BOARD, 0)
    line.advance(T0 + 3.0)

    assert line.powered(BOARD, 0)


def test_an_order_to_all_units_is_obeyed_and_not_answered() -> None:
    line = Line([waveshare(1, [Lamp(100)] * 2), lc(2, [Lamp(100)])], T0)
    on = modbus.write_one(0, modbus.WRITE_COIL, 0, modbus.ON)

    assert line(modbus.encode(on), T0) == []
    assert (line.powered("modbus:1", 0), line.powered("modbus:2", 0)) == (True, True)


def test_all_relays_of_a_waveshare_board_have_one_coil() -> None:
    line = Line([waveshare(1, [Lamp(100)] * 3)], T0)
    line(modbus.encode(modbus.write_one(1, modbus.WRITE_COIL, relay_waveshare.ALL, modbus.ON)), T0)
    assert all(line.powered(BOARD, channel) for channel in range(3))

    line(modbus.encode(modbus.write_one(1, modbus.WRITE_COIL, 1, relay_waveshare.TOGGLE)), T0)
    assert not line.powered(BOARD, 1)
    line(modbus.encode(relay_waveshare.switch_all_off(1)), T0)
    assert not any(line.powered(BOARD, channel) for channel in range(3))


def test_an_input_switches_its_relay_until_provisioning_has_detached_it() -> None:
    board = waveshare(1, [Lamp(100)] * 2, inputs=2)
    pair = shed(board)
    board.wire(1, closed=True)
    assert pair.powered(0)
    board.wire(1, closed=False)

    pair.wish(Provision(LEASE_S))
    board.wire(1, closed=True)

    assert pair.settings("o0")["inputs_detached"] == 1
    assert not pair.powered(0)


def test_noise_of_a_board_that_starts_spoils_no_answer() -> None:
    line = wired(lc(1, [Lamp(100)], greeting=b"\x00\xffLC Relay\r\n"), "eastron-sdm", T0)
    pair = Pair("lc-relay", 100.0, line=line)
    pair.line.power_cycle(pair.now_s)
    pair.wish(AskNow())

    assert pair.last_relay() is False
    assert pair.bad == pair.faults == []


# -- an external timer relay --------------------------------------------------------------------------------------


def watched() -> Line:
    line = Line([coil_board(1, [Lamp(100)] * 8, watchdog=(60.0, 7))], T0)
    coil(line, 0, modbus.ON, T0)
    return line


def coil(line: Line, channel: int, value: int, now_s: float) -> None:
    line(modbus.encode(modbus.write_one(1, modbus.WRITE_COIL, channel, value)), now_s)


def test_a_watched_board_has_no_power_before_the_first_pulse() -> None:
    assert not watched().powered(BOARD, 0)


def test_a_pulse_counts_from_its_beginning_and_one_that_never_ends_is_none() -> None:
    line = watched()
    coil(line, 7, modbus.ON, T0 + 1)
    assert line.powered(BOARD, 0)
    coil(line, 7, modbus.ON, T0 + 50)  # it was closed all the time

    line.advance(T0 + 60.9)
    assert line.powered(BOARD, 0)
    line.advance(T0 + 61.1)
    assert not line.powered(BOARD, 0)


def test_each_whole_pulse_begins_the_time_anew() -> None:
    line = watched()
    for second in range(0, 200, 50):
        coil(line, 7, modbus.ON, T0 + second)
        coil(line, 7, modbus.OFF, T0 + second + 0.1)

    assert line.powered(BOARD, 0)
    line.advance(T0 + 150 + 61)
    assert not line.powered(BOARD, 0)


def test_the_energy_of_a_watched_board_ends_with_its_time() -> None:
    line = watched()
    circuit = line.circuit(BOARD, 0)
    coil(line, 7, modbus.ON, T0)
    line.advance(T0 + 3600)

    assert circuit.total_wh == pytest.approx(100 * 60 / 3600)


def test_a_coil_that_a_dead_gateway_left_closed_is_told_at_the_first_question() -> None:
    """The timer has cut it; the next pulse, for whichever outlet, would give it power again."""
    pair = Pair("coil-relay", 100.0, 60.0)
    pair.wish(SwitchOn(1, 60.0))
    pair.run(70)
    assert not pair.powered(1)
    again = Pair("coil-relay", 100.0, 60.0, line=pair.line)
    again.bus.now_s = pair.bus.now_s

    again.wish(AskNow())

    assert again.last_relay("o1") is True


# -- meters -------------------------------------------------------------------------------------------------------


def test_crossed_meters_show_the_neighbours_load() -> None:
    pair = shed(waveshare(1, [Lamp(100), Lamp(60)]))
    meters = [pair.line.unit(f"modbus:{11 + channel}") for channel in range(2)]
    for meter, channel in zip(meters, (1, 0), strict=True):
        assert isinstance(meter, Meter)
        meter.wire(pair.line.circuit(BOARD, channel))

    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(6)

    assert (pair.last("o0").power_w, pair.last("o1").power_w) == (0, 100)


def test_a_meter_that_is_wired_elsewhere_counts_on() -> None:
    line = Line([waveshare(1, [Lamp(3600), Lamp(0)])], T0)
    meter = pzem_unit(11, line.circuit(BOARD, 0))
    coil(line, 0, modbus.ON, T0)
    line.advance(T0 + 10)
    meter.wire(line.circuit(BOARD, 1))
    line.advance(T0 + 100)

    assert meter.counted_wh == pytest.approx(10)


def test_turned_clamps_show_a_draw_in_reverse_and_we_take_it_for_one() -> None:
    line = Line([lc(1, [Lamp(100)])], T0)
    meter = eastron_unit(11, line.circuit(BOARD, 0))
    meter.turned = True
    line.add(meter)
    pair = Pair("lc-relay", 100.0, line=line)
    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(6)

    assert pair.last().power_w == 100


def test_a_meter_is_reset_by_anybody_on_the_line() -> None:
    line = wired(waveshare(1, [Lamp(3600)]), "pzem-004t", T0)
    coil(line, 0, modbus.ON, T0)

    assert [answer for _, answer in line(modbus.encode(pzem.reset_energy(11)), T0 + 100)] == [
        modbus.encode(pzem.reset_energy(11))
    ]
    meter = line.unit("modbus:11")
    assert isinstance(meter, Meter)
    assert meter.counted_wh == 0


def test_a_stuck_meter_shows_what_it_showed_when_it_stuck() -> None:
    pair = shed(waveshare(1, [Lamp(100)]))
    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(30)
    pair.inject(Fault.METER_STUCK, "modbus:11")
    pair.run(10)
    stuck = pair.last()
    pair.wish(SwitchOff(0))
    pair.run(30)

    assert (pair.last().power_w, pair.last().energy_wh) == (100, stuck.energy_wh)


# -- two on one line ----------------------------------------------------------------------------------------------


def test_two_meters_on_one_address_are_nobody() -> None:
    line = wired(waveshare(1, [Lamp(100), Lamp(60)]), "pzem-004t", T0)
    line.add(pzem_unit(11, line.circuit(BOARD, 1)))
    pair = Pair("waveshare-relay", 100.0, 60.0, line=line)
    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(30)

    assert not [reading for reading in pair.readings("o0") if reading.power_w]  # while both said the same
    assert pair.links("o0")[-1] == "LinkLost"
    assert pair.links("o1") == ["LinkUp"]


def test_two_boards_on_one_address_switch_together_and_the_meters_tell() -> None:
    """Equal answers at the same moment look like one; the twin's own sockets are lit all the same."""
    first, second = waveshare(1, [Lamp(100)]), waveshare(1, [Lamp(100)])
    line = Line([first, second], T0)
    coil(line, 0, modbus.ON, T0)

    assert (first.contacts[0].closed, second.contacts[0].closed) == (True, True)


def test_who_speaks_at_once_is_heard_as_neither() -> None:
    assert collided([(0.02, b"\x0f\x01"), (0.02, b"\xf0")]) == [(0.02, b"\x00\x01")]
    assert collided([(0.02, b"\x0f"), (0.03, b"\xf0")]) == [(0.02, b"\x0f"), (0.03, b"\xf0")]


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next() -> None:
    pair = shed(waveshare(1, [Lamp(100), Lamp(60)]))
    meter = pair.line.unit("modbus:11")
    pair.run(6)
    meter.answers_after_s = 0.6
    pair.wish(SwitchOn(0, LEASE_S))

    pair.run(20)

    assert {reading.power_w for reading in pair.readings("o1")} == {0}
    assert pair.links("o0")[-1] == "LinkLost"


def test_a_board_that_nobody_hears_obeys_all_the_same() -> None:
    """Its driver chip is dead one way: OFF still works, and nobody can say so but the meter."""
    pair = shed(waveshare(1, [Lamp(100)]))
    pair.wish(SwitchOn(0, LEASE_S))
    pair.inject(WireFault.MUTE)
    pair.run(20)
    assert pair.links()[-1] == "LinkLost"
    assert pair.last().power_w == 100

    pair.wish(SwitchOff(0))

    assert not pair.powered()


def test_without_mains_nobody_answers_and_nothing_is_powered() -> None:
    pair = shed(waveshare(1, [Lamp(100)], power_up=PowerUp.ON))
    pair.wish(SwitchOn(0, LEASE_S))
    pair.line.cut_mains(pair.now_s)
    pair.run(20)

    assert not pair.powered()
    assert pair.links()[-1] == "LinkLost"


def test_a_plug_that_is_pulled_draws_nothing_from_then_on() -> None:
    pair = shed(waveshare(1, [Lamp(100)]))
    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(6)
    pair.line.unplug(BOARD, 0, pair.now_s)
    pair.run(6)
    assert pair.last().power_w == 0

    pair.line.plug(BOARD, 0, Lamp(50), pair.now_s)
    pair.run(6)
    assert pair.last().power_w == 50
