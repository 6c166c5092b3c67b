"""What other people's programs have of us: tokens to call in with, hooks to be told by. Pure; each change is audited.

A hook's place in the feed stands in its slot of the outbox, so a restart goes on where its receiver had got to.
"""

from collections.abc import Iterable

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.house import House
from controller.core.state import Rules

HOOKS_MAX = 32  # each has a courier of its own


def slot_of(hook: str) -> str:
    return f"hook:{hook}"


def token(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    """A new token, or one that is revoked: `values` are its whole row."""
    _check_sites(house, event.values.get("sites"))
    return (fx.Put("api_token", {"made_by": event.by, "at": event.at, **event.values, "id": event.subject}),)


def hook(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    """A new or changed hook; with `gone` one that is no more."""
    slot = slot_of(event.subject)
    if event.values.get("gone"):
        version = house.outbox.get(slot, 0)
        cleared = fx.ClearAlarms(slot, event.at, event.by)
        return (fx.Drop("hook", event.subject), fx.WishDone(slot, version), cleared)
    _check_sites(house, event.values.get("sites"))
    row = fx.Put("hook", {"made_by": event.by, "at": event.at, **event.values, "id": event.subject})
    if slot in house.outbox:
        return (row,)
    if sum(1 for other in house.outbox if other.startswith(slot_of(""))) >= HOOKS_MAX:
        raise Refused("too_many", f"there are {HOOKS_MAX} hooks already")
    return (row, fx.Wish(slot, "hook", {}, event.at))


def _check_sites(house: House, sites: object) -> None:
    for site in sites if isinstance(sites, Iterable) else ():
        if site not in house.sites:
            raise Refused("unknown_site", f"there is no site {site}")


def reached(house: House, event: ev.HookReached) -> tuple[fx.Effect, ...]:
    """How far a receiver has got. An alarm stands while it fails; one that is no more is not written again."""
    slot = slot_of(event.hook)
    if slot not in house.outbox:
        return ()
    place = fx.Wish(slot, "hook", {"after": event.after, "failing_at": event.failing_at}, event.at)
    if not event.turned:
        return (place,)
    if event.failing_at is None:
        return (place, fx.ClearAlarms(slot, event.at, "gateway"))
    alarm = f"{slot}:{event.failing_at:.0f}"
    return (place, fx.RaiseAlarm(alarm, event.at, event.site, slot, "hook_failing", {"status": event.status}))


def carried(house: House, event: ev.ErrandDone | ev.HookReached) -> tuple[fx.Effect, ...]:
    """What an errand or a courier has to say."""
    if isinstance(event, ev.HookReached):
        return reached(house, event)
    return (fx.WishDone(event.slot, event.version, event.retry_at),)
