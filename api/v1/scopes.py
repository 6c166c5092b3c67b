"""Whose things a route may touch: each dependency here finds one thing of a site, or refuses it as if it were missing.

The mark on a dependency (`site`, `global`, `own`) is what the OpenAPI page says under `x-scope`: who enforces, tells.
What reads no rows is async: it takes no thread, so a stop never stands behind readers that wait for a database.
"""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from api.auth import NotLoggedIn, Staffer, current
from api.services import services_of
from api.v1.calls import IdPath, Text, check_site, not_found, site_of_outlet
from api.v1.device_shapes import Adopt
from api.v1.garage_shapes import NewCharger
from controller import records as r
from controller.garage import ChargerRow
from controller.joins import Sites
from controller.paging import Turn

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def marked(scope: str) -> Callable[[F], F]:
    def mark(dependency: F) -> F:
        dependency.scope = scope  # type: ignore[attr-defined]
        return dependency

    return mark


async def _staffer(request: Request) -> Staffer:
    staffer = current(request)
    if staffer is None:
        raise NotLoggedIn
    return staffer


Known = Annotated[Staffer, Depends(_staffer)]


@marked("global")
async def everywhere() -> None:
    """What belongs to no site."""


@marked("own")
async def oneself() -> None:
    """What is of nobody else."""


EVERYWHERE, ONESELF = Depends(everywhere), Depends(oneself)


@marked("site")
async def in_scope(staffer: Known, site: Text = "") -> Sites:
    """The sites a list shows: the one asked for, or all that the caller may see."""
    if site:
        check_site(staffer, site)
        return (site,)
    return staffer.scope


@marked("site")
async def my_sites(staffer: Known) -> Sites:
    return staffer.scope


InScope = Annotated[Sites, Depends(in_scope)]
MySites = Annotated[Sites, Depends(my_sites)]


# -- one thing of a site ------------------------------------------------------------------------------------------


@marked("site")
def site_at(site: IdPath, staffer: Known, request: Request) -> r.SiteRow:
    check_site(staffer, site)
    return _here(services_of(request).queries.site(site), staffer, lambda row: row.id)


@marked("site")
def tariff_at(tariff: IdPath, site: Annotated[r.SiteRow, Depends(site_at)], request: Request) -> r.TariffRow:
    """Of this site, whether it still holds or not."""
    row = services_of(request).queries.tariff(tariff)
    return _there(row if row is not None and row.site_id == site.id else None)


@marked("site")
async def site_id_at(site: IdPath, staffer: Known) -> str:
    """Without looking: a cut does not wait for a database."""
    check_site(staffer, site)
    return site


@marked("site")
def merchant_at(merchant: IdPath, sites: MySites, request: Request) -> r.MerchantRow:
    queries = services_of(request).queries
    mine = sites is None or any(site.merchant_id == merchant for site in queries.sites(sites))
    return _there(queries.merchant(merchant) if mine else None)


@marked("site")
def pile_at(pile: IdPath, staffer: Known, request: Request) -> r.PileRow:
    return _here(services_of(request).queries.pile(pile), staffer, lambda row: row.site_id)


@marked("site")
async def adopting(body: Adopt, staffer: Known) -> Adopt:
    check_site(staffer, body.site)
    return body


@marked("site")
async def outlet_at(outlet: IdPath, staffer: Known, request: Request) -> str:
    """From memory first, so that what makes it dead works without a database."""
    check_site(staffer, await site_of_outlet(services_of(request), outlet))
    return outlet


@marked("site")
def session_at(session: IdPath, staffer: Known, request: Request) -> r.SessionRow:
    return _here(services_of(request).queries.session_row(session), staffer, lambda row: row.site_id)


@marked("site")
async def stoppable(session: IdPath, staffer: Known, request: Request) -> str:
    """From memory first, as an outlet."""
    services = services_of(request)
    view = services.board.by_session(session)
    if view is not None:
        check_site(staffer, view.site)
        return session
    row = await run_in_threadpool(services.queries.session_row, session)
    return _here(row, staffer, lambda row: row.site_id).id


@marked("site")
def order_at(order: IdPath, staffer: Known, request: Request) -> r.OrderRow:
    return _here(services_of(request).queries.order(order), staffer, lambda row: row.site_id)


@marked("site")
def payment_at(payment: IdPath, staffer: Known, request: Request) -> r.OrderRow:
    """An order that money came for."""
    row = _here(services_of(request).queries.order(payment), staffer, lambda row: row.site_id)
    if row.txn is None:
        raise not_found()
    return row


@marked("site")
def refund_at(refund: IdPath, staffer: Known, request: Request) -> r.RefundRow:
    return _here(services_of(request).queries.refund(refund), staffer, lambda row: row.site_id)


@marked("site")
def alarm_at(alarm: IdPath, staffer: Known, request: Request) -> r.AlarmRow:
    return _here(services_of(request).queries.alarm(alarm), staffer, lambda row: row.site_id)


@marked("global")
def card_at(card: IdPath, request: Request) -> r.CardRow:
    """A card is good at every site."""
    return _there(services_of(request).queries.card(card))


@marked("global")
def staff_at(staff: IdPath, request: Request) -> r.StaffRow:
    return _there(services_of(request).queries.staff_one(staff))


@marked("site")
def party_at(party: IdPath, sites: MySites, request: Request) -> r.PartyRow:
    return _there(services_of(request).queries.party(party, sites))


@marked("site")
def charger_at(charger: IdPath, staffer: Known, request: Request) -> ChargerRow:
    return _here(services_of(request).queries.garage.charger(charger), staffer, lambda row: row.site_id)


@marked("site")
async def naming_charger(body: NewCharger, staffer: Known) -> NewCharger:
    check_site(staffer, body.site)
    return body


class BikeId(NamedTuple):
    id: str
    site: str


@marked("site")
def bike_at(bike: IdPath, staffer: Known, sites: MySites, request: Request) -> BikeId:
    """A row; or the party of a card, before its first charge: a card is good at every site."""
    queries = services_of(request).queries
    row = queries.garage.bike(bike)
    if row is not None:
        check_site(staffer, row.site_id)
        return BikeId(bike, row.site_id)
    here = queries.sites(sites) if queries.lists.cards(Turn(limit=1), party=bike).rows else []
    return BikeId(bike, _there(next(iter(here), None)).id)


def _here(row: T | None, staffer: Staffer, site_of: Callable[[T], str]) -> T:
    there = _there(row)
    check_site(staffer, site_of(there))
    return there


def _there(row: T | None) -> T:
    if row is None:
        raise not_found()
    return row


SiteAt = Annotated[r.SiteRow, Depends(site_at)]
TariffAt = Annotated[r.TariffRow, Depends(tariff_at)]
SiteIdAt = Annotated[str, Depends(site_id_at)]
MerchantAt = Annotated[r.MerchantRow, Depends(merchant_at)]
PileAt = Annotated[r.PileRow, Depends(pile_at)]
Adopting = Annotated[Adopt, Depends(adopting)]
OutletAt = Annotated[str, Depends(outlet_at)]
SessionAt = Annotated[r.SessionRow, Depends(session_at)]
Stoppable = Annotated[str, Depends(stoppable)]
OrderAt = Annotated[r.OrderRow, Depends(order_at)]
PaymentAt = Annotated[r.OrderRow, Depends(payment_at)]
RefundAt = Annotated[r.RefundRow, Depends(refund_at)]
AlarmAt = Annotated[r.AlarmRow, Depends(alarm_at)]
CardAt = Annotated[r.CardRow, Depends(card_at)]
StaffAt = Annotated[r.StaffRow, Depends(staff_at)]
PartyAt = Annotated[r.PartyRow, Depends(party_at)]
ChargerAt = Annotated[ChargerRow, Depends(charger_at)]
NamingCharger = Annotated[NewCharger, Depends(naming_charger)]
BikeAt = Annotated[BikeId, Depends(bike_at)]
