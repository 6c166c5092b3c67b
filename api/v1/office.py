"""Staff, alarms and the audit log."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.auth import hashed_password, logins_of, person
from api.people import Person, save_staff, tag_of
from api.services import services_of
from api.v1.calls import CHANGES, EDITS, READS, Anybody, Auditor, Calling, Editing, Owner, Text
from api.v1.scopes import EVERYWHERE, AlarmAt, InScope, StaffAt
from api.v1.shapes import Alarm, Audit, Done, NewStaff, Rows, Staff, StaffEdit
from api.v1.tagged import TAGGED, tag_on
from api.v1.turns import Time, Turning, linked

router = APIRouter(tags=["office"])
ByTime = Literal["-at", "at"]


@router.get(
    "/staff",
    operation_id="listStaff",
    summary="Everybody who may log in",
    responses=READS,
    dependencies=[EVERYWHERE],
)
def list_staff(
    staffer: Owner,
    turn: Turning,
    request: Request,
    response: Response,
    sort: Literal["login", "-login"] = "login",
) -> Rows[Staff]:
    page = services_of(request).queries.lists.staff(turn.by(sort))
    return Rows[Staff].model_validate(linked(request, response, page))


@router.get("/staff/{staff}", operation_id="getStaff", summary="Somebody of the staff", responses=READS | TAGGED)
def get_staff(staffer: Owner, staff: StaffAt, response: Response) -> Staff:
    tag_on(response, tag_of(staff))
    return Staff.model_validate(staff)


@router.post(
    "/staff",
    operation_id="addStaff",
    summary="Let somebody in",
    status_code=201,
    responses=CHANGES,
    dependencies=[EVERYWHERE],
)
async def add_staff(staffer: Owner, body: NewStaff, call: Calling, request: Request) -> Done:
    person(staffer)
    password_hash = await run_in_threadpool(hashed_password, body.password)
    them = Person(call.id_of("staff"), body.login, body.name, password_hash, body.role, tuple(body.sites))
    return Done(subject=await save_staff(request, them, call.key, staffer.by, wish=call.wish))


@router.patch("/staff/{staff}", operation_id="changeStaff", summary="Change or disable", responses=EDITS)
async def change_staff(staffer: Owner, staff: StaffAt, body: StaffEdit, call: Editing, request: Request) -> Done:
    """Their sessions end at once."""
    person(staffer)
    password_hash = staff.password_hash
    if body.password is not None:
        password_hash = await run_in_threadpool(hashed_password, body.password)
    them = Person(
        id=staff.id,
        login=staff.login,
        name=staff.name if body.name is None else body.name,
        password_hash=password_hash,
        role=staff.role if body.role is None else body.role,
        sites=tuple(staff.sites if body.sites is None else body.sites),
        disabled=staff.disabled if body.disabled is None else body.disabled,
    )
    seen = call.seen or (tag_of(staff),)
    return Done(subject=await save_staff(request, them, call.key, staffer.by, wish=call.wish, seen=seen))


@router.delete(
    "/staff/{staff}/sessions", operation_id="logStaffOut", summary="End somebody's sessions", responses=READS
)
async def log_staff_out(staffer: Owner, staff: StaffAt, request: Request) -> Done:
    logins_of(request).drop(staff.id)
    return Done(subject=staff.id)


# -- alarms and audit ---------------------------------------------------------------------------------------------


@router.get("/alarms", operation_id="listAlarms", summary="Alarms, newest first", responses=READS)
def list_alarms(
    staffer: Anybody,
    sites: InScope,
    turn: Turning,
    raised: Time,
    request: Request,
    response: Response,
    outlet: Text = "",
    open_only: bool = True,
    sort: ByTime = "-at",
) -> Rows[Alarm]:
    """An alarm is cleared by what mends it: see clearLatch."""
    page = services_of(request).queries.lists.alarms(
        turn.by(sort), sites, outlet=outlet, open_only=open_only, raised=raised
    )
    return Rows[Alarm].model_validate(linked(request, response, page))


@router.get("/alarms/{alarm}", operation_id="getAlarm", summary="One alarm", responses=READS)
def get_alarm(staffer: Anybody, alarm: AlarmAt) -> Alarm:
    return Alarm.model_validate(alarm)


@router.get("/audit", operation_id="listAudit", summary="Who changed what", responses=READS)
def list_audit(
    staffer: Auditor,
    sites: InScope,
    turn: Turning,
    at: Time,
    request: Request,
    response: Response,
    subject: Text = "",
    by: Text = "",
    sort: ByTime = "-at",
) -> Rows[Audit]:
    """Whoever is not an owner sees what was done to their sites, piles and outlets."""
    page = services_of(request).queries.lists.audit(turn.by(sort), sites, subject=subject, by=by, at=at)
    return Rows[Audit].model_validate(linked(request, response, page))
