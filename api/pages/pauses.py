"""What a page says of a charge in doubt: what happened, how long that may last, and what it costs meanwhile."""

import msgspec

from api.pages import why, words
from controller.core.due import waits_s
from controller.core.state import Rules, Why
from controller.views import Paused, View


def questioned(view: View) -> bool:
    """Whose bike it is must be said by somebody."""
    return view.pause is not None and view.pause.why == Why.PLUG and view.session_phase == "suspended"


def mark_of(view: View | None) -> str:
    """Changes whenever another doubt is told of."""
    return "" if view is None or view.pause is None else f"/{view.pause.why}"


def left(lang: str, view: View, rules: Rules, at: float) -> str:
    """Until it settles by itself, or is looked at again; by the server's own count."""
    pause = view.pause
    if pause is None:
        return words.span(lang, waits_s(Why.AWAY, rules))
    counts_at = pause.at if pause.counts_at is None else pause.counts_at
    return words.span(lang, waits_s(Why(pause.why), rules) - (at - counts_at))


def held(lang: str, pause: Paused, zone: str) -> str:
    """Since when nothing is billed, and what had been used by then."""
    since, used = words.clock_time(pause.at, zone), words.kwh(pause.used_wh)
    return words.t(lang, "pause.held", since=since, kwh=used, cost=words.yuan(pause.cost_fen))


def saw(lang: str, pause: Paused) -> str:
    """What made us ask, in figures; "" where they are not there."""
    if not {"before_w", "now_w", "away_s"} <= pause.evidence.keys():
        return ""
    return words.t(lang, "plug.saw", **why.said(lang, pause.evidence))


SAME_S = 5.0  # of one doubt, by two looks at the clock; the next one comes later


def named(pause: Paused) -> str:
    """Goes with the form, so that an answer is to the question that was read."""
    return f"{pause.why}:{pause.at:.0f}"


def is_asked(pause: Paused, name: str) -> bool:
    """Whether a form of this name was about this doubt, and not about one before."""
    why, _, at = name.partition(":")
    return why == pause.why and at.isascii() and at.isdigit() and abs(float(at[:12]) - pause.at) < SAME_S


class Doubt(msgspec.Struct, frozen=True):
    """What a page says of it."""

    name: str
    why: str
    held: str
    saw: str


def doubt_of(lang: str, view: View | None, zone: str) -> Doubt | None:
    if view is None or view.pause is None:
        return None
    return Doubt(named(view.pause), view.pause.why, held(lang, view.pause, zone), saw(lang, view.pause))
