"""Open pages: many viewers cost one look, none costs the database a query a second, and there is room for so many."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from api.pages.console import live
from api.pages.console.live import Screen, Screens
from api.pages.followed import RECORDS_S, Followed
from api.pages.shell import AwayError
from api.streams import RESIDENTS, Pool, Stream, Streams
from controller.clock import HandClock
from controller.feed import Feed, Kept
from tests.pages.fakes import SECRET, Street, idle, running

# -- residents ----------------------------------------------------------------------------------------------------


class Followers:
    """A street with a feed that knows the disk, and a count of what was asked of the records."""

    def __init__(self) -> None:
        self.street = Street()
        self.feed = Feed(newest=0)
        self.real = HandClock()
        self.street.services = dataclasses.replace(self.street.services, feed=self.feed, real_clock=self.real)
        self.asked = 0
        known = self.street.queries.order_by_secret

        def counted(secret_hash: str) -> Any:
            self.asked += 1
            return known(secret_hash)

        self.street.queries.order_by_secret = counted  # type: ignore[method-assign]
        self.followed = Followed(self.street.services, SECRET)

    def look(self) -> Any:
        return asyncio.run(self.followed.look())

    def tell(self, order: str) -> None:
        number = (self.feed.newest or 0) + 1
        data = {"order": order}
        self.feed.add([Kept(id=number, at=0.0, kind="x", site="s", outlet=None, session=None, data=data)])


@pytest.fixture
def followers() -> Followers:
    return Followers()


def test_a_charge_that_is_watched_for_an_hour_asks_the_records_once(followers: Followers) -> None:
    followers.street.live("charging")
    for second in range(600):
        followers.street.board.put(replace(running("charging"), power_w=float(second)))
        followers.real.advance(6.0)
        assert followers.look().view.power_w == second
        followers.tell("another-order")
    assert followers.asked == 1


def test_what_is_told_of_the_order_is_read_at_the_next_look(followers: Followers) -> None:
    followers.street.finished(refund="due")
    assert followers.look().refund.state == "due"
    followers.street.finished(refund="success")
    assert followers.look().refund.state == "due"
    followers.tell("order-1")
    assert followers.look().refund.state == "success"
    assert followers.asked == 2


def test_what_nobody_told_is_seen_after_a_while(followers: Followers) -> None:
    followers.street.finished(refund="due")
    followers.look()
    followers.street.finished(refund="success")
    followers.real.advance(RECORDS_S)
    assert followers.look().refund.state == "success"


def test_the_end_of_a_charge_is_read_though_nothing_was_told(followers: Followers) -> None:
    followers.street.live("charging")
    assert followers.look().state == "charging"
    followers.street.finished()
    followers.street.board.put(idle("outlet-3", "03"))
    assert followers.look().state == "finished"


def test_the_pay_page_appears_and_the_order_expires_without_a_word(followers: Followers) -> None:
    followers.street.placed()
    assert followers.look().pay_url is None
    followers.street.board.pay_urls["order-1"] = "https://pay.example/1"
    assert followers.look().pay_url == "https://pay.example/1"
    assert followers.asked == 1
    followers.street.clock.advance(10_000.0)
    assert followers.look().state == "expired"


def test_records_that_were_away_are_asked_again(followers: Followers) -> None:
    followers.street.finished(refund="due")
    followers.look()
    followers.tell("order-1")
    followers.street.queries.away = True
    with pytest.raises(AwayError):
        followers.look()
    followers.street.queries.away = False
    followers.street.finished(refund="success")
    assert followers.look().refund.state == "success"


def test_a_resident_over_the_cap_is_told_to_come_back_and_may_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    street = Street()
    street.live("charging")
    monkeypatch.setattr(Streams, "room", lambda self, pool, who: 503 if pool == RESIDENTS else 200)
    client = TestClient(street.app())
    answer = client.get(f"{street.order_url}/live")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert client.get(f"{street.order_url}/live?once=1").json()["key"] == "charging:"


# -- the console --------------------------------------------------------------------------------------------------


class Page:
    """A page that is looked at by hand."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.screens = Screens()
        self.clock = HandClock(steady_s=0.0)
        self.looks = 0
        self.news: dict[str, Any] = {"version": "1"}
        self.took_s = 0.0

    def look(self) -> dict[str, Any]:
        self.looks += 1
        self.clock.advance(self.took_s)
        return self.news

    def at(self, key: object = "page", viewers: int = 1) -> Screen:
        async def all_at_once() -> list[Screen]:
            return await asyncio.gather(*(self.screens.at(key, self.look, self.clock) for _ in range(viewers)))

        return self.runner.run(all_at_once())[0]


@pytest.fixture
def page() -> Iterator[Page]:
    with asyncio.Runner() as runner:
        yield Page(runner)


def test_a_hundred_viewers_of_a_page_are_one_look_a_second(page: Page) -> None:
    page.at(viewers=100)
    assert page.looks == 1
    page.clock.advance(1.0)
    page.at(viewers=100)
    assert page.looks == 2
    page.at("another page")
    assert page.looks == 3


def test_what_takes_long_is_looked_at_less_often(page: Page) -> None:
    page.took_s = 0.5
    for _ in range(60):
        page.clock.advance(1.0)
        page.at(viewers=10)
    assert 10 <= page.looks <= 13


def test_only_what_is_new_is_sent_again(page: Page) -> None:
    page.news = {"text": {"a": "1", "b": "1"}, "state": {"a": ["free", "green"]}, "version": "1"}
    page.at()
    page.clock.advance(1.0)
    page.news = {**page.news, "text": {"a": "2", "b": "1"}}
    later = page.at()
    assert json.loads(later.change) == {"text": {"a": "2"}, "state": {}, "version": "1"}
    assert json.loads(later.whole)["text"] == {"a": "2", "b": "1"}
    page.clock.advance(1.0)
    assert page.at().number == later.number


def test_pages_nobody_has_open_are_forgotten(page: Page) -> None:
    for key in range(50):
        page.at(key)
    page.clock.advance(200.0)
    page.at()
    assert len(page.screens) == 1


def test_every_viewer_ends_with_the_whole_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that came late, and one that slept through some looks, know the same as one that saw them all."""
    monkeypatch.setattr(live, "EVERY_S", 0.0)
    monkeypatch.setattr(live, "staffer_of", lambda request: object())
    clock, screens = HandClock(), Screens()
    request = _Request(clock, screens)
    boards = [{"text": {str(n): str(n + look) for n in range(5) if (n + look) % 3}} for look in range(60)]

    async def watched() -> None:
        viewers = [_Viewer(request, number) for number in (1, 2, 7)]
        for look, board in enumerate(boards):
            clock.advance(1.0)
            request.board = board
            for viewer in viewers:
                if look % viewer.every == 0:
                    await viewer.look()
                    assert {name: viewer.knows[name] for name in board["text"]} == board["text"]

    asyncio.run(watched())


class _Request:
    """As much of a request as a stream needs."""

    def __init__(self, clock: HandClock, screens: Screens) -> None:
        self.board: dict[str, Any] = {}
        self.app = type("App", (), {"state": type("State", (), {})()})()
        self.app.state.screens = screens
        self.app.state.services = type("Services", (), {"real_clock": clock})()


class _Viewer:
    def __init__(self, request: _Request, every: int) -> None:
        self.every = every
        self.knows: dict[str, str] = {}
        self._stream: AsyncIterator[bytes] = live._stream(Stream(), request, "page", lambda: request.board)  # type: ignore[arg-type]

    async def look(self) -> None:
        said = await anext(self._stream)
        self.knows |= json.loads(said.removeprefix(b"data: "))["text"]


def test_each_reader_has_room_and_no_reader_takes_all_of_it() -> None:
    pool = Pool("p", 3, 2)

    async def full() -> list[int]:
        streams, rooms = Streams(Feed()), []
        with streams.opened(pool, "a"), streams.opened(pool, "a"):
            rooms += [streams.room(pool, "a"), streams.room(pool, "b")]
            with streams.opened(pool, "b"):
                rooms.append(streams.room(pool, "c"))
        rooms.append(streams.room(pool, "a"))
        streams.close()
        return [*rooms, streams.room(pool, "a")]

    assert asyncio.run(full()) == [429, 200, 503, 200, 503]
