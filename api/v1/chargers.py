"""Settings of the finish detector: of a site and of models of chargers; suggested by history, approved by a person."""

from typing import Literal

from fastapi import APIRouter, Request, Response

from api.auth import Staffer
from api.services import services_of
from api.trials import suggestion_of, trial_of
from api.v1.calls import CHANGES, READS, Anybody, Call, Calling, Manager, Onsite
from api.v1.garage_shapes import Charger, Finish, Finishing, Suggested, Suggestion, Trial, Trying
from api.v1.scopes import ChargerAt, InScope, NamingCharger, SiteAt
from api.v1.shapes import Done, Rows
from api.v1.turns import Turning, linked
from controller.core.chargers import SETTABLE, checked, setting_of
from controller.core.events import Change

router = APIRouter(tags=["finish"])


@router.get("/sites/{site}/finish", operation_id="getFinish", summary="When a charge counts as full", responses=READS)
def get_finish(staffer: Anybody, site: SiteAt, request: Request) -> Finish:
    limits = [
        {"name": name, "least": least, "most": most, "default": setting_of(name)}
        for name, (least, most) in SETTABLE.items()
    ]
    return Finish.model_validate({"rules": services_of(request).queries.garage.finish(site.id), "settable": limits})


@router.put("/sites/{site}/finish", operation_id="setFinish", summary="Approve settings", responses=CHANGES)
async def set_finish(staffer: Manager, site: SiteAt, body: Finishing, call: Calling) -> Done:
    """For charges that begin from now on. Empty `rules` withdraw all: the defaults hold again."""
    values: dict[str, object] = {"rules": dict(checked(body.rules)), "evidence": body.evidence}
    return Done(subject=await call.changed(staffer, Change.FINISH, site.id, values))


@router.get(
    "/sites/{site}/finish/suggestion",
    operation_id="suggestFinish",
    summary="Would other settings have served better?",
    responses=READS,
)
def suggest_finish(staffer: Onsite, site: SiteAt, request: Request) -> Suggested:
    """Replays the site's last charges; takes seconds. Nothing applies until somebody approves it."""
    past, found = suggestion_of(request, site.id)
    return Suggested(suggestion=None if found is None else Suggestion.model_validate(found), charges=len(past))


@router.post(
    "/sites/{site}/finish/trial", operation_id="tryFinish", summary="Try settings on past charges", responses=CHANGES
)
def try_finish(staffer: Onsite, site: SiteAt, body: Trying, call: Calling, request: Request) -> Trial:
    """Changes nothing. Curves are kept as one point in half a minute, so times are right to about that."""
    return Trial.model_validate(trial_of(request, site.id, checked(body.rules)))


# -- models of chargers -------------------------------------------------------------------------------------------


@router.get("/chargers", operation_id="listChargers", summary="Models of chargers", responses=READS)
def list_chargers(
    staffer: Anybody,
    sites: InScope,
    turn: Turning,
    request: Request,
    response: Response,
    sort: Literal["-at", "at"] = "-at",
) -> Rows[Charger]:
    page = services_of(request).queries.lists.chargers(turn.by(sort), sites)
    return Rows[Charger].model_validate(linked(request, response, page))


@router.get("/chargers/{charger}", operation_id="getCharger", summary="One model", responses=READS)
def get_charger(staffer: Anybody, charger: ChargerAt) -> Charger:
    return Charger.model_validate(charger)


@router.post(
    "/chargers", operation_id="addCharger", summary="Suggest settings for a model", status_code=201, responses=CHANGES
)
async def add_charger(staffer: Onsite, body: NamingCharger, call: Calling) -> Done:
    """They apply to nothing until they are approved."""
    values = {**body.model_dump(), "rules": dict(checked(body.rules))}
    return Done(subject=await call.changed(staffer, Change.CHARGER, call.id_of("charger"), values))


@router.post("/chargers/{charger}/approve", operation_id="approveCharger", summary="Let them apply", responses=CHANGES)
async def approve_charger(staffer: Manager, charger: ChargerAt, call: Calling) -> Done:
    """To charges of bikes with this charger that begin from now on."""
    return await _stated(staffer, charger.id, call, "approved")


@router.post(
    "/chargers/{charger}/withdraw", operation_id="withdrawCharger", summary="Let them apply no more", responses=CHANGES
)
async def withdraw_charger(staffer: Manager, charger: ChargerAt, call: Calling) -> Done:
    return await _stated(staffer, charger.id, call, "withdrawn")


async def _stated(staffer: Staffer, charger: str, call: Call, state: str) -> Done:
    return Done(subject=await call.changed(staffer, Change.CHARGER, charger, {"state": state}))
