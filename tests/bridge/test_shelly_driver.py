"""The Shelly driver: what it believes, what it refuses to believe, and what it says to the device."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import events as ev
from controller.core.errors import BadFrame
from controller.core.reasons import StopReason
from firmware_bridge.drivers.shelly import CAPABILITIES, DISCOVERY, Shelly, discover, introduce, retained_commands
from firmware_bridge.transports.memory import matches
from firmware_bridge.wire import AskNow, Message, Pile, Provision, SwitchOff, SwitchOn

NOW = ev.Stamp(1_800_000_000.0, 50.0)
MAC = "54320464A1D0"
DEVICE = "shelly1minig3-54320464a1d0"
VECTORS = Path(__file__).with_name("vectors") / "shelly.jsonl"
WHOLE = {"id": 0, "source": "MQTT", "output": True, "apower": 120.5, "voltage": 230.1, "current": 0.6}
WHOLE |= {"aenergy": {"total": 1000.5}, "temperature": {"tC": 41.5, "tF": 106.7}}


def pile(outlets: tuple[str, ...] = ("o1",), prefix: str = "plug", **params: object) -> Pile:
    return Pile("p", "shelly", MAC, outlets, {"prefix": prefix, **params})


def hear(
    driver: Shelly, topic: str, payload: object, *, retained: bool = False, at_s: float = NOW.steady_s
) -> list[ev.Event]:
    raw = payload if isinstance(payload, str) else json.dumps(payload)
    now = ev.Stamp(NOW.at - NOW.steady_s + at_s, at_s)
    return list(driver.receive(Message(topic, raw.encode(), retained), now))


def notified(driver: Shelly, method: str = "NotifyStatus", at_s: float = NOW.steady_s, **params: Any) -> list[ev.Event]:
    named = {name.replace("switch_", "switch:"): value for name, value in params.items()}
    frame = {"src": DEVICE, "dst": "plug/events", "method": method, "params": {"ts": 1.0, **named}}
    return hear(driver, "plug/events/rpc", frame, at_s=at_s)


def answered(driver: Shelly, result: object, id_: object = "status:0", at_s: float = NOW.steady_s) -> list[ev.Event]:
    frame = {"id": id_, "src": DEVICE, "dst": "anchong/plug", "result": result}
    return hear(driver, "anchong/plug/rpc", frame, at_s=at_s)


def readings(found: list[ev.Event]) -> list[ev.Reading]:
    return [event for event in found if isinstance(event, ev.Reading)]


def relays(found: list[ev.Event]) -> list[bool]:
    return [event.on for event in found if isinstance(event, ev.RelayReported)]


def hazards(found: list[ev.Event]) -> list[StopReason]:
    return [event.reason for event in found if isinstance(event, ev.HazardReported)]


def settings_of(found: list[ev.Event]) -> list[tuple[str, str, float]]:
    return [(event.outlet, event.setting, event.value) for event in found if isinstance(event, ev.SettingReported)]


# -- discovery ----------------------------------------------------------------------------------------------------


def full_status(device: str = DEVICE, *switches: int) -> dict[str, Any]:
    components: dict[str, Any] = {f"switch:{number}": {"id": number, "output": False} for number in switches or (0,)}
    components |= {"ts": 1736604018.38, "ble": {}, "sys": {"mac": device[-12:].upper(), "uptime": 658773}}
    return {"src": device, "dst": f"{device}/events", "method": "NotifyFullStatus", "params": components}


def test_a_device_that_connects_is_found_by_its_full_status_and_opened_with_what_it_said() -> None:
    [found] = discover(Message(f"{DEVICE}/events/rpc", json.dumps(full_status(DEVICE, 0, 1)).encode()), NOW)

    assert (found.family, found.address, found.model, found.channels) == ("shelly", MAC, "shelly1minig3", 2)
    params = json.loads(json.dumps(found.params))  # as it comes back from a database
    driver = Shelly(Pile("p", "shelly", found.address, ("o1", "o2"), params))
    assert driver.orders(SwitchOff(1))[0].address == f"{DEVICE}/rpc"
    assert hear(driver, f"{DEVICE}/online", "true")[1] == ev.LinkUp(at=NOW.at, steady_s=NOW.steady_s, outlet="o2")


def test_with_a_custom_prefix_the_topics_change_and_the_id_stays() -> None:
    [found] = discover(Message("home/Terrasse/events/rpc", json.dumps(full_status()).encode()), NOW)

    assert (found.address, found.params["prefix"]) == (MAC, "home/Terrasse")
    driver = Shelly(Pile("p", "shelly", found.address, ("o1",), found.params))
    frame = {"src": DEVICE, "dst": "home/Terrasse/events", "method": "NotifyStatus", "params": {"switch:0": WHOLE}}
    assert readings(hear(driver, "home/Terrasse/events/rpc", frame))


def test_another_device_on_the_prefix_of_ours_is_not_taken_for_it() -> None:
    frame = {"src": "shellyplus1-08b61fd90730", "method": "NotifyStatus", "params": {"switch:0": WHOLE}}

    with pytest.raises(BadFrame):
        hear(Shelly(pile()), "plug/events/rpc", frame)


def talk(topic: str, payload: object, *, retained: bool = False) -> list[tuple[str, Any]]:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return [(asked.address, json.loads(asked.payload)) for asked in introduce(Message(topic, raw, retained))]


@pytest.mark.parametrize(
    ("topic", "payload", "prefix"),
    [
        ("plug/online", True, "plug"),
        ("home/Terrasse/online", True, "home/Terrasse"),
        ("plug/events/rpc", {"src": DEVICE, "method": "NotifyStatus", "params": {}}, "plug"),
        ("plug/announce", {"id": DEVICE, "mac": MAC, "gen": 3}, "plug"),
        ("shellies/announce", {"id": DEVICE, "mac": MAC, "gen": 3}, DEVICE),
    ],
)
def test_whoever_shows_a_sign_of_life_is_asked_its_name_and_then_its_switches(
    topic: str, payload: object, prefix: str
) -> None:
    assert any(matches(pattern, topic) for pattern in DISCOVERY)
    [(asked, question)] = talk(topic, payload)
    assert (asked, question["method"], question["src"]) == (
        f"{prefix}/rpc",
        "Shelly.GetDeviceInfo",
        f"anchong/{prefix}",
    )

    who = {"id": DEVICE, "mac": MAC, "gen": 3, "model": "S3SW-001X8EU", "ver": "1.4.4", "app": "Mini1G3"}
    reply = {"id": question["id"], "src": DEVICE, "dst": question["src"], "result": who}
    [(asked, question)] = talk(f"anchong/{prefix}/rpc", reply)
    assert (asked, question["method"]) == (f"{prefix}/rpc", "Shelly.GetStatus")

    reply = {"id": question["id"], "src": DEVICE, "dst": question["src"], "result": full_status()["params"]}
    [found] = discover(Message(f"anchong/{prefix}/rpc", json.dumps(reply).encode()), NOW)
    assert (found.address, found.firmware, found.params["prefix"]) == (MAC, "1.4.4", prefix)


def test_a_retained_online_is_asked_and_a_retained_event_is_old_news() -> None:
    assert talk("plug/online", True, retained=True)
    assert not talk("plug/online", False)
    assert not talk("plug/events/rpc", full_status(), retained=True)
    assert not discover(Message("plug/events/rpc", json.dumps(full_status()).encode(), retained=True), NOW)


def test_what_is_no_switch_of_this_family_is_not_found() -> None:
    sensor = {"src": "shellyhtg3-84fce63ad204", "method": "NotifyFullStatus", "params": {"humidity:0": {"rh": 58.9}}}
    assert not discover(Message("ht/events/rpc", json.dumps(sensor).encode()), NOW)
    assert not talk("shellies/announce", {"id": "shellyplug-s-041234", "mac": MAC, "model": "SHPLG-S"})  # Gen1
    for topic, payload in (
        ("tele/plug/LWT", b"Online"),
        ("x/online", b"online"),
        ("tasmota/discovery/x/config", b"{}"),
    ):
        assert not discover(Message(topic, payload), NOW)
        assert not introduce(Message(topic, payload))


@given(st.sampled_from(["p/events/rpc", "p/online", "p/announce", "anchong/p/rpc"]), st.binary(max_size=60))
def test_garbage_of_strangers_is_a_bad_frame_and_nothing_worse(topic: str, payload: bytes) -> None:
    with suppress(BadFrame):
        introduce(Message(topic, payload))
    with suppress(BadFrame):
        discover(Message(topic, payload), NOW)


# -- what it believes ---------------------------------------------------------------------------------------------


def test_a_whole_status_is_relay_and_reading_with_our_time() -> None:
    found = answered(Shelly(pile()), WHOLE)

    assert relays(found) == [True]
    (reading,) = readings(found)
    assert (reading.at, reading.power_w, reading.energy_wh) == (NOW.at, 120.5, 1000.5)
    assert (reading.voltage_v, reading.current_a, reading.temperature_c) == (230.1, 0.6, 41.5)


def test_a_missing_output_does_not_mean_off() -> None:
    found = notified(Shelly(pile()), switch_0={"id": 0, "apower": 60.0})

    assert (relays(found), [r.power_w for r in readings(found)]) == ([], [60.0])


def test_the_switch_is_that_of_its_key_where_no_id_is_given() -> None:
    found = notified(Shelly(pile(("a", "b"))), switch_1={"output": False, "apower": 0, "source": "WS_in"})

    assert [event.outlet for event in found if isinstance(event, ev.RelayReported | ev.Reading)] == ["b", "b"]


def test_a_change_without_power_is_no_reading_and_never_a_zero() -> None:
    driver = Shelly(pile())

    for change in ({"output": True}, {"aenergy": {"total": 1.0}}, {"temperature": {"tC": 40}}, {"apower": None}):
        assert readings(notified(driver, switch_0=change)) == []


def test_the_old_output_on_the_status_topic_just_after_the_event_is_not_believed() -> None:
    driver = Shelly(pile())
    answered(driver, WHOLE)
    assert relays(notified(driver, switch_0={"apower": 0, "current": 0, "output": False})) == [False]

    assert hear(driver, "plug/status/switch:0", WHOLE) == []
    assert relays(answered(driver, WHOLE | {"output": False, "apower": 0})) == [False]  # confirmed by asking
    assert relays(hear(driver, "plug/status/switch:0", WHOLE | {"output": False, "apower": 0})) == [False]


def test_a_status_topic_that_agrees_is_as_good_as_an_answer() -> None:
    driver = Shelly(pile())
    answered(driver, WHOLE)

    assert [r.power_w for r in readings(hear(driver, "plug/status/switch:0", WHOLE | {"apower": 99}))] == [99.0]


def test_power_while_it_says_off_is_told_as_it_is() -> None:
    found = answered(Shelly(pile()), WHOLE | {"output": False, "apower": 47.11, "current": 0.0})

    assert (relays(found), readings(found)[0].power_w) == ([False], 47.11)


def test_other_components_are_passed_over() -> None:
    assert notified(Shelly(pile()), cloud={"connected": True}, em1={"power": 5}) == []


def test_switches_that_are_not_ours_are_passed_over() -> None:
    assert notified(Shelly(pile(("a", ""))), switch_1=WHOLE | {"id": 1}, switch_3={"output": True}) == []


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("plug/events/rpc", {"src": DEVICE, "method": "NotifyStatus", "params": {"switch:0": WHOLE}}),
        ("plug/status/switch:0", WHOLE),
        ("anchong/plug/rpc", {"id": 1, "src": DEVICE, "result": WHOLE}),
        ("plug/events/rpc", "garbage"),
    ],
)
def test_a_retained_report_is_old_news_and_ignored(topic: str, payload: object) -> None:
    assert hear(Shelly(pile()), topic, payload, retained=True) == []


def test_a_retained_last_will_is_believed() -> None:
    found = hear(Shelly(pile(("a", "", "c"))), "plug/online", "false", retained=True)

    assert found == [ev.LinkLost(at=NOW.at, steady_s=NOW.steady_s, outlet=outlet) for outlet in ("a", "c")]


@pytest.mark.parametrize("payload", ["", "online", "1", "null", '"true"'])
def test_only_true_and_false_say_whether_it_is_there(payload: str) -> None:
    with pytest.raises(BadFrame):
        hear(Shelly(pile()), "plug/online", payload)


# -- the counter --------------------------------------------------------------------------------------------------


def both_ways(total: float, returned: float, **more: object) -> dict[str, Any]:
    return WHOLE | {"aenergy": {"total": total}, "ret_aenergy": {"total": returned}} | more


def test_where_the_total_counts_both_ways_what_was_drawn_is_the_difference() -> None:
    (reading,) = readings(answered(Shelly(pile()), both_ways(15761.124, 15754.266)))

    assert reading.energy_wh == 6.858


def test_a_total_is_not_believed_before_it_is_known_whether_it_counts_both_ways() -> None:
    driver = Shelly(pile())
    change = {"apower": 100, "aenergy": {"total": 15761.124}}

    assert readings(notified(driver, switch_0=change))[0].energy_wh is None
    answered(driver, both_ways(15761.0, 15754.0))
    assert readings(notified(driver, switch_0=change))[0].energy_wh is None  # half of a difference
    both = change | {"ret_aenergy": {"total": 15754.124}}
    assert readings(notified(driver, switch_0=both))[0].energy_wh == 7.0


def test_a_change_of_power_alone_carries_no_counter_rather_than_an_old_one() -> None:
    driver = Shelly(pile())
    answered(driver, WHOLE)

    assert readings(notified(driver, switch_0={"apower": 3.0}))[0].energy_wh is None


def test_a_reset_of_the_returns_alone_does_not_look_like_use() -> None:
    driver = Shelly(pile())
    assert readings(answered(driver, both_ways(1000.0, 400.0)))[0].energy_wh == 600.0

    assert readings(answered(driver, both_ways(1001.0, 0.0)))[0].energy_wh == 601.0
    assert readings(answered(driver, both_ways(1003.0, 1.0)))[0].energy_wh == 602.0


def test_a_counter_that_was_reset_falls_and_counts_on() -> None:
    driver = Shelly(pile())
    answered(driver, both_ways(1000.0, 400.0))

    assert readings(answered(driver, both_ways(0.5, 0.0)))[0].energy_wh == 0.5
    assert readings(answered(driver, both_ways(2.5, 0.0)))[0].energy_wh == 2.5


@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 50)), min_size=1, max_size=40))
def test_what_is_drawn_never_falls_and_never_runs_fast(steps: list[tuple[int, int]]) -> None:
    """Whether `aenergy` counts what flows back too or not: per step at most what was counted, at least nothing."""
    for counts_both in (True, False):
        driver, drawn, returned, last_wh = Shelly(pile()), 0, 0, 0.0
        for milli_in, milli_back in steps:
            drawn, returned = drawn + milli_in, returned + (milli_back if counts_both else 0)
            total = drawn + returned if counts_both else drawn
            (reading,) = readings(answered(driver, both_ways(total / 1000, returned / 1000)))
            assert reading.energy_wh is not None
            assert -1e-9 <= reading.energy_wh - last_wh <= milli_in / 1000 + 0.0011
            last_wh = reading.energy_wh
        assert last_wh == pytest.approx(drawn / 1000, abs=0.001)


def test_negative_power_counts_for_the_limits_as_what_flows_and_is_a_hazard_of_its_own() -> None:
    driver = Shelly(pile())
    found = answered(driver, both_ways(15761.124, 15754.266, apower=-626.6, current=-2.61))

    assert [(r.power_w, r.current_a) for r in readings(found)] == [(626.6, 2.61)]
    assert hazards(found) == [StopReason.METER_FAULT]
    assert hazards(answered(driver, both_ways(15762.0, 15755.0, apower=-630.0))) == []  # said once
    assert hazards(answered(driver, both_ways(15762.0, 15755.0, apower=-1.2))) == []  # noise
    assert hazards(notified(driver, switch_0={"apower": -9.0})) == [StopReason.METER_FAULT]


# -- dangers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("overtemp", StopReason.OVERHEAT),
        ("overpower", StopReason.OVERLOAD),
        ("overcurrent", StopReason.OVERLOAD),
        ("overvoltage", StopReason.OVER_VOLTAGE),
        ("undervoltage", StopReason.UNDER_VOLTAGE),
        ("something_new", StopReason.DEVICE_STOP),
    ],
)
def test_what_the_device_says_is_wrong_is_a_hazard_once_until_it_is_mended(word: str, reason: StopReason) -> None:
    driver = Shelly(pile())
    bad = WHOLE | {"output": False, "errors": [word]}

    assert hazards(notified(driver, switch_0={"output": False, "errors": [word]})) == [reason]
    assert hazards(answered(driver, bad)) == []
    assert hazards(notified(driver, switch_0={"apower": 0.0})) == []  # a change that does not speak of errors
    assert hazards(answered(driver, bad)) == []
    assert hazards(answered(driver, WHOLE)) == []
    assert hazards(answered(driver, bad)) == [reason]


def test_an_on_of_ours_that_the_device_runs_without_a_timer_is_a_hazard_at_the_first_whole_status() -> None:
    driver = Shelly(pile())
    timed = WHOLE | {"timer_started_at": 1_800_000_000, "timer_duration": 120.0}
    said(driver, SwitchOn(0, 120.0))

    assert hazards(notified(driver, switch_0={"output": True})) == []  # a change need not speak of its timer
    assert hazards(answered(driver, timed)) == []
    assert hazards(answered(driver, WHOLE)) == [StopReason.RELAY_FAULT]
    assert hazards(notified(driver, switch_0={"errors": []})) == []
    assert hazards(answered(driver, WHOLE)) == []  # said once
    assert hazards(answered(driver, timed)) == []
    assert hazards(answered(driver, WHOLE | {"timer_started_at": None, "timer_duration": 0})) == [
        StopReason.RELAY_FAULT
    ]


def test_an_on_of_somebody_else_is_judged_as_that_and_no_lost_lease() -> None:
    driver = Shelly(pile())
    assert hazards(answered(driver, WHOLE)) == []

    said(driver, SwitchOn(0, 120.0))
    said(driver, SwitchOff(0))

    assert hazards(answered(driver, WHOLE)) == []


def test_a_device_that_shuts_down_is_gone_until_it_is_back() -> None:
    driver = Shelly(pile())
    error = {"code": -109, "message": "shutting down in 952 ms"}
    reply = {"dst": "anchong/plug", "error": error, "id": 0, "result": {"methods": None}, "src": DEVICE}

    assert hear(driver, "anchong/plug/rpc", reply) == [ev.LinkLost(at=NOW.at, steady_s=NOW.steady_s, outlet="o1")]
    assert isinstance(hear(driver, "plug/online", "true")[0], ev.LinkUp)


def test_a_refusal_is_counted_and_logged_unless_it_was_of_what_not_every_model_has() -> None:
    driver = Shelly(pile())
    refused = {"src": DEVICE, "error": {"code": -103, "message": "bad argument"}}

    with pytest.raises(BadFrame, match="on:0: -103 bad argument") as caught:
        hear(driver, "anchong/plug/rpc", {"id": "on:0", **refused})
    assert caught.value.kind == "refused"
    optional = [m for m in map(json.loads, (o.payload for o in driver.orders(Provision(120)))) if "in_mode" in str(m)]
    assert hear(driver, "anchong/plug/rpc", {"id": optional[0]["id"], **refused}) == []


@pytest.mark.parametrize("id_", [0, 7, "status:0", "flur", 1.5, None])
def test_an_answer_is_understood_whatever_its_id_and_its_type(id_: object) -> None:
    assert readings(answered(Shelly(pile()), WHOLE, id_))


@pytest.mark.parametrize("result", [None, {}, {"was_on": False}, {"restart_required": False}, {"methods": ["a"]}])
def test_an_answer_that_says_nothing_new_is_no_event(result: object) -> None:
    assert answered(Shelly(pile()), result, "off:0") == []


def test_a_start_is_told_by_the_full_status_that_follows_it() -> None:
    driver = Shelly(pile(("a", "b")))

    found = notified(driver, "NotifyFullStatus", sys={"mac": MAC, "uptime": 4}, switch_0=WHOLE | {"output": False})
    told: dict[str, Any] = {"at": NOW.at, "steady_s": NOW.steady_s, "cause": "uptime", "up_s": 4.0}
    restarted = [ev.DeviceRestarted(**told, outlet=outlet) for outlet in ("a", "b")]
    assert found[:2] == restarted  # before the relay, whose off it explains
    assert relays(found) == [False]


def test_a_start_that_we_missed_is_told_by_the_first_uptime_unless_something_was_ordered_since() -> None:
    for ordered, uptime, told in ((False, 200, 1), (False, 5000, 0), (True, 200, 0)):
        driver = Shelly(pile())
        if ordered:
            driver.orders(SwitchOn(0, 120.0))
        found = answered(driver, {"uptime": uptime, "mac": MAC}, "sys", at_s=1000.0)
        assert sum(isinstance(event, ev.DeviceRestarted) for event in found) == told


def test_a_mere_reconnection_is_no_restart() -> None:
    driver = Shelly(pile())
    answered(driver, {"uptime": 1000, "mac": MAC}, "sys", at_s=1000.0)

    assert not notified(driver, "NotifyFullStatus", 1100.0, sys={"mac": MAC, "uptime": 1100})
    assert not answered(driver, {"uptime": 1090}, "sys", at_s=1101.0)  # one that was held up on its way


def test_an_uptime_that_has_fallen_is_a_restart_however_late_it_is_heard() -> None:
    driver = Shelly(pile())
    answered(driver, {"uptime": 90_000, "mac": MAC}, "sys", at_s=100.0)

    found = answered(driver, {"uptime": 700, "mac": MAC}, "sys", at_s=1000.0)
    assert [type(event) for event in found] == [ev.DeviceRestarted]


def test_an_announced_restart_is_told_at_once() -> None:
    events = [{"component": "sys", "event": "scheduled_restart", "time_ms": 435, "ts": 1.0}]
    found = notified(Shelly(pile()), "NotifyEvent", events=events)

    assert [type(event) for event in found] == [ev.DeviceRestarted]
    other = [{"component": "input:0", "id": 0, "event": "config_changed", "restart_required": False, "cfg_rev": 35}]
    assert notified(Shelly(pile()), "NotifyEvent", events=other) == []


# -- settings -----------------------------------------------------------------------------------------------------


def test_settings_are_told_in_our_words_when_they_change_and_after_each_provisioning() -> None:
    driver = Shelly(pile(("a", "b")))
    safe = {"id": 1, "initial_state": "off", "auto_on": False, "auto_off": True, "auto_off_delay": 120.0}

    told = [("b", "inputs_detached", 1.0), ("b", "power_up_off", 1.0), ("b", "lease_s", 120.0)]
    assert settings_of(answered(driver, safe)) == told
    assert settings_of(answered(driver, safe)) == []
    assert settings_of(answered(driver, safe | {"initial_state": "on"})) == [("b", "power_up_off", 0.0)]
    assert settings_of(answered(driver, safe | {"auto_on": True})) == []
    assert settings_of(answered(driver, safe | {"auto_off": False}))[-1] == ("b", "lease_s", 0.0)
    follows = answered(driver, safe | {"in_mode": "follow"})
    assert ("b", "inputs_detached", 0.0) in settings_of(follows)  # a contact there would switch its relay
    driver.orders(Provision(120))
    assert ("b", "power_up_off", 1.0) in settings_of(answered(driver, safe))


def test_a_relay_without_a_meter_says_that_it_can_not_be_billed_by() -> None:
    found = answered(Shelly(pile()), {"id": 0, "output": False, "source": "WS_in", "temperature": {"tC": 37.5}})

    assert settings_of(found) == [("o1", "own_counter", 0.0), ("o1", "sees_power_when_off", 0.0)]
    assert readings(found) == []


def test_whether_it_measures_while_off_is_told_only_while_it_is_off() -> None:
    driver = Shelly(pile())

    assert settings_of(answered(driver, WHOLE)) == [("o1", "own_counter", 1.0)]
    assert settings_of(answered(driver, WHOLE | {"output": False})) == [("o1", "sees_power_when_off", 1.0)]


# -- what it says -------------------------------------------------------------------------------------------------


def said(driver: Shelly, wish: Any) -> list[tuple[str, Any, Any]]:
    frames = [json.loads(message.payload) for message in driver.orders(wish)]
    assert {message.address for message in driver.orders(wish)} == {"plug/rpc"}
    assert {frame["src"] for frame in frames} == {"anchong/plug"}
    return [(frame["method"], frame.get("params", {}), frame["id"]) for frame in frames]


def test_an_on_cannot_leave_without_its_lease() -> None:
    assert [frame[:2] for frame in said(Shelly(pile(("a", "b"))), SwitchOn(1, 120))] == [
        ("Switch.Set", {"id": 1, "on": True, "toggle_after": 120})
    ]


@pytest.mark.parametrize("lease_s", [0, -1, 0.5, float("inf"), float("nan"), 70_000])
def test_an_on_without_an_end_is_our_bug_and_never_sent(lease_s: float) -> None:
    with pytest.raises(ValueError, match="toggle_after"):
        Shelly(pile()).orders(SwitchOn(0, lease_s))


def test_an_off_is_one_request_of_its_own() -> None:
    assert [frame[:2] for frame in said(Shelly(pile(("a", "b"))), SwitchOff(1))] == [
        ("Switch.Set", {"id": 1, "on": False})
    ]


def test_asking_has_no_side_effect() -> None:
    driver = Shelly(pile(("a", "", "c")))

    assert [frame[:2] for frame in said(driver, AskNow())] == [
        ("Shelly.GetDeviceInfo", {}),  # until it has said
        ("Sys.GetStatus", {}),
        ("Switch.GetStatus", {"id": 0}),
        ("Switch.GetStatus", {"id": 2}),
    ]
    polls = [json.loads(m.payload)["method"] for m in driver.polls(NOW)]
    assert polls == ["Shelly.GetDeviceInfo", *["Switch.GetStatus"] * 2]
    assert CAPABILITIES.asked_every_s == 10.0


def test_provisioning_makes_each_switch_of_ours_safe_and_reads_it_back() -> None:
    frames = said(Shelly(pile(("a", "", "c"))), Provision(120, 800.0))
    configs = {0: {}, 2: {}} | {params["id"]: {} for method, params, _ in frames if method == "Switch.SetConfig"}
    for method, params, _ in frames:
        if method == "Switch.SetConfig":
            configs[params["id"]] |= params["config"]

    safe = {"initial_state": "off", "auto_on": False, "auto_off": True, "auto_off_delay": 120, "power_limit": 1200}
    safe |= {"autorecover_voltage_errors": False, "in_mode": "detached"}
    assert configs == {0: safe, 2: safe}
    methods = [method for method, _, _ in frames]
    assert methods.index("Switch.GetConfig") > max(n for n, m in enumerate(methods) if m == "Switch.SetConfig")
    mqtt = [params["config"] for method, params, _ in frames if method == "Mqtt.SetConfig"]
    assert mqtt == [{"rpc_ntf": True, "status_ntf": True}, {"enable_control": False}]
    assert not [params for _, params, _ in frames if params.get("on")]


def test_no_order_is_ever_retained() -> None:
    driver = Shelly(pile(("a", "b")))

    wishes = (SwitchOn(0, 120), SwitchOff(1), Provision(120), AskNow())
    assert not [message for wish in wishes for message in driver.orders(wish) if message.retained]


def test_retained_commands_and_requests_that_could_switch_it_are_named() -> None:
    topics = retained_commands(pile(("a", "b"), prefix="home/Terrasse"))

    assert set(topics) == {
        *("home/Terrasse/rpc", "home/Terrasse/command"),
        *("home/Terrasse/command/switch:0", "home/Terrasse/command/switch:1"),
    }


def test_topics_that_are_listened_to_are_exact() -> None:
    topics = Shelly(pile(("a", "b"))).listens()

    assert "anchong/plug/rpc" in topics
    assert not [topic for topic in topics if "+" in topic or "#" in topic]


def test_traffic_of_another_pile_is_refused() -> None:
    with pytest.raises(BadFrame):
        hear(Shelly(pile()), "other/online", "true")


@given(st.sampled_from(Shelly(pile(("a", "b"))).listens()), st.binary(max_size=60), st.booleans())
def test_garbage_is_a_bad_frame_and_nothing_worse(topic: str, payload: bytes, retained: bool) -> None:
    with suppress(BadFrame):
        list(Shelly(pile(("a", "b"))).receive(Message(topic, payload, retained), NOW))


@pytest.mark.parametrize("frame", [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()])
def test_a_real_frame_is_heard_as_what_it_measured(frame: dict[str, Any]) -> None:
    driver = Shelly(Pile("p", "shelly", "", ("a", "b"), {"prefix": "plug"}))  # whatever its MAC
    means = frame["means"]
    topic = f"plug/status/switch:{means['channel']}" if "channel" in means else "plug/events/rpc"
    if "method" in means or "code" in means:  # a request or an answer
        topic = "anchong/plug/rpc"

    heard = hear(driver, topic, frame["payload"])

    measured = [switch["power_w"] for switch in (means, *means.get("switches", {}).values()) if "power_w" in switch]
    assert [reading.power_w for reading in readings(heard)] == [abs(power_w) for power_w in measured]
