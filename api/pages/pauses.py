"""What a page says of a charge in doubt: what happened, how long that may last, and what it costs meanwhile."""

import msgspec

from api.pages import why, words
from controller.core.state import Rules
from controller.views import Paused, View

QUESTION = "plug"


def questioned(view: View) -> bool:
    """Whose bike it is must be said by somebody."""
    return view.pause is not None and view.pause.why == QUESTION and view.session_phase == "suspended"


def mark_of(view: View | None) -> str:
    """Changes whenever another doubt is told of."""
    return "" if view is None or view.pause is None else f"/{view.pause.why}"


def patience_s(why: str, rules: Rules) -> float:
    """After so long it is settled by itself, on what was used before the doubt."""
    return {
        "plug": rules.plug_answer_s,
        "empty": rules.removal_window_s,
        "mains": rules.resume_max_s,
        "probe": rules.probe_wait_s,
    }.get(why, rules.silent_s)


def left(lang: str, view: View, rules: Rules, at: float) -> str:
    """Until it settles by itself, or is looked at again."""
    why, since_at = ("away", at) if view.pause is None else (view.pause.why, view.pause.at)
    return words.span(lang, patience_s(why, rules) - (at - since_at))


def held(lang: str, pause: Paused, zone: str) -> str:
    """Since when nothing is billed, and what had been used by then."""
    since, used = words.clock_time(pause.at, zone), words.kwh(pause.used_wh)
    return words.t(lang, "pause.held", since=since, kwh=used, cost=words.yuan(pause.cost_fen))


def saw(lang: str, pause: Paused) -> str:
    """What made us ask, in figures; "" where they are not there."""
    if not {"before_w", "now_w", "away_s"} <= pause.evidence.keys():
        return ""
    return words.t(lang, "plug.saw", **why.said(lang, pause.evidence))


class Doubt(msgspec.Struct, frozen=True):
    """What a page says of it."""

    why: str
    held: str
    saw: str


def doubt_of(lang: str, view: View | None, zone: str) -> Doubt | None:
    if view is None or view.pause is None:
        return None
    return Doubt(view.pause.why, held(lang, view.pause, zone), saw(lang, view.pause))
