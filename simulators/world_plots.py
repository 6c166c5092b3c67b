"""Told on purpose: an outlet is brought into each phase in turn, and everything that can happen happens to it there."""

from random import Random
from typing import TYPE_CHECKING

from controller.core import events as ev
from controller.core.events import Change
from controller.core.reasons import StopReason
from controller.core.state import OutletPhase
from simulators.twins.contact import Fault, Meddling
from simulators.world_devices import Spot, Watts
from simulators.world_ground import Death
from simulators.world_people import Script, bought
from simulators.world_staff import changed, topped_up

if TYPE_CHECKING:
    from simulators.world import World


# -- what happens -------------------------------------------------------------------------------------------------


def _restart(world: "World", spot: Spot) -> Script:
    spot.device.meddled(Meddling.RESTART)
    yield 0.5


def _link(world: "World", spot: Spot) -> Script:
    world.faults["link_down"] += 1
    world.cut_link()
    yield 1.0
    world.mend_link()
    world.disturb()
    yield 0.5


def _hazard(world: "World", spot: Spot) -> Script:
    """The device's own limit, low enough for whatever is plugged in."""
    world.faults["own_limit"] += 1
    spot.device.meddled(Meddling.LIMIT, spot.channel, 20)
    yield 6.0
    spot.device.meddled(Meddling.NO_LIMIT, spot.channel)


def _late_warning(world: "World", spot: Spot) -> Script:
    """What the device said of itself some time ago arrives now."""
    world.faults["late"] += 1
    spot.device.meddled(Meddling.LATE_WARNING, spot.channel)
    yield 0.5


def _asks_to_stop(world: "World", spot: Spot) -> Script:
    """A page that was open for long, with a session of yesterday."""
    house = world.house
    live = house.sessions.get(spot.outlet) if house is not None else None
    session, key = live.id if live is not None else "S-yesterday", world.new_id("late")
    yield from world.asked(
        lambda stamp: ev.StopAsked(
            **stamp, key=key, session=session, outlet=spot.outlet, by="party:x", reason=StopReason.STOPPED_BY_RESIDENT
        ),
        tries=2,
    )


def _setting(world: "World", spot: Spot) -> Script:
    spot.device.meddled(Meddling.SHOW_SETTING, spot.channel)
    yield 0.5


def _foreign_on(world: "World", spot: Spot) -> Script:
    world.faults["foreign_on"] += 1
    spot.device.meddled(Meddling.ON, spot.channel)
    yield 2.0


def _too_much(world: "World", spot: Spot) -> Script:
    world.faults["heater_plugged"] += 1
    spot.plug(Watts(1_500.0))
    yield 2.0


SMALL = (_setting, _link, _foreign_on, _restart)
ALL = (*SMALL, _hazard, _late_warning, _asks_to_stop, _too_much)


def everything(world: "World", spot: Spot, rng: Random) -> Script:
    """The whole lot in an order of its own, as far as the phase lasts."""
    for nuisance in rng.sample(ALL, len(ALL)):
        yield from nuisance(world, spot)
        yield rng.uniform(0.0, 2.0)


def _one(world: "World", spot: Spot, rng: Random) -> Script:
    yield from rng.choice(ALL)(world, spot)


# -- the phases ---------------------------------------------------------------------------------------------------


def told(world: "World", until_s: float) -> Script:
    """One plot after another, at whichever outlet is free."""
    rng = world.child()
    while world.now_s < until_s:
        yield rng.uniform(20.0, 120.0)
        free = [spot for spot in world.spots.values() if not (spot.taken or spot.faults or spot.channel)]
        if not free or world.house is None:
            continue
        spot = rng.choice(free)
        spot.taken = True
        spot.plugs.come()
        plots = PLOTS if spot.device.twin.reads_cards else tuple(plot for plot in PLOTS if plot not in BY_CARD)
        yield from rng.choice(plots)(world, spot, rng)
        spot.unplug()
        yield 30.0
        spot.taken = False


def _idle(world: "World", spot: Spot, rng: Random) -> Script:
    spot.plug(Watts(80.0))
    yield from everything(world, spot, rng)


def _shut(world: "World", spot: Spot, rng: Random) -> Script:
    yield from changed(world, Change.CLOSE, spot.outlet)
    yield from _idle(world, spot, rng)


def _proving(world: "World", spot: Spot, rng: Random) -> Script:
    spot.plug(Watts(80.0))
    yield 2.0
    if rng.random() < 0.3:  # asked for while its link is gone
        world.spawn(_link(world, spot))
        yield 0.5
    yield from changed(world, Change.COMMISSION, spot.outlet)
    yield rng.uniform(0.5, 40.0)
    yield from _one(world, spot, rng)
    yield 5.0
    if world.phase(spot.outlet) is OutletPhase.ADOPTED:
        yield from everything(world, spot, rng)


def _tapped(spot: Spot, uid: str) -> Script:
    spot.device.say(spot.device.twin.tap(uid, spot.device.at))
    yield 0.3


def _begun(world: "World", spot: Spot, rng: Random) -> Script:
    """By card where the device has a reader, by phone where it has none."""
    yield from _tapped(spot, rng.choice(world.uids)) if spot.device.twin.reads_cards else bought(world, spot, rng)


def _opening(world: "World", spot: Spot, rng: Random) -> Script:
    """Nothing, or a meter that tells nothing, so that no load is seen."""
    if rng.random() < 0.7:
        world.faults["meter_garbage"] += 1
        spot.plug(Watts(80.0))
        spot.inject(Fault.METER_GARBAGE)
        world.odd_meter(spot)
    yield from _begun(world, spot, rng)
    yield rng.uniform(0.5, 4.0)
    yield from _one(world, spot, rng)
    yield 20.0
    spot.mend(Fault.METER_GARBAGE)
    world.odd_meter(spot)


def _charging(world: "World", spot: Spot, rng: Random) -> Script:
    spot.plug(Watts(80.0))
    yield from _begun(world, spot, rng)
    yield rng.uniform(8.0, 40.0)
    yield from _one(world, spot, rng)
    yield 20.0


def _closing(world: "World", spot: Spot, rng: Random) -> Script:
    """Welded, so that it takes its time."""
    spot.plug(Watts(80.0))
    yield from _begun(world, spot, rng)
    yield rng.uniform(8.0, 40.0)
    world.faults["welded"] += 1
    spot.inject(Fault.WELDED)
    yield from _asks_to_stop(world, spot)
    yield from everything(world, spot, rng)
    yield rng.choice((60.0, 700.0))
    spot.mend(Fault.WELDED)
    world.disturb()


def _suspended(world: "World", spot: Spot, rng: Random) -> Script:
    """A restart while the socket says nothing, or nothing but one thing."""
    spot.plug(Watts(80.0))
    yield from _begun(world, spot, rng)
    yield rng.uniform(20.0, 60.0)
    world.disturb(for_s=120.0)
    deaf = rng.random() < 0.5
    if deaf:
        world.faults["silent_device"] += 1
        spot.device.twin.inject(Fault.SILENT, spot.device.at)
    world.faults["killed"] += 1
    world.crash(back_in_s=rng.choice((0.5, 60.0)))
    yield 1.0
    if deaf:
        yield from rng.choice((_link, _asks_to_stop, _restart, _hazard))(world, spot)
        yield rng.choice((0.5, 70.0))
        spot.device.say(spot.device.twin.mend(Fault.SILENT, spot.device.at))
    else:
        yield from rng.choice((_link, _asks_to_stop, _restart, _late_warning))(world, spot)
    world.disturb()
    yield 30.0


def _at_once(world: "World", spot: Spot, rng: Random) -> Script:
    """The decider hangs for some seconds; then a tap and what followed it come in one step."""
    world.faults["slow_gateway"] += 1
    spot.plug(Watts(80.0))
    yield 12.0
    world.stalled = True
    uid = rng.choice(world.uids)
    yield from _tapped(spot, uid)
    nuisance = rng.choice((*SMALL, None))
    if nuisance is None:
        yield 3.5
        yield from _tapped(spot, uid)
    else:
        yield from nuisance(world, spot)
    yield rng.choice((1.0, 10.0))
    world.stalled = False
    world.disturb()
    yield 30.0


def _trips_after_a_stop(world: "World", spot: Spot, rng: Random) -> Script:
    """The stop is asked, and before the decider hears of it the guard has cut."""
    spot.plug(Watts(80.0))
    yield from _begun(world, spot, rng)
    yield rng.uniform(8.0, 40.0)
    world.faults["slow_gateway"] += 1
    world.stalled = True
    world.spawn(_asks_to_stop(world, spot))
    yield 1.0
    yield from _too_much(world, spot)
    yield 14.0
    world.stalled = False
    world.disturb()


def _meter_jumps(world: "World", spot: Spot, rng: Random) -> Script:
    """Little money, a meter that stands still for long, and then says what was really used: more than was held."""
    yield from topped_up(world, "poor", 3)
    spot.plug(Watts(500.0))
    yield from _tapped(spot, world.poor_uid)
    yield rng.uniform(15.0, 40.0)
    world.faults["meter_stuck"] += 1
    spot.inject(Fault.METER_STUCK)
    world.odd_meter(spot)
    yield rng.uniform(1_000.0, 1_600.0)
    spot.mend(Fault.METER_STUCK)
    world.odd_meter(spot)
    yield 30.0


def _regrets_on_a_slow_disk(world: "World", spot: Spot, rng: Random) -> Script:
    """The OFF is decided while the ON still waits for its commit."""
    world.faults["slow_disk"] += 1
    spot.plug(Watts(80.0))
    yield 12.0
    world.disk.slow_s = 4.5
    uid = rng.choice(world.uids)
    yield from _tapped(spot, uid)
    yield 3.2
    yield from _tapped(spot, uid)
    yield 20.0
    world.disk.slow_s = 0.0


def _dies_while_asked(world: "World", spot: Spot, rng: Random) -> Script:
    """The process dies in the very commit that somebody waits for."""
    world.disk.dies = rng.choice((Death.BEFORE_COMMIT, Death.IN_COMMIT, Death.AFTER_COMMIT))
    yield from topped_up(world, "c0", 5)
    world.disk.dies = None


PLOTS = (
    _trips_after_a_stop,
    _regrets_on_a_slow_disk,
    _dies_while_asked,
    _meter_jumps,
    _idle,
    _shut,
    _charging,
    _closing,
    *(2 * (_proving, _opening, _suspended, _at_once)),
)
BY_CARD = (_regrets_on_a_slow_disk, _meter_jumps, _at_once)
