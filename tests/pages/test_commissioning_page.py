"""An outlet's page while it is proven, when it has failed, and once it stands: step by step, with what to do now."""

import dataclasses
import html
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, expect

from api.app import make_app
from api.pages import words
from controller.clock import RealClock
from controller.core import events as ev
from controller.core.programme import Step
from controller.core.proving_steps import NEEDED
from tests import house
from tests.pages import console_data as data
from tests.pages.test_console_browser import sign_in
from tests.pages.test_console_pages import send, signed_in

OUTLET = "p3-0"
PAGE = f"/console/outlets/{OUTLET}"
CODE = re.compile(r'(?:failed\(.*?, |return |else |next\(wrong, )"([a-z_]+)"')


@pytest.fixture
def plant(tmp_path: Path) -> data.Plant:
    return data.compound(tmp_path)


def said(plant: data.Plant, *what: object) -> None:
    """Seconds pass, the relay says on or off, the meter says watts, a setting is read back."""
    for one in what:
        stamp = plant.stamp()
        if isinstance(one, bool):
            plant.say(ev.RelayReported(**stamp, outlet=OUTLET, on=one))
        elif isinstance(one, float):
            plant.read(OUTLET, one, 1.0)
        elif isinstance(one, tuple):
            plant.say(ev.SettingReported(**stamp, outlet=OUTLET, setting=one[0], value=one[1]))
        elif isinstance(one, int):
            plant.clock.advance(one)
            plant.step()
    plant.flush()


def begun(plant: data.Plant, power_up_off: float = -1.0) -> None:
    key = "begin"
    event = ev.StaffChange(
        **plant.stamp(), key=key, by="staff:zhao", change=ev.Change.COMMISSION, subject=OUTLET, values={}
    )
    plant.ask(event)
    said(plant, *((name, 1.0 if name != "power_up_off" else power_up_off) for name in NEEDED))


ON_AND_OFF: tuple[object, ...] = (1, False, 0.0, 1, True, 60.0, 1, False, 1, 0.0)
LEASE: tuple[object, ...] = (1, True, 60.0, 14, False, 1, 0.0)
REARMED: tuple[object, ...] = (1, True, 60.0, 8, 11, 60.0, 3, False, 1, 0.0)


def steps_of(text: str) -> list[str]:
    return re.findall(r'<li data-step="(\w+)"', text)


def test_a_programme_under_way_is_a_list_of_what_is_done_what_is_now_and_what_comes(plant: data.Plant) -> None:
    client = signed_in(plant)
    begun(plant)
    said(plant, *ON_AND_OFF)

    text = client.get(f"{PAGE}?lang=en").text
    assert steps_of(text) == ["done", "done", "done", "done", "now", "todo", "todo"]
    assert "60 W" in text
    assert words.t("en", "desk.step.power_cut") in text


def test_what_a_person_has_to_do_now_is_said(plant: data.Plant) -> None:
    client = signed_in(plant)
    begun(plant)

    for more, todo in (
        ((1, False, 0.0), "plug_load"),
        ((1, True, 60.0, 1, False, 1, 0.0, *LEASE, *REARMED), "wait_on"),
        ((1, True, 60.0), "take_away"),
    ):
        said(plant, *more)
        assert words.t("zh", f"desk.todo.{todo}") in client.get(PAGE).text
    assert plant.board.views[OUTLET].lease_left_s == 59.0
    plant.say(ev.LinkLost(**plant.stamp(), outlet=OUTLET))
    assert words.t("en", "desk.todo.give_back") in html.unescape(client.get(f"{PAGE}?lang=en").text)


def test_a_proven_outlet_shows_who_proved_what_with_which_firmware(plant: data.Plant) -> None:
    client = signed_in(plant)
    begun(plant, 1.0)
    said(plant, *ON_AND_OFF, *LEASE, *REARMED)

    text = client.get(f"{PAGE}?lang=en").text
    assert steps_of(text) == ["done"] * 6
    for shown in ("14.2.0", "its own timer", "赵磊", "14.0 s", "22.0 s"):
        assert shown in text, shown


def test_a_failure_shows_its_step_its_sentence_and_its_figures(plant: data.Plant) -> None:
    client = signed_in(plant)
    begun(plant)
    said(plant, *ON_AND_OFF, 1, True, 60.0, 3, False)

    text = html.unescape(client.get(f"{PAGE}?lang=en").text)
    assert steps_of(text) == ["done", "done", "done", "done", "failed", "todo", "todo"]
    assert words.t("en", "desk.failed.lease_wrong") in text
    assert "cut itself after 3 s" in re.sub(r"\s+", " ", text)
    assert send(client, f"{PAGE}/commission").status_code == 303  # and again


def test_another_firmware_shows_as_what_it_is(plant: data.Plant) -> None:
    client = signed_in(plant)
    plant.say(ev.FirmwareReported(**plant.stamp(), outlet="p3-2", firmware="15.0.0"))
    plant.flush()

    text = client.get("/console/outlets/p3-2?lang=en").text
    assert words.t("en", "desk.failed.firmware_changed") in text
    assert "15.0.0" in text
    assert words.t("en", "desk.alarm.firmware_changed") in client.get("/console/alarms?lang=en").text


@pytest.mark.parametrize("lang", words.LANGS)
def test_every_step_everything_to_do_and_every_failure_has_its_words(lang: str) -> None:
    core = Path("controller/core")
    codes = {code for path in core.glob("proving*.py") for code in CODE.findall(path.read_text(encoding="utf-8"))}
    needed = [*(f"step.{step}{end}" for step in Step for end in ("", ".how")), "lease.watchdog"]
    needed += [f"todo.{name}" for name in ("plug_load", "wait_on", "take_away", "give_back")]
    needed += [f"failed.{why}" for _, why in NEEDED.values()]
    needed += [f"failed.{code}" for code in codes if not code.startswith(("silent_at_", "plug_", "take_", "give_"))]

    assert {"wrong_meter", "welded", "never_cut", "no_rearm", "lost", "busy_beside"} <= codes
    assert [key for key in needed if not words.knows(lang, f"desk.{key}")] == []


# -- in a browser -------------------------------------------------------------------------------------------------


@pytest.fixture
def address(plant: data.Plant) -> Iterator[str]:
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


def test_the_list_goes_on_by_itself_and_nothing_serious_is_wrong_with_it(
    plant: data.Plant, address: str, browser: Browser
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800}, bypass_csp=True)
    page = context.new_page()
    sign_in(page, address, "zh")
    begun(plant)
    page.goto(f"{address}{PAGE}")
    now = page.locator(".steps [data-step=now]")
    expect(now).to_contain_text(words.t("zh", "desk.step.turn"))

    said(plant, *ON_AND_OFF, *LEASE, *REARMED, 1, True, 60.0)
    expect(now).to_contain_text(words.t("zh", "desk.todo.take_away"))
    found = Axe().run(page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    context.close()
