"""Who is on a bus: every family's questions at every address it may have, a few at a time, while the bus serves. Pure.

Silence is the usual answer and no fault. What answers, and is not known by its answers, is named as odd.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import chain, islice, zip_longest

from controller.core.hardware import bus_of
from controller.ports import Oddity, Scanned
from firmware_bridge.wire import BusFamily, Message

AT_ONCE = 2  # under way: an order for an outlet waits behind no more than these
LOST_S = 30.0  # without any answer, not even silence: the line is down, or has dropped it
ODD_MAX = 300  # addresses; a bus has 255 units
HANDFULS = (32, 300)  # addresses, the likely ones first; asked again at once, a silent unit is waited for ever longer
FOR_ALL = ("modbus:248",)  # PZEM meters answer to it whatever their own address is
UNKNOWN = "unknown_device"  # it answers well, and no family knows it
SEVERAL = "several_families"
CALM = (UNKNOWN, "exception", "late")  # of a unit that is known: what is meant for other kinds it need not understand


class Scan:
    """`next` gives what to ask now, `heard`, `odd` and `found` tell what came of it; `result` may be asked any time.

    `skip`: addresses that are ours already; they serve, and are known.
    """

    def __init__(self, bus: str, families: Mapping[str, BusFamily], skip: Container[str] = ()) -> None:
        self.bus = bus
        self._questions: Iterator[Message] = _questions(bus, families, skip)
        self._total = sum(1 for _ in _questions(bus, families, skip))
        self._asked = 0
        self._under_way: dict[tuple[str, bytes], float] = {}
        self._over = False
        self._found: dict[str, list[str]] = {}  # address → families
        self._known: set[str] = set()  # addresses whose answers were understood
        self._faults: dict[str, str] = {}  # address → what was wrong first

    @property
    def done(self) -> bool:
        return self._over and not self._under_way

    def next(self, now_s: float) -> Sequence[Message]:
        """Whoever can't send one of these gives it back to `unsent`."""
        for lost in [asked for asked, since_s in self._under_way.items() if now_s - since_s >= LOST_S]:
            del self._under_way[lost]
        told: list[Message] = []
        while len(self._under_way) < AT_ONCE and not self._over:
            question = next(self._questions, None)
            if question is None:
                self._over = True
                break
            self._asked += 1
            self._under_way[question.address, question.payload] = now_s
            told.append(question)
        return told

    def unsent(self, question: Message) -> None:
        self._under_way.pop((question.address, question.payload), None)
        self._asked -= 1
        self._questions, self._over = chain([question], self._questions), False

    def heard(self, message: Message) -> None:
        """An answer from an address that is not ours, or why there was none."""
        if self._under_way.pop((message.address, message.asked), None) is None:
            return  # nobody asked, or somebody else did
        if message.fault != "silent":
            self.odd(message.address, message.fault or UNKNOWN)

    def odd(self, address: str, fault: str) -> None:
        """The first fault that no sound unit has tells most."""
        if address in self._faults or len(self._faults) < ODD_MAX:
            before = self._faults.get(address, UNKNOWN)
            self._faults[address] = fault if before in CALM else before

    def found(self, family: str, address: str, heard_at: str) -> None:
        """`heard_at`: what was asked; a meter that answers to a wildcard has an address of its own."""
        self._known.add(heard_at)
        if bus_of(address) == self.bus and family not in self._found.setdefault(address, []):
            self._found[address].append(family)

    def _is_nobody(self, address: str) -> bool:
        """Until all have asked, somebody may yet know it."""
        return self.done and address not in self._known

    def result(self) -> Scanned:
        several = [Oddity(at, SEVERAL) for at, families in self._found.items() if len(families) > 1]
        odd = [Oddity(at, fault) for at, fault in self._faults.items() if fault not in CALM or self._is_nobody(at)]
        return Scanned(
            bus=self.bus,
            asked=self._asked - len(self._under_way),
            total=self._total,
            done=self.done,
            found=[f"{family}:{at}" for at, families in self._found.items() for family in families],
            odd=[*several, *odd],
        )


def _questions(bus: str, families: Mapping[str, BusFamily], skip: Container[str]) -> Iterator[Message]:
    """The likely addresses of all families first; one question to each of a handful before anybody's next."""
    places = zip_longest(*(family.UNITS for family in families.values()))
    units = dict.fromkeys(unit for place in places for unit in place if unit is not None and unit not in FOR_ALL)
    addresses = iter([f"{bus}/{unit}" for unit in units])
    for size in HANDFULS:
        yield from _rounds([_of(address, families) for address in islice(addresses, size)], skip)


def _of(address: str, families: Mapping[str, BusFamily]) -> list[Message]:
    """What two families ask alike is asked once."""
    unit = address.partition("/")[2]
    asked = (question for family in families.values() if unit in family.UNITS for question in family.probes(address))
    return list({question.payload: question for question in asked}.values())


def _rounds(handful: list[list[Message]], skip: Container[str]) -> Iterator[Message]:
    """Who is adopted meanwhile is asked by its own driver alone."""
    for questions in zip_longest(*handful):
        yield from (question for question in questions if question is not None and question.address not in skip)
