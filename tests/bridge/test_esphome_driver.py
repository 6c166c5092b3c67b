"""ESPHome's driver: one message is an ON with its end, and what does not come together is not put together."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import events as ev
from controller.core.errors import BadFrame
from controller.core.reasons import StopReason
from firmware_bridge.codecs import esphome as codec
from firmware_bridge.drivers import esphome
from firmware_bridge.wire import AskNow, Message, Pile, Provision, SetInputs, SwitchOff, SwitchOn

NOW = ev.Stamp(1_800_000_000.0, 100.0)
OWN: dict[str, Any] = {"switch": "relay_1", "power": "p", "energy": "e", "voltage": "u", "current": "i"}


def driver(**params: object) -> esphome.Esphome:
    return esphome.open(Pile("p", "esphome", "socket", ("o1",), {"outlets": [OWN], "ask": True, **params}))


def heard(made: esphome.Esphome, topic: str, payload: str, at_s: float = 100.0, retained: bool = False) -> list[Any]:
    stamp = ev.Stamp(NOW.at + at_s - 100.0, at_s)
    return list(made.receive(Message(f"socket/{topic}", payload.encode(), retained), stamp))


def only(kind: type[ev.Event], events: Iterable[ev.Event]) -> list[Any]:
    return [event for event in events if type(event) is kind]


def test_an_on_is_one_message_that_brings_its_end_and_off_is_no_time_at_all() -> None:
    made = driver()

    assert made.orders(SwitchOn(0, 120.0)) == [Message("socket/outlet/1/lease", b"120")]
    assert made.orders(SwitchOn(0, 40.9)) == [Message("socket/outlet/1/lease", b"40")]
    assert made.orders(SwitchOff(0)) == [Message("socket/outlet/1/lease", b"0")]


def test_the_plain_switch_topic_is_never_used_and_a_retained_order_on_it_is_looked_for() -> None:
    made = driver()
    wishes = (SwitchOn(0, 60), SwitchOff(0), Provision(120, 500), AskNow(), SetInputs((1,)))

    assert not [m for wish in wishes for m in made.orders(wish) if "/switch/" in m.address or m.retained]
    pile = Pile("p", "esphome", "socket", ("o1",), {"outlets": [OWN]})
    assert list(esphome.retained_commands(pile)) == ["socket/outlet/1/lease", "socket/switch/relay_1/command"]


def test_a_lease_may_have_a_topic_of_its_own() -> None:
    made = driver(outlets=[OWN | {"lease": "garage/lamp"}])

    assert [message.address for message in made.orders(SwitchOn(0, 60))] == ["garage/lamp"]


@pytest.mark.parametrize("lease_s", [901.0, float("nan"), float("inf"), -1.0])
def test_no_lease_is_longer_than_the_longest_or_none_at_all(lease_s: float) -> None:
    with pytest.raises(ValueError, match="no lease"):
        codec.lease(lease_s)


def test_its_own_limit_stands_above_ours() -> None:
    assert driver().orders(Provision(120, 800.0))[0] == Message("socket/outlet/1/limit", b"1200")


def test_a_power_reaches_the_guard_at_once_and_the_counter_comes_with_the_power_of_its_moment() -> None:
    made = driver()
    heard(made, "sensor/u/state", "231.5")

    (alone,) = only(ev.Reading, heard(made, "sensor/p/state", "180.4"))
    (both,) = only(ev.Reading, heard(made, "sensor/e/state", "1234.5", 100.2))
    late = only(ev.Reading, heard(made, "sensor/e/state", "1240.0", 106.0))

    assert (alone.power_w, alone.energy_wh, alone.voltage_v) == (180.4, None, 231.5)
    assert (both.power_w, both.energy_wh) == (180.4, 1234.5)
    assert late == []  # the power of six seconds ago is not what this counter goes with


def test_a_voltage_that_is_told_no_more_is_not_repeated_for_ever() -> None:
    made = driver()
    heard(made, "sensor/u/state", "231.5")

    (reading,) = only(ev.Reading, heard(made, "sensor/p/state", "0.0", 120.0))

    assert reading.voltage_v is None


def test_kilowatts_and_kilowatt_hours_are_what_the_profile_says() -> None:
    made = driver(power_unit="kW", energy_unit="kWh")

    heard(made, "sensor/p/state", "0.1804")
    (reading,) = only(ev.Reading, heard(made, "sensor/e/state", "1.001"))

    assert (reading.power_w, reading.energy_wh) == (180.4, 1001.0)


@pytest.mark.parametrize(
    ("topic", "payload", "kind"),
    [
        ("sensor/p/state", "nan", "malformed"),
        ("sensor/p/state", "1e3", "malformed"),
        ("sensor/p/state", " 5", "malformed"),
        ("sensor/p/state", "", "length"),
        ("sensor/p/state", "25001", "range"),
        ("sensor/e/state", "-0.1", "range"),
        ("sensor/u/state", "501", "range"),
        ("sensor/i/state", "9" * 40, "malformed"),
        ("switch/relay_1/state", "on", "malformed"),
        ("switch/relay_1/state", "\x00", "malformed"),
        ("status", "ready", "malformed"),
        ("boot", '{"boot":"a","up_s":-1}', "range"),
        ("boot", '{"boot":"a","up_s":1,"boot":"b"}', "malformed"),
        ("boot", '{"up_s":1}', "malformed"),
        ("outlet/1/settings", "[]", "malformed"),
        ("outlet/1/settings", '{"power_up":"off","lease_s":120,"x":"' + "y" * 5000 + '"}', "length"),
        ("outlet/1/left", "soon", "malformed"),
        ("sensor/other/state", "1", "unknown"),
    ],
)
def test_what_no_device_of_this_profile_says_is_a_bad_frame_of_its_kind(topic: str, payload: str, kind: str) -> None:
    with pytest.raises(BadFrame) as bad:
        heard(driver(), topic, payload)

    assert bad.value.kind == kind


@given(payload=st.binary(max_size=40))
def test_any_profile_is_read_or_a_bad_frame(payload: bytes) -> None:
    try:
        found = esphome.discover(Message("socket/anchong", payload, True), NOW)
    except BadFrame:
        return
    assert len(found) <= 1


def test_states_that_the_broker_has_kept_prove_nothing_but_its_will_does() -> None:
    made = driver()

    assert heard(made, "switch/relay_1/state", "ON", retained=True) == []
    assert heard(made, "sensor/p/state", "0.0", retained=True) == []
    assert [type(event) for event in heard(made, "status", "offline", retained=True)] == [ev.LinkLost]


def test_another_number_at_boot_is_a_restart_and_the_same_is_none() -> None:
    made = driver()
    made.orders(Provision(120))

    assert heard(made, "boot", '{"boot":"aa","up_s":5}') == []  # it was ordered about, so it had started before
    assert heard(made, "boot", '{"boot":"aa","up_s":15}') == []
    (restarted,) = heard(made, "boot", '{"boot":"bb","up_s":2}')
    assert (type(restarted), restarted.up_s) == (ev.DeviceRestarted, 2)


def test_a_start_while_we_were_away_is_told_once() -> None:
    made = driver()

    assert [type(event) for event in heard(made, "boot", '{"boot":"aa","up_s":300}')] == [ev.DeviceRestarted]
    assert heard(made, "boot", '{"boot":"aa","up_s":310}') == []
    assert heard(driver(), "boot", '{"boot":"aa","up_s":90000}') == []


def test_a_yaml_that_answers_nothing_is_not_asked_and_can_t_say_what_it_does_at_power_up() -> None:
    made = driver(ask=False)

    assert list(made.orders(AskNow())) == list(made.orders(Provision(120, 800))) == []
    told = {e.setting: e.value for e in only(ev.SettingReported, heard(made, "switch/relay_1/state", "OFF"))}
    assert told == {"inputs_detached": 1.0, "power_up_off": -1.0}


def test_an_on_of_ours_without_a_lease_is_a_fault_told_once_when_it_is_said_twice() -> None:
    made = driver()
    made.orders(SwitchOn(0, 120))
    heard(made, "switch/relay_1/state", "ON")

    assert [len(heard(made, "outlet/1/left", left)) for left in ("0", "119", "0", "0", "0")] == [0, 0, 0, 1, 0]
    made.orders(SwitchOff(0))
    assert [len(heard(made, "outlet/1/left", "0")) for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("word", "reason"),
    [("overload", StopReason.OVERLOAD), ("overheat", StopReason.OVERHEAT), ("smells", StopReason.DEVICE_STOP)],
)
def test_a_word_of_danger_ends_a_charge_whether_we_know_it_or_not(word: str, reason: StopReason) -> None:
    assert [event.reason for event in heard(driver(), "outlet/1/hazard", word)] == [reason]


def test_two_sockets_of_one_device_are_told_apart() -> None:
    both = [OWN, {"switch": "relay_2", "power": "p2", "energy": ""}]
    made = esphome.open(Pile("p", "esphome", "socket", ("", "o2"), {"outlets": both, "ask": True}))

    assert "socket/switch/relay_1/state" not in made.listens()
    events = list(made.receive(Message("socket/switch/relay_2/state", b"ON"), NOW))
    assert [event.outlet for event in only(ev.RelayReported, events)] == ["o2"]
    assert ("own_counter", 0.0) in {(e.setting, e.value) for e in only(ev.SettingReported, events)}
    assert made.orders(SwitchOff(1)) == [Message("socket/outlet/2/lease", b"0")]


@pytest.mark.parametrize(
    ("topic", "payload", "told"),
    [
        ("a/b/status", "online", {"available": True}),
        ("socket/switch/relay/state", "ON", {"switch": "relay", "on": True}),
        ("socket/switch/relay/command", "OFF", {"switch": "relay", "on": False}),
        ("socket/sensor/power/state", "-3.5", {"sensor": "power", "value": -3.5}),
        ("socket/outlet/2/lease", "120", {"channel": 1, "lease_s": 120.0}),
        ("socket/outlet/1/left", "17", {"channel": 0, "lease_left_s": 17.0}),
        ("socket/outlet/1/limit", "1200", {"channel": 0, "limit_w": 1200.0}),
        ("socket/outlet/1/hazard", "overload", {"channel": 0, "hazard": "overload"}),
        (
            "socket/outlet/1/settings",
            '{"power_up":"off","lease_s":120}',
            {"channel": 0, "power_up": "off", "lease_s": 120.0},
        ),
        ("socket/boot", '{"boot":"1f","up_s":12}', {"boot": "1f", "up_s": 12.0}),
        ("socket/ask", "1", {"ask": True}),
        (None, "12.5", {"value": 12.5}),
        (None, "ON", {"on": True}),
    ],
)
def test_a_payload_can_be_read_by_people(topic: str | None, payload: str, told: dict[str, object]) -> None:
    assert codec.decode(topic, "up", payload.encode()) == told


@given(
    topic=st.sampled_from([None, "s/status", "s/sensor/p/state", "s/outlet/1/x", "s/boot", "s/anchong", "s/q"]),
    payload=st.binary(max_size=40),
)
def test_any_payload_is_read_or_a_bad_frame(topic: str | None, payload: bytes) -> None:
    try:
        assert codec.decode(topic, "up", payload)
    except BadFrame:
        return
