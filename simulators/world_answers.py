"""Bikes that change places, and the people who are asked about it: whose is it, is anybody still there?"""

from collections.abc import Generator
from random import Random
from typing import TYPE_CHECKING

from controller.core import events as ev
from controller.core.state import Phase, Session, Why
from simulators.battery import Battery, Stage
from simulators.twins.contact import Load
from simulators.world_devices import Spot, Watts

if TYPE_CHECKING:
    from simulators.world import World

STRANGER = -1  # of no visit
LOOK_S = 45.0
HABITS = {"honest": 55, "never": 20, "late": 8, "twice": 8, "lies": 5, "stranger": 4}
GAPS_S = ((5.0, 25.0), (20.0, 120.0), (100.0, 600.0))

Steps = Generator[float, None, None]


# -- what comes in the place of a bike ----------------------------------------------------------------------------


def larger(rng: Random) -> Battery:
    """On a charger that pushes more than any usual one."""
    power_w = rng.uniform(520.0, 640.0)
    return Battery((Stage(power_w, power_w, 7_200.0),), (Stage(5.0, 4.9, 3_600.0),), rng)


def smaller(load: Load, rng: Random) -> Battery:
    power_w = max(30.0, 0.5 * load.draw_w(0.0))
    return Battery((Stage(power_w, power_w, 7_200.0),), (Stage(5.0, 4.9, 3_600.0),), rng)


def alike(load: Load, rng: Random) -> Battery:
    """Another bike of the same model, at the same stage: nobody can tell."""
    power_w = max(6.0, load.draw_w(0.0))
    return Battery((Stage(power_w, power_w, 3_600.0),), (Stage(5.0, 4.9, 3_600.0),), rng)


class Lead:
    """Two chargers on one outlet."""

    def __init__(self, first: Load, second: Load) -> None:
        self._both = first, second

    def draw_w(self, dt_s: float) -> float:
        return sum(load.draw_w(dt_s) for load in self._both)


class Kettle(Watts):
    """Full power while it heats, nothing while its thermostat rests."""

    def __init__(self, rng: Random) -> None:
        super().__init__(rng.uniform(450.0, 780.0))
        self._on_s, self._off_s, self._t_s = rng.uniform(60.0, 240.0), rng.uniform(20.0, 90.0), 0.0

    def draw_w(self, dt_s: float) -> float:
        self._t_s = (self._t_s + dt_s) % (self._on_s + self._off_s)
        return self.power_w if self._t_s < self._on_s else 0.0


def swapped(world: "World", spot: Spot, rng: Random, kind: str, gap_s: float) -> Steps:
    """What stands there goes; after a while something else comes, or the same again."""
    stood = spot.plugs.now
    if stood is None:
        return
    world.faults[f"swap_{kind}"] += 1
    spot.odd()
    spot.unplug()
    yield gap_s
    spot.odd()
    loads = {"same": stood.load, "larger": larger(rng), "smaller": smaller(stood.load, rng)}
    spot.plug(loads.get(kind) or alike(stood.load, rng), spot.plugs.visit if kind == "same" else STRANGER)


# -- who is asked -------------------------------------------------------------------------------------------------


def habit(rng: Random) -> str:
    return rng.choices(list(HABITS), list(HABITS.values()))[0]


def asked_about(world: "World", outlet: str) -> Session | None:
    """What the payer's page shows: a question, or none."""
    live = None if world.house is None else world.house.sessions.get(outlet)
    doubt = None if live is None else live.pause
    shown = live is not None and live.phase is Phase.SUSPENDED
    return live if shown and doubt is not None and doubt.why in (Why.PLUG, Why.EMPTY) else None


def watches(world: "World", spot: Spot, of: str, rng: Random) -> Steps:
    """For as long as the charge lives: answers what it is asked, as is this one's way."""
    way = of or habit(rng)
    if way == "never":
        return
    yield 20.0
    while world.live(spot.outlet):
        live = asked_about(world, spot.outlet)
        if live is not None and spot.plugs.visit == world.checks.visit_of(live.id):
            yield rng.uniform(5.0, 90.0) if way != "late" else rng.uniform(850.0, 1_000.0)
            yield from _answers(world, spot, live.id, way)
        yield LOOK_S


def _answers(world: "World", spot: Spot, session: str, way: str) -> Steps:
    stands = spot.plugs.now
    mine = stands is not None and stands.visit == spot.plugs.visit
    if way == "lies":
        mine = not mine
    world.faults[f"answer_{way}"] += 1
    yield from answered(world, spot, "S-of-another" if way == "stranger" else session, mine)
    if way == "twice":
        yield from answered(world, spot, session, not mine)


def answered(world: "World", spot: Spot, session: str, mine: bool, tries: int = 30) -> Steps:
    key = world.new_id("answer")
    world.checks.claims(session, mine)
    yield from world.asked(
        lambda stamp: ev.PlugAnswered(
            **stamp, key=key, session=session, outlet=spot.outlet, by=f"party:{session}", mine=mine
        ),
        tries=tries,
    )
