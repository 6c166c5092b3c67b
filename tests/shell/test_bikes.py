"""A bike's memory on the disk: with its settlement or not at all, there after a restart, gone when forgotten."""

import json
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.reasons import StopReason
from controller.garage import Garage
from tests.core.test_bikes import lithium
from tests.shell.rig import Rig

BIKE = "b" * 32


def charged(rig: Rig, number: int = 1, **order: Any) -> Rig:
    """A whole charge with a restart in its middle; the rig that ended it."""
    rig.beat()
    rig.answer(rig.order(f"O{number}", amount_fen=2000, **order))
    rig.answer(rig.paid(f"O{number}", f"T{number}", 2000))
    for step, power_w in enumerate(lithium(60)[::3]):
        if "o1" not in rig.house.sessions:
            return rig
        if step == 100:
            rig = rig.restarted()
        rig.plug.load_w = power_w
        rig.beat(30.0)
    raise AssertionError("it never ended")


def memories(rig: Rig) -> list[tuple[str, int]]:
    garage = Garage(rig.store.engine)
    found = [garage.bike(bike) for (bike,) in rig.sql("SELECT id FROM bike ORDER BY id")]
    return [(row.id, row.memory.charges) for row in found if row is not None]


def test_a_whole_charge_with_a_restart_in_it_leaves_a_memory_that_the_next_process_knows(tmp_path: Path) -> None:
    rig = charged(Rig(tmp_path), bike=BIKE)
    assert rig.reasons() == [str(StopReason.FINISHED)]
    assert memories(rig) == [(BIKE, 1)]
    known = rig.house.bikes

    assert rig.restarted().house.bikes == known


def test_the_memory_comes_with_the_settlement_in_one_batch(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    written: list[list[str]] = []
    write = rig.store.write

    def watched(number: str, rows: Any, at: float = 0.0) -> Any:
        written.append([type(row).__name__ for row in rows])
        return write(number, rows, at)

    rig.beat()
    rig.answer(rig.order(amount_fen=2000, bike=BIKE))
    rig.answer(rig.paid(amount_fen=2000))
    rig.store.write = watched  # type: ignore[method-assign]
    for power_w in lithium(60)[::3]:
        if "o1" in rig.house.sessions:
            rig.plug.load_w = power_w
            rig.beat(30.0)

    (settling,) = [batch for batch in written if "Receipt" in batch]
    assert "SaveBike" in settling
    assert sum("SaveBike" in batch for batch in written) == 1


def test_a_wish_survives_a_restart_and_what_is_settled_names_no_bike_on_disk(tmp_path: Path) -> None:
    rig = charged(Rig(tmp_path), bike=BIKE, stop_at=80)

    assert rig.reasons() == [str(StopReason.ENERGY_LIMIT)]
    for query in ("SELECT state FROM session", "SELECT body FROM charge_order"):
        (body,) = [bytes(body) for (body,) in rig.sql(query)]
        assert BIKE.encode() not in body


def test_a_drift_is_fed_with_its_figures_and_names_neither_bike_nor_person(tmp_path: Path) -> None:
    rig = charged(Rig(tmp_path), bike=BIKE)
    norm = rig.house.bikes[BIKE].memory.tail_min
    odd = replace(norm, count=9, first=norm.mean / 2, first_spread=0.1)
    memory = replace(rig.house.bikes[BIKE].memory, charges=9, tail_min=odd)
    rig.store.write("odd", [fx.SaveBike(replace(rig.house.bikes[BIKE], memory=memory))])
    rig = charged(rig.restarted(), 2, bike=BIKE)

    ((session, body),) = rig.sql("SELECT session_id, body FROM feed WHERE kind = 'session.drifted'")
    told = json.loads(body) if isinstance(body, str) else body
    assert (session, told["what"], set(told["evidence"])) == ("S2", "tail_min", {"tail_min", "usual_tail_min"})
    assert BIKE not in str(told)


def test_a_forgotten_bike_is_on_no_disk_and_the_money_stays(tmp_path: Path) -> None:
    rig = charged(Rig(tmp_path), bike=BIKE)
    before = rig.sql("SELECT key, body_hash FROM entry ORDER BY id")
    answer = rig.answer(ev.BikeForgotten(**rig.stamp(), key="f", by="party", bike=BIKE))

    assert answer == {"forgotten": 1}
    assert memories(rig) == []
    assert rig.sql("SELECT key, body_hash FROM entry ORDER BY id") == before
    assert rig.sql("SELECT COUNT(*) FROM receipt") == [(1,)]
    assert rig.restarted().house.bikes == {}


def test_a_bike_that_nobody_has_seen_for_more_than_a_year_is_forgotten_by_itself(tmp_path: Path) -> None:
    rig = charged(Rig(tmp_path), bike=BIKE)
    rig.clock.advance(401 * 86_400)
    rig.beat(times=70)
    rig = charged(rig, 2, bike="c" * 32)

    assert memories(rig) == [("c" * 32, 1)]
    assert set(rig.house.bikes) == {"c" * 32}


def test_a_charge_that_an_older_release_began_ends_without_a_course(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.charging(amount_fen=2000)
    for name in ("course", "aim", "usual", "finish_rules"):
        assert getattr(rig.saved(), name) is None
    assert rig.restarted().live().stop_at == 100


def test_settings_and_models_are_there_again_after_a_restart(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.staff(ev.Change.FINISH, "s1", rules={"pause_s": 3600})
    rig.staff(ev.Change.CHARGER, "x1", site="s1", name="48 V", rules={"low": 0.12}, evidence={"charges": 9})
    rig.staff(ev.Change.CHARGER, "x1", key="approve", state="approved")
    rig.staff(ev.Change.BIKE, "card:c1", site="s1", charger="x1")
    house, garage = rig.house, Garage(rig.store.engine)
    assert garage.finish("s1") == {"pause_s": 3600.0}
    (model,) = garage.chargers(["s1"])
    assert (model.state, model.evidence) == ("approved", {"charges": 9})
    again = rig.restarted().house

    assert (again.finish, again.chargers, again.bikes) == (house.finish, house.chargers, house.bikes)


def test_settings_that_were_withdrawn_leave_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.staff(ev.Change.FINISH, "s1", rules={"pause_s": 3600})
    rig.staff(ev.Change.FINISH, "s1", key="off", rules={})

    assert rig.sql("SELECT finish FROM site") == [(None,)]
    assert rig.restarted().house.finish == {}


def test_the_past_of_a_site_is_what_the_detector_ended_there(tmp_path: Path) -> None:
    rig = charged(Rig(tmp_path))
    (past,) = Garage(rig.store.engine).past("s1")

    assert past.reason == "finished"
    assert past.curve[-1][2] > 100
    assert past.off_at > past.opened_at
    assert Garage(rig.store.engine).past("elsewhere") == []
