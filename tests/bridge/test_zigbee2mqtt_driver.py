"""The Zigbee2MQTT driver: no ON without its end, no old figure taken for a new one, and plugs that change names."""

import json
from typing import Any

import pytest

from controller.core import events as ev
from controller.core.errors import BadFrame
from controller.core.reasons import StopReason
from firmware_bridge.codecs import zigbee2mqtt as codec
from firmware_bridge.drivers import zigbee2mqtt
from firmware_bridge.wire import AskNow, Message, Pile, Provision, SwitchOff, SwitchOn

IEEE = "0xa4c138a1b2c3d4e5"
ME = f"zigbee2mqtt/{IEEE}"
GENERIC: dict[str, Any] = {"asked": ["state", "power", "energy"]}
TUYA: dict[str, Any] = {"asked": ["state", "countdown"], "countdown": "countdown", "reads": True}


def driver(socket: dict[str, Any] | None = None, timer: str = "on_time", **more: object) -> zigbee2mqtt.Zigbee2Mqtt:
    sockets = [GENERIC if socket is None else socket]
    params = {"topic": "zigbee2mqtt/shed/plug", "timer": timer, "sockets": sockets, **more}
    return zigbee2mqtt.open(Pile("p", "zigbee2mqtt", IEEE, ("o1", "o2"), params))


def heard(made: zigbee2mqtt.Zigbee2Mqtt, at_s: float, topic: str = "shed/plug", **said: object) -> list[Any]:
    message = Message(f"zigbee2mqtt/{topic}", json.dumps(said).encode())
    return list(made.receive(message, ev.Stamp(1_800_000_000.0 + at_s, at_s)))


def readings(events: list[Any]) -> list[float]:
    return [event.power_w for event in events if isinstance(event, ev.Reading)]


def hazards(events: list[Any]) -> list[StopReason]:
    return [event.reason for event in events if isinstance(event, ev.HazardReported)]


def sent(messages: Any) -> list[tuple[str, Any]]:
    return [(message.address, json.loads(message.payload)) for message in messages]


# -- orders -------------------------------------------------------------------------------------------------------


def test_an_on_brings_its_end_in_the_same_message_and_asks_whether_it_was_done() -> None:
    assert sent(driver().orders(SwitchOn(0, 120.0))) == [
        (f"{ME}/set", {"state": "ON", "on_time": 120.0}),
        (f"{ME}/get", {"state": ""}),
    ]


def test_tuya_s_countdown_comes_after_the_state_and_in_whole_seconds() -> None:
    order = driver(TUYA, "countdown").orders(SwitchOn(0, 40.9))[0]

    assert order.payload == b'{"state":"ON","countdown":40}'  # in this order, whatever the bridge makes of it


def test_a_renewal_of_tuya_s_is_a_countdown_alone_so_that_no_lost_half_leaves_the_plug_bare() -> None:
    made = driver(TUYA, "countdown")
    made.orders(SwitchOn(0, 120))
    heard(made, 1.0, state="ON", countdown=120)

    assert made.orders(SwitchOn(0, 120))[0].payload == b'{"countdown":120}'


def test_a_plug_that_does_not_say_that_it_is_on_is_not_given_a_countdown_alone() -> None:
    """One that is off would be switched on by it, much later."""
    made = driver(TUYA, "countdown")
    made.orders(SwitchOn(0, 120))
    heard(made, 1.0, state="ON", countdown=120)
    heard(made, 2.0, state="OFF", countdown=0)

    assert b'"state":"ON"' in made.orders(SwitchOn(0, 120))[0].payload
    made.orders(SwitchOff(0))
    heard(made, 3.0, state="ON", countdown=0)  # by somebody else
    assert b'"state":"ON"' in made.orders(SwitchOn(0, 120))[0].payload


def test_a_device_without_a_timer_is_never_switched_on() -> None:
    assert list(driver(timer="").orders(SwitchOn(0, 120))) == []


@pytest.mark.parametrize(("lease_s", "sent_s"), [(0.5, 1), (240.0, 240), (241.0, 240), (256.0, 240), (900.0, 240)])
def test_no_lease_is_one_that_some_plug_would_take_for_another(lease_s: float, sent_s: int) -> None:
    assert sent(driver(TUYA, "countdown").orders(SwitchOn(0, lease_s)))[0][1]["countdown"] == sent_s


def test_no_on_leaves_with_a_lease_that_is_no_number() -> None:
    for timer in ("on_time", "countdown"):
        with pytest.raises(ValueError):  # noqa: PT011 whatever it says
            driver(TUYA, timer).orders(SwitchOn(0, float("nan")))


def test_an_off_is_one_word_and_nothing_else_leaves_with_it() -> None:
    assert sent(driver().orders(SwitchOff(0))) == [(f"{ME}/set", {"state": "OFF"})]


def test_of_several_sockets_each_is_spoken_to_by_its_own_endpoint() -> None:
    two = [{"endpoint": one, "state": f"state_{one}", "countdown": f"countdown_{one}"} for one in ("l1", "left")]
    made = driver(timer="countdown", sockets=two)

    assert sent(made.orders(SwitchOn(1, 60)))[0] == (f"{ME}/left/set", {"state": "ON", "countdown": 60})
    assert sent(made.orders(SwitchOff(0))) == [(f"{ME}/l1/set", {"state": "OFF"})]


def test_provisioning_keeps_it_dark_after_a_power_cut_and_its_button_dead() -> None:
    made = driver({**GENERIC, "memory": "power_outage_memory", "lock": "child_lock"})

    assert sent(made.orders(Provision(120)))[:2] == [
        (f"{ME}/set", {"power_outage_memory": "off"}),
        (f"{ME}/set", {"child_lock": "LOCK"}),
    ]


def power_up(events: list[Any]) -> list[float]:
    return [
        event.value for event in events if isinstance(event, ev.SettingReported) and event.setting == "power_up_off"
    ]


def test_some_makers_memory_is_yes_or_no_and_the_plug_s_own_answer_counts_not_the_bridge_s_echo() -> None:
    name = "power_outage_memory"
    made = driver({"asked": ["state", "power", name], "memory": name, "memory_off": False})

    assert sent(made.orders(Provision(120)))[0] == (f"{ME}/set", {name: False})
    told = [
        power_up(heard(made, 1.0 + n / 10, power_outage_memory=value)) for n, value in enumerate([False] * 3 + [True])
    ]
    assert told == [[], [], [], [0.0]]  # the echo, the state, the power, and what it has kept in spite of it


def test_a_memory_that_can_be_set_and_not_asked_for_is_the_bridge_s_word_alone() -> None:
    made = driver({"asked": ["state"], "memory": "power_outage_memory"})
    made.orders(Provision(120))

    assert power_up(heard(made, 1.0, power_outage_memory="off")) == [-1.0]


def test_a_meter_that_gives_no_answers_is_read_by_its_clusters() -> None:
    assert sent(driver(TUYA, "countdown").orders(AskNow())) == [
        (f"{ME}/set", {"read": {"cluster": "haElectricalMeasurement", "attributes": ["activePower"]}}),
        (f"{ME}/set", {"read": {"cluster": "seMetering", "attributes": ["currentSummDelivered"]}}),
        (f"{ME}/get", {"state": "", "countdown": ""}),
    ]


def test_what_is_off_and_has_shown_it_leaves_the_air_to_others() -> None:
    made, now = driver(), ev.Stamp(0.0, 0.0)
    made.orders(SwitchOff(0))
    heard(made, 1.0, state="OFF", power=0)

    assert [len(made.polls(now)) for _ in range(6)] == [0, 0, 1, 0, 0, 1]
    made.orders(SwitchOn(0, 60))
    heard(made, 2.0, state="ON", power=0)
    assert [sent(made.polls(now)) for _ in range(2)] == [[(f"{ME}/get", {"power": ""})]] * 2


# -- what is new, and what the bridge only repeats ----------------------------------------------------------------


def test_a_power_from_before_the_off_proves_nothing_until_it_has_been_asked_for_and_answered() -> None:
    made = driver()
    made.orders(SwitchOn(0, 120))
    heard(made, 1.0, state="ON", power=0, energy=1.0)  # by a zero of the meter, or because nothing was plugged in
    made.orders(SwitchOff(0))

    assert readings(heard(made, 2.0, state="OFF", power=0, energy=1.0)) == []  # the echo of the OFF
    made.orders(AskNow())
    assert readings(heard(made, 2.2, state="OFF", power=0, energy=1.0)) == []  # the answer for the state
    assert readings(heard(made, 2.3, state="OFF", power=0, energy=1.0)) == [0]  # for the power


def test_a_power_that_changes_after_the_off_is_new() -> None:
    made = driver()
    made.orders(SwitchOn(0, 120))
    heard(made, 1.0, state="ON", power=60)
    made.orders(SwitchOff(0))

    assert readings(heard(made, 1.5, state="OFF", power=60)) == []
    assert readings(heard(made, 2.5, state="OFF", power=0)) == [0]


def test_a_meter_that_says_nothing_any_more_is_not_heard_in_what_its_bridge_repeats() -> None:
    made = driver()
    made.orders(SwitchOn(0, 120))
    assert readings(heard(made, 1.0, state="ON", power=60)) == [60]

    assert [readings(heard(made, 2.0 + n, state="ON", power=60, linkquality=n)) for n in range(60)] == [[]] * 60
    assert len(made.polls(ev.Stamp(0.0, 70.0))) == 1
    assert readings(heard(made, 70.1, state="ON", power=60)) == [60]  # it has answered
    assert readings(heard(made, 70.2, state="ON", power=60)) == []


def test_a_meter_that_nobody_can_ask_is_believed_in_what_its_bridge_repeats() -> None:
    made = driver({"asked": ["state"]})
    made.orders(SwitchOn(0, 120))

    assert [readings(heard(made, 1.0 + n, state="ON", power=60)) for n in range(3)] == [[60]] * 3


def test_the_echoes_of_an_off_are_no_answers_to_what_was_asked_with_it() -> None:
    made = driver()
    made.orders(SwitchOn(0, 120))
    heard(made, 1.0, state="ON", power=60)
    made.orders(SwitchOff(0))
    made.orders(AskNow())

    echoes, state, power = 2, 1, 1
    told = [readings(heard(made, 2.0 + n, state="OFF", power=60)) for n in range(echoes + state + power)]
    assert told == [[], [], [], [60]]  # under a relay that stuck


def test_answers_to_two_halves_of_two_questions_make_no_whole() -> None:
    made = driver()
    made.orders(SwitchOn(0, 120))
    heard(made, 1.0, state="ON", power=60)
    made.orders(SwitchOff(0))
    heard(made, 1.1, state="OFF", power=60)
    for n in range(4):  # the state's comes each time, the power's never
        made.orders(AskNow())
        assert readings(heard(made, 2.0 + 10 * n, state="OFF", power=60)) == []


def test_what_can_t_be_read_behind_the_power_keeps_no_power_waiting() -> None:
    """A countdown that some plug does not give comes after it."""
    made = driver(TUYA, "countdown")
    heard(made, 1.0, state="OFF", countdown=0, power=0)
    heard(made, 1.1, state="OFF", countdown=0, power=1)
    made.orders(AskNow())

    assert readings(heard(made, 2.0, state="OFF", countdown=0, power=1)) == [1]


def test_a_power_that_nobody_can_ask_for_counts_when_it_has_stood_for_longer_than_any_report_takes() -> None:
    made = driver({"asked": ["state"]})
    made.orders(SwitchOn(0, 120))
    heard(made, 1.0, state="ON", power=0)
    made.orders(SwitchOff(0))

    assert readings(heard(made, 2.0, state="OFF", power=0)) == []
    assert readings(heard(made, 60.0, state="OFF", power=0)) == []
    assert readings(heard(made, 72.1, state="OFF", power=0)) == [0]


def test_a_lease_that_has_ended_makes_the_power_before_it_old_as_well() -> None:
    made = driver()
    made.orders(SwitchOn(0, 120))
    heard(made, 1.0, state="ON", power=60)

    assert readings(heard(made, 121.0, state="OFF", power=60)) == []  # by the plug's own timer


def test_a_bridge_that_comes_back_repeats_what_it_knew_before() -> None:
    made = driver()
    heard(made, 1.0, state="ON", power=60)

    lost = heard(made, 2.0, "bridge/state", state="offline")
    assert [type(event) for event in lost] == [ev.LinkLost]
    assert heard(made, 90.0, "bridge/state", state="online") == []
    assert readings(heard(made, 91.0, state="ON", power=60)) == []
    assert readings(heard(made, 92.0, state="ON", power=61)) == [61]


def test_what_the_broker_has_kept_proves_nothing_but_who_is_there() -> None:
    made, now = driver(), ev.Stamp(0.0, 0.0)
    kept = [("shed/plug", b'{"state":"ON","power":60}'), ("shed/plug", b"")]

    assert [list(made.receive(Message(f"zigbee2mqtt/{topic}", said, True), now)) for topic, said in kept] == [[], []]
    for word in (b"offline", b'{"state":"offline"}'):
        for topic in ("shed/plug/availability", "bridge/state"):
            events = list(made.receive(Message(f"zigbee2mqtt/{topic}", word, True), now))
            assert [type(event) for event in events] == [ev.LinkLost]


# -- a timer that does not fit the relay --------------------------------------------------------------------------


def test_an_on_of_ours_without_a_countdown_is_a_fault_told_once_and_within_two_rounds() -> None:
    made = driver(TUYA, "countdown")
    made.orders(SwitchOn(0, 120))
    heard(made, 0.2, state="ON", countdown=0)
    told = []
    for n in (5.0, 15.0):
        made.polls(ev.Stamp(0.0, n))
        told += [hazards(heard(made, n + 0.1, state="ON", countdown=0, power=60 + n)) for _ in range(4)]

    assert [reason for reasons in told for reason in reasons] == [StopReason.RELAY_FAULT]


def test_a_countdown_that_is_seen_clears_the_doubt() -> None:
    made = driver(TUYA, "countdown")
    made.orders(SwitchOn(0, 120))
    heard(made, 0.2, state="ON", countdown=0)
    heard(made, 0.5, state="ON", countdown=120)
    made.orders(AskNow())

    assert [hazards(heard(made, 20.0 + n, state="ON", countdown=60)) for n in range(5)] == [[]] * 5


def test_a_plug_that_is_off_with_a_countdown_running_would_switch_itself_on_and_is_a_fault() -> None:
    """An OFF of ours that the bridge has sent between an ON and its countdown."""
    made = driver(TUYA, "countdown")
    made.orders(SwitchOn(0, 120))
    made.orders(SwitchOff(0))
    heard(made, 0.5, state="OFF", countdown=120)
    made.orders(AskNow())
    told = [hazards(heard(made, 11.0, state="OFF", countdown=118)) for _ in range(4)]

    assert [reason for reasons in told for reason in reasons] == [StopReason.RELAY_FAULT]


def test_a_countdown_that_the_bridge_remembers_after_the_lease_has_ended_is_no_fault_once_it_was_read() -> None:
    made = driver(TUYA, "countdown")
    made.orders(SwitchOn(0, 120))
    heard(made, 0.5, state="ON", countdown=120)
    heard(made, 120.5, state="OFF", countdown=60)  # told at the full minute, and not at the end
    made.orders(AskNow())

    assert hazards(heard(made, 121.0, state="OFF", countdown=60)) == []
    assert hazards(heard(made, 121.1, state="OFF", countdown=0)) == []
    assert [hazards(heard(made, 131.0 + n, state="OFF", countdown=0)) for n in range(4)] == [[]] * 4


# -- names --------------------------------------------------------------------------------------------------------


def devices(**names: str) -> bytes:
    return json.dumps([{"ieee_address": ieee, "friendly_name": name} for ieee, name in names.items()]).encode()


def test_it_follows_its_plug_to_another_name_and_is_obeyed_under_any() -> None:
    made = driver()
    before = made.orders(SwitchOff(0))

    list(made.receive(Message("zigbee2mqtt/bridge/devices", devices(**{IEEE: "hall/小区"}), True), ev.Stamp(0.0, 0.0)))

    assert made.listens() == ("zigbee2mqtt/hall/小区", "zigbee2mqtt/hall/小区/availability")
    assert made.orders(SwitchOff(0)) == before
    assert readings(heard(made, 1.0, "hall/小区", state="ON", power=5)) == [5]
    with pytest.raises(BadFrame):
        heard(made, 1.0, "shed/plug", state="ON")


def test_a_plug_that_left_its_bridge_is_lost() -> None:
    made, now = driver(), ev.Stamp(0.0, 0.0)

    events = list(made.receive(Message("zigbee2mqtt/bridge/devices", devices(other="x"), True), now))

    assert [type(event) for event in events] == [ev.LinkLost]


def test_a_plug_that_announces_itself_has_started_anew_and_another_has_not() -> None:
    made = driver()
    event = {"type": "device_announce", "data": {"friendly_name": "shed/plug", "ieee_address": IEEE}}

    assert [type(e) for e in heard(made, 1.0, "bridge/event", **event)] == [ev.DeviceRestarted]
    assert heard(made, 1.0, "bridge/event", type="device_announce", data={"ieee_address": "0x01"}) == []
    assert heard(made, 1.0, "bridge/event", type="device_interview", data={"ieee_address": IEEE}) == []


# -- what is counted, and garbage ---------------------------------------------------------------------------------


def test_a_counter_in_steps_of_ten_is_told_as_it_is() -> None:
    made = driver()

    (reading,) = [e for e in heard(made, 1.0, state="ON", power=60, energy=12.05) if isinstance(e, ev.Reading)]

    assert reading.energy_wh == 12050.0


def test_a_socket_without_a_counter_of_its_own_says_so() -> None:
    made = driver({**GENERIC, "power": "power", "energy": ""})

    told = {e.setting: e.value for e in heard(made, 1.0, state="ON", power=60) if isinstance(e, ev.SettingReported)}

    assert told["own_counter"] == 0
    assert told["power_up_off"] == -1  # nor can it say what it does when the mains come back


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"{", "malformed"),
        (b"nan", "malformed"),
        (b"[1]", "malformed"),
        (b'{"state":"ON","state":"OFF"}', "malformed"),
        (b'{"state":"TOGGLE"}', "malformed"),
        (b'{"power":NaN}', "malformed"),
        (b'{"power":"60"}', "malformed"),
        (b'{"power":30000}', "range"),
        (b'{"energy":-1}', "range"),
        (b'{"power":1,"voltage":600}', "range"),
        (b"\xff", "malformed"),
        (b'{"x":"' + b"y" * 20_000 + b'"}', "length"),
    ],
)
def test_what_no_plug_says_is_a_bad_frame_of_its_kind(payload: bytes, kind: str) -> None:
    made = driver({**GENERIC, "voltage": "voltage"})

    with pytest.raises(BadFrame) as bad:
        list(made.receive(Message("zigbee2mqtt/shed/plug", payload), ev.Stamp(0.0, 0.0)))

    assert bad.value.kind == kind


def test_what_a_plug_says_that_is_not_for_us_is_no_bad_frame() -> None:
    assert readings(heard(driver(), 1.0, linkquality=98, update={"state": "idle"}, action=None)) == []


def test_a_countdown_is_never_nothing() -> None:
    with pytest.raises(ValueError, match="no plug counts"):
        codec.count_down(0, switch_on=True)
