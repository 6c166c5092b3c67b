"""The house: sites with their prices, and the staff."""

import re
import secrets
from typing import Any, Final

from fastapi import APIRouter, Request
from msgspec import to_builtins
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import Response

from api.pages import words
from api.pages.console.desk import ROLES, Desk
from api.pages.console.entry import person_of
from api.pages.console.forms import ANY, carried_out, decided, desk_of, missing, need, stamped, text_of, texts_of
from api.pages.console.listing import DEFAULT_ZONE
from api.pages.console.money import whole_of
from api.people import Person, save_staff
from controller.core.errors import Refused
from controller.core.events import Change, Event, StaffChange
from controller.core.tariff import DAY_MIN, Band, Tariff, check
from controller.records import SiteRow

router = APIRouter()

BANDS_MOST: Final = 8
PRICE_PLACES: Final = 4  # a price is whole 1/100 fen per kWh
TIME: Final = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)", re.ASCII)
ONE_BAND: Final = {"name": "", "from_": "00:00", "to": "24:00", "energy": "", "service": ""}
NO_BAND: Final = {"name": "", "from_": "", "to": "", "energy": "", "service": ""}


# -- sites --------------------------------------------------------------------------------------------------------


@router.get("/console/sites", dependencies=[ANY])
def sites(request: Request) -> Response:
    return sites_page(desk_of(request))


def sites_page(desk: Desk, problem: str = "", status: int = 200) -> Response:
    outlets = [row.site_id for row in desk.services.queries.outlets(desk.sites)]
    rows = [_site(desk, row, outlets.count(row.id)) for row in desk.services.queries.sites(desk.sites)]
    return desk.page("sites", status, problem, here="sites", sites=rows)


def _site(desk: Desk, row: SiteRow, outlets: int) -> dict[str, Any]:
    prices = sorted({band.energy_price + band.service_price for band in row.tariff.bands})
    least, most = desk.price(prices[0]), desk.price(prices[-1])
    shown = desk.t("per_kwh", price=least if least == most else f"{least}–{most}")
    site = {"id": row.id, "name": row.name, "zone": row.zone, "merchant_id": row.merchant_name}
    return {**site, "prices": shown, "outlets": outlets}


@router.get("/console/sites/new", dependencies=[need("new_site")])
def new_site_page(request: Request) -> Response:
    desk = desk_of(request)
    form = {"name": "", "zone": DEFAULT_ZONE, "merchant": desk.services.provider_merchant}
    return desk.page("site", here="sites", form={**form, "bands": [ONE_BAND, *[NO_BAND] * 3]})


@router.post("/console/sites/new", dependencies=[need("new_site")])
async def new_site(request: Request) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event:
        names = {name: text_of(form, name, 64) for name in ("name", "zone", "merchant")}
        if not names["name"] or not names["merchant"]:
            raise Refused("name_missing")
        values: dict[str, object] = {**names, "bands": to_builtins(bands_of(form, names["zone"]))}
        return StaffChange(**base, by=desk.by, change=Change.SITE, subject=secrets.token_hex(8), values=values)

    def again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
        typed = {name: text_of(form, name, 64) for name in ("name", "zone", "merchant")}
        return desk.page("site", status, problem, here="sites", form={**typed, "bands": _typed(form)})

    return await decided(request, make, again, "/console/sites", "site")


@router.post("/console/sites/{site_id}", dependencies=[need("site")])
async def rename(request: Request, site_id: str) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        site = _seen(desk, site_id)
        if site is None:
            return None
        name = text_of(form, "name", 64)
        if not name:
            raise Refused("name_missing")
        values: dict[str, object] = {"name": name, "zone": site.zone, "merchant": site.merchant_id}
        return StaffChange(**base, by=desk.by, change=Change.SITE, subject=site.id, values=values)

    def again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
        return sites_page(desk, problem, status)

    return await decided(request, make, again, "/console/sites", "rename")


def _seen(desk: Desk, site_id: str) -> SiteRow | None:
    return desk.services.queries.site(site_id) if desk.sees(site_id) else None


# -- prices -------------------------------------------------------------------------------------------------------


@router.get("/console/sites/{site_id}/tariff", dependencies=[ANY])
def tariff(request: Request, site_id: str) -> Response:
    return tariff_page(desk_of(request), site_id)


def tariff_page(
    desk: Desk, site_id: str, problem: str = "", status: int = 200, form: dict[str, Any] | None = None
) -> Response:
    site = _seen(desk, site_id)
    if site is None:
        return missing(desk)
    bands = sorted(site.tariff.bands, key=lambda band: band.from_min)
    blank = [NO_BAND] * max(1, min(BANDS_MOST - len(bands), 4 - len(bands)))
    now = {"name": site.tariff.name, "bands": [*(_shown(band) for band in bands), *blank]}
    shown = [{**_shown(band), **_priced(desk, band), "name": desk.band(band.name)} for band in bands]
    return desk.page(
        "tariff", status, problem, here="sites", site=site, tariff=site.tariff, bands=shown, form=form or now
    )


def _shown(band: Band) -> dict[str, str]:
    return {
        "name": band.name,
        "from_": words.minute_of_day(band.from_min),
        "to": words.minute_of_day(band.to_min),
        "energy": _plain(band.energy_price),
        "service": _plain(band.service_price),
    }


def _plain(price: int) -> str:
    return words.unit_price(price).lstrip("¥")


def _priced(desk: Desk, band: Band) -> dict[str, str]:
    hours = f"{words.minute_of_day(band.from_min)}–{words.minute_of_day(band.to_min)}"
    prices = {"energy": band.energy_price, "service": band.service_price, "sum": band.energy_price + band.service_price}
    return {"hours": hours, **{name: desk.price(price) for name, price in prices.items()}}


@router.post("/console/sites/{site_id}/tariff", dependencies=[need("tariff")])
async def new_tariff(request: Request, site_id: str) -> Response:
    def make(desk: Desk, form: FormData, base: dict[str, Any]) -> Event | None:
        site = _seen(desk, site_id)
        if site is None:
            return None
        name = text_of(form, "name", 48)
        if not name:
            raise Refused("name_missing")
        values: dict[str, object] = {"name": name, "bands": to_builtins(bands_of(form, site.zone))}
        return StaffChange(**base, by=desk.by, change=Change.TARIFF, subject=site.id, values=values)

    def again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
        typed = {"name": text_of(form, "name", 48), "bands": _typed(form)}
        return tariff_page(desk, site_id, problem, status, typed)

    return await decided(request, make, again, f"/console/sites/{site_id}/tariff", "tariff")


def _fields(form: FormData) -> list[tuple[str, ...]]:
    columns = [texts_of(form, name, 24)[:BANDS_MOST] for name in ("band", "from", "to", "energy", "service")]
    return list(zip(*columns, strict=False))


def _typed(form: FormData) -> list[dict[str, str]]:
    return [dict(zip(NO_BAND, fields, strict=True)) for fields in _fields(form)] or [ONE_BAND]


def bands_of(form: FormData, zone: str) -> tuple[Band, ...]:
    """The bands as typed, empty lines left out; Refused if they could not price every Wh of every day."""
    bands = tuple(_band(*fields) for fields in _fields(form) if any(fields))
    check(Tariff(id="", name="", zone=zone, bands=bands))
    return bands


def _band(name: str, from_: str, to: str, energy: str, service: str) -> Band:
    energy_price, service_price = whole_of(energy, PRICE_PLACES), whole_of(service or "0", PRICE_PLACES)
    if energy_price is None or service_price is None:
        raise Refused("tariff_price")
    return Band(name, _minute(from_), _minute(to), energy_price, service_price)


def _minute(text: str) -> int:
    match = TIME.fullmatch(text)
    minute = int(match[1]) * 60 + int(match[2]) if match is not None else -1
    if not 0 <= minute <= DAY_MIN:
        raise Refused("tariff_time")
    return minute


# -- staff --------------------------------------------------------------------------------------------------------


@router.get("/console/staff", dependencies=[need("staff")])
def staff(request: Request) -> Response:
    return staff_page(desk_of(request))


def staff_page(desk: Desk, problem: str = "", status: int = 200, form: dict[str, Any] | None = None) -> Response:
    sites = desk.services.queries.sites()
    names = {site.id: site.name for site in sites}
    people = [
        {"id": p.id, "name": p.name, "login": p.login, "role": p.role, "disabled": p.disabled, "where": where}
        for p in desk.services.queries.staff()
        for where in [
            desk.t("all_sites") if p.role == "owner" else "、".join(names.get(s, "?") for s in p.sites) or "–"
        ]
    ]
    form = form or {"role": "manager", "sites": [site.id for site in sites]}
    return desk.page("staff", status, problem, here="staff", people=people, roles=ROLES, sites=sites, form=form)


@router.post("/console/staff", dependencies=[need("staff")])
async def new_staff(request: Request) -> Response:
    async def ask(desk: Desk, form: FormData) -> bool:
        role = text_of(form, "role", 16)
        if role not in ROLES:
            raise Refused("invalid")
        sites = tuple(texts_of(form, "sites", 64))
        person = await run_in_threadpool(person_of, form, secrets.token_hex(16), role, sites)
        if await run_in_threadpool(desk.services.queries.staff_by_login, person.login) is not None:
            raise Refused("login_taken")
        await save_staff(request, person, stamped(request, form)["key"], desk.by)
        return True

    return await carried_out(request, ask, _staff_again, "/console/staff", "staff")


def _staff_again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
    typed: dict[str, Any] = {name: text_of(form, name, 64) for name in ("name", "login", "role")}
    return staff_page(desk, problem, status, {**typed, "sites": texts_of(form, "sites", 64)})


@router.post("/console/staff/{staff_id}/disable", dependencies=[need("staff")])
async def disable(request: Request, staff_id: str) -> Response:
    return await _set_disabled(request, staff_id, True)


@router.post("/console/staff/{staff_id}/enable", dependencies=[need("staff")])
async def enable(request: Request, staff_id: str) -> Response:
    return await _set_disabled(request, staff_id, False)


async def _set_disabled(request: Request, staff_id: str, disabled: bool) -> Response:
    async def ask(desk: Desk, form: FormData) -> bool:
        row = await run_in_threadpool(desk.services.queries.staff_one, staff_id)
        if row is None:
            return False
        if row.id == desk.me.id:
            raise Refused("not_yourself")
        person = Person(row.id, row.login, row.name, row.password_hash, row.role, tuple(row.sites), disabled)
        await save_staff(request, person, stamped(request, form)["key"], desk.by)
        return True

    def again(desk: Desk, form: FormData, problem: str, status: int) -> Response:
        return staff_page(desk, problem, status)

    return await carried_out(request, ask, again, "/console/staff", "disable" if disabled else "enable")
