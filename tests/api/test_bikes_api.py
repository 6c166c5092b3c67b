"""Bikes and settings over the API: what a request becomes, who sees what, and that looking changes nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.core import events as ev
from controller.core.events import Change
from tests.api.stand import HERE, Stand


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(tmp_path)
    yield stand
    stand.close()


def test_bikes_of_a_party_are_shown_as_figures_without_a_name(stand: Stand) -> None:
    (row,) = stand.as_role("manager").get("/api/v1/parties/party-here/bikes").json()["rows"]

    assert row["memory"]["charges"] == 1
    assert row["memory"]["peak_w"] == {"count": 1, "mean": 168.0, "spread": 0.0}
    assert set(row) == {"id", "charger_id", "kept", "at", "memory"}


def test_forgetting_a_party_is_one_event_by_whoever_asked(stand: Stand) -> None:
    stand.door.answers[ev.BikeForgotten] = {"forgotten": 2}
    answer = stand.as_role("manager").delete("/api/v1/parties/party-here/bikes")

    assert answer.json() == {"forgotten": 2}
    assert (stand.door.last.by, stand.door.last.party, stand.door.last.bike) == ("staff:s-manager", "party-here", "")


def test_a_repeat_under_the_same_key_is_the_same_event(stand: Stand) -> None:
    client, headers = stand.as_role("manager"), {"idempotency-key": "forget-them-1"}
    stand.door.answers[ev.BikeForgotten] = {"forgotten": 1}
    for _ in range(2):
        assert client.delete("/api/v1/parties/party-here/bikes", headers=headers).status_code == 200

    first, second = (event for event in stand.door.events if isinstance(event, ev.BikeForgotten))
    assert first.key == second.key
    assert first.wish


@pytest.mark.parametrize(("bike", "site"), [("bike-here", HERE), ("card:card1", HERE)])
def test_a_bikes_charger_is_named_by_its_id_or_by_its_cards_party(stand: Stand, bike: str, site: str) -> None:
    answer = stand.as_role("manager").put(f"/api/v1/bikes/{bike}", json={"charger": "c-here", "kept": True})

    assert answer.status_code == 200
    assert (stand.door.last.change, stand.door.last.subject) == (Change.BIKE, bike)
    assert stand.door.last.values == {"charger": "c-here", "kept": True, "site": site}


@pytest.mark.parametrize(("bike", "charger"), [("bike-there", None), ("nobody", None), ("bike-here", "c-there")])
def test_what_is_foreign_is_as_missing(stand: Stand, bike: str, charger: str | None) -> None:
    answer = stand.as_role("manager").put(f"/api/v1/bikes/{bike}", json={"charger": charger})

    assert (answer.status_code, stand.door.events) == (404, [])


def test_settings_are_shown_with_their_bounds_and_defaults(stand: Stand) -> None:
    found = stand.as_role("auditor").get(f"/api/v1/sites/{HERE}/finish").json()

    assert found["rules"] == {}
    assert all(each["least"] <= each["default"] <= each["most"] for each in found["settable"])


def test_approving_is_one_change_with_its_evidence(stand: Stand) -> None:
    body = {"rules": {"pause_s": 3600}, "evidence": {"charges": 12}}
    stand.as_role("manager").put(f"/api/v1/sites/{HERE}/finish", json=body)

    assert (stand.door.last.change, stand.door.last.subject) == (Change.FINISH, HERE)
    assert stand.door.last.values == {"rules": {"pause_s": 3600.0}, "evidence": {"charges": 12}}


@pytest.mark.parametrize("rules", [{"pause_s": 1}, {"low": 0.9}, {"hold_s": 300}, {"probe": 0.5}])
@pytest.mark.parametrize(("method", "path"), [("put", "/sites/here/finish"), ("post", "/sites/here/finish/trial")])
def test_settings_out_of_bounds_are_refused_before_anybody_decides(
    stand: Stand, method: str, path: str, rules: dict[str, float]
) -> None:
    answer = stand.as_role("owner").request(method, f"/api/v1{path}", json={"rules": rules})

    assert (answer.status_code, answer.json()["code"]) == (422, "finish_rules")
    assert next(iter(rules)) in answer.json()["detail"]
    assert stand.door.events == []


def test_looking_and_trying_change_nothing(stand: Stand) -> None:
    client = stand.as_role("maintainer")
    suggestion = client.get(f"/api/v1/sites/{HERE}/finish/suggestion")
    trial = client.post(f"/api/v1/sites/{HERE}/finish/trial", json={"rules": {"pause_s": 3600}})

    assert suggestion.json() == {"suggestion": None, "charges": 1}
    assert trial.json()["rules"] == {"pause_s": 3600.0}
    assert stand.door.events == []


def test_only_one_looks_at_a_time(stand: Stand) -> None:
    app: Any = stand.app
    with app.state.trials:
        answer = stand.as_role("owner").get(f"/api/v1/sites/{HERE}/finish/suggestion")

    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")


def test_a_model_is_suggested_by_a_maintainer_and_approved_by_a_manager(stand: Stand) -> None:
    new = {"site": HERE, "name": "48 V", "rules": {"low": 0.12}}
    made = stand.as_role("maintainer").post("/api/v1/chargers", json=new)
    assert made.status_code == 201
    assert "state" not in stand.door.last.values
    for act, state in (("approve", "approved"), ("withdraw", "withdrawn")):
        assert stand.as_role("maintainer").post(f"/api/v1/chargers/c-here/{act}").status_code == 403
        assert stand.as_role("manager").post(f"/api/v1/chargers/c-here/{act}").status_code == 200
        assert (stand.door.last.change, stand.door.last.values) == (Change.CHARGER, {"state": state})
