"""A cut site on every page that it concerns, and the page of inputs: what it shows, what it takes, from whom."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from api.pages.console.states import state_of
from controller.core import events as ev
from controller.core.reasons import StopReason
from controller.core.state import Cut
from tests.pages import console_data as data
from tests.pages.fakes import AT, OUTLET, Street, idle, outlet
from tests.pages.test_console_pages import send, signed_in

SMOKE = {"1": {"kind": "smoke", "scope": "pile", "normally": "closed"}}


@pytest.fixture
def fresh(tmp_path: Path) -> data.Plant:
    return data.compound(tmp_path, busy=False)


@pytest.fixture
def street() -> Street:
    return Street()


@pytest.fixture
def phone(street: Street) -> Iterator[TestClient]:
    with TestClient(street.app(), follow_redirects=False) as client:
        yield client


def cut(plant: data.Plant) -> None:
    plant.ask(ev.SiteCutAsked(**plant.stamp(), key="cut", site="garden", by="staff:chen")).result(0)


def shows(plant: data.Plant, on: bool) -> None:
    plant.clock.advance(1)
    plant.ask(ev.InputReported(**plant.stamp(), pile="p1", input=1, on=on)).result(0)


# -- the resident -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dead", ["site_cut", "input_active"])
@pytest.mark.parametrize(("lang", "said"), [("zh", "为了安全，这里已断电"), ("en", "switched off for safety")])
def test_a_resident_is_told_that_a_place_is_off_for_safety(
    street: Street, phone: TestClient, dead: str, lang: str, said: str
) -> None:
    street.board.put(replace(idle(OUTLET, "03"), dead=dead))

    page = phone.get(f"{street.sticker_url}?lang={lang}").text

    assert said in page
    assert "<form" not in page or 'name="amount"' not in page


def test_a_cut_place_is_out_since_its_cut(street: Street, phone: TestClient) -> None:
    street.board.put(replace(idle(OUTLET, "03"), dead="site_cut"))
    street.board.cuts = {outlet().site_id: Cut(AT - 3 * 3600, "staff:chen", StopReason.SITE_CUT)}

    assert "13:00" in phone.get(street.sticker_url).text


# -- the desk -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "maintainer", "manager", "auditor"])
def test_the_overview_says_who_cut_a_site_and_offers_its_release_to_those_who_may(fresh: data.Plant, role: str) -> None:
    cut(fresh)

    page = signed_in(fresh, role).get("/console?lang=en").text

    assert "This site is switched off" in page
    assert 'data-state="cut" data-tone="red"' in page
    assert ("/console/sites/garden/release" in page) == (role in ("owner", "maintainer"))
    assert "/console/sites/garden/cut" not in page


def test_an_outlet_of_a_cut_site_says_so_and_is_not_offered_to_be_cut_again(fresh: data.Plant) -> None:
    cut(fresh)

    page = signed_in(fresh).get("/console/outlets/p1-1?lang=en").text

    assert "This site is switched off" in page
    assert "/console/sites/garden/cut" not in page


def test_a_release_by_its_button_ends_the_cut_and_stands_in_the_audit(fresh: data.Plant) -> None:
    cut(fresh)
    fresh.clock.advance(1)
    client = signed_in(fresh)

    answer = send(client, "/console/sites/garden/release")

    assert (answer.status_code, answer.headers["location"]) == (303, "/console?done=release_site")
    assert "This site is switched off" not in client.get("/console?lang=en").text
    assert "Site released" in client.get("/console/audit?lang=en").text


def test_a_manager_can_not_release_and_nobody_a_site_that_is_not_cut(fresh: data.Plant) -> None:
    assert send(signed_in(fresh, "manager"), "/console/sites/garden/release").status_code == 403
    refused = send(signed_in(fresh), "/console/sites/garden/release?lang=en")
    assert refused.status_code == 409
    assert "not cut" in refused.text


def test_inputs_get_their_meaning_by_the_form_and_are_shown_as_they_are(fresh: data.Plant) -> None:
    client = signed_in(fresh, "maintainer")
    fields = {"kind1": "smoke", "scope1": "pile", "normally1": "closed", "kind3": "emergency", "scope3": "pile"}

    answer = send(client, "/console/piles/p1/inputs", **fields, normally3="open", scope2="site", normally2="open")

    assert answer.status_code == 303
    changes = [event for event in fresh.asked if isinstance(event, ev.StaffChange)]
    emergency = {"kind": "emergency", "scope": "site", "normally": "open"}
    assert changes[-1].values == {"inputs": {**SMOKE, "3": emergency}}
    page = client.get("/console/inputs?lang=en").text
    assert page.count("not heard") == 2
    shows(fresh, True)
    assert "contact closed" in client.get("/console/inputs?lang=en").text
    shows(fresh, False)
    page = client.get("/console/inputs?lang=en").text
    assert "danger" in page
    assert "contact open" in page
    assert "An input that guards this outlet shows danger" in client.get("/console/outlets/p1-1?lang=en").text
    owner = signed_in(fresh)
    assert "input 1 of" in owner.get("/console/alarms?lang=en").text
    assert "smoke" in owner.get("/console/audit?lang=en").text


def test_who_may_not_set_inputs_sees_them_all_the_same(fresh: data.Plant) -> None:
    fresh.ask(
        ev.StaffChange(
            **fresh.stamp(), key="w", by="staff:chen", change=ev.Change.INPUTS, subject="p1", values={"inputs": SMOKE}
        )
    ).result(0)

    page = signed_in(fresh, "manager").get("/console/inputs?lang=en").text

    assert "smoke" in page
    assert "<select" not in page
    assert send(signed_in(fresh, "manager"), "/console/piles/p1/inputs", kind1="").status_code == 403


def test_the_desk_says_by_an_input_where_one_has_cut(fresh: data.Plant) -> None:
    fresh.board.cuts = {"garden": Cut(data.AT, "input:p1:1", StopReason.SMOKE)}

    page = signed_in(fresh).get("/console?lang=en").text

    assert "By an input" in page
    assert "Smoke" in page


def test_on_a_cut_site_what_may_be_live_is_not_called_cut(tmp_path: Path) -> None:
    plant = data.compound(tmp_path)
    cut(plant)
    welded, charging, idle_one = (state_of(plant.board.views[of]).name for of in ("p2-3", "p1-1", "p2-2"))

    assert (welded, charging, idle_one) == ("fault", "ending", "cut")
