"""Sessions: the list, and one session's story with its curve, evidence, bill and money."""

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.datastructures import FormData
from starlette.responses import Response

from api import curve, evidence
from api.pages import pauses, words
from api.pages import why as explain
from api.pages.console.desk import Desk
from api.pages.console.forms import ANY, decided, desk_of, missing, need, switched, text_of
from api.pages.console.listing import PER_PAGE, bill_of, days_of, every, exported, page_of, paging
from api.pages.console.live import News, live
from api.pages.console.states import CHARGING, OF_SESSION, tone_of_end
from api.pages.console.story import evidence_of, moments_of, transfers_of, why
from api.services import services_of
from controller.core.events import PlugAnswered, StopAsked
from controller.core.reasons import StopReason
from controller.records import Listed, SessionDetail, SessionRow
from controller.views import View

router = APIRouter()
PHASES = (*OF_SESSION, "settled")
COLUMNS = ("session", "site", "outlet", "opened", "lasted_s", "reason", "energy_wh", "held_fen", "bill_fen", "back_fen")


# -- the list -----------------------------------------------------------------------------------------------------


@router.get("/console/sessions", dependencies=[ANY])
def sessions(request: Request) -> Response:
    desk = desk_of(request)
    listed = _listed(desk, PER_PAGE, page_of(desk) * PER_PAGE)
    return desk.page(
        "sessions",
        here="sessions",
        rows=[row_of(desk, row) for row in listed.rows],
        page=paging(desk, listed),
        f=_filters(desk),
        phases=PHASES,
        reasons=[(str(reason), desk.reason(reason)) for reason in StopReason],
        sites=desk.services.queries.sites(desk.sites),
    )


@router.get("/console/sessions.csv", dependencies=[need("export")])
def sessions_csv(request: Request) -> Response:
    desk = desk_of(request)
    return exported("sessions", _exported(desk), COLUMNS)


def _exported(desk: Desk) -> Iterator[dict[str, object]]:
    for row in every(lambda limit, offset: _listed(desk, limit, offset)):
        yield {
            "session": row.id,
            "site": row.site_name,
            "outlet": row.number,
            "opened": desk.when(row.opened_at, row.zone),
            "lasted_s": round((row.off_at or row.opened_at) - (row.started_at or row.opened_at)),
            "reason": row.reason,
            "energy_wh": int(row.energy_wh),
            "held_fen": row.hold_fen,
            "bill_fen": row.bill_fen,
            "back_fen": row.returned_fen,
        }


def _filters(desk: Desk) -> dict[str, str]:
    asked_for = desk.request.query_params
    return {
        name: asked_for.get(name, "") for name in ("site", "phase", "reason", "outlet", "card", "bill", "from", "to")
    }


def _listed(desk: Desk, limit: int, offset: int) -> Listed[SessionRow]:
    f = _filters(desk)
    return desk.services.queries.sessions(
        desk.here,
        outlet=f["outlet"],
        card=f["card"],
        phase=f["phase"],
        reason=f["reason"],
        bill=bill_of(desk),
        **days_of(desk),
        limit=limit,
        offset=offset,
    )


def row_of(desk: Desk, s: SessionRow) -> dict[str, Any]:
    how, tone, mark = how_of(desk, s)
    end_at = s.off_at or s.settled_at or desk.services.clock.now().at
    return {
        "id": s.id,
        "outlet_id": s.outlet_id,
        "place": f"{s.site_name} {s.number}",
        "opened": desk.when(s.opened_at, s.zone),
        "how": how,
        "tone": tone,
        "mark": mark,
        "lasted": desk.span(end_at - s.started_at) if s.started_at is not None else "–",
        "energy": desk.energy(s.energy_wh),
        "held": desk.yuan(s.hold_fen),
        "bill": desk.yuan(s.bill_fen),
        "back": desk.yuan(s.returned_fen),
    }


def how_of(desk: Desk, s: SessionRow) -> tuple[str, str, str]:
    """Word, tone and shape: how it ended, or what it does."""
    if s.phase == "settled" and s.reason is not None:
        tone = ("amber", "queued") if "queued_s" in s.evidence else tone_of_end(s.reason)
        return why(desk, s.reason, s.evidence), *tone
    state = OF_SESSION.get(s.phase, CHARGING)
    return desk.t(f"state.{state.name}"), state.tone, state.name


# -- one session --------------------------------------------------------------------------------------------------


@router.get("/console/sessions/{session_id}", dependencies=[ANY])
def session(request: Request, session_id: str) -> Response:
    return page(desk_of(request), session_id)


def page(desk: Desk, session_id: str, problem: str = "", status: int = 200) -> Response:
    s = desk.services.queries.session(session_id)
    if s is None or not desk.sees(s.site_id):
        return missing(desk)
    how, tone, mark = how_of(desk, s)
    view = desk.services.board.by_session(s.id)
    return desk.page(
        "session",
        status,
        problem,
        here="sessions",
        s=s,
        opened=desk.when(s.opened_at, s.zone),
        how=how,
        tone=tone,
        mark=mark,
        why=why(desk, s.reason, s.evidence) if s.reason else "",
        told=_explained(desk, s),
        doubt=_doubt(desk, s, view),
        figures=_figures(desk, s, view),
        curve=drawn(desk, s),
        evidence=_evidence(desk, s),
        story=moments_of(desk, s),
        can_stop=desk.may("stop") and s.phase not in ("closing", "settled"),
        lines=_lines(desk, s),
        total=desk.yuan(s.receipt.total_fen) if s.receipt is not None else "",
        transfers=transfers_of(desk, s),
        facts=_facts(desk, s),
        version=_version(view),
    )


@router.get("/console/sessions/{session_id}/live", dependencies=[ANY])
def session_live(request: Request, session_id: str) -> Response:
    desk = desk_of(request)
    s = desk.services.queries.session(session_id)
    if s is None or not desk.sees(s.site_id):
        return missing(desk)

    def look() -> News:
        view = desk.services.board.by_session(session_id)
        text = {f"session:{f['name']}": f["value"] for f in _figures(desk, s, view)} if view is not None else {}
        return {"text": text, "version": _version(view)}

    return live(desk, look)


def _explained(desk: Desk, s: SessionDetail) -> dict[str, str]:
    """The sentence that the resident reads, and how full it probably was."""
    if s.reason is None or "queued_s" in s.evidence:
        return {}
    full = explain.how_full(s)
    said = {"why": explain.sentence(desk.lang, s.reason, s.rule, s.evidence)}
    return said if full is None else {**said, "full": desk.t("session.full", percent=explain.percents(full))}


@router.get("/console/sessions/{session_id}/evidence.zip", dependencies=[ANY])
def evidence_pack(request: Request, session_id: str) -> Response:
    desk = desk_of(request)
    s = desk.services.queries.session(session_id)
    if s is None or not desk.sees(s.site_id):
        return missing(desk)
    return evidence.download(evidence.facts(desk.services, s), desk.lang, staff=True)


@router.post("/console/sessions/{session_id}/stop", dependencies=[need("stop")])
async def stop(request: Request, session_id: str) -> Response:
    live_now = services_of(request).board.by_session(session_id)

    def event(desk: Desk, form: Any, base: dict[str, Any]) -> StopAsked | None:
        outlet, site = _place(desk, session_id) if live_now is None else (live_now.outlet, live_now.site)
        if not site or not desk.sees(site):
            return None
        return StopAsked(**base, session=session_id, outlet=outlet, by=desk.by, reason=StopReason.STOPPED_BY_STAFF)

    def again(desk: Desk, form: Any, problem: str, status: int) -> Response:
        return page(desk, session_id, problem, status)

    act = decided if live_now is None else switched  # what is live is known without the records
    return await act(request, event, again, f"/console/sessions/{session_id}", "stop")


@router.post("/console/sessions/{session_id}/plug", dependencies=[need("stop")])
async def plug(request: Request, session_id: str) -> Response:
    """For a payer who can't: somebody who stands before the outlet says whose charger it is."""

    def event(desk: Desk, form: FormData, base: dict[str, Any]) -> PlugAnswered | None:
        view = desk.services.board.by_session(session_id)
        if view is None or not desk.sees(view.site):
            return None
        mine = text_of(form, "mine") == "1"
        return PlugAnswered(**base, session=session_id, outlet=view.outlet, by=desk.by, mine=mine)

    def again(desk: Desk, form: Any, problem: str, status: int) -> Response:
        return page(desk, session_id, problem, status)

    return await switched(request, event, again, f"/console/sessions/{session_id}", "plug")


def _doubt(desk: Desk, s: SessionDetail, view: View | None) -> dict[str, Any]:
    """Why it is held now, since when, and whether somebody may answer for the payer."""
    doubt = pauses.doubt_of(desk.lang, view, s.zone)
    if doubt is None or view is None:
        return {}
    said = {"title": desk.t(f"doubt.{doubt.why}"), "held": doubt.held, "saw": doubt.saw, "why": doubt.why}
    return {**said, "ask": pauses.questioned(view) and desk.may("stop")}


def _place(desk: Desk, session_id: str) -> tuple[str, str]:
    """Outlet and site of a session that has ended; "" for none, which nobody sees."""
    s = desk.services.queries.session(session_id)
    return ("", "") if s is None else (s.outlet_id, s.site_id)


def drawn(desk: Desk, s: SessionDetail, width: int = 720, height: int = 240) -> Markup | None:
    """The curve, with a mark where we cut and why."""
    if not s.curve:
        return None
    cut = None
    if s.reason is not None and s.off_at is not None:
        cut = (max(0.0, s.off_at - (s.started_at or s.opened_at)), desk.reason(s.reason))
    points = [(row[0], row[1]) for row in s.curve]
    title = desk.t("curve.title", number=s.number)
    return Markup(curve.svg(points, width=width, height=height, cut=cut, title=title, styled=False))  # noqa: S704


def _version(view: View | None) -> str:
    """Changes when the story, or visibly the curve, has grown."""
    if view is None:
        return "over"
    return f"{view.session_phase}-{pauses.mark_of(view)}-{view.reason}-{int(view.used_wh // 5)}"


def _figures(desk: Desk, s: SessionDetail, view: View | None) -> list[dict[str, str]]:
    end_at = s.off_at or s.settled_at or desk.services.clock.now().at
    lasted = desk.span(end_at - s.started_at) if s.started_at is not None else "–"
    figures = [("energy", desk.energy(view.used_wh if view is not None else s.energy_wh)), ("lasted", lasted)]
    if view is not None:
        figures = [("power", desk.power(view.power_w) or "–"), *figures, ("cost", desk.yuan(view.cost_fen))]
        figures.append(("held", desk.yuan(s.hold_fen)))
    else:
        figures += [("held", desk.yuan(s.hold_fen)), ("bill", desk.yuan(s.bill_fen) or "–")]
        figures.append(("back", desk.yuan(s.returned_fen) or "–"))
    return [{"name": name, "value": value} for name, value in figures]


def _lines(desk: Desk, s: SessionDetail) -> list[dict[str, str]]:
    return [
        {
            "name": f"{desk.band(line['band'])} · {desk.t('line.' + line['kind'])}",
            "energy": desk.t("wh", kwh=line["wh"] / 1000),
            "price": desk.t("per_kwh", price=desk.price(line["price"])),
            "amount": desk.yuan(line["amount_fen"]),
        }
        for line in (s.receipt.lines if s.receipt is not None else [])
    ]


def _evidence(desk: Desk, s: SessionDetail) -> list[tuple[str, str]]:
    """The rule that was met first, then its figures."""
    rule = [(desk.t("figure.rule"), desk.or_plain(f"rule.{s.rule}", s.rule))] if s.rule else []
    return rule + evidence_of(desk, s.evidence)


def _facts(desk: Desk, s: SessionDetail) -> list[tuple[str, str]]:
    proof = desk.or_plain(f"proof.{s.proof}", s.proof) if s.proof else desk.t("proof.waiting")
    return [
        ("off", proof),
        ("peak", desk.power(s.peak_w)),
        ("max", desk.span(s.max_s)),
        ("tariff", s.tariff.name),
        ("paid_by", desk.t("paid_by.card" if s.card_id else "paid_by.order")),
        ("bill", words.bill_number(s.id)),
        ("session", s.id),
    ]
