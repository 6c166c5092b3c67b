"""Smoke, flood and emergency inputs: what they cut, what stays dead, and who lets go of it."""

from typing import Any

import pytest
from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.contacts import wired_of
from controller.core.errors import Refused
from controller.core.state import OutletPhase
from tests.core.desk_rig import Desk

SMOKE = {"kind": "smoke", "scope": "pile"}
BUTTON = {"kind": "emergency", "scope": "site"}


class Guarded(Desk):
    """Two piles of two outlets each on one site, and another site beside it."""

    def __init__(self) -> None:
        super().__init__(outlets=2)
        second = [self.house.outlets[name] for name in ("o1", "o2")]
        for old, name in zip(second, ("o3", "o4"), strict=True):
            self.house.apply(fx.SaveOutlet(_moved(old, name, "p2", "s1")))
        self.house.apply(fx.SaveOutlet(_moved(second[0], "o9", "p9", "s9")))
        self.house.sites["s9"] = self.house.sites["s1"]
        self.house.piles |= {"p1": "P1", "p2": "P2", "p9": "P9"}
        self.counters |= dict.fromkeys(("o3", "o4", "o9"), 1000.0)
        for name in ("o3", "o4", "o9"):
            self.reads(name, 0.0)

    def wired(self, pile: str = "p1", **inputs: Any) -> None:
        named = {number.strip("n"): wired for number, wired in inputs.items()}
        self.ask(self.change(ev.Change.INPUTS, pile, inputs=named))

    def shows(self, on: bool, number: int = 1, pile: str = "p1") -> None:
        self.clock.advance(1)
        self.do(ev.InputReported(**self.stamp(), pile=pile, input=number, on=on))

    def charges(self, outlet: str) -> None:
        order = f"O{outlet}"
        self.ask(self.order(order, outlet=outlet))
        self.ask(self.paid(order, txn=f"T{outlet}"))
        self.reads(outlet, 60.0)
        assert str(self.house.sessions[outlet].phase) == "charging"

    def cut(self, key: str = "cut", by: str = "staff:o") -> dict[str, Any]:
        return self.ask(ev.SiteCutAsked(**self.stamp(), key=key, site="s1", by=by))

    def released(self, by: str = "staff:o", site: str = "s1") -> str:
        self.clock.advance(1)
        return self.code(self.change(ev.Change.RELEASE_SITE, site, by=by))

    def why(self, outlet: str) -> str:
        """Why nobody can buy there, or `ok`."""
        self.clock.advance(1)
        order = self.order(f"Q{self.clock.now().at}", outlet=outlet)
        return self.code(order)

    def latch(self, outlet: str) -> str | None:
        return self.house.outlets[outlet].latch

    def alarms(self) -> list[tuple[str, str]]:
        return [(row.outlet, row.kind) for row in self.rows if isinstance(row, fx.RaiseAlarm)]

    def cleared(self) -> list[str]:
        return [row.outlet for row in self.rows if isinstance(row, fx.ClearAlarms)]


def _moved(outlet: Any, name: str, pile: str, site: str) -> Any:
    return replace(outlet, id=name, pile=pile, site=site)


@pytest.fixture
def desk() -> Guarded:
    return Guarded()


# -- a pile -------------------------------------------------------------------------------------------------------


def test_smoke_at_a_pile_darkens_all_of_it_at_once_and_nothing_beside_it(desk: Guarded) -> None:
    desk.wired(n1=SMOKE)
    desk.charges("o1")
    desk.charges("o3")
    desk.gear.log.clear()

    desk.shows(True)

    assert desk.gear.log[:2] == ["off o1", "off o2"]
    assert (str(desk.house.sessions["o1"].reason), desk.house.sessions["o1"].stopped_by) == ("smoke", "input:p1:1")
    assert [desk.house.outlets[name].latch for name in ("o1", "o2", "o3")] == ["smoke", "smoke", None]
    assert str(desk.house.sessions["o3"].phase) == "charging"
    assert desk.alarms() == [("input:p1:1", "smoke")]


def test_nothing_starts_while_an_input_is_active_nor_after_it_until_a_person_has_cleared_it(desk: Guarded) -> None:
    desk.wired(n1=SMOKE)
    desk.shows(True)

    assert desk.why("o1") == "input_active"
    assert desk.code(desk.change(ev.Change.COMMISSION, "o2")) == "input_active"
    assert desk.code(desk.change(ev.Change.CLEAR_LATCH, "o1")) == "input_active"
    assert desk.why("o3") == "ok"

    desk.shows(False)
    assert desk.why("o1") == "latched"
    assert desk.cleared() == []
    desk.clock.advance(1)
    assert desk.code(desk.change(ev.Change.CLEAR_LATCH, "o1")) == "ok"
    assert desk.why("o1") == "ok"
    assert desk.why("o2") == "latched"
    assert "input:p1:1" not in desk.cleared()  # half of it is still held
    desk.ask(desk.change(ev.Change.CLEAR_LATCH, "o2"))
    assert "input:p1:1" in desk.cleared()


def test_a_loop_that_is_normally_closed_is_an_alarm_when_its_wire_breaks(desk: Guarded) -> None:
    desk.wired(n2={"kind": "flood", "scope": "pile", "normally": "closed"})
    desk.shows(True, number=2)
    assert desk.latch("o1") is None

    desk.shows(False, number=2)

    assert desk.latch("o1") == "flood"
    assert desk.alarms() == [("input:p1:2", "flood")]


def test_a_flapping_contact_cuts_once_and_alarms_once(desk: Guarded) -> None:
    desk.wired(n1=SMOKE)
    for _ in range(50):
        desk.shows(True)
        desk.shows(False)

    assert desk.alarms() == [("input:p1:1", "smoke")]
    assert sum(isinstance(row, fx.Audit) and row.what == "pile_cut" for row in desk.rows) == 1
    assert desk.why("o1") == "latched"


def test_an_input_without_a_meaning_and_one_of_a_stranger_do_nothing(desk: Guarded) -> None:
    desk.wired(n1=SMOKE)
    before = len(desk.gear.log)

    desk.shows(True, number=2)
    desk.shows(True, pile="nobody's")
    desk.shows(True, pile="p2")
    desk.shows(True, number=29)

    assert len(desk.gear.log) == before
    assert [desk.why(outlet) for outlet in ("o1", "o3")] == ["ok", "ok"]


def test_two_piles_guard_themselves_alone(desk: Guarded) -> None:
    desk.wired("p1", n1=SMOKE)
    desk.wired("p2", n1=SMOKE)
    desk.shows(True, pile="p2")

    assert [desk.why(outlet) for outlet in ("o1", "o3", "o4")] == ["ok", "input_active", "input_active"]
    desk.shows(False, pile="p2")
    assert [desk.why(outlet) for outlet in ("o1", "o3", "o4")] == ["ok", "latched", "latched"]


def test_a_meaning_given_to_a_contact_that_is_closed_already_cuts_at_once(desk: Guarded) -> None:
    desk.shows(True)
    assert desk.why("o1") == "ok"

    desk.wired(n1=SMOKE)

    assert desk.latch("o1") == "smoke"
    assert desk.alarms() == [("input:p1:1", "smoke")]


def test_a_meaning_taken_away_lets_its_alarm_go_but_not_the_latch(desk: Guarded) -> None:
    desk.wired(n1=SMOKE)
    desk.shows(True)

    desk.clock.advance(1)
    desk.wired()

    assert desk.why("o1") == "latched"
    assert "input:p1:1" in desk.cleared()


@pytest.mark.parametrize(
    "inputs",
    [
        {"0": SMOKE},
        {"29": SMOKE},
        {"one": SMOKE},
        {"1": {"kind": "burglar"}},
        {"1": {**SMOKE, "normally": "ajar"}},
        {"1": {**SMOKE, "else": 1}},
        {"1": {"kind": "emergency", "scope": "pile"}},
        {"1": "smoke"},
        [],
    ],
)
def test_what_is_no_setting_is_refused(inputs: Any, desk: Guarded) -> None:
    with pytest.raises(Refused):
        wired_of(inputs)
    assert desk.code(desk.change(ev.Change.INPUTS, "p1", inputs=inputs)) == "invalid"
    assert desk.code(desk.change(ev.Change.INPUTS, "p7", key="other", inputs={})) == "unknown"


# -- a site -------------------------------------------------------------------------------------------------------


def test_a_cut_site_holds_until_a_person_releases_it(desk: Guarded) -> None:
    desk.charges("o1")
    assert desk.cut() == {"outlets": 4}

    desk.reads("o1", 0.0)
    desk.wait(3600.0)
    for outlet in ("o1", "o2", "o3", "o4"):
        assert desk.why(outlet) == "site_cut"
        assert desk.code(desk.change(ev.Change.COMMISSION, outlet)) == "site_cut"
    assert desk.why("o9") == "ok"

    assert desk.released() == "ok"
    assert desk.why("o1") == "ok"
    assert desk.released() == "not_cut"


def test_who_cuts_a_cut_site_cuts_again_and_the_first_name_stays(desk: Guarded) -> None:
    desk.cut()
    desk.gear.log.clear()

    desk.cut("cut again", by="staff:b")

    assert desk.gear.log == ["off o1", "off o2", "off o3", "off o4"]
    assert desk.house.cuts["s1"].by == "staff:o"


def test_a_release_is_refused_while_an_input_is_active_and_to_programs_always(desk: Guarded) -> None:
    desk.wired(n3=BUTTON)
    desk.shows(True, number=3)
    assert (desk.house.cuts["s1"].by, str(desk.house.cuts["s1"].why)) == ("input:p1:3", "site_cut")

    assert desk.released() == "input_active"
    desk.shows(False, number=3)
    assert desk.why("o3") == "site_cut"
    assert desk.released(by="token:t1") == "not_allowed_person"
    assert desk.released(site="s7") == "unknown_site"
    assert desk.released() == "ok"
    assert "input:p1:3" in desk.cleared()


def test_smoke_for_a_site_ends_every_charge_there_with_smoke(desk: Guarded) -> None:
    desk.wired(n1={"kind": "smoke", "scope": "site"})
    for outlet in ("o1", "o3", "o9"):
        desk.charges(outlet)

    desk.shows(True)

    reasons = {outlet: str(live.reason) for outlet, live in desk.house.sessions.items()}
    assert reasons == {"o1": "smoke", "o3": "smoke", "o9": "None"}
    assert [outlet for outlet in desk.house.outlets.values() if outlet.latch] == []


def test_a_cut_during_commissioning_ends_it_and_no_step_of_it_comes_after(desk: Guarded) -> None:
    desk.ask(desk.change(ev.Change.COMMISSION, "o1"))
    for name in ("power_up_off", "sees_power_when_off", "own_counter", "inputs_detached"):
        desk.do(ev.SettingReported(**desk.stamp(), outlet="o1", setting=name, value=1.0))
    assert desk.house.outlets["o1"].phase is OutletPhase.PROVING

    desk.cut()

    assert (desk.house.outlets["o1"].phase, desk.house.outlets["o1"].failed) == (OutletPhase.ADOPTED, "site_cut")
    desk.gear.log.clear()
    desk.do(ev.RelayReported(**desk.stamp(), outlet="o1", on=True))
    desk.wait(120.0)
    assert set(desk.gear.log) == {"off o1"}


def test_no_site_is_cut_that_is_not_there(desk: Guarded) -> None:
    assert desk.code(ev.SiteCutAsked(**desk.stamp(), key="k", site="s7", by="staff:o")) == "unknown_site"


# -- nobody hears it ----------------------------------------------------------------------------------------------


def test_an_input_that_nobody_hears_is_a_fault_until_it_is_heard(desk: Guarded) -> None:
    desk.wired(n1=SMOKE)
    desk.wait(10.0)
    desk.wait(185.0)
    assert desk.alarms() == [("input:p1:1:lost", "input_lost")]
    desk.wait(600.0)
    assert len(desk.alarms()) == 1

    desk.shows(False)

    assert desk.cleared() == ["input:p1:1:lost"]
    assert desk.engine.board.inputs["p1"][0].state == "calm"


def test_an_input_that_was_named_just_now_has_its_time_to_be_heard(desk: Guarded) -> None:
    desk.wired(n2=BUTTON)
    desk.shows(False, 2)
    for _ in range(100):
        desk.wait(60.0)
        desk.shows(False, 2)

    desk.wired(n1=SMOKE, n2=BUTTON)
    desk.wait(10.0)

    assert desk.alarms() == []
    for _ in range(3):
        desk.wait(60.0)
        desk.shows(False, 2)
    assert desk.alarms() == [("input:p1:1:lost", "input_lost")]


def test_an_input_is_asked_now_and_then_by_one_outlet_of_its_pile(desk: Guarded) -> None:
    asked = desk.gear.told
    desk.wired(n1=SMOKE, n2=BUTTON)
    assert asked == [fx.SetInputs("o1", (1, 2))]

    for _ in range(36):
        desk.wait(5.0)

    assert asked[1:] == [fx.AskNow("o1", (1, 2))] * 3
    desk.do(ev.LinkUp(**desk.stamp(), outlet="o1"), ev.LinkUp(**desk.stamp(), outlet="o2"))
    assert [order for order in asked if isinstance(order, fx.SetInputs)] == [fx.SetInputs("o1", (1, 2))] * 2
