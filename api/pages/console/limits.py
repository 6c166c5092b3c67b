"""What each site and each pile may draw, what they draw now, what is spoken for and who waits; and changing it."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from api.pages.console.desk import Desk
from api.pages.console.forms import ANY, decided, desk_of, need, text_of
from controller.core.errors import Refused
from controller.core.events import Change, Event, StaffChange
from controller.core.load import pile_key, site_key
from controller.records import PileRow, SiteRow

router = APIRouter()

DIGITS_MOST = 8


@router.get("/console/limits", dependencies=[ANY])
def limits(request: Request) -> Response:
    return limits_page(desk_of(request))


def limits_page(desk: Desk, problem: str = "", status: int = 200) -> Response:
    queries = desk.services.queries
    piles: dict[str, list[dict[str, Any]]] = {}
    for pile in queries.piles(desk.sites):
        piles.setdefault(pile.site_id, []).append(_shown(desk, "pile", pile))
    sites = [{**_shown(desk, "site", site), "piles": piles.get(site.id, [])} for site in queries.sites(desk.sites)]
    return desk.page("limits", status, problem, here="limits", sites=sites)


def _shown(desk: Desk, of: str, row: SiteRow | PileRow) -> dict[str, Any]:
    load = desk.services.board.loads.get((site_key if of == "site" else pile_key)(row.id))
    shown: dict[str, Any] = {"of": of, "id": row.id, "name": row.name, "limit": f"{row.power_w or 0:.0f}"}
    if load is None:
        return {**shown, "limited": row.power_w is not None, "load": None}
    sums = {"drawn": desk.power(load.drawn_w), "reserved": desk.power(load.reserved_w), "waiting": load.waiting}
    return {**shown, "limited": True, "load": sums}


def of_site(desk: Desk, site: str) -> str:
    """For the overview: drawn now of what it may draw, and how many wait; "" without a limit."""
    load = desk.services.board.loads.get(site_key(site))
    if load is None:
        return ""
    now = desk.t("limits.now", drawn=desk.power(load.drawn_w), limit=desk.power(load.limit_w))
    return f"{now} · {desk.t('limits.waiting', count=load.waiting)}" if load.waiting else now


# -- changing it --------------------------------------------------------------------------------------------------


@router.post("/console/sites/{site}/limit", dependencies=[need("limit")])
async def limit_site(request: Request, site: str) -> Response:
    return await _limited(request, "site", site)


@router.post("/console/piles/{pile}/limit", dependencies=[need("limit")])
async def limit_pile(request: Request, pile: str) -> Response:
    return await _limited(request, "pile", pile)


async def _limited(request: Request, of: str, subject: str) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        queries = desk.services.queries
        pile = queries.pile(subject) if of == "pile" else None
        site = queries.site(subject if of == "site" else "" if pile is None else pile.site_id)
        if site is None or not desk.sees(site.id):
            return None
        values: dict[str, object] = {"of": of, "power_w": _watts(text_of(form, "power_w", DIGITS_MOST))}
        return StaffChange(**base, by=desk.by, change=Change.POWER, subject=subject, values=values)

    return await decided(request, make, _again, "/console/limits", "limit")


def _again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
    return limits_page(desk, problem, status)


def _watts(text: str) -> float | None:
    """Nothing means no limit."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise Refused("limit_form", "a limit is whole watts")
    return float(text)
