"""The same key is the same wish: the first answer again, after a restart as well; another body under it is refused."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from controller.core import events as ev
from tests.api.office import Office
from tests.api.stand import STICKER

BAND = {"name": "day", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}
KEY = {"Idempotency-Key": "my-own-key-1"}
MADE: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {  # role, path, body, another body
    "merchant": ("owner", "/merchants", {"name": "A"}, {"name": "B"}),
    "site": (
        "owner",
        "/sites",
        {"name": "A", "zone": "UTC", "merchant": "m", "merchant_name": "M", "bands": [BAND]},
        {"name": "B", "zone": "UTC", "merchant": "m", "merchant_name": "M", "bands": [BAND]},
    ),
    "tariff": ("manager", "/sites/s1/tariffs", {"name": "A", "bands": [BAND]}, {"name": "B", "bands": [BAND]}),
    "card": ("manager", "/cards", {"uid": "04A1B2C4", "printed": "A"}, {"uid": "04A1B2C5", "printed": "A"}),
    "staff": (
        "owner",
        "/staff",
        {"login": "wang", "name": "W", "password": "nine quiet sockets", "role": "manager", "sites": ["s1"]},
        {"login": "wang", "name": "W", "password": "nine loud sockets", "role": "manager", "sites": ["s1"]},
    ),
    "top-up": ("finance", "/cards/c1/top-ups", {"amount_fen": 500}, {"amount_fen": 600}),
    "pile": (
        "maintainer",
        "/piles",
        {"found": "made-up:BB", "site": "s1", "name": "A", "numbers": ["11"]},
        {"found": "made-up:BB", "site": "s1", "name": "B", "numbers": ["11"]},
    ),
    "sticker": ("manager", "/outlets/o1/stickers", {"old": STICKER}, {"old": STICKER[:-1] + "S"}),
}


@pytest.fixture
def house(real: Office) -> Office:
    """With a device to adopt, and a sticker to replace."""
    _furnished(real)
    return real


def _furnished(house: Office) -> None:
    stamp = house.rig.stamp()
    found: dict[str, Any] = {
        "family": "made-up",
        "address": "BB",
        "model": "m",
        "firmware": "f",
        "channels": 1,
        "params": {},
    }
    house.rig.hear(ev.PileFound(**stamp, **found))
    values = {"outlet": "o1", "new_sticker": STICKER}
    house.rig.staff(ev.Change.RETIRE_STICKER, "old-one", **values)


def counted(house: Office) -> dict[str, int]:
    tables = ("merchant", "site", "tariff", "card", "staff", "entry", "pile", "outlet", "sticker", "audit")
    return {table: house.rig.sql(f"SELECT count(*) FROM {table}")[0][0] for table in tables}  # noqa: S608


def posted(client: TestClient, what: str, body: dict[str, Any]) -> Any:
    return client.post(MADE[what][1], json=body, headers=KEY)


@pytest.mark.parametrize("what", sorted(MADE))
def test_a_repeat_after_a_restart_gets_an_equal_answer_and_makes_nothing(house: Office, what: str) -> None:
    role, _, body, other = MADE[what]
    first = posted(house.as_role(role), what, body)
    assert 200 <= first.status_code < 300, first.text
    made = counted(house)
    again = posted(house.as_role(role), what, body)
    house = house.restarted()
    later = posted(house.as_role(role), what, body)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert (later.status_code, later.json()) == (first.status_code, first.json())
    assert counted(house) == made
    house = house.restarted()
    refused = posted(house.as_role(role), what, other)
    assert (refused.status_code, refused.json()["code"]) in ((409, "conflict"), (404, "unknown"))
    assert counted(house) == made
    house.close()


def test_a_refund_paid_by_hand_is_paid_once_whoever_repeats_after_a_restart(house: Office) -> None:
    rig = house.rig
    rig.beat()
    rig.answer(rig.order())
    rig.answer(rig.paid(amount_fen=300), house.queries.known(rig.paid(amount_fen=300)))  # not the price: owed back
    ((refund,),) = rig.sql("SELECT id FROM refund")
    rig.answer(rig.refunded(refund, 300, state="closed"), house.queries.known(rig.refunded(refund, 300)))
    path = f"/refunds/{refund}/paid-by-hand"
    first = house.as_role("finance").post(path, headers=KEY)
    house = house.restarted()
    again = house.as_role("finance").post(path, headers=KEY)
    by_another = house.as_role("owner").post(path, headers=KEY)
    assert (first.status_code, again.status_code, again.json()) == (200, 200, first.json())
    assert (by_another.status_code, by_another.json()["code"]) == (409, "conflict")
    (entries,) = house.rig.sql("SELECT count(*) FROM entry WHERE kind LIKE '%hand%'")[0]
    assert entries == 1
    house.close()
