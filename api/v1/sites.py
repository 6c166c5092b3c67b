"""Sites, their price lists, and the switch that cuts a whole site."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from api.door import asked
from api.services import services_of
from api.v1.calls import CHANGES, READS, Anybody, Calling, Manager, Onsite, Owner, check_site, not_found
from api.v1.shapes import Cut, Done, NewSite, NewTariff, PastTariff, Site, SiteChange
from controller.core.errors import Refused
from controller.core.events import Change, SiteCutAsked

router = APIRouter(tags=["sites"])


@router.get("/sites", operation_id="listSites", summary="My sites", responses=READS, response_model=list[Site])
def list_sites(staffer: Anybody, request: Request) -> Any:
    return services_of(request).queries.sites(staffer.scope)


@router.get("/sites/{site}", operation_id="getSite", summary="One site", responses=READS, response_model=Site)
def get_site(site: str, staffer: Anybody, request: Request) -> Any:
    check_site(staffer, site)
    row = services_of(request).queries.site(site)
    if row is None:
        raise not_found()
    return row


@router.post("/sites", operation_id="addSite", summary="Add a site", status_code=201, responses=CHANGES)
async def add_site(body: NewSite, staffer: Owner, call: Calling) -> Done:
    values = body.model_dump()
    return Done(subject=await call.changed(staffer, Change.SITE, call.id_of("site"), values))


@router.put("/sites/{site}", operation_id="changeSite", summary="Name a site anew", responses=CHANGES)
async def change_site(site: str, body: SiteChange, staffer: Manager, call: Calling) -> Done:
    """The merchant stays: the books are kept under it."""
    check_site(staffer, site)
    row = await run_in_threadpool(call.services.queries.site, site)
    if row is None:
        raise not_found()
    values: dict[str, object] = {**body.model_dump(), "merchant": row.merchant_id}
    return Done(subject=await call.changed(staffer, Change.SITE, site, values))


@router.get(
    "/sites/{site}/tariffs",
    operation_id="listTariffs",
    summary="Every price list a site had",
    responses=READS,
    response_model=list[PastTariff],
)
def list_tariffs(site: str, staffer: Anybody, request: Request) -> Any:
    check_site(staffer, site)
    return services_of(request).queries.tariffs(site)


@router.post(
    "/sites/{site}/tariffs",
    operation_id="addTariff",
    summary="Set new prices",
    status_code=201,
    responses=CHANGES,
)
async def add_tariff(site: str, body: NewTariff, staffer: Manager, call: Calling) -> Done:
    """For orders placed from now on; running sessions keep theirs."""
    check_site(staffer, site)
    return Done(subject=await call.changed(staffer, Change.TARIFF, site, body.model_dump()))


@router.post("/sites/{site}/cut", operation_id="cutSite", summary="Switch a whole site off", responses=CHANGES)
async def cut_site(site: str, staffer: Onsite, call: Calling) -> Cut:
    """Every outlet gets its OFF at once; what was charging settles with the reason site_cut."""
    check_site(staffer, site)
    event = SiteCutAsked(at=call.at, steady_s=call.steady_s, key=call.key, site=site, by=staffer.by)
    answer = await asked(call.services, event)
    if "outlets" not in answer:
        raise Refused("unknown", "there is no such site")
    return Cut(outlets=answer["outlets"])
