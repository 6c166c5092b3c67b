"""The desk's page of the detector's settings: look at the past, try, approve, withdraw; nothing without a person."""

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.pages.console.desk import MAY, ROLES
from controller.core import effects as fx
from controller.core import events as ev
from controller.core import suggest
from controller.core.state import Card
from tests.core.test_suggest import NOW, STRICT, Plain, charge, ended, late, plainly
from tests.pages import console_data as data
from tests.pages.test_console_pages import send, signed_in

PAGE = "/console/sites/garden/finish"


@pytest.fixture
def plant(tmp_path: Path) -> data.Plant:
    return data.compound(tmp_path, busy=False)


def with_history(plant: data.Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The site's past charges are those of `late`, under settings that are too strict for them."""
    monkeypatch.setattr(suggest, "begin", lambda at_s: Plain())
    monkeypatch.setattr(suggest, "observe", plainly)
    monkeypatch.setattr("controller.garage.Garage.past", lambda self, site: late())
    approve(plant, **{name: str(value) for name, value in STRICT.items()})


def approve(plant: data.Plant, role: str = "owner", **fields: str) -> Any:
    return send(signed_in(plant, role), PAGE, **fields)


def text(client: TestClient, path: str = PAGE, **params: str) -> str:
    return client.get(path, params={"lang": "en", **params}).text


def model(plant: data.Plant, **fields: str) -> str:
    """A new model's id."""
    form = {"name": "48 V 3 A", "low": "0.12", "key": "9" * 32, **fields}
    answer = send(signed_in(plant), "/console/sites/garden/chargers", **form)
    assert answer.status_code == 303, answer.text[:500]
    return next(reversed(plant.engine.house.chargers))


@pytest.mark.parametrize("role", ROLES)
def test_settings_are_read_by_all_and_approved_by_owners_and_managers(plant: data.Plant, role: str) -> None:
    client = signed_in(plant, role)
    page = text(client)

    assert "seconds to wait after a sudden fall" in page
    assert ("Look for a suggestion" in page) is (role in MAY["try_finish"])
    answer = send(client, PAGE, pause_s="3600")
    assert answer.status_code == (303 if role in MAY["finish"] else 403)
    assert plant.engine.house.finish == ({"garden": {"pause_s": 3600.0}} if role in MAY["finish"] else {})


def test_nothing_is_suggested_of_an_ordinary_past_and_the_page_says_why(plant: data.Plant) -> None:
    assert "No suggestion" in text(signed_in(plant), look="suggest")


def test_a_suggestion_shows_its_reason_its_figures_and_each_charge(
    plant: data.Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_history(plant, monkeypatch)
    page = text(signed_in(plant), look="suggest")

    assert "4 of the last 4 charges stayed on for over 20 minutes after they were full." in page
    assert re.search(r"4 cut sooner, in the middle by \d+", page)
    assert page.count('href="/console/sessions/S') == 4
    assert plant.engine.house.finish["garden"] == STRICT  # looking changes nothing


def test_what_was_suggested_is_approved_with_one_click_and_audited_with_its_figures(
    plant: data.Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_history(plant, monkeypatch)
    page = text(signed_in(plant), look="suggest")
    form = re.search(rf'<form method="post" action="{PAGE}">(.*?)</form>', page, re.DOTALL)
    assert form is not None
    fields = dict(re.findall(r'name="(\w+)" value="([\d.]+)"', form[1]))
    assert approve(plant, **fields, key="b" * 32).status_code == 303

    assert plant.engine.house.finish["garden"] != STRICT
    event = plant.asked[-1]
    assert isinstance(event, ev.StaffChange)
    evidence: Any = event.values["evidence"]
    assert (evidence["charges"], evidence["sooner"], evidence["early_cuts"]) == (4, 4, 0)
    audit = text(signed_in(plant), "/console/audit")
    assert "Finish settings approved" in audit
    assert "low: below this share of the peak" in audit


def test_settings_that_would_cut_early_are_marked_before_anybody_approves_them(
    plant: data.Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_history(plant, monkeypatch)
    approve(plant, low_for_s="1800", key="d" * 32)
    pauses = ended(1, [168.0] * 100 + [3.0] * 50 + [168.0] * 100 + charge(2.0)[200:420])
    monkeypatch.setattr("controller.garage.Garage.past", lambda self, site: [pauses])
    page = text(signed_in(plant), look="try", **{name: str(value) for name, value in NOW.items()})

    assert "1 cut before they were full" in page
    assert "too early" in page


@pytest.mark.parametrize("typed", ["x", "nan", "1e999", "-1", "0", "99999"])
def test_what_is_out_of_bounds_is_refused_in_words(plant: data.Plant, typed: str) -> None:
    client = signed_in(plant)
    looked = client.get(PAGE, params={"look": "try", "pause_s": typed, "lang": "en"})

    assert looked.status_code == 409
    assert "out of its bounds" in looked.text
    assert approve(plant, pause_s=typed).status_code == 409
    assert plant.engine.house.finish == {}


def test_a_withdrawal_brings_the_defaults_back(plant: data.Plant) -> None:
    approve(plant, pause_s="3600")
    assert "<strong>3600</strong>" in text(signed_in(plant))
    answer = send(signed_in(plant), f"{PAGE}/withdraw", key="c" * 32)

    assert answer.headers["location"].endswith("done=finish_off")
    assert plant.engine.house.finish == {}
    assert "All defaults hold." in text(signed_in(plant))


def test_settings_are_there_again_after_a_restart(plant: data.Plant) -> None:
    approve(plant, pause_s="3600")
    charger = model(plant)
    send(signed_in(plant), f"/console/chargers/{charger}/approve", key="d" * 32)
    house = plant.store.load().house

    assert house.finish == {"garden": {"pause_s": 3600.0}}
    assert house.chargers == plant.engine.house.chargers
    assert house.chargers[charger].state == "approved"


def test_a_model_is_suggested_approved_set_for_a_card_and_withdrawn(plant: data.Plant) -> None:
    plant.engine.house.apply(fx.SaveCard(Card("cx", "04FF", "N-77", "card:cx")))
    plant.store.write("card", [fx.SaveCard(Card("cx", "04FF", "N-77", "card:cx"))])
    charger, client = model(plant), signed_in(plant)
    assert ">suggested<" in text(client)
    for step, (act, fields) in enumerate([("approve", {}), ("card", {"card": "N-77"}), ("withdraw", {})]):
        answer = send(client, f"/console/chargers/{charger}/{act}", key=f"{step:032x}", **fields)
        assert answer.status_code == 303, answer.text[:500]

    assert plant.engine.house.bikes["card:cx"].charger == charger
    assert plant.engine.house.chargers[charger].state == "withdrawn"
    assert plant.store.load().house.bikes == plant.engine.house.bikes


def test_a_model_needs_a_name_and_a_setting_and_a_card_must_be_known(plant: data.Plant) -> None:
    client = signed_in(plant)
    assert send(client, "/console/sites/garden/chargers", name="", low="0.12").status_code == 409
    assert send(client, "/console/sites/garden/chargers", name="x", key="e" * 32).status_code == 409
    charger = model(plant, key="f" * 32)

    assert send(client, f"/console/chargers/{charger}/card", card="nobody", key="1" * 32).status_code == 409


def test_a_foreign_site_and_a_foreign_model_are_as_missing(plant: data.Plant) -> None:
    client = signed_in(plant)

    for path in ("/console/sites/nowhere/finish", "/console/chargers/nothing/approve"):
        assert (client.get(path) if path.endswith("finish") else send(client, path)).status_code == 404


def test_two_who_try_at_once_do_not_both_take_the_decider_s_time(plant: data.Plant) -> None:
    client = signed_in(plant)
    app: Any = client.app
    with app.state.trials:
        answer = client.get(PAGE, params={"look": "suggest"})

    assert answer.status_code == 409
    assert client.get(PAGE, params={"look": "suggest"}).status_code == 200
