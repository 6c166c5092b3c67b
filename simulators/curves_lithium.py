"""Lithium packs of 48 to 72 V on chargers of 25 to 600 W: constant current that rises a little, then a tail."""

from random import Random

from simulators.curves_parts import Charge, Kind, Part, hold, pulses, split, tail


def cc_cv(rng: Random) -> Charge:
    """A smooth tail, and the charger switches itself off."""
    return _ends((*_to_tail(rng),), hold(60, 0.0))


def standby(rng: Random) -> Charge:
    return _ends(_to_tail(rng), hold(60, rng.uniform(0.5, 3.0)))


def high_idle(rng: Random) -> Charge:
    """The tail settles on an idle draw that is a good part of it."""
    bulk, idle_w = _bulk(rng), rng.uniform(5.0, 16.0)
    return _ends((bulk, tail(bulk.to_w, idle_w + 0.02 * bulk.to_w, _half_min(rng), idle_w)), hold(60, idle_w))


def high_idle_after_a_switch(rng: Random) -> Charge:
    """The charger ends the tail by itself a little above its idle draw."""
    bulk, idle_w = _bulk(rng), rng.uniform(5.0, 16.0)
    return _ends((bulk, tail(bulk.to_w, idle_w + 0.04 * bulk.to_w, _half_min(rng))), hold(60, idle_w))


def small(rng: Random) -> Charge:
    """A folding bike's charger."""
    peak_w = rng.uniform(25.0, 60.0)
    bulk = hold(rng.uniform(60.0, 270.0), rng.uniform(0.88, 0.96) * peak_w, peak_w)
    return _ends((bulk, tail(peak_w, rng.uniform(0.05, 0.07) * peak_w, _half_min(rng))), hold(60, rng.uniform(0.4, 2)))


def fast(rng: Random) -> Charge:
    peak_w = rng.uniform(250.0, 600.0)
    bulk = hold(rng.uniform(20.0, 80.0), 0.95 * peak_w, peak_w)
    return _ends((bulk, tail(peak_w, 0.03 * peak_w, rng.uniform(5.0, 12.0))), hold(60, rng.uniform(1.0, 6.0)))


def snap_off(rng: Random) -> Charge:
    """Green light at a fifth of the peak, from one second to the next."""
    return _ends(_to_snap(rng), hold(60, rng.uniform(2.0, 6.0)))


def snap_off_with_a_rise(rng: Random) -> Charge:
    """What is drawn under the green light rises for a quarter of an hour and drifts down for an hour."""
    return _ends(_to_snap(rng), *_risen(rng))


def precharge(rng: Random) -> Charge:
    """A deeply empty pack is first fed gently."""
    bulk, *rest = _to_tail(rng)
    gentle = hold(rng.uniform(5.0, 25.0), rng.uniform(0.08, 0.1) * bulk.to_w, rng.uniform(0.1, 0.14) * bulk.to_w)
    return _ends((gentle, bulk, *rest), hold(60, rng.uniform(0.5, 4.0)))


def balancing(rng: Random) -> Charge:
    """Cells are levelled by bursts after the tail; the last of them makes it full."""
    start, low_w = _to_tail(rng), rng.uniform(1.0, 4.0)
    high_w = rng.uniform(0.15, 0.35) * start[0].to_w
    bursts = pulses(rng.randint(3, 8), rng.uniform(2, 6), low_w, rng.uniform(0.5, 2.0), high_w)
    return _ends((*start, *bursts), hold(60, low_w))


def dual(rng: Random) -> Charge:
    """Two packs on one charger: the second begins when the first has tapered, after a dip."""
    first, second, dip_w = _to_snap(rng), _to_tail(rng), rng.uniform(1.0, 5.0)
    share = rng.uniform(0.3, 1.0)
    scaled = (split(second[0], 1.0 - share)[1], *second[1:])
    even = tuple(_times(part, first[0].to_w / second[0].to_w) for part in scaled)
    half = tuple(split(first[0], 0.5)[1:])
    return _ends((*half, first[1], hold(rng.uniform(0.6, 4.0), dip_w), *even), hold(60, dip_w))


def thermal_pause(rng: Random) -> Charge:
    """Warm packs and chargers rest, with the charger's own draw."""
    return _paused(rng, rng.uniform(5.0, 30.0), rng.uniform(0.5, 3.0))


def brown_out(rng: Random) -> Charge:
    """The charger gives up on a dip of the mains and comes back by itself."""
    return _paused(rng, rng.uniform(1.0, 8.0), 0.0)


def throttled(rng: Random) -> Charge:
    """A warm charger goes on with a third or half of its power for a while."""
    bulk, *rest = _to_tail(rng)
    early, late = split(bulk, rng.uniform(0.2, 0.8))
    gently = hold(rng.uniform(10.0, 40.0), rng.uniform(0.3, 0.5) * early.to_w)
    return _ends((early, gently, late, *rest), hold(60, rng.uniform(0.5, 4.0)))


def soak(rng: Random) -> Charge:
    """After the tail a constant trickle for half an hour, to level the cells; then standby."""
    bulk = _bulk(rng)
    soak_w = max(17.0, rng.uniform(0.08, 0.16) * bulk.to_w)
    slow = hold(rng.uniform(20.0, 40.0), soak_w, 0.97 * soak_w)
    return _ends((bulk, tail(bulk.to_w, soak_w, _half_min(rng)), slow), hold(60, rng.uniform(0.5, 4.0)))


def very_long_tail(rng: Random) -> Charge:
    peak_w = rng.uniform(90.0, 250.0)
    bulk = hold(rng.uniform(30.0, 120.0), 0.94 * peak_w, peak_w)
    return _ends((bulk, tail(peak_w, 0.04 * peak_w, rng.uniform(40.0, 70.0))), hold(60, rng.uniform(0.5, 4.0)))


def short_top_up(rng: Random) -> Charge:
    """Minutes of constant current, then the tail."""
    bulk, *rest = _to_tail(rng)
    return _ends((split(bulk, 1.0 - rng.uniform(0.01, 0.1))[1], *rest), hold(60, rng.choice([0.0, 2.0, 4.0])))


def begun_in_its_tail(rng: Random) -> Charge:
    """Nearly full when plugged: the peak seen is not the charger's own."""
    _, falling = _to_tail(rng)
    return _ends((split(falling, rng.uniform(0.05, 0.25))[1],), hold(60, rng.choice([0.0, 2.0, 4.0])))


def as_logged(rng: Random) -> Charge:
    """After public logs of 48 V packs: 93 to 112 W, done 27 to 76 min after half power, begun anywhere."""
    peak_w = rng.uniform(100.0, 114.0)
    bulk = hold(rng.uniform(10.0, 180.0), rng.uniform(0.9, 0.97) * peak_w, peak_w)
    end_w, rest = rng.choice(
        (
            (4.6, (hold(60, rng.choice([0.0, 4.0])),)),
            (rng.uniform(17.0, 26.0), (hold(60, 4.2),)),
            (rng.uniform(17.0, 26.0), _risen(rng)),
            (18.0, (hold(60, 15.5),)),
        )
    )
    done = tail(peak_w, end_w, 1.0)
    falling = Part(peak_w, end_w, rng.uniform(27.0, 76.0) * done.lasts_s / tail(peak_w / 2, end_w, 1.0).lasts_s * 60)
    start = rng.random()
    if start < 0.2:
        return _ends((split(falling, start)[1],), *rest)
    return _ends((bulk, falling), *rest)


# -- what they share ----------------------------------------------------------------------------------------------


def _ends(charge: tuple[Part, ...], *rest: Part) -> Charge:
    return Charge(Kind.ENDS, charge, rest)


def bulk_w(rng: Random) -> float:
    """Most chargers are small: wall power by equal ratios between 48 V 2 A and 72 V 5 A."""
    return float(90.0 * (420.0 / 90.0) ** rng.random())


def _bulk(rng: Random) -> Part:
    peak_w = bulk_w(rng)
    return hold(rng.uniform(30.0, 220.0), rng.uniform(0.87, 0.96) * peak_w, peak_w)


def _half_min(rng: Random) -> float:
    return rng.uniform(10.0, 25.0)


def _to_tail(rng: Random) -> tuple[Part, Part]:
    bulk = _bulk(rng)
    return bulk, tail(bulk.to_w, rng.uniform(0.03, 0.05) * bulk.to_w, _half_min(rng))


def _to_snap(rng: Random) -> tuple[Part, Part]:
    bulk = _bulk(rng)
    return bulk, tail(bulk.to_w, rng.uniform(0.15, 0.35) * bulk.to_w, _half_min(rng))


def _risen(rng: Random) -> tuple[Part, ...]:
    low_w = rng.uniform(3.8, 5.2)
    return hold(15, low_w, 1.5 * low_w), hold(60, 1.5 * low_w, 1.02 * low_w), hold(60, 1.02 * low_w)


def _paused(rng: Random, rest_min: float, rest_w: float) -> Charge:
    bulk, *rest = _to_tail(rng)
    early, late = split(bulk, rng.uniform(0.2, 0.8))
    return _ends((early, hold(rest_min, rest_w), late, *rest), hold(60, rest_w))


def _times(part: Part, factor: float) -> Part:
    return Part(part.from_w * factor, part.to_w * factor, part.lasts_s, part.floor_w * factor)
