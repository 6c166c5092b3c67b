"""What a bus can carry, computed and then seen on virtual time."""

import pytest

from firmware_bridge import budget
from firmware_bridge.budget import Board
from firmware_bridge.codecs import modbus, pzem, relay_waveshare
from firmware_bridge.transports.bus_queue import ON_WAITS_S
from firmware_bridge.transports.memory_bus import MemoryBus
from firmware_bridge.transports.pace import Pace
from firmware_bridge.wire import Message, Pile

PACE = Pace()
SIXTEEN = budget.boards_of("waveshare-relay", "pzem-004t", 16)


def test_an_exchange_takes_its_bytes_and_its_silences() -> None:
    read = budget.Exchange("modbus", 8, 25)

    assert read.answered_s(PACE, 0.02, PACE.gap_s("modbus")) == pytest.approx(33 / 960 + 0.02 + 38.5 / 9600)
    assert read.silent_s(PACE) == pytest.approx(33 / 960 + 0.2)


def test_sixteen_outlets_at_9600_baud() -> None:
    of = budget.of(PACE, SIXTEEN)

    assert of.outlets == 16
    assert of.cycle_s == pytest.approx(16 * (33 / 960 + 0.02 + 38.5 / 9600) + 2 * (14 / 960 + 0.02 + 38.5 / 9600))
    assert of.off_s < 0.1 < of.off_dead_s < 0.25
    assert of.keeps_lease
    assert of.reads_in_time


def test_what_hangs_on_a_bus_is_told_by_its_piles() -> None:
    meters = [
        None,
        {"family": "eastron-sdm", "address": "b/modbus:11"},
        {"family": "dlt645", "address": f"b/dlt645:{7:012}"},
    ]
    board = Pile("p", "lc-relay", "b/modbus:1", ("", "o1", "o2"), {"meters": meters})
    meter = Pile("q", "pzem-004t", "b/modbus:12", ("o3",), {})

    assert budget.boards_at([board, meter]) == [
        Board("lc-relay", ("eastron-sdm", "dlt645")),
        Board("", ("pzem-004t",)),
    ]


def test_meters_of_dlt645_alone_switch_nothing() -> None:
    of = budget.of(Pace(2400, "E"), [Board("", ("dlt645",) * 3)])

    assert of.cycle_s > 9 * 0.2
    assert of.offs_s == of.off_s


@pytest.mark.parametrize("family", ["waveshare-relay", "lc-relay", "coil-relay"])
def test_one_outlet_more_than_the_most_is_too_many(family: str) -> None:
    most = budget.outlets_max(PACE, family, "eastron-sdm", 60.0)
    fits, too_many = (budget.of(PACE, budget.boards_of(family, "eastron-sdm", n), 60.0) for n in (most, most + 1))

    assert fits.keeps_lease
    assert fits.reads_in_time
    assert not (too_many.keeps_lease and too_many.reads_in_time)


def test_a_faster_line_carries_more_and_a_slow_one_less() -> None:
    most = [budget.outlets_max(Pace(baud), "waveshare-relay", "pzem-004t") for baud in (2400, 9600, 115_200)]

    assert most == sorted(most)
    assert most[0] < most[1]


@pytest.mark.parametrize("alive", [True, False])
def test_every_off_leaves_within_its_bound_on_a_full_bus(alive: bool) -> None:
    left_s: dict[bytes, float] = {}

    def answer(request: bytes, now_s: float) -> list[tuple[float, bytes]]:
        left_s.setdefault(request, now_s)
        frame = modbus.read_request(request)
        if not alive:
            return []
        good = [0] * frame.value if frame.function == modbus.READ_REGISTERS else None
        reply = modbus.answer_written(frame) if good is None else modbus.answer_registers(frame.unit, 4, good)
        return [(budget.BEGINS_S, modbus.encode(reply))]

    line = MemoryBus(PACE, answer)
    line.start(lambda message: None, lambda up: None)
    line.run(1.0)
    for unit in range(11, 27):
        line.send(Message(f"b/modbus:{unit}", modbus.encode(pzem.ask_values(unit))))
    line.run(1.001)
    offs = [modbus.encode(relay_waveshare.switch_off(unit, channel)) for unit in (1, 2) for channel in range(8)]
    for off in offs:
        line.send(Message(f"b/modbus:{off[0]}", off, slot=f"relay:{off[3]}"), urgent=True)
    line.run(30.0)

    of = budget.of(PACE, SIXTEEN)
    first_s, last_s = (left_s[off] - 1.001 for off in (offs[0], offs[-1]))
    assert first_s <= (of.off_s if alive else of.off_dead_s)
    bound_s = of.offs_s if alive else of.offs_dead_s
    assert 0.9 * bound_s < last_s <= bound_s
    assert of.renewals_s <= ON_WAITS_S
