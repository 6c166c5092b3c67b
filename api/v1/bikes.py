"""What is remembered of the bikes of somebody who pays, without their name; and forgetting it."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.door import asked
from api.services import services_of
from api.v1.calls import CHANGES, READS, Bookkeeper, Calling, Manager, check_site, not_found
from api.v1.garage_shapes import Bike, BikeEdit, Forgotten
from api.v1.scopes import BikeAt, MySites, PartyAt
from api.v1.shapes import Done, Rows
from api.v1.turns import Turning, linked
from controller.core.events import BikeForgotten, Change

router = APIRouter(tags=["bikes"])


@router.get("/parties/{party}/bikes", operation_id="listBikes", summary="What is known of their bikes", responses=READS)
def list_bikes(
    staffer: Bookkeeper,
    party: PartyAt,
    sites: MySites,
    turn: Turning,
    request: Request,
    response: Response,
    sort: Literal["-at", "at"] = "-at",
) -> Rows[Bike]:
    """A card is one bike; a phone names one if its owner wished so."""
    page = services_of(request).queries.lists.bikes(turn.by(sort), sites, party=party.id)
    return Rows[Bike].model_validate(linked(request, response, page))


@router.put("/bikes/{bike}", operation_id="changeBike", summary="Name a bike's charger", responses=CHANGES)
async def change_bike(staffer: Manager, bike: BikeAt, body: BikeEdit, call: Calling) -> Done:
    """With `kept` false what was remembered is forgotten, and nothing more is. A card's bike has its party's id."""
    if body.charger is not None:
        charger = await run_in_threadpool(call.services.queries.garage.charger, body.charger)
        if charger is None:
            raise not_found()
        check_site(staffer, charger.site_id)
    return Done(subject=await call.changed(staffer, Change.BIKE, bike.id, {**body.model_dump(), "site": bike.site}))


@router.delete(
    "/parties/{party}/bikes", operation_id="forgetBikes", summary="Forget all of somebody's bikes", responses=CHANGES
)
async def forget_bikes(staffer: Manager, party: PartyAt, call: Calling) -> Forgotten:
    """Charges and their money stay; no bike is named in them."""
    event = BikeForgotten(
        at=call.at, steady_s=call.steady_s, key=call.key, by=staffer.by, party=party.id, wish=call.wish
    )
    answer = await asked(call.services, event)
    return Forgotten(forgotten=int(answer.get("forgotten", 0)))
