"""What the voltage says of a load: a resistor follows it by the square, a charger does not; and a blown fuse. Pure."""

from math import log, sqrt

import msgspec

from controller.core.danger_rules import DangerRules


class Mains(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Means of a minute, and the sums over the changes between them (of logarithms: shares of power and voltage)."""

    seen: bool = False  # the mains was there
    low_s: float = 0.0  # since then without a voltage
    count: int = 0
    sum_w: float = 0.0
    sum_v: float = 0.0
    minute_s: float = 0.0
    before_w: float = 0.0
    before_v: float = 0.0
    pairs: int = 0
    vv: float = 0.0
    vp: float = 0.0
    pp: float = 0.0
    factor: float = 0.0  # the lowest of this stretch; 0: not told


def told(
    mains: Mains | None, power_w: float, volts: float, amps: float | None, known_s: float, rules: DangerRules
) -> Mains:
    """After one reading with a voltage."""
    mains = mains or Mains()
    if volts < rules.no_mains_v:
        return Mains(seen=mains.seen, low_s=mains.low_s + known_s)
    if power_w < rules.resists_w:
        return _resting(mains, volts, rules)
    kept = _minute(mains, rules) if mains.minute_s >= rules.minute_s else mains
    return Mains(
        seen=kept.seen or volts >= rules.mains_v,
        count=kept.count + 1,
        sum_w=kept.sum_w + power_w,
        sum_v=kept.sum_v + volts,
        minute_s=kept.minute_s + known_s,
        before_w=kept.before_w,
        before_v=kept.before_v,
        pairs=kept.pairs,
        vv=kept.vv,
        vp=kept.vp,
        pp=kept.pp,
        factor=_factor(kept.factor, power_w, volts, amps),
    )


def resists(mains: Mains | None, rules: DangerRules) -> dict[str, float] | None:
    """The figures that show a resistor: the power goes as the square of the voltage, and no worse than that."""
    if mains is None or mains.pairs < rules.resists_pairs or mains.vv < rules.resists_spread:
        return None
    if mains.factor and mains.factor < rules.factor:
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


def _resting(mains: Mains, volts: float, rules: DangerRules) -> Mains:
    """A load too small to be judged: nothing is kept but that there is a voltage."""
    if mains.seen and mains.count == 0 and mains.low_s == 0.0:
        return mains
    return Mains(seen=mains.seen or volts >= rules.mains_v)


def _minute(mains: Mains, rules: DangerRules) -> Mains:
    """A minute is over: how did power and voltage change from the one before?"""
    power_w, volts = round(mains.sum_w / mains.count, 2), round(mains.sum_v / mains.count, 2)
    fresh = Mains(seen=mains.seen, before_w=power_w, before_v=volts)
    if not mains.before_w:
        return fresh
    by_w, by_v = log(power_w / mains.before_w), log(volts / mains.before_v)
    if abs(by_w) > rules.step_most:
        return fresh
    return Mains(
        seen=mains.seen,
        before_w=power_w,
        before_v=volts,
        pairs=mains.pairs + 1,
        vv=round(mains.vv + by_v * by_v, 8),
        vp=round(mains.vp + by_v * by_w, 8),
        pp=round(mains.pp + by_w * by_w, 8),
        factor=mains.factor,
    )


def _factor(lowest: float, power_w: float, volts: float, amps: float | None) -> float:
    if not amps or amps < 0:
        return lowest
    factor = round(min(1.0, power_w / (volts * amps)), 3)
    return min(lowest, factor) if lowest else factor
