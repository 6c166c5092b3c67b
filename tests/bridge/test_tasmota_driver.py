"""The Tasmota driver: what it believes, what it refuses to believe, and what it says to the device."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import events as ev
from controller.core.errors import BadFrame
from controller.core.reasons import StopReason
from firmware_bridge.drivers import DRIVERS
from firmware_bridge.drivers.tasmota import Tasmota, discover, retained_commands
from firmware_bridge.wire import AskNow, Message, Pile, Provision, SwitchOff, SwitchOn

NOW = ev.Stamp(1_800_000_000.0, 50.0)
ENERGY = {"Total": 1.001, "Power": 120, "Voltage": 230, "Current": 0.6}


def pile(outlets: tuple[str, ...] = ("o1",), **params: object) -> Pile:
    return Pile("p", "tasmota", "00000049A3BC", outlets, {"topic": "plug", **params})


def hear(driver: Tasmota, topic: str, payload: object, *, retained: bool = False) -> list[ev.Event]:
    raw = payload if isinstance(payload, str) else json.dumps(payload)
    return list(driver.receive(Message(topic, raw.encode(), retained), NOW))


def readings(found: list[ev.Event]) -> list[ev.Reading]:
    return [event for event in found if isinstance(event, ev.Reading)]


def settings_of(found: list[ev.Event]) -> list[tuple[str, str, float]]:
    return [(event.outlet, event.setting, event.value) for event in found if isinstance(event, ev.SettingReported)]


def config(**changes: object) -> bytes:
    whole = {"mac": "00000049a3bc", "t": "plug", "ft": "%topic%/%prefix%/", "tp": ["c", "s", "t"], "rl": [1, 0, 0, 0]}
    words = {"md": "Athom V3", "sw": "13.3.0", "state": ["AUS", "EIN", "UM", "HALT"], "onln": "Da", "ofln": "Weg"}
    return json.dumps(whole | words | changes).encode()


def test_a_discovered_socket_is_opened_with_what_it_said_of_itself() -> None:
    [found] = discover(Message("tasmota/discovery/00000049A3BC/config", config()), NOW)

    assert (found.family, found.address, found.model, found.channels) == ("tasmota", "00000049A3BC", "Athom V3", 1)
    params = json.loads(json.dumps(found.params))  # as it comes back from a database
    driver = Tasmota(Pile("p", "tasmota", found.address, ("o1",), params))
    assert "plug/t/SENSOR" in driver.listens()
    assert hear(driver, "plug/t/LWT", "Da") == [ev.LinkUp(at=NOW.at, steady_s=NOW.steady_s, outlet="o1")]
    assert hear(driver, "plug/s/RESULT", {"POWER": "EIN"}) == [
        ev.RelayReported(at=NOW.at, steady_s=NOW.steady_s, outlet="o1", on=True)
    ]
    assert driver.orders(SwitchOff(0)) == [Message("plug/c/Power1", b"OFF")]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("tasmota/discovery/00000049A3BC/config", b""),
        ("tasmota/discovery/00000049A3BC/sensors", b'{"sn":{"ENERGY":{}},"ver":1}'),
        ("tasmota/discovery/00000049A3BC/config", config(rl=[0, 2, 3])),
    ],
)
def test_what_is_no_socket_is_not_found(topic: str, payload: bytes) -> None:
    assert not discover(Message(topic, payload), NOW)


@pytest.mark.parametrize(
    ("template", "topic"),
    [
        ("%prefix%/%topic%/", "tele/plug/SENSOR"),
        ("%topic%/%prefix%/", "plug/tele/SENSOR"),
        ("yard/%topic%/x/%prefix%", "yard/plug/x/tele/SENSOR"),
        ("%prefix%/%id%/", "tele/00000049A3BC/SENSOR"),
    ],
)
def test_topics_are_built_as_the_device_is_set(template: str, topic: str) -> None:
    driver = Tasmota(pile(full_topic=template))

    assert readings(hear(driver, topic, {"ENERGY": ENERGY}))


def test_topics_that_are_listened_to_are_exact() -> None:
    assert not [topic for topic in Tasmota(pile(("a", "b"))).listens() if "+" in topic or "#" in topic]


def test_a_reading_carries_our_time_and_whole_watt_hours() -> None:
    reading = readings(hear(Tasmota(pile()), "tele/plug/SENSOR", {"Time": "1970-01-01T00:00:00", "ENERGY": ENERGY}))[0]

    assert (reading.at, reading.power_w, reading.voltage_v, reading.current_a) == (NOW.at, 120.0, 230.0, 0.6)
    assert reading.energy_wh == 1001.0  # not 1000.9999999999999, which a bill would floor to 1000


@given(st.integers(min_value=0, max_value=10_000_000))
def test_no_watt_hour_is_lost_between_kilowatt_hours_and_watt_hours(whole_wh: int) -> None:
    payload = f'{{"ENERGY":{{"Power":1,"Total":{whole_wh // 1000}.{whole_wh % 1000:03}}}}}'

    assert readings(hear(Tasmota(pile()), "tele/plug/SENSOR", payload))[0].energy_wh == whole_wh


def test_an_asked_for_reading_counts_as_one_that_came_by_itself() -> None:
    for topic in ("stat/plug/STATUS8", "stat/plug/STATUS10"):
        assert readings(hear(Tasmota(pile()), topic, {"StatusSNS": {"ENERGY": ENERGY}}))[0].power_w == 120


def test_each_relay_has_its_own_power_and_counter_where_the_device_splits_them() -> None:
    driver = Tasmota(pile(("a", "b")))
    energy = {"Total": [1.2, 3.4], "Power": [114, 25], "Voltage": 234, "Current": [0.485, 0.108]}

    found = hear(driver, "tele/plug/SENSOR", {"ENERGY": energy})

    assert [(r.outlet, r.power_w, r.energy_wh, r.voltage_v) for r in readings(found)] == [
        ("a", 114.0, 1200.0, 234.0),
        ("b", 25.0, 3400.0, 234.0),
    ]
    assert settings_of(found) == [("a", "own_counter", 1.0), ("b", "own_counter", 1.0)]


def test_a_counter_shared_by_two_relays_belongs_to_neither() -> None:
    driver = Tasmota(pile(("a", "b")))

    found = hear(driver, "tele/plug/SENSOR", {"ENERGY": {"Total": 0.031, "Power": [114, 25]}})

    assert [(r.outlet, r.power_w, r.energy_wh) for r in readings(found)] == [("a", 114.0, None), ("b", 25.0, None)]
    assert settings_of(found) == [("a", "own_counter", 0.0), ("b", "own_counter", 0.0)]


def test_a_counter_shared_with_a_relay_that_is_not_ours_is_still_shared() -> None:
    driver = Tasmota(pile(("a", "")))

    found = hear(driver, "tele/plug/SENSOR", {"ENERGY": {"Total": 0.031, "Power": 114}})

    assert readings(found) == []
    assert settings_of(found) == [("a", "own_counter", 0.0)]


def test_own_counter_is_told_when_it_changes_and_again_when_provisioned() -> None:
    driver = Tasmota(pile())

    assert settings_of(hear(driver, "tele/plug/SENSOR", {"ENERGY": ENERGY}))
    assert not settings_of(hear(driver, "tele/plug/SENSOR", {"ENERGY": ENERGY}))
    driver.orders(Provision(120))
    assert settings_of(hear(driver, "tele/plug/SENSOR", {"ENERGY": ENERGY})) == [("o1", "own_counter", 1.0)]


def test_phases_of_one_relay_are_added() -> None:
    energy = {"Total": {"Phase1": 1.2, "Phase2": 3.4}, "Power": [100, 50, 25]}

    reading = readings(hear(Tasmota(pile()), "tele/plug/SENSOR", {"ENERGY": energy}))[0]

    assert (reading.power_w, reading.energy_wh) == (175.0, 4600.0)


@pytest.mark.parametrize("energy", [{}, {"Total": 1.0}, {"Voltage": 230}])
def test_no_power_is_no_reading_and_never_a_zero(energy: dict[str, object]) -> None:
    assert readings(hear(Tasmota(pile()), "tele/plug/SENSOR", {"ENERGY": energy})) == []


def test_an_empty_list_of_powers_is_not_a_measured_zero() -> None:
    with pytest.raises(BadFrame):
        hear(Tasmota(pile()), "tele/plug/SENSOR", {"ENERGY": {"Power": []}})


def test_a_metering_chips_heat_is_told_and_a_radios_is_not() -> None:
    hot = {"ENERGY": ENERGY | {"BL09XX": {"Temperature": 212}}, "ESP32": {"Temperature": 70}, "TempUnit": "F"}

    assert readings(hear(Tasmota(pile()), "tele/plug/SENSOR", hot))[0].temperature_c == pytest.approx(100)
    cool = {"ENERGY": ENERGY, "ESP32": {"Temperature": 70}}
    assert readings(hear(Tasmota(pile()), "tele/plug/SENSOR", cool))[0].temperature_c is None


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("tele/plug/SENSOR", '{"ENERGY":{"Power":120,"Total":1.0},"PN532":{"UID":"E9F35959"}}'),
        ("tele/plug/STATE", '{"POWER":"ON"}'),
        ("stat/plug/POWER", "ON"),
        ("stat/plug/RESULT", '{"POWER":"ON"}'),
        ("stat/plug/STATUS10", '{"StatusSNS":{"ENERGY":{"Power":120}}}'),
        ("stat/plug/WARNING", '{"MaxPowerReached":900}'),
        ("tele/plug/INFO3", '{"RestartReason":"Power On"}'),
        ("tele/plug/SENSOR", "garbage"),
    ],
)
def test_a_retained_report_is_old_news_and_ignored(topic: str, payload: str) -> None:
    assert hear(Tasmota(pile()), topic, payload, retained=True) == []


def test_a_retained_last_will_is_believed() -> None:
    driver = Tasmota(pile(("a", "", "c")))

    found = hear(driver, "tele/plug/LWT", "Offline", retained=True)

    assert found == [ev.LinkLost(at=NOW.at, steady_s=NOW.steady_s, outlet=outlet) for outlet in ("a", "c")]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("stat/plug/RESULT", {"POWER2": "ON"}),
        ("stat/plug/POWER2", "ON"),
        ("tele/plug/STATE", {"Time": "?", "POWER2": "ON"}),
        ("stat/plug/STATUS11", {"StatusSTS": {"POWER2": "ON"}}),
    ],
)
def test_a_relay_is_reported_in_every_way_the_device_has(topic: str, payload: object) -> None:
    found = hear(Tasmota(pile(("a", "b"))), topic, payload)

    assert found == [ev.RelayReported(at=NOW.at, steady_s=NOW.steady_s, outlet="b", on=True)]


def test_relays_that_are_not_ours_are_passed_over() -> None:
    driver = Tasmota(pile(("a", "")))

    assert hear(driver, "stat/plug/RESULT", {"POWER2": "ON", "POWER7": "ON", "POWER0": "ON"}) == []


def test_a_place_without_a_relay_is_never_ours() -> None:
    driver = Tasmota(pile(("light", "plug"), relays=[2, 1]))

    assert [reading.outlet for reading in readings(hear(driver, "tele/plug/SENSOR", {"ENERGY": ENERGY}))] == ["plug"]
    assert "stat/plug/POWER1" not in driver.listens()


def test_a_restart_and_its_cause_are_told() -> None:
    for payload in ({"RestartReason": "Power On"}, {"Info3": {"RestartReason": "Power On", "BootCount": 3}}):
        found = hear(Tasmota(pile()), "tele/plug/INFO3", payload)
        assert found == [ev.DeviceRestarted(at=NOW.at, steady_s=NOW.steady_s, outlet="o1", cause="Power On")]


def test_a_start_that_we_missed_is_told_before_the_relay_unless_something_was_ordered_since() -> None:
    for ordered, uptime_s, told in ((False, 200, 1), (False, 5000, 0), (True, 200, 0)):
        driver = Tasmota(pile())
        if ordered:
            driver.orders(SwitchOn(0, 120.0))
        found = hear(driver, "stat/plug/STATUS11", {"StatusSTS": {"UptimeSec": uptime_s, "POWER": "OFF"}})
        assert [type(event) for event in found] == [ev.DeviceRestarted] * told + [ev.RelayReported]
        assert hear(driver, "tele/plug/STATE", {"UptimeSec": uptime_s + 3})[:1] == []


def test_an_uptime_that_falls_is_a_start_whose_word_was_lost() -> None:
    driver = Tasmota(pile())
    hear(driver, "tele/plug/STATE", {"UptimeSec": 9000})
    (found,) = hear(driver, "tele/plug/STATE", {"UptimeSec": 12})

    assert isinstance(found, ev.DeviceRestarted)
    assert found.up_s == 12.0
    told = Tasmota(pile())
    hear(told, "tele/plug/INFO3", {"RestartReason": "Power On"})
    assert hear(told, "tele/plug/STATE", {"UptimeSec": 4}) == []


@pytest.mark.parametrize(
    ("key", "outlets"),
    [("MaxPowerReached", ["a", "b"]), ("MaxPowerReached2", ["b"]), ("MaxPowerReachedRetry", ["a", "b"])],
)
def test_the_devices_own_power_limit_is_a_hazard(key: str, outlets: list[str]) -> None:
    found = hear(Tasmota(pile(("a", "b"))), "stat/plug/WARNING", {key: 900})

    assert [event.outlet for event in found if isinstance(event, ev.HazardReported)] == outlets
    assert {event.reason for event in found if isinstance(event, ev.HazardReported)} == {StopReason.OVERLOAD}


@pytest.mark.parametrize("reader", ["PN532", "RC522"])
def test_a_tapped_card_belongs_to_the_first_outlet_with_ids_made_at_the_edge(reader: str) -> None:
    ids = iter(["s1", "k1"])
    driver = Tasmota(pile(("a", "b")), make_id=lambda: next(ids))

    found = hear(driver, "tele/plug/SENSOR", {"Time": "x", reader: {"UID": "e9f35959", "DATA": "hi"}})

    assert found == [
        ev.CardTapped(at=NOW.at, steady_s=NOW.steady_s, outlet="a", uid="E9F35959", session="s1", key="k1")
    ]


def test_settings_are_told_in_our_words() -> None:
    driver = Tasmota(pile(("a", "b")))

    def told(payload: object) -> list[tuple[str, str, float]]:
        return settings_of(hear(driver, "stat/plug/RESULT", payload))

    assert told({"PulseTime2": {"Set": 220, "Remaining": 0}}) == [("b", "lease_s", 120.0)]
    assert told({"TelePeriod": 10}) == [("a", "report_s", 10.0), ("b", "report_s", 10.0)]
    assert told({"SetOption21": "ON"}) == [("a", "sees_power_when_off", 1.0), ("b", "sees_power_when_off", 1.0)]
    assert told({"SetOption129": "OFF"}) == [("a", "own_counter", 0.0), ("b", "own_counter", 0.0)]
    assert told({"SetOption129": "ON"}) == []


def test_power_up_off_needs_both_settings_and_one_wrong_is_enough_to_deny_it() -> None:
    driver = Tasmota(pile())

    assert settings_of(hear(driver, "stat/plug/RESULT", {"PowerOnState": 0})) == []
    assert settings_of(hear(driver, "stat/plug/RESULT", {"SetOption0": "OFF"})) == [("o1", "power_up_off", 1.0)]
    assert settings_of(hear(driver, "stat/plug/RESULT", {"SetOption0": "ON"})) == [("o1", "power_up_off", 0.0)]
    driver.orders(Provision(120))
    assert settings_of(hear(driver, "stat/plug/RESULT", {"PowerOnState": 3})) == [("o1", "power_up_off", 0.0)]


def test_an_on_cannot_leave_without_its_lease() -> None:
    messages = Tasmota(pile(("a", "b"))).orders(SwitchOn(1, 120))

    assert messages == [Message("cmnd/plug/Backlog0", b"PulseTime2 220;Power2 ON")]


@pytest.mark.parametrize("lease_s", [0, -1, float("inf"), float("nan"), 70_000])
def test_an_on_without_an_end_is_our_bug_and_never_sent(lease_s: float) -> None:
    with pytest.raises(ValueError, match="PulseTime"):
        Tasmota(pile()).orders(SwitchOn(0, lease_s))


def test_an_off_does_not_queue_behind_anything() -> None:
    assert Tasmota(pile(("a", "b"))).orders(SwitchOff(1)) == [Message("cmnd/plug/Power2", b"OFF")]


def test_asking_has_no_side_effect() -> None:
    messages = Tasmota(pile()).orders(AskNow())

    assert messages == [Message("cmnd/plug/Status", b"10"), Message("cmnd/plug/Status", b"11")]


@pytest.mark.parametrize("relays", [1, 2, 4, 8, 28])
def test_provisioning_covers_every_relay_of_ours_switches_none_on_and_fits_the_backlog(relays: int) -> None:
    outlets = tuple(f"o{number}" if number != 3 else "" for number in range(1, relays + 1))

    messages = Tasmota(pile(outlets)).orders(Provision(120))

    texts = [f"{message.address.removeprefix('cmnd/plug/')} {message.payload.decode()}".strip() for message in messages]
    commands = texts[0].removeprefix("Backlog0 ").split(";") if len(texts) == 1 else texts
    assert len(texts) > 1 or len(commands) <= 30
    for number in range(1, relays + 1):
        assert (f"PulseTime{number} 220" in commands) == (number != 3)
        assert (f"PowerDelta{number} 105" in commands) == (number != 3)
        assert (f"PulseTime{number}" in commands) == (number != 3)
    assert {"PowerOnState 0", "SetOption0 0", "SetOption21 1", "SetOption129 1", "PowerRetain 0"} <= set(commands)
    assert {"TelePeriod 10", "SetOption19 0", "PowerOnState", "SetOption0", "SetOption21", "TelePeriod"} <= set(
        commands
    )
    assert commands.index("PowerOnState") > commands.index("PowerOnState 0")
    assert not [command for command in commands if command.lower().startswith("power ") or "Power1" in command]


def test_no_order_is_ever_retained() -> None:
    driver = Tasmota(pile(("a", "b")))

    wishes = (SwitchOn(0, 120), SwitchOff(1), Provision(120), AskNow())
    assert not [message for wish in wishes for message in driver.orders(wish) if message.retained]


def test_retained_commands_that_could_switch_it_are_named() -> None:
    topics = retained_commands(pile(("a", "b"), full_topic="%topic%/%prefix%/"))

    assert {"plug/cmnd/POWER", "plug/cmnd/Power2", "plug/cmnd/power1", "plug/cmnd/Backlog0"} <= set(topics)


def test_a_topic_without_a_prefix_gets_one_for_commands() -> None:
    assert Tasmota(pile(full_topic="yard/%topic%/")).orders(SwitchOff(0))[0].address == "yard/plug/cmnd/Power1"


def test_traffic_of_another_pile_is_refused() -> None:
    with pytest.raises(BadFrame):
        hear(Tasmota(pile()), "tele/other/SENSOR", {"ENERGY": ENERGY})


def test_an_answer_that_says_nothing_new_is_no_event() -> None:
    driver = Tasmota(pile())

    for payload in ({"Command": "Unknown"}, {"PowerDelta1": 105}, {"Wifi": {"RSSI": 60}}, {}):
        assert hear(driver, "stat/plug/RESULT", payload) == []


@given(st.sampled_from(Tasmota(pile(("a", "b"))).listens()), st.binary(max_size=60), st.booleans())
def test_garbage_is_a_bad_frame_and_nothing_worse(topic: str, payload: bytes, retained: bool) -> None:
    with suppress(BadFrame):
        list(Tasmota(pile(("a", "b"))).receive(Message(topic, payload, retained), NOW))


def test_the_family_is_found_by_its_name() -> None:
    assert DRIVERS["tasmota"].NAME == "tasmota"
    assert DRIVERS["tasmota"].open(pile()).polls(NOW) == ()
