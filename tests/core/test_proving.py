"""Commissioning on devices of every fault: only one that was seen to cut itself, and to be renewed, is proven."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.outlet import decide
from controller.core.outlet_outcome import Beside
from controller.core.programme import Proof, Step, steps_of, todo
from controller.core.proving import abandoned, fell_back, is_outdated, next_deadline
from controller.core.state import Outlet, OutletPhase
from tests.core import made
from tests.core.made import NOW_AT, NOW_S, RULES, outlet, outlet_ctx
from tests.core.proving_bench import SOUND, Bench, Device

NEEDS_CUT = {**SOUND, "power_up_off": -1.0}
WATCHED = {**NEEDS_CUT, "watchdog_s": 60.0}


def proven_on(device: Device, **other: Any) -> Outlet:
    return Bench(device, **other).commission().run().outlet


def why(device: Device, **other: Any) -> tuple[str | None, str]:
    failed = proven_on(device, **other)
    assert failed.phase is OutletPhase.ADOPTED
    assert failed.failure is not None
    assert failed.failure.why == failed.failed
    return failed.failed, failed.failure.step


# -- sound --------------------------------------------------------------------------------------------------------


def test_a_sound_device_shows_every_step_and_what_was_measured_is_kept_dated_and_signed() -> None:
    bench = Bench(firmware="1.4.4").commission().run()

    done = bench.outlet
    assert bench.steps == ["provision", "turn", "obey_on", "obey_off", "lease", "rearm"]
    assert done.phase is OutletPhase.COMMISSIONED
    assert done.record["load_w"] == 60.0
    assert done.record["off_power_w"] == 0.0
    assert 14.0 <= done.record["lease_s"] <= 18.0
    assert 21.0 <= done.record["rearmed_s"] <= 26.0
    assert done.proof == Proof(done.commissioned_at or 0.0, "staff:m", "1.4.4", "M1", "timer")
    assert done.commissioned_at == pytest.approx(NOW_AT + bench.now_s - NOW_S, abs=1.0)
    assert not bench.device.relay


def test_every_on_of_the_programme_is_leased_and_ends_with_an_off() -> None:
    bench = Bench().commission().run()

    last = {"SwitchOn": 0.0, "SwitchOff": 0.0}
    for at_s, what in bench.log:
        if what in last:
            last[what] = at_s
    assert bench.ons == 3
    assert last["SwitchOff"] > last["SwitchOn"]


@pytest.mark.parametrize("late_s", [0.0, 0.5, 1.5])
def test_a_slow_line_does_not_fail_a_sound_device(late_s: float) -> None:
    assert proven_on(Device(late_s=late_s)).phase is OutletPhase.COMMISSIONED


# -- each fault, by its name --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"settings": {**SOUND, "power_up_off": 0.0}}, ("powers_up_on", "provision")),
        ({"settings": {**SOUND, "own_counter": 0.0}}, ("no_own_counter", "provision")),
        ({"settings": {**SOUND, "sees_power_when_off": 0.0}}, ("blind_when_off", "provision")),
        ({"settings": {**SOUND, "inputs_detached": 0.0}}, ("inputs_switch", "provision")),
        ({"settings": {}}, ("silent_at_provision", "provision")),
        ({"meters": False}, ("meter_silent", "turn")),
        ({"relay": True, "obeys_off": False}, ("welded", "turn")),
        ({"obeys_on": False}, ("not_obeyed", "obey_on")),
        ({"load_w": 0.0}, ("no_load", "obey_on")),
        ({"obeys_off": False}, ("not_off", "obey_off")),
        ({"welded": True}, ("welded", "obey_off")),
        ({"times": False}, ("never_cut", "lease")),
        ({"lease_factor": 0.4}, ("lease_wrong", "lease")),
        ({"lease_factor": 2.0}, ("never_cut", "lease")),
        ({"rearms": False}, ("no_rearm", "rearm")),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_each_fault_is_named_with_the_step_that_showed_it(fault: dict[str, Any], expected: tuple[str, str]) -> None:
    assert why(Device(**fault)) == expected


def test_a_relay_that_says_off_and_still_conducts_when_its_lease_ends_is_welded() -> None:
    bench = Bench().commission().run(until="lease")
    bench.device.stuck = True
    bench.run()

    assert bench.outlet.failed == "welded"
    assert bench.outlet.failure is not None
    assert bench.outlet.failure.step == "lease"


def test_a_relay_that_stays_on_is_not_off_because_somebody_unplugged_the_lamp() -> None:
    bench = Bench(Device(obeys_off=False)).commission().run(until="obey_off")
    bench.device.load_w = 0.0

    assert bench.run().outlet.failed == "not_off"


def test_a_lamp_that_goes_out_is_no_lease_that_cuts() -> None:
    bench = Bench(Device(times=False)).commission().run(until="lease")
    bench.run(12.0)
    bench.device.load_w = 0.0

    assert bench.run().outlet.failed == "never_cut"


def test_an_off_that_got_lost_is_sent_again() -> None:
    bench = Bench().commission().run(until="obey_on")
    bench.device.obeys_off = False
    bench.run(until="obey_off")
    bench.device.obeys_off = True

    assert bench.run().outlet.phase is OutletPhase.COMMISSIONED


def test_a_load_on_the_meter_of_the_outlet_beside_it_is_named_with_that_outlet() -> None:
    failed = proven_on(Device(crossed=True), beside=True)

    assert failed.failed == "wrong_meter"
    assert failed.failure is not None
    assert failed.failure.evidence["other"] == "02"
    assert failed.failure.evidence["other_w"] == 60.0
    assert failed.failure.evidence["own_w"] == 0.0


def test_a_load_must_be_seen_to_be_on_no_other_meter_before_the_next_step() -> None:
    bench = Bench(beside=True).commission().run(until="obey_off")

    assert bench.beside is not None
    proving = bench.outlet.proving
    assert proving is not None
    assert bench.beside.reading_s > NOW_S + 2.0
    assert bench.run().outlet.phase is OutletPhase.COMMISSIONED


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (ev.LinkLost, "lost"),
        (ev.DeviceRestarted, "restarted"),
        (ev.HazardReported, "hazard"),
        (ev.Tripped, "tripped"),
    ],
)
def test_a_device_lost_or_in_danger_in_the_middle_has_not_been_proven(kind: type[ev.Event], expected: str) -> None:
    bench = Bench().commission().run(until="lease")
    (event,) = made.every(kind)
    bench.tell(event)

    assert bench.outlet.failed == expected
    assert bench.log[-3:] == [(bench.now_s, "SwitchOff"), (bench.now_s, "SaveOutlet"), (bench.now_s, "Audit")]


@settings(max_examples=15, deadline=None)
@given(
    answers=st.lists(st.booleans(), min_size=8, max_size=8),
    late_s=st.sampled_from((0.0, 0.5, 2.0, 5.0)),
    needs_cut=st.booleans(),
)
def test_a_device_that_falls_silent_at_any_moment_hangs_no_programme(
    answers: list[bool], late_s: float, needs_cut: bool
) -> None:
    bench = Bench(Device(late_s=late_s, settings=dict(NEEDS_CUT if needs_cut else SOUND))).commission()
    for there in answers:
        bench.device.answers = there
        bench.run(15.0)
    bench.run(2 * RULES.walk_s)

    assert bench.outlet.phase is not OutletPhase.PROVING
    assert next_deadline(bench.outlet, RULES) is None


# -- turns --------------------------------------------------------------------------------------------------------


def test_two_outlets_of_a_pile_are_proven_one_after_the_other() -> None:
    bench = Bench(beside=True).commission()
    assert bench.beside is not None
    idle = bench.beside
    bench.beside = made_beside(power_w=60.0, step="lease")
    bench.run(120.0)
    assert (bench.step, bench.ons) == ("turn", 0)

    bench.beside = idle
    assert bench.run().outlet.phase is OutletPhase.COMMISSIONED


def test_outlets_of_a_pile_wait_for_each_other_dark_so_that_somebody_walks_once() -> None:
    bench = Bench(Device(settings=dict(NEEDS_CUT)), beside=True).commission().run(until="rearm")
    idle, bench.beside = bench.beside, made_beside(step="turn")
    bench.run(300.0)
    assert (bench.step, bench.ons, todo(bench.outlet.proving)) == ("power_cut", 3, "wait_on")
    assert not bench.device.relay

    bench.beside = made_beside(step="power_cut", power_w=60.0)
    bench.run(5.0)
    assert (bench.device.relay, todo(bench.outlet.proving)) == (True, "take_away")
    bench.beside = idle
    assert with_supply_taken(bench).run().outlet.phase is OutletPhase.COMMISSIONED


# -- an external watchdog -----------------------------------------------------------------------------------------


def watched(**fault: Any) -> Bench:
    device = Device(settings=dict(WATCHED), watchdog_s=60.0, **fault)
    return Bench(device, lease_class="watchdog").commission()


def test_a_watchdog_is_seen_to_cut_by_the_meter_alone_and_its_time_is_the_lease() -> None:
    bench = watched().run(until="power_cut")
    proving = bench.outlet.proving

    assert proving is not None
    assert bench.ons == 4
    assert 59.0 <= proving.measured["lease_s"] <= 63.0
    assert 89.0 <= proving.measured["rearmed_s"] <= 93.0
    done = with_supply_taken(bench).run().outlet
    assert done.phase is OutletPhase.COMMISSIONED, done.failed
    assert done.lease_class == "watchdog"
    assert done.lease_s == 60.0
    assert done.proof is not None
    assert done.proof.cut_by == "watchdog"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"watchdog_cuts": False}, ("never_cut", "lease")),
        ({"load_w": 0.0}, ("no_load", "obey_on")),
    ],
)
def test_a_watchdog_that_does_not_cut_serves_nobody(fault: dict[str, Any], expected: tuple[str, str]) -> None:
    failed = watched(**fault).run(600.0).outlet

    assert failed.failure is not None
    assert (failed.failed, failed.failure.step) == expected


def test_a_watchdog_that_cuts_too_early_is_refused() -> None:
    bench = watched().run(until="lease")
    bench.device.watchdog_s = 20.0

    assert bench.run().outlet.failed == "lease_wrong"


def test_a_board_without_a_lease_of_any_kind_is_not_proven_by_its_settings() -> None:
    failed = proven_on(Device(settings=dict(SOUND)), lease_class="watchdog")

    assert failed.failed == "no_watchdog"


def test_a_board_with_a_timer_of_its_own_is_proven_by_that_whatever_stands_before_it() -> None:
    done = proven_on(Device(settings={**SOUND, "watchdog_s": 60.0}))

    assert done.proof is not None
    assert done.proof.cut_by == "timer"
    assert 14.0 <= done.record["lease_s"] <= 18.0


def test_nobody_charges_at_a_board_whose_watchdog_is_tried() -> None:
    bench = watched()
    bench.beside = bench.beside or made_beside(charging=True)

    assert bench.run().outlet.failed == "busy_beside"


def made_beside(**other: Any) -> Any:
    values = {"id": "o2", "number": "02", "power_w": 0.0, "reading_s": NOW_S, "charging": False}
    return Beside(**{**values, **other})


# -- the supply is taken away -------------------------------------------------------------------------------------


def with_supply_taken(bench: Bench, away_s: float = 6.0, told: bool = False) -> Bench:
    """As somebody at the breaker would: not before there is light, and back after a moment."""
    bench.run(until="power_cut")
    for _ in range(40):
        bench.tick()
    bench.device.take_supply()
    if told:
        bench.lost()
    bench.run(away_s)
    bench.device.give_supply()
    return bench


def cut_bench(**fault: Any) -> Bench:
    return Bench(Device(settings=dict(NEEDS_CUT), **fault)).commission()


@pytest.mark.parametrize("told", [False, True])
def test_a_device_that_can_t_say_is_seen_to_stay_off_when_its_supply_comes_back(told: bool) -> None:
    bench = with_supply_taken(cut_bench(), told=told)
    at_s = bench.now_s
    done = bench.run().outlet

    assert done.phase is OutletPhase.COMMISSIONED
    assert bench.now_s - at_s < 10.0
    assert done.record["power_up_off"] == 1.0
    assert 4.0 <= done.record["away_s"] <= 10.0
    assert done.record["lease_left_s"] >= 5.0


def test_a_device_that_powers_up_on_is_off_at_once_and_refused() -> None:
    bench = with_supply_taken(cut_bench(powers_up_on=True))
    at_s = bench.now_s
    failed = bench.run().outlet

    assert failed.failed == "powers_up_on"
    assert bench.now_s - at_s < 3.0
    assert not bench.device.relay


def test_a_supply_that_comes_back_too_late_has_shown_nothing_and_is_tried_again() -> None:
    bench = with_supply_taken(cut_bench(), away_s=55.0)
    bench.run(30.0)
    assert (bench.step, bench.ons) == ("power_cut", 5)

    bench.device.take_supply()
    bench.run(6.0)
    bench.device.give_supply()
    assert bench.run(20.0).outlet.phase is OutletPhase.COMMISSIONED


def test_nobody_at_the_breaker_is_waited_for_with_power_on_for_a_lease_at_a_time() -> None:
    bench = cut_bench().run(until="power_cut")
    began_s = bench.now_s
    bench.run(2 * RULES.walk_s)

    assert bench.outlet.failed == "no_power_cut"
    assert bench.now_s - began_s <= RULES.walk_s + 1
    assert 5 <= bench.ons - 3 <= 11
    assert not bench.device.relay


def test_a_relay_that_went_off_without_having_been_away_proves_nothing() -> None:
    bench = cut_bench().run(until="power_cut")
    bench.run(5.0)
    bench.device.relay = False  # somebody's hand
    bench.run(10.0)

    assert (bench.step, bench.ons) == ("power_cut", 5)


def test_what_was_not_seen_under_power_before_it_was_away_proves_nothing() -> None:
    bench = cut_bench().run(until="power_cut")
    bench.device.load_w = 0.0
    bench.run(5.0)
    bench.device.take_supply()
    bench.lost()
    bench.run(6.0)
    bench.device.give_supply()

    assert bench.run(20.0).outlet.phase is OutletPhase.PROVING


def test_a_device_that_never_comes_back_is_lost() -> None:
    bench = with_supply_taken(cut_bench(), away_s=0.25)
    bench.device.take_supply()

    assert bench.run(2 * RULES.walk_s).outlet.failed == "lost"


def test_who_proves_is_told_what_to_do() -> None:
    bench = Bench(Device(settings=dict(NEEDS_CUT), load_w=0.0)).commission().run(until="obey_on")
    assert todo(bench.outlet.proving) == "plug_load"

    bench = cut_bench().run(until="power_cut")
    assert todo(bench.outlet.proving) == "wait_on"
    bench.run(5.0)
    assert todo(bench.outlet.proving) == "take_away"
    bench.lost()
    assert todo(bench.outlet.proving) == "give_back"
    assert todo(None) == ""


def test_the_programme_has_a_step_more_for_who_can_t_say() -> None:
    assert Step.POWER_CUT in steps_of(NEEDS_CUT)
    assert Step.POWER_CUT in steps_of({"power_up_off": 1.0, "away_s": 4.0})
    assert Step.POWER_CUT not in steps_of(SOUND)


# -- whatever happens ---------------------------------------------------------------------------------------------

DEVICES = st.builds(
    Device,
    settings=st.sampled_from([dict(SOUND), dict(NEEDS_CUT)]),
    load_w=st.sampled_from([0.0, 60.0]),
    obeys_off=st.sampled_from([True, True, False]),
    times=st.booleans(),
    rearms=st.booleans(),
    lease_factor=st.sampled_from([0.2, 0.4, 1.0, 1.1, 2.0, 3.0]),
    welded=st.sampled_from([False, False, True]),
    powers_up_on=st.booleans(),
    late_s=st.sampled_from([0.0, 0.5, 1.5]),
)


@settings(max_examples=40, deadline=None)
@given(device=DEVICES, takes=st.booleans())
def test_only_a_device_whose_lease_was_seen_to_cut_and_to_be_renewed_is_commissioned(
    device: Device, takes: bool
) -> None:
    bench = Bench(device).commission().run(until="power_cut")
    if takes and bench.step == "power_cut":
        with_supply_taken(bench)
    done = bench.run(2 * RULES.walk_s).outlet

    sound = device.times and device.rearms and 0.5 <= device.lease_factor <= 1.6 and device.load_w > 0
    sound = sound and device.obeys_off and not device.welded
    sound = sound and (device.settings == SOUND or (takes and not device.powers_up_on))
    if not sound:
        assert done.phase is OutletPhase.ADOPTED
    elif device.lease_factor <= 1.1:
        assert done.phase is OutletPhase.COMMISSIONED, done.failed


GOOD = [
    *("wait", "off", "dark"),  # its turn
    *("wait", "on", "lit", "wait", "off", "wait", "dark"),  # obeys
    *("wait", "on", "lit", "long", "off", "wait", "dark"),  # its lease cuts
    *("wait", "on", "lit", "long", "tick", "long", "wait", "lit", "off", "wait", "dark"),  # and is renewed
]
EVENTS = st.sampled_from(["on", "off", "dark", "lit", "tick", "lost", "restarted", "wait", "long"])
EDITS = st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 3), st.lists(EVENTS, max_size=3)), max_size=3)


def test_a_device_that_tells_all_that_is_asked_for_is_commissioned() -> None:
    assert _told(GOOD, "renewed") == (OutletPhase.COMMISSIONED, 2)


@settings(max_examples=100, deadline=None)
@given(EDITS)
def test_no_sequence_of_events_commissions_an_outlet_that_was_not_seen_dark_twice_by_itself(
    edits: list[tuple[int, int, list[str]]],
) -> None:
    """What is told in order, with some of it left out, doubled, or told otherwise."""
    happens = list(GOOD)
    for at, gone, more in edits:
        happens[at : at + gone] = more

    phase, cuts = _told(happens, "renewed")
    assert phase is not OutletPhase.COMMISSIONED or cuts >= 2


def _told(happens: list[str], lease_class: str) -> tuple[OutletPhase, int]:
    """How often it said, between an ON and the OFF that follows it, that it had gone off by itself."""
    bench = Bench(Device(answers=False), lease_class=lease_class).commission()
    for name, value in SOUND.items():
        bench.tell(ev.SettingReported(**bench.stamp(), outlet="o1", setting=name, value=value))
    under_lease, cuts = False, 0
    for what in happens:
        if bench.outlet.phase is not OutletPhase.PROVING:
            break
        before, step = len(bench.log), bench.step
        said_dark = _tell(bench, what)
        after = [name for _, name in bench.log[before:]]
        cuts += under_lease and said_dark and "SwitchOff" in after and step in (Step.LEASE, Step.REARM)
        under_lease = "SwitchOn" in after or (under_lease and "SwitchOff" not in after)
    return bench.outlet.phase, cuts


def _tell(bench: Bench, what: str) -> bool:
    stamp: dict[str, Any] = bench.stamp()
    match what:
        case "on" | "off":
            bench.tell(ev.RelayReported(**stamp, outlet="o1", on=what == "on"))
        case "dark" | "lit":
            bench.tell(ev.Reading(**stamp, outlet="o1", power_w=60.0 if what == "lit" else 0.0, energy_wh=1.0))
        case "lost":
            bench.tell(ev.LinkLost(**stamp, outlet="o1"))
        case "restarted":
            bench.tell(ev.DeviceRestarted(**stamp, outlet="o1"))
        case "wait" | "long":
            bench.now_s += 1.0 if what == "wait" else 8.0
        case _:
            bench.tick()
    return what == "off"


# -- another firmware ---------------------------------------------------------------------------------------------


def told(firmware: str, model: str = "") -> ev.FirmwareReported:
    return ev.FirmwareReported(at=NOW_AT, steady_s=NOW_S, outlet="o1", firmware=firmware, model=model)


def served(firmware: str = "1.0", phase: OutletPhase = OutletPhase.OPEN, **other: Any) -> Outlet:
    proof = Proof(NOW_AT - 100, "staff:m", firmware, "M1", "timer")
    return outlet(phase, **{"firmware": firmware, "proof": proof, "commissioned_at": NOW_AT - 100, **other})


@pytest.mark.parametrize("phase", [OutletPhase.OPEN, OutletPhase.COMMISSIONED])
def test_another_firmware_than_it_was_proven_with_takes_an_outlet_out_of_service(phase: OutletPhase) -> None:
    outcome = decide(served(phase=phase), told("1.1"), outlet_ctx())

    fallen = outcome.outlet
    assert (fallen.phase, fallen.failed, fallen.firmware) == (OutletPhase.ADOPTED, "firmware_changed", "1.1")
    assert fallen.failure is not None
    assert fallen.failure.evidence == {"was": "1.0", "now": "1.1"}
    kinds = [fx.SwitchOff, fx.SaveOutlet, fx.RaiseAlarm, fx.Audit, fx.SaveFirmware]
    assert made.kinds(outcome.effects) == kinds
    assert made.one(outcome.effects, fx.RaiseAlarm).kind == "firmware_changed"
    assert fallen.proof is not None  # what was proven stays on record


def test_a_charge_under_way_ends_first() -> None:
    ctx = type(outlet_ctx())(**{**_fields(outlet_ctx()), "charging": True})
    told_of = decide(served(), told("1.1"), ctx).outlet

    assert told_of.phase is OutletPhase.OPEN
    assert is_outdated(told_of)
    assert fell_back(told_of, told("1.1")).outlet.phase is OutletPhase.ADOPTED


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


@pytest.mark.parametrize("firmware", ["1.0", ""])
def test_the_same_firmware_or_none_changes_nothing(firmware: str) -> None:
    assert decide(served(), told(firmware), outlet_ctx()).effects == ()


def test_what_was_proven_before_its_firmware_was_kept_is_held_to_what_is_known_of_it() -> None:
    unknown = decide(served("", proof=None), told("1.1"), outlet_ctx()).outlet
    assert unknown.phase is OutletPhase.OPEN
    assert decide(unknown, told("1.2"), outlet_ctx()).outlet.failed == "firmware_changed"

    known = served("1.0", proof=None)
    assert decide(known, told("1.1"), outlet_ctx()).outlet.failed == "firmware_changed"


def test_firmware_told_at_the_start_is_what_is_proven_and_another_one_later_is_not() -> None:
    bench = Bench(firmware="1.0").commission()
    bench.tell(told("1.1"))
    bench.run(until="lease")
    assert bench.outlet.firmware == "1.1"
    bench.tell(told("1.1"))
    assert bench.step == "lease"

    bench.tell(told("1.2"))
    assert bench.outlet.failed == "firmware_changed"


def test_an_outlet_as_an_earlier_version_wrote_it_is_read_and_its_programme_ended() -> None:
    older = {"step": "lease", "since_s": 1.0, "by": "staff:m", "settings": {}, "measured": {"load_w": 60.0}}
    row = {**msgspec.to_builtins(outlet(OutletPhase.PROVING)), "proving": {**older, "seen_on": True, "renewed": False}}
    for new in ("proof", "failure"):
        del row[new]

    read = msgspec.json.decode(msgspec.json.encode(row), type=Outlet)
    ended = abandoned(read, told("")).outlet
    assert (ended.phase, ended.failed, ended.proof) == (OutletPhase.ADOPTED, "gateway_restarted", None)


def test_one_that_serves_nobody_only_learns_its_firmware() -> None:
    outcome = decide(outlet(OutletPhase.ADOPTED, firmware="1.0"), told("1.1"), outlet_ctx())

    assert outcome.outlet.failed is None
    assert made.kinds(outcome.effects) == [fx.SaveOutlet, fx.SaveFirmware]
