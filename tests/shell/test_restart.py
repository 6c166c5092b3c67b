"""What a restart finds: the same house as before, and an outlet proven step by step on the way to its first charge."""

from pathlib import Path
from typing import Any, get_args

import pytest

from controller.clock import HandClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.reasons import StopReason
from controller.core.state import OutletPhase, Phase
from controller.queries import Queries
from controller.rows import WRITE
from tests.shell.rig import Plug, Rig

REMEMBERED = ("sites", "outlets", "orders", "cards", "uids", "refunds", "found", "paid", "outbox")


def told(rig: Rig) -> None:
    """Something of everything: a charge under way, one settled and owed, an open order, one given up, a card."""
    rig.charging(order="O1", session="S1")
    rig.answer(rig.stop())
    rig.beat()
    rig.answer(rig.topup(700))
    rig.answer(rig.order("O2"))
    rig.answer(rig.order("O3"))
    rig.answer(ev.OrderCancelled(**rig.stamp(), key="c", order="O3"))
    rig.answer(rig.order("O4"))
    rig.answer(rig.paid("O4", "T4"))
    rig.beat(times=5)
    rig.staff(ev.Change.NAME, number="7")


def test_the_house_from_disk_is_the_house_in_memory(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    told(rig)
    loaded = rig.store.load()

    for name in REMEMBERED:
        assert getattr(loaded.house, name) == getattr(rig.house, name), name
    assert {code: fen for code, fen in loaded.house.balances.items() if fen} == {
        code: fen for code, fen in rig.house.balances.items() if fen
    }
    assert loaded.house.entries == rig.house.entries
    assert [session.id for session in loaded.sessions] == ["S4"]
    assert {wish.slot: wish.version for wish in loaded.wishes} == rig.house.outbox


def test_a_key_from_before_the_restart_is_answered_and_not_done_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    told(rig)
    later = rig.restarted()
    later.beat()
    queries = Queries(later.url)
    for event in (later.order("O9", key="key-O1"), later.paid("O1", "T1"), later.topup(700)):
        answer = later.answer(event, queries.known(event))
        assert answer["repeat"] is True
    queries.close()

    assert later.sql("SELECT COUNT(*) FROM entry") == [(4,)]


def test_money_for_an_order_given_up_before_the_restart_goes_back_when_the_errand_learns_of_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.beat()
    rig.answer(rig.order())
    rig.answer(ev.OrderCancelled(**rig.stamp(), key="c", order="O1"))
    later = rig.restarted()

    later.engine.inbox.tell(later.paid())  # as the outbox tells it, with nothing found
    later.step()

    assert later.house.balances["refund_due:m"] == 200


def test_an_open_order_expires_after_the_restart_too(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.beat()
    rig.answer(rig.order())
    later = rig.restarted()
    later.beat(times=91)

    assert later.sql("SELECT state FROM charge_order") == [("expired",)]


def test_an_on_that_was_pending_is_dropped_and_everything_goes_back(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.beat()
    rig.answer(rig.order())
    rig.plug.reachable = False  # the ON is decided and on disk, and never arrives
    rig.answer(rig.paid())
    later = rig.restarted()
    later.plug.reachable = True
    later.beat(times=2)

    assert "on" not in later.plug.log
    assert later.reasons() == [StopReason.GATEWAY_FAULT]
    assert later.house.balances["refund_due:m"] == 200


def test_a_charge_still_on_is_taken_up_again_and_bills_what_flowed_meanwhile(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.charging()
    rig.clock.advance(60)
    later = rig.restarted()
    later.beat(times=2)
    assert later.live().phase is Phase.CHARGING
    later.answer(later.stop())
    later.beat()

    metered = later.plug.counter_wh - 1000.0
    assert later.saved().meter.used_wh == pytest.approx(metered, abs=0.01)


def test_a_session_that_was_closing_is_still_closed_until_it_is_proven(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.charging()
    rig.plug.welded = True
    rig.answer(rig.stop())
    rig.beat()
    later = rig.restarted()
    assert later.plug.log[-1] == "off"
    later.beat(times=2)
    assert later.live().phase is Phase.CLOSING

    later.plug.welded = False
    later.beat(times=2)
    assert later.saved().proof == "measured"


def test_a_welded_relay_is_alarmed_latched_and_settled_on_the_meter_at_the_off(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.charging()
    rig.plug.welded = True
    at_off = rig.live().meter.used_wh
    rig.answer(rig.stop())
    rig.beat(times=62)

    done = rig.saved()
    assert (done.phase, done.proof) == (Phase.SETTLED, "none")
    assert done.meter.used_wh == at_off
    assert rig.house.outlets["o1"].latch == "relay_fault"
    assert "relay_fault" in [kind for (kind,) in rig.sql("SELECT kind FROM alarm")]
    with pytest.raises(Refused):
        rig.answer(rig.order("O2"))


# -- from found to open ---------------------------------------------------------------------------------------------


def test_a_found_device_is_adopted_proven_on_itself_opened_and_only_then_sold(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    found = ev.PileFound(
        **rig.stamp(), family="made-up", address="BB", model="m", firmware="f", channels=1, params={"t": 1}
    )
    rig.hear(found)
    rig.step()
    rig.staff(
        ev.Change.ADOPT, "made-up:BB", site="s1", name="N", pile="p2", numbers=["9"], outlets=["n1"], stickers=["k1"]
    )
    says(rig, ev.LinkUp)
    with pytest.raises(Refused):
        rig.answer(rig.order("O1", "n1"))
    prove(rig)

    assert rig.house.outlets["n1"].phase is OutletPhase.COMMISSIONED
    assert rig.house.outlets["n1"].record["rearmed_s"] == pytest.approx(23.0)
    rig.staff(ev.Change.OPEN, "n1")
    assert rig.answer(rig.order("O1", "n1")) == {"order": "O1"}
    assert rig.sql("SELECT what FROM audit ORDER BY id")[-3:] == [("commission",), ("commissioned",), ("open",)]


def test_a_programme_that_a_restart_interrupted_has_proven_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.beat()
    rig.staff(ev.Change.COMMISSION)
    later = rig.restarted()
    later.step()

    assert later.house.outlets["o1"].phase is OutletPhase.ADOPTED
    assert later.house.outlets["o1"].failed == "gateway_restarted"
    assert later.plug.log[-1] == "off"


def says(rig: Rig, kind: Any, after_s: float = 0.0, **values: Any) -> None:
    rig.clock.advance(after_s)
    rig.hear(kind(**rig.stamp(), outlet="n1", **values))
    rig.step()


def prove(rig: Rig) -> None:
    """The device's side of the programme, as a sound one plays it."""
    rig.staff(ev.Change.COMMISSION, "n1")
    for setting in ("power_up_off", "sees_power_when_off", "own_counter", "inputs_detached"):
        says(rig, ev.SettingReported, setting=setting, value=1.0)
    _reads(rig, 1, 0.0)
    for lit_s in (1, 14, 8):  # until OFF, until its lease ends, until it is renewed
        says(rig, ev.RelayReported, on=True)
        _reads(rig, 1, 60.0)
        rig.clock.advance(lit_s - 1)
        if lit_s == 8:
            rig.step()
            _reads(rig, 11, 60.0)
            rig.clock.advance(3)
        says(rig, ev.RelayReported, 1, on=False)
        _reads(rig, 1, 0.0)


def _reads(rig: Rig, after_s: float, power_w: float) -> None:
    says(rig, ev.Reading, after_s, power_w=power_w, energy_wh=0.0)


def test_every_effect_has_a_place_to_go() -> None:
    together = {*fx.RIDING, fx.Audit}  # written by the batch, not one by one
    assert set(get_args(fx.Row)) - together == set(WRITE)


def test_an_outlet_found_on_is_taken_up_again_without_waiting_for_the_disk(tmp_path: Path) -> None:
    """Ten thousand restored sessions keep the writer busy for longer than an ON is good for."""
    rig = Rig(tmp_path)
    rig.charging()
    later = rig.restarted()
    told_before = list(later.plug.log)

    later.hear(ev.RelayReported(**later.stamp(), outlet="o1", on=True))
    later.engine.step(later.clock.now())  # what it wishes to write is not written

    assert later.plug.log == [*told_before, "on"]
    gate = later.gates.get("o1")
    assert gate is not None
    assert gate.open


class AwayRig(Rig):
    """Our own link does not stand yet: nothing leaves, nothing can be asked."""

    away = True

    def tell(self, order: fx.Provision | fx.AskNow | fx.SetInputs) -> bool:
        self.asked = [*getattr(self, "asked", []), order] if not self.away else []
        return not self.away


def test_what_could_not_be_asked_at_the_restart_is_asked_when_our_link_stands(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.charging()
    rig.store.close()
    later = AwayRig(tmp_path, rig.clock, rig.plugs.values())
    later.step()
    later.away = False

    later.clock.advance(1.0)
    assert later.engine.next_due_s() is not None
    later.step()
    assert later.asked == [fx.AskNow("o1")]

    later.clock.advance(1.0)
    later.step()
    assert later.asked == [fx.AskNow("o1")]


def test_a_lease_that_could_not_be_renewed_at_the_restart_is_renewed_when_our_link_stands(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.charging()
    later = rig.restarted()
    later.plug.reachable = False
    later.hear(ev.RelayReported(**later.stamp(), outlet="o1", on=True))
    later.step()
    said = len(later.plug.log)

    later.plug.reachable = True
    later.clock.advance(1.0)
    later.step()
    later.clock.advance(1.0)
    later.step()

    assert later.plug.log[said:] == ["on"]


def test_frozen_prices_that_are_alike_are_kept_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path, plugs=[Plug(clock := HandClock()), Plug(clock, "o2")], clock=clock)
    rig.charging()
    rig.answer(rig.order("O2", outlet="o2"))
    rig.answer(rig.paid("O2", "T2"))
    loaded = rig.store.load()

    first, second = loaded.sessions
    assert first.id != second.id
    assert first.tariff is second.tariff
