"""A resident's choice when to stop, the bike their phone names, and forgetting it; every step without a script."""

from typing import Any

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from api.pages import bikes, words
from controller.core import events as ev
from controller.records import MomentRow
from tests.pages.fakes import AT, SESSION, Street, new_key


def client(street: Street) -> TestClient:
    return TestClient(street.app(), follow_redirects=False)


def order(street: Street, phone: TestClient, **fields: str) -> ev.OrderPlaced:
    form = {"key": new_key(), "amount": "200", "hours": "0", **fields}
    answer = phone.post(f"{street.sticker_url}/order", data=form)
    assert answer.status_code == 303, answer.text[:300]
    event = street.door.asked[-1]
    assert isinstance(event, ev.OrderPlaced)
    return event


def test_without_a_word_a_charge_goes_on_until_it_is_full_and_names_no_bike() -> None:
    street = Street()
    phone = client(street)
    event = order(street, phone)

    assert (event.stop_at, event.bike) == (100, "")
    assert "bike" not in phone.cookies


def test_the_page_offers_80_90_and_full_and_full_is_chosen() -> None:
    street = Street()
    html = client(street).get(f"{street.sticker_url}?lang=en").text

    for percent in (80, 90):
        assert f'name="stop_at" value="{percent}">' in html
    assert 'name="stop_at" value="100" checked>' in html
    assert "Nobody can measure it exactly" in html


@pytest.mark.parametrize("percent", [80, 90, 100])
def test_the_choice_goes_into_the_order(percent: int) -> None:
    street = Street()

    assert order(street, client(street), stop_at=str(percent)).stop_at == percent


@pytest.mark.parametrize("fields", [{"stop_at": "85"}, {"stop_at": "x"}, {"stop_at": "-80"}, {"bike": "other"}])
def test_what_is_not_on_the_form_places_no_order(fields: dict[str, str]) -> None:
    street = Street()
    form = {"key": new_key(), "amount": "200", "hours": "0", **fields}
    answer = client(street).post(f"{street.sticker_url}/order", data=form)

    assert answer.status_code in (409, 422)
    assert street.door.asked == []


def test_a_bike_is_remembered_only_by_who_ticks_the_box() -> None:
    street = Street()
    html = client(street).get(street.sticker_url).text

    assert 'type="checkbox" name="bike" value="new">' in html


def test_a_new_bike_gets_a_token_that_we_know_only_hashed_and_the_next_scan_knows_it() -> None:
    street = Street()
    phone = client(street)
    first = order(street, phone, bike="new")
    token = phone.cookies["bike"]

    assert first.bike == bikes.id_of(token)
    assert token not in repr(street.door.asked)
    html = phone.get(street.sticker_url).text
    assert 'name="bike" value="mine" checked>' in html
    assert token not in html
    assert order(street, phone, bike="mine").bike == first.bike


def test_a_form_sent_twice_makes_one_bike() -> None:
    street = Street()
    phone, key = client(street), new_key()

    assert order(street, phone, bike="new", key=key).bike == order(street, phone, bike="new", key=key).bike


def test_two_phones_have_two_bikes() -> None:
    street = Street()

    assert order(street, client(street), bike="new").bike != order(street, client(street), bike="new").bike


def test_the_cookie_is_for_us_alone_and_no_script_reads_it() -> None:
    street = Street(secure=True)
    phone = TestClient(street.app(), base_url="https://charge.example", follow_redirects=False)
    answer = phone.post(
        f"{street.sticker_url}/order", data={"key": new_key(), "amount": "200", "hours": "0", "bike": "new"}
    )
    (cookie,) = [line for line in answer.headers.get_list("set-cookie") if line.startswith("__Host-bike=")]

    assert all(part in cookie for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"))


def test_a_made_up_cookie_names_no_bike() -> None:
    street = Street()
    phone = client(street)
    phone.cookies.set("bike", "<script>")

    assert order(street, phone, bike="mine").bike == ""


def test_forgetting_tells_the_decider_and_clears_the_phone() -> None:
    street = Street()
    phone = client(street)
    named = order(street, phone, bike="new").bike
    answer = phone.post(f"{street.sticker_url}/forget")

    event = street.door.asked[-1]
    assert isinstance(event, ev.BikeForgotten)
    assert (event.bike, event.party) == (named, "")
    assert "bike" not in phone.cookies
    assert "什么也没留下" in phone.get(answer.headers["location"]).text


def test_who_has_no_bike_forgets_nothing() -> None:
    street = Street()
    answer = client(street).post(f"{street.sticker_url}/forget")

    assert answer.status_code == 303
    assert street.door.asked == []


def test_a_charge_under_way_says_where_it_will_stop() -> None:
    street = Street()
    street.live("charging", stop_at=90)
    assert "约 90% 时停" in client(street).get(street.order_url).text
    street.live("charging")
    assert "时停" not in client(street).get(street.order_url).text


# -- what is told of it -------------------------------------------------------------------------------------------

FIGURES: dict[str, Any] = {
    "stop_at_percent": 80.0,
    "power_w": 138.0,
    "peak_w": 168.0,
    "percent_of_peak": 82.1,
    "energy_wh": 300.0,
}


def drifted(what: str, now: float, usual: float) -> MomentRow:
    return MomentRow(at=AT, what=f"bike_drift:{what}", evidence={what: now, f"usual_{what}": usual})


@pytest.mark.parametrize(("lang", "said"), [("en", "about the 80 % that you asked for"), ("zh", "大概充到您要的 80 %")])
def test_a_stop_that_was_wished_for_says_so(lang: str, said: str) -> None:
    street = Street()
    street.finished("energy_limit", rule="wished", evidence=FIGURES)

    assert said in client(street).get(f"{street.order_url}?lang={lang}").text


@pytest.mark.parametrize("page", ["", "/receipt"])
@pytest.mark.parametrize(("lang", "said"), [("en", "took 1 h, usually 40 min"), ("zh", "用了 1 小时，平时 40 分钟")])
def test_a_stage_beyond_the_norm_is_told_on_page_and_receipt(page: str, lang: str, said: str) -> None:
    street = Street()
    street.finished(moments=[drifted("tail_min", 60.0, 40.0)])

    assert said in client(street).get(f"{street.order_url}{page}?lang={lang}").text


def test_an_ordinary_charge_is_told_of_no_difference() -> None:
    street = Street()
    street.finished()

    assert words.t("zh", "drift.title") not in client(street).get(street.order_url).text


@pytest.mark.parametrize("lang", words.LANGS)
@pytest.mark.parametrize("what", ["energy_wh", "after_wh", "absorption_min", "tail_min", "peak_w"])
def test_every_drift_has_its_sentence(lang: str, what: str) -> None:
    (said,) = bikes.drifted(lang, replace(SESSION, moments=[drifted(what, 90.0, 60.0)]))

    assert "{" not in said
    assert len(said) > 20


def test_a_drift_of_an_older_release_is_passed_over() -> None:
    odd = MomentRow(at=AT, what="bike_drift:colour", evidence={})
    bare = MomentRow(at=AT, what="bike_drift:tail_min", evidence={})

    assert bikes.drifted("en", replace(SESSION, moments=[odd, bare])) == []
