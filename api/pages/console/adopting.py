"""A found device becomes a pile, or takes the place of one; and a pile on its way into service, step by step."""

import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from api.pages.console.desk import Desk
from api.pages.console.forms import ANY, KEY, decided, desk_of, missing, need, text_of, texts_of
from api.pages.console.showing import peeked
from api.pages.console.states import state_of, view_of
from api.services import hashed
from api.stickers import new_id
from controller.core.errors import Refused
from controller.core.events import Change, Event, StaffChange
from controller.core.hardware import bus_of, meters_of
from controller.records import FoundRow, OutletRow, PileRow

router = APIRouter()

NUMBER_MOST: Final = 12
BOARD_STAYS: Final = "-"
NEXT: Final = {"adopted": "commission", "commissioned": "open"}  # phase → what comes then


@router.get("/console/found/adopt", dependencies=[need("adopt")])
def adopt_page(request: Request) -> Response:
    desk = desk_of(request)
    device = desk.services.queries.found_one(request.query_params.get("id", "")[:128])
    if device is None:
        return missing(desk)
    meters, wanted = _sure(meters_on(desk, device)), _next_numbers(desk, device.channels)
    if device.needs_meters:  # as many as can be sold; the others are left out
        wanted = [number if place < len(meters) else "" for place, number in enumerate(wanted)]
    chosen = [meters[place].id if place < len(meters) else "" for place in range(device.channels)]
    form = {"site": request.query_params.get("site", ""), "name": "", "numbers": wanted, "meters": chosen}
    return _adopt_form(desk, device, form)


def meters_on(desk: Desk, of: FoundRow | PileRow) -> list[FoundRow]:
    """Those on its bus that nobody has, by their addresses."""
    bus = bus_of(of.address)
    rows = [row for row in desk.services.queries.found() if bus and bus_of(row.address) == bus and is_meter(row)]
    return sorted(rows, key=lambda row: (len(row.address), row.address))


def _sure(meters: list[FoundRow]) -> list[FoundRow]:
    """Without those of which nobody knows what they are."""
    at = Counter(row.address for row in meters)
    return [row for row in meters if at[row.address] == 1]


def is_meter(row: FoundRow) -> bool:
    return row.lease_class == "metering_only" and row.channels == 1 and not row.needs_meters


def _next_numbers(desk: Desk, wanted: int) -> list[str]:
    """Going on from the highest printed number that is one."""
    taken = [int(row.number) for row in desk.services.queries.outlets(desk.sites) if row.number.isdecimal()]
    first = max(taken, default=0) + 1
    return [str(first + n) for n in range(wanted)]


def _adopt_form(desk: Desk, device: FoundRow, form: dict[str, Any], problem: str = "", status: int = 200) -> Response:
    sites = desk.services.queries.sites(desk.sites)
    board = device.needs_meters
    meters = _offered(desk, meters_on(desk, device)) if board else []
    return desk.page(
        "adopt", status, problem, here="found", device=device, sites=sites, form=form, board=board, meters=meters
    )


def _offered(desk: Desk, meters: Sequence[FoundRow]) -> list[dict[str, str]]:
    return [
        {"id": row.id, "name": f"{row.model} {unit_of(row.address)}", "live": peeked(desk, row.id)} for row in meters
    ]


def unit_of(address: str) -> str:
    """As people say it who set it: `11`."""
    return address.rpartition(":")[2] if bus_of(address) else address


@router.post("/console/found/adopt", dependencies=[need("adopt")])
async def adopt(request: Request) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        device = desk.services.queries.found_one(text_of(form, "id", 128))
        site = text_of(form, "site", 64)
        if device is None or not desk.sees(site):
            return None
        values = _values(desk, form, device, site)
        return StaffChange(**base, by=desk.by, change=Change.ADOPT, subject=device.id, values=values)

    def again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
        device = desk.services.queries.found_one(text_of(form, "id", 128))
        typed = {name: text_of(form, name, most) for name, most in (("site", 64), ("name", 48), *WATCHDOG)}
        if device is None:
            return missing(desk)
        typed |= {"numbers": texts_of(form, "numbers", NUMBER_MOST), "meters": texts_of(form, "meters", 128)}  # type: ignore[dict-item]
        return _adopt_form(desk, device, typed, problem, status)

    sent = pile_of(await request.form())
    if await run_in_threadpool(seen, desk_of(request), sent) is not None:  # the form has done its work already
        return RedirectResponse(f"/console/piles/{sent}?done=adopt", 303)
    return await decided(request, make, again, lambda form: f"/console/piles/{pile_of(form)}", "adopt")


def pile_of(form: FormData) -> str:
    """The id it gets, the same when the form is sent again."""
    key = text_of(form, "key")
    return hashed(f"{key}:pile")[:16] if KEY.fullmatch(key) else secrets.token_hex(8)


def _values(desk: Desk, form: FormData, device: FoundRow, site: str) -> dict[str, object]:
    """Every id is made here, at the edge."""
    name, numbers = text_of(form, "name", 48), texts_of(form, "numbers", NUMBER_MOST)
    board = device.needs_meters
    if not name:
        raise Refused("name_missing")
    if len(numbers) != device.channels or not (any(numbers) if board else all(numbers)):
        raise Refused("number_missing")
    named = [number for number in numbers if number]
    taken = {row.number for row in desk.services.queries.outlets([site])}
    if len(set(named)) < len(named) or taken & set(named):
        raise Refused("number_taken")
    keys = desk.services.sticker_keys
    return {
        "site": site,
        "name": name,
        "numbers": numbers,
        "pile": pile_of(form),
        "outlets": [secrets.token_hex(8) if number else "" for number in numbers],
        "stickers": [new_id(keys) if number else "" for number in numbers],
        **(_parts(form, numbers) if board else {}),
    }


WATCHDOG: Final = (("watchdog_s", 4), ("watchdog_channel", 3))


def _parts(form: FormData, numbers: Sequence[str]) -> dict[str, object]:
    """The meters by channel, but of relays that were left out, and the watchdog, whose relay people count from 1."""
    chosen = zip(numbers, texts_of(form, "meters", 128), strict=False)
    meters = [(number and meter) or None for number, meter in chosen]
    s, channel = (text_of(form, name, most) for name, most in WATCHDOG)
    if not s and not channel:
        return {"meters": meters}
    if not s.isdecimal() or not channel.isdecimal():
        raise Refused("watchdog")
    return {"meters": meters, "watchdog": {"s": float(s), "channel": int(channel) - 1}}


# -- a pile -------------------------------------------------------------------------------------------------------


@router.get("/console/piles/{pile_id}", dependencies=[ANY])
def pile(request: Request, pile_id: str) -> Response:
    """What is left to do until it serves."""
    desk = desk_of(request)
    row = seen(desk, pile_id)
    if row is None:
        return missing(desk)
    outlets = [_on_its_way(desk, outlet) for outlet in outlets_of(desk, row)]
    return desk.page("pile", here="overview", pile=row, outlets=outlets, facts=_facts(row))


def seen(desk: Desk, pile_id: str) -> PileRow | None:
    row = desk.services.queries.pile(pile_id)
    return row if row is not None and desk.sees(row.site_id) else None


def outlets_of(desk: Desk, pile: PileRow) -> list[OutletRow]:
    return [row for row in desk.services.queries.outlets([pile.site_id]) if row.pile_id == pile.id]


def _on_its_way(desk: Desk, row: OutletRow) -> dict[str, Any]:
    view = view_of(desk.services.board, row)
    todo = NEXT.get(view.phase, "")
    return {
        "id": row.id,
        "number": row.number,
        "state": state_of(view),
        "next": todo if desk.may(todo or "name") else "",
    }


def _facts(pile: PileRow) -> list[tuple[str, str]]:
    meters = [unit_of(meter["address"]) for meter in meters_of(pile.params) if meter is not None]
    named = [(name, getattr(pile, name)) for name in ("model", "family", "address", "firmware")]
    return [*named, ("meters", ", ".join(meters))]


# -- another device in its place ----------------------------------------------------------------------------------


@router.get("/console/piles/{pile_id}/replace", dependencies=[need("adopt")])
def replace_page(request: Request, pile_id: str) -> Response:
    desk = desk_of(request)
    row = seen(desk, pile_id)
    return missing(desk) if row is None else _replace_form(desk, row, request.query_params.get("by", "")[:128])


def _replace_form(desk: Desk, pile: PileRow, by: str, problem: str = "", status: int = 200) -> Response:
    """First which device, then what belongs to it."""
    device = desk.services.queries.found_one(by) if by not in ("", BOARD_STAYS) else None
    stays = by == BOARD_STAYS and bool(meters_of(pile.params))
    outlets = outlets_of(desk, pile)
    return desk.page(
        "replace",
        status,
        problem,
        here="overview",
        pile=pile,
        device=device,
        stays=stays,
        board=stays or (device is not None and device.needs_meters),
        outlets=[{"channel": row.channel, "number": row.number, "meter": _meter_of(pile, row)} for row in outlets],
        meters=_offered(desk, meters_on(desk, device or pile)) if device is not None or stays else [],
        watchdog=pile.params.get("watchdog") or {},
        choices=[] if device is not None or stays else _choices(desk, pile, outlets),
    )


def _meter_of(pile: PileRow, outlet: OutletRow) -> str:
    meters = meters_of(pile.params)
    meter = meters[outlet.channel] if outlet.channel < len(meters) else None
    return "" if meter is None else unit_of(meter["address"])


def _choices(desk: Desk, pile: PileRow, outlets: Sequence[OutletRow]) -> list[dict[str, Any]]:
    """Found devices with outlets enough; of the same family first."""
    enough = [
        row for row in desk.services.queries.found() if row.channels > max((o.channel for o in outlets), default=0)
    ]
    fit = [row for row in enough if not is_meter(row) or pile.family == row.family]
    fit.sort(key=lambda row: row.family != pile.family)
    return [
        {"id": row.id, "model": row.model, "address": row.address, "live": peeked(desk, row.id)} for row in fit[:50]
    ]


@router.post("/console/piles/{pile_id}/replace", dependencies=[need("adopt")])
async def replace(request: Request, pile_id: str) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        row, by = seen(desk, pile_id), text_of(form, "by", 128)
        if row is None:
            return None
        meters = dict(zip(texts_of(form, "channels", 3), texts_of(form, "meters", 128), strict=False))
        last = max((outlet.channel for outlet in outlets_of(desk, row)), default=-1)
        chosen = [meters.get(str(channel)) or None for channel in range(last + 1)]
        parts = _parts(form, ()) | {"meters": chosen if any(chosen) else None}
        values: dict[str, object] = {"found": "" if by == BOARD_STAYS else by, **parts}
        return StaffChange(**base, by=desk.by, change=Change.REPLACE, subject=row.id, values=values)

    def again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
        row = seen(desk, pile_id)
        return missing(desk) if row is None else _replace_form(desk, row, text_of(form, "by", 128), problem, status)

    return await decided(request, make, again, f"/console/piles/{pile_id}", "replace")
