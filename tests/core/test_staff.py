"""What staff change of the house: refused before a row exists, audited after, never with a secret in it."""

from typing import Any

import pytest

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.outlet import STAFF
from controller.core.staff import HANDLERS
from controller.core.state import OutletPhase
from tests.core.desk_rig import BANDS, Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()


def changed(desk: Desk, change: ev.Change, subject: str, **values: Any) -> list[fx.Effect]:
    """The rows of one change, its audit last."""
    desk.wait(1)
    before = len(desk.rows)
    desk.ask(desk.change(change, subject, **values))
    rows = desk.rows[before:]
    assert isinstance(rows[-1], fx.Audit)
    assert (rows[-1].by, rows[-1].what, rows[-1].subject) == ("staff:o", str(change), subject)
    return rows[:-1]


def found(desk: Desk, channels: int = 2, address: str = "BB") -> None:
    desk.do(
        ev.PileFound(
            **desk.stamp(),
            family="made-up",
            address=address,
            model="m",
            firmware="f",
            channels=channels,
            params={"t": 1},
        )
    )


def adoption(**other: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "site": "s1",
        "name": "P",
        "pile": "p2",
        "numbers": ["11", "12"],
        "outlets": ["n1", "n2"],
        "stickers": ["k1", "k2"],
    }
    return {**values, **other}


def test_every_change_has_one_handler() -> None:
    assert {*HANDLERS, *STAFF} == set(ev.Change)
    assert set(HANDLERS) & set(STAFF) == set()


def test_a_new_site_brings_merchant_and_tariff(desk: Desk) -> None:
    rows = changed(
        desk, ev.Change.SITE, "s2", name="North", zone="Asia/Shanghai", merchant="m2", merchant_name="M2", bands=BANDS
    )

    assert [row.table for row in rows if isinstance(row, fx.Put)] == ["merchant", "tariff", "site"]
    assert desk.house.sites["s2"].tariff.bands[0].energy_price == 5583


def test_a_site_keeps_its_merchant_and_its_prices_when_it_is_renamed(desk: Desk) -> None:
    changed(desk, ev.Change.SITE, "s1", name="South", zone="Asia/Shanghai", merchant="thief")

    site = desk.house.sites["s1"]
    assert (site.name, site.merchant) == ("South", "m")
    assert [band.name for band in site.tariff.bands] == ["all"]


@pytest.mark.parametrize(
    ("subject", "values", "code"),
    [
        ("s2", {"name": "N", "zone": "Asia/Shanghai", "merchant": "m"}, "invalid"),
        ("s1", {"name": "N", "zone": "Mars/Olympus", "bands": BANDS}, "tariff_zone"),
        ("s1", {"name": "N", "zone": "Asia/Shanghai", "bands": [{**BANDS[0], "to_min": 1439}]}, "tariff_gap"),
        ("s1", {"name": "N", "zone": "Asia/Shanghai", "bands": [{**BANDS[0], "energy_price": -1}]}, "tariff_price"),
    ],
)
def test_a_site_without_a_price_for_every_minute_is_refused(
    desk: Desk, subject: str, values: dict[str, Any], code: str
) -> None:
    assert desk.code(desk.change(ev.Change.SITE, subject, **values)) == code
    assert desk.rows == []


def test_a_new_tariff_leaves_orders_under_the_old_one_alone(desk: Desk) -> None:
    desk.ask(desk.order())
    changed(desk, ev.Change.TARIFF, "s1", name="dear", bands=[{**BANDS[0], "name": "dear", "energy_price": 50_000}])
    desk.ask(desk.paid())
    desk.charged("o1", 347.0)

    assert desk.receipts() == {"S1": 29}
    desk.ask(desk.order("O2"))
    desk.ask(desk.paid("O2", "T2"))
    desk.charged("o1", 347.0)
    assert desk.receipts()["S2"] == 173 + 10


def test_a_tariff_for_no_site_is_refused(desk: Desk) -> None:
    assert desk.code(desk.change(ev.Change.TARIFF, "s9", name="x", bands=BANDS)) == "unknown_site"


def test_a_card_is_enrolled_once_and_frozen(desk: Desk) -> None:
    changed(desk, ev.Change.CARD, "c9", uid="04ff", printed="9")
    assert desk.house.cards["c9"].uid == "04FF"

    assert desk.code(desk.change(ev.Change.CARD, "c8", uid="04FF", printed="8")) == "conflict"
    assert desk.code(desk.change(ev.Change.CARD, "c8", printed="8")) == "conflict"
    changed(desk, ev.Change.CARD, "c9", frozen=True)
    assert (desk.house.cards["c9"].frozen, desk.house.cards["c9"].uid) == (True, "04FF")


def test_a_found_device_is_adopted_into_outlets_that_serve_nothing_yet(desk: Desk) -> None:
    found(desk)
    rows = changed(desk, ev.Change.ADOPT, "made-up:BB", **adoption())

    assert {row.table for row in rows if isinstance(row, fx.Put)} == {"pile", "sticker"}
    assert [desk.house.outlets[outlet].phase for outlet in ("n1", "n2")] == [OutletPhase.ADOPTED] * 2
    assert desk.house.found == {}
    assert desk.code(desk.order("O1", "n1")) == "not_open"


@pytest.mark.parametrize(
    ("subject", "values", "code"),
    [
        ("made-up:ZZ", {}, "unknown_device"),
        ("made-up:BB", {"site": "s9"}, "unknown_site"),
        ("made-up:BB", {"outlets": ["n1"]}, "invalid"),
        ("made-up:BB", {"numbers": "12"}, "invalid"),
        ("made-up:BB", {"stickers": ["k1", "k2", "k3"]}, "invalid"),
    ],
)
def test_an_adoption_that_does_not_fit_the_device_is_refused(
    desk: Desk, subject: str, values: dict[str, Any], code: str
) -> None:
    found(desk)
    desk.rows.clear()

    assert desk.code(desk.change(ev.Change.ADOPT, subject, **adoption(**values))) == code
    assert desk.rows == []


def test_a_device_that_says_the_same_again_writes_nothing(desk: Desk) -> None:
    found(desk)
    rows = len(desk.rows)
    found(desk)
    assert len(desk.rows) == rows


def test_a_sticker_is_retired_for_another(desk: Desk) -> None:
    rows = changed(desk, ev.Change.RETIRE_STICKER, "k1", outlet="o1", new_sticker="k2")

    assert [(row.values["id"], row.values["retired_at"] is None) for row in rows if isinstance(row, fx.Put)] == [
        ("k1", False),
        ("k2", True),
    ]
    with pytest.raises(Refused):
        desk.ask(desk.change(ev.Change.RETIRE_STICKER, "k1", outlet="o9", new_sticker="k3", key="x"))


def test_the_audit_keeps_what_was_changed_and_no_secret(desk: Desk) -> None:
    desk.ask(desk.change(ev.Change.STAFF, "u1", login="li", name="Li", role="finance", password_hash="argon2id$secret"))

    audit = desk.rows[-1]
    assert isinstance(audit, fx.Audit)
    assert audit.values == {"login": "li", "name": "Li", "role": "finance"}


def test_an_outlet_in_use_is_not_commissioned_and_a_lock_ends_its_charge(desk: Desk) -> None:
    desk.ask(desk.order())
    desk.ask(desk.paid())
    desk.reads("o1", 60.0)
    assert desk.code(desk.change(ev.Change.COMMISSION, "o1")) == "busy"

    desk.ask(desk.change(ev.Change.LOCK, "o1"))

    live = desk.house.sessions["o1"]
    assert (str(live.phase), str(live.reason), live.stopped_by) == ("closing", "stopped_by_staff", "staff:o")
    assert desk.gear.log[-1] == "off o1"


def test_a_site_cut_switches_every_outlet_off_whatever_it_does(desk: Desk) -> None:
    desk.ask(desk.order())
    desk.ask(desk.paid())
    desk.reads("o1", 60.0)
    desk.gear.log.clear()

    desk.ask(ev.SiteCutAsked(**desk.stamp(), key="cut", site="s1", by="staff:o"))

    assert set(desk.gear.log[:2]) == {"off o1", "off o2"}
    assert str(desk.house.sessions["o1"].reason) == "site_cut"
