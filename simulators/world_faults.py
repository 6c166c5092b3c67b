"""What goes wrong, each as a seeded script that begins, lasts and is mended; counted by its name."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from simulators.twins.contact import Fault, Meddling
from simulators.world_alarms import bikes_forgotten, cut_and_released, locked, rewired, shows_danger
from simulators.world_devices import Device, Watts
from simulators.world_doubts import darkened, doubts, lit, power_failure
from simulators.world_ground import Death
from simulators.world_people import Script
from simulators.world_provider import provider

if TYPE_CHECKING:
    from simulators.world import World

Trouble = Callable[["World", Random], Script]
ODD_METERS = (Fault.METER_STUCK, Fault.METER_NAN, Fault.METER_GARBAGE)


def gremlin(world: "World", until_s: float, kinds: tuple[Trouble, ...], every_s: tuple[float, float]) -> Script:
    rng = world.child()
    while True:
        yield rng.uniform(*every_s)
        if world.now_s >= until_s:
            return
        yield from rng.choice(kinds)(world, rng)


# -- on the way ---------------------------------------------------------------------------------------------------


def storm(world: "World", rng: Random) -> Script:
    """Every storm has its own mixture."""
    weather = world.weather
    for name, most in (("lost", 0.3), ("doubled", 0.3), ("reordered", 0.4), ("late", 0.25), ("garbage", 0.05)):
        setattr(weather, name, rng.uniform(0.02, most) if rng.random() < 0.5 else 0.0)
    yield from _lasting(world, rng.uniform(60.0, 1_200.0))
    weather.clear()
    world.disturb()


def link_down(world: "World", rng: Random) -> Script:
    """Our own link to the broker."""
    world.faults["link_down"] += 1
    world.link_is_up = False
    world.cut_link()
    yield from _lasting(world, rng.choice((5.0, 30.0, 90.0, 200.0, 700.0)))
    world.link_is_up = True
    world.mend_link()
    world.disturb()


def broker_gone(world: "World", rng: Random) -> Script:
    """The broker dies and comes back without a memory; every socket connects anew."""
    world.faults["broker_gone"] += 1
    world.weather.gone, world.link_is_up = True, False
    world.cut_link()
    for device in world.devices:
        device.twin.inject(Fault.SILENT, device.at)
    yield from _lasting(world, rng.choice((10.0, 40.0, 150.0)))
    world.broker.retained.clear()
    world.weather.gone, world.link_is_up = False, True
    world.mend_link()
    for device in world.devices:
        device.say(device.twin.mend(Fault.SILENT, device.at))
    world.disturb()


def silent_device(world: "World", rng: Random) -> Script:
    """Its radio is gone; its relay and its timers are not."""
    device = rng.choice(world.devices)
    world.faults["silent_device"] += 1
    device.say(device.twin.inject(Fault.SILENT, device.at))
    yield from _lasting(world, rng.choice((20.0, 70.0, 140.0, 400.0, 900.0)))
    device.say(device.twin.mend(Fault.SILENT, device.at))
    world.disturb()


# -- the sockets --------------------------------------------------------------------------------------------------


def mains_cut(world: "World", rng: Random) -> Script:
    device = rng.choice(world.devices)
    world.faults["mains_cut"] += 1
    darkened(world, device)
    yield from _lasting(world, rng.choice((0.0, 2.0, 20.0, 60.0, 600.0)))
    lit(world, device)
    world.disturb()


def restarts(world: "World", rng: Random) -> Script:
    """It crashed, or somebody restarts it from its own page."""
    world.faults["device_restart"] += 1
    _odd_device(world, rng).meddled(Meddling.RESTART)
    yield 1.0


def welded(world: "World", rng: Random) -> Script:
    yield from _broken(world, rng, Fault.WELDED, rng.choice((60.0, 900.0, 2_400.0)))


def wont_close(world: "World", rng: Random) -> Script:
    yield from _broken(world, rng, Fault.WONT_CLOSE, rng.uniform(300.0, 1_200.0))


def odd_meter(world: "World", rng: Random) -> Script:
    yield from _broken(world, rng, rng.choice(ODD_METERS), rng.choice((30.0, 150.0, 400.0, 1_500.0)))


def _broken(world: "World", rng: Random, fault: Fault, lasts_s: float) -> Script:
    spot = rng.choice(list(world.spots.values()))
    world.faults[str(fault)] += 1
    spot.inject(fault)
    if fault in ODD_METERS:
        world.odd_meter(spot)
    yield lasts_s
    if fault in ODD_METERS:
        world.odd_meter(spot)
    spot.mend(fault)
    world.disturb()


def counter_reset(world: "World", rng: Random) -> Script:
    spot = rng.choice(list(world.spots.values()))
    world.faults["counter_reset"] += 1
    spot.inject(Fault.COUNTER_RESET)
    world.odd_meter(spot)
    yield 40.0
    world.odd_meter(spot)


def device_clock(world: "World", rng: Random) -> Script:
    device = rng.choice(world.devices)
    fault = rng.choice((Fault.CLOCK_AHEAD, Fault.CLOCK_BEHIND, Fault.CLOCK_1970))
    world.faults[str(fault)] += 1
    device.say(device.twin.inject(fault, device.at))
    yield 900.0
    device.say(device.twin.mend(fault, device.at))


def odd_mains(world: "World", rng: Random) -> Script:
    """Over- and undervoltage, and a metering chip too hot, as a report would show them."""
    device = _odd_device(world, rng)
    kind = rng.choice(("over_voltage", "under_voltage", "overheat"))
    world.faults[kind] += 1
    world.weather.edits[device.twin.topic] = device.twin.edit(kind)
    yield rng.uniform(15.0, 60.0)
    world.weather.edits.pop(device.twin.topic, None)


def _odd_device(world: "World", rng: Random) -> Device:
    device = rng.choice(world.devices)
    for spot in world.spots.values():
        if spot.device is device:
            spot.odd()
    return device


def own_limit(world: "World", rng: Random) -> Script:
    """Somebody gave the device a power limit of its own; it cuts, and may switch on again by itself."""
    device = _odd_device(world, rng)
    world.faults["own_limit"] += 1
    device.meddled(Meddling.LIMIT, 0, 100)
    yield rng.uniform(100.0, 600.0)
    device.meddled(Meddling.NO_LIMIT)
    yield 1.0


def stranger(world: "World", rng: Random) -> Script:
    """Another program on the broker, or a hand on the button, switches a relay, or takes its lease away."""
    spot = rng.choice(list(world.spots.values()))
    spot.odd()
    kind, what = rng.choice(
        (("foreign_on", Meddling.ON), ("foreign_off", Meddling.OFF), ("foreign_lease", Meddling.NO_LEASE))
    )
    world.faults[kind] += 1
    spot.device.meddled(what, spot.channel)
    yield 1.0


def heat(world: "World", rng: Random) -> Script:
    """Into a running charge somebody plugs what no outlet should feed."""
    busy = [spot for spot in world.spots.values() if spot.powered and spot.taken and not spot.faults]
    if busy:
        world.faults["heater_plugged"] += 1
        spot = rng.choice(busy)
        spot.odd()
        spot.plug(Watts(rng.choice((900.0, 1_300.0, 2_200.0))))
    yield 1.0


# -- the gateway's disk, process and clock ------------------------------------------------------------------------


def database_away(world: "World", rng: Random) -> Script:
    world.faults["database_away"] += 1
    world.disk.away = True
    lasts_s = rng.choice((1.0, 4.0, 8.0, 60.0, 1_000.0))
    world.checks.disk_away_s = world.now_s + lasts_s + 60.0  # an alarm may wait for the disk, an OFF may not
    yield lasts_s
    world.disk.away = False


def slow_disk(world: "World", rng: Random) -> Script:
    world.faults["slow_disk"] += 1
    world.disk.slow_s = rng.choice((0.5, 2.0, 4.0, 7.0))
    yield rng.uniform(60.0, 900.0)
    world.disk.slow_s = 0.0


def lost_answer(world: "World", rng: Random) -> Script:
    world.faults["lost_answer"] += 1
    world.disk.loses_answer = True
    yield 300.0
    world.disk.loses_answer = False


def stall(world: "World", rng: Random) -> Script:
    """The decider does nothing for a while: everything waits, then comes at once."""
    world.faults["slow_gateway"] += 1
    world.stalled = True
    yield from _lasting(world, rng.choice((1.0, 4.0, 6.0, 30.0, 150.0)))
    world.stalled = False
    world.disturb()


def dies(world: "World", rng: Random) -> Script:
    """Armed for the next commit or OFF, of which there is one within a minute where anything goes on."""
    world.disk.dies = rng.choice(list(Death))
    yield rng.uniform(60.0, 240.0)
    world.disk.dies = None


def killed(world: "World", rng: Random) -> Script:
    world.faults["killed"] += 1
    world.crash()
    yield 1.0


def clock_step(world: "World", rng: Random) -> Script:
    """There and back, as a bad time server does it."""
    by_s = rng.choice((-3_600.0, -70.0, -20.0, 20.0, 20.0, 90.0, 90.0, 3_600.0))
    world.faults["clock_step"] += 1
    world.step_wall(by_s)
    yield rng.uniform(60.0, 900.0)
    world.step_wall(-by_s)


# -- all of them, and how long they last --------------------------------------------------------------------------


def _lasting(world: "World", seconds: float) -> Script:
    """While it lasts nothing is sound; told again and again, because checks look back a while."""
    until_s = world.now_s + seconds
    while world.now_s < until_s:
        world.disturb()
        yield min(10.0, max(0.001, until_s - world.now_s))
    world.disturb()


WAY: tuple[Trouble, ...] = (storm, storm, link_down, broker_gone, silent_device)
SOCKETS: tuple[Trouble, ...] = (
    mains_cut,
    restarts,
    welded,
    welded,
    wont_close,
    odd_meter,
    counter_reset,
    device_clock,
    odd_mains,
    own_limit,
    stranger,
    heat,
)
PROCESS: tuple[Trouble, ...] = (database_away, slow_disk, slow_disk, lost_answer, stall, dies, dies, killed, clock_step)
MONEY: tuple[Trouble, ...] = (provider,)
DOUBTS: tuple[Trouble, ...] = (power_failure, doubts, doubts, doubts)
ALARMS: tuple[Trouble, ...] = (shows_danger, shows_danger, cut_and_released, locked, rewired, bikes_forgotten)
EVERYTHING: tuple[Trouble, ...] = (*WAY, *SOCKETS, *PROCESS, *MONEY, *DOUBTS, *ALARMS)
PROFILES: dict[str, tuple[Trouble, ...]] = {
    "calm": MONEY,
    "way": (*WAY, *MONEY),
    "sockets": (*SOCKETS, *MONEY),
    "process": (*PROCESS, *MONEY),
    "everything": EVERYTHING,
    "plots": MONEY,
    "doubts": (power_failure, *MONEY),
    "alarms": (*ALARMS, doubts, *MONEY),
}
