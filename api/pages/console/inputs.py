"""Inputs of piles (smoke, flood, emergency), and sites that are cut: what they show, what they mean, and letting go."""

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from api.pages.console.desk import Desk
from api.pages.console.forms import ANY, decided, desk_of, need, switched, text_of
from api.pages.console.story import person
from controller.core.contacts import INPUTS_MAX
from controller.core.events import Change, Event, SiteCutAsked, StaffChange
from controller.core.reasons import StopReason
from controller.records import PileRow, SiteRow

router = APIRouter()

TONES: Final = {"active": ("red", "cut"), "lost": ("amber", "offline"), "calm": ("grey", "check")}


@router.get("/console/inputs", dependencies=[ANY])
def inputs(request: Request) -> Response:
    return inputs_page(desk_of(request))


def inputs_page(desk: Desk, problem: str = "", status: int = 200) -> Response:
    queries = desk.services.queries
    piles: dict[str, list[dict[str, Any]]] = {}
    for pile in queries.piles(desk.sites):
        piles.setdefault(pile.site_id, []).append(_pile(desk, pile))
    sites = [_site(desk, site, piles.get(site.id, [])) for site in queries.sites(desk.sites)]
    return desk.page("inputs", status, problem, here="inputs", sites=sites)


def _site(desk: Desk, site: SiteRow, piles: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": site.id, "name": site.name, "piles": piles, "cut": cut_of(desk, site.id, site.zone)}


def cut_of(desk: Desk, site: str, zone: str) -> dict[str, str] | None:
    """Who cut it, when and why, while nobody has released it; out of memory, so also without the records."""
    cut = desk.services.board.cuts.get(site)
    if cut is None:
        return None
    by = desk.t("by.input") if cut.by.startswith("input:") else person(desk, cut.by)
    why = "" if cut.why is StopReason.SITE_CUT else desk.reason(str(cut.why))
    return {"by": by, "at": desk.when(cut.at, zone), "why": why}


def _pile(desk: Desk, pile: PileRow) -> dict[str, Any]:
    shown = {view.number: view for view in desk.services.board.inputs.get(pile.id, ())}
    wired = {int(number): one for number, one in (pile.inputs or {}).items()}
    last = min(max([0, *shown, *wired]) + 1, INPUTS_MAX)  # one more than was ever heard of
    numbers = [_line(desk, number, wired.get(number, {}), shown.get(number)) for number in range(1, last + 1)]
    return {"id": pile.id, "name": pile.name, "model": pile.model, "lines": numbers}


def _line(desk: Desk, number: int, wired: dict[str, str], view: Any) -> dict[str, Any]:
    state = view.state if view is not None else ("lost" if wired else "")
    tone, mark = TONES.get(state, ("grey", ""))
    on = None if view is None else view.on
    shows = "" if on is None else desk.t("input.shows.closed" if on else "input.shows.open")
    word = desk.t(f"input.state.{state}") if wired else ""
    choices = {name: wired.get(name, "") for name in ("kind", "scope", "normally")}
    return {"number": number, "word": word, "tone": tone, "mark": mark, "shows": shows, **choices}


# -- changing it --------------------------------------------------------------------------------------------------


@router.post("/console/piles/{pile}/inputs", dependencies=[need("inputs")])
async def wire(request: Request, pile: str) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        row = desk.services.queries.pile(pile)
        if row is None or not desk.sees(row.site_id):
            return None
        return StaffChange(**base, by=desk.by, change=Change.INPUTS, subject=pile, values={"inputs": _wired(form)})

    return await decided(request, make, _again, "/console/inputs", "inputs")


def _wired(form: FormData) -> dict[str, dict[str, str]]:
    """A line without a kind means nothing; a button is of its whole site whatever the line says."""
    wired: dict[str, dict[str, str]] = {}
    for number in map(str, range(1, INPUTS_MAX + 1)):
        kind = text_of(form, f"kind{number}", 16)
        if kind:
            scope = "site" if kind == "emergency" else text_of(form, f"scope{number}", 8)
            wired[number] = {"kind": kind, "scope": scope, "normally": text_of(form, f"normally{number}", 8)}
    return wired


def _again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
    return inputs_page(desk, problem, status)


@router.post("/console/sites/{site_id}/release", dependencies=[need("release_site")])
async def release(request: Request, site_id: str) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        if not desk.sees(site_id):
            return None
        return StaffChange(**base, by=desk.by, change=Change.RELEASE_SITE, subject=site_id, values={})

    return await switched(request, make, _again, "/console", "release_site")


@router.post("/console/sites/{site_id}/cut", dependencies=[need("site_cut")])
async def cut(request: Request, site_id: str) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        if not desk.sees(site_id) or not any(view.site == site_id for view in desk.services.board.views.values()):
            return None
        return SiteCutAsked(**base, site=site_id, by=desk.by)

    def again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
        return desk.page("sorry", status, title=desk.t("do.site_cut"), text=problem, here="overview")

    return await switched(request, make, again, "/console", "site_cut")
