"""Found devices, piles, outlets: adopting, proving, opening, locking, and the stickers that lead to them."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.auth import Staffer
from api.services import Services, services_of
from api.stickers import id_from, printed
from api.v1.calls import (
    CHANGES,
    EDITS,
    READS,
    Anybody,
    Call,
    Calling,
    Editing,
    Maintainer,
    Manager,
    Onsite,
    Text,
    not_found,
)
from api.v1.scopes import EVERYWHERE, Adopting, InScope, OutletAt, PileAt
from api.v1.shapes import (
    Adopted,
    Done,
    Found,
    InputsIn,
    Live,
    NewNumber,
    NewSticker,
    OldSticker,
    Outlet,
    OutletDetail,
    Pile,
    PileEdit,
    PowerLimit,
    Rows,
)
from api.v1.tagged import TAGGED, tag_on
from api.v1.turns import Turning, linked
from controller.core.errors import Refused
from controller.core.events import Change
from controller.core.tags import outlet_tag, pile_tag
from controller.records import OutletRow

router = APIRouter(tags=["outlets"])


@router.get(
    "/found", operation_id="listFound", summary="Devices nobody adopted", responses=READS, dependencies=[EVERYWHERE]
)
def list_found(
    staffer: Maintainer,
    turn: Turning,
    request: Request,
    response: Response,
    sort: Literal["-seen_at", "seen_at"] = "-seen_at",
) -> Rows[Found]:
    page = services_of(request).queries.lists.found(turn.by(sort))
    return Rows[Found].model_validate(linked(request, response, page))


# -- piles --------------------------------------------------------------------------------------------------------


@router.get("/piles", operation_id="listPiles", summary="Adopted devices", responses=READS)
def list_piles(
    staffer: Anybody,
    sites: InScope,
    turn: Turning,
    request: Request,
    response: Response,
    family: Text = "",
    sort: Literal["name", "-name"] = "name",
) -> Rows[Pile]:
    page = services_of(request).queries.lists.piles(turn.by(sort), sites, family=family)
    return Rows[Pile].model_validate(linked(request, response, page))


@router.get("/piles/{pile}", operation_id="getPile", summary="One device", responses=READS | TAGGED)
def get_pile(staffer: Anybody, pile: PileAt, response: Response) -> Pile:
    tag_on(response, pile_tag(pile.name, pile.power_w, pile.inputs))
    return Pile.model_validate(pile)


@router.patch("/piles/{pile}", operation_id="changePile", summary="Rename a device", responses=EDITS)
async def change_pile(staffer: Onsite, pile: PileAt, body: PileEdit, call: Editing) -> Done:
    return Done(subject=await call.changed(staffer, Change.PILE, pile.id, body.model_dump()))


@router.put("/piles/{pile}/power-limit", operation_id="limitPile", summary="Limit a device's power", responses=EDITS)
async def limit_pile(staffer: Manager, pile: PileAt, body: PowerLimit, call: Editing) -> Done:
    """Charges that would exceed it wait in a queue."""
    values: dict[str, object] = {"of": "pile", "power_w": body.power_w}
    return Done(subject=await call.changed(staffer, Change.POWER, pile.id, values))


@router.put(
    "/piles/{pile}/inputs", operation_id="setInputs", summary="Say what a device's inputs mean", responses=EDITS
)
async def set_inputs(staffer: Maintainer, pile: PileAt, body: InputsIn, call: Editing) -> Done:
    """An active one switches its scope off at once and keeps it off; one that is active already does so now."""
    return Done(subject=await call.changed(staffer, Change.INPUTS, pile.id, body.model_dump()))


@router.post("/piles", operation_id="adopt", summary="Adopt a found device", status_code=201, responses=CHANGES)
async def adopt(staffer: Maintainer, body: Adopting, call: Calling) -> Adopted:
    """Its outlets are adopted but dead: each is commissioned and opened after this. A board brings its meters along."""
    outlets = [call.id_of(channel) if number else "" for channel, number in enumerate(body.numbers)]
    values: dict[str, object] = {
        **body.model_dump(exclude={"found"}),
        "pile": call.id_of("pile"),
        "outlets": outlets,
        "stickers": [_new_sticker(call, outlet) if outlet else "" for outlet in outlets],
    }
    await call.changed(staffer, Change.ADOPT, body.found, values)
    return Adopted(pile=call.id_of("pile"), outlets=outlets)


# -- outlets ------------------------------------------------------------------------------------------------------


@router.get("/outlets", operation_id="listOutlets", summary="My outlets, live", responses=READS)
def list_outlets(
    staffer: Anybody,
    sites: InScope,
    turn: Turning,
    request: Request,
    response: Response,
    pile: Text = "",
    phase: Text = "",
    sort: Literal["number", "-number"] = "number",
) -> Rows[Outlet]:
    services = services_of(request)
    page = services.queries.lists.outlets(turn.by(sort), sites, pile=pile, phase=phase)
    linked(request, response, page)
    return Rows[Outlet](rows=[_live(services, row) for row in page.rows], next=page.next, total=page.total)


def _live(services: Services, row: OutletRow) -> Outlet:
    return Outlet.model_validate(row).model_copy(update={"live": _view(services, row.id)})


def _view(services: Services, outlet: str) -> Live | None:
    view = services.board.views.get(outlet)
    return None if view is None else Live.model_validate(view)


@router.get("/outlets/{outlet}", operation_id="getOutlet", summary="One outlet, live", responses=READS | TAGGED)
def get_outlet(staffer: Anybody, outlet: OutletAt, request: Request, response: Response) -> OutletDetail:
    services = services_of(request)
    row = services.queries.outlet(outlet)
    if row is None:
        raise not_found()
    tag_on(response, outlet_tag(row.number, row.phase, row.latch, row.locked_by))
    return OutletDetail.model_validate(row).model_copy(
        update={"live": _view(services, outlet), "faults": dict(services.faults(outlet))}
    )


async def _switched(call: Call, staffer: Staffer, change: Change, outlet: str, **values: object) -> Done:
    return Done(subject=await call.switched(staffer, change, outlet, values))


@router.post("/outlets/{outlet}/name", operation_id="nameOutlet", summary="Print another number", responses=EDITS)
async def name_outlet(staffer: Onsite, outlet: OutletAt, body: NewNumber, call: Editing) -> Done:
    return Done(subject=await call.changed(staffer, Change.NAME, outlet, body.model_dump()))


@router.post("/outlets/{outlet}/commission", operation_id="commission", summary="Prove an outlet", responses=EDITS)
async def commission(staffer: Maintainer, outlet: OutletAt, call: Editing) -> Done:
    """Starts the proof on the device itself; follow it in `live.proving_step`."""
    return await _switched(call, staffer, Change.COMMISSION, outlet)


@router.post("/outlets/{outlet}/open", operation_id="openOutlet", summary="Put into service", responses=EDITS)
async def open_outlet(staffer: Manager, outlet: OutletAt, call: Editing) -> Done:
    return await _switched(call, staffer, Change.OPEN, outlet)


@router.post("/outlets/{outlet}/close", operation_id="closeOutlet", summary="Take out of service", responses=EDITS)
async def close_outlet(staffer: Manager, outlet: OutletAt, call: Editing) -> Done:
    """Nothing new starts; a charge under way goes on."""
    return await _switched(call, staffer, Change.CLOSE, outlet)


@router.post("/outlets/{outlet}/lock", operation_id="lockOutlet", summary="Lock out for work", responses=CHANGES)
async def lock_outlet(staffer: Onsite, outlet: OutletAt, call: Calling) -> Done:
    """Switched off and kept off until whoever locked it, or an owner, unlocks it."""
    return await _switched(call, staffer, Change.LOCK, outlet)


@router.post("/outlets/{outlet}/unlock", operation_id="unlockOutlet", summary="End a lock-out", responses=EDITS)
async def unlock_outlet(staffer: Onsite, outlet: OutletAt, call: Editing) -> Done:
    owner = staffer.role == "owner" and staffer.kind == "staff"  # a program is nobody's hand at the outlet
    return await _switched(call, staffer, Change.UNLOCK, outlet, owner=owner)


@router.post("/outlets/{outlet}/clear-latch", operation_id="clearLatch", summary="A fault was mended", responses=EDITS)
async def clear_latch(staffer: Maintainer, outlet: OutletAt, call: Editing) -> Done:
    return await _switched(call, staffer, Change.CLEAR_LATCH, outlet)


@router.post(
    "/outlets/{outlet}/stickers",
    operation_id="replaceSticker",
    summary="Replace a sticker",
    status_code=201,
    responses=CHANGES,
)
async def replace_sticker(staffer: Onsite, outlet: OutletAt, body: OldSticker, call: Calling) -> NewSticker:
    """The old one leads nowhere from now on."""
    old = await run_in_threadpool(call.services.queries.sticker, body.old)
    if old is None or old.outlet_id != outlet:
        raise not_found()
    made = _new_sticker(call, outlet)
    if old.retired_at is not None and await run_in_threadpool(call.services.queries.sticker, made) is None:
        raise Refused("conflict", "that sticker leads nowhere already")
    values: dict[str, object] = {"outlet": outlet, "new_sticker": made}
    await call.changed(staffer, Change.RETIRE_STICKER, body.old, values)
    return NewSticker(sticker=made, path=f"/S/{printed(call.services.sticker_keys, made)}")


def _new_sticker(call: Call, outlet: str) -> str:
    """The same for a repeat, and for nobody to guess: the gateway's own secret is in it."""
    return id_from(call.services.sticker_keys, call.services.sign_key, f"{call.key}:{outlet}")
