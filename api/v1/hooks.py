"""Hooks: where other people's programs are told, in order and signed."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from msgspec.structs import asdict

from api.auth import person
from api.links import Wish, check_hook, hook_values, renewed_secret, save_hook, seen_hooks, sees_hook, try_hook
from api.services import Services, services_of
from api.v1.calls import CHANGES, READS, Calling, IdPath, Manager, check_site, not_found
from api.v1.link_shapes import Hook, HookEdit, HookMade, HookTried, NewHook
from api.v1.scopes import marked
from api.v1.shapes import Done
from controller.links import HookRow

router = APIRouter(tags=["programs"])


@marked("site")
def my_hooks(staffer: Manager, request: Request) -> list[HookRow]:
    return seen_hooks(services_of(request), staffer)


@marked("site")
def hook_at(hook: IdPath, staffer: Manager, request: Request) -> HookRow:
    row = services_of(request).queries.links.hook(hook)
    if row is None or not sees_hook(staffer, row):
        raise not_found()
    return row


@marked("site")
def hooking(staffer: Manager, body: NewHook) -> NewHook:
    for site in body.sites:
        check_site(staffer, site)
    return body


HookAt = Annotated[HookRow, Depends(hook_at)]


def shown(services: Services, row: HookRow) -> Hook:
    standing = services.standing(row.id)
    return Hook(**asdict(row), tried_at=standing.tried_at, status=standing.status, why=standing.why)


@router.get("/hooks", operation_id="listHooks", summary="Who is told", responses=READS)
def list_hooks(staffer: Manager, rows: Annotated[list[HookRow], Depends(my_hooks)], request: Request) -> list[Hook]:
    return [shown(services_of(request), row) for row in rows]


@router.get("/hooks/{hook}", operation_id="getHook", summary="One hook", responses=READS)
def get_hook(staffer: Manager, hook: HookAt, request: Request) -> Hook:
    return shown(services_of(request), hook)


@router.post("/hooks", operation_id="addHook", summary="Tell another program", status_code=201, responses=CHANGES)
async def add_hook(
    staffer: Manager, body: Annotated[NewHook, Depends(hooking)], call: Calling, request: Request
) -> HookMade:
    """Events from now on, at least once and in order. A manager names the sites; without, an owner is told of all."""
    check_hook(call.services, staffer, body.url, body.sites)
    values: dict[str, Any] = {**body.model_dump(), "disabled": False, "made_by": staffer.by, "at": call.at}
    hook = await save_hook(Wish(request, staffer, call.key, call.wish), call.id_of("hook"), values)
    row = HookRow(id=hook, **values)
    return HookMade(subject=hook, secret=call.services.postman.secret(row))


@router.patch("/hooks/{hook}", operation_id="changeHook", summary="Change or pause", responses=CHANGES)
async def change_hook(staffer: Manager, hook: HookAt, body: HookEdit, call: Calling, request: Request) -> Done:
    """It goes on from where its receiver had got to."""
    changes = body.model_dump(exclude_none=True)
    values = hook_values(hook, **changes)
    check_hook(call.services, staffer, str(values["url"]), list(changes.get("sites", hook.sites)))
    return Done(subject=await save_hook(Wish(request, staffer, call.key, call.wish), hook.id, values))


@router.delete("/hooks/{hook}", operation_id="dropHook", summary="Tell it no more", responses=CHANGES)
async def drop_hook(staffer: Manager, hook: HookAt, call: Calling, request: Request) -> Done:
    return Done(subject=await save_hook(Wish(request, staffer, call.key, call.wish), hook.id, {"gone": True}))


@router.get("/hooks/{hook}/secret", operation_id="getHookSecret", summary="What signs its letters", responses=READS)
def get_secret(staffer: Manager, hook: HookAt, request: Request) -> HookMade:
    person(staffer)
    return HookMade(subject=hook.id, secret=services_of(request).postman.secret(hook))


@router.post("/hooks/{hook}/secret", operation_id="renewHookSecret", summary="A new secret", responses=CHANGES)
async def renew_secret(staffer: Manager, hook: HookAt, call: Calling, request: Request) -> HookMade:
    """The old one fits no more; until the receiver has the new one its letters wait and come again."""
    secret = await renewed_secret(Wish(request, staffer, call.key, call.wish), hook)
    return HookMade(subject=hook.id, secret=secret)


@router.post(
    "/hooks/{hook}/test",
    operation_id="tryHook",
    summary="Send a test event",
    responses=CHANGES,
)
async def test_hook(staffer: Manager, hook: HookAt, call: Calling, request: Request) -> HookTried:
    """An event of kind `test`, once and now; whatever comes of it changes nothing."""
    sent = await try_hook(request, hook)
    return HookTried(taken=sent.taken, status=sent.status, why=sent.why)
