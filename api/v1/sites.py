"""Sites and their merchants, price lists and quotes, and the switch that cuts a whole site."""

from math import inf
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from api.auth import person
from api.door import asked
from api.services import services_of
from api.v1.calls import CHANGES, EDITS, READS, Anybody, Calling, Editing, Maintainer, Manager, Onsite, Owner, Text
from api.v1.money_shapes import Quote
from api.v1.scopes import EVERYWHERE, MerchantAt, MySites, SiteAt, SiteIdAt, TariffAt
from api.v1.shapes import (
    Cut,
    Done,
    Merchant,
    MerchantIn,
    NewSite,
    NewTariff,
    PastTariff,
    PowerLimit,
    Rows,
    Site,
    SiteChange,
)
from api.v1.tagged import TAGGED, tag_on
from api.v1.turns import Moment, Turning, linked
from controller.core.errors import Refused
from controller.core.events import Change, SiteCutAsked
from controller.core.quote import quoted
from controller.core.tags import merchant_tag, site_tag

router = APIRouter(tags=["sites"])
ByName = Literal["name", "-name"]


@router.get("/merchants", operation_id="listMerchants", summary="Whose money it is", responses=READS)
def list_merchants(
    staffer: Anybody, sites: MySites, turn: Turning, request: Request, response: Response, sort: ByName = "name"
) -> Rows[Merchant]:
    page = services_of(request).queries.lists.merchants(turn.by(sort), sites)
    return Rows[Merchant].model_validate(linked(request, response, page))


@router.get("/merchants/{merchant}", operation_id="getMerchant", summary="One merchant", responses=READS | TAGGED)
def get_merchant(staffer: Anybody, merchant: MerchantAt, response: Response) -> Merchant:
    tag_on(response, merchant_tag(merchant.name))
    return Merchant.model_validate(merchant)


@router.post(
    "/merchants",
    operation_id="addMerchant",
    summary="Add a merchant",
    status_code=201,
    responses=CHANGES,
    dependencies=[EVERYWHERE],
)
async def add_merchant(staffer: Owner, body: MerchantIn, call: Calling) -> Done:
    return Done(subject=await call.changed(staffer, Change.MERCHANT, call.id_of("merchant"), body.model_dump()))


@router.patch("/merchants/{merchant}", operation_id="changeMerchant", summary="Rename a merchant", responses=EDITS)
async def change_merchant(staffer: Owner, merchant: MerchantAt, body: MerchantIn, call: Editing) -> Done:
    return Done(subject=await call.changed(staffer, Change.MERCHANT, merchant.id, body.model_dump()))


# -- sites --------------------------------------------------------------------------------------------------------


@router.get("/sites", operation_id="listSites", summary="My sites", responses=READS)
def list_sites(
    staffer: Anybody,
    sites: MySites,
    turn: Turning,
    request: Request,
    response: Response,
    merchant: Text = "",
    sort: ByName = "name",
) -> Rows[Site]:
    page = services_of(request).queries.lists.sites(turn.by(sort), sites, merchant=merchant)
    return Rows[Site].model_validate(linked(request, response, page))


@router.get("/sites/{site}", operation_id="getSite", summary="One site", responses=READS | TAGGED)
def get_site(staffer: Anybody, site: SiteAt, response: Response) -> Site:
    tag_on(response, site_tag(site.name, site.zone, site.tariff.id, site.power_w))
    return Site.model_validate(site)


@router.post(
    "/sites",
    operation_id="addSite",
    summary="Add a site",
    status_code=201,
    responses=CHANGES,
    dependencies=[EVERYWHERE],
)
async def add_site(staffer: Owner, body: NewSite, call: Calling) -> Done:
    """`merchant_name` is for a merchant that is not known yet."""
    return Done(subject=await call.changed(staffer, Change.SITE, call.id_of("site"), body.model_dump()))


@router.patch("/sites/{site}", operation_id="changeSite", summary="Name a site anew", responses=EDITS)
async def change_site(staffer: Manager, site: SiteAt, body: SiteChange, call: Editing) -> Done:
    """The merchant stays: the books are kept under it."""
    return Done(subject=await call.changed(staffer, Change.SITE, site.id, body.model_dump(exclude_none=True)))


@router.put("/sites/{site}/power-limit", operation_id="limitSite", summary="Limit a site's power", responses=EDITS)
async def limit_site(staffer: Manager, site: SiteAt, body: PowerLimit, call: Editing) -> Done:
    """Charges that would exceed it wait in a queue."""
    values: dict[str, object] = {"of": "site", "power_w": body.power_w}
    return Done(subject=await call.changed(staffer, Change.POWER, site.id, values))


@router.post(
    "/sites/{site}/cut",
    operation_id="cutSite",
    summary="Switch a whole site off",
    responses={**CHANGES, 202: {"model": Cut, "description": "Off already; the record follows."}},
)
async def cut_site(staffer: Onsite, site: SiteIdAt, call: Calling, response: Response) -> Cut:
    """Every outlet gets its OFF at once, and nothing starts there until somebody releases the site."""
    event = SiteCutAsked(at=call.at, steady_s=call.steady_s, key=call.key, site=site, by=staffer.by)
    answer = await asked(call.services, event)
    if "outlets" not in answer:
        raise Refused("unknown", "there is no such site")
    pending = bool(answer.get("pending"))
    response.status_code = 202 if pending else 200
    return Cut(outlets=answer["outlets"], pending=pending)


@router.post("/sites/{site}/release", operation_id="releaseSite", summary="End an emergency cut", responses=CHANGES)
async def release_site(staffer: Maintainer, site: SiteIdAt, call: Calling) -> Done:
    """For a person who has looked. Refused while an input there shows danger."""
    person(staffer)
    return Done(subject=await call.switched(staffer, Change.RELEASE_SITE, site, {}))


# -- prices -------------------------------------------------------------------------------------------------------


@router.get("/sites/{site}/tariffs", operation_id="listTariffs", summary="Every price list", responses=READS)
def list_tariffs(
    staffer: Anybody,
    site: SiteAt,
    turn: Turning,
    request: Request,
    response: Response,
    sort: Literal["-at", "at"] = "-at",
) -> Rows[PastTariff]:
    """Those that the site had, and the one it has: see `tariff` of the site."""
    page = services_of(request).queries.lists.tariffs(turn.by(sort), site.id)
    return Rows[PastTariff].model_validate(linked(request, response, page))


@router.get(
    "/sites/{site}/tariffs/{tariff}", operation_id="getTariff", summary="One price list of a site", responses=READS
)
def get_tariff(staffer: Anybody, site: SiteAt, tariff: TariffAt) -> PastTariff:
    return PastTariff.model_validate(tariff)


@router.post(
    "/sites/{site}/tariffs", operation_id="addTariff", summary="Set new prices", status_code=201, responses=EDITS
)
async def add_tariff(staffer: Manager, site: SiteAt, body: NewTariff, call: Editing) -> Done:
    """For orders placed from now on; running sessions keep theirs. If-Match takes the ETag of the site."""
    return Done(subject=await call.changed(staffer, Change.TARIFF, site.id, body.model_dump()))


@router.get("/sites/{site}/quote", operation_id="getQuote", summary="What would this charge cost?", responses=READS)
def get_quote(
    staffer: Anybody,
    site: SiteAt,
    request: Request,
    power_w: Annotated[float, Query(ge=1, le=10_000, description="Drawn all the time.", examples=[168.0])],
    minutes: Annotated[float, Query(gt=0, le=600, description="At most; a charge ends after them.")] = 480.0,
    energy_wh: Annotated[float | None, Query(gt=0, le=100_000, description="At most, if given.")] = None,
    start_at: Moment = None,
) -> Quote:
    """By the meter and the bill of a real charge, the site's hours and changes of clocks included; now if no start."""
    at = services_of(request).clock.now().at if start_at is None else start_at
    found = quoted(site.tariff, at, power_w, minutes * 60, inf if energy_wh is None else energy_wh)
    bill: dict[str, Any] = {"total_fen": found.bill.total_fen, "lines": list(found.bill.lines)}
    place = {"site": site.id, "tariff": site.tariff.id}
    return Quote.model_validate({**place, "start_at": at, "end_at": found.end_at, "energy_wh": found.energy_wh, **bill})
