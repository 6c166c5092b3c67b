"""How a charge draws, so that another charger in its place is told from it. Pure, and asked with every reading.

Kept are the level of the last minute, the highest level so far, and the power factor where the meter tells it. Once
the load has left, or was cut, whatever comes back is held against that; two of one make at one stage look the same.
"""

from math import exp

import msgspec
from msgspec.structs import replace

from controller.core.tariff import Meter


class DrawRules(msgspec.Struct, frozen=True):
    """Watts are of the wall, shares are of the charge's own levels."""

    no_power_w: float = 3.0  # reads as nothing plugged, a meter's offset included
    bare_w: float = 0.5  # below it no charger is plugged in; a resting one draws a little
    load_w: float = 5.0  # the smallest charger at work draws more
    worked_w: float = 16.0  # no charger idles higher
    level_s: float = 60.0  # a level is what lasts; a report that straddles the pulling of a plug is none
    settle_s: float = 8.0  # no inrush lasts longer
    trial_s: float = 60.0  # a soft start, a ramp and a fan are over by then
    trial_late_s: float = 240.0  # a pack that has rested for long takes full power again, for some minutes
    rested_s: float = 120.0  # ... but not after so short a rest
    in_pieces_s: float = 300.0  # a load that comes and goes is in doubt for so long in all: some pulse for hours
    plateau: float = 0.85  # of the highest level: the charger pushes all it can
    tail: float = 0.6  # of the highest level: below it the pack limits, and goes on to do so
    done: float = 0.12  # of the highest level: below it the finish detector is quick enough
    above: float = 0.1  # the same charger comes back within some per cent of its plateau
    above_w: float = 6.0  # a cheap meter's noise on a small charger
    below: float = 0.18  # sagging mains and a warm charger take less off
    rises: float = 0.35  # of its level: what a tail may come back above itself after a short rest
    rises_w: float = 15.0
    factor: float = 0.15  # of one charger at one power the power factor moves by less
    factor_from_w: float = 30.0  # below it no meter tells it well


class Left(msgspec.Struct, frozen=True, gc=False):
    """The load has gone. `meter` is as it stood then; times are steady."""

    at_s: float
    meter: Meter
    bare_s: float | None = None  # since when nothing at all was drawn, not even by a charger at rest
    bare: bool = False  # it was so once: the plug may have been pulled
    back_s: float | None = None  # since when something draws again
    back_w: float = 0.0  # what it draws, without its first report
    last_w: float = 0.0
    reports: int = 0
    tried_s: float = 0.0  # how long it drew before, each time it had come back and left again


class Draw(msgspec.Struct, frozen=True, gc=False):
    seen_s: float = 0.0  # steady, of the last reading with a load
    level_w: float = 0.0
    peak_w: float = 0.0
    factor: float = 0.0  # 0: not told
    left: Left | None = None


RULES = DrawRules()
Other = dict[str, float]


def observe(
    draw: Draw | None,
    steady_s: float,
    power_w: float,
    meter: Meter,
    factor: float | None = None,
    rules: DrawRules = RULES,
) -> tuple[Draw, Other | None]:
    """After one reading; and the figures that show it, once another load than before is drawing.

    `left` is None again once what came back was found to be the same. `meter` is of this reading.
    """
    draw = draw or Draw(seen_s=steady_s)
    if power_w < rules.no_power_w:
        return _gone(draw, steady_s, power_w, meter, rules), None
    if draw.left is None:
        return _learnt(draw, steady_s, power_w, factor, rules), None
    return _back(draw, draw.left, steady_s, power_w, factor, rules)


def interrupted(draw: Draw | None, steady_s: float, meter: Meter, pulled: bool = True) -> Draw | None:
    """Cut by us, or by the mains: what comes back is to be held against this. `pulled`: somebody may have swapped."""
    if draw is None:
        return None
    if draw.left is not None:
        return replace(draw, left=replace(draw.left, bare=draw.left.bare or pulled, back_s=None, reports=0))
    return replace(draw, left=Left(steady_s, meter, bare=pulled))


def moved(draw: Draw, delta_s: float) -> Draw:
    """On another process's clock."""
    left = draw.left
    if left is not None:
        bare_s = None if left.bare_s is None else left.bare_s + delta_s
        left = replace(left, at_s=left.at_s + delta_s, bare_s=bare_s, back_s=None, reports=0)
    return replace(draw, seen_s=draw.seen_s + delta_s, left=left)


def power_factor(power_w: float, voltage_v: float | None, current_a: float | None) -> float | None:
    if not voltage_v or not current_a or voltage_v < 0 or current_a < 0:
        return None
    return min(1.0, power_w / (voltage_v * current_a))


def was_at_work(draw: Draw, rules: DrawRules = RULES) -> bool:
    """Before its load left it drew more than a charger that is done."""
    return draw.peak_w >= rules.worked_w and draw.level_w >= rules.done * draw.peak_w


def was_in_tail(draw: Draw | None, rules: DrawRules = RULES) -> bool:
    """Its pack had begun to fill up when the load left."""
    return draw is not None and _in_tail(draw, rules)


# -- what is remembered -------------------------------------------------------------------------------------------


def _learnt(draw: Draw, steady_s: float, power_w: float, factor: float | None, rules: DrawRules) -> Draw:
    """The peak is what two reports in a row have shown: an inrush is no level."""
    if draw.level_w == 0.0:
        return Draw(steady_s, power_w, 0.0, factor or 0.0)
    share = exp(-(steady_s - draw.seen_s) / rules.level_s)
    level_w = power_w + (draw.level_w - power_w) * share
    known = draw.factor if factor is None or power_w < rules.factor_from_w else factor
    return Draw(steady_s, level_w, max(draw.peak_w, min(level_w, power_w)), known)


def _gone(draw: Draw, steady_s: float, power_w: float, meter: Meter, rules: DrawRules) -> Draw:
    left = draw.left or Left(steady_s, meter)
    bare = power_w < rules.bare_w
    if draw.left is not None and bare is (left.bare_s is not None) and left.back_s is None:
        return draw
    bare_s = (left.bare_s if left.bare_s is not None else steady_s) if bare else None
    tried_s = left.tried_s + (0.0 if left.back_s is None else steady_s - left.back_s)
    gone = replace(left, bare_s=bare_s, bare=left.bare or bare, back_s=None, reports=0, tried_s=tried_s)
    return replace(draw, left=gone)


def _back(
    draw: Draw, left: Left, steady_s: float, power_w: float, factor: float | None, rules: DrawRules
) -> tuple[Draw, Other | None]:
    if power_w < rules.load_w and left.back_s is None:
        return draw, None
    back = _heard(left, steady_s, power_w)
    passed_s = steady_s - (back.back_s or steady_s)
    in_pieces = back.tried_s + passed_s >= rules.in_pieces_s
    if not in_pieces and (back.reports < 2 or passed_s < rules.settle_s):
        return replace(draw, left=back), None
    other = _differs(draw, back, passed_s, factor, rules)
    if other is None and (in_pieces or passed_s >= _trial_s(draw, back, rules)):
        return _learnt(replace(draw, left=None, level_w=back.back_w), steady_s, power_w, factor, rules), None
    return replace(draw, left=back), other


def _heard(left: Left, steady_s: float, power_w: float) -> Left:
    """The first report may straddle an inrush, so the mean begins with the second."""
    if left.back_s is None:
        return replace(left, back_s=steady_s, back_w=power_w, last_w=power_w, bare_s=None, reports=1)
    if left.reports == 1:
        return replace(left, back_w=power_w, last_w=power_w, reports=2)
    steady_w = left.back_w + (power_w - left.back_w) / left.reports
    return replace(left, back_w=steady_w, last_w=power_w, reports=left.reports + 1)


# -- the same, or another? ----------------------------------------------------------------------------------------


def _trial_s(draw: Draw, left: Left, rules: DrawRules) -> float:
    full = left.back_w >= rules.plateau * draw.peak_w
    return rules.trial_late_s if full and _in_tail(draw, rules) and left.bare else rules.trial_s


def _in_tail(draw: Draw, rules: DrawRules) -> bool:
    return draw.level_w < rules.tail * draw.peak_w


def _differs(
    draw: Draw, left: Left, passed_s: float, factor: float | None, rules: DrawRules
) -> dict[str, float] | None:
    now_w = min(left.back_w, left.last_w)
    late = passed_s >= rules.trial_s
    differs = (
        _above(draw, left, now_w, rules)
        or (left.bare and _risen(draw, left, now_w, passed_s, rules))
        or (left.bare and late and _below(draw, max(left.back_w, left.last_w), rules))
        or (left.bare and late and _other_factor(draw, now_w, factor, rules))
    )
    if not differs:
        return None
    figures = {
        "before_w": draw.level_w,
        "peak_w": draw.peak_w,
        "now_w": left.back_w,
        "away_s": (left.back_s or left.at_s) - left.at_s,
        **({"factor_before": draw.factor, "factor_now": factor} if draw.factor and factor else {}),
    }
    return {name: round(value, 2) for name, value in figures.items()}


def _above(draw: Draw, left: Left, now_w: float, rules: DrawRules) -> bool:
    """More than this charger has ever pushed; by more still where its plug was never out, or it had no time to."""
    share = rules.above if left.bare else 2 * rules.above
    return now_w > max(draw.peak_w, draw.level_w) * (1 + share) + rules.above_w


def _risen(draw: Draw, left: Left, now_w: float, passed_s: float, rules: DrawRules) -> bool:
    """A bike in its tail does not come back at full power, or only for a while after a long rest."""
    if not _in_tail(draw, rules) or now_w <= draw.level_w * (1 + rules.rises) + rules.rises_w:
        return False
    rested = (left.back_s or left.at_s) - left.at_s >= rules.rested_s
    return passed_s >= rules.trial_late_s if rested else passed_s >= rules.trial_s / 2


def _below(draw: Draw, now_w: float, rules: DrawRules) -> bool:
    """Off its plateau by a step: a smaller charger. What draws very little is full, or at rest, and no harm."""
    on_plateau = draw.level_w >= rules.plateau * draw.peak_w
    return on_plateau and 0.25 * draw.peak_w < now_w < (1 - rules.below) * draw.level_w - rules.above_w


def _other_factor(draw: Draw, now_w: float, factor: float | None, rules: DrawRules) -> bool:
    if not draw.factor or factor is None or min(now_w, draw.level_w) < rules.factor_from_w:
        return False
    alike = 0.6 <= now_w / draw.level_w <= 1.6
    return alike and abs(factor - draw.factor) > rules.factor
