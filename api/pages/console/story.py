"""A session told to people: its moments as a time line, the detector's evidence in figures, the money's trail."""

from typing import Any, Final

from api.pages.console.desk import Desk
from api.pages.console.states import tone_of_end
from controller.records import SessionDetail, TransferRow

TONES: Final = {
    "charging": "green",
    "suspended": "amber",
    "paused": "amber",
    "queued": "blue",
    "paid": "blue",
    "card_tapped": "blue",
    "on_confirmed": "blue",
}
UNITS: Final = (("_wh", "energy"), ("_w", "power"), ("_fen", "yuan"), ("_s", "span"))
PLAIN: Final = (("_c", "°C"), ("_v", "V"))
FLAGS: Final = ("power_up_off", "sees_power_when_off", "own_counter", "inputs_detached")  # measured as 1 or 0
SHOWN_MOST: Final = 12


def figure(desk: Desk, name: str, value: object) -> str:
    """A figure with its unit; the unit is the last word of its name."""
    if isinstance(value, bool) or name in FLAGS:
        return desk.t("yes" if value else "no")
    if not isinstance(value, int | float):
        return desk.failed(str(value)) if name == "why" else str(value)[:80]
    for end, way in UNITS:
        if name.endswith(end):
            return str(getattr(desk, way)(value))
    if "percent" in name:
        return f"{value:.1f} %"
    unit = next((sign for end, sign in PLAIN if name.endswith(end)), "")
    return f"{value:g} {unit}".strip()


def evidence_of(desk: Desk, evidence: dict[str, Any], most: int = SHOWN_MOST) -> list[tuple[str, str]]:
    items = list(evidence.items())[:most]
    return [(desk.or_plain(f"figure.{name}", name), figure(desk, name, value)) for name, value in items]


def told(desk: Desk, evidence: dict[str, Any]) -> str:
    return " · ".join(f"{name} {value}" for name, value in evidence_of(desk, evidence))


def why(desk: Desk, reason: str, evidence: dict[str, Any]) -> str:
    """Who only waited in vain is no failure of an outlet."""
    return desk.t("stop.no_room") if "queued_s" in evidence else desk.reason(reason)


def moments_of(desk: Desk, s: SessionDetail) -> list[dict[str, str]]:
    return [
        {
            "time": desk.time(moment.at, s.zone),
            "text": _text(desk, moment.what, s.stopped_by, moment.evidence),
            "more": "" if moment.evidence == s.evidence else told(desk, moment.evidence),  # shown under the curve
            "tone": _tone(moment.what),
        }
        for moment in s.moments
    ]


def _text(desk: Desk, what: str, by: str | None, evidence: dict[str, Any]) -> str:
    word, _, rest = what.partition(":")
    if word == "stop":
        who = person(desk, by) if by is not None and by.startswith("staff:") else ""
        return desk.t("moment.stop", why=why(desk, rest, evidence)) + (f" ({who})" if who else "")
    if word == "suspended" and rest:
        return desk.t("moment.held", why=desk.or_plain(f"doubt.{rest}", rest))
    if word == "plug_answered":
        return desk.or_plain(f"moment.plug_answered.{rest}", what)
    if word == "off_proven":
        return desk.t("moment.off_proven", how=desk.or_plain(f"proof.{rest}", rest))
    return desk.or_plain(f"moment.{word}", what)


def _tone(what: str) -> str:
    word, _, rest = what.partition(":")
    if word == "stop":
        return tone_of_end(rest)[0]
    if word == "off_proven":
        return "red" if rest == "none" else "grey"
    return TONES.get(word, "grey")


def person(desk: Desk, by: str) -> str:
    """Who did it, by name where it was one of the staff."""
    kind, _, who = by.partition(":")
    if kind != "staff":
        return desk.or_plain(f"by.{kind}", kind)
    row = desk.services.queries.staff_one(who)
    return row.name if row is not None else desk.t("by.unknown")


def transfers_of(desk: Desk, s: SessionDetail) -> list[dict[str, str]]:
    return [_transfer(desk, row, s) for row in s.transfers]


def _transfer(desk: Desk, row: TransferRow, s: SessionDetail) -> dict[str, str]:
    return {
        "what": desk.or_plain(f"entry.{row.kind}", row.kind),
        "from_": account(desk, row.debit),
        "to": account(desk, row.credit),
        "when": desk.when(row.at, s.zone),
        "by": "" if row.by in ("", "gateway") else person(desk, row.by),
        "amount": desk.yuan(row.amount_fen),
    }


def account(desk: Desk, code: str) -> str:
    """An account in words: `revenue:energy:m1` is what was earned with electricity."""
    parts = code.split(":")
    if parts[0] == "revenue":
        return desk.t(f"account.revenue.{parts[1]}")
    return desk.or_plain(f"account.{parts[0]}", parts[0])
