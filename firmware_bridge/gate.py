"""The only place that switches an outlet: one gate each, closed until an ON of its own generation opens it.

Called from several threads under one short lock: compare the generation, encode, hand to the link without blocking,
OFF first. The guard runs here, on the reading's own thread; a trip is sent before anybody is told.
"""

from collections.abc import Callable
from threading import Lock

import msgspec
import structlog

from controller.core import effects as fx
from controller.core.events import Reading, Stamp, Tripped
from controller.core.safety import CALM, Guard, Trip, guarded
from controller.core.state import Limits, Rules
from firmware_bridge.wire import Driver, SwitchOff, SwitchOn, Transport

log = structlog.get_logger()

NO_POWER_W = Rules().no_power_w
REPEAT_S = 0.2  # a device that answers each OFF with a reading of power would be answered for ever, as fast as it can


class Link(msgspec.Struct, frozen=True):
    """How a gate reaches its outlet."""

    driver: Driver
    transport: Transport
    channel: int


class Gate:
    """`generation` rises with every OFF; an ON or a renewal decided on another number is dropped and counted."""

    __slots__ = (
        "_guard",
        "_limits",
        "_link",
        "_lock",
        "_no_power_w",
        "_repeated_s",
        "counts",
        "generation",
        "open",
        "outlet",
    )

    def __init__(self, outlet: str, link: Link | None, no_power_w: float = NO_POWER_W) -> None:
        self.outlet = outlet
        self.generation = 0
        self.open = False
        self.counts: dict[str, int] = {}
        self._link = link
        self._lock = Lock()
        self._limits: Limits | None = None
        self._guard: Guard = CALM
        self._no_power_w = no_power_w
        self._repeated_s = -REPEAT_S

    def on(self, order: fx.SwitchOn, now: Stamp) -> bool:
        with self._lock:
            if order.generation != self.generation:
                return self._drop("on_other_generation")
            if now.steady_s > order.expires_s:
                return self._drop("on_expired")
            self.open, self._limits, self._guard = True, order.limits, CALM
            return self._on(order.lease_s) or self._drop("on_unsent")

    def renew(self, order: fx.Renew) -> bool:
        with self._lock:
            if not self.open or order.generation != self.generation:
                return self._drop("renewal_other_generation")
            self._limits = order.limits
            return self._on(order.lease_s) or self._drop("renewal_unsent")

    def off(self) -> None:
        with self._lock:
            self._close()

    def relink(self, link: Link | None) -> None:
        """Another device, or none, behind the same gate: dark on both sides, and nothing decided before fits."""
        with self._lock:
            self._close()
            self._link = link
            self._off()

    def observe(self, reading: Reading) -> Tripped | None:
        """The guard: cuts what is over its limits, and repeats OFF while a closed gate shows power."""
        with self._lock:
            if not self.open:
                self._look_again(reading)
                return None
            if self._limits is None:
                return None
            self._guard, trip = guarded(self._guard, self._limits, reading)
            return None if trip is None else self._tripped(trip, reading)

    def _look_again(self, reading: Reading) -> None:
        """Power behind a closed gate: OFF again. A gate that was never closed says nothing: a charge may run there."""
        powered = reading.power_w >= self._no_power_w and self.generation > 0
        if powered and reading.steady_s - self._repeated_s >= REPEAT_S:
            self._repeated_s = reading.steady_s
            self._off()

    def _tripped(self, trip: Trip, reading: Reading) -> Tripped:
        self._close()
        self._count(f"trip:{trip.reason}")
        return Tripped(
            at=reading.at,
            steady_s=reading.steady_s,
            outlet=self.outlet,
            generation=self.generation,
            reason=trip.reason,
            evidence=trip.evidence,
        )

    def _close(self) -> None:
        self.open, self._limits = False, None
        self.generation += 1
        self._off()

    def _on(self, lease_s: float) -> bool:
        return self._link is not None and self._send(self._link, SwitchOn(self._link.channel, lease_s))

    def _off(self) -> bool:
        return self._link is not None and self._send(self._link, SwitchOff(self._link.channel))

    def _send(self, link: Link, wish: SwitchOn | SwitchOff) -> bool:
        """True when every message has been handed to the link."""
        urgent = isinstance(wish, SwitchOff)
        sent = [link.transport.send(message, urgent) for message in link.driver.orders(wish)]
        log.debug("sent", outlet=self.outlet, wish=type(wish).__name__, generation=self.generation, left=all(sent))
        return all(sent)

    def _drop(self, why: str) -> bool:
        self._count(why)
        log.info("dropped", outlet=self.outlet, why=why, generation=self.generation)
        return False

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


class Gates:
    """Every outlet's gate: the Switchgear that the decider sees."""

    def __init__(self, now: Callable[[], Stamp], no_power_w: float = NO_POWER_W) -> None:
        self._now = now
        self._no_power_w = no_power_w
        self._gates: dict[str, Gate] = {}

    def add(self, outlet: str, link: Link) -> None:
        """Its gate for all of this process: a generation must not begin again."""
        known = self._gates.get(outlet)
        if known is None:
            self._gates[outlet] = Gate(outlet, link, self._no_power_w)
        else:
            known.relink(link)

    def unlink(self, outlet: str) -> None:
        """Closed, and nobody is behind it any more."""
        gate = self._gates.get(outlet)
        if gate is not None:
            gate.relink(None)

    def get(self, outlet: str) -> Gate | None:
        return self._gates.get(outlet)

    def generation(self, outlet: str) -> int:
        gate = self._gates.get(outlet)
        return -1 if gate is None else gate.generation

    def on(self, order: fx.SwitchOn) -> bool:
        gate = self._gates.get(order.outlet)
        return gate is not None and gate.on(order, self._now())

    def renew(self, order: fx.Renew) -> bool:
        gate = self._gates.get(order.outlet)
        return gate is not None and gate.renew(order)

    def off(self, outlet: str) -> None:
        gate = self._gates.get(outlet)
        if gate is not None:
            gate.off()

    def off_all(self) -> None:
        for gate in list(self._gates.values()):  # the writer may be adopting
            gate.off()

    def counts(self) -> dict[str, int]:
        """What was dropped or cut, over all gates."""
        total: dict[str, int] = {}
        for gate in list(self._gates.values()):
            for what, count in gate.counts.items():
                total[what] = total.get(what, 0) + count
        return total
