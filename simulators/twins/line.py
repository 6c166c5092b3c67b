"""Several units on one pair of wires, on virtual time: what the master sends reaches them all. Knows no driver.

A `Line` is the far end of a bus: called with the bytes of a request and the time, it returns what comes back on the
wires, and how long after the request each part of it begins. Time also passes by `advance`.
"""

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import zip_longest
from typing import Protocol

from simulators.twins.contact import FOREVER_S, Contact, Fault, Load, Nothing
from simulators.twins.timer_relay import TimerRelay

ANSWERS_AFTER_S = 0.02
CONTACT_FAULTS = (Fault.WELDED, Fault.WONT_CLOSE)


class WireFault(StrEnum):
    """What can be wrong with what a unit says, whatever it is."""

    CRC = "crc"
    MUTE = "mute"  # it hears and obeys, and nobody hears it
    OTHER_KIND = "other_kind"  # its answers are well made, and another kind of device's


class Unit(Protocol):
    """The inside of one device on the wires. `at_s` is moved from outside."""

    at_s: float
    answers_after_s: float
    faults: set[Fault | WireFault]

    @property
    def address(self) -> str:
        """`modbus:11`, as on a bus."""
        ...

    def hear(self, request: bytes) -> bytes:
        """What it answers to what came over the wires; nothing if it was for others."""
        ...

    def boot(self) -> bytes:
        """The mains are back; some say something by themselves then."""
        ...


class Board(Unit, Protocol):
    """A unit with relays, and a timer for each of them."""

    contacts: list[Contact]
    timer: TimerRelay | None  # stands outside it, before all of its contacts

    def due_s(self) -> float: ...

    def act(self) -> None:
        """Whatever is due now."""
        ...


class Line:
    """Units named by their addresses. Every method that takes `now_s` (unix seconds) first lets time pass up to it."""

    def __init__(self, boards: Sequence[Board], now_s: float) -> None:
        self.units: list[Unit] = []
        self._boards = boards
        self._at_s = now_s
        self._mains = True
        self._unfed: set[str] = set()  # boards whose own supply is away
        self._said: list[tuple[float, bytes]] = []
        for board in boards:
            self.add(board)

    def add(self, unit: Unit) -> None:
        """One more on the wires; two may have one address."""
        unit.at_s = self._at_s
        self.units.append(unit)

    def __call__(self, request: bytes, now_s: float) -> Sequence[tuple[float, bytes]]:
        """(delay in seconds, bytes): what comes back to this request, in the order of its time."""
        self.advance(now_s)
        greeted, self._said = self._said, []
        answers = collided(sorted(self._answers(request)))
        self._watch()
        return [*greeted, *answers]

    def _answers(self, request: bytes) -> Iterable[tuple[float, bytes]]:
        for unit in self.units if self._mains else ():
            if unit.address in self._unfed or Fault.SILENT in unit.faults:
                continue
            if (answer := unit.hear(request)) and WireFault.MUTE not in unit.faults:
                broken = WireFault.CRC in unit.faults
                yield unit.answers_after_s, answer[:-1] + bytes((answer[-1] ^ 0x55,)) if broken else answer

    # -- the truth ------------------------------------------------------------------------------------------------

    def unit(self, address: str) -> Unit:
        return next(unit for unit in self.units if unit.address == address)

    def board(self, address: str) -> Board:
        return next(board for board in self._boards if board.address == address)

    def powered(self, address: str, channel: int) -> bool:
        """The contact itself, and all that stands before it."""
        board = self.board(address)
        return self.fed(board) and board.contacts[channel].closed

    def contact_power_w(self, address: str, channel: int) -> float:
        return self.circuit(address, channel).power_w()

    def circuit(self, address: str, channel: int) -> "Circuit":
        """What is wired to a relay: where a meter may be."""
        return Circuit(self, self.board(address), channel)

    def fed(self, board: Board) -> bool:
        supplied = self._mains and board.address not in self._unfed
        return supplied and (board.timer is None or board.timer.closed(self._at_s))

    # -- time -----------------------------------------------------------------------------------------------------

    def next_wake_s(self) -> float:
        return min((self._due_s(board) for board in self._boards), default=FOREVER_S) if self._mains else FOREVER_S

    def _due_s(self, board: Board) -> float:
        return min(board.due_s(), FOREVER_S if board.timer is None else board.timer.due_s(self._at_s))

    def advance(self, now_s: float) -> None:
        while (at_s := self.next_wake_s()) <= now_s:
            self._run_to(at_s)
            for board in self._boards:
                board.act()
        self._run_to(now_s)

    def _run_to(self, at_s: float) -> None:
        for board in self._boards:
            if self.fed(board):
                for contact in board.contacts:
                    contact.run(at_s - self._at_s, counts_when_off=True)
        self._at_s = max(self._at_s, at_s)
        for unit in self.units:
            unit.at_s = self._at_s
        self._watch()

    def _watch(self) -> None:
        """Timers see their coils as they switch."""
        for board in self._boards:
            if board.timer is not None:
                board.timer.watch(self._at_s)

    # -- people, mains and faults ---------------------------------------------------------------------------------

    def plug(self, address: str, channel: int, load: Load, now_s: float) -> None:
        self.advance(now_s)
        self.board(address).contacts[channel].load = load

    def unplug(self, address: str, channel: int, now_s: float) -> None:
        self.plug(address, channel, Nothing(), now_s)

    def cut_mains(self, now_s: float) -> None:
        self.advance(now_s)
        self._mains = False

    def restore_mains(self, now_s: float) -> None:
        self.advance(now_s)
        self._mains = True
        self._said = [(0.0, greeting) for unit in self.units if (greeting := unit.boot())]

    def cut_supply(self, address: str, now_s: float) -> None:
        """Of one board, and what hangs behind it; its meters are fed by the mains."""
        self.advance(now_s)
        self._unfed.add(address)

    def restore_supply(self, address: str, now_s: float) -> None:
        self.advance(now_s)
        self._unfed.discard(address)
        self._said += [(0.0, greeting)] if (greeting := self.board(address).boot()) else []

    def power_cycle(self, now_s: float) -> None:
        self.cut_mains(now_s)
        self.restore_mains(now_s)

    def inject(self, fault: Fault | WireFault, now_s: float, address: str, channel: int = 0) -> None:
        """At the unit of this address; at one of its contacts if it is a contact's."""
        self.advance(now_s)
        if fault in CONTACT_FAULTS and isinstance(fault, Fault):
            self.board(address).contacts[channel].inject(fault)
        else:
            self.unit(address).faults.add(fault)

    def mend(self, fault: Fault | WireFault, now_s: float, address: str, channel: int = 0) -> None:
        self.advance(now_s)
        if fault in CONTACT_FAULTS and isinstance(fault, Fault):
            self.board(address).contacts[channel].faults.discard(fault)
        else:
            self.unit(address).faults.discard(fault)


class Circuit:
    def __init__(self, line: Line, board: Board, channel: int) -> None:
        self._line = line
        self._board = board
        self._contact = board.contacts[channel]

    @property
    def total_wh(self) -> float:
        """What has flowed since it was wired, unrounded."""
        return self._contact.total_wh

    def power_w(self) -> float:
        return self._contact.contact_power_w() if self._line.fed(self._board) else 0.0


def collided(answers: Sequence[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
    """Two who speak at the same time are one another's noise: a line is low where either of them pulls it."""
    if len({delay_s for delay_s, _ in answers}) == len(answers):
        return list(answers)
    first_s = math.inf if not answers else answers[0][0]
    together = [answer for _, answer in answers]
    heard = bytes(_both(column) for column in zip_longest(*together, fillvalue=0xFF))
    return [(first_s, heard)]


def _both(column: Iterable[int]) -> int:
    low = 0xFF
    for byte in column:
        low &= byte
    return low
