"""What else happens at a socket: unplugged, swapped, shared, empty, or no charger at all."""

from random import Random

from simulators.curves_lithium import bulk_w
from simulators.curves_parts import Charge, Kind, hold, split, tail


def unplugged(rng: Random) -> Charge:
    """Somebody needs the bike in mid-charge. A blown fuse looks the same."""
    peak_w = bulk_w(rng)
    early, _ = split(hold(rng.uniform(60.0, 220.0), 0.93 * peak_w, peak_w), rng.uniform(0.1, 0.95))
    return Charge(Kind.UNPLUGGED, (early,), (hold(60, 0.0),))


def unplugged_in_its_tail(rng: Random) -> Charge:
    peak_w = bulk_w(rng)
    falling, _ = split(tail(peak_w, 0.05 * peak_w, rng.uniform(10.0, 25.0)), rng.uniform(0.1, 0.6))
    return Charge(Kind.UNPLUGGED, (hold(rng.uniform(30.0, 200.0), 0.93 * peak_w, peak_w), falling), (hold(60, 0.0),))


def swapped(rng: Random) -> Charge:
    """Another bike in its place within half a minute; whose power it is, is asked elsewhere. This one's end counts."""
    first_w, second_w = bulk_w(rng), bulk_w(rng)
    early = hold(rng.uniform(20.0, 150.0), 0.95 * first_w, first_w)
    late = hold(rng.uniform(30.0, 150.0), 0.95 * second_w, second_w)
    falling = tail(second_w, 0.04 * second_w, rng.uniform(10.0, 25.0))
    return Charge(Kind.ENDS, (early, hold(rng.uniform(0.2, 0.5), 0.0), late, falling), (hold(60, rng.uniform(1, 4)),))


def two_chargers(rng: Random) -> Charge:
    """On one lead: the power steps up, one tail ends on the other's plateau, and then that one's."""
    first_w, second_w, idle_w = rng.uniform(90.0, 200.0), rng.uniform(90.0, 200.0), rng.uniform(1.0, 4.0)
    alone, both = hold(rng.uniform(5, 40), first_w), hold(rng.uniform(30, 120), first_w + second_w)
    floor_w = second_w + idle_w
    one_falls = tail(first_w + second_w, floor_w + 0.04 * first_w, rng.uniform(8.0, 18.0), floor_w)
    one_left, last = hold(rng.uniform(10.0, 90.0), floor_w), tail(floor_w, 2 * idle_w + 5, rng.uniform(8.0, 18.0))
    return Charge(Kind.ENDS, (alone, both, one_falls, one_left, last), (hold(60, 2 * idle_w),))


def heater(rng: Random) -> Charge:
    """A kettle or a rice-cooker: level, and for ever."""
    return Charge(Kind.NEVER_TURNS, (), (hold(60, rng.uniform(800.0, 1500.0)),))


def mains_loss(rng: Random) -> Charge:
    """The compound is dark for a while, the plug with it; power is given back and the charge goes on."""
    peak_w, dark_min = bulk_w(rng), rng.uniform(2.0, 25.0)
    early, late = split(hold(rng.uniform(60.0, 200.0), 0.93 * peak_w, peak_w), rng.uniform(0.2, 0.8))
    falling = tail(peak_w, 0.04 * peak_w, rng.uniform(10.0, 25.0))
    parts = (early, hold(dark_min, 0.0), late, falling)
    silent = ((early.lasts_s, early.lasts_s + dark_min * 60),)
    return Charge(Kind.ENDS, parts, (hold(60, rng.uniform(0.5, 4.0)),), silent=silent)


def nothing_plugged(rng: Random) -> Charge:
    return Charge(Kind.NOTHING, (), (hold(60, 0.0),))


def full_when_plugged(rng: Random) -> Charge:
    return Charge(Kind.FULL, (), (hold(60, rng.uniform(1.0, 6.0)),))


def full_with_high_idle(rng: Random) -> Charge:
    """As the worst charger measured."""
    return Charge(Kind.FULL, (), (hold(60, rng.uniform(12.0, 15.5)),))
