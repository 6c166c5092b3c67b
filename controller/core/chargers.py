"""Settings of the finish detector for one site or one model of charger: which may be set, and how far. Pure.

Nothing here applies by itself: a person approves. A session takes its rules at its start and keeps them.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from controller.core.errors import Refused
from controller.core.finish import RULES, FinishRules

# Least and most of each setting: beyond them a charge would be cut in its middle, or hardly ever.
SETTABLE: dict[str, tuple[float, float]] = {
    "low": (0.03, 0.15),  # above a sixth of the peak there is energy to come
    "low_w": (2.0, 12.0),  # idle draws are 1 to 16 W
    "low_for_s": (300.0, 1800.0),  # change-overs between two packs take minutes
    "low_long_s": (600.0, 3600.0),
    "flat_change": (0.005, 0.06),  # of the peak: so near its idle draw it is full
    "flat_w": (0.1, 6.0),
    "spent_share": (0.0, 0.02),  # of the charge; more would be missed
    "pause_s": (900.0, 5400.0),  # the longest rests of warm packs that anybody reports
    "gone_for_s": (300.0, 2700.0),
    "unworked_s": (900.0, 3600.0),
    "probe": (0.0, 1.0),  # 1: ask the charger by a short dark moment; 0: its relay is spared, doubts are waited out
}


class Charger(msgspec.Struct, frozen=True):
    """A model of charger. `state` is suggested, approved or withdrawn; only what is approved applies."""

    id: str
    site: str
    name: str
    rules: dict[str, float]
    state: str


def checked(rules: Mapping[str, object]) -> dict[str, float]:
    """What may be set, as numbers. Refused("finish_rules") names what may not."""
    clean: dict[str, float] = {}
    for name, value in rules.items():
        if name not in SETTABLE:
            raise Refused("finish_rules", f"the setting {name} can't be set")
        least, most = SETTABLE[name]
        if (
            not isinstance(value, int | float)
            or not least <= value <= most
            or (name == "probe" and value not in (0, 1))
        ):
            raise Refused("finish_rules", f"the setting {name} is {least:g} to {most:g}")
        clean[name] = float(value)
    return clean


def rules_of(*settings: Mapping[str, float] | None) -> FinishRules | None:
    """The rules with all that is set, the later over the earlier; None where nothing is: the defaults."""
    merged = {name: value for each in settings if each for name, value in each.items() if name in SETTABLE}
    known: dict[str, Any] = {name: bool(value) if name == "probe" else value for name, value in merged.items()}
    return replace(RULES, **known) if known else None


def setting_of(name: str, rules: FinishRules = RULES) -> float:
    return float(getattr(rules, name))
