"""Settings of the detector that staff approve or withdraw: of a site, and of a model of charger. Pure; audited."""

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.chargers import Charger, checked
from controller.core.errors import Refused
from controller.core.house import House
from controller.core.state import Rules

CHARGERS_MAX = 500
STATES = ("suggested", "approved", "withdrawn")


def finish(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    """`rules` of a site, whole: what is not named has its default again. Charges under way keep what they have."""
    if event.subject not in house.sites:
        raise Refused("unknown_site", f"there is no site {event.subject}")
    return (fx.SaveFinish(event.subject, _rules(event) or None),)


def charger(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    """A new model (`site`, `name`, `rules`), suggested until somebody approves it; or another state of a known one."""
    known = house.chargers.get(event.subject)
    after = _new(house, event) if known is None else known
    state = str(event.values.get("state", after.state))
    if state not in STATES or (known is None and state != "suggested"):
        raise Refused("invalid", "a charger's settings are suggested, then approved or withdrawn")
    now = Charger(after.id, after.site, after.name, after.rules, state)
    shown = event.values.get("evidence")
    evidence: dict[str, object] | None = dict(shown) if isinstance(shown, dict) else None if known else {}
    return (fx.SaveCharger(now, event.at, event.by, evidence),)


def _new(house: House, event: ev.StaffChange) -> Charger:
    site, rules = str(event.values.get("site", "")), _rules(event)
    if site not in house.sites:
        raise Refused("unknown_site", f"there is no site {site}")
    if not rules:
        raise Refused("finish_rules", "name a setting")
    if len(house.chargers) >= CHARGERS_MAX:
        raise Refused("too_many", f"there are {CHARGERS_MAX} models already")
    return Charger(event.subject, site, str(event.values["name"]), rules, "suggested")


def _rules(event: ev.StaffChange) -> dict[str, float]:
    rules = event.values.get("rules")
    return checked(rules) if isinstance(rules, dict) else {}
