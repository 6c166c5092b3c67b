"""Residents as seeded scripts that plug, scan, pay, tap, stop, swap, wander off; what they yield is seconds to wait."""

from collections.abc import Callable, Generator
from random import Random
from typing import TYPE_CHECKING, Any

from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.reasons import StopReason
from simulators.battery import (
    Battery,
    asleep,
    browned_out,
    full,
    high_idle,
    lead_acid,
    lithium,
    lithium_snap,
    nearly_full,
    never_turns,
    warm,
)
from simulators.provider_books import Fault
from simulators.twins.contact import Load
from simulators.world_answers import GAPS_S, swapped, watches
from simulators.world_devices import Spot, Watts
from simulators.world_ground import PROVIDER

if TYPE_CHECKING:
    from simulators.world import World

Script = Generator[float, None, None]
MAKES: tuple[Callable[[Random], Battery], ...] = (
    nearly_full,
    lithium,
    lithium_snap,
    lead_acid,
    full,
    high_idle,
    warm,
    browned_out,
    asleep,
)
PAGE_S = 30.0
LOOK_S = 45.0
LONGEST_S = 11 * 3600.0
BIKES = 12  # that phones of this world may name


def load_of(rng: Random, long: bool) -> Load:
    """What a visitor brings; where the day is long, a pack that never turns."""
    if long:
        return never_turns(rng).start_at(0.2)
    return heater(rng) if rng.random() < 0.04 else pack_of(rng)


def pack_of(rng: Random) -> Battery:
    """Mostly nearly done: what ends a charge is what is to be tested, not the hours before."""
    make = rng.choices(MAKES, (36, 15, 15, 9, 9, 5, 5, 3, 3))[0]
    pack = make(rng)
    return pack.start_at(rng.uniform(0.8, 0.99)) if make in (lithium, lithium_snap, lead_acid) else pack


def at_outlet(world: "World", spot: Spot, until_s: float) -> Script:
    """One outlet's day: one visitor after another."""
    rng = world.child()
    yield rng.uniform(0.0, 300.0)
    while world.now_s < until_s:
        if spot.taken:
            yield 60.0
            continue
        spot.taken = True
        spot.plugs.come()
        taps = spot.channel == 0 and rng.random() < 0.35 and spot.device.twin.reads_cards
        yield from (_card_visit if taps else _scan_visit)(world, spot, rng)
        spot.unplug()
        spot.taken = False
        yield rng.uniform(20.0, 240.0)


# -- by code and payment ------------------------------------------------------------------------------------------


def _scan_visit(world: "World", spot: Spot, rng: Random) -> Script:
    plugs = rng.choices(("before", "late", "never"), (80, 13, 7))[0]
    if plugs == "before":
        spot.plug(world.load(rng))
        yield rng.uniform(1.0, 15.0)
    order = world.new_id("O")
    if not (yield from _ordered(world, spot, order, rng)):
        return
    pays = rng.choices(("pays", "leaves", "cancels", "late", "twice"), (82, 4, 4, 4, 6))[0]
    yield rng.uniform(2.0, 40.0)
    if pays == "leaves":
        return
    if pays == "cancels":
        yield from world.asked(lambda stamp: ev.OrderCancelled(**stamp, key=f"cancel-{order}", order=order))
        return
    other = world.new_id("O")
    if pays == "twice":
        world.faults["paid_twice"] += 1
        yield from _ordered(world, spot, other, rng)
    yield from _paid(world, order, late=pays == "late", rng=rng)
    if pays == "twice":
        yield rng.uniform(0.0, 20.0)
        yield from _paid(world, other, late=False, rng=rng)
    if plugs == "late":
        yield rng.uniform(5.0, 110.0)
        spot.plug(world.load(rng))
    yield from _stays(world, spot, f"S{order}", rng)


def bought(world: "World", spot: Spot, rng: Random, stop_at: int | None = None) -> Script:
    """The straight way, by phone."""
    order = world.new_id("O")
    if (yield from _placed(world, spot, order, 500, 0, stop_at)):
        yield from _paid(world, order, late=False, rng=rng)


def _ordered(world: "World", spot: Spot, order: str, rng: Random) -> Generator[float, None, bool]:
    amount_fen = rng.choices((100, 200, 500, 1_000, 50), (50, 30, 10, 9, 1))[0] * (4 if world.long else 1)
    max_s = 0 if world.long or rng.random() < 0.7 else rng.randrange(300, 3_600)
    return (yield from _placed(world, spot, order, amount_fen, max_s))


def _placed(
    world: "World", spot: Spot, order: str, amount_fen: int, max_s: int, stop_at: int | None = None
) -> Generator[float, None, bool]:
    world.checks.visits[f"S{order}"] = spot.plugs.visit
    reply = yield from world.asked(
        lambda stamp: ev.OrderPlaced(
            **stamp,
            key=f"key-{order}",
            order=order,
            session=f"S{order}",
            outlet=spot.outlet,
            party=f"party-{order}",
            amount_fen=amount_fen,
            max_s=max_s,
            secret_hash=f"hash-{order}",
            provider=PROVIDER,
            lang="zh",
            **({"stop_at": stop_at} if stop_at is not None else _about_the_bike(world, order)),
        )
    )
    return reply.body is not None


def _about_the_bike(world: "World", order: str) -> dict[str, Any]:
    """A few don't want it full, some let their phone name a bike; by a dice of their own."""
    rng = Random(f"{world.seed}/{order}")
    bike = f"bike-{rng.randrange(BIKES)}" if rng.random() < 0.4 else ""
    return {"stop_at": rng.choices((100, 90, 80), (70, 10, 20))[0], "bike": bike}


def _paid(world: "World", order: str, late: bool, rng: Random) -> Script:
    """The payer's click at the provider; `late` is after our order has expired."""
    for _ in range(40):
        if order in world.books.orders:
            break
        yield PAGE_S / 10
    if order not in world.books.orders:
        return
    if late:
        world.faults["paid_late"] += 1
        yield world.rules.order_s + rng.uniform(-120.0, 300.0)
        # money for a closed order that is never told of is found in the provider's statements alone
        world.books.faults[Fault.DROP_WEBHOOK] = 0
    try:
        world.books.pay(order, world.true_at, late=late)
    except Refused:
        return
    if rng.random() < 0.2:
        world.books.pay(order, world.true_at, late=late)  # a nervous second click


# -- while it charges ---------------------------------------------------------------------------------------------


def _stays(world: "World", spot: Spot, session: str, rng: Random) -> Script:
    ways: dict[Callable[[World, Spot, str, Random], Script], int] = {
        _till_the_end: 40,
        _stops: 16,
        _regrets: 12,
        _unplugs: 14,
        _swaps: 9,
        _wanders_off: 9,
    }
    patient = world.long and rng.random() < 0.7  # or nobody would ever see a pack that never turns
    way = _till_the_end if patient else rng.choices(list(ways), list(ways.values()))[0]
    world.spawn(watches(world, spot, "", world.child()), 30.0)
    yield from way(world, spot, session, rng)
    if rng.random() < 0.15:
        yield from _asks_stop(world, spot, session)


def _till_the_end(world: "World", spot: Spot, session: str, rng: Random) -> Script:
    """Comes back when the light is out."""
    until_s = world.now_s + LONGEST_S
    yield rng.uniform(130.0, 200.0)
    while world.now_s < until_s and (spot.powered or world.live(spot.outlet)):
        yield LOOK_S
    yield rng.uniform(5.0, 400.0)


def _asks_stop(world: "World", spot: Spot, session: str) -> Script:
    yield from world.asked(
        lambda stamp: ev.StopAsked(
            **stamp,
            key=f"stop-{session}-{world.now_s:.0f}",
            session=session,
            outlet=spot.outlet,
            by="party:x",
            reason=StopReason.STOPPED_BY_RESIDENT,
        )
    )


def _stops(world: "World", spot: Spot, session: str, rng: Random) -> Script:
    yield rng.uniform(30.0, 1_500.0)
    yield from _asks_stop(world, spot, session)
    if rng.random() < 0.3:
        yield from _asks_stop(world, spot, session)
    yield rng.uniform(5.0, 60.0)


def _regrets(world: "World", spot: Spot, session: str, rng: Random) -> Script:
    """Stops as soon as the session is there, before or after anything flows."""
    for _ in range(60):
        if world.live(spot.outlet):
            break
        yield 0.5
    yield rng.choice((0.0, 0.2, 1.0, 3.0, 8.0))
    yield from _asks_stop(world, spot, session)
    yield rng.uniform(5.0, 60.0)


def _unplugs(world: "World", spot: Spot, session: str, rng: Random) -> Script:
    yield rng.uniform(60.0, 1_200.0)
    spot.unplug()
    yield from _till_the_end(world, spot, session, rng) if rng.random() < 0.5 else _pause(rng.uniform(1.0, 60.0))


def _swaps(world: "World", spot: Spot, session: str, rng: Random) -> Script:
    """Somebody else's charger takes the place; or the rider only looks whether the plug was in."""
    yield rng.uniform(60.0, 900.0)
    kind = rng.choice(("same", "larger", "smaller", "alike"))
    yield from swapped(world, spot, rng, kind, rng.uniform(*rng.choice(GAPS_S)))
    yield from _till_the_end(world, spot, session, rng)


def _wanders_off(world: "World", spot: Spot, session: str, rng: Random) -> Script:
    """Leaves the bike, or nothing, for an hour or two, whatever happens."""
    yield rng.uniform(1_800.0, 5_400.0)


def _pause(seconds: float) -> Script:
    yield seconds


# -- by card ------------------------------------------------------------------------------------------------------


def _card_visit(world: "World", spot: Spot, rng: Random) -> Script:
    uid = rng.choices((rng.choice(world.uids), "DEADBEEF"), (95, 5))[0]
    if rng.random() < 0.85:
        spot.plug(world.load(rng))
    yield rng.uniform(1.0, 15.0)
    yield from _taps(world, spot, uid, rng)
    if rng.random() < 0.2:
        yield rng.uniform(3.1, 4.0)
        yield from _taps(world, spot, uid, rng)  # thought it did not work
    yield rng.uniform(20.0, 60.0)
    if rng.random() < 0.35:
        yield rng.uniform(60.0, 1_500.0)
        yield from _taps(world, spot, uid, rng)
        yield rng.uniform(5.0, 60.0)
        return
    way = rng.choice((_till_the_end, _unplugs, _swaps, _wanders_off))
    world.spawn(watches(world, spot, "", world.child()), 30.0)
    yield from way(world, spot, "", rng)


def _taps(world: "World", spot: Spot, uid: str, rng: Random) -> Script:
    """Readers stutter."""
    for _ in range(rng.choices((1, 2, 3), (70, 20, 10))[0]):
        spot.device.say(spot.device.twin.tap(uid, spot.device.at))
        yield rng.uniform(0.3, 1.2)


# -- what is plugged in -------------------------------------------------------------------------------------------


def heater(rng: Random) -> Watts:
    """No charger: over the outlet's limit, or far over it."""
    return Watts(rng.choice((900.0, 1_000.0, 1_400.0, 2_000.0)))
