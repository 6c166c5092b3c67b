"""A scan of a line where no gateway runs: the same questions, and nothing that could switch."""

from collections.abc import Callable, Iterator, Mapping

from controller.core.events import Stamp
from controller.ports import Scanned
from firmware_bridge.gate import Gates
from firmware_bridge.router import Router
from firmware_bridge.strangers import PUMP_S
from firmware_bridge.wire import BusFamily, Transport


def scan_alone(
    bus: str,
    transport: Transport,
    families: Mapping[str, BusFamily],
    now: Callable[[], Stamp],
    pause: Callable[[float], object],
) -> Iterator[Scanned]:
    """How far it is, after each pause, until it is done; a line that is down is waited for. Stops the transport."""
    router = Router(families, transport, Gates(now), now, lambda event: None, lambda trip: None)
    transport.start(router.receive, router.linked)
    router.strangers.scan(bus)
    try:
        while (scanned := router.strangers.scanned()) is not None:
            yield scanned
            if scanned.done:
                return
            router.ask_round()
            pause(PUMP_S)
    finally:
        transport.stop()
