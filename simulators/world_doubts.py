"""Trouble that puts charges in doubt: the power of all fails, bikes change places, chargers fall asleep."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from simulators.battery import sleeper, tapering
from simulators.world_answers import GAPS_S, Kettle, Lead, answered, larger, smaller, swapped, watches
from simulators.world_devices import Device, Spot
from simulators.world_people import Script, bought, pack_of

if TYPE_CHECKING:
    from simulators.world import World


# -- the compound's power -----------------------------------------------------------------------------------------


def power_failure(world: "World", rng: Random) -> Script:
    """Everybody's, often the gateway's as well, and somebody uses the dark."""
    world.faults["power_failure"] += 1
    with_gateway = rng.random() < 0.5
    dark_s = rng.choice((0.5, 3.0, 40.0, 250.0, 900.0, 2_200.0))
    for device in world.devices:
        darkened(world, device)
    if with_gateway:
        world.faults["power_failure_of_the_gateway"] += 1
        world.crash(back_in_s=dark_s + rng.choice((0.0, 5.0, 60.0)), muddles=False)
    thief = rng.choice((None, "larger", "same", "smaller"))
    busy = [spot for spot in world.spots.values() if spot.plugs.now and spot.outlet in _charged(world, spot)]
    if thief is not None and busy:
        world.spawn(swapped(world, rng.choice(busy), rng, thief, dark_s / 2))
    yield from disturbed(world, dark_s)
    for device in world.devices:
        yield rng.uniform(0.0, 6.0)
        lit(world, device)
    yield from disturbed(world, 60.0)


def _charged(world: "World", spot: Spot) -> tuple[str, ...]:
    return (spot.outlet,) if world.live(spot.outlet) else ()


def darkened(world: "World", device: Device) -> None:
    device.dark_s = world.now_s
    for spot in world.spots.values():
        if spot.device is device:
            spot.odd()
    device.say(device.twin.cut_mains(device.at))


def lit(world: "World", device: Device) -> None:
    device.dark_s = None
    device.say(device.twin.restore_mains(device.at))
    for number in list(device.closed):
        device.closed[number] = world.now_s


def disturbed(world: "World", seconds: float) -> Script:
    until_s = world.now_s + seconds
    while world.now_s < until_s:
        world.disturb(muddles=False)
        yield min(10.0, max(0.001, until_s - world.now_s))


# -- at one outlet ------------------------------------------------------------------------------------------------


def _begun(world: "World", spot: Spot, rng: Random, way: str, for_s: float) -> Script:
    """Somebody charges there for a while, and answers in this way if asked."""
    yield from bought(world, spot, rng)
    world.spawn(watches(world, spot, way, rng), 30.0)
    yield for_s


def thief(world: "World", spot: Spot, rng: Random) -> Script:
    """Another bike in the place of one at work."""
    spot.plug(pack_of(rng) if rng.random() < 0.3 else smaller(larger(rng), rng))
    yield from _begun(world, spot, rng, rng.choice(("honest", "never", "twice", "late", "stranger")), 190.0)
    kind = rng.choice(("larger", "larger", "smaller", "alike"))
    yield from swapped(world, spot, rng, kind, rng.uniform(*rng.choice(GAPS_S)))
    yield rng.choice((200.0, 1_100.0))


def plugged_anew(world: "World", spot: Spot, rng: Random) -> Script:
    """The same bike: its rider moved it, or looked whether the plug was in."""
    spot.plug(pack_of(rng))
    yield from _begun(world, spot, rng, "", 190.0)
    yield from swapped(world, spot, rng, "same", rng.uniform(*rng.choice(GAPS_S)))
    yield rng.uniform(100.0, 400.0)


def taken_away(world: "World", spot: Spot, rng: Random) -> Script:
    """Nothing is drawn any more; somebody answers, somebody else does not."""
    spot.plug(smaller(larger(rng), rng))
    yield from _begun(world, spot, rng, rng.choice(("honest", "never", "lies")), 150.0)
    spot.odd()
    spot.unplug()
    yield rng.choice((400.0, 1_300.0))


def asleep(world: "World", spot: Spot, rng: Random) -> Script:
    """A charger that rests; a probe wakes it, or it wants to be plugged in anew."""
    wakes = rng.random() < 0.5
    world.faults["charger_asleep"] += 1
    spot.plug(sleeper(rng, wakes))
    yield from _begun(world, spot, rng, "", 1_400.0)
    if not wakes:
        yield from swapped(world, spot, rng, "same", 20.0)
        yield 300.0


def drowsy(world: "World", spot: Spot, rng: Random) -> Script:
    """It falls asleep again and again, and each probe wakes it: one must be the last."""
    world.faults["charger_drowsy"] += 1
    spot.plug(sleeper(rng, True, parts=7))
    yield from _begun(world, spot, rng, "", 3_400.0)


def not_full(world: "World", spot: Spot, rng: Random) -> Script:
    """Its rider wants it to stop before it is full, and it comes early enough for that to be seen."""
    world.faults["stops_early"] += 1
    spot.plug(tapering(rng))
    yield from bought(world, spot, rng, stop_at=rng.choice((80, 80, 90)))
    yield 300.0
    for _ in range(120):
        if not world.live(spot.outlet):
            break
        yield 45.0


def answers_unasked(world: "World", spot: Spot, rng: Random) -> Script:
    """A page that was open for long: nobody asks, or no longer."""
    spot.plug(pack_of(rng))
    world.spawn(bought(world, spot, rng))
    for _ in range(6):
        yield rng.choice((0.5, 2.0, 15.0))
        live = None if world.house is None else world.house.sessions.get(spot.outlet)
        yield from answered(world, spot, "S-yesterday" if live is None else live.id, rng.random() < 0.5, tries=2)


def odd_load(world: "World", spot: Spot, rng: Random) -> Script:
    """A kettle, or a second charger on the lead of the first."""
    world.faults["odd_load"] += 1
    spot.odd()
    first = smaller(larger(rng), rng)
    spot.plug(Kettle(rng) if rng.random() < 0.5 else first)
    yield from _begun(world, spot, rng, "never", 300.0)
    if spot.plugs.now is not None and spot.plugs.now.load is first:
        spot.plug(Lead(first, pack_of(rng)), spot.plugs.visit)
    yield 600.0


def fuse_blown(world: "World", spot: Spot, rng: Random) -> Script:
    """Behind the fuse there is nothing any more; the device still talks."""
    topic = spot.device.twin.topic
    spot.plug(pack_of(rng))
    yield from _begun(world, spot, rng, "never", 190.0)
    if topic in world.weather.edits:
        return
    world.faults["fuse_blown"] += 1
    for other in world.spots.values():
        if other.device is spot.device:
            other.odd()
    spot.unplug()
    world.weather.edits[topic] = spot.device.twin.edit("fuse_blown")
    yield rng.uniform(60.0, 400.0)
    world.weather.edits.pop(topic, None)


AT_ONE = (fuse_blown, thief, thief, plugged_anew, taken_away, asleep, drowsy, not_full, answers_unasked, odd_load)


def doubts(world: "World", rng: Random) -> Script:
    """At whichever outlet is free."""
    free = [spot for spot in world.spots.values() if not (spot.taken or spot.faults)]
    if free and world.house is not None:
        yield from _one(world, rng.choice(free), rng.choice(AT_ONE), rng)


def _one(world: "World", spot: Spot, doubt: Callable[["World", Spot, Random], Script], rng: Random) -> Script:
    spot.taken = True
    spot.plugs.come()
    yield from doubt(world, spot, rng)
    spot.unplug()
    yield 30.0
    spot.taken = False


def told(world: "World", spot: Spot, until_s: float, first: int) -> Script:
    """One after the other from the `first` on, at an outlet of their own."""
    rng, start = world.child(), first % len(AT_ONE)
    while world.now_s < until_s:
        for doubt in (*AT_ONE[start:], *AT_ONE[:start]):
            yield rng.uniform(5.0, 40.0)
            while world.now_s < until_s and (spot.taken or world.house is None or world.live(spot.outlet)):
                yield 20.0
            if world.now_s >= until_s:
                return
            yield from _one(world, spot, doubt, rng)
