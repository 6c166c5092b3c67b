"""Card readers: how each is, and the cards swiped there that nobody knows yet, to be enrolled with one click."""

import zlib
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.card_numbers import Forms, forms
from api.pages.console.desk import Desk
from api.pages.console.forms import ANY, desk_of
from api.pages.console.listing import zone_of
from api.pages.console.live import live
from controller.ports import Standing, Swipe
from controller.views import View

router = APIRouter()

TONES: Final = {"reads": ("grey", "check"), "silent": ("amber", "offline"), "gone": ("red", "offline")}
FORMS: Final = Forms.__struct_fields__


@router.get("/console/readers", dependencies=[ANY])
def readers(request: Request) -> Response:
    desk = desk_of(request)
    seen = _seen(desk)
    swipes = [_swipe(desk, swipe) for swipe in _swipes(desk)] if desk.may("card") else None  # not theirs to see
    rows = [_row(desk, reader) for reader in seen]
    return desk.page("readers", here="readers", readers=rows, swipes=swipes, forms=FORMS, version=_version(desk))


@router.get("/console/readers/live", dependencies=[ANY])
def readers_live(request: Request) -> Response:
    desk = desk_of(request)
    return live(desk, lambda: {"version": _version(desk)})


def _version(desk: Desk) -> str:
    """Another one whenever the page would be; it tells nobody whose card it was."""
    swiped = [swipe.number for swipe in _swipes(desk)]
    return f"{zlib.crc32(repr((_seen(desk), swiped)).encode()):08x}"


def _seen(desk: Desk) -> list[Standing]:
    """Those that serve a site of whoever looks; who sees all sites also sees a reader that serves nothing."""
    standing = desk.services.readers.standing() if desk.services.readers is not None else ()
    return [
        reader for reader in standing if desk.sites is None or any(desk.sees(v.site) for v in _served(desk, reader))
    ]


def _swipes(desk: Desk) -> list[Swipe]:
    here = {reader.name for reader in _seen(desk)}
    swiped = desk.services.readers.unknown() if desk.services.readers is not None else ()
    return [swipe for swipe in swiped if swipe.reader in here]


def _served(desk: Desk, reader: Standing) -> list[View]:
    views = desk.services.board.views
    if reader.pile:
        return views.of_pile(reader.pile)
    view = views.get(reader.outlet)
    return [] if view is None else [view]


def _row(desk: Desk, reader: Standing) -> dict[str, Any]:
    tone, mark = TONES[reader.state]
    faults = [
        {"name": desk.or_plain(f"reader.fault.{kind}", kind), "count": count}
        for kind, count in sorted(reader.faults.items())
    ]
    state = {"word": desk.t(f"reader.state.{reader.state}"), "tone": tone, "mark": mark}
    plain = {"name": reader.name, "device": reader.device or reader.kind, "port": reader.port, "swipes": reader.swipes}
    return {**plain, "state": state, "serves": _serves(desk, reader), "faults": faults}


def _serves(desk: Desk, reader: Standing) -> str:
    served = _served(desk, reader)
    if not served:
        return desk.t("reader.serves.nothing", id=reader.outlet or reader.pile)
    if reader.outlet:
        return desk.t("reader.serves.outlet", number=served[0].number)
    pile = desk.services.queries.pile(reader.pile)
    return desk.t("reader.serves.pile", name=reader.pile if pile is None else pile.name)


def _swipe(desk: Desk, swipe: Swipe) -> dict[str, Any]:
    numbers = forms(swipe.uid)
    at = desk.when(swipe.at, zone_of(desk))
    return {"number": swipe.number, "reader": swipe.reader, "at": at, "forms": {f: getattr(numbers, f) for f in FORMS}}


def form_of(desk: Desk) -> dict[str, str]:
    """The new card's form, filled from the swipe that the address names by its place alone: no card's number is to
    stand in an address. The form is shown to who may enrol cards alone."""
    query = desk.request.query_params
    swipe = next((one for one in _swipes(desk) if str(one.number) == query.get("swipe")), None)
    if swipe is None:
        return {}
    printed = query.get("printed", "")
    return {"uid": swipe.uid, "printed": getattr(forms(swipe.uid), printed) if printed in FORMS else ""}
