"""The drivers of a bus: what they put on the wires, what they make of what comes back, and who they take a unit for."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from controller.core import events as ev
from controller.core.errors import BadFrame
from firmware_bridge.codecs import eastron, modbus, pzem
from firmware_bridge.drivers import ON_BUS, bus_found
from firmware_bridge.gate import Gates
from firmware_bridge.router import Router
from firmware_bridge.transports.memory_bus import MemoryBus
from firmware_bridge.transports.pace import Pace
from firmware_bridge.wire import AskNow, Driver, Message, Pile, Provision, SetInputs, SwitchOff, SwitchOn
from simulators.twins.line import Line
from simulators.twins.meter_units import dlt645_unit, eastron_unit, pzem_unit
from simulators.twins.relay_boards import coil_board, lc, waveshare
from tests.bridge.on_a_bus import Lamp

NOW = ev.Stamp(1_800_000_000.0, 50.0)
BOARD, METERS = "shed-1/modbus:1", ["shed-1/modbus:11", "shed-1/modbus:12"]
COILS = "01 01 00 00 00 08 3D CC"
PZEM = "0B 04 00 00 00 0A 70 A7"


def pile(family: str = "waveshare-relay", kind: str = "pzem-004t", **params: Any) -> Pile:
    meters = [*({"family": kind, "address": address} for address in METERS), *[None] * 6]
    return Pile("p", family, BOARD, ("o0", "o1", *[""] * 6), {"meters": meters, **params})


def driver(family: str = "waveshare-relay", kind: str = "pzem-004t", **params: Any) -> Driver:
    return ON_BUS[family].open(pile(family, kind, **params))


def lines(messages: Any) -> list[tuple[str, str, str]]:
    return [(m.address.partition("/")[2], m.payload.hex(" ").upper(), m.slot) for m in messages]


# -- what goes out ------------------------------------------------------------------------------------------------


def test_a_waveshare_relay_is_switched_on_with_its_end_in_the_same_frame_and_its_coil_is_read() -> None:
    assert lines(driver().orders(SwitchOn(1, 120.0))) == [
        ("modbus:1", "01 05 02 01 04 B0 9E C6", "relay:1"),
        ("modbus:1", COILS, ""),
    ]


def test_an_lc_relay_is_switched_on_with_its_end_in_the_same_frame() -> None:
    on, read = lines(driver("lc-relay").orders(SwitchOn(0, 2.0)))

    assert on == ("modbus:1", "01 10 00 03 00 02 04 00 04 00 14 F2 74", "relay:0")
    assert read[1] == COILS


def test_a_plain_coil_is_switched_on_and_its_watchdog_pulsed() -> None:
    orders = lines(driver("coil-relay", watchdog={"s": 60, "channel": 7}).orders(SwitchOn(1, 60.0)))

    assert orders == [
        ("modbus:1", "01 05 00 01 FF 00 DD FA", "relay:1"),
        ("modbus:1", "01 05 00 07 FF 00 3D FB", "watchdog:close"),
        ("modbus:1", "01 05 00 07 00 00 7C 0B", "watchdog:release"),
        ("modbus:1", COILS, ""),
    ]


@pytest.mark.parametrize("family", ["waveshare-relay", "lc-relay", "coil-relay"])
def test_off_is_a_plain_coil_and_then_relay_and_meter_are_asked(family: str) -> None:
    assert lines(driver(family).orders(SwitchOff(0))) == [
        ("modbus:1", "01 05 00 00 00 00 CD CA", "relay:0"),
        ("modbus:1", COILS, ""),
        ("modbus:11", PZEM, ""),
    ]


def test_a_round_asks_the_board_once_and_each_meter_once() -> None:
    made = driver("lc-relay")

    assert [line[0] for line in lines(made.polls(NOW))] == ["modbus:1", "modbus:11", "modbus:12"]
    assert made.orders(AskNow()) == made.polls(NOW)
    assert made.orders(SetInputs((1,))) == []


def test_a_board_is_asked_for_its_version_until_it_has_told_it_and_again_once_it_was_away() -> None:
    made = driver()
    version = "01 03 80 00 00 01 AD CA"
    assert [line[1] for line in lines(made.polls(NOW))][-1] == version

    told = heard(made, BOARD, version, "01 03 02 00 C8 B9 D2")
    assert [(e.outlet, e.firmware) for e in told if isinstance(e, ev.FirmwareReported)] == [
        ("o0", "2.00"),
        ("o1", "2.00"),
    ]
    assert version not in [line[1] for line in lines(made.polls(NOW))]

    up(made)
    for _ in range(3):
        silent(made, BOARD)
    assert [line[1] for line in lines(made.polls(NOW))][-1] == version


def test_a_board_that_refuses_to_tell_its_version_is_not_asked_for_ever() -> None:
    made = driver()
    version = lines(made.polls(NOW))[-1][1]

    assert heard(made, BOARD, version, "01 83 02 C0 F1", "exception") == []
    assert len(made.polls(NOW)) == 3


@pytest.mark.parametrize(("kind", "questions"), [("eastron-sdm", 2), ("dlt645", 3)])
def test_the_power_is_asked_last_so_that_no_reading_is_older_than_its_power(kind: str, questions: int) -> None:
    address = "shed-1/dlt645:000000000161" if kind == "dlt645" else METERS[0]
    asks = ON_BUS[kind].open(Pile("p", kind, address, ("o0",), {})).polls(NOW)

    assert len(asks) == questions
    assert asks[-1].payload.hex().upper() in ("0B04000000" + "0E7164", "FEFEFEFE68610100000000681104333336351816")


def test_provisioning_lets_no_input_switch_a_waveshare_relay() -> None:
    orders = lines(driver().orders(Provision(120.0)))

    assert [line[1][:11] for line in orders[:4]] == ["01 06 10 00", "01 03 10 00", "01 06 10 01", "01 03 10 01"]
    assert not any(line[2] for line in orders)
    assert next(line[1] for line in lines(driver("lc-relay").orders(Provision(120.0)))) == COILS


def test_who_is_not_ours_is_neither_asked_nor_told_of() -> None:
    none = ON_BUS["waveshare-relay"].open(Pile("", "waveshare-relay", BOARD, ("",) * 8, {"meters": [None] * 8}))

    assert list(none.listens()) == [BOARD]
    assert lines(none.polls(NOW))[0] == ("modbus:1", COILS, "")
    assert heard(none, BOARD, COILS, "01 01 01 FF 11 C8") == []
    assert [event for _ in range(4) for event in silent(none, BOARD)] == []
    half = ON_BUS["waveshare-relay"].open(replace(pile(), outlets=("o0", *[""] * 7)))
    assert list(half.listens()) == [BOARD, METERS[0]]


def test_each_outlet_has_the_addresses_of_its_own_relay_and_meter() -> None:
    made = driver()

    assert made.addresses_of("o1") == [BOARD, METERS[1]]  # type: ignore[attr-defined]
    assert list(made.listens()) == [BOARD, *METERS]


@pytest.mark.parametrize(
    ("meters", "says"),
    [
        ([{"family": "toaster", "address": METERS[0]}], "no kind of meter"),
        ([{"family": "pzem-004t", "address": "shed-2/modbus:11"}], "address of its own on shed-1"),
        ([{"family": "pzem-004t", "address": BOARD}], "address of its own"),
        ([{"family": "pzem-004t", "address": "shed-1/dlt645:000000000161"}], "no address of modbus"),
        ([{"family": "dlt645", "address": "shed-1/dlt645:161"}], "no meter's address"),
        ([{"family": "pzem-004t", "address": METERS[0]}] * 2, "one outlet alone"),
        ([{"family": "pzem-004t"}], "address"),
        (7, "array"),
    ],
)
def test_a_board_with_impossible_meters_is_refused_in_one_line(meters: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ON_BUS["waveshare-relay"].open(Pile("p", "waveshare-relay", BOARD, ("o0", "o1"), {"meters": meters}))


def test_a_watchdog_on_the_relay_of_an_outlet_is_refused() -> None:
    with pytest.raises(ValueError, match="no outlet on it"):
        driver("coil-relay", watchdog={"s": 60, "channel": 1})


# -- what comes back ----------------------------------------------------------------------------------------------


def heard(made: Driver, address: str, asked: str, answer: str, fault: str = "", at_s: float = 50.0) -> list[ev.Event]:
    message = Message(address, bytes.fromhex(answer), asked=bytes.fromhex(asked), fault=fault)
    return list(made.receive(message, ev.Stamp(NOW.at + at_s, at_s)))


def silent(made: Driver, address: str, fault: str = "silent") -> list[ev.Event]:
    return heard(made, address, COILS, "", fault)


def up(made: Driver) -> Driver:
    heard(made, BOARD, COILS, "01 01 01 00 51 88")
    for number, address in enumerate(METERS, start=11):
        ask, answer = pzem.ask_values(number), pzem.answer_values(number, VALUES)
        heard(made, address, modbus.encode(ask).hex(), modbus.encode(answer).hex())
    return made


VALUES = pzem.Values(230.0, 1.0, 207.0, 1234, 50.0, 0.9, False)


def test_the_answer_to_an_order_proves_nothing_about_the_relay() -> None:
    on = "01 05 02 00 04 B0 CF 06"

    assert heard(up(driver()), BOARD, on, on) == []


def test_a_reading_that_was_under_way_when_the_off_was_ordered_proves_nothing() -> None:
    made = up(driver())
    idle = modbus.encode(pzem.answer_values(11, replace(VALUES, power_w=0.0))).hex()
    off, *_ = lines(made.orders(SwitchOff(0)))

    assert heard(made, METERS[0], PZEM, idle) == []  # measured before the OFF left
    silent(made, BOARD, "late")  # to something long ago
    assert heard(made, METERS[0], PZEM, idle) == []
    heard(made, BOARD, off[1], off[1])
    (proof,) = heard(made, METERS[0], PZEM, idle)

    assert isinstance(proof, ev.Reading)


def test_an_off_that_no_board_hears_hides_no_reading() -> None:
    """The lease has cut, or nothing has: the meter alone can tell."""
    made = up(driver())
    drawn = modbus.encode(pzem.answer_values(11, VALUES)).hex()
    made.orders(SwitchOff(0))
    silent(made, BOARD)

    assert [e.power_w for e in heard(made, METERS[0], PZEM, drawn) if isinstance(e, ev.Reading)] == [207]


def test_coils_are_those_of_their_outlets() -> None:
    told = heard(up(driver()), BOARD, COILS, "01 01 01 02 D0 49")

    assert [(e.outlet, e.on) for e in told if isinstance(e, ev.RelayReported)] == [("o0", False), ("o1", True)]


def test_three_questions_in_a_row_without_an_answer_lose_the_outlets_of_that_unit() -> None:
    made = up(driver())

    assert silent(made, METERS[0]) == silent(made, METERS[0], "crc") == []
    assert [type(e) for e in silent(made, METERS[0], "malformed")] == [ev.LinkLost]
    assert silent(made, METERS[0]) == []
    assert [e.outlet for e in [*silent(made, BOARD), *silent(made, BOARD), *silent(made, BOARD)]] == ["o1"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("fault", ["late", "expired", "exception"])
def test_what_was_counted_already_never_left_or_was_refused_loses_nobody(fault: str) -> None:
    made = up(driver())

    assert [event for _ in range(9) for event in silent(made, BOARD, fault)] == []


def test_an_answer_in_between_begins_the_count_anew() -> None:
    made = up(driver())
    for _ in range(5):
        assert silent(made, BOARD) == silent(made, BOARD) == []
        heard(made, BOARD, COILS, "01 01 01 00 51 88")


def lit(*channels: int) -> Driver:
    """Told and answered; and its coils say so."""
    made = up(driver())
    for channel in channels:
        on, *_ = lines(made.orders(SwitchOn(channel, 120.0)))
        heard(made, BOARD, on[1], on[1], at_s=60.0)
    heard(made, BOARD, COILS, coils_answer(*channels), at_s=60.0)
    return made


def coils_answer(*on: int) -> str:
    return modbus.encode(modbus.answer_bits(1, modbus.READ_COILS, [channel in on for channel in range(8)])).hex()


def restarts(events: list[ev.Event]) -> list[str]:
    return [event.outlet for event in events if isinstance(event, ev.DeviceRestarted)]


def test_relays_that_opened_while_their_board_was_silent_show_that_it_started_anew() -> None:
    made = lit(0, 1)
    silent(made, BOARD)

    told = heard(made, BOARD, COILS, coils_answer(1), at_s=70.0)

    assert restarts(told) == ["o0"]
    assert isinstance(told[0], ev.DeviceRestarted)  # before what its relay shows


def test_relays_that_open_all_at_once_have_lost_their_supply() -> None:
    assert restarts(heard(lit(0, 1), BOARD, COILS, coils_answer(), at_s=70.0)) == ["o0", "o1"]


def test_one_relay_that_opens_by_itself_was_opened_by_somebody() -> None:
    assert restarts(heard(lit(0, 1), BOARD, COILS, coils_answer(1), at_s=70.0)) == []


def test_relays_that_open_as_ordered_or_at_the_end_of_their_lease_are_no_news() -> None:
    made = lit(0, 1)
    made.orders(SwitchOff(0))
    silent(made, BOARD)
    assert restarts(heard(made, BOARD, COILS, coils_answer(1), at_s=70.0)) == []

    assert restarts(heard(lit(0, 1), BOARD, COILS, coils_answer(), at_s=179.0)) == []


def test_an_on_that_was_never_answered_promises_nothing() -> None:
    made = up(driver())
    made.orders(SwitchOn(0, 120.0))
    silent(made, BOARD)

    assert restarts(heard(made, BOARD, COILS, coils_answer(), at_s=70.0)) == []


def test_power_of_another_round_meets_no_counter_of_this_one() -> None:
    made = ON_BUS["eastron-sdm"].open(Pile("p", "eastron-sdm", METERS[0], ("o0",), {}))
    energy, power = (ask.payload.hex() for ask in made.polls(NOW))
    counted = modbus.encode(eastron.answer(11, [1.5])).hex()
    drawn = modbus.encode(eastron.answer(11, [230.0, 0, 0, 1.0, 0, 0, 207.0])).hex()

    assert heard(made, METERS[0], energy, counted) == []
    (late,) = (e for e in heard(made, METERS[0], power, drawn, at_s=60.0) if isinstance(e, ev.Reading))
    heard(made, METERS[0], energy, counted, at_s=65.0)
    (whole,) = heard(made, METERS[0], power, drawn, at_s=65.2)

    assert (late.power_w, late.energy_wh) == (207, None)
    assert isinstance(whole, ev.Reading)
    assert (whole.power_w, whole.energy_wh, whole.steady_s) == (207, 1500, 65.2)


def test_an_inverter_that_answers_like_a_pzem_is_blamed_and_lost() -> None:
    made = up(driver())
    words = (5, *modbus.registers_of(pzem.answer_values(11, VALUES))[1:])
    answer = modbus.encode(modbus.answer_registers(11, modbus.READ_REGISTERS, words))

    told: list[ev.Event] = []
    for _ in range(3):
        with pytest.raises(BadFrame, match=r"voltage_v 0\.5"):
            told.extend(made.receive(Message(METERS[0], answer, asked=bytes.fromhex(PZEM)), NOW))
    assert [type(event) for event in told] == [ev.LinkLost]  # told before it is blamed


def test_fewer_coils_than_relays_are_no_answer() -> None:
    sixteen = ON_BUS["waveshare-relay"].open(
        Pile("p", "waveshare-relay", BOARD, tuple(f"o{n}" for n in range(16)), {"meters": [None] * 16})
    )
    asked = sixteen.polls(NOW)[0].payload.hex()

    with pytest.raises(BadFrame, match="16 were asked"):
        heard(sixteen, BOARD, asked, "01 01 01 FF 11 C8")


def test_an_outlet_without_a_meter_never_claims_one() -> None:
    made = ON_BUS["lc-relay"].open(Pile("p", "lc-relay", BOARD, ("o0",), {}))
    made.orders(Provision(120.0))

    told = {e.setting: e.value for e in heard(made, BOARD, COILS, "01 01 01 00 51 88") if isinstance(e, SETTING)}

    assert (told["own_counter"], told["sees_power_when_off"]) == (0, 0)


SETTING = ev.SettingReported


@pytest.mark.parametrize(
    ("fault", "answer", "detached"),
    [("exception", "01 83 02 C0 F1", 1), ("", "01 03 02 00 00 B8 44", 1), ("", "01 03 02 00 01 79 84", 0)],
)
def test_an_input_that_could_switch_is_told(fault: str, answer: str, detached: float) -> None:
    """A board without inputs refuses the question."""
    made = driver()
    mode = lines(made.orders(Provision(120.0)))[1][1]
    up(made)

    told = heard(made, BOARD, mode, answer, fault)

    assert {e.setting: e.value for e in told if isinstance(e, SETTING)}["inputs_detached"] == detached


def test_a_board_that_has_no_inputs_is_asked_for_none_again_but_one_that_is_busy_is() -> None:
    made = driver()
    mode = lines(made.orders(Provision(120.0)))[1][1]
    up(made)

    heard(made, BOARD, mode, "01 83 06 C1 32", "exception")
    assert mode in [payload for _, payload, _ in lines(made.orders(Provision(120.0)))]
    heard(made, BOARD, mode, "01 83 02 C0 F1", "exception")
    assert mode not in [payload for _, payload, _ in lines(made.orders(Provision(120.0)))]
    for _ in range(3):
        silent(made, BOARD)
    assert mode in [payload for _, payload, _ in lines(made.orders(Provision(120.0)))]  # it may be another one now


ANY = st.binary(max_size=60)


@pytest.mark.parametrize("family", sorted(ON_BUS))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_garbage_is_a_bad_frame_and_nothing_else(family: str, data: st.DataObject) -> None:
    address = "shed-1/dlt645:000000000161" if family == "dlt645" else BOARD
    made = ON_BUS[family].open(Pile("p", family, address, ("o0",), {}))
    asks = [message.payload for message in [*made.polls(NOW), *made.orders(SwitchOff(0))]]
    at = data.draw(st.sampled_from(made.listens()))
    message = Message(at, data.draw(ANY), asked=data.draw(st.sampled_from(asks) | ANY), fault=data.draw(FAULTS))

    with suppress(BadFrame):
        assert not [e for e in made.receive(message, NOW) if isinstance(e, ev.Reading | ev.RelayReported)]
    with suppress(BadFrame):
        assert not ON_BUS[family].discover(message, NOW)


FAULTS = st.sampled_from(["", "", "silent", "crc", "exception", "collision"])


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 24), byte=st.integers(1, 255))
def test_an_answer_with_one_wrong_byte_shows_nothing(place: int, byte: int) -> None:
    answer = bytearray(modbus.encode(pzem.answer_values(11, VALUES)))
    answer[place] ^= byte

    with pytest.raises(BadFrame):
        heard(driver(), METERS[0], PZEM, answer.hex())


# -- who is there -------------------------------------------------------------------------------------------------


class Scan:
    """A router that has no pile, on a line: every family asks what it asks, at each of these addresses."""

    def __init__(self, line: Line, *units: str) -> None:
        self.bus = MemoryBus(Pace(), lambda request, now_s: line(request, NOW.at + now_s))
        self.told: list[ev.Event] = []
        self.router = Router(ON_BUS, self.bus, Gates(self.now), self.now, self.told.append, lambda trip: None)
        self.bus.start(self.router.receive, self.router.linked)
        for unit in units:
            for probe in probes(f"hall/{unit}"):
                self.bus.send(probe)
                self.bus.run(self.bus.now_s + 8.0)  # also who was silent thrice is asked again by then

    def now(self) -> ev.Stamp:
        return ev.Stamp(NOW.at + self.bus.now_s, self.bus.now_s)

    @property
    def found(self) -> dict[str, str]:
        return {event.address: event.family for event in self.told if isinstance(event, ev.PileFound)}


def probes(address: str) -> list[Message]:
    protocol = address.rpartition("/")[2].partition(":")[0]
    families = [family for name, family in ON_BUS.items() if (name == "dlt645") is (protocol == "dlt645")]
    return [probe for family in families for probe in family.probes(address)]


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_found, "SHOWN", bus_found.Shown())


def mixed() -> Line:
    boards = [waveshare(1, [Lamp(1)] * 8, version=210), lc(254, [Lamp(1)] * 4), coil_board(9, [Lamp(1)] * 8)]
    line = Line(boards, NOW.at)
    circuit = line.circuit("modbus:1", 0)
    for unit in (pzem_unit(11, circuit), eastron_unit(12, circuit), dlt645_unit("000000000161", circuit)):
        line.add(unit)
    return line


UNITS = ["modbus:1", "modbus:2", "modbus:9", "modbus:11", "modbus:12", "modbus:254", "dlt645:AAAAAAAAAAAA"]


def test_everybody_on_a_line_is_found_as_what_they_are() -> None:
    scan = Scan(mixed(), *UNITS)

    assert scan.found == {
        "hall/modbus:1": "waveshare-relay",
        "hall/modbus:254": "lc-relay",
        "hall/modbus:9": "coil-relay",
        "hall/modbus:11": "pzem-004t",
        "hall/modbus:12": "eastron-sdm",
        "hall/dlt645:000000000161": "dlt645",
    }
    assert len({(e.family, e.address) for e in scan.told if isinstance(e, ev.PileFound)}) == 6


def test_a_board_is_found_with_its_firmware_and_a_place_for_each_meter() -> None:
    board = next(e for e in Scan(mixed(), "modbus:1").told if isinstance(e, ev.PileFound))

    assert (board.firmware, board.channels, board.params) == ("2.10", 8, {"meters": [None] * 8})
    assert (board.lease_class, board.lease_s_max) == ("renewed", 900)


def test_to_look_who_is_there_changes_nothing() -> None:
    line, untouched = mixed(), mixed()
    Scan(line, *UNITS)

    for unit, other in zip(line.units, untouched.units, strict=True):
        assert getattr(unit, "registers", None) == getattr(other, "registers", None)
        assert [c.on for c in getattr(unit, "contacts", [])] == [c.on for c in getattr(other, "contacts", [])]
        assert getattr(unit, "counted_wh", 0.0) == getattr(other, "counted_wh", 0.0)


def test_what_answers_as_two_families_do_is_called_ambiguous_and_not_guessed() -> None:
    scan = Scan(mixed(), "modbus:1")
    (ask,) = ON_BUS["pzem-004t"].probes("hall/modbus:1")
    before = len(scan.told)

    scan.router.receive(Message(ask.address, modbus.encode(pzem.answer_values(1, VALUES)), asked=ask.payload))

    assert scan.told[before:] == []
    assert scan.router.counts["bad:ambiguous"] == 1


def test_a_timer_that_nobody_heard_of_is_none() -> None:
    """The answer with the version was lost: a board of plain coils, which nobody can sell."""
    line = mixed()
    line.board("modbus:1").registers.pop(0x8000)  # type: ignore[attr-defined]

    assert Scan(line, "modbus:1").found == {"hall/modbus:1": "coil-relay"}


def test_another_device_at_an_address_is_looked_at_anew_in_a_later_scan() -> None:
    Scan(mixed(), "modbus:1")
    line = Line([coil_board(1, [Lamp(1)] * 8)], NOW.at)
    later = Scan(line)
    later.bus.run(bus_found.STALE_S + 60.0)
    for probe in probes("hall/modbus:1"):
        later.bus.send(probe)
    later.bus.run(later.bus.now_s + 8.0)

    assert later.found == {"hall/modbus:1": "coil-relay"}
