"""A rider's bike on their own phone: the token that names it, forgetting it, and what drifted, in words.

The token is in the phone's cookie alone; we know its hash. It is made only for who ticks the box.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.pages import words
from api.services import Services, hashed
from controller.core.bikes import STOPS
from controller.core.errors import Refused
from controller.records import SessionDetail

COOKIE_S: Final = 400 * 24 * 3600  # browsers keep none for longer
TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
DRIFT: Final = "bike_drift:"


def cookie_name(services: Services) -> str:
    return "__Host-bike" if services.secure_cookies else "bike"


def token_of(request: Request, services: Services) -> str | None:
    token = request.cookies.get(cookie_name(services), "")
    return token if TOKEN.fullmatch(token) else None


def id_of(token: str) -> str:
    """As the house knows it."""
    return hashed(token)[:32]


def chosen(request: Request, services: Services, wish: str, key: str) -> str | None:
    """The token of the bike that an order names: the phone's own, or one made of the form's key; None: no bike."""
    if wish == "mine":
        return token_of(request, services)
    if wish == "new":
        digest = hmac.digest(services.sign_key, f"bike:{key}".encode(), "sha256")
        return urlsafe_b64encode(digest[:16]).decode().rstrip("=")
    if wish:
        raise Refused("invalid", "the form is not the one of this page")
    return None


def stop_of(text: str) -> int:
    if text not in {str(percent) for percent in STOPS}:
        raise Refused("invalid", "the form is not the one of this page")
    return int(text)


def remember(response: Response, services: Services, token: str) -> None:
    secure = services.secure_cookies
    response.set_cookie(cookie_name(services), token, COOKIE_S, httponly=True, samesite="lax", secure=secure)


def forget(response: Response, services: Services) -> None:
    secure = services.secure_cookies
    response.delete_cookie(cookie_name(services), httponly=True, samesite="lax", secure=secure)


# -- what drifted -------------------------------------------------------------------------------------------------


def drifted(lang: str, session: SessionDetail | None) -> list[str]:
    """A sentence for each figure of this charge that was beyond the bike's norm."""
    moments = [] if session is None else session.moments
    found = [(moment.what.removeprefix(DRIFT), moment.evidence) for moment in moments if moment.what.startswith(DRIFT)]
    return [
        words.t(lang, f"drift.{what}", now=_said(lang, what, figures[what]), usual=_said(lang, what, figures[usual]))
        for what, figures in found
        for usual in [f"usual_{what}"]
        if words.knows(lang, f"drift.{what}") and {what, usual} <= figures.keys()
    ]


def _said(lang: str, what: str, value: float) -> str:
    if what.endswith("_min"):
        return words.span(lang, value * 60)
    return f"{words.kwh(value)} {words.t(lang, 'unit.kwh')}" if what.endswith("_wh") else f"{words.watts(value)} W"
