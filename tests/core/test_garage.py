"""From the card or the phone that names a bike to its memory, and to nothing of it left; by the real engine."""

from typing import Any

from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.bikes import Bike, Figures, Memory, learned
from controller.core.finish import RULES
from controller.core.reasons import StopReason
from tests.core.desk_rig import Desk
from tests.core.test_bikes import lithium

TOKEN = "b" * 32


def charged(desk: Desk, powers: list[float], outlet: str = "o1") -> None:
    """The outlet draws so, a reading each half minute, until the session has settled."""
    for power_w in powers[::3]:
        if outlet not in desk.house.sessions:
            return
        drawn_w = power_w if desk.house.sessions[outlet].reason is None else 0.0
        desk.clock.advance(29)
        desk.reads(outlet, drawn_w, drawn_w * 30 / 3600)
    raise AssertionError("it never ended")


def ordered(desk: Desk, number: int = 1, **other: Any) -> None:
    desk.ask(desk.order(f"O{number}", amount_fen=2000, **other))
    desk.ask(desk.paid(f"O{number}", f"T{number}", 2000))


def known(desk: Desk, bike: str = TOKEN, times: int = 6) -> Bike:
    """A bike whose charges have always gone as `lithium(60)` does."""
    memory = Memory()
    for _ in range(times):
        memory = learned(memory, Figures(168.0, 2.0, 230.0, 60.0, 62.0, 22.0, 95.0))
    row = Bike(bike, "s1", "p1", "", None, desk.clock.now().at, memory)
    desk.house.apply(fx.SaveBike(row))
    return row


def last_reason(desk: Desk) -> StopReason | None:
    return [row.session for row in desk.rows if isinstance(row, fx.Receipt)][-1].reason


def test_a_card_is_a_bike_and_one_whole_charge_makes_its_memory() -> None:
    desk = Desk()
    desk.ask(desk.topup(5000))
    desk.ask(desk.tap())
    charged(desk, lithium(60))

    assert last_reason(desk) is StopReason.FINISHED
    bike = desk.house.bikes["card:c1"]
    assert bike.memory.charges == 1
    assert 150 < bike.memory.energy_wh.mean < 350
    assert bike.memory.peak_w.mean > 160
    assert [row for row in desk.rows if isinstance(row, fx.SaveBike)][-1].bike == bike


def test_a_charge_that_was_stopped_teaches_nothing() -> None:
    desk = Desk()
    ordered(desk, bike=TOKEN)
    desk.charged("o1", 100)

    assert desk.house.bikes == {}


def test_a_walk_in_who_names_no_bike_leaves_none() -> None:
    desk = Desk()
    ordered(desk)
    charged(desk, lithium(60))

    assert last_reason(desk) is StopReason.FINISHED
    assert desk.house.bikes == {}


def test_a_settled_session_and_its_order_name_no_bike() -> None:
    desk = Desk()
    ordered(desk, bike=TOKEN, stop_at=80)
    assert desk.house.sessions["o1"].bike == TOKEN
    charged(desk, lithium(60))

    done = [row.session for row in desk.rows if isinstance(row, fx.Receipt)][-1]
    assert (done.bike, done.course, done.aim, done.usual) == (None, None, None, None)
    assert [row.order.bike for row in desk.rows if isinstance(row, fx.SaveOrder)][-1] == ""


def test_an_order_that_ends_unpaid_forgets_the_bike_it_named() -> None:
    desk = Desk()
    desk.ask(desk.order(bike=TOKEN))
    assert desk.house.orders["O1"].bike == TOKEN
    desk.ask(desk.cancelled())

    assert desk.house.ended["O1"].bike == ""


def test_a_wish_for_80_per_cent_ends_by_the_energy_limit_with_its_figures() -> None:
    desk = Desk()
    ordered(desk, stop_at=80)
    charged(desk, lithium(60))

    assert last_reason(desk) is StopReason.ENERGY_LIMIT
    stop = next(row for row in desk.rows if isinstance(row, fx.Moment) and row.what == "stop:energy_limit")
    assert stop.values["stop_at_percent"] == 80
    assert 60 < stop.values["percent_of_peak"] < 90


def test_what_may_be_wished_for_is_80_90_or_100() -> None:
    desk = Desk()
    for percent in (0, 79, 95, 101, -1):
        assert desk.code(desk.order(f"O{percent}", stop_at=percent)) == "invalid"
    assert desk.code(desk.order(stop_at=90)) == "ok"


def test_a_known_bike_gives_its_session_what_is_usual() -> None:
    desk = Desk()
    memory = known(desk).memory
    ordered(desk, bike=TOKEN, stop_at=90)
    session = desk.house.sessions["o1"]

    assert session.usual is not None
    assert session.usual.peak_w == 168.0
    assert session.aim is not None
    assert (session.aim.after_wh, session.aim.capacity_wh) == (60.0, memory.capacity_wh)


def test_a_stage_beyond_the_bikes_norm_is_told_in_its_session_and_names_nobody() -> None:
    desk = Desk()
    bike = known(desk)
    short = replace(bike.memory.tail_min, first=20.0, first_spread=1.0)
    desk.house.apply(fx.SaveBike(replace(bike, memory=replace(bike.memory, tail_min=short))))
    ordered(desk, bike=TOKEN)
    charged(desk, lithium(60))

    told = [row for row in desk.rows if isinstance(row, fx.Moment) and row.what.startswith("bike_drift:")]
    assert [row.what for row in told] == ["bike_drift:tail_min"]
    assert set(told[0].values) == {"tail_min", "usual_tail_min"}
    assert told[0].values["usual_tail_min"] == 20.0


def test_an_ordinary_charge_of_a_known_bike_tells_of_no_drift() -> None:
    desk = Desk()
    for number in range(1, 9):
        ordered(desk, number, bike=TOKEN)
        charged(desk, lithium(60))
        desk.do(desk.refunded(f"O{number}R", desk.house.refunds[f"O{number}R"].amount_fen))

    assert desk.house.bikes[TOKEN].memory.charges == 8
    assert [row.what for row in desk.rows if isinstance(row, fx.Moment) and row.what.startswith("bike_")] == []


# -- forgotten ----------------------------------------------------------------------------------------------------


def forget(desk: Desk, **whose: Any) -> ev.BikeForgotten:
    return ev.BikeForgotten(**desk.stamp(), key="forget-1", by="staff:o", **whose)


def test_a_forgotten_bike_is_gone_at_once_and_its_charge_goes_on_without_a_name() -> None:
    desk = Desk()
    known(desk)
    ordered(desk, bike=TOKEN)
    assert desk.ask(forget(desk, bike=TOKEN)) == {"forgotten": 1}

    assert desk.house.bikes == {}
    assert any(isinstance(row, fx.Drop) and row.table == "bike" for row in desk.rows)
    assert desk.house.sessions["o1"].bike is None
    charged(desk, lithium(60))
    assert desk.house.bikes == {}
    assert [row for row in desk.rows if isinstance(row, fx.Receipt)]  # its money stays


def test_all_bikes_of_a_party_are_forgotten_and_that_is_audited_without_their_ids() -> None:
    desk = Desk()
    known(desk)
    known(desk, "c" * 32)
    desk.house.apply(fx.SaveBike(Bike("d" * 32, "s1", "p2", "", None, 0.0)))
    assert desk.ask(forget(desk, party="p1")) == {"forgotten": 2}

    assert set(desk.house.bikes) == {"d" * 32}
    (audit,) = [row for row in desk.rows if isinstance(row, fx.Audit)]
    assert (audit.what, audit.subject, audit.values) == ("bikes_forgotten", "p1", {})


def test_nobody_is_forgotten_by_an_empty_name() -> None:
    desk = Desk()
    desk.house.apply(fx.SaveBike(Bike("card:c1", "s1", "card:c1", "", None, 0.0)))
    ordered(desk)
    desk.ask(forget(desk))

    assert set(desk.house.bikes) == {"card:c1"}


def test_an_open_order_of_a_forgotten_bike_names_it_no_more() -> None:
    desk = Desk()
    desk.ask(desk.order(bike=TOKEN))
    desk.ask(forget(desk, bike=TOKEN))

    assert desk.house.orders["O1"].bike == ""


def test_a_card_can_be_told_to_be_no_bike() -> None:
    desk = Desk()
    desk.ask(desk.topup(5000))
    desk.ask(desk.change(ev.Change.BIKE, "card:c1", site="s1", kept=False))
    desk.ask(desk.tap())
    charged(desk, lithium(60))

    assert desk.house.bikes["card:c1"].memory == Memory()
    assert desk.code(desk.change(ev.Change.BIKE, "card:c9", site="s1", kept=False)) == "unknown"


def test_a_bike_that_is_told_to_be_none_loses_what_was_known_of_it() -> None:
    desk = Desk()
    known(desk)
    desk.ask(desk.change(ev.Change.BIKE, TOKEN, kept=False))

    assert desk.house.bikes[TOKEN].memory == Memory()


# -- settings -----------------------------------------------------------------------------------------------------


def rules_of_next(desk: Desk, **other: Any) -> object:
    ordered(desk, len(desk.house.ended) + 1, **other)
    return desk.house.sessions["o1"].finish_rules


def test_settings_of_a_site_hold_for_charges_that_begin_after_they_were_approved() -> None:
    desk = Desk()
    assert rules_of_next(desk) is None
    desk.ask(desk.change(ev.Change.FINISH, "s1", rules={"pause_s": 3600}))
    assert desk.house.sessions["o1"].finish_rules is None
    desk.charged("o1", 1)

    assert rules_of_next(desk) == replace(RULES, pause_s=3600.0)


def test_settings_that_are_withdrawn_are_the_defaults_again() -> None:
    desk = Desk()
    desk.ask(desk.change(ev.Change.FINISH, "s1", rules={"pause_s": 3600}))
    desk.ask(desk.change(ev.Change.FINISH, "s1", key="withdrawn", rules={}))

    assert rules_of_next(desk) is None


def test_settings_out_of_bounds_or_unheard_of_are_refused() -> None:
    desk = Desk()
    for rules in ({"low": 0.99}, {"pause_s": 0}, {"low": True}, {"low": "x"}, {"burst_cost": 1}, {"probe": 0.5}):
        assert desk.code(desk.change(ev.Change.FINISH, "s1", rules=rules)) == "finish_rules"
    assert desk.code(desk.change(ev.Change.FINISH, "s9", rules={})) == "unknown_site"
    assert desk.house.finish == {}


def model(desk: Desk, **values: Any) -> str:
    return desk.code(desk.change(ev.Change.CHARGER, "x1", key=f"key-{values}", **values))


def test_settings_of_a_charger_apply_to_its_bikes_only_while_somebody_approves_them() -> None:
    desk = Desk()
    known(desk)
    assert model(desk, site="s1", name="48 V 3 A", rules={"low": 0.12}) == "ok"
    desk.ask(desk.change(ev.Change.BIKE, TOKEN, charger="x1"))
    seen = []
    for state in ("", "approved", "withdrawn"):
        if state:
            assert model(desk, state=state) == "ok"
        seen.append(rules_of_next(desk, bike=TOKEN))
        desk.charged("o1", 1)

    assert seen == [None, replace(RULES, low=0.12), None]


def test_a_chargers_settings_stand_over_those_of_its_site() -> None:
    desk = Desk()
    known(desk)
    desk.ask(desk.change(ev.Change.FINISH, "s1", rules={"low": 0.1, "pause_s": 3600}))
    model(desk, site="s1", name="48 V 3 A", rules={"low": 0.12})
    model(desk, state="approved")
    desk.ask(desk.change(ev.Change.BIKE, TOKEN, charger="x1"))

    assert rules_of_next(desk, bike=TOKEN) == replace(RULES, low=0.12, pause_s=3600.0)


def test_a_charger_is_not_approved_at_birth_and_needs_a_setting() -> None:
    desk = Desk()
    assert model(desk, site="s1", name="x", rules={"low": 0.12}, state="approved") == "invalid"
    assert model(desk, site="s1", name="x", rules={}) == "finish_rules"
    assert model(desk, site="s9", name="x", rules={"low": 0.12}) == "unknown_site"
    assert desk.house.chargers == {}
    assert desk.code(desk.change(ev.Change.BIKE, TOKEN, charger="x1")) == "unknown"


def test_every_approval_is_audited_with_who_and_what() -> None:
    desk = Desk()
    desk.ask(desk.change(ev.Change.FINISH, "s1", by="staff:m", rules={"low": 0.1}, evidence={"charges": 12}))

    (audit,) = [row for row in desk.rows if isinstance(row, fx.Audit)]
    assert (audit.by, audit.what, audit.subject) == ("staff:m", "finish", "s1")
    assert audit.values["rules"] == {"low": 0.1}
