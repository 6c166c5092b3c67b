"""Found devices, piles, outlets: adopting, proving, opening, locking, and the stickers that lead to them."""

from collections.abc import Iterable

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from api.auth import Staffer
from api.services import Services, services_of
from api.stickers import new_id, printed
from api.v1.calls import (
    CHANGES,
    READS,
    Anybody,
    Call,
    Calling,
    Maintainer,
    Manager,
    Onsite,
    Text,
    check_outlet,
    check_site,
    not_found,
)
from api.v1.shapes import (
    Adopt,
    Adopted,
    Done,
    Found,
    Live,
    NewNumber,
    NewSticker,
    OldSticker,
    Outlet,
    OutletDetail,
    Pile,
)
from controller.core.events import Change
from controller.records import OutletRow

router = APIRouter(tags=["outlets"])


@router.get("/found", operation_id="listFound", summary="Devices nobody adopted", responses=READS)
def list_found(staffer: Maintainer, request: Request) -> list[Found]:
    return [Found.model_validate(row) for row in services_of(request).queries.found()]


@router.get("/piles", operation_id="listPiles", summary="Adopted devices", responses=READS)
def list_piles(staffer: Anybody, request: Request) -> list[Pile]:
    return [Pile.model_validate(row) for row in services_of(request).queries.piles(staffer.scope)]


@router.post("/piles", operation_id="adopt", summary="Adopt a found device", status_code=201, responses=CHANGES)
async def adopt(body: Adopt, staffer: Maintainer, call: Calling) -> Adopted:
    """Its outlets are adopted but dead: each is commissioned and opened after this."""
    check_site(staffer, body.site)
    outlets = [call.id_of(channel) for channel in range(len(body.numbers))]
    values: dict[str, object] = {
        **body.model_dump(exclude={"found"}),
        "pile": call.id_of("pile"),
        "outlets": outlets,
        "stickers": [new_id(call.services.sticker_keys) for _ in outlets],
    }
    await call.changed(staffer, Change.ADOPT, body.found, values)
    return Adopted(pile=call.id_of("pile"), outlets=outlets)


# -- outlets ------------------------------------------------------------------------------------------------------


@router.get("/outlets", operation_id="listOutlets", summary="My outlets, live", responses=READS)
def list_outlets(staffer: Anybody, request: Request, site: Text = "", pile: Text = "") -> list[Outlet]:
    services = services_of(request)
    rows = services.queries.outlets(staffer.scope)
    wanted = (row for row in rows if site in ("", row.site_id) and pile in ("", row.pile_id))
    return list(_live(services, wanted))


def _live(services: Services, rows: Iterable[OutletRow]) -> Iterable[Outlet]:
    for row in rows:
        yield Outlet.model_validate(row).model_copy(update={"live": _view(services, row.id)})


def _view(services: Services, outlet: str) -> Live | None:
    view = services.board.views.get(outlet)
    return None if view is None else Live.model_validate(view)


@router.get("/outlets/{outlet}", operation_id="getOutlet", summary="One outlet, live", responses=READS)
def get_outlet(outlet: str, staffer: Anybody, request: Request) -> OutletDetail:
    services = services_of(request)
    row = services.queries.outlet(outlet)
    if row is None or not staffer.sees(row.site_id):
        raise not_found()
    return OutletDetail.model_validate(row).model_copy(update={"live": _view(services, outlet)})


async def _changed(call: Call, staffer: Staffer, change: Change, outlet: str, **values: object) -> Done:
    await check_outlet(call.services, staffer, outlet)
    return Done(subject=await call.changed(staffer, change, outlet, values))


@router.post("/outlets/{outlet}/name", operation_id="nameOutlet", summary="Print another number", responses=CHANGES)
async def name_outlet(outlet: str, body: NewNumber, staffer: Onsite, call: Calling) -> Done:
    return await _changed(call, staffer, Change.NAME, outlet, number=body.number)


@router.post("/outlets/{outlet}/commission", operation_id="commission", summary="Prove an outlet", responses=CHANGES)
async def commission(outlet: str, staffer: Maintainer, call: Calling) -> Done:
    """Starts the proof on the device itself; follow it in `live.proving_step`."""
    return await _changed(call, staffer, Change.COMMISSION, outlet)


@router.post("/outlets/{outlet}/open", operation_id="openOutlet", summary="Put into service", responses=CHANGES)
async def open_outlet(outlet: str, staffer: Manager, call: Calling) -> Done:
    return await _changed(call, staffer, Change.OPEN, outlet)


@router.post("/outlets/{outlet}/close", operation_id="closeOutlet", summary="Take out of service", responses=CHANGES)
async def close_outlet(outlet: str, staffer: Manager, call: Calling) -> Done:
    """Nothing new starts; a charge under way goes on."""
    return await _changed(call, staffer, Change.CLOSE, outlet)


@router.post("/outlets/{outlet}/lock", operation_id="lockOutlet", summary="Lock out for work", responses=CHANGES)
async def lock_outlet(outlet: str, staffer: Onsite, call: Calling) -> Done:
    """Switched off and kept off until whoever locked it, or an owner, unlocks it."""
    return await _changed(call, staffer, Change.LOCK, outlet)


@router.post("/outlets/{outlet}/unlock", operation_id="unlockOutlet", summary="End a lock-out", responses=CHANGES)
async def unlock_outlet(outlet: str, staffer: Onsite, call: Calling) -> Done:
    return await _changed(call, staffer, Change.UNLOCK, outlet, owner=staffer.role == "owner")


@router.post(
    "/outlets/{outlet}/clear-latch", operation_id="clearLatch", summary="A fault was mended", responses=CHANGES
)
async def clear_latch(outlet: str, staffer: Maintainer, call: Calling) -> Done:
    return await _changed(call, staffer, Change.CLEAR_LATCH, outlet)


@router.post(
    "/outlets/{outlet}/stickers",
    operation_id="replaceSticker",
    summary="Replace a sticker",
    status_code=201,
    responses=CHANGES,
)
async def replace_sticker(outlet: str, body: OldSticker, staffer: Onsite, call: Calling) -> NewSticker:
    """The old one leads nowhere from now on."""
    await check_outlet(call.services, staffer, outlet)
    old = await run_in_threadpool(call.services.queries.sticker, body.old)
    if old is None or old.outlet_id != outlet:
        raise not_found()
    made = new_id(call.services.sticker_keys)
    values: dict[str, object] = {"outlet": outlet, "new_sticker": made}
    await call.changed(staffer, Change.RETIRE_STICKER, body.old, values)
    return NewSticker(sticker=made, path=f"/S/{printed(call.services.sticker_keys, made)}")
