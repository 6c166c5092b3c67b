"""What an alarm says: what happened, with its figures, and what ends it."""

from api.pages import why, words
from api.pages.console.desk import Desk
from api.pages.console.story import told


def said(desk: Desk, kind: str, evidence: dict[str, float], is_open: bool) -> str:
    """While it is open also what ends it; of a kind without a sentence its bare figures."""
    happened = sentence(desk.lang, kind, evidence) or told(desk, evidence)
    if not is_open or not words.knows(desk.lang, f"desk.alarm.ends.{kind}"):
        return happened
    return " ".join(filter(None, (happened, desk.t(f"alarm.ends.{kind}"))))


def sentence(lang: str, kind: str, evidence: dict[str, float]) -> str:
    """By the figure found last for which there is a sentence, else plainly; "" if there is none."""
    figures = why.said(lang, evidence)
    for key in (*(f"desk.alarm.said.{kind}.{name}" for name in reversed(evidence)), f"desk.alarm.said.{kind}"):
        if words.knows(lang, key) and why.figures_in(key) <= figures.keys():
            return words.t(lang, key, **figures)
    return ""
