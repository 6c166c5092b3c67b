"""The feed: told once, in the order of the commits, in the same transaction, and never numbered twice."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import IntegrityError

from api.v1.link_shapes import DATA
from controller import feed as feeds
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.feed import KINDS
from controller.core.state import RefundState
from controller.feed import Feed, Kept
from tests.shell.rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def told(rig: Rig, kind: str = "") -> list[dict[str, Any]]:
    rows = rig.sql("SELECT id, kind, site_id, outlet_id, session_id, body, at FROM feed ORDER BY id")
    names = ("id", "kind", "site", "outlet", "session", "data", "at")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return [{**row, "data": _parsed(row["data"])} for row in found if kind in ("", row["kind"])]


def _parsed(body: Any) -> Any:
    """PostgreSQL's driver has done it already."""
    return msgspec.json.decode(body) if isinstance(body, str) else body


def finished(rig: Rig) -> None:
    """A whole paid charge, refunded."""
    rig.charging(party="resident-7")
    rig.answer(rig.stop())
    rig.plug.load_w = 0.0
    rig.beat(times=3)
    (refund,) = rig.house.refunds.values()
    rig.answer(rig.refunded(refund.id, refund.amount_fen))


def test_a_whole_charge_is_told_in_order(rig: Rig) -> None:
    finished(rig)
    of_charge = [row["kind"] for row in told(rig) if row["session"] == "S1"]
    assert of_charge == [
        "order.paid",
        "session.opened",
        "session.charging",
        "session.stopped",
        "session.settled",
        "refund.due",
        "refund.succeeded",
    ]
    assert {row["site"] for row in told(rig)} == {"s1"}
    assert all(row["at"] > 0 for row in told(rig) if row["session"] == "S1")


def test_the_reason_the_evidence_and_the_bill_are_told(rig: Rig) -> None:
    finished(rig)
    (stopped,) = told(rig, "session.stopped")
    assert stopped["data"]["reason"] == "stopped_by_resident"
    (settled,) = told(rig, "session.settled")
    saved = rig.saved()
    assert saved.bill is not None
    assert settled["data"]["bill_fen"] == saved.bill.total_fen
    assert settled["data"]["returned_fen"] == saved.returned_fen
    assert settled["data"]["bill_fen"] + settled["data"]["returned_fen"] == 200


def test_nobody_is_named_in_the_feed(rig: Rig) -> None:
    finished(rig)
    rig.answer(rig.topup(1000))
    rig.staff(ev.Change.LOCK, by="staff:lin")
    whole = str(told(rig))
    assert "topped_up" in whole
    for name in ("resident-7", "04AB", "card:c1", "staff:", "lin'", "hash-O1", "party"):
        assert name not in whole


def test_what_staff_and_faults_change_of_an_outlet_is_told_once(rig: Rig) -> None:
    rig.beat()
    before = len(told(rig))
    rig.staff(ev.Change.LOCK)
    rig.staff(ev.Change.UNLOCK)
    rig.staff(ev.Change.CLOSE)
    rig.staff(ev.Change.CLOSE, key="again")
    rig.staff(ev.Change.NAME, number="A-7")
    changes = [row["data"]["changed"] for row in told(rig)[before:]]
    assert changes == [["locked"], ["locked"], ["phase"], ["number"]]


def test_an_alarm_is_raised_once_and_cleared_by_name(rig: Rig) -> None:
    rig.beat()
    rig.plug.welded, rig.plug.load_w = True, 50.0
    rig.beat(times=4)
    (raised,) = told(rig, "alarm.raised")
    assert (raised["data"]["what"], raised["outlet"]) == ("power_without_session", "o1")
    rig.plug.load_w = 0.0
    rig.beat()
    rig.staff(ev.Change.CLEAR_LATCH)
    (cleared,) = told(rig, "alarm.cleared")
    assert cleared["data"]["alarm"] == raised["data"]["alarm"]


def test_a_top_up_an_expired_order_and_a_stuck_refund_are_told(rig: Rig) -> None:
    rig.beat()
    rig.answer(rig.topup(1000))
    assert told(rig, "card.topped_up")[0]["data"] == {"card": "c1", "amount_fen": 1000}
    rig.answer(rig.order())
    rig.beat(seconds=20.0, times=60)
    (expired,) = told(rig, "order.expired")
    assert expired["data"]["order"] == "O1"
    rig.answer(rig.paid())
    (due,) = told(rig, "refund.due")
    assert (due["site"], due["outlet"], due["data"]["amount_fen"]) == ("s1", "o1", 200)
    rig.answer(rig.refunded(due["data"]["refund"], 200, state="abnormal"))
    assert told(rig, "refund.failed")[0]["data"]["state"] == RefundState.ABNORMAL


def test_a_restart_in_mid_charge_is_told(rig: Rig) -> None:
    rig.charging()
    later = rig.restarted()
    later.beat(times=2)
    kinds = [row["kind"] for row in told(later) if row["session"] == "S1"]
    assert kinds[-2:] == ["session.suspended", "session.resumed"]


def test_every_event_is_of_a_documented_kind_and_shape(rig: Rig) -> None:
    finished(rig)
    rig.answer(rig.topup(1000))
    rig.plug.welded, rig.plug.load_w = True, 50.0
    rig.beat(times=4)
    rig.plug.load_w = 0.0
    rig.beat()
    rig.staff(ev.Change.CLEAR_LATCH)
    seen = told(rig.restarted())
    assert len({row["kind"] for row in seen} & set(KINDS)) > 10
    for row in seen:
        assert DATA[row["kind"]].model_validate(row["data"]).model_dump().keys() == row["data"].keys(), row


def test_an_alarm_that_is_about_no_outlet_names_none(rig: Rig) -> None:
    for about, outlet in (("o1", "o1"), ("site:s1", None), ("hook:h1", None), ("", None)):
        (kept,) = rig.store.write(f"about-{about}", [fx.RaiseAlarm(f"x{about}", 1.0, "s1", about, "no_proof", {})])
        assert (kept.outlet, kept.data["about"]) == (outlet, about)


def test_what_a_commit_tells_is_undone_with_it(rig: Rig) -> None:
    finished(rig)
    before = told(rig)
    alarm = fx.RaiseAlarm("a", 1.0, "s1", "o1", "no_proof", {})
    with pytest.raises(IntegrityError):
        rig.store.write("bad", [alarm, fx.Put("sticker", {"id": "k", "outlet_id": "nowhere", "made_at": 0.0})])
    assert told(rig) == before


# -- places -------------------------------------------------------------------------------------------------------


def alarms(first: int, count: int) -> list[fx.Effect]:
    return [fx.RaiseAlarm(f"a{n}", float(n), "s1", "o1", "no_proof", {}) for n in range(first, first + count)]


def test_old_events_go_and_no_number_comes_twice(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "KEEP_ROWS", 10)
    monkeypatch.setattr(feeds, "PRUNE_EVERY", 4)
    newest = rig.store.newest_fed()
    for batch in range(10):
        rig.store.write(f"b{batch}", alarms(batch * 4, 4), at=50.0)
    ids = [row["id"] for row in told(rig)]
    assert ids == list(range(newest + 31, newest + 41))


def test_the_newest_outlives_its_age_or_its_number_would_come_again(rig: Rig) -> None:
    rig.store.write("one", alarms(0, 3), at=10.0)
    newest = rig.store.newest_fed()
    with rig.store.engine.begin() as db:
        feeds.prune(db, newest, at=10.0 + 2 * feeds.KEEP_S)
    assert [row["id"] for row in told(rig)] == [newest]
    (kept,) = rig.store.write("two", alarms(3, 1), at=10.0)
    assert kept.id == newest + 1


def event(number: int) -> Kept:
    return Kept(id=number, at=0.0, kind="alarm.raised", site="s1", outlet=None, session=None, data={})


def ids(kept: list[Kept] | None) -> list[int] | None:
    return None if kept is None else [one.id for one in kept]


def test_what_memory_does_not_hold_only_the_disk_can_say() -> None:
    feed = Feed(newest=5, keep=3)
    assert ids(feed.after(5)) == []
    assert ids(feed.after(4)) is None
    feed.add([event(6), event(7)])
    assert ids(feed.after(5)) == [6, 7]
    feed.add([event(8), event(9)])
    assert ids(feed.after(5)) is None
    assert ids(feed.after(6)) == [7, 8, 9]
    assert ids(feed.after(6, most=2)) == [7, 8]
    assert feed.newest == 9


def test_an_answer_that_was_lost_leaves_no_hole() -> None:
    feed, rung = Feed(newest=5), []
    feed.listen(lambda: rung.append(feed.newest))
    feed.add([event(6)])
    feed.unsure()
    assert ids(feed.after(6)) is None
    feed.add([event(9)])
    assert ids(feed.after(7)) is None
    assert ids(feed.after(8)) == [9]
    assert rung == [6, None, 9]


def test_a_feed_nobody_told_what_the_disk_holds_asks_the_disk() -> None:
    assert Feed().newest is None
    assert Feed().after(0) is None
