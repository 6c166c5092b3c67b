"""Our end of anchong/1: what is believed of a device, what is refused (T41, T43, T51), and what our commands carry."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core import events as ev
from controller.core.errors import BadFrame
from controller.core.reasons import StopReason
from firmware_bridge.codecs import anchong1 as codec
from firmware_bridge.drivers import anchong1 as family
from firmware_bridge.drivers import anchong1_starts
from firmware_bridge.wire import AskNow, Message, Pile, Provision, SetInputs, SwitchOff, SwitchOn, Wish
from simulators.twins.anchong1 import AnchongConfig, AnchongTwin
from tests.bridge.yard import Lamp

NOW = ev.Stamp(1_800_000_000.0, 50.0)
LATER = ev.Stamp(1_800_000_600.0, 650.0)
FIRST, SECOND = "5f2c9a7be1d04433", "00aa11bb22cc33dd"
STATE = {"outlet": 1, "on": False, "n": 0, "power_w": 0.0, "energy_wh": 10.0, "off_by": "boot"}
HELLO = {"device": "d", "model": "M", "firmware": "2", "outlets": 2, "lease_max_s": 900, "power_max_w": 2300}
LIT = {"outlet": 1, "on": True, "n": 4, "power_w": 168.0, "energy_wh": 12.0, "lease_left_s": 100.0}


def opened(*outlets: str, **params: object) -> family.Anchong:
    return family.open(Pile("p", "anchong", "d", outlets or ("o1",), params))


def said(kind: str, body: dict[str, Any], seq: int, boot: str = FIRST, up_s: float = 2000.0) -> Message:
    return Message(codec.up("d", kind), json.dumps({"boot": boot, "seq": seq, "up_s": up_s, **body}).encode())


def heard(driver: family.Anchong, *messages: Message, now: ev.Stamp = NOW) -> list[ev.Event]:
    return [event for message in messages for event in driver.receive(message, now)]


def orders(driver: family.Anchong, wish: Wish) -> list[dict[str, Any]]:
    messages = driver.orders(wish)
    assert {message.address for message in messages} <= {"anchong/1/d/down"}
    return [json.loads(message.payload) for message in messages]


# -- what is believed ---------------------------------------------------------------------------------------------


def test_a_state_is_a_relay_and_a_reading_with_our_time() -> None:
    driver = opened()

    relay, reading = heard(driver, said("state", LIT | {"voltage_v": 229.5, "leakage_ma": 0.4}, 9))

    assert relay == ev.RelayReported(at=NOW.at, steady_s=NOW.steady_s, outlet="o1", on=True)
    assert isinstance(reading, ev.Reading)
    assert (reading.at, reading.power_w, reading.energy_wh) == (NOW.at, 168.0, 12.0)
    assert (reading.voltage_v, reading.leakage_ma, reading.current_a) == (229.5, 0.4, None)


def test_a_meter_that_can_not_say_makes_no_reading() -> None:
    (relay,) = heard(opened(), said("state", LIT | {"power_w": None, "energy_wh": None}, 1))

    assert isinstance(relay, ev.RelayReported)


def test_power_without_a_counter_is_a_reading_without_one() -> None:
    reading = heard(opened(), said("state", LIT | {"energy_wh": None}, 1))[-1]

    assert isinstance(reading, ev.Reading)
    assert reading.energy_wh is None


@pytest.mark.parametrize(
    ("body", "reasons"),
    [
        ({**STATE, "off_by": "overload"}, [StopReason.OVERLOAD]),
        ({**STATE, "off_by": "gremlins"}, [StopReason.DEVICE_STOP]),
        ({**LIT, "faults": ["overheat", "leakage"]}, [StopReason.LEAKAGE, StopReason.OVERHEAT]),
        ({**LIT, "lease_left_s": 0}, [StopReason.RELAY_FAULT]),
        ({**STATE, "off_by": "lease"}, []),
        ({**STATE, "off_by": "command"}, []),
        ({**STATE, "off_by": "button"}, []),
    ],
)
def test_what_the_device_says_is_wrong_is_told_once_and_before_the_relay(
    body: dict[str, Any], reasons: list[StopReason]
) -> None:
    driver = opened()

    first = heard(driver, said("state", body, 1))
    again = heard(driver, said("state", body, 2))

    assert [event.reason for event in first[: len(reasons)] if isinstance(event, ev.HazardReported)] == reasons
    assert not [event for event in again if isinstance(event, ev.HazardReported)]
    healed = heard(driver, said("state", LIT, 3), said("state", body, 4))
    assert [event.reason for event in healed if isinstance(event, ev.HazardReported)] == reasons


def test_a_word_of_ours_for_no_danger_is_not_taken_for_one() -> None:
    """`finished` is a stop reason too; a device can't make us believe it."""
    events = heard(opened(), said("state", {**STATE, "off_by": "finished"}, 1))

    assert [event.reason for event in events if isinstance(event, ev.HazardReported)] == [StopReason.DEVICE_STOP]


def test_settings_read_back_are_in_our_words() -> None:
    flags = dict.fromkeys(("power_up_off", "sees_power_when_off", "own_counter", "inputs_detached"), True)
    body = {"outlet": 1, "lease_max_s": 120, "limit_w": 1200, **flags, "own_counter": False}

    told = [event for event in heard(opened(), said("settings", body, 1)) if isinstance(event, ev.SettingReported)]

    assert {event.setting: event.value for event in told} == {
        "lease_s": 120.0,
        "power_up_off": 1.0,
        "sees_power_when_off": 1.0,
        "own_counter": 0.0,
        "inputs_detached": 1.0,
    }


def test_inputs_count_from_one_and_are_told_when_they_change() -> None:
    driver = opened()

    first = heard(driver, said("inputs", {"closed": [True, False]}, 1))
    again = heard(driver, said("inputs", {"closed": [True, True]}, 2))

    assert [(event.input, event.on) for event in first if isinstance(event, ev.InputReported)] == [
        (1, True),
        (2, False),
    ]
    assert [(event.input, event.on) for event in again if isinstance(event, ev.InputReported)] == [(2, True)]


@pytest.mark.parametrize(
    ("outlets", "body", "at"),
    [
        (("o1",), {}, ("o1", "")),
        (("o1", "o2"), {}, ("", "p")),
        (("o1", "o2"), {"outlet": 2}, ("o2", "")),
        (("", "o2"), {}, ("o2", "")),
    ],
)
def test_a_card_is_tapped_at_an_outlet_or_at_the_pile(
    outlets: tuple[str, ...], body: dict[str, Any], at: tuple[str, str]
) -> None:
    tap = heard(opened(*outlets), said("card", {"uid": "e9f35959", **body}, 1))[-1]

    assert isinstance(tap, ev.CardTapped)
    assert (tap.outlet, tap.pile, tap.uid) == (*at, "E9F35959")
    assert tap.session != tap.key


def test_a_card_at_an_outlet_that_is_not_ours_is_refused() -> None:
    with pytest.raises(BadFrame):
        heard(opened("o1", ""), said("card", {"uid": "e9f35959", "outlet": 2}, 1))


def test_a_will_is_a_lost_link_and_any_word_after_it_a_link_again() -> None:
    driver = opened()
    heard(driver, said("state", STATE, 1))
    will = Message(codec.up("d", "online"), json.dumps({"boot": FIRST, "online": False}).encode())

    assert [type(event) for event in heard(driver, will)] == [ev.LinkLost]
    assert isinstance(heard(driver, said("state", STATE, 2))[0], ev.LinkUp)
    assert not [event for event in heard(driver, said("state", STATE, 3)) if isinstance(event, ev.LinkUp)]


def test_of_what_the_broker_keeps_only_who_it_is_and_that_it_is_there_counts() -> None:
    driver = opened()
    kept = [said("state", LIT, 5), said("card", {"uid": "e9f35959"}, 6), said("online", {"online": True}, 2)]

    events = [event for one in kept for event in driver.receive(Message(one.address, one.payload, True), NOW)]

    assert [type(event) for event in events] == [ev.LinkUp]
    assert len(heard(driver, said("state", STATE, 1))) == 2  # no number of a kept message stands in its way


def test_a_start_is_told_with_its_cause_and_how_long_ago() -> None:
    driver = opened("o1", "o2")
    heard(driver, said("state", LIT, 1))

    events = heard(driver, said("hello", HELLO | {"started_by": "brownout"}, 1, SECOND, 3.0))

    restarts = [event for event in events if isinstance(event, ev.DeviceRestarted)]
    assert [(event.outlet, event.cause, event.up_s) for event in restarts] == [
        ("o1", "brownout", 3.0),
        ("o2", "brownout", 3.0),
    ]
    assert [event.firmware for event in events if isinstance(event, ev.FirmwareReported)] == ["2", "2"]


@pytest.mark.parametrize(("up_s", "obeyed", "told"), [(20.0, False, True), (2000.0, False, False), (20.0, True, False)])
def test_a_start_that_we_may_have_missed_is_told_unless_it_is_ours(up_s: float, obeyed: bool, told: bool) -> None:
    driver = opened()
    if obeyed:
        driver.orders(SwitchOn(0, 120))

    events = heard(driver, said("state", STATE, 9, up_s=up_s))

    assert any(isinstance(event, ev.DeviceRestarted) for event in events) is told


# -- T41: a device that speaks as another -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hello", "state", "online", "card"])
def test_T41_a_message_on_the_topic_of_one_that_says_it_is_another_is_refused(kind: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "hello": {"model": "M", "firmware": "1", "outlets": 1, "lease_max_s": 900, "power_max_w": 2300},
        "state": LIT,
        "online": {"online": False},
        "card": {"uid": "e9f35959"},
    }
    driver = opened()

    with pytest.raises(BadFrame, match="speaks on the topics of d"):
        heard(driver, said(kind, bodies[kind] | {"device": "other"}, 1))
    assert heard(driver, said("state", STATE, 1))  # and has not moved any number


@pytest.mark.parametrize("name", ["+", "#", "a/b", "", "a+b", "$SYS", "小区", "x" * 65, "a\nb", "a b"])
def test_T41_a_name_that_reaches_beyond_its_level_is_not_found(name: str) -> None:
    hello = {"device": name, "model": "M", "firmware": "1", "outlets": 1, "lease_max_s": 900, "power_max_w": 2300}
    body = json.dumps({"boot": FIRST, "seq": 1, "up_s": 1, **hello}).encode()

    with pytest.raises(BadFrame):
        assert not family.discover(Message(f"anchong/1/{name}/up/hello", body), NOW)
    with pytest.raises(BadFrame):
        family.discover(Message("anchong/1/d/up/hello", body), NOW)


def test_T41_another_device_can_not_be_heard_through_a_pile() -> None:
    with pytest.raises(BadFrame):
        heard(opened(), Message(codec.up("other", "state"), said("state", LIT, 1).payload))


def test_a_device_is_found_by_its_hello_and_goes_by_an_empty_one() -> None:
    hello = {"device": "d", "model": "M", "firmware": "1", "outlets": 4, "lease_max_s": 300, "power_max_w": 2300}

    (found,) = family.discover(said("hello", hello, 1), NOW)

    assert (found.address, found.channels, found.lease_s_max) == ("d", 4, 300)
    assert family.discover(Message("anchong/1/d/up/hello", b""), NOW) == ()
    assert family.discover(Message("shellies/announce", b"{"), NOW) == ()
    assert family.discover(said("state", STATE, 1), NOW) == ()


# -- T43: what was said before, said again ------------------------------------------------------------------------


@pytest.mark.parametrize("seq", [3, 4])
def test_T43_a_message_again_or_an_older_one_is_refused_and_changes_nothing(seq: int) -> None:
    driver = opened()
    heard(driver, said("state", STATE, 4))

    with pytest.raises(BadFrame, match="start") as bad:
        heard(driver, said("state", LIT, seq))

    assert bad.value.kind == "replayed"
    assert heard(driver, said("state", STATE, 5))


def test_T43_a_tap_that_is_replayed_starts_nothing() -> None:
    driver = opened()
    tap = said("card", {"uid": "e9f35959"}, 7)
    heard(driver, tap)

    with pytest.raises(BadFrame):
        heard(driver, tap)


def test_T43_no_start_comes_twice() -> None:
    """What was recorded before the device started anew proves nothing, nor does the will of that time."""
    driver = opened()
    heard(driver, said("state", LIT, 40), said("state", STATE, 1, SECOND))

    with pytest.raises(BadFrame):
        heard(driver, said("state", LIT, 41))
    with pytest.raises(BadFrame):
        heard(driver, Message(codec.up("d", "online"), json.dumps({"boot": FIRST, "online": False}).encode()))
    assert heard(driver, said("state", STATE, 2, SECOND))


def test_T43_a_start_of_long_ago_that_is_played_to_us_deafens_us_for_a_minute_at_most() -> None:
    """A gateway that has just begun can't know which starts are over; the device counts on, and the ghost does not."""
    driver = opened()
    heard(driver, said("state", LIT, 40))
    heard(driver, said("hello", HELLO, 1, SECOND))

    with pytest.raises(BadFrame):
        heard(driver, said("state", LIT, 41))
    with pytest.raises(BadFrame):
        heard(driver, said("state", LIT, 40), now=LATER)
    assert [type(event) for event in heard(driver, said("state", LIT, 44), now=LATER)] == [
        ev.DeviceRestarted,
        ev.RelayReported,
        ev.Reading,
    ]
    with pytest.raises(BadFrame):
        heard(driver, said("state", LIT, 2, SECOND), now=LATER)


def test_of_many_starts_a_few_are_remembered() -> None:
    driver = opened()

    for number in range(100):
        heard(driver, said("state", STATE, 1, f"start-{number:03}"))

    assert len(driver._starts._over) == anchong1_starts.KEPT
    with pytest.raises(BadFrame):
        heard(driver, said("state", STATE, 2, "start-098"))


def test_T43_our_commands_are_for_one_start_and_numbered_per_outlet() -> None:
    driver = opened("o1", "o2")
    heard(
        driver, said("state", LIT | {"n": 17}, 1, up_s=33.5), said("state", STATE | {"outlet": 2, "n": 2}, 2, up_s=34)
    )

    (on,) = orders(driver, SwitchOn(0, 120))
    (again,) = orders(driver, SwitchOn(0, 120))
    (off,) = orders(driver, SwitchOff(0))
    (other,) = orders(driver, SwitchOn(1, 60))

    assert [order["n"] for order in (on, again, off, other)] == [18, 19, 20, 3]
    assert {order["boot"] for order in (on, again, off, other)} == {FIRST}
    assert (on["heard_up_s"], on["lease_s"], on["outlet"]) == (34, 120, 1)
    assert len({order["id"] for order in (on, again, off, other)}) == 4


def test_T43_a_recorded_on_is_refused_by_the_device_at_any_later_time() -> None:
    twin = AnchongTwin(AnchongConfig(device="d"), [Lamp(60.0)], 0.0)
    driver = opened()
    for publish in twin.start(0.0):
        heard(driver, Message(publish.topic, publish.payload))
    (on,), (off,) = driver.orders(SwitchOn(0, 30)), driver.orders(SwitchOff(0))
    twin.receive(on.address, on.payload, False, 1.0)
    assert twin.powered(0)

    twin.receive(off.address, off.payload, False, 2.0)
    twin.receive(on.address, on.payload, False, 3.0)
    assert not twin.powered(0)
    for second in range(20):  # until nobody remembers its id
        ask = driver.orders(AskNow())[0]
        twin.receive(ask.address, ask.payload, False, 4.0 + second)
    twin.receive(on.address, on.payload, False, 30.0)
    assert not twin.powered(0)
    twin.power_cycle(31.0)
    twin.receive(on.address, on.payload, False, 32.0)
    assert not twin.powered(0)


def test_T43_a_recorded_off_ends_no_later_charge_while_its_id_is_remembered() -> None:
    twin = AnchongTwin(AnchongConfig(device="d"), [Lamp(60.0)], 0.0)
    driver = opened()
    for publish in twin.start(0.0):
        heard(driver, Message(publish.topic, publish.payload))
    (off,), (on,) = driver.orders(SwitchOff(0)), driver.orders(SwitchOn(0, 30))

    for order in (off, on, off):
        twin.receive(order.address, order.payload, False, 1.0)

    assert twin.powered(0)


# -- T51: whatever a device thinks the time is --------------------------------------------------------------------


@pytest.mark.parametrize("up_s", [0.0, 31_536_000.0, 9e9])
@pytest.mark.parametrize("odd", [{}, {"time": "1970-01-01T00:00:00"}, {"time": 4_102_444_800}, {"at": -1}])
def test_T51_the_time_of_a_reading_is_ours_whatever_the_device_says(up_s: float, odd: dict[str, Any]) -> None:
    events = heard(opened(), said("state", LIT | odd, 1, up_s=up_s))

    assert {(event.at, event.steady_s) for event in events} == {(NOW.at, NOW.steady_s)}


def test_T51_a_device_whose_timer_jumps_back_is_still_heard_and_told_its_own_time() -> None:
    driver = opened()
    heard(driver, said("state", STATE, 1, up_s=31_536_000.0), said("state", LIT, 2, up_s=5.0), now=LATER)

    assert orders(driver, SwitchOn(0, 120))[0]["heard_up_s"] == 5.0


# -- what we say --------------------------------------------------------------------------------------------------


def test_a_device_that_has_not_spoken_is_asked_and_not_switched_on() -> None:
    driver = opened()

    assert [order["do"] for order in orders(driver, SwitchOn(0, 120))] == ["ask"]
    assert [order["do"] for order in orders(driver, Provision(120, 800))] == ["ask"]
    assert [order["do"] for order in orders(driver, SwitchOff(0))] == ["off"]  # an off waits for nobody


def test_provisioning_sets_each_outlet_of_ours_within_its_own_bounds() -> None:
    driver = opened("o1", "", "o3", lease_max_s=300, power_max_w=1_000)
    heard(driver, said("state", STATE, 1))

    *settings, ask = orders(driver, Provision(900, 800))

    assert [(one["outlet"], one["lease_max_s"], one["limit_w"]) for one in settings] == [(1, 300, 1000), (3, 300, 1000)]
    assert ask["do"] == "ask"
    assert orders(driver, SwitchOn(0, 900))[0]["lease_s"] == 300


def test_without_a_power_of_ours_the_devices_own_limit_is_left_alone() -> None:
    driver = opened()
    heard(driver, said("state", STATE, 1))

    assert "limit_w" not in orders(driver, Provision(120))[0]


def test_asking_and_inputs_switch_nothing() -> None:
    driver = opened()

    assert [order["do"] for wish in (AskNow((1,)), SetInputs((1, 2))) for order in orders(driver, wish)] == [
        "ask",
        "ask",
    ]


def test_a_refusal_is_counted_and_teaches_the_number_that_the_device_has() -> None:
    driver = opened()
    heard(driver, said("state", STATE, 1))

    with pytest.raises(BadFrame, match="a1: old") as bad:
        heard(driver, said("ack", {"id": "a1", "ok": False, "why": "old", "outlet": 1, "n": 40}, 2))

    assert bad.value.kind == "refused"
    assert orders(driver, SwitchOn(0, 120))[0]["n"] == 41


def test_a_refusal_that_is_the_first_word_after_a_start_still_tells_the_start() -> None:
    driver, told = opened(), list[ev.Event]()
    heard(driver, said("state", STATE, 1))

    with suppress(BadFrame):
        for event in driver.receive(said("ack", {"id": "a1", "ok": False, "why": "boot"}, 1, SECOND), NOW):
            told.append(event)

    assert [type(event) for event in told] == [ev.DeviceRestarted]


def test_no_retained_command_is_left_for_it() -> None:
    assert family.retained_commands(Pile("p", "anchong", "d", ("o1",), {})) == ["anchong/1/d/down"]


@settings(max_examples=50)
@given(data=st.data())
def test_whatever_comes_on_any_topic_is_events_or_a_bad_frame(data: st.DataObject) -> None:
    driver = opened("o1", "", "o3")
    odd = st.dictionaries(
        st.sampled_from(["seq", "boot", "outlet", "n", "power_w", "faults", "closed", "uid", "online", "id", "device"]),
        st.none() | st.integers(-5, 40) | st.text(max_size=5) | st.lists(st.booleans(), max_size=3) | st.booleans(),
        max_size=4,
    )
    for number in range(1, 6):
        kind = data.draw(st.sampled_from(codec.KINDS))
        message = said(
            kind, {**LIT, "closed": [True], "uid": "e9f35959", "ok": True, "id": "a"} | data.draw(odd), number
        )
        with suppress(BadFrame):
            for event in driver.receive(Message(message.address, message.payload, data.draw(st.booleans())), NOW):
                assert getattr(event, "outlet", "o1") in ("o1", "o3", "")
    assert orders(driver, SwitchOff(0))[0]["do"] == "off"


@settings(max_examples=50)
@given(
    levels=st.lists(st.sampled_from(["anchong", "1", "d", "up", "hello", "+", "#", "", "小区", "state"]), max_size=6)
    | st.tuples(*map(st.just, ("anchong", "1")), st.text(max_size=5), *map(st.just, ("up", "hello"))),
    payload=st.binary(max_size=40) | st.just(said("hello", HELLO, 1).payload),
)
def test_whoever_is_found_has_a_name_of_one_level(levels: Sequence[str], payload: bytes) -> None:
    with suppress(BadFrame):
        for found in family.discover(Message("/".join(levels), payload), NOW):
            assert found.address == "d"
