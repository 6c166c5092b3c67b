"""Every sentence a person reads: catalogues in two languages, and numbers, money and times as people write them."""

import json
import math
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from starlette.requests import HTTPConnection

LANGS: Final = ("zh", "en")
LANG_COOKIE: Final = "lang"
LANG_COOKIE_S: Final = 365 * 24 * 3600
LOCALES: Final = Path(__file__).parent / "locales"

Words = Callable[..., str]


@cache
def catalogue(lang: str) -> dict[str, str]:
    """`zh.json` and every `….zh.json` beside it, in one."""
    words: dict[str, str] = {}
    for path in sorted(LOCALES.glob(f"*{lang}.json")):
        words |= json.loads(path.read_text(encoding="utf-8"))
    return words


def knows(lang: str, key: str) -> bool:
    return key in catalogue(lang)


def t(lang: str, key: str, **values: object) -> str:
    """The sentence for `key`; an unknown key is our bug and raises KeyError."""
    return catalogue(lang)[key].format(**values)


def words_in(lang: str) -> Words:
    return partial(t, lang)


def lang_of(request: HTTPConnection) -> str:
    """The address says it, or the cookie, or the browser; else Chinese."""
    for asked in (request.query_params.get("lang"), request.cookies.get(LANG_COOKIE)):
        if asked in LANGS:
            return asked
    return _accepted(request.headers.get("accept-language", ""))


def _accepted(header: str) -> str:
    """The best known language by the header's weights, the first of equals."""
    best, best_weight = LANGS[0], 0.0
    for part in header.split(",")[:20]:
        tag, _, weight = part.partition(";q=")
        lang = tag.strip().lower()[:2]
        if lang in LANGS and _weight(weight) > best_weight:
            best, best_weight = lang, _weight(weight)
    return best


def _weight(text: str) -> float:
    try:
        weight = float(text or 1)
    except ValueError:
        return 0.0
    return weight if math.isfinite(weight) else 0.0


# -- numbers for people -------------------------------------------------------------------------------------------


def yuan(fen: int) -> str:
    sign = "-" if fen < 0 else ""
    return f"{sign}¥{abs(fen) // 100}.{abs(fen) % 100:02d}"


def yuan_short(fen: int) -> str:
    """For a menu: ¥2, not ¥2.00."""
    return f"¥{fen // 100}" if fen % 100 == 0 else yuan(fen)


def unit_price(price: int) -> str:
    """1/100 fen per kWh as yuan: two places, or as many as it needs."""
    text = f"{price / 10_000:.4f}".rstrip("0")
    whole, _, places = text.partition(".")
    return f"¥{whole}.{places:0<2}"


def kwh(wh: float) -> str:
    """Cut off, never rounded up: nobody reads more than was delivered."""
    return f"{math.floor(wh) // 10 / 100:.2f}"


def watts(power_w: float) -> str:
    return f"{power_w:.1f}" if 0 < power_w < 10 else f"{round(power_w)}"


def span(lang: str, seconds: float) -> str:
    """2 小时 10 分, 45 秒; as exact as a person would say it."""
    whole = max(0, round(seconds))
    if whole < 120:
        return t(lang, "span.s", s=whole)
    minutes = round(whole / 60)
    if minutes < 60:
        return t(lang, "span.m", m=minutes)
    if minutes % 60 == 0:
        return t(lang, "span.h", h=minutes // 60)
    return t(lang, "span.hm", h=minutes // 60, m=minutes % 60)


def bill_number(session: str) -> str:
    """Short enough to be read aloud at the office; the desk finds the charge by it."""
    return f"{session[:4]}-{session[4:8]}".upper()


def clock_time(at: float, zone: str) -> str:
    return f"{datetime.fromtimestamp(at, ZoneInfo(zone)):%H:%M}"


def day(lang: str, at: float, zone: str) -> str:
    local = datetime.fromtimestamp(at, ZoneInfo(zone))
    return t(lang, "date.day", month=t(lang, f"month.{local.month}"), day=local.day)


def moment(lang: str, at: float, zone: str) -> str:
    return f"{day(lang, at, zone)} {clock_time(at, zone)}"


def minute_of_day(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def band(lang: str, name: str) -> str:
    """The usual names of price bands in the reader's language; a manager's own stay as they are."""
    key = f"band.{name.strip().lower().replace(' ', '_')}"
    return t(lang, key) if knows(lang, key) else name
