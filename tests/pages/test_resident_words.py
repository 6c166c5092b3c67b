"""Both catalogues say the same things, every refusal and every stop has its sentence, and numbers read well."""

import ast
import string
from pathlib import Path

import pytest
from starlette.requests import Request

import controller
from api.pages import words
from controller.core.reasons import StopReason

CONTROLLER = Path(controller.__file__).parent
AT = 1_800_000_000.0


def _placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def _refusals() -> set[str]:
    """Every literal code of a Refused in the controller; those about tariffs are the office's own."""
    codes = set()
    for path in CONTROLLER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refused" and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and not str(first.value).startswith("tariff_"):
                    codes.add(str(first.value))
    return codes


def _request(query: str = "", cookie: str = "", accept: str = "") -> Request:
    headers = [(b"cookie", cookie.encode()), (b"accept-language", accept.encode())]
    return Request({"type": "http", "query_string": query.encode(), "headers": headers})


def test_both_languages_know_the_same_keys() -> None:
    assert set(words.catalogue("zh")) == set(words.catalogue("en"))


def test_a_sentence_has_the_same_placeholders_in_both_languages() -> None:
    for key, sentence in words.catalogue("zh").items():
        assert _placeholders(sentence) == _placeholders(words.catalogue("en")[key]), key


def test_no_sentence_is_empty() -> None:
    assert all(sentence.strip() for lang in words.LANGS for sentence in words.catalogue(lang).values())


@pytest.mark.parametrize("lang", words.LANGS)
@pytest.mark.parametrize("reason", list(StopReason))
def test_every_stop_reason_has_a_sentence_and_a_short_word_for_the_curve(lang: str, reason: StopReason) -> None:
    assert words.knows(lang, f"stop.{reason}")
    assert words.knows(lang, f"short.{reason}")


@pytest.mark.parametrize("lang", words.LANGS)
def test_every_refusal_of_the_controller_has_a_sentence(lang: str) -> None:
    codes = _refusals()
    assert len(codes) > 15
    assert not [code for code in sorted(codes) if not words.knows(lang, f"refused.{code}")]


def test_an_unknown_key_is_our_bug() -> None:
    with pytest.raises(KeyError):
        words.t("zh", "no.such.key")


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "lang"),
    [
        ("", "", "", "zh"),
        ("lang=en", "lang=zh", "zh", "en"),
        ("lang=xx", "lang=en", "zh", "en"),
        ("", "lang=zh", "en", "zh"),
        ("", "", "en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("", "", "fr,zh;q=0.5,en;q=0.7", "en"),
        ("", "", "de", "zh"),
        ("", "", "en;q=nan,zh;q=0.1", "zh"),
    ],
)
def test_the_address_goes_before_the_cookie_and_that_before_the_browser(
    query: str, cookie: str, accept: str, lang: str
) -> None:
    assert words.lang_of(_request(query, cookie, accept)) == lang


def test_numbers_read_as_people_write_them() -> None:
    assert [words.yuan(fen) for fen in (0, 5, 120, -171)] == ["¥0.00", "¥0.05", "¥1.20", "-¥1.71"]
    assert [words.yuan_short(fen) for fen in (200, 150)] == ["¥2", "¥1.50"]
    assert [words.unit_price(price) for price in (5583, 3000, 0, 10_000)] == ["¥0.5583", "¥0.30", "¥0.00", "¥1.00"]
    assert [words.kwh(wh) for wh in (0, 847.9, 849.99, 12_340)] == ["0.00", "0.84", "0.84", "12.34"]
    assert [words.watts(power_w) for power_w in (0, 2.24, 168.4)] == ["0", "2.2", "168"]


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (-3, "0 秒", "0 s"),
        (45, "45 秒", "45 s"),
        (600, "10 分钟", "10 min"),
        (7200, "2 小时", "2 h"),
        (7800, "2 小时 10 分", "2 h 10 min"),
    ],
)
def test_times_are_as_exact_as_a_person_would_say_them(seconds: float, zh: str, en: str) -> None:
    assert (words.span("zh", seconds), words.span("en", seconds)) == (zh, en)


def test_usual_price_bands_are_translated_and_others_left_alone() -> None:
    assert [words.band("en", name) for name in ("谷", "Valley", "全天", "Nachts {x}")] == [
        "valley",
        "valley",
        "all day",
        "Nachts {x}",
    ]


def test_moments_are_in_the_sites_own_zone() -> None:
    assert words.moment("zh", AT, "Asia/Shanghai") == "1 月 15 日 16:00"
    assert words.moment("en", AT, "Asia/Urumqi") == "15 Jan 14:00"


def test_nobody_reads_of_less_than_no_power() -> None:
    assert words.watts(-0.3) == "0"
    assert words.watts(0.0) == "0"
    assert words.watts(9.96) == "10.0"
    assert words.watts(156.4) == "156"
