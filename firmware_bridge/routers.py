"""Every link's router under one roof: the broker's, and one for each bus. What concerns a pile goes to its own."""

from collections.abc import Mapping, Sequence

from controller.core import effects as fx
from controller.core.events import PileFound, Stamp
from controller.ports import Peeked, Scanned
from firmware_bridge.drivers import ON_BUS
from firmware_bridge.router import Router
from firmware_bridge.wire import Message, Pile

BROKER = ""  # its name among the links; a bus has the name that the settings give it


def link_of(family: str, address: str) -> str:
    """Units of a bus are addressed `<bus>/<protocol>:<unit>`."""
    return address.partition("/")[0] if family in ON_BUS else BROKER


class Routers:
    """The Errander that the decider sees. A pile whose link is no longer in the settings is out of reach."""

    def __init__(self, of: Mapping[str, Router]) -> None:
        self.of = of

    @property
    def up(self) -> bool:
        return all(router.up for router in self.of.values())

    @property
    def down(self) -> list[str]:
        """The links that do not stand, by name."""
        return [name for name, router in self.of.items() if not router.up]

    @property
    def counts(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for router in self.of.values():
            for what, count in list(router.counts.items()):
                total[what] = total.get(what, 0) + count
        return total

    def open(self, pile: Pile) -> None:
        router = self.of.get(link_of(pile.family, pile.address))
        if router is not None:
            router.open(pile)

    def adopted(self, order: fx.PileAdopted) -> None:
        router = self.of.get(link_of(order.family, order.address))
        if router is not None:
            router.adopted(order)

    def replaced(self, order: fx.PileReplaced) -> None:
        """The device before may have been on another link."""
        for any_router in self.of.values():
            any_router.close(order.pile)
        router = self.of.get(link_of(order.family, order.address))
        if router is not None:
            router.replaced(order)

    def tell(self, order: fx.Provision | fx.AskNow | fx.SetInputs) -> bool:
        return any(router.tell(order) for router in self.of.values() if router.has(order.outlet))

    def faults(self, outlet: str) -> dict[str, int]:
        return next((router.faults(outlet) for router in self.of.values() if router.has(outlet)), {})

    def listen_for_unknown(self) -> None:
        for router in self.of.values():
            router.listen_for_unknown()

    def ask_round(self) -> None:
        for router in self.of.values():
            router.ask_round()

    def next_round_s(self) -> float | None:
        return min((at for router in self.of.values() if (at := router.next_round_s()) is not None), default=None)

    # -- whoever is not ours ----------------------------------------------------------------------------------------

    def buses(self) -> list[str]:
        return [name for name in self.of if name != BROKER]

    def scan(self, bus: str) -> bool:
        return bus != BROKER and bus in self.of and self.of[bus].strangers.scan(bus)

    def end_scan(self, bus: str) -> None:
        if bus in self.of:
            self.of[bus].strangers.end_scan()

    def scanned(self, bus: str) -> Scanned | None:
        return self.of[bus].strangers.scanned() if bus in self.of else None

    def peek(self, found: PileFound, now: Stamp) -> Sequence[Peeked]:
        router = self.of.get(link_of(found.family, found.address))
        return () if router is None else router.strangers.peek(found, now)

    # -- of the broker's link, by which most piles are reached ----------------------------------------------------

    def receive(self, message: Message) -> None:
        self.of[BROKER].receive(message)

    def linked(self, up: bool) -> None:
        self.of[BROKER].linked(up)
