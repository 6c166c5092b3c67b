"""The feed for programs: in pages and as a stream that any cut can't make lose or double anything."""

import dataclasses
import itertools
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api import streams
from api.app import make_app
from api.streams import Pool
from api.v1 import feed as feeding
from api.v1.link_shapes import DATA
from controller.core import effects as fx
from controller.core import ledger
from controller.core.feed import KINDS, MONEY_KINDS
from controller.feed import Feed, Kept
from tests.api.served import Listener, Served, served
from tests.api.stand import AT, HERE, THERE, Stand
from tests.house import eventually


class Radio(Stand):
    """A stand with a feed that is written as the writer writes it."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        super().__init__(folder, feed=Feed(), **changes)
        self.feed = self.services.feed
        self.told = 0
        self.lock = threading.Lock()

    def tell(self, count: int = 1, site: str = HERE) -> list[int]:
        with self.lock:
            rows = [self._alarm(self.told + n, site) for n in range(count)]
            self.told += count
            kept = self.store.write(f"told:{self.told}", rows, at=AT)
            self.feed.add(kept)
            return [event.id for event in kept]

    def _alarm(self, number: int, site: str) -> fx.Effect:
        return fx.RaiseAlarm(f"n{number}", AT + number, site, f"o-{site}", "no_proof", {"number": number})

    def restarted(self) -> None:
        """Another process on the same disk: nothing in memory, and the log-ins gone."""
        self.feed = Feed(self.store.newest_fed())
        self.services = changed_services(self, feed=self.feed)
        self.app = make_app(self.services)


def changed_services(radio: Radio, **changes: Any) -> Any:
    return dataclasses.replace(radio.services, **changes)


@pytest.fixture
def radio(tmp_path: Path) -> Iterator[Radio]:
    made = Radio(tmp_path)
    yield made
    made.close()


# -- pages --------------------------------------------------------------------------------------------------------


def test_pages_lead_through_everything_once(radio: Radio) -> None:
    radio.tell(7)
    client, place, seen = radio.as_role("owner"), 0, []
    while True:
        page = client.get(f"/api/v1/events?since={place}&limit=5").json()
        seen += [event["id"] for event in page["events"]]
        place = page["next"]
        if not page["more"]:
            break
    assert seen == list(range(1, radio.store.newest_fed() + 1))
    assert client.get(f"/api/v1/events?since={place}").json()["events"] == []


def test_without_a_place_it_begins_now(radio: Radio) -> None:
    client = radio.as_role("owner")
    page = client.get("/api/v1/events").json()
    assert page["events"] == []
    ids = radio.tell(2)
    assert [event["id"] for event in client.get(f"/api/v1/events?since={page['next']}").json()["events"]] == ids


@pytest.mark.parametrize("memory", [True, False])
def test_each_sees_the_kinds_and_sites_they_may(radio: Radio, memory: bool) -> None:
    if memory:
        radio.feed.add(radio.store.write("all", every_kind(HERE) + every_kind(THERE), at=AT))
    else:
        radio.store.write("all", every_kind(HERE) + every_kind(THERE), at=AT)
    by_role = {}
    for role in ("owner", "manager", "finance", "maintainer", "auditor"):
        page = radio.as_role(role).get("/api/v1/events?since=0&limit=500").json()
        by_role[role] = page["events"]
    assert {event["site"] for event in by_role["owner"]} == {HERE, THERE, ""}
    for role in ("manager", "finance", "auditor"):
        assert {event["site"] for event in by_role[role]} == {HERE, ""}
        assert {event["kind"] for event in by_role[role] if not event["site"]} == {"card.topped_up"}
    assert {event["site"] for event in by_role["maintainer"]} == {HERE}
    assert not {event["kind"] for event in by_role["maintainer"]} & MONEY_KINDS
    assert {event["kind"] for event in by_role["manager"]} & MONEY_KINDS


def every_kind(site: str) -> list[fx.Effect]:
    topped = ledger.card_topped_up(f"again-{site}", "shop", "card1", 100, "staff:x", AT)
    return [
        fx.RaiseAlarm(f"x-{site}", AT, site, f"o-{site}", "no_proof", {}),
        fx.RaiseAlarm(f"siteless-{site}", AT, "", "", "refund_closed", {}),
        fx.Post(topped),
    ]


def test_kinds_are_chosen_by_name_and_by_family(radio: Radio) -> None:
    radio.tell(1)
    client = radio.as_role("owner")
    for asked, wanted in (("alarm", {"alarm.raised"}), ("pile.adopted,order", {"pile.adopted", "order.paid"})):
        page = client.get(f"/api/v1/events?since=0&limit=500&kinds={asked}").json()
        assert {event["kind"] for event in page["events"]} == wanted
    assert client.get("/api/v1/events?kinds=nonsense").status_code == 422


def test_what_is_no_longer_kept_is_said(radio: Radio) -> None:
    radio.tell(5)
    newest = radio.store.newest_fed()
    with radio.store.engine.begin() as db:
        db.exec_driver_sql("DELETE FROM feed WHERE id < ?", (newest - 1,))
    radio.restarted()
    client = radio.as_role("owner")
    page = client.get("/api/v1/events?since=3").json()
    assert page["gap"] == {"after": 3, "next": newest - 1}
    assert [event["id"] for event in page["events"]] == [newest - 1, newest]
    assert client.get("/api/v1/events?since=0").json()["gap"] is None
    ahead = client.get(f"/api/v1/events?since={newest + 50}").json()
    assert (ahead["gap"], ahead["next"]) == ({"after": newest + 50, "next": newest + 1}, newest)


def test_every_kind_has_a_schema_and_every_event_fits_it(radio: Radio) -> None:
    described = radio.as_role("maintainer").get("/api/v1/events/kinds").json()
    assert [row["kind"] for row in described] == list(KINDS) == list(DATA)
    assert all(row["about"] and row["json_schema"]["properties"] for row in described)
    radio.store.write("all", every_kind(HERE), at=AT)
    for event in radio.as_role("owner").get("/api/v1/events?since=0&limit=500").json()["events"]:
        model = DATA[event["kind"]]
        assert set(model.model_validate(event["data"]).model_dump()) == set(event["data"]), event


# -- the stream ---------------------------------------------------------------------------------------------------


def listening(
    radio: Radio, web: Served, path: str = "/api/v1/events", role: str = "owner", last: int | None = None
) -> Listener:
    return web.listen(path, radio.token(role), last)


def test_a_stream_tells_what_was_and_then_what_comes(radio: Radio) -> None:
    before = radio.tell(3)
    with served(radio.app) as web:
        listener = listening(radio, web, f"/api/v1/events?since={before[0]}")
        assert listener.answer.getheader("content-type", "").startswith("text/event-stream")
        assert [listener.message()["id"] for _ in range(2)] == before[1:]
        after = radio.tell(2)
        assert [listener.message()["id"] for _ in range(2)] == after


def test_a_reader_cut_again_and_again_loses_and_doubles_nothing(radio: Radio) -> None:
    """Across forty cuts and a restart of the program, while events keep coming."""
    chance, heard, over = random.Random(7), [], threading.Event()
    place = radio.store.newest_fed()
    first = place

    def keep_telling() -> None:
        while not over.is_set():
            radio.tell(chance.randint(1, 4))
            over.wait(0.003)

    teller = threading.Thread(target=keep_telling, daemon=True)
    teller.start()
    for life in range(2):
        if life:
            with radio.lock:
                radio.restarted()
        with served(radio.app) as web:
            token = radio.token("owner")
            for _ in range(20):
                listener = web.listen("/api/v1/events", token, place)
                for _ in range(chance.randint(1, 25)):
                    heard.append(listener.message()["id"])
                    place = listener.last or place
                listener.cut()
    over.set()
    teller.join(5.0)
    assert heard == list(range(first + 1, first + 1 + len(heard)))
    assert len(heard) > 200


def test_a_gap_is_a_message_of_its_own(radio: Radio) -> None:
    radio.tell(5)
    newest = radio.store.newest_fed()
    with radio.store.engine.begin() as db:
        db.exec_driver_sql("DELETE FROM feed WHERE id < ?", (newest,))
    radio.restarted()
    with served(radio.app) as web:
        listener = listening(radio, web, last=2)
        gap = listener.message()
        assert (gap["event"], gap["after"], gap["next"]) == ("gap", 2, newest)
        assert listener.last == newest - 1
        assert listener.message()["id"] == newest


def test_a_quiet_stream_shows_that_it_lives_and_moves_its_place(radio: Radio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "ALIVE_S", 0.05)
    with served(radio.app) as web:
        listener = listening(radio, web, "/api/v1/events?kinds=session")
        place = radio.store.newest_fed()
        radio.tell(3)
        eventually(lambda: (listener.block(), listener.last == place + 3)[1])


def test_a_stream_ends_with_the_rights_of_its_reader(radio: Radio, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(radio.app) as web:
        listener = listening(radio, web, role="manager")
        radio.tell(1)
        assert listener.message()["kind"] == "alarm.raised"
        radio.app.state.logins.drop("s-manager")
        radio.tell(1)
        with pytest.raises(EOFError):
            listener.message()


def test_only_so_many_streams_and_the_refusal_is_polite(radio: Radio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "PROGRAMS", Pool("program", 3, 2))
    with served(radio.app) as web:
        owner, manager = radio.token("owner"), radio.token("manager")
        open_ones = [web.listen("/api/v1/events", owner) for _ in range(2)]
        third = web.listen("/api/v1/events", owner)
        assert (third.status, third.answer.getheader("retry-after")) == (429, "30")
        open_ones.append(web.listen("/api/v1/events", manager))
        full = web.listen("/api/v1/events", manager)
        assert full.status == 503
        for listener in open_ones:
            assert listener.status == 200
            listener.cut()
        eventually(lambda: radio.app.state.streams.count(Pool("program", 3, 2)) == 0)
        assert web.listen("/api/v1/events", owner).status == 200
        assert radio.app.state.streams.refused == 2


def test_a_reader_that_does_not_read_is_dropped(radio: Radio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SLOW_S", 0.2)
    with served(radio.app) as web:
        place = radio.store.newest_fed()
        listening(radio, web)
        eventually(lambda: radio.app.state.streams.count(streams.PROGRAMS) == 1)
        numbers = itertools.count(place + 1)

        def too_much() -> bool:
            radio.feed.add([big(next(numbers))])
            return bool(radio.app.state.streams.dropped)

        eventually(too_much)
        eventually(lambda: radio.app.state.streams.count(streams.PROGRAMS) == 0)


def big(number: int) -> Kept:
    """More than the sockets of both ends hold."""
    data = {"what": "x" * 200_000}
    return Kept(id=number, at=AT, kind="alarm.raised", site=HERE, outlet=None, session=None, data=data)


def test_streams_end_when_the_server_stops(radio: Radio) -> None:
    with served(radio.app) as web:
        listener = listening(radio, web)
        assert listener.block() == {"retry": "2000"}
        web.stop(within_s=1.5)
        assert not web.thread.is_alive()
        with pytest.raises(EOFError):
            listener.message()


def test_a_hundred_readers_are_woken_by_the_commit_and_ask_no_database(
    radio: Radio, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(radio.app) as web:
        radio.tell(1)
        monkeypatch.setattr(feeding, "PROGRAMS", Pool("program", 200, 200))
        token = radio.token("owner")
        readers = [web.listen("/api/v1/events", token) for _ in range(100)]
        eventually(lambda: radio.app.state.streams.count(streams.PROGRAMS) == 100)
        monkeypatch.setattr(type(radio.queries.links), "fed", never)
        monkeypatch.setattr(type(radio.queries.links), "newest", never)
        (told,) = radio.tell(1)
        assert {reader.message()["id"] for reader in readers} == {told}


def never(*args: object) -> Any:
    raise AssertionError("the database was asked")
