"""Tell me by e-mail: offered while there is something to tell, to whoever holds the secret; taken back as easily."""

from collections.abc import Iterator
from html import unescape

import pytest
from fastapi.testclient import TestClient

from controller.core import events as ev
from tests.pages.fakes import OUTLET, Street
from tests.pages.scenes import SCENES

ADDRESS = "wang.li@example.com"


@pytest.fixture
def street() -> Street:
    return Street()


@pytest.fixture
def phone(street: Street) -> Iterator[TestClient]:
    with TestClient(street.app(), follow_redirects=False, headers={"Accept-Language": "en"}) as client:
        yield client


@pytest.mark.parametrize("scene", ["waiting", "starting", "charging", "suspended", "questioned", "ending"])
def test_it_is_offered_while_there_is_something_to_tell(phone: TestClient, street: Street, scene: str) -> None:
    text = unescape(phone.get(SCENES[scene](street)).text)

    assert "Tell me by e-mail" in text
    assert "erased once the last letter has left" in text


@pytest.mark.parametrize("scene", ["paying", "finished", "expired", "rejected"])
def test_it_is_not_offered_where_nothing_follows(phone: TestClient, street: Street, scene: str) -> None:
    assert "Tell me by e-mail" not in unescape(phone.get(SCENES[scene](street)).text)


def test_without_a_mail_server_it_is_not_offered() -> None:
    street = Street(mails=False)
    with TestClient(street.app(), follow_redirects=False) as phone:
        assert "notices" not in phone.get(SCENES["charging"](street)).text
        phone.post(f"{street.order_url}/notices", data={"address": ADDRESS, "key": "k" * 32})
    assert street.door.asked == []


def test_an_address_becomes_one_event_however_often_it_is_sent(phone: TestClient, street: Street) -> None:
    url = SCENES["charging"](street)
    for _ in range(2):
        answer = phone.post(f"{url}/notices", data={"address": f" {ADDRESS} ", "key": "a" * 32})
        assert answer.headers["location"] == url
    first, second = street.door.asked

    assert isinstance(first, ev.AddressLeft)
    assert isinstance(second, ev.AddressLeft)
    assert first.key == second.key
    assert (first.session, first.outlet, first.party, first.address) == ("session-1", OUTLET, "party-1", ADDRESS)


@pytest.mark.parametrize("bad", ["wang", "a@b", "wang@example.com\nBcc: x@example.com", "x" * 300 + "@example.com"])
def test_what_is_no_address_is_said_so_and_asks_nothing(phone: TestClient, street: Street, bad: str) -> None:
    url = SCENES["charging"](street)
    answer = phone.post(f"{url}/notices", data={"address": bad, "key": "a" * 32})

    assert answer.status_code == 422
    assert "not an e-mail address" in unescape(answer.text)
    assert street.door.asked == []


def test_T93_the_page_shows_an_address_masked_and_to_its_secret_alone(phone: TestClient, street: Street) -> None:
    url = SCENES["to_be_told"](street)
    text = unescape(phone.get(url).text)

    assert "w…@example.com" in text
    assert ADDRESS not in text
    assert phone.post("/O/another/notices", data={"address": ADDRESS}).status_code == 303
    assert phone.post("/O/another/notices/forget").status_code == 303
    assert street.door.asked == []


def test_it_is_taken_back_with_one_click_during_the_charge_and_after(phone: TestClient, street: Street) -> None:
    url = SCENES["to_be_told"](street)
    assert phone.post(f"{url}/notices/forget").headers["location"] == url
    street.board.views.clear()
    street.finished()
    phone.post(f"{url}/notices/forget")
    asked = [event for event in street.door.asked if isinstance(event, ev.AddressForgotten)]

    assert [(event.party, event.by) for event in asked] == [("party-1", "party:party-1")] * 2


def test_without_the_records_the_page_does_without_the_offer(phone: TestClient, street: Street) -> None:
    url = SCENES["charging"](street)
    street.queries.away = True
    answer = phone.get(url)

    assert answer.status_code == 200
    assert "Tell me by e-mail" not in unescape(answer.text)
