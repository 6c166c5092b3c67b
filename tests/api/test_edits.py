"""Two people edit one thing: of two edits begun alike only the first is done, however close they come."""

import asyncio
from typing import Any

import httpx2
import pytest

from controller.core.events import Change
from tests.api.office import Office

BAND = {"name": "day", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}
EDITS: list[tuple[str, str, str, str, dict[str, Any], dict[str, Any]]] = [  # role, read, method, edit, one, another
    ("manager", "/sites/s1", "patch", "/sites/s1", {"name": "A"}, {"name": "B"}),
    (
        "manager",
        "/sites/s1",
        "post",
        "/sites/s1/tariffs",
        {"name": "A", "bands": [BAND]},
        {"name": "B", "bands": [BAND]},
    ),
    ("manager", "/sites/s1", "put", "/sites/s1/power-limit", {"power_w": 7000}, {"power_w": 9000}),
    ("manager", "/piles/p1", "patch", "/piles/p1", {"name": "A"}, {"name": "B"}),
    ("manager", "/piles/p1", "put", "/piles/p1/power-limit", {"power_w": 7000}, {"power_w": 9000}),
    ("manager", "/outlets/o1", "post", "/outlets/o1/name", {"number": "A"}, {"number": "B"}),
    ("manager", "/cards/c1", "patch", "/cards/c1", {"printed": "A"}, {"printed": "B"}),
    ("owner", "/staff/s-manager", "patch", "/staff/s-manager", {"name": "A"}, {"name": "B"}),
    ("owner", "/merchants/m", "patch", "/merchants/m", {"name": "A"}, {"name": "B"}),
]
IDS = [f"{method} {path}" for _, _, method, path, _, _ in EDITS]


@pytest.mark.parametrize(("role", "read", "method", "path", "one", "another"), EDITS, ids=IDS)
def test_who_edits_what_they_no_longer_see_is_told_so(
    real: Office, role: str, read: str, method: str, path: str, one: dict[str, Any], another: dict[str, Any]
) -> None:
    client = real.as_role("owner")
    seen = client.get(read).headers["etag"]
    assert seen.startswith('"')
    first = real.as_role(role).request(method, path, json=one, headers={"If-Match": seen})
    assert first.status_code in (200, 201), first.text
    late = real.as_role(role if role == "owner" else "owner").request(
        method, path, json=another, headers={"If-Match": seen}
    )
    assert (late.status_code, late.json()["code"]) == (412, "changed")
    assert "again" in late.json()["detail"]
    now = real.as_role("owner").get(read).headers["etag"]
    assert now != seen
    mended = real.as_role("owner").request(method, path, json=another, headers={"If-Match": f'"old", {now}'})
    assert mended.status_code in (200, 201)


@pytest.mark.parametrize(("role", "read", "method", "path", "one", "another"), EDITS, ids=IDS)
def test_of_two_managers_at_once_one_wins_and_one_is_told(
    real: Office, role: str, read: str, method: str, path: str, one: dict[str, Any], another: dict[str, Any]
) -> None:
    client = real.as_role("owner")
    headers = {"If-Match": client.get(read).headers["etag"], "authorization": client.headers["authorization"]}

    async def both() -> list[int]:
        transport = httpx2.ASGITransport(real.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://testserver/api/v1") as web:
            asked = [web.request(method, path, json=body, headers=headers) for body in (one, another)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    statuses = sorted(asyncio.run(both()))
    assert statuses[0] in (200, 201)
    assert statuses[1] == 412


def test_a_change_by_the_console_counts_as_much(real: Office) -> None:
    client = real.as_role("manager")
    seen = client.get("/sites/s1").headers["etag"]
    real.rig.staff(Change.SITE, "s1", name="By the console")
    assert client.patch("/sites/s1", json={"name": "A"}, headers={"If-Match": seen}).status_code == 412
    real.rig.staff(Change.LOCK, "o1")
    before = real.as_role("owner").get("/outlets/o1").headers["etag"]
    real.rig.staff(Change.UNLOCK, "o1", owner=True)
    late = client.post("/outlets/o1/close", headers={"If-Match": before})
    assert late.status_code == 412


def test_what_devices_say_is_no_edit(real: Office) -> None:
    before = real.as_role("manager").get("/outlets/o1").headers["etag"]
    real.rig.charging()
    assert real.as_role("manager").get("/outlets/o1").headers["etag"] == before


@pytest.mark.parametrize("header", ["*", None])
def test_without_a_tag_the_last_one_wins_as_before(real: Office, header: str | None) -> None:
    headers = {} if header is None else {"If-Match": header}
    for name in ("A", "B"):
        assert real.as_role("manager").patch("/piles/p1", json={"name": name}, headers=headers).status_code == 200
    assert real.as_role("manager").get("/piles/p1").json()["name"] == "B"


def test_a_weak_tag_fits_nothing(real: Office) -> None:
    client = real.as_role("manager")
    weak = f"W/{client.get('/piles/p1').headers['etag']}"
    assert client.patch("/piles/p1", json={"name": "A"}, headers={"If-Match": weak}).status_code == 412


def test_an_edit_that_leaves_things_out_keeps_them(real: Office) -> None:
    client = real.as_role("manager")
    before = client.get("/sites/s1").json()
    client.patch("/sites/s1", json={"name": "North"})
    after = client.get("/sites/s1").json()
    assert after == {**before, "name": "North"}, "the same price list, not a copy of it"
    client.patch("/cards/c1", json={"frozen": True})
    client.patch("/cards/c1", json={"printed": "0002"})
    card = client.get("/cards/c1").json()
    assert (card["frozen"], card["printed"]) == (True, "0002")


def test_in_another_zone_the_prices_are_another_list(real: Office) -> None:
    client = real.as_role("manager")
    before = client.get("/sites/s1").json()["tariff"]
    client.patch("/sites/s1", json={"zone": "Europe/Berlin"})
    after = client.get("/sites/s1").json()["tariff"]
    assert (after["name"], after["bands"]) == (before["name"], before["bands"])
    assert (after["zone"], after["id"] == before["id"]) == ("Europe/Berlin", False)


def test_a_limit_is_set_and_taken_off(real: Office) -> None:
    client = real.as_role("manager")
    for path in ("/sites/s1", "/piles/p1"):
        assert client.put(f"{path}/power-limit", json={"power_w": 7000}).status_code == 200
        assert client.get(path).json()["power_w"] == 7000
        assert client.put(f"{path}/power-limit", json={"power_w": 1}).json()["code"] == "limit_too_low"
        assert client.put(f"{path}/power-limit", json={"power_w": None}).status_code == 200
        assert client.get(path).json()["power_w"] is None


def test_tags_are_the_same_after_a_restart(real: Office) -> None:
    paths = ["/sites/s1", "/piles/p1", "/outlets/o1", "/cards/c1", "/staff/s-manager", "/merchants/m"]
    before = {path: real.as_role("owner").get(path).headers["etag"] for path in paths}
    real = real.restarted()
    for path, tag in before.items():
        body = {"/outlets/o1": None}.get(path, {"name": "A"})
        edit = ("post", f"{path}/close") if body is None else ("patch", path)
        body = {"printed": "A"} if "cards" in path else body
        answer = real.as_role("owner").request(*edit, json=body, headers={"If-Match": tag})
        assert answer.status_code == 200, f"{path}: {answer.text}"
    real.close()
