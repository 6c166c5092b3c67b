"""What every beginning of a charge shares, paid by order or by card: may it start here, and with what. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.dead import check_not_dead
from controller.core.errors import Refused
from controller.core.house import House
from controller.core.reasons import StopReason
from controller.core.state import OutletPhase, Phase, Rules, Session, Site
from controller.core.tariff import Meter, band_ending_at, credit_wh


class Context(msgspec.Struct, frozen=True):
    """`not_selling` names why nothing new may start (clock_untrusted, database_away), or is None.

    `found` is what the database knows of the event's key: `order`, `entry` (body hash), `refund`.
    """

    rules: Rules
    not_selling: str | None
    found: Mapping[str, Any]


class Outcome(msgspec.Struct, frozen=True):
    effects: tuple[fx.Effect, ...]
    answer: dict[str, Any]


Handler = Callable[[House, Any, Context], Outcome]


def check_can_start(house: House, outlet_id: str, ctx: Context) -> Site:
    """Refuses by the first reason why this outlet can't start a session now."""
    if ctx.not_selling is not None:
        raise Refused(ctx.not_selling, "nothing new is started now")
    at = house.outlet(outlet_id)
    check_not_dead(house, outlet_id)
    if at.phase is not OutletPhase.OPEN:
        raise Refused("not_open", f"outlet {at.number} is not open")
    if outlet_id in house.sessions:
        raise Refused("busy", f"outlet {at.number} is in use")
    if not house.seen[outlet_id].linked:
        raise Refused("link_down", f"outlet {at.number} can't be reached")
    if house.seen[outlet_id].alarmed:
        raise Refused("latched", f"outlet {at.number} shows power while it should be off")
    return house.sites[at.site]


def new_session(
    house: House, session_id: str, outlet_id: str, party: str, hold_fen: int, max_s: float, event: ev.Event
) -> Session:
    at, seen = house.outlet(outlet_id), house.seen[outlet_id]
    site = house.sites[at.site]
    band = band_ending_at(site.tariff, event.at).name
    return Session(
        id=session_id,
        outlet=outlet_id,
        site=site.id,
        merchant=site.merchant,
        party=party,
        order=None,
        card=None,
        tariff=site.tariff,
        hold_fen=hold_fen,
        max_s=max_s,
        max_wh=credit_wh(site.tariff, hold_fen),
        max_reason=StopReason.CREDIT_USED,
        power_w=at.power_w,
        lease_s=at.lease_s,
        phase=Phase.QUEUED,
        opened_at=event.at,
        opened_s=event.steady_s,
        since_s=event.steady_s,
        queued_s=event.steady_s,
        meter=Meter(counter_wh=seen.counter_wh, band=band),
        saved_at=event.at,
        saved_s=event.steady_s,
    )
