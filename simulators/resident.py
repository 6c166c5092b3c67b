"""A resident: plugs in, scans, pays at the provider's page, waits, unplugs; through the pages, like a person.

Knows no route but the sticker's: everything else it finds in the forms of the pages it is shown.
"""

import re
import threading
from html.parser import HTMLParser
from random import Random
from typing import Protocol
from urllib.parse import urljoin

import httpx2
import structlog

from controller.clock import Clock
from simulators.battery import BATTERIES
from simulators.twins.contact import Load

log = structlog.get_logger()

WALK_S = (60.0, 900.0)  # between one charge and the next
LOOK_S = 20.0


class Sockets(Protocol):
    """Those of one pile, as people see them."""

    def plug(self, channel: int, load: Load) -> None: ...

    def unplug(self, channel: int) -> None: ...


class Reads(Protocol):
    """A place to hold a card to."""

    def tap(self, uid: str) -> None: ...


class Form:
    """One form of a page: where it goes and what it carries; of radio buttons the checked one, or the first."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.values: dict[str, str] = {}


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(named.get("action", "")))
        elif tag in ("input", "button") and self.found and named.get("name"):
            self._field(self.found[-1], named, pressed=tag == "button")

    def _field(self, form: Form, named: dict[str, str], pressed: bool) -> None:
        chosen = "checked" in named or named["name"] not in form.values
        optional = named.get("type") in ("radio", "checkbox")
        if (optional and chosen) or not (optional or (pressed and named["name"] in form.values)):
            form.values[named["name"]] = named.get("value", "")


def forms(html: str) -> list[Form]:
    parser = _Forms()
    parser.feed(html)
    return parser.found


class Resident(threading.Thread):
    """Charges at one outlet again and again until `stopping`; a seed decides everything."""

    def __init__(
        self,
        sockets: Sockets,
        channel: int,
        sticker_url: str,
        clock: Clock,
        seed: int,
        first: str,
        stopping: threading.Event,
        pulls_s: float | None = None,
    ) -> None:
        super().__init__(name=f"resident-{seed}", daemon=True)
        self._sockets = sockets
        self._channel = channel
        self._url = sticker_url
        self._clock = clock
        self._random = Random(seed)
        self._next = first
        self._stopping = stopping
        self._pulls_s = pulls_s  # rides away so long after the start, whatever the page says

    def run(self) -> None:
        with httpx2.Client(follow_redirects=True, timeout=20.0, trust_env=False) as web:
            while not self._stopping.is_set():
                try:
                    self._charge(web)
                except (httpx2.HTTPError, LookupError, ValueError) as error:
                    log.info("resident gave up", outlet=self._url, error=str(error) or type(error).__name__)
                self._sockets.unplug(self._channel)
                web.cookies.clear()
                self._wait(self._random.uniform(*WALK_S))

    def _charge(self, web: httpx2.Client) -> None:
        battery = BATTERIES[self._next](self._random)
        self._next = self._random.choice(("lithium", "lithium-snap", "lead-acid", "nearly-full", "nearly-full"))
        self._sockets.plug(self._channel, battery)
        page = web.get(self._url)
        paying = self._submit(web, page, "/order")
        mine = self._submit(web, paying, "/pay")
        self._watch(web, str(mine.url))

    def _submit(self, web: httpx2.Client, page: httpx2.Response, towards: str) -> httpx2.Response:
        """Presses the page's button that leads there; LookupError when the page offers none."""
        for form in forms(page.text):
            target = urljoin(str(page.url), form.action)
            if towards in target:
                origin = re.match(r"https?://[^/]+", str(page.url))
                headers = {"Origin": origin.group(0)} if origin else {}
                return web.post(target, data=form.values, headers=headers)
        raise LookupError(f"no way to {towards} on {page.url} ({page.status_code})")

    def _watch(self, web: httpx2.Client, url: str) -> None:
        """Until the page offers no stop any more: the charge has ended."""
        if self._pulls_s is not None:
            self._wait(self._pulls_s)
            self._sockets.unplug(self._channel)
        while not self._stopping.is_set():
            self._wait(LOOK_S)
            page = web.get(url)
            if not any(form.action.endswith(("/stop", "/cancel")) for form in forms(page.text)):
                return

    def _wait(self, seconds: float) -> None:
        self._stopping.wait(self._clock.wait_s(seconds))


class CardHolder(threading.Thread):
    """Taps, charges, and taps again or lets it end by itself."""

    def __init__(
        self,
        sockets: Sockets,
        reader: Reads,
        channel: int,
        uid: str,
        clock: Clock,
        seed: int,
        stopping: threading.Event,
    ) -> None:
        super().__init__(name=f"card-{seed}", daemon=True)
        self._sockets = sockets
        self._reader = reader
        self._channel = channel
        self._uid = uid
        self._clock = clock
        self._random = Random(seed)
        self._stopping = stopping

    def run(self) -> None:
        while not self._stopping.is_set():
            self._sockets.plug(self._channel, BATTERIES["nearly-full"](self._random))
            self._reader.tap(self._uid)
            self._wait(self._random.uniform(2_000, 4_000))
            if self._random.random() < 0.5:
                self._reader.tap(self._uid)
            self._sockets.unplug(self._channel)
            self._wait(self._random.uniform(*WALK_S))

    def _wait(self, seconds: float) -> None:
        self._stopping.wait(self._clock.wait_s(seconds))
