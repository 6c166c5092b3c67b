"""The resident's pages in a real browser: readable to everybody, alive with a script, whole without one."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, ViewportSize, expect

from api.pages import resident, scan
from controller.core import events as ev
from tests import house
from tests.pages.fakes import Street, running
from tests.pages.scenes import SCENES

PHONE: ViewportSize = {"width": 360, "height": 640}
DESK: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 320, "height": 568}
SERIOUS = ("serious", "critical")


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resident, "BEAT_S", 0.1)
    monkeypatch.setattr(scan, "PAY_PAGE_S", 0.2)


@contextmanager
def served(street: Street) -> Iterator[str]:
    """The street's app on a free port of this machine."""
    port = house.free_port()
    config = uvicorn.Config(street.app(), port=port, log_level="error", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    house.eventually(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """`open_page(url, lang, dark=…, viewport=…, script=…)`; an error on the page's console fails the test."""
    contexts, errors = [], []

    def opened(url: str, *, dark: bool = False, viewport: ViewportSize = PHONE, script: bool = True) -> Page:
        context = browser.new_context(
            viewport=viewport,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            java_script_enabled=script,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if "Content Security" in line.text else None)
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not errors


def _serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:200]}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
SMALL = """() => [...document.querySelectorAll('main button, main a.main, main a.second, .pills label, .lang')]
  .filter(one => { const box = one.getBoundingClientRect(); return box.width < 48 || box.height < 48; })
  .map(one => one.outerHTML)"""


@pytest.mark.parametrize("name", list(SCENES))
def test_every_state_is_readable_to_everybody(name: str, open_page: Callable[..., Page]) -> None:
    street = Street(demo=True)
    path = SCENES[name](street)
    with served(street) as home:
        for lang, dark, viewport in (("zh", False, PHONE), ("en", True, DESK)):
            page = open_page(f"{home}{path}?lang={lang}", dark=dark, viewport=viewport)
            assert _serious(page) == []
            page.set_viewport_size(NARROW)
            assert page.evaluate(SIDEWAYS) == 0, "the page can be pushed sideways"
            assert page.evaluate(SMALL) == []
            page.close()


def test_the_question_before_a_stop_is_readable_to_everybody(open_page: Callable[..., Page]) -> None:
    street = Street()
    street.live("charging")
    with served(street) as home:
        page = open_page(f"{home}{street.order_url}?lang=en")
        page.get_by_role("button", name="Stop charging").click()
        expect(page.get_by_role("heading", name="Stop charging?")).to_be_visible()
        assert _serious(page) == []


def test_figures_move_by_themselves_and_a_new_phase_draws_the_page_anew(open_page: Callable[..., Page]) -> None:
    street = Street()
    street.live("opening", opened_at=street.clock.now().at)
    with served(street) as home:
        page = open_page(f"{home}{street.order_url}?lang=en")
        expect(page.get_by_role("heading", level=1)).to_contain_text("waiting for the charger")
        street.live("charging")
        expect(page.get_by_role("heading", level=1)).to_have_text("Charging")
        expect(page.locator(".figure strong")).to_contain_text("168")
        page.evaluate("window.same = true")
        street.board.put(replace(running("charging"), power_w=91.0, cost_fen=73, used_wh=860.0))
        expect(page.locator(".figure strong")).to_contain_text("91")
        expect(page.locator(".trio")).to_contain_text("¥0.73")
        assert page.evaluate("window.same") is True, "figures change without a new page"
        street.board.views.clear()
        street.finished()
        expect(page.get_by_role("heading", level=1)).to_have_text("Finished")
        expect(page.locator(".money")).to_contain_text("¥1.71")


def test_where_streams_do_not_get_through_the_page_asks(open_page: Callable[..., Page], browser: Browser) -> None:
    street = Street()
    street.live("charging")
    with served(street) as home:
        context = browser.new_context(viewport=PHONE)
        context.add_init_script("delete window.EventSource")
        page = context.new_page()
        page.goto(f"{home}{street.order_url}?lang=en")
        street.board.put(replace(running("charging"), power_w=77.0))
        expect(page.locator(".figure strong")).to_contain_text("77")
        context.close()


def _pays_at(street: Street, home: str) -> None:
    """The provider's page stands on another origin, as in life."""
    other = home.replace("127.0.0.1", "localhost")

    def made(event: ev.Event) -> None:
        if isinstance(event, ev.OrderPlaced):
            street.board.pay_urls[event.order] = f"{other}/static/icon.svg?order={event.order}"

    street.door.then = made


@pytest.mark.parametrize("script", [True, False])
def test_a_tap_on_the_main_button_leads_to_the_providers_page(script: bool, open_page: Callable[..., Page]) -> None:
    street = Street(demo=True)
    with served(street) as home:
        _pays_at(street, home)
        page = open_page(f"{home}{street.sticker_url}?lang=zh", script=script)
        page.get_by_role("radio", name="¥5").check()
        page.get_by_role("radio", name="4 小时").check()
        page.get_by_role("button", name="已插好，付款并开始").click()
        page.wait_for_url("**/static/icon.svg?order=*")
    (event,) = street.door.asked
    assert isinstance(event, ev.OrderPlaced)
    assert (event.amount_fen, event.max_s) == (500, 14_400)


def test_a_stop_works_without_a_script(open_page: Callable[..., Page]) -> None:
    street = Street()
    street.live("charging")
    with served(street) as home:
        page = open_page(f"{home}{street.order_url}?lang=zh", script=False)
        page.get_by_role("button", name="停止充电").click()
        page.get_by_role("button", name="是，停止充电").click()
        page.wait_for_url(f"**{street.order_url}")
    assert [type(event) for event in street.door.asked] == [ev.StopAsked]


def test_a_double_click_places_one_order(open_page: Callable[..., Page]) -> None:
    street = Street()
    with served(street) as home:
        page = open_page(f"{home}{street.sticker_url}?lang=en")
        page.get_by_role("button", name="Plugged in: pay and start").dblclick()
        expect(page).to_have_url(re.compile("/O/"))  # whichever of the two navigations stands
    keys = {event.key for event in street.door.asked if isinstance(event, ev.OrderPlaced)}
    assert len(keys) == 1


FOCUSED = "(e => e.name || e.className || e.localName)(document.activeElement)"


def test_the_keyboard_reaches_everything_in_reading_order(open_page: Callable[..., Page]) -> None:
    street = Street()
    with served(street) as home:
        page = open_page(f"{home}{street.sticker_url}?lang=en")
        reached = []
        for _ in range(7):
            page.keyboard.press("Tab")
            reached.append(page.evaluate(FOCUSED))
        assert reached == ["skip", "lang", "amount", "hours", "summary", "bike", "main"]
