"""Sites and piles with limits of power: who sets and changes them, and whether what truly flows keeps within them."""

from collections.abc import Generator, Mapping
from random import Random
from typing import TYPE_CHECKING

from controller.core.due import patience_s
from controller.core.events import Change
from controller.core.house import House
from controller.core.state import Phase, Rules
from simulators.world_devices import Spot, Watts
from simulators.world_people import Script, bought
from simulators.world_plots import everything
from simulators.world_staff import SITE, changed

if TYPE_CHECKING:
    from simulators.world import World
    from simulators.world_checks import Checks

USUAL: Mapping[str, float] = {f"site:{SITE}": 2_200.0, "pile:pile1": 1_000.0}
QUEUE_S = 600.0  # shorter than in earnest, so that a day sees somebody give up
LEAST_W = 920.0  # of an outlet of 800 W
ERR = 1.03  # meters and noise, either way
REPORT_S = 30.0  # two reports and an OFF on their way
LATE_S = 30.0


def has_limits(seed: int) -> bool:
    """Every profile in turn, with and without."""
    return (seed - 1) // 8 % 2 == 1


# -- what the office does -----------------------------------------------------------------------------------------


def warden(world: "World", until_s: float) -> Script:
    """Sets the limits, and has somebody change his mind about them all day."""
    rng = Random(world.seed)
    for key, power_w in USUAL.items():
        yield from limited(world, key, power_w)
    while world.now_s < until_s:
        for errand in rng.sample(ERRANDS, len(ERRANDS)):
            yield rng.uniform(100.0, 500.0)
            if world.now_s >= until_s:
                return
            yield from errand(world, rng)
            yield from limited(world, f"site:{SITE}", USUAL[f"site:{SITE}"])


def limited(world: "World", key: str, power_w: float | None) -> Generator[float, None, None]:
    """Until the answer is there nobody knows which limit holds."""
    of, _, subject = key.partition(":")
    world.checks.limits.said(key, None)
    if (yield from changed(world, Change.POWER, subject, of=of, power_w=power_w)):
        world.checks.limits.said(key, power_w)


def _low(world: "World", rng: Random) -> Script:
    """Less than what may already flow: somebody must be taken off."""
    world.faults["limit_lowered"] += 1
    yield from limited(world, f"site:{SITE}", rng.choice((LEAST_W, 950.0, 1_200.0)))
    yield rng.uniform(60.0, 900.0)


def _none(world: "World", rng: Random) -> Script:
    world.faults["limit_taken_away"] += 1
    yield from limited(world, f"site:{SITE}", None)
    yield rng.uniform(10.0, 200.0)


def _heavy(world: "World", rng: Random) -> Script:
    """All may start; then two that are on draw more together than the site may from now on."""
    world.faults["limit_taken_away"] += 1
    yield from limited(world, f"site:{SITE}", None)
    two = [spot for spot in world.spots.values() if spot.device in (world.devices[0], world.devices[-1])]
    for spot in two:
        spot.plug(Watts(rng.uniform(550.0, 750.0)))
        if not spot.powered:
            yield from bought(world, spot, rng)
    yield rng.uniform(15.0, 40.0)
    world.faults["limit_lowered"] += 1
    yield from limited(world, f"site:{SITE}", LEAST_W)
    yield rng.uniform(120.0, 400.0)
    for spot in two:
        spot.unplug()


def _free(world: "World") -> list[Spot]:
    return [spot for spot in world.spots.values() if not (spot.taken or spot.faults)]


def _in_line(world: "World", rng: Random) -> Script:
    """Somebody pays while there is no room, and everything happens to the outlet that waits."""
    free = _free(world)
    if world.house is None or not world.house.sessions or not free:
        return
    spot = rng.choice(free)
    spot.taken = True
    spot.plugs.come()
    yield from limited(world, f"site:{SITE}", LEAST_W)
    spot.plug(Watts(80.0))
    yield from bought(world, spot, rng)
    yield rng.uniform(1.0, 60.0)
    yield from everything(world, spot, rng)
    spot.unplug()
    yield 30.0
    spot.taken = False


ERRANDS = (_heavy, _low, _none, _in_line, _heavy)


# -- what must hold -----------------------------------------------------------------------------------------------


class Limits:
    """What was said the limits are, and what the contacts truly carry. Only what a sound gateway can see counts."""

    def __init__(self, checks: "Checks", spots: Mapping[str, Spot], rules: Rules) -> None:
        self._checks = checks
        self._spots = spots
        self._rules = rules
        self._limits: dict[str, float] = {}
        self._said_s = 0.0
        self._over_s: dict[str, float] = {}
        self._low: dict[str, tuple[float, float]] = {}  # by outlet: the least of this stretch and of the one before
        self._stretch_s = 0.0

    def said(self, key: str, power_w: float | None) -> None:
        self._said_s = self._checks.now_s
        self._over_s.pop(key, None)
        self._limits.pop(key, None)
        if power_w is not None:
            self._limits[key] = power_w

    def look(self, house: House | None) -> None:
        if not self._limits:
            return
        self._remember()
        for key, limit_w in self._limits.items():
            self._flows(key, limit_w, house)
        for live in house.sessions.values() if house is not None else ():
            sound_s = max(self._checks.disturbed_s, self._checks.disk_away_s)
            late_s = self._checks.now_s - max(live.since_s + patience_s(live, self._rules), sound_s)
            if live.phase is Phase.QUEUED and late_s > LATE_S:
                self._checks.violated("waits for ever", live.id)

    def _remember(self) -> None:
        again = self._checks.now_s - self._stretch_s > REPORT_S
        for name, spot in self._spots.items():
            now_w = spot.drawn_w()
            least_w, before_w = self._low.get(name, (now_w, 0.0))
            self._low[name] = (now_w, least_w) if again else (min(least_w, now_w), before_w)
        self._stretch_s = self._checks.now_s if again else self._stretch_s

    def _of(self, key: str, house: House) -> list[Spot]:
        of, _, name = key.partition(":")
        outlets = [house.outlets[o] for o in self._spots if o in house.outlets]
        return [self._spots[o.id] for o in outlets if (o.site if of == "site" else o.pile) == name]

    def _flows(self, key: str, limit_w: float, house: House | None) -> None:
        """Above the limit for longer than the rule tolerates."""
        spots = self._of(key, house) if house is not None else []
        over = sum(spot.drawn_w() for spot in spots) > limit_w * ERR
        if not over or any(spot.faults or spot.device.odd for spot in spots):
            self._over_s.pop(key, None)
            return
        since_s = max(self._over_s.setdefault(key, self._checks.now_s), self._checks.disturbed_s, self._said_s)
        if self._checks.now_s - since_s > self._rules.over_limit_s + REPORT_S:
            self._checks.violated("over the limit for too long", f"{key}, {limit_w:.0f} W")

    def switched_on(self, outlet: str, house: House | None) -> None:
        """A start takes its outlet's limit; what has flowed all the time elsewhere leaves room for it, or not."""
        new = self._spots[outlet]
        calm = self._checks.now_s - max(self._checks.disturbed_s, self._said_s) > REPORT_S
        if house is None or new.powered or not calm:
            return
        for key, limit_w in self._limits.items():
            spots = self._of(key, house)
            if new not in spots or any(spot.faults or spot.device.odd for spot in spots):
                continue
            others_w = sum(min(self._low.get(s.outlet, (0.0, 0.0))) for s in spots if s is not new)
            if others_w / ERR + self._rules.outlet_w > limit_w:
                self._checks.violated("started without room", f"{outlet} beside {others_w:.0f} W of {key}")
