"""Lists are paged by key: whole, in order, stable while rows arrive, and by an index whatever is asked of them."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, text

from controller import tables as t
from controller.core.errors import Refused
from controller.lists import Between
from controller.paging import Page, Turn
from tests.api.office import Office
from tests.api.stand import Stand

MANY = 3_000
AT = 1_800_000_000.0
SITES = ["s1", "s2", "s3"]


def session(at: int) -> dict[str, Any]:
    """Every third at a site, ten at each moment, most of them ended well."""
    live = at >= MANY - len(SITES)
    return {
        "id": f"{at * 7919 % 10_000:05}",
        "outlet_id": f"o{at % 60}",
        "site_id": SITES[at % 3],
        "merchant_id": "m",
        "party_id": f"q{at % 400}",
        "card_id": f"c{at % 40}" if at % 9 == 0 else None,
        "phase": "charging" if live else "settled",
        "reason": None if live else ("smoke" if at % 500 == 0 else "finished"),
        "opened_at": AT + at // 10,
        "hold_fen": 200,
        "energy_wh": 1.0,
        "peak_w": 1.0,
        "evidence": {},
        "state": b"{}",
    }


def order(at: int) -> dict[str, Any]:
    names = ("id", "outlet_id", "site_id", "merchant_id", "party_id")
    row = {name: value for name, value in session(at).items() if name in names}
    row |= {"key": f"k{at}", "session_id": f"s{at}", "provider": "sandbox", "amount_fen": 200, "secret_hash": f"h{at}"}
    row |= {"state": "paid" if at % 4 else "expired", "placed_at": AT + at // 10, "expires_at": AT, "body": b"{}"}
    return row | {"txn": f"t{at}" if at % 4 else None}


def refund(at: int) -> dict[str, Any]:
    row: dict[str, Any] = {"id": f"r{at:05}", "order_id": f"o{at}", "session_id": f"s{at}", "site_id": SITES[at % 3]}
    row |= {"merchant_id": "m", "provider": "sandbox", "amount_fen": 1, "due_at": AT + at // 10, "body": b"{}"}
    return row | {"state": "success" if at % 100 else "closed", "why": ""}


def alarm(at: int) -> dict[str, Any]:
    row: dict[str, Any] = {"id": f"a{at:05}", "at": AT + at // 10, "site_id": SITES[at % 3], "outlet_id": f"o{at % 60}"}
    return row | {"kind": "no_proof", "evidence": {}, "cleared_at": AT if at % 100 else None}


def audit(at: int) -> dict[str, Any]:
    row = {"id": at + 1_000, "at": AT + at // 10, "by": "staff:x", "what": "open", "subject": f"o{at % 60}"}
    return row | {"body": "{}", "previous": "", "hash": f"x{at}"}


def place(db: Connection) -> None:
    tariff = {"id": "t2", "site_id": "s2", "name": "n", "zone": "UTC", "bands": [], "at": AT}
    db.execute(insert(t.Tariff), [tariff])
    sites = [
        {"id": site, "name": site, "zone": "UTC", "merchant_id": "m", "tariff_id": "t2", "epoch": 0}
        for site in SITES[1:]
    ]
    db.execute(insert(t.Site), sites)
    outlet = {"pile_id": "p1", "channel": 0, "phase": "open", "lease_class": "renewed", "state": b"{}"}
    outlets = [{**outlet, "id": f"o{at}", "site_id": SITES[at % 3], "number": f"{at}"} for at in range(60) if at != 1]
    db.execute(insert(t.Outlet), outlets)
    db.execute(insert(t.Party), [{"id": f"q{at}", "kind": "walk_in", "at": AT} for at in range(400)])
    db.execute(
        insert(t.Card),
        [
            {"id": f"c{at}", "uid": f"{at:08}", "printed": f"{at}", "party_id": f"p{at}", "frozen": False}
            for at in range(2, 60)
        ],
    )


@pytest.fixture
def filled(real: Office) -> Office:
    with real.rig.store.engine.begin() as db:
        place(db)
        for table, made in (
            (t.Session, session),
            (t.ChargeOrder, order),
            (t.Refund, refund),
            (t.Alarm, alarm),
            (t.Audit, audit),
        ):
            db.execute(insert(table), [made(at) for at in range(MANY)])
    with real.rig.store.engine.connect() as db:
        db.execute(text("ANALYZE"))
        db.commit()
    return real


def pages(asked: Callable[[Turn], Page[Any]], turn: Turn) -> Iterator[Page[Any]]:
    page = asked(turn)
    yield page
    while page.next is not None:
        page = asked(Turn(limit=turn.limit, cursor=page.next, sort=turn.sort))
        yield page


def test_the_pages_are_the_whole_list_in_order_whoever_asks(filled: Office) -> None:
    lists = filled.queries.lists
    for sites in (None, ["s1"], ["s1", "s3"], [*SITES, *(f"none{at}" for at in range(70))]):
        for sort in ("-opened_at", "opened_at"):
            found = []
            for page in pages(partial(lists.sessions, sites=sites), Turn(limit=190, sort=sort)):
                found += page.rows
            wanted = [session(at) for at in range(MANY) if sites is None or SITES[at % 3] in sites]
            wanted.sort(key=lambda row: (row["opened_at"], row["id"]), reverse=sort.startswith("-"))
            assert [row.id for row in found] == [row["id"] for row in wanted]


def test_rows_that_arrive_meanwhile_move_nothing(filled: Office) -> None:
    lists = filled.queries.lists
    first = lists.sessions(Turn(limit=10))
    with filled.rig.store.engine.begin() as db:
        db.execute(
            insert(t.Session), [{**session(at), "id": f"new{at}", "phase": "settled"} for at in range(MANY, MANY + 50)]
        )
    second = lists.sessions(Turn(limit=10, cursor=first.next or ""))
    both = [row.id for row in (*first.rows, *second.rows)]
    wanted = sorted((session(at) for at in range(MANY)), key=lambda row: (row["opened_at"], row["id"]), reverse=True)
    assert both == [row["id"] for row in wanted[:20]]


def test_conditions_and_totals(filled: Office) -> None:
    lists = filled.queries.lists
    smoke = lists.sessions(Turn(total=True), reason="smoke")
    assert (len(smoke.rows), smoke.total, smoke.next) == (6, 6, None)
    assert lists.sessions(Turn(total=True, limit=1)).total == MANY
    assert lists.sessions(Turn(total=True), ["s2", "s3"], phase="charging").total == 2
    assert lists.sessions(Turn(total=True), outlet="o3", reason="finished").total == 50
    assert lists.orders(Turn(total=True), ["s1"], paid=True).total == 750
    assert lists.refunds(Turn(total=True), ["s1", "s2"], owed=True).total == 20
    assert lists.alarms(Turn(total=True), ["s1"]).total == 10
    window = Between(AT + 10, AT + 20)
    assert {row.opened_at for row in lists.sessions(Turn(), opened=window).rows} == {AT + at for at in range(15, 20)}
    assert lists.sessions(Turn(total=True), opened=window).total == 100


def test_parties_are_those_who_came(filled: Office) -> None:
    lists = filled.queries.lists
    found = [
        row.id for page in pages(lambda turn: lists.parties(turn, ["s1", "s2"]), Turn(limit=37)) for row in page.rows
    ]
    assert found == sorted({f"q{at % 400}" for at in range(MANY) if at % 3 != 2})
    assert lists.parties(Turn(), []).rows == []
    assert filled.queries.party("q5", ["s1"]) is not None
    assert filled.queries.party("card:c1", ["s1"]) is None
    assert filled.queries.party("card:c1") is not None


# -- no list can be made slow -------------------------------------------------------------------------------------


SINCE = Between(since=AT + 5)
KINDS: dict[str, tuple[dict[str, Any], ...]] = {
    "sessions": (
        {},
        {"outlet": "o3"},
        {"card": "c9"},
        {"party": "q3"},
        {"phase": "settled"},
        {"phase": "charging"},
        {"reason": "smoke"},
        {"reason": "finished"},
        {"reason": "finished", "phase": "closing"},
        {"reason": "smoke", "phase": "settled"},
        {"opened": SINCE},
    ),
    "orders": ({}, {"outlet": "o3"}, {"party": "q3"}, {"state": "expired"}, {"paid": True}, {"placed": SINCE}),
    "refunds": ({}, {"order": "o3"}, {"state": "closed"}, {"owed": True}, {"due": SINCE}),
    "alarms": ({}, {"outlet": "o3"}, {"open_only": False}, {"raised": SINCE}),
    "audit": ({}, {"subject": "o3"}, {"at": SINCE}),
    "parties": ({},),
    "outlets": ({}, {"pile": "p1"}),
    "piles": ({},),
}


def asked(office: Office) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every list under every condition, by an owner, by somebody with one site, and with two; in the middle, too."""
    for sites in (None, ["s1"], ["s1", "s2"]):
        for name, kinds in KINDS.items():
            one = partial(getattr(office.queries.lists, name), sites=sites)
            for conditions in kinds:
                yield f"{name} {conditions} {sites}", partial(_twice, partial(one, **conditions))
    yield "cards", partial(_twice, office.queries.lists.cards)


def _twice(one: Callable[..., Page[Any]]) -> None:
    first = one(Turn(limit=3))
    if first.next is not None:
        one(Turn(limit=3, cursor=first.next))


BIG = "session|charge_order|refund|alarm|audit"  # the rest is small: PostgreSQL reads sixty outlets in one go
SLOW = re.compile(rf"SCAN (?:{BIG})(?! USING)|Seq Scan on (?:{BIG})\b")


def test_every_list_walks_an_index_on_either_database(filled: Office) -> None:
    statements: list[tuple[str, Any]] = []
    engine = filled.queries._engine
    event.listen(
        engine, "before_cursor_execute", lambda c, cursor, sql, given, context, many: statements.append((sql, given))
    )
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    slow, tried = [], 0
    for name, ask in asked(filled):
        statements.clear()
        ask()
        for sql, given in tuple(statements):
            with engine.connect() as db:
                plan = "\n".join(str(row[-1]) for row in db.exec_driver_sql(f"{explain} {sql}", given))
            tried += 1
            if SLOW.search(plan):
                slow.append(f"{name}\n{sql}\n{plan}")
    assert tried > 200
    assert not slow, "\n\n".join(slow[:3])


# -- cursors ------------------------------------------------------------------------------------------------------


def forged(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    ["odd", "====", "é", "\x00", "A" * 511, forged(), forged("-opened_at", "x", "y"), forged("-opened_at", 1.0),
     forged("opened_at", 1.0, "y"), forged("-opened_at", 1.0, 5), forged("-opened_at", 1.0, "\x00"),
     forged({}, [], None)],
)  # fmt: skip
def test_what_is_no_cursor_is_refused(stand: Stand, cursor: str) -> None:
    with pytest.raises(Refused) as refused:
        stand.queries.lists.sessions(Turn(cursor=cursor))
    assert refused.value.code == "cursor"


def test_a_forged_cursor_shows_nothing_that_is_not_ones_own(stand: Stand) -> None:
    client = stand.as_role("manager")
    for at in (0.0, 1e300, -5.0):
        answer = client.get("/api/v1/sessions", params={"cursor": forged("-opened_at", at, "zzz")})
        assert answer.status_code == 200
        assert "there" not in answer.text


def test_a_page_says_where_the_next_is(stand: Stand) -> None:
    client = stand.as_role("owner")
    first = client.get("/api/v1/sessions?limit=1&reason=finished&total=true")
    assert (len(first.json()["rows"]), first.json()["total"]) == (1, 2)
    link = re.fullmatch(r'<(/api/v1/sessions\?.*)>; rel="next"', first.headers["link"])
    assert link is not None
    second = client.get(link[1])
    assert "reason=finished" in link[1]
    assert second.json()["rows"][0]["id"] != first.json()["rows"][0]["id"]
    assert (second.json()["next"], "link" in second.headers) == (None, False)
