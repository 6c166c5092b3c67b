"""Saving somebody of the staff: one login each, an owner always left. Old sessions end with the commit."""

import asyncio

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.door import asked
from api.services import services_of
from controller.core.errors import Refused
from controller.core.events import Change, StaffChange
from controller.core.tags import staff_tag
from controller.records import StaffRow


class Person(msgspec.Struct, frozen=True):
    id: str
    login: str
    name: str
    password_hash: str
    role: str
    sites: tuple[str, ...]
    disabled: bool = False


def tag_of(row: StaffRow) -> str:
    return staff_tag(msgspec.structs.asdict(row))


async def save_staff(
    request: Request, person: Person, key: str, by: str, *, wish: str = "", seen: tuple[str, ...] = ()
) -> str:
    """The id saved; Refused("conflict") for a login that is taken or the last owner, "changed" for an old sight."""
    services = services_of(request)
    lock: asyncio.Lock = request.app.state.staff_lock
    async with lock:  # two at once could both find the login free
        await run_in_threadpool(_check, request, person)
        now = services.clock.now()
        values: dict[str, object] = {**msgspec.structs.asdict(person), "sites": list(person.sites)}
        del values["id"]
        event = StaffChange(
            at=now.at,
            steady_s=now.steady_s,
            key=key,
            by=by,
            change=Change.STAFF,
            subject=person.id,
            values=values,
            wish=wish,
            seen=seen,
        )
        answer = await asked(services, event)
    return str(answer.get("subject", person.id))


def _check(request: Request, person: Person) -> None:
    queries = services_of(request).queries
    staff = queries.staff()
    if any(row.login == person.login and row.id != person.id for row in staff):
        raise Refused("conflict", f"the login {person.login} is taken")
    if not (_owns(person) or any(_owns(row) for row in staff if row.id != person.id)):
        raise Refused("conflict", "somebody has to stay the owner")
    unknown = set(person.sites) - {site.id for site in queries.sites()}
    if unknown:
        raise Refused("invalid", "one of these sites does not exist")


def _owns(person: StaffRow | Person) -> bool:
    return person.role == "owner" and not person.disabled
