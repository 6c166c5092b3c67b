"""Health that means something: alive while the decider steps, ready while something new would start; memory alone."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from api.health import STUCK_S
from api.services import FirstOwner
from controller.readiness import Check, Readiness
from controller.views import Health
from tests.api.stand import AT, Stand


def test_alive_while_the_decider_steps_and_stuck_when_it_does_not(stand: Stand) -> None:
    client = stand.client()
    assert client.get("/healthz").json() == {"status": "ok", "stepped_s_ago": 0.0}

    stand.clock.advance(STUCK_S)
    assert client.get("/healthz").status_code == 200
    stand.clock.advance(0.5)

    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "stuck")
    first, *others = client.get("/readyz").json()["checks"]
    assert (first["name"], first["why"], first["since"]) == ("decider", "no step for 10 s", AT)
    assert [check["name"] for check in others] == ["clock"]


def test_a_stepped_wall_clock_makes_nobody_stuck(stand: Stand) -> None:
    stand.clock.step_wall(-86_400)
    assert stand.client().get("/healthz").status_code == 200


def test_nothing_is_alive_before_the_first_step(stand: Stand) -> None:
    stand.board.health = Health()

    answer = stand.client().get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "starting", "stepped_s_ago": None})
    assert stand.client().get("/readyz").json()["checks"][0]["why"] == "the first step has not been taken yet"


@pytest.mark.parametrize("bad", ["clock", "database", "writer", "link", "journal"])
def test_any_condition_keeps_it_from_being_ready_and_says_why_and_since_when(stand: Stand, bad: str) -> None:
    names = ("decider", "clock", "database", "writer", "link", "journal")
    stand.board.checks = Readiness().look({name: "broken" if name == bad else "" for name in names}, AT - 60)

    answer = stand.client().get("/readyz")

    body = answer.json()
    assert (answer.status_code, body["ready"]) == (503, False)
    assert [check["name"] for check in body["checks"]] == list(names)
    assert all(set(check) == {"name", "ok", "why", "since"} for check in body["checks"])
    assert [check for check in body["checks"] if not check["ok"]] == [
        {"name": bad, "ok": False, "why": "broken", "since": AT - 60}
    ]


def test_since_is_when_it_changed_not_when_it_was_looked_at() -> None:
    readiness = Readiness()
    readiness.look({"link": ""}, 10.0)
    readiness.look({"link": "down"}, 20.0)

    assert readiness.look({"link": "down still"}, 30.0) == (Check("link", False, "down still", 20.0),)
    assert readiness.look({"link": ""}, 40.0) == (Check("link", True, "", 40.0),)


def test_both_answer_before_the_first_owner_and_without_a_database(tmp_path: Path) -> None:
    stand = Stand(tmp_path, first_owner=FirstOwner("once", until_steady_s=1e9))
    stand.close()
    (tmp_path / "anchong.db").unlink()
    client = stand.client()

    assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (200, 200)


def test_health_names_how_many_charge_and_how_many_are_out_of_reach(stand: Stand) -> None:
    stand.board.health = replace(stand.board.health, sessions_live=7, links_down=2)

    body = stand.client().get("/readyz").json()
    assert (body["sessions_live"], body["links_down"]) == (7, 2)
