"""One outlet: what it is, what it does, how it was proven, and what one may do with it."""

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from api.pages.console import inputs
from api.pages.console.commissioning import proving
from api.pages.console.desk import Desk
from api.pages.console.forms import ANY, decided, desk_of, missing, need, switched, text_of
from api.pages.console.live import News, live
from api.pages.console.overview import since
from api.pages.console.sessions import drawn, row_of
from api.pages.console.showing import fault_words
from api.pages.console.states import state_of, view_of
from api.pages.console.story import person
from api.stickers import new_id
from controller.core.errors import Refused
from controller.core.events import Change, Event, StaffChange, StopAsked
from controller.core.hardware import meters_of
from controller.core.reasons import StopReason
from controller.records import OutletDetail
from controller.views import View

router = APIRouter()

HISTORY: Final = 8
CHANGES: Final = {
    "commission": Change.COMMISSION,
    "open": Change.OPEN,
    "close": Change.CLOSE,
    "lock": Change.LOCK,
    "unlock": Change.UNLOCK,
    "clear_latch": Change.CLEAR_LATCH,
    "name": Change.NAME,
}


@router.get("/console/outlets/{outlet_id}", dependencies=[ANY])
def outlet(request: Request, outlet_id: str) -> Response:
    return page(desk_of(request), outlet_id)


def page(desk: Desk, outlet_id: str, problem: str = "", status: int = 200) -> Response:
    queries = desk.services.queries
    row = _seen(desk, outlet_id)
    if row is None:
        return missing(desk)
    view = view_of(desk.services.board, row)
    session = queries.session(view.session) if view.session is not None else None
    past = queries.sessions([row.site_id], outlet=row.id, phase="settled", limit=HISTORY)
    alarms = queries.alarms([row.site_id], open_only=False, limit=50).rows
    alarmed = any(alarm.outlet_id == row.id and alarm.cleared_at is None for alarm in alarms)
    acts = _acts(desk, view, alarmed)
    main = ("clear_latch", "open", *(["commission"] if row.phase == "adopted" else []))
    return desk.page(
        "outlet",
        status,
        problem,
        here="overview",
        outlet=row,
        view=view,
        state=state_of(view),
        figures=_figures(desk, view),
        session=session,
        curve=drawn(desk, session, height=200) if session is not None else None,
        locked_by=person(desk, view.locked_by) if view.locked_by else "",
        cut=inputs.cut_of(desk, row.site_id, row.zone),
        metering_only=row.phase == "metering_only",
        proving=proving(desk, row, view),
        history=[row_of(desk, s) for s in past.rows],
        acts=acts,
        main_act=next((act for act in main if act in acts), ""),
        facts=_facts(desk, row, past.rows[0].proof if past.rows else None),
        stickers=[s for s in (queries.sticker(sticker) for sticker in row.stickers) if s is not None],
        alarms=[alarm for alarm in alarms if alarm.outlet_id == row.id][:5],
        faults=_faults(desk, row.id),
        version=_version(view),
    )


def _seen(desk: Desk, outlet_id: str) -> OutletDetail | None:
    row = desk.services.queries.outlet(outlet_id)
    return row if row is not None and desk.sees(row.site_id) else None


def _live_one(desk: Desk, outlet_id: str) -> View | None:
    """Out of memory, where every outlet is: to make one dead needs no records."""
    view = desk.services.board.views.get(outlet_id)
    return view if view is not None and desk.sees(view.site) else None


@router.get("/console/outlets/{outlet_id}/live", dependencies=[ANY])
def outlet_live(request: Request, outlet_id: str) -> Response:
    desk = desk_of(request)
    row = _seen(desk, outlet_id)
    if row is None:
        return missing(desk)

    def look() -> News:
        view = view_of(desk.services.board, row)
        state = state_of(view)
        text = {f"outlet:{f['name']}": f["value"] for f in _figures(desk, view)}
        text[f"{row.id}:word"] = desk.t(f"state.{state.name}")
        return {"text": text, "state": {row.id: [state.name, state.tone]}, "version": _version(view)}

    return live(desk, look)


def _version(view: View) -> str:
    """Changes when something else can be done, or the curve has visibly grown."""
    proof = (view.proving_step, view.proving_todo, *view.proving_measured)
    flags = (view.phase, *proof, view.failed, view.latch, view.locked_by, view.session, view.session_phase)
    return "-".join(str(flag) for flag in (*flags, view.dead, int(view.used_wh // 5)))


def _figures(desk: Desk, view: View) -> list[dict[str, str]]:
    lease = desk.span(view.lease_left_s) if view.lease_left_s is not None else desk.t("lease.none")
    heard = ""
    if view.reading_at is not None:
        heard = desk.span(max(0.0, desk.services.clock.now().at - view.reading_at))
    figures = [
        ("power", desk.power(view.power_w) or "–"),
        ("lasted", since(desk, view, state_of(view)) if view.session is not None else "–"),
        ("lease", lease),
        ("heard", desk.t("ago", span=heard) if heard else "–"),
    ]
    return [{"name": name, "value": value} for name, value in figures]


def _facts(desk: Desk, row: OutletDetail, proof: str | None) -> list[tuple[str, str]]:
    return [
        ("model", row.pile.model),
        ("family", row.pile.family),
        ("address", row.pile.address),
        ("firmware", row.pile.firmware),
        ("meter", _meter(row)),
        ("channel", str(row.channel + 1)),
        ("lease_class", desk.or_plain(f"lease.{row.lease_class}", row.lease_class)),
        ("lease", desk.span(row.lease_s)),
        ("limit", desk.power(row.power_limit_w)),
        ("proof", desk.or_plain(f"proof.{proof}", proof) if proof else desk.t("proof.never")),
        ("tariff", row.tariff.name),
    ]


def _faults(desk: Desk, outlet_id: str) -> list[dict[str, Any]]:
    """Of its wire since the gateway started, the most frequent first."""
    counted = sorted(desk.services.faults(outlet_id).items(), key=lambda each: -each[1])
    return [{**fault_words(desk, kind), "count": count} for kind, count in counted]


def _meter(row: OutletDetail) -> str:
    """Where it is a device of its own."""
    meters = meters_of(row.pile.params)
    meter = meters[row.channel] if row.channel < len(meters) else None
    return "" if meter is None else f"{meter['family']} {meter['address']}"


def _acts(desk: Desk, view: View, alarmed: bool) -> list[str]:
    """What makes sense now and is allowed to this role; the door checks again."""
    busy = view.session is not None
    sense = {
        "commission": view.phase in ("adopted", "commissioned", "open") and not busy and view.locked_by is None,
        "open": view.phase == "commissioned",
        "close": view.phase == "open",
        "stop": busy and view.session_phase != "closing",
        "lock": view.locked_by is None,
        "unlock": view.locked_by is not None and (view.locked_by == desk.by or desk.me.role == "owner"),
        "clear_latch": view.latch is not None or (alarmed and not busy),
        "name": True,
        "site_cut": view.site not in desk.services.board.cuts,
    }
    return [act for act, sensible in sense.items() if sensible and desk.may(act)]


# -- what one may do ----------------------------------------------------------------------------------------------


def _change(name: str) -> None:
    """One route an action, each with the roles it needs."""

    async def change(request: Request, outlet_id: str) -> Response:
        def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
            if _live_one(desk, outlet_id) is None:
                return None
            return StaffChange(
                **base, by=desk.by, change=CHANGES[name], subject=outlet_id, values=_values(desk, name, form)
            )

        return await switched(request, make, _again(outlet_id), f"/console/outlets/{outlet_id}", name)

    router.add_api_route(f"/console/outlets/{{outlet_id}}/{name}", change, methods=["POST"], dependencies=[need(name)])


def _values(desk: Desk, name: str, form: FormData) -> dict[str, object]:
    if name == "unlock":
        return {"owner": desk.me.role == "owner"}
    if name != "name":
        return {}
    number = text_of(form, "number", 12)
    if not number:
        raise Refused("number_missing")
    return {"number": number}


def _again(outlet_id: str) -> Any:
    return lambda desk, form, problem, status: page(desk, outlet_id, problem, status)


for _name in CHANGES:
    _change(_name)


@router.post("/console/outlets/{outlet_id}/stop", dependencies=[need("stop")])
async def stop(request: Request, outlet_id: str) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        if _live_one(desk, outlet_id) is None:
            return None
        session = text_of(form, "session", 64)
        return StopAsked(**base, session=session, outlet=outlet_id, by=desk.by, reason=StopReason.STOPPED_BY_STAFF)

    return await switched(request, make, _again(outlet_id), f"/console/outlets/{outlet_id}", "stop")


@router.post("/console/outlets/{outlet_id}/retire_sticker", dependencies=[need("sticker")])
async def retire_sticker(request: Request, outlet_id: str) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        row, sticker = _seen(desk, outlet_id), text_of(form, "sticker", 64)
        if row is None or sticker not in row.stickers:
            return None
        values: dict[str, object] = {"outlet": row.id, "new_sticker": new_id(desk.services.sticker_keys)}
        return StaffChange(**base, by=desk.by, change=Change.RETIRE_STICKER, subject=sticker, values=values)

    return await decided(request, make, _again(outlet_id), f"/console/outlets/{outlet_id}", "retire_sticker")
