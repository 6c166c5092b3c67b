"""Staff, alarms and the audit log."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from api.auth import hashed_password, logins_of
from api.people import Person, save_staff
from api.services import services_of
from api.v1.calls import CHANGES, READS, Anybody, Auditor, Calling, Limit, Offset, Owner, not_found
from api.v1.shapes import Alarm, Audit, Done, Listed, NewStaff, Staff, StaffEdit

router = APIRouter(tags=["office"])


@router.get("/staff", operation_id="listStaff", summary="Everybody who may log in", responses=READS)
def list_staff(staffer: Owner, request: Request) -> list[Staff]:
    return [Staff.model_validate(row) for row in services_of(request).queries.staff()]


@router.post("/staff", operation_id="addStaff", summary="Let somebody in", status_code=201, responses=CHANGES)
async def add_staff(body: NewStaff, staffer: Owner, call: Calling, request: Request) -> Done:
    password_hash = await run_in_threadpool(hashed_password, body.password)
    person = Person(call.id_of("staff"), body.login, body.name, password_hash, body.role, tuple(body.sites))
    return Done(subject=await save_staff(request, person, call.key, staffer.by))


@router.patch("/staff/{staff}", operation_id="changeStaff", summary="Change or disable", responses=CHANGES)
async def change_staff(staff: str, body: StaffEdit, staffer: Owner, call: Calling, request: Request) -> Done:
    """Their sessions end at once."""
    row = await run_in_threadpool(call.services.queries.staff_one, staff)
    if row is None:
        raise not_found()
    password_hash = row.password_hash
    if body.password is not None:
        password_hash = await run_in_threadpool(hashed_password, body.password)
    person = Person(
        id=row.id,
        login=row.login,
        name=row.name if body.name is None else body.name,
        password_hash=password_hash,
        role=row.role if body.role is None else body.role,
        sites=tuple(row.sites if body.sites is None else body.sites),
        disabled=row.disabled if body.disabled is None else body.disabled,
    )
    return Done(subject=await save_staff(request, person, call.key, staffer.by))


@router.delete(
    "/staff/{staff}/sessions", operation_id="logStaffOut", summary="End somebody's sessions", responses=CHANGES
)
async def log_staff_out(staff: str, staffer: Owner, request: Request) -> Done:
    if await run_in_threadpool(services_of(request).queries.staff_one, staff) is None:
        raise not_found()
    logins_of(request).drop(staff)
    return Done(subject=staff)


@router.get("/alarms", operation_id="listAlarms", summary="Alarms", responses=READS, response_model=Listed[Alarm])
def list_alarms(
    staffer: Anybody, request: Request, open_only: bool = True, limit: Limit = 50, offset: Offset = 0
) -> Any:
    return services_of(request).queries.alarms(staffer.scope, open_only=open_only, limit=limit, offset=offset)


@router.get(
    "/audit", operation_id="listAudit", summary="Who changed what", responses=READS, response_model=Listed[Audit]
)
def list_audit(staffer: Auditor, request: Request, limit: Limit = 50, offset: Offset = 0) -> Any:
    return services_of(request).queries.audit(staffer.scope, limit=limit, offset=offset)
