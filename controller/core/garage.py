"""The house's bikes: what a session is told of its bike when it starts, and what stays of it when it ends. Pure.

A bike is named by a card, or by a rider's phone with a token that we know only hashed. A settled session names none:
charges of one bike can't be put side by side afterwards, and forgetting a bike leaves nothing of it but the money.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.bikes import Bike, Drift, Figures, Memory, aim, drifts, figures_of, is_strange, learned, usual_of
from controller.core.chargers import rules_of
from controller.core.errors import Refused
from controller.core.house import House
from controller.core.reasons import StopReason
from controller.core.state import Rules, Session


def fitted(house: House, session: Session, bike: str, stop_at: int = 100) -> Session:
    """A new session with its detector's settings, and with what is known of its bike (its id, or "")."""
    known = house.bikes.get(bike)
    memory = None if known is None else known.memory
    return replace(
        session,
        bike=bike if bike and (known is None or known.kept) else None,
        stop_at=stop_at,
        aim=aim(stop_at, memory) if stop_at < 100 else None,
        usual=None if memory is None else usual_of(memory),
        finish_rules=rules_of(house.finish.get(session.site), _charger_rules(house, session.site, known)),
    )


def _charger_rules(house: House, site: str, bike: Bike | None) -> dict[str, float] | None:
    charger = None if bike is None else house.chargers.get(bike.charger or "")
    return charger.rules if charger is not None and charger.state == "approved" and charger.site == site else None


# -- what stays ---------------------------------------------------------------------------------------------------


def kept(house: House, ended: Session, settled: Session) -> tuple[fx.Effect, ...]:
    """After a settlement: the bike's memory, and what was beyond its norm. `ended` is the session just before."""
    charge = _whole_charge(ended, settled)
    if ended.bike is None or charge is None:
        return ()
    known = house.bikes.get(ended.bike) or Bike(ended.bike, ended.site, ended.party, "", None, 0.0)
    if not known.kept:
        return ()
    after = replace(known, at=settled.settled_at or known.at, memory=learned(known.memory, charge))
    return (fx.SaveBike(after), *_told(settled, known.memory, charge))


def _whole_charge(ended: Session, settled: Session) -> Figures | None:
    """Only what ran to its end undisturbed: no probe, no doubt, no wish to stop before."""
    if settled.reason is not StopReason.FINISHED or ended.probes or ended.pause is not None:
        return None
    return None if ended.finish is None or ended.course is None else figures_of(ended.finish, ended.course)


def _told(settled: Session, memory: Memory, charge: Figures) -> Iterator[fx.Moment]:
    at = settled.settled_at or 0.0
    for drift in drifts(memory, charge):
        yield _beyond(settled, at, drift)
    if is_strange(memory, charge):
        yield _beyond(settled, at, Drift("peak_w", charge.peak_w, memory.peak_w.mean))


def _beyond(settled: Session, at: float, drift: Drift) -> fx.Moment:
    values = {drift.what: round(drift.now, 1), f"usual_{drift.what}": round(drift.usual, 1)}
    return fx.Moment(settled.id, at, f"bike_drift:{drift.what}", values)


# -- forgotten ----------------------------------------------------------------------------------------------------


def forgotten(house: House, event: ev.BikeForgotten) -> tuple[fx.Effect, ...]:
    """One bike by its id, or all of a party; charges under way go on without a name."""
    gone = {bike.id for bike in house.bikes.values() if bike.id == event.bike or bike.party == event.party}
    named = gone | ({event.bike} if event.bike else set())
    live = [s for s in house.sessions.values() if s.bike in named or (s.bike and s.party == event.party)]
    open_ones = [o for o in house.orders.values() if o.bike in named or (o.bike and o.party == event.party)]
    return (
        *(fx.Drop("bike", bike) for bike in sorted(gone)),
        *(fx.SaveSession(replace(session, bike=None, usual=None)) for session in live),
        *(fx.SaveOrder(replace(order, bike="")) for order in open_ones),
        *((fx.Audit(event.at, event.by, "bikes_forgotten", event.party, {}),) if event.party else ()),
    )


# -- by staff -----------------------------------------------------------------------------------------------------


def changed(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    """Which model of charger a bike has, and whether anything is remembered of it at all (`kept`)."""
    bike = house.bikes.get(event.subject) or _of_card(house, event)
    charger = event.values.get("charger", bike.charger)
    model = house.chargers.get(str(charger))
    if charger is not None and (model is None or model.state == "withdrawn"):
        raise Refused("unknown", f"there is no charger {charger}")
    keeps = bool(event.values.get("kept", bike.kept))
    memory = bike.memory if keeps else Memory()
    return (fx.SaveBike(replace(bike, charger=charger, kept=keeps, memory=memory)),)


def _of_card(house: House, event: ev.StaffChange) -> Bike:
    """A card is a bike unless told otherwise: told before its first charge, there is no row yet."""
    party = event.subject
    site = str(event.values.get("site", ""))
    if all(card.party != party for card in house.cards.values()) or site not in house.sites:
        raise Refused("unknown", "there is no such bike")
    return Bike(party, site, party, "", None, event.at)
