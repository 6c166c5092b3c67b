"""What the routes share: who calls, a changing call's key and moment, and the refusals they promise."""

import hashlib
import secrets
from collections import OrderedDict
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Header, Query, Request
from starlette.concurrency import run_in_threadpool

from api.auth import Staffer, current, require
from api.door import asked
from api.problems import Problem
from api.services import Services, hashed, services_of
from controller.core.errors import Refused
from controller.core.events import Change, StaffChange

USED_KEYS_MAX = 20_000  # the answers' memory of the engine is as long
Anybody = Annotated[Staffer, Depends(require("manager", "finance", "maintainer", "auditor"))]
Manager = Annotated[Staffer, Depends(require("manager"))]
Finance = Annotated[Staffer, Depends(require("finance"))]
Maintainer = Annotated[Staffer, Depends(require("maintainer"))]
Onsite = Annotated[Staffer, Depends(require("manager", "maintainer"))]
Bookkeeper = Annotated[Staffer, Depends(require("manager", "finance", "auditor"))]
Auditor = Annotated[Staffer, Depends(require("auditor"))]
Owner = Annotated[Staffer, Depends(require())]

Limit = Annotated[int, Query(ge=1, le=200)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
Text = Annotated[str, Query(max_length=128)]

_SAID = {
    400: "Not understood.",
    401: "Nobody is logged in.",
    403: "Another role is needed, or the request did not come from a page of ours.",
    404: "There is no such thing, or not for you.",
    409: "It can't be done now; `code` says why.",
    422: "Something in the request is not right.",
    429: "Too many wrong tries.",
    503: "No answer yet: ask again with the same key.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=`: each status with what it means here."""
    return {status: {"model": Problem, "description": _SAID[status]} for status in (401, 403, *statuses)}


READS = problems(404, 422, 503)
CHANGES = problems(404, 409, 422, 503)


class Call(msgspec.Struct, frozen=True):
    """One changing request: its key makes a repeat get the first answer, and gives new things their ids."""

    services: Services
    key: str
    at: float
    steady_s: float

    def change(self, staffer: Staffer, change: Change, subject: str, values: dict[str, object]) -> StaffChange:
        return StaffChange(
            at=self.at,
            steady_s=self.steady_s,
            key=self.key,
            by=staffer.by,
            change=change,
            subject=subject,
            values=values,
        )

    async def changed(self, staffer: Staffer, change: Change, subject: str, values: dict[str, object]) -> str:
        """The subject, as the engine answered: that of the first call if this one repeats it."""
        answer = await asked(self.services, self.change(staffer, change, subject, values))
        return str(answer.get("subject", subject))

    def id_of(self, part: object) -> str:
        """An id that a repeat of this call makes again."""
        return hashed(f"{self.key}:{part}")[:32]


class UsedKeys:
    """Tells a repeat from another wish under the same key."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[str, bytes] = OrderedDict()

    def check(self, key: str, body: bytes) -> None:
        digest = hashlib.sha256(body).digest()
        if self._bodies.setdefault(key, digest) != digest:
            raise Refused("conflict", "this Idempotency-Key was used for something else")
        while len(self._bodies) > USED_KEYS_MAX:
            self._bodies.popitem(last=False)


async def _call(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=r"^[A-Za-z0-9_.\-]{8,64}$",
            description="Yours to choose: the same key gets the first answer again. Without it every call is new.",
            examples=["order-7f3a91c2"],
        ),
    ] = None,
) -> Call:
    services, staffer = services_of(request), current(request)
    now = services.clock.now()
    if idempotency_key is None or staffer is None:
        return Call(services, secrets.token_hex(16), now.at, now.steady_s)
    key = hashed(f"{staffer.id}\n{request.method} {request.url.path}\n{idempotency_key}")[:32]
    used: UsedKeys = request.app.state.used_keys
    used.check(key, await request.body())
    return Call(services, key, now.at, now.steady_s)


Calling = Annotated[Call, Depends(_call)]


def not_found() -> Refused:
    return Refused("unknown", "there is no such thing")


def check_site(staffer: Staffer, site: str) -> None:
    """A foreign site is as unknown as a missing one."""
    if not staffer.sees(site):
        raise not_found()


async def site_of_outlet(services: Services, outlet: str) -> str:
    """From memory, so that it works without a database; what is not there may still stand in the rows."""
    view = services.board.views.get(outlet)
    if view is not None:
        return view.site
    row = await run_in_threadpool(services.queries.outlet, outlet)
    if row is None:
        raise not_found()
    return row.site_id


async def check_outlet(services: Services, staffer: Staffer, outlet: str) -> None:
    check_site(staffer, await site_of_outlet(services, outlet))
