"""A resident's pages over plain HTTP: what each state says, what the forms ask for, what goes wrong."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient
from msgspec.structs import replace

from api import door
from api.pages import resident, scan, why, words
from api.services import hashed
from api.streams import Stream
from controller.core import events as ev
from controller.core.reasons import StopReason
from tests.pages import fakes
from tests.pages.fakes import OUTLET, SECRET, Street, idle, new_key, running
from tests.pages.scenes import SCENES


@pytest.fixture
def street() -> Street:
    return Street()


@pytest.fixture
def phone(street: Street) -> Iterator[TestClient]:
    with TestClient(street.app(), follow_redirects=False, headers={"Accept-Language": "zh"}) as client:
        yield client


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "PAY_PAGE_S", 0.1)
    monkeypatch.setattr(door.asked, "__kwdefaults__", {"within_s": 0.05})


def form(**changes: str) -> dict[str, str]:
    return {"key": new_key(), "amount": "200", "hours": "0", **changes}


# -- every state --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", words.LANGS)
@pytest.mark.parametrize("name", list(SCENES))
def test_every_state_says_so_in_both_languages_and_leaks_no_word_of_ours(name: str, lang: str) -> None:
    street = Street()
    url = SCENES[name](street)
    with TestClient(street.app()) as phone:
        answer = phone.get(url, params={"lang": lang})
    assert '<html lang="zh-CN">' in answer.text if lang == "zh" else '<html lang="en">' in answer.text
    visible = re.sub(r"<[^>]+>", " ", answer.text)
    assert not re.search(r"order-1|session-1|outlet-3|site-1|None|never_|_limit|relay_fault|\{|\}", visible)
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?! src)|<style|\sstyle=|\son[a-z]+=", answer.text), "the policy forbids inline code"


def test_the_first_load_is_under_sixty_kilobytes(street: Street, phone: TestClient) -> None:
    page = phone.get(street.sticker_url)
    parts = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert len(parts) >= 2
    assert len(page.content) + sum(len(phone.get(part).content) for part in parts) < 60_000


def test_a_long_charge_with_its_curve_is_under_sixty_kilobytes_too(street: Street, phone: TestClient) -> None:
    street.finished(curve=[[step * 30.0, 100.0 + step % 50, step * 1.0] for step in range(1200)])
    page = phone.get(street.order_url)
    parts = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert len(page.content) + sum(len(phone.get(part).content) for part in parts) < 60_000


# -- the sticker --------------------------------------------------------------------------------------------------


def test_t61_the_page_shows_compound_and_printed_number_to_compare(street: Street, phone: TestClient) -> None:
    page = phone.get(street.sticker_url).text
    assert "翠园小区" in page
    assert "<strong>03</strong>" in page
    assert "上面印的是 03 吗" in page


def test_t59_a_sticker_with_an_altered_tag_never_reaches_the_records(street: Street, phone: TestClient) -> None:
    street.queries.away = True
    altered = street.sticker_url[:-1] + ("0" if street.sticker_url[-1] != "0" else "1")
    answer = phone.get(altered)
    assert answer.status_code == 404
    assert "这不是我们的二维码" in answer.text


def test_t60_a_retired_sticker_says_that_it_was_replaced(street: Street, phone: TestClient) -> None:
    answer = phone.get(SCENES["retired"](street))
    assert answer.status_code == 410
    assert "已更换" in answer.text


def test_a_sticker_is_read_without_regard_to_case(street: Street, phone: TestClient) -> None:
    assert phone.get(street.sticker_url.lower()).status_code == 200


def test_price_is_printed_in_its_parts_and_by_band(street: Street, phone: TestClient) -> None:
    street.queries.tariff = fakes.BANDS
    page = phone.get(street.sticker_url).text
    assert "¥0.8583" in page
    assert "电费 ¥0.5583 + 服务费 ¥0.30" in page
    assert page.count('aria-current="true"') == 1


def test_in_use_names_the_free_outlets_beside(street: Street, phone: TestClient) -> None:
    street.board.put(running("charging"))
    street.board.put(replace(idle("outlet-05", "05"), locked_by="staff-1"))
    page = phone.get(street.sticker_url).text
    assert "别人正在使用" in page
    assert "<b>01</b>" in page
    assert "<b>05</b>" not in page
    assert 'name="amount"' not in page


def test_the_phone_that_paid_is_led_to_its_own_charge(street: Street, phone: TestClient) -> None:
    street.live("charging")
    phone.cookies.set("order", SECRET)
    assert phone.get(street.sticker_url).headers["location"] == street.order_url
    phone.cookies.set("order", "somebody else's")
    assert "别人正在使用" in phone.get(street.sticker_url).text


@pytest.mark.parametrize(
    ("changes", "words_there"),
    [
        ({"phase": "commissioned"}, "还没有开放"),
        ({"locked_by": "staff-1"}, "锁定"),
        ({"latch": "link_lost"}, "自检没有通过"),
        ({"linked": False}, "联系不上"),
        ({"power_w": 90.0}, "可能还带电"),
    ],
)
def test_out_of_order_says_why_and_sells_nothing(
    street: Street, phone: TestClient, changes: dict[str, Any], words_there: str
) -> None:
    street.board.put(replace(idle(OUTLET, "03"), **changes))
    page = phone.get(street.sticker_url).text
    assert words_there in page
    assert 'name="amount"' not in page


def test_the_form_may_lead_on_to_the_providers_page_and_nothing_else_is_loosened(
    street: Street, phone: TestClient
) -> None:
    policy = phone.get(street.sticker_url).headers["content-security-policy"]
    assert "form-action 'self' https:;" in policy
    assert "script-src 'self';" in policy


# -- the order ----------------------------------------------------------------------------------------------------


def test_an_order_leads_to_the_providers_page_and_leaves_a_secret(street: Street, phone: TestClient) -> None:
    def made(event: ev.Event) -> None:
        assert isinstance(event, ev.OrderPlaced)
        street.board.pay_urls[event.order] = "https://pay.example/1"

    street.door.then = made
    answer = phone.post(street.sticker_url + "/order", data=form(hours="4"))
    assert (answer.status_code, answer.headers["location"]) == (303, "https://pay.example/1")
    (event,) = street.door.asked
    assert isinstance(event, ev.OrderPlaced)
    assert (event.outlet, event.amount_fen, event.max_s, event.provider) == (OUTLET, 200, 14_400, "sandbox")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert event.secret_hash == hashed(answer.cookies["order"])
    assert len(answer.cookies["order"]) == 22, "128 bits"


def test_in_earnest_the_cookie_is_for_this_host_and_tls_alone() -> None:
    street = Street(secure=True)
    with TestClient(street.app(), base_url="https://testserver", follow_redirects=False) as phone:
        cookie = phone.post(street.sticker_url + "/order", data=form()).headers["set-cookie"]
    assert cookie.startswith("__Host-order=")
    assert "Secure" in cookie


def test_without_the_providers_page_the_orders_own_page_waits_on(street: Street, phone: TestClient) -> None:
    answer = phone.post(street.sticker_url + "/order", data=form())
    assert answer.headers["location"] == f"/O/{answer.cookies['order']}"


def test_t27_a_double_click_gets_the_same_secret(street: Street, phone: TestClient) -> None:
    wish = form()
    first, second = (phone.post(street.sticker_url + "/order", data=wish) for _ in range(2))
    assert first.cookies["order"] == second.cookies["order"]
    assert len({event.secret_hash for event in street.door.asked if isinstance(event, ev.OrderPlaced)}) == 1


def test_an_old_form_leads_to_its_order_and_asks_for_nothing(street: Street, phone: TestClient) -> None:
    row = street.placed("paid")
    answer = phone.post(street.sticker_url + "/order", data=form(key=row.key))
    assert answer.status_code == 303
    assert not street.door.asked


def test_t24_prices_sent_by_the_client_are_ignored(street: Street, phone: TestClient) -> None:
    phone.post(street.sticker_url + "/order", data=form(price="1", tariff="t0", energy_price="0", hold_fen="1"))
    (event,) = street.door.asked
    assert isinstance(event, ev.OrderPlaced)
    assert event.amount_fen == 200
    assert not hasattr(event, "tariff")


@pytest.mark.parametrize("amount", ["-200", "0", "199", "2.00", "2e2", "99999999999", "", "abc", " 200", "２00"])
def test_t25_an_amount_that_is_not_on_the_menu_is_refused(street: Street, phone: TestClient, amount: str) -> None:
    answer = phone.post(street.sticker_url + "/order", data=form(amount=amount))
    assert answer.status_code == 422
    assert "请从页面上的金额里选一个" in answer.text
    assert not street.door.asked


@pytest.mark.parametrize("wrong", [{"hours": "99"}, {"hours": "-1"}, {"key": "short"}, {"key": "G" * 32}])
def test_a_form_that_is_not_ours_is_refused(street: Street, phone: TestClient, wrong: dict[str, str]) -> None:
    assert phone.post(street.sticker_url + "/order", data=form(**wrong)).status_code == 422
    assert not street.door.asked


@pytest.mark.parametrize("lang", words.LANGS)
@pytest.mark.parametrize("code", ["busy", "latched", "link_down", "clock_untrusted", "database_away", "brand_new_code"])
def test_a_refusal_says_what_to_do_next(street: Street, phone: TestClient, code: str, lang: str) -> None:
    street.door.refuse = code
    phone.cookies.set("lang", lang)
    answer = phone.post(street.sticker_url + "/order", data=form())
    assert answer.status_code >= 409
    key = f"refused.{code}" if words.knows(lang, f"refused.{code}") else "refused.other"
    assert words.t(lang, key) in answer.text.replace("&#39;", "'")
    assert f'href="{street.sticker_url}"' in answer.text
    assert "brand_new_code" not in answer.text


def test_no_answer_in_time_says_that_nothing_was_taken(street: Street, phone: TestClient) -> None:
    street.door.silent = True
    answer = phone.post(street.sticker_url + "/order", data=form())
    assert answer.status_code == 503
    assert "没有扣钱" in answer.text


# -- the charge ---------------------------------------------------------------------------------------------------


def test_a_charge_shows_power_energy_cost_and_curve(street: Street, phone: TestClient) -> None:
    street.live("charging")
    page = phone.get(street.order_url).text
    for said in ("充电中", ">168<", ">0.84<", ">¥0.72<", 'class="curve"', "22:50"):
        assert said in page


def test_a_stop_asks_once_and_then_is_a_stop(street: Street, phone: TestClient) -> None:
    street.live("charging")
    question = phone.post(street.order_url + "/stop")
    assert "要停止充电吗" in question.text
    assert "¥1.28" in question.text
    assert not street.door.asked
    done = phone.post(street.order_url + "/stop", data={"sure": "1"})
    assert (done.status_code, done.headers["location"]) == (303, street.order_url)
    (event,) = street.door.asked
    assert isinstance(event, ev.StopAsked)
    assert (event.session, event.by, event.reason) == ("session-1", "party:party-1", StopReason.STOPPED_BY_RESIDENT)


def test_a_stop_works_while_the_database_is_away(street: Street, phone: TestClient) -> None:
    street.live("charging")
    street.queries.away = True
    assert "充电中" in phone.get(street.order_url).text
    street.door.silent = True
    slow = phone.post(street.order_url + "/stop", data={"sure": "1"})
    assert slow.status_code == 503
    assert "再按一次停止" in slow.text
    street.door.then = lambda event: None

    def off(event: ev.Event) -> None:
        street.board.put(running("closing"))

    ask = street.door.ask

    def asked_and_off(event: ev.Event, found: Any = None) -> Any:
        off(event)
        return ask(event, found)

    street.door.ask = asked_and_off  # type: ignore[method-assign]
    sent = phone.post(street.order_url + "/stop", data={"sure": "1"})
    assert sent.status_code == 202
    assert "断电指令已发出" in sent.text


def test_a_stop_of_what_has_ended_leads_back_to_the_page(street: Street, phone: TestClient) -> None:
    street.finished()
    answer = phone.post(street.order_url + "/stop", data={"sure": "1"})
    assert answer.headers["location"] == street.order_url
    assert not street.door.asked


def test_a_secret_that_is_not_known_stops_nothing(street: Street, phone: TestClient) -> None:
    street.live("charging")
    phone.post("/O/guess/stop", data={"sure": "1"})
    assert phone.get("/O/guess").status_code == 404
    assert phone.post("/O/guess/cancel").status_code == 404
    assert phone.get("/O/guess/live").status_code == 404
    assert not street.door.asked


def test_cancelling_an_unpaid_order_closes_it(street: Street, phone: TestClient) -> None:
    street.placed()
    assert phone.post(street.order_url + "/cancel").status_code == 303
    (event,) = street.door.asked
    assert isinstance(event, ev.OrderCancelled)
    assert event.order == "order-1"


def test_cancelling_before_a_load_was_seen_is_a_stop(street: Street, phone: TestClient) -> None:
    street.live("opening")
    phone.post(street.order_url + "/cancel")
    (event,) = street.door.asked
    assert isinstance(event, ev.StopAsked)


def test_a_finished_charge_says_why_and_where_the_rest_went(street: Street, phone: TestClient) -> None:
    street.finished()
    page = phone.get(street.order_url).text
    for said in ("充满了，自动断电。", "¥2.00", "¥0.29", "¥1.71", "演示钱包", "尾号 0001", "充满断电"):
        assert said in page


@pytest.mark.parametrize("reason", list(StopReason))
def test_every_reason_is_told_on_the_page_and_at_the_mark(
    street: Street, phone: TestClient, reason: StopReason
) -> None:
    street.finished(reason=reason)
    page = phone.get(street.order_url).text
    assert words.t("zh", f"stop.{reason}") in page
    assert words.t("zh", f"short.{reason}") in page


def test_a_bill_can_be_checked_with_a_pocket_calculator(street: Street, phone: TestClient) -> None:
    street.finished()
    page = phone.get(street.order_url + "/receipt").text
    for said in ("0.347 度 × ¥0.5583", "0.347 度 × ¥0.30", "¥0.19", "¥0.10", "¥0.29", "¥1.71"):
        assert said in page


def test_there_is_no_bill_before_the_end(street: Street, phone: TestClient) -> None:
    street.live("charging")
    assert phone.get(street.order_url + "/receipt").status_code == 404


def test_money_that_came_too_late_is_on_its_way_back(street: Street, phone: TestClient) -> None:
    page = phone.get(SCENES["rejected"](street)).text
    assert "别人先用了" in page
    assert "¥2.00" in page


def test_an_order_past_its_time_is_expired_even_before_the_decider_says_so(street: Street, phone: TestClient) -> None:
    street.placed()
    street.clock.advance(901)
    assert "订单已过期" in phone.get(street.order_url).text


# -- live ---------------------------------------------------------------------------------------------------------


def test_one_message_carries_the_figures_and_the_state(street: Street, phone: TestClient) -> None:
    street.live("charging")
    message = phone.get(street.order_url + "/live?once=1&lang=en").json()
    assert message["key"] == "charging:"
    assert message["fields"]["power"] == "168"
    assert message["fields"]["time"] == "1 h 10 min"
    assert not message["over"]


def test_a_refund_that_arrives_draws_the_page_anew(street: Street, phone: TestClient) -> None:
    street.finished(refund="due")
    assert phone.get(street.order_url + "/live?once=1").json()["key"] == "finished:due"
    street.finished(refund="success")
    message = phone.get(street.order_url + "/live?once=1").json()
    assert (message["key"], message["over"]) == ("finished:success", True)


def test_the_stream_ends_when_nothing_more_can_change(street: Street, phone: TestClient) -> None:
    street.finished()
    answer = phone.get(street.order_url + "/live")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith("data: {")
    assert answer.text.count("data:") == 1


@pytest.mark.parametrize("away", [False, True])
def test_the_stream_says_what_changed_and_survives_the_database(
    street: Street, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    monkeypatch.setattr(resident, "BEAT_S", 0.0)
    monkeypatch.setattr(resident, "MAX_BEATS", 4)
    street.live("charging")
    street.queries.away = away
    messages = _heard_of(street)
    assert [message["fields"]["power"] for message in messages] == ["168", "90"]


def _heard_of(street: Street) -> list[dict[str, Any]]:
    async def listen() -> list[dict[str, Any]]:
        heard = []
        async for line in resident.beats(Stream(), street.services, SECRET, "zh"):
            heard.append(msgspec.json.decode(line.removeprefix(b"data: ")))
            street.board.put(replace(running("charging"), power_w=90.0))
        return heard

    return asyncio.run(listen())


def test_that_an_outlet_may_be_live_comes_before_the_money(street: Street, phone: TestClient) -> None:
    street.finished(reason="relay_fault", refund="abnormal", proof="none")
    page = phone.get(street.order_url).text.partition("<main")[2]
    said = page.index(words.t("zh", "done.proof.none"))
    assert said < page.index(words.t("zh", "done.paid"))
    assert said < page.index(words.t("zh", "charge.curve"))


UNPLUG = "You can unplug your charger"
PULL = "you can safely pull your plug"


@pytest.mark.parametrize("reason", sorted(why.HANDS_OFF))
def test_where_touching_may_be_dangerous_nobody_is_told_to_unplug(
    street: Street, phone: TestClient, reason: str
) -> None:
    street.finished("overload")
    assert UNPLUG in phone.get(f"{street.order_url}?lang=en").text
    street.finished(reason)
    assert UNPLUG not in phone.get(f"{street.order_url}?lang=en").text


@pytest.mark.parametrize("danger", [{"latch": "smoke"}, {"latch": "flood"}, {"dead": "site_cut"}])
def test_at_an_outlet_in_danger_nobody_is_told_to_pull_the_plug(
    street: Street, phone: TestClient, danger: dict[str, str]
) -> None:
    street.board.put(replace(idle(OUTLET, "03"), locked_by="staff-1"))
    assert PULL in phone.get(f"{street.sticker_url}?lang=en").text
    street.board.put(replace(idle(OUTLET, "03"), **danger))
    assert PULL not in phone.get(f"{street.sticker_url}?lang=en").text
