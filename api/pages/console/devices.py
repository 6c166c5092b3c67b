"""Found devices and the search for them on a bus, and the stickers that lead to outlets."""

from collections import Counter
from typing import Any, Final

import segno
from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.datastructures import FormData
from starlette.responses import Response

from api.pages.console.adopting import is_meter
from api.pages.console.desk import Desk
from api.pages.console.forms import ANY, carried_out, desk_of, need
from api.pages.console.listing import zone_of
from api.pages.console.live import News, live
from api.pages.console.showing import fault_words, peeked
from api.stickers import printed
from controller.core.hardware import bus_of, device_key
from controller.ports import Scanned
from controller.records import OutletRow

router = APIRouter()

PEEKED: Final = 50  # devices at the top of the list that are looked at
QUIET: Final = 2  # modules of white around the code; the sticker itself is white as well


@router.get("/console/found", dependencies=[ANY])
def found(request: Request) -> Response:
    return found_page(desk_of(request))


def found_page(desk: Desk, problem: str = "", status: int = 200) -> Response:
    zone = zone_of(desk)
    devices = desk.services.queries.found()
    at = Counter(device_key(row.family, row.address) for row in devices)
    rows = [
        {
            "id": row.id,
            "model": row.model,
            "family": row.family,
            "address": row.address,
            "firmware": row.firmware,
            "channels": row.channels,
            "seen": desk.when(row.seen_at, zone),
            "meter": is_meter(row) and bool(bus_of(row.address)),
            "live": peeked(desk, row.id) if place < PEEKED else "–",
            "twice": at[device_key(row.family, row.address)] > 1,
        }
        for place, row in enumerate(devices)
    ]
    buses = [_bus(desk, bus) for bus in desk.services.strangers.buses()]
    return desk.page("found", status, problem, here="found", rows=rows, buses=buses, version=_version(desk))


def _bus(desk: Desk, bus: str) -> dict[str, Any]:
    scan = desk.services.strangers.scanned(bus)
    odd = [] if scan is None else scan.odd
    return {
        "name": bus,
        "busy": scan is not None and not scan.done,
        "how_far": _how_far(desk, scan),
        "odd": [{"at": one.address, **fault_words(desk, one.fault)} for one in odd],
    }


def _how_far(desk: Desk, scan: Scanned | None) -> str:
    if scan is None:
        return desk.t("scan.never")
    part = 100 * scan.asked // max(1, scan.total)
    return desk.t("scan.done" if scan.done else "scan.busy", part=part, found=len(scan.found), odd=len(scan.odd))


def _version(desk: Desk) -> str:
    """Changes with what a scan has found."""
    scans = [desk.services.strangers.scanned(bus) for bus in desk.services.strangers.buses()]
    return "-".join(f"{len(scan.found)}.{len(scan.odd)}.{scan.done}" for scan in scans if scan is not None) or "0"


@router.get("/console/found/live", dependencies=[ANY])
def found_live(request: Request) -> Response:
    desk = desk_of(request)
    devices = [row.id for row in desk.services.queries.found()[:PEEKED]]

    def look() -> News:
        text = {f"{device}:live": peeked(desk, device) for device in devices}
        strangers = desk.services.strangers
        text |= {f"scan:{bus}": _how_far(desk, strangers.scanned(bus)) for bus in strangers.buses()}
        return {"text": text, "version": _version(desk)}

    return live(desk, look)


@router.post("/console/buses/{bus}/scan", dependencies=[need("adopt")])
async def scan(request: Request, bus: str) -> Response:
    async def ask(desk: Desk, form: FormData) -> bool:
        desk.services.strangers.scan(bus)
        return bus in desk.services.strangers.buses()

    def again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
        return found_page(desk, problem, status)

    return await carried_out(request, ask, again, "/console/found", "scan")


# -- stickers -----------------------------------------------------------------------------------------------------


@router.get("/console/stickers", dependencies=[ANY])
def stickers(request: Request) -> Response:
    desk = desk_of(request)
    queries = desk.services.queries
    only, pile = (request.query_params.get(name, "") for name in ("outlet", "pile"))
    outlets = [row for row in queries.outlets(desk.here) if only in ("", row.id) and pile in ("", row.pile_id)]
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
        "path": path(desk, sticker),
        "svg": drawn(address(desk, sticker)),
    }


def address(desk: Desk, sticker: str) -> str:
    """All in upper case: the code then needs its small alphabet only, and stays coarse enough for old phones."""
    return f"{desk.services.public_url.rstrip('/')}{path(desk, sticker)}".upper()


def path(desk: Desk, sticker: str) -> str:
    return f"/S/{printed(desk.services.sticker_keys, sticker)}"


def drawn(text: str) -> Markup:
    code = segno.make_qr(text, error="m")
    return Markup(code.svg_inline(border=QUIET, omitsize=True, dark="#000", light="#fff"))  # noqa: S704
