"""What a bus can carry: how long everything on it takes, and how late an OFF may be. Pure; the bench measures it.

An exchange that is answered takes     sent(request) + begins + sent(answer) + gap
one that is not                        sent(request) + turnaround + sent(answer)
An OFF, on a bus that is never idle    the longest exchange + gap + sent(OFF)
the last of n OFFs at once             that, and n - 1 exchanges of an OFF
A round                                every board's coils, and every question to every meter, once

`sent` is bytes by baud and bits a byte, `gap` the silence that ends a frame (of the slower protocol, where both are on
the line), `turnaround` the setting, and `begins` what units and adapters really take (20 ms, unless said otherwise).
Where the unit just asked is dead, the longest exchange is one without an answer. OFFs that are not answered are said
again after the first of all others.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from firmware_bridge.codecs import exchange, modbus
from firmware_bridge.drivers import ON_BUS, coils, lc, waveshare
from firmware_bridge.drivers.board_params import checked
from firmware_bridge.drivers.bus_meters import METERS
from firmware_bridge.drivers.composite import COILS_AT_ONCE, Relays
from firmware_bridge.transports.bus_queue import ON_WAITS_S
from firmware_bridge.transports.pace import Pace
from firmware_bridge.wire import Pile

BEGINS_S = 0.02
RENEWED_EACH = 3  # times a lease
OUTLETS_MAX = 255  # a bus has no more addresses
_RELAYS: Mapping[str, Relays] = {module.NAME: module.RELAYS for module in (waveshare, lc, coils)}
_UNIT = 1


class Board(msgspec.Struct, frozen=True):
    """Of this family, with an outlet for each of these meters, by their families; of "" one that only measures."""

    family: str
    meters: tuple[str, ...]


class Exchange(msgspec.Struct, frozen=True):
    """Bytes of a request and of its longest answer."""

    protocol: str
    request: int
    answer: int

    def answered_s(self, pace: Pace, begins_s: float, gap_s: float) -> float:
        return pace.sent_s(self.request) + begins_s + pace.sent_s(self.answer) + gap_s

    def silent_s(self, pace: Pace) -> float:
        return pace.answer_within_s(self.protocol, self.request, self.answer)


class Budget(msgspec.Struct, frozen=True):
    """Seconds. `off_dead_s`: the unit just asked is dead. `renewals_s`: till the last of all renewals due at once."""

    outlets: int
    cycle_s: float
    cycle_dead_s: float
    off_s: float
    off_dead_s: float
    offs_s: float
    offs_dead_s: float
    renewals_s: float
    lease_s: float
    keeps_lease: bool
    reads_in_time: bool


def of(pace: Pace, boards: Sequence[Board], lease_s: float = 120.0, begins_s: float = BEGINS_S) -> Budget:
    """KeyError for a family that is none of a bus."""
    cycle = [each for board in boards for each in _round(board)]
    orders = [each for board in boards for _ in _relayed(board) for each in _order(board)]
    off, more = off_exchange(), max(sum(len(_relayed(board)) for board in boards) - 1, 0)
    gap_s = max(pace.gap_s(each.protocol) for each in [*cycle, off])

    def answered_s(each: Exchange) -> float:
        return each.answered_s(pace, begins_s, gap_s)

    under_way, said_s = [*cycle, *orders, off], gap_s + pace.sent_s(off.request)
    off_s = max(map(answered_s, under_way)) + said_s
    off_dead_s = max(each.silent_s(pace) for each in under_way) + said_s
    cycle_s, renewals_s = sum(map(answered_s, cycle)), off_dead_s + sum(map(answered_s, orders))
    return Budget(
        outlets=sum(len(board.meters) for board in boards),
        cycle_s=cycle_s,
        cycle_dead_s=sum(each.silent_s(pace) for each in cycle),
        off_s=off_s,
        off_dead_s=off_dead_s,
        offs_s=off_s + more * answered_s(off),
        offs_dead_s=off_dead_s + more * off.silent_s(pace),
        renewals_s=renewals_s,
        lease_s=lease_s,
        keeps_lease=renewals_s <= ON_WAITS_S and renewals_s + cycle_s <= lease_s / RENEWED_EACH,
        reads_in_time=cycle_s <= _asked_every_s(boards),
    )


def boards_at(piles: Iterable[Pile]) -> list[Board]:
    """What hangs on a bus, by its piles; ValueError if one has params that are none of its family."""
    return [_board(pile) for pile in piles]


def _board(pile: Pile) -> Board:
    if pile.family not in _RELAYS:
        return Board("", (pile.family,))
    return Board(pile.family, tuple(meter.family for meter in checked(pile).meters if meter is not None))


def outlets_max(pace: Pace, family: str, meter: str, lease_s: float = 120.0, begins_s: float = BEGINS_S) -> int:
    """Composite outlets of boards of eight, so that all renewals due at once leave before they are too old, those and
    a round fit into a third of the lease, and each outlet is read as often as its driver asks."""
    for outlets in range(1, OUTLETS_MAX + 1):
        budget = of(pace, boards_of(family, meter, outlets), lease_s, begins_s)
        if not (budget.keeps_lease and budget.reads_in_time):
            return outlets - 1
    return OUTLETS_MAX


def boards_of(family: str, meter: str, outlets: int) -> list[Board]:
    """As many boards of eight as that needs."""
    sizes = [min(COILS_AT_ONCE, outlets - first) for first in range(0, outlets, COILS_AT_ONCE)]
    return [Board(family, (meter,) * size) for size in sizes]


def _round(board: Board) -> Iterable[Exchange]:
    if board.family:
        yield _asked(modbus.encode(modbus.ask(_UNIT, modbus.READ_COILS, 0, COILS_AT_ONCE)))
    for meter in board.meters:
        address = f"b/dlt645:{_UNIT:012}" if meter == "dlt645" else f"b/modbus:{_UNIT}"
        for question in METERS[meter](address):
            yield _asked(question.payload, address)


def _relayed(board: Board) -> Sequence[str]:
    return board.meters if board.family else ()


def _order(board: Board) -> Iterable[Exchange]:
    """An ON, or a renewal; for a board without a timer with the pulse that its watchdog waits for."""
    relays = _RELAYS[board.family]
    yield _asked(modbus.encode(relays.on(_UNIT, 0, 60.0)))
    if not relays.leased:
        yield from (off_exchange(), off_exchange())


def off_exchange() -> Exchange:
    """Of one relay, on any board."""
    return _asked(modbus.encode(modbus.write_one(_UNIT, modbus.WRITE_COIL, 0, modbus.OFF)))


def _asked(payload: bytes, address: str = f"b/modbus:{_UNIT}") -> Exchange:
    asked = exchange.asked(address, payload)
    return Exchange(asked.protocol, len(payload), asked.reply_size)


def _asked_every_s(boards: Sequence[Board]) -> float:
    """The most often, of those whose readings keep an outlet safe."""
    families = [board.family or board.meters[0] for board in boards if board.family or board.meters]
    often = [ON_BUS[family].CAPABILITIES.asked_every_s or 0.0 for family in families]
    return min(often, default=0.0)
