"""Found, adopted with meters, replaced: the way into service on the desk, and faults in words."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import make_app
from api.pages import words
from controller.core import events as ev
from controller.core.state import OutletPhase
from controller.ports import Peeked
from tests.api.strange import FakeStrangers
from tests.pages import console_data as data

BOARD, BUS = "waveshare-relay:shed-1/modbus:1", "shed-1"
METERS = [f"pzem-004t:shed-1/modbus:{unit}" for unit in (11, 12)]


class Shed:
    """The compound with a board of four and three meters found on a bus."""

    def __init__(self, folder: Path) -> None:
        self.plant = data.compound(folder, busy=False)
        self.strangers = FakeStrangers()
        self.found(BOARD, 4, params={"meters": [None] * 4})
        for key in (*METERS, "pzem-004t:shed-1/modbus:14", "eastron-sdm:shed-1/modbus:14"):
            self.found(key, lease_class="metering_only")
        services = self.plant.services()
        self.app = make_app(
            dataclasses.replace(services, strangers=self.strangers, faults=lambda outlet: {"crc": 12, "odd_one": 1})
        )

    def found(self, key: str, channels: int = 1, **other: Any) -> None:
        family, _, address = key.partition(":")
        told = {"model": family, "firmware": "1", "params": {}, **other}
        self.plant.say(ev.PileFound(**self.plant.stamp(), family=family, address=address, channels=channels, **told))
        self.plant.flush()

    def signed_in(self, login: str = "li") -> TestClient:
        client = TestClient(self.app, follow_redirects=False)
        client.post("/console/login", data={"login": login, "password": data.PASSWORD})
        return client


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Shed:
    """Looked at alone, or asked for what it refuses."""
    return Shed(tmp_path_factory.mktemp("shed"))


@pytest.fixture(scope="module")
def owner(shed: Shed) -> TestClient:
    return shed.signed_in()


@pytest.fixture
def fresh(tmp_path: Path) -> Shed:
    return Shed(tmp_path)


def send(client: TestClient, path: str, at: str, **fields: Any) -> Any:
    """A form of the page `at`; whoever has none there sends one of their own."""
    page = client.get(at).text
    hidden = {name: re.findall(rf'name="{name}" value="([^"]+)"', page) or ["a" * 32] for name in ("csrf", "key")}
    return client.post(path, data={**{name: values[-1] for name, values in hidden.items()}, **fields})


def adopt(client: TestClient, **other: Any) -> Any:
    fields = {"id": BOARD, "site": "garden", "name": "东墙", "numbers": ["30", "31", "", ""]}
    fields |= {"meters": [*METERS, "", ""], **other}
    return send(client, "/console/found/adopt", f"/console/found/adopt?id={BOARD}", **fields)


def test_the_way_from_found_to_open_leads_from_page_to_page(fresh: Shed) -> None:
    client = fresh.signed_in()
    assert f"/console/found/adopt?id={BOARD.replace(':', '%3A')}" in client.get("/console/found").text

    adopted = adopt(client)

    assert adopted.status_code == 303
    pile = client.get(adopted.headers["location"]).text
    stickers = re.search(r'href="(/console/stickers\?pile=[0-9a-f]+)"', pile)
    assert stickers is not None
    printed = client.get(stickers[1]).text
    assert printed.count('class="sticker"') == 2
    outlets = {outlet.number: outlet for outlet in fresh.plant.engine.house.outlets.values() if outlet.site == "garden"}
    assert f"/console/outlets/{outlets['30'].id}" in pile
    assert words.t("zh", "desk.do.commission") in pile
    assert (outlets["30"].channel, outlets["31"].channel) == (0, 1)
    page = client.get(f"/console/outlets/{outlets['31'].id}").text
    assert "pzem-004t shed-1/modbus:12" in page
    assert re.search(r"/console/outlets/\w+/commission", page)


def test_the_same_form_sent_twice_adopts_once_and_shows_the_same_pile(fresh: Shed) -> None:
    client = fresh.signed_in()
    page = client.get(f"/console/found/adopt?id={BOARD}").text
    hidden = {name: re.findall(rf'name="{name}" value="([^"]+)"', page)[-1] for name in ("csrf", "key")}
    fields = {
        **hidden,
        "id": BOARD,
        "site": "garden",
        "name": "东墙",
        "numbers": ["30", "", "", ""],
        "meters": METERS[:1],
    }

    first = client.post("/console/found/adopt", data=fields)
    assert first.status_code == 303
    assert client.get(first.headers["location"]).status_code == 200
    again = client.post("/console/found/adopt", data=fields)
    assert (again.status_code, again.headers["location"]) == (303, first.headers["location"])
    assert len([pile for pile in fresh.plant.engine.house.piles.values() if pile == "东墙"]) == 1


def test_a_relay_whose_number_is_left_empty_leaves_the_meter_that_was_offered_behind_it_alone(fresh: Shed) -> None:
    adopted = adopt(fresh.signed_in(), numbers=["30", "", "", ""])

    assert adopted.status_code == 303
    assert fresh.plant.services().queries.found_one(METERS[1]) is not None, "free for another relay"


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"meters": [METERS[0], "", "", ""]}, "meter_missing"),
        ({"meters": [METERS[0], METERS[0], "", ""]}, "meter_taken"),
        ({"meters": [METERS[0], BOARD, "", ""]}, "meter_unfit"),
        ({"numbers": ["", "", "", ""]}, "number_missing"),
        ({"watchdog_s": "60"}, "watchdog"),
        ({"watchdog_s": "60", "watchdog_channel": "1"}, "watchdog"),
        ({"watchdog_s": "6", "watchdog_channel": "4"}, "watchdog"),
        ({"watchdog_s": "⁶", "watchdog_channel": "4"}, "watchdog"),
    ],
)
def test_what_does_not_fit_is_refused_in_words_and_what_was_typed_is_kept(
    shed: Shed, owner: TestClient, other: dict[str, Any], code: str
) -> None:
    for lang in words.LANGS:
        owner.get(f"/console?lang={lang}")

        page = adopt(owner, **other)

        assert page.status_code == 409
        assert words.t(lang, f"desk.refused.{code}") in page.text
        assert "东墙" in page.text
    assert BOARD in shed.plant.engine.house.found


def test_the_form_offers_the_meters_of_the_bus_with_what_they_show(shed: Shed, owner: TestClient) -> None:
    shed.strangers.shown[METERS[0]] = [Peeked(power_w=60.0, voltage_v=229.6, energy_wh=1234.0, old=False)]

    page = owner.get(f"/console/found/adopt?id={BOARD}&lang=en").text

    assert "60 W 230 V 1.23" in page
    chosen = re.findall(r'<option value="([^"]+)" selected', page)
    meters = [key for key in chosen if key.startswith(("pzem", "eastron"))]
    assert meters[:2] == METERS
    assert not [key for key in meters if key.endswith(":14")]  # two kinds at one address: nobody knows which


def test_found_devices_are_shown_live_and_looked_at_no_more_than_a_page_has_room_for(
    shed: Shed, owner: TestClient
) -> None:
    shed.strangers.shown[METERS[0]] = [Peeked(power_w=60.0, old=True)]
    for unit in range(100, 160):
        shed.found(f"pzem-004t:shed-1/modbus:{unit}", lease_class="metering_only")
    page = owner.get("/console/found?lang=zh").text
    assert words.t("zh", "desk.found.twice") in page
    assert page.count("data-text") >= 60

    shed.strangers.looked.clear()
    news = json.loads(owner.get("/console/found/live?once=1").text)
    assert len(set(shed.strangers.looked)) == 50
    assert news["text"][f"scan:{BUS}"].startswith("扫描中")


def test_a_bus_is_scanned_and_what_is_odd_there_is_said_with_what_to_do(shed: Shed, owner: TestClient) -> None:
    assert send(owner, "/console/buses/shed-2/scan", "/console/found").status_code == 303
    assert shed.strangers.begun == ["shed-1", "shed-2"]

    page = owner.get("/console/found?lang=en").text
    assert words.t("en", "desk.scan.odd", at="shed-2/modbus:7", name=words.t("en", "desk.fault.crc")) in page
    assert words.t("en", "desk.fault.crc.do") in page
    assert send(owner, "/console/buses/nowhere/scan", "/console/found").status_code == 404


def test_only_who_adopts_scans_and_replaces(shed: Shed) -> None:
    client = shed.signed_in(login_of("auditor"))
    assert send(client, "/console/buses/shed-1/scan", "/console").status_code == 403
    assert client.get("/console/piles/p1/replace").status_code == 403
    assert send(client, "/console/piles/p1/replace", "/console", by=BOARD).status_code == 403
    assert "/replace" not in client.get("/console/piles/p1").text


def login_of(wanted: str) -> str:
    return next(login for login, _, role in data.PEOPLE if role == wanted)


def test_a_dead_device_is_replaced_and_its_numbers_stay(fresh: Shed) -> None:
    fresh.found("tasmota-mqtt:A4CF12F0BEEF", 8)
    client, house = fresh.signed_in(), fresh.plant.engine.house
    numbers = {id_: outlet.number for id_, outlet in house.outlets.items() if outlet.pile == "p3"}
    assert "A4CF12F0BEEF" in client.get("/console/piles/p3/replace").text
    at = "/console/piles/p3/replace?by=tasmota-mqtt:A4CF12F0BEEF"
    assert "A4CF12F0BEEF" in client.get(at).text

    answer = send(client, "/console/piles/p3/replace", at, by="tasmota-mqtt:A4CF12F0BEEF")

    assert answer.headers["location"] == "/console/piles/p3?done=replace"
    assert {house.outlets[id_].phase for id_ in numbers} == {OutletPhase.ADOPTED}
    assert {id_: house.outlets[id_].number for id_ in numbers} == numbers
    page = client.get("/console/piles/p3?done=replace").text
    assert "A4CF12F0BEEF" in page
    assert words.t("zh", "desk.done.replace") in page
    again = send(client, "/console/piles/p3/replace", "/console/piles/p3/replace", by="tasmota-mqtt:A4CF12F0BEEF")
    assert (again.status_code, words.t("zh", "desk.refused.unknown_device") in again.text) == (409, True)


def test_a_dead_meter_is_replaced_under_a_board_that_stays(fresh: Shed) -> None:
    client = fresh.signed_in()
    pile = adopt(client).headers["location"].partition("?")[0]
    fresh.found("pzem-004t:shed-1/modbus:20", lease_class="metering_only")
    at = f"{pile}/replace?by=-"
    assert words.t("zh", "desk.replace.meter.stays", unit="12") in client.get(at).text

    fields = {"by": "-", "channels": ["0", "1"], "meters": ["", "pzem-004t:shed-1/modbus:20"]}
    assert send(client, f"{pile}/replace", at, **fields).status_code == 303

    meters = fresh.plant.engine.house.hardware[pile.rpartition("/")[2]].params["meters"]
    assert [meter and meter["address"] for meter in meters] == ["shed-1/modbus:11", "shed-1/modbus:20", None, None]


def test_foreign_and_unknown_piles_look_the_same(shed: Shed) -> None:
    client = shed.signed_in(login_of("maintainer"))
    sites = {pile: site for pile, site, *_ in data.PILES}
    foreign = next(pile for pile, site in sites.items() if site != "garden")
    for path in (f"/console/piles/{foreign}", f"/console/piles/{foreign}/replace", "/console/piles/nowhere"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("lang", words.LANGS)
def test_faults_are_said_in_a_sentence_and_unknown_ones_by_their_name(owner: TestClient, lang: str) -> None:
    page = owner.get(f"/console/outlets/p1-1?lang={lang}").text

    assert words.t(lang, "desk.fault.crc.do") in page
    assert "odd one" in page


def test_every_fault_that_the_line_names_has_words() -> None:
    named = {"silent", "crc", "truncated", "malformed", "wrong_unit", "wrong_function", "echo", "exception", "late"}
    named |= {"collision", "expired", "range", "length", "checksum", "unknown", "ambiguous", "bug"}
    for lang in words.LANGS:
        for kind in named:
            assert words.knows(lang, f"desk.fault.{kind}"), kind
            assert words.knows(lang, f"desk.fault.{kind}.do"), kind
