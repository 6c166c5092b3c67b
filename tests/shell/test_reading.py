"""Whatever pages and API ask, both databases answer alike: the same rows, in the same order, of the same types."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anchong.move_database import moved
from controller import lists
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.lists import Lists
from controller.paging import Listing, Turn
from controller.queries import Queries
from tests.databases import Postgres
from tests.shell.rig import LOAD_W, Rig

pytestmark = pytest.mark.only("sqlite")  # and its copy on the other
ARGUMENTS: dict[str, Any] = {
    "site": "s1",
    "tariff": "t1",
    "found": "tasmota:AA",
    "pile": "p1",
    "merchant": "m",
    "sticker": "K1",
    "outlet": "o1",
    "order": "O1",
    "secret_hash": "hash-O1",
    "key": "key-O1",
    "session": "S1",
    "card": "c1",
    "party": "p1",
    "alarm": "a1",
    "staff": "u1",
    "login": "owner",
    "since_at": 0.0,
    "refs": "S1",
}
SORTS = sorted({sort for value in vars(lists).values() if isinstance(value, Listing) for sort in value.sorts})


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[tuple[Queries, Queries, Rig]]:
    """One site's database, and its copy."""
    folder: Path = tmp_path_factory.mktemp("both")
    rig = lived(folder)
    rig.store.close()
    target = postgres.empty()
    moved(rig.url, target)
    queries = (Queries(rig.url), Queries(target))
    yield (*queries, rig)
    for each in queries:
        each.close()


def lived(folder: Path) -> Rig:
    rig = Rig(folder)
    at = rig.clock.now().at
    house: list[fx.Effect] = [
        fx.Put("sticker", {"id": "K1", "outlet_id": "o1", "made_at": at}),
        fx.Put("party", {"id": "p1", "kind": "walk-in", "at": at}),
        fx.RaiseAlarm("a1", at, "s1", "o1", "no_proof", {"power_w": 3.5}),
        fx.RaiseAlarm("a2", at + 1, "s1", "o1", "welded", {}),
    ]
    rig.store.write("house", house)
    for number in "1234":
        rig.beat()
        rig.answer(rig.order(f"O{number}"))
        rig.answer(rig.paid(f"O{number}", f"T{number}"))
        rig.plug.load_w = LOAD_W
        rig.beat(times=6)
        rig.answer(rig.stop(f"S{number}", key=f"stop-{number}"))
        rig.plug.load_w = 0.0
        rig.beat(times=3)
    rig.answer(rig.topup(300))
    rig.staff(ev.Change.NAME, number="七号")
    rig.answer(rig.order("O9"))
    return rig


def public(kind: type) -> list[str]:
    return [name for name, value in vars(kind).items() if inspect.isfunction(value) and not name.startswith("_")]


def asked(target: Any, name: str, **given: Any) -> Any:
    method = getattr(target, name)
    wanted = inspect.signature(method).parameters.values()
    required = [p for p in wanted if p.default is p.empty and p.name not in given]
    named = {p.name: ARGUMENTS[p.name] for p in required if p.kind is p.KEYWORD_ONLY}
    return method(*given.values(), *(ARGUMENTS[p.name] for p in required if p.name not in named), **named)


@pytest.mark.parametrize("name", [name for name in public(Queries) if name not in ("close", "known", "refund")])
def test_a_question_has_one_answer(both: tuple[Queries, Queries, Rig], name: str) -> None:
    here, there, _ = both
    assert asked(here, name) == asked(there, name)
    assert repr(asked(here, name)) == repr(asked(there, name))  # a Decimal is equal to a number, and is none


def test_what_an_ask_brings_is_the_same(both: tuple[Queries, Queries, Rig]) -> None:
    here, there, rig = both
    (refund, *_) = here.refunds().rows
    assert here.refund(refund.id) == there.refund(refund.id) == refund
    for event in (rig.order(), rig.paid(), rig.refunded(refund.id, refund.amount_fen), rig.topup(300)):
        assert here.known(event) == there.known(event) != {}


@pytest.mark.parametrize("name", public(Lists))
def test_a_list_has_the_same_pages_in_whatever_order(both: tuple[Queries, Queries, Rig], name: str) -> None:
    here, there, _ = both
    for sort in ("", *SORTS, *(f"-{sort.removeprefix('-')}" for sort in SORTS)):
        assert paged(here.lists, name, sort) == paged(there.lists, name, sort), sort


def paged(of: Lists, name: str, sort: str) -> Any:
    """All of it, three rows a page."""
    pages, cursor = [], ""
    try:
        while True:
            page = asked(of, name, turn=Turn(limit=3, cursor=cursor, sort=sort, total=True))
            pages.append(repr(page.rows) + str(page.total))
            if page.next is None:
                return pages
            cursor = page.next
    except Refused as refused:
        return refused.code


def test_the_lists_were_not_empty(both: tuple[Queries, Queries, Rig]) -> None:
    here, _, _ = both
    rows = {name: len(asked(here.lists, name, turn=Turn()).rows) for name in public(Lists)}
    assert {name for name, count in rows.items() if not count} <= {"staff", "found", "bikes", "chargers"}
    assert rows["sessions"] == rows["refunds"] == 4


def test_a_card_is_found_in_whatever_case(both: tuple[Queries, Queries, Rig]) -> None:
    for queries in both[:2]:
        assert queries.cards(search="04ab").total == queries.cards(search="04AB").total == 1
        assert len(queries.lists.cards(Turn(), search="04ab").rows) == 1
        assert queries.cards(search="%").total == 0
