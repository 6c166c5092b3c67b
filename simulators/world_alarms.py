"""Detectors, buttons and locks: contacts close, flap, stay closed over a restart; sites are cut, and released early."""

from random import Random
from typing import TYPE_CHECKING, Any

from controller.core import events as ev
from controller.core.events import Change
from simulators.world_devices import Device
from simulators.world_people import BIKES, Script
from simulators.world_staff import SITE, changed

if TYPE_CHECKING:
    from simulators.world import World

DETECTOR, BUTTON = 1, 2


def wired(world: "World", rng: Random) -> Script:
    """What hangs on each pile's inputs."""
    for device in world.devices:
        kind, scope = rng.choice(("smoke", "flood")), rng.choice(("pile", "site"))
        inputs: dict[str, Any] = {str(DETECTOR): {"kind": kind, "scope": scope, "normally": "open"}}
        inputs[str(BUTTON)] = {"kind": "emergency", "scope": "site", "normally": "open"}
        yield from changed(world, Change.INPUTS, f"pile{device.number}", inputs=inputs)


def shows_danger(world: "World", rng: Random) -> Script:
    """For a while; some flap, some outlive the gateway, and somebody is always in a hurry to go on."""
    device, number = rng.choice(world.devices), rng.choice((DETECTOR, DETECTOR, BUTTON))
    world.faults["input_active"] += 1
    _odd(world)
    if rng.random() < 0.3:
        yield from _flaps(world, device, number, rng)
    device.wire(number, True, world.now_s)
    yield rng.uniform(0.0, 20.0)
    if rng.random() < 0.4:
        world.faults["killed"] += 1
        world.crash(back_in_s=rng.choice((0.5, 20.0, 100.0)))
    yield rng.uniform(5.0, 60.0)
    yield from _hurries(world)
    yield rng.uniform(10.0, 200.0)
    _odd(world)
    device.wire(number, False, world.now_s)


def _flaps(world: "World", device: Device, number: int, rng: Random) -> Script:
    world.faults["input_flaps"] += 1
    for _ in range(rng.randrange(2, 12)):
        device.wire(number, True, world.now_s)
        yield rng.uniform(0.05, 2.0)
        device.wire(number, False, world.now_s)
        yield rng.uniform(0.05, 2.0)


def _hurries(world: "World") -> Script:
    """What may not work while there is danger."""
    world.faults["released_early"] += 1
    yield from changed(world, Change.RELEASE_SITE, SITE)
    for spot in world.spots.values():
        yield from changed(world, Change.CLEAR_LATCH, spot.outlet)


def _odd(world: "World") -> None:
    for spot in world.spots.values():
        spot.odd()


def cut_and_released(world: "World", rng: Random) -> Script:
    """By a button in the office; often somebody restarts the gateway then, thinking that it hangs."""
    world.faults["site_cut"] += 1
    _odd(world)
    key = world.new_id("cut")
    yield from world.asked(lambda stamp: ev.SiteCutAsked(**stamp, key=key, site=SITE, by="staff:owner"))
    if rng.random() < 0.6:
        world.faults["killed"] += 1
        world.crash(back_in_s=rng.choice((0.5, 5.0, 60.0)))
    yield rng.uniform(30.0, 300.0)
    yield from changed(world, Change.RELEASE_SITE, SITE, by="program:x")  # no person, no release
    yield from changed(world, Change.RELEASE_SITE, SITE)


def locked(world: "World", rng: Random) -> Script:
    """Somebody works at an outlet; others try everything to get it going again."""
    spot = rng.choice(list(world.spots.values()))
    world.faults["locked"] += 1
    spot.odd()
    yield from changed(world, Change.LOCK, spot.outlet, by="staff:guard")
    if rng.random() < 0.4:
        world.faults["killed"] += 1
        world.crash(back_in_s=rng.choice((0.5, 5.0)))
    yield rng.uniform(1.0, 30.0)
    for change in rng.sample((Change.COMMISSION, Change.OPEN, Change.CLEAR_LATCH, Change.UNLOCK), 4):
        yield from changed(world, change, spot.outlet, by="staff:other")
        yield rng.uniform(0.5, 20.0)
    yield from changed(world, Change.UNLOCK, spot.outlet, by="staff:guard")


def rewired(world: "World", rng: Random) -> Script:
    """In mid-charge somebody says anew what hangs where, and which settings the detector has."""
    world.faults["settings_approved"] += 1
    yield from wired(world, rng)
    rules = rng.choice(({"probe": 1}, {"probe": 1, "pause_s": 1_200}, {"low": 0.1}, {}))
    yield from changed(world, Change.FINISH, SITE, rules=rules)
    name = world.new_id("model")
    yield from changed(world, Change.CHARGER, name, site=SITE, name=name, rules={"low_for_s": 700.0})
    yield from changed(world, Change.CHARGER, name, state=rng.choice(("approved", "withdrawn")))


def bikes_forgotten(world: "World", rng: Random) -> Script:
    """By the rider's phone, or all of a card's by staff; charges under way go on without a name."""
    world.faults["bike_forgotten"] += 1
    bike, party = rng.choice(((f"bike-{rng.randrange(BIKES)}", ""), ("", f"card:c{rng.randrange(3)}")))
    key = world.new_id("forget")
    yield from world.asked(lambda stamp: ev.BikeForgotten(**stamp, key=key, by="staff:owner", bike=bike, party=party))
