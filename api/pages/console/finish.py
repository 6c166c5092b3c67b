"""The finish detector's settings: what holds, what past charges suggest, trying others, and a person's yes or no."""

import secrets
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from msgspec import structs
from starlette.datastructures import FormData
from starlette.responses import Response

from api.pages import words
from api.pages.console.desk import Desk
from api.pages.console.forms import ANY, decided, desk_of, missing, need, text_of
from api.trials import suggestion_of, trial_of
from controller.core.chargers import SETTABLE, checked, setting_of
from controller.core.errors import Refused
from controller.core.events import Change, Event, StaffChange
from controller.core.suggest import PAST_MAX, Suggestion, Trial
from controller.garage import ChargerRow
from controller.paging import Turn
from controller.records import SiteRow

router = APIRouter()

SHOWN_MOST: Final = 20  # charges of a trial, the most changed first
SUMS: Final = ("sooner", "later", "early_cuts", "held")


@router.get("/console/sites/{site}/finish", dependencies=[ANY])
def finish(request: Request, site: str) -> Response:
    desk = desk_of(request)
    try:
        return finish_page(desk, site)
    except Refused as refused:
        return finish_page(desk, site, desk.refusal(refused), 409, look=False)


def finish_page(desk: Desk, site: str, problem: str = "", status: int = 200, look: bool = True) -> Response:
    row = _seen(desk, site)
    if row is None:
        return missing(desk)
    rules = desk.services.queries.garage.finish(site)
    trial, advice = _looked(desk, site) if look and desk.may("try_finish") else (None, None)
    shown = {name: desk.request.query_params.get(name, "") for name in SETTABLE} if trial is None else trial.rules
    return desk.page(
        "finish",
        status,
        problem,
        here="sites",
        site=row,
        settings=[_setting(desk, name, rules, shown) for name in SETTABLE],
        rules=rules,
        most=PAST_MAX,
        advice=advice,
        trial=None if trial is None else _shown(desk, trial),
        models=[_model(desk, model) for model in desk.services.queries.garage.chargers([site])],
    )


def _seen(desk: Desk, site: str) -> SiteRow | None:
    return desk.services.queries.site(site) if desk.sees(site) else None


def _setting(desk: Desk, name: str, rules: Mapping[str, float], typed: Mapping[str, object]) -> dict[str, str]:
    least, most = SETTABLE[name]
    now = f"{rules[name]:g}" if name in rules else ""
    new = typed.get(name, "")
    return {
        "name": name,
        "label": desk.t(f"setting.{name}"),
        "default": f"{setting_of(name):g}",
        "now": now,
        "bounds": f"{least:g}–{most:g}",
        "new": f"{new:g}" if isinstance(new, float) else str(new) or now,
    }


# -- looking ------------------------------------------------------------------------------------------------------


def _looked(desk: Desk, site: str) -> tuple[Trial | None, str | None]:
    """What a look at the past was asked for: a suggestion, or settings that were typed."""
    wanted = desk.request.query_params.get("look", "")
    if wanted == "suggest":
        past, found = suggestion_of(desk.request, site)
        return (None, desk.t("finish.none.why", count=len(past))) if found is None else (found.trial, _why(desk, found))
    if wanted != "try":
        return None, None
    return trial_of(desk.request, site, checked(_typed(desk.request.query_params))), None


def _why(desk: Desk, found: Suggestion) -> str:
    trial = found.trial
    count = trial.late if found.why == "late" else trial.again
    return desk.t(f"finish.{found.why}", count=count, charges=trial.charges)


def _typed(fields: Mapping[str, Any]) -> dict[str, float]:
    """What stands in a form's fields; an empty one is the default."""
    given = {name: str(fields.get(name, "")).strip()[:16] for name in SETTABLE}
    try:
        return {name: float(text) for name, text in given.items() if text}
    except ValueError as error:
        raise Refused("finish_rules", "a setting is a number") from error


def _shown(desk: Desk, trial: Trial) -> dict[str, Any]:
    counts = [(name, getattr(trial, name)) for name in SUMS]
    sums = [desk.t(f"finish.{name}", count=count, minutes=f"{trial.sooner_min:g}") for name, count in counts if count]
    changes = sorted(trial.changes, key=lambda change: (not change.early, change.now_s or 0.0))[:SHOWN_MOST]
    return {
        "rules": {name: f"{value:g}" for name, value in trial.rules.items()},
        "result": desk.t("finish.result", charges=trial.charges),
        "sums": sums or [desk.t("finish.same")],
        "bad": trial.early_cuts > 0,
        "changes": [
            {
                "session": change.session,
                "bill": words.bill_number(change.session),
                "was": desk.span(change.was_s),
                "now": desk.t("finish.not_cut") if change.now_s is None else desk.span(change.now_s),
                "early": change.early,
            }
            for change in changes
        ],
    }


def _model(desk: Desk, row: ChargerRow) -> dict[str, Any]:
    tone = {"approved": "green", "suggested": "amber"}.get(row.state, "grey")
    rules = [f"{desk.t(f'setting.{name}')} {value:g}" for name, value in row.rules.items() if name in SETTABLE]
    word = desk.t(f"word.state.{row.state}")
    return {"id": row.id, "name": row.name, "state": row.state, "word": word, "tone": tone, "rules": rules}


# -- deciding -----------------------------------------------------------------------------------------------------


@router.post("/console/sites/{site}/finish", dependencies=[need("finish")])
async def approve(request: Request, site: str) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        if _seen(desk, site) is None:
            return None
        values = _tried(request, site, checked(_typed(form)))
        return StaffChange(**base, by=desk.by, change=Change.FINISH, subject=site, values=values)

    return await decided(request, make, _again(site), f"/console/sites/{site}/finish", "finish")


def _tried(request: Request, site: str, rules: dict[str, float]) -> dict[str, object]:
    """What was approved, and what it would have done: tried anew, so that the audit log has nobody's word for it."""
    trial = structs.asdict(trial_of(request, site, rules))
    return {"rules": rules, "evidence": {name: trial[name] for name in ("charges", *SUMS, "sooner_min")}}


@router.post("/console/sites/{site}/finish/withdraw", dependencies=[need("finish")])
async def withdraw(request: Request, site: str) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        if _seen(desk, site) is None:
            return None
        return StaffChange(**base, by=desk.by, change=Change.FINISH, subject=site, values={"rules": {}})

    return await decided(request, make, _again(site), f"/console/sites/{site}/finish", "finish_off")


@router.post("/console/sites/{site}/chargers", dependencies=[need("try_finish")])
async def add_model(request: Request, site: str) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        if _seen(desk, site) is None:
            return None
        name = text_of(form, "name", 64)
        if not name:
            raise Refused("name_missing")
        values = {"site": site, "name": name, **_tried(request, site, checked(_typed(form)))}
        return StaffChange(**base, by=desk.by, change=Change.CHARGER, subject=secrets.token_hex(16), values=values)

    return await decided(request, make, _again(site), f"/console/sites/{site}/finish", "charger")


@router.post("/console/chargers/{charger}/approve", dependencies=[need("finish")])
async def approve_model(request: Request, charger: str) -> Response:
    return await _stated(request, charger, "approved")


@router.post("/console/chargers/{charger}/withdraw", dependencies=[need("finish")])
async def withdraw_model(request: Request, charger: str) -> Response:
    return await _stated(request, charger, "withdrawn")


async def _stated(request: Request, charger: str, state: str) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        if _model_seen(desk, charger) is None:
            return None
        values: dict[str, object] = {"state": state}
        return StaffChange(**base, by=desk.by, change=Change.CHARGER, subject=charger, values=values)

    return await _about(request, charger, make, f"charger_{state}")


@router.post("/console/chargers/{charger}/card", dependencies=[need("finish")])
async def card_has_model(request: Request, charger: str) -> Response:
    """A card is a bike: its number is what staff can read."""

    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        model, number = _model_seen(desk, charger), text_of(form, "card", 64)
        if model is None:
            return None
        cards = [row for row in desk.services.queries.lists.cards(Turn(), search=number).rows if row.printed == number]
        if len(cards) != 1:
            raise Refused("card_unknown")
        values: dict[str, object] = {"charger": charger, "site": model.site_id}
        return StaffChange(**base, by=desk.by, change=Change.BIKE, subject=cards[0].party_id, values=values)

    return await _about(request, charger, make, "bike")


async def _about(request: Request, charger: str, make: Any, done: str) -> Response:
    model = desk_of(request).services.queries.garage.charger(charger)
    site = "" if model is None else model.site_id
    return await decided(request, make, _again(site), f"/console/sites/{site}/finish", done)


def _model_seen(desk: Desk, charger: str) -> ChargerRow | None:
    model = desk.services.queries.garage.charger(charger)
    return model if model is not None and desk.sees(model.site_id) else None


def _again(site: str) -> Any:
    def again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
        return finish_page(desk, site, problem, status, look=False)

    return again
