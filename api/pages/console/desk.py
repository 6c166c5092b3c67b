"""What every page of the desk shares: who looks, in which words, what their role may do, and the shell around it."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request
from fastapi.templating import Jinja2Templates
from starlette.responses import Response

from api.auth import Staffer
from api.pages import words
from api.services import Services, services_of
from controller.core.errors import Refused

TEMPLATES: Final = Jinja2Templates(Path(__file__).parent.parent / "templates")
TEMPLATES.env.trim_blocks = TEMPLATES.env.lstrip_blocks = True

OWNER, MANAGER, FINANCE, MAINTAINER, AUDITOR = "owner", "manager", "finance", "maintainer", "auditor"
ROLES: Final = (OWNER, MANAGER, FINANCE, MAINTAINER, AUDITOR)

MAY: Final[dict[str, tuple[str, ...]]] = {
    "adopt": (OWNER, MAINTAINER),
    "commission": (OWNER, MAINTAINER),
    "clear_latch": (OWNER, MAINTAINER),
    "lock": (OWNER, MANAGER, MAINTAINER),
    "unlock": (OWNER, MANAGER, MAINTAINER),
    "open": (OWNER, MANAGER),
    "close": (OWNER, MANAGER),
    "name": (OWNER, MANAGER, MAINTAINER),
    "stop": (OWNER, MANAGER, MAINTAINER),
    "site_cut": (OWNER, MANAGER, MAINTAINER),
    "release_site": (OWNER, MAINTAINER),
    "inputs": (OWNER, MAINTAINER),
    "sticker": (OWNER, MANAGER, MAINTAINER),
    "card": (OWNER, MANAGER),
    "topup": (OWNER, FINANCE),
    "by_hand": (OWNER, FINANCE),
    "export": (OWNER, FINANCE),
    "site": (OWNER, MANAGER),
    "new_site": (OWNER,),
    "tariff": (OWNER, MANAGER),
    "limit": (OWNER, MANAGER),
    "finish": (OWNER, MANAGER),
    "try_finish": (OWNER, MANAGER, MAINTAINER),
    "staff": (OWNER,),
    "programs": (OWNER, MANAGER),
    "audit": (OWNER, AUDITOR),
    "upkeep": (OWNER, MAINTAINER),
    "money": (OWNER, MANAGER, FINANCE, AUDITOR),
}

# name, address, picture, what one must be allowed to do (None: everybody)
NAV: Final[tuple[tuple[str, tuple[tuple[str, str, str, str | None], ...]], ...]] = (
    ("", (("overview", "/console", "home", None), ("sessions", "/console/sessions", "list", None))),
    (
        "nav.group.money",
        (
            ("payments", "/console/payments", "money", "money"),
            ("refunds", "/console/refunds", "back", "money"),
            ("cards", "/console/cards", "card", "money"),
        ),
    ),
    (
        "nav.group.house",
        (
            ("sites", "/console/sites", "site", None),
            ("limits", "/console/limits", "bolt", None),
            ("inputs", "/console/inputs", "cut", None),
            ("readers", "/console/readers", "card", None),
            ("found", "/console/found", "found", None),
            ("stickers", "/console/stickers", "qr", None),
            ("staff", "/console/staff", "staff", "staff"),
            ("programs", "/console/programs", "plug", "programs"),
        ),
    ),
    (
        "nav.group.watch",
        (
            ("alarms", "/console/alarms", "alarm", None),
            ("audit", "/console/audit", "audit", "audit"),
            ("upkeep", "/console/upkeep", "metering", "upkeep"),
            ("start", "/console/start", "start", None),
        ),
    ),
)


class Desk:
    """Handed to every template as `desk`."""

    def __init__(self, request: Request, me: Staffer | None) -> None:
        self.services: Services = services_of(request)
        self.request = request
        self.lang = words.lang_of(request)
        self._me = me
        self.demo = self.services.demo
        self.factor = f"{self.services.factor:g}"
        self.health = self.services.board.health

    @property
    def me(self) -> Staffer:
        if self._me is None:
            raise RuntimeError("this page has nobody signed in")
        return self._me

    @property
    def csrf(self) -> str:
        return self.me.csrf

    @property
    def sites(self) -> Sequence[str] | None:
        """Whose rows may be seen; None is all."""
        return self.me.scope

    @property
    def here(self) -> Sequence[str] | None:
        """`sites`, narrowed to the one asked for in the address."""
        wanted = self.request.query_params.get("site", "")
        if not wanted:
            return self.sites
        return [wanted] if self.sites is None or wanted in self.sites else []

    def sees(self, site: str) -> bool:
        return self.me.sees(site)

    def may(self, what: str) -> bool:
        return self._me is not None and self._me.role in MAY[what]

    @property
    def by(self) -> str:
        return self.me.by

    def key(self) -> str:
        """Made when the form is drawn, so that a second sending of it is a repeat."""
        return secrets.token_hex(16)

    # -- words ----------------------------------------------------------------------------------------------------

    def t(self, key: str, **values: object) -> str:
        return words.t(self.lang, f"desk.{key}", **values)

    def or_plain(self, key: str, otherwise: str) -> str:
        """For words that come from a device or a row: what the catalogue says, else the word itself, readable."""
        return self.t(key) if words.knows(self.lang, f"desk.{key}") else otherwise.replace("_", " ")

    def reason(self, reason: str) -> str:
        return self.or_plain(f"stop.{reason}", reason)

    def alarm(self, kind: str) -> str:
        return self.t(f"alarm.{kind}") if words.knows(self.lang, f"desk.alarm.{kind}") else self.reason(kind)

    def alarm_next(self, kind: str) -> str:
        """What to do about it; "" where its name says so."""
        return self.t(f"alarm.do.{kind}") if words.knows(self.lang, f"desk.alarm.do.{kind}") else ""

    def failed(self, why: str) -> str:
        return self.t("failed.silent") if why.startswith("silent_at_") else self.or_plain(f"failed.{why}", why)

    def refusal(self, refused: Refused) -> str:
        key = f"desk.refused.{refused.code}"
        return words.t(self.lang, key if words.knows(self.lang, key) else "desk.refused.other")

    # -- figures --------------------------------------------------------------------------------------------------

    def when(self, at: float | None, zone: str) -> str:
        return "" if at is None else words.moment(self.lang, at, zone)

    def time(self, at: float, zone: str) -> str:
        return words.clock_time(at, zone)

    def span(self, seconds: float) -> str:
        return words.span(self.lang, seconds)

    def energy(self, wh: float) -> str:
        return self.t("kwh", kwh=words.kwh(wh))

    def power(self, power_w: float | None) -> str:
        return "" if power_w is None else f"{words.watts(power_w)} W"

    def yuan(self, fen: int | None) -> str:
        return "" if fen is None else words.yuan(fen)

    def price(self, price: int) -> str:
        return words.unit_price(price)

    def band(self, name: str) -> str:
        return words.band(self.lang, name)

    # -- the shell ------------------------------------------------------------------------------------------------

    @property
    def nav(self) -> list[dict[str, Any]]:
        items = [
            {"name": title, "entries": [self._item(*entry) for entry in entries if self._shown(entry[3])]}
            for title, entries in NAV
        ]
        return [group for group in items if group["entries"]]

    def _shown(self, what: str | None) -> bool:
        return what is None or self.may(what)

    def _item(self, name: str, href: str, icon: str, _what: str | None) -> dict[str, Any]:
        return {"name": name, "href": href, "icon": icon, "count": self._alarms() if name == "alarms" else 0}

    def _alarms(self) -> int:
        return self.services.queries.alarms(self.sites, limit=1).total

    @property
    def other_lang(self) -> str:
        other = "en" if self.lang == "zh" else "zh"
        kept = [(k, v) for k, v in self.request.query_params.multi_items() if k not in ("lang", "done")]
        path = self.request.url.path if self.request.method == "GET" else "/console"
        return f"{path}?{urlencode([*kept, ('lang', other)])}"

    def page(self, template: str, status: int = 200, problem: str = "", **values: Any) -> Response:
        done = self.request.query_params.get("done", "")
        said = self.or_plain(f"done.{done}", "") if done.replace("_", "").isalpha() and not problem else ""
        context = {"desk": self, "problem": problem, "done": said, **values}
        answer = TEMPLATES.TemplateResponse(self.request, f"console/{template}.html", context, status_code=status)
        if self.request.query_params.get("lang") in words.LANGS:
            answer.set_cookie(words.LANG_COOKIE, self.lang, words.LANG_COOKIE_S, httponly=True, samesite="lax")
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def sorry(self, what: str, status: int) -> Response:
        return self.page("sorry", status, title=self.t(f"sorry.{what}"), text=self.t(f"sorry.{what}.next"), here="")
