"""Another bike on my outlet: the page asks by itself, says what each answer costs, and takes one answer."""

import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import pytest
from fastapi.testclient import TestClient
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, expect

from api import door
from api.pages import resident
from controller.core import events as ev
from controller.core.state import Rules, Why
from controller.views import Paused
from tests.pages.fakes import AT, OUTLET, Street, running
from tests.pages.scenes import SCENES
from tests.pages.test_resident_browser import PHONE, served

RULES = Rules()


@pytest.fixture
def street() -> Street:
    return Street()


@pytest.fixture
def phone(street: Street) -> Iterator[TestClient]:
    with TestClient(street.app(), follow_redirects=False, headers={"Accept-Language": "en"}) as client:
        yield client


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resident, "BEAT_S", 0.1)
    monkeypatch.setattr(door.asked, "__kwdefaults__", {"within_s": 0.2})


@pytest.fixture
def page_of(browser: Browser) -> Iterator[Callable[..., Page]]:
    contexts = []

    def opened(url: str, *, script: bool = True) -> Page:
        context = browser.new_context(viewport=PHONE, java_script_enabled=script, reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()


def ended(street: Street) -> None:
    street.board.views.clear()
    street.finished("plug_swapped")


def shown(phone: TestClient, street: Street) -> str:
    return unescape(phone.get(street.order_url).text)


# -- what is said -------------------------------------------------------------------------------------------------


def test_it_says_what_was_seen_what_is_frozen_and_how_long_there_is(phone: TestClient, street: Street) -> None:
    SCENES["questioned"](street)
    text = shown(phone, street)

    assert "Another bike seems to be on your outlet" in text
    assert "It drew 168 W before; 22 s later something drew again, but 251 W." in text
    assert "Nothing is billed since 15:57. Before that: 0.81 kWh, ¥0.69." in text
    assert "Nobody answers: it is settled as if it was not yours." in text
    assert '<span data-f="left">12 min</span>' in text  # a quarter of an hour less 150 s


def test_the_time_left_is_the_servers(phone: TestClient, street: Street) -> None:
    SCENES["questioned"](street)
    before = phone.get(f"{street.order_url}/live?once=1").json()
    street.clock.advance(RULES.plug_answer_s - 150 - 45)
    after = phone.get(f"{street.order_url}/live?once=1").json()

    assert before["fields"]["left"] == "12 min"
    assert after["fields"]["left"] == "45 s"
    assert before["key"] == after["key"]


@pytest.mark.parametrize("why", list(Why))
def test_every_doubt_says_what_happens_next(phone: TestClient, street: Street, why: Why) -> None:
    street.live("suspended", pause=Paused(str(why), AT - 5, 812.0, 69), power_w=0.0)
    text = shown(phone, street)

    assert 'data-f="left"' in text
    assert ("Nothing is billed since" in text) is (why is not Why.AWAY)
    assert f'action="{street.order_url}/stop"' in text or why is Why.PLUG


@pytest.mark.parametrize("phase", ["queued", "opening", "charging"])
def test_until_it_is_known_again_the_page_says_that_it_is_looked_at(
    phone: TestClient, street: Street, phase: str
) -> None:
    plain = street.live(phase)
    without = phone.get(f"{street.order_url}/live?once=1").json()["key"]
    street.board.put(replace(plain, pause=Paused("mains", AT - 60, 812.0, 69)))

    assert "power" in shown(phone, street).lower()
    assert phone.get(f"{street.order_url}/live?once=1").json()["key"] != without, "the page is drawn anew"


def answer(phone: TestClient, street: Street, said: str, doubt: str | None = None) -> Any:
    """The form of the page as it is drawn now, or one that was drawn before."""
    found = re.search(r'name="doubt" value="([^"]*)"', phone.get(street.order_url).text)
    name = doubt if doubt is not None else found[1] if found is not None else ""
    return phone.post(f"{street.order_url}/plug", data={"mine": said, "doubt": name})


# -- what is answered ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "mine"), [("1", True), ("0", False)])
def test_an_answer_is_one_event_by_whoever_paid(phone: TestClient, street: Street, said: str, mine: bool) -> None:
    SCENES["questioned"](street)
    answers = [answer(phone, street, said) for _ in range(2)]
    first, second = street.door.asked

    assert [each.headers["location"] for each in answers] == [street.order_url] * 2
    assert isinstance(first, ev.PlugAnswered)
    assert (first.session, first.outlet, first.by, first.mine) == ("session-1", OUTLET, "party:party-1", mine)
    assert isinstance(second, ev.PlugAnswered)
    assert first.key == second.key, "pressed twice, it is one answer"


def test_the_next_question_of_the_same_charge_is_another(phone: TestClient, street: Street) -> None:
    for since_s in (700.0, 20.0):
        street.live("suspended", pause=Paused("plug", AT - since_s, 812.0, 69))
        answer(phone, street, "1")
    keys = {asked.key for asked in street.door.asked if isinstance(asked, ev.PlugAnswered)}

    assert len(keys) == 2


@pytest.mark.parametrize("before", [Paused("empty", AT - 90, 812.0, 69), Paused("plug", AT - 90, 812.0, 69)])
def test_a_page_left_open_answers_no_later_question(phone: TestClient, street: Street, before: Paused) -> None:
    """*It is still there* of a minute ago is no word about the bike that came since."""
    street.live("suspended", pause=before)
    html = phone.get(street.order_url).text
    (name,) = set(re.findall(r'name="doubt" value="([^"]*)"', html))
    street.live("suspended", pause=Paused("plug", AT - 20, 812.0, 69))

    for stale in (name, "", "plug", "plug:x", "plug:" + "9" * 30):
        assert answer(phone, street, "1", stale).headers["location"] == street.order_url
    assert street.door.asked == []


@pytest.mark.parametrize("said", ["", "2", "yes"])
def test_what_is_no_answer_asks_nothing(phone: TestClient, street: Street, said: str) -> None:
    SCENES["questioned"](street)

    assert answer(phone, street, said).status_code in (303, 422)
    assert street.door.asked == []


def test_where_nobody_asks_nothing_is_answered(phone: TestClient, street: Street) -> None:
    SCENES["charging"](street)

    assert phone.post(f"{street.order_url}/plug", data={"mine": "0"}).status_code == 303
    assert phone.post("/O/nothing/plug", data={"mine": "0"}).status_code == 303
    assert street.door.asked == []


def test_an_answer_that_takes_long_is_said_to_be_safe_to_repeat(phone: TestClient, street: Street) -> None:
    SCENES["questioned"](street)
    street.door.silent = True
    slow = answer(phone, street, "1")

    assert slow.status_code == 503
    assert "No answer yet" in slow.text


# -- in a browser -------------------------------------------------------------------------------------------------


def test_the_question_comes_up_by_itself_and_goes_with_the_answer(street: Street, page_of: Callable[..., Page]) -> None:
    street.live("charging")
    with served(street) as home:
        page = page_of(f"{home}{street.order_url}?lang=en")
        expect(page.get_by_role("heading", level=1)).to_have_text("Charging")
        SCENES["questioned"](street)
        expect(page.get_by_role("heading", level=1)).to_have_text("Another bike seems to be on your outlet")
        street.door.then = lambda event: street.board.put(running("charging"))
        page.get_by_role("button", name="It is mine, go on").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Charging")
    assert [asked.mine for asked in street.door.asked if isinstance(asked, ev.PlugAnswered)] == [True]


def test_it_is_answered_without_a_script(street: Street, page_of: Callable[..., Page]) -> None:
    SCENES["questioned"](street)
    with served(street) as home:
        page = page_of(f"{home}{street.order_url}?lang=zh", script=False)
        street.door.then = lambda event: ended(street)
        page.get_by_role("button", name="不是我的，结束并退款").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("已结束")
    assert [asked.mine for asked in street.door.asked if isinstance(asked, ev.PlugAnswered)] == [False]
