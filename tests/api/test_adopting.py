"""Boards with meters, devices in a dead one's place and scans of a bus, as programs ask for them."""

from typing import Any

from controller.core import effects as fx
from controller.core.events import Change
from controller.core.hardware import Hardware
from tests.api.stand import AT, Stand

METER = "pzem-004t:shed-1/modbus:11"
BOARD = {"found": "waveshare-relay:shed-1/modbus:1", "site": "here", "name": "Gate", "numbers": ["A-09", ""]}


def test_a_board_is_adopted_with_its_meters_and_a_channel_left_out(stand: Stand) -> None:
    body = {**BOARD, "meters": [METER, None], "watchdog": {"s": 60.0, "channel": 1}}

    answer = stand.as_role("maintainer").post("/api/v1/piles", json=body)

    assert answer.status_code == 201, answer.text
    values = stand.door.last.values
    assert (values["numbers"], values["meters"]) == (["A-09", ""], [METER, None])
    assert values["watchdog"] == {"s": 60.0, "channel": 1}
    assert [bool(outlet) for outlet in answer.json()["outlets"]] == [True, False]
    assert [bool(sticker) for sticker in values["stickers"]] == [True, False]


def test_a_pile_gets_another_device(stand: Stand) -> None:
    body = {"found": "tasmota:AB", "meters": None}

    answer = stand.as_role("maintainer").post("/api/v1/piles/p-here/replace", json=body)

    assert answer.json() == {"subject": "p-here"}
    event = stand.door.last
    assert (event.change, event.subject) == (Change.REPLACE, "p-here")
    assert event.values == {"found": "tasmota:AB", "meters": None, "watchdog": None}


WRONG: list[tuple[str, Any]] = [
    ("meters", "x"),
    ("meters", [1]),
    ("meters", ["\n\n\n"]),
    ("meters", [None] * 65),
    ("watchdog", {"s": 5, "channel": 0}),
    ("watchdog", {"s": 60}),
    ("watchdog", {"s": "60", "channel": 0}),
    ("watchdog", {"s": 60, "channel": -1}),
    ("watchdog", {"s": 60, "channel": 1.5}),
    ("watchdog", {"s": 1e9, "channel": 0}),
]


def test_what_cannot_be_is_refused_at_the_door(stand: Stand) -> None:
    client = stand.as_role("maintainer")
    for path, body in (("/piles", BOARD), ("/piles/p-here/replace", {"found": "tasmota:AB"})):
        for field, value in WRONG:
            answer = client.post(f"/api/v1{path}", json={**body, field: value})
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), (path, field, value)
    assert stand.door.events == []


def test_a_scan_is_begun_once_and_followed(stand: Stand) -> None:
    client = stand.as_role("maintainer")
    assert client.get("/api/v1/buses/shed-2/scan").status_code == 404

    begun = client.post("/api/v1/buses/shed-2/scan")
    assert begun.json()["odd"] == [{"address": "shed-2/modbus:7", "fault": "crc"}]
    assert client.post("/api/v1/buses/shed-2/scan").json() == client.get("/api/v1/buses/shed-2/scan").json()
    assert client.get("/api/v1/buses").json()["buses"][1] == {"name": "shed-2", "scan": begun.json()}
    assert client.post("/api/v1/buses/nowhere/scan").status_code == 404
    assert stand.door.events == []


def test_a_list_says_which_devices_need_meters_and_a_pile_which_it_has(stand: Stand) -> None:
    found = {"family": "relay", "address": "b/modbus:1", "model": "m", "firmware": "", "channels": 2, "seen_at": AT}
    board = {**found, "id": "relay:b/modbus:1", "params": {"meters": [None, None]}, "lease_class": "metering_only"}
    meters = {"meters": [{"family": "pzem", "address": "b/modbus:11"}, None]}
    hardware = Hardware("relay", "b/modbus:2", "m", "", meters)
    stand.store.write("hardware", [fx.Put("found", board), fx.SaveHardware("p-here", AT, hardware, ())])
    client = stand.as_role("maintainer")

    rows = {row["id"]: row for row in client.get("/api/v1/found").json()["rows"]}
    assert (rows["relay:b/modbus:1"]["needs_meters"], rows["relay:b/modbus:1"]["lease_class"]) == (
        True,
        "metering_only",
    )
    pile = client.get("/api/v1/piles/p-here").json()
    assert (pile["address"], pile["meters"]) == ("b/modbus:2", ["pzem:b/modbus:11", None])


def test_an_outlet_tells_the_faults_of_its_wire(stand: Stand) -> None:
    assert stand.as_role("auditor").get("/api/v1/outlets/o-here").json()["faults"] == {"crc": 3}
