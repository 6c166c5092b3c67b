"""What people read of limits: that one would wait, where one stands and about how long; and the desk's limits."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from msgspec.structs import replace
from sqlalchemy import update

from api.pages import waits, words
from controller.core import events as ev
from controller.core.reasons import StopReason
from controller.core.wait import Wait
from controller.joins import SESSION
from controller.views import Load
from tests.pages import console_data as data
from tests.pages.fakes import AT, SECRET, Street, idle, running
from tests.pages.test_console_pages import send, signed_in


@pytest.fixture
def street() -> Street:
    """A site of 1,200 W, of which one charge has all: it began four minutes ago and draws 160 W."""
    street = Street()
    street.board.loads["site:site-1"] = Load(1200.0, 800, 160, 0, 0)
    busy = replace(running("charging"), outlet="outlet-05", number="05", secret_hash=None, session="other")
    street.board.put(replace(busy, reserved_w=800, plateau_w=170.0, started_at=AT - 240))
    return street


@pytest.fixture
def phone(street: Street) -> Iterator[TestClient]:
    with TestClient(street.app(), follow_redirects=False, headers={"Accept-Language": "en"}) as client:
        yield client


def seen(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


# -- a resident ---------------------------------------------------------------------------------------------------


def test_before_paying_the_page_says_that_one_would_wait_and_how_long_and_the_button_says_it_too(
    phone: TestClient, street: Street
) -> None:
    page = seen(phone.get(street.sticker_url).text)

    assert "You would have to wait" in page
    assert "In a minute or two" in page  # the other charger will have shown what it takes within a minute
    assert "Plugged in: pay and wait for my turn" in page


def test_with_room_the_page_says_nothing_of_a_line(phone: TestClient, street: Street) -> None:
    street.board.loads["site:site-1"] = Load(9000.0, 800, 160, 0, 0)

    page = seen(phone.get(street.sticker_url).text)

    assert "wait" not in page.lower().replace("waiting for payment", "")
    assert "Plugged in: pay and start" in page


@pytest.mark.parametrize("lang", words.LANGS)
def test_who_waits_sees_the_place_and_a_range_and_may_leave(phone: TestClient, street: Street, lang: str) -> None:
    street.live("queued", place=2, opened_at=AT - 400, started_at=None)
    first = replace(idle("outlet-06", "06"), session="first", session_phase="queued", place=1)
    street.board.put(first)
    street.board.loads["site:site-1"] = Load(1200.0, 800, 160, 1840, 2)

    page = phone.get(street.order_url, params={"lang": lang}).text

    told = {
        "en": ("1 before you", "Leave the line and get everything back"),
        "zh": ("前面还有 1 位", "不等了，全额退款"),
    }
    assert all(text in seen(page) for text in told[lang])
    assert f'action="/O/{SECRET}/cancel"' in page
    assert "data-f=" in page


def test_leaving_the_line_is_a_stop(phone: TestClient, street: Street) -> None:
    street.live("queued", place=1, started_at=None)

    phone.post(f"{street.order_url}/cancel")

    (asked,) = [event for event in street.door.asked if isinstance(event, ev.StopAsked)]
    assert asked.reason is StopReason.STOPPED_BY_RESIDENT


@pytest.mark.parametrize("phase", ["closing", "queued"])
def test_who_was_paused_reads_why_and_that_nothing_is_lost_and_may_end_it(
    phone: TestClient, street: Street, phase: str
) -> None:
    street.live(phase, place=1 if phase == "queued" else None, paused=True, reason=None)
    page = phone.get(street.order_url).text

    assert "Charging paused, waiting to go on" in seen(page) or phase == "closing"
    assert "End it and get the rest back" in seen(page) or phase == "closing"
    assert "Waiting" in seen(page) or "waiting" in seen(page)
    phone.post(f"{street.order_url}/stop", data={"sure": "1"})
    assert [event for event in street.door.asked if isinstance(event, ev.StopAsked)]


def test_who_waited_in_vain_reads_so_and_not_that_the_outlet_failed(phone: TestClient, street: Street) -> None:
    street.finished("start_failed", started_at=None, evidence={"queued_s": 7200.0})

    page = seen(phone.get(street.order_url).text)

    assert "You waited 2 h and there was no room" in page
    assert "use another outlet" not in page


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Wait(None, None), "Nobody can say how long yet"),
        (Wait(10.0, 100.0), "In a minute or two"),
        (Wait(0.0, 400.0), "Up to 10 min"),
        (Wait(1250.0, 2300.0), "About 20 min to 40 min"),
        (Wait(3700.0, 9000.0), "About 1 h to 2 h 30 min"),
    ],
)
def test_a_time_is_told_as_people_tell_it(found: Wait, said: str) -> None:
    assert waits.about("en", found) == said


def test_the_live_stream_carries_the_place_and_the_time(phone: TestClient, street: Street) -> None:
    street.live("queued", place=1, started_at=None)

    fields = phone.get(f"{street.order_url}/live", params={"once": "1"}).json()["fields"]

    assert fields["ahead"] == "You are next"
    assert fields["wait"]


# -- the desk -----------------------------------------------------------------------------------------------------


@pytest.fixture
def plant(tmp_path: Path) -> data.Plant:
    return data.compound(tmp_path, busy=False)


def test_a_manager_sets_and_takes_away_a_limit_and_sees_what_is_drawn(plant: data.Plant) -> None:
    desk = signed_in(plant, "manager")

    assert send(desk, "/console/sites/garden/limit", power_w="7000").status_code == 303
    assert send(desk, "/console/piles/p1/limit", power_w="3500", key="b" * 32).status_code == 303
    plant.clock.advance(2)
    plant.step()
    plant.flush()
    assert plant.board.loads["site:garden"].limit_w == 7000.0
    page = seen(desk.get("/console/limits", params={"lang": "en"}).text)
    assert "7000 W" in page
    assert "3500 W" in page
    assert "0 W of 7000 W" in seen(desk.get("/console", params={"lang": "en"}).text)

    assert send(desk, "/console/sites/garden/limit", power_w="", key="c" * 32).status_code == 303
    plant.clock.advance(2)
    plant.step()
    assert "site:garden" not in plant.board.loads


@pytest.mark.parametrize("watts", ["100", "7,000", "-5", "seven"])
def test_a_limit_that_is_none_is_refused_with_a_sentence(plant: data.Plant, watts: str) -> None:
    answer = send(signed_in(plant), "/console/sites/garden/limit", power_w=watts)

    assert answer.status_code == 409
    assert "limit" in answer.text or "上限" in answer.text
    assert plant.board.loads == {}


@pytest.mark.parametrize(("role", "status"), [("manager", 303), ("maintainer", 403), ("finance", 403)])
def test_a_limit_is_set_by_managers_alone(plant: data.Plant, role: str, status: int) -> None:
    assert send(signed_in(plant, role), "/console/sites/garden/limit", power_w="7000").status_code == status


def test_the_desk_shows_whose_turn_it_is_and_what_each_pile_draws_limit_or_none(plant: data.Plant) -> None:
    plant.board.loads["site:garden"] = Load(1000.0, 900, 321, 1600, 2)
    views = plant.board.views
    plant.board.put(replace(views["p1-0"], session="one", session_phase="charging", power_w=321.0, opened_at=data.AT))
    for outlet, place in (("p1-2", 2), ("p2-1", 1)):
        waits_there = {"session": f"of-{outlet}", "session_phase": "queued", "opened_at": data.AT - 600, "place": place}
        plant.board.put(replace(views[outlet], **waits_there))
    desk = signed_in(plant)

    page = desk.get("/console/limits", params={"lang": "en"}).text
    line = [seen(row) for row in page.partition("whose turn it is")[2].split("<tr>")[2:]]
    assert line[0].startswith(f"next {views['p2-1'].number} Waiting 10 min ago")
    assert line[1].startswith(f"no. 2 {views['p1-2'].number} Waiting 10 min ago")
    assert "3 号车棚 东墙 no limit 321 W" in seen(page)

    overview = desk.get("/console", params={"lang": "en"}).text
    assert "321 W of 1000 W · 2 waiting" in overview
    assert '"strip:charging">1</span>' in overview  # who waits is not charging
    assert desk.get("/console/live?once=1&lang=en").json()["text"]["p1-2:since"] == "no. 2"
    assert ">321 W</span>" in overview  # the sum of all sites says the same


def test_the_desk_calls_a_wait_in_vain_so_and_not_a_failed_start(plant: data.Plant) -> None:
    plant.pay("p1-0", 200)
    plant.flush()
    client = signed_in(plant)
    (session,) = plant.services().queries.sessions().rows
    settled = {"phase": "settled", "reason": "start_failed", "evidence": {"queued_s": 7200.0}}
    with plant.store.engine.begin() as db:
        db.execute(update(SESSION).where(SESSION.c.id == session.id).values(**settled))

    for path in ("/console/sessions", f"/console/sessions/{session.id}"):
        page = client.get(path, params={"lang": "en"}).text
        assert "No room in time" in page
        assert ">Start failed</span>" not in page


def test_an_outlet_whose_resident_waits_shows_no_curve_and_says_so(plant: data.Plant) -> None:
    plant.pay("p1-0", 200)
    plant.flush()

    page = seen(signed_in(plant).get("/console/outlets/p1-0", params={"lang": "en"}).text)

    assert words.t("en", "desk.session.no_curve") in page
    assert "Open session None" not in page
