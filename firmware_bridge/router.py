"""From wire to inbox: the address finds the driver, the driver makes events, the gate sees readings first.

Whatever a device sends, this thread goes on: bad frames are counted and logged once a burst, unknown addresses are
offered to the families' discovery, our own bugs are loud but stay here.
"""

from collections.abc import Callable, Mapping, Sequence

import structlog

from controller.core import effects as fx
from controller.core.errors import BadFrame
from controller.core.events import Event, FirmwareReported, LinkLost, PileFound, Reading, Stamp, Tripped
from firmware_bridge.faults import Faults
from firmware_bridge.gate import Gates, Link
from firmware_bridge.orders import UNFIT, addresses_of, promised, together, wish_of
from firmware_bridge.rounds import Rounds
from firmware_bridge.strangers import Strangers
from firmware_bridge.wire import (
    Driver,
    Family,
    Message,
    Overhears,
    Pile,
    Transport,
)

log = structlog.get_logger()

ADDRESSES_MAX = 1_000  # addresses of strangers remembered; an attacker can invent any number
LINK_DOWN = "link_down"  # counted as a fault of every outlet behind it
STRANGER_S = 300.0  # a stranger is asked who it is this often; a question may get lost


class Router:
    """Owns the drivers of one transport; also carries settings and questions to them (the Errander)."""

    def __init__(
        self,
        families: Mapping[str, Family],
        transport: Transport,
        gates: Gates,
        now: Callable[[], Stamp],
        tell: Callable[[Event], None],
        tripped: Callable[[Tripped], None],
    ) -> None:
        self.counts: dict[str, int] = {}
        self.up = False  # our own link to the broker or bus
        self._families = families
        self._transport = transport
        self._gates = gates
        self._now = now
        self._tell = tell
        self._tripped = tripped
        self._drivers: dict[str, Driver] = {}  # by address
        self._overheard: dict[str, list[Driver]] = {}  # by an address that is nobody's own
        self._outlets: dict[str, Driver] = {}
        self._channels: dict[str, int] = {}
        self._piles: dict[tuple[str, str], Pile] = {}
        self._of_pile: dict[str, Driver] = {}
        self._introduced: dict[str, float] = {}
        self._rounds = Rounds()
        self._faults = Faults()
        self.strangers = Strangers(families, transport, self._drivers)

    # -- piles ----------------------------------------------------------------------------------------------------

    def open(self, pile: Pile) -> None:
        """From now on this pile's traffic is heard and its outlets can be switched; once for all of a process."""
        if (pile.family, pile.address) in self._piles:
            return  # its gates know a generation, which must not begin again
        try:
            driver = self._families[pile.family].open(pile)
        except UNFIT as error:  # one row that no driver takes must not keep the others from being served
            log.error("no driver takes this pile", pile=pile.id, family=pile.family, error=repr(error))
            return
        taken = self._taken(driver)
        if taken and not isinstance(driver, Overhears):
            log.error("addresses belong to another pile", pile=pile.id, address=pile.address)
            return  # without a gate its outlets stay out of reach; with one they would switch the other pile
        self._piles[pile.family, pile.address], self._of_pile[pile.id] = pile, driver
        for channel, outlet in enumerate(pile.outlets):
            if outlet:
                self._outlets[outlet], self._channels[outlet] = driver, channel
                self._gates.add(outlet, Link(driver, self._transport, channel))
        if not taken:  # or deaf until its bridge has told by which name it goes now
            self._listen(driver)
        for address in driver.overhears() if isinstance(driver, Overhears) else ():
            self._overheard.setdefault(address, []).append(driver)
            self._transport.listen(address)
        every_s = self._families[pile.family].CAPABILITIES.asked_every_s
        if every_s is not None:
            self._rounds.add(driver, every_s, self._now().steady_s)

    def _listen(self, driver: Driver) -> None:
        for address in driver.listens():
            self._drivers[address] = driver
        for pattern in together(driver.listens()):
            self._transport.listen(pattern)

    def adopted(self, order: fx.PileAdopted) -> None:
        self.open(Pile(order.pile, order.family, order.address, order.outlets, order.params))
        for outlet in order.outlets:
            self.tell(fx.AskNow(outlet))

    def close(self, pile: str) -> None:
        """Its outlets are dark and out of reach; its addresses are a stranger's from now on."""
        driver = self._of_pile.pop(pile, None)
        if driver is None:
            return
        for outlet in [outlet for outlet, its in list(self._outlets.items()) if its is driver]:
            self._gates.unlink(outlet)
            del self._outlets[outlet]
        for address in [address for address, its in list(self._drivers.items()) if its is driver]:
            del self._drivers[address]
            self._faults.forget(address)
        for drivers in self._overheard.values():
            if driver in drivers:
                drivers.remove(driver)
        self._rounds.drop(driver)
        self._piles = {key: opened for key, opened in self._piles.items() if opened.id != pile}

    def replaced(self, order: fx.PileReplaced) -> None:
        """Another device behind the same gates, as dark as the one before."""
        self.close(order.pile)
        self.open(Pile(order.pile, order.family, order.address, order.outlets, order.params))
        for outlet in filter(None, order.outlets):
            self._lost(outlet)  # what was known of the device before is not known of this one
            self.tell(fx.AskNow(outlet))
        if order.inputs:
            self.tell(fx.SetInputs(next(filter(None, order.outlets)), order.inputs))

    def listen_for_unknown(self) -> None:
        for family in self._families.values():
            for pattern in family.DISCOVERY:
                self._transport.listen(pattern)

    def tell(self, order: fx.Provision | fx.AskNow | fx.SetInputs) -> bool:
        driver = self._outlets.get(order.outlet)
        if driver is None:
            return False
        sent = [
            self._transport.send(message) for message in driver.orders(wish_of(order, self._channels[order.outlet]))
        ]
        return all(sent)

    def ask_round(self) -> None:
        """Asks whose turn it is. What does not leave at once is dropped: ONs leave only where nothing waits."""
        now = self._now()
        for message in self._rounds.due(now):
            self._transport.send(message)
        self.strangers.ask(now)

    def next_round_s(self) -> float | None:
        """When (steady) somebody's turn is; None while nobody has to be asked."""
        return min((at for at in (self._rounds.next_s(), self.strangers.next_s()) if at is not None), default=None)

    # -- traffic --------------------------------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        now = self._now()
        try:
            self._received(message, now)
        except BadFrame as bad:
            self._bad(message.address, bad.kind, bad.detail, now)
        except Exception as error:  # noqa: BLE001 - one device's message must not deafen the gateway
            self._bad(message.address, "bug", repr(error), now)

    def _received(self, message: Message, now: Stamp) -> None:
        if message.address in self._overheard:
            self._overhear(message, self._overheard[message.address], now)
        driver = self._drivers.get(message.address)
        if driver is None:
            self._strange(message, now)
            return
        if message.fault:
            self._bad(message.address, message.fault, "on the line", now)
        self._heard(driver, message, now)

    def _heard(self, driver: Driver, message: Message, now: Stamp) -> None:
        for event in driver.receive(message, now):
            if isinstance(event, Reading):
                self._guard(event)
            self._tell(event)

    def _overhear(self, message: Message, drivers: Sequence[Driver], now: Stamp) -> None:
        """All have heard before anyone moves: two devices may have changed their names."""
        for driver in list(drivers):  # the writer may be adopting
            self._heard(driver, message, now)
        moved = [one for one in drivers if any(self._drivers.get(address) is not one for address in one.listens())]
        for address in [address for address, one in list(self._drivers.items()) if one in moved]:
            del self._drivers[address]
        for driver in moved:
            if self._taken(driver):
                log.error("addresses belong to another pile", addresses=list(driver.listens()))
                continue  # deaf, and so dark by its lease, until it is told another name
            self._listen(driver)

    def _guard(self, reading: Reading) -> None:
        """The guard's OFF leaves before the decider hears anything."""
        gate = self._gates.get(reading.outlet)
        trip = gate.observe(reading) if gate is not None else None
        if trip is not None:
            self._tell(trip)
            self._tripped(trip)

    def _strange(self, message: Message, now: Stamp) -> None:
        """Nobody of ours: silence and faults count for those alone who look, or scan."""
        looked_at = self.strangers.heard(message, now)
        if message.fault:
            return
        try:
            if not self._discover(message, now) and not looked_at and message.address not in self._overheard:
                self._count("unknown_address")
        except BadFrame as bad:
            self.strangers.odd(message.address, bad.kind)
            raise

    def _discover(self, message: Message, now: Stamp) -> bool:
        self._introduce(message, now)
        for family in self._families.values():
            if strangers := family.discover(message, now):
                for found in strangers:
                    self._found(found, family, message.address)
                return True
        return False

    def _found(self, found: PileFound, family: Family, heard_at: str) -> None:
        ours = self._piles.get((found.family, found.address))
        if ours is not None:
            self._told_of_itself(found, ours)
        elif not self._speaks_as_ours(found):
            self.strangers.found(found, heard_at)
            self._tell(promised(found, family.CAPABILITIES))

    def _told_of_itself(self, found: PileFound, ours: Pile) -> None:
        for outlet in ours.outlets:
            if outlet and found.firmware:
                self._tell(
                    FirmwareReported(
                        at=found.at,
                        steady_s=found.steady_s,
                        outlet=outlet,
                        firmware=found.firmware,
                        model=found.model,
                    )
                )

    def _introduce(self, message: Message, now: Stamp) -> None:
        """A question for each sign of life would be an answer to every message anybody cares to send."""
        if now.steady_s - self._introduced.get(message.address, -STRANGER_S) < STRANGER_S:
            return
        for family in self._families.values():
            for question in family.introduce(message):
                if len(self._introduced) >= ADDRESSES_MAX:
                    self._introduced.clear()
                self._introduced[message.address] = now.steady_s
                self._transport.send(question)

    def _speaks_as_ours(self, found: PileFound) -> bool:
        """A stranger on the addresses of a pile of ours: adopted, its commands would switch that pile."""
        nobody = ("",) * found.channels
        return self._taken(
            self._families[found.family].open(Pile("", found.family, found.address, nobody, found.params))
        )

    def _taken(self, driver: Driver) -> bool:
        taken = any(address in self._drivers for address in driver.listens())
        if taken:
            self._count("address_taken")
        return taken

    def _bad(self, address: str, kind: str, detail: str, now: Stamp) -> None:
        self._count(f"bad:{kind}")
        if address in self._drivers:
            self._faults.note(address, kind)
        if self._faults.is_news(address, kind, now):
            log.warning("bad frame", address=address[:120], kind=kind, detail=detail[:200], **self._of(address))

    def _of(self, address: str) -> dict[str, str]:
        """For a log line: the outlets behind an address of ours."""
        driver = self._drivers.get(address)
        outlets = [outlet for outlet, its in list(self._outlets.items()) if its is driver]
        return {"outlet" if len(outlets) == 1 else "outlets": ",".join(outlets)} if outlets else {}

    def faults(self, outlet: str) -> dict[str, int]:
        """How often what was wrong on the wire to this outlet, by kind, since we started."""
        driver = self._outlets.get(outlet)
        return {} if driver is None else self._faults.of(addresses_of(driver, outlet))

    def has(self, outlet: str) -> bool:
        return outlet in self._outlets

    def linked(self, up: bool) -> None:
        """Our own link to the broker or bus: with it gone every pile behind it is out of reach."""
        self.up = up
        if up:
            return
        reached = list(self._outlets.items())  # the writer may be adopting
        for address in {addresses_of(driver, outlet)[0] for outlet, driver in reached}:
            self._faults.note(address, LINK_DOWN)
        for outlet, _ in reached:
            self._lost(outlet)

    def _lost(self, outlet: str) -> None:
        now = self._now()
        self._tell(LinkLost(at=now.at, steady_s=now.steady_s, outlet=outlet))

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
