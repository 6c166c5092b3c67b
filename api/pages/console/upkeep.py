"""For those who mend: what keeps something new from starting, how much is logged, and the diagnostics as a file."""

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import Response

from api import door
from api.diagnosis import diagnosis
from api.health import checks_of
from api.pages.console.desk import Desk
from api.pages.console.forms import carried_out, desk_of, missing, need, stamped, text_of
from api.pages.console.listing import zone_of
from controller.core.errors import Refused
from controller.core.events import Change, StaffChange

router = APIRouter()

LEVELS: Final = ("debug", "info", "warning", "error")
FOR_MIN: Final = (15, 60, 480)


@router.get("/console/upkeep", dependencies=[need("upkeep")])
def upkeep(request: Request) -> Response:
    return _drawn(desk_of(request))


def _drawn(desk: Desk, problem: str = "", status: int = 200) -> Response:
    watch, zone = desk.services.watch, zone_of(desk)
    if watch is None:
        return missing(desk)
    now = watch.log_level()
    level = {"name": now.level, "until": desk.when(now.until, zone)}
    checks = [
        {"name": check.name, "ok": check.ok, "since": desk.when(check.since, zone)}
        for check in checks_of(desk.services)
    ]
    return desk.page(
        "upkeep", status, problem, here="upkeep", checks=checks, level=level, levels=LEVELS, minutes=FOR_MIN
    )


@router.post("/console/upkeep/log_level", dependencies=[need("upkeep")])
async def log_level(request: Request) -> Response:
    async def ask(desk: Desk, form: FormData) -> bool:
        watch = desk.services.watch
        if watch is None:
            return False
        values = _chosen(form)
        watch.set_log_level(str(values["level"]), values["for_s"])
        base = stamped(request, form)
        event = StaffChange(**base, by=desk.by, change=Change.LOG_LEVEL, subject="gateway", values=values)
        await door.asked(desk.services, event)
        return True

    def again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
        return _drawn(desk, problem, status)

    return await carried_out(request, ask, again, "/console/upkeep", "log_level")


def _chosen(form: FormData) -> dict[str, Any]:
    level, minutes = text_of(form, "level", 16), text_of(form, "minutes", 4)
    if level not in LEVELS or minutes not in {str(each) for each in (0, *FOR_MIN)}:
        raise Refused("invalid")
    return {"level": level, "for_s": int(minutes) * 60.0}


@router.get("/console/upkeep/diagnostics", dependencies=[need("upkeep")])
async def diagnostics(request: Request) -> Response:
    desk = await run_in_threadpool(desk_of, request)
    return await run_in_threadpool(missing, desk) if desk.services.watch is None else await diagnosis(desk.services)
