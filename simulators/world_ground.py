"""Between the world and the gateway it tests: what the world lends, what it sees, and how a process or a disk fails."""

from collections.abc import Iterable
from concurrent.futures import Future
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import msgspec

from controller.clock import HandClock
from controller.core import effects as fx
from controller.core.events import Event
from controller.core.house import House
from controller.core.state import Rules
from firmware_bridge.transports.memory import MemoryBroker
from simulators.provider_local import LocalProvider

CLIENT = "gateway"
PROVIDER = "sandbox"
MERCHANT = "m1"
APP = "app"


class Crash(BaseException):
    """The gateway's process dies here: nothing of it runs any more. No Exception, so that nobody catches it."""


class Death(StrEnum):
    BEFORE_COMMIT = "before_commit"
    IN_COMMIT = "in_commit"
    AFTER_COMMIT = "after_commit"
    AFTER_OFF = "after_off"


class Disk:
    """Faults of the gateway's disk and process: set by the world, obeyed by whoever drives the gateway."""

    def __init__(self) -> None:
        self.away = False
        self.slow_s = 0.0
        self.loses_answer = False  # of the next batch that moves money
        self.dies: Death | None = None
        self.died: list[Death] = []

    def die(self, death: Death) -> None:
        """Crashes if this death is the one that was armed."""
        if self.dies is death:
            self.dies = None
            self.died.append(death)
            raise Crash(death)


class Watch(Protocol):
    """Told at once of what passes; `generation` is the gate's at that moment."""

    def switched_on(self, order: fx.SwitchOn, generation: int, passed: bool) -> None: ...

    def renewed(self, order: fx.Renew, generation: int, passed: bool, in_step: bool) -> None: ...

    def energised_by_nobody(self, address: str) -> None:
        """A command to switch on has left for the wire, and neither of the gate's two doors was open."""
        ...

    def committed(self, rows: Iterable[fx.Effect]) -> None: ...


class Ground(msgspec.Struct, frozen=True):
    """One world's ground, the same for every life of its gateway."""

    folder: Path
    clock: HandClock
    rules: Rules
    broker: MemoryBroker
    provider: LocalProvider
    disk: Disk
    watch: Watch

    @property
    def database(self) -> Path:
        return self.folder / "world.sqlite3"


class Driven(Protocol):
    """One life of a gateway, without a thread: from disk at its making, until `drop`."""

    house: House

    def ask(self, event: Event) -> "Future[dict[str, Any]]": ...

    def turn(self) -> None:
        """One step, the batches whose time has come, the errands that are due. Crash rises through it."""
        ...

    def next_due_s(self) -> float: ...

    def reconnect(self) -> None: ...

    def bugs(self) -> list[str]:
        """What it swallowed and should never have met."""
        ...

    def drop(self) -> None:
        """Gone without a goodbye; its files stay as they are."""
        ...


class Maker(Protocol):
    def __call__(self, ground: Ground) -> Driven: ...
