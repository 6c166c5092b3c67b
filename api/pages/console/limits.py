"""What each site and each pile may draw, what they draw now, what is spoken for and who waits; and changing it."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from api.pages import waits
from api.pages.console.desk import Desk
from api.pages.console.forms import ANY, decided, desk_of, need, text_of
from controller.core.errors import Refused
from controller.core.events import Change, Event, StaffChange
from controller.core.load import pile_key, site_key
from controller.records import PileRow, SiteRow
from controller.views import View

router = APIRouter()

DIGITS_MOST = 8


@router.get("/console/limits", dependencies=[ANY])
def limits(request: Request) -> Response:
    return limits_page(desk_of(request))


def limits_page(desk: Desk, problem: str = "", status: int = 200) -> Response:
    queries, views = desk.services.queries, list(desk.services.board.views.values())
    drawn = drawn_by(views)
    piles: dict[str, list[dict[str, Any]]] = {}
    for pile in queries.piles(desk.sites):
        piles.setdefault(pile.site_id, []).append(_shown(desk, "pile", pile, drawn))
    sites = [
        {**_shown(desk, "site", site, drawn), "piles": piles.get(site.id, []), "line": _line(desk, site.id, views)}
        for site in queries.sites(desk.sites)
    ]
    return desk.page("limits", status, problem, here="limits", sites=sites)


def _shown(desk: Desk, of: str, row: SiteRow | PileRow, drawn: Mapping[str, float]) -> dict[str, Any]:
    key = (site_key if of == "site" else pile_key)(row.id)
    load = desk.services.board.loads.get(key)
    shown: dict[str, Any] = {"of": of, "id": row.id, "name": row.name, "limit": f"{row.power_w or 0:.0f}"}
    shown["drawn"] = desk.power(drawn.get(key, 0.0))
    if load is None:
        return {**shown, "limited": row.power_w is not None, "load": None}
    return {**shown, "limited": True, "load": {"reserved": desk.power(load.reserved_w), "waiting": load.waiting}}


def drawn_w(view: View) -> float:
    """As it was measured last; of an outlet that can't be reached nobody knows."""
    return (view.power_w or 0.0) if view.linked else 0.0


def drawn_by(views: Iterable[View]) -> dict[str, float]:
    """Of each site and each pile, by its key."""
    drawn: dict[str, float] = {}
    for view in views:
        for place in (site_key(view.site), pile_key(view.pile)):
            drawn[place] = drawn.get(place, 0.0) + drawn_w(view)
    return drawn


def _line(desk: Desk, site: str, views: Iterable[View]) -> list[dict[str, Any]]:
    """Whose turn it is, the next one first."""
    waiting = [(view.place, view) for view in views if view.site == site and view.place is not None]
    return [_waits(desk, place, view) for place, view in sorted(waiting, key=lambda pair: pair[0])]


def _waits(desk: Desk, place: int, view: View) -> dict[str, Any]:
    services = desk.services
    found = services.waits.in_line(services, view)
    return {
        "place": place,
        "outlet": view.outlet,
        "number": view.number,
        "session": view.session,
        "paused": view.paused,
        "paid": desk.span(max(0.0, services.clock.now().at - (view.opened_at or 0.0))),
        "about": waits.about(desk.lang, found.wait) if found is not None else "",
    }


def of_site(desk: Desk, site: str, drawn: Mapping[str, float]) -> str:
    """For the overview: drawn now, of what it may draw where there is a limit, and how many wait."""
    load, drawn_now = desk.services.board.loads.get(site_key(site)), desk.power(drawn.get(site_key(site), 0.0))
    if load is None:
        return desk.t("limits.drawing", drawn=drawn_now)
    now = desk.t("limits.now", drawn=drawn_now, limit=desk.power(load.limit_w))
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
