"""Attacks on the web side that once worked: orders, which cost their sender nothing and us a row and two calls."""

import pytest
from fastapi.testclient import TestClient

from api.pages import scan
from controller.core import events as ev
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
