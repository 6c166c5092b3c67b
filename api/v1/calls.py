"""What the routes share: who calls, a changing call's key and moment, and the refusals they promise."""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Header, Path, Query, Request
from msgspec.structs import replace
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

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
IdPath = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
Text = Annotated[str, Query(max_length=128, pattern=PRINTABLE)]
Limit = Annotated[int, Query(ge=1, le=200)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]

_SAID = {
    400: "Not understood.",
    401: "Nobody is logged in.",
    403: "Another role is needed, or the request did not come from a page of ours.",
    404: "There is no such thing, or not for you.",
    406: "The answer would be JSON, which the request does not accept.",
    408: "The body took too long.",
    409: "It can't be done now; `code` says why.",
    412: "Somebody else changed it since you read it: read it again.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "Something in the request is not right.",
    429: "Too many wrong tries.",
    503: "No answer yet: ask again with the same key.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=`: each status with what it means here. `api/v1/spec.py` adds what holds for every body."""
    return {status: {"model": Problem, "description": _SAID[status]} for status in (401, 403, *statuses)}


def said(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """As `problems`, for what no log-in guards."""
    return {status: {"model": Problem, "description": _SAID[status]} for status in statuses}


READS = problems(404, 422, 503)
CHANGES = problems(404, 409, 422, 503)
EDITS = problems(404, 409, 412, 422, 503)


class Call(msgspec.Struct, frozen=True):
    """One changing request: its key makes a repeat get the first answer, and gives new things their ids."""

    services: Services
    key: str
    at: float
    steady_s: float
    wish: str = ""  # what was asked under a key of the caller's own, digested; "": they chose none
    seen: tuple[str, ...] = ()  # the tags of If-Match: what they saw of the thing they edit

    def change(self, staffer: Staffer, change: Change, subject: str, values: dict[str, object]) -> StaffChange:
        return StaffChange(
            at=self.at,
            steady_s=self.steady_s,
            key=self.key,
            by=staffer.by,
            change=change,
            subject=subject,
            values=values,
            seen=self.seen,
        )

    async def changed(self, staffer: Staffer, change: Change, subject: str, values: dict[str, object]) -> str:
        """The subject, as the engine answered: that of the first call if this one repeats it, restarts or not."""
        event = replace(self.change(staffer, change, subject, values), wish=self.wish)
        answer = await asked(self.services, event)
        return str(answer.get("subject", subject))

    async def switched(self, staffer: Staffer, change: Change, subject: str, values: dict[str, object]) -> str:
        """As `changed`, but it looks nothing up: what makes an outlet dead does not wait for a database."""
        answer = await asked(self.services, self.change(staffer, change, subject, values))
        return str(answer.get("subject", subject))

    def id_of(self, part: object) -> str:
        """An id that a repeat of this call makes again."""
        return hashed(f"{self.key}:{part}")[:32]


class UsedKeys:
    """Tells a repeat from another wish under the same key."""

    def __init__(self) -> None:
        self._wishes: OrderedDict[str, str] = OrderedDict()

    def check(self, key: str, wish: str) -> None:
        if self._wishes.setdefault(key, wish) != wish:
            raise Refused("conflict", "this Idempotency-Key was used for something else")
        while len(self._wishes) > USED_KEYS_MAX:
            self._wishes.popitem(last=False)


async def _call(
    request: Request,
    idempotency_key: Annotated[
        str,
        Header(
            pattern=r"^[A-Za-z0-9_.\-]{8,64}$",
            description="Yours to choose: the same key gets the first answer again. Without it every call is new.",
            examples=["order-7f3a91c2"],
        ),
    ] = "",
) -> Call:
    services, staffer = services_of(request), current(request)
    now = services.clock.now()
    chosen = idempotency_key or secrets.token_hex(16)
    request.state.idempotency_key = chosen  # a late answer is asked for again with it
    who = staffer.id if staffer is not None else ""
    key = hashed(f"{who}\n{request.method} {request.url.path}\n{chosen}")[:32]
    if not idempotency_key:
        return Call(services, key, now.at, now.steady_s)
    wish = hmac.digest(services.sign_key, await request.body(), hashlib.sha256).hex()  # a body may hold a password
    used: UsedKeys = request.app.state.used_keys
    used.check(key, wish)
    return Call(services, key, now.at, now.steady_s, wish)


Calling = Annotated[Call, Depends(_call)]


async def _edit(
    call: Calling,
    if_match: Annotated[
        str,
        Header(
            max_length=512,
            pattern=r"^[ -~]+$",
            description="The ETag of what you read: refused with 412 if somebody else changed it meanwhile.",
            examples=['"5d41402abc4b2a76b9719d91"'],
        ),
    ] = "*",
) -> Call:
    """A weak tag matches nothing; `*` matches all there is."""
    if if_match.strip() == "*":
        return call
    return replace(call, seen=tuple(part.strip().strip('"') or "?" for part in if_match.split(",")))


Editing = Annotated[Call, Depends(_edit)]


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
