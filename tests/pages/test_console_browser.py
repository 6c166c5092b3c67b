"""The desk in a real browser: one evening of a manager, live numbers, both lights, and what axe says of it."""

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from api.app import make_app
from controller.clock import RealClock
from tests import house
from tests.pages import console_data as data

SHOWN = (
    "/console",
    "/console/outlets/p1-1",
    "/console/sessions",
    "/console/payments",
    "/console/refunds",
    "/console/cards",
    "/console/sites/garden/tariff",
    "/console/limits",
    "/console/inputs",
    "/console/staff",
    "/console/programs",
    "/console/stickers",
    "/console/alarms",
    "/console/audit",
    "/console/upkeep",
)


@pytest.fixture
def plant(tmp_path: Path) -> data.Plant:
    return data.compound(tmp_path)


@pytest.fixture
def address(plant: data.Plant) -> Iterator[str]:
    """The plant on a free port: its own time stands still, that of who looks goes on."""
    port = house.free_port()
    app = make_app(dataclasses.replace(plant.services(), real_clock=RealClock()))
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    house.eventually(lambda: server.started, within_s=10)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=10)


def sign_in(page: Page, address: str, lang: str = "en") -> None:
    page.goto(f"{address}/console/login?lang={lang}")
    page.fill("[name=login]", "li")
    page.fill("[name=password]", data.PASSWORD)
    page.click("button.main")
    page.wait_for_url("**/console")


def test_a_stop_at_the_desk_and_live_numbers_without_reloading(
    plant: data.Plant, address: str, browser: Browser
) -> None:
    page = browser.new_context().new_page()
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    sign_in(page, address)

    tile = page.locator(".tile[data-of='p1-1']")
    expect(tile).to_contain_text("Charging")
    plant.read("p1-1", 203.0, 5097.0)
    expect(tile).to_contain_text("203 W")

    tile.click()
    page.locator("summary", has_text="Stop charging").click()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Power is cut")

    plant.dark("p1-1", 5097.0)
    plant.flush()
    expect(page.locator(".strip [data-of='p1-1']")).to_contain_text("Free")
    expect(page.locator("table")).to_contain_text("Stopped by staff")
    assert wrong == []
    page.context.close()


@pytest.mark.parametrize(("width", "light"), [(1280, "light"), (390, "dark")])
def test_nothing_serious_for_axe_and_nothing_wider_than_the_screen(
    address: str, browser: Browser, width: int, light: str
) -> None:
    size = {"width": width, "height": 800}
    context = browser.new_context(
        viewport={"width": size["width"], "height": size["height"]},
        color_scheme="dark" if light == "dark" else "light",
        bypass_csp=True,  # for axe itself
    )
    page = context.new_page()
    sign_in(page, address, "zh")

    for path in SHOWN:
        page.goto(f"{address}{path}")
        found = Axe().run(page).response["violations"]
        assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
    context.close()


def test_the_desk_works_without_script(plant: data.Plant, address: str, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, address)

    page.goto(f"{address}/console/outlets/p1-0")
    page.locator("summary", has_text="Close").click()
    page.get_by_role("button", name="Close", exact=True).click()

    expect(page.get_by_role("status")).to_contain_text("The outlet is closed")
    assert plant.board.views["p1-0"].phase == "commissioned"
    context.close()
