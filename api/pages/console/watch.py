"""Alarms, the audit with the proof of its chain, and the list of what to do first."""

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.pages.console.alarms import said
from api.pages.console.audited import Audited
from api.pages.console.desk import Desk
from api.pages.console.forms import ANY, desk_of, need
from api.pages.console.listing import CHUNK, PER_PAGE, page_of, paging, zone_of
from api.pages.console.story import person
from controller.core.load import pile_key, site_key
from controller.records import AuditRow
from controller.rows import GENESIS, audit_hash

router = APIRouter()

CHECKED_MOST: Final = 5_000  # a page must not read years; `anchong ledger check` does


@router.get("/console/alarms", dependencies=[ANY])
def alarms(request: Request) -> Response:
    desk = desk_of(request)
    state = request.query_params.get("state", "")
    listed = desk.services.queries.alarms(
        desk.sites, open_only=state == "open", limit=PER_PAGE, offset=page_of(desk) * PER_PAGE
    )
    zone = zone_of(desk)
    names = _feeders(desk)
    rows = [
        {
            "when": desk.when(row.at, zone),
            "what": desk.alarm(row.kind),
            "next": "" if row.cleared_at else desk.alarm_next(row.kind),
            "outlet_id": row.outlet_id if row.number is not None else "",
            "place": desk.t("outlet.title", number=row.number),
            "feeder": names.get(row.outlet_id, ""),
            "evidence": said(desk, row.kind, row.evidence, is_open=row.cleared_at is None),
            "cleared": _cleared(desk, row.cleared_at, row.cleared_by, zone),
        }
        for row in listed.rows
    ]
    return desk.page("alarms", here="alarms", rows=rows, page=paging(desk, listed), f={"state": state})


def _feeders(desk: Desk) -> dict[str, str]:
    """An alarm of too much power, or of an input, names a site, a pile or that input where others name an outlet."""
    queries = desk.services.queries
    piles = {pile_key(row.id): row.name for row in queries.piles(desk.sites)}
    inputs = {
        key: desk.t("input.of", number=number, pile=row.name)
        for row in queries.piles(desk.sites)
        for number in row.inputs or ()
        for key in (f"input:{row.id}:{number}", f"input:{row.id}:{number}:lost")
    }
    return {site_key(row.id): row.name for row in queries.sites(desk.sites)} | piles | inputs


def _cleared(desk: Desk, at: float | None, by: str | None, zone: str) -> str:
    if at is None:
        return ""
    return desk.t("alarm.cleared_by", name=person(desk, by or ""), when=desk.when(at, zone))


# -- audit --------------------------------------------------------------------------------------------------------


@router.get("/console/audit", dependencies=[need("audit")])
def audit(request: Request) -> Response:
    desk = desk_of(request)
    listed = desk.services.queries.audit(desk.sites, limit=PER_PAGE, offset=page_of(desk) * PER_PAGE)
    zone = zone_of(desk)
    audited = Audited(desk)
    rows = [audited.row(row, zone) for row in listed.rows]
    return desk.page("audit", here="audit", rows=rows, page=paging(desk, listed), chain=chain(desk))


def chain(desk: Desk) -> dict[str, int]:
    """Whether the newest rows still say what their hashes were made from; `broken_at` is the first that does not."""
    count, later = 0, None
    for row in _newest(desk):
        if later is not None and not _follows(later, row.hash):
            return {"count": count, "broken_at": later.id}
        count, later = count + 1, row
    if later is not None and count < CHECKED_MOST and not _follows(later, GENESIS):
        return {"count": count, "broken_at": later.id}
    return {"count": count, "broken_at": 0}


def _follows(row: AuditRow, previous: str) -> bool:
    return row.hash == audit_hash(previous, row.at, row.by, row.what, row.subject, row.body)


def _newest(desk: Desk) -> list[AuditRow]:
    """Newest first, each once, though rows are added meanwhile."""
    rows: dict[int, AuditRow] = {}
    while len(rows) < CHECKED_MOST:
        more = desk.services.queries.audit(None, limit=CHUNK, offset=len(rows)).rows
        rows |= {row.id: row for row in more}
        if len(more) < CHUNK:
            break
    return [rows[number] for number in sorted(rows, reverse=True)]


# -- what to do first ---------------------------------------------------------------------------------------------


@router.get("/console/start", dependencies=[ANY])
def start(request: Request) -> Response:
    desk = desk_of(request)
    return desk.page("start", here="start", steps=_steps(desk))


def _steps(desk: Desk) -> list[dict[str, Any]]:
    queries = desk.services.queries
    outlets = queries.outlets(desk.sites)
    first = outlets[0].id if outlets else ""
    proven = next((row.id for row in outlets if row.commissioned_at is not None), "")
    of_outlet = f"/console/outlets/{proven or first}" if outlets else ""
    served = queries.sessions(desk.sites, phase="settled", limit=1).total > 0
    done = (
        ("staff", len(queries.staff()) > 1, "/console/staff" if desk.may("staff") else ""),
        ("site", bool(queries.sites(desk.sites)), "/console/sites/new" if desk.may("new_site") else "/console/sites"),
        ("tariff", bool(queries.sites(desk.sites)), "/console/sites"),
        ("adopt", bool(outlets), "/console/found"),
        ("commission", bool(proven), of_outlet),
        ("open", any(row.phase == "open" for row in outlets), of_outlet),
        ("sticker", served or any(row.phase == "open" for row in outlets), "/console/stickers" if outlets else ""),
        ("charge", served, "/console/stickers" if outlets else ""),
    )
    now = next((name for name, ready, _ in done if not ready and name != "staff"), "")
    return [
        {"name": name, "state": "done" if ready else "now" if name == now else "todo", "href": href}
        for name, ready, href in done
    ]
