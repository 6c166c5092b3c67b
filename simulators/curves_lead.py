"""Lead-acid packs of 48 to 72 V: constant current, constant voltage down to the turn, then float and a green light."""

from random import Random

from simulators.curves_parts import Charge, Kind, Part, hold, pulses, tail


def lead_acid(rng: Random) -> Charge:
    """Float falls for an hour or two to what the charger draws by itself."""
    start, float_w, idle_w = _to_turn(rng), rng.uniform(8.0, 14.0), rng.uniform(4.0, 6.0)
    return Charge(Kind.ENDS, start, (hold(rng.uniform(40.0, 120.0), float_w, idle_w), hold(60, idle_w)))


def lead_acid_high_float(rng: Random) -> Charge:
    """Float that stays: no fixed number of watts is below it and above every tail."""
    return Charge(Kind.ENDS, _to_turn(rng), (hold(60, rng.uniform(14.0, 20.0)),))


def pulse_maintenance(rng: Random) -> Charge:
    """After the turn a pulse every few minutes, for as long as it is plugged."""
    start = _to_turn(rng)
    low_min, high_w = rng.uniform(2.0, 5.0), rng.uniform(0.2, 0.35) * start[0].to_w
    kept = pulses(200, low_min, rng.uniform(3.0, 7.0), rng.uniform(0.2, 0.7), high_w)
    return Charge(Kind.ENDS, start, (*kept, hold(60, kept[0].from_w)), maintained=True)


def repair_charger(rng: Random) -> Charge:
    """Pulses all along: current that stops for some seconds once or twice a minute, and steady float afterwards."""
    bulk, falling = _to_turn(rng)
    on_min, off_min, depth = rng.uniform(0.5, 1.5), rng.uniform(0.17, 0.34), rng.uniform(0.4, 0.9)
    jittered = tuple(piece for part in (bulk, falling) for piece in _jittered(part, on_min * 60, off_min * 60, depth))
    return Charge(Kind.ENDS, jittered, (hold(60, rng.uniform(3.0, 9.0)),))


def never_turns(rng: Random) -> Charge:
    """An aged pack: the current stops falling at 60 to 150 W, and what still goes in is heat."""
    peak_w, stuck_w = rng.uniform(165.0, 480.0), rng.uniform(60.0, 150.0)
    start = (hold(rng.uniform(60.0, 180.0), 0.93 * peak_w, peak_w), hold(60.0, peak_w, stuck_w))
    return Charge(Kind.NEVER_TURNS, start, (hold(360, stuck_w, 1.1 * stuck_w),))


# -- what they share ----------------------------------------------------------------------------------------------


def _to_turn(rng: Random) -> tuple[Part, Part]:
    """48 V at 2.5 A to 72 V at 5 A; the turn is at 450 to 650 mA."""
    peak_w = rng.uniform(165.0, 480.0)
    turn_w = rng.uniform(0.13, 0.18) * peak_w
    return hold(rng.uniform(80.0, 260.0), 0.93 * peak_w, peak_w), tail(peak_w, turn_w, rng.uniform(20.0, 40.0))


def _jittered(part: Part, on_s: float, off_s: float, depth: float) -> list[Part]:
    pieces, at_s = [], 0.0
    while at_s < part.lasts_s:
        high_w = part.at_w(at_s)
        pieces += [Part(high_w, high_w, on_s), Part((1 - depth) * high_w, (1 - depth) * high_w, off_s)]
        at_s += on_s + off_s
    return pieces
