"""Boards with meters, and other hardware under the same names: refused before a row exists, proven anew after."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.hardware import bus_of, device_key, keys_of, meters_of, placed
from controller.core.house import House
from controller.core.state import OutletPhase
from tests.core.desk_rig import Desk

BOARD, METERS = "relay:b/modbus:1", ["pzem:b/modbus:11", "pzem:b/modbus:12"]


@pytest.fixture
def desk() -> Desk:
    """A board of four relays, three meters on its bus and one on another, a plug with a meter of its own."""
    desk = Desk()
    found(desk, "relay", "b/modbus:1", 4, params={"meters": [None] * 4})
    found(desk, "coils", "b/modbus:2", 4, params={"meters": [None] * 4}, lease_class="metering_only")
    for unit in (11, 12, 13):
        found(desk, "pzem", f"b/modbus:{unit}", lease_class="metering_only")
    found(desk, "pzem", "c/modbus:11", lease_class="metering_only")
    found(desk, "plug", "AA")
    return desk


def found(desk: Desk, family: str, address: str, channels: int = 1, firmware: str = "f", **other: Any) -> None:
    told = {"params": {}, "lease_s_max": 900, **other}
    desk.do(
        ev.PileFound(
            **desk.stamp(), family=family, address=address, model="m", firmware=firmware, channels=channels, **told
        )
    )


def adoption(desk: Desk, subject: str = BOARD, **other: Any) -> ev.StaffChange:
    four = {"numbers": ["1", "2", "", ""], "meters": [*METERS, None, None]}
    ids = {"outlets": ["n1", "n2", "n3", "n4"], "stickers": ["k1", "k2", "k3", "k4"]}
    values: dict[str, Any] = {"site": "s1", "name": "P", "pile": "p2", **four, **ids, **other}
    desk.wait(1)
    return desk.change(ev.Change.ADOPT, subject, **values)


def plug(desk: Desk, subject: str = "plug:AA", **other: Any) -> ev.StaffChange:
    one: dict[str, Any] = {"numbers": ["1"], "meters": None, "outlets": ["n1"], "stickers": ["k1"]}
    return adoption(desk, subject, **{**one, **other})


def replacing(desk: Desk, pile: str = "p2", **values: Any) -> ev.StaffChange:
    desk.wait(1)
    return desk.change(ev.Change.REPLACE, pile, **values)


def asked(desk: Desk, event: ev.Event) -> list[fx.Effect]:
    """Everything it wished for."""
    future = desk.engine.inbox.ask(event, {})
    batch = desk.engine.step(desk.clock.now())
    assert batch is not None
    for answered in batch.answers:
        answered.future.set_result(answered.body)
    future.result(0)
    desk.engine.committed(batch.number)
    return [*batch.rows, *batch.after]


def test_a_board_is_adopted_with_its_meters_and_the_channels_left_out_are_nobodys(desk: Desk) -> None:
    effects = asked(desk, adoption(desk))

    [opened] = [effect for effect in effects if isinstance(effect, fx.PileAdopted)]
    assert opened.outlets == ("n1", "n2", "", "")
    assert opened.params["meters"] == [
        {"family": "pzem", "address": "b/modbus:11"},
        {"family": "pzem", "address": "b/modbus:12"},
        None,
        None,
    ]
    assert sorted(desk.house.found) == ["coils:b/modbus:2", "plug:AA", "pzem:b/modbus:13", "pzem:c/modbus:11"]
    assert {"n1", "n2"} < set(desk.house.outlets)
    assert not {"n3", "n4", ""} & set(desk.house.outlets)
    assert [row.values["id"] for row in effects if isinstance(row, fx.Put) and row.table == "sticker"] == ["k1", "k2"]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"meters": [METERS[0], None, None, None]}, "meter_missing"),
        ({"meters": None}, "meter_missing"),
        ({"meters": [METERS[0], METERS[0], None, None]}, "meter_taken"),
        ({"meters": [METERS[0], "pzem:c/modbus:11", None, None]}, "meter_elsewhere"),
        ({"meters": [METERS[0], "pzem:b/modbus:99", None, None]}, "unknown_device"),
        ({"meters": [METERS[0], "coils:b/modbus:2", None, None]}, "meter_unfit"),
        ({"meters": [METERS[0], "plug:AA", None, None]}, "meter_unfit"),
        ({"meters": [METERS[0], BOARD, None, None]}, "meter_unfit"),
        ({"meters": [*METERS, "pzem:b/modbus:13", None]}, "number_missing"),
        ({"numbers": ["", "", "", ""]}, "number_missing"),
        ({"watchdog": {"s": 60, "channel": 1}}, "watchdog"),
        ({"watchdog": {"s": 60, "channel": 4}}, "watchdog"),
        ({"watchdog": {"s": 3600, "channel": 3}}, "watchdog"),
    ],
)
def test_a_board_whose_parts_do_not_fit_is_refused(desk: Desk, values: dict[str, Any], code: str) -> None:
    desk.rows.clear()

    assert desk.code(adoption(desk, **values)) == code
    assert desk.rows == []


def test_a_device_that_measures_by_itself_needs_no_meter(desk: Desk) -> None:
    assert desk.code(plug(desk, meters=[METERS[0]])) == "meter_unneeded"
    assert desk.code(plug(desk, watchdog={"s": 60, "channel": 0})) == "meter_unneeded"
    assert desk.code(plug(desk, meters=[None])) == "ok"


def test_no_device_belongs_to_two_piles(desk: Desk) -> None:
    desk.ask(adoption(desk))
    again: dict[str, Any] = {"pile": "p3", "outlets": ["m1", "m2", "m3", "m4"], "stickers": ["l1", "l2", "l3", "l4"]}

    assert desk.code(adoption(desk, **again)) == "unknown_device"
    assert desk.code(adoption(desk, "coils:b/modbus:2", **again)) == "meter_taken"
    found(desk, "relay", "b/modbus:1", 4, params={"meters": [None] * 4})
    found(desk, "pzem", "b/modbus:11", lease_class="metering_only")
    assert sorted(desk.house.found) == ["coils:b/modbus:2", "plug:AA", "pzem:b/modbus:13", "pzem:c/modbus:11"]


def test_what_was_found_twice_at_one_address_of_a_bus_is_one_device(desk: Desk) -> None:
    found(desk, "sdm", "b/modbus:11", lease_class="metering_only")
    desk.ask(adoption(desk))

    assert "sdm:b/modbus:11" not in desk.house.found
    found(desk, "sdm", "b/modbus:11", lease_class="metering_only")
    assert "sdm:b/modbus:11" not in desk.house.found


@pytest.mark.parametrize(
    ("watchdog", "lease_class", "phase", "lease_s"),
    [
        (None, "metering_only", OutletPhase.METERING_ONLY, 120.0),
        ({"s": 60, "channel": 3}, "watchdog", OutletPhase.ADOPTED, 60.0),
        ({"s": 600, "channel": 3}, "watchdog", OutletPhase.ADOPTED, 120.0),
    ],
)
def test_a_board_without_a_timer_serves_by_a_watchdog_alone(
    desk: Desk, watchdog: Any, lease_class: str, phase: OutletPhase, lease_s: float
) -> None:
    desk.ask(adoption(desk, "coils:b/modbus:2", watchdog=watchdog))

    outlet = desk.house.outlets["n1"]
    assert (str(outlet.lease_class), outlet.phase, outlet.lease_s) == (lease_class, phase, lease_s)


def test_a_timer_of_its_own_is_no_longer_than_the_watchdog_before_it(desk: Desk) -> None:
    desk.ask(adoption(desk, watchdog={"s": 60, "channel": 3}))

    assert (str(desk.house.outlets["n1"].lease_class), desk.house.outlets["n1"].lease_s) == ("renewed", 60.0)


# -- in the place of a dead one -----------------------------------------------------------------------------------


def serving(desk: Desk) -> None:
    """The plug serves as n1."""
    desk.ask(plug(desk))
    outlet = desk.house.outlets["n1"]
    proven = {"phase": OutletPhase.OPEN, "record": {"lease_s": 15.0}, "commissioned_at": 1.0}
    desk.house.apply(fx.SaveOutlet(replace(outlet, **proven)))
    desk.counters["n1"] = 5_000.0
    desk.reads("n1", 0.0)


def test_another_device_takes_the_place_and_is_proven_anew(desk: Desk) -> None:
    serving(desk)
    found(desk, "plug", "BB", firmware="g")

    effects = asked(desk, replacing(desk, found="plug:BB"))

    outlet = desk.house.outlets["n1"]
    assert (outlet.phase, outlet.record, outlet.commissioned_at) == (OutletPhase.ADOPTED, {}, None)
    assert (outlet.number, outlet.firmware, outlet.channel) == ("1", "g", 0)
    assert desk.house.seen["n1"].counter_wh is None
    assert [effect.address for effect in effects if isinstance(effect, fx.PileReplaced)] == ["BB"]
    was = [row.values["address"] for row in effects if isinstance(row, fx.Audit) and row.what == "hardware_was"]
    assert was == ["AA"]
    assert desk.code(desk.order("O1", "n1")) == "not_open"


def test_the_new_counter_begins_where_it_stands_and_nothing_is_billed_across(desk: Desk) -> None:
    serving(desk)
    found(desk, "plug", "BB")
    desk.ask(replacing(desk, found="plug:BB"))
    desk.house.apply(fx.SaveOutlet(replace(desk.house.outlets["n1"], phase=OutletPhase.OPEN)))

    desk.counters["n1"] = 3.0
    desk.reads("n1", 0.0)
    desk.ask(desk.order("O1", "n1"))
    desk.ask(desk.paid("O1"))
    desk.charged("n1", 347.0)

    assert desk.receipts() == {"S1": 29}  # 347 Wh, as for any other device


def test_the_old_device_may_be_found_again_and_the_new_one_no_more(desk: Desk) -> None:
    serving(desk)
    found(desk, "plug", "BB")
    desk.ask(replacing(desk, found="plug:BB"))
    found(desk, "plug", "AA")
    found(desk, "plug", "BB")

    assert ("plug:AA" in desk.house.found, "plug:BB" in desk.house.found) == (True, False)
    assert desk.code(replacing(desk, found="plug:BB")) == "unknown_device"  # with itself
    assert desk.code(replacing(desk, found="plug:AA")) == "ok"  # it was mended


@pytest.mark.parametrize("why", ["busy", "locked", "unknown_device", "unknown"])
def test_nothing_is_replaced_under_a_charge_a_lock_or_by_nobody_knows_what(desk: Desk, why: str) -> None:
    serving(desk)
    found(desk, "plug", "BB")
    if why == "busy":
        desk.ask(desk.order("O1", "n1"))
        desk.ask(desk.paid("O1"))
    if why == "locked":
        desk.ask(desk.change(ev.Change.LOCK, "n1"))
    rows = len(desk.rows)

    pile, by = "p9" if why == "unknown" else "p2", "plug:CC" if why == "unknown_device" else "plug:BB"
    assert desk.code(replacing(desk, pile, found=by)) == why
    assert len(desk.rows) == rows


def test_an_outlet_that_is_being_proven_is_in_use(desk: Desk) -> None:
    desk.ask(plug(desk))
    found(desk, "plug", "BB")
    desk.do(ev.Reading(**desk.stamp(), outlet="n1", power_w=0.0))
    desk.house.apply(fx.SaveOutlet(replace(desk.house.outlets["n1"], phase=OutletPhase.PROVING)))

    assert desk.code(replacing(desk, found="plug:BB")) == "busy"


def test_a_smaller_device_does_not_take_the_place_of_a_larger(desk: Desk) -> None:
    desk.ask(adoption(desk))

    assert desk.code(replacing(desk, found="plug:AA")) == "too_few_outlets"


def test_one_dead_meter_is_replaced_and_only_its_outlet_is_proven_anew(desk: Desk) -> None:
    desk.ask(adoption(desk))
    for outlet in ("n1", "n2"):
        served = replace(desk.house.outlets[outlet], phase=OutletPhase.OPEN, commissioned_at=1.0)
        desk.house.apply(fx.SaveOutlet(served))

    effects = asked(desk, replacing(desk, found="", meters=[None, "pzem:b/modbus:13", None, None]))

    assert [str(desk.house.outlets[outlet].phase) for outlet in ("n1", "n2")] == ["open", "adopted"]
    [opened] = [effect for effect in effects if isinstance(effect, fx.PileReplaced)]
    assert opened.outlets == ("n1", "n2", "", "")
    assert [meter and meter["address"] for meter in opened.params["meters"]] == [  # type: ignore[attr-defined]
        "b/modbus:11",
        "b/modbus:13",
        None,
        None,
    ]
    found(desk, "pzem", "b/modbus:12", lease_class="metering_only")
    assert "pzem:b/modbus:12" in desk.house.found


def test_a_dead_board_is_replaced_and_its_meters_stay(desk: Desk) -> None:
    desk.ask(adoption(desk))

    effects = asked(desk, replacing(desk, found="coils:b/modbus:2", watchdog={"s": 60, "channel": 3}))

    [opened] = [effect for effect in effects if isinstance(effect, fx.PileReplaced)]
    assert [meter and meter["address"] for meter in opened.params["meters"]][:2] == [  # type: ignore[attr-defined]
        "b/modbus:11",
        "b/modbus:12",
    ]
    assert (str(desk.house.outlets["n2"].lease_class), desk.house.outlets["n2"].lease_s) == ("watchdog", 60.0)


def test_a_board_that_stays_may_get_a_watchdog_later(desk: Desk) -> None:
    desk.ask(adoption(desk, "coils:b/modbus:2"))
    assert str(desk.house.outlets["n1"].phase) == "metering_only"

    desk.ask(replacing(desk, found="", watchdog={"s": 60, "channel": 3}))

    assert str(desk.house.outlets["n1"].phase) == "adopted"
    assert desk.code(replacing(desk, found="")) == "unknown_device"  # nothing is said to be other


def test_ids_stand_at_their_channels_whatever_is_left_out() -> None:
    assert placed([(2, "c")], {}) == ("", "", "c")
    assert placed([(0, "a")], {"channels": 4}) == ("a", "", "", "")
    assert placed([(1, "b")], {"meters": [None] * 3}) == ("", "b", "")
    assert [bus_of(address) for address in ("b/modbus:1", "tasmota/x", "AABB", "b/dlt645:000000000001")] == [
        "b",
        "",
        "",
        "b",
    ]


# -- whatever is asked, in any order ------------------------------------------------------------------------------

DEVICES = ["relay:b/modbus:1", "coils:b/modbus:2", "plug:AA", "plug:BB", *(f"pzem:b/modbus:{n}" for n in (11, 12, 13))]
KEYS = st.sampled_from([*DEVICES, "sdm:b/modbus:11", "pzem:c/modbus:11", "gone:ZZ", ""])
METER_KEYS = st.lists(st.one_of(st.none(), KEYS), max_size=4)
WATCHDOGS = st.sampled_from([None, {"s": 60, "channel": 3}, {"s": 60, "channel": 0}])
STEPS = st.lists(
    st.tuples(st.sampled_from(["find", "adopt", "replace", "charge"]), KEYS, METER_KEYS, WATCHDOGS, st.integers(0, 3)),
    max_size=25,
)


def found_again(desk: Desk, key: str) -> None:
    """As a board, a meter or a plug, by its name."""
    family, _, address = key.partition(":")
    board, meter = family in ("relay", "coils"), family in ("pzem", "sdm", "coils")
    params = {"meters": [None] * 4} if board else {}
    lease_class = "metering_only" if meter else "renewed"
    found(desk, family, address, 4 if board else 1, params=params, lease_class=lease_class)


def asked_for(desk: Desk, step: tuple[str, str, list[str | None], Any, int], place: int) -> ev.Event:
    what, key, meters, watchdog, n = step
    chosen: dict[str, Any] = {"meters": meters, "watchdog": watchdog}
    if what == "replace":
        return desk.change(ev.Change.REPLACE, f"p{n}", key=f"k{place}", found=key, **chosen)
    channels = desk.house.found.get(key, {}).get("channels", 1)
    ids = [f"{place}-{channel}" for channel in range(channels)]
    numbers = [id_ if channel <= n else "" for channel, id_ in enumerate(ids)]
    values: dict[str, Any] = {
        "site": "s1",
        "name": "P",
        "pile": f"p{n}",
        "outlets": ids,
        "numbers": numbers,
        "stickers": ids,
    }
    return desk.change(ev.Change.ADOPT, key, key=f"k{place}", **values, **chosen)


@given(STEPS)
@settings(max_examples=80, deadline=None)
def test_no_device_is_in_two_places_and_the_rows_say_the_same_as_the_memory(
    steps: list[tuple[str, str, list[str | None], Any, int]],
) -> None:
    desk = Desk()
    for key in DEVICES:
        found_again(desk, key)
    for place, step in enumerate(steps):
        if step[0] == "find" and step[1]:
            found_again(desk, step[1])
        elif step[0] == "charge":
            for outlet in [o for o in desk.house.outlets.values() if o.pile == f"p{step[4]}"][:1]:
                desk.house.apply(fx.SaveOutlet(replace(outlet, phase=OutletPhase.OPEN)))
        else:
            desk.code(asked_for(desk, step, place))
        consistent(desk)


def consistent(desk: Desk) -> None:
    house = desk.house
    every = [key for hardware in house.hardware.values() for key in keys_of(hardware)]
    assert len(every) == len(set(every))
    assert set(house.owners) == set(every)
    assert not {device_key(row["family"], row["address"]) for row in house.found.values()} & set(every)
    for outlet in house.outlets.values():
        meters = meters_of(house.hardware[outlet.pile].params) if outlet.pile in house.hardware else []
        assert not meters or meters[outlet.channel] is not None, outlet
        assert (outlet.lease_class == "metering_only") <= (
            outlet.phase in (OutletPhase.METERING_ONLY, OutletPhase.OPEN)
        )
    again = House()
    for row in desk.rows:
        again.apply(row)
    assert (again.hardware, again.owners, again.found) == (house.hardware, house.owners, house.found)
