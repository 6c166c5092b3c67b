"""What the finish detector goes by: its settings, each with its reason and its bounds; and what it says."""

import msgspec

from controller.core.errors import Refused
from controller.core.reasons import StopReason


class FinishRules(msgspec.Struct, frozen=True):
    """Fractions are of the charge's own peak."""

    # low: a small part of the peak
    low: float = 0.08  # a lithium charge has 0.2 to 3 Wh to come below 10 %
    low_w: float = 7.5  # most chargers idle at 4 to 6 W, whatever part of a charge was seen ...
    low_most: float = 0.125  # ... but of a small one this is no more than an eighth
    low_for_s: float = 660.0  # a change-over between two packs takes 35 s to some minutes
    low_long_s: float = 1500.0  # the same where more than `left_share` is left of a tail ...
    low_longest_s: float = 2100.0  # ... and it draws more than `low_w`
    idle_w: float = 4.0  # the idle draw that is expected of a charger nobody knows
    left_share: float = 0.02  # of the charge so far: more is worth waiting for
    spent_share: float = 0.008  # of the charge so far: nobody will miss it
    # flat: no longer falling
    modest: float = 0.35  # a small charger's idle draw is up to a third of its peak; an old pack's plateau is above
    full_w: float = 16.0  # no known charger idles higher; a pack that never takes more was full when it came
    full_most_w: float = 18.0  # ... under a meter with an offset
    float_w: float = 22.5  # lead-acid float is up to 20 W; what is level above this is no idle draw
    soak_s: float = 2700.0  # some level their cells at 17 W and more, for up to 40 min
    flat_bin_s: float = 180.0  # long enough to average meter noise away
    flat_for_s: float = 530.0  # balancing chargers rest for up to six minutes
    flat_w: float = 3.4  # less than this above its idle draw is full (3 W, 3 %), or will be in a minute ...
    flat_change: float = 0.034  # ... or this part of the peak
    sure: float = 1.2  # standard errors that are added to what it seems to be above
    half_s: float = 1500.0  # a tail of which nothing is known halves in this time
    half_over_s: float = 720.0  # its own time to halve is learnt over so long ...
    plateau: float = 0.9  # ... below this
    half_near: float = 2.0  # ... and counts as long as the power is no less than this part of what it was then
    half_min_s: float = 600.0  # tails halve no faster than this ...
    half_max_s: float = 4500.0  # ... and hardly any slower
    still_s: float = 2100.0  # a meter that speaks of changes, and has said nothing for so long
    stuck_runs: float = 5.0  # a value that stands so many times longer than this meter's values do is no news ...
    stuck_s: float = 240.0  # ... if for more than this ...
    stuck_jitter: float = 0.012  # ... while its readings scatter by more than a last digit ...
    stuck_most_s: float = 2100.0  # ... but after this it is believed
    jump: float = 0.05  # a change by more (and by a fifth of the level) starts a new plateau
    # fallen: came down abruptly
    substantial: float = 0.6  # falling from above this is no tail: snap-offs at full come from below half
    pause_s: float = 2400.0  # warm packs and chargers rest for up to half an hour
    gone_w: float = 0.35  # below it no charger is there; a resting one draws a little, and gets `pause_s`
    gone_for_s: float = 740.0  # some chargers rest at nothing; 10 minutes was the field's last answer
    no_power_w: float = 3.0  # reads as nothing plugged, a meter's offset included
    probe: bool = False  # a doubt is told soon, to be settled by a probe; else it is waited out
    doubt_s: float = 180.0  # how soon: most dips are shorter
    # never worked
    worked: float = 0.5  # a charge has worked while above this ...
    worked_s: float = 300.0  # ... for this long; a spike before precharge has not
    unworked_s: float = 1800.0  # a pack in precharge gets this long to leave it ...
    level_s: float = 720.0  # ... or this, if what it draws is level as in no precharge
    level_rise: float = 0.012  # a pack in precharge rises by more than this meanwhile ...
    level_w: float = 6.5  # ... and draws more than this
    level_run_s: float = 450.0  # ... which a meter that is silent for longer would not show
    empty_for_s: float = 540.0  # nothing drawn from the beginning: there is no charge to spoil
    # how it is counted
    peak_s: float = 60.0  # an inrush shall not make the peak
    burst_cost: float = 3.5  # a burst at the peak takes back so many times its length: balancing, pulsed maintenance
    back_s: float = 60.0  # above `modest` for this long, and the charge is on again
    hold_s: float = 330.0  # how long a value stands for what came after: a plug's usual report is 300 s
    calm_s: float = 3600.0  # the same where both are low: meters that speak on change say nothing for hours
    # where a bike is known
    usual_part: float = 0.6  # of its patience is enough for what the bike always does at its end
    usual_more: float = 1.5  # times its patience for a pause far from it
    usual_near: float = 0.15  # so near to usual is usual


# Least and most; beyond them a charge would be cut in its middle, or hardly ever.
BOUNDS: dict[str, tuple[float, float]] = {
    "low": (0.02, 0.15),
    "low_w": (2.0, 12.0),
    "low_most": (0.05, 0.2),
    "low_for_s": (300.0, 3600.0),
    "low_long_s": (600.0, 7200.0),
    "low_longest_s": (600.0, 7200.0),
    "idle_w": (0.0, 16.0),
    "left_share": (0.002, 0.04),
    "spent_share": (0.0, 0.02),
    "modest": (0.2, 0.45),
    "full_w": (4.0, 20.0),
    "full_most_w": (4.0, 24.0),
    "float_w": (8.0, 40.0),
    "soak_s": (600.0, 7200.0),
    "flat_bin_s": (60.0, 600.0),
    "flat_for_s": (300.0, 3600.0),
    "flat_w": (0.1, 6.0),
    "flat_change": (0.005, 0.06),
    "sure": (0.5, 4.0),
    "half_s": (600.0, 4500.0),
    "half_over_s": (300.0, 3600.0),
    "plateau": (0.7, 0.97),
    "half_near": (1.5, 20.0),
    "half_min_s": (120.0, 1200.0),
    "half_max_s": (1800.0, 10800.0),
    "still_s": (900.0, 7200.0),
    "stuck_runs": (3.0, 50.0),
    "stuck_s": (60.0, 1800.0),
    "stuck_jitter": (0.0, 0.1),
    "stuck_most_s": (300.0, 7200.0),
    "jump": (0.02, 0.2),
    "substantial": (0.45, 0.9),
    "pause_s": (300.0, 7200.0),
    "gone_w": (0.05, 3.0),
    "gone_for_s": (120.0, 3600.0),
    "no_power_w": (0.5, 6.0),
    "probe": (0, 1),
    "doubt_s": (60.0, 1800.0),
    "worked": (0.3, 0.8),
    "worked_s": (60.0, 1800.0),
    "unworked_s": (600.0, 7200.0),
    "level_s": (600.0, 7200.0),
    "level_rise": (0.0, 0.05),
    "level_w": (0.0, 10.0),
    "level_run_s": (60.0, 1800.0),
    "empty_for_s": (120.0, 3600.0),
    "peak_s": (10.0, 600.0),
    "burst_cost": (1.0, 10.0),
    "back_s": (20.0, 600.0),
    "hold_s": (60.0, 900.0),
    "calm_s": (300.0, 7200.0),
    "usual_part": (0.3, 1.0),
    "usual_more": (1.0, 3.0),
    "usual_near": (0.05, 0.4),
}

RULES = FinishRules()


def check(rules: FinishRules) -> None:
    """Refused("finish_rules") names the first setting that is out of its bounds, or against another."""
    for name, (least, most) in BOUNDS.items():
        if not least <= getattr(rules, name) <= most:
            raise Refused("finish_rules", f"{name} is {least:g} to {most:g}")
    for less, more in (("low_for_s", "low_long_s"), ("low_long_s", "low_longest_s"), ("gone_for_s", "pause_s")):
        if getattr(rules, less) > getattr(rules, more):
            raise Refused("finish_rules", f"{less} is at most {more}")


class Usual(msgspec.Struct, frozen=True, gc=False):
    """What is known of a bike's earlier charges; 0 where nothing is."""

    energy_wh: float = 0.0  # of a whole charge since it was plugged in
    peak_w: float = 0.0
    idle_w: float = 0.0  # when full


class Verdict(msgspec.Struct, frozen=True):
    """Why the charge has ended, and the figures that show it.

    `rule` names the question that was answered. In `doubt` it may be but a pause: whoever can asks the charger itself.
    """

    reason: StopReason
    evidence: dict[str, float]
    rule: str = ""
    doubt: bool = False
