"""Attacks on charges in doubt that once worked: energy for nothing, power after a lease had ended, a socket left on."""

from pathlib import Path

import pytest

from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.reasons import StopReason
from controller.core.state import Phase, Why
from tests.shell.rig import LOAD_W, Rig

STILL_IN_DOUBT_WH = LOAD_W * 330 / 3600  # five minutes of it, and a report


@pytest.mark.parametrize("on_beats", [1, 4])
def test_a_load_that_comes_and_goes_is_not_charged_for_nothing(tmp_path: Path, on_beats: int) -> None:
    rig = Rig(tmp_path)
    rig.charging(amount_fen=2000)
    rig.beat(times=12)
    for _ in range(80):
        rig.plug.load_w = 0.0
        rig.beat()
        rig.plug.load_w = LOAD_W
        rig.beat(times=on_beats)
    metered_wh = rig.live().meter.used_wh
    rig.answer(rig.stop())
    rig.beat(times=2)

    assert metered_wh > 4 * STILL_IN_DOUBT_WH * on_beats / 4
    assert rig.saved().meter.used_wh >= metered_wh - STILL_IN_DOUBT_WH


def test_a_lease_that_ended_while_we_were_stopped_is_not_renewed(tmp_path: Path) -> None:
    """A stopped process, or a laptop's lid: the device went dark long ago, and another bike may stand there."""
    rig = Rig(tmp_path)
    rig.charging(amount_fen=2000)
    rig.clock.advance(rig.rules.resume_max_s + 600)
    rig.hear(ev.Reading(**rig.stamp(), outlet="o1", power_w=0.0, energy_wh=rig.plug.counter_wh, voltage_v=230.0))
    rig.step()

    assert not rig.plug.on
    assert (rig.live().phase, rig.live().reason) == (Phase.SUSPENDED, None)
    rig.beat(times=3)
    assert rig.plug.log[-1] == "off"
    assert rig.reasons() == [StopReason.POWER_LOSS]


def test_a_lease_that_has_just_ended_goes_on_dark_first_and_on_trial(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.charging(amount_fen=2000)
    rig.clock.advance(rig.rules.lease_s + 30)
    rig.hear(ev.Reading(**rig.stamp(), outlet="o1", power_w=0.0, energy_wh=rig.plug.counter_wh, voltage_v=230.0))
    rig.step()
    pause = rig.live().pause
    assert pause is not None
    assert pause.why is Why.MAINS
    assert rig.plug.log[-1] == "off"

    rig.beat(times=12)
    assert (rig.live().phase, rig.live().pause, rig.plug.on) == (Phase.CHARGING, None, True)


def test_a_start_without_a_load_whose_lease_ended_unseen_goes_back(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.beat()
    rig.answer(rig.order())
    rig.answer(rig.paid())
    rig.beat()
    rig.clock.advance(rig.rules.lease_s - 1)  # before nobody has plugged in for too long
    assert rig.live().phase is Phase.OPENING
    lapsed = rig.clock.now().steady_s - (rig.live().renewed_s or 0.0)
    assert lapsed >= rig.rules.lease_s
    rig.hear(ev.Reading(**rig.stamp(), outlet="o1", power_w=0.0, energy_wh=rig.plug.counter_wh, voltage_v=230.0))
    rig.step()
    rig.beat(times=2)

    assert not rig.plug.on
    assert rig.reasons() == [StopReason.GATEWAY_FAULT]
    assert rig.saved().returned_fen == 200


def test_a_socket_emptied_on_trial_is_dark_as_soon_as_any_other(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.charging(amount_fen=2000)
    rig.beat(times=12)
    rig.hear(ev.DeviceRestarted(**rig.stamp(), outlet="o1", up_s=1.0))
    rig.step()
    rig.beat(times=3)
    before = rig.live().pause
    assert (rig.live().phase, before and before.why) == (Phase.CHARGING, Why.MAINS)

    rig.plug.load_w = 0.0
    rig.beat(times=int(rig.rules.removal_s / 10) + 2)

    emptied = rig.live().pause
    assert not rig.plug.on
    assert emptied is not None
    assert before is not None
    assert (emptied.why, emptied.meter) == (Why.EMPTY, before.meter)
    rig.beat(times=120)
    assert rig.reasons() == [StopReason.UNPLUGGED]


def test_power_that_comes_back_in_the_dark_is_cut_and_alarmed(tmp_path: Path) -> None:
    """A relay that sticks now and then, proven off in between, gave a thief half of the time for nothing, unseen."""
    rig = Rig(tmp_path)
    rig.charging(amount_fen=2000)
    rig.beat(times=30)
    rig.plug.load_w = 0.0
    rig.beat(times=2)
    rig.plug.load_w = 2 * LOAD_W
    rig.beat(times=4)
    assert (rig.live().phase, rig.live().proof) == (Phase.SUSPENDED, "measured")

    for stuck in (True, False, True, False):
        offs = rig.plug.log.count("off")
        rig.plug.welded = stuck
        rig.beat()
        assert rig.plug.log.count("off") >= offs + stuck

    assert rig.sql("SELECT kind FROM alarm") == [("power_without_session",)]
    rig.answer(ev.PlugAnswered(**rig.stamp(), key="q", session="S1", outlet="o1", by="party:p1", mine=True))
    rig.beat(times=3)
    assert (rig.live().phase, rig.plug.on) == (Phase.CHARGING, True), "an alarm does not keep it from going on"


@pytest.mark.parametrize("scope", ["site", "pile"])
def test_smoke_that_took_its_detector_is_still_active_after_a_restart(tmp_path: Path, scope: str) -> None:
    rig = Rig(tmp_path)
    rig.charging()
    rig.staff(ev.Change.INPUTS, "p1", inputs={"1": {"kind": "smoke", "scope": scope}})
    rig.hear(ev.InputReported(**rig.stamp(), pile="p1", input=1, on=True))
    rig.step()
    rig.beat(times=2)
    again = rig.restarted()
    again.beat(times=2)
    change, subject = (ev.Change.RELEASE_SITE, "s1") if scope == "site" else (ev.Change.CLEAR_LATCH, "o1")

    with pytest.raises(Refused, match="show"):
        again.staff(change, subject)
    with pytest.raises(Refused):
        again.answer(again.order("O2"))

    again.hear(ev.InputReported(**again.stamp(), pile="p1", input=1, on=False))
    again.step()
    again.beat()
    again.staff(change, subject)
    again.answer(again.order("O3"))
