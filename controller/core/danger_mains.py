"""What the voltage says of a load: a resistor follows it by the square, a charger does not; and a blown fuse. Pure."""

from math import log, sqrt

import msgspec

from controller.core.danger_rules import DangerRules


class Mains(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The minute before, and the sums over the changes from minute to minute (of logarithms: shares)."""

    seen: bool = False  # the mains was there
    low_s: float = 0.0  # since then without a voltage
    before_w: float = 0.0
    before_v: float = 0.0
    pairs: int = 0
    vv: float = 0.0
    vp: float = 0.0
    pp: float = 0.0
    factor: float = 0.0  # the lowest of this stretch; 0: not told


NONE = Mains()
THERE = Mains(seen=True)


def voltage(mains: Mains | None, volts: float, known_s: float, rules: DangerRules) -> Mains | None:
    """After one reading's voltage, of which mostly nothing is new."""
    if volts < rules.no_mains_v:
        seen = mains is not None and mains.seen
        return Mains(seen=seen, low_s=(0.0 if mains is None else mains.low_s) + known_s)
    if mains is None or mains.low_s:
        return THERE if volts >= rules.mains_v or (mains is not None and mains.seen) else NONE
    return mains if mains.seen or volts < rules.mains_v else THERE


def minuted(mains: Mains | None, power_w: float, volts: float, factor: float, rules: DangerRules) -> Mains | None:
    """A minute is over: how did power and voltage change from the one before? A small load is not judged."""
    if mains is None or mains.low_s:
        return mains
    if power_w < rules.resists_w or volts < rules.no_mains_v:
        return THERE if mains.seen else NONE
    power_w, volts = round(power_w, 2), round(volts, 2)
    if not mains.before_w:
        return Mains(seen=mains.seen, before_w=power_w, before_v=volts)
    by_w, by_v = log(power_w / mains.before_w), log(volts / mains.before_v)
    if abs(by_w) > rules.step_most:
        return Mains(seen=mains.seen, before_w=power_w, before_v=volts)
    least = min(mains.factor, factor) if mains.factor and factor else mains.factor or factor
    if 0.0 < least < rules.factor:  # no resistor, whatever follows
        return Mains(seen=mains.seen, before_w=power_w, before_v=volts, factor=least)
    return Mains(
        seen=mains.seen,
        before_w=power_w,
        before_v=volts,
        pairs=mains.pairs + 1,
        vv=round(mains.vv + by_v * by_v, 8),
        vp=round(mains.vp + by_v * by_w, 8),
        pp=round(mains.pp + by_w * by_w, 8),
        factor=least,
    )


def resists(mains: Mains | None, rules: DangerRules) -> dict[str, float] | None:
    """The figures that show a resistor: the power goes as the square of the voltage, and no worse than that."""
    if mains is None or mains.pairs < rules.resists_pairs or mains.vv < rules.resists_spread:
        return None
    power = mains.vp / mains.vv
    error = sqrt(max(0.0, mains.pp - power * mains.vp) / (mains.pairs - 1) / mains.vv)
    if error > rules.resists_error or abs(power - 2.0) > rules.resists_off:
        return None
    figures = {"power_w": mains.before_w, "voltage_v": mains.before_v, "exponent": power, "error": error}
    return {name: round(value, 2) for name, value in figures.items()} | {"minutes": mains.pairs}


def fuse_blown(mains: Mains | None, power_w: float, rules: DangerRules) -> bool:
    """The device still talks, so the mains is there, and its meter sees none."""
    return mains is not None and mains.seen and mains.low_s >= rules.fuse_s and power_w < rules.no_power_w
