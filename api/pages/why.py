"""Why a charge ended, in one sentence with the figures that matter; how full it probably was; what to do next."""

import string
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from api.pages import words
from controller.core.fullness import Fullness, fullness
from controller.core.reasons import StopReason
from controller.records import SessionDetail

# Where it may be dangerous to touch the outlet nobody is told to pull the plug, however well off is proven.
HANDS_OFF = frozenset(
    {StopReason.SMOKE, StopReason.FLOOD, StopReason.LEAKAGE, StopReason.RELAY_FAULT, StopReason.SITE_CUT}
)


def sentence(lang: str, reason: str, rule: str, evidence: dict[str, Any]) -> str:
    """As exact as the evidence allows: by the rule that cut, else by a figure that is there, else plainly."""
    key = key_of(reason, rule, evidence)
    return words.t(lang, key, **said(lang, evidence))


def advice(lang: str, reason: str, rule: str, evidence: dict[str, Any]) -> str:
    """What to do next; "" where the sentence says so itself, or there is nothing to do."""
    if key_of(reason, rule, evidence) == f"stop.{reason}" or not words.knows(lang, f"next.{reason}"):
        return ""
    return words.t(lang, f"next.{reason}")


def key_of(reason: str, rule: str, evidence: dict[str, Any]) -> str:
    """The most telling sentence whose figures are all there: what was found last comes last in the evidence.

    A probe, say, comes after the rule that asked for it.
    """
    for name in (*list(evidence)[-1:], rule, *reversed(evidence)):
        key = f"why.{reason}.{name}"
        if words.knows("en", key) and figures_in(key) <= evidence.keys():
            return key
    return f"stop.{reason}"


@cache
def figures_in(key: str) -> frozenset[str]:
    parsed = string.Formatter().parse(words.catalogue("en")[key])
    return frozenset(name for _, name, _, _ in parsed if name)


# -- figures as people say them -----------------------------------------------------------------------------------


def said(lang: str, evidence: Mapping[str, Any]) -> dict[str, str]:
    """Each figure with its unit, which is the last word of its name."""
    return {name: _said(lang, name, value) for name, value in evidence.items() if isinstance(value, int | float)}


def _said(lang: str, name: str, value: float) -> str:
    if "percent" in name:
        return f"{value:.0f} %" if value >= 1 or value == 0 else f"{value:.1f} %"
    say = _UNITS.get(name.rpartition("_")[2])
    return f"{value:g}" if say is None else say(lang, value)


_UNITS: dict[str, Callable[[str, float], str]] = {
    "s": words.span,
    "w": lambda lang, value: f"{words.watts(value).removesuffix('.0')} W",
    "wh": lambda lang, value: f"{words.kwh(value)} {words.t(lang, 'unit.kwh')}",
    "fen": lambda lang, value: words.yuan(round(value)),
    "c": lambda lang, value: f"{value:.0f} °C",
    "v": lambda lang, value: f"{value:.0f} V",
    "ma": lambda lang, value: f"{value:.0f} mA",
}


# -- how full -----------------------------------------------------------------------------------------------------


def how_full(session: SessionDetail) -> Fullness | None:
    """Of a charge whose power is off; from its curve up to the cut."""
    if session.off_at is None or session.started_at is None or session.reason is None:
        return None
    until_s = session.off_at - session.started_at
    return fullness([point for point in session.curve if point[0] <= until_s], StopReason(session.reason))


def percents(full: Fullness) -> str:
    return f"{full.least}–{full.most} %" if full.least < full.most else f"{full.least} %"
