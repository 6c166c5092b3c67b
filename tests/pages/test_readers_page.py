"""The pages of card readers: the console's, with cards to be enrolled, and the one beside a reader for everybody."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.app import make_app
from api.pages import reader, words
from api.streams import Stream
from controller.ports import Shown, Standing, Swipe
from tests.pages import console_data as data

UID = "CB98A605"
PRINTED = "3415778821"
Signed = Callable[[str], TestClient]
LOGINS = {role: login for login, _, role in data.PEOPLE}


class Readers:
    """As the gateway's own: two, one of them gone; what they have read is set by hand."""

    def __init__(self) -> None:
        self.swipes = [Swipe(1, "east", data.AT, UID)]
        self.said: dict[str, Shown | None] = {"east": None, "north": None}
        self.faults: Mapping[str, int] = {"garbage": 3, "two_cards": 1, "brand_new": 1}

    def standing(self) -> Sequence[Standing]:
        east = Standing("east", "pn532", "/dev/r1", "", "p1", "reads", "PN532 1.6", self.faults, 7)
        return (east, Standing("north", "hid", "/dev/r2", "p3-0", "", "gone", "", {}, 0))

    def unknown(self) -> Sequence[Swipe]:
        return self.swipes[::-1]

    def shown(self, name: str) -> Shown | None:
        return self.said[name]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> data.Plant:
    return data.compound(tmp_path_factory.mktemp("readers"), busy=False)


@pytest.fixture(scope="module")
def shared() -> Readers:
    return Readers()


@pytest.fixture(scope="module")
def app(plant: data.Plant, shared: Readers) -> FastAPI:
    return make_app(replace(plant.services(), readers=shared))


@pytest.fixture
def readers(shared: Readers) -> Readers:
    vars(shared).update(vars(Readers()))
    return shared


@pytest.fixture(scope="module")
def signed(app: FastAPI) -> Callable[[str], TestClient]:
    """Who signs in with a role stays so: a password takes its time."""
    return cache(lambda role: signed_in(app, role))


def signed_in(app: FastAPI, role: str) -> TestClient:
    client = TestClient(app, follow_redirects=False)
    answer = client.post("/console/login", data={"login": LOGINS[role], "password": data.PASSWORD})
    assert answer.status_code == 303, answer.text
    return client


# -- the console --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", words.LANGS)
def test_each_reader_is_shown_with_what_it_serves_and_its_faults(signed: Signed, readers: Readers, lang: str) -> None:
    page = signed("owner").get("/console/readers", params={"lang": lang}).text

    for text in ("east", "PN532 1.6", "/dev/r2", words.t(lang, "desk.reader.fault.garbage") + " 3", "brand new 1"):
        assert text in page, text
    assert words.t(lang, "desk.reader.state.gone") in page
    assert "desk." not in page


def test_a_card_that_nobody_knows_is_shown_in_the_four_forms_to_who_may_enrol_it_alone(
    signed: Signed, readers: Readers
) -> None:
    page = signed("manager").get("/console/readers").text
    for form in (UID, PRINTED, "05A698CB", f"{0x05A698CB:010d}"):
        assert form in page, form

    for role in ("finance", "maintainer", "auditor"):
        assert UID not in signed(role).get("/console/readers").text, role
        assert UID not in signed(role).get("/console/cards?swipe=1&printed=hex").text, role


def test_one_click_fills_the_form_of_a_new_card_and_no_address_has_its_number(signed: Signed, readers: Readers) -> None:
    client = signed("manager")
    links = re.findall(r'href="(/console/cards\?[^"#]+)', client.get("/console/readers").text)
    assert len(links) == 5
    assert not [link for link in links if UID in link or PRINTED in link]

    page = client.get(links[2].replace("&amp;", "&")).text
    assert (
        f'name="uid" required maxlength="20" pattern="[0-9A-Fa-f :]{{8,29}}" autocapitalize="characters" value="{UID}"'
        in page
    )
    assert f'maxlength="32" value="{PRINTED}"' in page


def test_what_was_swiped_and_forgotten_again_fills_nothing(signed: Signed, readers: Readers) -> None:
    client = signed("owner")
    for query in ("swipe=2&printed=decimal", "swipe=", "printed=hex"):
        assert UID not in client.get(f"/console/cards?{query}").text, query
    assert (
        'name="printed" required maxlength="32" value=""' in client.get("/console/cards?swipe=1&printed=__class__").text
    )


def test_an_open_page_learns_of_a_swipe_without_being_told_the_card(signed: Signed, readers: Readers) -> None:
    client = signed("owner")
    before = client.get("/console/readers/live?once=1").json()
    assert f'data-version="{before["version"]}"' in client.get("/console/readers").text

    readers.swipes.append(Swipe(2, "east", data.AT, "01020304"))
    after = client.get("/console/readers/live?once=1").json()
    assert set(after) == {"version"}
    assert after != before


def test_staff_of_one_site_see_its_readers_alone(plant: data.Plant, signed: Signed, readers: Readers) -> None:
    client = signed("manager")
    page = client.get("/console/readers").text
    scoped = next(person for person in plant.services().queries.staff() if person.login == LOGINS["manager"])

    assert ("/reader/east" in page) is ("garden" in scoped.sites)
    assert ("/reader/north" in page) is ("court" in scoped.sites)


# -- beside a reader ----------------------------------------------------------------------------------------------

SAID = [
    Shown("started", "7", balance_fen=2_000),
    Shown("stopped", "7", balance_fen=1_958, cost_fen=42),
    Shown("refused", "", "card_unknown"),
    Shown("refused", "7", "two_cards"),
    Shown("slow"),
    Shown("refused", "7", "never heard of"),
    Shown("keyed", "7"),
    Shown("choose", balance_fen=700),
    Shown("chosen", "7"),
    Shown("none_free"),
    Shown("no_such_outlet", "12"),
    Shown("nothing_chosen"),
    None,
]


@pytest.mark.parametrize("lang", words.LANGS)
def test_all_that_a_reader_says_has_its_words(app: FastAPI, readers: Readers, lang: str) -> None:
    client = TestClient(app)
    for shown in SAID:
        readers.said["east"] = shown
        page, said = client.get(f"/reader/east?lang={lang}"), client.get(f"/reader/east/live?once=1&lang={lang}").json()

        assert page.status_code == 200
        assert said["title"] in page.text
        assert not re.search(r"reader\.\w|\{", str([said["title"], said["text"], said["money"]]))
        if shown is not None:
            assert shown.number in said["title"] or shown.kind == "refused"
            assert (said["money"] != "") is (shown.balance_fen is not None)


def test_nobody_is_asked_for_keys_or_a_choice_that_are_not_there(app: FastAPI, readers: Readers) -> None:
    client = TestClient(app)
    for shown in (None, Shown("choose")):
        readers.said["east"] = shown
        assert "type" not in client.get("/reader/east/live?once=1&lang=en").json()["text"], "swipes alone choose here"
    assert "again" not in client.get("/reader/north/live?once=1&lang=en").json()["text"], "there is one outlet"


def test_the_cost_and_what_is_left_are_said(app: FastAPI, readers: Readers) -> None:
    readers.said["east"] = SAID[1]
    said = TestClient(app).get("/reader/east/live?once=1&lang=en").json()
    assert (said["title"], said["money"]) == ("Outlet 7: stopped", "¥19.58 on the card")
    assert said["text"].startswith("¥0.42 so far")


def test_who_has_the_page_open_is_told_at_once_and_told_nothing_twice(
    app: FastAPI, readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LOOK_S", 0.0)

    async def listened() -> list[bytes]:
        stream, messages = Stream(), list[bytes]()
        async for message in reader.looks(stream, app.state.services, "east", "en"):
            messages.append(message)
            readers.said["east"] = SAID[0] if len(messages) == 1 else None
            if len(messages) == 3:
                stream.end()
        return messages

    titles = [json.loads(message.removeprefix(b"data: "))["title"] for message in asyncio.run(listened())]
    assert titles == ["Swipe your card", "Outlet 7: charging starts", "Swipe your card"]


def test_there_is_no_page_beside_a_reader_that_is_not_there(app: FastAPI) -> None:
    client = TestClient(app)
    assert client.get("/reader/west").status_code == 404
    assert client.get("/reader/west/live").status_code == 404


def test_the_page_needs_nothing_that_the_policy_forbids(app: FastAPI) -> None:
    page = TestClient(app).get("/reader/east")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert re.findall(r"<script([^>]*)>", page.text) == [' src="/static/reader.js" defer']
    assert " style=" not in page.text
    assert TestClient(app).get("/static/reader.js").status_code == 200


def test_no_catalogue_lacks_a_name_for_a_fault_that_readers_count() -> None:
    sources = Path(__file__).parents[2].joinpath("firmware_bridge", "readers").glob("*.py")
    kinds = {kind for source in sources for kind in re.findall(r'Fault\("(\w+)"\)', source.read_text(encoding="utf-8"))}
    assert len(kinds) >= 6
    for lang in words.LANGS:
        assert not [kind for kind in kinds if not words.knows(lang, f"desk.reader.fault.{kind}")]
