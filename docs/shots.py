"""Takes the pictures of the documents from a running demonstration: `python docs/shots.py` starts one and ends it."""

import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent / "img"
PHONE = {"width": 390, "height": 780}
DESK = {"width": 1280, "height": 800}
FACTOR = 30
SETTLES_S = 240.0
BEGUN_MS = 6_000  # of real time: the simulated residents charge too


class Demo:
    """A demonstration of our own, and what it printed."""

    def __init__(self) -> None:
        command = [sys.executable, "-u", "-m", "anchong", "demo", "--factor", str(FACTOR), "--port", "0"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._lines: list[str] = []
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            with self._news:
                self._lines.append(line)
                self._news.notify_all()

    def said(self, pattern: str) -> re.Match[str]:
        with self._news:
            if not self._news.wait_for(lambda: re.search(pattern, "".join(self._lines)), SETTLES_S):
                raise TimeoutError(f"the demonstration did not say {pattern}")
            found = re.search(pattern, "".join(self._lines))
        if found is None:
            raise AssertionError(pattern)
        return found

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(20)


def main() -> None:
    HERE.mkdir(exist_ok=True)
    demo = Demo()
    try:
        with sync_playwright() as playwright:
            program = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
            phone = _paid(browser, demo)
            _console(browser, demo)
            _charging(phone, demo)
            browser.close()
    finally:
        demo.stop()


def _page(browser: Browser, size: dict[str, int], lang: str) -> Page:
    locale = {"zh": "zh-CN", "en": "en-GB"}[lang]
    context = browser.new_context(viewport=size, locale=locale, device_scale_factor=1)  # type: ignore[arg-type]
    return context.new_page()


def _paid(browser: Browser, demo: Demo) -> Page:
    """The sticker, and a charge that has begun."""
    page = _page(browser, PHONE, "zh")
    sticker = demo.said(r"Sticker: (\S+)")[1]
    for shown in ("en", "zh"):
        page.goto(f"{sticker}?lang={shown}")
        _shot(page, f"phone-sticker-{shown}")
    page.locator(".dock button").click()
    page.locator("button.go").click()
    page.wait_for_url("**/O/**", timeout=60_000)
    page.locator("form[action$=stop] button, a[href*=stop]").first.wait_for()
    page.wait_for_timeout(BEGUN_MS)
    return page


def _charging(page: Page, demo: Demo) -> None:
    demo.said(r"\d\d:\d\d outlet")  # half an hour of the demonstration's time, for a curve to be seen
    for shown in ("zh", "en"):
        page.goto(f"{page.url.partition('?')[0]}?lang={shown}")
        _shot(page, f"phone-charging-{shown}")


def _console(browser: Browser, demo: Demo) -> None:
    way = demo.said(r"Console: (\S+)  \(name (\S+), password (\S+)\)")
    for lang in ("zh", "en"):
        page = _page(browser, DESK, lang)
        page.goto(way[1])
        page.locator("input[name=login]").fill(way[2])
        page.locator("input[name=password]").fill(way[3])
        page.locator("input[name=password]").press("Enter")
        page.wait_for_url("**/console")
        _shot(page, f"console-{lang}")


def _shot(page: Page, name: str) -> None:
    page.screenshot(path=HERE / f"{name}.png")


if __name__ == "__main__":
    main()
