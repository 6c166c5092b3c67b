"""Who wants to be told, and of what: decided with the move that is news, carried out when somebody has time. Pure.

The house knows that a party can be reached, never how: the address stands in `party_identity` alone, is looked up when
a notice leaves, and is forgotten once the last one has.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.due import waits_s
from controller.core.errors import Refused
from controller.core.house import House
from controller.core.state import Phase, Rules, Session, Why

KIND = "notify"
LINED_UP_S = 60.0  # a turn that came sooner is no news to somebody who still stands there
TURN_GOOD_S = 600.0
END_GOOD_S = 24 * 3600.0


class What(StrEnum):
    QUESTION = "question"  # another bike seems to be on the outlet
    EMPTY = "empty"
    MAINS = "mains"
    TURN = "turn"
    SHARED = "shared"  # another charger seems to be on the same lead
    ENDED = "ended"


HELD = {Why.PLUG: What.QUESTION, Why.EMPTY: What.EMPTY, Why.MAINS: What.MAINS}


# -- where to ---------------------------------------------------------------------------------------------------------


def left(house: House, event: ev.AddressLeft) -> tuple[fx.Effect, ...]:
    """Only while there is something to tell; a second address replaces the first."""
    live = house.sessions.get(event.outlet)
    if live is None or live.party != event.party:
        raise Refused("already_settled", "nothing more will be told of this charge")
    return (fx.Put("party_identity", {"party_id": event.party, "kind": "email", "value": event.address}),)


def forgotten(house: House, event: ev.AddressForgotten) -> tuple[fx.Effect, ...]:
    return (fx.Drop("party_identity", event.party),) if event.party in house.reachable else ()


HANDLERS: dict[type[ev.Event], Callable[[House, Any], tuple[fx.Effect, ...]]] = {
    ev.AddressLeft: left,
    ev.AddressForgotten: forgotten,
}


# -- what is told -------------------------------------------------------------------------------------------------


def due(house: House, before: Session, after: Session, rules: Rules, at: float) -> tuple[fx.Wish, ...]:
    """What this move is news of, for whoever left an address; mostly nothing."""
    if after.party not in house.reachable:
        return ()
    found = _news(before, after, rules)
    if found is None:
        return ()
    what, good_s = found
    # One slot a kind: of two questions the second replaces the first, should that still wait.
    slot = f"{KIND}:{after.id}:{what}"
    return (fx.Wish(slot, KIND, _payload(house, after, what), at, expires_at=at + good_s),)


def _news(before: Session, after: Session, rules: Rules) -> tuple[What, float] | None:
    if after.phase is Phase.SETTLED and before.phase is not Phase.SETTLED:
        return What.ENDED, END_GOOD_S
    if _two(after) and not _two(before):
        return What.SHARED, TURN_GOOD_S
    pause = after.pause
    if after.phase is Phase.SUSPENDED and pause is not None and pause.why in HELD:
        same = before.phase is Phase.SUSPENDED and before.pause is not None and before.pause.why is pause.why
        return None if same else (HELD[pause.why], waits_s(pause.why, rules))
    if before.phase is Phase.QUEUED and after.phase is Phase.OPENING and pause is None:
        waited_s = (after.on_s or after.since_s) - before.since_s
        return (What.TURN, TURN_GOOD_S) if waited_s >= LINED_UP_S else None
    return None


def _two(session: Session) -> bool:
    return session.danger is not None and session.danger.two


def _payload(house: House, session: Session, what: What) -> dict[str, object]:
    """All that the words need, and nothing of who it is."""
    site, order = house.sites[session.site], house.ended.get(session.order or "")
    told: dict[str, object] = {
        "party": session.party,
        "what": str(what),
        "lang": "zh" if order is None else order.lang,
        "session": session.id,
        "order": session.order,
        "site": site.name,
        "zone": site.zone,
        "outlet": house.outlets[session.outlet].number,
        "hold_fen": session.hold_fen,
    }
    return told | (_end(session) if what is What.ENDED else _hold(session))


def _end(session: Session) -> dict[str, Any]:
    return {
        "reason": None if session.reason is None else str(session.reason),
        "rule": session.rule,
        "evidence": session.evidence,
        "energy_wh": session.meter.used_wh,
        "bill_fen": 0 if session.bill is None else session.bill.total_fen,
        "back_fen": session.returned_fen,
    }


def _hold(session: Session) -> dict[str, Any]:
    pause = session.pause
    if pause is None:
        return {}
    return {"evidence": pause.evidence, "energy_wh": pause.meter.used_wh}
