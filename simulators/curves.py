"""Made-up charges in every shape that chargers have, each with the truth about it: what detectors are measured on.

A shape is a small function of a random generator; a seed gives the same charge for ever, whatever other shapes there
are. Power is the wall's, of 48 to 72 V packs on chargers of 25 to 600 W, free of any meter's errors: what a gateway
gets to see of it is in `curves_seen`. Welded relays, lost links, clocks at 1970 and broken frames are no curves: they
are in the world.
"""

from collections.abc import Callable
from random import Random

from simulators import curves_cells, curves_lead, curves_lithium, curves_odd
from simulators.curves_parts import STEP_S, Charge, Kind, Part, Truth, truth, useful

__all__ = ["HIDDEN_SEEDS", "SHAPES", "STEP_S", "Charge", "Kind", "Part", "Truth", "charge", "truth", "useful"]

HIDDEN_SEEDS = range(900_000, 1_000_000)  # nobody tunes on these

SHAPES: dict[str, Callable[[Random], Charge]] = {
    "cc-cv": curves_lithium.cc_cv,
    "standby": curves_lithium.standby,
    "high idle": curves_lithium.high_idle,
    "high idle after a switch": curves_lithium.high_idle_after_a_switch,
    "small": curves_lithium.small,
    "fast": curves_lithium.fast,
    "snap-off": curves_lithium.snap_off,
    "snap-off with a rise": curves_lithium.snap_off_with_a_rise,
    "precharge": curves_lithium.precharge,
    "balancing": curves_lithium.balancing,
    "dual": curves_lithium.dual,
    "thermal pause": curves_lithium.thermal_pause,
    "brown-out": curves_lithium.brown_out,
    "throttled": curves_lithium.throttled,
    "soak": curves_lithium.soak,
    "very long tail": curves_lithium.very_long_tail,
    "short top-up": curves_lithium.short_top_up,
    "begun in its tail": curves_lithium.begun_in_its_tail,
    "as logged": curves_lithium.as_logged,
    "lithium cells": curves_cells.lithium_cells,
    "lead-acid": curves_lead.lead_acid,
    "lead-acid high float": curves_lead.lead_acid_high_float,
    "pulse maintenance": curves_lead.pulse_maintenance,
    "repair charger": curves_lead.repair_charger,
    "lead-acid cells": curves_cells.lead_acid_cells,
    "never turns": curves_lead.never_turns,
    "unplugged": curves_odd.unplugged,
    "unplugged in its tail": curves_odd.unplugged_in_its_tail,
    "swapped": curves_odd.swapped,
    "two chargers": curves_odd.two_chargers,
    "mains loss": curves_odd.mains_loss,
    "heater": curves_odd.heater,
    "nothing plugged": curves_odd.nothing_plugged,
    "full when plugged": curves_odd.full_when_plugged,
    "full with high idle": curves_odd.full_with_high_idle,
}


def charge(shape: str, seed: int) -> Charge:
    return SHAPES[shape](Random(f"{shape}/{seed}"))
