"""The overview: the strip of figures, and every outlet as a tile by pile, live."""

from collections import Counter
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.pages.console import inputs, limits
from api.pages.console.desk import Desk
from api.pages.console.forms import ANY, desk_of
from api.pages.console.listing import today, today_at, zone_of
from api.pages.console.live import News, live
from api.pages.console.states import State, state_of, view_of
from controller.records import Overview
from controller.views import View

router = APIRouter()

ATTENTION: Final = ("cut", "fault", "offline", "locked")


@router.get("/console", dependencies=[ANY])
def overview(request: Request) -> Response:
    desk = desk_of(request)
    queries = desk.services.queries
    rows = queries.outlets(desk.sites)
    views = [view_of(desk.services.board, row) for row in rows]
    tiles: dict[str, list[dict[str, Any]]] = {}
    for view in views:
        tiles.setdefault(view.pile, []).append(_tile(desk, view))
    piles: dict[str, list[dict[str, Any]]] = {}
    for pile in queries.piles(desk.sites):
        entry = {"id": pile.id, "name": pile.name, "model": pile.model, "tiles": tiles.get(pile.id, [])}
        piles.setdefault(pile.site_id, []).append(entry)
    drawn = limits.drawn_by(views)
    sites = [
        {
            "id": s.id,
            "name": s.name,
            "load": limits.of_site(desk, s.id, drawn),
            "piles": piles.get(s.id, []),
            "cut": inputs.cut_of(desk, s.id, s.zone),
        }
        for s in queries.sites(desk.sites)
    ]
    strip = _strip(desk, views, _sums(desk))
    return desk.page("overview", here="overview", sites=sites, strip=strip, version=_version(desk, views))


@router.get("/console/live", dependencies=[ANY])
def overview_live(request: Request) -> Response:
    desk = desk_of(request)
    known = {row.id: row for row in desk.services.queries.outlets(desk.sites)}

    def look() -> News:
        views = [view_of(desk.services.board, row) for row in known.values()]
        text: dict[str, str] = {}
        state: dict[str, list[str]] = {}
        for view in views:
            tile = _tile(desk, view)
            text |= {f"{view.outlet}:{name}": tile[name] for name in ("word", "power", "since")}
            state[view.outlet] = [tile["state"].name, tile["state"].tone]
        drawn = limits.drawn_by(views)
        text |= {f"load:{site}": limits.of_site(desk, site, drawn) for site in {view.site for view in views}}
        text |= {f"strip:{f['name']}": f["value"] for f in _counts(desk, views)}
        return {"text": text, "state": state, "version": _version(desk, views)}

    return live(desk, look)


def _version(desk: Desk, views: list[View]) -> str:
    """The strip's sums are read anew when a session has begun or ended."""
    live_sessions = sum(1 for view in views if view.session is not None)
    cuts = ",".join(sorted(desk.services.board.cuts))
    return f"{len(views)}-{live_sessions}-{sum(1 for view in views if view.latch)}-{cuts}"


def _tile(desk: Desk, view: View) -> dict[str, Any]:
    state = state_of(view)
    return {
        "id": view.outlet,
        "number": view.number,
        "state": state,
        "word": desk.t(f"state.{state.name}"),
        "power": desk.power(view.power_w) if view.session is not None and view.linked and view.place is None else "",
        "since": since(desk, view, state) if view.place is None else desk.t("since.queued", place=view.place),
    }


def since(desk: Desk, view: View, state: State) -> str:
    """How long it has been so, or what is missing."""
    if view.session is not None:
        return desk.span(max(0.0, desk.services.clock.now().at - (view.started_at or view.opened_at or 0.0)))
    if state.name == "fault":
        return desk.alarm(view.latch or "")
    return desk.t(f"since.{state.name}")


def _sums(desk: Desk) -> Overview:
    since_at = today_at(desk.services.clock.now().at, zone_of(desk))
    return desk.services.queries.overview(since_at, desk.sites)


def _counts(desk: Desk, views: list[View]) -> list[dict[str, str]]:
    states = Counter(state_of(view).name for view in views)
    attention = sum(states[name] for name in ATTENTION)
    return [
        _figure("charging", str(states["charging"] + states["starting"]), "charging", "/console"),
        _figure("free", str(states["free"]), "free", "/console"),
        _figure("faults", str(attention), "fault", "/console/alarms?state=open", "red" if attention else ""),
        _figure("load", desk.power(sum(limits.drawn_w(view) for view in views)), "metering", "/console"),
    ]


def _strip(desk: Desk, views: list[View], sums: Overview) -> list[dict[str, str]]:
    day = today(desk)
    of_today = f"/console/sessions?from={day}&to={day}"
    figures = [
        *_counts(desk, views),
        _figure("energy", desk.energy(sums.energy_wh), "bolt", of_today),
    ]
    if desk.may("money"):
        stuck = "amber" if sums.refunds_stuck else ""
        figures += [
            _figure("takings", desk.yuan(sums.takings_fen), "money", of_today),
            _figure(
                "refunds",
                desk.yuan(sums.refunds_due_fen),
                "back",
                "/console/refunds?state=due" if not stuck else "/console/refunds",
                stuck,
            ),
        ]
    alarms = _figure("alarms", str(sums.alarms_open), "alarm", "/console/alarms?state=open")
    return [*figures, {**alarms, "tone": "red" if sums.alarms_open else ""}]


def _figure(name: str, value: str, icon: str, href: str, tone: str = "") -> dict[str, str]:
    return {"name": name, "value": value, "icon": icon, "href": href, "tone": tone}
