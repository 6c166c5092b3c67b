"""The seeded world: virtual time from event to event, real decisions among simulated things, checked at every step."""

import heapq
import tempfile
from collections import Counter
from collections.abc import Generator
from itertools import count
from pathlib import Path
from random import Random

import msgspec

from controller.clock import HandClock
from controller.core.house import House
from controller.core.state import OutletPhase, Rules
from firmware_bridge.transports.memory import MemoryBroker
from simulators import world_day, world_faults, world_limits, world_people, world_provider, world_staff
from simulators.provider_books import Books
from simulators.provider_local import LocalProvider
from simulators.twins.contact import Load
from simulators.world_checks import Checks
from simulators.world_devices import Spot, Weather, built, spots_of
from simulators.world_door import Door, Make, Reply
from simulators.world_ground import CLIENT, Crash, Disk, Ground, Maker
from simulators.world_people import Script
from simulators.world_tally import Outcome

ORIGIN_AT = 1_800_000_000.0  # 2027-01-15, 16:00 in Shanghai: two edges of the tariff lie in the first hours
FAMILIES = ("tasmota", "shelly")
DAY_S = 2.2 * 3600.0
LONG_S = 8.2 * 3600.0
DRAIN_S = 3.0 * 3600.0
QUIET_S = 300.0
CALM_AFTER_S = 60.0
EPSILON_S = 0.001
AWAY_S = (0.5, 3.0, 20.0, 80.0, 80.0, 150.0, 150.0, 400.0, 2_000.0)
AT_ONCE_MAX = 200_000


class World:
    """One seed. Scripts see it whole; the gateway sees the broker, the provider and the door."""

    def __init__(self, seed: int, make: Maker, folder: Path, brief: bool = False) -> None:
        self.rng = Random(seed)
        self.seed = seed
        self.brief = brief  # one violation is enough
        self.rules = Rules(queue_max_s=world_limits.QUEUE_S)
        self.faults: Counter[str] = Counter()
        self.profile = list(world_faults.PROFILES)[seed % len(world_faults.PROFILES)]
        self.long = seed % 20 == 10
        self.probes = self.profile == "doubts" or seed % 3 == 0  # its settings let chargers be asked by a dark moment
        self.clock = HandClock(ORIGIN_AT + seed * 1_337.0 % 86_400.0)
        self._stepped_s = 0.0
        self.books = Books()
        self.disk = Disk()
        self.weather = Weather(self.child(), self.faults)
        self.broker = MemoryBroker(self.weather.mangle)
        self.uids = [f"0A{number:02X}51C2" for number in range(3)]
        self.poor_uid = "0B0051C2"
        channels = (1,) if self.long else (1, 2, 1)
        families = [FAMILIES[(seed // 6 + number) % 2] for number in range(len(channels))]
        self.devices = built(families, channels, self.broker, self.true_at)
        self.spots = spots_of(self.devices)
        provider = LocalProvider(self.books, lambda: self.true_at)
        # the checks are the ground's watch, and need the ground: made in two steps
        self.checks = Checks(self.clock, folder / "world.sqlite3", self.spots, self.books, self.rules)
        self.checks.long = self.long
        self.ground = Ground(folder, self.clock, self.rules, self.broker, provider, self.disk, self.checks)
        self.ready_s = 0.0
        self.stalled = False
        self.link_is_up = True
        self._make = make
        self._door = Door(self.clock, self.child(), self.checks)
        self._born_s = 0.0
        self._reborn_s: float | None = None
        self._scripts: list[tuple[float, int, Script]] = []
        self._numbers = count(1)

    # -- what scripts use -----------------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        return self.clock.now().steady_s

    @property
    def true_at(self) -> float:
        return self.clock.now().at - self._stepped_s

    @property
    def house(self) -> House | None:
        return None if self._door.gateway is None else self._door.gateway.house

    def child(self) -> Random:
        return Random(self.rng.getrandbits(48))

    def new_id(self, prefix: str) -> str:
        return f"{prefix}{self.seed:04d}x{next(self._numbers):06d}"

    def phase(self, outlet: str) -> OutletPhase | None:
        known = self.house.outlets.get(outlet) if self.house is not None else None
        return None if known is None else known.phase

    def live(self, outlet: str) -> bool:
        """As a phone's page would show it; with the gateway gone nobody knows, so it is still there."""
        return self.house is None or outlet in self.house.sessions

    def load(self, rng: Random) -> Load:
        return world_people.load_of(rng, self.long)

    def spawn(self, script: Script, in_s: float = 0.0) -> None:
        heapq.heappush(self._scripts, (self.now_s + in_s, next(self._numbers), script))

    def asked(self, make: Make, tries: int = 30) -> Generator[float, None, Reply]:
        return self._door.asked(make, tries)

    # -- what faults use ------------------------------------------------------------------------------------------

    def disturb(self, for_s: float = 0.0, muddles: bool = True) -> None:
        """`muddles`: messages or memory are lost, and with them what happens meanwhile."""
        until_s = self.now_s + for_s + CALM_AFTER_S
        self.checks.disturbed_s = max(self.checks.disturbed_s, until_s)
        if muddles:
            self.checks.muddled_s = max(self.checks.muddled_s, until_s)

    def cut_link(self) -> None:
        self.broker.drop(CLIENT)

    def mend_link(self) -> None:
        if self._door.gateway is not None:
            self._door.gateway.reconnect()

    def step_wall(self, by_s: float) -> None:
        self._stepped_s += by_s
        self.clock.step_wall(by_s)

    def odd_meter(self, spot: Spot) -> None:
        """Garbage of one relay spoils what is told of all relays of its device."""
        for other in self.spots.values():
            if other.device is spot.device:
                other.meter_odd_s = self.now_s

    def crash(self, back_in_s: float | None = None, muddles: bool = True) -> None:
        """The process is gone; after a while somebody starts it again."""
        if self._door.gateway is None:
            return
        self._collect_bugs()
        self._door.gateway.drop()
        self._door.gateway, self.checks.house = None, None
        self.stalled = False
        self._reborn_s = self.now_s + (self.rng.choice(AWAY_S) if back_in_s is None else back_in_s)
        self.disturb(muddles=muddles)

    # -- time -----------------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        self._start()
        until_s = self.now_s + 900.0
        while self.ready_s == 0.0 and self.now_s < until_s and not self.checks.violations:
            self._next(until_s)
        if self.ready_s == 0.0:
            self.checks.violated("set-up", "the outlets were never opened")
        else:
            self._day()
        self._end()
        return self.outcome()

    def _day(self) -> None:
        until_s = self.now_s + (LONG_S if self.long else DAY_S)
        for script in world_day.scripts(self, until_s, until_s + DRAIN_S):
            self.spawn(script)
        while self.now_s < until_s and not (self.brief and self.checks.violations):
            self._next(until_s)
        self._drain(until_s)

    def _drain(self, until_s: float) -> None:
        """Everything is mended, nobody comes any more; all that is open must end."""
        ends_s, quiet_s = until_s + (LONG_S if self.long else DRAIN_S), 0.0
        while self.now_s < ends_s and quiet_s < QUIET_S and not (self.brief and self.checks.violations):
            before_s = self.now_s
            self._next(ends_s)
            quiet_s = quiet_s + self.now_s - before_s if self._quiet() else 0.0

    def _quiet(self) -> bool:
        house = self.house
        if self.disk.away or self.disk.slow_s:
            return False
        return house is not None and not (house.sessions or house.orders or house.outbox or self.books.notices)

    def _start(self) -> None:
        for device in self.devices:
            device.say(device.twin.start(self.true_at))
        self._birth()
        self.spawn(world_staff.set_up(self), 5.0)

    def _birth(self) -> None:
        self._door.gateway = self._make(self.ground)
        self._reborn_s = None
        if not self.link_is_up:
            self.cut_link()
        self.checks.reborn(self._door.gateway.house)
        self.disturb(muddles=False)

    def _next(self, until_s: float) -> None:
        now_s = self.now_s
        self.clock.advance(max(EPSILON_S, min(self._next_s(), until_s) - now_s))
        try:
            self._devices()
            self._people()
            self._provider()
            self._turn()
        except Crash:
            self.faults[f"crash_{self.disk.died[-1]}"] += 1
            self.crash()
        self.checks.look()

    def _next_s(self) -> float:
        to_steady = self.now_s - self.true_at
        candidates = [device.twin.next_wake_s() + to_steady for device in self.devices]
        if self._scripts:
            candidates.append(self._scripts[0][0])
        candidates += [due_s for due_s in (self.broker.next_due_s(), self._reborn_s) if due_s is not None]
        notice_at = self.books.next_due_at()
        if notice_at is not None:
            candidates.append(notice_at + to_steady)
        if self._door.gateway is not None and not self.stalled:
            candidates.append(self._door.gateway.next_due_s())
        return min(candidates)

    def _devices(self) -> None:
        at = self.true_at
        for device in self.devices:
            device.run_to(at)
        self.broker.pump(self.now_s)

    def _people(self) -> None:
        for _ in range(AT_ONCE_MAX):
            if not self._scripts or self._scripts[0][0] > self.now_s:
                break
            _, number, script = heapq.heappop(self._scripts)
            wait_s = next(script, None)
            if wait_s is not None:
                heapq.heappush(self._scripts, (self.now_s + max(EPSILON_S, wait_s), number, script))
        self.broker.pump(self.now_s)

    def _provider(self) -> None:
        due_at = self.books.next_due_at()
        if due_at is None or due_at > self.true_at:
            return
        for notice in self.books.due(self.true_at):
            self.spawn(world_provider.notified(self, msgspec.json.decode(notice.body), notice.event_id))

    def _turn(self) -> None:
        if self._reborn_s is not None and self._reborn_s <= self.now_s:
            self._birth()
        if self._door.gateway is None or self.stalled:
            return
        self._door.gateway.turn()
        self.broker.pump(self.now_s)

    # -- the end --------------------------------------------------------------------------------------------------

    def _collect_bugs(self) -> None:
        for bug in self._door.gateway.bugs() if self._door.gateway is not None else ():
            self.checks.violated("bug", bug)

    def _end(self) -> None:
        self._collect_bugs()
        self.checks.at_the_end()

    def outcome(self) -> Outcome:
        sessions = self.checks.ledger.sessions()
        if self._door.gateway is not None:
            self._door.gateway.drop()
        self.checks.close()
        violations = [f"seed {self.seed} ({self.profile}): {what}" for what in self.checks.violations]
        return Outcome(self.seed, self.profile, sessions, violations, dict(self.checks.stop_reasons), dict(self.faults))


def run(seed: int, make: Maker, brief: bool = False) -> Outcome:
    """One seed in a folder of its own, thrown away afterwards."""
    with tempfile.TemporaryDirectory(prefix="anchong-world-") as folder:
        world = World(seed, make, Path(folder), brief)
        try:
            return world.run()
        except Exception as error:  # noqa: BLE001 - a world that breaks is a finding, with its seed
            first_line = str(error).splitlines()[:1]
            world.checks.violated("broke", f"{type(error).__name__}: {''.join(first_line)}")
            return world.outcome()
