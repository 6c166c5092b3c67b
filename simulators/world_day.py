"""Who comes of a day, and what goes wrong on it, by the world's profile."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from simulators import world_alarms, world_doubts, world_faults, world_limits, world_people, world_plots, world_staff
from simulators.world_people import Script

if TYPE_CHECKING:
    from simulators.world import World

SELDOM_S = (600.0, 2_400.0)
OFTEN_S = (60.0, 700.0)


def scripts(world: "World", until_s: float, cared_until_s: float) -> Iterator[Script]:
    """`cared_until_s`: somebody looks after it for longer than anybody comes."""
    spots = list(world.spots.values())
    told = spots[2:] if world.profile == "doubts" and not world.long else []
    yield from (world_people.at_outlet(world, spot, until_s) for spot in spots if spot not in told)
    turn = world.seed // len(world_faults.PROFILES)
    yield from (world_doubts.told(world, spot, until_s, turn + 5 * number) for number, spot in enumerate(told))
    yield world_staff.caretaker(world, cared_until_s)
    if world_limits.has_limits(world.seed) and not world.long:
        yield world_limits.warden(world, until_s)
    if not world.long:
        yield world_alarms.wired(world, world.child())
        yield from _troubles(world, until_s)


def _troubles(world: "World", until_s: float) -> Iterator[Script]:
    kinds = world_faults.PROFILES[world.profile]
    if world.profile == "doubts":  # each takes its time to be settled, and nobody shall end them all meanwhile
        yield world_faults.gremlin(world, until_s, kinds, SELDOM_S)
        return
    yield world_staff.busybody(world, until_s)
    if world.profile == "plots":
        yield world_plots.told(world, until_s)
    for _ in range(3):
        yield world_faults.gremlin(world, until_s, kinds, OFTEN_S)
