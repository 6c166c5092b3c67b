"""Found devices and how they are adopted, and the stickers that lead to their outlets."""

import secrets
from typing import Any, Final

import segno
from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.datastructures import FormData
from starlette.responses import Response

from api.pages.console.desk import Desk
from api.pages.console.forms import ANY, decided, desk_of, missing, need, text_of, texts_of
from api.pages.console.listing import zone_of
from api.stickers import new_id, printed
from controller.core.errors import Refused
from controller.core.events import Change, Event, StaffChange
from controller.records import FoundRow, OutletRow

router = APIRouter()

NUMBER_MOST: Final = 12
QUIET: Final = 2  # modules of white around the code; the sticker itself is white as well


@router.get("/console/found", dependencies=[ANY])
def found(request: Request) -> Response:
    desk = desk_of(request)
    zone = zone_of(desk)
    rows = [
        {
            "id": row.id,
            "model": row.model,
            "family": row.family,
            "address": row.address,
            "firmware": row.firmware,
            "channels": row.channels,
            "seen": desk.when(row.seen_at, zone),
        }
        for row in desk.services.queries.found()
    ]
    return desk.page("found", here="found", rows=rows)


@router.get("/console/found/adopt", dependencies=[need("adopt")])
def adopt_page(request: Request) -> Response:
    desk = desk_of(request)
    device = desk.services.queries.found_one(request.query_params.get("id", "")[:128])
    if device is None:
        return missing(desk)
    return _adopt_form(desk, device, {"site": "", "name": "", "numbers": _next_numbers(desk, device.channels)})


def _next_numbers(desk: Desk, wanted: int) -> list[str]:
    """Going on from the highest printed number that is one."""
    taken = [int(row.number) for row in desk.services.queries.outlets(desk.sites) if row.number.isdecimal()]
    first = max(taken, default=0) + 1
    return [str(first + n) for n in range(wanted)]


def _adopt_form(desk: Desk, device: FoundRow, form: dict[str, Any], problem: str = "", status: int = 200) -> Response:
    sites = desk.services.queries.sites(desk.sites)
    return desk.page("adopt", status, problem, here="found", device=device, sites=sites, form=form)


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
        typed = {"site": text_of(form, "site", 64), "name": text_of(form, "name", 48)}
        if device is None:
            return missing(desk)
        return _adopt_form(desk, device, {**typed, "numbers": texts_of(form, "numbers", NUMBER_MOST)}, problem, status)

    return await decided(request, make, again, "/console", "adopt")


def _values(desk: Desk, form: FormData, device: FoundRow, site: str) -> dict[str, object]:
    """Every id is made here, at the edge."""
    name, numbers = text_of(form, "name", 48), texts_of(form, "numbers", NUMBER_MOST)
    if not name:
        raise Refused("name_missing")
    if len(numbers) != device.channels or not all(numbers):
        raise Refused("number_missing")
    taken = {row.number for row in desk.services.queries.outlets([site])}
    if len(set(numbers)) < len(numbers) or taken & set(numbers):
        raise Refused("number_taken")
    keys = desk.services.sticker_keys
    return {
        "site": site,
        "name": name,
        "numbers": numbers,
        "pile": secrets.token_hex(8),
        "outlets": [secrets.token_hex(8) for _ in numbers],
        "stickers": [new_id(keys) for _ in numbers],
    }


# -- stickers -----------------------------------------------------------------------------------------------------


@router.get("/console/stickers", dependencies=[ANY])
def stickers(request: Request) -> Response:
    desk = desk_of(request)
    queries = desk.services.queries
    only = request.query_params.get("outlet", "")
    outlets = [row for row in queries.outlets(desk.here) if only in ("", row.id)]
    of_outlet = {
        row.outlet_id: row.id for row in queries.stickers(desk.sites) if row.id[0] in desk.services.sticker_keys
    }
    rows = [_sticker(desk, of_outlet[row.id], row) for row in outlets if row.id in of_outlet]
    url = desk.services.public_url
    insecure = not url.lower().startswith("https://")
    return desk.page("stickers", here="stickers", stickers=rows, insecure=insecure, public_url=url)


def _sticker(desk: Desk, sticker: str, outlet: OutletRow) -> dict[str, Any]:
    return {
        "id": sticker,
        "outlet": outlet.id,
        "site_name": outlet.site_name,
        "number": outlet.number,
        "how": desk.t("sticker.how"),
        "svg": drawn(address(desk, sticker)),
    }


def address(desk: Desk, sticker: str) -> str:
    """All in upper case: the code then needs its small alphabet only, and stays coarse enough for old phones."""
    return f"{desk.services.public_url.rstrip('/')}/S/{printed(desk.services.sticker_keys, sticker)}".upper()


def drawn(text: str) -> Markup:
    code = segno.make_qr(text, error="m")
    return Markup(code.svg_inline(border=QUIET, omitsize=True, dark="#000", light="#fff"))  # noqa: S704
