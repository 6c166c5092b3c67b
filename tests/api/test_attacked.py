"""Attacks on the web side, and bad luck with it, that once worked."""

from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from fastapi.testclient import TestClient

from api.pages import scan
from controller.core import events as ev
from tests.api.stand import HERE, Stand
from tests.pages import console_data
from tests.pages.fakes import Street, new_key


def test_an_order_storm_from_one_phone_is_slowed_and_its_neighbour_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scan, "PAY_PAGE_S", 0.0)
    monkeypatch.setattr(scan, "address_of", lambda request: request.headers["x-phone"])
    street = Street()
    with TestClient(street.app(), follow_redirects=False, raise_server_exceptions=False) as phone:

        def order(who: str = "a") -> int:
            form = {"key": new_key(), "amount": "200", "hours": "0"}
            return phone.post(street.sticker_url + "/order", data=form, headers={"x-phone": who}).status_code

        codes = [order() for _ in range(60)]
        assert codes.count(303) <= 15
        assert order("b") == 303
    placed = [event for event in street.door.asked if isinstance(event, ev.OrderPlaced)]
    assert len(placed) == codes.count(303) + 1


# -- every thread of the web program stands at a database that does not answer ------------------------------------


async def none_free(*args: Any, **named: Any) -> Any:
    raise AssertionError("a thread was wanted, and all of them wait")


@pytest.mark.parametrize(
    "path",
    [
        f"/api/v1/sites/{HERE}/cut",
        "/api/v1/sessions/live-here/stop",
        "/api/v1/outlets/o-here/lock",
        "/api/v1/outlets/o-here/close",
    ],
)
def test_what_makes_an_outlet_dead_needs_no_thread_by_the_api(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    stand.door.answers[ev.SiteCutAsked] = {"outlets": 1}
    manager = stand.as_role("manager")
    monkeypatch.setattr(anyio.to_thread, "run_sync", none_free)
    assert manager.post(path).status_code == 200
    assert len(stand.door.events) == 1


@pytest.mark.parametrize("path", ["outlets/p1-1/stop", "outlets/p1-1/lock", "sites/garden/cut", "sessions/{}/stop"])
def test_what_makes_an_outlet_dead_needs_no_thread_by_the_console(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    plant = console_data.compound(tmp_path, busy=False)
    plant.pay("p1-1", 200)
    plant.charge("p1-1", [150.0] * 3)
    session = plant.board.views["p1-1"].session
    app = plant.app()
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as desk:
        row = app.state.services.queries.staff_by_login("li")
        assert row is not None
        token, staffer = app.state.logins.opened(app.state.services, row)
        desk.cookies.set("staff", token)
        form = {"csrf": staffer.csrf, "key": "a" * 32, "session": session}
        monkeypatch.setattr(anyio.to_thread, "run_sync", none_free)
        assert desk.post("/console/" + path.format(session), data=form).status_code == 303
    assert plant.board.views["p1-1"].session_phase == "closing"


def test_a_session_that_there_is_not_is_stopped_by_nobody(tmp_path: Path) -> None:
    plant = console_data.compound(tmp_path, busy=False)
    app = plant.app()
    row = app.state.services.queries.staff_by_login("li")
    assert row is not None
    desk = TestClient(app, follow_redirects=False)
    token, staffer = app.state.logins.opened(app.state.services, row)
    desk.cookies.set("staff", token)
    for path in ("sessions/nothing/stop", "outlets/nothing/stop", "sites/nothing/cut"):
        answer = desk.post(f"/console/{path}", data={"csrf": staffer.csrf, "key": "a" * 32})
        assert answer.status_code == 404, path
    assert plant.asked == []
