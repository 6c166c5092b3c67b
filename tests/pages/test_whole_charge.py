"""The demonstration as people use it, in a real browser: a resident on a phone, a manager at a desk."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, ViewportSize, expect

pytestmark = pytest.mark.timeout(180)

PHONE: ViewportSize = {"width": 360, "height": 640}
DESK: ViewportSize = {"width": 1280, "height": 800}
SLOW_MS = 40_000


class Running:
    """What the demonstration has printed of itself."""

    def __init__(self, lines: list[str]) -> None:
        text = "\n".join(lines)
        self.sticker = _found(r"Sticker: (\S+)", text)
        self.console = _found(r"Console: (\S+)", text)
        self.name = _found(r"name (\S+), password", text)
        self.password = _found(r"password (\S+)\)", text)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match.group(1)


@pytest.fixture(scope="module")
def demo() -> Iterator[Running]:
    flags = ["demo", "--port", "0", "--piles", "2", "--factor", "60", "--for-s", "150"]
    command = [sys.executable, "-m", "anchong", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
        assert child.stdout is not None
        lines = []
        for line in child.stdout:
            lines.append(line)
            if "Charges as they settle" in line:
                break
        yield Running(lines)
        child.terminate()
        child.stdout.close()


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {v['help']}" for v in found if v["impact"] in ("serious", "critical")]


def test_a_resident_pays_by_phone_watches_stops_and_gets_the_rest_back(
    browser: Browser, demo: Running, tmp_path: Path
) -> None:
    context = browser.new_context(viewport=PHONE, locale="en-GB", is_mobile=True, has_touch=True)
    page = context.new_page()
    page.goto(demo.sticker)
    expect(page.get_by_text("02-2").first).to_be_visible()
    assert serious(page) == []

    page.locator("input[name=amount][value='200']").check()
    page.locator("form[action$='/order'] button.main").click()
    page.get_by_role("button", name=re.compile("Pay ¥2.00")).click()
    page.wait_for_url(re.compile("/O/"))

    expect(page.locator("form[action$='/stop'] button")).to_be_visible(timeout=SLOW_MS)
    assert serious(page) == []
    page.locator("form[action$='/stop'] button").click()
    page.locator("form[action$='/stop'] button").last.click()

    expect(page.get_by_text("Given back").first).to_be_visible(timeout=SLOW_MS)
    assert serious(page) == []
    page.goto(page.url.split("?")[0] + "?lang=zh")
    expect(page.get_by_text("退回").first).to_be_visible()
    page.screenshot(path=tmp_path / "finished.png")
    context.close()


def test_a_manager_sees_the_charge_by_card_and_its_money(browser: Browser, demo: Running) -> None:
    context = browser.new_context(viewport=DESK, locale="en-GB")
    page = context.new_page()
    page.goto(demo.console)
    page.locator("input[name=login]").fill(demo.name)
    page.locator("input[name=password]").fill(demo.password)
    page.locator("input[name=password]").press("Enter")

    expect(page.get_by_text("02-1").first).to_be_visible()
    assert serious(page) == []
    page.goto(demo.console + "/sessions")
    expect(page.get_by_role("row").nth(1)).to_be_visible()
    assert serious(page) == []
    context.close()
